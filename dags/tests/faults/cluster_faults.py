"""What goes wrong with a cluster of replicas: how a fault strikes, and how it is made good again."""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError
from psutil import NoSuchProcess, Process

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.domain.errors import EngineError
from dags.tests.builds import TABLES
from dags.tests.clickhouse_server import ServerError
from dags.tests.faults.cluster_worker import DEAD_AFTER_SECONDS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from dags.tests.clickhouse_cluster import Cluster
    from dags.tests.faults.cluster_shard import Shard
    from dags.tests.faults.wire import Wire

# Sessions with the keeper last for less than the longest of these: some end meanwhile, some do not.
SHORT_SECONDS = (0.3, 5.0)


class Fault(StrEnum):
    """What goes wrong, where and when the seed draws it."""

    REPLICA_KILLED = "a replica is killed"
    REPLICA_RESTARTED = "a replica is killed and comes back"
    REPLICA_PAUSED = "a replica is paused"
    SHARD_DOWN = "all replicas of a shard are killed"
    KEEPER_KILLED = "the keeper is killed"
    KEEPER_PAUSED = "the keeper is paused"
    FETCHES_STOPPED = "a replica fetches nothing"
    SENDS_STOPPED = "a replica sends nothing"
    BUILD_KILLED = "the build is killed"
    BUILD_PAUSED = "the build sleeps, another comes"
    CUT_OFF = "a replica is cut off from builds"
    LOST_PACKETS = "what goes to a replica is lost"


# Whoever reads the shard where it struck finds nobody who knows, for as long as it lasts.
LEAVES_NOBODY = (Fault.SHARD_DOWN,)

# Those that fall between builds and servers, and not on one of them.
OF_WIRES = (Fault.CUT_OFF, Fault.LOST_PACKETS)


@dataclass
class Strike:
    """A fault on a shard, on one of its replicas, and on the process of a build; lasts until `heal`, or for less.

    ``is_ending``: it is being made good, or is over.
    """

    fault: Fault
    cluster: Cluster
    shard: Shard
    replica: int
    wires: Sequence[Wire]
    dice: random.Random
    has_struck: bool = False
    struck_at: float = math.inf
    is_ending: bool = False
    _timers: list[threading.Timer] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Drawn now, so that they are the same whenever it strikes: half of them pass while the builds are at work.
        self._passes = self.dice.random() < 0.5
        self._seconds = self.dice.uniform(*SHORT_SECONDS)
        self._of_tables = self.dice.choice(((), TABLES[:1], TABLES[1:]))
        self._one_at_a_time = threading.Lock()

    def strike(self, build: int) -> None:
        """Let it happen; ``build`` is the process of a build."""
        self.has_struck, self.struck_at = True, time.monotonic()
        server, keeper = self.shard.servers[self.replica], self.cluster.keeper
        strikes: dict[Fault, Callable[[], None]] = {
            Fault.REPLICA_KILLED: server.kill,
            Fault.REPLICA_RESTARTED: server.kill,
            Fault.REPLICA_PAUSED: server.pause,
            Fault.SHARD_DOWN: self._kill_all,
            Fault.KEEPER_KILLED: keeper.kill,
            Fault.KEEPER_PAUSED: keeper.pause,
            Fault.FETCHES_STOPPED: lambda: self._system("STOP", "FETCHES"),
            Fault.SENDS_STOPPED: lambda: self._system("STOP", "REPLICATED SENDS"),
            Fault.BUILD_KILLED: lambda: _of_process(build, Process.kill),
            Fault.BUILD_PAUSED: lambda: _of_process(build, Process.suspend),
        }
        if self.wires:
            wire = self.wires[self.replica]
            strikes |= {Fault.CUT_OFF: wire.cut, Fault.LOST_PACKETS: wire.hold}
        strikes[self.fault]()
        if self.fault is Fault.REPLICA_RESTARTED:
            self._later(0.0, self._mend)
        elif self.fault is Fault.BUILD_PAUSED:
            self._later(DEAD_AFTER_SECONDS + self._seconds, lambda: _of_process(build, Process.resume))
        elif self._passes:
            self._later(self._seconds, self._mend)

    def heal(self) -> None:
        """Make it good, and return when every process answers; harmless where nothing happened."""
        for timer in self._timers:
            timer.join()
        self._mend()

    def _kill_all(self) -> None:
        for server in self.shard.servers:
            server.kill()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        self._timers.append(timer)
        timer.start()

    def _mend(self) -> None:
        self.is_ending = True
        with self._one_at_a_time:
            for wire in self.wires:
                wire.mend()
            for process in (self.cluster.keeper, *self.shard.servers):
                if process.is_alive:
                    with suppress(ServerError):
                        process.resume()
            self.cluster.keeper.start()
            for server in self.shard.servers:
                server.launch()
            for server in self.shard.servers:
                server.wait_until_it_answers()
            for verb in ("FETCHES", "REPLICATED SENDS"):
                self._system("START", verb)

    def _system(self, verb: str, what: str) -> None:
        """Of some tables, or of all."""
        with (
            suppress(ClickHouseError, EngineError),
            open_client(Dsn.parse(self.shard.own_dsn(self.replica)), wait_seconds=5, answer_seconds=10) as client,
        ):
            for table in self._of_tables or ("",):
                client.command(f"SYSTEM {verb} {what} {table}")


def _of_process(number: int, act: Callable[[Process], None]) -> None:
    with suppress(NoSuchProcess):
        act(Process(number))
