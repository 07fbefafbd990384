"""Appends to our own books, whose types are known: the driver asks ClickHouse for them before each insert otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dags.clickhouse.rights import naming_what_lacks
from dags.clickhouse.schema.declared import declared_columns
from dags.clickhouse.words import asking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client


def append(
    client: Client, table: str, data: Sequence[Sequence[Any]], columns: Sequence[str], *, is_by_column: bool = False
) -> None:
    """Append rows to a table that the numbered files declare; ``data`` is by row, or by column if that is said.

    Raises:
        KeyError: the files declare no such table or column.
        ClickHouseError: nothing was appended.
    """
    types = declared_columns()[table]
    with naming_what_lacks(), asking(f"an INSERT into {table}"):
        client.insert(
            table,
            data,
            column_names=list(columns),
            column_type_names=[types[column] for column in columns],
            column_oriented=is_by_column,
        )
