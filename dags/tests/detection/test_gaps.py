"""Since when days are wrong: what is kept from one look to the next, and that nothing is said of what nobody saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dags.detection.gaps.rules import Change, Gap, GapEvent, changes
from dags.detection.gaps.store import read_gaps, with_gaps
from dags.domain.days import DayRange
from dags.tests.health.known import HOUR, NOW, ago, evaluated, missing, orphan
from dags.tests.variants import server_at_night
from dags.tests.world import BOUNCES, STATS
from dags.tests.world import ago as days_ago

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection
    from dags.detection.rules import Verdict
    from dags.tests.world import World

SEEN = NOW - 30 * HOUR


def found(*wrong: Verdict, **more: object) -> Detection:
    return evaluated(wrong, **more).detection  # type: ignore[arg-type]


def gap(days: int, table: str = "stats", *, is_held: bool = False) -> Gap:
    return Gap(table, ago(days), is_held, SEEN)


def test_a_day_that_is_wrong_opens_a_gap_with_its_units_and_their_most_frequent_reason() -> None:
    wrong = [*missing(3, teams=[1, 2, 3], tables=["stats"]), orphan(3, team=9)]
    assert changes([], found(*wrong)) == (
        Change("stats", ago(3), False, GapEvent.OPENED, 3, "never built"),
        Change("stats", ago(3), True, GapEvent.OPENED, 1, "no source"),
    )


@pytest.mark.parametrize(
    ("known", "seen", "event"),
    [
        pytest.param(gap(3), found(*missing(3)), None, id="wrong still"),
        pytest.param(gap(3), found(), GapEvent.CLOSED, id="right again"),
        pytest.param(gap(3), found(orphan(3)), GapEvent.CLOSED, id="what is left awaits a person"),
        pytest.param(gap(3, is_held=True), found(orphan(3)), None, id="awaits a person still"),
        pytest.param(gap(31), found(), GapEvent.LEFT, id="before the look-back"),
        pytest.param(gap(3), found(unknown={"stats": "no"}), None, id="of a table that could not be read"),
        pytest.param(gap(3), found(unverified=frozenset({ago(3)})), None, id="not verified yet"),
        pytest.param(gap(3, "orders"), found(), None, id="of a table that is watched no more"),
        pytest.param(gap(0), found(), None, id="not judged yet, as after a clock was set back"),
    ],
)
def test_a_gap_that_is_known_and(known: Gap, seen: Detection, event: GapEvent | None) -> None:
    made = [one for one in changes([known], seen) if one.event is not GapEvent.OPENED]
    expected = [] if event is None else [Change(*known.place, event, since=SEEN)]
    assert made == expected


def test_what_was_recorded_changes_nothing_when_it_is_looked_at_again() -> None:
    seen = found(*missing(3, 4), orphan(5))
    opened = [Gap(one.table, one.day, one.is_held, NOW) for one in changes([], seen)]
    assert changes(opened, seen) == ()


def events(client: Client) -> list[tuple[object, ...]]:
    query = (
        "SELECT table_name, day, is_held, event, units, opened_at > 0 FROM web_analytics_gaps ORDER BY at, table_name"
    )
    return client.query(query).result_rows  # type: ignore[return-value]


def test_the_store_keeps_when_a_gap_was_seen_first_and_that_it_was_over(client: Client) -> None:
    seen = found(*missing(3, teams=[1, 2]))
    [bounces, stats] = with_gaps(client, seen).gaps
    first = read_gaps(client)
    assert [one.place for one in first] == [bounces.place, stats.place]
    later = with_gaps(client, replace(seen, server_at=NOW + 9 * HOUR))
    assert later.gaps == first  # by ClickHouse's stamp from now on, and not by whoever looked last
    assert with_gaps(client, found()).gaps == read_gaps(client) == ()
    with_gaps(client, found(*missing(3, tables=["stats"])))
    [again] = read_gaps(client)
    assert again.since > first[1].since
    assert events(client) == [
        ("bounces", ago(3), False, "opened", 2, 0),
        ("stats", ago(3), False, "opened", 2, 0),
        ("bounces", ago(3), False, "closed", 0, 1),
        ("stats", ago(3), False, "closed", 0, 1),
        ("stats", ago(3), False, "opened", 1, 0),
    ]


def test_of_two_who_saw_a_gap_first_at_one_moment_the_earlier_counts(client: Client) -> None:
    insert = "INSERT INTO web_analytics_gaps (table_name, day, event, at) VALUES ('stats', '2026-01-17', 'opened', {})"
    for at in ("'2026-01-18 02:00:00.5'", "'2026-01-18 02:00:00.25'"):
        client.command(insert.format(at))
    [one] = read_gaps(client)
    assert one.since.microsecond == 250_000


@server_at_night
def test_whoever_asks_keeps_gaps_of_the_look_back_and_of_no_day_before_it(world: World) -> None:
    world.set(backfill_lookback_days=5)
    world.traffic([1], [days_ago(n) for n in (2, 9)])
    world.select(1)
    before = world.evaluate()
    assert {one.place for one in before.detection.gaps} == {(table, days_ago(2), False) for table in (STATS, BOUNCES)}
    world.run_as_configured("show_data_gaps_job", {"days_back": 20})
    assert world.evaluate().detection.gaps == read_gaps(world.client)
    assert {one.day for one in read_gaps(world.client)} == {days_ago(2)}
    assert world.evaluate(after=timedelta(days=9)).detection.gaps == ()
    assert DayRange(days_ago(5), days_ago(0)) == before.detection.calendar.judged
