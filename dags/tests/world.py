"""A small world to run the real definitions in: an engine, a Dagster instance, teams and their traffic.

Days are counted back from the real today, because Dagster stamps its runs with the real time.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import DatabaseError
from dagster import (
    AssetKey,
    AssetSelection,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    build_schedule_context,
)
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.definitions import WATCHED, defs
from dags.demo.loop import Loop, Tick, enable
from dags.domain.clock import utc_now
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.repair.decision import Trigger
from dags.settings import Settings, current_settings
from dags.team_selection.store import read_selection, write_selection
from dags.tests.as_built import as_built
from dags.tests.events import Event, insert
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.evaluation import Evaluation, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest
    from clickhouse_connect.driver.client import Client

_REACHED = {
    DagsterRunStatus.QUEUED: DagsterEventType.RUN_ENQUEUED,
    DagsterRunStatus.STARTED: DagsterEventType.RUN_START,
    DagsterRunStatus.CANCELING: DagsterEventType.RUN_CANCELING,
}

STATS, BOUNCES = "web_pre_aggregated_stats", "web_pre_aggregated_bounces"


def ago(days: int) -> date:
    return utc_now().date() - timedelta(days=days)


def noon(day: date, minutes: int = 0) -> datetime:
    return datetime.combine(day, time(12), tzinfo=UTC) + timedelta(minutes=minutes)


@dataclass
class World:
    """Everything a story needs, in few words."""

    client: Client
    instance: DagsterInstance
    monkeypatch: pytest.MonkeyPatch

    @property
    def loop(self) -> Loop:
        return Loop(self.instance)

    def set(self, **variables: object) -> None:
        """Set settings for the rest of the test, by the variable's name without its prefix."""
        for name, value in variables.items():
            self.monkeypatch.setenv(f"WEB_ANALYTICS_{name.upper()}", str(value))
        current_settings.cache_clear()

    @property
    def settings(self) -> Settings:
        return current_settings()

    def traffic(self, teams: Iterable[int], days: Iterable[date], session: str = "s", views: int = 2) -> list[Event]:
        """One session of some page views for each team and day, at noon."""
        events = [
            Event(team, noon(day, minute), f"{session}-{day}", pathname=f"/{minute}")
            for team in teams
            for day in days
            for minute in range(views)
        ]
        insert(self.client, events)
        return events

    def select(self, *teams: int) -> None:
        """Enable teams, and write the list as its asset does."""
        enable(self.client, teams)
        write_selection(self.client, teams)

    def built(self, *days: date) -> None:
        """The days as builds for all enabled teams leave them, written without a build."""
        as_built(self.client, *read_selection(self.client).teams, days=days)

    def build(self, *days: date, teams: Iterable[int] | None = None) -> None:
        """Build days for all enabled teams, or for some, as a run does, without the run."""
        built_for = read_selection(self.client).teams if teams is None else frozenset(teams)
        for day in days:
            built = DayBuild(
                client=self.client,
                day=day,
                teams_by_table=dict.fromkeys((STATS, BOUNCES), built_for),
                tables=WEB_TABLES,
                run_id="by-hand",
                limits=build_limits(self.settings),
            ).run()
            assert not built.problems

    def tick(self) -> Tick:
        return self.loop.tick()

    def check(self) -> Tick:
        """One tick of the 02:00 schedule."""
        return schedule_tick(self.instance)

    def evaluate(self, trigger: Trigger = Trigger.SENSOR, after: timedelta = timedelta(0)) -> Evaluation:
        """What a tick would find and decide so much later, without launching or recording anything."""
        now = utc_now() + after
        return evaluate(self.instance, self.settings, WATCHED, trigger, lambda work: work(self.client), now=now)

    def carry_out(self, asked: Tick) -> None:
        self.loop.carry_out(asked.requests, lambda _: None)

    def missing_data(self) -> dict[str, Any]:
        return self.loop.missing_data()

    def run_as_configured(self, job_name: str, config: dict[str, Any] | None = None, **options: Any) -> Any:
        """Run a job with the configuration that a person would give it."""
        job = defs.resolve_job_def(job_name)
        return job.execute_in_process(instance=self.instance, run_config=config or {}, **options)

    def materialize(self, asset: str) -> None:
        """As `dagster asset materialize --select` does."""
        job = defs.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=self.instance, asset_selection=[AssetKey(asset)])

    def run_checks(self) -> None:
        """Run the standing checks by themselves, as a click in the UI does."""
        selection = AssetSelection.all_asset_checks()
        job = defs.resolve_implicit_global_asset_job_def().get_subset(
            asset_check_selection=selection.resolve_checks(defs.resolve_asset_graph()), asset_selection=set()
        )
        assert job.execute_in_process(instance=self.instance).success

    def build_fails(self, day: date) -> None:
        """A run of the day whose ClickHouse gives out in the middle: a fault, and the only thing here not real."""

        def give_out(*_: object) -> None:
            raise DatabaseError("Code: 241. DB::Exception: memory limit exceeded")

        with self.monkeypatch.context() as fault:
            fault.setattr("dags.publish.build._Attempt._read_source", give_out)
            self.loop.run("web_pre_aggregate_job", partition_key=day.isoformat(), raise_on_error=False)

    def queue(self, day: date, status: DagsterRunStatus = DagsterRunStatus.QUEUED) -> str:
        """A run of the day that waits in Dagster's queue, or whatever ``status`` says."""
        job = defs.resolve_job_def("web_pre_aggregate_job")
        # A queued run must say where its code is; nothing is ever loaded from there.
        origin = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("localhost", port=1), "__repository__")
        run = self.instance.create_run_for_job(
            job,
            tags={"dagster/partition": day.isoformat()},
            remote_job_origin=RemoteJobOrigin(origin, job.name),
            job_code_origin=JobPythonOrigin(
                job.name, RepositoryPythonOrigin("python", ModuleCodePointer("dags.definitions", "defs"))
            ),
        )
        event = DagsterEvent(_REACHED[status].value, job.name)
        self.instance.report_dagster_event(event, run.run_id)
        assert self.instance.get_run_by_id(run.run_id).status is status  # type: ignore[union-attr]
        return run.run_id


