"""What tests lean on when they ask for a real server: it is theirs, it answers, and it goes when they go."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import clickhouse_connect
import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.tests.clickhouse_server import (
    DOCKER_IMAGE,
    PASSWORD,
    SERVER_DSN_VARIABLE,
    USER_WITH_PASSWORD,
    Library,
    ServerAddress,
    ServerError,
    fetched_library,
    named_server,
    require_or_skip_reason,
    running_server,
    server_for_tests,
    ways,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]

# What a machine may take to see that a process is gone and to end another; 0.3 s here.
GONE_LIMIT = timedelta(seconds=30)

can_start = [way.name for way in ways() if way.is_available]
needs_a_server = pytest.mark.skipif(
    not can_start,
    reason=f"no server can be started here: {'; '.join(f'{w.name}: {w.obstacle}' for w in ways())}",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    with running_server(tmp_path_factory.mktemp("server")) as address:
        yield address


def connected(dsn: str) -> closing[Client]:
    return closing(clickhouse_connect.get_client(dsn=dsn))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_nothing_listens(port: int) -> None:
    deadline = time.monotonic() + GONE_LIMIT.total_seconds()
    while listens(port):
        assert time.monotonic() < deadline, f"something still listens on port {port}"
        time.sleep(0.05)


# --- A server ---------------------------------------------------------------------------------------------


@needs_a_server
def test_a_started_server_answers_a_query(server: ServerAddress) -> None:
    with connected(server.dsn()) as client:
        assert client.query("SELECT 1, currentUser()").result_rows == [(1, "default")]


@needs_a_server
def test_the_user_with_a_password_is_let_in_with_it_and_refused_without(server: ServerAddress) -> None:
    with connected(server.dsn(user=USER_WITH_PASSWORD, password=PASSWORD)) as client:
        assert client.command("SELECT currentUser()") == USER_WITH_PASSWORD

    for password in ("wrong", None):
        with pytest.raises(DatabaseError, match="Authentication failed"):
            clickhouse_connect.get_client(dsn=server.dsn(user=USER_WITH_PASSWORD, password=password))


@needs_a_server
def test_a_query_is_in_the_query_log_soon_after_it_ran(server: ServerAddress) -> None:
    mark = f"mark-{os.getpid()}"
    with connected(server.dsn()) as client:
        client.command("SELECT 1", settings={"log_comment": mark})
        found: Sequence[Sequence[object]] = []
        deadline = time.monotonic() + 10
        while not found and time.monotonic() < deadline:
            time.sleep(0.1)
            if client.command("EXISTS TABLE system.query_log"):
                found = client.query(
                    "SELECT query, type FROM system.query_log "
                    "WHERE log_comment = {mark:String} AND type = 'QueryFinish'",
                    parameters={"mark": mark},
                ).result_rows
    assert found == [("SELECT 1", "QueryFinish")]


@needs_a_server
def test_a_server_by_itself_has_a_keeper_that_gives_a_key_once(server: ServerAddress) -> None:
    with connected(server.dsn()) as client:
        assert client.query("SELECT getMacro('shard'), getMacro('replica')").result_rows == [("1", "1")]
        client.command("CREATE TABLE lease (key UInt64, holder UInt64) ENGINE = KeeperMap('/lease') PRIMARY KEY key")
        once = {"keeper_map_strict_mode": 1}
        client.command("INSERT INTO lease VALUES (1, 7)", settings=once)
        with pytest.raises(DatabaseError, match="Node exists"):
            client.command("INSERT INTO lease VALUES (1, 8)", settings=once)
        assert client.query("SELECT key, holder FROM lease").result_rows == [(1, 7)]


@needs_a_server
@pytest.mark.skipif(can_start == ["docker"], reason="a container keeps its data to itself")
def test_a_later_server_in_the_same_directory_writes_its_query_log_too(tmp_path: Path) -> None:
    for mark in ("earlier", "later"):
        with running_server(tmp_path) as address, connected(address.dsn()) as client:
            client.command("SELECT 1", settings={"log_comment": mark})
            client.command("SYSTEM FLUSH LOGS")
            asked = "SELECT DISTINCT log_comment FROM system.query_log WHERE log_comment = {mark:String}"
            assert client.command(asked, parameters={"mark": mark}) == mark


@needs_a_server
def test_a_server_is_gone_after_its_context(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    with running_server(tmp_path) as address:
        assert listens(address.http_port)
        processes = set(psutil.Process().children(recursive=True)) - before
        assert processes

    assert not listens(address.http_port)
    assert [process for process in processes if process.is_running()] == []


@needs_a_server
@pytest.mark.skipif(can_start == ["docker"], reason="a container keeps its data to itself")
def test_a_later_server_in_the_same_directory_has_the_data_of_the_earlier_one(tmp_path: Path) -> None:
    with running_server(tmp_path) as address, connected(address.dsn()) as client:
        client.command("CREATE DATABASE kept")
        client.command("CREATE TABLE kept.t (a UInt8) ENGINE = MergeTree ORDER BY a")
        client.command("INSERT INTO kept.t VALUES (7)")

    with running_server(tmp_path, http_port=address.http_port) as again:
        assert again == address
        with connected(again.dsn("kept")) as client:
            assert client.query("SELECT a FROM t").result_rows == [(7,)]


@needs_a_server
def test_the_caller_may_bring_users(tmp_path: Path) -> None:
    users = """<clickhouse>
      <profiles><default/><reader><readonly>1</readonly></reader></profiles>
      <quotas><default/></quotas>
      <users>
        <default><password/><profile>default</profile><quota>default</quota></default>
        <reader><password>a</password><profile>reader</profile><quota>default</quota></reader>
      </users>
    </clickhouse>"""
    with (
        running_server(tmp_path, users) as address,
        connected(address.dsn(user="reader", password="a")) as client,
        pytest.raises(DatabaseError, match="readonly"),
    ):
        client.command("CREATE DATABASE d")


# --- A server that cannot be ------------------------------------------------------------------------------


@needs_a_server
def test_a_server_that_does_not_start_is_an_error_with_what_its_log_said(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerError, match="ended before it answered") as error,
        running_server(tmp_path, "<no"),
    ):
        pass
    assert "SAXParseException" in str(error.value)


@needs_a_server
def test_a_port_that_another_server_holds_is_an_error_and_never_that_server(
    tmp_path: Path, server: ServerAddress
) -> None:
    with (
        pytest.raises(ServerError, match=f"port {server.http_port}, which is taken"),
        running_server(tmp_path, http_port=server.http_port),
    ):
        pass


@needs_a_server
def test_a_server_that_dies_while_in_use_is_an_error_at_the_end(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with (  # noqa: PT012 - the error belongs to the end of the context
        pytest.raises(ServerError, match="ended by itself while in use"),
        running_server(tmp_path) as address,
    ):
        (supervisor,) = set(psutil.Process().children()) - before
        for engine in supervisor.children():
            engine.kill()
        supervisor.wait(GONE_LIMIT.total_seconds())
        wait_until_nothing_listens(address.http_port)


# --- In the foreground, and a parent that dies ------------------------------------------------------------


def foreground(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dags.tests.clickhouse_server", "--path", str(directory)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )


@needs_a_server
@pytest.mark.parametrize(
    ("number", "returned"),
    [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["terminated", "interrupted", "killed"],
)
def test_a_server_in_the_foreground_is_gone_when_its_parent_is(
    tmp_path: Path, number: signal.Signals, returned: int
) -> None:
    with foreground(tmp_path) as parent:
        assert parent.stdout is not None
        dsn = parent.stdout.readline().strip()
        with connected(dsn) as client:
            assert client.command("SELECT 1") == 1
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(number)
        assert parent.wait(GONE_LIMIT.total_seconds()) == returned
    wait_until_nothing_listens(int(dsn.rsplit(":", 1)[1].split("/")[0]))
    _, alive = psutil.wait_procs(family, GONE_LIMIT.total_seconds())
    assert alive == []


@needs_a_server
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process together with its parent")
@pytest.mark.skipif(can_start[:1] == ["docker"], reason="a container is no child of its supervisor")
def test_a_killed_supervisor_takes_the_engine_with_it(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(ServerError, match="ended by itself"), running_server(tmp_path) as address:  # noqa: PT012
        (supervisor,) = set(psutil.Process().children()) - before
        supervisor.kill()
        wait_until_nothing_listens(address.http_port)


# --- The ways ---------------------------------------------------------------------------------------------


def executable(directory: Path, name: str, script: str) -> None:
    """Put a command of that name into `directory`, as a Python script."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(script)}")
    path.chmod(0o755)


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on PATH and nothing in the cache; returns the directory that is its PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(SERVER_DSN_VARIABLE, raising=False)
    return path


