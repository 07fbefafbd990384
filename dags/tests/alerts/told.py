"""Causes as they come and go, and channels that take what they are told or do not: for tests of the rules."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dags.alerts.memory import Memory, as_document, from_document
from dags.alerts.rules import Look, due, judged, taken
from dags.health.causes import Cause, Check, State

if TYPE_CHECKING:
    from collections.abc import Collection

TICK = timedelta(minutes=5)
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)

NEEDS, UNKNOWN, REPAIRING, NOTED = State


def cause(
    key: str = "gap:fails",
    state: State = NEEDS,
    *,
    size: int = 0,
    checks: Collection[Check] = (Check.NO_OLD_GAP,),
    tables: tuple[str, ...] = (),
) -> Cause:
    return Cause(key, state, f"{key} is wrong", "team 7", size=size, checks=frozenset(checks), tables=tables)


@dataclass
class Watch:
    """Ticks of the sensor, one after the other, each in a process of its own: what was told is written and read back.

    ``said`` is what each channel took: when, of which cause, what.
    """

    reminder: timedelta | None = timedelta(hours=24)
    channels: tuple[str, ...] = ("a",)
    now: datetime = BEGIN
    memory: Memory = field(default_factory=Memory)
    said: dict[str, list[tuple[datetime, str, str]]] = field(default_factory=lambda: defaultdict(list))

    def tick(
        self,
        *causes: Cause,
        after: timedelta = TICK,
        dead: Collection[str] = (),
        muted: Collection[str] = (),
    ) -> list[tuple[str, str]]:
        """What channels took at a tick so long after the last: of which cause, what."""
        self.now += after
        look = Look(causes, self.now, self.channels, self.reminder, muted.__contains__)
        self.memory = judged(self.memory, look)
        took = []
        for channel, entries in due(self.memory, muted.__contains__).items():
            if channel not in dead:
                self.memory = taken(self.memory, channel, entries)
                took += [(entry.cause.key, str(entry.kind)) for entry in entries]
                self.said[channel] += [(self.now, entry.cause.key, str(entry.kind)) for entry in entries]
        kept = json.loads(json.dumps(as_document(self.memory)))
        assert from_document(kept) == self.memory
        self.memory = from_document(kept)
        return took

    def ticks(
        self, count: int, *causes: Cause, dead: Collection[str] = (), muted: Collection[str] = ()
    ) -> list[tuple[str, str]]:
        """So many ticks alike."""
        return [one for _ in range(count) for one in self.tick(*causes, dead=dead, muted=muted)]
