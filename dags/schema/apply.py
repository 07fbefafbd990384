"""Brings a database to this code's schema, and refuses to work on one that is not there.

The files of this package are applied in the order of their numbers, each once; every one of them is also harmless on
tables that exist already, so that a database whose version record was lost is brought back by applying again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from dags.errors import SchemaError
from dags.sql import Sql, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.schema"
_COLUMN = re.compile(r"^    (\w+) [A-Z]", re.MULTILINE)
_CREATED = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")

DICTIONARY = "web_pre_aggregated_teams_dict"

NEXT_STEP = "run `dagster job execute -j apply_schema_job`"


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    version: int
    name: str


def migrations() -> tuple[Migration, ...]:
    """Every numbered file, in order."""
    names = sorted(file.name.removesuffix(".sql") for file in files(_PACKAGE).iterdir() if file.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name) for name in names)


def required_columns() -> dict[str, tuple[str, ...]]:
    """The columns of each table that this code works with, read from the DDL, which is where they are declared."""
    texts = [statement(_PACKAGE, migration.name, {"database": "any"}) for migration in migrations()]
    columns = {created[1]: tuple(_COLUMN.findall(text)) for text in texts if (created := _CREATED.search(text))}
    columns["events"] += ("qualifies",)
    return columns


def apply_schema(client: Client) -> tuple[Migration, ...]:
    """Apply what this database lacks; answers with what was applied.

    Two processes may do so at once: every statement is idempotent, and a version recorded twice is still that
    version.

    Raises:
        SchemaError: the database is newer than this code, or a table that was there lacks columns.
    """
    database = str(client.database)
    sql = Sql(_PACKAGE, client)
    first, *_ = migrations()
    sql.command(first.name)
    version = recorded_version(client)
    if version is not None and version > migrations()[-1].version:
        raise SchemaError(_too_new(version, database))
    # Before anything is changed: a file that needs a column which is not there would fail half-way, in ClickHouse's
    # own words.
    present = _columns(client)
    _refuse(client, _lacking(present, added_by_a_file={"qualifies"}))
    is_whole = {*required_columns(), DICTIONARY} <= present.keys()
    pending = tuple(m for m in migrations() if version is None or m.version > version or not is_whole)
    for migration in pending:
        sql.command(migration.name, database=database)
        client.insert(
            "web_analytics_schema_version",
            [[migration.version, migration.name]],
            column_names=["version", "name"],
        )
    _require_columns(client)
    return pending


def require_schema(client: Client) -> None:
    """Refuse to work on tables that are not this code's.

    Raises:
        SchemaError: no schema yet, an older or a newer one, or a table that lacks a column.
    """
    database = str(client.database)
    version, newest = recorded_version(client), migrations()[-1].version
    if version is None:
        raise SchemaError(f"the database {database!r} has no schema yet: {NEXT_STEP}")
    if version < newest:
        raise SchemaError(
            f"the database {database!r} has schema version {version}, this code needs {newest}: {NEXT_STEP}"
        )
    if version > newest:
        raise SchemaError(_too_new(version, database))
    _require_columns(client)


def recorded_version(client: Client) -> int | None:
    """The newest version recorded in the database; None when nothing was ever applied."""
    if not int(str(client.command("EXISTS TABLE web_analytics_schema_version"))):
        return None
    count, version = client.query("SELECT count(), max(version) FROM web_analytics_schema_version").result_rows[0]
    return int(version) if count else None


def _too_new(version: int, database: str) -> str:
    return (
        f"the database {database!r} has schema version {version}, this code knows {migrations()[-1].version}: "
        "deploy the code that made it, or a newer one"
    )


def _columns(client: Client) -> dict[str, set[str]]:
    present: dict[str, set[str]] = {}
    rows = client.query("SELECT table, name FROM system.columns WHERE database = currentDatabase()").result_rows
    for table, column in rows:
        present.setdefault(table, set()).add(column)
    return present


def _require_columns(client: Client) -> None:
    present = _columns(client)
    absent = [f"the table {name} does not exist" for name in required_columns() if name not in present]
    absent += [f"the dictionary {DICTIONARY} does not exist"] * (DICTIONARY not in present)
    _refuse(client, absent + _lacking(present))


def _lacking(present: Mapping[str, set[str]], added_by_a_file: Collection[str] = ()) -> list[str]:
    """The tables that are there without all of their columns."""
    problems = []
    for table, columns in required_columns().items():
        lacking = [c for c in columns if c not in present.get(table, columns) and c not in added_by_a_file]
        if lacking:
            problems.append(f"the table {table} lacks {', '.join(lacking)}")
    return problems


def _refuse(client: Client, problems: list[str]) -> None:
    if problems:
        raise SchemaError(
            f"the database {client.database!r} is not usable: {'; '.join(problems)}. "
            "Add the columns (dags/schema has their types), or rename the table and have it made anew: " + NEXT_STEP
        )
