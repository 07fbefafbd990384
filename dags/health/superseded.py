"""Whether work that failed was done since by another, so that nobody needs to look at it any more.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.work.audit.log import MANAGED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dags.health.facts import Done


def is_done_since(failed: Done, done: Iterable[Done]) -> bool:
    """Whether one of those that were completed came later and did all of it.

    A managed backfill does if it is of the same table and has all of its days. Of loads nobody knows which rows one
    brings, but where the same timetable asked for both; whoever asked by hand deletes what failed, or goes on with it.
    """
    return any(
        one.kind == failed.kind
        and one.subject == failed.subject
        and one.asked_at > failed.asked_at
        and (
            one.first_step <= failed.first_step and one.last_step >= failed.last_step
            if failed.kind == MANAGED
            else failed.is_scheduled and one.requested_by == failed.requested_by
        )
        for one in done
    )
