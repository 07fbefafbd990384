"""The asset and the schedule of the list of enabled teams."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    Config,
    DefaultScheduleStatus,
    FreshnessPolicy,
    MaterializeResult,
    MetadataValue,
    ScheduleDefinition,
    asset,
    define_asset_job,
    in_process_executor,
)
from pydantic import Field

from dags.clickhouse.clocks import tell_of_skew
from dags.clickhouse.schema.apply import require_schema
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import KIND_TAG, SHORT_RUN, JobKind
from dags.schedules import TEAM_SELECTION_CRON, TEAM_SELECTION_MAX_AGE, TIME_ZONE
from dags.settings import current_settings
from dags.team_selection.sources import team_ids_by_source
from dags.team_selection.store import write_selection


class TeamSelectionConfig(Config):
    """How a person lets an unusual list pass."""

    allow_shrink: bool = Field(
        default=False, description="Accept a list that loses half of its teams or more at once, or is empty."
    )


def team_selection(
    changed: Callable[[AssetExecutionContext, ClickHouseResource], None], origins: Sequence[AssetKey] = ()
) -> AssetsDefinition:
    """The asset. ``changed`` hears of each list that may have been written: what is expected may be otherwise.

    ``origins`` are the assets that the team sources are in Dagster's catalog.
    """

    @asset(
        group_name="web_analytics",
        kinds={"clickhouse"},
        deps=origins,
        freshness_policy=FreshnessPolicy.time_window(fail_window=TEAM_SELECTION_MAX_AGE),
    )
    def web_analytics_team_selection(
        context: AssetExecutionContext, config: TeamSelectionConfig, clickhouse: ClickHouseResource
    ) -> MaterializeResult[None]:
        """The enabled teams, from the configured sources, written to ClickHouse and read back from its dictionary."""
        settings = current_settings()
        with ExitStack() as opened:
            # All of them before any is written: a list from which a shard's teams are missing is none.
            clients = [
                opened.enter_context(clickhouse.client(context.run.run_id, shard=shard)) for shard in clickhouse.shards
            ]
            for client in clients:
                require_schema(client)
            clocks = [tell_of_skew(client, context.log.warning) for client in clients]
            places = [(client, its.today) for client, its in zip(clients, clocks, strict=True)]
            by_source = team_ids_by_source(places, settings)
            teams = {team for named in by_source.values() for team in named}
            try:
                written = [write_selection(client, teams, allow_shrink=config.allow_shrink) for client in clients]
            finally:  # also where it was written and could not be read back
                changed(context, clickhouse)
        selection = written[0]
        if not selection.teams:
            context.log.warning("No team is enabled, so nothing is watched. Sources: %s", ", ".join(by_source))
        return MaterializeResult(
            metadata={
                "teams": len(selection.teams),
                "dagster/row_count": len(selection.teams),
                "status": "watching" if selection.teams else "nothing is watched",
                "teams_by_source": MetadataValue.json({name: len(named) for name, named in by_source.items()}),
                "sample": MetadataValue.json(sorted(selection.teams)[:20]),
                "departed": len(selection.departed),
                "warnings": MetadataValue.json([words for its in clocks for words in its.warnings]),
            }
        )

    return web_analytics_team_selection


web_analytics_team_selection_job = define_asset_job(
    "web_analytics_team_selection_job",
    AssetSelection.assets("web_analytics_team_selection").without_checks(),
    description="Write the list of enabled teams.",
    executor_def=in_process_executor,
    tags={**SHORT_RUN, KIND_TAG: str(JobKind.TEAMS)},
)

web_analytics_team_selection_schedule = ScheduleDefinition(
    name="web_analytics_team_selection_schedule",
    job=web_analytics_team_selection_job,
    cron_schedule=TEAM_SELECTION_CRON,
    execution_timezone=TIME_ZONE,
    default_status=DefaultScheduleStatus.RUNNING,
    description="Daily, before the build of yesterday, which builds for the teams on this list.",
)
