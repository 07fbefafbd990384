"""A real ClickHouse server for tests and benchmarks, on a machine where nobody installed one.

There are three ways to get one, tried in this order: a `clickhouse` binary on PATH, the engine from npm
(the library that chDB publishes, which is ClickHouse itself: its own HTTP handlers, users, quotas and
`system.query_log`), and Docker. `ways()` tells which of them work here and why the others do not.

A server lives no longer than the process that asked for it. Between the two stands a supervisor that
notices when its parent is gone, however it went, and ends the engine: a test run that is killed leaves
nothing behind.

Only the standard library is imported, since supervisor and engine run this very file as a script.

    python -m dags.tests.clickhouse_server --path DIR [--http-port N] [--way binary|npm|docker]

runs one in the foreground until SIGTERM or SIGINT; the first line it prints is the DSN.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import ctypes
import fcntl
import hashlib
import http.client
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Literal, NoReturn, get_args
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

WayName = Literal["binary", "npm", "docker"]

# Names a server that runs already. It wins over every way of starting one, and has to answer.
SERVER_DSN_VARIABLE = "WEB_ANALYTICS_TEST_SERVER_DSN"

# The user that has a password, so that tests can try a wrong one. `default` has none.
USER_WITH_PASSWORD = "analytics"
PASSWORD = "only-for-tests"

# 26.8 is the long-term release between the two versions that the project is run with all the time (26.7
# from npm, 26.9 embedded), so nothing new is met in it. The tests compare it with the one in
# docker-compose.yml.
DOCKER_IMAGE = "clickhouse/clickhouse-server:26.8.10.6"

# Older binaries are not used: 26.7 is the oldest version that the project is tested with, and a case that
# is red because of an old server says nothing about the code.
OLDEST_BINARY = (26, 7)

# The engine answers 0.4 s after its start on two cores; the rest is for machines that are busy.
START_LIMIT = timedelta(seconds=60)
# What the engine gets between SIGTERM and SIGKILL. A server that merges a large part takes some seconds.
STOP_LIMIT = timedelta(seconds=10)
# What `docker rm --force` gets after that; the container's server has had its time.
REMOVAL_LIMIT = timedelta(seconds=10)
# The package is 178 MB: ten minutes is a slow line, more is a broken one. The same for the image.
DOWNLOAD_LIMIT = timedelta(minutes=10)
# A port is free when it is chosen and may be taken a moment later, by somebody's outgoing connection for one.
PORT_ATTEMPTS = 3
# How often a supervisor looks whether its parent is still there.
PARENT_POLL = timedelta(milliseconds=200)
POLL = timedelta(milliseconds=50)
LOG_TAIL_LINES = 30
# Inside a container nobody else listens: ClickHouse's own defaults.
CONTAINER_HTTP_PORT, CONTAINER_NATIVE_PORT, CONTAINER_KEEPER_PORT, CONTAINER_RAFT_PORT = 8123, 9000, 9181, 9234

# Below it a keeper has what tables of the engine KeeperMap hold.
KEEPER_MAP_PREFIX = "/clickhouse/keeper_map"


class ServerError(Exception):
    """No server could be had: it did not start, did not answer, or could not be fetched."""


class _PortTakenError(ServerError):
    """Somebody else listens where this server was to listen; another port may do."""


@dataclass(frozen=True)
class ServerAddress:
    """Where a server listens for HTTP, and a user that may do everything there."""

    host: str
    http_port: int
    user: str = "default"
    password: str = ""

    def dsn(self, database: str = "default", *, user: str | None = None, password: str | None = None) -> str:
        """The address as a `clickhouse://` DSN, for its own user or for another with the password given.

        Nothing is asked of the server, so the database need not exist and the password need not be right.
        """
        if user is None:
            user, password = self.user, self.password if password is None else password
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"clickhouse://{credentials}@{host}:{self.http_port}/{quote(database, safe='')}"


@dataclass(frozen=True)
class Way:
    """One way to start a server, and what keeps it from working on this machine: None if nothing does."""

    name: WayName
    obstacle: str | None

    @property
    def is_available(self) -> bool:
        return self.obstacle is None


@dataclass(frozen=True)
class Library:
    """The engine as one shared library in an npm package, pinned to the bytes that were tried.

    `integrity` is the SHA-512 of the package as npm writes it, compared here and not left to npm: npm
    compares with what the registry says today, this with what the registry said when the project was
    tested.
    """

    package: str
    version: str
    integrity: str

    def path(self) -> Path:
        """Where the library is once fetched: in the user's cache, under a name that no other pin shares."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        pin = hashlib.sha256(self.integrity.encode()).hexdigest()[:12]
        return Path(cache) / "web-analytics" / f"libchdb-{self.version}-{pin}.so"


