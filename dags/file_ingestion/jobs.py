"""The jobs of ingestions: load, go on, pause, cancel, delete, refresh, resolve, clear files, and show."""

import time
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.client import Client
from dagster import Failure, JobDefinition, MetadataValue

from dags.clickhouse.engine import LOOK_SECONDS
from dags.clickhouse.leases.store import Leases
from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import LONG_RUN, JobKind, ordered_at
from dags.domain.clock import Clocks
from dags.domain.text import counted, table_text, wrapped
from dags.file_ingestion.claims import Claims
from dags.file_ingestion.clearing import clear, clearing_text, files_to_clear
from dags.file_ingestion.execution import FileIngestion
from dags.file_ingestion.fields import (
    ClearFilesConfig,
    FilesControlConfig,
    IngestFilesConfig,
    RefreshIngestionConfig,
    ResolveSchemaConfig,
    ShowFilesConfig,
)
from dags.file_ingestion.kind import FILE_INGESTION
from dags.file_ingestion.location import Location
from dags.file_ingestion.plan import Plan, from_yaml
from dags.file_ingestion.planning import bytes_a_second, make_plan, progress_now
from dags.file_ingestion.progress import (
    ledger_text,
    not_loaded_text,
    nothing_loaded,
    plan_text,
    range_text,
    report,
    report_text,
    schemas_text,
    states_of,
)
from dags.file_ingestion.ranges import range_of
from dags.file_ingestion.refresh import plan_refresh
from dags.file_ingestion.schema_store import change_schemas, read_schemas
from dags.file_ingestion.schemas import Happened, Resolution, Schemas, not_loaded, resolved
from dags.file_ingestion.sensors import INGESTION_TAG, NOTHING_LOADED_TAG, RANGE_TAG, waiting
from dags.file_ingestion.store import read_known, read_ledger
from dags.settings import current_settings
from dags.sources.file import read_sources
from dags.sources.ingestions import Ingestion
from dags.sources.loads.attaching import require_attachable
from dags.sources.loads.columns import writable
from dags.sources.loads.log import FILES, LoadEvent
from dags.sources.loads.reach import beyond_text
from dags.sources.loads.runs import Controls, Load, control_jobs, gone_on_with
from dags.sources.variables import variables
from dags.work import control
from dags.work.audit.log import State, Status, Work
from dags.work.audit.store import Log, require_state
from dags.work.document import as_yaml
from dags.work.runs import asked_before

if TYPE_CHECKING:
    from dags.file_ingestion.versions import Known

POOL = "file_ingestion"

After = Callable[[Command[Any]], None]


def _ingested(
    asked: Command[Any], client: Client, clocks: Clocks, given: IngestFilesConfig, after: After
) -> dict[str, Any]:
    """Show what a run would load; load it unless it is a dry run."""
    began, ordered = time.monotonic(), ordered_at(asked.instance, asked.context.run, clocks)
    work_id, known = asked_before(asked, client, FILE_INGESTION)
    if known is not None:  # a retry of a run goes on with the plan that was accepted then
        control.refuse_resume(FILE_INGESTION, known)
        plan = from_yaml(known.accepted.payload)
        return _carried_out(Load(asked, client, FILE_INGESTION, after, known.work, plan, ordered))
    asked.tell_shard(client)
    planned = make_plan(client, given, current_settings(), variables(), clocks.server)
    plan = planned.plan
    text = "\n".join([plan_text(plan, planned.decision, planned.range), *map(wrapped, planned.notes)])
    print(text)
    asked.context.add_output_metadata({"plan": MetadataValue.md(f"```\n{text}\n```")})
    if not given.dry_run:
        planned.settle(client, work_id)
    if given.dry_run or not plan.groups:
        words = "DRY RUN  nothing was written; dry_run: false loads it" if given.dry_run else "Nothing is to be loaded."
        print(f"\n{words}")
        return {
            "file_ingestion_id": None,
            "status": "dry run" if given.dry_run else "nothing to do",
            "files": plan.files,
            "bytes": plan.bytes,
            "usd": plan.usd,
            "seconds": plan.seconds,
        }
    work = Work(work_id, FILES, plan.subject)
    log, who = Log(client, work, asked.run_id), (plan.requested_by, plan.reason)
    control.accept(log, as_yaml(plan), *who, planned_in=time.monotonic() - began)
    return _carried_out(Load(asked, client, FILE_INGESTION, after, work, plan, ordered))