@pytest.mark.usefixtures("bare_machine")
def test_on_a_bare_machine_there_is_no_way_and_the_reason_to_skip_names_every_obstacle() -> None:
    assert [(way.name, way.is_available) for way in ways()] == [
        ("binary", False),
        ("npm", False),
        ("docker", False),
    ]
    reason = require_or_skip_reason()
    assert reason is not None
    assert "no `clickhouse` on PATH" in reason
    assert "no `docker` on PATH" in reason
    assert SERVER_DSN_VARIABLE in reason


@pytest.mark.usefixtures("bare_machine")
def test_asking_for_a_server_where_there_is_no_way_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no `clickhouse` on PATH"), running_server(tmp_path):
        pass


@pytest.mark.parametrize(
    ("version", "obstacle"),
    [
        ("ClickHouse server version 26.7.2.1 (official build).", None),
        ("ClickHouse server version 27.1.1.1.", None),
        ("ClickHouse server version 25.12.1.1.", "is version 25.12, older than 26.7"),
        ("no such applet", "tells no version"),
    ],
)
def test_a_binary_counts_if_it_is_a_server_and_not_older_than_what_is_tested(
    bare_machine: Path, version: str, obstacle: str | None
) -> None:
    executable(bare_machine, "clickhouse", f"print({version!r})")
    binary = ways()[0]
    assert binary.is_available == (obstacle is None)
    assert (obstacle or "") in (binary.obstacle or "")


