"""A waiver leaves known gaps alone, says so everywhere, and ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from dags.detection.detection import with_waivers
from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.waivers.fields import WaiverConfig
from dags.detection.waivers.rules import Waiver, free_id, validated
from dags.domain.days import DayRange
from dags.domain.errors import UserError
from dags.domain.given import read
from dags.domain.units import Unit
from dags.tests.runbook import symptom
from dags.tests.variants import server_at_night
from dags.tests.world import BOUNCES, STATS, World, ago, tables_asked
from dags.web_preaggregated.tables import WEB_TABLES

pytestmark = server_at_night

NOW = datetime(2026, 1, 14, 6, tzinfo=UTC)
DAY = date(2026, 1, 10)
REQUEST: dict[str, Any] = {
    "first_day": "2026-01-09",
    "last_day": "2026-01-10",
    "valid_until": "2026-02-01",
    "reason": "tracker was off",
    "requested_by": "ada",
    "team_ids": [],
    "table": "",
}


def waiver(**changes: object) -> Waiver:
    return validated(read(WaiverConfig, {**REQUEST, **changes}), WEB_TABLES, {1, 2}, "waiver-1", NOW.date())


def missing(team: int = 1, day: date = DAY, table: str = STATS) -> Verdict:
    return Verdict(Unit(table, team, day), Kind.MISSING, Cause.NEVER_BUILT)


@pytest.mark.parametrize(
    ("changes", "verdict", "is_covered"),
    [
        ({}, missing(), True),
        ({}, missing(day=date(2026, 1, 9), table=BOUNCES), True),
        ({}, missing(day=date(2026, 1, 8)), False),
        ({}, missing(day=date(2026, 1, 11)), False),
        ({"team_ids": [1, 2]}, missing(2), True),
        ({"team_ids": [1, 2]}, missing(3), False),
        ({"table": STATS}, missing(), True),
        ({"table": STATS}, missing(table=BOUNCES), False),
    ],
)
def test_a_waiver_covers_its_days_teams_and_table_and_nothing_else(
    changes: dict[str, object], verdict: Verdict, *, is_covered: bool
) -> None:
    [found], _ = with_waivers([verdict], [waiver(**changes)], NOW.date())
    assert (found.kind is Kind.WAIVED) == is_covered
    assert found.is_wrong != is_covered


@pytest.mark.parametrize(("today", "holds"), [(date(2026, 2, 1), True), (date(2026, 2, 2), False)])
def test_a_waiver_holds_through_its_last_day_and_then_what_is_wrong_is_wrong_again(today: date, *, holds: bool) -> None:
    [found], holding = with_waivers([missing()], [waiver()], today)
    assert found.is_wrong != holds
    assert bool(holding) == holds


def test_a_team_that_is_not_enabled_is_not_waived_for_it_is_not_judged() -> None:
    with pytest.raises(UserError, match=r"team_ids has \[3, 77\], which are not enabled and so not judged"):
        waiver(team_ids=[1, 77, 3])


def test_what_is_complete_needs_no_waiver() -> None:
    complete = Verdict(Unit(STATS, 1, DAY), Kind.COMPLETE)
    assert with_waivers([complete], [waiver()], NOW.date())[0] == (complete,)


def test_every_violation_of_a_request_is_named_at_once() -> None:
    with pytest.raises(UserError) as refused:
        waiver(
            first_day="2026-01-10", last_day="2026-01-09", valid_until="2028-01-01", reason=" ", requested_by="",
            team_ids=[0], table="events",
        )  # fmt: skip
    message = str(refused.value)
    for part in ("last_day is 2026-01-09", "valid_until is 2028-01-01", "reason is empty", "requested_by is empty",
                 "team_ids has [0]", "table is 'events'"):  # fmt: skip
        assert part in message


@pytest.mark.parametrize("day", ["10.01.2026", "2026-1-9", "2023-12-31", ""])
def test_a_day_that_is_none_is_refused(day: str) -> None:
    with pytest.raises(UserError, match="first_day is"):
        waiver(first_day=day)


def test_a_waiver_reads_as_one_line() -> None:
    assert str(waiver(team_ids=[2])) == (
        "waiver-1: 2026-01-09 … 2026-01-10, team 2, every table, until 2026-02-01, by ada: tracker was off"
    )
    assert waiver().days == DayRange(date(2026, 1, 9), date(2026, 1, 11))


def test_two_runs_whose_ids_begin_alike_set_two_waivers() -> None:
    first = free_id("12345678-a", [])
    assert (first, free_id("12345678-b", [first])) == ("waiver-12345678", "waiver-12345678-b")


WEEK = [ago(n) for n in range(8, 3, -1)]


def request(world: World, **changes: object) -> str:
    config = {
        **REQUEST,
        "first_day": str(WEEK[0]),
        "last_day": str(WEEK[3]),
        "valid_until": str(ago(-5)),
        **changes,
    }
    ran = world.run_as_configured("waive_job", config)
    return str(ran.output_for_node("waive"))


def test_a_waived_gap_is_left_and_shown_until_the_waiver_is_lifted(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.traffic([1, 2], WEEK)
    world.select(1, 2)
    waiver_id = request(world)
    report = world.missing_data()
    assert report["total_missing_partitions"] == 2
    printed = capsys.readouterr().out
    assert "Waived: 16." in printed
    assert f"WAIVER   {waiver_id}: {WEEK[0]} … {WEEK[3]}, all teams, every table" in " ".join(printed.split("\n"))
    skipped = world.tick()
    assert (skipped.requests, symptom("below the minimum").search(skipped.skip_message) is not None) == ((), True)
    world.run_as_configured("list_waivers_job")
    assert f"HOLDS    {waiver_id}" in capsys.readouterr().out
    world.run_as_configured("lift_waiver_job", {"waiver_id": waiver_id, "requested_by": "grace"})
    assert sorted(map(str, tables_asked(world.tick()))) == [str(day) for day in WEEK]
    events = world.client.query("SELECT event, requested_by FROM web_analytics_waivers ORDER BY at").result_rows
    assert events == [("set", "ada"), ("lifted", "grace")]


def test_one_teams_waiver_does_not_cover_its_neighbour(world: World) -> None:
    world.traffic([1, 2], WEEK)
    world.select(1, 2)
    request(world, team_ids=[1])
    wrong = world.evaluate().detection.wrong
    assert {(v.unit.team_id, v.unit.day) for v in wrong} == {(2, day) for day in WEEK} | {(1, WEEK[4])}


def test_a_request_that_is_refused_writes_nothing(world: World) -> None:
    with pytest.raises(Exception, match="valid_until is"):
        request(world, valid_until=str(ago(1)))
    assert world.client.query("SELECT count() FROM web_analytics_waivers").result_rows == [(0,)]


def test_a_waiver_that_is_not_there_cannot_be_lifted(world: World) -> None:
    with pytest.raises(Exception, match="waiver_id is 'waiver-9': no waiver of that name is set"):
        world.run_as_configured("lift_waiver_job", {"waiver_id": "waiver-9", "requested_by": "ada"})


def test_a_year_is_the_longest() -> None:
    assert waiver(valid_until=str(NOW.date() + timedelta(days=366)))
    with pytest.raises(UserError, match="366 days from now"):
        waiver(valid_until=str(NOW.date() + timedelta(days=367)))
