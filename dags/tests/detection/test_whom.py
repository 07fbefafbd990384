"""Whom units are of, in words: every team beside its own days and no others."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.verdicts import Verdicts
from dags.detection.whom import whom_in_words
from dags.domain.units import Unit

FIRST = date(2026, 1, 1)
UNITS = st.sets(st.tuples(st.sampled_from(["bounces", "stats"]), st.integers(1, 4), st.integers(0, 6)), min_size=1)


def verdict(table: str, team: int, day: int) -> Verdict:
    """On a table, a team and so many days after `FIRST`."""
    return Verdict(Unit(table, team, FIRST + timedelta(day)), Kind.MISSING, Cause.NEVER_BUILT)


def words(*units: tuple[str, int, int]) -> str:
    """Of units as `verdict` has them."""
    return whom_in_words(Verdicts.of(verdict(*unit) for unit in units).groups)


def test_teams_with_the_same_days_are_one_group_and_others_stand_beside_it() -> None:
    assert words(("stats", 7, 0), ("stats", 8, 0), ("stats", 7, 1), ("stats", 8, 1)) == (
        "teams 7, 8, stats, 2026-01-01 … 2026-01-02"
    )
    assert words(("stats", 1, 1), ("stats", 3, 0)) == "stats: team 1, 2026-01-02; team 3, 2026-01-01"
    assert words(("stats", 1, 1), ("bounces", 3, 0), ("bounces", 1, 1)) == (
        "team 1, bounces and stats, 2026-01-02; team 3, bounces, 2026-01-01"
    )
    assert words(("stats", 1, 1), ("bounces", 1, 0)) == "team 1, bounces, 2026-01-01, stats, 2026-01-02"


def test_of_many_groups_the_largest_are_named_and_the_teams_of_the_others_counted() -> None:
    several = [("stats", team, day) for team in range(1, 6) for day in range(team)]
    assert words(*several) == (
        "stats: team 5, 2026-01-01 … 2026-01-05; team 4, 2026-01-01 … 2026-01-04; team 3, 2026-01-01 … 2026-01-03; "
        "2 more teams, 2 days of 2026-01-01 … 2026-01-02"
    )


def test_of_very_many_groups_none_is_named() -> None:
    assert words(*(("stats", team, day) for team in range(1, 9) for day in range(team))) == (
        "8 teams, stats, 8 days of 2026-01-01 … 2026-01-08, each on some of them"
    )


@given(UNITS)
def test_no_team_is_said_to_lack_a_day_that_it_has(units: set[tuple[str, int, int]]) -> None:
    said = words(*sorted(units))
    common = re.match(r"([a-z ]+): ", said)
    for part in said.removeprefix(common[0] if common else "").split("; "):
        if "more team" in part:
            continue
        teams = [int(one) for one in re.findall(r"\d+", part.partition("-")[0][:-4])]
        named = re.split(r", (?=bounces|stats)", part)[1:] or [f"{common[1] if common else ''}, {part}"]
        for place in named:
            days = re.findall(r"(\d{4}-\d\d-\d\d)(?: … (\d{4}-\d\d-\d\d))?", place)
            for first, last in days:
                span = (date.fromisoformat(last or first) - date.fromisoformat(first)).days + 1
                begin = (date.fromisoformat(first) - FIRST).days
                tables = [table for table in ("bounces", "stats") if table in place]
                assert {(table, team, begin + n) for table in tables for team in teams for n in range(span)} <= units


def test_where_there_are_several_shards_each_group_says_on_which_it_lies() -> None:
    def of_shards(*units: tuple[int, str, int, int]) -> str:
        made = [(shard, Verdicts.of([verdict(table, team, day)]).groups) for shard, table, team, day in units]
        return whom_in_words(replace(one, shard=shard) for shard, groups in made for one in groups)

    assert of_shards((2, "stats", 7, 0)) == "shard 2, team 7, stats, 2026-01-01"
    assert of_shards((1, "stats", 7, 0), (2, "stats", 8, 0), (2, "stats", 9, 0)) == (
        "stats: shard 2, teams 8, 9, 2026-01-01; shard 1, team 7, 2026-01-01"
    )
    several = [(1 + team % 2, "stats", team, day) for team in range(1, 6) for day in range(team)]
    assert of_shards(*several).endswith("; shards 1 and 2, 2 more teams, 2 days of 2026-01-01 … 2026-01-02")
    many = [(1 + team % 2, "stats", team, day) for team in range(1, 9) for day in range(team)]
    assert of_shards(*many).startswith("shards 1 and 2, 8 teams, stats, 8 days of ")
