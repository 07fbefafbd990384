"""What people are told of several shards says on which one everything is; of one server nothing is said of shards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dags.definitions import WATCHED
from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.shards import merged
from dags.domain.units import Measure, Unit
from dags.health.judging import judge
from dags.health.sections import days_of
from dags.repair.decision import Policy, Trigger, decide
from dags.sources.loads.log import LoadEvent
from dags.team_selection.store import Selection
from dags.tests.health.known import SCHEDULE, SENSOR, TARGETS, evaluated, facts
from dags.tests.metrics.known import DAY, NEXT, ONE, OTHER, READ_AT, found
from dags.web_preaggregated_backfill.report import data_gaps, gaps_markdown, gaps_text, summary_text
from dags.web_preaggregated_backfill.why import Change, Question, why_text
from dags.work.audit.log import Entry, Event, Work

if TYPE_CHECKING:
    from dags.detection.detection import Detection

TEAMS = Selection(frozenset({1, 2, 3, 4}), frozenset(), READ_AT)


def never_built(*teams: int, table: str = ONE, failure: str = "") -> list[Verdict]:
    return [
        Verdict(Unit(table, team, DAY), Kind.MISSING, Cause.NEVER_BUILT, source=Measure(1, 2), last_failure=failure)
        for team in teams
    ]


# On each shard four teams of its own.
ON_BOTH = merged({1: found(*never_built(1, 2, 3, 4)), 2: found(*never_built(5, 6, 7, 8))})
ON_ONE = found(*never_built(1, 2, 3, 4))


def test_each_line_of_a_gap_says_on_which_shard_it_is_and_of_one_server_none_does() -> None:
    line = f"{ONE} shard {{}} {DAY} 4 teams never built"
    said = [" ".join(one.split()) for one in gaps_text(ON_BOTH).splitlines()]
    assert said[2:5] == ["table where days teams reason", line.format(1), line.format(2)]
    assert [one for one in said if one.startswith(ONE)] == [line.format(1), line.format(2)]
    assert "shard" not in gaps_text(ON_ONE)
    assert "where" not in gaps_text(ON_ONE)


def test_the_answer_of_a_script_and_of_the_catalog_says_so_too() -> None:
    decision = decide(
        ON_BOTH.wrong, [], Policy(1, 9, 28), trigger=Trigger.SENSOR, remaining=frozenset(), read_at=READ_AT, now=READ_AT
    )
    said = " ".join(summary_text(ON_BOTH, decision).split())
    assert f"{ONE} shard 1 {DAY} 4 teams never built {ONE} shard 2 {DAY} 4 teams never built" in said
    assert gaps_markdown(ON_BOTH, 1000).splitlines() == [
        f"- {DAY}, shard {shard}, 4 teams: never built, {ONE}" for shard in (1, 2)
    ]
    assert gaps_markdown(ON_ONE, 1000) == f"- {DAY}, 4 teams: never built, {ONE}"
    days = {table: gap["shards"] for table, gap in data_gaps(ON_BOTH).items()}
    assert days == {ONE: {"1": [str(DAY)], "2": [str(DAY)]}, OTHER: {}}
    assert {table: "shards" in gap for table, gap in data_gaps(ON_ONE).items()} == {ONE: False, OTHER: False}


def test_what_could_not_be_built_is_said_with_its_shard() -> None:
    failed = merged({1: found(), 2: found(*never_built(7, failure="run 1: code 241"))})
    assert f"FAILED   shard 2, team 7, {DAY}, {ONE}: run 1: code 241" in gaps_text(failed)
    assert f"FAILED   team 7, {DAY}" in gaps_text(found(*never_built(7, failure="run 1: code 241")))


def test_a_day_of_the_page_says_what_is_wrong_on_each_shard() -> None:
    for seen, what in ((ON_BOTH, "shard 1: 4 missing; shard 2: 4 missing"), (ON_ONE, "4 missing")):
        health = judge(facts(replace(evaluated(), detection=seen)), TARGETS, (SENSOR, SCHEDULE))
        assert [(one.day, one.teams, one.what) for one in days_of(health).shown] == [
            (DAY, len(seen.wrong), what),
        ]


def change(shard: int, minute: int, event: str = Event.STEP_DONE) -> Change:
    at = READ_AT + timedelta(minutes=minute)
    work = Work(f"work-{shard}-{minute}", "managed", "stats")
    return Change(work, Entry(event, step=str(DAY), rows=2, run_id="0123456789", at=at, requested_by="ada"), shard)


def why(question: Question, seen: Detection, changes: list[Change], loads: list[Change]) -> list[str]:
    text = why_text(question, seen, [], [], TEAMS, watched=WATCHED, changes=changes, loads=loads)
    kinds = ("RUN", "BACKFILL", "LOAD")
    return [" ".join(line.split()) for line in text.splitlines() if line.startswith(kinds)]


CHANGES = [change(1, 1), change(1, 4), change(2, 2), change(2, 3)]
LOADS = [change(1, 5, LoadEvent.LOADED), change(2, 6, LoadEvent.LOADED)]


@pytest.mark.parametrize("team", [None, 2, 4], ids=["no team", "a team that lies nowhere", "a team of the second"])
def test_what_backfills_and_loads_did_is_of_the_teams_shard_and_says_where_it_was(team: int | None) -> None:
    here, there = (replace(found(), residents=frozenset({one})) for one in (1, 4))
    said = why(Question(team, NEXT), merged({1: here, 2: there}), CHANGES, LOADS)
    order = [(2, 3), (2, 2)] if team == 4 else [(1, 4), (2, 3), (2, 2), (1, 1)]
    assert said[0] == "RUN no run of these partitions in the last two weeks"
    assert said[1 : len(order) + 1] == [
        f"BACKFILL 2026-01-14 00:0{at} stats was rebuilt on shard {on}, 2 rows: work-{on}-{at}, run 01234567, by ada"
        for on, at in order
    ]
    loads = [(2, 6)] if team == 4 else [(2, 6), (1, 5)]
    assert said[len(order) + 1 :] == [
        f"LOAD 2026-01-14 00:0{at} 2 rows of stats came in on shard {on}: work-{on}-{at}, run 01234567, by ada"
        for on, at in loads
    ]


def test_of_one_server_what_backfills_did_names_no_shard() -> None:
    said = why(Question(4, NEXT), found(), [change(0, 1)], [change(0, 2, LoadEvent.LOADED)])
    assert said == [
        "RUN no run of these partitions in the last two weeks",
        "BACKFILL 2026-01-14 00:01 stats was rebuilt, 2 rows: work-0-1, run 01234567, by ada",
        "LOAD 2026-01-14 00:02 2 rows of stats came in: work-0-2, run 01234567, by ada",
    ]
