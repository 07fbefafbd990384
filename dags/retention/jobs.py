"""The job that forgets what is kept for long enough, and its schedule."""

import time
from collections.abc import Collection
from datetime import datetime
from typing import Any

from dagster import AssetKey, DefaultScheduleStatus, JobDefinition, ScheduleDefinition
from pydantic import Field

from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import JobKind
from dags.domain.clock import Clocks
from dags.domain.errors import UserError
from dags.domain.given import Given
from dags.retention.events import forget_events
from dags.retention.report import Report
from dags.retention.runs import Ours, forget_runs
from dags.retention.store import Forgotten, forget, read_facts, runs_in_use
from dags.schedules import RETENTION_CRON, TIME_ZONE
from dags.settings import current_settings

# Of the half hour that the job has, so much for each of the two storages: what is left another day forgets.
SECONDS = 600.0

# A day makes some ten to a hundred runs; after years without retention it catches up within weeks, a minute a day.
MOST_RUNS = 500


class RetentionConfig(Given):
    """What `web_analytics_retention_job` is asked for."""

    dry_run: bool = Field(default=True, description="Say what would go, and touch nothing.")
    max_runs: int = Field(default=MOST_RUNS, ge=1, le=100_000, description="Runs of Dagster's that go at most.")


JOB = "web_analytics_retention_job"


def retention_job(jobs: Collection[str], assets: Collection[AssetKey]) -> JobDefinition:
    """The job, for runs of ``jobs`` and of its own, and for what is kept of ``assets``."""

    def web_analytics_retention(asked: Command[RetentionConfig]) -> dict[str, Any]:
        """Forget what was kept for as long as the settings say, and nothing that an answer needs."""
        given, settings = asked.given, current_settings()
        with asked.clients() as clients:
            now = min(agreed(clocks) for _, clocks in clients)
            runs_before, history_before = now - settings.run_retention, now - settings.history_retention
            until = time.monotonic() + SECONDS
            log = asked.context.log.info
            history = Forgotten.of_all(
                forget(client, history_before, asked.run_id, until=until, dry_run=given.dry_run, tell=log)
                for client, _ in clients
            )
            # Of every shard: a run is of one, and Dagster's runs are of all.
            in_use = frozenset[str]().union(*(runs_in_use(read_facts(client)) for client, _ in clients))
        ours = Ours.of(asked.context.run, {*jobs, JOB}, assets)
        until = time.monotonic() + SECONDS
        runs = forget_runs(
            asked.instance, ours, runs_before, in_use, most=given.max_runs, until=until, dry_run=given.dry_run
        )
        events = forget_events(asked.instance, assets, runs_before, dry_run=given.dry_run)
        report = Report(runs_before, history_before, runs, events, history, given.dry_run)
        print(report.text)
        return report.as_dict()

    return command(
        web_analytics_retention,
        "Forget runs, events and history that are older than the settings say. Prints what goes and what stays, and "
        "touches nothing unless dry_run is false.",
        config=RetentionConfig,
        kind=JobKind.RETENTION,
    )


def agreed(clocks: Clocks) -> datetime:
    """The earlier of both clocks, from which ages are counted.

    Raises:
        UserError: they disagree. What is old by the one that is wrong may be in force, and is never had back.
    """
    if clocks.warning:
        raise UserError(
            f"nothing is forgotten while clocks disagree, for nobody knows how old anything is: {clocks.warning}, then "
            f"launch {JOB} again"
        )
    return clocks.now


def retention_schedule(job: JobDefinition) -> ScheduleDefinition:
    """Daily, an hour after the backups' sweep."""
    return ScheduleDefinition(
        name="web_analytics_retention_schedule",
        job=job,
        cron_schedule=RETENTION_CRON,
        execution_timezone=TIME_ZONE,
        run_config={"dry_run": False},
        default_status=DefaultScheduleStatus.RUNNING,
        description="Forgets runs, events and history that are older than the settings say.",
    )
