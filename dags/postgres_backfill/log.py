"""What the log keeps of a backfill from PostgreSQL beside what it keeps of all work.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from dags.postgres_backfill.compiling import is_query
from dags.sources.loads.log import POSTGRES, LoadEvent
from dags.work.audit.log import Entry, Status, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dags.postgres_backfill.plan import Plan
    from dags.work.audit.log import State


def work_of(work_id: str, plan: Plan) -> Work:
    """The piece of work that a plan is."""
    return Work(work_id, POSTGRES, plan.subject)


def asked_entry(plan: Plan) -> Entry:
    """What `queue_backfill_data` shows of a request; it has no secret, for a plan has none."""
    shown = {
        "pipeline": plan.pipeline,
        "source": "query" if is_query(plan.relation) else "table",
        "table_name": plan.table_name,
        "filter_sql": plan.filter_sql,
    }
    return Entry(LoadEvent.ASKED, payload=json.dumps(shown))


@dataclass(frozen=True)
class Loaded:
    """What of a load has reached the target, by the log: days with their rows, and whether that is all."""

    rows_by_day: Mapping[date, int]
    is_whole: bool

    @classmethod
    def of(cls, state: State) -> Loaded:
        attached: dict[date, int] = {}
        for entry in state.entries:
            if entry.event == LoadEvent.ATTACHED:
                attached[date.fromisoformat(entry.step)] = entry.rows
            elif entry.event == LoadEvent.TAKEN_OUT:
                attached.pop(date.fromisoformat(entry.step), None)
        return cls(attached, any(entry.event == LoadEvent.LOADED for entry in state.entries))


def landed_rows(entries: Iterable[Entry]) -> dict[str, int]:
    """Of each range the rows that had landed when it was told last."""
    found: dict[str, int] = {}
    for entry in entries:
        if entry.event in (LoadEvent.LANDED, "step_done"):
            found[entry.step] = entry.rows
    return found


# What people of the queue call it. What waits for a person to go on with it, failed for who waits for it.
_IN_QUEUE = {
    Status.ACCEPTED: "PENDING",
    Status.PAUSED: "PENDING",
    Status.RUNNING: "EXECUTING",
    Status.COMPLETED: "COMPLETED",
    Status.CANCELLED: "CANCELLED",
}


def in_queue(status: str) -> str:
    """The status of a request in the words of the queue; of what is interrupted, it is that it failed."""
    return _IN_QUEUE.get(Status(status), "FAILED")
