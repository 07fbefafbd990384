"""Makes of declared tables what Dagster builds: an asset each, the job that rebuilds their days, the daily schedule.

Tables that share a builder share an op, which computes what they have in common once.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    BackfillPolicy,
    Config,
    DagsterRun,
    DailyPartitionsDefinition,
    DefaultScheduleStatus,
    Failure,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    define_asset_job,
    in_process_executor,
    multi_asset,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from dags.clickhouse.clocks import tell_of_skew
from dags.clickhouse.schema.apply import require_schema
from dags.clickhouse.sql import Sql
from dags.dagster_runs.lines import line
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import (
    BUILD_RUN,
    DAILY_RUN_TAG,
    KIND_TAG,
    PLAN_ID,
    REASON_TAG,
    REASONS_BY_TABLE_TAG,
    REASONS_TAG,
    REQUESTED_BY_TAG,
    TAG_PREFIX,
    TRIGGER_TAG,
    JobKind,
    hidden_tag,
    is_automatic,
    is_daily,
)
from dags.dagster_runs.traces import ticking
from dags.domain.days import ONE_DAY
from dags.domain.errors import UserError
from dags.domain.shards import SHARD_TAG
from dags.domain.units import Outcome
from dags.domain.watched import WatchedTable, first_day, most_reach
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.publish.built import BuiltDay, BuiltTable
from dags.publish.contents import target_of
from dags.repair.requests.rules import teams_of_plan, teams_to_build
from dags.repair.requests.store import frozen_teams
from dags.repair.stops.stopped import why_stopped
from dags.schedules import DAILY_BUILD_CRON, TIME_ZONE
from dags.settings import current_settings
from dags.team_selection.store import read_selection
from dags.web_preaggregated_backfill.catalog import look_again
from dags.web_preaggregated_backfill.own_checks import own_checks
from dags.work.audit.log import AUTOMATIC, MANUAL
from dags.work.of_runs import RunWork, audited

# What a build says of its teams in its metadata.
OUTCOMES = (Outcome.BUILT, Outcome.EMPTY, Outcome.HELD, Outcome.FAILED, Outcome.SKIPPED)


# Dagster's own name of how many rows a partition has; the UI plots it by day.
PARTITION_ROWS = "dagster/partition_row_count"


class BuildConfig(Config):
    """What to build of the day, and what a person may allow. Left out, a build is of all enabled teams."""

    team_ids: list[int] = Field(
        default=[],
        description="The teams to rebuild, in every selected table; every other team's rows stay as they are. "
        "Left out: all enabled teams.",
    )
    team_ids_by_table: dict[str, list[int]] = Field(
        default={},
        description="The teams to rebuild in one table, where they differ between tables; backfills name them so.",
    )
    plan_id: str = Field(
        default="",
        description="The plan of a detection that has the teams to rebuild, where they are too many to be named here; "
        "web_pre_aggregated_requests keeps them for 60 days.",
    )

    allow_shrink: bool = Field(
        default=False,
        description="Publish also where a team would lose half of its sessions or more, as when its source expired.",
    )

    def refuse_unusable(self) -> None:
        """In words, where a validator's would stand in a traceback.

        Raises:
            UserError: the plan's id is none.
        """
        if self.plan_id and not PLAN_ID.fullmatch(self.plan_id):
            raise UserError(
                f"plan_id has {len(self.plan_id):,} characters, or some that no plan's has: give one as a run's tag "
                f"{TAG_PREFIX}plan shows it, or leave it out and name the teams. Nothing was touched"
            )


def built_assets(tables: tuple[WatchedTable, ...]) -> AssetsDefinition:
    """The assets of tables that one builder builds; they have the same partitions.

    Raises:
        BuildError: one of them is declared without a builder.
    """
    op = tables[0].require_builder().op

    @multi_asset(
        specs=[
            AssetSpec(
                table.name,
                description=table.description,
                group_name="web_analytics",
                deps=["web_analytics_team_selection", table.source.table],
                kinds={"clickhouse"},
                code_version=str(table.logic_version),
                skippable=False,
            )
            for table in tables
        ],
        name=op,
        partitions_def=DailyPartitionsDefinition(start_date=first_day(tables).isoformat(), timezone=TIME_ZONE),
        backfill_policy=BackfillPolicy.multi_run(max_partitions_per_run=1),
        can_subset=True,
        pool=op,
    )
    def built(
        context: AssetExecutionContext,
        config: BuildConfig,
        clickhouse: ClickHouseResource,
        watched: ResourceParam[tuple[WatchedTable, ...]],
    ) -> Iterator[MaterializeResult[None]]:
        """Rebuild a day of the selected tables for the teams asked for; every other team's rows stay as they are."""
        config.refuse_unusable()
        if not context.has_partition_key:
            raise UserError(
                f"{context.job_name} builds one day, and this run names none, or several: name one, as --partition "
                "2026-01-31 in a terminal, or a partition in the UI. Nothing was touched"
            )
        selected = [table for table in tables if AssetKey(table.name) in context.selected_asset_keys]
        changed = [(table.name, date.fromisoformat(context.partition_key)) for table in selected]

        def look() -> None:
            # The check that else follows a build is skipped after one that has failed, whatever that has published.
            run_id, tell = context.run.run_id, context.log.info
            look_again(context.instance, clickhouse, watched, run_id, changed=changed, tell=tell)

        try:
            with clickhouse.client(context.run.run_id) as client:
                day = _built_day(context, config, client, selected)
        except BaseException:
            look()
            raise
        for table in day.tables:
            if held := table.teams(Outcome.HELD):
                context.log.warning(
                    "%s of %s: %d teams kept their old rows, for a rebuild would have removed half of their %s or "
                    "more (first: %s). If that is right, allow_shrink: true builds them: health_job has the command",
                    table.table, day.day, len(held), _words(tables, table.table)[0], held[:5],
                )  # fmt: skip
            # A table of which nothing could be built is as it was: the day is not said to be materialized.
            is_untouched = day.problems and set(table.outcome_by_team.values()) <= {Outcome.FAILED, Outcome.SKIPPED}
            if not is_untouched or not table.outcome_by_team:
                metadata = of_build(day, table, _words(tables, table.table))
                if estimate := context.run.tags.get(f"{TAG_PREFIX}estimate"):
                    actual = f"{day.source.around:,} rows, {day.cost.seconds:,.1f} s"
                    metadata["estimate"] = MetadataValue.text(f"{estimate}; it was {actual}")
                yield MaterializeResult(asset_key=table.table, metadata=metadata)
        if day.problems:
            look()
            raise Failure("\n".join(day.problems), allow_retries=False)

    return built


