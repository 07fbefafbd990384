"""Backfills in a list: as a table for people, and for programs as the rows of ``backfill_log``.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dags.domain.text import table_text, wrapped
from dags.managed_backfill.log import days_of
from dags.work import history
from dags.work.history import asked_text, end_text, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dags.work.audit.log import State
    from dags.work.audit.store import Row


def listed_text(rows: Sequence[Row]) -> str:
    if not rows:
        return "No backfill."
    cells = [(row.work_id, row.work.subject, str(days_of(row.work)), row.status, row.rows) for row in rows]
    head, *lines = table_text(cells, ("backfill", "table", "days", "status", "rows")).splitlines()
    return "\n".join([head, *(line for pair in zip(lines, map(_beneath, rows), strict=True) for line in pair)])


def _beneath(row: Row) -> str:
    """Who asked for it, when and why, and why it is what it is."""
    asked = f"         {row.started_at:%Y-%m-%d %H:%M} {asked_text(row.requested_by, row.reason)}"
    return "\n".join([wrapped(asked), *outcome(row.status, row.end)])


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
        "outcome": row.end.status if row.end is not None else "",
        "outcome_words": end_text(row.end),
    }


def of_run_text(state: State) -> str:
    """One that is a run of its own, launched by the planner or by a person: it has no plan."""
    work, steps = state.work, [*state.done.values(), *state.failed.values()]
    lines = [
        f"{state.status.upper():<8} {work.work_id}: {work.subject} of {work.first_step}",
        *history.lines(state),
        f"RUN      {state.run_id}: why_job with this run_id says more",
        *(f"ROWS     {entry.rows:,}" for entry in steps),
        *(f"FAILED   {entry.payload}" for entry in state.failed.values()),
    ]
    return "\n".join(map(wrapped, lines))
