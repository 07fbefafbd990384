"""A standing check for each watched table: it fails while a judged day is wrong, so that the UI never stays green
over lost rows. Every evaluation leaves its result, see `catalog`; it can also be run by itself.
"""

from collections.abc import Iterator

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSpec,
    multi_asset_check,
)

from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import SHORT_RUN
from dags.domain.watched import WatchedTable
from dags.web_preaggregated_backfill.catalog import as_shown, evaluate_now, leave_or_tell
from dags.web_preaggregated_backfill.last_verdict import last_verdict
from dags.web_preaggregated_backfill.own_checks import CHECK


def standing_checks(watched: tuple[WatchedTable, ...]) -> AssetChecksDefinition:
    """The checks, for the tables that are watched."""

    @multi_asset_check(
        specs=[
            AssetCheckSpec(
                CHECK,
                asset=table.name,
                description="Every judged day of every enabled team holds what its source holds.",
            )
            for table in watched
        ],
        name="web_pre_aggregated_complete",
        op_tags=SHORT_RUN,
        # A build of one table brings that table's check along.
        can_subset=True,
    )
    def complete(context: AssetCheckExecutionContext, clickhouse: ClickHouseResource) -> Iterator[AssetCheckResult]:
        """Compare the tables with their source now. Fails too when that cannot be read, or when no team is enabled."""
        found = evaluate_now(context.instance, clickhouse, watched, context.run.run_id)
        asked = {key.asset_key for key in context.selected_asset_check_keys}
        # Before it is left: beside another database's verdict it says so.
        shown = as_shown(context.instance, found, last_verdict(context.instance))
        leave_or_tell(context.instance, found, but=asked)
        for key, one in shown.checks.items():
            if key in asked:
                yield AssetCheckResult(
                    asset_key=key, check_name=CHECK, passed=one.passed, description=one.words, metadata=one.metadata
                )

    return complete
