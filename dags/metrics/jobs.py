"""The job that answers how it has gone: success, gaps, time to repair and cost, by week."""

import json
from typing import Any

from dagster import JobDefinition, MetadataValue

from dags.clickhouse.clocks import tell_of_skew
from dags.clickhouse.engine import LOOK_SECONDS
from dags.clickhouse.schema.apply import require_schema
from dags.dagster_runs.command import Command, command
from dags.domain.given import Given, Output, choice, whole
from dags.domain.watched import WatchedTable
from dags.metrics.store import read_weeks
from dags.metrics.weeks import as_json, as_text
from dags.settings import current_settings

# History is kept for a little more than a year, unless settings say otherwise.
MOST_WEEKS = 53


class WeeksConfig(Given):
    """How many weeks, and how the answer is given."""

    weeks: int = whole(8, 1, MOST_WEEKS, "weeks", "How many weeks to look at; the last of them is not over.")
    output: Output = choice(Output.TEXT, "text: for people. json: one line on standard output, and nothing else there.")


def weeks_job(watched: tuple[WatchedTable, ...]) -> JobDefinition:
    """The job, for the tables that are watched."""

    def answer(asked: Command[WeeksConfig]) -> dict[str, Any]:
        """Print and return how builds ended, which gaps opened and closed, and what it cost, by week."""
        is_for_people = asked.given.output is Output.TEXT
        with asked.clickhouse.client(asked.run_id, answer_seconds=LOOK_SECONDS) as client:
            require_schema(client)
            clocks = tell_of_skew(client, print if is_for_people else asked.context.log.warning)
            kept = current_settings().history_retention
            found = read_weeks(client, clocks.today, asked.given.weeks, [one.name for one in watched], kept=kept)
        report = as_json(found)
        print(as_text(found) if is_for_people else json.dumps(report))
        asked.context.add_output_metadata({"report": MetadataValue.json(report)})
        return report

    return command(
        answer,
        "How has it gone? Success of builds, gaps that opened and closed, time to repair and cost, by week.",
        config=WeeksConfig,
        name="metrics",
        op_name="read_weeks",
    )
