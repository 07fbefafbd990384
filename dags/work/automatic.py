"""The audit of work that nobody asked for: a run which the planner launched, and one step of one subject that it does.

It has no plan, no lease of its own and nothing to be resumed; its run is all there is to control.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.work.audit.log import AUTOMATIC, Entry, Event, Status, Work
from dags.work.audit.store import Log, read_works

if TYPE_CHECKING:
    from collections.abc import Collection

    from clickhouse_connect.driver.client import Client


def automatic(run_id: str, subject: str, step: str) -> Work:
    """What such a run works on. Its id begins as the run's does, and is that of the whole run and subject."""
    whole = hashlib.sha256(f"{run_id} {subject}".encode()).hexdigest()
    return Work(f"auto-{run_id[:8]}-{whole[:12]}", AUTOMATIC, subject, step, step)


def begin_automatic(client: Client, run_id: str, subject: str, step: str, *, requested_by: str, reason: str) -> None:
    """Say that a run which the planner launched begins with a step of a subject."""
    entry = Entry(Event.ACCEPTED, Status.RUNNING, requested_by=requested_by, reason=reason)
    Log(client, automatic(run_id, subject, step), run_id).append(entry)


def end_automatic(client: Client, run_id: str, subject: str, step: str, *, rows: int, problem: str) -> None:
    """Say what became of it. That it cannot be said is no reason to fail what was done."""
    with suppress(ClickHouseError):
        _end(client, automatic(run_id, subject, step), run_id, rows, problem)


def end_dead_automatic(client: Client, run_ids: Collection[str], why: str) -> None:
    """Say of runs that the planner launched, and that died at work, what they cannot say themselves."""
    for row in read_works(client, kinds=[AUTOMATIC], statuses=[Status.RUNNING]):
        if row.run_id in run_ids:
            with suppress(ClickHouseError):
                _end(client, row.work, row.run_id, rows=0, problem=why)


def _end(client: Client, work: Work, run_id: str, rows: int, problem: str) -> None:
    event, status = (Event.STEP_FAILED, Status.FAILED) if problem else (Event.STEP_DONE, Status.COMPLETED)
    Log(client, work, run_id).append(Entry(event, status, work.first_step, rows=rows, payload=problem[:1000]))
