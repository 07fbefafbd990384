"""Decides what to tell, to whom and when: of the causes as they are now, and of what was told of them before.

Pure: no clock, no database, no Dagster. A cause is told once, whatever its runs and ticks do; once more where it has
become worse; once more after hours that a setting gives; and once that it is over. What repairs itself within its
target is never told. Each channel is looked at by itself: what one took it does not get again, and what it could not
take it gets at the next tick, in the words that are true by then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.alerts.memory import OVER, Entry, Kind, Memory, shortened
from dags.health.causes import Check, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from dags.health.causes import Cause

# A cause is told when it is there for so long: a server that starts again, a name that is not resolved for a moment, or
# sensors that have not ticked yet since the daemon was started, are nobody's concern. Chosen: two ticks of the sensor.
LASTS = timedelta(minutes=10)

# A cause that comes back within this is the same one, so that it is not told again. Chosen: three ticks of the sensor.
HOLD = timedelta(minutes=15)

# One that comes and goes in larger steps is held twice as long each time, up to this; and one that has been over for so
# long begins anew.
LONGEST_HOLD = timedelta(days=1)

# What is so many times as large as when it was told has become worse.
GROWN = 4

# What has spread to days or teams of which nobody was told is told so much later, lest each of many be told alone; and
# twice as long after each time, up to a day.
SPREADS = timedelta(hours=6)

# A day that is so young and was right for nobody yet is one more of what fails anyway. Chosen: attempts, or the target
# of repair, call somebody two or three days after a day's end.
ORDINARY = timedelta(days=4)

# A channel that takes nothing for so long hears no more of what is over.
GIVEN_UP = timedelta(days=7)

# The daemon evaluates these, so where it does not live nothing is known of them.
_DAEMON, _BY_DAEMON = "daemon", ("sensor:", "schedule:")

# A day that is wrong is of one of these, and goes over from one to another.
_GAPS = frozenset({"gap:repaired", "gap:disagrees", "gap:fails", "gap:waits"})

# What a cause fails by which teams are behind, and nothing else.
_BEHIND = frozenset({Check.FRESH})


@dataclass(frozen=True)
class Look:
    """All causes as they are ``now``; the ids of the channels there are; and by which rules.

    ``reminder``: how long after it was told a cause that still needs a person is told once more; None for never.
    ``is_muted`` says of a cause's key whether nothing is to be told of it but that it is over. What it still is when
    that ends is told then.
    """

    causes: Sequence[Cause]
    now: datetime
    channels: Sequence[str]
    reminder: timedelta | None
    is_muted: Callable[[str], bool]


def judged(memory: Memory, look: Look) -> Memory:
    """The memory after a look at all causes, in which `due` finds what to tell."""
    by_key = {cause.key: cause for cause in look.causes}
    was_away = memory.looked_at is None or look.now - memory.looked_at > HOLD
    came = set(look.channels) - set(memory.channels)
    entries: dict[str, Entry] = {}
    for key in dict.fromkeys((*memory.entries, *by_key)):
        before, cause = memory.entries.get(key), by_key.get(key)
        if before is not None and before.kind is Kind.OVER:
            # To a channel that is new, what is over already is no news.
            before = replace(before, heard={**dict.fromkeys(came, OVER), **before.heard})
        if cause is not None and cause.needs_a_person:
            missed = memory.looked_at if was_away else None
            after: Entry | None = _needing(_there(before, cause, look.now, missed), look)
        else:
            after = _without(before, cause, look) if before is not None else None
        if after is not None:
            entries[key] = after
    return Memory(entries, tuple(look.channels), look.now, memory.known_at)


def _there(entry: Entry | None, cause: Cause, now: datetime, missed: datetime | None) -> Entry:
    """It is there. Where nobody has looked since ``missed``, as when the daemon was dead, it may have been gone
    meanwhile: what was not told yet must last from now on, but once: all looks may be that far apart.
    """
    if entry is None:
        return Entry(shortened(cause), now)
    is_older = missed is not None and entry.seen_at is not None and entry.seen_at < missed
    begins = entry.seen_at is None or (is_older and not entry.is_open)
    return replace(entry, cause=shortened(cause), seen_at=now if begins else entry.seen_at, gone_at=None)


def _needing(entry: Entry, look: Look) -> Entry:
    """Of a cause that needs a person: whether there is something new to tell."""
    cause, now = entry.cause, look.now
    if look.is_muted(cause.key):
        return entry
    entry = _as_known(entry, now)
    if not entry.is_open:
        return _begun(entry, now) if entry.seen_at is not None and now - entry.seen_at >= LASTS else entry
    is_graver = entry.state is State.UNKNOWN and cause.state is State.NEEDS_YOU
    if is_graver or cause.size >= GROWN * entry.size > 0 or _has_spread(entry, now):
        return _said(entry, Kind.WORSE, now)
    is_due = look.reminder is not None and entry.told_at is not None and now - entry.told_at >= look.reminder
    return replace(_said(entry, Kind.REMINDER, now), is_reminded=True) if is_due and not entry.is_reminded else entry


def _begun(entry: Entry, now: datetime) -> Entry:
    """To be told. Who was not reached when it was over before still takes it for open, and hears nothing now."""
    is_back = entry.kind is Kind.OVER
    begun = replace(
        entry,
        number=0,
        told_at=now,
        over_at=None,
        state=None,
        size=0,
        is_reminded=False,
        returns=entry.returns + is_back,
        heard={channel: 1 for channel, number in entry.heard.items() if number != OVER},
    )
    return _said(begun, Kind.NEW, now)


def _has_spread(entry: Entry, now: datetime) -> bool:
    """Whether it strikes what it did not when it was told last: another loss behind a known one. ``entry`` is as
    `_as_known` has it.
    """
    cause, said_at = entry.cause, entry.said_at
    if said_at is None:
        return False
    others = cause.checks & _BEHIND > entry.checks & _BEHIND
    if others and entry.number == 1:
        return True
    others |= bool(set(cause.days) - entry.days)
    others |= entry.teams is not None and bool(set(cause.teams) - entry.teams)
    return others and now - said_at >= _doubled(SPREADS, entry.number - 1)


def _ordinary(entry: Entry, now: datetime) -> frozenset[date]:
    """Days that have come since it was told, and were wrong when they were judged first: what fails goes on failing."""
    if entry.said_at is None:
        return frozenset()
    first, oldest = entry.said_at.date() - timedelta(days=1), now.date() - ORDINARY
    return frozenset(day for day in entry.cause.days if day >= first and day >= oldest)


def _as_known(entry: Entry, now: datetime) -> Entry:
    """With what people know to be wrong and is so still: what was mended meanwhile is news when it is lost again.

    What an earlier version told it told of what is there now, for nobody knows better.
    """
    cause = entry.cause
    if not entry.is_open:
        return entry
    if entry.said_at is None:
        return replace(
            entry,
            said_at=entry.told_at or now,
            days=frozenset(cause.days),
            teams=frozenset(cause.teams) or None,
            checks=cause.checks,
        )
    teams = entry.teams
    if cause.teams:
        teams = frozenset(cause.teams) if teams is None else teams & set(cause.teams)
    days = entry.days & set(cause.days) | _ordinary(entry, now)
    return replace(entry, days=days, teams=teams, checks=entry.checks & cause.checks)


def _said(entry: Entry, kind: Kind, now: datetime) -> Entry:
    cause = entry.cause
    return replace(
        entry,
        kind=kind,
        number=entry.number + 1,
        state=entry.state if entry.state is State.NEEDS_YOU else cause.state,
        size=max(entry.size, cause.size),
        said_at=now,
        days=frozenset(cause.days),
        teams=frozenset(cause.teams) or None,
        checks=cause.checks,
    )


def _without(entry: Entry, cause: Cause | None, look: Look) -> Entry | None:
    """Of a cause that needs nobody now, or is not there: whether that is more than a break."""
    now = look.now
    if entry.seen_at is None:
        return _at_rest(entry, look)
    if cause is not None and cause.state is State.REPAIRING and entry.is_open:
        return replace(entry, cause=shortened(cause), gone_at=None)
    if any(still(entry.cause, look.causes) for still in (_is_hidden, _is_explained, _is_moved)):
        return replace(entry, gone_at=now)
    gone_at = entry.gone_at or now
    if now - gone_at < (hold(entry.returns) if entry.is_open else LASTS):
        return replace(entry, gone_at=gone_at)
    if entry.is_open:
        return replace(entry, seen_at=None, gone_at=gone_at, kind=Kind.OVER, over_at=now)
    return replace(entry, seen_at=None, gone_at=None) if entry.kind is Kind.OVER else None


def _at_rest(entry: Entry, look: Look) -> Entry | None:
    """What is over is remembered as long as it may come back, or somebody is to hear of it."""
    age = look.now - (entry.over_at or look.now)
    is_heard = all(entry.heard.get(channel) == OVER for channel in look.channels)
    return None if age >= GIVEN_UP or (is_heard and age >= LONGEST_HOLD) else entry


def hold(returns: int) -> timedelta:
    """How long a cause must be gone until it is over: twice as long for each time that it came back."""
    return _doubled(HOLD, returns)


def _doubled(first: timedelta, times: int) -> timedelta:
    return min(first * (1 << min(times, 10)), LONGEST_HOLD)


def _is_hidden(cause: Cause, causes: Iterable[Cause]) -> bool:
    """Whether it may be there and is not seen: what it would be seen by could not be read."""
    return any(
        (one.key == _DAEMON and cause.key.startswith(_BY_DAEMON))
        or (one.state is State.UNKNOWN and _may_hide(one, cause))
        for one in causes
    )


def _is_explained(cause: Cause, causes: Iterable[Cause]) -> bool:
    """Whether it is there and no cause of its own any more: teams are behind, and another cause says why."""
    return cause.checks == _BEHIND and any(one.needs_a_person and cause.checks < one.checks for one in causes)


def _is_moved(cause: Cause, causes: Iterable[Cause]) -> bool:
    """Whether days that it was of may be wrong for another reason now, which is no end."""
    return cause.key in _GAPS and any(one.key in _GAPS and _share_tables(one, cause) for one in causes)


def _may_hide(unknown: Cause, cause: Cause) -> bool:
    return _share_tables(unknown, cause) and (not cause.checks or bool(unknown.checks & cause.checks))


def _share_tables(one: Cause, other: Cause) -> bool:
    """Whether both may be of one table; a cause that names none may be of any."""
    return not (one.tables and other.tables) or not set(one.tables).isdisjoint(other.tables)


def due(memory: Memory, is_muted: Callable[[str], bool]) -> Mapping[str, tuple[Entry, ...]]:
    """What each channel is to be told now: what it has not taken yet, the most pressing first.

    Of a cause that is not seen, or is being repaired again, nothing is told until that is over.
    """
    found = {
        channel: tuple(
            entry
            for key, entry in memory.entries.items()
            if (_is_over(entry, channel) if entry.kind is Kind.OVER else _is_open(entry, channel) and not is_muted(key))
        )
        for channel in memory.channels
    }
    return {channel: tuple(sorted(entries, key=_pressing)) for channel, entries in found.items() if entries}


def _is_over(entry: Entry, channel: str) -> bool:
    return entry.seen_at is None and entry.heard.get(channel) != OVER


def _is_open(entry: Entry, channel: str) -> bool:
    is_seen = entry.cause.needs_a_person and entry.gone_at is None
    return entry.is_open and is_seen and entry.heard.get(channel, OVER) < entry.number


def _pressing(entry: Entry) -> tuple[bool, int, str]:
    return entry.kind is Kind.OVER, [*State].index(entry.cause.state), entry.cause.key


def taken(memory: Memory, channel: str, told: Iterable[Entry]) -> Memory:
    """The memory after a channel took what was told of these."""
    for entry in told:
        key = entry.cause.key
        number = OVER if entry.kind is Kind.OVER else entry.number
        memory = memory.with_entry(
            key, replace(memory.entries[key], heard={**memory.entries[key].heard, channel: number})
        )
    return memory
