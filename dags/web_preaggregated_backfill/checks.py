"""A standing check for each watched table: it fails while a judged day is wrong, so that the UI never stays green
over lost rows. Every evaluation, a tick's too, leaves its result; it can also be run by itself.
"""

from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSpec,
    AssetKey,
    DagsterInstance,
    MetadataValue,
    multi_asset_check,
)

from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import SHORT_RUN
from dags.detection.detection import Detection
from dags.domain.watched import WatchedTable
from dags.web_preaggregated_backfill.evaluation import evaluate_in_run
from dags.web_preaggregated_backfill.report import TableStatus, table_statuses

CHECK = "complete"


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
        found = evaluate_in_run(context.instance, clickhouse, watched, context.run.run_id)
        asked = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        for status in table_statuses(found.detection):
            if status.table in asked:
                yield AssetCheckResult(
                    asset_key=status.table, check_name=CHECK, passed=status.is_complete, metadata=_metadata(status)
                )

    return complete


def report_checks(instance: DagsterInstance, detection: Detection) -> None:
    """Leave the checks' results of an evaluation that was made for another purpose."""
    for status in table_statuses(detection):
        instance.report_runless_asset_event(
            AssetCheckEvaluation(
                asset_key=AssetKey(status.table),
                check_name=CHECK,
                passed=status.is_complete,
                metadata=_metadata(status),
            )
        )


def _metadata(status: TableStatus) -> dict[str, Any]:
    return {
        "status": MetadataValue.text(status.words),
        "wrong_units": MetadataValue.int(status.wrong),
        "missing_days": MetadataValue.int(status.missing_days),
        "complete_units": MetadataValue.int(status.complete),
    }
