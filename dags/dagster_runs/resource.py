"""The ClickHouse that assets, jobs, sensors and schedules use: the engine that `CLICKHOUSE_DSN` names.

Loading the location opens no connection; each run opens one client, and a tick in the long-lived code server gives its
work to a child when the engine is the embedded one.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from dagster import ConfigurableResource, InitResourceContext
from dagster._core.storage.tags import PARTITION_NAME_TAG
from pydantic import PrivateAttr

from dags.clickhouse.child import call
from dags.clickhouse.engine import ANSWER_SECONDS, begin_loading, open_client
from dags.dagster_runs.locks import let_go, take
from dags.dagster_runs.tags import lock_directory
from dags.dagster_runs.traces import asked_line
from dags.domain.commands import launch_command
from dags.domain.errors import SettingsError, UserError
from dags.domain.shards import SHARD_TAG
from dags.domain.text import of_error
from dags.settings import current_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

Answer = TypeVar("Answer")

# A tick has 60 s. Waiting for the embedded engine is most of it, because the next tick is six hours away; the work
# itself takes a second or two, and the daemon needs the rest to act on the answer.
TICK_WAIT_SECONDS = 35
TICK_SECONDS = 50


class ClickHouseResource(ConfigurableResource):  # type: ignore[type-arg]
    """Opens the configured ClickHouse; has no configuration of its own, so that no secret is in any run's."""

    _beside: ThreadPoolExecutor | None = PrivateAttr(default=None)
    _begun: list[Future[object]] = PrivateAttr(default_factory=list)
    _asked_shard: str = PrivateAttr(default="")
    _job: str = PrivateAttr(default="JOB")
    _day: str = PrivateAttr(default="")

    def setup_for_execution(self, context: InitResourceContext) -> None:
        """Hold the run's lock, by which it is seen that its process lives: every run of ours uses this resource.

        And say who asked for it, for the same reason. Meanwhile the embedded engine is loaded.
        """
        if context.run is not None and context.instance is not None:
            self._asked_shard = context.run.tags.get(SHARD_TAG, "")
            self._job, self._day = context.run.job_name, context.run.tags.get(PARTITION_NAME_TAG, "")
            with suppress(SettingsError):  # said where they are used
                begin_loading(current_settings().clickhouse_dsn)
            if context.log is not None:
                context.log.info("%s", asked_line(context.run))
            # Without the lock nobody takes the run for dead; that is no reason not to carry it out.
            with suppress(OSError):
                take(lock_directory(context.instance), context.run.run_id)

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        """End what was begun beside the steps, and say what became of it that it did not say itself; then say that the
        run no longer lives.
        """
        if self._beside is not None:
            self._beside.shutdown()
            for error in filter(None, (one.exception() for one in self._begun)):
                if context.log is not None:
                    context.log.error("what went on beside the step failed: %s", of_error(error))
            self._beside, self._begun = None, []
        if context.run is not None and context.instance is not None:
            let_go(lock_directory(context.instance), context.run.run_id)

    def beside(self, work: Callable[..., object], *arguments: object) -> None:
        """Begin what no step waits for, and what the run does not end before; an error of it is logged, and no more."""
        self._beside = self._beside or ThreadPoolExecutor(1)
        self._begun.append(self._beside.submit(work, *arguments))

    @contextmanager
    def client(
        self,
        who: str,
        *,
        create_database: bool = False,
        wait_seconds: float | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        shard: int = 0,
    ) -> Iterator[Client]:
        """A client for the length of a step. ``who``, a run id, marks its queries and its hold on the engine.

        ``wait_seconds``: how long to wait for the embedded engine, unless as the settings say. ``answer_seconds``: how
        long a server may be silent. ``shard``: which one, see `shards`, unless that which the run's tag names.

        Raises:
            EngineError: unreachable, refused, or held by another process for too long.
            UserError: there are several shards, and neither names one of them.
        """
        settings = current_settings()
        with open_client(
            self._of_shard(settings.clickhouse_dsn, str(shard or self._asked_shard)),
            wait_seconds=settings.engine_wait_seconds if wait_seconds is None else wait_seconds,
            answer_seconds=answer_seconds,
            create_database=create_database,
            who=who,
        ) as opened:
            yield opened

    @property
    def shards(self) -> tuple[int, ...]:
        """The numbers of the shards, for work that goes over all of them; 0 alone where there is one."""
        return tuple(one.shard for one in current_settings().clickhouse_dsn.shards)

    def _of_shard(self, dsn: Dsn, asked: str) -> Dsn:
        found = [one for one in dsn.shards if str(one.shard) == asked] if dsn.later else [dsn]
        if asked not in {"", "0"} and not dsn.later:
            raise UserError(
                f"the run's tag {SHARD_TAG} names shard {asked!r}, and CLICKHOUSE_DSN names no shards: leave the tag "
                "out, or name the hosts of all shards, with semicolons between them. Nothing was touched"
            )
        if not found:
            said = f"this names {asked!r}" if asked not in {"", "0"} else "this names none"
            raise UserError(
                f"CLICKHOUSE_DSN names {len(dsn.shards)} shards, and {said}: give the run the tag {SHARD_TAG} with a "
                f"number from 1 to {len(dsn.shards)}. In a terminal that is, with its -c as before:\n"
                f"  {launch_command(self._job, shard=1, day=self._day)}\n"
                "for dg launch has no --tags. Nothing was touched"
            )
        return found[0]

    def in_tick(
        self, work: Callable[[Client], Answer], until: float = math.inf, *, who: str = "tick", shard: int = 0
    ) -> Answer:
        """``work(client)`` within the time that a tick has; see `dags.clickhouse.child.call`.

        ``until``, of this process's clock (`time.monotonic`): when the tick is over that this is a part of. ``who`` is
        that tick, see `dags.dagster_runs.traces.tick_of`: it marks its statements. ``shard`` as `client` has it.

        Raises:
            EngineError: as `client`, or it took too long.
            UserError: as `client`.
        """
        left = max(1.0, min(TICK_SECONDS, until - time.monotonic()))
        return call(
            self._of_shard(current_settings().clickhouse_dsn, str(shard)),
            work,
            # Of a shorter time as large a part, or the child would be ended before it can say that the engine is busy.
            wait_seconds=left * TICK_WAIT_SECONDS / TICK_SECONDS,
            limit_seconds=left,
            who=who,
        )
