"""What ClickHouse tells of work, builds, files and what was left behind, on both engines, against plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.leases.rules import new_token
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.schema.books import append
from dags.health.facts import BuildsOfLately, BuildsOfWeek, Files, LeftBehind, Section, Teams
from dags.health.store import read_sections
from dags.metrics.recent import Builds
from dags.metrics.store import read_recent
from dags.publish.backup import backup_name, make_backup
from dags.publish.staging import STAGING_PREFIX
from dags.repair.stops.store import Stop, turn
from dags.sources.declaration import Sources, declared
from dags.tests.health.matter import matters
from dags.tests.managed_backfill.test_plan import a_plan
from dags.tests.runbook import symptom
from dags.tests.variants import server_in_stories
from dags.tests.world import BOUNCES, STATS
from dags.work.audit.log import Entry, Event, Status, Work
from dags.work.audit.store import Log
from dags.work.document import as_yaml

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = server_in_stories

TABLES = (STATS, BOUNCES)
TRIGGERS = ("hourly_schedule", "files_sensor")
WHO = {"requested_by": "ada", "reason": "a bug"}


def read(client: Client, sources: Sources | None = None) -> Any:
    now = read_clocks(client).server
    return read_sections(client, TABLES, sources or Sources(), triggers=TRIGGERS, server_at=now, kept_days=7)


def test_an_empty_database_has_nothing_the_matter(client: Client) -> None:
    found = read(client)
    assert found == {
        "teams": Teams(0, None),
        "stop": None,
        "work": (),
        "old_days": (),
        "left_behind": (),
        "weeks": (),
        "builds": tuple(BuildsOfLately(table, None, 0, 0, 0) for table in TABLES),
        "files": (),
        "unread": {},
    }


def test_a_section_that_cannot_be_read_is_unknown_and_the_others_are_known(client: Client) -> None:
    client.command("RENAME TABLE web_pre_aggregated_builds TO gone")
    found = read(client)
    assert found["unread"].keys() == {Section.BUILDS}
    assert "web_pre_aggregated_builds" in found["unread"][Section.BUILDS]
    assert (found["work"], found["teams"], "builds" in found) == ((), Teams(0, None), False)


def ledger(client: Client, *rows: tuple[str, date, int, str, str, datetime]) -> None:
    """Table, day, team, run, outcome, when it ended; each took a minute and read ten rows."""
    columns = (
        "table_name",
        "day",
        "team_id",
        "run_id",
        "outcome",
        "source_events",
        "error",
        "started_at",
        "finished_at",
    )
    data = [
        [
            table,
            day,
            team,
            run,
            outcome,
            10,
            f"{run} broke" if outcome == "failed" else "",
            at - timedelta(minutes=1),
            at,
        ]
        for table, day, team, run, outcome, at in rows
    ]
    append(client, "web_pre_aggregated_builds", data, columns)


def test_builds_are_those_of_the_metrics_by_week_and_in_seven_days(client: Client) -> None:
    now = read_clocks(client).server
    lately, before, long_ago = now - timedelta(days=1), now - timedelta(days=15), now - timedelta(weeks=9)
    day, hour = now.date() - timedelta(days=2), timedelta(hours=1)
    rows = [
        (STATS, day, 1, "a", "built", lately),
        (STATS, day, 2, "a", "failed", lately),
        (STATS, day, 0, "b", "failed", lately + hour),
        (STATS, day, 1, "c", "failed", lately + 2 * hour),
        (STATS, day, 1, "c", "built", lately + 2 * hour + timedelta(microseconds=1)),
        (STATS, day, 1, "", "verified", lately),
        (STATS, day, 1, "d", "skipped", lately),
        (STATS, day, 1, "e", "held", lately),
        (STATS, day, 1, "f", "built", before),
        (BOUNCES, day, 1, "g", "held", before),
        (BOUNCES, day, 1, "h", "built", long_ago),
    ]
    ledger(client, *rows)
    found = read(client)
    metrics = read_recent(client, now)
    assert metrics is not None
    assert metrics.builds == {STATS: Builds(1, 2, 1), BOUNCES: Builds()}
    assert symptom("… failed in seven days").match(matters(client)[f"builds:{STATS}"].what)
    assert found["builds"] == (
        BuildsOfLately(STATS, 1 / 3, 1, 2, 1, error="b broke", failed_at=rows[2][-1]),
        BuildsOfLately(BOUNCES, None, 0, 0, 0),
    )
    # In plain Python: by table and week how each run left the day.
    by_week: dict[tuple[str, date], dict[str, list[tuple[int, str, datetime]]]] = defaultdict(lambda: defaultdict(list))
    for table, _, team, run, outcome, when in rows:
        if outcome != "verified" and when is not long_ago:
            by_week[table, when.date() - timedelta(days=when.weekday())][run].append((team, outcome, when))
    expected = []
    for (table, week), runs in sorted(by_week.items()):
        left = [{team: outcome for team, outcome, _ in run} for run in runs.values()]
        failed = sum("failed" in one.values() for one in left)
        built = sum("built" in one.values() and "failed" not in one.values() for one in left)
        held = sum(set(one.values()) == {"held"} for one in left)
        seconds = sum(
            (max(at for *_, at in run) - min(at for *_, at in run)).total_seconds() + 60 for run in runs.values()
        )
        rate = built / (built + failed) if built + failed else None
        expected.append(
            BuildsOfWeek(table, rate, built, failed, held, round(seconds, 3), 10 * sum(map(len, left)), week=week)
        )
    assert list(found["weeks"]) == expected


def work(client: Client, work_id: str, status: Status, kind: str = "managed", run: str = "r1", **more: Any) -> Log:
    """Work with one step done, and its last status."""
    subject = more.pop("subject", STATS)
    steps = ("2026-01-01", "2026-01-02") if kind == "managed" else ("", "")
    log = Log(client, Work(work_id, kind, subject, *steps), run)
    log.append(Entry(Event.ACCEPTED, Status.ACCEPTED, **{**WHO, **more}))
    log.append(Entry(Event.STARTED, Status.RUNNING), Entry(Event.STEP_DONE, step="2026-01-01", rows=5))
    if status is not Status.RUNNING:
        log.append(Entry(Event.ENDED, status, payload="disk full"))
    return log


def test_work_that_is_not_over_or_failed_is_told_with_its_last_sign_and_why(client: Client) -> None:
    work(client, "backfill-ended", Status.COMPLETED)
    work(client, "backfill-failed", Status.FAILED, subject=BOUNCES)
    work(client, "backfill-died", Status.RUNNING, run="dead")
    work(client, "postgres-backfill-x", Status.FAILED, kind="postgres", requested_by="hourly_schedule")
    work(client, "file-ingestion-y", Status.PAUSED, kind="files")
    # What a person wrote, and no trigger of this location; and one of them, which asks for no backfill.
    work(client, "postgres-backfill-z", Status.FAILED, kind="postgres", requested_by="nightly_schedule")
    work(client, "backfill-by-name", Status.FAILED, subject=BOUNCES, requested_by="hourly_schedule")
    work(client, "backfill-restored", Status.RESTORED, subject=BOUNCES)
    with Leases(client, "alive", wait_seconds=0, tell=lambda _: None) as leases:
        work(client, "backfill-works", Status.RUNNING, run="alive")
        leases.take(STATS, date(2026, 1, 1))
        found = {one.work_id: one for one in read(client)["work"]}
    told = {name: (one.status, one.words, one.is_at_work, one.is_scheduled) for name, one in found.items()}
    assert told == {
        "backfill-failed": ("failed", "disk full", False, False),
        "backfill-died": ("interrupted", "", False, False),
        "backfill-works": ("running", "", True, False),
        "postgres-backfill-x": ("failed", "disk full", False, True),
        "file-ingestion-y": ("paused", "disk full", False, False),
        "postgres-backfill-z": ("failed", "disk full", False, False),
        "backfill-by-name": ("failed", "disk full", False, False),
        "backfill-restored": ("restored", "disk full", False, False),
    }
    one = found["backfill-failed"]
    assert (one.subject, one.first_step, one.last_step, one.rows, one.steps_done) == (
        BOUNCES, "2026-01-01", "2026-01-02", 5, 1,
    )  # fmt: skip
    assert (one.id_field, one.requested_by, one.reason) == ("backfill_id", "ada", "a bug")
    assert timedelta(0) <= read_clocks(client).server - one.last_at < timedelta(minutes=1)


def test_how_far_work_has_come_is_told_by_its_plan(client: Client) -> None:
    plan = a_plan()
    log = work(client, "backfill-works", Status.RUNNING, payload=as_yaml(plan))
    log.append(*(Entry(Event.STEP_DONE, step=str(day)) for day in plan.days[:2]))
    work(client, "postgres-backfill-x", Status.PAUSED, kind="postgres", payload="no plan")
    work(client, "backfill-long", Status.PAUSED, payload=as_yaml(plan.model_copy(update={"name": "x" * 500_000})))
    found = {one.work_id: one.reached for one in read(client)["work"]}
    assert found.keys() == {"backfill-works", "postgres-backfill-x", "backfill-long"}
    assert (found["postgres-backfill-x"], found["backfill-long"]) == (None, None)
    reached = found["backfill-works"]
    # Each day is as many rows as another, but not each as many seconds: a chunk of one day has as much beside them.
    shares = [chunk.estimate.seconds / len(chunk.days) for chunk in plan.chunks for _ in chunk.days]
    assert reached is not None
    assert (reached.steps, reached.percent) == (5, pytest.approx(100 * sum(shares[:2]) / sum(shares)))
    assert reached.seconds_left >= 0


def test_work_that_failed_and_was_done_since_is_not_told(client: Client) -> None:
    work(client, "backfill-failed", Status.FAILED)
    work(client, "backfill-restored", Status.RESTORED)
    assert [one.work_id for one in read(client)["work"]] == ["backfill-restored", "backfill-failed"]
    work(client, "backfill-again", Status.COMPLETED)
    assert read(client)["work"] == ()


def test_rows_that_land_are_a_sign_of_life_of_their_load(client: Client) -> None:
    log = work(client, "postgres-backfill-x", Status.RUNNING, kind="postgres")
    client.command(
        "ALTER TABLE web_analytics_backfill_events UPDATE server_at = now64(6) - 7200 WHERE 1", {"mutations_sync": 2}
    )
    assert log.read() is not None
    silent = read_clocks(client).server - read(client)["work"][0].last_at
    assert silent > timedelta(hours=1)
    landing = f"web_analytics_landing_postgres_backfill_x__000001_{new_token('r1')}"
    client.command(f"CREATE TABLE {landing} (a UInt8) ENGINE = MergeTree ORDER BY a")
    client.command(f"INSERT INTO {landing} VALUES (1)")
    assert read_clocks(client).server - read(client)["work"][0].last_at < timedelta(minutes=1)


def test_what_nobody_needs_is_told_with_since_when_and_what_drops_it(client: Client) -> None:
    now = read_clocks(client).server
    orphan = f"{STAGING_PREFIX}20260101_{new_token('dead')}_batch1__{STATS}"
    client.command(f"CREATE TABLE {orphan} AS {STATS}")
    work(client, "backfill-done", Status.COMPLETED, run="r2")
    for owner, days in (("backfill-done", -2), ("backfill-kept", 2)):
        make_backup(
            client,
            f"web_pre_aggregated_backup_{owner.replace('-', '_')}__{STATS}",
            STATS,
            now.date() + timedelta(days=days),
        )
    landing = f"web_analytics_landing_gone__000001_{new_token('r1')}"
    client.command(f"CREATE TABLE {landing} (a UInt8) ENGINE = MergeTree ORDER BY a")
    client.command(f"INSERT INTO {landing} VALUES (1)")
    found = {one.name: one for one in read(client)["left_behind"]}
    backup = backup_name("backfill-done", STATS)
    assert {name: one.what for name, one in found.items()} == {orphan: "staging", backup: "backup", landing: "landing"}
    for key in ("left:staging", "left:backup", "left:landing"):
        assert symptom("… left behind, on disk and of no use").match(matters(client)[key].what)
    midnight = datetime.combine(now.date() - timedelta(days=1), datetime.min.time(), tzinfo=UTC)
    assert found[backup] == LeftBehind(backup, "backup", midnight, "sweep_backups_job at 03:00 UTC")
    assert all(abs(now - found[name].since) < timedelta(minutes=1) for name in (orphan, landing))


def test_the_switch_says_who_turned_it(client: Client) -> None:
    turn(client, is_stopped=True, **WHO)
    stop = read(client)["stop"]
    assert (stop.requested_by, stop.reason) == ("ada", "a bug")
    assert abs(read_clocks(client).server - stop.at) < timedelta(minutes=1)
    assert isinstance(stop, Stop)
    turn(client, is_stopped=False, **WHO)
    assert read(client)["stop"] is None


INGESTIONS = """
ingestions:
  - name: logs
    source_path: /srv/logs/
    source_file_pattern: "*.csv"
    format: CSVWithNames
    columns: {team_id: t, uuid: u, event: e, timestamp: at, distinct_id: d}
  - name: paused
    status: PAUSED
    source_path: /srv/logs/
    source_file_pattern: "*.csv"
    format: CSVWithNames
    columns: {team_id: t, uuid: u, event: e, timestamp: at, distinct_id: d}