# By (system, machine). macOS and ARM have packages of their own under the same version, but nobody has run
# this on them and read their checksums: add a line when somebody has (`npm view <package>@<version>
# dist.integrity`).
LIBRARIES: Mapping[tuple[str, str], Library] = {
    ("Linux", "x86_64"): Library(
        package="@chdb/lib-linux-x64-gnu",
        version="26.7.3-stable.1",
        integrity=("sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=="),
    ),
}


# --- What this machine can do -----------------------------------------------------------------------------


def ways() -> tuple[Way, ...]:
    """Every way to start a server, in the order of preference, with what keeps it from working here.

    Asks the machine and starts nothing. A way that needs a download counts as available if the tool that
    downloads is there: a missing network is then an error when a server is started, not a reason to skip.
    """
    return (
        Way("binary", _obstacle_to_binary()),
        Way("npm", obstacle_to_library()),
        Way("docker", _obstacle_to_docker()),
    )


def require_or_skip_reason() -> str | None:
    """None if tests can have a server here; else why not, in one sentence for the list of skipped tests.

    A server named by the environment counts as there, whether it answers or not: whoever names one wants the
    cases run, and a server that does not answer is a failure.
    """
    if os.environ.get(SERVER_DSN_VARIABLE):
        return None
    found = ways()
    if any(way.is_available for way in found):
        return None
    obstacles = "; ".join(f"{way.name}: {way.obstacle}" for way in found)
    return f"no ClickHouse server can be started here ({obstacles}) and {SERVER_DSN_VARIABLE} names none"


