"""Backfills from PostgreSQL as a kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.postgres_backfill.plan import from_yaml
from dags.postgres_backfill.store import take_back
from dags.sources.loads.landing import drop_tables, fence_loads
from dags.sources.loads.log import POSTGRES
from dags.work.audit.log import Status
from dags.work.audit.store import Log, read_state
from dags.work.kinds import KindOfWork

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.work.audit.log import Work


def _take_back(client: Client, work: Work, run_id: str) -> str:
    """Take every row of a load out of the target, whatever the log knows of it, and drop the rest."""
    state = read_state(client, work.work_id)
    if state is None:
        return _drop(client, work)
    rows = take_back(client, Log(client, work, run_id), from_yaml(state.accepted.payload))
    _drop(client, work)
    if not rows:
        return "no row of it is there"
    # A build of these days in between took them in.
    return (
        f"{rows:,} rows that were there already are taken out; what was built from them meanwhile is held until a "
        "person allows its loss (check_missing_data_job names it)"
    )


def _drop(client: Client, work: Work) -> str:
    drop_tables(client, work.work_id)
    return "what had landed is dropped"


def _discard(client: Client, work: Work) -> str:
    """What was loaded whole stays where it is; of one that ended otherwise nothing does."""
    state = read_state(client, work.work_id)
    is_whole = state is not None and state.end is not None and state.end.status == Status.COMPLETED
    return f"{_drop(client, work)}, the rows that it brought stay" if is_whole else _take_back(client, work, "")


POSTGRES_BACKFILL = KindOfWork(
    POSTGRES,
    "postgres-backfill",
    fence_loads,
    _discard,
    give_up=_take_back,
    subject="table",
)
