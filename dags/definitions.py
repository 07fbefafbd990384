"""Everything that is served, by name. Loading it reads the settings, and opens no connection.

To have another table watched, declare it (`dags.domain.watched.WatchedTable`), append the declaration to `WATCHED`, and
serve the asset that builds it and its job beside ours.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from click import ClickException
from dagster import AssetsDefinition, AssetSpec, Definitions, JobDefinition, in_process_executor

from dags.alerts.channels import read_channels
from dags.alerts.jobs import alert_jobs
from dags.alerts.sensors import alerts_sensor
from dags.clickhouse.engine import map_library
from dags.dagster_runs.console import say_failures_in_words
from dags.dagster_runs.resource import ClickHouseResource
from dags.detection.waivers.jobs import waiver_jobs
from dags.domain.errors import SettingsError
from dags.file_ingestion.jobs import file_ingestion_jobs
from dags.file_ingestion.sensors import files_sensor
from dags.health.checks import health_checks, health_checks_job, health_schedule
from dags.health.instance import Timetable
from dags.health.jobs import health_job
from dags.health.reading import Served
from dags.managed_backfill.jobs import managed_backfill_jobs, web_analytics_sweep_backups_schedule
from dags.metrics.jobs import weeks_job
from dags.postgres_backfill.jobs import postgres_backfill_jobs, postgres_schedules
from dags.repair.stops.jobs import stop_jobs
from dags.retention.jobs import retention_job, retention_schedule
from dags.settings import current_settings
from dags.sources.file import read_sources
from dags.team_selection.assets import (
    team_selection,
    web_analytics_team_selection_job,
    web_analytics_team_selection_schedule,
)
from dags.web_preaggregated.schema_jobs import apply_schema_job
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.adoption import adoption_job
from dags.web_preaggregated_backfill.assets import detector
from dags.web_preaggregated_backfill.building import build_job, built_assets, daily_schedule
from dags.web_preaggregated_backfill.catalog import after_command, after_dead_runs, after_selection
from dags.web_preaggregated_backfill.checks import standing_checks
from dags.web_preaggregated_backfill.jobs import diagnostics
from dags.web_preaggregated_backfill.sensors import backfill_schedules, backfill_sensor
from dags.web_preaggregated_backfill.shown_assets import as_shown_in_catalog, event_origins, operation, team_origins
from dags.work.dead_runs.sensors import dead_runs_sensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from dags.domain.watched import WatchedTable

web_pre_aggregated = built_assets(WEB_TABLES)
web_pre_aggregate_job = build_job(WEB_TABLES)
web_pre_aggregate_daily_schedule = daily_schedule(web_pre_aggregate_job, WEB_TABLES)

# What is watched: each table is declared once, and found here.
WATCHED = WEB_TABLES


def location(
    watched: tuple[WatchedTable, ...],
    assets: Sequence[AssetsDefinition],
    jobs: Sequence[UnresolvedAssetJobDefinition],
) -> Definitions:
    """The code location that keeps ``watched`` complete. ``assets`` build these tables, ``jobs`` rebuild their days.

    Raises:
        ValueError: a declaration names a job that is not among ``jobs``.
    """
    if lacking := {table.job for table in watched} - {job.name for job in jobs}:
        raise ValueError(f"watched tables are rebuilt by {sorted(lacking)}, which are not among the jobs given")
    questions = diagnostics(watched)
    postgres_jobs = postgres_backfill_jobs(after_command(watched))
    file_jobs = file_ingestion_jobs(after_command(watched))
    settings = current_settings()
    map_library(settings.clickhouse_dsn)
    sources, teams = read_sources(settings), team_origins(settings)
    selection = team_selection(after_selection(watched), [origin.key for origin in teams])
    repairing, load_schedules = backfill_schedules(watched, jobs), postgres_schedules(postgres_jobs[0], sources)
    schedules = [
        web_analytics_team_selection_schedule,
        web_analytics_sweep_backups_schedule,
        web_pre_aggregate_daily_schedule,
        *repairing,
        *load_schedules,
    ]
    sensor = backfill_sensor(watched, jobs)
    sensors = [
        sensor,
        files_sensor(file_jobs[0], sources),
        dead_runs_sensor(after_dead_runs(watched), {question.name for question in questions}),
    ]
    launching = [sensor.name, *(one.name for one in repairing)]
    timetable = Timetable.of(
        sensors, schedules, repairing=launching, loads=load_schedules, chores=[web_analytics_sweep_backups_schedule]
    )
    served = Served(watched, timetable, sources)
    of_health = health_checks(served)
    checks_job = health_checks_job(of_health)
    served_assets: list[AssetsDefinition | AssetSpec] = [
        *event_origins(settings, sources, watched),
        *teams,
        selection,
        *assets,
        detector(watched),
        operation(),
    ]
    served_jobs: list[JobDefinition | UnresolvedAssetJobDefinition] = [
        apply_schema_job,
        web_analytics_team_selection_job,
        *jobs,
        health_job(served),
        checks_job,
        *alert_jobs(),
        *questions,
        weeks_job(watched),
        *waiver_jobs(watched, after_command(watched)),
        *managed_backfill_jobs(watched),
        *postgres_jobs,
        *file_jobs,
        *stop_jobs(after_command(watched)),
        adoption_job(watched),
    ]
    keys = {key for one in served_assets for key in (one.keys if isinstance(one, AssetsDefinition) else [one.key])}
    forgetting = retention_job({job.name for job in served_jobs}, keys)
    return Definitions(
        assets=as_shown_in_catalog(served_assets, settings, watched),
        asset_checks=[standing_checks(watched), *of_health],
        jobs=[*served_jobs, forgetting],
        schedules=[*schedules, health_schedule(checks_job), retention_schedule(forgetting)],
        sensors=[*sensors, alerts_sensor(served)],
        # What a build cannot know of its own tables: which all are watched, and judged together.
        resources={"clickhouse": ClickHouseResource(), "watched": watched},
        # A process for each step makes small runs twice as slow, and the embedded engine serves one process at a time.
        executor=in_process_executor,
    )


# A bad setting must stop the location from loading, and name itself, rather than the first run. A terminal shows the
# words of an error of click's, and of any other a traceback as well.
try:
    read_sources(current_settings())
    read_channels(current_settings())
except SettingsError as error:
    # `dg check defs` prints the frames of whatever it meets. Nothing else happens in a process that cannot load this.
    sys.tracebacklimit = 0
    raise ClickException(str(error)) from None

say_failures_in_words()

defs = location(WATCHED, [web_pre_aggregated], [web_pre_aggregate_job])
