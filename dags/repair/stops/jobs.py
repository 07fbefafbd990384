"""The jobs by which a person stops every backfill at once, and lets them go on."""

from collections.abc import Callable
from typing import Any

from dagster import JobDefinition
from pydantic import Field

from dags.dagster_runs.command import Command, command
from dags.domain.given import Given, Words
from dags.repair.stops.store import turn


class StopConfig(Given):
    """Who stops backfills, or lets them go on, and why."""

    reason: Words = Field(description="Why; shown in every skip reason.")
    requested_by: Words = Field(description="Who says so.")


def stop_jobs(changed: Callable[[Command[Any]], None]) -> list[JobDefinition]:
    """The jobs. ``changed`` hears of each command after it has turned the switch."""

    def stop_backfills(asked: Command[StopConfig]) -> None:
        """Stop every backfill."""
        _turned(asked, is_stopped=True)
        print("STOPPED  no backfill is launched, and queued ones build nothing; a build that has begun ends by itself")
        changed(asked)

    def resume_backfills(asked: Command[StopConfig]) -> None:
        """Let backfills go on."""
        _turned(asked, is_stopped=False)
        print("RESUMED  the next tick launches what is due")
        changed(asked)

    return [
        command(
            stop_backfills,
            "Stop every backfill at once: none is launched, and queued ones build nothing. Daily builds go on.",
            config=StopConfig,
        ),
        command(resume_backfills, "Let backfills go on: the next tick launches what is due.", config=StopConfig),
    ]


def _turned(asked: Command[StopConfig], *, is_stopped: bool) -> None:
    with asked.client() as (client, _):
        turn(client, is_stopped=is_stopped, reason=asked.given.reason, requested_by=asked.given.requested_by)
