"""One command that answers whether all is well, and says what to do where it is not."""

import json
from typing import Any

from dagster import Failure, JobDefinition, MetadataValue

from dags.dagster_runs.command import Command, command
from dags.domain.given import Given, Output, choice
from dags.health.causes import Health
from dags.health.reading import Served, examine
from dags.health.report import as_dict, page, summary
from dags.web_preaggregated_backfill.catalog import leave_or_tell


class HealthConfig(Given):
    """How the answer is given; a person needs none of it."""

    output: Output = choice(
        Output.TEXT, "text: one page for people. json: one line on standard output, and nothing else there."
    )


def health_job(served: Served) -> JobDefinition:
    """The job, for what is served."""

    def health(asked: Command[HealthConfig]) -> dict[str, Any]:
        """Print and return whether all is well; fail where something needs a person, or is unknown, and only then."""
        found = examine(asked.instance, asked.clickhouse, served, asked.run_id)
        answer = as_dict(found.health)
        print(page(found.health) if asked.given.output is Output.TEXT else json.dumps(answer))
        if found.evaluation is not None:
            leave_or_tell(asked.instance, found.evaluation)
        told = _told(found.health, answer)
        if found.health.needs_a_person:
            raise Failure(summary(found.health), metadata=told, allow_retries=False)
        asked.context.add_output_metadata(told)
        return answer

    return command(
        health,
        "Is all well? If not: what, for whom, since when, what is being done, what should I do? Fails where something "
        "needs a person, or is unknown.",
        config=HealthConfig,
    )


def _told(health: Health, answer: dict[str, Any]) -> dict[str, MetadataValue]:
    return {
        "verdict": MetadataValue.text(str(health.answer)),
        "page": MetadataValue.md(f"```\n{page(health)}\n```"),
        "health": MetadataValue.json(answer),
    }