def _carried_out(load: Load[Plan]) -> dict[str, Any]:
    asked, client, plan = load.asked, load.client, load.plan
    ingestion, settings = read_sources(current_settings()).ingestion(plan.ingestion), current_settings()
    asked.instance.add_run_tags(asked.run_id, {INGESTION_TAG: plan.ingestion, RANGE_TAG: str(bool(plan.days)).lower()})

    def gives_way() -> str:
        first = waiting(asked.instance) if plan.days else ""
        return f"run {first[:8]}" if first else ""

    came_to: dict[str, Known] = {}

    def ended(state: State) -> None:
        days = {date.fromisoformat(entry.step) for entry in state.entries if entry.event == LoadEvent.ATTACHED}
        if beyond := beyond_text(days, load.ordered.date(), settings.backfill_lookback_days):
            print(beyond)
        paths = [one.path for group in plan.groups for one in group.files]
        came_to.update(read_known(client, plan.ingestion, paths))
        if text := not_loaded_text(came_to):
            print(text)
        if range_of(ingestion):
            print(_range_text(client, ingestion))

    with Leases(client, asked.run_id, wait_seconds=0, tell=load.tell) as leases:
        state = load.carry_out(
            FileIngestion(
                plan, Location.of(ingestion, variables()), settings.build_max_seconds, ingestion.schema_changes,
                Claims(client, leases, plan.ingestion, load.tell), load.attached, load.tell, gives_way,
            ),
            plan.groups,
            partial(report_text, plan),
            steps="groups",
            ended=ended,
        )  # fmt: skip
    # Of a run that was paused, cancelled or gave way some files were not tried.
    is_whole = state.status == Status.COMPLETED and len(came_to) == plan.files
    return report(plan, state) | {"nothing_loaded": nothing_loaded(came_to) if is_whole else ""}


def _loaded(asked: Command[Any], answer: dict[str, Any]) -> dict[str, Any]:
    """What a load answers, unless of its files none was loaded.

    Raises:
        Failure: none was; the run has a tag by which the sensor tells it from one that broke down.
    """
    if words := answer.pop("nothing_loaded", ""):
        asked.instance.add_run_tags(asked.run_id, {NOTHING_LOADED_TAG: "true"})
        raise Failure(words, allow_retries=False)
    return answer


def _words(plan: Plan, state: State) -> str:
    return f"{len(state.done)} of {len(plan.groups)} groups were loaded"


def _range_text(client: Client, ingestion: Ingestion) -> str:
    return range_text(ingestion, progress_now(client, ingestion), bytes_a_second(client, ingestion.name))


def show_files(asked: Command[ShowFilesConfig]) -> dict[str, Any]:
    """Print and return the files that an ingestion knows, or the runs of all."""
    given = asked.given
    with asked.client(answer_seconds=LOOK_SECONDS) as (client, _):
        asked.tell_shard(client)
        if given.file_ingestion_id:
            state = control.as_it_is(client, require_state(client, FILE_INGESTION, given.file_ingestion_id))
            plan = from_yaml(state.accepted.payload)
            print(report_text(plan, state))
            return report(plan, state)
        if given.ingestion:
            ledger, schemas = read_ledger(client, given.ingestion), read_schemas(client, given.ingestion)
            print(ledger_text(ledger, given.limit))
            print(schemas_text(schemas))
            declared = [one for one in read_sources(current_settings()).ingestions if one.name == given.ingestion]
            for ingestion in declared:
                if range_of(ingestion):
                    print(_range_text(client, ingestion))
            return {
                "ingestion": given.ingestion,
                "files": len(ledger),
                "states": states_of(ledger),
                "schema_version": schemas.current,
            }
        rows = control.listed(client, FILE_INGESTION, limit=given.limit)
    shown = [(row.work_id, row.work.subject, row.status, row.rows, str(row.started_at)[:16]) for row in rows]
    print(table_text(shown, ("id", "ingestion", "status", "rows", "begun")) if shown else "No ingestion has run.")
    return {"file_ingestions": [row.work_id for row in rows]}


def resolve_schema(asked: Command[ResolveSchemaConfig]) -> None:
    """Say what becomes of a version of what an ingestion loads."""
    given = asked.given
    control.require_who(given.requested_by, given.reason)
    with asked.client() as (client, _):
        ingestion = read_sources(current_settings()).ingestion(given.ingestion)
        types = writable(require_attachable(client, ingestion.into, []))

        def made(schemas: Schemas) -> tuple[Happened, ...]:
            resolution = Resolution(given.resolution)
            return resolved(schemas, given.version, resolution, types, who=given.requested_by, reason=given.reason)

        change_schemas(client, ingestion.name, asked.run_id, made, print)
        schemas = read_schemas(client, ingestion.name)
        print(schemas_text(schemas))
        if nowhere := not_loaded(schemas, given.version, types):
            print(
                wrapped(
                    f"NOTE     {ingestion.into} has no column {', '.join(nowhere)}, so nothing of that is loaded: name "
                    "in the declaration's columns which it fills"
                )
            )
    print(f"\nRESOLVED version {given.version} of {ingestion.name}: {given.resolution}, from the next run on")


