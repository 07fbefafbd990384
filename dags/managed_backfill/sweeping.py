"""Drops the backups whose time is over, of backfills that are over too."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.errors import LeaseError
from dags.managed_backfill.backup import KEPT_UNTIL
from dags.managed_backfill.kind import BACKFILL
from dags.managed_backfill.plan import BACKUP_PREFIX, backup_name
from dags.work.audit.log import FINISHED
from dags.work.audit.store import read_state, read_works
from dags.work.lease import hold

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.managed_backfill"


def sweep_backups(client: Client, now: datetime, run_id: str, tell: Callable[[str], None]) -> tuple[str, ...]:
    """Drop the backups whose time is over by ``now``, of backfills that are over and that nobody acts on; their names.

    ``now`` is ClickHouse's clock, which `kept_until` asked as well.
    """
    sql, dropped = Sql(_PACKAGE, client), []
    expired = [
        name
        for name, comment in sql.rows("backups", {"prefix": BACKUP_PREFIX})
        if (until := KEPT_UNTIL.fullmatch(comment)) and now.date() > _day(until[1])
    ]
    works = read_works(client, kinds=[BACKFILL.name]) if expired else ()
    known = {backup_name(row.work_id, row.work.subject): row for row in works}
    for name in expired:
        row = known.get(name)
        if row is None:  # nobody could restore from it: the audit does not know whose it is
            sql.command("drop_backup", backup=name)
            dropped.append(name)
            continue
        if row.status not in FINISHED:
            tell(f"{name} is kept beyond its time, until {row.work_id} is over: it is {row.status}")
            continue
        try:
            with hold(client, BACKFILL, row.work, run_id, tell) as held:
                state = read_state(client, row.work_id)
                if state is not None and state.status not in FINISHED:
                    continue
                held.confirm()
                sql.command("drop_backup", backup=name)
                dropped.append(name)
        except LeaseError as error:
            tell(f"{name} is kept beyond its time: {error}")
    return tuple(dropped)


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
