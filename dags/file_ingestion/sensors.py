"""The sensor that looks for files when ingestions are due, and launches a run only where some wait."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    JobDefinition,
    RunRecord,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._utils.schedules import reverse_cron_string_iterator

from dags.dagster_runs.lines import line
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import BACKFILL_PRIORITY, TAG_PREFIX
from dags.dagster_runs.traces import tick_of, ticking
from dags.domain import clock
from dags.domain.errors import EngineBusyError
from dags.file_ingestion.due import Due, after, as_cursor, choose, cursor_of, that_are_due
from dags.file_ingestion.looking import look_at
from dags.file_ingestion.ranges import range_of
from dags.repair.runs import IN_FLIGHT
from dags.schedules import FILES_INTERVAL_SECONDS
from dags.sources.declaration import Sources

# Of every run of an ingestion: which, and whether it loads a range that ends by itself.
INGESTION_TAG, RANGE_TAG = f"{TAG_PREFIX}ingestion", f"{TAG_PREFIX}range"

# Of a run that failed because none of its files could be loaded: it did not break down, and what it listed it listed.
NOTHING_LOADED_TAG = f"{TAG_PREFIX}nothing_loaded"

# Of the time that a tick has, what looking for files may take; what is due and was not looked for is launched.
LOOK_SECONDS = 25.0

# A range without a schedule whose run has failed begins anew after so long.
TRIED_AGAIN = timedelta(hours=1)

# A run that waits for its turn.
_WAITING = (DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED)


def files_sensor(job: JobDefinition, sources: Sources) -> SensorDefinition:
    """The sensor of the ingestions that are declared; it launches ``job``."""

    @sensor(
        name="web_analytics_files_sensor",
        job_name=job.name,
        minimum_interval_seconds=FILES_INTERVAL_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Every minute: which ingestions are due? Loads their files where some are new or were replaced.",
    )
    def web_analytics_files_sensor(context: SensorEvaluationContext, clickhouse: ClickHouseResource) -> SensorResult:
        """Look for files where an ingestion is due."""
        now = clock.utc_now()
        asked = cursor_of(context.cursor, now)
        due = that_are_due(sources.ingestions, asked, _last_tick(now), now)
        if not due:
            return SensorResult(skip_reason="no ingestion is due", cursor=context.cursor)
        last = _last_runs(context.instance, due)
        failed = {name for name, record in last.items() if broke_down(record.dagster_run)}
        due = that_are_due(sources.ingestions, asked, _last_tick(now), now, failed)
        busy = _busy(last, due, now)
        idle = [one for one in due if one.name not in busy]
        until = time.monotonic() + LOOK_SECONDS
        try:
            seen = clickhouse.in_tick(partial(look_at, idle, LOOK_SECONDS), until, who=tick_of(context)) if idle else {}
        except EngineBusyError as error:
            return SensorResult(skip_reason=f"the next tick looks again: {error}", cursor=context.cursor)
        choice = choose(due, busy, seen, waiting(context.instance))
        cursor = as_cursor(after(asked, due, choice, now))
        words = "; ".join(f"{name}: {why}" for name, why in sorted(choice.others.items()))
        if not choice.launched:
            # Not a line besides: each tick's log is a file, and this is of every minute.
            return SensorResult(skip_reason=words, cursor=cursor)
        requests = [_request(one) for one in choice.launched]
        names, keys = [one.name for one in choice.launched], [request.run_key for request in requests]
        told = line(decision="launch", **ticking(context), ingestions=names, run_keys=keys, why=words)
        context.log.info("%s", told)
        return SensorResult(run_requests=requests, cursor=cursor)

    return web_analytics_files_sensor


def waiting(instance: DagsterInstance) -> str:
    """A run of an ingestion without a range that waits for its turn; empty if none does."""
    records = instance.get_run_records(RunsFilter(statuses=list(_WAITING), tags={RANGE_TAG: "false"}), limit=1)
    return records[0].dagster_run.run_id if records else ""


def _last_runs(instance: DagsterInstance, due: Sequence[Due]) -> dict[str, RunRecord]:
    found = {one.name: instance.get_run_records(RunsFilter(tags={INGESTION_TAG: one.name}), limit=1) for one in due}
    return {name: records[0] for name, records in found.items() if records}


def _busy(last: Mapping[str, RunRecord], due: Sequence[Due], now: datetime) -> dict[str, str]:
    """In words, the runs because of which no other begins: of each ingestion one that is at it, or, where nothing but
    that keeps it from beginning anew each minute, one that has failed.
    """
    found: dict[str, str] = {}
    for one in due:
        if (record := last.get(one.name)) is None:
            continue
        run, since = record.dagster_run, now - record.update_timestamp.astimezone(UTC)
        if run.status in IN_FLIGHT:
            found[one.name] = f"run {run.run_id[:8]} is at it"
        elif one.ingestion.cron is None and broke_down(run) and since < TRIED_AGAIN:
            found[one.name] = f"run {run.run_id[:8]} failed: it is tried again an hour later"
    return found


def broke_down(run: DagsterRun) -> bool:
    return run.status is DagsterRunStatus.FAILURE and NOTHING_LOADED_TAG not in run.tags


def _last_tick(now: datetime) -> Callable[[str, str], datetime]:
    def last_tick(cron: str, time_zone: str) -> datetime:
        return next(iter(reverse_cron_string_iterator(now.timestamp(), cron, time_zone))).astimezone(UTC)

    return last_tick


def _request(due: Due) -> RunRequest:
    ingestion = due.ingestion
    return RunRequest(
        run_key=f"files-{due.name}-{due.tick:%Y%m%dT%H%M%S}",
        run_config={
            "ingestion": due.name,
            "listing": str(due.scope),
            "dry_run": False,
            "requested_by": "web_analytics_files_sensor",
            "reason": f"as declared: {ingestion.schedule or f'the range {range_of(ingestion)}'}",
        },
        tags={
            INGESTION_TAG: due.name,
            RANGE_TAG: str(due.is_range).lower(),
            **({PRIORITY_TAG: BACKFILL_PRIORITY} if due.is_range else {}),
        },
    )
