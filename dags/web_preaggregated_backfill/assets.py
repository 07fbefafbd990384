"""The detector as an asset: materialize it to see what is missing. It launches nothing."""

from datetime import timedelta

from dagster import AssetExecutionContext, AssetsDefinition, Failure, FreshnessPolicy, MaterializeResult, asset

from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import SHORT_RUN
from dags.domain.watched import WatchedTable
from dags.web_preaggregated_backfill.catalog import as_shown, evaluate_now, leave_or_tell
from dags.web_preaggregated_backfill.last_verdict import DETECTOR, last_verdict
from dags.web_preaggregated_backfill.metadata import metadata
from dags.web_preaggregated_backfill.report import summary_text, unknown_words


def detector(watched: tuple[WatchedTable, ...]) -> AssetsDefinition:
    """The asset, for the tables that are watched."""

    @asset(
        key=DETECTOR,
        group_name="web_analytics_backfill",
        deps=["web_analytics_team_selection", *(table.name for table in watched)],
        kinds={"clickhouse"},
        op_tags=SHORT_RUN,
        # The sensor and the 02:00 check leave a materialization, whatever they find.
        freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(hours=13)),
    )
    def web_analytics_backfill_detector(
        context: AssetExecutionContext, clickhouse: ClickHouseResource
    ) -> MaterializeResult[None]:
        """What is missing or wrong, and what the sensor would do about it."""
        found = evaluate_now(context.instance, clickhouse, watched, context.run.run_id)
        shown = as_shown(context.instance, found, last_verdict(context.instance))
        context.log.info("%s", summary_text(found.detection, found.decision))
        # A run that fails materializes nothing: that nothing is known is left without it.
        leave_or_tell(context.instance, found, but=() if found.is_unknown else [DETECTOR])
        if found.is_unknown:
            words = "\n".join(["unknown, not complete:", *unknown_words(found.detection)])
            raise Failure(words, metadata=metadata(found), allow_retries=False)
        return MaterializeResult(metadata=shown.detector)

    return web_analytics_backfill_detector
