"""Answers in a terminal: what is missing, and where the gaps are. Neither launches anything.

They run in process, because a process for each step would double the time of an answer.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import Failure, JobDefinition
from pydantic import Field

from dags.clickhouse.engine import A_MOMENT_SECONDS, LOOK_SECONDS
from dags.dagster_runs.command import Command, command
from dags.detection.detection import Detection
from dags.domain import clock
from dags.domain.days import MAX_LOOKBACK_DAYS
from dags.domain.errors import UserError
from dags.domain.given import EMPTY_IS_NONE, Day, Given, Output, Text, choice, whole
from dags.domain.text import wrapped
from dags.domain.watched import WatchedTable, first_day
from dags.repair.attempts import Run
from dags.repair.runs import find_run, run_text, runs_of
from dags.settings import current_settings
from dags.sources.loads.log import FILES, OF_DAYS, POSTGRES
from dags.team_selection.store import read_selection
from dags.web_preaggregated_backfill.catalog import detected, evaluate_now, leave_or_tell
from dags.web_preaggregated_backfill.evaluation import Evaluation
from dags.web_preaggregated_backfill.report import data_gaps, gaps_text, missing_data, summary_text, unknown_words
from dags.web_preaggregated_backfill.shards import as_one, shards_read
from dags.web_preaggregated_backfill.why import Change, Question, why_text, work_text
from dags.work.audit.log import MANAGED
from dags.work.audit.store import read_changes, read_works_of
from dags.work.control import as_it_is

DEFAULT_DAYS_BACK = 7


def _refuse_unknown(*found: Detection) -> None:
    if words := [line for one in found for line in unknown_words(one)]:
        raise Failure("\n".join(["unknown, not complete:", *words]), allow_retries=False)


def _with_unread(before: Mapping[int, Detection], found: Detection) -> dict[int, Detection]:
    """What is so of a day before the look-back, unknown on the shards that did not answer; nothing if nobody looked."""
    if not before:
        return {}
    known = next(iter(before.values()))
    found_of_day = {
        shard: replace(one, calendar=known.calendar, lookback_days=known.lookback_days)
        for shard, one in found.shards.items()
    }
    return {**found_of_day, **before}


def _runs_of_day(asked: Command[Any], watched: tuple[WatchedTable, ...], day: date) -> tuple[Run, ...]:
    mark = current_settings().clickhouse_dsn.mark
    return tuple(runs_of(asked.instance, {table.name: table.job for table in watched}, [day], clock.utc_now(), mark))


def _about_run(asked: Command[Any], run_id: str) -> str:
    """What a run did, by Dagster; and what its works have come to since, by the audit, if that can be read now."""
    run = find_run(asked.instance, run_id)
    text = run_text(asked.instance, run)
    print(text)
    try:
        states = []
        for shard in asked.clickhouse.shards:
            with asked.clickhouse.client(
                asked.run_id, wait_seconds=A_MOMENT_SECONDS, answer_seconds=LOOK_SECONDS, shard=shard
            ) as client:
                states += [as_it_is(client, state) for state in read_works_of(client, run.run_id)]
        since = "\n".join(map(work_text, states))
    except (UserError, ClickHouseError) as error:
        since = wrapped(f"WARNING   what became of its work since cannot be read now: {error}", indent=10)
    print(since, end="\n" * bool(since))
    return "\n".join(filter(None, [text, since]))


class CheckConfig(Given):
    """How the answer is given; a person needs none of it, a script both."""

    fail_when_incomplete: bool = Field(
        default=False, description="End as a failure, with exit code 1, unless everything that is watched is complete."
    )
    output: Output = choice(Output.TEXT, "text: for people. json: one line on standard output, and nothing else there.")


class GapsConfig(Given):
    """How far back to look."""

    days_back: int = whole(DEFAULT_DAYS_BACK, 1, MAX_LOOKBACK_DAYS, "days", "How many days before today to look.")


class WhyConfig(Given):
    """What to ask about."""

    team_id: int | None = Field(default=None, description="Ask about this team only.")
    day: Annotated[Day | None, EMPTY_IS_NONE] = Field(
        default=None, description="Ask about this partition key, YYYY-MM-DD."
    )
    run_id: Text | None = Field(default=None, description="Ask what this run did, and nothing else.")


def diagnostics(watched: tuple[WatchedTable, ...]) -> list[JobDefinition]:
    """The jobs, for the tables that are watched."""

    @contextmanager
    def evaluated(asked: Command[Any], days_back: int | None = None) -> Iterator[Evaluation]:
        """What is found; it is left in the catalog once the answer is out, whichever that is."""
        found = evaluate_now(asked.instance, asked.clickhouse, watched, asked.run_id, days_back)
        try:
            yield found
        finally:
            asked.clickhouse.beside(leave_or_tell, asked.instance, found)

    def check_missing_data(asked: Command[CheckConfig]) -> dict[str, Any]:
        """Print and return what is missing, and what the sensor would do about it."""
        with evaluated(asked) as found:
            report = missing_data(found.detection, found.decision)
            is_for_people = asked.given.output is Output.TEXT
            print(summary_text(found.detection, found.decision) if is_for_people else json.dumps(report))
        _refuse_unknown(found.detection)
        if asked.given.fail_when_incomplete and not report["is_complete"]:
            raise Failure(report["status"], allow_retries=False)
        return report

    def show_data_gaps(asked: Command[GapsConfig]) -> dict[str, Any]:
        """Print and return every gap with its reason, days merged into ranges."""
        with evaluated(asked, asked.given.days_back) as found:
            print(gaps_text(found.asked))
        _refuse_unknown(found.detection)
        return data_gaps(found.asked)

    def why(asked: Command[WhyConfig]) -> str:
        """Print and return why a gap is there, why nothing was launched, or what a run did."""
        if asked.given.run_id:
            return _about_run(asked, asked.given.run_id)
        question = Question(asked.given.team_id, asked.given.day)
        if question.day is not None and question.day < (first := first_day(watched)):
            raise UserError(f"day is '{question.day}': the partitions begin on {first}")
        with evaluated(asked) as found:
            runs, before = found.runs, dict[int, Detection]()
            changes, loads = list[Change](), list[Change]()
            # A shard that has just not answered is unknown, by name; what the others say is an answer nevertheless.
            for shard in shards_read(found.detection) or asked.clickhouse.shards:
                with asked.clickhouse.client(asked.run_id, answer_seconds=LOOK_SECONDS, shard=shard) as client:
                    selection = read_selection(client)
                    if question.day is not None and question.day < found.detection.calendar.judged.start:
                        before[shard] = detected(client, watched, {(table.name, question.day) for table in watched})
                        runs = _runs_of_day(asked, watched, question.day)
                    day = str(question.day) if question.day is not None else ""
                    changes += [Change(*one, shard) for one in (read_changes(client, MANAGED, day) if day else ())]
                    loads += [
                        Change(*one, shard)
                        for kind in (POSTGRES, FILES)
                        for one in (read_changes(client, kind, day, OF_DAYS) if day else ())
                    ]
            earlier = as_one(_with_unread(before, found.detection))
            text = why_text(
                question, found.detection, found.decisions.values(), runs, selection,
                watched=watched, changes=changes, loads=loads, earlier=earlier,
            )  # fmt: skip
            print(text)
        _refuse_unknown(found.detection, *([earlier] if earlier is not None else []))
        return text

    return [
        command(
            check_missing_data,
            "What is missing in the pre-aggregated tables, and would a backfill start? For scripts there is "
            "fail_when_incomplete: true, and output: json.",
            config=CheckConfig,
        ),
        command(
            show_data_gaps,
            "Where are the gaps, and why? Its whole configuration is days_back, 7 unless given.",
            config=GapsConfig,
        ),
        command(
            why,
            "Why is a gap there? Why was nothing launched? Which teams? Is the dictionary fresh? What did a run do?",
            config=WhyConfig,
        ),
    ]
