"""Backfills in a list: as a table for people, and for programs as the rows of ``backfill_log``.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dags.domain.text import table_text, wrapped
from dags.managed_backfill.log import days_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dags.work.audit.log import State
    from dags.work.audit.store import Row


def listed_text(rows: Sequence[Row]) -> str:
    if not rows:
        return "No backfill."
    cells = [
        (
            row.work_id,
            row.work.subject,
            str(days_of(row.work)),
            row.status,
            row.rows,
        )
        for row in rows
    ]
    return table_text(cells, ("backfill", "table", "days", "status", "rows"))


def as_dict(row: Row) -> dict[str, Any]:
    """A row of the audit, for programs."""
    return {
        "backfill_id": row.work_id,
        "table_name": row.work.subject,
        "start_date": row.work.first_step,
        "end_date": row.work.last_step,
        "status": row.status,
        "rows_affected": row.rows,
        "started_at": row.started_at.isoformat(),
        "completed_at": row.completed_at.isoformat() if row.completed_at else None,
        "origin": row.work.kind,
        "requested_by": row.requested_by,
        "reason": row.reason,
    }


def automatic_text(state: State) -> str:
    """One that the planner launched: it has no plan of its own."""
    work = state.work
    lines = [f"{state.status.upper():<9} {work.work_id}: {work.subject} of {work.first_step}"]
    lines += [f"REASON    {state.accepted.reason}"]
    lines += [f"FAILED    {entry.payload}" for entry in state.failed.values()]
    return "\n".join(wrapped(line, indent=10) for line in lines)
