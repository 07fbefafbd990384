"""Trials on two shards of two replicas: days are wrong on both, a tick asks for builds, and a fault falls on one.

What must hold, whatever the fault: who reads a day on any replica sees the whole old day or the whole new one, and
never the old one again; a tick never says that wrong days are complete; the other shard's days are done meanwhile; and
once all is healed the next ticks make every replica equal to its events, with nothing of others changed and nothing
left behind.
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from dags.clickhouse.child import call
from dags.clickhouse.dsn import Dsn
from dags.definitions import WATCHED
from dags.domain import clock
from dags.domain.errors import EngineError
from dags.publish.moments import Moment
from dags.repair.decision import Trigger
from dags.settings import read_settings
from dags.tests.faults.cluster_faults import LEAVES_NOBODY, OF_WIRES, Fault, Strike
from dags.tests.faults.cluster_readers import ReplicaReaders
from dags.tests.faults.cluster_shard import Shard, must
from dags.tests.faults.cluster_worker import ANSWER_SECONDS, DEAD_AFTER_SECONDS, build, work
from dags.tests.faults.trial import BrokenPromiseError
from dags.tests.faults.wire import Wire
from dags.web_preaggregated_backfill.evaluation import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from multiprocessing.connection import Connection

    from dagster import DagsterInstance

    from dags.repair.decision import RepairRequest
    from dags.tests.clickhouse_cluster import Cluster

Given = TypeVar("Given")
Answer = TypeVar("Answer")

REPLICAS = 2

# A build makes about so many statements; the fault falls before one of them, at a moment, or at any time.
STATEMENTS = 60
ANY_TIME_SECONDS = 1.5

# A build that takes longer than this hangs. A fault that has not passed by itself lasts for so long at most.
LIMIT_SECONDS = 60.0
LASTS_SECONDS = 5.0
LOOK_SECONDS = 0.1

TICKS = 3

# A build says so where it cannot tell whether its swap took along what others wrote in that instant.
UNKNOWN_WHAT_WENT = "went with the old day, is unknown"


@dataclass(frozen=True)
class Tick:
    """What a tick says of a shard: why it knows nothing; or what is wrong, and the days that it asks for of that."""

    requests: tuple[RepairRequest, ...] = ()
    wrong: int = 0
    unknown: str = ""


@dataclass
class Build:
    """The process of a build, and what became of it; only one that is held before each statement counts these."""

    shard: Shard
    day: date
    process: Any
    near: Connection
    outcome: str = ""
    words: str = ""
    statements: int = 0


@dataclass
class ClusterTrial:
    """One trial, all of it drawn from its seed."""

    cluster: Cluster
    shards: Sequence[Shard]
    instance: DagsterInstance
    seed: int
    fault: Fault
    step: str = "-"
    looks: int = 0
    unknown: int = 0
    ticks: int = 0
    alarms: int = 0
    outcomes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Prepare, let the fault happen, heal, and see whether what must hold does.

        Raises:
            BrokenPromiseError: it does not.
        """
        self._dice = random.Random(self.seed)
        self._struck = self._dice.choice(self.shards)
        self._draw()
        with self._timed("prepare"):
            together(self.shards, self._prepare)
        readers = [ReplicaReaders(shard, replica) for shard in self.shards for replica in range(REPLICAS)]
        self._ports = {
            shard.number: tuple(server.address.http_port for server in shard.servers) for shard in self.shards
        }
        wires = [Wire(port) for port in self._ports[self._struck.number] if self.fault in OF_WIRES]
        if wires:
            self._ports[self._struck.number] = tuple(wire.port for wire in wires)
        self._strike = Strike(self.fault, self.cluster, self._struck, self._replica, wires, self._dice)
        try:
            with self._timed("builds"):
                self._build()
            with self._timed("meanwhile"):
                self._look_meanwhile()
            with self._timed("heal"):
                self._strike.heal()
                together(self.shards, Shard.wait_until_healed)
            with self._timed("repair"):
                self._repair()
        finally:
            self._strike.heal()
            self.looks = sum(one.end() for one in readers)
            for wire in wires:
                wire.close()
        must(not (wrong := [words for one in readers for words in one.wrong]), f"readers saw {wrong[:2]}")
        with self._timed("whole"):
            together(self.shards, Shard.must_be_whole)

    def _prepare(self, shard: Shard) -> None:
        dice = random.Random(f"{self.seed} {shard.number}")
        if shard.is_full:
            shard.begin_anew(dice)
        shard.prepare(dice)

    def _draw(self) -> None:
        """Where and when the fault falls."""
        dice = self._dice
        self._replica = dice.randrange(REPLICAS)
        self._occurrence = 1
        self._point: str | int | float = dice.choice(list(Moment))
        if (kind := dice.random()) < 0.15:
            self._point = dice.uniform(0.0, ANY_TIME_SECONDS)
        elif kind < 0.6:
            self._point = dice.randint(1, STATEMENTS)
        else:
            self._occurrence = dice.choice((1, 1, 2))
        self._doubles = dice.random() < 0.4 or self.fault is Fault.BUILD_PAUSED
        self._guard = threading.Lock()

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    # --- Ticks ---------------------------------------------------------------------------------------------------

    def _tick(self, shard: Shard, *ports: int) -> Tick:
        """What the real tick decides, of the machine that reaches the replicas at these ports in this order."""
        dsn = Dsn.parse(shard.dsn(*ports))
        settings = read_settings(
            {
                "CLICKHOUSE_DSN": shard.dsn(*ports),
                "WEB_ANALYTICS_BACKFILL_SETTLE_HOURS": "0",
                "WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS": "1",
            }
        )
        try:
            found = evaluate(
                self.instance, settings, WATCHED, Trigger.SCHEDULE,
                lambda asked: call(dsn, asked, wait_seconds=5, limit_seconds=ANSWER_SECONDS), now=clock.utc_now(),
            )  # fmt: skip
        except EngineError as error:
            return Tick(unknown=str(error))
        if found.detection.unknown:
            return Tick(unknown="; ".join(found.detection.unknown.values()))
        return Tick(tuple(found.decision.requests), len(found.detection.wrong))

    # --- The builds, and the fault -------------------------------------------------------------------------------

    def _build(self) -> None:
        """Carry out what a tick on each shard asks for, a process for each day; the fault falls on one of them."""
        ticks = together(self.shards, self._asked)
        asked = [(shard, one) for shard, tick in zip(self.shards, ticks, strict=True) for one in tick]
        request = self._dice.choice([one for shard, one in asked if shard is self._struck])
        self._victim = self._started(self._struck, request, "victim", is_held=True)
        others = [(shard, one) for shard, one in asked if one is not request]
        builds = [self._victim, *(self._started(shard, one, f"other-{n}") for n, (shard, one) in enumerate(others))]
        if self._doubles:
            # Another machine, which names the replicas in the other order and reaches them by other ways.
            ports = tuple(server.address.http_port for server in reversed(self._struck.servers))
            builds.append(self._started(self._struck, request, "second", ports))
        timer = threading.Timer(self._point, self._fall, ("any time",)) if isinstance(self._point, float) else None
        if timer is not None:
            timer.start()
        threads = [threading.Thread(target=self._watch, args=(one,)) for one in builds]
        for thread in threads:
            thread.start()
        is_healed = False
        while any(thread.is_alive() for thread in threads):
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - self._strike.struck_at > LASTS_SECONDS and not is_healed:
                self._look_meanwhile()
                self._strike.heal()  # and the builds go on
                is_healed = True
        if timer is not None:
            timer.cancel()
            timer.join()
        self.outcomes = [f"{one.outcome} after {one.statements}: {one.words}" for one in builds]
        for one in builds:
            must(one.outcome != "hangs", f"the build of {one.day} hangs after {LIMIT_SECONDS:.0f} s")
            is_spared = one.shard is not self._struck and self.fault not in (Fault.KEEPER_KILLED, Fault.KEEPER_PAUSED)
            # Whether something went along with the old day is not known then; whether it is right is seen in the end.
            is_alarm = UNKNOWN_WHAT_WENT in one.words
            self.alarms += is_alarm
            must(
                not is_spared or is_alarm or one.outcome == "built",
                f"the other shard's day was not built: {one.words}",
            )

    def _asked(self, shard: Shard) -> tuple[RepairRequest, ...]:
        tick = self._tick(shard)
        must(not tick.unknown, f"unknown before anything happened: {tick.unknown}")
        expected = {day for (_, day), (old, new) in shard.allowed.items() if old != new}
        asked = {request.day for request in tick.requests}
        must(asked == expected, f"the tick asks for {asked}, wrong are {expected}: {shard.wrong}")
        return tick.requests

    def _started(
        self, shard: Shard, request: RepairRequest, name: str, ports: tuple[int, ...] = (), *, is_held: bool = False
    ) -> Build:
        context = multiprocessing.get_context("forkserver")
        near, far = context.Pipe()
        ports = ports or tuple(self._dice.sample(self._ports[shard.number], REPLICAS))
        arguments = (far, shard.dsn(*ports), f"{name}-{self.seed}", request.day, dict(request.teams_by_table))
        process = context.Process(target=work, args=arguments, kwargs={"is_held": is_held}, daemon=True)
        process.start()
        far.close()
        return Build(shard, request.day, process, near)

    def _watch(self, one: Build) -> None:
        """Give a build leave for each step, until it has ended."""
        until, seen = time.monotonic() + LIMIT_SECONDS, 0
        try:
            while one.near.poll(max(until - time.monotonic(), 0)):
                try:
                    text = one.near.recv()
                except (EOFError, ConnectionResetError):
                    one.outcome = "killed"
                    return
                if isinstance(text, tuple):
                    one.outcome, one.words = text
                    return
                one.statements += 1
                if one is self._victim:
                    seen += text == self._point
                    if (text == self._point and seen == self._occurrence) or one.statements == self._point:
                        self._fall(text)
                with suppress(OSError):
                    one.near.send(None)
            one.outcome = "hangs"
        finally:
            one.process.kill()
            one.process.join()
            one.near.close()

    def _fall(self, step: str) -> None:
        with self._guard:
            if not self._strike.has_struck and self._victim.outcome == "":
                self.step = str(step)
                self._strike.strike(self._victim.process.pid)

    def _look_meanwhile(self) -> None:
        """While it lasts: never is a shard said to be complete that is not, and what is unknown has a name."""
        if not self._strike.has_struck:
            return
        tick = self._tick(self._struck, *self._ports[self._struck.number])
        if tick.unknown:
            self.unknown += 1
            names = [str(port) for port in self._ports[self._struck.number]]
            must(any(f":{name}" in tick.unknown for name in names), f"unknown, and of nobody by name: {tick.unknown}")
            return
        must(self.fault not in LEAVES_NOBODY or self._strike.is_ending, f"nobody is there, and the tick says {tick}")
        must(
            tick.wrong > 0 or self._struck.is_right_somewhere(),
            f"days are wrong on every replica, and the tick says that nothing is ({self._struck.wrong})",
        )

    # --- After it ------------------------------------------------------------------------------------------------

    def _repair(self) -> None:
        """As the next ticks do: detect, decide, and build what is asked for."""
        for number in range(TICKS + 1):
            asked, problems, ticks = [], list[str](), together(self.shards, self._tick)
            for shard, tick in zip(self.shards, ticks, strict=True):
                must(not tick.unknown, f"unknown, and all is healed: {tick.unknown}")
                asked += [(shard, request) for request in tick.requests]
            if not any(tick.wrong for tick in ticks):
                self.ticks = number
                break
            if not asked:  # the lease of a build that died is another's soon
                time.sleep(DEAD_AFTER_SECONDS)

            def make(one: tuple[Shard, RepairRequest], number: int = number, told: list[str] = problems) -> None:
                shard, request = one
                try:
                    words = build(shard.dsn(), f"tick{number}-{self.seed}", request.day, dict(request.teams_by_table))
                except Exception as error:  # noqa: BLE001 -- the next tick is there for it
                    words = f"{type(error).__name__}: {error}"
                if words:
                    told.append(words)

            together(asked, make)
            self.outcomes += problems
        else:
            raise BrokenPromiseError(f"{TICKS} ticks did not make it good: {problems}")
        for shard in self.shards:
            shard.wait_until_healed()
            must(not (wrong := shard.differences()), f"ticks ask for nothing more, but {wrong}")


def together(these: Sequence[Given], act: Callable[[Given], Answer]) -> list[Answer]:
    """On each at once; raises the first error."""
    with ThreadPoolExecutor(max(len(these), 1)) as threads:
        return list(threads.map(act, these))
