"""After a session of all there is, no secret that it used is anywhere but where it was handed over."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
import yaml
from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.tests.alerts.hosts import free_port, hearing
from dags.tests.clickhouse.test_grants import configuration
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.deployment import ROOT
from dags.tests.events import Event, insert
from dags.tests.file_ingestion.partner import COLUMNS, event, lines
from dags.tests.postgres_backfill.tenants import DECLARED, LATE_ORDERS, TABLE, Tenant, asked
from dags.tests.secrets import Mark, Watching, in_files, in_tables
from dags.tests.world import STATS, ago, noon

if TYPE_CHECKING:
    from pathlib import Path

    from dags.tests.postgres_server import PostgresServer
    from dags.tests.s3_server import S3Server

CLICKHOUSE, POSTGRES, S3, TOKEN, ALERT, ALERT_PATH, HEARTBEAT, WRONG = MARKS = tuple(
    Mark(f"Q{name}7xHunter9z") for name in ("ch", "pg", "st", "to", "al", "ap", "hb", "wr")
)
# No secret by itself; ClickHouse hides the other half alone, and so the statements that it logs have this one.
KEY_ID = Mark("Qid7xHunter9z")
ENDED_WELL = "ended with 0"
WHO = {"requested_by": "ada", "reason": "a test"}


def secret(mark: Mark) -> str:
    """A password with the mark in the middle, and signs that every language quotes in its own way."""
    return f"p%'\\é@:/{mark.text}&# ?\""


@pytest.mark.parametrize(
    "leak",
    [
        lambda text: text,
        lambda text: quote(text, safe=""),
        repr,
        lambda text: json.dumps({"a": text}),
        lambda text: text.encode().hex(),
        lambda text: base64.b64encode(f":{text}".encode()).decode(),
        lambda text: base64.b64encode(f"u:{text}".encode()).decode(),
        lambda text: base64.b64encode(f"us:{text}".encode()).decode(),
    ],
    ids=["plain", "percent", "repr", "json", "hexadecimal", "base64", "base64, one on", "base64, two on"],
)  # fmt: skip
def test_what_looks_for_a_secret_finds_it_in_every_form(leak: Any, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\0" * 9 + leak(secret(POSTGRES)).encode() + b"\xff")
    assert in_files(MARKS, tmp_path) == {(POSTGRES.text, str(tmp_path / "log"))}
    (tmp_path / "log").write_text("nothing")
    assert in_files(MARKS, tmp_path) == set()


@pytest.mark.long
def test_what_looks_for_a_secret_finds_it_in_statements_tables_and_command_lines(server: tuple[str, Any]) -> None:
    dsn, client = server
    with Watching([TOKEN, ALERT], dsn) as watching:
        sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", TOKEN.text])
        try:
            watching.look_again()
            statement = f"SELECT '{ALERT.text}', sleepEachRow(3) FROM numbers(20) SETTINGS max_block_size = 1"
            asking = threading.Thread(target=ask, args=(dsn, statement))
            asking.start()
            while (ALERT.text, "system.processes") not in watching.found:
                watching.look_again()
            client.command(f"KILL QUERY WHERE query LIKE '%{ALERT.text}%' SYNC")
            asking.join()
        finally:
            sleeping.kill()
            sleeping.wait()
    assert watching.found == {(TOKEN.text, "a command line"), (ALERT.text, "system.processes")}
    assert (ALERT.text, "system.query_log") in in_tables([ALERT, HEARTBEAT], client, "system", "web_analytics")
    assert not in_tables([HEARTBEAT], client, "system", "web_analytics")


def ask(dsn: str, statement: str) -> None:
    with suppress(ClickHouseError), open_client(Dsn.parse(dsn), wait_seconds=10) as client:
        client.query(statement)


class Session:
    """Everything that a location does, in processes as people start them; secrets lie in files, and nowhere else."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        for name in ("home", "tmp", "secrets", "declared", "out"):
            (directory / name).mkdir()
        (directory / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        kept = {
            name: text for name, text in os.environ.items() if not name.startswith(("DAGSTER_", "WEB_", "CLICKHOUSE"))
        }
        self._environment = {
            **kept,
            "DAGSTER_HOME": str(directory / "home"),
            "TMPDIR": str(directory / "tmp"),
            "WEB_ANALYTICS_SECRETS_DIRECTORY": str(directory / "secrets"),
            "WEB_ANALYTICS_SOURCES": str(directory / "declared" / "sources.yaml"),
            "WEB_ANALYTICS_ENABLED_TEAM_IDS": "1",
            "WEB_ANALYTICS_BACKFILL_SETTLE_HOURS": "0",
        }
        self._runs = 0

    def keep(self, **secrets: str) -> None:
        for name, text in secrets.items():
            (self.directory / "secrets" / name).write_text(text)

    def run(self, job: str, given: Any = None, *options: str, **environment: str) -> str:
        """Run a job, with all that Dagster has to say; what was written, which is kept as well."""
        process, out = self._begun(job, given, *options, **environment)
        code = process.wait(600)
        return f"{out.read_text(errors='replace')}\nended with {code}"

    def abort(self, job: str, *options: str) -> str:
        """The same, of a process that is told to dump its core as soon as its run has begun."""
        before = self._histories()
        process, out = self._begun(job, None, *options)
        while self._histories() == before:
            time.sleep(0.01)
        process.send_signal(signal.SIGABRT)
        process.wait(600)
        return out.read_text(errors="replace")

    def _begun(self, job: str, given: Any, *options: str, **environment: str) -> tuple[subprocess.Popen[bytes], Path]:
        self._runs += 1
        out = self.directory / "out" / f"{self._runs}-{job}"
        configured = self.directory / "declared" / "given.yaml"
        configured.write_text(yaml.safe_dump(given or {}))
        command = [sys.executable, "-X", "faulthandler", "-m", "dagster", "job", "execute", "-m", "dags.definitions"]
        with out.open("wb") as written:
            process = subprocess.Popen(
                [*command, "-j", job, "-c", str(configured), *options],
                cwd=ROOT,
                env={**self._environment, **environment},
                stdout=written,
                stderr=written,
            )
        return process, out

    def _histories(self) -> int:
        """How many runs have begun."""
        return len([*(self.directory / "home").rglob("*-*-*-*.db")])

    def python(self, code: str) -> str:
        self._runs += 1
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False
        )
        (self.directory / "out" / f"{self._runs}-python").write_text(ran.stdout + ran.stderr)
        return ran.stdout + ran.stderr


