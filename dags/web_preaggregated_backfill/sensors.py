"""The two triggers that work alone: the sensor every 6 hours, and the comprehensive check at 02:00 UTC.

Both evaluate, leave a materialization of the detector, and launch what the decision asks for, or say why not.
"""

from dagster import (
    DagsterInstance,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SkipReason,
    schedule,
    sensor,
)

from dags import clock
from dags.resources import ClickHouseResource
from dags.schedules import COMPREHENSIVE_CHECK_CRON, SENSOR_INTERVAL_SECONDS, TIME_ZONE
from dags.settings import current_settings
from dags.web_preaggregated.assets import web_pre_aggregate_job
from dags.web_preaggregated_backfill.checks import report_checks
from dags.web_preaggregated_backfill.decision import Trigger
from dags.web_preaggregated_backfill.evaluation import evaluate, record, run_requests, skip_reason


@sensor(
    job=web_pre_aggregate_job,
    minimum_interval_seconds=SENSOR_INTERVAL_SECONDS,
    description="Every 6 hours: rebuilds what is missing.",
    default_status=DefaultSensorStatus.RUNNING,
)
def web_analytics_backfill_sensor(
    context: SensorEvaluationContext, clickhouse: ClickHouseResource
) -> list[RunRequest] | SkipReason:
    """Rebuild what is missing."""
    return _tick(context.instance, clickhouse, Trigger.SENSOR)


@schedule(
    job=web_pre_aggregate_job,
    cron_schedule=COMPREHENSIVE_CHECK_CRON,
    description="The comprehensive check: rebuilds what is missing, partial, excessive, stale or inconsistent.",
    execution_timezone=TIME_ZONE,
    default_status=DefaultScheduleStatus.RUNNING,
)
def web_analytics_backfill_schedule(
    context: ScheduleEvaluationContext, clickhouse: ClickHouseResource
) -> list[RunRequest] | SkipReason:
    """Rebuild what is missing, partial, excessive, stale or inconsistent."""
    return _tick(context.instance, clickhouse, Trigger.SCHEDULE)


def _tick(instance: DagsterInstance, clickhouse: ClickHouseResource, trigger: Trigger) -> list[RunRequest] | SkipReason:
    now = clock.utc_now()
    evaluation = evaluate(instance, current_settings(), trigger, now, clickhouse.in_tick)
    record(instance, evaluation)
    report_checks(instance, evaluation.detection)
    return run_requests(evaluation, plan_id=f"{trigger}-{now:%Y%m%dT%H%M%S}") or SkipReason(skip_reason(evaluation))
