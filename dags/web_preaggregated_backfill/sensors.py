"""The two triggers that work alone: the sensor every 6 hours, and the comprehensive check at 02:00 UTC.

Both evaluate, leave a materialization of the detector, and launch what the decision asks for, or say why not.
"""

import time
from collections.abc import Sequence
from functools import partial

from dagster import (
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    schedule,
    sensor,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from dags.dagster_runs.lines import line
from dags.dagster_runs.resource import TICK_SECONDS, ClickHouseResource
from dags.dagster_runs.traces import tick_of, ticking
from dags.domain import clock
from dags.domain.text import of_error
from dags.domain.watched import WatchedTable
from dags.repair.decision import Trigger
from dags.repair.requests.store import freeze
from dags.schedules import COMPREHENSIVE_CHECK_CRON, SENSOR_INTERVAL_SECONDS, TIME_ZONE
from dags.settings import current_settings
from dags.web_preaggregated_backfill.catalog import leave, leaving_unknown
from dags.web_preaggregated_backfill.evaluation import evaluate, run_requests, skip_reason, teams_to_freeze
from dags.web_preaggregated_backfill.ticks import decision_line


def backfill_sensor(
    watched: tuple[WatchedTable, ...], jobs: Sequence[UnresolvedAssetJobDefinition]
) -> SensorDefinition:
    """The sensor, for the tables that are watched and the jobs that rebuild them."""

    @sensor(
        jobs=jobs,
        minimum_interval_seconds=SENSOR_INTERVAL_SECONDS,
        description="Every 6 hours: rebuilds what is missing.",
        default_status=DefaultSensorStatus.RUNNING,
    )
    def web_analytics_backfill_sensor(
        context: SensorEvaluationContext, clickhouse: ClickHouseResource
    ) -> list[RunRequest] | SkipReason:
        """Rebuild what is missing."""
        return _tick(context, clickhouse, watched, Trigger.SENSOR)

    return web_analytics_backfill_sensor


def backfill_schedules(
    watched: tuple[WatchedTable, ...], jobs: Sequence[UnresolvedAssetJobDefinition]
) -> list[ScheduleDefinition]:
    """The 02:00 check, once for each job, because a schedule has one; all decide alike."""

    def checking(job: UnresolvedAssetJobDefinition, name: str) -> ScheduleDefinition:
        @schedule(
            name=name,
            job=job,
            cron_schedule=COMPREHENSIVE_CHECK_CRON,
            description="The comprehensive check: rebuilds what is missing, partial, excessive, stale or inconsistent.",
            execution_timezone=TIME_ZONE,
            default_status=DefaultScheduleStatus.RUNNING,
        )
        def check(context: ScheduleEvaluationContext, clickhouse: ClickHouseResource) -> list[RunRequest] | SkipReason:
            """Rebuild what is missing, partial, excessive, stale or inconsistent."""
            return _tick(context, clickhouse, watched, Trigger.SCHEDULE, job.name)

        return check

    first, *others = jobs
    return [
        checking(first, "web_analytics_backfill_schedule"),
        *(checking(job, f"{job.name}_backfill_schedule") for job in others),
    ]


def _tick(
    context: SensorEvaluationContext | ScheduleEvaluationContext,
    clickhouse: ClickHouseResource,
    watched: tuple[WatchedTable, ...],
    trigger: Trigger,
    job: str | None = None,
) -> list[RunRequest] | SkipReason:
    instance, now = context.instance, clock.utc_now()
    in_tick = partial(clickhouse.in_tick, until=time.monotonic() + TICK_SECONDS, who=tick_of(context))
    plan_id = f"{trigger}-{now:%Y%m%dT%H%M%S}"
    try:
        with leaving_unknown(instance, watched):
            evaluation = evaluate(instance, current_settings(), watched, trigger, in_tick, now=now)
        leave(instance, evaluation)
        for shard in clickhouse.shards:
            if frozen := teams_to_freeze(evaluation, job, shard):
                in_tick(partial(freeze, plan_id=plan_id, teams_by_unit=frozen), shard=shard)
    except Exception as error:
        words = line(decision="failed", **ticking(context), trigger=trigger, why=of_error(error))
        context.log.error("%s", words)  # noqa: TRY400 -- the tick itself shows the traceback
        raise
    requests = run_requests(evaluation, plan_id, job)
    context.log.info("%s", decision_line(evaluation, requests, plan_id, ticking(context)))
    return requests or SkipReason(skip_reason(evaluation))