def _built_day(
    context: AssetExecutionContext, config: BuildConfig, client: Client, selected: Sequence[WatchedTable]
) -> BuiltDay:
    """Build the run's partition, unless somebody stopped backfills or the day is not over."""
    names = [table.name for table in selected]
    by_planner = is_automatic(context.run)
    require_schema(client)
    if by_planner and (stopped := why_stopped(client)):
        raise Failure(f"nothing was built: backfills are {stopped}", allow_retries=False)
    selection = read_selection(client)
    day = date.fromisoformat(context.partition_key)
    clocks = tell_of_skew(client, context.log.warning)
    if day >= clocks.server.date():
        raise Failure(
            f"nothing was built: {day} is not over by ClickHouse's clock, {clocks.server:%Y-%m-%d %H:%M} UTC. "
            "Correct the clock that is wrong, then build it",
            allow_retries=False,
        )
    wanted = _named(client, config, names, day)
    build = DayBuild(
        client=client,
        day=day,
        teams_by_table=teams_to_build(names, selection.teams, selection.departed, config.team_ids, wanted),
        run_id=context.run.run_id,
        limits=build_limits(current_settings()),
        tables=selected,
        allow_shrink=config.allow_shrink,
        wait_seconds=current_settings().engine_wait_seconds,
        progress=context.log.info,
    )
    if is_daily(context.run):
        return build.run()
    kind, who = (AUTOMATIC, TRIGGER_TAG) if by_planner else (MANUAL, REQUESTED_BY_TAG)
    why = _why(context.run, names, by_planner=by_planner)
    works = [RunWork(client, kind, context.run.run_id, name, str(day), why[name]) for name in names]
    with audited(works, requested_by=context.run.tags.get(who, "")) as ended:
        built = build.run()
        rows = {table.name: _rows_built(client, table, built) for table in selected}
        # Tables of one run are computed together, and nobody can say for which of them.
        cost = dict(zip(names, built.cost.shares(len(names)), strict=True))
        ended({name: (rows[name], "; ".join(built.problems_of(name)), cost[name]) for name in names})
    return built


def _why(run: DagsterRun, names: Sequence[str], *, by_planner: bool) -> Mapping[str, str]:
    """Why each table is built, as the planner or a person says."""
    if not by_planner:
        return dict.fromkeys(names, run.tags.get(REASON_TAG, ""))
    of_all = dict.fromkeys(names, run.tags.get(REASONS_TAG, ""))
    # A run that was queued before an upgrade says it of all of them alone.
    return {**of_all, **json.loads(hidden_tag(run, REASONS_BY_TABLE_TAG) or "{}")}


