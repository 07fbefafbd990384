"""Which versions of which files are to be loaded: what was found, held against what the ledger knows of each.

Pure: no clock, no database, no Dagster. The ledger is a set: no mark of time decides what is new, so that a file with
an old date, or one of the same second, is new if it is not known. What tells two versions of a file apart is the ETag,
where both have one; else the size and when it was modified.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    ATTACHED = "attached"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    CLEARING = "clearing"
    CLEARED = "cleared"
    REMOVED = "removed"
    REPLACED = "replaced"


# Nothing is done about these, as long as nobody wants them loaded again.
_SETTLED = (FileEvent.SUCCESS, FileEvent.SKIPPED, FileEvent.REMOVED)


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

    def load(self, ingestion: str, schema: int) -> int:
        """The number on the rows that this version brings, loaded under a version of the schema."""
        told = self.etag or f"{self.size} {self.modified}"
        return load_id(f"file {ingestion}", f"{self.path}\0{told}\0{schema}")


@dataclass(frozen=True)
class Known:
    """What the ledger knows of a file: its newest version, what became of that and when, how often it failed since it
    was last loaded or cleared, under which version of the schema, its rows, and the number that it has or is to have on
    them; and the loads of it that are in the target or may be, and those that are there whole.
    ``said`` is why it was not loaded, or what is to be known of it. Of the loads, ``broken`` broke off, and
    ``attached`` are there whole beside those that they take the place of.
    """

    version: FileVersion
    event: FileEvent
    failed: int
    at: datetime
    loads: tuple[int, ...] = ()
    load: int = 0
    schema: int = 0
    rows: int = 0
    whole: tuple[int, ...] = ()
    said: str = ""
    broken: tuple[int, ...] = ()
    attached: tuple[int, ...] = ()

    @property
    def is_broken_off(self) -> bool:
        """Whether rows of it may be seen that should not be, or it was not said that they are as they should be."""
        beside = set(self.loads) - set(self.attached)
        return bool(self.broken or (self.attached and beside)) or self.event is FileEvent.ATTACHED


class Reason(StrEnum):
    """Why a file is loaded, or is not."""

    NEW = "new"
    REPLACED = "replaced"
    CLEARING = "clearing"
    CLEARED = "cleared"
    BROKEN_OFF = "broken off"
    RETRIED = "retried"
    OLDER = "loaded under an older schema"
    LOADED = "loaded"
    LEFT_OUT = "left out"
    WAITS = "waits after a failure"
    SETTLES = "may still be being written"
    OUTSIDE = "outside of the range of days"


_WANTED = (Reason.NEW, Reason.REPLACED, Reason.CLEARED, Reason.BROKEN_OFF, Reason.RETRIED, Reason.OLDER)


@dataclass(frozen=True)
class Found:
    """A version that lies there. ``is_known``: the ledger has that file, of this version or of another."""

    version: FileVersion
    is_known: bool = False


@dataclass(frozen=True)
class Schema:
    """The version of the schema under which files are loaded now, that below which what is loaded is loaded again, and
    that below which a person wanted every file again, whatever became of it.
    """

    current: int = 0
    reload_below: int = 0
    refreshed: int = 0


def is_settled(known: Known, schema: Schema) -> bool:
    """Whether nothing is to be done about a version that lies there as it did; statements that read the ledger ask the
    same.
    """
    if known.event is FileEvent.SUCCESS:
        return known.schema >= schema.reload_below and not known.broken
    if known.event is FileEvent.REMOVED:
        return known.schema >= schema.refreshed
    return known.event is FileEvent.SKIPPED


@dataclass(frozen=True)
class Wanted:
    """A version that is to be loaded, and why."""

    version: FileVersion
    reason: Reason


@dataclass(frozen=True)
class Decision:
    """What is to be loaded, in this order; what is left for later, because a run takes so much or it may still be being
    written; why not the others.
    """

    wanted: tuple[Wanted, ...]
    later: tuple[Wanted, ...]
    others: Mapping[Reason, int]

    def with_settled(self, count: int) -> Decision:
        """The same with so many files that are loaded, or left out, as they lie there."""
        loaded = self.others.get(Reason.LOADED, 0) + count
        return replace(self, others={**self.others, Reason.LOADED: loaded}) if count else self


def reason_for(
    found: FileVersion, known: Known | None, now: datetime, *, settles: bool, schema: Schema = Schema()
) -> Reason:
    """Why a file is loaded, or is not. ``settles``: nothing tells when it is whole."""
    if settles and abs(now - _moment(found.modified)) < SETTLES:
        return Reason.SETTLES
    if known is None:
        return Reason.NEW
    if not found.is_as(known.version):
        return Reason.REPLACED
    if known.event is FileEvent.FAILED and not known.broken:
        return _after_failure(known, now, schema)
    if known.event in _SETTLED and not known.broken and not is_settled(known, schema):
        return Reason.OLDER
    return Reason.BROKEN_OFF if known.broken else _AS_IT_IS[known.event]


def _after_failure(known: Known, now: datetime, schema: Schema) -> Reason:
    wait = min(FIRST_RETRY * 2 ** min(max(known.failed - 1, 0), 10), LAST_RETRY)
    # Under another schema, what it failed for may be mended. A stamp from the future says nothing of when it was.
    is_due = known.schema != schema.current or known.at > now or now - known.at >= wait
    return Reason.RETRIED if is_due else Reason.WAITS


# What is done about a version that is still the newest, by what became of it.
_AS_IT_IS = {
    FileEvent.DISCOVERED: Reason.NEW,
    FileEvent.PROCESSING: Reason.BROKEN_OFF,
    FileEvent.ATTACHED: Reason.BROKEN_OFF,
    FileEvent.CLEARING: Reason.BROKEN_OFF,
    FileEvent.SUCCESS: Reason.LOADED,
    FileEvent.SKIPPED: Reason.LEFT_OUT,
    FileEvent.REMOVED: Reason.LEFT_OUT,
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
    found: Iterable[Found],
    known: Mapping[str, Known],
    now: datetime,
    *,
    max_files: int,
    max_bytes: int,
    settles: bool,
    days: Days,
    schema: Schema = Schema(),
    only: Collection[str] | None = None,
) -> Decision:
    """What a run loads of what was found: the newest days first, so many files and bytes at most, one at least.

    ``known`` has the files that are not settled as they lie there; of the others it is enough that they are known. What
    broke off comes first, also where the file is gone or is of a day outside: rows of it may be seen until that is
    settled. ``only``: these paths, whatever became of them, unless they are loaded as they are.
    """
    wanted, unsettled, others = list[Wanted](), list[Wanted](), dict[Reason, int]()
    broken = {path: Found(one.version, is_known=True) for path, one in known.items() if one.is_broken_off}
    for one in (broken | {one.version.path: one for one in found}).values():
        version, before = one.version, known.get(one.version.path)
        reason = Reason.OUTSIDE
        if version.path in broken or days.has(version):
            reason = reason_for(version, before, now, settles=settles, schema=schema)
            if reason is Reason.NEW and before is None and one.is_known:
                reason = Reason.REPLACED
        if only is not None and version.path in only:
            is_out = before is not None and before.event is FileEvent.REMOVED
            reason = Reason.RETRIED if reason is Reason.WAITS or (is_out and reason is Reason.LEFT_OUT) else reason
        if reason in _WANTED and (only is None or version.path in only):
            wanted.append(Wanted(version, reason))
        elif reason is Reason.SETTLES:
            unsettled.append(Wanted(version, reason))
        else:
            others[reason] = others.get(reason, 0) + 1
    wanted.sort(key=lambda one: (one.version.path not in broken, *_newest_first(one)))
    count, size = 0, 0
    for version in (one.version for one in wanted[:max_files]):
        size += version.size
        if count and size > max_bytes:
            break
        count += 1
    return Decision(tuple(wanted[:count]), (*wanted[count:], *unsettled), others)


def _newest_first(one: Wanted) -> tuple[int, str]:
    day = day_of(one.version.path)
    return (-day.toordinal() if day is not None else -_moment(one.version.modified).toordinal(), one.version.path)


def _moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
