"""The processes that act on an ingestion of files, and to which the faults happen; as `.acting` for others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.schema.books import append
from dags.domain.errors import LeaseLostError, UserError
from dags.file_ingestion import plan as plans
from dags.file_ingestion import store
from dags.file_ingestion.claims import Claims
from dags.file_ingestion.clearing import clear, files_to_clear
from dags.file_ingestion.execution import FileIngestion
from dags.file_ingestion.fields import ClearFilesConfig, IngestFilesConfig
from dags.file_ingestion.kind import FILE_INGESTION
from dags.file_ingestion.location import Location
from dags.file_ingestion.plan import from_yaml
from dags.file_ingestion.planning import make_plan
from dags.sources.file import read_sources
from dags.sources.loads.log import FILES
from dags.tests.faults.acting import announced
from dags.tests.faults.loading import declared
from dags.tests.faults.worker import hurried
from dags.work import control
from dags.work.audit.log import Work
from dags.work.audit.store import Log, require_state
from dags.work.document import as_yaml
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection as Pipe

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.plan import Plan

NAME = "partner-logs"
NOTHING = "nothing is to be loaded"
WHO = {"requested_by": "trial", "reason": "trial"}

# Groups are small, so that a run has more than one.
FILES_A_GROUP = 4

# A statement of a run may take so long.
SECONDS = 8

# By then whatever failed is tried again, and every file of a directory has settled.
LATER = timedelta(days=8)


@dataclass(frozen=True)
class Place:
    """Where a run finds what it needs: ClickHouse, the declaration, the variables that it names, and how much a run
    takes. ``pattern``: what a clear takes out.
    """

    clickhouse: str
    sources: str
    variables: Mapping[str, str]
    max_files: int
    pattern: str


def act_on_files(asked: Pipe, place: Place, role: str, work_id: str, run: str) -> None:
    """Do what the role says, as the run of that id; ends with what became of it, as ``(outcome, words)``."""
    try:
        with (
            hurried(),
            announced(asked) as announce,
            open_client(Dsn.parse(place.clickhouse), wait_seconds=5, answer_seconds=20) as client,
            mock.patch.object(plans, "FILES_A_GROUP", FILES_A_GROUP),
            mock.patch.object(store, "append", _announcing(announce)),
        ):
            asked.send(("done", _done(client, place, role, work_id, run)))
    except LeaseLostError as error:
        asked.send(("robbed", str(error)))
    except UserError as error:
        asked.send(("refused", str(error)))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the trial is told
        asked.send(("broke", f"{type(error).__name__}: {error}"))


def _announcing(announce: Any) -> Any:
    def announced_append(*arguments: Any) -> None:
        announce("record")
        append(*arguments)

    return announced_append


def _done(client: Client, place: Place, role: str, work_id: str, run: str) -> str:
    if role in ("run", "run later"):
        return _asked_for(client, place, work_id, run, later=role == "run later")
    if role == "resume":
        state = require_state(client, FILE_INGESTION, work_id)
        control.refuse_resume(FILE_INGESTION, state)
        return _carried_out(client, place, state.work, from_yaml(state.accepted.payload), run)
    if role == "clear":
        given = ClearFilesConfig.model_validate({"ingestion": NAME, "pattern": place.pattern, "dry_run": False, **WHO})
        ingestion = read_sources(declared(place.sources)).ingestion(NAME)
        chosen = sorted(files_to_clear(client, given, ingestion))
        return f"{clear(client, ingestion, chosen, run, lambda _: None)} rows of {len(chosen)} files are cleared"
    ask = {"pause": control.pause, "cancel": control.cancel}[role]
    return ask(client, FILE_INGESTION, work_id, run, **WHO)


def _asked_for(client: Client, place: Place, work_id: str, run: str, *, later: bool) -> str:
    asked = {"ingestion": NAME, "dry_run": False, "max_files": place.max_files, **WHO}
    now = read_clocks(client).server + (LATER if later else timedelta())
    given = IngestFilesConfig.model_validate(asked)
    planned = make_plan(client, given, declared(place.sources), place.variables, now)
    plan = planned.plan
    planned.settle(client, work_id)
    if not plan.groups:
        return NOTHING
    work = Work(work_id, FILES, plan.subject)
    control.accept(Log(client, work, run), as_yaml(plan), "trial", "trial", planned_in=0.1)
    return _carried_out(client, place, work, plan, run)


def _carried_out(client: Client, place: Place, work: Work, plan: Plan, run: str) -> str:
    ingestion = read_sources(declared(place.sources)).ingestion(plan.ingestion)
    location = Location.of(ingestion, place.variables)
    with Leases(client, run, wait_seconds=0, tell=lambda _: None) as leases:
        claims = Claims(client, leases, plan.ingestion, lambda _: None)
        ended = Runner(
            client=client,
            open_client=lambda: open_client(Dsn.parse(place.clickhouse), wait_seconds=5, answer_seconds=20),
            kind=FILE_INGESTION,
            work=work,
            chunks=plan.groups,
            worker=FileIngestion(plan, location, SECONDS, "manual", claims, lambda _: None, lambda _: None),
            run_id=run,
            ordered_at=read_clocks(client).server,
            listeners=Listeners(lambda _: None, lambda *_: None, lambda _: None),
        ).run()
    end = ended.end
    return f"{ended.status}: {end.payload if end is not None else ''}"
