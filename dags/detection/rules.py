"""Judges a unit, a (table, team, day), from what its source, its table and the build ledger say of it.

Pure: no clock, no database, no Dagster. The data gives the truth, the ledger the reason. Unknown is a verdict of its
own and never counts as complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.domain.units import Measure, Outcome, Unit

if TYPE_CHECKING:
    from datetime import datetime


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

    def __str__(self) -> str:
        return f"run {self.run_id[:8]} at {_minute(self.failed_at)} failed: {self.error[:200]}"


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
    ROLLED_BACK = "rolled back"
    ARRIVED_LATE = "arrived after the build"
    SOURCE_GREW = "source grew"
    SOURCE_SHRANK = "source shrank"
    NO_SOURCE = "no source"
    DIFFERS = "differs from its source"


# Of these the source changed after the build, or it was taken back, so the run that built the unit did its work.
_SINCE_THE_BUILD = {Cause.ARRIVED_LATE, Cause.SOURCE_GREW, Cause.SOURCE_SHRANK, Cause.ROLLED_BACK}


_NOTHING = Measure()


class Judged:
    """What follows from a judgement, on one unit or on many that are judged alike."""

    kind: Kind
    cause: Cause
    is_held: bool
    is_inconsistent: bool

    @property
    def is_wrong(self) -> bool:
        return self.kind not in _NOT_WRONG

    @property
    def awaits_permission(self) -> bool:
        """Whether a rebuild would lose what the source has no longer: it may be expiring, the table is then the better
        copy. Nothing rebuilds such a unit until a person allows it, neither a trigger nor a managed backfill. Where the
        tables disagree about it, one of them follows the source already, and the other one is to. What a person has
        taken back, in all tables, to have more than its source again is as it is to be.
        """
        has_shrunk = self.cause is Cause.SOURCE_SHRANK or (self.kind is Kind.EXCESS and self.cause is Cause.ROLLED_BACK)
        return self.is_held or self.kind is Kind.ORPHAN or (has_shrunk and not self.is_inconsistent)

    @property
    def blames_the_build(self) -> bool:
        """Whether a run that built this and succeeded has failed all the same."""
        return self.is_wrong and self.cause not in _SINCE_THE_BUILD

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


@dataclass(frozen=True)
class Verdict(Judged):
    """The judgement on a unit, with its reasons in words.

    ``is_held``: a rebuild would take away half of the unit's sessions or more; it waits for a person.
    ``is_inconsistent``: a table that must agree with this one holds something else for the same team and day.
    ``is_interior``: the table has rows of the team on days before and after, so readers take the hole for zeros.
    ``last_failure``: which build of the unit failed last and how, in words, if none has succeeded since.
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
    last_failure: str = ""


def judge(
    source: Measure, target: Measure, recorded: Measure | None, *, has_failed: bool, is_open: bool
) -> tuple[Kind, Cause]:
    """What is the matter with one unit, and why; the first that applies, in the order of how sure it is.

    ``source`` and ``target`` are exact. ``recorded`` is what its last build or verification found, None where the
    ledger knows none; ``has_failed``: a build failed, and none has succeeded since. ``is_open``: sessions of the day
    may still be arriving.

    Equal data is complete, whatever the ledger says: tables that are older than the ledger are adopted, not declared
    missing. On an open day rows may be missing, but a source that moved since the build is not yet a fault. A failed
    build takes no rows away, so it is the cause of a gap only where no other has ever succeeded; elsewhere it is told
    beside the cause (`failed_since`), or the cause would hang on whether somebody looked between the failure and the
    loss.
    """
    if source == target:
        return (Kind.COMPLETE if source else Kind.NOTHING_EXPECTED), Cause.NONE
    if not target:
        return Kind.MISSING, _why_missing(recorded, has_failed=has_failed)
    if is_open and recorded == target:
        return Kind.COMPLETE, Cause.NONE
    if not source:
        return Kind.ORPHAN, Cause.NO_SOURCE
    if recorded is not None and recorded != source and not is_open:
        return Kind.STALE, Cause.SOURCE_GREW if source > recorded else Cause.SOURCE_SHRANK
    fewer = target < source
    cause = Cause.ROWS_LOST if recorded is not None and fewer else Cause.DIFFERS
    return (Kind.PARTIAL if fewer else Kind.EXCESS), cause


def is_fine(kind: Kind) -> bool:
    return kind in _NOT_WRONG


def _why_missing(recorded: Measure | None, *, has_failed: bool) -> Cause:
    if recorded is None:
        return Cause.BUILD_FAILED if has_failed else Cause.NEVER_BUILT
    return Cause.ROWS_LOST if recorded else Cause.ARRIVED_LATE


def failed_since(failure: Failure | None, built_at: datetime | None) -> str:
    """Which build of a unit failed, and how, if none has succeeded since."""
    if failure is None or (built_at is not None and failure.failed_at <= built_at):
        return ""
    return str(failure)


def detail_of(source: Measure, target: Measure, build: Build | None, failure: str, words: tuple[str, str]) -> str:
    """What was compared with what, in the words of a declaration."""
    detail = f"source {source.in_words(words)}; table {target.in_words(words)}"
    if failure:
        detail = f"{failure}; {detail}"
    if build is not None:
        detail += f"; {build.outcome} {_minute(build.finished_at)} with {build.measure.distinct:,} {words[0]}"
    return detail


def _minute(instant: datetime) -> str:
    return instant.isoformat(" ", "minutes")[:16]
