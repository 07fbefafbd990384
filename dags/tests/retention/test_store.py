"""What is forgotten in ClickHouse, what stays whatever its age, and that no answer is another afterwards."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.leases.rules import work_lease
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.schema.books import append
from dags.clickhouse.schema.declared import BOOKS
from dags.clickhouse.sql import Sql
from dags.domain.units import EPOCH
from dags.publish.backup import backup_name
from dags.retention.report import NEVER
from dags.retention.store import forget, read_facts, runs_in_use
from dags.sources.loads.log import FILES, POSTGRES
from dags.tests.variants import server_at_night, server_in_stories, variants
from dags.work.audit.log import AUTOMATIC, MANAGED
from dags.work.audit.store import read_state

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LEDGER, AUDIT = "web_pre_aggregated_builds", "web_analytics_backfill_events"
TABLES = ["web_pre_aggregated_stats", "web_pre_aggregated_bounces"]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE = NOW - timedelta(days=400)
LONG_AGO = BEFORE - timedelta(days=30)

Row = tuple[str, date, int, str, int, str, int, datetime]


def forgotten(client: Client, *, dry_run: bool = False, told: list[str] | None = None) -> dict[str, int]:
    left = told if told is not None else []
    found = forget(client, BEFORE, "retention", until=time.monotonic() + 60, dry_run=dry_run, tell=left.append)
    assert not found.left
    return {table: rows for table, rows in found.rows.items() if rows}


def ledger(client: Client) -> list[Row]:
    rows = client.query(
        "SELECT table_name, day, team_id, run_id, logic_version, outcome, sessions, finished_at "
        f"FROM {LEDGER} ORDER BY ALL"
    ).result_rows
    return [tuple(row) for row in rows]


def random_builds(seed: int) -> list[Row]:
    """Two years of builds of a few units: again and again, of every outcome, some at the same microsecond."""
    dice = random.Random(seed)
    rows = []
    for number in range(600):
        day = NOW.date() - timedelta(days=dice.choice([3, 399, 401, 420, 430, 700]))
        ended = datetime(day.year, day.month, day.day, 1, tzinfo=UTC) + timedelta(days=dice.choice([1, 2, 2, 20, 60]))
        outcome = dice.choice(["built", "built", "empty", "held", "failed", "verified"])
        version = dice.choice([1, 2, 3]) if outcome == "built" else 0
        run = f"run-{number % 40}"
        rows.append((dice.choice(TABLES), day, dice.choice([0, 1, 2, 3]), run, version, outcome, number, ended))
    return rows


def insert(client: Client, rows: list[Row]) -> None:
    columns = ("table_name", "day", "team_id", "run_id", "logic_version", "outcome", "sessions", "finished_at")
    append(client, LEDGER, [list(row) for row in rows], columns)


def answers(client: Client) -> list[Any]:
    """What detection, plans and rollbacks ask of the ledger, over all of its days."""
    span = {"start": date(2024, 1, 1), "end": NOW.date()}
    ask = {package: Sql(package, client) for package in ("dags.detection", "dags.managed_backfill", "dags.publish")}
    failures: list[Any] = list(ask["dags.detection"].rows("failures", {"tables": TABLES, **span}))
    found: list[Any] = [sorted(failures)]
    for table in TABLES:
        for (day,) in client.query(f"SELECT DISTINCT day FROM {LEDGER} ORDER BY day").result_rows:
            of_day = {"table": table, "day": day}
            found += [
                sorted(ask["dags.managed_backfill"].rows("last_builds", of_day)),
                sorted(ask["dags.detection"].rows("outdated_teams", {**of_day, "logic_version": 3})),
                sorted(ask["dags.publish"].rows("published", {**of_day, "run_ids": IN_USE})),
            ]
        of_table = {"table": table, "run_ids": IN_USE, **span}
        held = ask["dags.managed_backfill"].rows("held_by_builds", of_table)
        found += [sorted((day, sorted(teams)) for day, teams in held)]
        found += [sorted(ask["dags.managed_backfill"].rows("later_builds", of_table))]
    return found


# The runs of a backfill that is paused.
IN_USE = ["run-7", "run-8"]


@server_in_stories
@pytest.mark.parametrize("seed", variants(1, 2, 3))
def test_of_each_unit_the_last_build_of_each_outcome_stays_and_no_answer_of_the_ledger_is_another(
    client: Client, seed: int
) -> None:
    rows = random_builds(seed)
    insert(client, rows)
    work(client, "backfill-open", MANAGED, "paused", LONG_AGO, runs=IN_USE)
    last: dict[Any, datetime] = defaultdict(lambda: EPOCH)
    for table, day, team, _, _, outcome, _, ended in rows:
        last[table, day, team, outcome] = max(last[table, day, team, outcome], ended)
    stay = sorted(row for row in rows if row[7] >= BEFORE or row[7] == last[*row[:3], row[5]] or row[3] in IN_USE)
    before = answers(client)
    gone = len(rows) - len(stay)
    assert gone > 100
    assert forgotten(client, dry_run=True) == {LEDGER: gone}
    assert ledger(client) == sorted(rows)
    assert forgotten(client) == {LEDGER: gone}
    assert ledger(client) == stay
    assert answers(client) == before
    assert forgotten(client) == {}


def test_the_projections_of_the_ledger_still_say_what_its_rows_say(client: Client) -> None:
    insert(client, random_builds(3))
    forgotten(client)
    asked = f"SELECT day, outcome, count() FROM {LEDGER} GROUP BY day, outcome ORDER BY ALL"
    with_them = client.query(asked, settings={"force_optimize_projection_name": "recorded"}).result_rows
    assert with_them == client.query(asked, settings={"optimize_use_projections": 0}).result_rows
    assert with_them


def work(
    client: Client,
    work_id: str,
    kind: str,
    status: str,
    last_at: datetime,
    *,
    runs: list[str] | None = None,
    was: str = "",
) -> None:
    """A piece of work that was accepted, ran, perhaps was something before, and is what it is since ``last_at``."""
    common = {"backfill_id": work_id, "origin": kind, "table_name": TABLES[0], "first_step": "2025-01-01"}
    events = [
        {"event": "accepted", "status": "accepted", "at": last_at - timedelta(hours=2)},
        *(
            {"event": "started", "status": "running", "run_id": run, "at": last_at - timedelta(hours=1)}
            for run in (runs or [f"run-of-{work_id}"])
        ),
        *([{"event": "ended", "status": was, "at": last_at - timedelta(minutes=1)}] if was else []),
        {"event": "ended", "status": status, "at": last_at},
    ]
    columns = ("backfill_id", "origin", "table_name", "first_step", "event", "status", "run_id", "at")
    rows = [[({"run_id": ""} | common | event)[column] for column in columns] for event in events]
    append(client, AUDIT, rows, columns)


def works(client: Client) -> set[str]:
    return {facts.work_id for facts, _ in read_facts(client)}


@server_at_night
def test_work_that_is_over_for_long_is_forgotten_whole_and_any_other_stays_whole(client: Client) -> None:
    gone = {
        "managed-completed": (MANAGED, "completed", ""),
        "managed-failed": (MANAGED, "failed", ""),
        "managed-deleted": (MANAGED, "deleted", "completed"),
        "auto-completed": (AUTOMATIC, "completed", ""),
        "files-failed": (FILES, "failed", ""),
        "load-cancelled": (POSTGRES, "cancelled", ""),
        "load-deleted": (POSTGRES, "deleted", "failed"),
    }
    stay = {
        "managed-paused": (MANAGED, "paused", ""),
        "managed-interrupted": (MANAGED, "interrupted", ""),
        "managed-rolling-back": (MANAGED, "rolling back", "completed"),
        "auto-running": (AUTOMATIC, "running", ""),
        # Its rows are found by it, and the next incremental load begins where it ended.
        "load-completed": (POSTGRES, "completed", ""),
        "load-completed-then-deleted": (POSTGRES, "deleted", "completed"),
        # Part of it may have landed.
        "load-failed": (POSTGRES, "failed", ""),
    }
    for name, (kind, status, was) in {**gone, **stay}.items():
        work(client, name, kind, status, LONG_AGO, was=was)
    work(client, "managed-lately", MANAGED, "completed", BEFORE + timedelta(seconds=1))
    work(client, "managed-with-backup", MANAGED, "completed", LONG_AGO)
    backup = backup_name("managed-with-backup", TABLES[0])
    client.command(f"CREATE TABLE {backup} (day Date) ENGINE = MergeTree ORDER BY day COMMENT 'kept_until_20991231'")
    kept = {*stay, "managed-lately", "managed-with-backup"}
    before = {name: read_state(client, name) for name in kept}
    events = 3 * len(gone) + 2
    assert forgotten(client, dry_run=True) == {AUDIT: events}
    assert works(client) == {*gone, *kept}
    found = forget(client, BEFORE, "retention", until=time.monotonic() + 60, dry_run=False, tell=print)
    assert found.rows[AUDIT] == events
    assert found.works_that_stay == {
        "it has a backup": 1,
        "it is not over": 4,
        "the rows that it brought are found by it": 3,
    }
    assert works(client) == kept
    for name, then in before.items():
        now = read_state(client, name)
        assert now is not None
        assert then is not None
        assert now.entries == then.entries
    assert "run-of-managed-paused" in runs_in_use(read_facts(client))
    assert "run-of-managed-with-backup" in runs_in_use(read_facts(client))
    assert "run-of-load-completed" not in runs_in_use(read_facts(client))
    assert not client.query("SHOW TABLES LIKE '%lease%'").result_rows
    client.command(f"DROP TABLE {backup} SYNC")


@server_at_night
def test_work_that_somebody_acts_on_right_now_is_left_alone_and_forgotten_later(client: Client) -> None:
    work(client, "managed-failed", MANAGED, "failed", LONG_AGO)
    work(client, "managed-completed", MANAGED, "completed", LONG_AGO)
    told: list[str] = []
    with Leases(client, "a-person", wait_seconds=0, tell=told.append) as leases:
        leases.take(*work_lease("managed-failed", "2025-01-01"))
        assert forgotten(client, told=told) == {AUDIT: 3}
    assert works(client) == {"managed-failed"}
    assert [words.partition(":")[0] for words in told] == ["managed-failed is kept"]
    assert forgotten(client) == {AUDIT: 3}
    assert works(client) == set()


@server_at_night
def test_what_is_gone_on_with_between_the_look_and_the_lease_stays(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(client, "managed-failed", MANAGED, "failed", LONG_AGO)
    take = Leases.take

    def resumed_before(leases: Leases, table: str, day: date) -> bool:
        columns = ("backfill_id", "event", "status", "run_id", "at")
        append(client, AUDIT, [["managed-failed", "started", "running", "run-2", NOW]], columns)
        return take(leases, table, day)

    monkeypatch.setattr(Leases, "take", resumed_before)
    assert forgotten(client) == {}
    found = read_state(client, "managed-failed")
    assert found is not None
    assert len(found.entries) == 4


@server_at_night
def test_verdicts_waivers_and_turns_of_the_switch_go_when_their_time_is_over_and_the_last_turn_stays(
    client: Client,
) -> None:
    days = [[date(2024, 5, 1), "a", LONG_AGO], [date(2026, 5, 1), "b", BEFORE]]
    append(client, "web_pre_aggregated_day_states", days, ("day", "state", "read_at"))
    columns = ("waiver_id", "event", "valid_until", "at")
    over, holds = (BEFORE - timedelta(days=1)).date(), BEFORE.date()
    waivers: list[list[Any]] = [
        ["over", "set", over, LONG_AGO],
        ["lifted", "set", over, LONG_AGO],
        ["lifted", "lifted", over, LONG_AGO],
        ["holds", "set", holds, LONG_AGO],
        ["lifted-early", "set", NOW.date(), LONG_AGO],
        ["lifted-early", "lifted", NOW.date(), LONG_AGO],
    ]
    append(client, "web_analytics_waivers", waivers, columns)
    turns = [[True, LONG_AGO], [False, LONG_AGO + timedelta(days=1)], [True, LONG_AGO + timedelta(days=2)]]
    append(client, "web_analytics_backfill_stops", turns, ("is_stopped", "at"))
    assert forgotten(client) == {
        "web_pre_aggregated_day_states": 1,
        "web_analytics_waivers": 3,
        "web_analytics_backfill_stops": 2,
    }
    assert client.query("SELECT day FROM web_pre_aggregated_day_states").result_rows == [(date(2026, 5, 1),)]
    left = client.query("SELECT waiver_id, event FROM web_analytics_waivers ORDER BY ALL").result_rows
    assert left == [("holds", "set"), ("lifted-early", "lifted"), ("lifted-early", "set")]
    last = client.query("SELECT is_stopped, at FROM web_analytics_backfill_stops").result_rows
    assert [(bool(stopped), at) for stopped, at in last] == [(True, LONG_AGO + timedelta(days=2))]


@server_at_night
def test_when_its_time_is_over_it_stops_and_says_from_where_the_next_goes_on(client: Client) -> None:
    insert(client, random_builds(1))
    work(client, "managed-failed", MANAGED, "failed", LONG_AGO)
    found = forget(client, BEFORE, "retention", until=time.monotonic() - 1, dry_run=False, tell=print)
    assert found.left == (
        "works to which nothing has happened since 2025-03-28",
        "builds of days from 2024-07 on",
    )
    assert works(client) == {"managed-failed"}
    assert len(ledger(client)) == 600


@server_at_night
def test_every_book_is_forgotten_by_a_rule_or_never_and_says_why(client: Client) -> None:
    found = forget(
        client, read_clocks(client).server, "retention", until=time.monotonic() + 60, dry_run=True, tell=print
    )
    assert {*found.rows, *NEVER} == BOOKS
    assert not found.rows.keys() & NEVER.keys()
