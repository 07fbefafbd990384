"""What ends a run between two chunks: what people ask of it, the switch, and the ceilings of its plan.

A run obeys every pause that came after its own order to go on, which is when its Dagster run was launched: it may wait
in the queue for hours, or for its process to begin, and whoever asks for a pause meanwhile finds nobody at work. And it
obeys every cancel, whenever that was asked for.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.work.audit.log import Ask, Event, Status, outranking, overruled

if TYPE_CHECKING:
    from datetime import datetime

    from dags.work.audit.log import State
    from dags.work.audit.store import Log
    from dags.work.plan import Ceilings


@dataclass(frozen=True)
class Ended:
    """What the work is from now on, and why, in words; empty where nothing needs to be said.

    ``name`` is `STOPPED` where nobody asked that of this very work.
    """

    status: Status
    words: str = ""
    name: str = ""

    def in_place_of(self, end: Ended) -> Ended:
        """What was asked for while it came to that end; the words of both, for nothing else keeps those."""
        return Ended(self.status, "; ".join(filter(None, (self.words, end.words))))


@dataclass(frozen=True)
class Orders:
    """What people ask of one run, whose own order was given at ``ordered_at`` by ClickHouse's clock."""

    log: Log
    ordered_at: datetime
    _overruled: frozenset[Ask] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_overruled", overruled(self.log.asks(), self.ordered_at))

    def of(self, log: Log) -> Orders:
        """The same orders, asked through another log of the same work, as of a client of another thread."""
        other = copy(self)
        object.__setattr__(other, "log", log)
        return other

    def heard(self) -> Ended | None:
        """What it has to become, and who asks for it; events are only added, so each new one is heard at once."""
        ask = outranking(one for one in self.log.asks() if one not in self._overruled)
        return Ended(ask.status, f"asked by {ask.requested_by}: {ask.reason}") if ask is not None else None


def source_rows_read(state: State, run_id: str) -> int:
    """How many source rows a run has read, for steps that failed as well: what fails may cost as much."""
    over = (Event.STEP_DONE, Event.STEP_FAILED)
    return sum(entry.source_rows for entry in state.entries if entry.run_id == run_id and entry.event in over)


def ceiling_reached(ceilings: Ceilings, source_rows: int, seconds: float) -> str:
    """Which ceiling of the plan a run has come to, in words; empty if none."""
    if ceilings.source_rows is not None and source_rows >= ceilings.source_rows:
        return f"{source_rows:,} source rows were read, the plan's ceiling is {ceilings.source_rows:,}: resume it"
    if ceilings.seconds is not None and seconds >= ceilings.seconds:
        return f"{seconds:.0f} s have passed, the ceiling is {ceilings.seconds} s: resume it"
    return ""
