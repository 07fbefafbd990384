"""A tenant's history in PostgreSQL, as an application keeps it: its own names, rows that are written once and late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from dags.demo.traffic.generate import generate

if TYPE_CHECKING:
    from dags.demo.traffic.generate import Traffic

TABLE = """
CREATE TABLE page_views (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id int NOT NULL,
    event_id uuid NOT NULL,
    event text NOT NULL,
    happened_at timestamptz NOT NULL,
    person uuid,
    session text,
    path text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
COPY = """
COPY page_views (tenant_id, event_id, event, happened_at, person, session, path) FROM STDIN (FORMAT csv)
"""
# What the generator calls these, in the same order.
GENERATED = ["team_id", "uuid", "event", "timestamp", "person_id", "session_id", "pathname"]


def create_database(dsn: str) -> None:
    """Create the database that a DSN names, and the table in it."""
    parts = urlsplit(dsn)
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{parts.path[1:]}"'.encode())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLE)


def write(dsn: str, traffic: Traffic, *, at_most: int | None = None) -> int:
    """Write traffic, the first ``at_most`` rows of it, and commit; how many rows that were."""
    written = 0
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for frame in generate(traffic):
            rows: Any = frame[GENERATED] if at_most is None else frame[GENERATED][: at_most - written]
            copy.write(rows.to_csv(header=False, index=False, date_format="%Y-%m-%d %H:%M:%S.%f+00"))
            written += len(rows)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ANALYZE page_views")
    return written
