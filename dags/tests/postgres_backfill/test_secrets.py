"""Nothing that a backfill from PostgreSQL says or leaves behind has the password, whether it succeeds or fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from dags.clickhouse.sql import is_embedded
from dags.tests.postgres_backfill.tenants import DAYS, load, tenant
from dags.tests.variants import server_at_night

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from dags.tests.postgres_server import PostgresServer
    from dags.tests.world import World

MARK = "Hx7hunter"
PASSWORD = f"{MARK}'\\é@:/"


def everything_said(world: World, capfd: pytest.CaptureFixture[str]) -> str:
    """Terminal, event log, run configuration and tags, and what ClickHouse keeps."""
    runs = [f"{run.run_config} {run.tags}" for run in world.instance.get_runs()]
    records = [world.instance.get_records_for_run(run.run_id).records for run in world.instance.get_runs()]
    events = [str(record.event_log_entry) for of_run in records for record in of_run]
    kept: list[Any] = list(world.client.query("SELECT toString(tuple(*)) FROM web_analytics_work_events").result_rows)
    if not is_embedded(world.client):
        world.client.command("SYSTEM FLUSH LOGS")
        kept += world.client.query("SELECT toString(tuple(*)) FROM system.query_log").result_rows
    return "\n".join([*capfd.readouterr(), *events, *runs, *map(str, kept)])


@server_at_night
def test_the_password_is_in_nothing_that_is_said_or_kept(
    world: World, postgres: PostgresServer, postgres_database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with tenant(world, postgres_database, tmp_path) as source:
        source.history(DAYS)
        role = f"loader_{urlsplit(postgres_database).path.strip('/')}"
        quoted = PASSWORD.replace("'", "''")
        made = f"SET standard_conforming_strings = on; CREATE ROLE {role} LOGIN PASSWORD '{quoted}'"
        source.connection.execute(f"{made}; GRANT SELECT ON page_views TO {role}".encode())
        where = f"127.0.0.1:{postgres.port}{urlsplit(postgres_database).path}"
        cases = {
            f"{role}:{quote(PASSWORD, safe='')}@{where}": "ATTACHED 9 rows",
            f"{role}:{quote(PASSWORD + 'x', safe='')}@{where}": "password authentication failed",
            f"{role}:{quote(PASSWORD, safe='')}@{where}absent": "does not exist",
            f"{role}:{PASSWORD}@{where}": "cannot be used, nothing was touched",
        }
        try:
            for address, words in cases.items():
                world.monkeypatch.setenv("TENANT_POSTGRES_DSN", f"postgresql://{address}")
                load(world, raise_on_error=False)
                said = everything_said(world, capfd)
                assert words in said
                assert MARK not in said
        finally:
            source.connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
