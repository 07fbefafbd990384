"""Tells each channel what is due, and keeps what it took as soon as it took it.

Kept at once and not at the end of a tick: the daemon gives up a tick after 60 s, and what such a one had told would be
told again by the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.alerts.deliver import deliver
from dags.alerts.messages import messages
from dags.alerts.rules import due, taken
from dags.alerts.store import write_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from dagster import DagsterInstance

    from dags.alerts.channels import Channel
    from dags.alerts.deliver import Outcome
    from dags.alerts.memory import Entry, Memory
    from dags.settings import Settings


def tell(
    instance: DagsterInstance,
    settings: Settings,
    channels: Sequence[Channel],
    memory: Memory,
    *,
    is_muted: Callable[[str], bool],
    now: datetime,
) -> tuple[Outcome, ...]:
    """What came of every message that was due."""
    dsn, open_now = settings.clickhouse_dsn, needing(memory)
    asked = {
        channel: messages(entries, open_now=open_now, where=str(dsn), now=now)
        for name, entries in due(memory, is_muted).items()
        for channel in channels
        if channel.id == name
    }
    outcomes = []
    for outcome in deliver(asked) if asked else ():
        outcomes.append(outcome)
        if not outcome.why:
            memory = taken(memory, outcome.channel.id, outcome.message.of)
            write_memory(instance, dsn.mark, memory)
    return tuple(outcomes)


def needing(memory: Memory) -> tuple[Entry, ...]:
    """What people were told of and needs them now."""
    return tuple(
        entry
        for entry in memory.entries.values()
        if entry.is_open and entry.gone_at is None and entry.cause.needs_a_person
    )


def untold(outcomes: Iterable[Outcome]) -> dict[Channel, str]:
    """The channels that did not take everything, with why."""
    return {one.channel: one.why for one in outcomes if one.why}
