"""A password may be of any signs that print: from a variable and from a file it is what was meant, and lets in."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dags.clickhouse.engine import open_client
from dags.postgres_backfill.connection import Connection
from dags.settings import read_settings
from dags.sources.declaration import Pipeline, SourceTable
from dags.sources.variables import Variables
from dags.tests.clickhouse.test_grants import configuration
from dags.tests.clickhouse_server import require_or_skip_reason, running_server

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

SIGNS = "%'\"\\#@:/ ?&=+;,|[]{}()<>$!`~^*-._é℀漢🔑\u0301"
PRINTABLE = st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(SIGNS)
PASSWORDS = st.text(PRINTABLE, min_size=1, max_size=40).filter(str.isprintable)
PIPELINE = Pipeline(name="import", dsn_env="IMPORT_DSN", tables=(SourceTable(query="late"),))


def some() -> list[str]:
    """Each sign at the beginning, in the middle and at the end; and what is drawn by lot, the same each time."""
    lots = random.Random(7)
    everything = [chr(one) for one in range(32, 0x2FFFF) if chr(one).isprintable()]
    drawn = ["".join(lots.choices(everything, k=lots.randint(1, 30))) for _ in range(12)]
    return [*(f"{sign}a{sign}b{sign}" for sign in SIGNS), SIGNS, SIGNS[::-1], "%25", "%zz", "a" * 200, *drawn]


# Files of secrets end with a line end where a shell wrote them.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PASSWORDS)
def test_a_password_is_read_as_it_was_meant_from_a_variable_and_from_a_file(tmp_path: Path, password: str) -> None:
    encoded = quote(password, safe="")
    dsn, address = f"clickhouse://me:{encoded}@h:1/d", f"postgresql://me:{encoded}@h:1/d"
    for name, text in {"clickhouse_dsn": dsn, "import_dsn": address}.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
    files = {"WEB_ANALYTICS_SECRETS_DIRECTORY": str(tmp_path)}
    for environment in ({"CLICKHOUSE_DSN": dsn, "IMPORT_DSN": address}, files):
        read = read_settings({name: text for name, text in environment.items() if name != "IMPORT_DSN"})
        assert read.clickhouse_dsn.password == password
        made = Connection.of(PIPELINE, Variables(read, environment))
        assert made.parameters("SELECT 1")["password"] == password


@pytest.mark.long
def test_every_password_lets_in_to_clickhouse(tmp_path: Path) -> None:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    users = [
        f"<u{number}><password_sha256_hex>{hashlib.sha256(password.encode()).hexdigest()}</password_sha256_hex>"
        f"<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></u{number}>"
        for number, password in enumerate(some())
    ]
    with running_server(tmp_path, configuration(users)) as server:
        for number, password in enumerate(some()):
            given = {"CLICKHOUSE_DSN": server.dsn("default", user=f"u{number}", password=password)}
            with open_client(read_settings(given).clickhouse_dsn, wait_seconds=5) as client:
                assert client.command("SELECT currentUser()") == f"u{number}", password


@pytest.mark.long
@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_every_password_lets_in_to_postgresql(client: Client, postgres_database: str) -> None:
    """By way of ClickHouse, which is handed it; the right one, since another is refused."""
    parts = urlsplit(postgres_database)
    role = f"role_{parts.path.strip('/')}"
    where = f"{parts.hostname}:{parts.port}{parts.path}"

    def rows(password: str) -> object:
        address = f"postgresql://{role}:{quote(password, safe='')}@{where}"
        made = Connection.of(PIPELINE, Variables(read_settings({}), {"IMPORT_DSN": address}))
        return client.query(f"SELECT * FROM {made.function}", parameters=made.parameters("SELECT 1 AS a")).result_rows

    with psycopg.connect(postgres_database, autocommit=True) as connection:
        run = connection.execute
        run(f"CREATE ROLE {role} LOGIN".encode())
        try:
            for password in some():
                quoted = password.replace("'", "''")
                run(f"SET standard_conforming_strings = on; ALTER ROLE {role} PASSWORD '{quoted}'".encode())
                assert rows(password) == [(1,)], password
            with pytest.raises(Exception, match="password authentication failed"):
                rows("another")
        finally:
            run(f"DROP ROLE {role}".encode())
