"""The audit of work that nobody asked for: a run which the planner launched, and one step of one subject that it does.

It has no plan, no lease of its own and nothing to be resumed; its run is all there is to control.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import retrying
from dags.domain.text import of_error
from dags.work.audit.log import AUTOMATIC, Entry, Event, Status, Work
from dags.work.audit.store import Log, read_works

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from clickhouse_connect.driver.client import Client

# What a run says of one subject in the end: rows that were written, and why it is no success; empty if it is one.
Ending = tuple[int, str]


_log = logging.getLogger(__name__)


def automatic(run_id: str, subject: str, step: str) -> Work:
    """What such a run works on. Its id begins as the run's does, and is that of the whole run and subject."""
    whole = hashlib.sha256(f"{run_id} {subject}".encode()).hexdigest()
    return Work(f"auto-{run_id[:8]}-{whole[:12]}", AUTOMATIC, subject, step, step)


@contextmanager
def audited(
    client: Client, run_id: str, subjects: Collection[str], step: str, *, requested_by: str, reason: str
) -> Iterator[Callable[[Mapping[str, Ending]], None]]:
    """Work of a run which the planner launched, on a step of some subjects; the caller says how each has ended.

    Whatever ends it before that, a kill by the UI too, has failed it, and the audit keeps the error's words.
    """
    for subject in subjects:
        begin_automatic(client, run_id, subject, step, requested_by=requested_by, reason=reason)

    def ended(by_subject: Mapping[str, Ending]) -> None:
        for subject in subjects:
            rows, problem = by_subject[subject]
            end_automatic(client, run_id, subject, step, rows=rows, problem=problem)

    try:
        yield ended
    except BaseException as error:
        ended(dict.fromkeys(subjects, (0, of_error(error))))
        raise


def begin_automatic(client: Client, run_id: str, subject: str, step: str, *, requested_by: str, reason: str) -> None:
    """Say that a run which the planner launched begins with a step of a subject."""
    entry = Entry(Event.ACCEPTED, Status.RUNNING, requested_by=requested_by, reason=reason)
    Log(client, automatic(run_id, subject, step), run_id).append(entry)


def end_automatic(client: Client, run_id: str, subject: str, step: str, *, rows: int, problem: str) -> None:
    """Say what became of it. That it cannot be said is no reason to fail what was done."""
    with suppress(ClickHouseError):
        retrying(_log.info)(_end, client, automatic(run_id, subject, step), run_id, rows, problem)


def end_silent_automatic(client: Client, why_by_run: Mapping[str, str]) -> None:
    """Say of runs that the planner launched, and that are over, what they could not say themselves, and why.

    One that has said how it ended is left alone. Their process died, or ClickHouse did not answer in the end.
    """
    for row in read_works(client, kinds=[AUTOMATIC], statuses=[Status.RUNNING]):
        if (why := why_by_run.get(row.run_id)) is not None:
            _end(client, row.work, row.run_id, rows=0, problem=why)


def _end(client: Client, work: Work, run_id: str, rows: int, problem: str) -> None:
    event, status = (Event.STEP_FAILED, Status.FAILED) if problem else (Event.STEP_DONE, Status.COMPLETED)
    Log(client, work, run_id).append(Entry(event, status, work.first_step, rows=rows, payload=problem[:1000]))