"""


def test_files_that_are_not_loaded_are_counted_by_what_became_of_them(client: Client) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    events = [
        ("a", "discovered", 0), ("a", "success", 1), ("b", "discovered", 2), ("c", "discovered", 3),
        ("d", "failed", 4), ("d", "failed", 5), ("d", "failed", 6), ("e", "failed", 7), ("f", "skipped", 8),
    ]  # fmt: skip
    rows = [
        [
            name,
            path,
            event,
            1,
            began,
            "",
            load + 1,
            1,
            0,
            f"bad {path}" if event == "failed" else "",
            "w",
            began + timedelta(hours=hour),
        ]
        for name in ("logs", "paused")
        for load, path in enumerate("abcdef")
        for one, event, hour in events
        if one == path
    ]
    columns = (
        "ingestion_id", "path", "event", "size", "modified_at", "etag", "load", "schema_version", "rows", "error",
        "work_id", "at",
    )  # fmt: skip
    append(client, "web_analytics_file_events", rows, columns)
    assert read(client, declared(INGESTIONS))["files"] == (
        Files(
            "logs",
            waiting=2,
            waiting_since=began + timedelta(hours=2),
            loaded_at=began + timedelta(hours=1),
            failed=2,
            given_up=1,
            failed_since=began + timedelta(hours=6),
            path="d",
            error="bad d",
        ),
    )