def test_docker_without_an_engine_is_no_way(bare_machine: Path) -> None:
    executable(bare_machine, "docker", "print('')")
    assert ways()[2].obstacle == "`docker info` reaches no engine"


# A `docker` that knows the four commands that are used. Its container answers like the server, does not heed
# SIGTERM, and is a file in the directory `containers` until it is removed.
STAND_IN_FOR_DOCKER = """
    import argparse, http.server, pathlib, re, signal, sys

    containers = pathlib.Path(__file__).parent / "containers"
    containers.mkdir(exist_ok=True)
    match sys.argv[1:]:
        case ["info", *_]:
            print("28.0.0")
        case ["image", "inspect", image]:
            sys.exit(1)
        case ["pull", "--quiet", image]:
            (containers.parent / "pulled").write_text(image)
        case ["rm", "--force", "--volumes", name]:
            (containers / name).unlink()
        case ["run", *arguments]:
            parser = argparse.ArgumentParser()
            for option in ("--name", "--publish", "--volume"):
                parser.add_argument(option, required=True)
            parser.add_argument("--rm", action="store_true", required=True)
            parser.add_argument("--env", action="append")
            parser.add_argument("image")
            options = parser.parse_args(arguments)
            (containers / options.name).write_text(options.image)
            config = pathlib.Path(options.volume.split(":")[0]) / "server.xml"
            word = re.search("<http_server_default_response>(.*?)<", config.read_text())[1]

            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write({"/ping": b"Ok.\\n", "/": word.encode()}[self.path])

            host, port, _ = options.publish.split(":")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""


def test_the_container_is_pulled_runs_within_the_context_and_is_removed_after_it(
    bare_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dags.tests.clickhouse_server.STOP_LIMIT", timedelta(seconds=1))
    executable(bare_machine, "docker", STAND_IN_FOR_DOCKER)
    containers = bare_machine / "containers"
    with running_server(tmp_path / "server", way="docker") as address:
        (container,) = containers.iterdir()
        assert container.read_text() == DOCKER_IMAGE == (bare_machine / "pulled").read_text()
        assert listens(address.http_port)
    assert list(containers.iterdir()) == []
    assert not listens(address.http_port)


# --- The library from npm ---------------------------------------------------------------------------------


def packed_library(directory: Path, content: bytes) -> Library:
    """A package as the registry would send it, and the pin that fits it."""
    package = directory / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        member = tarfile.TarInfo("package/libchdb.so")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    return Library("@scope/library", "1.0.0", f"sha512-{digest}")


# An `npm` that "downloads" the package lying beside its directory, slowly, and counts how often.
STAND_IN_FOR_NPM = """
    import pathlib, shutil, sys, time

    home = pathlib.Path(__file__).parent.parent
    with (home / "downloads").open("a") as downloads:
        print(sys.argv[2], file=downloads)
    time.sleep(0.5)
    shutil.copy(home / "package.tgz", sys.argv[sys.argv.index("--pack-destination") + 1])
