"""The loop itself, on any engine and instance: build, break, report, tick, rebuild, report. The demo and a test run it.

Everything goes through what is served: the jobs, and the sensor's own tick. Runs happen in this process, because a
queued run takes seconds to start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetKey,
    DagsterInstance,
    Definitions,
    RunsFilter,
    SensorDefinition,
    build_schedule_context,
    build_sensor_context,
)
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.execute_in_process import core_execute_in_process
from dagster._core.storage.tags import PARTITION_NAME_TAG

from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.dagster_runs.command import ANSWER_ONLY
from dags.dagster_runs.tags import DAILY_RUN_TAG, TAG_PREFIX
from dags.definitions import defs
from dags.domain.clock import utc_now
from dags.web_preaggregated.tables import JOB as BUILD_JOB
from dags.web_preaggregated.tables import STATS, WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import date

    from clickhouse_connect.driver.client import Client
    from dagster import ExecuteInProcessResult, RunRequest

    from dags.demo.outage import Outage

DEMO_TAG = f"{TAG_PREFIX}demo"


@dataclass(frozen=True)
class Tick:
    """What the sensor's tick asked for, or why it asked for nothing."""

    requests: tuple[RunRequest, ...]
    skip_message: str


@dataclass(frozen=True)
class Loop:
    """The loop's steps, each one call."""

    instance: DagsterInstance
    definitions: Definitions = defs

    def run(self, job_name: str, **options: Any) -> ExecuteInProcessResult:  # noqa: ANN401 -- Dagster's own options
        """Run a job here, to its end."""
        tags = {DEMO_TAG: "true", **options.pop("tags", {})}
        job = self.definitions.resolve_job_def(job_name)
        # A command says by itself that nothing but its answer is to be printed.
        quiet = ANSWER_ONLY if job.config_mapping is None else {}
        return job.execute_in_process(instance=self.instance, tags=tags, **{"run_config": quiet, **options})

    def rebuild(self, request: RunRequest) -> ExecuteInProcessResult:
        """Make a run that a tick asked for, of its assets and its checks: a job's own method takes no checks."""
        whole = self.definitions.resolve_job_def(request.job_name or BUILD_JOB)  # a schedule's is of its one job
        assets, checks = frozenset(request.asset_selection or ()), frozenset(request.asset_check_keys or ())
        return core_execute_in_process(
            run_config={**request.run_config, **ANSWER_ONLY},
            job=InMemoryJob(whole.get_subset(asset_selection=assets, asset_check_selection=checks)),
            instance=self.instance,
            output_capturing_enabled=True,
            raise_on_error=True,
            run_tags={DEMO_TAG: "true", **request.tags, PARTITION_NAME_TAG: request.partition_key or ""},
            asset_selection=assets,
        )

    def build(self, days: Collection[date], progress: Callable[[str], None]) -> None:
        """Build days as the daily schedule does."""
        for number, day in enumerate(sorted(days), start=1):
            self.run("web_pre_aggregate_job", partition_key=day.isoformat(), tags={DAILY_RUN_TAG: "true"})
            progress(f"built {day} ({number} of {len(days)})")

    def missing_data(self) -> dict[str, Any]:
        """The report of ``check_missing_data_job``, which prints itself."""
        report: dict[str, Any] = self.run("check_missing_data_job").output_for_node("check_missing_data")
        return report

    def tick(self) -> Tick:
        """One tick of the real sensor."""
        sensor = self.definitions.resolve_sensor_def("web_analytics_backfill_sensor")
        return tick(sensor, self.instance, self.definitions)

    def check(self) -> Tick:
        """One tick of the real schedule of the comprehensive check."""
        schedule = self.definitions.resolve_schedule_def("web_analytics_backfill_schedule")
        with build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=utc_now(),
            resources=self.definitions.resources,
            repository_def=self.definitions.get_repository_def(),
        ) as context:
            evaluated = schedule.evaluate_tick(context)
        return Tick(tuple(evaluated.run_requests or ()), evaluated.skip_message or "")

    def carry_out(self, requests: Iterable[RunRequest], progress: Callable[[str], None]) -> None:
        """Make the runs that a tick asked for."""
        for request in requests:
            self.rebuild(request)
            tables = ", ".join(key.to_user_string() for key in request.asset_selection or [])
            progress(f"rebuilt {request.partition_key}: {tables} ({request.tags[TAG_PREFIX + 'reasons']})")


def tick(sensor: SensorDefinition, instance: DagsterInstance, definitions: Definitions = defs) -> Tick:
    """Evaluate a sensor as the daemon does, with the location's own resources."""
    with build_sensor_context(
        instance=instance, definitions=definitions, sensor_name=sensor.name, resources=definitions.resources or {}
    ) as context:
        evaluated = sensor.evaluate_tick(context)
    return Tick(tuple(evaluated.run_requests or ()), evaluated.skip_message or "")


def break_it(client: Client, plan: Outage) -> None:
    """Do to the tables what the outage says; what was never built needs no help."""
    sql = Sql("dags.demo", client)
    if plan.lost_day:
        sql.command("drop_day", {"partition": int(f"{plan.lost_day:%Y%m%d}")}, target=STATS.name)
    for table in WEB_TABLES:
        for day in plan.team_days:
            sql.command("lose_team", {"team": plan.team_id, "day": day}, target=table.name)


def forget_demo_runs(instance: DagsterInstance) -> bool:
    """Remove what earlier demos left on the instance, or their repairs would count as attempts that did not last.

    Answers with whether the catalog was emptied too: it is not where other runs have been, for it may be theirs, and of
    another database.
    """
    for run in instance.get_runs(RunsFilter(tags={DEMO_TAG: "true"})):
        instance.delete_run(run.run_id)
    if instance.get_runs(limit=1):
        return False
    instance.wipe_assets([AssetKey(key.path) for key in defs.resolve_all_asset_keys()])
    return True


def enable(client: Client, team_ids: Collection[int]) -> None:
    """Enable teams by hand, as a person would, for the team source named ``table``."""
    append(client, "web_analytics_enabled_teams", [[team] for team in team_ids], ["team_id"])
