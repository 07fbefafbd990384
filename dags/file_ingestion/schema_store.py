"""What an ingestion loads, in ClickHouse: events that are appended, stamped by its clock.

Who makes a version holds a lease while it reads, decides and appends, so that each has a number of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.leases.rules import NO_DAY, run_key
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.file_ingestion.location import PACKAGE
from dags.file_ingestion.schemas import Happened, Resolution, SchemaEvent, Schemas, of_events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client

_TABLE = "web_analytics_file_schemas"
_COLUMNS = (
    "ingestion_id", "version", "event", "declares", "loads", "columns", "files", "resolution", "requested_by",
    "reason", "work_id", "at",
)  # fmt: skip

# Whoever has the lease has it for a few statements.
_WAIT_SECONDS = 60


def read_schemas(client: Client, ingestion: str) -> Schemas:
    """All versions of what an ingestion loads."""
    rows = Sql(PACKAGE, client).rows("schemas", {"ingestion": ingestion})
    return of_events(
        Happened(
            version,
            SchemaEvent(event),
            declares,
            loads,
            tuple((name, tuple(types)) for name, types in columns.items()),
            tuple(files),
            Resolution(resolution),
            who,
            why,
            at,
        )
        for version, event, declares, loads, columns, files, resolution, who, why, at in rows
    )


def change_schemas(
    client: Client,
    ingestion: str,
    run_id: str,
    make: Callable[[Schemas], Sequence[Happened]],
    tell: Callable[[str], None],
) -> tuple[Schemas, Sequence[Happened]]:
    """Append what ``make`` makes of the versions that there are; what they come to then, and what was appended.

    Raises:
        LeaseError: another run does so and does not end. Nothing was appended.
    """
    with Leases(client, run_id, wait_seconds=_WAIT_SECONDS, tell=tell) as leases:
        leases.take(f"files_{run_key(ingestion)}_schema", NO_DAY)
        schemas = read_schemas(client, ingestion)
        happened = make(schemas)
        record_schemas(client, ingestion, run_id, happened)
        return schemas.with_events(happened), happened


def record_schemas(client: Client, ingestion: str, run_id: str, happened: Sequence[Happened]) -> None:
    """Append what happened, all in one insert, stamped by ClickHouse and after all that is there."""
    if not happened:
        return
    (at,) = Sql(PACKAGE, client).row("next_schema_instant", {"ingestion": ingestion})
    rows = [
        [
            ingestion,
            one.version,
            str(one.event),
            one.declares,
            one.loads,
            {name: list(types) for name, types in one.columns},
            list(one.files),
            str(one.resolution),
            one.requested_by,
            one.reason,
            run_id,
            at,
        ]
        for one in happened
    ]
    append(client, _TABLE, rows, _COLUMNS)
