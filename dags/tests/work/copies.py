"""A second kind of work, for tests: it copies ranges of numbers, by `dags.work` alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.engine import open_client
from dags.work import control
from dags.work.audit.log import Entry, Event, State, Status, Work
from dags.work.audit.store import Log, require_state
from dags.work.document import as_yaml, from_yaml
from dags.work.kinds import KindOfWork
from dags.work.orders import Ended
from dags.work.plan import NOTHING, Ceilings, Estimate, Monitoring, Part
from dags.work.progress import Progress, report
from dags.work.runner import AtWork, Listeners, Runner

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

COPIED = "numbers_copied"
WHO = {"requested_by": "bob", "reason": "because"}


class Ranges(Part):
    """A chunk: ranges of numbers, such as ``10-20``, their end left out."""

    id: int
    steps: tuple[str, ...]
    estimate: Estimate = NOTHING

    def named(self) -> dict[str, Any]:
        return {"id": self.id, "ranges": list(self.steps)}

    def __str__(self) -> str:
        return ", ".join(self.steps)


class CopyPlan(Part):
    """The document of a copy."""

    chunks: tuple[Ranges, ...]
    ceilings: Ceilings = Ceilings()
    parallelism: int = 1
    monitoring: Monitoring = Monitoring()


def planned(**given: Any) -> CopyPlan:
    """Four chunks of two ranges of ten numbers."""
    chunks = tuple(
        Ranges(
            id=number,
            steps=tuple(f"{start}-{start + 10}" for start in (20 * number - 20, 20 * number - 10)),
            estimate=Estimate(rows=20, bytes=160, seconds=1.0, usd=0.0),
        )
        for number in range(1, 5)
    )
    return CopyPlan(chunks=chunks, **given)


@dataclass(frozen=True)
class Copy:
    """What this kind brings to the runner."""

    plan: CopyPlan
    broken: frozenset[str] = frozenset()

    def begin(self, at: AtWork) -> Copy | Ended:
        there = bool(at.client.query(f"EXISTS TABLE {COPIED}").result_rows[0][0])
        at.log.append(Entry(Event.GATE, name="target_is_there", is_passed=there, payload=COPIED))
        return self if there else Ended(Status.FAILED, "there is no target")

    def do(self, at: AtWork, chunk: Ranges, step: str) -> Sequence[Entry]:
        if step in self.broken:
            return [Entry(Event.STEP_FAILED, step=step, chunk=chunk.id, payload="a number is missing")]
        first, end = map(int, step.split("-"))
        numbers = f"number >= {first} AND number < {end}"
        # Done twice, it changes nothing.
        at.client.command(
            f"INSERT INTO {COPIED} SELECT number FROM numbers({end}) WHERE {numbers} "
            f"AND number NOT IN (SELECT number FROM {COPIED})"
        )
        return [Entry(Event.STEP_DONE, step=step, chunk=chunk.id, rows=end - first, source_rows=end - first)]

    def why_stop(self, _: AtWork) -> None:
        pass

    def judge(self, at: AtWork) -> Ended:
        failed = at.read().failed
        return Ended(Status.FAILED, f"{len(failed)} ranges failed") if failed else Ended(Status.COMPLETED)

    def report(self, state: State) -> dict[str, Any]:
        return {"copy_id": state.work_id, **report(self.plan.chunks, state)}


@dataclass
class Copies:
    """Copies on an engine, and what was heard of them."""

    client: Client
    dsn: Dsn
    kind: KindOfWork = field(init=False)
    fenced: list[set[str]] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kind = KindOfWork("copy", "copy", self.fence, self.discarded, subject="target")

    def fence(self, _: Client, runs: Collection[str]) -> None:
        self.fenced.append(set(runs))

    def discarded(self, client: Client, work: Work) -> str:
        client.command(f"DROP TABLE {work.subject} SYNC")
        return "what it copied is dropped"

    def accept(self, plan: CopyPlan, run_id: str) -> Work:
        work_id, known = control.asked_by(self.client, self.kind, run_id, lambda _: False)
        work = Work(work_id, self.kind.name, COPIED, "0-10", "70-80")
        if known is None:
            control.accept(Log(self.client, work, run_id), as_yaml(plan), *WHO.values(), planned_in=0.5)
        return work

    def runner(self, work: Work, run_id: str, **changes: Any) -> Runner[Ranges]:
        accepted = require_state(self.client, self.kind, work.work_id).accepted
        plan = from_yaml(accepted.payload, CopyPlan, {"": CopyPlan, "chunks": Ranges})
        runner = Runner(
            client=self.client,
            open_client=lambda: open_client(self.dsn, wait_seconds=5),
            kind=self.kind,
            work=work,
            chunks=plan.chunks,
            worker=Copy(plan),
            run_id=run_id,
            ordered_at=read_clocks(self.client).server,
            listeners=Listeners(
                tell=lambda _: None,
                chunk_done=lambda reached, *_: self.progress.append(reached),
                notify=lambda message: self.messages.append(dict(message)),
            ),
            parallelism=plan.parallelism,
            ceilings=plan.ceilings,
            monitoring=plan.monitoring,
        )
        return replace(runner, **changes)

    def statuses(self) -> list[str]:
        return [row.status for row in control.listed(self.client, self.kind, limit=9)]

    def numbers(self) -> list[int]:
        return [n for (n,) in self.client.query(f"SELECT number FROM {COPIED} ORDER BY number").result_rows]
