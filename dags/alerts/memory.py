"""What was told of each cause, to which channel, and when: all that alerts remember from tick to tick.

Pure: no clock, no database, no Dagster. It is one JSON document; who reads it back has what was written.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dags.health.causes import Cause, Check, State

if TYPE_CHECKING:
    from collections.abc import Mapping

# A document of another version is begun anew, by which all that is open is told once more.
VERSION = 1

# What a channel has heard of a cause in place of the number of a notice: that it is over.
OVER = 0

# So many characters of each of a cause's parts are remembered: of errors that fill pages the beginning says enough.
CHARACTERS = 300

# What is of the look alone: no message says it of what was told before, and 0.20 reads no document that has it.
_FORGOTTEN = frozenset({"error", "disagreeing"})


class Kind(StrEnum):
    """What is said of a cause: that it is there, that it has become worse, that it is still there, that it is over."""

    NEW = "new"
    WORSE = "worse"
    REMINDER = "reminder"
    OVER = "over"


@dataclass(frozen=True)
class Entry:
    """A cause that needs a person, or did.

    ``cause``: as it was seen last. ``seen_at``: since when it has needed a person, short breaks left out; None of one
    that is over. ``gone_at``: since when it is not seen, though that may be such a break. ``kind``: what is to be told
    of it now; None before anything is, as of what may pass by itself. ``number`` counts what was to be told since
    ``told_at``, and ``state`` and ``size`` are the gravest that were told; ``said_at`` is when the last was. ``days``,
    ``teams`` (None: more than are named) and ``checks`` are what people know to be wrong and is so still. ``returns``:
    how often it came back soon after it was over. ``heard``: by channel, the number of what it took last, or `OVER`.
    """

    cause: Cause
    seen_at: datetime | None
    gone_at: datetime | None = None
    kind: Kind | None = None
    number: int = 0
    told_at: datetime | None = None
    over_at: datetime | None = None
    state: State | None = None
    size: int = 0
    said_at: datetime | None = None
    days: frozenset[date] = frozenset()
    teams: frozenset[int] | None = None
    checks: frozenset[Check] = frozenset()
    is_reminded: bool = False
    returns: int = 0
    heard: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether people were told of it, or are to be, and not yet that it is over."""
        return self.kind not in (None, Kind.OVER)


@dataclass(frozen=True)
class Memory:
    """The entries by their causes' keys, and the channels there were.

    ``looked_at``: when causes were looked at last. ``known_at``: when it was last known what is in ClickHouse, or asked
    for the first time.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    looked_at: datetime | None = None
    known_at: datetime | None = None

    def with_entry(self, key: str, entry: Entry) -> Memory:
        return replace(self, entries={**self.entries, key: entry})


def until(memory: Memory, now: datetime) -> Memory:
    """The same with no instant later than ``now``: a clock that was ahead for a while has not told the future."""

    def earlier(one: Any) -> Any:  # noqa: ANN401 -- an entry or a memory
        return {
            name: min(value, now)
            for name in (known.name for known in fields(one))
            if isinstance(value := getattr(one, name), datetime)
        }

    entries = {key: replace(entry, **earlier(entry)) for key, entry in memory.entries.items()}
    return replace(memory, entries=entries, **earlier(memory))


def shortened(cause: Cause) -> Cause:
    """A cause with parts that are short enough to be remembered. A command is whole, or it would do something else."""
    cut = {name: getattr(cause, name)[:CHARACTERS] for name in ("what", "whom", "doing", "to_do")}
    return replace(cause, **cut, error="", disagreeing=())


def as_document(memory: Memory) -> dict[str, Any]:
    """The memory as JSON takes it."""
    return {
        "version": VERSION,
        "channels": list(memory.channels),
        "looked_at": _plain(memory.looked_at),
        "known_at": _plain(memory.known_at),
        "entries": [_entry_as_dict(entry) for entry in memory.entries.values()],
    }


def from_document(document: Mapping[str, Any]) -> Memory:
    """What `as_document` has written.

    Raises:
        ValueError: it is of another version.
        KeyError, TypeError: it is no such document.
    """
    if document["version"] != VERSION:
        raise ValueError(f"it is of version {document['version']}, and this code writes version {VERSION}")
    entries = [_entry(one) for one in document["entries"]]
    return Memory(
        {entry.cause.key: entry for entry in entries},
        tuple(document["channels"]),
        _instant(document["looked_at"]),
        _instant(document["known_at"]),
    )


def _entry_as_dict(entry: Entry) -> dict[str, Any]:
    cause = asdict(entry.cause)
    own = {one.name: _plain(getattr(entry, one.name)) for one in fields(entry) if one.name != "cause"}
    return {**own, "cause": {name: _plain(value) for name, value in cause.items() if name not in _FORGOTTEN}}


def _entry(written: Mapping[str, Any]) -> Entry:
    cause = written["cause"]
    whole = Cause(
        **{
            **cause,
            "state": State(cause["state"]),
            "since": _instant(cause["since"]),
            "tables": tuple(cause["tables"]),
            "checks": frozenset(map(Check, cause["checks"])),
            "days": tuple(map(date.fromisoformat, cause.get("days", ()))),
            "teams": tuple(cause.get("teams", ())),
        }
    )
    instants = {name: _instant(value) for name, value in written.items() if name.endswith("_at")}
    kind, state = written["kind"], written["state"]
    return Entry(
        **{
            **written,
            **instants,
            "cause": whole,
            "kind": Kind(kind) if kind is not None else None,
            "state": State(state) if state is not None else None,
            "days": frozenset(map(date.fromisoformat, written.get("days", ()))),
            "teams": frozenset(teams) if (teams := written.get("teams")) is not None else None,
            "checks": frozenset(map(Check, written.get("checks", ()))),
        }
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 -- as JSON takes it
    if isinstance(value, frozenset | tuple):
        return [_plain(one) for one in sorted(value)]
    return value.isoformat() if isinstance(value, date) else value


def _instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value is not None else None
