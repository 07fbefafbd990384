"""The three users of the README: each can do what it is for, and no right of it is more than that needs."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from dagster import DagsterInstance

from dags.clickhouse.engine import open_client
from dags.dagster_runs.tags import KIND_TAG, JobKind
from dags.definitions import defs
from dags.settings import current_settings
from dags.tests.clickhouse.test_grants import WHO, run, user
from dags.tests.clickhouse.three_users import BUILDER, GRANTS, MIGRATOR, READER, three_users
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.file_ingestion.partner import COLUMNS, event, lines
from dags.tests.postgres_backfill.tenants import asked, of, queue, tenant
from dags.tests.world import STATS, World, ago, new_world, noon
from dags.work.audit.store import read_works

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dags.tests.s3_server import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("users")]


def without_each(grants: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each right, and all but that one. But for two that are not needed every day: servers ask for a right to read
    their own tables where they are set up so, and nothing is killed where no run has died.
    """
    for place, grant in enumerate(grants):
        said, where = re.fullmatch(r"GRANT (.+?)( ON \S+\.\*|)", grant, re.DOTALL).groups()  # type: ignore[union-attr]
        rights = said.split(", ")
        for right in rights:
            if right == "KILL QUERY" or where == " ON system.*":
                continue
            rest = [one for one in rights if one != right]
            left = [f"GRANT {', '.join(rest)}{where}"] if rest else []
            yield right, [*grants[:place], *left, *grants[place + 1 :]]


@pytest.fixture(scope="module")
def lacking() -> dict[str, str]:
    """The users that lack one right each, by that."""
    return {
        f"{name}: {right}": f"u{number}_{name}"
        for name in (BUILDER, MIGRATOR)
        for number, (right, _) in enumerate(without_each(GRANTS[name]))
    }


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    users = list[str]()
    for name in (BUILDER, MIGRATOR):
        users += [user(f"u{number}_{name}", grants) for number, (_, grants) in enumerate(without_each(GRANTS[name]))]
    with running_server(tmp_path_factory.mktemp("users"), three_users(users)) as server:
        yield server.dsn("web_analytics").rpartition("@")[2]


@contextmanager
def as_user(world_set: pytest.MonkeyPatch, address: str, name: str = "") -> Iterator[None]:
    with world_set.context() as own:
        own.setenv("CLICKHOUSE_DSN", f"clickhouse://{f'{name}:word@' if name else ''}{address}")
        current_settings.cache_clear()
        yield
    current_settings.cache_clear()


