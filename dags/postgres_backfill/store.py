"""What the log knows of earlier loads of the same rows: up to where an incremental one came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.postgres_backfill.reading import PACKAGE

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def read_mark(client: Client, subject: str, filter_sql: str, column: str) -> int | None:
    """The mark up to which incremental loads of these rows have come; None if none has ended."""
    bound = {"subject": subject, "name": mark_name(filter_sql, column)}
    count, mark = Sql(PACKAGE, client).row("mark", bound)
    return int(mark) if count else None


def mark_name(filter_sql: str, column: str) -> str:
    """What a mark is kept under: it is one of these filters and that column alone."""
    return f"{column}: {filter_sql}"
