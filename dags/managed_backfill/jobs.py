"""The jobs of managed backfills: plan and carry out, go on, pause, cancel, delete, take back, and show."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial
from typing import Any

from clickhouse_connect.driver.client import Client
from dagster import (
    AssetMaterialization,
    DefaultScheduleStatus,
    JobDefinition,
    MetadataValue,
    ScheduleDefinition,
)

from dags.clickhouse.engine import LOOK_SECONDS
from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import LONG_RUN, JobKind, ordered_at, shard_of
from dags.domain.errors import UserError
from dags.domain.given import Nothing
from dags.domain.watched import WatchedTable
from dags.file_ingestion.kind import FILE_INGESTION
from dags.managed_backfill.execution import Backfill
from dags.managed_backfill.fields import BackfillConfig, ControlConfig, RollbackConfig, ShowConfig
from dags.managed_backfill.kind import BACKFILL
from dags.managed_backfill.listing import as_dict, listed_text, of_run_text
from dags.managed_backfill.log import work_of
from dags.managed_backfill.plan import Plan, from_yaml
from dags.managed_backfill.planning import make_plan, read_facts
from dags.managed_backfill.progress import plan_text, report, report_text
from dags.managed_backfill.request import refuse_plan, validated
from dags.managed_backfill.rollback import roll_back
from dags.managed_backfill.shrunk import held_units, read_wrong, refuse_held
from dags.managed_backfill.sweeping import sweep_backups as sweep_expired
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.publish.backup import backup_name, backup_names, beside_backup, perhaps_elsewhere
from dags.publish.batches import build_limits
from dags.publish.built import BuiltDay
from dags.repair.runs import runs_of
from dags.schedules import SWEEP_BACKUPS_CRON, TIME_ZONE
from dags.settings import current_settings
from dags.sources.loads.sweeping import sweep_landings
from dags.web_preaggregated_backfill.building import PARTITION_ROWS, of_build
from dags.web_preaggregated_backfill.catalog import look_again
from dags.work import control, history
from dags.work.audit.log import FINISHED, MANAGED, RESUMABLE, Work
from dags.work.audit.store import Log, require_state
from dags.work.document import as_yaml, require_size
from dags.work.plan_files import read_plan, save_plan
from dags.work.runner import Runner
from dags.work.runs import Shown, act, asked_before


def managed_backfill_jobs(watched: tuple[WatchedTable, ...]) -> list[JobDefinition]:
    """The jobs, for the tables that are watched and can be rebuilt by team."""
    pool = next(table.op for table in watched if table.op)

    def managed_backfill(asked: Command[BackfillConfig]) -> dict[str, Any]:
        """Plan a backfill and show the plan; carry it out unless it is a dry run."""
        context, began = asked.context, time.monotonic()
        with asked.client() as (client, clocks):
            ordered = ordered_at(asked.instance, context.run, clocks)
            backfill_id, known = asked_before(asked, client, BACKFILL)
            # A retry of a run goes on with the plan that was accepted then: its window never moves.
            if known is not None:
                plan = from_yaml(known.accepted.payload)
            else:
                plan = _planned(asked, client, watched, backfill_id, clocks.now)
            print(plan_text(plan))
            text = as_yaml(plan)
            if known is None:  # else it was saved then
                _save(text, asked.given.save_plan_to)
            context.add_output_metadata({"plan": MetadataValue.md(f"```yaml\n{text}\n```")})
            if asked.given.dry_run:
                there = f", on shard {plan.scope.shard}" if plan.scope.shard else ""
                print(f"\nDRY RUN  nothing was written; dry_run: false carries it out{there}")
                return {"backfill_id": None, "status": "dry run", "plan": text}
            work = known.work if known is not None else work_of(backfill_id, plan)
            if known is not None:
                control.refuse_resume(BACKFILL, known)
            else:
                log, who = Log(client, work, asked.run_id), (plan.requested_by, plan.reason)
                control.accept(log, text, *who, planned_in=time.monotonic() - began)
            if known is not None:
                _refuse_unknown(client, work)
            return _carried_out(asked, client, watched, work=work, plan=plan, ordered=ordered)

    def resume_backfill(asked: Command[ControlConfig]) -> dict[str, Any]:
        """Carry out what is left of a backfill's plan, and only that."""
        with asked.client() as (client, clocks):
            ordered = ordered_at(asked.instance, asked.context.run, clocks)
            state = require_state(client, BACKFILL, asked.given.backfill_id)
            control.refuse_resume(BACKFILL, state)
            plan = from_yaml(state.accepted.payload)
            _refuse_unknown(client, state.work)
            print(f"RESUMED  {state.work_id}: {plan.name}; {len(state.done)} of {len(plan.days)} days were done")
            return _carried_out(
                asked, client, watched, work=state.work, plan=plan, ordered=ordered,
                asked_by=(asked.given.requested_by, asked.given.reason),
            )  # fmt: skip

    def rollback_backfill(asked: Command[RollbackConfig]) -> dict[str, Any]:
        """Put the days of a backfill back as they were before it."""
        return _rolled_back(asked, watched)

    def delete_backfill(asked: Command[ControlConfig]) -> None:
        """Drop a backfill's backup."""
        act(asked, BACKFILL, control.delete)
        look_again(asked.instance, asked.clickhouse, watched, asked.run_id)

    return [
        command(
            managed_backfill,
            "Rebuild a range of a table by a plan: shown first (dry_run is true by default), carried out in chunks.",
            known={"target_table": [table.name for table in watched if table.swaps_days]},
            config=BackfillConfig,
            refuses=True,
            tags=LONG_RUN,
            pool=pool,
            kind=JobKind.BACKFILL,
        ),
        command(
            resume_backfill,
            "Go on with a backfill that was paused, stopped by a ceiling, killed, or that failed: what is left of it.",
            config=ControlConfig,
            tags=LONG_RUN,
            pool=pool,
            kind=JobKind.BACKFILL,
        ),
        command(
            rollback_backfill,
            "Take a backfill back, from the backup that it took: every day is again what it was, absent days too.",
            config=RollbackConfig,
            tags=LONG_RUN,
            pool=pool,
            kind=JobKind.BACKFILL,
        ),
        pause_backfill_job,
        cancel_backfill_job,
        command(
            delete_backfill,
            "Drop a finished backfill's backup and leave it out of lists.",
            config=ControlConfig,
            kind=JobKind.BACKFILL,
        ),
        show_backfills_job,
        sweep_backups_job,
    ]


