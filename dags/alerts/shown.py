"""Shows what people were told: each open cause, when it was told and to how many channels, and what is muted.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dags.alerts.memory import OVER, Entry, Kind
from dags.alerts.mutes import is_muted
from dags.domain.text import WIDTH, counted, table_text, wrapped
from dags.health.report import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dags.alerts.memory import Memory
    from dags.alerts.mutes import Mute

# What a cause's row takes beside its key and its words: status, when it was told, by how many channels, blanks.
_OTHER_COLUMNS = 9 + 16 + 8 + 4

# So many characters of a cause's words there are room for at least.
_LEAST = 20


def as_dict(memory: Memory, mutes: Sequence[Mute], channels: Sequence[str], now: datetime) -> dict[str, Any]:
    """Everything, as JSON takes it. ``channels``: the ids of those there are."""
    return {
        "known_at": _iso(memory.known_at),
        "channels": len(channels),
        "alerts": [
            {
                "key": key,
                "status": _status(entry, is_quiet=is_muted(mutes, key, now)),
                "what": entry.cause.what,
                "seen_since": _iso(entry.seen_at),
                "told_at": _iso(entry.told_at),
                "over_at": _iso(entry.over_at),
                "is_reminded": entry.is_reminded,
                "took_it": sum(_has_heard(entry, channel) for channel in channels),
            }
            for key, entry in sorted(memory.entries.items())
        ],
        "mutes": [
            {"key": one.key, "until": one.until.isoformat(), "requested_by": one.requested_by, "reason": one.reason}
            for one in mutes
            if now < one.until
        ],
    }


def as_text(shown: dict[str, Any]) -> str:
    """The same for people: a table of what is open, of what is over and may come back, and of mutes."""
    looked = (
        f"known as of {shown['known_at'][:16].replace('T', ' ')} UTC" if shown["known_at"] else "never looked at yet"
    )
    counts = f"{counted(sum(one['status'] == 'told' for one in shown['alerts']), 'cause')} told and open"
    parts = [wrapped(f"ALERTS   {counts}; {counted(shown['channels'], 'channel')}; {looked}")]
    if shown["alerts"]:
        room = max(_LEAST, WIDTH - _OTHER_COLUMNS - max(len(one["key"]) for one in shown["alerts"]))
        rows = [
            (
                one["key"],
                one["status"],
                printable(one["what"])[:room],
                _minute(one["told_at"]),
                f"{one['took_it']} of {shown['channels']}",
            )
            for one in shown["alerts"]
        ]
        parts.append(table_text(rows, ("key", "status", "what", "told", "took it")))
    if shown["mutes"]:
        muted = [(one["key"], _minute(one["until"]), one["requested_by"], one["reason"]) for one in shown["mutes"]]
        parts.append(table_text(muted, ("muted", "until", "by", "reason")))
    return "\n\n".join(parts)


def _status(entry: Entry, *, is_quiet: bool) -> str:
    if entry.kind is Kind.OVER and entry.seen_at is None:
        return "over"
    if entry.gone_at is not None:
        return "not seen"
    if entry.is_open:
        return "told" if entry.cause.needs_a_person else "repairing"
    return "muted" if is_quiet else "seen"


def _has_heard(entry: Entry, channel: str) -> bool:
    number = entry.heard.get(channel)
    return number == OVER if entry.kind is Kind.OVER else number is not None and number >= max(entry.number, 1)


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _minute(value: str | None) -> str:
    return value[:16].replace("T", " ") if value else "-"
