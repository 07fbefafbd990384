"""Which versions of which files are to be loaded: what was found, held against what the ledger knows of each.

Pure: no clock, no database, no Dagster. The ledger is a set: no mark of time decides what is new, so that a file with
an old date, or one of the same second, is new if it is not known. What tells two versions of a file apart is the ETag,
where both have one; else the size and when it was modified.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.domain.units import EPOCH
from dags.file_ingestion.patterns import day_of, days_of
from dags.sources.loads.names import load_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# A file that failed is tried again after so long, twice as long after each failure, and no less often than this.
FIRST_RETRY, LAST_RETRY = timedelta(hours=6), timedelta(days=7)

# A file of a directory that changed so recently may still be being written; storage shows none that is not whole.
SETTLES = timedelta(seconds=60)


class FileEvent(StrEnum):
    """What happens to a version of a file."""

    DISCOVERED = "discovered"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    CLEARED = "cleared"
    REPLACED = "replaced"


@dataclass(frozen=True)
class FileVersion:
    """A file as it was found. ``path`` is below the ingestion's root, ``modified`` in microseconds since 1970."""

    path: str
    size: int
    modified: int
    etag: str = ""

    def is_as(self, other: FileVersion) -> bool:
        """Whether both are the same version of the file."""
        if self.etag and other.etag:
            return self.etag == other.etag
        return (self.size, self.modified) == (other.size, other.modified)

    def load(self, ingestion: str) -> int:
        """The number on the rows that this version brings."""
        told = self.etag or f"{self.size} {self.modified}"
        return load_id(f"file {ingestion}", f"{self.path}\0{told}")


@dataclass(frozen=True)
class Known:
    """What the ledger knows of a file: its newest version, what became of that and when, how often it failed since it
    was last loaded or cleared; and the loads of it that are in the target.
    """

    version: FileVersion
    event: FileEvent
    failed: int
    at: datetime
    loads: tuple[int, ...] = ()


class Reason(StrEnum):
    """Why a file is loaded, or is not."""

    NEW = "new"
    REPLACED = "replaced"
    CLEARED = "cleared"
    BROKEN_OFF = "broken off"
    RETRIED = "retried"
    LOADED = "loaded"
    LEFT_OUT = "left out"
    WAITS = "waits after a failure"
    SETTLES = "may still be being written"
    OUTSIDE = "outside of the range of days"


_WANTED = (Reason.NEW, Reason.REPLACED, Reason.CLEARED, Reason.BROKEN_OFF, Reason.RETRIED)


@dataclass(frozen=True)
class Wanted:
    """A version that is to be loaded, why, and the loads of older versions that its rows take the place of."""

    version: FileVersion
    reason: Reason
    replaces: tuple[int, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What is to be loaded, in this order; what is left for later, because a run takes so much; why not the others."""

    wanted: tuple[Wanted, ...]
    later: tuple[Wanted, ...]
    others: Mapping[Reason, int]


def reason_for(found: FileVersion, known: Known | None, now: datetime, *, settles: bool) -> Reason:
    """Why a file is loaded, or is not. ``settles``: nothing tells when it is whole."""
    if settles and now - _moment(found.modified) < SETTLES:
        return Reason.SETTLES
    if known is None:
        return Reason.NEW
    if not found.is_as(known.version):
        return Reason.REPLACED
    if known.event is FileEvent.FAILED:
        wait = min(FIRST_RETRY * 2 ** min(max(known.failed - 1, 0), 10), LAST_RETRY)
        return Reason.RETRIED if now - known.at >= wait else Reason.WAITS
    return _AS_IT_IS[known.event]


# What is done about a version that is still the newest, by what became of it.
_AS_IT_IS = {
    FileEvent.DISCOVERED: Reason.NEW,
    FileEvent.PROCESSING: Reason.BROKEN_OFF,
    FileEvent.SUCCESS: Reason.LOADED,
    FileEvent.SKIPPED: Reason.LEFT_OUT,
    FileEvent.CLEARED: Reason.CLEARED,
}


@dataclass(frozen=True)
class Days:
    """The days that an ingestion takes files of, both included; None is no bound.

    ``by_path``: a file's day is what its path names, and one that names none is outside; else when it was modified.
    """

    since: date | None = None
    until: date | None = None
    by_path: bool = True

    def has(self, version: FileVersion) -> bool:
        """Whether a file is of one of these days, or may have rows of one."""
        if self.since is None and self.until is None:
            return True
        moment = _moment(version.modified).date()
        span = days_of(version.path) if self.by_path else (moment, moment)
        if span is None:
            return False
        first, last = span
        return (self.since is None or last >= self.since) and (self.until is None or first <= self.until)


def decide(
    found: Iterable[FileVersion],
    known: Mapping[str, Known],
    now: datetime,
    *,
    ingestion: str,
    max_files: int,
    max_bytes: int,
    settles: bool,
    days: Days,
    only: Collection[str] | None = None,
) -> Decision:
    """What a run loads of what was found: the newest days first, so many files and bytes at most, one at least.

    ``only``: these paths, whatever became of them, unless they are loaded as they are.
    """
    wanted, others = list[Wanted](), dict[Reason, int]()
    for version in found:
        before = known.get(version.path)
        reason = reason_for(version, before, now, settles=settles) if days.has(version) else Reason.OUTSIDE
        if only is not None and version.path in only and reason is Reason.WAITS:
            reason = Reason.RETRIED
        if reason in _WANTED and (only is None or version.path in only):
            own = version.load(ingestion)
            replaces = tuple(load for load in (before.loads if before is not None else ()) if load != own)
            wanted.append(Wanted(version, reason, replaces))
        else:
            others[reason] = others.get(reason, 0) + 1
    wanted.sort(key=_newest_first)
    count, size = 0, 0
    for one in wanted[:max_files]:
        size += one.version.size
        if count and size > max_bytes:
            break
        count += 1
    return Decision(tuple(wanted[:count]), tuple(wanted[count:]), others)


def _newest_first(one: Wanted) -> tuple[int, str]:
    day = day_of(one.version.path)
    return (-day.toordinal() if day is not None else -_moment(one.version.modified).toordinal(), one.version.path)


def _moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
