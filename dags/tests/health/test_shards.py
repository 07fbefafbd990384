"""What health is judged by on several shards is one answer, in which no shard's silence is hidden."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from dags.health.accuracy import Sample
from dags.health.facts import LeftBehind, Section, Teams
from dags.health.shards import together
from dags.publish.recompute import Recomputed
from dags.repair.estimate import Building
from dags.repair.stops.store import Stop
from dags.retention.store import Forgotten
from dags.tests.metrics.known import DAY, NEXT, ONE, READ_AT, found, wrong
from dags.web_preaggregated_backfill.check_words import check_text
from dags.web_preaggregated_backfill.report import TableStatus

LATER = READ_AT + timedelta(seconds=1)
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
        "stop": stop,
        "server_at": READ_AT,
        "unread": {},
    }


def test_a_section_that_one_shard_could_not_say_is_unread_by_that_shards_name() -> None:
    one: dict[str, Any] = {"left_behind": tuple(LEFT), "stop": None, "server_at": READ_AT, "unread": {}}
    made = together({1: one, 2: {"unread": {Section.LEFT_BEHIND: "no ClickHouse answers"}}})
    assert made == {**one, "unread": {Section.LEFT_BEHIND: "shard 2: no ClickHouse answers"}}


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
