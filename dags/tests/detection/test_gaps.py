"""Since when days are wrong: what is kept from one look to the next, and that nothing is said of what nobody saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.clocks import read_clocks
from dags.detection.gaps.rules import Change, ClosedBy, Gap, GapEvent, changes, with_builds
from dags.detection.gaps.store import read_gaps, read_known, with_gaps
from dags.detection.rules import Kind
from dags.detection.waivers.fields import WaiverConfig
from dags.detection.waivers.rules import validated
from dags.detection.waivers.store import set_waiver
from dags.domain.days import DayRange
from dags.domain.given import read
from dags.team_selection.store import write_selection
from dags.tests.as_built import as_built
from dags.tests.builds import TABLES, build
from dags.tests.detection.test_store import NOW as SERVED_AT
from dags.tests.detection.test_store import detected
from dags.tests.events import Event, at, insert
from dags.tests.health.known import HOUR, NOW, ago, evaluated, missing, orphan
from dags.tests.variants import embedded_at_night, server_at_night
from dags.tests.world import BOUNCES, STATS
from dags.tests.world import ago as days_ago
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection
    from dags.detection.rules import Verdict
    from dags.tests.world import World

SEEN = NOW - 30 * HOUR


def found(*wrong: Verdict, **more: object) -> Detection:
    return evaluated(wrong, **more).detection  # type: ignore[arg-type]


def with_known_gaps(client: Client, seen: Detection) -> Detection:
    return with_gaps(client, seen, read_known(client))


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
        pytest.param(gap(3), found(teams=0), None, id="while no team is enabled"),
        pytest.param(gap(3), found(server_at=SEEN - HOUR), None, id="was opened after this look began"),
        pytest.param(gap(0), found(), None, id="not judged yet, as after a clock was set back"),
    ],
)
def test_a_gap_that_is_known_and(known: Gap, seen: Detection, event: GapEvent | None) -> None:
    made = [one for one in changes([known], seen) if one.event is not GapEvent.OPENED]
    by = ClosedBy.OTHER if event is GapEvent.CLOSED else None
    expected = [] if event is None else [Change(*known.place, event, since=SEEN, closed_by=by)]
    assert made == expected


def test_what_was_recorded_changes_nothing_when_it_is_looked_at_again() -> None:
    seen = found(*missing(3, 4), orphan(5))
    opened = [Gap(one.table, one.day, one.is_held, NOW) for one in changes([], seen)]
    assert changes(opened, seen) == ()


def test_what_somebody_who_began_to_look_later_has_seen_closed_is_not_opened_again() -> None:
    places = [("stats", ago(3), False)]
    assert [one.place for one in changes([], found(*missing(3, 4, tables=["stats"])), places)] == [
        ("stats", ago(4), False)
    ]


@pytest.mark.parametrize(
    ("waived_then", "waived_now", "built_at", "by"),
    [
        (0, 0, None, ClosedBy.OTHER),
        (0, 0, SEEN - HOUR, ClosedBy.OTHER),
        (0, 0, SEEN, ClosedBy.BUILD),
        (0, 1, SEEN + HOUR, ClosedBy.WAIVER),
        (1, 1, SEEN + HOUR, ClosedBy.BUILD),
        (2, 1, None, ClosedBy.OTHER),
    ],
)
def test_what_closed_a_gap(waived_then: int, waived_now: int, built_at: datetime | None, by: ClosedBy) -> None:
    known = replace(gap(3), waived=waived_then)
    waived = [replace(one, kind=Kind.WAIVED) for one in missing(3, teams=range(waived_now), tables=["stats"])]
    [one] = with_builds(changes([known], found(*waived)), {} if built_at is None else {("stats", ago(3)): built_at})
    assert one == Change(*known.place, GapEvent.CLOSED, since=SEEN, closed_by=by)


def events(client: Client) -> list[tuple[object, ...]]:
    columns = "table_name, day, is_held, event, units, opened_at > 0, closed_by"
    query = f"SELECT {columns} FROM web_analytics_gaps ORDER BY at, table_name"
    return client.query(query).result_rows  # type: ignore[return-value]


def test_the_store_keeps_when_a_gap_was_seen_first_and_that_it_was_over(client: Client) -> None:
    def look(*wrong: Verdict) -> Detection:
        return replace(found(*wrong), server_at=read_clocks(client).server)

    seen = missing(3, teams=[1, 2])
    began = look()
    [bounces, stats] = with_known_gaps(client, look(*seen)).gaps
    first = read_gaps(client)
    assert [one.place for one in first] == [bounces.place, stats.place]
    later = with_known_gaps(client, look(*seen))
    assert later.gaps == first  # by ClickHouse's stamp from now on, and not by whoever looked last
    assert with_known_gaps(client, began).gaps == first  # who began to look before has not seen them closed
    right, still = look(), look(*seen)
    assert with_known_gaps(client, right).gaps == read_gaps(client) == ()
    assert with_known_gaps(client, still).gaps == read_gaps(client) == ()  # nor open again
    with_known_gaps(client, look(*missing(3, tables=["stats"])))
    [again] = read_gaps(client)
    assert again.since > first[1].since
    assert events(client) == [
        ("bounces", ago(3), False, "opened", 2, 0, ""),
        ("stats", ago(3), False, "opened", 2, 0, ""),
        ("bounces", ago(3), False, "closed", 0, 1, "other"),
        ("stats", ago(3), False, "closed", 0, 1, "other"),
        ("stats", ago(3), False, "opened", 1, 0, ""),
    ]


def gaps(client: Client) -> list[tuple[object, ...]]:
    return client.query("SELECT table_name, day, units, closed_by FROM web_analytics_gap_log ORDER BY ALL").result_rows  # type: ignore[return-value]


@embedded_at_night
def test_a_gap_opens_with_the_first_look_and_closes_with_its_build_its_waiver_or_its_source(client: Client) -> None:
    write_selection(client, [1, 2])
    built, waived, lost, fine = days = [date(2026, 1, number) for number in (4, 6, 8, 10)]
    insert(client, [Event(team, at(f"{day} 10:00:00"), f"{team}-{day}") for team in (1, 2) for day in days])
    as_built(client, 1, 2, days=[fine])
    for _ in range(2):  # a second look finds nothing new
        with_known_gaps(client, detected(client))
        assert gaps(client) == [(table, day, 2, "") for table in sorted(TABLES) for day in (built, waived, lost)]

    build(client, 1, 2, day=built)
    request = {"first_day": str(waived), "last_day": str(waived), "reason": "off", "requested_by": "ada"}
    given = read(WaiverConfig, {**request, "valid_until": "2026-02-01"})
    set_waiver(client, validated(given, WEB_TABLES, {1, 2}, "waiver-1", SERVED_AT.date()))
    client.command(f"ALTER TABLE events DROP PARTITION {lost:%Y%m%d}")
    with_known_gaps(client, detected(client))
    by = {built: "build", waived: "waiver", lost: "other"}
    assert gaps(client) == [(table, day, 2, by[day]) for table in sorted(TABLES) for day in by]


@embedded_at_night
def test_that_events_cannot_be_kept_is_told_and_the_next_look_keeps_them(client: Client) -> None:
    seen = replace(found(*missing(3)), server_at=read_clocks(client).server)
    client.command("ALTER TABLE web_analytics_gaps ADD CONSTRAINT nope CHECK 0")
    try:
        refused = with_known_gaps(client, seen)
    finally:
        client.command("ALTER TABLE web_analytics_gaps DROP CONSTRAINT nope")
    assert len(refused.gaps) == 2
    [told] = refused.warnings
    assert "gaps look younger than they are" in told
    assert "web_analytics_gaps" in told
    assert with_known_gaps(client, seen).warnings == ()
    assert len(events(client)) == 2


def test_of_two_who_saw_a_gap_first_at_one_moment_the_earlier_counts(client: Client) -> None:
    into = "INSERT INTO web_analytics_gaps (table_name, day, event, at)"
    for moment in ("'2026-01-18 02:00:00.5'", "'2026-01-18 02:00:00.25'"):
        client.command(f"{into} VALUES ('stats', '2026-01-17', 'opened', {moment})")
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
