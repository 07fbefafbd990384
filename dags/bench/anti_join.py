"""The peer of detection: which (day, team) are missing, asked of the rows themselves. Knows no Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.sql import Cost


def anti_join(client: Client, *, start: date, end: date) -> tuple[int, Cost]:
    """How many units of ``[start, end)`` are missing in all tables, and what it cost to ask."""
    sql = Sql("dags.bench", client)
    bound = {"start": start, "end": end}
    return sum(len(sql.rows("distinct_anti_join", bound, target=table.name)) for table in WEB_TABLES), sql.cost
