"""The verdict on a unit, as a table: what its source, its table and the ledger say, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest

from dags.detection.judging import Suspects, Table, judge_day
from dags.detection.rules import Build, Cause, Failure, Kind, Verdict
from dags.detection.verdicts import microseconds
from dags.domain.units import ALL_TEAMS, EPOCH, Measure, Outcome, Unit

UNIT = Unit("stats", 1, date(2026, 1, 10))
BUILT_AT = datetime(2026, 1, 11, 1, tzinfo=UTC)
FAILED_AT = datetime(2026, 1, 11, 2, tzinfo=UTC)

NONE, FOUR, FIVE, NINE, TEN = Measure(), Measure(4, 40), Measure(5, 50), Measure(9, 90), Measure(10, 100)


def built(measure: Measure, outcome: Outcome = Outcome.BUILT) -> Build:
    return Build(outcome, measure, BUILT_AT)


def failed(at: datetime = FAILED_AT) -> Failure:
    return Failure("abcdefghij", at, "out of memory")


@dataclass(frozen=True)
class Case:
    says: str
    source: Measure
    target: Measure
    kind: Kind
    cause: Cause = Cause.NONE
    last_build: Build | None = None
    last_failure: Failure | None = None
    is_open: bool = False
    is_held: bool = False


CASES = [
    Case("equal data is complete", FIVE, FIVE, Kind.COMPLETE, last_build=built(FIVE)),
    Case("equal data is complete without any ledger", FIVE, FIVE, Kind.COMPLETE),
    Case("equal data is complete whatever the ledger says", FIVE, FIVE, Kind.COMPLETE, last_build=built(NINE)),
    Case("equal data is complete after a failure", FIVE, FIVE, Kind.COMPLETE, last_failure=failed()),
    Case("nothing on both sides is nothing expected", NONE, NONE, Kind.NOTHING_EXPECTED),
    Case("never built", FIVE, NONE, Kind.MISSING, Cause.NEVER_BUILT),
    Case("never built, and open", FIVE, NONE, Kind.MISSING, Cause.NEVER_BUILT, is_open=True),
    Case("its build failed", FIVE, NONE, Kind.MISSING, Cause.BUILD_FAILED, last_failure=failed()),
    Case(
        "a failed rebuild does not make events come late", FIVE, NONE, Kind.MISSING, Cause.ARRIVED_LATE,
        last_build=built(NONE, Outcome.EMPTY), last_failure=failed(),
    ),
    Case(
        "a failed rebuild takes no rows away", FIVE, NONE, Kind.MISSING, Cause.ROWS_LOST,
        last_build=built(FIVE), last_failure=failed(),
    ),
    Case(
        "nor does a failure before a later build", FIVE, NONE, Kind.MISSING, Cause.ROWS_LOST,
        last_build=built(FIVE), last_failure=failed(datetime(2026, 1, 11, 0, tzinfo=UTC)),
    ),
    Case("its rows were lost", FIVE, NONE, Kind.MISSING, Cause.ROWS_LOST, last_build=built(FIVE)),
    Case("its events came late", FIVE, NONE, Kind.MISSING, Cause.ARRIVED_LATE, last_build=built(NONE, Outcome.EMPTY)),
    Case("its source grew", NINE, FIVE, Kind.STALE, Cause.SOURCE_GREW, last_build=built(FIVE)),
    Case("a rebuild that would leave half is held", FIVE, TEN, Kind.EXCESS, Cause.DIFFERS, is_held=True),
    Case("one that would leave more than half is not", FIVE, NINE, Kind.EXCESS, Cause.DIFFERS),
    Case("only page views grew", Measure(5, 51), FIVE, Kind.STALE, Cause.SOURCE_GREW, last_build=built(FIVE)),
    Case("its source grew, but it is open", NINE, FIVE, Kind.COMPLETE, last_build=built(FIVE), is_open=True),
    Case("its source shrank a little", FIVE, NINE, Kind.STALE, Cause.SOURCE_SHRANK, last_build=built(NINE)),
    Case(
        "its source shrank to less than half", FOUR, NINE, Kind.STALE, Cause.SOURCE_SHRANK,
        last_build=built(NINE), is_held=True,
    ),
    Case("rows were lost, not all", FIVE, FOUR, Kind.PARTIAL, Cause.ROWS_LOST, last_build=built(FIVE)),
    Case("rows were lost, and open", FIVE, FOUR, Kind.PARTIAL, Cause.ROWS_LOST, last_build=built(NINE), is_open=True),
    Case("fewer than the source, and no ledger", FIVE, FOUR, Kind.PARTIAL, Cause.DIFFERS),
    Case("more than the source", FOUR, FIVE, Kind.EXCESS, Cause.DIFFERS, last_build=built(FOUR)),
    Case("twice the source waits for a person", FOUR, NINE, Kind.EXCESS, Cause.DIFFERS, is_held=True),
    Case("rows without a source", NONE, FIVE, Kind.ORPHAN, Cause.NO_SOURCE, last_build=built(FIVE), is_held=True),
]  # fmt: skip


def table(
    source: Measure,
    target: Measure,
    last_build: Build | None = None,
    last_failure: Failure | None = None,
    **declared: Any,
) -> Table:
    """The one suspect of a table's day, with what was counted of it."""
    build = last_build or Build(Outcome.VERIFIED, NONE, EPOCH)
    facts = (
        1,
        0,
        0,
        0,
        target.total,
        *build.measure,
        build.outcome is Outcome.VERIFIED,
        microseconds(build.finished_at),
    )
    return Table(
        Suspects.of([[fact] for fact in facts]),
        {1: source} if source else {},
        {1: target} if target else {},
        {} if last_failure is None else {ALL_TEAMS: last_failure},
        **declared,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_a_unit_is_judged(case: Case) -> None:
    suspect = table(case.source, case.target, case.last_build, case.last_failure, is_open=case.is_open)
    found = judge_day(UNIT.day, {"stats": suspect})
    expected = {"stats": int(case.kind is Kind.COMPLETE)}
    if case.kind in (Kind.COMPLETE, Kind.NOTHING_EXPECTED):
        assert len(found.wrong) == 0
        assert found.complete == expected
    else:
        [verdict] = found.wrong
        assert (verdict.unit, verdict.kind, verdict.cause, verdict.is_held) == (
            UNIT, case.kind, case.cause, case.is_held
        )  # fmt: skip
        assert (verdict.source, verdict.target, verdict.is_wrong) == (case.source, case.target, True)
    assert found.equal == {"stats": [0] if case.source == case.target else []}


def test_a_wrong_verdict_says_what_it_compared() -> None:
    suspect = table(FIVE, NONE, built(FIVE), failed(), words=("sessions", "page views"))
    [verdict] = judge_day(UNIT.day, {"stats": suspect}).wrong
    assert verdict.detail == (
        "run abcdefgh at 2026-01-11 02:00 failed: out of memory; source 5 sessions, 50 page views; "
        "table 0 sessions, 0 page views; built 2026-01-11 01:00 with 5 sessions"
    )
    assert verdict.last_failure == "run abcdefgh at 2026-01-11 02:00 failed: out of memory"


def plain(source: Measure, target: Measure, *, agrees_with: str = "bounces") -> Table:
    return table(source, target, agrees_with=(agrees_with,))


def inconsistent(stats: Table, bounces: Table | None = None) -> dict[str, bool]:
    suspects = {"stats": stats} if bounces is None else {"stats": stats, "bounces": bounces}
    found = judge_day(UNIT.day, suspects).wrong
    return {v.unit.table: v.is_inconsistent for v in found}


def test_the_table_that_differs_from_its_source_is_the_wrong_one_of_two() -> None:
    assert inconsistent(plain(FIVE, FOUR), plain(FIVE, FIVE, agrees_with="stats")) == {"stats": True}


def test_a_table_that_is_no_suspect_holds_its_source_so_the_suspect_disagrees_with_it() -> None:
    assert inconsistent(plain(FIVE, FOUR)) == {"stats": True}


def test_tables_that_are_wrong_alike_do_not_disagree() -> None:
    both = plain(FIVE, FOUR), plain(FIVE, FOUR, agrees_with="stats")
    assert inconsistent(*both) == {"stats": False, "bounces": False}


def test_the_reason_is_one_short_phrase() -> None:
    assert Verdict(UNIT, Kind.MISSING, Cause.ROWS_LOST, is_inconsistent=True).reason == "rows lost, tables disagree"
    assert Verdict(UNIT, Kind.EXCESS, Cause.DIFFERS, is_held=True).reason == "excess, held"
