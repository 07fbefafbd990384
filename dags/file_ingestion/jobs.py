"""The jobs of ingestions: show and carry out, go on, pause, cancel, clear files, and list."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Any

from clickhouse_connect.driver.client import Client
from dagster import DefaultScheduleStatus, JobDefinition, MetadataValue, ScheduleDefinition

from dags.clickhouse.leases.store import Leases
from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import LONG_RUN, REASON_TAG, REQUESTED_BY_TAG, TAG_PREFIX, ordered_at
from dags.domain.days import in_words
from dags.domain.text import table_text, wrapped
from dags.file_ingestion.claims import Claims
from dags.file_ingestion.clearing import clear, clearing_text, files_to_clear
from dags.file_ingestion.execution import FileIngestion
from dags.file_ingestion.fields import ClearFilesConfig, FilesControlConfig, IngestFilesConfig, ShowFilesConfig
from dags.file_ingestion.kind import FILE_INGESTION
from dags.file_ingestion.location import Location
from dags.file_ingestion.plan import Plan, from_yaml
from dags.file_ingestion.planning import make_plan
from dags.file_ingestion.progress import ledger_text, plan_text, report, report_text, states_of
from dags.file_ingestion.store import read_ledger
from dags.settings import current_settings
from dags.sources.declaration import Sources
from dags.sources.file import read_sources
from dags.sources.loads.log import FILES
from dags.work import control
from dags.work.audit.log import Work
from dags.work.audit.store import Log, require_state
from dags.work.document import as_yaml
from dags.work.runner import Runner
from dags.work.runs import Shown, act, asked_before

POOL = "file_ingestion"


def _asked_for(asked: Command[IngestFilesConfig], after: Callable[[Command[Any]], None]) -> dict[str, Any]:
    given, settings, began = asked.given, current_settings(), time.monotonic()
    with asked.client() as (client, clocks):
        ordered = ordered_at(asked.instance, asked.context.run, clocks)
        work_id, known = asked_before(asked, client, FILE_INGESTION)
        if known is not None:  # a retry of a run goes on with the plan that was accepted then
            control.refuse_resume(FILE_INGESTION, known)
            plan = from_yaml(known.accepted.payload)
            return _carried_out(asked, client, after, work=known.work, plan=plan, ordered=ordered)
        planned = make_plan(client, given, settings, os.environ, clocks.server)
        plan = planned.plan
        text = "\n".join([plan_text(plan, planned.decision), *map(wrapped, planned.notes)])
        print(text)
        asked.context.add_output_metadata({"plan": MetadataValue.md(f"```\n{text}\n```")})
        if given.dry_run or not plan.groups:
            print(
                "\nDRY RUN  nothing was written; dry_run: false loads it"
                if given.dry_run
                else "\nNothing is to be loaded."
            )
            status = "dry run" if given.dry_run else "nothing to do"
            return {
                "file_ingestion_id": None,
                "status": status,
                "files": plan.files,
                "bytes": plan.bytes,
                "usd": plan.usd,
            }
        work = Work(work_id, FILES, plan.subject)
        log, who = Log(client, work, asked.run_id), (plan.requested_by, plan.reason)
        control.accept(log, as_yaml(plan), *who, planned_in=time.monotonic() - began)
        return _carried_out(asked, client, after, work=work, plan=plan, ordered=ordered)


def _gone_on_with(asked: Command[FilesControlConfig], after: Callable[[Command[Any]], None]) -> dict[str, Any]:
    with asked.client() as (client, clocks):
        ordered = ordered_at(asked.instance, asked.context.run, clocks)
        state = require_state(client, FILE_INGESTION, asked.given.file_ingestion_id)
        control.refuse_resume(FILE_INGESTION, state)
        plan = from_yaml(state.accepted.payload)
        print(f"RESUMED  {state.work_id}: {len(state.done)} of {len(plan.groups)} groups were loaded")
        who = (asked.given.requested_by, asked.given.reason)
        return _carried_out(asked, client, after, work=state.work, plan=plan, ordered=ordered, asked_by=who)


def _carried_out(
    asked: Command[Any],
    client: Client,
    after: Callable[[Command[Any]], None],
    *,
    work: Work,
    plan: Plan,
    ordered: datetime,
    asked_by: tuple[str, str] = ("", ""),
) -> dict[str, Any]:
    ingestion = read_sources(current_settings()).ingestion(plan.ingestion)

    def tell(words: str) -> None:
        asked.context.log.info(words)
        print(wrapped(f"NOTE     {words}"), flush=True)

    def group_over(_: object, words: str, __: object) -> None:
        print(words, flush=True)

    def attached(rows_by_day: Mapping[date, int]) -> None:
        print(f"ATTACHED {sum(rows_by_day.values()):,} rows on {in_words(rows_by_day)}", flush=True)

    def opened() -> AbstractContextManager[Client]:
        return asked.clickhouse.client(asked.run_id)

    shown = Shown(asked, FILE_INGESTION, work, plan.target, partial(report_text, plan), steps="groups")
    who, why = asked_by if any(asked_by) else (plan.requested_by, plan.reason)
    asked.instance.add_run_tags(
        asked.run_id, {REQUESTED_BY_TAG: who, REASON_TAG: why, f"{TAG_PREFIX}source": plan.subject}
    )
    with Leases(client, asked.run_id, wait_seconds=0, tell=tell) as leases:
        runner = Runner(
            client=client,
            open_client=opened,
            kind=FILE_INGESTION,
            work=work,
            chunks=plan.groups,
            worker=FileIngestion(
                plan,
                Location.of(ingestion, os.environ),
                current_settings().build_max_seconds,
                Claims(leases, plan.ingestion, tell).take,
                attached,
            ),
            run_id=asked.run_id,
            ordered_at=ordered,
            listeners=replace(shown.listeners(plan.monitoring.webhook), tell=tell, chunk_done=group_over),
            monitoring=plan.monitoring,
            asked_by=asked_by,
        )
        try:
            state = runner.run()
            shown.end(state)
        finally:
            # Whatever ended it: what readers see may be otherwise, and the checks say at once what is so now.
            after(asked)
    shown.require_success(state)
    return report(plan, state)


def show_files(asked: Command[ShowFilesConfig]) -> dict[str, Any]:
    """Print and return the files that an ingestion knows, or the runs of all."""
    given = asked.given
    with asked.client() as (client, _):
        if given.file_ingestion_id:
            state = control.as_it_is(client, require_state(client, FILE_INGESTION, given.file_ingestion_id))
            plan = from_yaml(state.accepted.payload)
            print(report_text(plan, state))
            return report(plan, state)
        if given.ingestion:
            ledger = read_ledger(client, given.ingestion)
            print(ledger_text(ledger, given.limit))
            return {"ingestion": given.ingestion, "files": len(ledger), "states": states_of(ledger)}
        rows = control.listed(client, FILE_INGESTION, limit=given.limit)
    shown = [(row.work_id, row.work.subject, row.status, row.rows, str(row.started_at)[:16]) for row in rows]
    print(table_text(shown, ("id", "ingestion", "status", "rows", "begun")) if shown else "No ingestion has run.")
    return {"file_ingestions": [row.work_id for row in rows]}


def file_ingestion_jobs(after: Callable[[Command[Any]], None]) -> list[JobDefinition]:
    """The jobs, that which begins a run first. ``after`` is told when a run may have changed what readers see."""

    def ingest_files(asked: Command[IngestFilesConfig]) -> dict[str, Any]:
        """Show which files would be loaded; load them unless it is a dry run."""
        return _asked_for(asked, after)

    def resume_file_ingestion(asked: Command[FilesControlConfig]) -> dict[str, Any]:
        """Load what is left of a run's plan, and only that."""
        return _gone_on_with(asked, after)

    def pause_file_ingestion(asked: Command[FilesControlConfig]) -> None:
        """Ask a run to pause."""
        act(asked, FILE_INGESTION, control.pause)

    def cancel_file_ingestion(asked: Command[FilesControlConfig]) -> None:
        """Ask a run to end."""
        act(asked, FILE_INGESTION, control.cancel)

    def delete_file_ingestion(asked: Command[FilesControlConfig]) -> None:
        """Leave a finished run out of lists."""
        act(asked, FILE_INGESTION, control.delete)

    def clear_files(asked: Command[ClearFilesConfig]) -> dict[str, Any]:
        """Show which files' rows would be taken out; take them out unless it is a dry run."""
        with asked.client() as (client, _):
            ingestion = read_sources(current_settings()).ingestion(asked.given.ingestion)
            chosen = files_to_clear(client, asked.given, ingestion)
            print(clearing_text(chosen))
            if asked.given.dry_run:
                print("\nDRY RUN  nothing was written; dry_run: false takes them out")
                return {"files": len(chosen), "rows": 0, "dry_run": True}
            try:
                rows = clear(client, ingestion, sorted(chosen), asked.run_id, print)
            finally:
                after(asked)
        print(f"\nCLEARED  {rows:,} rows of {len(chosen):,} files; the next run loads them again")
        return {"files": len(chosen), "rows": rows, "dry_run": False}

    return [
        command(
            ingest_files,
            "Load the files of an ingestion that are new or were replaced: shown first (dry_run is true by default).",
            config=IngestFilesConfig,
            tags=LONG_RUN,
            pool=POOL,
        ),
        command(
            resume_file_ingestion,
            "Go on with a run of an ingestion that was paused, killed, or that failed: what is left of it.",
            config=FilesControlConfig,
            tags=LONG_RUN,
            pool=POOL,
        ),
        command(
            pause_file_ingestion,
            "Pause a run of an ingestion: the group of files in work is loaded, then it stops.",
            config=FilesControlConfig,
        ),
        command(
            cancel_file_ingestion,
            "Cancel a run of an ingestion: the group of files in work is loaded, and what was loaded stays.",
            config=FilesControlConfig,
        ),
        command(
            delete_file_ingestion,
            "Leave a finished run of an ingestion out of lists; the audit and the ledger stay, and what it loaded.",
            config=FilesControlConfig,
        ),
        command(
            clear_files,
            "Take the rows of files out again, by path, pattern or days; they count as not loaded (dry_run is true).",
            config=ClearFilesConfig,
            tags=LONG_RUN,
        ),
        command(
            show_files,
            "Which runs of ingestions were there? With an ingestion: its files, and what became of each.",
            config=ShowFilesConfig,
        ),
    ]


def file_schedules(job: JobDefinition, sources: Sources) -> list[ScheduleDefinition]:
    """The schedules of all ingestions that are active and declare one; each runs ``job`` for its ingestion."""
    active = {
        f"{one.name.replace('-', '_')}_files_schedule": one
        for one in sources.ingestions
        if one.status == "ACTIVE" and one.cron is not None
    }
    return [
        ScheduleDefinition(
            name=name,
            job=job,
            cron_schedule=str(one.cron),
            execution_timezone=one.schedule_time_zone,
            run_config={
                "ingestion": one.name,
                "dry_run": False,
                "requested_by": name,
                "reason": f"as declared: {one.schedule}",
            },
            default_status=DefaultScheduleStatus.RUNNING,
            description=f"Loads the files of {one.name} that are new or were replaced.",
        )
        for name, one in active.items()
    ]
