"""Every half minute: ends the runs whose process is dead, says so in the audit, and has looked at what they left.

Dagster's default launcher cannot tell; a run that was killed together with its code server would hold its place in
the queue, in the pool and under the limit of its tag until `dagster/max_runtime`. Decision 19 says why this is a
sensor and what it takes for dead.
"""

import logging
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from dagster._core.storage.tags import GRPC_INFO_TAG

from dags.dagster_runs.lines import line
from dags.dagster_runs.locks import death, forget, names
from dags.dagster_runs.processes import clock_is_steady, is_gone, is_local
from dags.dagster_runs.resource import TICK_SECONDS, ClickHouseResource
from dags.dagster_runs.tags import lock_directory
from dags.dagster_runs.traces import tick_of, ticking
from dags.domain.errors import EngineBusyError, UserError
from dags.schedules import DEAD_RUNS_INTERVAL_SECONDS
from dags.work.of_runs import end_silent

# A run takes its lock within a second of its start, or several on a busy machine.
LOCK_SECONDS = 45.0

# So many runs are looked at that ended since the last tick; on the first tick of all those are the newest.
MOST_RUNS = 5000

UNSUCCESSFUL = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]

IN_PROGRESS = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


# What is left of a code server's tick, see `dags.dagster_runs.resource.ClickHouseResource.in_tick`.
InTick = Callable[..., Any]


def dead_runs_sensor(
    look_again: Callable[[DagsterInstance, InTick], None], questions: Collection[str]
) -> SensorDefinition:
    """The sensor. ``look_again`` hears that runs ended without success, which may have changed data before; unless it
    were ``questions`` alone, the jobs that change none.
    """

    @sensor(
        minimum_interval_seconds=DEAD_RUNS_INTERVAL_SECONDS,
        description="Every half minute: ends the runs whose process is dead, so that they hold no place in the queue.",
        default_status=DefaultSensorStatus.RUNNING,
    )
    def web_analytics_dead_runs_sensor(context: SensorEvaluationContext, clickhouse: ClickHouseResource) -> SkipReason:
        """End the runs of this location whose process is dead; one that lives, or may live, is left alone."""
        repository, location = context.repository_def, context.code_location_origin
        # Elsewhere than in one process a step's lock is freed when the step ends, and the run goes on.
        jobs = (
            {job.name for job in repository.get_all_jobs() if job.executor_def.name == "in_process"}
            if repository
            else ()
        )

        def is_ours(run: DagsterRun) -> bool:
            origin = run.remote_job_origin
            is_here = origin is None or location is None or origin.location_name == location.location_name
            return is_here and run.job_name in jobs

        in_tick = partial(clickhouse.in_tick, until=time.monotonic() + TICK_SECONDS, who=tick_of(context))
        ended = end_dead_runs(context.instance, is_ours, lambda: context.log)
        said, looked = cursors(context.cursor or "")
        changing, newest = over_since(
            context.instance, looked, lambda run: is_ours(run) and run.job_name not in questions
        )
        try:
            if changing:
                look_again(context.instance, in_tick)
            looked = newest
        except EngineBusyError as error:
            context.log.warning("what runs left that died is not looked at yet, the next tick tries again: %s", error)
        why_by_run, newest = over_since(context.instance, said, is_ours)
        why_by_run |= {run.run_id: "the run's process died" for run in ended}
        try:
            if why_by_run:
                for shard in clickhouse.shards:
                    in_tick(partial(end_silent, why_by_run=why_by_run), shard=shard)
            said = newest
        except (UserError, ClickHouseError) as error:
            context.log.warning("the audit may keep work as running, the next tick tries again: %s", error)
        context.update_cursor(f"{said}{_BETWEEN}{looked}")
        if ended or why_by_run:  # every half minute there is nothing to say
            dead = [run.run_id for run in ended]
            over = sorted(why_by_run.keys() - set(dead))
            context.log.info("%s", line(decision="end" if ended else "look", **ticking(context), ended=dead, over=over))
        words = ", ".join(run.run_id for run in ended)
        return SkipReason(f"ended {words}: their processes are dead" if ended else "no run's process is dead")

    return web_analytics_dead_runs_sensor


