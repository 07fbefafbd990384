"""The ledger of files in ClickHouse: events that are appended, and what they come to for each file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.domain.units import EPOCH
from dags.file_ingestion.location import PACKAGE
from dags.file_ingestion.versions import FileEvent, FileVersion, Known, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from clickhouse_connect.driver.client import Client

_TABLE = "web_analytics_file_events"
_COLUMNS = (
    "ingestion_id", "path", "event", "size", "modified_at", "etag", "load", "schema_version", "rows", "error",
    "work_id", "at",
)  # fmt: skip

# A server takes no longer value (`dags.clickhouse.engine`), in which a quote counts twice; a path has some around it.
_VALUE_BYTES, _AROUND_BYTES = 60_000, 4


@dataclass(frozen=True)
class Happened:
    """What happened to a version of a file. ``load`` is the number on the rows that it brings, loaded under a version
    of the ``schema``.
    """

    version: FileVersion
    event: FileEvent
    load: int
    schema: int = 0
    rows: int = 0
    error: str = ""


def read_ledger(client: Client, ingestion: str) -> dict[str, Known]:
    """What an ingestion knows of each file that it has ever seen, by its path."""
    return _known(Sql(PACKAGE, client).rows("ledger_all", {"ingestion": ingestion}))


def read_known(client: Client, ingestion: str, paths: Collection[str]) -> dict[str, Known]:
    """The same of some files, which it may not know."""
    sql, found = Sql(PACKAGE, client), dict[str, Known]()
    for part in _parts(paths):
        found |= _known(sql.rows("ledger", {"ingestion": ingestion, "paths": part}))
    return found


def _parts(paths: Iterable[str]) -> Iterator[list[str]]:
    """Paths in their order, so many at a time as a value may be long."""
    part, size = list[str](), 0
    for path in paths:
        length = len(path.encode()) + _AROUND_BYTES
        if part and size + length > _VALUE_BYTES:
            yield part
            part, size = [], 0
        part.append(path)
        size += length
    if part:
        yield part


class Standing(NamedTuple):
    """The newest version of a file that an ingestion knows, when something happened to it last, and whether it is
    settled; see `is_settled`.
    """

    version: FileVersion
    at: datetime
    is_settled: bool


def read_standing(
    client: Client, ingestion: str, schema: Schema, versions: Sequence[FileVersion]
) -> Iterator[tuple[FileVersion, Standing | None]]:
    """Each of the versions, with how its file stands in an ingestion's ledger; None where that has no such file.

    They are asked for by parts, in their order: what is held at a time does not grow with their number, and of the
    ledger no more is read than those parts of it where their paths lie.
    """
    sql, bound = Sql(PACKAGE, client), {
        "ingestion": ingestion, "reload_below": schema.reload_below, "refreshed": schema.refreshed
    }  # fmt: skip
    every = iter(versions)
    for part in _parts(one.path for one in versions):
        known = {
            path: Standing(FileVersion(path, *version), at, bool(is_settled))
            for path, *version, at, is_settled in sql.rows("standing", {**bound, "paths": part})
        }
        for one in islice(every, len(part)):
            yield one, known.get(one.path)


def read_ledger_at(client: Client, ingestion: str) -> datetime:
    """When the ledger of an ingestion was written last, by its own stamps; 1970 where it never was."""
    (at,) = Sql(PACKAGE, client).row("ledger_at", {"ingestion": ingestion})
    assert isinstance(at, datetime), "a column of instants"
    return at


def read_open(client: Client, ingestion: str, schema: Schema) -> dict[str, Known]:
    """The same of those that are not settled; see `is_settled`."""
    bound = {"ingestion": ingestion, "reload_below": schema.reload_below, "refreshed": schema.refreshed}
    return _known(Sql(PACKAGE, client).rows("ledger_open", bound))


def count_known(client: Client, ingestion: str) -> int:
    """How many files an ingestion knows that are not cleared."""
    (count,) = Sql(PACKAGE, client).row("count_known", {"ingestion": ingestion})
    return int(count)


def _known(rows: Iterable[Sequence[Any]]) -> dict[str, Known]:
    return {
        path: Known(
            FileVersion(path, size, modified, etag),
            FileEvent(event),
            failed,
            at,
            tuple(loads),
            load,
            schema,
            rows,
            tuple(whole),
            said,
            tuple(broken),
            tuple(attached),
        )
        for (
            path,
            size,
            modified,
            etag,
            event,
            failed,
            at,
            loads,
            load,
            schema,
            rows,
            whole,
            said,
            broken,
            attached,
        ) in rows
    }


def record(
    client: Client, ingestion: str, work_id: str, happened: Sequence[Happened], confirm: Callable[[], None]
) -> None:
    """Append what happened, all in one insert, stamped by ClickHouse and after all that the ledger has.

    ``confirm`` raises where another run has these files now. It is asked after the stamp: what is sent late all the
    same is older than anything that the other one records.
    """
    if not happened:
        return
    (at,) = Sql(PACKAGE, client).row("next_instant", {"ingestion": ingestion})
    confirm()
    rows = [
        [
            ingestion,
            one.version.path,
            str(one.event),
            one.version.size,
            EPOCH + timedelta(microseconds=one.version.modified),
            one.version.etag,
            one.load,
            one.schema,
            one.rows,
            one.error[:2000],
            work_id,
            at,
        ]
        for one in happened
    ]
    append(client, _TABLE, rows, _COLUMNS)
