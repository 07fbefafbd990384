"""Appends to our own books, whose types are known: the driver asks ClickHouse for them before each insert otherwise."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver import options

from dags.clickhouse.rights import naming_what_lacks
from dags.clickhouse.schema.declared import declared_columns
from dags.clickhouse.words import asking

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    with naming_what_lacks(), asking(f"an INSERT into {table}"), _no_frames():
        client.insert(
            table,
            data,
            column_names=list(columns),
            column_type_names=[types[column] for column in columns],
            column_oriented=is_by_column,
        )


@contextmanager
def _no_frames() -> Iterator[None]:
    """Have the driver not ask whether data are a frame or an array: to ask, it loads pandas and numpy.

    That is CPU and memory in each process that has something to write down, a tick's child for one. The driver looks
    for the two where it keeps them, and finds here that there are none; afterwards it looks anew. What another thread
    asks of it meanwhile it answers as where they are not installed, and nothing here asks for frames but the demo.
    """
    kept = vars(options)
    set_aside = [name for name in ("pd", "pd_time_test", "np") if name not in kept]
    kept.update(dict.fromkeys(set_aside))
    try:
        yield
    finally:
        for name in set_aside:
            kept.pop(name, None)
