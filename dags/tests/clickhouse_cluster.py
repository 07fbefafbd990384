"""A real ClickHouse cluster for tests, shards × replicas on loopback, on a machine where nobody installed one.

Each server is the engine from npm that `dags.tests.clickhouse_server` pins, with what it lacks of a replica
(`dags.tests.clickhouse_interserver`); Apache ZooKeeper, as Debian has it, is the keeper. ReplicatedMergeTree,
Distributed, KeeperMap, `insert_quorum`, users and logs are ClickHouse's own. Any process can be killed, started again
on its data, paused and resumed, and none outlives the one that asked for the cluster.

What it cannot show: `ON CLUSTER`, databases of the engine Replicated, a quorum of keepers, a network that splits,
separate clocks and disks. A server always ends as in a crash, and all servers have the same UUID. The keeper counts a
replica that was killed as active until its session ends (SESSION_LIMIT), or until it has been started again.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import socket
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from dags.tests.clickhouse_interserver import INTERSERVER_HOST
from dags.tests.clickhouse_server import (
    LIBRARIES,
    PASSWORD,
    POLL,
    PORT_ATTEMPTS,
    START_LIMIT,
    ServerAddress,
    ServerError,
    answers_as,
    fetched_library,
    free_ports,
    log_tail,
    obstacle_to_library,
    supervised,
    tells_of_a_taken_port,
    users_with,
    write_configuration,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

NAME = "test_cluster"
HOST = "127.0.0.1"

# `apt-get install --no-install-recommends zookeeper` brings both, and Java.
JARS = (Path("/usr/share/java/zookeeper.jar"), Path("/usr/share/java/slf4j-simple.jar"))

# How long the keeper waits for a server of which it hears nothing, before it counts it as gone; and a server for an
# answer of the keeper. ClickHouse's own are 30 s and 10 s: long for who waits, and short enough for a busy machine.
SESSION_LIMIT = timedelta(seconds=10)
ANSWER_LIMIT = timedelta(seconds=5)
# The keeper's own unit of time: a session lasts from 2 to 20 of them.
TICK = timedelta(seconds=1)


class _PortTakenError(ServerError):
    """Somebody else listens where this process was to listen; other ports may do."""


class ClusterProcess:
    """A process of the cluster: its keeper, or a server."""

    def __init__(self, title: str, command: list[str], log: Path, answers: Callable[[], bool]) -> None:
        self._title = title
        self._command = command
        self._log = log
        self._answers = answers
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{self._title}>"

    @property
    def is_alive(self) -> bool:
        """Whether the process is there; it is also while it is paused."""
        return self._supervisor is not None and self._supervisor.poll() is None

    @property
    def pids(self) -> list[int]:
        """Of the process, and of who supervises it; none if it is not alive."""
        return [process.pid for process in self._family()]

    def start(self) -> None:
        """Start it on its data, and return when it answers; harmless when it is alive.

        A server answers before its replicated tables have found their place in the keeper; until then, some tenth of
        a second if the keeper answers, they are read-only.

        Raises:
            ServerError: it ended at once, or did not answer within START_LIMIT; with the end of its log.
        """
        self.launch()
        self.wait_until_it_answers()

    def launch(self) -> None:
        """Start it, and do not wait."""
        if not self.is_alive:
            root = Path(__file__).resolve().parents[2]
            # What is killed in any case need not be asked to end first.
            self._supervisor = supervised(
                self._command, self._log, stop_limit=timedelta(0), environment={"PYTHONPATH": str(root)}
            )

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_LIMIT.total_seconds()
        while not self._answers():
            if not self.is_alive:
                tail = log_tail(self._log)
                kind = _PortTakenError if tells_of_a_taken_port(tail) else ServerError
                raise kind(f"{self._title} ended before it answered\n{tail}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self._title} did not answer within {START_LIMIT}\n{log_tail(self._log)}")
            time.sleep(POLL.total_seconds())

    def kill(self) -> None:
        """End it with SIGKILL, and return when it is gone; harmless when it is."""
        if self._supervisor is None:
            return
        for process in self._family()[1:]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._supervisor.terminate()
        self._supervisor.wait()

    def pause(self) -> None:
        """Stop it with SIGSTOP: its connections stay, and nothing is answered, until `resume` or `kill`."""
        self._process().suspend()

    def resume(self) -> None:
        self._process().resume()

    def _process(self) -> psutil.Process:
        family = self._family()[1:]
        if not family:
            raise ServerError(f"{self._title} is not running: start it first")
        return family[0]

    def _family(self) -> list[psutil.Process]:
        if self._supervisor is None or not self.is_alive:
            return []
        supervisor = psutil.Process(self._supervisor.pid)
        return [supervisor, *supervisor.children()]


class ClusterServer(ClusterProcess):
    """A ClickHouse server of the cluster."""

    def __init__(
        self, command: list[str], directory: Path, *, address: ServerAddress, native_port: int, identity: str
    ) -> None:
        title = f"the ClickHouse server {directory.name} on port {address.http_port}"
        super().__init__(title, command, directory / "server.log", lambda: answers_as(address, identity))
        self.address = address
        self.native_port = native_port


@dataclass(frozen=True)
class Cluster:
    """Servers by shard and replica, and their keeper. `name` is what `system.clusters` calls it."""

    name: str
    servers: tuple[tuple[ClusterServer, ...], ...]
    keeper: ClusterProcess

    @property
    def processes(self) -> tuple[ClusterProcess, ...]:
        return (self.keeper, *(server for replicas in self.servers for server in replicas))

    def dsn(self, database: str = "web_analytics", shard: int = 0) -> str:
        """All replicas of a shard as one `clickhouse://` DSN, for the user who may do everything."""
        return self.dsn_of_shards(database, shard)

    def dsn_of_shards(self, database: str, *shards: int) -> str:
        """The same of several shards, in that order, counted from 0."""
        hosts = ";".join(
            ",".join(f"{server.address.host}:{server.address.http_port}" for server in self.servers[shard])
            for shard in shards
        )
        return f"clickhouse://default@{hosts}/{database}?cluster={self.name}"


def cluster_obstacle() -> str | None:
    """None if a cluster can be started here; else why not, in one sentence for the list of skipped tests."""
    obstacles = [obstacle_to_library()]
    if shutil.which("java") is None:
        obstacles.append("no `java` on PATH")
    obstacles += [f"no {jar}" for jar in JARS if not jar.exists()]
    found = "; ".join(obstacle for obstacle in obstacles if obstacle)
    return (
        found
        and (
            f"no ClickHouse cluster can be started here ({found}); "
            "Debian and Ubuntu have Java and ZooKeeper in `apt-get install --no-install-recommends zookeeper`"
        )
    ) or None


@contextmanager
def running_cluster(
    directory: Path, shards: int = 1, replicas: int = 2, users_xml: str | None = None
) -> Iterator[Cluster]:
    """Start a cluster on loopback, hand it out when all of it answers, and end it with the context.

    `directory` is made if need be. It gets `keeper`, and for each server `shard1_replica1`, with configuration,
    `server.log` and data. Every server has the macros {shard} and {replica}, counted from 1, knows the cluster, and
    asks other shards as the user who asked it. Paths of replicated tables have a default; a table is to be made on
    each server. `system.query_log` is written twice a second.

    `users_xml` is a whole users configuration for all servers, as in `dags.tests.clickhouse_server`.

    Raises:
        ServerError: there is an obstacle, the download failed, or a process did not start.
    """
    if obstacle := cluster_obstacle():
        raise ServerError(obstacle)
    library = fetched_library(LIBRARIES[platform.system(), platform.machine()])
    directory = directory.resolve()
    for attempt in range(1, PORT_ATTEMPTS + 1):
        cluster = _configured(directory, library, shards, replicas, users_xml or users_with(PASSWORD))
        try:
            try:
                cluster.keeper.start()
                for process in cluster.processes:
                    process.launch()
                for process in cluster.processes:
                    process.wait_until_it_answers()
            except _PortTakenError:
                if attempt == PORT_ATTEMPTS:
                    raise
                continue
            yield cluster
            return
        finally:
            for process in reversed(cluster.processes):
                process.kill()


def _configured(directory: Path, library: Path, shards: int, replicas: int, users_xml: str) -> Cluster:
    """The cluster with its configuration written, on ports that are free; nothing is started."""
    ports = free_ports(2 * shards * replicas + 1)
    keeper_port, ports = ports[0], ports[1:]
    native_ports = [[ports.pop() for _ in range(replicas)] for _ in range(shards)]
    secret = secrets.token_hex(16)
    remote_servers = _remote_servers(native_ports, secret)
    servers = tuple(
        tuple(
            _server(
                directory / f"shard{shard}_replica{replica}",
                library=library,
                http_port=ports.pop(),
                native_port=native_port,
                users_xml=users_xml,
                surroundings=_surroundings(shard, replica, keeper_port, remote_servers),
            )
            for replica, native_port in enumerate(of_shard, start=1)
        )
        for shard, of_shard in enumerate(native_ports, start=1)
    )
    return Cluster(NAME, servers, _keeper(directory / "keeper", keeper_port))


def _remote_servers(native_ports: list[list[int]], secret: str) -> str:
    shards = "".join(
        "<shard><internal_replication>true</internal_replication>"
        + "".join(f"<replica><host>{HOST}</host><port>{port}</port></replica>" for port in of_shard)
        + "</shard>"
        for of_shard in native_ports
    )
    return f"<remote_servers><{NAME}><secret>{secret}</secret>{shards}</{NAME}></remote_servers>"


def _surroundings(shard: int, replica: int, keeper_port: int, remote_servers: str) -> str:
    # Every engine from npm has the same UUID, and would take the session of another for its own.
    return f"""<macros><shard>{shard}</shard><replica>{replica}</replica></macros>
  <default_replica_path>/clickhouse/tables/{{shard}}/{{database}}/{{table}}</default_replica_path>
  <default_replica_name>{{replica}}</default_replica_name>
  <zookeeper>
    <node><host>{HOST}</host><port>{keeper_port}</port></node>
    <session_timeout_ms>{SESSION_LIMIT // timedelta(milliseconds=1)}</session_timeout_ms>
    <operation_timeout_ms>{ANSWER_LIMIT // timedelta(milliseconds=1)}</operation_timeout_ms>
    <sessions_path>/clickhouse/sessions/{shard}_{replica}</sessions_path>
  </zookeeper>
  {remote_servers}"""


def _server(
    directory: Path, *, library: Path, http_port: int, native_port: int, users_xml: str, surroundings: str
) -> ClusterServer:
    identity = secrets.token_hex(16)
    data = directory / "data"
    config = write_configuration(
        directory,
        listen_hosts=(HOST, INTERSERVER_HOST),
        http_port=http_port,
        native_port=native_port,
        identity=identity,
        users_xml=users_xml,
        data=data,
        surroundings=surroundings,
    )
    command = [
        *(sys.executable, "-P", "-m", "dags.tests.clickhouse_interserver"),
        *(str(library), str(data), str(config), str(http_port)),
    ]
    address = ServerAddress(HOST, http_port)
    return ClusterServer(command, directory, address=address, native_port=native_port, identity=identity)


def _keeper(directory: Path, port: int) -> ClusterProcess:
    """ZooKeeper, in little memory, not waiting for the disk: what it holds survives its death, not the machine's."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "zoo.cfg"
    config.write_text(
        f"dataDir={directory}/data\n"
        f"clientPort={port}\n"
        f"clientPortAddress={HOST}\n"
        f"tickTime={TICK // timedelta(milliseconds=1)}\n"
        "admin.enableServer=false\n"
        "4lw.commands.whitelist=conf\n"
    )
    command = [
        *("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.forceSync=no"),
        *("-cp", os.pathsep.join(map(str, JARS)), "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config)),
    ]
    own = f"dataDir={directory}/data/".encode()

    def answers() -> bool:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(b"conf")
            with connection.makefile("rb") as answer:
                return own in answer.read()
        return False

    return ClusterProcess(f"ZooKeeper on port {port}", command, directory / "server.log", answers)