def _rows_built(client: Client, table: WatchedTable, built: BuiltDay) -> int:
    """How many rows the table has of the teams that were rebuilt; 0 where that cannot be read, as nothing of it fails
    what is published.
    """
    teams = {team for one in built.tables if one.table == table.name for team in one.teams(Outcome.BUILT)}
    if not teams:
        return 0
    bound = {"start": built.day, "end": built.day + ONE_DAY}
    try:
        units = Sql("dags.publish", client).rows("units_by_day", bound, **target_of(table))
    except ClickHouseError:
        return 0
    return sum(rows for _, team, rows, _ in units if team in teams)


def _words(tables: Sequence[WatchedTable], name: str) -> tuple[str, str]:
    return next(table.words for table in tables if table.name == name)


def _named(client: Client, config: BuildConfig, tables: Sequence[str], day: date) -> Mapping[str, Collection[int]]:
    """The teams to build by table, from the configuration or from the plan that it names."""
    if not config.plan_id:
        return config.team_ids_by_table
    frozen = frozen_teams(client, {(config.plan_id, day)}).get((config.plan_id, day), {})
    return teams_of_plan(tables, config.plan_id, day, frozen, (config.team_ids, config.team_ids_by_table))


def of_build(built: BuiltDay, table: BuiltTable, words: tuple[str, str]) -> dict[str, MetadataValue]:
    """What a build says of its table's day; each figure's name says of what it is.

    ``day_…`` of the whole day, all teams, as readers see it; ``rebuilt_…`` of the teams that this run rebuilt and no
    others; ``source_…`` of the source of the teams that it was asked for.
    """
    rebuilt = [table.after[team] for team in table.teams(Outcome.BUILT) if team in table.after]
    distinct, total = (word.replace(" ", "") for word in words)
    read, size = built.cost.rows_read, built.cost.bytes_read
    return {
        "published": MetadataValue.bool(table.is_published),
        "day_rows": MetadataValue.int(table.rows),
        PARTITION_ROWS: MetadataValue.int(table.rows),
        f"rebuilt_{distinct}": MetadataValue.int(sum(one.distinct for one in rebuilt)),
        f"rebuilt_{total}": MetadataValue.int(sum(one.total for one in rebuilt)),
        **{f"teams_{outcome}": MetadataValue.int(len(table.teams(outcome))) for outcome in OUTCOMES},
        "source_events": MetadataValue.int(built.source.own),
        "source_events_with_neighbours": MetadataValue.int(built.source.around),
        "uncounted_events": MetadataValue.int(sum(built.uncounted.values())),
        **({} if read is None else {"rows_read": MetadataValue.int(read)}),
        **({} if size is None else {"bytes_read": MetadataValue.int(size)}),
        "query_seconds": MetadataValue.float(round(built.cost.seconds, 3)),
    }


def build_job(tables: tuple[WatchedTable, ...]) -> UnresolvedAssetJobDefinition:
    """The job that rebuilds a day of these tables."""
    return define_asset_job(
        tables[0].job,
        AssetSelection.assets(*(table.name for table in tables)).without_checks()
        | AssetSelection.checks(*own_checks(table.name for table in tables)),
        description="Rebuild a day of these tables: stage, validate, publish, record.",
        executor_def=in_process_executor,
        tags={**BUILD_RUN, KIND_TAG: str(JobKind.BUILD)},
    )


def daily_schedule(job: UnresolvedAssetJobDefinition, tables: Sequence[WatchedTable]) -> ScheduleDefinition:
    """The schedule by which the days that are over are built at first, and those that have closed once more."""
    first, ages = first_day(tables), range(1, most_reach(tables) + 2)

    @schedule(
        name=f"{job.name.removesuffix('_job')}_daily_schedule",
        job=job,
        cron_schedule=DAILY_BUILD_CRON,
        description="Builds yesterday, and once more the days before it into which its source reaches.",
        execution_timezone=TIME_ZONE,
        default_status=DefaultScheduleStatus.RUNNING,
    )
    def daily(context: ScheduleEvaluationContext, clickhouse: ClickHouseResource) -> list[RunRequest]:
        """Build yesterday, and once more the days that have closed since; each shard's by a run of its own."""
        today = context.scheduled_execution_time.astimezone(UTC).date()
        days = [today - age * ONE_DAY for age in ages]
        requests = [
            RunRequest(
                partition_key=day.isoformat(),
                run_key=f"{today}/{day}" + f"/shard-{shard}" * bool(shard),
                tags={DAILY_RUN_TAG: "true", **({SHARD_TAG: str(shard)} if shard else {})},
            )
            for day in days
            if day >= first
            for shard in clickhouse.shards
        ]
        keys = [request.run_key for request in requests]
        asked = list(dict.fromkeys(request.partition_key for request in requests))
        context.log.info("%s", line(decision="launch", **ticking(context), days=asked, run_keys=keys))
        return requests

    return daily
