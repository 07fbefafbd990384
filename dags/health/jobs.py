"""One command that answers whether all is well, and says what to do where it is not."""

import json
from functools import partial
from typing import Any

from dagster import Failure, JobDefinition, MetadataValue
from pydantic import Field

from dags.dagster_runs.command import Command, command
from dags.domain.given import Given, Output, Text, choice
from dags.health.causes import Health
from dags.health.looked import leave_answer
from dags.health.page_file import PageFile
from dags.health.reading import Served, examine
from dags.health.report import as_dict, page, summary
from dags.web_preaggregated_backfill.catalog import leave_or_tell


class HealthConfig(Given):
    """How the answer is given; a person needs none of it."""

    output: Output = choice(
        Output.TEXT, "text: one page for people. json: one line on standard output, and nothing else there."
    )
    save_page_to: Text = Field(
        default="",
        description="Write the answer as an HTML page, which needs no network, to this file: an absolute path that "
        "ends in .html. A page that is there is replaced, nothing else ever is.",
    )


def health_job(served: Served) -> JobDefinition:
    """The job, for what is served."""

    def health(asked: Command[HealthConfig]) -> dict[str, Any]:
        """Print and return whether all is well; fail where something needs a person, or is unknown, and only then."""
        file = PageFile.at(asked.given.save_page_to) if asked.given.save_page_to else None
        leave = partial(asked.clickhouse.beside, leave_or_tell, asked.instance)
        found = examine(asked.instance, asked.clickhouse, served, asked.run_id, then=leave)
        answer = as_dict(found.health)
        print(page(found.health) if asked.given.output is Output.TEXT else json.dumps(answer), flush=True)
        leave_answer(asked.instance, found, served)
        told = _told(found.health, answer)
        if file is not None:
            from dags.health.page import html_page  # noqa: PLC0415 -- 0.1 s, and most who ask want no page

            file.save(html_page(found.health))
            told["saved_page"] = MetadataValue.path(str(file.path))
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
