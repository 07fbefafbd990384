"""What the log knows of earlier loads of the same rows, and how a load of which no row is to be there is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.postgres_backfill.reading import PACKAGE
from dags.sources.loads.attaching import withdraw
from dags.sources.loads.log import LoadEvent
from dags.sources.loads.names import load_id
from dags.work.audit.log import Entry

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.postgres_backfill.plan import Plan
    from dags.work.audit.store import Log


def read_mark(client: Client, subject: str, name: str) -> int | None:
    """The mark up to which incremental loads of these rows have come; None if none has ended."""
    bound = {"subject": subject, "name": name}
    count, mark = Sql(PACKAGE, client).row("mark", bound)
    return int(mark) if count else None


def take_back(client: Client, log: Log, plan: Plan) -> int:
    """Take every row of a load out of the target, whatever the log knows of it; how many those were."""
    rows_by_day = withdraw(client, plan.target, [load_id(log.work.work_id)])
    log.append(*(Entry(LoadEvent.TAKEN_OUT, step=day.isoformat(), rows=rows) for day, rows in rows_by_day.items()))
    return sum(rows_by_day.values())
