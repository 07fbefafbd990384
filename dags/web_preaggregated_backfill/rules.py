"""Judges a unit, a (table, team, day), from what its source, its table and the build ledger say of it.

Pure: no clock, no database, no Dagster. The data gives the truth, the ledger the reason. Unknown is a verdict of its
own and never counts as complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.units import Fingerprint, Measure, Outcome, Unit, shrinks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime


@dataclass(frozen=True)
class Build:
    """The last build or verification of a unit that the ledger knows."""

    outcome: Outcome
    measure: Measure
    finished_at: datetime


@dataclass(frozen=True)
class Failure:
    """The last build of a unit that failed."""

    run_id: str
    failed_at: datetime
    error: str


@dataclass(frozen=True)
class Signals:
    """What is known of a unit. ``source`` and ``target`` are exact, counted for this unit alone.

    ``is_open``: sessions of the day may still be arriving, so a source that moved is no fault of the build.
    ``words`` is what the table's declaration counts.
    """

    unit: Unit
    source: Measure
    target: Measure
    fingerprint: Fingerprint
    is_open: bool
    last_build: Build | None = None
    last_failure: Failure | None = None
    words: tuple[str, str] = ("distinct", "in all")


class Kind(StrEnum):
    """What is the matter with a unit."""

    COMPLETE = "complete"
    NOTHING_EXPECTED = "nothing expected"
    MISSING = "missing"
    STALE = "stale"
    PARTIAL = "partial"
    EXCESS = "excess"
    ORPHAN = "orphan"
    WAIVED = "waived"
    OUTDATED = "outdated"


# Not as it should be. Waived: known, and left so by a person. Outdated: right by the logic of an older version.
_NOT_WRONG = {Kind.COMPLETE, Kind.NOTHING_EXPECTED, Kind.WAIVED, Kind.OUTDATED}


class Cause(StrEnum):
    """Why it came to be so, as far as the ledger can tell."""

    NONE = ""
    NEVER_BUILT = "never built"
    BUILD_FAILED = "build failed"
    ROWS_LOST = "rows lost"
    ARRIVED_LATE = "arrived after the build"
    SOURCE_GREW = "source grew"
    SOURCE_SHRANK = "source shrank"
    NO_SOURCE = "no source"
    DIFFERS = "differs from its source"


# Of these the source changed after the build, so the run that built the unit did its work.
_SOURCE_MOVED = {Cause.ARRIVED_LATE, Cause.SOURCE_GREW, Cause.SOURCE_SHRANK}


_NOTHING = Measure()

# Between who failed and how, in a verdict's detail.
FAILED = " failed: "


@dataclass(frozen=True)
class Verdict:
    """The judgement on a unit, with its reasons in words.

    ``is_held``: a rebuild would take away half of the unit's sessions or more; it waits for a person.
    ``is_inconsistent``: a table that must agree with this one holds something else for the same team and day.
    ``is_interior``: the table has rows of the team on days before and after, so readers take the hole for zeros.
    """

    unit: Unit
    kind: Kind
    cause: Cause = Cause.NONE
    detail: str = ""
    is_held: bool = False
    is_inconsistent: bool = False
    is_interior: bool = False
    source: Measure = _NOTHING
    target: Measure = _NOTHING

    @property
    def last_failure(self) -> str:
        """Which build of the unit failed last and how, if none has succeeded since."""
        told, has_failed, _ = self.detail.partition("; source ")
        return told if has_failed and FAILED in told else ""

    @property
    def is_wrong(self) -> bool:
        return self.kind not in _NOT_WRONG

    @property
    def blames_the_build(self) -> bool:
        """Whether a run that built this unit and succeeded has failed all the same."""
        return self.is_wrong and self.cause not in _SOURCE_MOVED

    @property
    def reason(self) -> str:
        """One short phrase: the cause, or the kind where it says more."""
        words = [str(self.cause or self.kind)]
        if self.kind in (Kind.PARTIAL, Kind.EXCESS) and self.cause is Cause.DIFFERS:
            words = [str(self.kind)]
        if self.is_inconsistent:
            words.append("tables disagree")
        if self.is_held:
            words.append("held")
        return ", ".join(words)


def judge(signals: Signals, *, is_inconsistent: bool = False) -> Verdict:
    """The verdict on one unit; the first that applies, in the order of how sure it is.

    Equal data is complete, whatever the ledger says: tables that are older than the ledger are adopted, not declared
    missing. On an open day rows may be missing, but a source that moved since the build is not yet a fault.
    ``is_inconsistent`` marks the verdict if it is wrong.
    """
    source, target, build, words = signals.source, signals.target, signals.last_build, signals.words
    kind, cause, why = _judged(signals)
    if kind in _NOT_WRONG:
        return Verdict(signals.unit, kind, cause)
    detail = f"source {source.spoken(words)}; table {target.spoken(words)}"
    if why or (why := _failed_since(signals)):
        detail = f"{why}; {detail}"
    if build is not None:
        detail += f"; {build.outcome} {_minute(build.finished_at)} with {build.measure.distinct:,} {words[0]}"
    return Verdict(
        signals.unit,
        kind,
        cause,
        detail,
        is_held=shrinks(target, source),
        is_inconsistent=is_inconsistent,
        source=source,
        target=target,
    )


def _judged(signals: Signals) -> tuple[Kind, Cause, str]:
    """What is the matter, why, and what more there is to say of it."""
    source, target, build = signals.source, signals.target, signals.last_build
    if source == target:
        return (Kind.COMPLETE if source else Kind.NOTHING_EXPECTED), Cause.NONE, ""
    if not target:
        return Kind.MISSING, *_missing(signals)
    if signals.is_open and build is not None and build.measure == target:
        return Kind.COMPLETE, Cause.NONE, ""
    if not source:
        return Kind.ORPHAN, Cause.NO_SOURCE, ""
    if build is not None and build.measure != source and not signals.is_open:
        grew = (source.distinct, source.total) > (build.measure.distinct, build.measure.total)
        return Kind.STALE, Cause.SOURCE_GREW if grew else Cause.SOURCE_SHRANK, ""
    fewer = (target.distinct, target.total) < (source.distinct, source.total)
    cause = Cause.ROWS_LOST if build is not None and fewer else Cause.DIFFERS
    return (Kind.PARTIAL if fewer else Kind.EXCESS), cause, ""


def _missing(signals: Signals) -> tuple[Cause, str]:
    build = signals.last_build
    if failed := _failed_since(signals):
        return Cause.BUILD_FAILED, failed
    if build is None:
        return Cause.NEVER_BUILT, ""
    return (Cause.ROWS_LOST if build.measure else Cause.ARRIVED_LATE), ""


def _failed_since(signals: Signals) -> str:
    """Which build of the unit failed, and how, if none has succeeded since."""
    build, failure = signals.last_build, signals.last_failure
    if failure is None or (build is not None and failure.failed_at <= build.finished_at):
        return ""
    return f"run {failure.run_id[:8]} at {_minute(failure.failed_at)}{FAILED}{failure.error[:200]}"


def _minute(instant: datetime) -> str:
    return instant.isoformat(" ", "minutes")[:16]


def with_inconsistencies(
    signals: Iterable[Signals], agreeing_tables: Mapping[str, tuple[str, ...]]
) -> tuple[Verdict, ...]:
    """The verdicts on all suspects, those marked whose tables disagree about a team and day.

    A unit that is no suspect is complete and so holds what its source holds. Of two tables that disagree the one that
    differs from the source is wrong; the mark is on that one.
    """
    known = {(s.unit.table, s.unit.team_id, s.unit.day): s for s in signals}
    verdicts = []
    for (table, team, day), one in known.items():
        disagrees = False
        for other in agreeing_tables.get(table, ()):
            suspect = known.get((other, team, day))
            holds = suspect.target if suspect is not None else one.source
            disagrees = disagrees or holds != one.target
        verdicts.append(judge(one, is_inconsistent=disagrees))
    return tuple(sorted(verdicts, key=by_unit))


def by_unit(verdict: Verdict) -> tuple[str, int, date]:
    """The order of verdicts. A key of our own, because comparing units as such is several times as slow."""
    return verdict.unit.table, verdict.unit.team_id, verdict.unit.day
