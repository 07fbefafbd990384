"""The views of builds, gaps and cost say what a fold in plain Python over the same rows says."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.sql import Sql
from dags.detection.gaps.store import read_gaps
from dags.metrics.recent import RECENT_DAYS, Builds, BuildsLately, BuildsTook
from dags.metrics.store import read_builds
from dags.tests.metrics.rows import BuildRow, EventRow, GapRow, insert_builds, insert_events, insert_gaps
from dags.tests.variants import server_in_stories

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

pytestmark = server_in_stories

TABLES = ("one", "other")
DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(4)]
MONDAYS = [date(2025, 12, 29), date(2026, 1, 5), date(2026, 1, 12)]
MICROSECOND, MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)


def at(day: date, hour: float = 0) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)


def monday(when: datetime) -> date:
    year, week, _ = when.isocalendar()
    return date.fromisocalendar(year, week, 1)


def instants(draw: random.Random, count: int) -> list[datetime]:
    """In order, none twice; half of them within a moment of the midnight between two weeks."""
    found = set[datetime]()
    while len(found) < count:
        edge = at(draw.choice(MONDAYS[1:]))
        near = edge + draw.randint(-3, 3) * MICROSECOND
        found.add(near if draw.random() < 0.5 else at(MONDAYS[0]) + timedelta(seconds=draw.randint(0, 20 * 86_400)))
    return sorted(found)


def read(client: Client, view: str, order: str) -> list[dict[str, Any]]:
    return list(client.query(f"SELECT * FROM {view} ORDER BY {order}").named_results())


# --- Builds -----------------------------------------------------------------------------------------------


def random_builds(seed: int) -> tuple[list[BuildRow], list[EventRow]]:
    draw = random.Random(seed)
    builds = [
        BuildRow(
            draw.choice(TABLES), draw.choice(DAYS), draw.choice([0, 1, 1, 2, 3]), draw.choice(["r1", "r2", "r3"]),
            draw.choice(["built", "built", "empty", "held", "failed", "skipped", "verified"]),
            when - timedelta(minutes=draw.randint(0, 9)), when, draw.randint(0, 99), draw.choice(["", "no", "out"]),
        )
        for when in instants(draw, 60)
    ]  # fmt: skip
    builds = [one if one.team_id or one.outcome == "failed" else BuildRow(*_of_team_1(one)) for one in builds]
    events = [
        EventRow(
            f"w-{(run := draw.choice(['r1', 'r2', 'dead', 'load']))}-{(table := draw.choice(TABLES))}",
            {"r1": "managed", "r2": "automatic", "dead": "manual", "load": "files"}[run], table,
            draw.choice(["day_done", "day_failed", "started"]), str(draw.choice(DAYS)), run, when,
            rows=draw.randint(0, 50), rows_read=draw.choice([0, 70]), bytes_read=draw.choice([0, 900]),
            seconds=draw.randint(0, 90) / 4, detail=draw.choice(["killed", "lost"]),
        )
        for when in instants(draw, 30)
    ]  # fmt: skip
    return builds, events


def _of_team_1(row: BuildRow) -> tuple[Any, ...]:
    return (row.table_name, row.day, 1, *astuple(row)[3:])


def folded_builds(builds: Iterable[BuildRow], events: Iterable[EventRow]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """(week, run, table, day) → outcome, units built, failed, held and skipped, source rows, error, begin, end."""
    kept: dict[tuple[Any, ...], list[BuildRow]] = defaultdict(list)
    for row in sorted(builds, key=lambda one: one.finished_at):
        if row.outcome != "verified":
            kept[monday(row.finished_at), row.run_id, row.table_name, row.day].append(row)
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for key, rows in kept.items():
        last = {row.team_id: row for row in rows}
        source_rows = sum(row.source_events for row in last.values())
        why = [row.error for row in sorted(last.values(), key=lambda one: one.finished_at) if row.outcome == "failed"]
        all_failed = last.pop(0, None)
        outcomes = [row.outcome for row in last.values()]
        units = [
            sum(one in some for one in outcomes) for some in (("built", "empty"), ("failed",), ("held",), ("skipped",))
        ]
        is_all = all_failed is not None and all(row.finished_at < all_failed.finished_at for row in last.values())
        names = ["failed" if is_all or units[1] else "", "built" * bool(units[0]), "held" * bool(units[2]), "skipped"]
        outcome = next(filter(None, names))
        began, ended = min(row.started_at for row in rows), max(row.finished_at for row in rows)
        found[key] = (outcome, *units, source_rows, why[-1] if outcome == "failed" else "", began, ended)
    known = {(row.run_id, row.table_name, str(row.day)) for row in builds if row.outcome != "verified"}
    died: dict[tuple[str, str, str], list[EventRow]] = defaultdict(list)
    for event in sorted(events, key=lambda one: one.at):
        is_of_a_build = event.origin in ("managed", "automatic", "manual") and event.event == "day_failed"
        if is_of_a_build and (key := (event.run_id, event.table_name, event.step)) not in known:
            died[key].append(event)
    for (run, table, day), some in died.items():
        first, last_one = some[0], some[-1]
        key = (monday(last_one.at), run, table, date.fromisoformat(day))
        found[key] = ("failed", 0, 0, 0, 0, 0, last_one.detail, first.at, last_one.at)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_builds_and_their_success_by_week_are_those_of_the_ledger(client: Client, seed: int) -> None:
    builds, events = random_builds(seed)
    insert_builds(client, builds)
    insert_events(client, events)
    expected = folded_builds(builds, events)
    rows = read(client, "web_analytics_builds", "week, run_id, table_name, day")
    assert {tuple(row.values())[:4]: tuple(row.values())[4:] for row in rows} == expected
    assert len(rows) == len(expected)

    weeks: dict[tuple[date, str], list[tuple[Any, ...]]] = defaultdict(list)
    for (week, _, table, _), facts in expected.items():
        weeks[week, table].append(facts)
    outcomes = {key: [facts[0] for facts in some] for key, some in weeks.items()}
    assert len({week for week, _ in weeks}) == 3
    assert [tuple(row.values()) for row in read(client, "web_analytics_builds_by_week", "week, table_name")] == [
        (
            *key,
            len(some),
            *(some.count(one) for one in ("built", "failed", "held", "skipped")),
            _rate(some.count("built"), some.count("failed")),
            *(sum(facts[n] for facts in weeks[key]) for n in (1, 2, 3, 5)),
            pytest.approx(sum((facts[8] - facts[7]) // MILLISECOND for facts in weeks[key]) / 1000, abs=0.1),
        )
        for key, some in sorted(outcomes.items())
    ]


def _rate(succeeded: int, failed: int) -> float | None:
    return succeeded / (succeeded + failed) if succeeded + failed else None


@pytest.mark.parametrize("seed", range(6))
def test_what_is_told_of_the_last_weeks_is_what_the_view_of_builds_says(client: Client, seed: int) -> None:
    """The first week has units that a run has built again, the second has none, the third has steps that failed."""
    builds, events = random_builds(seed)
    first = {(monday(row.finished_at), row.run_id, *astuple(row)[:3]): row for row in reversed(builds)}
    builds = [row for row in builds if monday(row.finished_at) == MONDAYS[0] or row in first.values()]
    events = [event for event in events if monday(event.at) == MONDAYS[2]]
    insert_builds(client, builds)
    insert_events(client, events)
    now = at(MONDAYS[2], 100)
    recent = read_builds(Sql("dags.metrics", client), now)

    weeks: dict[tuple[date, str], list[dict[str, Any]]] = defaultdict(list)
    for row in read(client, "web_analytics_builds", "finished_at"):
        weeks[row["week"], row["table_name"]].append(row)
    assert {week for week, _ in weeks} == set(MONDAYS)
    assert {key: took._replace(seconds=0.0) for key, took in recent.weeks.items()} == {
        key: BuildsTook(_ended(rows), 0.0, sum(one["source_rows"] for one in rows)) for key, rows in weeks.items()
    }
    for key, rows in weeks.items():
        took = sum((one["finished_at"] - one["started_at"]) // MILLISECOND for one in rows) / 1000
        assert recent.weeks[key].seconds == pytest.approx(took, abs=0.1)
    for table in TABLES:
        late = [
            one for (_, name), rows in sorted(weeks.items()) for one in rows
            if name == table and one["finished_at"] >= now - timedelta(days=RECENT_DAYS)
        ]  # fmt: skip
        failed = [(one["finished_at"], one["error"]) for one in late if one["outcome"] == "failed"]
        assert recent.lately[table] == BuildsLately(_ended(late), *(failed[-1] if failed else (None, "")))


def _ended(rows: Iterable[dict[str, Any]]) -> Builds:
    outcomes = [row["outcome"] for row in rows]
    return Builds(*map(outcomes.count, ("built", "failed", "held")))


def test_a_unit_that_failed_and_was_built_by_the_same_run_is_a_success_and_one_that_is_held_is_neither(
    client: Client,
) -> None:
    day, week = DAYS[0], MONDAYS[1]

    def row(run: str, team: int, outcome: str, hour: float) -> BuildRow:
        return BuildRow("one", day, team, run, outcome, at(week), at(week, hour))

    insert_builds(
        client,
        [
            *(row("retried", 1, outcome, hour) for outcome, hour in (("failed", 1), ("built", 2))),
            row("again", 1, "failed", 3),
            row("waits", 1, "held", 4),
            row("late", 1, "skipped", 5),
            *(row("some", team, outcome, 6) for team, outcome in ((1, "built"), (2, "held"))),
        ],
    )
    [found] = read(client, "web_analytics_builds_by_week", "week")
    assert found == {
        "week": week, "table_name": "one", "builds": 5, "succeeded": 2, "failed": 1, "held": 1, "skipped": 1,
        "success_rate": 2 / 3, "built_units": 2, "failed_units": 1, "held_units": 2, "source_rows": 0,
        "seconds": 3600 * (2 + 3 + 4 + 5 + 6),
    }  # fmt: skip


def test_a_run_that_died_before_the_ledger_heard_of_it_is_a_build_that_failed_with_its_last_words(
    client: Client,
) -> None:
    words = [(3, "killed"), (1, "lost"), (2, "hung")]
    insert_events(
        client,
        [
            EventRow("w", "automatic", "one", "day_failed", str(DAYS[0]), "dead", at(MONDAYS[0], hour), detail=detail)
            for hour, detail in words
        ],
    )
    [found] = read(client, "web_analytics_builds", "week")
    assert (found["outcome"], found["error"], found["finished_at"]) == ("failed", "killed", at(MONDAYS[0], 3))
    [week] = read(client, "web_analytics_builds_by_week", "week")
    assert (week["failed"], week["success_rate"]) == (1, 0)


def test_where_every_build_was_held_there_is_no_success_rate(client: Client) -> None:
    insert_builds(client, [BuildRow("one", DAYS[0], 1, "r", "held", at(MONDAYS[0]), at(MONDAYS[0]))])
    assert [row["success_rate"] for row in read(client, "web_analytics_builds_by_week", "week")] == [None]


# --- Gaps -------------------------------------------------------------------------------------------------


def random_gaps(seed: int) -> list[GapRow]:
    """Events in any order, also what no evaluation does: two that open one gap, or close it, one that closes none."""
    draw = random.Random(seed)
    rows = []
    for when in instants(draw, 200):
        event = draw.choice(["opened", "opened", "closed", "closed", "left"])
        by = draw.choice(["build", "build", "waiver", "other", ""]) if event == "closed" else ""
        place = (draw.choice(TABLES), draw.choice(DAYS), draw.choice([False, False, True]))
        rows.append(GapRow(*place, event, when, draw.randint(1, 9), draw.choice(["never built", "held"]), by))
    return rows


def folded_gaps(gaps: Iterable[GapRow]) -> list[tuple[Any, ...]]:
    """(table, day, held, opened, closed, left, units, reason, closed by, hours) of each, in order."""
    found: list[tuple[Any, ...]] = []
    begun: dict[tuple[str, date, bool], GapRow] = {}
    for row in sorted(gaps, key=lambda one: one.at):
        place = (row.table_name, row.day, row.is_held)
        if row.event == "opened":
            begun.setdefault(place, row)
        elif (first := begun.pop(place, None)) is not None:
            closed, left = (row.at, None) if row.event == "closed" else (None, row.at)
            by = (row.closed_by or "unknown") if closed else ""
            hours = None if closed is None else pytest.approx((closed - first.at) / timedelta(hours=1))
            found.append((*place, first.at, closed, left, first.units, first.reason, by, hours))
    found += [(*place, row.at, None, None, row.units, row.reason, "", None) for place, row in begun.items()]
    return sorted(found, key=lambda one: one[:4])


@pytest.mark.parametrize("seed", range(3))
def test_gaps_and_times_to_repair_by_week_are_those_of_the_events(client: Client, seed: int) -> None:
    gaps = random_gaps(seed)
    random.Random(seed).shuffle(gaps)
    insert_gaps(client, gaps)
    expected = folded_gaps(gaps)
    rows = read(client, "web_analytics_gap_log", "table_name, day, is_held, opened_at")
    assert [tuple(row.values()) for row in rows] == expected
    assert {gap[8] for gap in expected} == {"", "build", "waiver", "other", "unknown"}

    is_open = [gap for gap in expected if gap[4] is gap[5] is None]
    assert [astuple(gap)[:4] for gap in read_gaps(client)] == [gap[:4] for gap in is_open]

    by_week = []
    keys = {(monday(when), gap[0]) for gap in expected for when in gap[3:5] if when is not None}
    for week, table in sorted(keys):
        own = [gap for gap in expected if gap[0] == table]
        closed = [gap for gap in own if gap[4] is not None and monday(gap[4]) == week]
        hours = [gap[9].expected for gap in closed if gap[8] == "build" and not gap[2]]
        by_week.append(
            (
                week, table, sum(monday(gap[3]) == week for gap in own), len(closed), len(hours),
                sum(gap[8] == "waiver" for gap in closed), *(_quantile(hours, part) for part in (5, 9)),
            )
        )  # fmt: skip
    assert [tuple(row.values()) for row in read(client, "web_analytics_gaps_by_week", "week, table_name")] == by_week


def _quantile(hours: list[float], tenths: int) -> Any:
    if len(hours) < 2:
        return pytest.approx(hours[0]) if hours else None
    return pytest.approx(statistics.quantiles(hours, n=10, method="inclusive")[tenths - 1])


# --- Cost -------------------------------------------------------------------------------------------------


def folded_costs(builds: Iterable[BuildRow], events: Iterable[EventRow]) -> dict[tuple[date, str], dict[str, Any]]:
    found: dict[tuple[date, str], dict[str, Any]] = {}

    def of(week: date, run: str) -> dict[str, Any]:
        empty = {"kind": "daily", "subjects": set(), "units": 0, "built": {}, "steps": 0.0, "is_build": False}
        return found.setdefault((week, run), {**empty, "rows": None, "rows_read": 0, "bytes_read": 0})

    for (week, run, table, day), (_, units, *_, began, ended) in folded_builds(builds, events).items():
        cost = of(week, run)
        cost["is_build"] = True
        cost["subjects"].add(table)
        cost["units"] += units
        first, last = cost["built"].get(day, (began, ended))
        cost["built"][day] = (min(first, began), max(last, ended))
    steps: dict[tuple[str, str, str], list[EventRow]] = defaultdict(list)
    for event in sorted(events, key=lambda one: one.at):
        if event.event in ("day_done", "day_failed"):
            steps[event.backfill_id, event.run_id, event.step].append(event)
    for some in steps.values():
        last_one = some[-1]
        cost = of(monday(last_one.at), last_one.run_id)
        done = [one.rows for one in some if one.event == "day_done"]
        cost["kind"] = last_one.origin
        cost["subjects"].add(last_one.table_name)
        cost["steps"] += last_one.seconds
        cost["rows"] = (cost["rows"] or 0) + (done[-1] if done else 0)
        cost["rows_read"] += last_one.rows_read
        cost["bytes_read"] += last_one.bytes_read
    return found


@pytest.mark.parametrize("seed", range(3))
def test_what_runs_took_is_what_ledger_and_audit_say(client: Client, seed: int) -> None:
    builds, events = random_builds(seed + 10)
    insert_builds(client, builds)
    insert_events(client, [*events, *events[:5]])  # some were appended twice, as after an answer that was lost
    expected = {
        key: {
            "kind": cost["kind"],
            "subjects": sorted(cost["subjects"]),
            "units": cost["units"],
            "seconds": pytest.approx(
                sum((ended - began) // timedelta(milliseconds=1) / 1000 for began, ended in cost["built"].values())
                if cost["is_build"]
                else cost["steps"],
                abs=0.02,
            ),
            "rows": cost["rows"],
            "rows_read": cost["rows_read"] or None,
            "bytes_read": cost["bytes_read"] or None,
        }
        for key, cost in folded_costs(builds, events).items()
    }
    rows = read(client, "web_analytics_run_costs", "week, run_id")
    assert {(row.pop("week"), row.pop("run_id")): row for row in rows} == expected
    assert {cost["kind"] for cost in expected.values()} == {"daily", "managed", "automatic", "manual", "files"}

    by_week: dict[tuple[date, str], list[dict[str, Any]]] = defaultdict(list)
    for (week, _), cost in expected.items():
        by_week[week, cost["kind"]].append(cost)
    assert [
        (row["week"], row["kind"], row["runs"], row["units"], row["rows"], row["rows_read"], row["bytes_read"])
        for row in read(client, "web_analytics_costs_by_week", "week, kind")
    ] == [
        (
            *key,
            len(some),
            sum(one["units"] for one in some),
            *(_sum(one[name] for one in some) for name in ("rows", "rows_read", "bytes_read")),
        )
        for key, some in sorted(by_week.items())
    ]


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
