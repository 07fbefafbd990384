"""What an ingestion loads, in ClickHouse: events that are appended, stamped by its clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.file_ingestion.location import PACKAGE
from dags.file_ingestion.schemas import Happened, Resolution, SchemaEvent, Schemas, of_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

_TABLE = "web_analytics_file_schemas"
_COLUMNS = (
    "ingestion_id", "version", "event", "loads", "columns", "files", "resolution", "requested_by", "reason", "work_id",
    "at",
)  # fmt: skip


def read_schemas(client: Client, ingestion: str) -> Schemas:
    """All versions of what an ingestion loads."""
    rows = Sql(PACKAGE, client).rows("schemas", {"ingestion": ingestion})
    return of_events(
        Happened(
            version,
            SchemaEvent(event),
            loads,
            tuple(columns.items()),
            tuple(files),
            Resolution(resolution),
            who,
            why,
            at,
        )
        for version, event, loads, columns, files, resolution, who, why, at in rows
    )


def record_schemas(client: Client, ingestion: str, work_id: str, happened: Sequence[Happened]) -> None:
    """Append what happened, all in one insert, stamped by ClickHouse and after all that is there."""
    if not happened:
        return
    (at,) = Sql(PACKAGE, client).row("next_schema_instant", {"ingestion": ingestion})
    rows = [
        [
            ingestion, one.version, str(one.event), one.loads, dict(one.columns), list(one.files), str(one.resolution),
            one.requested_by, one.reason, work_id, at,
        ]
        for one in happened
    ]  # fmt: skip
    append(client, _TABLE, rows, _COLUMNS)
