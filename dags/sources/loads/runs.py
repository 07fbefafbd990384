"""What the jobs of every kind of load have in common: a run of it, from the accepted plan to the report, and the jobs
by which people go on with one, pause, cancel and delete it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from clickhouse_connect.driver.client import Client
from dagster import JobDefinition

from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import LONG_RUN, REASON_TAG, REQUESTED_BY_TAG, TAG_PREFIX, JobKind, ordered_at
from dags.domain.days import in_words
from dags.domain.given import Given
from dags.domain.text import wrapped
from dags.work import control
from dags.work.audit.log import State, Work
from dags.work.audit.store import require_state
from dags.work.kinds import KindOfWork
from dags.work.plan import Chunk, Monitoring
from dags.work.progress import ChunkState, Progress
from dags.work.runner import Runner, Worker
from dags.work.runs import Shown, act


class LoadPlan(Protocol):
    """What every plan of a load has."""

    @property
    def target(self) -> str:
        """The table that it fills."""

    @property
    def subject(self) -> str:
        """What the log has it work on."""

    @property
    def monitoring(self) -> Monitoring:
        """Who is told of it."""

    @property
    def requested_by(self) -> str:
        """Who asked for it."""

    @property
    def reason(self) -> str:
        """Why."""


P = TypeVar("P", bound=LoadPlan)


@dataclass(frozen=True)
class Load(Generic[P]):
    """A load in a run. ``after`` is told when what readers see may have changed; ``asked_by`` is who goes on with it,
    and why.
    """

    asked: Command[Any]
    client: Client
    kind: KindOfWork
    after: Callable[[Command[Any]], None]
    work: Work
    plan: P
    ordered: datetime
    asked_by: tuple[str, str] = ("", "")

    def tell(self, words: str) -> None:
        """Say what a person should know, in the run's log and in the terminal."""
        self.asked.context.log.info(words)
        print(wrapped(f"NOTE     {words}"), flush=True)

    def attached(self, rows_by_day: Mapping[date, int]) -> None:
        """Say which days readers see from now on."""
        print(f"ATTACHED {sum(rows_by_day.values()):,} rows on {in_words(rows_by_day)}", flush=True)

    def carry_out(
        self,
        worker: Worker[Any],
        chunks: Sequence[Chunk],
        text: Callable[[State], str],
        *,
        steps: str = "steps",
        parallelism: int = 1,
        shows_progress: bool = True,
        ended: Callable[[State], None] = lambda _: None,
    ) -> State:
        """Carry out what is left of the plan, and show it. ``text`` is what people read of it in the end; ``ended``
        hears of the end. Not ``shows_progress``: the worker itself shows how far it is.

        Raises:
            Failure: it is not as it was to be.
        """
        asked, plan = self.asked, self.plan

        def opened() -> AbstractContextManager[Client]:
            return asked.clickhouse.client(asked.run_id)

        def chunk_over(_: Progress, words: str, __: tuple[ChunkState, ...]) -> None:
            print(words, flush=True)

        shown = Shown(asked, self.kind, self.work, plan.target, text, steps=steps)
        who, why = self.asked_by if any(self.asked_by) else (plan.requested_by, plan.reason)
        asked.instance.add_run_tags(
            asked.run_id, {REQUESTED_BY_TAG: who, REASON_TAG: why, f"{TAG_PREFIX}source": plan.subject}
        )
        listeners = replace(shown.listeners(plan.monitoring.webhook), tell=self.tell)
        runner = Runner(
            client=self.client,
            open_client=opened,
            kind=self.kind,
            work=self.work,
            chunks=chunks,
            worker=worker,
            run_id=asked.run_id,
            ordered_at=self.ordered,
            listeners=listeners if shows_progress else replace(listeners, chunk_done=chunk_over),
            parallelism=parallelism,
            monitoring=plan.monitoring,
            asked_by=self.asked_by,
        )
        try:
            state = runner.run()
            shown.end(state)
            ended(state)
        finally:
            # Whatever ended it: what readers see may be otherwise, and the checks say at once what is so now.
            self.after(asked)
        shown.require_success(state)
        return state


def gone_on_with(
    asked: Command[Any],
    kind: KindOfWork,
    *,
    from_yaml: Callable[[str], P],
    after: Callable[[Command[Any]], None],
    carry_out: Callable[[Load[P]], dict[str, Any]],
    words: Callable[[P, State], str],
) -> dict[str, Any]:
    """Go on with a load that a person names: what is left of its plan. ``words`` say how far it had come."""
    with asked.client() as (client, clocks):
        ordered = ordered_at(asked.instance, asked.context.run, clocks)
        state = require_state(client, kind, getattr(asked.given, kind.id_field))
        control.refuse_resume(kind, state)
        plan = from_yaml(state.accepted.payload)
        print(f"RESUMED  {state.work_id}: {words(plan, state)}")
        who = (asked.given.requested_by, asked.given.reason)
        return carry_out(Load(asked, client, kind, after, state.work, plan, ordered, who))


@dataclass(frozen=True)
class Controls:
    """The words of the jobs by which people go on with a load, pause, cancel and delete it, and what each takes.

    ``cancelled_is_seen``: whether a cancel or a deletion may change what readers see.
    """

    config: type[Given]
    pool: str
    resume: str
    pause: str
    cancel: str
    delete: str
    cancelled_is_seen: bool = False


def control_jobs(
    kind: KindOfWork,
    words: Controls,
    resume: Callable[[Command[Any]], dict[str, Any]],
    after: Callable[[Command[Any]], None],
) -> list[JobDefinition]:
    """These jobs, of a kind of load."""

    def acting(how: Callable[..., str], *, is_seen: bool) -> Callable[[Command[Any]], None]:
        def act_on(asked: Command[Any]) -> None:
            """Do what a person asks of it."""
            act(asked, kind, how)
            if is_seen:
                after(asked)

        return act_on

    def named(verb: str) -> str:
        return kind.job(verb).removesuffix("_job")

    is_seen = words.cancelled_is_seen
    made = partial(command, config=words.config, kind=JobKind.LOAD)
    return [
        made(resume, words.resume, name=named("resume"), tags=LONG_RUN, pool=words.pool),
        made(acting(control.pause, is_seen=False), words.pause, name=named("pause")),
        made(acting(control.cancel, is_seen=is_seen), words.cancel, name=named("cancel")),
        made(acting(control.delete, is_seen=is_seen), words.delete, name=named("delete")),
    ]