def pause_backfill(asked: Command[ControlConfig]) -> None:
    """Ask a backfill to pause."""
    act(asked, BACKFILL, control.pause)


def cancel_backfill(asked: Command[ControlConfig]) -> None:
    """Ask a backfill to end."""
    act(asked, BACKFILL, control.cancel)


def show_backfills(asked: Command[ShowConfig]) -> dict[str, Any]:
    """Print and return the audit, or one backfill of it."""
    given = asked.given
    with asked.client(answer_seconds=LOOK_SECONDS) as (client, _):
        if not given.backfill_id:
            asked.tell_shard(client)
            only, status = given.origin or "", given.status or ""
            rows = control.listed(client, BACKFILL, only=only, subject=given.table, status=status, limit=given.limit)
            print(listed_text(rows) if rows else given.none_found())
            return {"backfills": [as_dict(row) for row in rows]}
        state = control.as_it_is(client, require_state(client, BACKFILL, given.backfill_id))
        if state.work.kind != MANAGED:
            asked.tell_shard(client)
    if state.work.kind != MANAGED:
        print(of_run_text(state))
        return {"backfill_id": state.work_id, "status": state.status, **history.as_dict(state)}
    plan = from_yaml(state.accepted.payload)
    print(report_text(plan, state))
    _save(state.accepted.payload, given.save_plan_to)
    return report(plan, state)


