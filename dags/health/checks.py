"""The standing checks: the same causes as `health_job` has, one check a concern, on the asset that it is about.

A check fails with ERROR where something needs a person or could not be read, and with WARN where something is to be
known; what repairs itself within its target fails none but `tables_agree`, with WARN. Each can be run by itself; a
schedule runs all every hour.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    AssetSelection,
    DefaultScheduleStatus,
    MetadataValue,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
    multi_asset_check,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from dags.clickhouse.schema.apply import require_schema
from dags.dagster_runs.red_checks import next_steps
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import KIND_TAG, SHORT_RUN, JobKind
from dags.domain import clock
from dags.domain.errors import EngineError, UserError
from dags.domain.markdown import as_markdown
from dags.domain.text import counted, of_error
from dags.domain.watched import WatchedTable
from dags.health.accuracy import Sample, compare_sample
from dags.health.causes import OF_DATA, OF_TABLES, Check, Health
from dags.health.instance import HEALTH_SCHEDULE, IS_UNKNOWN, IS_UNREACHABLE, last_compared
from dags.health.looked import leave_answer
from dags.health.reading import Served, examine
from dags.health.report import cause_as_dict, told
from dags.health.sampling import Unequal
from dags.health.words import launch, teams_in_words
from dags.publish.recompute import Recomputed
from dags.schedules import HEALTH_CRON, TIME_ZONE
from dags.settings import current_settings
from dags.web_preaggregated_backfill.catalog import leave_or_tell
from dags.web_preaggregated_backfill.shown_assets import OPERATION

_DESCRIPTIONS = {
    Check.NO_OLD_GAP: "No gap is older than WEB_ANALYTICS_REPAIR_TARGET_HOURS since it was seen first.",
    Check.FRESH: "No team is further behind than WEB_ANALYTICS_FRESHNESS_TARGET_HOURS.",
    Check.TABLES_AGREE: "Tables that must agree do; a warning on the one that is wrong, while they are made to.",
    Check.BUILDS_SUCCEED: "Of the builds of a day in seven days, 95 % succeeded.",
    Check.NOTHING_STUCK: "No unit backs off after three attempts in vain, and none waits for a person's word.",
    Check.ACCURATE: "What a sample of teams has, other ones each hour, is what their raw events come to.",
    Check.NOTHING_LEFT_BEHIND: "No staging table, lease, landing table or backup is there that nobody needs.",
    Check.BACKFILLS_END: "No managed backfill has failed, or waits for somebody to go on with it.",
    Check.RUNS_BY_ITSELF: "Sensors and schedules are on, tick and succeed, and nobody has stopped backfills.",
    Check.TEAM_LIST_FRESH: "The list of teams is of today, and the dictionary answers as it does.",
    Check.LOADS_ON_TIME: "No load is behind, hangs or has failed, and no file waits in vain.",
}

# Of which asset a check is that is of no watched table.
_ASSETS = {
    Check.NOTHING_LEFT_BEHIND: OPERATION,
    Check.BACKFILLS_END: OPERATION,
    Check.RUNS_BY_ITSELF: OPERATION,
    Check.TEAM_LIST_FRESH: AssetKey("web_analytics_team_selection"),
    Check.LOADS_ON_TIME: AssetKey("events"),
}


def _specs(watched: tuple[WatchedTable, ...]) -> list[AssetCheckSpec]:
    of_tables = [
        AssetCheckSpec(str(check), asset=table.name, description=_DESCRIPTIONS[check])
        for table in watched
        for check in OF_TABLES
        if check is not Check.ACCURATE
    ]
    others = [AssetCheckSpec(str(check), asset=key, description=_DESCRIPTIONS[check]) for check, key in _ASSETS.items()]
    return of_tables + others


def health_checks(served: Served) -> list[AssetChecksDefinition]:
    """The checks, for what is served."""
    built = [table for table in served.watched if table.swaps_days]
    return [_of_causes(served), *([_of_raw_events(built)] if built else [])]


def _of_causes(served: Served) -> AssetChecksDefinition:
    tables = set(served.tables)

    @multi_asset_check(
        specs=_specs(served.watched), name="web_analytics_health_checks", op_tags=SHORT_RUN, can_subset=True
    )
    def checks(context: AssetCheckExecutionContext, clickhouse: ClickHouseResource) -> Iterator[AssetCheckResult]:
        """Ask once whether all is well, and say of each concern what is the matter."""
        asks_data = any(key.name in OF_DATA for key in context.selected_asset_check_keys)
        found = examine(context.instance, clickhouse, served, context.run.run_id, asks_data=asks_data)
        if found.evaluation is not None:
            leave_or_tell(context.instance, found.evaluation)
        if asks_data:
            leave_answer(context.instance, found, served)
        for key in sorted(context.selected_asset_check_keys, key=lambda one: (one.name, one.asset_key)):
            table = key.asset_key.to_user_string()
            yield result(found.health, Check(key.name), key.asset_key, table if table in tables else "")

    return checks


def result(health: Health, check: Check, asset: AssetKey, table: str) -> AssetCheckResult:
    """What a check says: its causes with their repair in words, and whether one of them fails it."""
    causes = health.of(check, table)
    failing = [cause for cause in causes if cause.fails(check)]
    is_error = any(cause.needs_a_person for cause in failing)
    first = failing[0] if failing else None
    steps = ([f"$ {one}" for one in first.commands] or [first.to_do or first.doing]) if first is not None else []
    return AssetCheckResult(
        asset_key=asset,
        check_name=str(check),
        passed=not failing,
        severity=AssetCheckSeverity.ERROR if is_error or not failing else AssetCheckSeverity.WARN,
        description=as_markdown("\n".join(told(cause, health.at) for cause in causes)) or "nothing is the matter",
        metadata={
            "status": MetadataValue.text("; ".join(f"{cause.state}: {cause.what}" for cause in causes) or "OK"),
            "causes": MetadataValue.json([cause_as_dict(cause) for cause in causes]),
            **next_steps(steps),
        },
    )


def _of_raw_events(tables: list[WatchedTable]) -> AssetChecksDefinition:
    @multi_asset_check(
        specs=[
            AssetCheckSpec(str(Check.ACCURATE), asset=table.name, description=_DESCRIPTIONS[Check.ACCURATE])
            for table in tables
        ],
        name="web_analytics_accuracy_check",
        op_tags=SHORT_RUN,
        can_subset=True,
    )
    def accurate(context: AssetCheckExecutionContext, clickhouse: ClickHouseResource) -> Iterator[AssetCheckResult]:
        """Compute a sample of teams once more from their raw events, in staging, and compare."""
        asked = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        for group in _by_source([table for table in tables if table.name in asked]):
            yield from _compared(context, clickhouse, group)

    return accurate


def _by_source(tables: list[WatchedTable]) -> list[list[WatchedTable]]:
    """Tables of one source are computed together."""
    return [[one for one in tables if one.source == source] for source in {table.source: None for table in tables}]


def _compared(
    context: AssetCheckExecutionContext, clickhouse: ClickHouseResource, tables: list[WatchedTable]
) -> Iterator[AssetCheckResult]:
    """The results of tables of one source; where it cannot be compared, what differed last is remembered."""
    before = (last_compared(context.instance, table.name) for table in tables)
    last = next(filter(None, (Unequal.of(found[1]) for found in before if found is not None)), None)
    run_id = context.run.run_id
    try:
        now, settings, samples = clock.utc_now(), current_settings(), []
        for shard in clickhouse.shards:
            with clickhouse.client(run_id, shard=shard) as client:
                require_schema(client)
                samples.append(compare_sample(client, tables, settings, run_id=run_id, now=now, last=last))
        sample = Sample.of_shards(samples)
    except (UserError, ClickHouseError) as error:
        remembered = _told_of(last.day, dict.fromkeys(last.teams, "as before")) if last is not None else {}
        unknown = {**remembered, IS_UNKNOWN: True, IS_UNREACHABLE: isinstance(error, EngineError)}
        for table in tables:
            yield _accuracy(table, "", f"could not be compared: {of_error(error)}", unknown)
        return
    for table in tables:
        found = sample.by_table.get(table.name)
        if sample.day is None or found is None:
            yield _accuracy(table, "nothing to compare yet: no closed day is complete", "", {})
            continue
        named = f"{counted(len(found.compared), 'team')} of {sample.day}"
        told_of = {**_told_of(sample.day, found.unequal), "teams_compared": len(found.compared)}
        beside = f"; {found.not_compared}" if found.not_compared else ""
        right = f"what {named} hold is what their raw events come to{beside}"
        yield _accuracy(table, right, _unequal(sample.day, found), told_of)


def _unequal(day: date, found: Recomputed) -> str:
    """Which teams differ, and how; empty if none does."""
    if not found.unequal:
        return ""
    first = next(iter(found.unequal))
    of = f"{teams_in_words(found.unequal)} of {len(found.compared):,} that were compared, {day}"
    return f"{of}: team {first} has {found.unequal[first]}"


def _told_of(day: date, unequal: Mapping[int, str]) -> dict[str, Any]:
    return {"day": str(day), "unequal": {str(team): words for team, words in unequal.items()}}


def _accuracy(table: WatchedTable, right: str, wrong: str, told_of: Mapping[str, Any]) -> AssetCheckResult:
    return AssetCheckResult(
        asset_key=AssetKey(table.name),
        check_name=str(Check.ACCURATE),
        passed=not wrong,
        severity=AssetCheckSeverity.ERROR,
        description=wrong or right,
        metadata={"status": wrong or right, **told_of, **next_steps([f"$ {launch('health_job')}"] * bool(wrong))},
    )


def health_checks_job(checks: Sequence[AssetChecksDefinition]) -> UnresolvedAssetJobDefinition:
    """The job that runs all of them, and builds nothing."""
    keys = [spec.key for one in checks for spec in one.check_specs]
    return define_asset_job(
        "web_analytics_health_checks_job",
        AssetSelection.checks(*keys),
        description="Run the standing checks.",
        executor_def=in_process_executor,
        tags={**SHORT_RUN, KIND_TAG: str(JobKind.QUESTION)},
    )


def health_schedule(job: UnresolvedAssetJobDefinition) -> ScheduleDefinition:
    """The schedule by which they are up to date without anybody."""
    return ScheduleDefinition(
        name=HEALTH_SCHEDULE,
        job=job,
        cron_schedule=HEALTH_CRON,
        execution_timezone=TIME_ZONE,
        default_status=DefaultScheduleStatus.RUNNING,
        description="Every hour: the standing checks, and a sample of teams against raw events.",
    )
