"""The jobs by which a person stops every backfill at once, and lets them go on."""

from collections.abc import Callable
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import JobDefinition
from pydantic import Field

from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import JobKind
from dags.domain.errors import UserError
from dags.domain.given import Given, Words
from dags.domain.text import of_error
from dags.repair.stops.store import turn


class StopConfig(Given):
    """Who stops backfills, or lets them go on, and why."""

    reason: Words = Field(description="Why; shown in every skip reason.")
    requested_by: Words = Field(description="Who says so.")


# A stop is urgent: a shard that has taken the connection and says nothing keeps others from it no longer than this.
ANSWER_SECONDS = 20.0


def stop_jobs(changed: Callable[[Command[Any]], None]) -> list[JobDefinition]:
    """The jobs. ``changed`` hears of each command after it has turned the switch."""

    def stop_all_backfills(asked: Command[StopConfig]) -> None:
        """Stop every backfill."""
        _turned(asked, is_stopped=True)
        print("STOPPED  no backfill is launched, and queued ones build nothing; a build that has begun ends by itself")
        changed(asked)

    def resume_all_backfills(asked: Command[StopConfig]) -> None:
        """Let backfills go on."""
        _turned(asked, is_stopped=False)
        print("RESUMED  the next tick launches what is due")
        changed(asked)

    words = {
        stop_all_backfills: "Stop all backfills at once: none is launched, queued ones do nothing. Daily builds go on.",
        resume_all_backfills: "Let all backfills go on that were stopped: the next tick launches what is due.",
    }
    return [command(turned, said, config=StopConfig, kind=JobKind.SWITCH) for turned, said in words.items()]


def _turned(asked: Command[StopConfig], *, is_stopped: bool) -> None:
    """On every shard; one that does not answer keeps none of the others from it, for this may be urgent."""
    failed: dict[int, Exception] = {}
    for shard in asked.clickhouse.shards:
        try:
            with asked.client(shard, answer_seconds=ANSWER_SECONDS) as (client, _):
                turn(client, is_stopped=is_stopped, reason=asked.given.reason, requested_by=asked.given.requested_by)
        except (UserError, ClickHouseError) as error:
            if not shard:
                raise
            failed[shard] = error
    if failed:
        words = "; ".join(f"shard {shard}: {of_error(error)}" for shard, error in failed.items())
        raise UserError(
            f"{len(failed)} of {len(asked.clickhouse.shards)} shards were not told, the others were: {words}. While "
            "one that answers says that backfills are stopped none is launched anywhere. Have it answer, and do this "
            "again"
        )