def sweep_backups(asked: Command[Nothing]) -> list[str]:
    """Drop the backups of managed backfills whose time is over, and what landed of loads that nobody went on with."""
    tell, kept_days = asked.context.log.info, current_settings().backfill_backup_days
    # Of files nothing is gone on with: a group begins anew.
    loads = ((POSTGRES_BACKFILL, FINISHED, kept_days), (FILE_INGESTION, FINISHED | RESUMABLE, 0))
    with asked.clients() as clients:
        dropped = [
            name for client, clocks in clients for name in sweep_expired(client, clocks.server, asked.run_id, tell)
        ]
        swept = [
            one
            for client, clocks in clients
            for kind, statuses, days in loads
            for one in sweep_landings(client, kind, statuses, asked.run_id, tell, now=clocks.server, kept_days=days)
        ]
    print(f"{len(dropped)} backups whose time was over were dropped")
    print(f"of {len(swept)} loads that are over, what had landed was dropped")
    return [*dropped, *swept]


pause_backfill_job = command(
    pause_backfill,
    "Pause a backfill: the chunk in work finishes, then it stops.",
    config=ControlConfig,
    kind=JobKind.BACKFILL,
)
cancel_backfill_job = command(
    cancel_backfill,
    "Cancel a backfill: the chunk in work finishes, no other starts.",
    config=ControlConfig,
    kind=JobKind.BACKFILL,
)
show_backfills_job = command(
    show_backfills,
    "Which backfills were there, by whom, why, and what came of them? With backfill_id: its chunks, gates and errors.",
    config=ShowConfig,
)
sweep_backups_job = command(
    sweep_backups,
    "Drop the backups of managed backfills that were kept for their time, and what is left of loads that are over.",
    kind=JobKind.BACKFILL,
)

web_analytics_sweep_backups_schedule = ScheduleDefinition(
    name="web_analytics_sweep_backups_schedule",
    job=sweep_backups_job,
    cron_schedule=SWEEP_BACKUPS_CRON,
    execution_timezone=TIME_ZONE,
    default_status=DefaultScheduleStatus.RUNNING,
    description="Drops the backups of managed backfills whose time is over.",
)


def _planned(
    asked: Command[BackfillConfig], client: Client, watched: tuple[WatchedTable, ...], backfill_id: str, now: datetime
) -> Plan:
    settings = current_settings()
    runs = runs_of(asked.instance, {table.name: table.job for table in watched}, (), now)
    shard = shard_of(asked.context.run)
    flying = {(table, run.day): f"run {run.run_id[:8]}" for run in runs if run.is_of(shard) for table in run.tables}
    facts = read_facts(client, watched, settings, now, backfill_id, in_flight=flying)
    if not (asked.read.usable.get("plan") or asked.read.usable.get("plan_file")):
        return make_plan(client, watched, validated(asked.read, facts), settings, now)
    given = asked.given
    if given.plan and given.plan_file:
        raise UserError("plan and plan_file were both given: leave one of the two out")
    text = given.plan
    require_size("plan", len(text.encode(errors="replace")))
    if given.plan_file:
        text = read_plan(settings.backfill_plans_directory, given.plan_file)
    if beside := given.beside_a_plan():
        raise UserError(f"{', '.join(beside)} were given beside a plan: write them into the plan, which says it all")
    plan = from_yaml(text)
    refuse_plan(plan, facts)
    if not plan.strategy.allow_shrink:
        scope, teams = plan.scope, frozenset(plan.scope.team_ids)
        wrong = read_wrong(client, watched, scope.table, scope.days, teams=teams, settings=settings, now=now)
        refuse_held(plan, held_units(wrong))
    return plan


def _refuse_unknown(client: Client, work: Work) -> None:
    """Refuse to go on with a backfill beside a second backup: days would be in either.

    Raises:
        UserError: no replica that answers has its backup, and one does not answer. Nothing was touched.
    """
    names, silent = backup_names(client)
    if silent and backup_name(work.work_id, work.subject) not in names:
        raise UserError(f"{work.work_id} has no backup{perhaps_elsewhere(client)}. Nothing was touched")


