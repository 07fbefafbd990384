"""A table that declares a schedule is loaded by it, and what has the schedule's configuration runs as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import build_schedule_context

from dags.definitions import defs
from dags.domain.clock import utc_now
from dags.postgres_backfill.jobs import postgres_schedules
from dags.settings import current_settings
from dags.sources.declaration import declared
from dags.sources.file import read_sources
from dags.tests.postgres_backfill.tenants import DAYS, DECLARED, loaded, tenant
from dags.tests.variants import server_at_night

if TYPE_CHECKING:
    from pathlib import Path

    from dagster import ScheduleDefinition

    from dags.tests.world import World

EVERY_HOUR = DECLARED.replace("        into:", '        schedule: "15 * * * *"\n        into:')


def schedules(text: str) -> dict[str, ScheduleDefinition]:
    job = defs.resolve_job_def("postgres_backfill_job")
    return {one.name: one for one in postgres_schedules(job, declared(text))}


def launched(schedule: ScheduleDefinition) -> dict[str, Any]:
    """The configuration of the run that a tick asks for."""
    with build_schedule_context(scheduled_execution_time=utc_now()) as context:
        [request] = schedule.evaluate_tick(context).run_requests or ()
    return dict(request.run_config)


def test_only_what_declares_a_schedule_has_one_and_it_ticks_as_declared() -> None:
    assert schedules(DECLARED) == {}
    [(name, schedule)] = schedules(EVERY_HOUR).items()
    assert name == "postgres_backfill_tenant_import_public_page_views_schedule"
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("15 * * * *", "UTC")
    assert schedule.default_status.value == "RUNNING"


@server_at_night
def test_what_it_launches_loads_what_has_changed_and_says_who_asked(
    world: World, postgres_database: str, tmp_path: Path
) -> None:
    with tenant(world, postgres_database, tmp_path) as source:
        (tmp_path / "sources.yaml").write_text(EVERY_HOUR)
        assert read_sources(current_settings()).pipelines[0].tables[0].schedule == "15 * * * *"
        source.history(DAYS)
        [schedule] = schedules(EVERY_HOUR).values()
        world.run_as_configured("postgres_backfill_job", launched(schedule))
        assert sorted(loaded(world)) == sorted(source.rows())
