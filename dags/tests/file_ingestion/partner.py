"""A partner who uploads files, to a bucket or into a directory, and an ingestion of them that a test runs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import yaml

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.store import Leases
from dags.file_ingestion.claims import Claims
from dags.file_ingestion.execution import FileIngestion
from dags.file_ingestion.fields import IngestFilesConfig, RefreshIngestionConfig
from dags.file_ingestion.kind import FILE_INGESTION
from dags.file_ingestion.planning import make_plan
from dags.file_ingestion.refresh import plan_refresh
from dags.file_ingestion.schema_store import change_schemas, read_schemas
from dags.file_ingestion.schemas import Happened, Resolution, Schemas, resolved
from dags.file_ingestion.store import read_ledger
from dags.settings import read_settings
from dags.sources.loads.attaching import require_attachable
from dags.sources.loads.columns import writable
from dags.sources.loads.log import FILES
from dags.work import control
from dags.work.audit.log import Work
from dags.work.audit.store import Log
from dags.work.document import as_yaml
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn
    from dags.file_ingestion.planning import Planned
    from dags.file_ingestion.versions import Known
    from dags.tests.s3_server import S3Server
    from dags.work.audit.log import State
    from dags.work.kinds import KindOfWork

NAME = "partner-logs"
COLUMNS = {"team_id": "tenant", "uuid": "id", "timestamp": "at", "session_id": "visit", "pathname": "path"}


def event(number: int, *, at: str = "2026-01-05T12:00:00Z", team: int | str | None = 1, **more: Any) -> dict[str, Any]:
    """A line of a file, of the event of that number."""
    return {"tenant": team, "id": str(UUID(int=number)), "at": at, "visit": f"v{number}", "path": "/", **more}


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


@dataclass
class Partner:
    """Where the files are put, and how they are declared."""

    dsn: Dsn
    client: Client
    directory: Path
    bucket: tuple[S3Server, str] | None = None
    declared: dict[str, Any] = field(default_factory=dict)
    kind: KindOfWork = FILE_INGESTION
    columns: Mapping[str, str] = field(default_factory=lambda: COLUMNS)
    _works: int = 0

    @property
    def root(self) -> str:
        if self.bucket is not None:
            server, bucket = self.bucket
            return f"{server.endpoint}/{bucket}/data/"
        return f"{self.directory}/data/"

    def put(self, path: str, content: bytes, *, age: timedelta = timedelta(hours=1)) -> None:
        """Upload a file, in place of one that may be there."""
        if self.bucket is not None:
            server, bucket = self.bucket
            server.put(bucket, f"data/{path}", content)
            return
        whole = self.directory / "data" / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(content)
        moment = (datetime.now(UTC) - age).timestamp()
        os.utime(whole, (moment, moment))

    def delete(self, path: str) -> None:
        if self.bucket is not None:
            server, bucket = self.bucket
            server.delete(bucket, f"data/{path}")
        else:
            (self.directory / "data" / path).unlink()

    @property
    def variables(self) -> dict[str, str]:
        document: dict[str, Any] = {
            "name": NAME,
            "source_path": self.root,
            "source_file_pattern": "**/*.jsonl",
            "format": "JSONEachRow",
            "columns": COLUMNS,
            "constants": {"event": "$pageview"},
            **self.declared,
        }
        keys = {}
        if self.bucket is not None:
            document |= {"access_key_env": "PARTNER_KEY", "secret_key_env": "PARTNER_SECRET"}
            keys = {"PARTNER_KEY": self.bucket[0].access_key, "PARTNER_SECRET": self.bucket[0].secret_key}
        path = self.directory / "sources.yaml"
        path.write_text(yaml.safe_dump({"ingestions": [document]}), encoding="utf-8")
        return {"CLICKHOUSE_DSN": str(self.dsn), "WEB_ANALYTICS_SOURCES": str(path), **keys}

    def planned(self, **given: Any) -> Planned:
        variables = self.variables
        asked = {"ingestion": NAME, "dry_run": False, "reason": "a test", "requested_by": "tests", **given}
        settings = read_settings(variables)
        now = read_clocks(self.client).server
        return make_plan(self.client, IngestFilesConfig.model_validate(asked), settings, variables, now)

    def ingest(self, **given: Any) -> State | None:
        """A run of the ingestion to its end; None where nothing is to be loaded."""
        planned, work = self.accepted(**given)
        return self.carried_out(planned, work) if planned.plan.groups else None

    def accepted(self, **given: Any) -> tuple[Planned, Work]:
        """A run of the ingestion that has not begun."""
        planned = self.planned(**given)
        self._works += 1
        work = Work(f"file-ingestion-{self._works:08x}", FILES, planned.plan.subject)
        planned.settle(self.client, work.work_id)
        if planned.plan.groups:
            log = Log(self.client, work, work.work_id)
            control.accept(log, as_yaml(planned.plan), "tests", "a test", planned_in=0)
        return planned, work

    def refresh(self, mode: str, **given: Any) -> dict[str, Any]:
        """A refresh without its run; what a program is told of it."""
        asked = RefreshIngestionConfig.model_validate(
            {"ingestion": NAME, "mode": mode, "requested_by": "ada", "reason": "a test", **given}
        )
        variables = self.variables
        now = read_clocks(self.client).server
        refresh = plan_refresh(self.client, asked, read_settings(variables), variables, now)
        if not asked.dry_run:
            refresh.carry_out(self.client, ("ada", "a test"), f"refresh-{self._works}", print)
        return refresh.answer(None, dry_run=asked.dry_run)

    def schemas(self) -> Schemas:
        return read_schemas(self.client, NAME)

    def resolve(self, version: int, resolution: str) -> None:
        types = writable(require_attachable(self.client, "events", []))

        def made(schemas: Schemas) -> tuple[Happened, ...]:
            return resolved(schemas, version, Resolution(resolution), types, who="ada", reason="a test")

        change_schemas(self.client, NAME, "ada-s-run", made, print)

    def carried_out(self, planned: Planned, work: Work, run_id: str = "") -> State:
        run = run_id or work.work_id
        with Leases(self.client, run, wait_seconds=0, tell=print) as leases:
            declared = self.declared.get("schema_changes", "manual")
            claims = Claims(self.client, leases, planned.plan.ingestion, print)
            worker = FileIngestion(planned.plan, planned.location, 60, declared, claims, print, print)
            return Runner(
                client=self.client,
                open_client=lambda: open_client(self.dsn, wait_seconds=60, who="tests"),
                kind=FILE_INGESTION,
                work=work,
                chunks=planned.plan.groups,
                worker=worker,
                run_id=run,
                ordered_at=read_clocks(self.client).server,
                listeners=Listeners(tell=print, chunk_done=lambda *_: None, notify=lambda _: None),
            ).run()

    def ledger(self) -> dict[str, Known]:
        return read_ledger(self.client, NAME)

    def states(self) -> dict[str, str]:
        """What became of each file."""
        return {path: str(known.event) for path, known in read_ledger(self.client, NAME).items()}

    def errors(self) -> dict[str, str]:
        rows = self.client.query("SELECT path, error FROM processed_files WHERE error != ''").result_rows
        return {str(path): str(error) for path, error in rows}

    def seen(self) -> list[int]:
        """The numbers of the events that readers see, each as often as it is there."""
        rows = self.client.query("SELECT uuid FROM events WHERE load_id != 0 ORDER BY uuid").result_rows
        return [one.int for (one,) in rows]
