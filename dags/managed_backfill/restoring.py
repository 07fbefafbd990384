"""Puts the days of a backfill back as they were before it, from the backup that it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.audit.log import Entry, Event
from dags.days import ONE_DAY, DayRange, spoken
from dags.errors import UserError
from dags.managed_backfill.backup import rows_of_day
from dags.managed_backfill.plan import BACKUP_PREFIX, backup_name
from dags.managed_backfill.store import later_builds
from dags.sql import Sql
from dags.web_preaggregated.restore import DayRestore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.audit.log import State
    from dags.audit.store import Log
    from dags.managed_backfill.plan import Plan
    from dags.watched import WatchedTable


def built_since(client: Client, plan: Plan, state: State) -> dict[date, str]:
    """The days that another run has built since this backfill replaced them, for a team of the plan, and which run."""
    if not state.backed_up:
        return {}
    days = DayRange(min(state.backed_up), max(state.backed_up) + ONE_DAY)
    teams = plan.teams_by_day
    found: dict[date, str] = {}
    for (day, team), (at, run_id) in later_builds(client, plan.scope.table, days, state.run_ids).items():
        if day in state.backed_up and at > state.backed_up[day].at and team in teams.get(day, ()):
            found[day] = run_id
    return found


def restore_days(
    client: Client,
    table: WatchedTable,
    plan: Plan,
    state: State,
    log: Log,
    *,
    wait_seconds: float,
    tell: Callable[[str], None],
    even_built_since: bool = False,
) -> tuple[list[date], list[date]]:
    """Restore every day that was backed up, newest first; the days that were, and those that were left to later builds.

    Raises:
        UserError: the backup is not there any more.
        ClickHouseError, BuildError: as `DayRestore.run`; the days before it are restored, and it can be done again.
    """
    backup = backup_name(state.backfill_id, plan.scope.table)
    if backup not in {
        name for name, _ in Sql("dags.managed_backfill", client).rows("backups", {"prefix": BACKUP_PREFIX})
    }:
        raise UserError(
            f"the backup of {state.backfill_id} is not there any more: it was kept {plan.rollback.kept_days} days, or "
            "the backfill was deleted. Rebuild the days from their source instead"
        )
    if lost := [day for day, entry in state.backed_up.items() if rows_of_day(client, table, backup, day) != entry.rows]:
        raise UserError(
            f"the backup of {state.backfill_id} does not hold {spoken(lost)} any more: its time was over, and a "
            "resume began it anew. Nothing was touched; rebuild the days from their source instead"
        )
    since = {} if even_built_since else built_since(client, plan, state)
    teams = plan.teams_by_day
    restored = []
    for day in sorted(state.backed_up.keys() - since.keys(), reverse=True):
        rows = DayRestore(client, day, table.name, teams[day], backup, log.run_id, wait_seconds, tell).run()
        entry = Entry(
            Event.DAY_RESTORED, table=table.name, start=plan.scope.start_date, end=plan.scope.end_date,
            day=day, rows=rows,
        )  # fmt: skip
        log.append(entry)
        tell(f"{day}: {table.name} is as it was, {rows:,} rows")
        restored.append(day)
    return restored, sorted(since)
