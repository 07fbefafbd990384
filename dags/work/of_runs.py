"""The audit of work that is a run and no more: launched by the planner or by a person, one step of one subject.

It has no plan, no lease of its own and nothing to be resumed; its run is all there is to control.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import retrying
from dags.clickhouse.sql import Cost
from dags.domain.text import of_error
from dags.work.audit.log import AUTOMATIC, DIED, MANUAL, Entry, Event, Status, Work, standing
from dags.work.audit.store import Log, read_unheard, read_works

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.work.audit.log import State

# What a run says of one subject in the end: rows that were written; why it is no success, empty if it is one; and what
# it cost, where that is known.
Ending = tuple[int, str] | tuple[int, str, Cost]


_log = logging.getLogger(__name__)


# By kind, what the id of such a work begins with.
PREFIX = {AUTOMATIC: "auto", MANUAL: "build"}


def of_run(kind: str, run_id: str, subject: str, step: str) -> Work:
    """What such a run works on. Its id begins as the run's does, and is that of the whole run and subject."""
    whole = hashlib.sha256(f"{run_id} {subject}".encode()).hexdigest()
    return Work(f"{PREFIX[kind]}-{run_id[:8]}-{whole[:12]}", kind, subject, step, step)


@dataclass(frozen=True)
class RunWork:
    """A run's work on a step of one subject, of a kind that has no plan; why it is done, and where the audit has it."""

    client: Client
    kind: str
    run_id: str
    subject: str
    step: str
    reason: str = ""

    def begin(self, requested_by: str) -> None:
        """Say that it begins, who launched it and why."""
        self._log.append(Entry(Event.ACCEPTED, Status.RUNNING, requested_by=requested_by, reason=self.reason))

    def end(self, rows: int, problem: str, cost: Cost | None = None) -> None:
        """Say what became of it. That it cannot be said is no reason to fail what was done."""
        with suppress(ClickHouseError):
            retrying(_log.info)(self._log.append, _end(self.step, rows, problem, cost))

    @property
    def _log(self) -> Log:
        return Log(self.client, of_run(self.kind, self.run_id, self.subject, self.step), self.run_id)


@contextmanager
def audited(works: Sequence[RunWork], *, requested_by: str) -> Iterator[Callable[[Mapping[str, Ending]], None]]:
    """Work of a run on some subjects; the caller says how each has ended.

    Whatever ends it before that, a kill by the UI too, has failed it, and the audit keeps the error's words.
    """
    for work in works:
        work.begin(requested_by)

    said = set[str]()

    def ended(by_subject: Mapping[str, Ending]) -> None:
        for work in works:
            if work.subject not in said:
                # Before it is: an end that may be there is not written over by what fails after it.
                said.add(work.subject)
                work.end(*by_subject[work.subject])

    try:
        yield ended
    except BaseException as error:
        ended({work.subject: (0, of_error(error)) for work in works})
        raise


def end_silent(client: Client, why_by_run: Mapping[str, str]) -> None:
    """Say of runs that are over what they could not say themselves, and why.

    One that has said how it ended is left alone. Their process died, or ClickHouse did not answer in the end. Work that
    has a plan is then what lists say of it already: interrupted, or what was asked of it last; half taken back, it
    stays so.
    """
    for row in read_works(client, statuses=[Status.RUNNING, Status.ROLLING_BACK]):
        if (why := why_by_run.get(row.run_id)) is None:
            continue
        log = Log(client, row.work, row.run_id)
        if row.work.kind in PREFIX:
            log.append(_end(row.work.first_step, 0, why))
        elif (state := log.read()) is not None and _is_open(state, row.run_id):
            unheard = read_unheard(client, row.work_id).get(row.work_id, "")
            status = standing(state.status, unheard, is_at_work=False)
            log.append(Entry(Event.ENDED, status, name=DIED, payload=why))


def _is_open(state: State, run_id: str) -> bool:
    """Whether the last that is known of work as a whole is that this run began on it."""
    [*_, last] = [entry for entry in state.entries if entry.event in (Event.ACCEPTED, Event.STARTED, Event.ENDED)]
    return last.event == Event.STARTED and last.run_id == run_id


def _end(step: str, rows: int, problem: str, cost: Cost | None = None) -> Entry:
    event, status = (Event.STEP_FAILED, Status.FAILED) if problem else (Event.STEP_DONE, Status.COMPLETED)
    spent = cost or Cost()
    return Entry(
        event,
        status,
        step,
        rows=rows,
        rows_read=spent.rows_read or 0,
        bytes_read=spent.bytes_read or 0,
        seconds=spent.seconds,
        payload=problem[:1000],
    )
