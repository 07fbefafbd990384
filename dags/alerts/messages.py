"""The words of messages: one of each cause, and one of all together where they are many at once.

Pure: no clock, no database, no Dagster. What stands in them may be other people's words, so none of it is taken for a
line's end: a subject is one line, and each part of a body as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.alerts.memory import Entry, Kind
from dags.domain.text import counted
from dags.health.causes import State
from dags.health.report import printable
from dags.health.words import age_in_words, launch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# So many messages are sent at once to a channel; of more, the last is of all the others.
AT_ONCE = 5

# So many causes are named in a message of several.
NAMED = 20

SUBJECT_CHARACTERS = 150

# What begins a mention or a link in the markup of chats, and no address of mail: it is broken by a mark of no width.
_MARKUP = re.compile(r"(?<![\w.])@(?=\w)|<(?=[!@#/])|\](?=\()")


class Tone(StrEnum):
    """How a channel shows a message, where it has colours; by the names that apprise has for them."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"
    INFO = "info"


@dataclass(frozen=True)
class Message:
    """One message; ``of`` are the entries that whoever took it has heard of."""

    subject: str
    body: str
    tone: Tone
    of: tuple[Entry, ...] = ()


def messages(entries: Sequence[Entry], *, open_now: Sequence[Entry], where: str, now: datetime) -> tuple[Message, ...]:
    """What a channel is told at once. ``open_now``: all that needs a person; ``where``: which database it is about."""
    alone = entries if len(entries) <= AT_ONCE else entries[: AT_ONCE - 1]
    made = [_of_one(entry, open_now, where, now) for entry in alone]
    rest = entries[len(alone) :]
    return (*made, *([_of_many(rest, where)] if rest else []))


def trial(where: str) -> Message:
    """What `send_test_alert_job` sends."""
    body = f"Alerts reach this channel. Nothing is the matter by this alone.\n{_lines(where=where)}"
    return Message("TEST: web analytics alerts", body, Tone.INFO)


def _of_one(entry: Entry, open_now: Sequence[Entry], where: str, now: datetime) -> Message:
    if entry.kind is Kind.OVER:
        return _of_the_end(entry, open_now, where)
    cause = entry.cause
    word = "UNKNOWN" if cause.state is State.UNKNOWN else "NEEDS YOU"
    said = {Kind.WORSE: f"{word}, WORSE", Kind.REMINDER: f"STILL {word}"}.get(entry.kind or Kind.NEW, word)
    body = _lines(
        whom=cause.whom,
        since=_since(cause.since or entry.seen_at, now),
        doing=cause.doing,
        cost=cause.cost,
        **{"to do": cause.to_do, "$": cause.commands},
        where=where,
        mute=launch("mute_alert_job", key=f"'{cause.key}'", hours=24, requested_by="$(whoami)", reason="known"),
    )
    last = "" if entry.kind is Kind.REMINDER else "\nYou hear of it again when it is over."
    return Message(
        _subject(said, cause.what),
        f"{_plain(cause.what)}\n{body}{last}",
        Tone.WARNING if cause.state is State.UNKNOWN else Tone.FAILURE,
        (entry,),
    )


def _of_the_end(entry: Entry, open_now: Sequence[Entry], where: str) -> Message:
    cause = entry.cause
    began, ended = cause.since or entry.told_at, entry.gone_at
    body = _lines(
        whom=cause.whom,
        since=f"{began:%Y-%m-%d %H:%M} UTC" if began is not None else "",
        until=f"{ended:%Y-%m-%d %H:%M} UTC" if ended is not None else "",
        where=where,
    )
    still = "".join(f"\n  {_plain(one.cause.what)} ({one.cause.key})" for one in open_now[:NAMED])
    others = f"\nStill open, {counted(len(open_now), 'cause')}:{still}" if open_now else "\nNothing else needs you."
    return Message(_subject("OVER", cause.what), f"{_plain(cause.what)}\n{body}{others}", Tone.SUCCESS, (entry,))


def _of_many(entries: Sequence[Entry], where: str) -> Message:
    """Of many at once: each in a line, and those that have no room are counted."""
    words = {Kind.OVER: "over", Kind.REMINDER: "still", Kind.WORSE: "worse", Kind.NEW: "new"}
    named = "\n".join(
        f"{words[one.kind or Kind.NEW]}: {_plain(one.cause.what)} ({one.cause.key})" for one in entries[:NAMED]
    )
    more = f"\n… and {len(entries) - NAMED:,} more" if len(entries) > NAMED else ""
    are_over = all(one.kind is Kind.OVER for one in entries)
    return Message(
        _subject("OVER" if are_over else "NEEDS YOU", f"{counted(len(entries), 'other cause')}"),
        f"{named}{more}\n{_lines(where=where, **{'$': launch('health_job')})}",
        Tone.SUCCESS if are_over else Tone.FAILURE,
        tuple(entries),
    )


def _subject(word: str, what: str) -> str:
    said = _plain(f"{word}: {what}")
    return said if len(said) <= SUBJECT_CHARACTERS else f"{said[: SUBJECT_CHARACTERS - 2]} …"


def _since(began: datetime | None, now: datetime) -> str:
    return f"{began:%Y-%m-%d %H:%M} UTC, {age_in_words(now - began)} ago" if began is not None else ""


def _lines(**parts: str | Sequence[str]) -> str:
    """Each part in a line, with its label; of several in one part each."""
    lines = ((label, text) for label, part in parts.items() for text in ([part] if isinstance(part, str) else part))
    return "\n".join(f"{label}: {_plain(text)}" for label, text in lines if text)


def _plain(text: str) -> str:
    """Somebody's words, in which nothing calls anybody and no word hides a link, whatever markup a channel takes."""
    return _MARKUP.sub(lambda found: f"{found[0]}\u200b", printable(text))