# A tick of the sensor that tells people, and a build that breaks where nobody expects it.
TICK = """
from dagster import DagsterInstance, build_sensor_context
from dags.definitions import defs
with DagsterInstance.get() as instance:
    sensor, repository = defs.resolve_sensor_def("web_analytics_alerts_sensor"), defs.get_repository_def()
    with build_sensor_context(instance=instance, resources=defs.resources, repository_def=repository) as context:
        print("TICKED", sensor.evaluate_tick(context).skip_message)
"""
BROKEN = """
from dagster import DagsterInstance
from dags.clickhouse.server import ServerClient
from dags.definitions import defs
from dags.publish import build
def broken(self):
    client, dsn = self.client, self.client.url
    raise RuntimeError(f"unforeseen, of {client!r} at {dsn}")
build.DayBuild.run = broken
with DagsterInstance.get() as instance:
    defs.resolve_job_def("web_pre_aggregate_job").execute_in_process(instance=instance, partition_key="DAY")
"""


@pytest.mark.slow(minutes=3)
def test_no_secret_is_anywhere_after_a_session_of_all_there_is(
    tmp_path: Path, postgres: PostgresServer, postgres_database: str, bucket: tuple[S3Server, str]
) -> None:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    hashed = hashlib.sha256(secret(CLICKHOUSE).encode()).hexdigest()
    user = (
        f"<app><password_sha256_hex>{hashed}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>"
        "<profile>default</profile><quota>default</quota></app>"
    )
    with (
        running_server(tmp_path / "server", configuration([user])) as server,
        hearing() as host,
        psycopg.connect(postgres_database, autocommit=True) as connection,
    ):
        session = Session(tmp_path / "session")
        role, database = f"loader_{urlsplit(postgres_database).path[1:]}", urlsplit(postgres_database).path
        connection.execute(TABLE)
        Tenant(postgres_database, connection).history([ago(1)])
        quoted = secret(POSTGRES).replace("'", "''")
        made = f"SET standard_conforming_strings = on; CREATE ROLE {role} LOGIN PASSWORD '{quoted}'"
        connection.execute(f"{made}; GRANT SELECT ON page_views TO {role}".encode())
        s3, name = bucket
        s3.put(name, "a.jsonl", lines(event(1, at=f"{noon(ago(1)):%Y-%m-%dT%H:%M:%SZ}")))
        declare(session, f"{s3.endpoint}/{name}/")

        def clickhouse(password: str, port: int = server.http_port) -> str:
            return f"clickhouse://app:{quote(password, safe='')}@127.0.0.1:{port}/web_analytics"

        def tenant(password: str, port: int = postgres.port) -> str:
            return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{port}{database}"

        session.keep(
            clickhouse_dsn=clickhouse(secret(CLICKHOUSE)),
            tenant_postgres_dsn=tenant(secret(POSTGRES)),
            s3_key=f"KEY{KEY_ID.text}KEY",
            s3_secret=secret(S3),
            web_analytics_backfill_webhook_token=f"t-{TOKEN.text}-t",
            web_analytics_alert_urls=(
                f"json://me:{quote(secret(ALERT), safe='')}@127.0.0.1:{host.port}/{ALERT_PATH.text}\n"
                f"json://me:{quote(secret(ALERT), safe='')}@127.0.0.1:{free_port()}/{ALERT_PATH.text}\n"
            ),
            web_analytics_heartbeat_url=f"http://127.0.0.1:{host.port}/{HEARTBEAT.text}?{HEARTBEAT.text}",
        )
        days = {"start_date": str(ago(1)), "end_date": str(ago(1)), "target_table": STATS}
        hook = f"http://127.0.0.1:{host.port}/hook"
        hosts = {"WEB_ANALYTICS_BACKFILL_WEBHOOK_HOSTS": f"127.0.0.1:{host.port}"}
        of_day = ("--tags", json.dumps({"dagster/partition": str(ago(1))}))
        with Watching([*MARKS, KEY_ID], server.dsn("system")) as watching:
            assert ENDED_WELL in session.run("apply_schema_job")
            with open_client(Dsn.parse(server.dsn("web_analytics")), wait_seconds=10) as client:
                insert(client, [Event(1, noon(ago(2)), "s"), Event(1, noon(ago(1)), "t")])
            for job, given, options in (
                ("web_analytics_team_selection_job", {}, ()),
                ("web_pre_aggregate_job", {}, of_day),
                ("managed_backfill_job", {**days, **WHO, "dry_run": False, "webhook": hook}, ()),
                ("postgres_backfill_job", asked(), ()),
                ("ingest_files_job", {"ingestion": "logs", **WHO, "dry_run": False}, ()),
                ("check_missing_data_job", {}, ()),
            ):
                assert ENDED_WELL in session.run(job, given, *options, **hosts), job
            assert "TICKED" in session.python(TICK)
            assert "unforeseen" in session.python(BROKEN.replace("DAY", str(ago(1))))
            assert "Fatal Python error: Aborted" in session.abort("web_pre_aggregate_job", *of_day)
            assert "0 of 2" not in session.run("send_test_alert_job")
            session.run("health_job", {"output": "json"})
            failing = {
                "password authentication failed": {"TENANT_POSTGRES_DSN": tenant(secret(WRONG))},
                "does not answer": {"TENANT_POSTGRES_DSN": tenant(secret(WRONG), free_port())},
                "cannot be used, nothing was touched": {"TENANT_POSTGRES_DSN": f"postgresql://a:{secret(WRONG)}@h/d"},
            }
            for words, environment in failing.items():
                assert words in " ".join(
                    session.run("postgres_backfill_job", asked(kind="incremental"), **environment).split()
                )
            for words, dsn in {
                "or its password": clickhouse(secret(WRONG)),
                "no ClickHouse answers": clickhouse(secret(WRONG), free_port()),
                "is not percent-encoded": f"clickhouse://app:%{WRONG.text}@127.0.0.1:1/d",
            }.items():
                said = session.run("check_missing_data_job", CLICKHOUSE_DSN=dsn)
                assert words in " ".join(said.split())
            s3.drop_bucket(name)
            session.run("ingest_files_job", {"ingestion": "logs", **WHO, "dry_run": False}, S3_SECRET=secret(WRONG))
        assert {str(one["percent"]) for one in host.heard if isinstance(one, dict) and "percent" in one}
        handed_over = [session.directory / "secrets"]
        logs = in_files([*MARKS, KEY_ID], session.directory, tmp_path / "server" / "server.log", but=handed_over)
        with open_client(Dsn.parse(server.dsn("web_analytics")), wait_seconds=10) as client:
            tables = in_tables([*MARKS, KEY_ID], client, "system", "web_analytics")
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    assert watching.looks > 100
    assert watching.found <= {(KEY_ID.text, "system.processes")}
    assert (logs, tables) == (set(), {(KEY_ID.text, "system.query_log")})
    assert not in_files(MARKS, postgres.log)
    assert in_files(MARKS, session.directory)  # it is the directory of secrets that was left out


def declare(session: Session, source_path: str) -> None:
    ingestion = {
        "name": "logs", "source_path": source_path, "source_file_pattern": "*.jsonl",
        "format": "JSONEachRow", "columns": COLUMNS, "constants": {"event": "$pageview"},
        "access_key_env": "S3_KEY", "secret_key_env": "S3_SECRET",
    }  # fmt: skip
    text = DECLARED + "\n" + yaml.safe_dump({"ingestions": [ingestion]})
    (session.directory / "declared" / "sources.yaml").write_text(text)
    (session.directory / "declared" / "late_orders.sql").write_text(LATE_ORDERS)