"""


def test_the_library_is_downloaded_once_also_when_several_ask_at_once(bare_machine: Path, tmp_path: Path) -> None:
    library = packed_library(tmp_path, b"the library")
    executable(bare_machine, "npm", STAND_IN_FOR_NPM)
    # What a killed download left behind does not disturb the next one.
    library.path().with_suffix(".partial").mkdir(parents=True)

    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(fetched_library, [library] * 4))

    assert set(paths) == {library.path()}
    assert library.path().read_bytes() == b"the library"
    assert (tmp_path / "downloads").read_text().splitlines() == ["@scope/library@1.0.0"]
    assert not library.path().with_suffix(".partial").exists()


def test_a_package_other_than_the_pinned_one_is_refused_and_leaves_nothing(bare_machine: Path, tmp_path: Path) -> None:
    pinned = packed_library(tmp_path, b"the library")
    packed_library(tmp_path, b"something else")
    executable(bare_machine, "npm", STAND_IN_FOR_NPM)
    with pytest.raises(ServerError, match="when it was pinned: it is not used"):
        fetched_library(pinned)
    assert [path.suffix for path in pinned.path().parent.iterdir()] == [".lock"]


def test_a_registry_that_does_not_answer_is_an_error_with_what_npm_said(bare_machine: Path) -> None:
    executable(bare_machine, "npm", "import sys; sys.exit('npm error ENOTFOUND registry')")
    with pytest.raises(ServerError, match=r"is the registry reachable\? .*ENOTFOUND"):
        fetched_library(Library("@scope/library", "1.0.0", "sha512-"))


# --- A server that the environment names ------------------------------------------------------------------


@needs_a_server
def test_a_server_that_the_environment_names_is_used_and_left_alone(
    tmp_path: Path, server: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVER_DSN_VARIABLE, server.dsn("any", user=USER_WITH_PASSWORD, password=PASSWORD))
    with server_for_tests(tmp_path) as address:
        assert address == ServerAddress(server.host, server.http_port, USER_WITH_PASSWORD, PASSWORD)
    assert list(tmp_path.iterdir()) == []
    assert listens(server.http_port)


def test_a_named_server_that_does_not_answer_is_an_error_and_no_reason_to_skip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        monkeypatch.setenv(SERVER_DSN_VARIABLE, f"clickhouse://someone:hush@127.0.0.1:{port}/d")
        assert require_or_skip_reason() is None
        with pytest.raises(ServerError, match="does not answer") as error, server_for_tests(tmp_path):
            pass
    assert f"someone@127.0.0.1:{port}" in str(error.value)
    assert "hush" not in str(error.value)


@needs_a_server
def test_a_named_server_that_refuses_its_user_is_an_error_without_the_password(server: ServerAddress) -> None:
    dsn = server.dsn(user=USER_WITH_PASSWORD, password="hush")
    with pytest.raises(ServerError, match=f"answers {http.client.FORBIDDEN}") as error:
        named_server({SERVER_DSN_VARIABLE: dsn})
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("http://u:hush@h:8123/d", "the scheme of this one is 'http'"),
        ("clickhouse://u:hush@h/d", "lacks the host or the port"),
        ("clickhouse://u:hush@:8123/d", "lacks the host or the port"),
        ("clickhouse://u:hush@h:port/d", "cannot be parsed"),
        ("clickhouse://u:a:hush/b@h:8123/d", "cannot be parsed"),
    ],
)
def test_a_dsn_of_another_form_is_an_error_without_the_password(dsn: str, shown: str) -> None:
    with pytest.raises(ServerError, match=shown) as error:
        named_server({SERVER_DSN_VARIABLE: dsn})
    assert "hush" not in str(error.value)


def test_a_dsn_survives_what_a_password_may_hold() -> None:
    address = ServerAddress("h", 1, "u@x", "p:/?#%@ ü")
    assert named_server({}) is None
    dsn = address.dsn("d")
    assert dsn == "clickhouse://u%40x:p%3A%2F%3F%23%25%40%20%C3%BC@h:1/d"