def _obstacle_to_binary() -> str | None:
    binary = shutil.which("clickhouse")
    if binary is None:
        return "no `clickhouse` on PATH"
    try:
        messages = subprocess.run(
            [binary, "server", "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"`{binary} server --version` failed: {error}"
    found = re.search(r"version (\d+)\.(\d+)", messages.stdout)
    if found is None:
        return f"`{binary} server --version` tells no version"
    version = (int(found[1]), int(found[2]))
    if version < OLDEST_BINARY:
        return f"{binary} is version {found[1]}.{found[2]}, older than {'.'.join(map(str, OLDEST_BINARY))}"
    return None


def obstacle_to_library() -> str | None:
    """What keeps the engine from npm from running here; None if nothing does."""
    library = LIBRARIES.get((platform.system(), platform.machine()))
    if library is None:
        return f"no library is pinned for {platform.system()} on {platform.machine()}"
    if platform.libc_ver()[0] != "glibc":
        return "the library needs glibc"
    if not library.path().exists() and shutil.which("npm") is None:
        return "no `npm` on PATH to fetch the library with"
    return None


def _obstacle_to_docker() -> str | None:
    if shutil.which("docker") is None:
        return "no `docker` on PATH"
    try:
        messages = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"`docker info` failed: {error}"
    # Some clients exit with 0 although no engine answered; the version is what only an engine knows.
    if messages.returncode != 0 or not messages.stdout.strip():
        return "`docker info` reaches no engine"
    return None


# --- Servers for tests ------------------------------------------------------------------------------------


@contextmanager
def server_for_tests(directory: Path) -> Iterator[ServerAddress]:
    """The server that the environment names, else one started in `directory` that ends with the context.

    Raises:
        ServerError: the named server is not there or refuses its user, or none could be started.
    """
    named = named_server()
    if named is not None:
        yield named
        return
    with running_server(directory) as address:
        yield address


def named_server(environment: Mapping[str, str] = os.environ) -> ServerAddress | None:
    """The server that the environment names, which has just answered; None if it names none.

    The database of the DSN is not looked at: tests make their own.

    Raises:
        ServerError: the DSN is no `clickhouse://user:password@host:port/database`, nothing answers there,
            or the user is refused. The message never holds the password.
    """
    dsn = environment.get(SERVER_DSN_VARIABLE)
    if not dsn:
        return None
    address = _address(dsn)
    where = f"{SERVER_DSN_VARIABLE} names {address.user}@{address.host}:{address.http_port}"
    try:
        status, body = _get(address, "/?query=SELECT%201", as_user=True)
    except (OSError, http.client.HTTPException) as error:
        raise ServerError(f"{where}, which does not answer ({error}): start that server, or unset it") from error
    if (status, body) != (http.client.OK, b"1\n"):
        shown = body.decode(errors="replace").strip().splitlines()[:1]
        raise ServerError(f"{where}, which answers {status} to SELECT 1 {shown}: give a user that may do everything")
    return address


def _address(dsn: str) -> ServerAddress:
    expected = f"{SERVER_DSN_VARIABLE}: give clickhouse://user:password@host:port/database"
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        # The error's own text may quote the password, so it is left out, also as a cause.
        raise ServerError(f"{expected}; this one cannot be parsed") from None
    if parts.scheme != "clickhouse":
        raise ServerError(f"{expected}; the scheme of this one is '{parts.scheme}'")
    if not parts.hostname or port is None:
        raise ServerError(f"{expected}; this one lacks the host or the port")
    return ServerAddress(parts.hostname, port, unquote(parts.username or "default"), unquote(parts.password or ""))


@contextmanager
def running_server(
    directory: Path,
    users_xml: str | None = None,
    *,
    password: str = PASSWORD,
    http_port: int | None = None,
    way: WayName | None = None,
    start_limit: timedelta = START_LIMIT,
) -> Iterator[ServerAddress]:
    """Start a server on 127.0.0.1, hand out its address once it answers, and end it with the context.

    `directory` is made if need be. It gets the configuration, `server.log`, and the data, which a later
    server in the same directory finds again; only a container keeps its data to itself and loses it.
    `system.query_log` is written twice a second.

    There are two users, `default` without a password and `analytics` with `password`, unless `users_xml`
    brings a whole users configuration (`<clickhouse><profiles>…<users>…`). It must keep a `default` without
    password: the npm engine opens its own session as that user.

    Without `http_port` a free one is chosen. Without `way` the first available one is taken.

    Raises:
        ServerError: no way is available, the download failed, the port is taken, or the server did not
            answer within `start_limit` (the download aside); and at the end of the context, if the server
            ended by itself meanwhile. The message ends with the last lines of the server's log.
    """
    started = _supervised_server(
        directory,
        users_xml=users_xml or users_with(password),
        http_port=http_port,
        way=way,
        start_limit=start_limit,
    )
    with started as server:
        yield server.address
        server.require_alive()


@dataclass(frozen=True)
class _Server:
    address: ServerAddress
    supervisor: subprocess.Popen[bytes]
    log: Path

    @property
    def is_alive(self) -> bool:
        return self.supervisor.poll() is None

    def require_alive(self) -> None:
        if not self.is_alive:
            raise ServerError(f"the ClickHouse server ended by itself while in use\n{log_tail(self.log)}")


@dataclass(frozen=True)
class _Launch:
    """What a supervisor runs, and what it runs afterwards, whatever happened, so that nothing stays."""

    command: list[str]
    cleanup: list[str]


@contextmanager
def _supervised_server(
    directory: Path,
    *,
    users_xml: str,
    http_port: int | None,
    way: WayName | None,
    start_limit: timedelta,
) -> Iterator[_Server]:
    launcher = _LAUNCHERS[_choose(way)]
    directory = directory.resolve()
    if http_port is None:
        server = _start_on_a_free_port(launcher, directory, users_xml, start_limit)
    else:
        server = _start(launcher, directory, users_xml, http_port, start_limit)
    try:
        yield server
    finally:
        _stop(server.supervisor)


def _choose(way: WayName | None) -> WayName:
    found = ways()
    for candidate in found:
        if candidate.is_available and way in (None, candidate.name):
            return candidate.name
    obstacles = "; ".join(f"{candidate.name}: {candidate.obstacle}" for candidate in found if candidate.obstacle)
    raise ServerError(f"no ClickHouse server can be started by way of {way or 'anything'} ({obstacles})")


def _start_on_a_free_port(
    launcher: Callable[[Path, int, str, str], _Launch],
    directory: Path,
    users_xml: str,
    start_limit: timedelta,
) -> _Server:
    for _ in range(PORT_ATTEMPTS - 1):
        with contextlib.suppress(_PortTakenError):
            return _start(launcher, directory, users_xml, _free_port(), start_limit)
    return _start(launcher, directory, users_xml, _free_port(), start_limit)


def _start(
    launcher: Callable[[Path, int, str, str], _Launch],
    directory: Path,
    users_xml: str,
    port: int,
    start_limit: timedelta,
) -> _Server:
    # The server says this word at `/`. A port that was free may belong to another server by now, which would
    # answer /ping just as well, and tests would then write into a stranger's tables.
    identity = secrets.token_hex(16)
    launch = launcher(directory, port, identity, users_xml)
    log = directory / "server.log"
    log.unlink(missing_ok=True)
    supervisor = supervised(launch.command, log, cleanup=launch.cleanup)
    server = _Server(ServerAddress("127.0.0.1", port), supervisor, log)
    try:
        _wait_until_ready(server, identity, start_limit)
    except BaseException:
        _stop(supervisor)
        raise
    return server


def supervised(
    command: list[str],
    log: Path,
    *,
    cleanup: Sequence[str] = (),
    stop_limit: timedelta = STOP_LIMIT,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """Start a command that ends with this process, however it ends; the child that comes back is its supervisor.

    The command runs in the directory of `log`, to which its output is appended, with `environment` beside the one of
    this process. The supervisor ends when the command does; on SIGTERM it ends the command, which has `stop_limit`
    for that, and runs `cleanup`.
    """
    specification = {
        "parent": os.getpid(),
        "command": command,
        "cleanup": list(cleanup),
        "stop_limit_seconds": stop_limit.total_seconds(),
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            [*_THIS_FILE, "supervise", json.dumps(specification)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **environment},
            # A group of its own: Ctrl-C reaches the tests, which then end the server when they no longer
            # need it, and one signal reaches the supervisor together with the engine.
            start_new_session=True,
        )


def _wait_until_ready(server: _Server, identity: str, start_limit: timedelta) -> None:
    deadline = time.monotonic() + start_limit.total_seconds()
    port = server.address.http_port
    while True:
        if answers_as(server.address, identity):
            return
        if not server.is_alive:
            tail = log_tail(server.log)
            if tells_of_a_taken_port(tail):
                raise _PortTakenError(f"the ClickHouse server cannot listen on port {port}, which is taken\n{tail}")
            raise ServerError(f"the ClickHouse server ended before it answered on port {port}\n{tail}")
        if time.monotonic() > deadline:
            raise ServerError(
                f"the ClickHouse server did not answer on port {port} "
                f"within {start_limit.total_seconds():g} s\n{log_tail(server.log)}"
            )
        time.sleep(POLL.total_seconds())


def answers_as(address: ServerAddress, identity: str) -> bool:
    """Whether a server answers there, and is the one that was configured with that word."""
    try:
        return _get(address, "/ping") == (http.client.OK, b"Ok.\n") and _get(address, "/")[1] == identity.encode()
    except (OSError, http.client.HTTPException):
        return False


def _get(address: ServerAddress, path: str, *, as_user: bool = False) -> tuple[int, bytes]:
    """GET without a proxy: `http_proxy` of the environment is not meant for a server next door."""
    connection = http.client.HTTPConnection(address.host, address.http_port, timeout=5)
    headers = {}
    if as_user:
        credentials = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    """End the supervisor, which ends the engine; end both the hard way if it does not."""
    supervisor.terminate()
    try:
        # What the supervisor allows itself, and as much again for a machine that is busy.
        is_clean = supervisor.wait(2 * (STOP_LIMIT + REMOVAL_LIMIT).total_seconds()) == 0
    except subprocess.TimeoutExpired:
        is_clean = False
    if not is_clean:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(supervisor.pid, signal.SIGKILL)
        supervisor.wait()


def tells_of_a_taken_port(said: str) -> bool:
    return re.search(r"address already in use|port is already allocated", said, re.IGNORECASE) is not None


def log_tail(log: Path) -> str:
    # Without stack frames ("17. DB::Foo @ 0x…"): thirty of them push out the line that says what is wrong.
    messages = (line for line in log.read_text(errors="replace").splitlines() if not re.match(r"\d+\. ", line))
    lines = list(messages)[-LOG_TAIL_LINES:]
    return "\n".join([f"the last lines of {log}:", *lines] if lines else [f"{log} is empty"])


def _free_port() -> int:
    [port] = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """As many ports, no two the same, on which nothing listens now."""
    with contextlib.ExitStack() as probes:
        held = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in held:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in held]


# --- Configuration ----------------------------------------------------------------------------------------


def users_with(password: str) -> str:
    """A users configuration: `default` without a password, and `analytics` with this one."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    return f"""<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password/>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </default>
    <{USER_WITH_PASSWORD}>
      <password_sha256_hex>{digest}</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </{USER_WITH_PASSWORD}>
  </users>
</clickhouse>
"""


def write_configuration(
    directory: Path,
    *,
    listen_hosts: Sequence[str] = ("127.0.0.1",),
    http_port: int,
    native_port: int,
    identity: str,
    users_xml: str,
    data: Path,
    surroundings: str,
    users_file: Path | None = None,
    logs_to_console: bool = False,
) -> Path:
    """Write `server.xml` and `users.xml` into `directory/config`; returns the former.

    `surroundings` is XML too: the server's macros, the clusters that it knows, and where its keeper is.

    `data` and `users_file` are as the server sees them, which in a container is not where they are here. The
    directory is readable for all, for the server in a container is another user.
    """
    config = directory / "config"
    config.mkdir(parents=True, exist_ok=True)
    config.chmod(0o755)
    users = config / "users.xml"
    users.write_text(users_xml)
    server = config / "server.xml"
    # As many threads as a server has by default. `clickhouse local`, which serves where there is no other way, has two
    # for each, and lets a mutation wait a tenth of a second for each part of its table.
    server.write_text(
        f"""<clickhouse>
  {"".join(f"<listen_host>{host}</listen_host>" for host in listen_hosts)}
  <http_port>{http_port}</http_port>
  <tcp_port>{native_port}</tcp_port>
  <http_server_default_response>{identity}</http_server_default_response>
  <path>{escape(str(data))}/</path>
  <user_files_path>{escape(str(data))}/user_files/</user_files_path>
  <background_pool_size>16</background_pool_size>
  <background_common_pool_size>8</background_common_pool_size>
  <background_schedule_pool_size>32</background_schedule_pool_size>
  <users_config>{escape(str(users_file or users))}</users_config>
  <query_log>
    <database>system</database>
    <table>query_log</table>
    <flush_interval_milliseconds>500</flush_interval_milliseconds>
  </query_log>
  <keeper_map_path_prefix>{KEEPER_MAP_PREFIX}</keeper_map_path_prefix>
  {surroundings}
  {"<logger><console>true</console><level>warning</level></logger>" if logs_to_console else ""}
</clickhouse>
"""
    )
    for file in (users, server):
        file.chmod(0o644)
    return server


def _alone(native_port: int, keeper: str) -> str:
    """The surroundings of a server that is by itself, with that keeper.

    A cluster `one_shard`, the server itself, lets tests make Distributed tables: by its port the server knows that
    the one shard is itself, and nothing connects to it.
    """
    return f"""<macros><shard>1</shard><replica>1</replica></macros>
  <remote_servers>
    <one_shard><shard><replica><host>127.0.0.1</host><port>{native_port}</port></replica></shard></one_shard>
  </remote_servers>
  {keeper}"""


# A keeper in the memory of the engine, which forgets when the server ends; the library has no other.
_FORGETFUL_KEEPER = "<zookeeper><implementation>testkeeper</implementation></zookeeper>"


def _own_keeper(port: int, raft_port: int, data: Path) -> str:
    """ClickHouse Keeper as a part of the server itself, alone in its quorum."""
    logs, snapshots = (escape(str(data / "coordination" / kind)) for kind in ("log", "snapshots"))
    return f"""<keeper_server>
    <tcp_port>{port}</tcp_port>
    <server_id>1</server_id>
    <log_storage_path>{logs}</log_storage_path>
    <snapshot_storage_path>{snapshots}</snapshot_storage_path>
    <raft_configuration>
      <server><id>1</id><hostname>127.0.0.1</hostname><port>{raft_port}</port></server>
    </raft_configuration>
  </keeper_server>
  <zookeeper><node><host>127.0.0.1</host><port>{port}</port></node></zookeeper>"""


# --- The ways ---------------------------------------------------------------------------------------------


def _launch_binary(directory: Path, port: int, identity: str, users_xml: str) -> _Launch:
    data = directory / "data"
    native_port, keeper_port, raft_port = free_ports(3)
    config = write_configuration(
        directory,
        http_port=port,
        native_port=native_port,
        identity=identity,
        users_xml=users_xml,
        data=data,
        surroundings=_alone(native_port, _own_keeper(keeper_port, raft_port, data)),
        logs_to_console=True,
    )
    return _Launch(["clickhouse", "server", f"--config-file={config}"], cleanup=[])


def _launch_npm(directory: Path, port: int, identity: str, users_xml: str) -> _Launch:
    library = fetched_library(LIBRARIES[platform.system(), platform.machine()])
    data = directory / "data"
    native_port = _free_port()
    # Nothing goes to the console: this engine does not heed the level and logs every step; its errors it prints anyway.
    config = write_configuration(
        directory,
        http_port=port,
        native_port=native_port,
        identity=identity,
        users_xml=users_xml,
        data=data,
        surroundings=_alone(native_port, _FORGETFUL_KEEPER),
    )
    return _Launch([*_THIS_FILE, "engine", str(library), str(data), str(config)], cleanup=[])


def _launch_docker(directory: Path, port: int, identity: str, users_xml: str) -> _Launch:
    if _docker("image", "inspect", DOCKER_IMAGE).returncode != 0:
        pulled = _docker("pull", "--quiet", DOCKER_IMAGE)
        if pulled.returncode != 0:
            raise ServerError(f"`docker pull {DOCKER_IMAGE}` failed: {pulled.stderr.strip()}")
    mounted = Path("/etc/web-analytics")
    data = Path("/var/lib/clickhouse")
    config = write_configuration(
        directory,
        listen_hosts=("0.0.0.0",),  # noqa: S104 - inside; the port is published to 127.0.0.1 of the host only
        http_port=CONTAINER_HTTP_PORT,
        native_port=CONTAINER_NATIVE_PORT,
        identity=identity,
        users_xml=users_xml,
        data=data,
        surroundings=_alone(CONTAINER_NATIVE_PORT, _own_keeper(CONTAINER_KEEPER_PORT, CONTAINER_RAFT_PORT, data)),
        users_file=mounted / "users.xml",
        logs_to_console=True,
    )
    container = f"web-analytics-test-{identity}"
    command = [
        *("docker", "run", "--rm", f"--name={container}"),
        f"--publish=127.0.0.1:{port}:{CONTAINER_HTTP_PORT}",
        f"--volume={config.parent}:{mounted}:ro",
        f"--env=CLICKHOUSE_CONFIG={mounted / config.name}",
        # The image would otherwise let `default` in from inside only; here the users are in a file.
        "--env=CLICKHOUSE_SKIP_USER_SETUP=1",
        DOCKER_IMAGE,
    ]
    return _Launch(command, cleanup=["docker", "rm", "--force", "--volumes", container])


_LAUNCHERS: Mapping[WayName, Callable[[Path, int, str, str], _Launch]] = {
    "binary": _launch_binary,
    "npm": _launch_npm,
    "docker": _launch_docker,
}


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["docker", *arguments],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_LIMIT.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"`docker {' '.join(arguments)}` took longer than {DOWNLOAD_LIMIT}") from error


def fetched_library(library: Library) -> Path:
    """The library's path, after fetching it with npm into the user's cache if it is not there.

    One process fetches while others wait for it, so that a test run in many processes downloads once. What
    stands at the path is always whole and checked: it gets its name last. What a killed download left is
    removed by the next one.

    Raises:
        ServerError: npm failed or took longer than `DOWNLOAD_LIMIT`, the package is not the one that was
            pinned, or another process has been fetching for longer than that.
    """
    path = library.path()
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        _wait_for_lock(lock)
        if not path.exists():
            partial = path.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                _extract(library, _packed(library, partial), partial / path.name)
                (partial / path.name).rename(path)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return path


def _wait_for_lock(lock: IO[str]) -> None:
    deadline = time.monotonic() + DOWNLOAD_LIMIT.total_seconds()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{lock.name} has been held for longer than {DOWNLOAD_LIMIT}: another process fetches "
                    "the library or hangs; look for it, end it, try again"
                ) from None
            time.sleep(POLL.total_seconds())
        else:
            return


def _packed(library: Library, directory: Path) -> Path:
    specification = f"{library.package}@{library.version}"
    command = ["npm", "pack", specification, "--silent", "--pack-destination", str(directory)]
    try:
        subprocess.run(
            command,
            # Away from any project, whose .npmrc might name another registry.
            cwd=directory,
            check=True,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_LIMIT.total_seconds(),
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"`npm pack {specification}` took longer than {DOWNLOAD_LIMIT}: try again") from error
    except subprocess.CalledProcessError as error:
        messages = (error.stderr + error.stdout).strip() or f"exit code {error.returncode}"
        raise ServerError(f"`npm pack {specification}` failed; is the registry reachable? {messages}") from error
    packages = list(directory.glob("*.tgz"))
    if len(packages) != 1:
        raise ServerError(f"`npm pack {specification}` left {len(packages)} packages where one was expected")
    return packages[0]


def _extract(library: Library, package: Path, target: Path) -> None:
    with package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != library.integrity:
        raise ServerError(
            f"{library.package}@{library.version} has the checksum {found}, and not {library.integrity} as "
            "when it was pinned: it is not used"
        )
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/libchdb.so")
        if member is None:
            raise ServerError(f"package/libchdb.so of {library.package}@{library.version} is not a file")
        with member, target.open("wb") as file:
            shutil.copyfileobj(member, file)
            # Else a power cut may leave the name with half of the bytes, and nobody looks at them again.
            os.fsync(file.fileno())


# --- Inside the supervisor and the engine -----------------------------------------------------------------

# `-P`: without it the directory of this file comes first among those that modules are imported from.
_THIS_FILE = (sys.executable, "-P", str(Path(__file__).resolve()))

# The one query that keeps the engine up: a row every three seconds, for nine years.
_STAY = (
    "SELECT sleepEachRow(3) FROM numbers(100000000) FORMAT Null "
    "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 3000000"
)


def _supervise(parent: int, command: list[str], cleanup: list[str], stop_limit_seconds: float) -> int:
    """Run the engine until it ends, a signal comes or the parent is gone; then see that nothing is left.

    The parent is watched by asking who it is: the kernel gives orphans to another one. That holds when the
    parent is killed with -9 and when it starts servers from threads, where a parent-death signal would come
    as soon as the thread ends.

    Returns 0 when all is cleaned up, whatever the engine returned.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    engine = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "CLICKHOUSE_WATCHDOG_ENABLE": "0"},
        # Safe here: a supervisor has one thread.
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
    )
    try:
        while engine.poll() is None and os.getppid() == parent:
            if stopping.wait(PARENT_POLL.total_seconds()):
                break
    finally:
        engine.terminate()
        try:
            engine.wait(stop_limit_seconds)
        except subprocess.TimeoutExpired:
            engine.kill()
            engine.wait()
        if cleanup:
            subprocess.run(cleanup, capture_output=True, timeout=REMOVAL_LIMIT.total_seconds(), check=False)
    return 0


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the supervisor dies, which has no other guard but itself."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def serve_with_library(engine: ctypes.CDLL, data: str, config: str, protocols: Sequence[str] = ("HTTP",)) -> NoReturn:
    """Become the engine: `clickhouse local` of the library, told to listen. Returns only by exiting."""
    # It makes the database `system` anew at each start, and could not make a log where an earlier one's files are.
    shutil.rmtree(Path(data) / "data" / "system", ignore_errors=True)
    engine.chdb_query_cmdline.restype = ctypes.c_void_p
    engine.chdb_result_error.argtypes = [ctypes.c_void_p]
    engine.chdb_result_error.restype = ctypes.c_char_p
    query = "; ".join([*(f"SYSTEM START LISTEN {protocol}" for protocol in protocols), _STAY])
    arguments = ["clickhouse", f"--path={data}", f"--config-file={config}", f"--query={query}"]
    encoded = [os.fsencode(argument) for argument in arguments]
    result = engine.chdb_query_cmdline(len(encoded), (ctypes.c_char_p * len(encoded))(*encoded))
    error = engine.chdb_result_error(result) if result else None
    sys.exit(error.decode(errors="replace") if error else "the engine ended by itself")