def _save(text: str, name: str) -> None:
    if name:
        print(f"\nSAVED    {save_plan(current_settings().backfill_plans_directory, name, text)}")


def _carried_out(
    asked: Command[Any],
    client: Client,
    watched: tuple[WatchedTable, ...],
    *,
    work: Work,
    plan: Plan,
    ordered: datetime,
    asked_by: tuple[str, str] = ("", ""),
) -> dict[str, Any]:
    context, settings = asked.context, current_settings()
    table = next(table for table in watched if table.name == plan.scope.table)

    changed = set[tuple[str, date]]()

    def day_begun(day: date) -> None:
        changed.add((table.name, day))

    def day_done(built: BuiltDay) -> None:
        [one] = built.tables
        metadata = {**of_build(built, one, table.words), "backfill": MetadataValue.text(work.work_id)}
        context.log_event(AssetMaterialization(table.name, partition=built.day.isoformat(), metadata=metadata))

    def day_restored(day: date, rows: int) -> None:
        context.log_event(_of_restored(work.work_id, table.name, day, rows))

    backup = backup_name(work.work_id, work.subject)

    @contextmanager
    def opened() -> Iterator[Client]:
        with asked.clickhouse.client(asked.run_id) as own:
            yield beside_backup(own, backup)

    shown = Shown(asked, BACKFILL, work, table.name, partial(report_text, plan), "days")
    runner = Runner(
        client=beside_backup(client, backup),
        open_client=opened,
        kind=BACKFILL,
        work=work,
        chunks=plan.chunks,
        worker=Backfill(
            table, plan, build_limits(settings), settings.engine_wait_seconds, day_begun, day_done, day_restored
        ),
        run_id=asked.run_id,
        ordered_at=ordered,
        listeners=shown.listeners(plan.monitoring.webhook),
        parallelism=plan.strategy.parallelism,
        ceilings=plan.strategy.ceilings,
        monitoring=plan.monitoring,
        asked_by=asked_by,
    )
    try:
        state = runner.run()
        shown.end(state)
    finally:
        # Whatever ended it: the checks outlive the backfill, and say at once what is so now.
        look_again(asked.instance, asked.clickhouse, watched, asked.run_id, changed=changed)
    shown.require_success(state)
    return report(plan, state)


def _rolled_back(asked: Command[RollbackConfig], watched: tuple[WatchedTable, ...]) -> dict[str, Any]:
    changed = set[tuple[str, date]]()

    def begun(table: str, days: Collection[date]) -> None:
        changed.update((table, day) for day in days)

    def day_restored(backfill_id: str, table: str, day: date, rows: int) -> None:
        asked.context.log_event(_of_restored(backfill_id, table, day, rows))

    with asked.client() as (client, _):
        try:
            return roll_back(
                client,
                watched,
                asked.given.backfill_id,
                run_id=asked.run_id,
                requested_by=asked.given.requested_by,
                reason=asked.given.reason,
                even_built_since=asked.given.allow_losing_later_builds,
                wait_seconds=current_settings().engine_wait_seconds,
                tell=print,
                begun=begun,
                day_restored=day_restored,
            )
        finally:
            if changed:  # also where it refuses, or fails: a day may have been put back before
                look_again(asked.instance, asked.clickhouse, watched, asked.run_id, changed=changed)


def _of_restored(backfill_id: str, table: str, day: date, rows: int) -> AssetMaterialization:
    """That a day is again what it was: of its page what the build said that was taken back is no longer so."""
    return AssetMaterialization(
        table,
        partition=day.isoformat(),
        description=f"Put back as it was before {backfill_id}.",
        metadata={
            "day_rows": MetadataValue.int(rows),
            PARTITION_ROWS: MetadataValue.int(rows),
            "restored_from": MetadataValue.text(backfill_id),
        },
    )
