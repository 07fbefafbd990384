"""Tells what a demo loaded from what it did not, by a mark that lies in the database beside it.

A database without the mark is somebody's as soon as it holds anything. In one that has it, somebody's is what the demo
cannot have made: other events, rows of other days or teams, and whatever a person wrote (waivers, stops, work).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.schema.declared import required_columns
from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

_PACKAGE = "dags.demo"
_MARK = "web_analytics_demo"
_VERSION = "web_analytics_schema_version"

# What is worked out again from the others, and holds nothing that anybody wrote.
_MEMORY = {
    "web_pre_aggregated_day_states",
    "web_pre_aggregated_part_states",
    "web_pre_aggregated_requests",
    "web_analytics_gaps",
    _VERSION,
}

# Which statement counts what is not a demo's, in a table of a database that has the mark; of any other table all is.
_OTHERS = {
    "events": "others_events",
    **{table.name: "others_units" for table in WEB_TABLES},
    "web_pre_aggregated_builds": "others_teams",
    "web_pre_aggregated_teams": "others_teams",
    "web_analytics_enabled_teams": "others_teams",
    "web_analytics_backfill_events": "others_work",
}


def start_over(client: Client, dsn: Dsn) -> None:
    """Bring the schema up to date and empty every table of ours.

    Raises:
        UserError: something in them no demo made; nothing was touched.
    """
    if others := _others(client):
        held = ", ".join(f"{rows:,} of {table}" for table, rows in others.items())
        raise UserError(
            f"the database {dsn.database!r} in {dsn.path} holds rows that no demo is known to have made, and the demo "
            f"would remove them: {held}. Nothing was touched. Give the demo a database of its own, "
            f"CLICKHOUSE_DSN='chdb://{dsn.path}?database={dsn.database}_demo' make demo; or, where all of it may go, "
            "as after a demo of an earlier version or one that was killed, remove it first: "
            f"python -m dags.demo.sql 'DROP DATABASE {dsn.database}'"
        )
    apply_schema(client, WEB_TABLES)
    for table in _present(client) - {_VERSION}:
        Sql(_PACKAGE, client).command("empty_table", target=table)


@contextmanager
def marking(client: Client) -> Iterator[None]:
    """Mark what is in the tables in the end as the demo's, however the end comes.

    All of it is, for until then no other process can have the embedded engine.
    """
    sql = Sql(_PACKAGE, client)
    try:
        yield
    finally:
        sql.command("create_mark")
        sql.command("mark")


def _others(client: Client) -> dict[str, int]:
    """How many rows of each table no demo made, where there are any. A database without any tables has none."""
    sql, present = Sql(_PACKAGE, client), _present(client)
    statements = _OTHERS if _MARK in present else {}
    looked_at = sorted(present - _MEMORY - {_MARK})
    rows = {table: sql.row(statements.get(table, "all_rows"), target=table) for table in looked_at}
    return {table: count for table, (count,) in rows.items() if count}


def _present(client: Client) -> set[str]:
    """Those of our tables, and the mark, that the database has."""
    return {name for (name,) in Sql(_PACKAGE, client).rows("tables")} & {*required_columns(), _MARK}
