"""What health is judged by on several shards is one answer, in which no shard's silence is hidden."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dags.health.accuracy import Sample
from dags.health.facts import Files, LeftBehind, OldDays, Section, Teams, WorkNow
from dags.health.judging import judge
from dags.health.shards import together
from dags.health.work_causes import file_causes, old_day_causes, work_causes
from dags.publish.recompute import Recomputed
from dags.repair.estimate import Building
from dags.repair.stops.store import Stop
from dags.retention.store import Forgotten
from dags.tests.health.known import TARGETS, facts
from dags.tests.metrics.known import DAY, NEXT, ONE, READ_AT, found, wrong
from dags.web_preaggregated_backfill.check_words import check_text
from dags.web_preaggregated_backfill.report import TableStatus
from dags.work.audit.log import Status

LATER = READ_AT + timedelta(seconds=1)
ADAS, BOBS = Stop("ada", "a move", READ_AT), Stop("bob", "a bug", LATER)
LEFT = [LeftBehind(name, "staging", READ_AT, "the next build") for name in ("a", "b")]


def test_what_each_shard_knows_is_told_and_what_all_say_alike_once() -> None:
    teams, stop = Teams(2, READ_AT), Stop("ops", "a move", READ_AT)
    one = {
        "left_behind": (LEFT[0],),
        "weeks": ("same",),
        "teams": teams,
        "stop": None,
        "server_at": LATER,
        "unread": {},
    }
    other = {**one, "left_behind": (LEFT[1],), "stop": stop, "server_at": READ_AT}
    assert together({1: one, 2: other}) == {
        "left_behind": tuple(LEFT),
        "weeks": ("same",),
        "teams": teams,
        "stop": replace(stop, shards=(2,)),
        "server_at": READ_AT,
        "unread": {},
        "unread_by_shard": {1: {}, 2: {}},
    }


@pytest.mark.parametrize(
    ("stops", "said"),
    [
        ((None, ADAS), "backfills are stopped by ada on shard 2, which stops them on all"),
        ((ADAS, None, BOBS), "backfills are stopped by ada on shards 1 and 3, which stops them on all"),
        ((ADAS, ADAS), "backfills are stopped by ada"),
        ((Stop(), Stop()), "backfills are stopped by WEB_ANALYTICS_BACKFILL_STOPPED=1"),
    ],
    ids=["one of two", "two of three", "all", "the setting"],
)
def test_a_stop_of_some_shards_says_which_these_are(stops: tuple[Stop | None, ...], said: str) -> None:
    stop = together({shard: {"stop": one, "unread": {}} for shard, one in enumerate(stops, 1)})["stop"]
    causes = {cause.key: cause for cause in judge(facts(stop=stop), TARGETS, ()).causes}
    assert causes["switch"].what == said


def test_that_the_setting_stops_backfills_is_of_every_shard_also_while_one_is_down() -> None:
    assert together({1: {"stop": Stop(), "unread": {}}, 2: {"unread": {Section.WORK: "down"}}})["stop"] == Stop()
    told = together({1: {"stop": ADAS, "unread": {}}, 2: {"unread": {Section.WORK: "down"}}})["stop"]
    assert str(told) == "stopped by ada on shard 1 at 2026-01-14 00:00 UTC: a move"


def test_what_is_to_be_done_about_a_shards_work_is_typed_with_its_tag_and_no_two_shards_share_a_key() -> None:
    work = WorkNow(
        "managed-backfill-1", "managed", "backfill", "stats", "", "", Status.FAILED, READ_AT, READ_AT, "ada", "a bug",
        "", "backfill_id",
    )  # fmt: skip
    old = OldDays(ONE, (DAY,), units=1, held=0, teams=(1,), reason="stale", since=READ_AT)
    late, fine = Files("lines", failed=1, given_up=1, failed_since=READ_AT), Files("hits")
    made = together(
        {
            1: {"work": (), "old_days": (old,), "files": (late, fine), "unread": {}},
            2: {"work": (work,), "old_days": (old,), "files": (late, fine), "unread": {}},
        }
    )
    assert [one.shard for one in made["files"] if one.ingestion == "hits"] == [0]
    causes = (
        *work_causes(made["work"], READ_AT), *old_day_causes(made["old_days"]), *file_causes(made["files"], READ_AT),
    )  # fmt: skip
    shards = [re.findall(r'"web_analytics_backfill/shard": "(\d)"', one.command) for one in causes]
    assert shards == [["2"], ["1"], ["2"], ["1"], ["2"]]
    assert len({one.key for one in causes}) == 5
    assert [one.whom for one in causes[1:3]] == [f"shard {shard}, 1 team, {ONE}, {DAY}" for shard in (1, 2)]


def test_a_section_that_one_shard_could_not_say_is_unread_by_that_shards_name() -> None:
    one: dict[str, Any] = {"left_behind": tuple(LEFT), "stop": None, "server_at": READ_AT, "unread": {}}
    made = together({1: one, 2: {"unread": {Section.LEFT_BEHIND: "no ClickHouse answers"}}})
    assert made == {
        **one,
        "unread": {Section.LEFT_BEHIND: "shard 2: no ClickHouse answers"},
        "unread_by_shard": {1: {}, 2: {Section.LEFT_BEHIND: "no ClickHouse answers"}},
    }


def test_a_team_that_differs_on_one_shard_is_told_whichever_shard_it_is() -> None:
    equal = Sample(DAY, {"stats": Recomputed(frozenset({1}))})
    unequal = Sample(NEXT, {"stats": Recomputed(frozenset({2}), {2: "one row more"})})
    assert Sample.of_shards([equal, unequal]) == unequal
    both = Sample.of_shards([Sample(NEXT, equal.by_table), unequal])
    assert both == Sample(NEXT, {"stats": Recomputed(frozenset({1, 2}), {2: "one row more"})})
    assert Sample.of_shards([Sample(None, {}), equal]) == equal
    assert Sample.of_shards([Sample(None, {})]) == Sample(None, {})


def test_what_was_forgotten_on_shards_adds_up() -> None:
    one = Forgotten({"a": 1}, ("builds of days from 2026-01 on",))
    assert Forgotten.of_all([one, Forgotten({"a": 2, "b": 3}), one]) == Forgotten({"a": 4, "b": 3}, one.left)


def test_the_check_of_a_table_tells_of_what_is_wrong_on_one_shard_while_another_is_down() -> None:
    seen = replace(found(wrong()), unknown={ONE: "shard 2: down"})
    said = check_text(TableStatus(ONE, is_complete=False, words="unknown: shard 2: down", days=""), seen, Building())
    assert said == f"unknown: shard 2: down\nnever built: team 1, {ONE}, {DAY}"
