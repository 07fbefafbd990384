"""The jobs of backfills from PostgreSQL: show and carry out, go on, pause, cancel, delete, and list."""

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from clickhouse_connect.driver.client import Client
from dagster import AssetObservation, DefaultScheduleStatus, JobDefinition, MetadataValue, ScheduleDefinition

from dags.clickhouse.engine import LOOK_SECONDS
from dags.clickhouse.sql import Sql
from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import LONG_RUN, TAG_PREFIX, JobKind, ordered_at
from dags.domain.text import table_text, wrapped
from dags.postgres_backfill.connection import Connection
from dags.postgres_backfill.execution import PostgresBackfill
from dags.postgres_backfill.fields import PostgresBackfillConfig, PostgresControlConfig, PostgresShowConfig
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.postgres_backfill.log import Loaded, asked_entry, in_queue, work_of
from dags.postgres_backfill.plan import Extent, Plan, from_yaml
from dags.postgres_backfill.planning import first_rows, make_plan
from dags.postgres_backfill.progress import Moved, plan_text, report, report_text
from dags.postgres_backfill.reading import PACKAGE
from dags.settings import current_settings
from dags.sources.declaration import Sources
from dags.sources.file import read_sources
from dags.sources.loads.reach import beyond_text
from dags.sources.loads.runs import Controls, Load, control_jobs, gone_on_with
from dags.sources.variables import variables
from dags.work import control
from dags.work.audit.log import State
from dags.work.audit.store import Log, require_state
from dags.work.document import as_yaml
from dags.work.runs import asked_before

POOL = "postgres_backfill"

# The columns of the view queue_backfill_data.
_QUEUE = (
    "id", "pipeline", "source", "table_name", "filter_sql", "status", "count_record", "created_at", "updated_at",
)  # fmt: skip


def _asked_for(asked: Command[PostgresBackfillConfig], after: Callable[[Command[Any]], None]) -> dict[str, Any]:
    given, settings, began = asked.given, current_settings(), time.monotonic()
    with asked.client() as (client, clocks):
        ordered = ordered_at(asked.instance, asked.context.run, clocks)
        work_id, known = asked_before(asked, client, POSTGRES_BACKFILL)
        if known is not None:  # a retry of a run goes on with the plan that was accepted then
            control.refuse_resume(POSTGRES_BACKFILL, known)
            plan = from_yaml(known.accepted.payload)
            return _carried_out(Load(asked, client, POSTGRES_BACKFILL, after, known.work, plan, ordered))
        asked.tell_shard(client)
        planned = make_plan(client, given, settings, variables())
        plan = planned.plan
        text = "\n".join([plan_text(plan, first_rows(planned.postgres, plan)), *map(wrapped, planned.notes)])
        print(text)
        asked.context.add_output_metadata({"plan": MetadataValue.md(f"```\n{text}\n```")})
        if given.dry_run:
            print("\nDRY RUN  nothing was written; dry_run: false loads it")
            return {"postgres_backfill_id": None, "status": "dry run", "rows": plan.rows, "filter_sql": plan.filter_sql}
        work = work_of(work_id, plan)
        log, who = Log(client, work, asked.run_id), (plan.requested_by, plan.reason)
        control.accept(log, as_yaml(plan), *who, planned_in=time.monotonic() - began, beside=[asked_entry(plan)])
        return _carried_out(Load(asked, client, POSTGRES_BACKFILL, after, work, plan, ordered))


def show_postgres_backfills(asked: Command[PostgresShowConfig]) -> dict[str, Any]:
    """Print and return the queue, or one request of it."""
    given = asked.given
    with asked.client(answer_seconds=LOOK_SECONDS) as (client, _):
        asked.tell_shard(client)
        if given.postgres_backfill_id:
            state = control.as_it_is(client, require_state(client, POSTGRES_BACKFILL, given.postgres_backfill_id))
            plan = from_yaml(state.accepted.payload)
            print(report_text(plan, state))
            return report(plan, state)
        rows = _listed(client, given)
    shown = [
        (one["id"], one["pipeline"], one["table_name"], one["filter_sql"][:30], one["status"], one["count_record"])
        for one in rows
    ]
    columns = ("id", "pipeline", "table", "filters", "status", "rows")
    print(table_text(shown, columns) if shown else "No backfill from PostgreSQL.")
    return {"postgres_backfills": rows}


def _listed(client: Client, given: PostgresShowConfig) -> list[dict[str, Any]]:
    """The queue with the status that each request has now; a run that died could not write its own."""
    known = {row.work_id: in_queue(row.status) for row in control.listed(client, POSTGRES_BACKFILL, limit=1_000_000)}
    found = Sql(PACKAGE, client).rows("queue", {"pipeline": given.pipeline})
    rows = [dict(zip(_QUEUE, row, strict=True)) for row in found if row[0] in known]
    for row in rows:
        row["status"] = known[row["id"]]
        row["created_at"], row["updated_at"] = row["created_at"].isoformat(), row["updated_at"].isoformat()
    rows = [row for row in rows if given.status in (None, row["status"])]
    return rows[given.skip : given.skip + given.limit]


