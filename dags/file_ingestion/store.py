"""The ledger of files in ClickHouse: events that are appended, and what they come to for each file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.domain.units import EPOCH
from dags.file_ingestion.location import PACKAGE
from dags.file_ingestion.versions import FileEvent, FileVersion, Known

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client

_TABLE = "web_analytics_file_events"
# A server takes no longer value (`dags.clickhouse.engine`); a quote in it counts twice.
_VALUE_BYTES = 60_000

_COLUMNS = (
    "ingestion_id", "path", "event", "size", "modified_at", "etag", "load", "schema_version", "rows", "error",
    "work_id", "at",
)  # fmt: skip


@dataclass(frozen=True)
class Happened:
    """What happened to a version of a file. ``load`` is the number on the rows that it brings."""

    version: FileVersion
    event: FileEvent
    load: int
    rows: int = 0
    error: str = ""


def read_ledger(client: Client, ingestion: str, paths: Sequence[str] | None = None) -> dict[str, Known]:
    """What an ingestion knows of each file that it has ever seen, or of these ``paths``, by its path."""
    sql = Sql(PACKAGE, client)
    rows = [
        row
        for part in ([[]] if paths is None else _parts(paths))
        for row in sql.rows("ledger", {"ingestion": ingestion, "is_whole": paths is None, "paths": part})
    ]
    return {
        path: Known(FileVersion(path, size, modified, etag), FileEvent(event), failed, at, tuple(loads))
        for path, size, modified, etag, event, failed, at, loads in rows
    }


def _parts(paths: Sequence[str]) -> Iterator[list[str]]:
    """Paths in their order, so many at a time as a value may be long."""
    part, size = list[str](), 0
    for path in paths:
        length = len(path.encode())
        if part and size + length > _VALUE_BYTES:
            yield part
            part, size = [], 0
        part.append(path)
        size += length
    if part:
        yield part


def record(client: Client, ingestion: str, work_id: str, happened: Sequence[Happened]) -> None:
    """Append what happened, all in one insert, stamped by ClickHouse and after all that the ledger has."""
    if not happened:
        return
    (at,) = Sql(PACKAGE, client).row("next_instant", {"ingestion": ingestion})
    rows = [
        [
            ingestion,
            one.version.path,
            str(one.event),
            one.version.size,
            EPOCH + timedelta(microseconds=one.version.modified),
            one.version.etag,
            one.load,
            0,
            one.rows,
            one.error[:2000],
            work_id,
            at,
        ]
        for one in happened
    ]
    append(client, _TABLE, rows, _COLUMNS)
