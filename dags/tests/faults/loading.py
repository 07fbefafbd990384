"""The processes that act on a backfill from PostgreSQL, and to which the faults happen; as `.acting` for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.domain.errors import LeaseLostError, UserError
from dags.postgres_backfill.connection import Connection
from dags.postgres_backfill.execution import PostgresBackfill
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.postgres_backfill.log import work_of
from dags.postgres_backfill.plan import from_yaml
from dags.settings import Settings, read_settings
from dags.sources.file import read_sources
from dags.tests.faults.acting import announced
from dags.tests.faults.worker import hurried
from dags.work import control
from dags.work.audit.store import require_state
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Pipe

    from clickhouse_connect.driver.client import Client

PIPELINE = "tenant-import"
DSN_VARIABLE = "TENANT_POSTGRES_DSN"

# What a person does with one, beside going on with it.
CONTROLS = {"pause": control.pause, "cancel": control.cancel, "delete": control.delete}


@dataclass(frozen=True)
class Sides:
    """Where both sides are, by their DSNs, and the file that declares the pipeline."""

    clickhouse: str
    postgres: str
    sources: str


def act_on_load(asked: Pipe, sides: Sides, role: str, work_id: str, run: str) -> None:
    """Do what the role says, as the run of that id; ends with what became of it, as ``(outcome, words)``."""
    try:
        with (
            hurried(),
            announced(asked),
            open_client(Dsn.parse(sides.clickhouse), wait_seconds=5, answer_seconds=20) as client,
        ):
            if role == "run":
                done = _carry_out(client, sides, work_id, run)
            else:
                done = CONTROLS[role](client, POSTGRES_BACKFILL, work_id, run, requested_by="trial", reason="trial")
            asked.send(("done", done))
    except LeaseLostError as error:
        asked.send(("robbed", str(error)))
    except UserError as error:
        asked.send(("refused", str(error)))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the trial is told
        asked.send(("broke", f"{type(error).__name__}: {error}"))


def declared(sources: str) -> Settings:
    """The settings that declare the pipelines of that file."""
    return read_settings({"WEB_ANALYTICS_SOURCES": sources})


def _carry_out(client: Client, sides: Sides, work_id: str, run_id: str) -> str:
    state = require_state(client, POSTGRES_BACKFILL, work_id)
    control.refuse_resume(POSTGRES_BACKFILL, state)
    plan = from_yaml(state.accepted.payload)
    pipeline = read_sources(declared(sides.sources)).pipeline(PIPELINE)
    connection = Connection.of(pipeline, {DSN_VARIABLE: sides.postgres})
    ended = Runner(
        client=client,
        open_client=lambda: open_client(Dsn.parse(sides.clickhouse), wait_seconds=5, answer_seconds=20),
        kind=POSTGRES_BACKFILL,
        work=work_of(work_id, plan),
        chunks=plan.ranges,
        worker=PostgresBackfill(plan, connection, 60, lambda _: None, lambda _: None),
        run_id=run_id,
        ordered_at=read_clocks(client).server,
        listeners=Listeners(lambda _: None, lambda *_: None, lambda _: None),
        parallelism=plan.parallelism,
    ).run()
    end = ended.end
    return f"{ended.status}: {end.payload if end is not None else ''}"
