"""Answers in a terminal: what is missing, and where the gaps are. Neither launches anything.

They run in process, because a process for each step would double the time of an answer.
"""

from datetime import date
from typing import Any

from dagster import (
    Config,
    Failure,
    Field,
    Int,
    JobDefinition,
    Noneable,
    OpExecutionContext,
    in_process_executor,
    job,
    op,
)

from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import ANSWER_ONLY, SHORT_RUN, answering
from dags.domain.days import MAX_LOOKBACK_DAYS, validated_day
from dags.domain.errors import UserError
from dags.domain.given_text import require_texts
from dags.domain.watched import WatchedTable
from dags.repair.runs import run_text
from dags.team_selection.store import read_selection
from dags.web_preaggregated_backfill.evaluation import Evaluation, evaluate_in_run
from dags.web_preaggregated_backfill.report import data_gaps, gaps_text, missing_data, summary_text
from dags.web_preaggregated_backfill.why import Question, why_text

DEFAULT_DAYS_BACK = 7


def _refuse_unknown(found: Evaluation) -> None:
    if found.is_unknown:
        raise Failure(f"unknown, not complete: {found.detection.unknown}", allow_retries=False)


class WhyConfig(Config):
    """What is asked about; what is left out is left open."""

    team_id: int | None = None
    day: str | None = None
    run_id: str | None = None


def _day(partition_key: str | None) -> date | None:
    if partition_key is None:
        return None
    try:
        return validated_day(partition_key)
    except ValueError as error:
        raise UserError(f"day is {partition_key!r}: {error}") from None


_DAYS_BACK = {
    "days_back": Field(Int, default_value=DEFAULT_DAYS_BACK, description="How many days before today to look.")
}
_WHY = {
    "team_id": Field(Noneable(int), default_value=None, description="Ask about this team only."),
    "day": Field(Noneable(str), default_value=None, description="Ask about this partition key, YYYY-MM-DD."),
    "run_id": Field(Noneable(str), default_value=None, description="Ask what this run did, and nothing else."),
}


def diagnostics(watched: tuple[WatchedTable, ...]) -> list[JobDefinition]:
    """The jobs, for the tables that are watched."""

    @op
    def check_missing_data(context: OpExecutionContext, clickhouse: ClickHouseResource) -> dict[str, Any]:
        """Print and return what is missing, and what the sensor would do about it."""
        found = evaluate_in_run(context.instance, clickhouse, watched, context.run_id)
        print(summary_text(found.detection, found.decision))
        _refuse_unknown(found)
        return missing_data(found.detection, found.decision)

    @op(config_schema={"days_back": int})
    def show_data_gaps(context: OpExecutionContext, clickhouse: ClickHouseResource) -> dict[str, Any]:
        """Print and return every gap with its reason, days merged into ranges."""
        days_back = int(context.op_config["days_back"])
        if not 1 <= days_back <= MAX_LOOKBACK_DAYS:
            raise UserError(f"days_back is {days_back}: give a whole number of days from 1 to {MAX_LOOKBACK_DAYS:,}")
        found = evaluate_in_run(context.instance, clickhouse, watched, context.run_id, days_back)
        print(gaps_text(found.detection))
        _refuse_unknown(found)
        return data_gaps(found.detection)

    @op
    def why(context: OpExecutionContext, config: WhyConfig, clickhouse: ClickHouseResource) -> str:
        """Print and return why a gap is there, why nothing was launched, or what a run did."""
        require_texts({"run_id": config.run_id, "day": config.day})
        if config.run_id:
            text = run_text(context.instance, config.run_id)
            print(text)
            return text
        question = Question(config.team_id, _day(config.day))
        found = evaluate_in_run(context.instance, clickhouse, watched, context.run_id)
        with clickhouse.client(context.run_id) as client:
            selection = read_selection(client)
        text = why_text(question, found.detection, found.decisions.values(), found.runs, selection)
        print(text)
        _refuse_unknown(found)
        return text

    @job(executor_def=in_process_executor, tags=SHORT_RUN, config=ANSWER_ONLY)
    def check_missing_data_job() -> None:
        """What is missing in the pre-aggregated tables, and would a backfill start? Takes no configuration."""
        check_missing_data()

    @job(executor_def=in_process_executor, tags=SHORT_RUN, config=answering("show_data_gaps", _DAYS_BACK))
    def show_data_gaps_job() -> None:
        """Where are the gaps, and why? Its whole configuration is days_back, 7 unless given."""
        show_data_gaps()

    @job(executor_def=in_process_executor, tags=SHORT_RUN, config=answering("why", _WHY))
    def why_job() -> None:
        """Why is a gap there? Why was nothing launched? Which teams? Is the dictionary fresh? What did a run do?"""
        why()

    return [check_missing_data_job, show_data_gaps_job, why_job]
