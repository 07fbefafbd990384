"""The jobs of backfills from PostgreSQL: show and carry out, go on, pause, cancel, delete, and list."""

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Any

from clickhouse_connect.driver.client import Client
from dagster import AssetObservation, DefaultScheduleStatus, JobDefinition, MetadataValue, ScheduleDefinition

from dags.clickhouse.sql import Sql
from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import LONG_RUN, REASON_TAG, REQUESTED_BY_TAG, TAG_PREFIX, ordered_at
from dags.domain.days import in_words
from dags.domain.text import table_text, wrapped
from dags.postgres_backfill.connection import Connection
from dags.postgres_backfill.execution import PostgresBackfill
from dags.postgres_backfill.fields import PostgresBackfillConfig, PostgresControlConfig, PostgresShowConfig
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.postgres_backfill.log import Loaded, asked_entry, in_queue, work_of
from dags.postgres_backfill.plan import Extent, Plan, from_yaml
from dags.postgres_backfill.planning import first_rows, make_plan
from dags.postgres_backfill.progress import Moved, beyond_text, plan_text, report, report_text
from dags.postgres_backfill.reading import PACKAGE
from dags.settings import current_settings
from dags.sources.declaration import Sources
from dags.sources.file import read_sources
from dags.work import control
from dags.work.audit.log import Work
from dags.work.audit.store import Log, require_state
from dags.work.document import as_yaml
from dags.work.runner import Runner
from dags.work.runs import Shown, act, asked_before

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
            return _carried_out(asked, client, after, work=known.work, plan=plan, ordered=ordered)
        planned = make_plan(client, given, settings, os.environ)
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
        return _carried_out(asked, client, after, work=work, plan=plan, ordered=ordered)


def _gone_on_with(asked: Command[PostgresControlConfig], after: Callable[[Command[Any]], None]) -> dict[str, Any]:
    with asked.client() as (client, clocks):
        ordered = ordered_at(asked.instance, asked.context.run, clocks)
        state = require_state(client, POSTGRES_BACKFILL, asked.given.postgres_backfill_id)
        control.refuse_resume(POSTGRES_BACKFILL, state)
        plan = from_yaml(state.accepted.payload)
        print(f"RESUMED  {state.work_id}: {len(state.done)} of {len(plan.ranges)} ranges had landed")
        who = (asked.given.requested_by, asked.given.reason)
        return _carried_out(asked, client, after, work=state.work, plan=plan, ordered=ordered, asked_by=who)


def pause_postgres_backfill(asked: Command[PostgresControlConfig]) -> None:
    """Ask a backfill to pause."""
    act(asked, POSTGRES_BACKFILL, control.pause)


def show_postgres_backfills(asked: Command[PostgresShowConfig]) -> dict[str, Any]:
    """Print and return the queue, or one request of it."""
    given = asked.given
    with asked.client() as (client, _):
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
    context = asked.context
    pipeline = read_sources(current_settings()).pipeline(plan.pipeline)

    def moved(how_much: Moved) -> None:
        print(how_much, flush=True)
        asked.instance.add_run_tags(asked.run_id, {f"{TAG_PREFIX}percent": f"{how_much.percent:.0f}"})
        context.log_event(
            AssetObservation(
                plan.target,
                description=f"{work.work_id}: {plan.table_name}",
                metadata={
                    "progress": str(how_much),
                    "percent": round(how_much.percent, 1),
                    "rows": how_much.rows,
                    "rows_a_second": round(how_much.rate, 1),
                },
            )
        )

    def range_over(_: object, words: str, __: object) -> None:
        print(words, flush=True)  # how far that is, `moved` has said

    def tell(words: str) -> None:
        context.log.info(words)
        print(wrapped(f"NOTE     {words}"), flush=True)

    def attached(rows_by_day: Mapping[date, int]) -> None:
        print(f"ATTACHED {sum(rows_by_day.values()):,} rows on {in_words(rows_by_day)}", flush=True)

    def opened() -> AbstractContextManager[Client]:
        return asked.clickhouse.client(asked.run_id)

    shown = Shown(asked, POSTGRES_BACKFILL, work, plan.target, partial(report_text, plan))
    runner = Runner(
        client=client,
        open_client=opened,
        kind=POSTGRES_BACKFILL,
        work=work,
        chunks=plan.ranges,
        worker=PostgresBackfill(
            plan, Connection.of(pipeline, os.environ), current_settings().build_max_seconds, moved, attached
        ),
        run_id=asked.run_id,
        ordered_at=ordered,
        listeners=replace(shown.listeners(plan.monitoring.webhook), tell=tell, chunk_done=range_over),
        parallelism=plan.parallelism,
        monitoring=plan.monitoring,
        asked_by=asked_by,
    )
    who, why = asked_by if any(asked_by) else (plan.requested_by, plan.reason)
    asked.instance.add_run_tags(
        asked.run_id, {REQUESTED_BY_TAG: who, REASON_TAG: why, f"{TAG_PREFIX}source": plan.subject}
    )
    try:
        state = runner.run()
        shown.end(state)
        if beyond := beyond_text(
            Loaded.of(state).rows_by_day, ordered.date(), current_settings().backfill_lookback_days
        ):
            print(beyond)
    finally:
        # Whatever ended it: what readers see may be otherwise, and the checks say at once what is so now.
        after(asked)
    shown.require_success(state)
    return report(plan, state)


def postgres_backfill_jobs(after: Callable[[Command[Any]], None]) -> list[JobDefinition]:
    """The jobs, that which begins one first. ``after`` is told when a run may have changed what readers see."""

    def postgres_backfill(asked: Command[PostgresBackfillConfig]) -> dict[str, Any]:
        """Show what would be loaded; load it unless it is a dry run."""
        return _asked_for(asked, after)

    def resume_postgres_backfill(asked: Command[PostgresControlConfig]) -> dict[str, Any]:
        """Load what is left of a backfill's plan, and only that."""
        return _gone_on_with(asked, after)

    def cancel_postgres_backfill(asked: Command[PostgresControlConfig]) -> None:
        """Ask a backfill to end, and nothing of it to be seen."""
        act(asked, POSTGRES_BACKFILL, control.cancel)
        after(asked)

    def delete_postgres_backfill(asked: Command[PostgresControlConfig]) -> None:
        """Leave a finished backfill out of lists."""
        act(asked, POSTGRES_BACKFILL, control.delete)
        after(asked)

    return [
        command(
            postgres_backfill,
            "Load rows of PostgreSQL, as a filter selects them: shown first (dry_run is true by default).",
            config=PostgresBackfillConfig,
            tags=LONG_RUN,
            pool=POOL,
        ),
        command(
            resume_postgres_backfill,
            "Go on with a backfill from PostgreSQL that was paused, killed, or that failed: what is left of it.",
            config=PostgresControlConfig,
            tags=LONG_RUN,
            pool=POOL,
        ),
        command(
            pause_postgres_backfill,
            "Pause a backfill from PostgreSQL: the batch in work lands, then it stops.",
            config=PostgresControlConfig,
        ),
        command(
            cancel_postgres_backfill,
            "Cancel a backfill from PostgreSQL: the batch in work lands, and no row of it is ever seen.",
            config=PostgresControlConfig,
        ),
        command(
            delete_postgres_backfill,
            "Leave a finished backfill from PostgreSQL out of lists; the audit stays, and what it loaded.",
            config=PostgresControlConfig,
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
