"""Everything that is served, by name. Loading it reads the settings, and opens no connection."""

from __future__ import annotations

from dagster import Definitions, in_process_executor

from dags.resources import ClickHouseResource
from dags.schema.jobs import apply_schema_job
from dags.settings import current_settings
from dags.team_selection.assets import (
    web_analytics_team_selection,
    web_analytics_team_selection_job,
    web_analytics_team_selection_schedule,
)
from dags.web_preaggregated.assets import (
    web_pre_aggregate_daily_schedule,
    web_pre_aggregate_job,
    web_pre_aggregated,
)
from dags.web_preaggregated_backfill.assets import web_analytics_backfill_detector
from dags.web_preaggregated_backfill.checks import web_pre_aggregated_complete
from dags.web_preaggregated_backfill.jobs import check_missing_data_job, show_data_gaps_job, why_job
from dags.web_preaggregated_backfill.sensors import web_analytics_backfill_schedule, web_analytics_backfill_sensor

# A bad setting must stop the location from loading, and name itself, rather than the first run.
current_settings()

defs = Definitions(
    assets=[
        web_analytics_team_selection,
        web_pre_aggregated,
        web_analytics_backfill_detector,
    ],
    asset_checks=[web_pre_aggregated_complete],
    jobs=[
        apply_schema_job,
        web_analytics_team_selection_job,
        web_pre_aggregate_job,
        check_missing_data_job,
        show_data_gaps_job,
        why_job,
    ],
    schedules=[
        web_analytics_team_selection_schedule,
        web_pre_aggregate_daily_schedule,
        web_analytics_backfill_schedule,
    ],
    sensors=[web_analytics_backfill_sensor],
    resources={"clickhouse": ClickHouseResource()},
    # A process for each step makes small runs twice as slow, and the embedded engine serves one process at a time.
    executor=in_process_executor,
)
