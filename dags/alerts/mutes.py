"""Which causes people want to hear nothing of, and until when.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Mute:
    """``key``: a cause's, or of several with ``*`` for what differs, as ``gap:*``. It ends at ``until`` by itself."""

    key: str
    until: datetime
    requested_by: str
    reason: str


def is_muted(mutes: Iterable[Mute], key: str, now: datetime) -> bool:
    """Whether nothing is to be told of a cause now."""
    return any(now < one.until and _has(one.key, key) for one in mutes)


def _has(pattern: str, key: str) -> bool:
    """Whether a key is of a pattern, in which ``*`` alone means something."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), key, re.DOTALL) is not None


def with_mute(mutes: Iterable[Mute], mute: Mute, now: datetime) -> tuple[Mute, ...]:
    """All that hold, with this one in the place of any other of its key; one that ends at once only ends that."""
    return tuple(one for one in (*(one for one in mutes if one.key != mute.key), mute) if now < one.until)


def as_document(mutes: Iterable[Mute]) -> list[dict[str, Any]]:
    """The mutes as JSON takes them."""
    return [{**asdict(one), "until": one.until.isoformat()} for one in mutes]


def from_document(document: Sequence[Mapping[str, Any]]) -> tuple[Mute, ...]:
    """What `as_document` has written.

    Raises:
        KeyError, TypeError, ValueError: it is no such document.
    """
    return tuple(Mute(**{**one, "until": datetime.fromisoformat(one["until"])}) for one in document)
