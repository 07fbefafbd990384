"""Which tables of backfills and loads nobody needs any more.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.days import ONE_DAY, start_of
from dags.health.facts import LeftBehind
from dags.publish.backup import backup_name
from dags.sources.loads.names import prefixes_of
from dags.work.audit.log import FINISHED, MANAGED, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime, timedelta

    from dags.work.audit.store import Row

_SWEEPS = "sweep_backups_job at 03:00 UTC"


def backups_left(until: Mapping[str, date], works: Sequence[Row], today: date) -> tuple[LeftBehind, ...]:
    """Backups whose time is over, of backfills that are over too, or that nobody knows."""
    unfinished = {
        backup_name(row.work_id, row.work.subject)
        for row in works
        if row.work.kind == MANAGED and row.status not in FINISHED
    }
    return tuple(
        LeftBehind(name, "backup", start_of(last + ONE_DAY), _SWEEPS)
        for name, last in until.items()
        if last < today and name not in unfinished
    )


def landings_left(written: Mapping[str, datetime], works: Sequence[Row], kept: timedelta) -> tuple[LeftBehind, ...]:
    """What landed of loads that are over, or that nobody knows. Of one that failed it is kept for a while.

    ``written``: the tables, each with when something was last written into it.
    """
    found = []
    for name, last in written.items():
        row = next((row for row in works if name.startswith(tuple(prefixes_of(row.work_id)))), None)
        if row is not None and row.status not in FINISHED:
            continue
        over = row.completed_at if row is not None and row.completed_at is not None else last
        since = over + kept if row is not None and row.status == Status.FAILED else over
        found.append(LeftBehind(name, "landing", since, _SWEEPS))
    return tuple(found)