@contextmanager
def new_world(dsn_text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world on an emptied engine, with an instance of its own and the settings of the contract."""
    for name in [name for name in os.environ if name.startswith("WEB_ANALYTICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLICKHOUSE_DSN", dsn_text)
    # Whatever the hour at which the tests run, yesterday is judged.
    monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_SETTLE_HOURS", "0")
    current_settings.cache_clear()
    try:
        with (
            open_client(Dsn.parse(dsn_text), wait_seconds=60) as client,
            DagsterInstance.ephemeral() as instance,
        ):
            yield World(client, instance, monkeypatch)
    finally:
        current_settings.cache_clear()


def schedule_tick(instance: DagsterInstance) -> Tick:
    schedule = defs.resolve_schedule_def("web_analytics_backfill_schedule")
    with build_schedule_context(
        instance=instance,
        scheduled_execution_time=utc_now(),
        resources=defs.resources,
        repository_def=defs.get_repository_def(),
    ) as context:
        # A schedule reaches its instance by reference, which one in memory has not; on disk a run takes four times
        # as long. `make dev` and the tests of it have the real thing.
        context._instance_ref = context._instance_ref or True  # type: ignore[assignment]
        context._instance = instance  # type: ignore[assignment]
        evaluated = schedule.evaluate_tick(context)
    return Tick(tuple(evaluated.run_requests or ()), evaluated.skip_message or "")


def tables_asked(asked: Tick) -> dict[str | None, set[str]]:
    """Partition key → the tables that its run rebuilds."""
    return {
        request.partition_key: {key.to_user_string() for key in request.asset_selection or []}
        for request in asked.requests
    }
