"""Answers in a terminal: what is missing, and where the gaps are. Neither launches anything.

They run in process, because a process for each step would double the time of an answer.
"""

from typing import Any

from dagster import (
    ConfigMapping,
    Failure,
    Field,
    Int,
    OpExecutionContext,
    in_process_executor,
    job,
    op,
)

from dags import clock
from dags.days import MAX_LOOKBACK_DAYS
from dags.errors import UserError
from dags.resources import ClickHouseResource
from dags.runs import ANSWER_ONLY, SHORT_RUN
from dags.settings import current_settings
from dags.web_preaggregated_backfill.decision import Trigger
from dags.web_preaggregated_backfill.evaluation import Evaluation, evaluate
from dags.web_preaggregated_backfill.report import data_gaps, gaps_text, missing_data, summary_text

DEFAULT_DAYS_BACK = 7


def _evaluated(
    context: OpExecutionContext, clickhouse: ClickHouseResource, lookback_days: int | None = None
) -> Evaluation:
    with clickhouse.client(context.run_id) as client:
        return evaluate(
            context.instance,
            current_settings(),
            Trigger.MANUAL,
            clock.utc_now(),
            lambda work: work(client),
            lookback_days=lookback_days,
        )


def _refuse_unknown(found: Evaluation) -> None:
    if found.is_unknown:
        raise Failure(f"unknown, not complete: {found.detection.unknown}", allow_retries=False)


@op
def check_missing_data(context: OpExecutionContext, clickhouse: ClickHouseResource) -> dict[str, Any]:
    """Print and return what is missing, and what the sensor would do about it."""
    found = _evaluated(context, clickhouse)
    print(summary_text(found.detection, found.decision))
    _refuse_unknown(found)
    return missing_data(found.detection, found.decision)


@op(config_schema={"days_back": int})
def show_data_gaps(context: OpExecutionContext, clickhouse: ClickHouseResource) -> dict[str, Any]:
    """Print and return every gap with its reason, days merged into ranges."""
    days_back = int(context.op_config["days_back"])
    if not 1 <= days_back <= MAX_LOOKBACK_DAYS:
        raise UserError(f"days_back is {days_back}: give a whole number of days from 1 to {MAX_LOOKBACK_DAYS:,}")
    found = _evaluated(context, clickhouse, days_back)
    print(gaps_text(found.detection))
    _refuse_unknown(found)
    return data_gaps(found.detection)


@job(executor_def=in_process_executor, tags=SHORT_RUN, config=ANSWER_ONLY)
def check_missing_data_job() -> None:
    """What is missing in the pre-aggregated tables, and would a backfill start? Takes no configuration."""
    check_missing_data()


def _show_data_gaps_config(config: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {"show_data_gaps": {"config": {"days_back": config["days_back"]}}}, **ANSWER_ONLY}


@job(
    executor_def=in_process_executor,
    tags=SHORT_RUN,
    config=ConfigMapping(
        config_fn=_show_data_gaps_config,
        config_schema={
            "days_back": Field(Int, default_value=DEFAULT_DAYS_BACK, description="How many days before today to look.")
        },
    ),
)
def show_data_gaps_job() -> None:
    """Where are the gaps, and why? Its whole configuration is days_back, 7 unless given."""
    show_data_gaps()
