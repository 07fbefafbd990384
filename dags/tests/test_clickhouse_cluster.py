"""What tests lean on when they ask for a cluster: it replicates, its processes fail as told, and it goes with them."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import clickhouse_connect
import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.clickhouse.failures import Remedy, remedy
from dags.tests.clickhouse_cluster import ANSWER_LIMIT, SESSION_LIMIT, cluster_obstacle, running_cluster
from dags.tests.clickhouse_server import LIBRARIES, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from dags.tests.clickhouse_cluster import Cluster, ClusterProcess, ClusterServer

pytestmark = pytest.mark.cluster

PROJECT = Path(__file__).resolve().parents[2]
can_start = pytest.mark.skipif(cluster_obstacle() is not None, reason=str(cluster_obstacle()))

# What a busy machine may take for what takes tenths of a second here.
LIMIT = timedelta(seconds=60)
RACES = 20

_DATABASES = count(1)


def connected(server: ClusterServer, database: str = "default") -> closing[Client]:
    return closing(clickhouse_connect.get_client(dsn=server.address.dsn(database)))


@pytest.fixture
def database(cluster: Cluster) -> Iterator[str]:
    """A database on both replicas under a name that no other test has, with a replicated table `t` of a number."""
    name = f"test_{next(_DATABASES)}"
    for server in cluster.servers[0]:
        with connected(server) as client:
            client.command(f"CREATE DATABASE {name}")
            client.command(f"CREATE TABLE {name}.t (a UInt64) ENGINE = ReplicatedMergeTree ORDER BY a")
    yield name
    for server in cluster.servers[0]:
        with connected(server) as client:
            client.command(f"DROP DATABASE {name} SYNC")


@pytest.fixture
def replicas(cluster: Cluster, database: str) -> Iterator[tuple[Client, Client]]:
    with ExitStack() as clients:
        first, second = (clients.enter_context(connected(server, database)) for server in cluster.servers[0])
        yield first, second


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT.total_seconds()
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT}"
        time.sleep(0.05)


def until_it_is_written_to(client: Client) -> None:
    """A replica that was away is read-only until it has found its place in the keeper again."""
    until(lambda: client.command("SELECT is_readonly FROM system.replicas WHERE table = 't'") == 0)


def has_been_written_to_both(client: Client, number: int) -> bool:
    """Whoever writes with a quorum right after the keeper was away may be the first to learn that a session is over."""
    try:
        client.command(f"INSERT INTO t VALUES ({number})", settings={"insert_quorum": 2})
    except DatabaseError as error:
        if remedy(error) is Remedy.RETRY:
            return False
        raise
    return True


def numbers(client: Client) -> list[int]:
    return [a for (a,) in client.query("SELECT a FROM t ORDER BY a").result_rows]


@contextmanager
def paused(process: ClusterProcess) -> Iterator[None]:
    process.pause()
    try:
        yield
    finally:
        process.resume()


# --- A cluster --------------------------------------------------------------------------------------------


def test_all_replicas_of_a_shard_are_one_dsn(cluster: Cluster) -> None:
    first, second = (server.address.http_port for server in cluster.servers[0])
    hosts = f"127.0.0.1:{first},127.0.0.1:{second}"
    assert cluster.dsn() == f"clickhouse://default@{hosts}/web_analytics?cluster={cluster.name}"
    assert cluster.dsn("other") == f"clickhouse://default@{hosts}/other?cluster={cluster.name}"


def test_a_row_inserted_on_one_replica_is_read_on_the_other(replicas: tuple[Client, Client]) -> None:
    first, second = replicas
    first.command("INSERT INTO t VALUES (1)")
    second.command("SYSTEM SYNC REPLICA t")
    assert numbers(second) == [1]

    # Whoever waits for both copies need not ask the other.
    second.command("INSERT INTO t VALUES (2)", settings={"insert_quorum": 2})
    assert numbers(first) == [1, 2]


def test_of_two_who_insert_one_key_on_two_servers_one_wins(database: str, replicas: tuple[Client, Client]) -> None:
    for replica in replicas:
        replica.command(
            f"CREATE TABLE lease (key UInt64, holder UInt64) ENGINE = KeeperMap('/{database}') PRIMARY KEY key"
        )
    start = Barrier(2)

    def claim(key: int, holder: int) -> str | None:
        start.wait()
        try:
            replicas[holder].command(
                f"INSERT INTO lease VALUES ({key}, {holder})", settings={"keeper_map_strict_mode": 1}
            )
        except DatabaseError as error:
            return str(error)
        return None

    winners = []
    with ThreadPoolExecutor(2) as threads:
        for key in range(RACES):
            refusals = list(threads.map(claim, (key, key), (0, 1)))
            [refusal] = filter(None, refusals)
            assert "Node exists" in refusal
            winners.append((key, refusals.index(None)))
    for replica in replicas:
        assert replica.query("SELECT key, holder FROM lease ORDER BY key").result_rows == winners


def test_a_killed_replica_comes_back_with_its_rows_and_gets_those_that_it_missed(
    cluster: Cluster, database: str, replicas: tuple[Client, Client]
) -> None:
    first, second = replicas
    second.command("INSERT INTO t VALUES (1)", settings={"insert_quorum": 2})
    victim = cluster.servers[0][1]
    victim.kill()
    try:
        assert [server.is_alive for server in cluster.servers[0]] == [True, False]
        first.command("INSERT INTO t VALUES (2)")
    finally:
        victim.start()
    assert [server.is_alive for server in cluster.servers[0]] == [True, True]
    with connected(victim, database) as again:
        until_it_is_written_to(again)
        again.command("SYSTEM SYNC REPLICA t")
        assert numbers(again) == [1, 2]
        again.command("INSERT INTO t VALUES (3)", settings={"insert_quorum": 2})
    assert numbers(first) == [1, 2, 3]


def test_a_restarted_server_writes_its_query_log_again(cluster: Cluster, database: str) -> None:
    server = cluster.servers[0][0]
    server.kill()
    server.start()
    with connected(server, database) as client:
        client.command("SELECT 1", settings={"log_comment": database})
        asked = f"SELECT count() FROM system.query_log WHERE log_comment = '{database}' AND type = 'QueryFinish'"
        until(lambda: client.command("EXISTS system.query_log") and client.command(asked))


def test_a_paused_keeper_keeps_nobody_from_reading_and_everybody_from_writing(
    cluster: Cluster, replicas: tuple[Client, Client]
) -> None:
    first, second = replicas
    first.command("INSERT INTO t VALUES (1)", settings={"insert_quorum": 2})
    with paused(cluster.keeper):
        assert cluster.keeper.is_alive
        began = time.monotonic()
        with pytest.raises(DatabaseError, match=r"KEEPER_EXCEPTION|TABLE_IS_READ_ONLY"):
            first.command("INSERT INTO t VALUES (2)", settings={"insert_keeper_max_retries": 0})
        assert time.monotonic() - began < (ANSWER_LIMIT + SESSION_LIMIT + LIMIT).total_seconds()
        assert (numbers(first), numbers(second)) == ([1], [1])
    until(lambda: has_been_written_to_both(first, 3))
    assert {1, 3} <= set(numbers(second))


def test_a_killed_keeper_comes_back_with_what_it_held(
    cluster: Cluster, database: str, replicas: tuple[Client, Client]
) -> None:
    first, _ = replicas
    first.command(f"CREATE TABLE kept (key UInt64, v UInt64) ENGINE = KeeperMap('/{database}') PRIMARY KEY key")
    first.command("INSERT INTO kept VALUES (1, 7)")
    cluster.keeper.kill()
    cluster.keeper.start()
    assert first.query("SELECT key, v FROM kept").result_rows == [(1, 7)]


def test_who_is_not_running_cannot_be_paused(cluster: Cluster) -> None:
    server = cluster.servers[0][1]
    server.kill()
    try:
        with pytest.raises(ServerError, match=r"shard1_replica2 on port \d+ is not running: start it first"):
            server.pause()
    finally:
        server.start()


def test_a_second_cluster_of_two_shards_beside_the_first_keeps_rows_by_shard(cluster: Cluster, tmp_path: Path) -> None:
    with running_cluster(tmp_path, shards=2, replicas=1) as sharded, ExitStack() as clients:
        servers = [clients.enter_context(connected(server)) for [server] in sharded.servers]
        known = "SELECT shard_num, replica_num, port FROM system.clusters WHERE cluster = {name:String} ORDER BY ALL"
        for shard, client in enumerate(servers, start=1):
            assert client.query("SELECT getMacro('shard'), getMacro('replica')").result_rows == [(str(shard), "1")]
            assert client.query(known, parameters={"name": sharded.name}).result_rows == [
                (number, 1, server.native_port) for number, [server] in enumerate(sharded.servers, start=1)
            ]
            client.command("CREATE TABLE t (a UInt64) ENGINE = ReplicatedMergeTree ORDER BY a")
            client.command(f"CREATE TABLE every AS t ENGINE = Distributed({sharded.name}, default, t, a)")
        servers[0].command("INSERT INTO every SELECT number FROM numbers(10)", settings={"insert_distributed_sync": 1})
        assert [numbers(client) for client in servers] == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]
        assert [client.command("SELECT sum(a) FROM every") for client in servers] == [45, 45]
    with connected(cluster.servers[0][0]) as client:
        assert client.command("SELECT 1") == 1


# --- Its end ----------------------------------------------------------------------------------------------


@can_start
def test_a_cluster_leaves_no_process_at_its_end_not_even_paused_ones(tmp_path: Path) -> None:
    with running_cluster(tmp_path) as cluster:
        pids = [pid for process in cluster.processes for pid in process.pids]
        # The keeper and two servers, each with its supervisor.
        assert len(pids) == 6
        cluster.keeper.pause()
        cluster.servers[0][1].pause()
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert [process.is_alive for process in cluster.processes] == [False, False, False]


WHO_IS_KILLED = """
import sys, time
from pathlib import Path
from dags.tests.clickhouse_cluster import running_cluster

