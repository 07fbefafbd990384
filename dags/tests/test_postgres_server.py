"""The PostgreSQL that tests, demo and benchmarks start: it comes, withstands faults, and goes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from dags.tests.postgres_server import BINARIES_VARIABLE, PASSWORD, PostgresError, postgres_binaries, running_postgres

if TYPE_CHECKING:
    from pathlib import Path

    from dags.tests.postgres_server import PostgresAddress

GONE_LIMIT = timedelta(seconds=20)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def falls_silent(port: int) -> bool:
    """Whether nobody answers there, soon: of a server that was killed, processes may live on for a moment."""
    deadline = time.monotonic() + GONE_LIMIT.total_seconds()
    while answers(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_server_keeps_its_address_and_its_data_over_every_end_and_is_gone_with_its_context(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "pg", options=["max_connections=7"]) as server:
        dsn = server.dsn()
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
            assert connection.execute("SELECT current_setting('max_connections')").fetchone() == ("7",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn(password="wrong"))
        for mode in ("smart", "fast", "immediate", "kill"):
            other = psycopg.connect(dsn) if mode != "smart" else None
            server.stop(mode)
            server.stop(mode)
            assert falls_silent(server.port)
            server.start()
            server.start()
            with psycopg.connect(dsn) as connection:
                assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
            if other is not None:
                with other, pytest.raises(psycopg.OperationalError):
                    other.execute("SELECT 1")
        with (
            pytest.raises(PostgresError, match=f"port {server.port} is taken"),
            running_postgres(tmp_path / "second", port=server.port),
        ):
            pass
    assert falls_silent(server.port)


def test_what_the_server_refuses_is_told_with_its_own_words(tmp_path: Path) -> None:
    with (
        pytest.raises(PostgresError, match='unrecognized configuration parameter "no_such_setting"'),
        running_postgres(tmp_path, options=["no_such_setting=1"]),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_server_does_not_outlive_the_process_that_started_it_and_was_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from dags.tests.postgres_server import running_postgres\n"
        "with running_postgres(pathlib.Path(sys.argv[1])) as server:\n"
        "    print(server.port, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert answers(port)
        os.kill(process.pid, signal.SIGKILL)
    assert falls_silent(port)


def test_a_directory_without_its_programs_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(BINARIES_VARIABLE, str(tmp_path))
    with pytest.raises(PostgresError, match=f"{BINARIES_VARIABLE} is '{tmp_path}': no directory with the programs"):
        postgres_binaries()


def test_a_test_gets_a_database_of_its_own_and_it_is_empty(postgres: PostgresAddress, postgres_database: str) -> None:
    assert PASSWORD not in postgres_database  # it is quoted there
    with psycopg.connect(postgres_database) as connection:
        tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert connection.execute(tables).fetchone() == (0,)
        assert connection.execute("SELECT inet_server_port()").fetchone() == (postgres.port,)