def file_ingestion_jobs(after: After) -> list[JobDefinition]:
    """The jobs, that which begins a run first. ``after`` is told when a run may have changed what readers see."""

    def ingest_files(asked: Command[IngestFilesConfig]) -> dict[str, Any]:
        """Show which files would be loaded; load them unless it is a dry run."""
        with asked.client() as (client, clocks):
            return _loaded(asked, _ingested(asked, client, clocks, asked.given, after))

    def resume_file_ingestion(asked: Command[FilesControlConfig]) -> dict[str, Any]:
        """Load what is left of a run's plan, and only that."""
        answer = gone_on_with(
            asked, FILE_INGESTION, from_yaml=from_yaml, after=after, carry_out=_carried_out, words=_words
        )
        return _loaded(asked, answer)

    def refresh_ingestion(asked: Command[RefreshIngestionConfig]) -> dict[str, Any]:
        """Show what loading everything again would do; do it unless it is a dry run."""
        given, who = asked.given, (asked.given.requested_by, asked.given.reason)
        with asked.client() as (client, clocks):
            run = IngestFilesConfig(ingestion=given.ingestion, dry_run=False, requested_by=who[0], reason=who[1])
            if asked_before(asked, client, FILE_INGESTION)[1] is not None:  # a retry: all but the run was done
                return _ingested(asked, client, clocks, run, after)
            refresh = plan_refresh(client, given, current_settings(), variables(), clocks.server)
            if not given.dry_run:
                try:
                    refresh.carry_out(client, who, asked.run_id, print)
                    if given.auto_run:
                        refresh.did("run", f"run {asked.run_id[:8]}", "started")
                        print(refresh.text())
                        came_to = _ingested(asked, client, clocks, run, after)
                        brought = counted(came_to["files"], "file")
                        refresh.did("run", f"run {asked.run_id[:8]}, {brought}", came_to["status"])
                finally:
                    after(asked)
            print(refresh.text())
        if given.dry_run:
            print("\nDRY RUN  nothing was written; dry_run: false and confirm: true do it")
        answer = refresh.answer(asked.run_id if given.auto_run else None, dry_run=given.dry_run)
        asked.context.add_output_metadata({"answer": MetadataValue.json(answer)})
        return answer

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
        print(f"\nCLEARED  {rows:,} rows of {counted(len(chosen), 'file')}; the next run loads them again")
        return {"files": len(chosen), "rows": rows, "dry_run": False}

    return [
        command(
            ingest_files,
            "Load the files of an ingestion that are new or were replaced: shown first (dry_run is true by default).",
            config=IngestFilesConfig,
            tags=LONG_RUN,
            pool=POOL,
            kind=JobKind.LOAD,
        ),
        *control_jobs(
            FILE_INGESTION,
            Controls(
                FilesControlConfig,
                POOL,
                resume="Go on with a run of an ingestion that was paused, killed, or that failed: what is left of it.",
                pause="Pause a run of an ingestion: the group of files in work is loaded, then it stops.",
                cancel="Cancel a run of an ingestion: the group of files in work is loaded, and what was loaded stays.",
                delete="Leave a finished run of an ingestion out of lists; the ledger stays, and what it loaded.",
            ),
            resume_file_ingestion,
            after,
        ),
        command(
            refresh_ingestion,
            "Load everything of an ingestion again, or take its rows out: shown first, with what is lost.",
            config=RefreshIngestionConfig,
            tags=LONG_RUN,
            pool=POOL,
            kind=JobKind.LOAD,
        ),
        command(
            resolve_schema,
            "Say what becomes of columns that files have anew, or of a mapping that was changed.",
            config=ResolveSchemaConfig,
            kind=JobKind.LOAD,
        ),
        command(
            clear_files,
            "Take the rows of files out again, by path, pattern or days; they count as not loaded (dry_run is true).",
            config=ClearFilesConfig,
            tags=LONG_RUN,
            kind=JobKind.LOAD,
        ),
        command(
            show_files,
            "Which runs of ingestions were there? With an ingestion: its files and versions, and how far its range is.",
            config=ShowFilesConfig,
        ),
    ]
