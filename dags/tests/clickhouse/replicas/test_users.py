"""The rights that the README asks for among replicas: with them each user does its work, and no right is too many."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.replicas.store import everywhere, place_of, standings, synced
from dags.tests.clickhouse.replicas.test_replicas import turned
from dags.tests.clickhouse.test_grants import GRANTS as ALONE
from dags.tests.clickhouse.test_grants import README, WHO, run, user
from dags.tests.clickhouse.test_users import as_user
from dags.tests.clickhouse.three_users import BUILDER, GRANTS, MIGRATOR, READER, limited, three_users
from dags.tests.clickhouse_cluster import running_cluster
from dags.tests.emptied import EmptiedDatabase
from dags.tests.variants import require_cluster
from dags.tests.world import STATS, World, ago, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

    from dags.tests.clickhouse_cluster import Cluster

# At night: each right is taken from each user, on a cluster of its own.
pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.xdist_group("replica_users")]

ONE_FOR_ALL = "web_analytics"
[BLOCK] = re.findall(r"```sql\n-- among replicas\n(.+?)```", README, re.DOTALL)


def among_replicas(name: str) -> list[str]:
    """The rights that a user needs beside those on one server, each as a grant of its own."""
    found = list[str]()
    for statement in " ".join(re.sub(r"--.*", "", BLOCK).split()).split(";"):
        rights, where, names = re.fullmatch(r"\s*GRANT (.+?)( ON \S+\.\*|) TO (.+?)\s*", statement).groups()  # type: ignore[union-attr]
        if name in names.split(", "):
            found += [f"GRANT {right}{where}" for right in rights.split(", ")]
    return found


ON_ONE_SERVER = {**GRANTS, ONE_FOR_ALL: ALONE}
AMONG = {name: among_replicas(name) for name in ON_ONE_SERVER}
LACKING = {
    f"u{number}_{name}": (right, [*ON_ONE_SERVER[name], *(one for one in rights if one != right)])
    for name, rights in AMONG.items()
    for number, right in enumerate(rights)
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    require_cluster()
    users = three_users(user(name, grants) for name, (_, grants) in LACKING.items())
    for name in GRANTS:
        users = users.replace(limited(name, GRANTS[name]), limited(name, [*GRANTS[name], *AMONG[name]]))
    users = users.replace("</users>", user(ONE_FOR_ALL, [*ALONE, *AMONG[ONE_FOR_ALL]]) + "</users>")
    with running_cluster(tmp_path_factory.mktemp("users"), users_xml=users) as running:
        yield running


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> str:
    return cluster.dsn("web_analytics").rpartition("@")[2]


def applied(cluster: Cluster, address: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Why this user could not make an empty database what the code needs, on each replica; empty if it could."""
    for server in cluster.servers[0]:
        with open_client(Dsn.parse(server.address.dsn("default")), wait_seconds=60) as client:
            client.command("DROP DATABASE IF EXISTS web_analytics SYNC")
    with as_user(monkeypatch, address, name), DagsterInstance.ephemeral() as instance:
        return run(instance, "apply_schema_job") or run(instance, "apply_schema_job")


@pytest.fixture(scope="module")
def emptied(cluster: Cluster) -> Iterator[EmptiedDatabase]:
    with open_client(Dsn.parse(cluster.dsn()), wait_seconds=60, create_database=True) as client:
        yield EmptiedDatabase(client)


@pytest.fixture
def world(address: str, emptied: EmptiedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    emptied.empty()
    with new_world(f"clickhouse://default@{address}", monkeypatch) as opened:
        opened.traffic([1], [ago(1), ago(2)])
        opened.select(1)
        yield opened


def done(world: World) -> str:
    """Why the first thing failed of what the code location does from day to day."""
    days = {"start_date": str(ago(2)), "end_date": str(ago(2))}
    managed = {"target_table": STATS, **days, **WHO, "dry_run": False}
    steps: tuple[tuple[str, dict[str, Any], str | None], ...] = (
        ("web_analytics_team_selection_job", {}, None),
        ("web_pre_aggregate_job", {}, str(ago(1))),
        ("check_missing_data_job", {}, None),
        ("managed_backfill_job", managed, None),
        ("sweep_backups_job", {}, None),
    )
    failed = (run(world.instance, job, given, partition_key=day) for job, given, day in steps)
    return next(filter(None, failed), "")


@pytest.mark.parametrize("name", [MIGRATOR, ONE_FOR_ALL])
def test_who_makes_the_tables_needs_each_of_its_rights_among_replicas(
    cluster: Cluster, address: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = {one: right for one, (right, _) in LACKING.items() if one.endswith(f"_{name}")}
    assert len(lacking) == 5
    for one, right in lacking.items():
        why = applied(cluster, address, one, monkeypatch)
        assert f"`{right.replace('web_analytics.*', 'web_analytics.')}"[:40] in why, right
        assert "README, Replicas, has all of them" in why, right
    assert applied(cluster, address, name, monkeypatch) == ""


@pytest.mark.parametrize("name", [BUILDER, ONE_FOR_ALL])
def test_who_builds_does_it_among_replicas(
    world: World, address: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_user(monkeypatch, address, name):
        assert done(world) == ""


def test_a_builder_needs_each_of_its_rights_among_replicas(
    world: World, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = {one: right for one, (right, _) in LACKING.items() if one.endswith(f"_{BUILDER}")}
    assert lacking
    for one, right in lacking.items():
        with as_user(monkeypatch, address, one):
            why = done(world)
        assert f"`{right}"[:40] in why, right
        assert "README, Replicas, has all of them" in why, right


def test_a_reader_who_may_change_nothing_is_answered_also_of_tables_into_which_nobody_ever_wrote(
    world: World, address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert AMONG[READER] == []
    assert [one.table for one in standings(world.client) if one.is_perhaps_new]
    world.build(ago(1))
    with as_user(monkeypatch, address, READER):
        assert run(world.instance, "check_missing_data_job") == ""
        assert run(world.instance, "why_job", {"team_id": 1}) == ""
        capfd.readouterr()
        run(world.instance, "health_job", {"output": "json"})
    answer = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    unknown = {one["key"] for one in answer["causes"] if one["state"] == "unknown"}
    # An instance that is gone with the test has no schedules to tell of; a sample is computed in staging.
    assert unknown <= {"unknown:triggers", "unknown:accuracy"}
    world.client.command("SYSTEM FLUSH LOGS")
    refused = world.client.query(
        "SELECT query FROM system.query_log WHERE user = {user:String} AND exception_code IN (164, 497)",
        {"user": READER},
    ).result_rows
    assert [query for (query,) in refused if "SYSTEM" in query] == []


def test_a_reader_waits_by_looking_until_what_others_wrote_is_here(world: World, address: str) -> None:
    late = everywhere(world.client)["2"]
    reader = turned(f"clickhouse://{READER}:word@{address}", 1)
    table = "web_pre_aggregated_stats"
    late.command(f"SYSTEM STOP FETCHES {table}")
    with open_client(reader, wait_seconds=60) as reads:
        place = place_of(reads)
        assert place is not None
        assert place.name == "2"
        world.build(ago(1))
        assert behind(reads, table, 1)
        late.command(f"SYSTEM START FETCHES {table}")
        assert not behind(reads, table, 30)
        assert reads.query(f"SELECT count() > 0 FROM {table}").result_rows == [(True,)]


def behind(client: Client, table: str, seconds: float) -> bool:
    [found] = synced(client, {table}, seconds)
    return found.is_behind
