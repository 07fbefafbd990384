"""The two pre-aggregation assets, their job and their daily schedule."""

from collections.abc import Iterator
from datetime import UTC, date, timedelta

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetSelection,
    AssetSpec,
    BackfillPolicy,
    Config,
    DailyPartitionsDefinition,
    DefaultScheduleStatus,
    MaterializeResult,
    MetadataValue,
    RunRequest,
    ScheduleEvaluationContext,
    define_asset_job,
    in_process_executor,
    multi_asset,
    schedule,
)
from pydantic import Field

from dags.days import FIRST_DAY
from dags.resources import ClickHouseResource
from dags.runs import BUILD_RUN
from dags.schedules import DAILY_BUILD_CRON, TIME_ZONE
from dags.schema.apply import require_schema
from dags.settings import current_settings
from dags.team_selection.store import read_selection
from dags.units import Outcome
from dags.web_preaggregated.store import BuiltDay, BuiltTable, DayBuild
from dags.web_preaggregated.tables import JOB, WEB_TABLES

PARTITIONS = DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone=TIME_ZONE)

_DESCRIPTIONS = {
    "web_pre_aggregated_stats": "Page views by hour and every dimension of the page view, a day a partition.",
    "web_pre_aggregated_bounces": "Sessions, bounces and durations by hour and dimension, a day a partition.",
}


class BuildConfig(Config):
    """What a person may change of a build. A build is always of all enabled teams: there is no list of teams here."""

    allow_shrink: bool = Field(
        default=False,
        description="Publish also where a team would lose half of its sessions or more, as when its source expired.",
    )


@multi_asset(
    specs=[
        AssetSpec(
            table.name,
            description=_DESCRIPTIONS[table.name],
            group_name="web_analytics",
            deps=["web_analytics_team_selection"],
            kinds={"clickhouse"},
            code_version=str(table.logic_version),
            skippable=False,
        )
        for table in WEB_TABLES
    ],
    name="web_pre_aggregated",
    partitions_def=PARTITIONS,
    backfill_policy=BackfillPolicy.multi_run(max_partitions_per_run=1),
    can_subset=True,
)
def web_pre_aggregated(
    context: AssetExecutionContext, config: BuildConfig, clickhouse: ClickHouseResource
) -> Iterator[MaterializeResult[None]]:
    """Rebuild a day of the selected tables for all enabled teams; every other team's rows stay as they are."""
    settings, day = current_settings(), date.fromisoformat(context.partition_key)
    with clickhouse.client(context.run.run_id) as client:
        require_schema(client)
        built = DayBuild(
            client=client,
            day=day,
            teams=read_selection(client).teams,
            tables=[table.name for table in WEB_TABLES if AssetKey(table.name) in context.selected_asset_keys],
            run_id=context.run.run_id,
            batch_events=settings.build_batch_events,
            max_memory_bytes=settings.build_max_memory_bytes,
            allow_shrink=config.allow_shrink,
            progress=context.log.info,
        ).run()
    for table in built.tables:
        if held := table.teams(Outcome.HELD):
            context.log.warning(
                "%s of %s: %d teams kept their old rows, for a rebuild would have removed half of their sessions or "
                "more (first: %s). If that is right, run the partition with allow_shrink: true",
                table.table, day, len(held), held[:5],
            )  # fmt: skip
        yield MaterializeResult(asset_key=table.table, metadata=_metadata(built, table))


def _metadata(built: BuiltDay, table: BuiltTable) -> dict[str, MetadataValue]:
    read = built.cost.rows_read
    return {
        "rows": MetadataValue.int(table.rows),
        "sessions": MetadataValue.int(sum(m.distinct for m in table.after.values())),
        "pageviews": MetadataValue.int(sum(m.total for m in table.after.values())),
        **{f"teams_{o}": MetadataValue.int(len(table.teams(o))) for o in (Outcome.BUILT, Outcome.EMPTY, Outcome.HELD)},
        "source_events": MetadataValue.int(built.source_events),
        **({} if read is None else {"rows_read": MetadataValue.int(read)}),
        "query_seconds": MetadataValue.float(round(built.cost.seconds, 3)),
    }


web_pre_aggregate_job = define_asset_job(
    JOB,
    AssetSelection.assets(*(table.name for table in WEB_TABLES)),
    description="Rebuild a day of the pre-aggregated tables: stage, validate, publish, record.",
    executor_def=in_process_executor,
    tags=BUILD_RUN,
)


@schedule(
    job=web_pre_aggregate_job,
    cron_schedule=DAILY_BUILD_CRON,
    description="Builds yesterday, and once more the day before, whose last sessions have ended by now.",
    execution_timezone=TIME_ZONE,
    default_status=DefaultScheduleStatus.RUNNING,
)
def web_pre_aggregate_daily_schedule(context: ScheduleEvaluationContext) -> list[RunRequest]:
    """Build yesterday, and once more the day before, whose last sessions have ended by now."""
    today = context.scheduled_execution_time.astimezone(UTC).date()
    days = (today - timedelta(days=1), today - timedelta(days=2))
    return [RunRequest(partition_key=day.isoformat(), run_key=f"{today}/{day}") for day in days if day >= FIRST_DAY]
