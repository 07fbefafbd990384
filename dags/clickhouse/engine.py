"""Opens ClickHouse, embedded or a server, as the same client type; holds the embedded one safely.

The embedded engine belongs to one process at a time, and each open in a process leaks some descriptors, threads and
memory. So a process that opens it keeps it until it ends, under a file lock that tells the others who holds it. A
process that lives for days, the code server, never opens it: it gives its work to a child, see `dags.clickhouse.child`.

Imports neither Dagster nor a feature, so that the child starts quickly.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import logging
import os
import sys
import threading
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from clickhouse_connect.driver.exceptions import ClickHouseError
from filelock import FileLock
from filelock import Timeout as LockedError

from dags.clickhouse.pinned import LOOKED_AT, PINS, Setting, pinned, reset
from dags.clickhouse.refusals import no_replica, refusal
from dags.clickhouse.replicas.store import place_of, settle
from dags.clickhouse.rights import naming_what_lacks
from dags.clickhouse.server import AMONG_REPLICAS_SECONDS, ServerClient
from dags.clickhouse.sql import Sql
from dags.domain.errors import EngineBusyError, EngineError, NoDatabaseError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

# A build may work for minutes before the first byte of its answer; an hour of silence is a server that hangs.
ANSWER_SECONDS = 3600

# The same for who only looks: each statement of a detection is over in a third of it, by its own limit.
LOOK_SECONDS = 120

# Who waits for the embedded engine for longer says so.
A_MOMENT_SECONDS = 2.0

# Its one line of each failed request says nothing that the error does not, and would stand before our answer.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

_held: dict[str, tuple[FileLock, Client]] = {}
_held_guard = threading.Lock()


@contextlib.contextmanager
def open_client(
    dsn: Dsn,
    *,
    wait_seconds: float,
    answer_seconds: float = ANSWER_SECONDS,
    create_database: bool = False,
    who: str = "",
) -> Iterator[Client]:
    """A client of the DSN's database, closed in the end.

    ``wait_seconds`` is how long to wait for the embedded engine while another process holds it; ``who`` tells the
    others what for, and marks each query on a server (``log_comment``). ``answer_seconds`` is how long a server may
    be silent.

    Raises:
        EngineError: held by another process, unreachable, refused, or without that database.
    """
    if dsn.is_embedded:
        _hold(dsn, wait_seconds, who)
    if dsn.later:
        raise EngineError(f"{dsn} names {len(dsn.shards)} shards, and a client is of one: name the shard that is meant")
    ready = partial(_ready, answer_seconds=answer_seconds, who=who, create_database=create_database)
    client: Client = _ready_replica(dsn, cast("Callable[[Dsn], ServerClient]", ready)) if dsn.cluster else ready(dsn)
    try:
        yield client
    finally:
        if (place := place_of(client)) is not None:
            place.close()
        client.close()


def _ready(dsn: Dsn, *, answer_seconds: float, who: str, create_database: bool) -> Client:
    client = _connect(dsn, answer_seconds, who)
    try:
        with naming_what_lacks():
            if create_database:
                client.command(f"CREATE DATABASE IF NOT EXISTS {dsn.database}")
            _use_database(client, dsn)
    except BaseException:
        client.close()
        raise
    return client


def _ready_replica(dsn: Dsn, ready: Callable[[Dsn], ServerClient]) -> Client:
    """A client of the first replica that answers, is what was declared, and has all that the others have.

    Raises:
        UnreadableError: none does, and one that answers cannot be relied on.
        EngineError: none answers.
    """
    refused: dict[Dsn, EngineError] = {}
    new: ServerClient | None = None
    for one in dsn.replicas:
        client = None
        try:
            client = ready(one)
            has_schema = settle(client, dsn, one, ready)
        except (EngineError, ClickHouseError) as error:
            if client is not None:
                client.close()
            refused[one] = error if isinstance(error, EngineError) else refusal(one, error)
            continue
        if has_schema:
            if new is not None:
                new.close()
            return client
        if new is None:  # what it lacks, another one may have
            new = client
        else:
            client.close()
    if new is not None:
        return new
    raise no_replica(dsn, refused)


def leave() -> NoReturn:
    """End this process, its engine closed and all said: to take Python and the library apart as well is 0.04 s more."""
    for path in list(_held):
        _let_go(path)
    sys.stderr.flush()
    os._exit(0)


def is_held(dsn: Dsn) -> bool:
    """Whether this process has the embedded engine."""
    return os.path.realpath(dsn.path) in _held


def _hold(dsn: Dsn, wait_seconds: float, who: str) -> None:
    """Make this process the holder of the embedded engine, until it ends."""
    path = os.path.realpath(dsn.path)
    with _held_guard:
        if path in _held:
            return
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(
                f"the embedded engine needs the directory {path}, which cannot be made ({error.strerror}): "
                "let CLICKHOUSE_DSN name one that this user may write, chdb:///directory"
            ) from None
        lock = FileLock(f"{path}.lock")
        holder = Path(f"{path}.holder")
        try:
            _acquire(lock, holder, wait_seconds)
        except LockedError:
            raise EngineBusyError(
                f"the embedded engine in {path} is in use by {_holder_in_words(holder)}; waited {wait_seconds:.0f} s. "
                "It serves one process at a time: wait for that one (a run waits WEB_ANALYTICS_ENGINE_WAIT_SECONDS, a "
                "tick less), or let CLICKHOUSE_DSN name a ClickHouse server"
            ) from None
        try:
            keeper = _embedded(dsn)  # which is asked nothing
        except ClickHouseError as error:
            lock.release()
            raise refusal(dsn, error) from None
        holder.write_text(
            json.dumps({"pid": os.getpid(), "who": who, "since": time.strftime("%H:%M:%S UTC", time.gmtime())})
        )
        _held[path] = (lock, keeper)
        atexit.register(_let_go, path)


def _acquire(lock: FileLock, holder: Path, wait_seconds: float) -> None:
    """Take the lock; who waits for it for longer than a moment says so, for a person may look on."""
    try:
        lock.acquire(timeout=min(A_MOMENT_SECONDS, wait_seconds), poll_interval=0.1)
    except LockedError:
        if wait_seconds <= A_MOMENT_SECONDS:
            raise
        words = f"waiting for the embedded engine, in use by {_holder_in_words(holder)}; {wait_seconds:.0f} s at most"
        print(words, file=sys.stderr, flush=True)
        lock.acquire(timeout=wait_seconds - A_MOMENT_SECONDS, poll_interval=0.1)


def _let_go(path: str) -> None:
    lock, keeper = _held.pop(path)
    keeper.close()
    lock.release()


def _holder_in_words(holder: Path) -> str:
    try:
        facts = json.loads(holder.read_text())
    except (OSError, ValueError):
        return "another process"
    return f"process {facts['pid']} ({facts['who'] or 'unnamed'}, since {facts['since']})"


def _connect(dsn: Dsn, answer_seconds: float, who: str) -> Client:
    """A client whose every statement carries our pins; see `dags.clickhouse.pinned`."""
    client = None
    try:
        client = _embedded(dsn) if dsn.is_embedded else _server(dsn, answer_seconds, who)
        _pin(client, dsn)
    except (ClickHouseError, EngineError) as error:
        if client is not None:
            client.close()
        raise refusal(dsn, error) if isinstance(error, ClickHouseError) else error from None
    return client


def map_library(dsn: Dsn) -> None:
    """Have the system map the embedded engine's library, half a gigabyte, while this process reads on: an import of it
    holds all of Python's threads meanwhile, for a third of what it takes.

    The flags are those that the engine loads it with. Where the library is elsewhere the import does it all.
    """
    spec = find_spec("chdb") if dsn.is_embedded else None
    for directory in (spec.submodule_search_locations or ()) if spec is not None else ():
        flags = sys.getdlopenflags() | getattr(os, "RTLD_DEEPBIND", 0)
        arguments = os.fsencode(f"{directory}/_chdb.abi3.so"), flags
        mapping = threading.Thread(target=ctypes.CDLL(None).dlopen, args=arguments)
        with contextlib.suppress(RuntimeError):  # no thread can be had
            mapping.start()
            os.register_at_fork(before=mapping.join)  # a child would have half of the library


def begin_loading(dsn: Dsn) -> None:
    """Load the embedded engine beside whatever else this process does before it opens one: that is 0.1 s, of which
    Dagster waits as long for the logs of a step.
    """
    if dsn.is_embedded:
        threading.Thread(target=import_module, args=("dags.clickhouse.embedded",)).start()


def _embedded(dsn: Dsn) -> Client:
    from dags.clickhouse.embedded import EmbeddedClient  # noqa: PLC0415 -- the engine is 0.2 s that a server saves

    return EmbeddedClient(dsn.path)


def _server(dsn: Dsn, answer_seconds: float, who: str) -> Client:
    return ServerClient(
        who=who,
        answer_seconds=answer_seconds,
        is_patient=answer_seconds >= ANSWER_SECONDS,
        first_answer_seconds=AMONG_REPLICAS_SECONDS if dsn.cluster else None,
        interface="https" if dsn.scheme == "clickhouses" else "http",
        host=dsn.host,
        port=dsn.port,
        username=dsn.user,
        password=dsn.password,
    )


def _pin(client: Client, dsn: Dsn) -> None:
    """Set what decides an answer: first our pins, then, under these, what else differs from ClickHouse's defaults."""
    settings = client.server_settings.values()
    known = (Setting(s.name, s.value, bool(s.readonly)) for s in settings if s.name in LOOKED_AT)
    chosen, problems = pinned(known)
    _set(client, dsn, chosen, problems)
    rows = Sql("dags.clickhouse", client).rows("settings_unlike_defaults", {"named": sorted(PINS)})
    found = [Setting(name, value, bool(fixed), default) for name, value, fixed, default in rows]
    # The driver asks without knowing how many rows are to come: what it did not see is pinned now.
    unseen, problems = pinned(one for one in found if one.name in PINS.keys() - chosen.keys())
    _set(client, dsn, unseen, problems)
    _set(client, dsn, *reset(one for one in found if one.value != one.default))


def _set(client: Client, dsn: Dsn, chosen: Mapping[str, str], problems: Sequence[str]) -> None:
    if problems:
        raise UnreadableError(
            f"settings of {dsn.user or 'the user'} at {dsn} may change or cut short what is read, so nothing is known "
            "from there. Take them out of the user's profile, or let the user change them:\n" + "\n".join(problems)
        )
    if dsn.is_embedded and chosen:
        # In its session, all at once: the driver would run a statement for each.
        quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in chosen.items()}
        client.command("SET " + ", ".join(f"{name} = '{value}'" for name, value in quoted.items()))
        return
    for name, value in chosen.items():
        client.set_client_setting(name, value)


def _use_database(client: Client, dsn: Dsn) -> None:
    """Make the DSN's database the client's own, once it is known to exist: the driver would not ask before."""
    if str(client.command("EXISTS DATABASE " + dsn.database)) != "1":
        raise NoDatabaseError(
            f"the database {dsn.database!r} does not exist at {dsn}: correct CLICKHOUSE_DSN, "
            "or create it with apply_schema_job"
        )
    if dsn.is_embedded:
        client.command(f"USE {dsn.database}")
    client.database = dsn.database
