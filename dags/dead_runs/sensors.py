"""Every half minute: ends the runs whose process is dead.

Dagster's default launcher cannot tell; a run that was killed together with its code server would hold its place in
the queue, in the pool and under the limit of its tag until `dagster/max_runtime`. Decision 15 says why this is a
sensor and what it takes for dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunsFilter,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from dags.dead_runs.locks import death, forget, names
from dags.runs import lock_directory
from dags.schedules import DEAD_RUNS_INTERVAL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

IN_PROGRESS = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


@sensor(
    minimum_interval_seconds=DEAD_RUNS_INTERVAL_SECONDS,
    description="Every half minute: ends the runs whose process is dead, so that they hold no place in the queue.",
    default_status=DefaultSensorStatus.RUNNING,
)
def web_analytics_dead_runs_sensor(context: SensorEvaluationContext) -> SkipReason:
    """End the runs of this location whose process is dead; one that lives, or may live, is left alone."""
    repository, location = context.repository_def, context.code_location_origin
    # Elsewhere than in one process a step's lock is freed when the step ends, and the run goes on.
    jobs = (
        {job.name for job in repository.get_all_jobs() if job.executor_def.name == "in_process"} if repository else ()
    )

    def is_ours(run: DagsterRun) -> bool:
        origin = run.remote_job_origin
        is_here = origin is None or location is None or origin.location_name == location.location_name
        return is_here and run.job_name in jobs

    ended = end_dead_runs(context.instance, is_ours)
    return SkipReason(f"ended {', '.join(ended)}: their processes are dead" if ended else "no run's process is dead")


def end_dead_runs(instance: DagsterInstance, is_ours: Callable[[DagsterRun], bool]) -> list[str]:
    """End the runs whose process is dead; their ids. Ticks may overlap: what has ended meanwhile is left as it is."""
    directory = lock_directory(instance)
    # Before the runs are asked for: a file that comes later is that of a run which is not among them.
    files = names(directory)
    ended, running = [], {run.run_id: run for run in instance.get_runs(RunsFilter(statuses=IN_PROGRESS))}
    for run_id in filter(lambda one: is_ours(running[one]), running):
        who = death(directory, run_id)
        run = instance.get_run_by_id(run_id) if who else None
        if run is None or run.is_finished:
            continue
        words = (
            f"The {who} that carried this run out is dead: killed, out of memory, or gone with its container or "
            "machine. Readers see whole days, old or new. The days that are wrong are asked for again; a managed "
            "backfill goes on with resume_backfill_job."
        )
        if run.status is DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, words)
        else:
            instance.report_run_failed(run, words)
        ended.append(run_id)
    forget(directory, files - running.keys())
    return ended
