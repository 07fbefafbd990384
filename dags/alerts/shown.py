"""Shows what people were told: each open cause, when it was told and to how many channels, and what is muted.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from dags.alerts.memory import OVER, Entry, Kind
from dags.alerts.mutes import is_muted
from dags.domain.text import WIDTH, counted, wrapped
from dags.health.report import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dags.alerts.memory import Memory
    from dags.alerts.mutes import Mute

# What a cause's status says, for who reads it the first time.
STATUS = {
    "told": "people were told, and it needs them",
    "repairing": "people were told, and now it is being repaired: you hear when it is over",
    "seen": "nobody is told yet: it may pass within ten minutes",
    "muted": "nobody is told while a mute has it",
    "not seen": "it is not there now, and may come back: you hear that it is over if it does not",
    "over": "people were told that it is over",
}

_LABEL = 10


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
    """The same for people: what is open, then what is over and may come back, mutes, and what the words mean."""
    looked = (
        f"known as of {shown['known_at'][:16].replace('T', ' ')} UTC" if shown["known_at"] else "never looked at yet"
    )
    counts = f"{counted(sum(one['status'] == 'told' for one in shown['alerts']), 'cause')} told and open"
    parts = [wrapped(f"ALERTS   {counts}; {counted(shown['channels'], 'channel')}; {looked}")]
    alerts = sorted(shown["alerts"], key=lambda one: [*STATUS].index(one["status"]))
    parts += ["\n".join(_of_alert(one, shown["channels"])) for one in alerts]
    parts += [
        _line("MUTED", f"{one['key']} until {_minute(one['until'])} UTC, by {one['requested_by']}: {one['reason']}")
        for one in shown["mutes"]
    ]
    if alerts:
        said = dict.fromkeys(one["status"] for one in alerts)
        parts.append("\n".join(_line(status, words) for status, words in STATUS.items() if status in said))
    return "\n\n".join(parts)


def _of_alert(one: dict[str, Any], channels: int) -> list[str]:
    """A cause: its status and what it is, then its key, by which it is muted, and how far people have heard of it."""
    told = f"told {_minute(one['told_at'])} UTC" if one["told_at"] else "told to nobody"
    over = f"over {_minute(one['over_at'])} UTC" if one["over_at"] else ""
    took = f"the last message taken by {one['took_it']} of {counted(channels, 'channel')}" if one["told_at"] else ""
    reminded = "reminded of once" if one["is_reminded"] else ""
    return [
        _line(one["status"], one["what"]),
        _line("  key", one["key"], is_whole=True),
        _line("  heard", "; ".join(filter(None, [told, over, reminded, took]))),
    ]


def _line(label: str, text: str, *, is_whole: bool = False) -> str:
    """Somebody's words beside a label, wrapped and never cut. ``is_whole``: people copy it, so no word is broken."""
    lines = textwrap.wrap(printable(text), WIDTH - _LABEL, break_on_hyphens=False, break_long_words=not is_whole)
    return "\n".join(f"{label if not number else '':<{_LABEL}}{line}" for number, line in enumerate(lines or ["-"]))


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
