"""Drops the backups whose time is over, of backfills that are over too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.errors import LeaseError
from dags.managed_backfill.kind import BACKFILL
from dags.publish.backup import backup_name, drop_backup, expired_backups
from dags.work.audit.log import FINISHED
from dags.work.audit.store import read_state, read_works
from dags.work.lease import leased

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clickhouse_connect.driver.client import Client


def sweep_backups(client: Client, now: datetime, run_id: str, tell: Callable[[str], None]) -> tuple[str, ...]:
    """Drop the backups whose time is over by ``now``, of backfills that are over and that nobody acts on; their names.

    ``now`` is ClickHouse's clock, which `kept_until` asked as well.
    """
    expired, dropped = expired_backups(client, now), []
    works = read_works(client, kinds=[BACKFILL.name]) if expired else ()
    known = {backup_name(row.work_id, row.work.subject): row for row in works}
    for name in expired:
        row = known.get(name)
        if row is None:  # nobody could restore from it: the audit does not know whose it is
            drop_backup(client, name)
            dropped.append(name)
            continue
        if row.status not in FINISHED:
            tell(f"{name} is kept beyond its time, until {row.work_id} is over: it is {row.status}")
            continue
        try:
            with leased(client, BACKFILL, row.work, run_id, tell) as lease:
                state = read_state(client, row.work_id)
                if state is not None and state.status not in FINISHED:
                    continue
                lease.confirm()
                drop_backup(client, name)
                dropped.append(name)
        except LeaseError as error:
            tell(f"{name} is kept beyond its time: {error}")
    return tuple(dropped)
