"""A backup lies on the replica on which its days were swapped: who comes from another one finds it all the same."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from dagster import Failure

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.domain.errors import UserError
from dags.publish.backup import BACKUP_PREFIX
from dags.retention.store import read_facts
from dags.settings import current_settings
from dags.tests.emptied import EmptiedDatabase
from dags.tests.managed_backfill import asked
from dags.tests.variants import at_night
from dags.tests.world import STATS, World, ago, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dags.tests.clickhouse_cluster import Cluster

pytestmark = pytest.mark.cluster

DAY = ago(2)
WHO = {"requested_by": "ada", "reason": "it was right before"}


@pytest.fixture(scope="module")
def emptied(cluster: Cluster) -> Iterator[EmptiedDatabase]:
    with open_client(Dsn.parse(cluster.dsn("replicas")), wait_seconds=60, create_database=True) as client:
        yield EmptiedDatabase(client)


@pytest.fixture
def world(cluster: Cluster, emptied: EmptiedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """One session is built, and two are there to be built."""
    emptied.empty()
    with new_world(cluster.dsn("replicas"), monkeypatch) as opened:
        opened.traffic([1], [DAY])
        opened.select(1)
        opened.build(DAY)
        opened.traffic([1], [DAY], session="late")
        yield opened


@contextmanager
def from_other_replica(world: World, cluster: Cluster) -> Iterator[None]:
    """Another process, to which `CLICKHOUSE_DSN` names the other replica first."""
    hosts = r"@([^,]+),([^/]+)/"
    with world.monkeypatch.context() as own:
        own.setenv("CLICKHOUSE_DSN", re.sub(hosts, r"@\2,\1/", cluster.dsn("replicas")))
        current_settings.cache_clear()
        yield
    current_settings.cache_clear()


def rebuilt(world: World) -> str:
    given = asked(start_date=str(DAY), end_date=str(DAY), dry_run=False)
    answer: dict[str, Any] = world.run_as_configured("managed_backfill_job", given).output_for_node("managed_backfill")
    assert answer["status"] == "completed"
    return str(answer["backfill_id"])


def sessions(cluster: Cluster) -> list[int]:
    """What readers of each replica see."""
    found = list[int]()
    for server in cluster.servers[0]:
        with open_client(Dsn.parse(server.address.dsn("replicas")), wait_seconds=60) as client:
            [[seen]] = client.query(f"SELECT uniqMerge(sessions_uniq_state) FROM {STATS}").result_rows
            found.append(seen)
    return found


def backups(cluster: Cluster) -> list[int]:
    """How many backups each replica has."""
    found = list[int]()
    for server in cluster.servers[0]:
        with open_client(Dsn.parse(server.address.dsn("replicas")), wait_seconds=60) as client:
            found.append(sum(name.startswith(BACKUP_PREFIX) for (name,) in client.query("SHOW TABLES").result_rows))
    return found


def test_a_backfill_is_taken_back_and_deleted_by_whoever_comes_from_the_other_replica(
    world: World, cluster: Cluster
) -> None:
    backfill_id = rebuilt(world)
    assert (sessions(cluster), backups(cluster)) == ([2, 2], [1, 0])
    with from_other_replica(world, cluster):
        world.run_as_configured("rollback_backfill_job", {"backfill_id": backfill_id, **WHO})
        assert (sessions(cluster), backups(cluster)) == ([1, 1], [1, 0])
        world.run_as_configured("delete_backfill_job", {"backfill_id": backfill_id, **WHO})
    assert backups(cluster) == [0, 0]


@at_night
def test_a_backup_whose_time_is_over_is_swept_from_whichever_replica_has_it(world: World, cluster: Cluster) -> None:
    rebuilt(world)
    [name] = [name for (name,) in world.client.query("SHOW TABLES").result_rows if name.startswith(BACKUP_PREFIX)]
    with from_other_replica(world, cluster):
        world.run_as_configured("sweep_backups_job")
        assert backups(cluster) == [1, 0]
        world.client.command(f"ALTER TABLE {name} MODIFY COMMENT 'kept_until_{ago(1):%Y%m%d}'")
        world.run_as_configured("sweep_backups_job")
    assert backups(cluster) == [0, 0]


def test_a_backup_on_a_replica_that_is_down_is_not_said_to_be_gone_and_nobody_forgets_whose_it_is(
    world: World, cluster: Cluster
) -> None:
    backfill_id, first = rebuilt(world), cluster.servers[0][0]
    first.kill()
    try:
        address = f"{first.address.host}:{first.address.http_port}"
        with pytest.raises(UserError, match=f"unless it is on {address}, which does not answer: do this again when"):
            world.run_as_configured("rollback_backfill_job", {"backfill_id": backfill_id, **WHO})
        with open_client(current_settings().clickhouse_dsn, wait_seconds=60) as client:
            assert [has_backup for facts, has_backup in read_facts(client) if facts.work_id == backfill_id] == [True]
    finally:
        first.start()
    world.run_as_configured("rollback_backfill_job", {"backfill_id": backfill_id, **WHO})
    assert sessions(cluster) == [1, 1]


@at_night
def test_chunks_that_are_done_at_once_are_all_done_beside_the_backup(world: World, cluster: Cluster) -> None:
    days = [ago(n) for n in range(5, 1, -1)]
    world.traffic([1], days)
    given = asked(
        start_date=str(days[0]), end_date=str(days[-1]), dry_run=False, chunk_size_days=1, parallelism=2,
        max_source_rows=1,
    )  # fmt: skip
    first = world.run_as_configured("managed_backfill_job", given).output_for_node("managed_backfill")
    assert (first["status"], sum(backups(cluster))) == ("paused", 1)
    with from_other_replica(world, cluster):
        again = world.run_as_configured("resume_backfill_job", {"backfill_id": first["backfill_id"], **WHO})
    assert again.output_for_node("resume_backfill")["status"] in {"completed", "paused"}
    assert backups(cluster) == [1, 0]


@at_night
def test_no_second_backup_is_begun_while_the_first_may_be_on_a_replica_that_is_down(
    world: World, cluster: Cluster
) -> None:
    world.run_as_configured("stop_all_backfills_job", WHO)
    given = asked(start_date=str(DAY), end_date=str(DAY), dry_run=False)
    with pytest.raises(Failure, match="is paused"):
        world.run_as_configured("managed_backfill_job", given)
    [[backfill_id]] = world.client.query("SELECT DISTINCT work_id FROM web_analytics_work_events").result_rows
    world.run_as_configured("resume_all_backfills_job", WHO)
    assert backups(cluster) == [1, 0]
    first = cluster.servers[0][0]
    first.kill()
    try:
        with pytest.raises(UserError, match=f"{backfill_id} has no backup, unless it is on .* Nothing was touched"):
            world.run_as_configured("resume_backfill_job", {"backfill_id": backfill_id, **WHO})
    finally:
        first.start()
    world.run_as_configured("resume_backfill_job", {"backfill_id": backfill_id, **WHO})
    assert (sessions(cluster), backups(cluster)) == ([2, 2], [1, 0])


def test_a_backfill_and_what_takes_it_back_name_a_replica_that_is_down_all_the_while(
    world: World, cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    down = cluster.servers[0][1]
    down.kill()
    try:
        address = f"{down.address.host}:{down.address.http_port}"
        told = f"{STATS}: published here, and not yet on the replica {address}: does not answer: "
        given = asked(start_date=str(DAY), end_date=str(DAY), dry_run=False)
        ran = world.run_as_configured("managed_backfill_job", given)
        done = ran.output_for_node("managed_backfill")
        log = [entry.user_message for entry in world.instance.all_logs(ran.run_id)]
        assert (done["status"], sum(told in words for words in log)) == ("completed", 1)
        capfd.readouterr()
        world.run_as_configured("rollback_backfill_job", {"backfill_id": done["backfill_id"], **WHO})
        assert capfd.readouterr().out.count(told) == 1
    finally:
        down.start()
