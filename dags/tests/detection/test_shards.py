"""What was found on shards is one detection: nothing is lost or counted twice, and nothing unknown is complete."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.clickhouse.sql import Cost
from dags.detection.detection import Detection, Standing, unreadable
from dags.detection.gaps.rules import Gap
from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.shards import merged
from dags.domain.days import Calendar, DayRange
from dags.domain.units import Measure, Unit
from dags.repair.decision import Policy, Trigger, decide
from dags.tests.builds import TABLES
from dags.tests.metrics.known import DAY, NEXT, ONE, OTHER, READ_AT, found
from dags.web_preaggregated_backfill.report import is_complete, status_line

LATER = READ_AT + timedelta(minutes=1)


def missing(team: int, table: str = ONE, day: object = DAY) -> Verdict:
    return Verdict(Unit(table, team, day), Kind.MISSING, Cause.NEVER_BUILT, source=Measure(1, 2))  # type: ignore[arg-type]


def down(why: str = "no ClickHouse answers") -> Detection:
    one = found()
    return unreadable(why, one.tables, one.calendar, one.lookback_days, one.read_at)


def some_shards(seed: int) -> dict[int, Detection]:
    """Up to four, of which each has its own teams: some wrong, some complete; a shard may be down."""
    dice, made = Random(seed), dict[int, Detection]()
    for shard in range(1, dice.randint(1, 4) + 1):
        if dice.random() < 0.2:
            made[shard] = down()
            continue
        teams = range(10 * shard + 1, 10 * shard + 6)
        wrong = sorted({(dice.choice(teams), dice.choice(TABLES), dice.choice((DAY, NEXT))) for _ in range(4)})
        made[shard] = replace(
            found(*(missing(team, table, day) for team, table, day in wrong[: dice.randint(0, 4)])),
            complete={(table, DAY): dice.randint(1, 9) for table in dice.sample(TABLES, dice.randint(0, 2))},
            outdated={(table, DAY): dice.randint(1, 9) for table in dice.sample(TABLES, dice.randint(0, 2))},
            recalled={day: dice.choice((READ_AT, LATER)) for day in dice.sample((DAY, NEXT), dice.randint(0, 1))},
            unverified=frozenset([NEXT] * dice.randint(0, 1)) if dice.random() < 0.3 else frozenset(),
            residents=frozenset(dice.sample(teams, dice.randint(0, 5))),
            cost=Cost(1, 10, 100, 0.5),
        )
        made[shard] = replace(
            made[shard], recalled={d: at for d, at in made[shard].recalled.items() if d not in made[shard].unverified}
        )
    return made


# Drawn piece by piece they would take ten times as long.
shards = partial(st.builds, some_shards, st.integers(0, 2**32))


def units(detection: Detection) -> list[tuple[int, Unit]]:
    return sorted((group.shard, verdict.unit) for group in detection.verdicts.groups for verdict in group)


def facts(detection: Detection) -> dict[str, object]:
    """Everything but the verdicts, which are compared with their shards; and what was found on each."""
    own = {one.name: getattr(detection, one.name) for one in fields(Detection)}
    return {**own, "verdicts": units(detection), "shards": None, "standing": replace(detection.standing, shards={})}


@given(shards())
def test_nothing_is_lost_and_nothing_counted_twice(by_shard: dict[int, Detection]) -> None:
    one = merged(by_shard)
    assert units(one) == sorted((shard, v.unit) for shard, some in by_shard.items() for v in some.verdicts)
    complete: Counter[object] = Counter()
    for some in by_shard.values():
        complete.update(some.complete)
    assert one.complete == dict(complete)
    assert sum(one.outdated.values()) == sum(sum(some.outdated.values()) for some in by_shard.values())
    assert one.cost == sum((some.cost for some in by_shard.values()), Cost())
    assert one.residents == frozenset().union(*(some.residents for some in by_shard.values()))


@given(shards(), st.randoms(use_true_random=False))
def test_the_order_of_shards_does_not_matter(by_shard: dict[int, Detection], dice: Random) -> None:
    turned = list(by_shard.items())
    dice.shuffle(turned)
    assert facts(merged(dict(turned))) == facts(merged(by_shard))


@given(shards().filter(lambda by_shard: by_shard[1].server_at is not None))
def test_of_one_shard_it_is_what_was_found_there(by_shard: dict[int, Detection]) -> None:
    only = by_shard[1]
    assert facts(merged({1: only})) == {
        **facts(only),
        "verdicts": sorted((1, verdict.unit) for verdict in only.verdicts),
        "team_mismatches": None,
    }


@given(shards())
def test_a_shard_that_is_unknown_makes_no_table_complete_and_takes_nothing_from_the_others(
    by_shard: dict[int, Detection],
) -> None:
    lost = max(by_shard) + 1
    one, without = merged({**by_shard, lost: down()}), merged(by_shard)
    assert set(one.unknown) == set(TABLES)
    assert all(f"shard {lost}: no ClickHouse answers" in why for why in one.unknown.values())
    assert (one.complete_by_table, is_complete(one), status_line(one)[:7]) == ({}, False, "UNKNOWN")
    assert (units(one), one.complete, one.teams) == (units(without), without.complete, without.teams)


@given(shards().filter(lambda by_shard: any(one.server_at is not None for one in by_shard.values())))
def test_every_day_was_read_recalled_or_not_verified_and_none_of_it_twice(by_shard: dict[int, Detection]) -> None:
    one = merged(by_shard)
    assert not one.recalled.keys() & one.unverified
    assert one.days_read + len(one.recalled) + len(one.unverified) == len(one.calendar.judged) == 2


def test_a_team_with_rows_on_two_shards_is_named_and_judged_on_neither() -> None:
    here, there = found(missing(1), missing(2)), replace(found(missing(3)), residents=frozenset({1, 3}))
    one = merged({1: here, 2: there})
    assert units(one) == [(1, Unit(ONE, 2, DAY)), (2, Unit(ONE, 3, DAY))]
    assert set(one.unknown) == {ONE, OTHER}
    assert "of the teams 1 (shards 1, 2) there are rows on several shards" in one.unknown[OTHER]
    assert one.split == {1: (1, 2)}
    assert status_line(one).startswith("UNKNOWN: team 1 has rows on shards 1 and 2; 2 (table, team, day) of what was")


def test_of_whom_not_all_is_known_is_said_and_of_nobody_else() -> None:
    enabled = frozenset({1, 2, 3, 4, 5})
    here, there = (replace(found(), enabled=enabled, residents=frozenset(teams)) for teams in ({1, 2}, {2, 3, 9}))
    assert merged({1: here, 2: there}).unsure == {2}
    assert merged({1: here, 2: replace(there, unknown={OTHER: "code 241"})}).unsure == {2, 3}
    assert merged({1: here, 2: down()}).unsure == {3, 4, 5}
    assert found().unsure == frozenset()


def test_who_is_on_no_shard_that_was_read_may_be_on_the_one_that_was_not() -> None:
    here = replace(found(missing(2)), enabled=frozenset({1, 2, 3, 4}), residents=frozenset({1}))
    assert merged({1: here, 2: down()}).unplaced == {3, 4}
    assert merged({1: here, 2: replace(found(), residents=frozenset({3}))}).unplaced == frozenset()


def test_what_two_shards_judged_of_different_days_is_told_of_those_that_both_did() -> None:
    late = Calendar(DayRange(DAY, NEXT), NEXT)
    one = merged({1: found(missing(1), missing(1, day=NEXT)), 2: replace(found(), calendar=late)})
    assert (one.calendar.judged, units(one)) == (DayRange(DAY, NEXT), [(1, Unit(ONE, 1, DAY))])


@pytest.mark.parametrize("seen", [(LATER, READ_AT), (READ_AT, LATER)], ids=["later on the first", "and the second"])
def test_a_gap_on_two_shards_is_one_that_is_as_old_as_the_older(seen: tuple[datetime, datetime]) -> None:
    gaps = [Gap(ONE, DAY, is_held=False, since=at, waived=2) for at in seen]
    one = merged({shard: replace(found(), gaps=(gap,)) for shard, gap in enumerate(gaps, 1)})
    assert one.gaps == (Gap(ONE, DAY, is_held=False, since=READ_AT, waived=4),)


def test_who_stopped_one_shard_has_stopped_all_and_a_lease_keeps_its_own_shard_alone() -> None:
    stopped = replace(found(), standing=Standing("stopped by ops", {(ONE, DAY): "run-1"}))
    standing = merged({1: found(), 2: stopped}).standing
    assert standing.of_shard(1) == Standing("stopped by ops (shard 2)")
    assert standing.of_shard(2) == Standing("stopped by ops (shard 2)", {(ONE, DAY): "run-1"})


def test_lists_of_teams_that_differ_are_warned_of_and_what_all_say_is_said_once() -> None:
    both = ("the list is old",)
    lists = ({1, 2}, {1, 3})  # equally long
    cure = "materialize web_analytics_team_selection"
    lacking = "shard 1 has 2, not team 3; shard 2 has 2, not team 2"
    made = [replace(found(), enabled=frozenset(teams), warnings=both, team_warnings=both) for teams in lists]
    words = merged(dict(enumerate(made, 1))).warnings
    assert words == (
        "the list is old",
        f"the lists of teams differ ({lacking}), and none is judged where it is not listed: {cure}",
    )
    assert merged({1: replace(found(), warnings=both), 2: found()}).warnings == ("shard 1: the list is old",)


@given(shards(), st.integers(1, 3))
def test_a_decision_asks_for_each_day_and_shard_once_for_its_teams_alone_and_days_count_once(
    by_shard: dict[int, Detection], cap: int
) -> None:
    one = merged(by_shard)
    decision = decide(
        one.wrong, [], Policy(1, cap, 28), trigger=Trigger.SENSOR, remaining=frozenset(), read_at=READ_AT, now=READ_AT
    )
    asked = {
        (r.day, r.shard, table, team) for r in decision.requests for table, t in r.teams_by_table.items() for team in t
    }
    days = sorted({unit.day for _, unit in units(one)}, reverse=True)[:cap]
    assert asked == {(u.day, shard, u.table, u.team_id) for shard, u in units(one) if u.day in days}
    assert (
        len(decision.requests)
        == len({(r.day, r.shard) for r in decision.requests})
        == len({r.run_key for r in decision.requests})
    )


def test_no_shard_is_no_detection() -> None:
    with pytest.raises(ValueError, match="no detection to merge"):
        merged({})