def applied(address: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Why this user could not make an empty database what the code needs, and look at it again; empty if it could."""
    with (
        as_user(monkeypatch, f"{address.rpartition('/')[0]}/default"),
        open_client(current_settings().clickhouse_dsn, wait_seconds=5) as client,
    ):
        client.command("DROP DATABASE IF EXISTS web_analytics SYNC")
    with as_user(monkeypatch, address, name), DagsterInstance.ephemeral() as instance:
        return run(instance, "apply_schema_job") or run(instance, "apply_schema_job")


def test_the_migrator_makes_the_tables_and_has_no_right_that_it_does_not_need(
    address: str, lacking: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for right, name in lacking.items():
        if right.startswith(MIGRATOR):
            assert "GRANT" in applied(address, name, monkeypatch), right
    assert applied(address, MIGRATOR, monkeypatch) == ""


@pytest.fixture
def world(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    applied(address, MIGRATOR, monkeypatch)
    with new_world(f"clickhouse://{address}", monkeypatch) as opened:
        begun(opened)
        yield opened


def begun(world: World) -> None:
    world.traffic([1], [ago(1), ago(2)])
    world.select(1)


@pytest.fixture
def jobs(
    world: World, postgres_database: str, bucket: tuple[S3Server, str], tmp_path: Path
) -> Iterator[Callable[[], str]]:
    """Everything that the code location does from day to day; why the first of it failed that did."""
    s3, name = bucket
    with tenant(world, postgres_database, tmp_path) as source:
        source.history([ago(1)])
        declared = tmp_path / "sources.yaml"
        world.set(sources=declared)
        ingestion = {
            "name": "logs", "source_path": f"{s3.endpoint}/{name}/", "source_file_pattern": "*.jsonl",
            "format": "JSONEachRow", "columns": COLUMNS, "constants": {"event": "$pageview"},
            "access_key_env": "S3_KEY", "secret_key_env": "S3_SECRET",
        }  # fmt: skip
        declared.write_text(declared.read_text() + "\n" + yaml.safe_dump({"ingestions": [ingestion]}))
        world.monkeypatch.setenv("S3_KEY", s3.access_key)
        world.monkeypatch.setenv("S3_SECRET", s3.secret_key)
        rounds = iter(range(1, 1000))

        def failed(job: str, given: dict[str, Any] | None = None, **options: Any) -> str:
            return run(world.instance, job, given, **options)

        def all_done() -> Iterator[str]:
            number = next(rounds)
            s3.put(name, "a.jsonl", lines(event(number, at=f"{noon(ago(1)):%Y-%m-%dT%H:%M:%SZ}")))
            yield failed("web_analytics_team_selection_job")
            yield failed("web_pre_aggregate_job", partition_key=str(ago(1)))
            yield failed("check_missing_data_job")
            yield failed("stop_all_backfills_job", WHO)
            yield failed("resume_all_backfills_job", WHO)
            days = {"start_date": str(ago(2)), "end_date": str(ago(1))}
            yield failed("managed_backfill_job", {"target_table": STATS, **days, **WHO, "dry_run": False})
            [work, *_] = [one for one in read_works(world.client) if one.work.kind == "managed"]
            yield failed("rollback_backfill_job", {"backfill_id": work.work_id, **WHO})
            yield failed("delete_backfill_job", {"backfill_id": work.work_id, **WHO})
            files = {"ingestion": "logs", **WHO, "dry_run": False}
            yield failed("ingest_files_job", files)
            s3.put(name, "a.jsonl", lines(event(number), event(number + 1000)))
            yield failed("ingest_files_job", files)
            yield failed("clear_files_job", {**files, "pattern": "*"})
            yield failed("postgres_backfill_job", asked(kind="incremental"))
            yield failed("delete_postgres_backfill_job", of(queue(world)[-1]["id"]))
            yield failed("sweep_backups_job")
            yield failed("web_analytics_retention_job", {"dry_run": False})

        yield lambda: next(filter(None, all_done()), "")


def test_the_builder_builds_and_loads_and_has_no_right_that_it_does_not_need(
    address: str, lacking: dict[str, str], world: World, jobs: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_user(monkeypatch, address, BUILDER):
        assert jobs() == ""
    for right, name in lacking.items():
        if right.startswith(BUILDER):
            applied(address, MIGRATOR, monkeypatch)
            begun(world)
            with as_user(monkeypatch, address, name):
                assert "GRANT" in jobs(), right


# A question of one thing needs to be told which.
GIVEN = {"why_job": {"team_id": 1}, "health_job": {"output": "json"}}


def test_the_reader_is_answered_by_every_diagnostic_and_writes_nothing(
    address: str, world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """But for the standing checks' sample, which is computed in staging: it says that it could not be compared."""
    world.build(ago(1))
    days = {"first_day": str(ago(2)), "last_day": str(ago(2)), "valid_until": str(ago(-9))}
    assert run(world.instance, "waive_job", {**WHO, **days, "table": STATS}) == ""
    rows = "SELECT table, sum(rows) FROM system.parts WHERE active AND database = 'web_analytics' GROUP BY 1 ORDER BY 1"
    tables = (
        "SELECT name, toString(uuid), metadata_modification_time FROM system.tables WHERE database = 'web_analytics'"
    )
    before = [world.client.query(one).result_rows for one in (rows, tables)]
    questions = [job.name for job in defs.resolve_all_job_defs() if job.tags.get(KIND_TAG) == JobKind.QUESTION]
    assert {"check_missing_data_job", "show_files_job", "web_analytics_health_checks_job", *GIVEN} < {*questions}
    with as_user(monkeypatch, address, READER):
        for job in questions:
            capfd.readouterr()
            failed = run(world.instance, job, GIVEN.get(job))
            said = capfd.readouterr().out
            if job == "health_job":
                answer = json.loads(said.strip().splitlines()[-1])
                # An instance that is gone with the test has no schedules to tell of.
                unknown = {one["key"] for one in answer["causes"] if one["state"] == "unknown"}
                assert unknown <= {"unknown:triggers", "unknown:accuracy"}
            else:
                assert failed == "", job
        world.materialize("web_analytics_backfill_detector")
    assert [world.client.query(one).result_rows for one in (rows, tables)] == before
    world.client.command("SYSTEM FLUSH LOGS")
    done = world.client.query(
        "SELECT groupUniqArrayIf(query_kind, type = 'QueryFinish'), sum(written_rows), groupUniqArrayIf(query_kind, "
        "exception_code = 497), max(ProfileEvents['InsertedRows']) FROM system.query_log WHERE user = {user:String}",
        {"user": READER},
    ).result_rows
    [(kinds, written, refused, inserted)] = done
    assert {*kinds} == {"Select", "Explain", "Exists"}
    assert (written, inserted) == (0, 0)
    assert {*refused} <= {"Create"}  # the sample's lease
    with as_user(monkeypatch, address, READER):
        for job, given in (("web_pre_aggregate_job", {}), ("stop_all_backfills_job", WHO), ("apply_schema_job", {})):
            options = {"partition_key": str(ago(1))} if job == "web_pre_aggregate_job" else {}
            assert "GRANT" in run(world.instance, job, given, **options), job
    assert world.client.query(rows).result_rows == before[0]
