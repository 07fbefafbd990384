"""Drops what landed of loads that are over, and that nobody went on with for some days."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dags.domain.errors import LeaseError
from dags.sources.loads.landing import all_landed, drop_tables, tables_of
from dags.work.audit.log import Status
from dags.work.audit.store import read_state, read_works
from dags.work.lease import leased

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.work.kinds import KindOfWork


def sweep_landings(
    client: Client,
    kind: KindOfWork,
    statuses: Collection[Status],
    run_id: str,
    tell: Callable[[str], None],
    *,
    now: datetime,
    kept_days: int,
) -> tuple[str, ...]:
    """Drop the tables of loads of a kind and of these statuses, that nobody acts on; the ids of these.

    One that failed may be gone on with, so it is kept for so many days. ``now`` is ClickHouse's clock.
    """
    if not all_landed(client):
        return ()
    swept = []
    for row in read_works(client, kinds=[kind.name], statuses=statuses):
        since = row.completed_at or now
        if (row.status == Status.FAILED and now - since < timedelta(days=kept_days)) or not tables_of(
            client, row.work_id
        ):
            continue
        try:
            with leased(client, kind, row.work, run_id, tell) as lease:
                state = read_state(client, row.work_id)
                if state is not None and state.status in statuses:
                    lease.confirm()
                    drop_tables(client, row.work_id)
                    swept.append(row.work_id)
        except LeaseError as error:
            tell(f"what landed of {row.work_id} is kept: {error}")
    return tuple(swept)
