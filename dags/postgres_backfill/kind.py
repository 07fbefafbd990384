"""Backfills from PostgreSQL as a kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.postgres_backfill.log import POSTGRES, Loaded, LoadEvent
from dags.postgres_backfill.plan import from_yaml
from dags.sources.loads.attaching import present, take_out
from dags.sources.loads.landing import drop_tables, fence_loads, known_landing
from dags.sources.loads.names import load_id
from dags.work.audit.log import Entry
from dags.work.audit.store import Log, read_state
from dags.work.kinds import KindOfWork

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.work.audit.log import Work


def _take_back(client: Client, work: Work, run_id: str) -> str:
    """Take out of the target what of a load has come there, also where that was all in the end; and drop the rest."""
    state = read_state(client, work.work_id)
    if state is None:
        return _drop(client, work)
    plan, load = from_yaml(state.accepted.payload), load_id(work.work_id)
    landing = known_landing(client, work.work_id, plan.shape)
    days = {*Loaded.of(state).rows_by_day, *(landing.rows_by_day(client) if landing is not None else ())}
    there = present(client, plan.target, load, days)
    take_out(client, plan.target, load, sorted(there))
    taken_out = [Entry(LoadEvent.TAKEN_OUT, step=day.isoformat(), rows=rows) for day, rows in sorted(there.items())]
    Log(client, work, run_id).append(*taken_out)
    _drop(client, work)
    return f"{sum(there.values()):,} rows that were there already are taken out" if there else "no row of it is there"


def _drop(client: Client, work: Work) -> str:
    drop_tables(client, work.work_id)
    return "what had landed is dropped"


def _discard(client: Client, work: Work) -> str:
    """Of one that ended in part, nothing stays; what was loaded whole stays where it is."""
    state = read_state(client, work.work_id)
    was_whole = state is not None and Loaded.of(state).stays
    return f"{_drop(client, work)}, the rows that it brought stay" if was_whole else _take_back(client, work, "")


POSTGRES_BACKFILL = KindOfWork(
    POSTGRES,
    "postgres-backfill",
    fence_loads,
    _discard,
    give_up=_take_back,
    subject="table",
)