with running_cluster(Path(sys.argv[1])) as cluster:
    cluster.keeper.pause()
    print(*(pid for process in cluster.processes for pid in process.pids), flush=True)
    time.sleep(3600)
"""


@can_start
def test_a_cluster_whose_user_is_killed_is_gone_soon(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WHO_IS_KILLED, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        family = [psutil.Process(int(pid)) for pid in user.stdout.readline().split()]
        assert len(family) == 6
        user.kill()
    _, alive = psutil.wait_procs(family, LIMIT.total_seconds())
    assert alive == []


# --- A cluster that cannot be -----------------------------------------------------------------------------


def test_where_java_is_missing_the_obstacle_says_so_and_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("dags.tests.clickhouse_cluster.JARS", (tmp_path / "zookeeper.jar",))
    obstacle = cluster_obstacle()
    assert obstacle is not None
    assert "no `java` on PATH" in obstacle
    assert f"no {tmp_path}/zookeeper.jar" in obstacle
    assert "apt-get install --no-install-recommends zookeeper" in obstacle
    with pytest.raises(ServerError, match="no `java` on PATH"), running_cluster(tmp_path):
        pass


@can_start
def test_users_that_the_server_cannot_read_are_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerError, match=r"shard1_replica1 on port \d+ ended before it answered(?s:.*)SAXParse"),
        running_cluster(tmp_path, users_xml="<no"),
    ):
        pass


WHO_REFUSES = """
import ctypes, sys, threading
from dags.tests import clickhouse_interserver as interserver

{before}
interserver.let_replicate(ctypes.CDLL(sys.argv[1]), 8123)
"""


@can_start
@pytest.mark.parametrize(
    ("before", "said"),
    [
        (
            "interserver.PLACES = (interserver.Place('the build id', 0x2B8, bytes(20)),)",
            "is not the build whose addresses are known: at the build id (0x2b8) is d3d8f551",
        ),
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "has a second thread already"),
    ],
    ids=["another build", "a second thread"],
)
def test_code_is_changed_in_no_build_but_the_known_one_and_under_no_thread(before: str, said: str) -> None:
    [library] = LIBRARIES.values()
    refused = subprocess.run(
        [sys.executable, "-c", WHO_REFUSES.format(before=before), str(library.path())],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert said in refused.stderr
