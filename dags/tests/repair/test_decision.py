"""Which days are rebuilt now, and the reason of all others: the decision as a function of facts and a clock reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.detection.detection import Standing
from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.verdicts import Verdicts
from dags.domain.days import ONE_DAY
from dags.domain.units import Unit
from dags.repair.attempts import FIRST_BACKOFF, LONGEST_BACKOFF, Run, RunState, backoff
from dags.repair.decision import Decision, Policy, Trigger, Why, acts_on, decide

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOW = datetime(2026, 1, 20, 6, tzinfo=UTC)
POLICY = Policy(min_missing_partitions=3, max_days_per_run=7, max_days_per_day=28)
TABLES = ("bounces", "stats")


def ago(days: int) -> date:
    return NOW.date() - timedelta(days=days)


def missing(day: date, table: str = "stats", team: int = 1) -> Verdict:
    return Verdict(Unit(table, team, day), Kind.MISSING, Cause.NEVER_BUILT)


def both(*days: date) -> list[Verdict]:
    return [missing(day, table) for day in days for table in TABLES]


def run(
    day: date,
    state: RunState,
    ended: timedelta | None = timedelta(hours=1),
    *,
    run_id: str = "run-1",
    is_automatic: bool = True,
    tables: Iterable[str] = TABLES,
    teams: Iterable[int] | None = None,
) -> Run:
    ended_at = None if ended is None or state is RunState.IN_FLIGHT else NOW - ended
    created_at = (ended_at or NOW) - timedelta(minutes=5)
    named = {} if teams is None else dict.fromkeys(tables, frozenset(teams))
    return Run(run_id, day, frozenset(tables), state, created_at, ended_at, is_automatic, named)


def decided(
    verdicts: Iterable[Verdict],
    runs: Sequence[Run] = (),
    policy: Policy = POLICY,
    *,
    trigger: Trigger = Trigger.SENSOR,
    remaining: Iterable[date] = (),
    now: datetime = NOW,
    standing: Standing | None = None,
) -> Decision:
    return decide(
        verdicts, runs, policy, trigger=trigger, remaining=frozenset(remaining), read_at=now, now=now,
        standing=standing,
    )  # fmt: skip


def days_of(decision: Decision) -> list[date]:
    return [request.day for request in decision.requests]


def whys(decision: Decision) -> dict[date, Why]:
    return {deferred.day: deferred.why for deferred in decision.deferred}


def test_nothing_wrong_is_nothing_to_do() -> None:
    decision = decided([])
    assert (decision.requests, decision.deferred, decision.words) == ((), (), "nothing to repair")


def test_the_minimum_counts_table_days_not_teams() -> None:
    crowd = [missing(ago(1), team=team) for team in range(1, 500)] + [missing(ago(2))]
    assert days_of(decided(crowd)) == []
    assert whys(decided(crowd)) == {ago(1): Why.BELOW_MINIMUM, ago(2): Why.BELOW_MINIMUM}
    assert days_of(decided([*crowd, missing(ago(2), "bounces")])) == [ago(1), ago(2)]


def test_the_cap_counts_days_and_newer_days_come_first() -> None:
    decision = decided(both(*(ago(n) for n in range(10, 0, -1))))
    assert days_of(decision) == [ago(n) for n in range(1, 8)]
    assert whys(decision) == {ago(n): Why.CAP for n in (8, 9, 10)}
    assert all(request.tables == TABLES for request in decision.requests)


def test_only_the_wrong_tables_of_a_day_are_rebuilt() -> None:
    decision = decided([missing(ago(1)), *both(ago(2))])
    assert {request.day: request.tables for request in decision.requests} == {ago(1): ("stats",), ago(2): TABLES}


def test_what_an_open_backfill_still_owes_is_finished_below_the_minimum() -> None:
    assert days_of(decided(both(ago(9)), remaining=[ago(9)])) == [ago(9)]
    assert days_of(decided(both(ago(9)), remaining=[ago(8)])) == []


def test_a_day_that_is_repaired_is_no_longer_owed() -> None:
    opened = decided(both(*(ago(n) for n in range(1, 9))))
    assert opened.remaining == {ago(n) for n in range(1, 9)}
    finishing = decided(both(ago(8)), remaining=opened.remaining)
    assert finishing.remaining == {ago(8)}
    assert decided([], remaining=finishing.remaining).remaining == frozenset()


def test_days_owed_by_the_comprehensive_check_are_not_forgotten_by_a_sensor_that_leaves_them() -> None:
    stale = Verdict(Unit("stats", 1, ago(5)), Kind.STALE, Cause.SOURCE_GREW)
    decision = decided([stale], remaining=[ago(5)])
    assert (days_of(decision), decision.remaining) == ([], frozenset({ago(5)}))
    assert days_of(decided([stale], remaining=[ago(5)], trigger=Trigger.SCHEDULE)) == [ago(5)]


def test_a_day_in_flight_is_deferred_and_named_whoever_launched_it() -> None:
    for is_automatic in (True, False):
        decision = decided(
            both(ago(1), ago(2)), [run(ago(1), RunState.IN_FLIGHT, run_id="abcdefghij", is_automatic=is_automatic)]
        )
        assert days_of(decision) == [ago(2)]
        assert [(d.day, d.why, d.detail) for d in decision.deferred] == [(ago(1), Why.IN_FLIGHT, "run abcdefgh")]


def test_a_run_of_the_other_table_does_not_hold_up_this_one() -> None:
    runs = [run(ago(1), RunState.IN_FLIGHT, tables=["bounces"])]
    wrong = [missing(ago(n)) for n in (1, 2, 3)]
    assert days_of(decided(wrong, runs)) == [ago(1), ago(2), ago(3)]


def test_a_run_that_ended_after_the_data_was_read_makes_the_day_wait_for_the_next_tick() -> None:
    just_done = replace(run(ago(1), RunState.SUCCEEDED), ended_at=NOW + timedelta(seconds=1))
    assert whys(decided(both(ago(1), ago(2)), [just_done])) == {ago(1): Why.JUST_DONE}


@pytest.mark.parametrize(
    ("failures", "hours"), [(1, 6), (2, 12), (3, 24), (4, 48), (5, 96), (6, 168), (7, 168), (60, 168)]
)
def test_back_off_doubles_up_to_a_week(failures: int, hours: int) -> None:
    assert backoff(failures) == timedelta(hours=hours)


@pytest.mark.parametrize("margin", [timedelta(milliseconds=-1), timedelta(0), timedelta(milliseconds=1)])
def test_a_failed_day_is_due_exactly_when_its_back_off_has_passed(margin: timedelta) -> None:
    decision = decided(both(ago(1), ago(2)), [run(ago(1), RunState.FAILED, FIRST_BACKOFF + margin)])
    assert (ago(1) in days_of(decision)) == (margin >= timedelta(0))


def test_a_failed_day_never_blocks_the_others_and_takes_none_of_their_places() -> None:
    days = [ago(n) for n in range(1, 9)]
    decision = decided(both(*days), [run(days[0], RunState.FAILED)])
    assert days_of(decision) == days[1:]


def test_failures_in_a_row_are_counted_until_a_success() -> None:
    history = [
        run(ago(3), RunState.FAILED, timedelta(days=3), run_id="older"),
        run(ago(3), RunState.SUCCEEDED, timedelta(days=2), run_id="daily", is_automatic=False),
        run(ago(3), RunState.FAILED, timedelta(hours=20), run_id="newer"),
        run(ago(3), RunState.FAILED, timedelta(hours=13), run_id="newest-of-all"),
    ]
    [request, *_] = [r for r in decided(both(ago(3), ago(4)), history).requests if r.day == ago(3)]
    assert (request.attempt, request.run_key) == (2, f"{ago(3)}/after-newest-of-all/attempt-2")


def test_attempts_beyond_the_longest_back_off_are_another_story() -> None:
    history = [run(ago(3), RunState.FAILED, LONGEST_BACKOFF + ONE_DAY + timedelta(minutes=1))]
    assert [r.attempt for r in decided(both(ago(3), ago(4)), history).requests if r.day == ago(3)] == [0]


def test_a_repair_that_succeeded_and_left_its_day_wrong_is_a_failed_attempt() -> None:
    repaired = run(ago(1), RunState.SUCCEEDED)
    assert whys(decided(both(ago(1), ago(2)), [repaired])) == {ago(1): Why.BACKING_OFF}


def test_a_repair_whose_source_has_grown_since_is_none() -> None:
    grown = [Verdict(Unit(t, 1, ago(n)), Kind.STALE, Cause.SOURCE_GREW) for t in TABLES for n in (1, 2)]
    assert ago(1) in days_of(decided(grown, [run(ago(1), RunState.SUCCEEDED)], trigger=Trigger.SCHEDULE))


def test_a_daily_build_before_the_rows_were_lost_is_none() -> None:
    lost = [replace(v, cause=Cause.ROWS_LOST) for v in both(ago(1), ago(2))]
    assert ago(1) in days_of(decided(lost, [run(ago(1), RunState.SUCCEEDED, is_automatic=False)]))


def lost(*days: date) -> list[Verdict]:
    return [replace(verdict, cause=Cause.ROWS_LOST) for verdict in both(*days)]


def test_rows_that_are_lost_after_a_repair_that_ended_well_are_built_at_once() -> None:
    repaired = replace(run(ago(1), RunState.SUCCEEDED), reasons="never built: 2")
    [request, _] = decided(lost(ago(1), ago(2)), [repaired]).requests
    assert (request.day, request.attempt) == (ago(1), 0)


def test_rows_that_are_lost_after_each_repair_wait_longer_each_time() -> None:
    repairs = [
        replace(run(ago(1), RunState.SUCCEEDED, timedelta(hours=hours), run_id=f"run-{hours}"), reasons=reasons)
        for hours, reasons in ((30, "never built: 2"), (20, "rows lost: 2; partial: 1"), (13, "rows lost: 2"))
    ]
    [waiting] = decided(lost(ago(1), ago(2)), repairs[:2], now=NOW - timedelta(hours=15)).deferred
    assert waiting.detail == "1 attempt left 2 units wrong, next from 2026-01-19 16:00 UTC"
    [request, _] = decided(lost(ago(1), ago(2)), repairs).requests
    assert (request.day, request.attempt) == (ago(1), 2)
    assert whys(decided(lost(ago(1), ago(2)), repairs, now=NOW - timedelta(hours=2))) == {ago(1): Why.BACKING_OFF}


@pytest.mark.parametrize(
    ("kind", "cause"),
    [(Kind.MISSING, Cause.NEVER_BUILT), (Kind.PARTIAL, Cause.DIFFERS), (Kind.EXCESS, Cause.DIFFERS)],
)
def test_a_unit_that_a_successful_repair_left_wrong_at_once_backs_off(kind: Kind, cause: Cause) -> None:
    wrong = [replace(verdict, kind=kind, cause=cause) for verdict in both(ago(1), ago(2))]
    repaired = replace(run(ago(1), RunState.SUCCEEDED), reasons="never built: 2")
    assert whys(decided(wrong, [repaired], trigger=Trigger.SCHEDULE)) == {ago(1): Why.BACKING_OFF}


def test_the_cap_of_a_utc_day_counts_automatic_launches_of_that_day_only() -> None:
    policy = replace(POLICY, max_days_per_day=3)
    launched = [
        run(ago(11), RunState.SUCCEEDED, timedelta(hours=5), run_id="today"),
        run(ago(12), RunState.SUCCEEDED, timedelta(hours=7), run_id="yesterday"),
        run(ago(13), RunState.SUCCEEDED, timedelta(hours=5), run_id="by hand", is_automatic=False),
    ]
    decision = decided(both(ago(1), ago(2), ago(3)), launched, policy)
    assert days_of(decision) == [ago(1), ago(2)]
    assert whys(decision) == {ago(3): Why.DAILY_CAP}


def test_a_gap_older_than_the_maximum_age_is_repaired_below_the_minimum() -> None:
    policy = replace(POLICY, max_gap_age=timedelta(hours=48))
    assert days_of(decided([missing(ago(1)), missing(ago(4))], policy=policy)) == [ago(4)]


ACTED_ON = {
    (Kind.MISSING, Cause.NEVER_BUILT): {Trigger.SENSOR, Trigger.SCHEDULE},
    (Kind.MISSING, Cause.BUILD_FAILED): {Trigger.SENSOR, Trigger.SCHEDULE},
    (Kind.PARTIAL, Cause.ROWS_LOST): {Trigger.SCHEDULE},
    (Kind.EXCESS, Cause.DIFFERS): {Trigger.SCHEDULE},
    (Kind.STALE, Cause.SOURCE_GREW): {Trigger.SCHEDULE},
    (Kind.STALE, Cause.SOURCE_SHRANK): set(),
    (Kind.ORPHAN, Cause.NO_SOURCE): set(),
    (Kind.COMPLETE, Cause.NONE): set(),
    (Kind.NOTHING_EXPECTED, Cause.NONE): set(),
}


@pytest.mark.parametrize(("fault", "triggers"), ACTED_ON.items(), ids=[": ".join(fault) for fault in ACTED_ON])
def test_each_trigger_acts_on_its_own_faults(fault: tuple[Kind, Cause], triggers: set[Trigger]) -> None:
    verdict = Verdict(Unit("stats", 1, ago(1)), *fault)
    assert {t for t in (Trigger.SENSOR, Trigger.SCHEDULE) if acts_on(t, verdict, POLICY)} == triggers
    held = replace(verdict, is_held=True)
    assert not any(acts_on(t, held, POLICY) for t in Trigger)


def test_what_is_held_is_said_to_be() -> None:
    orphan = Verdict(Unit("stats", 1, ago(1)), Kind.ORPHAN, Cause.NO_SOURCE, is_held=True)
    decision = decided([orphan])
    assert "held until a person allows it (no source, held)" in decision.words


def test_a_naive_clock_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="give aware datetimes"):
        decided([], now=datetime(2026, 1, 1))  # noqa: DTZ001 -- that is the point


def test_two_verdicts_on_one_unit_are_refused() -> None:
    with pytest.raises(ValueError, match="is judged twice"):
        decided([missing(ago(1)), missing(ago(1))])


_units = st.sets(st.tuples(st.sampled_from(TABLES), st.integers(1, 3), st.integers(1, 20)), max_size=40)
_policies = st.builds(
    Policy,
    min_missing_partitions=st.integers(1, 6),
    max_days_per_run=st.integers(1, 8),
    max_days_per_day=st.integers(8, 200),
)


@given(_units, _policies)
def test_decisions_carried_out_leave_nothing_to_decide(units: set[tuple[str, int, int]], policy: Policy) -> None:
    wrong = [missing(ago(days), table, team) for table, team, days in units]
    partitions = {(v.unit.table, v.unit.day) for v in wrong}
    remaining: frozenset[date] = frozenset()
    asked: list[date] = []
    keys: list[str] = []
    while (decision := decided(wrong, (), policy, remaining=remaining)).requests:
        assert len(decision.requests) <= policy.max_days_per_run
        asked += days_of(decision)
        keys += [request.run_key for request in decision.requests]
        remaining = decision.remaining
        wrong = [v for v in wrong if v.unit.day not in asked]
    expected = sorted({day for _, day in partitions}, reverse=True)
    assert asked == (expected if len(partitions) >= policy.min_missing_partitions else [])
    assert len(set(keys)) == len(keys)


@given(_units, st.lists(st.tuples(st.integers(1, 20), st.sampled_from(RunState), st.integers(0, 400)), max_size=30))
def test_every_wrong_day_is_either_asked_for_or_deferred_with_a_reason(
    units: set[tuple[str, int, int]], history: list[tuple[int, RunState, int]]
) -> None:
    wrong = [missing(ago(days), table, team) for table, team, days in units]
    runs = [
        run(ago(days), state, timedelta(hours=hours), run_id=f"run-{n}")
        for n, (days, state, hours) in enumerate(history)
    ]
    decision = decided(wrong, runs)
    asked, deferred = days_of(decision), [d.day for d in decision.deferred]
    assert sorted(asked + deferred) == sorted({v.unit.day for v in wrong})
    in_flight = {r.day for r in runs if r.ended_at is None}
    assert not in_flight & set(asked)
    assert all(str(day.year) in decision.words for day in asked)


def test_a_request_names_the_teams_that_are_wrong_in_each_table() -> None:
    crowd = [missing(ago(1), team=3), missing(ago(1), team=1), missing(ago(1), "bounces", 2), *both(ago(2))]
    first, second = decided(crowd).requests
    assert first.teams_by_table == {"bounces": (2,), "stats": (1, 3)}
    assert second.teams_by_table == {"bounces": (1,), "stats": (1,)}
    assert (first.teams, second.teams) == (3, 1)


def test_a_team_that_cannot_be_built_backs_off_and_the_others_of_its_day_do_not_wait_for_it() -> None:
    wrong = [missing(ago(1), table, team) for table in TABLES for team in (7, 9)] + both(ago(2))
    failed = run(ago(1), RunState.FAILED, timedelta(hours=1), teams=[7])
    decision = decided(wrong, [failed])
    assert {request.day: request.teams_by_table for request in decision.requests} == {
        ago(1): {"bounces": (9,), "stats": (9,)},
        ago(2): {"bounces": (1,), "stats": (1,)},
    }
    [waiting] = decision.deferred
    assert (waiting.day, waiting.why) == (ago(1), Why.BACKING_OFF)
    assert waiting.detail == "1 attempt left 2 units wrong, next from 2026-01-20 11:00 UTC"


def test_a_team_that_keeps_failing_waits_longer_each_time() -> None:
    wrong = [missing(ago(n), table, 7) for table in TABLES for n in (1, 2, 3)]
    runs: list[Run] = []
    when = NOW
    for failures in range(1, 6):
        runs.append(
            replace(run(ago(1), RunState.FAILED, teams=[7], run_id=f"run-{failures}"), created_at=when, ended_at=when)
        )
        due = when + backoff(failures)
        too_early = decided(wrong, runs, now=due - timedelta(minutes=1))
        assert ago(1) not in days_of(too_early)
        assert ago(1) in days_of(decided(wrong, runs, now=due))
        when = due


def test_a_run_for_all_teams_that_failed_is_an_attempt_at_each_of_them() -> None:
    wrong = [*both(ago(1)), *both(ago(2))]
    assert whys(decided(wrong, [run(ago(1), RunState.FAILED)])) == {ago(1): Why.BACKING_OFF}


def test_nothing_is_launched_while_backfills_are_stopped_and_the_reason_says_who_stopped_them() -> None:
    standing = Standing(stopped="stopped by ada at 2026-01-20 05:00 UTC: the cluster is short of disk")
    decision = decided(both(ago(1), ago(2)), standing=standing)
    assert decision.requests == ()
    assert set(whys(decision).values()) == {Why.STOPPED}
    assert decision.reasons[0] == f"backfills are {standing.stopped}"
    assert decided([], standing=standing).reasons == (f"backfills are {standing.stopped}", "nothing to repair")
    assert decision.remaining == {ago(1), ago(2)}  # and they are still owed when it goes on


def test_a_day_whose_lease_somebody_holds_is_deferred_and_the_run_is_named() -> None:
    standing = Standing(run_by_lease={("stats", ago(1)): "4711abcd_run_of_another_instance"})
    decision = decided(both(ago(1), ago(2)), standing=standing)
    assert days_of(decision) == [ago(2)]
    assert [(d.day, d.why, d.detail) for d in decision.deferred] == [(ago(1), Why.IN_FLIGHT, "run 4711abcd")]


def test_the_cap_of_a_utc_day_counts_days_however_many_runs_they_took() -> None:
    policy = replace(POLICY, max_days_per_day=3)
    earlier = [
        run(ago(n), RunState.SUCCEEDED, run_id=f"{table}-{n}", tables=[table]) for n in (8, 9) for table in TABLES
    ]
    assert days_of(decided(both(ago(1), ago(2), ago(3)), earlier, policy)) == [ago(1)]


def on_shards(*days: date) -> Verdicts:
    """Team 1 on the first shard and team 2 on the second, both missing in both tables."""
    groups = [
        replace(group, shard=team)
        for team in (1, 2)
        for group in Verdicts.of(missing(day, table, team) for day in days for table in TABLES).groups
    ]
    return Verdicts.joined(groups)


@pytest.mark.parametrize(
    ("shard", "asked"), [(1, {2}), (2, {1}), (0, set())], ids=["the first", "the second", "not said which"]
)
def test_a_run_of_one_shard_keeps_no_other_shard_waiting(shard: int, asked: set[int]) -> None:
    busy = replace(run(ago(1), RunState.IN_FLIGHT), shard=shard)
    decision = decided(on_shards(ago(1), ago(2)), [busy])
    assert {request.shard for request in decision.requests if request.day == ago(1)} == asked
    assert {request.shard for request in decision.requests if request.day == ago(2)} == {1, 2}
    assert whys(decision) == {ago(1): Why.IN_FLIGHT}


def test_a_run_of_one_shard_that_failed_backs_off_there_alone_and_one_that_named_none_nowhere() -> None:
    failed = replace(run(ago(1), RunState.FAILED), shard=2)
    decision = decided(on_shards(ago(1), ago(2)), [failed, run(ago(2), RunState.FAILED, run_id="refused")])
    assert [(r.day, r.shard, r.attempt) for r in decision.requests] == [(ago(1), 1, 0), (ago(2), 1, 0), (ago(2), 2, 0)]


def test_days_count_once_for_the_caps_whatever_number_of_shards_they_are_wrong_on() -> None:
    policy = replace(POLICY, max_days_per_run=2)
    decision = decided(on_shards(ago(1), ago(2), ago(3)), policy=policy)
    assert [(r.day, r.shard) for r in decision.requests] == [(ago(d), shard) for d in (1, 2) for shard in (1, 2)]
    assert whys(decision) == {ago(3): Why.CAP}


def test_a_lease_on_one_shard_keeps_its_own_days_from_being_asked_for_and_no_others() -> None:
    held = Standing(run_by_lease={("stats", ago(1)): "someone"})
    standing = replace(held, shards={1: held, 2: Standing()})
    decision = decided(on_shards(ago(1), ago(2)), standing=standing)
    assert [(r.day, r.shard) for r in decision.requests] == [(ago(1), 2), (ago(2), 1), (ago(2), 2)]