_BETWEEN = "|"


def cursors(cursor: str) -> tuple[str, str]:
    """Until when the audit says of runs how they ended, and until when what they left was looked at."""
    said, _, looked = cursor.partition(_BETWEEN)
    return said, looked or said


def over_since(
    instance: DagsterInstance, cursor: str, is_ours: Callable[[DagsterRun], bool]
) -> tuple[dict[str, str], str]:
    """The runs that failed or were canceled since the last tick, what to say of each, and the next cursor.

    Most builds have told the audit themselves; the log of those that could not, or not of all they did, would be open
    for ever. An empty cursor, as after an upgrade, is of all that Dagster knows.
    """
    last = datetime.fromisoformat(cursor) if cursor else None
    records = instance.get_run_records(RunsFilter(statuses=UNSUCCESSFUL, updated_after=last), limit=MOST_RUNS)
    why = {
        run.run_id: f"the run ended as {run.status.value.lower()}, its log in Dagster says why"
        for run in (record.dagster_run for record in records)
        if is_ours(run)
    }
    newest = max((record.update_timestamp.astimezone(UTC).isoformat() for record in records), default=cursor)
    return why, newest


def end_dead_runs(
    instance: DagsterInstance, is_ours: Callable[[DagsterRun], bool], log: Callable[[], logging.Logger]
) -> list[DagsterRun]:
    """End the runs whose process is dead; which these were. One that cannot be ended keeps no other from it.

    ``log`` is asked for when there is something to say: the log of a tick is a file from then on, a million a year.
    """
    directory = lock_directory(instance)
    # Before the runs are asked for: a file that comes later is that of a run which is not among them.
    files = names(directory)
    running = instance.get_runs(RunsFilter(statuses=IN_PROGRESS))
    is_steady = clock_is_steady(directory)
    ended = []
    for run in filter(is_ours, running):
        who = (
            death(directory, run.run_id)
            if run.run_id in files
            else _death_before_the_lock(instance, run, is_steady=is_steady)
        )
        if not who:
            continue
        try:
            if _ended(instance, run.run_id, who):
                ended.append(run)
        except Exception:  # noqa: BLE001 -- logged with its traceback
            log().exception("run %s, whose process is dead, could not be ended; the next tick tries again", run.run_id)
    forget(directory, files - {run.run_id for run in running})
    return ended


def _death_before_the_lock(instance: DagsterInstance, run: DagsterRun, *, is_steady: bool) -> str | None:
    """Which process was to carry the run out, in words, if that is gone and was on this machine.

    Only the daemon takes runs from the queue, and it is the daemon that asks this sensor: whoever else launched a run,
    as a webserver does where there is no queue, may have done it in a container of its own, where ids mean others.
    """
    if not is_local(run.tags.get(GRPC_INFO_TAG, "")):
        return None
    entries = instance.all_logs(run.run_id, of_type={DagsterEventType.RUN_DEQUEUED, DagsterEventType.ENGINE_EVENT})
    if not any(entry.dagster_event_type is DagsterEventType.RUN_DEQUEUED for entry in entries):
        return None
    for entry in entries:
        event = entry.dagster_event
        is_of_engine = event is not None and event.event_type is DagsterEventType.ENGINE_EVENT
        pid = event.engine_event_data.metadata.get("pid") if event is not None and is_of_engine else None
        if pid is not None and entry.message.startswith("Started process for run") and str(pid.value).isdecimal():
            is_young = time.time() - entry.timestamp < LOCK_SECONDS
            is_dead = not is_young and is_gone(int(str(pid.value)), entry.timestamp, is_steady=is_steady)
            return f"process {pid.value}" if is_dead else None
    return None


def _ended(instance: DagsterInstance, run_id: str, who: str) -> bool:
    """Whether the run was still in progress, and is over now. The dead say nothing more, so what it is now it stays."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    words = (
        f"The {who} that carried this run out is dead: killed, out of memory, or gone with its container or machine. "
        "Readers see whole days, old or new. The days that are wrong are asked for again; a managed backfill goes on "
        "with resume_backfill_job, a rollback with rollback_backfill_job."
    )
    if run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, words)
    else:
        instance.report_run_failed(run, words)
    return True
