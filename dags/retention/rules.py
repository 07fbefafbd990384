"""Which ended runs must stay though their time is over, and which pieces of work are over.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.work.audit.log import FINISHED, RESUMABLE, UNFINISHED, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime


class Stays(StrEnum):
    """Why a run stays though its time is over: without it something would be answered otherwise."""

    NEWEST = "the newest event of an asset, a day of it or a check is theirs"
    WORK = "work that is not over, or has a backup, is theirs"
    BACKFILL = "a backfill of Dagster's that is not over launched them"
    AGAIN = "a run that stays does them again"
    UNKNOWN = "launched by a code location, and a terminal does not know which is this one's: the schedule does"


@dataclass(frozen=True)
class Ended:
    """A run that ended before the cutoff. ``before`` are the runs that it does again: its parent, and the first."""

    run_id: str
    is_newest: bool = False
    before: frozenset[str] = frozenset()
    backfill: str = ""


def staying(
    ended: Iterable[Ended],
    again_by: Mapping[str, Collection[str]],
    in_use: Collection[str],
    open_backfills: Collection[str],
) -> dict[str, Stays]:
    """Which of the runs stay, and why. ``again_by``: by run, those that do it again, whenever these ended.

    What does a run again and is forgotten with it keeps nothing; a run that stays keeps those that it does again, for
    Dagster shows them as one.
    """
    runs = {run.run_id: run for run in ended}
    found: dict[str, Stays] = {}
    for run in runs.values():
        if run.is_newest:
            found[run.run_id] = Stays.NEWEST
        elif run.run_id in in_use:
            found[run.run_id] = Stays.WORK
        elif run.backfill in open_backfills:
            found[run.run_id] = Stays.BACKFILL
        elif any(other not in runs for other in again_by.get(run.run_id, ())):
            found[run.run_id] = Stays.AGAIN
    todo = list(found)
    while todo:
        for before in runs[todo.pop()].before:
            if before in runs and before not in found:
                found[before] = Stays.AGAIN
                todo.append(before)
    return found


# Of every kind with a plan a person may go on with it; what landed of a load that failed is told by its log.
_GONE_ON_WITH = UNFINISHED | RESUMABLE


@dataclass(frozen=True)
class WorkFacts:
    """A piece of work as far as it matters here. ``last_at`` is when anything happened to it last.

    ``was_completed``: it has ever ended so, whatever happened to it since.
    """

    work_id: str
    kind: str
    subject: str
    first_step: str
    status: str
    last_at: datetime
    was_completed: bool
    run_ids: Sequence[str] = field(default=())

    def is_in_use(self, *, has_backup: bool) -> bool:
        """Whether somebody may go on with it, or take it back: its runs stay, and what the ledger says of them."""
        return has_backup or self.status in _GONE_ON_WITH

    def is_over(self, before: datetime, *, has_backup: bool, traces_rows: Collection[str]) -> bool:
        """Whether it can be forgotten: nothing has happened to it since, and nothing refers to it; see `why_kept`."""
        return self.last_at < before and not self.why_kept(has_backup=has_backup, traces_rows=traces_rows)

    def why_kept(self, *, has_backup: bool, traces_rows: Collection[str]) -> str:
        """Why it is kept, however long ago it was; empty where nothing refers to it.

        ``traces_rows``: the kinds whose log is how rows are found that it brought, and up to where the next one of
        them begins. Of these only what was given up is kept for nothing: its rows are taken out, and it has left no
        mark.
        """
        if has_backup:
            return "it has a backup"
        if self.status not in FINISHED:
            return "it is not over"
        given_up = self.status in (Status.CANCELLED, Status.DELETED) and not self.was_completed
        return "" if given_up or self.kind not in traces_rows else "the rows that it brought are found by it"