# --- The command line -------------------------------------------------------------------------------------


def _serve_in_foreground(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dags.tests.clickhouse_server",
        description="Run a real ClickHouse server in the foreground until SIGTERM or SIGINT.",
        epilog="Ways here: " + ", ".join(f"{way.name} ({way.obstacle or 'available'})" for way in ways()),
    )
    parser.add_argument("--path", type=Path, required=True, help="directory for configuration, log and data")
    parser.add_argument("--http-port", type=int, help="default: a free one")
    parser.add_argument("--way", choices=get_args(WayName), help="default: the first available one")
    options = parser.parse_args(arguments)

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        started = _supervised_server(
            options.path,
            users_xml=users_with(PASSWORD),
            http_port=options.http_port,
            way=options.way,
            start_limit=START_LIMIT,
        )
        with started as server:
            print(server.address.dsn(), flush=True)
            while not stopping.wait(PARENT_POLL.total_seconds()):
                server.require_alive()
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main(arguments: list[str]) -> int:
    """Play one of the three roles of this file: `supervise`, `engine`, or the command line for people."""
    match arguments:
        case ["supervise", specification]:
            return _supervise(**json.loads(specification))
        case ["engine", library, data, config]:
            serve_with_library(ctypes.CDLL(library), data, config)
        case _:
            return _serve_in_foreground(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