def _carried_out(load: Load[Plan]) -> dict[str, Any]:
    asked, plan = load.asked, load.plan
    pipeline = read_sources(current_settings()).pipeline(plan.pipeline)

    def moved(how_much: Moved) -> None:
        print(how_much, flush=True)
        asked.instance.add_run_tags(asked.run_id, {f"{TAG_PREFIX}percent": f"{how_much.percent:.0f}"})
        asked.context.log_event(
            AssetObservation(
                plan.target,
                description=f"{load.work.work_id}: {plan.table_name}",
                metadata={
                    "progress": str(how_much),
                    "percent": round(how_much.percent, 1),
                    "rows": how_much.rows,
                    "rows_a_second": round(how_much.rate, 1),
                },
            )
        )

    def ended(state: State) -> None:
        lookback = current_settings().backfill_lookback_days
        if beyond := beyond_text(Loaded.of(state).rows_by_day, load.ordered.date(), lookback):
            print(beyond)

    connection, seconds = Connection.of(pipeline, variables()), current_settings().build_max_seconds
    state = load.carry_out(
        PostgresBackfill(plan, connection, seconds, moved, load.attached),
        plan.ranges,
        partial(report_text, plan),
        parallelism=plan.parallelism,
        shows_progress=False,
        ended=ended,
    )
    return report(plan, state)


def _words(plan: Plan, state: State) -> str:
    return f"{len(state.done)} of {len(plan.ranges)} ranges had landed"


def postgres_backfill_jobs(after: Callable[[Command[Any]], None]) -> list[JobDefinition]:
    """The jobs, that which begins one first. ``after`` is told when a run may have changed what readers see."""

    def postgres_backfill(asked: Command[PostgresBackfillConfig]) -> dict[str, Any]:
        """Show what would be loaded; load it unless it is a dry run."""
        return _asked_for(asked, after)

    def resume_postgres_backfill(asked: Command[PostgresControlConfig]) -> dict[str, Any]:
        """Load what is left of a backfill's plan, and only that."""
        return gone_on_with(
            asked, POSTGRES_BACKFILL, from_yaml=from_yaml, after=after, carry_out=_carried_out, words=_words
        )

    return [
        command(
            postgres_backfill,
            "Load rows of PostgreSQL, as a filter selects them: shown first (dry_run is true by default).",
            config=PostgresBackfillConfig,
            tags=LONG_RUN,
            pool=POOL,
            kind=JobKind.LOAD,
        ),
        *control_jobs(
            POSTGRES_BACKFILL,
            Controls(
                PostgresControlConfig,
                POOL,
                resume="Go on with a backfill from PostgreSQL that was paused, killed, or that failed: what is left.",
                pause="Pause a backfill from PostgreSQL: the batch in work lands, then it stops.",
                cancel="Cancel a backfill from PostgreSQL: the batch in work lands, and no row of it is ever seen.",
                delete="Leave a finished backfill from PostgreSQL out of lists; the audit stays, and what it loaded.",
                cancelled_is_seen=True,
            ),
            resume_postgres_backfill,
            after,
        ),
        command(
            show_postgres_backfills,
            "Which backfills from PostgreSQL were asked for, and how far is each? With its id: everything about one.",
            config=PostgresShowConfig,
        ),
    ]


def postgres_schedules(job: JobDefinition, sources: Sources) -> list[ScheduleDefinition]:
    """The schedules of all tables that declare one; each runs ``job`` for its table."""
    found: dict[str, ScheduleDefinition] = {}
    for pipeline in sources.pipelines:
        for table in pipeline.tables:
            if table.schedule is None:
                continue
            stem = re.sub(r"\W", "_", f"postgres_backfill_{pipeline.name}_{table.name}", flags=re.ASCII)
            # What differs in signs alone that no name of a schedule may have.
            name = stem if f"{stem}_schedule" not in found else f"{stem}_{len(found)}"
            found[f"{name}_schedule"] = ScheduleDefinition(
                name=f"{name}_schedule",
                job=job,
                cron_schedule=table.schedule,
                execution_timezone=table.schedule_time_zone,
                run_config={
                    "pipeline": pipeline.name,
                    "table_name": table.name,
                    "kind": str(Extent.INCREMENTAL),
                    "dry_run": False,
                    "requested_by": f"{name}_schedule",
                    "reason": f"as declared: {table.schedule}",
                },
                default_status=DefaultScheduleStatus.RUNNING,
                description=f"Loads what has changed in {table.name} of {pipeline.name}.",
            )
    return list(found.values())
