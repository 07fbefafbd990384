"""The engine behind a DSN: every way it can be wrong is said in clear words, and the embedded one is shared safely.

The embedded engine is process-wide and the fixtures hold one in this process, so whatever opens another does it in a
process of its own: through `call`, or with a script.
"""

from __future__ import annotations

import functools
import math
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import create_server
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote

import psutil
import pytest
import urllib3
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from filelock import FileLock

from dags.clickhouse import refusals
from dags.clickhouse.child import call
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.refusals import error_code
from dags.clickhouse.sql import is_embedded
from dags.dagster_runs import resource
from dags.domain.errors import EngineBusyError, EngineError, EngineSlowError, SchemaError
from dags.tests.clickhouse_server import ServerError, running_server
from dags.tests.runbook import symptom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

Answer = TypeVar("Answer")

SECRET = "hunter2-of-the-tests"

# A child starts, opens the engine and answers in about a second; the rest is for machines that are busy.
LONG = 120


@pytest.fixture
def embedded(tmp_path: Path) -> Dsn:
    """An embedded engine of the test's own, which nobody has opened yet."""
    return Dsn.parse(f"chdb://{tmp_path}/data")


@pytest.fixture
def server(engine_dsn: Callable[[str], str]) -> Dsn:
    return Dsn.parse(engine_dsn("server"))


def texts_of(error: BaseException) -> str:
    """Everything that an error and those behind it, shown or suppressed, have to say."""
    texts: list[str] = []
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is not None:
            texts += [str(link), repr(link), *map(str, getattr(link, "__notes__", []))]
            pending += [link.__cause__, link.__context__]
    return "\n".join(texts)


def refusal(dsn: Dsn) -> str:
    """What is said when the DSN cannot be opened; nothing in it, nor behind it, is the password."""
    with pytest.raises(EngineError) as refused, open_client(dsn, wait_seconds=1):
        pass
    assert SECRET not in texts_of(refused.value)
    return str(refused.value)


# --- A server that is not there, or says no ----------------------------------------------------------------


def test_a_host_that_does_not_exist_is_named(server: Dsn) -> None:
    shown = refusal(replace(server, host="no-such-host.invalid", user="me", password=SECRET))
    assert f"no ClickHouse answers at clickhouse://me@no-such-host.invalid:{server.port}/web_analytics" in shown
    assert "check the host and port in CLICKHOUSE_DSN" in shown


def test_a_port_on_which_nobody_listens_is_named(server: Dsn) -> None:
    with create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    shown = refusal(replace(server, host="127.0.0.1", port=port, user="me", password=SECRET))
    assert f"no ClickHouse answers at clickhouse://me@127.0.0.1:{port}/web_analytics" in shown
    assert "check the host and port in CLICKHOUSE_DSN (the HTTP port, 8123 by default)" in shown


class _SomebodyElse(BaseHTTPRequestHandler):
    """A web server that is no ClickHouse."""

    status: ClassVar[int]

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")

    do_POST = do_GET  # noqa: N815 -- the base class's names

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 -- the base class's name
        """Say nothing: what it would say is the address it was asked for."""


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_port_on_which_something_else_answers_is_named(status: int) -> None:
    class Handler(_SomebodyElse):
        pass

    Handler.status = status
    with HTTPServer(("127.0.0.1", 0), Handler) as somebody:
        thread = threading.Thread(target=somebody.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            shown = refusal(Dsn.parse(f"clickhouse://me:{SECRET}@127.0.0.1:{somebody.server_port}/a"))
        finally:
            somebody.shutdown()
            thread.join()
    assert f"no ClickHouse answers at clickhouse://me@127.0.0.1:{somebody.server_port}/a" in shown
    assert "check the host and port" in shown


@pytest.mark.usefixtures("server")  # skipped where none can be had
def test_a_server_without_tls_that_is_asked_for_it_is_named(tmp_path: Path) -> None:
    # One of its own: of six servers (26.7 from npm) two ended within seconds of a TLS handshake on their plain port,
    # which is not what is asked here, and took with them whatever else was tested on them.
    with suppress(ServerError), running_server(tmp_path) as own:
        server = Dsn.parse(own.dsn("web_analytics"))
        shown = refusal(replace(server, scheme="clickhouses", user="me", password=SECRET))
    assert f"no ClickHouse answers at clickhouses://me@{server.host}:{server.port}/web_analytics" in shown


def refused_as(server: Dsn, user: str) -> None:
    dsn = replace(server, user=user, password=SECRET)
    assert refusal(dsn) == (
        f"ClickHouse at clickhouse://{user}@{server.host}:{server.port}/web_analytics refused the user {user!r} "
        "or its password: correct CLICKHOUSE_DSN"
    )


def test_a_user_that_the_server_does_not_know_is_refused_by_name(server: Dsn) -> None:
    refused_as(server, "nobody_of_the_tests")


def test_a_wrong_password_is_refused_and_not_called_a_wrong_host(server: Dsn) -> None:
    refused_as(server, server.user)


def test_a_database_that_the_server_does_not_have_is_named_with_the_job_that_makes_it(server: Dsn) -> None:
    assert refusal(replace(server, database="nowhere")) == (
        f"the database 'nowhere' does not exist at clickhouse://{server.user}@{server.host}:{server.port}/nowhere: "
        "correct CLICKHOUSE_DSN, or create it with apply_schema_job"
    )


@pytest.mark.parametrize("password", [SECRET, f"{SECRET}/@:%", f"ü{SECRET}"])
def test_a_password_of_any_signs_stays_out_of_the_error(server: Dsn, password: str) -> None:
    text = f"clickhouse://nobody_of_the_tests:{quote(password, safe='')}@{server.host}:{server.port}/a"
    dsn = Dsn.parse(text)
    assert dsn.password == password
    assert "refused the user 'nobody_of_the_tests'" in refusal(dsn)


# --- An embedded engine that cannot be opened ---------------------------------------------------------------


def first_database(client: Client) -> object:
    return client.command("SELECT currentDatabase()")


@pytest.mark.parametrize("below", ["", "/data"], ids=["the path is a file", "a part of the path is a file"])
def test_a_directory_that_cannot_be_is_named_with_what_to_correct(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("not a directory")
    with pytest.raises(EngineError) as refused:
        call(Dsn.parse(f"chdb://{tmp_path}/taken{below}"), first_database, wait_seconds=1, limit_seconds=LONG)
    assert f"{tmp_path}/taken{below}" in str(refused.value)
    assert "CLICKHOUSE_DSN" in str(refused.value)
    assert (tmp_path / "taken").read_text() == "not a directory"


def test_a_database_that_the_directory_does_not_have_is_named_with_the_job_that_makes_it(embedded: Dsn) -> None:
    with pytest.raises(EngineError) as refused:
        call(embedded, first_database, wait_seconds=1, limit_seconds=LONG)
    assert str(refused.value) == (
        f"the database 'web_analytics' does not exist at {embedded}: correct CLICKHOUSE_DSN, "
        "or create it with apply_schema_job"
    )


# --- One process at a time ----------------------------------------------------------------------------------

HOLD = """
import sys
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client

with open_client(Dsn.parse(sys.argv[1]), wait_seconds=60, create_database=True, who=sys.argv[2]) as client:
    client.command("CREATE TABLE IF NOT EXISTS t (n UInt64) ENGINE = MergeTree ORDER BY n")
    client.command("INSERT INTO t VALUES (1), (2), (3)")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(dsn: Dsn, who: str = "a test") -> Iterator[subprocess.Popen[str]]:
    """Another process that has opened the engine, written three rows, and stays; it ends when its input does."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, f"chdb://{dsn.path}", who],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Dsn:
    """An embedded engine with three rows, which nobody holds."""
    dsn = Dsn.parse(f"chdb://{tmp_path_factory.mktemp('written')}/data")
    with holder(dsn) as child:
        child.communicate()
        assert child.returncode == 0
    return dsn


def count_rows(client: Client) -> int:
    return int(str(client.command("SELECT count() FROM t")))


def test_an_engine_that_another_process_holds_is_refused_with_its_pid_and_purpose(embedded: Dsn) -> None:
    with holder(embedded, "run 1f2e3d") as child:
        started = time.monotonic()
        with pytest.raises(EngineError) as refused, open_client(embedded, wait_seconds=1):
            pass
        waited = time.monotonic() - started
        with pytest.raises(EngineError, match=rf"process {child.pid} \(run 1f2e3d, since"):
            call(embedded, count_rows, wait_seconds=0.2, limit_seconds=LONG)
    shown = str(refused.value)
    assert f"the embedded engine in {embedded.path} is in use by process {child.pid} (run 1f2e3d, since " in shown
    assert symptom("the embedded engine … is in use by process …").match(shown)
    assert "; waited 1 s. " in shown
    assert (
        "wait for that one (a run waits WEB_ANALYTICS_ENGINE_WAIT_SECONDS, a tick less), or let CLICKHOUSE_DSN" in shown
    )
    # Less than the limit is impatience; much more is a limit that holds nobody.
    assert 0.9 <= waited < 10


def test_an_engine_in_use_by_who_knows_whom_is_refused_too(embedded: Dsn) -> None:
    with (
        FileLock(f"{embedded.path}.lock"),
        pytest.raises(EngineBusyError, match="in use by another process"),
        open_client(embedded, wait_seconds=0),
    ):
        pass


@pytest.mark.long
@pytest.mark.parametrize("end", ["closed", "killed"])
def test_whoever_waits_gets_the_engine_when_its_holder_ends(embedded: Dsn, end: str) -> None:
    with holder(embedded) as child, ThreadPoolExecutor(1) as threads:
        answer = threads.submit(call, embedded, count_rows, wait_seconds=LONG, limit_seconds=LONG)
        # A child that does not wait would have failed by now; one that ignores the lock would have answered.
        time.sleep(1.5)
        assert not answer.done()
        if end == "killed":
            child.send_signal(signal.SIGKILL)
        else:
            assert child.stdin is not None
            child.stdin.close()
        assert answer.result(timeout=LONG) == 3
        assert child.wait(timeout=LONG) == (-signal.SIGKILL if end == "killed" else 0)


def test_who_waits_for_the_engine_says_for_whom(embedded: Dsn, capfd: pytest.CaptureFixture[str]) -> None:
    with holder(embedded) as child, ThreadPoolExecutor(1) as threads, pytest.MonkeyPatch.context() as patch:
        patch.setattr("dags.clickhouse.engine.A_MOMENT_SECONDS", 0.3)
        waiting = threads.submit(lambda: open_client(embedded, wait_seconds=1).__enter__())
        with pytest.raises(EngineError, match="waited 1 s"):
            waiting.result(timeout=LONG)
    assert f"waiting for the embedded engine, in use by process {child.pid}" in capfd.readouterr().err


def test_the_work_of_one_tick_shares_its_time(embedded: Dsn, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    monkeypatch.setattr(resource, "call", lambda *_, limit_seconds, **__: limits.append(limit_seconds))
    monkeypatch.setenv("CLICKHOUSE_DSN", f"chdb://{embedded.path}")
    ends = time.monotonic() + 20
    for until in (math.inf, ends, ends - 100):
        resource.ClickHouseResource().in_tick(count_rows, until=until)
    assert limits == [resource.TICK_SECONDS, pytest.approx(20, abs=1), 1]


@pytest.mark.long
def test_a_tick_with_little_time_left_still_hears_that_the_engine_is_busy(embedded: Dsn) -> None:
    with holder(embedded), pytest.raises(EngineBusyError, match="in use by process"):
        call(embedded, count_rows, wait_seconds=LONG, limit_seconds=14)


def run(script: str, *arguments: str) -> str:
    """What a script printed in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=LONG, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


TWO_DIRECTORIES = """
import sys
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.child import call
from dags.clickhouse.engine import open_client
from dags.domain.errors import EngineError
from dags.tests.clickhouse.test_engine import first_database

first, second = (Dsn.parse(f"chdb://{path}") for path in sys.argv[1:])
with open_client(first, wait_seconds=1, create_database=True) as client:
    try:
        with open_client(second, wait_seconds=1, create_database=True):
            print("opened both")
    except EngineError as error:
        print(error)
    # What was refused must not stay locked.
    try:
        call(second, first_database, wait_seconds=1, limit_seconds=120)
    except EngineError as error:
        print(error)
"""


@pytest.mark.long
def test_a_second_directory_in_one_process_is_refused_and_stays_free_for_others(tmp_path: Path) -> None:
    refused, free = run(TWO_DIRECTORIES, f"{tmp_path}/one", f"{tmp_path}/two").splitlines()
    assert refused.startswith(f"the embedded engine cannot open chdb://{tmp_path}/two")
    assert free.startswith("the database 'web_analytics' does not exist")


OPEN_OFTEN = """
import sys
import psutil
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client

def cost():
    return psutil.Process().num_fds(), psutil.Process().num_threads()

def use(times):
    for _ in range(times):
        with open_client(Dsn.parse(sys.argv[1]), wait_seconds=1, create_database=True) as client:
            client.query("SELECT 1")

use(3)
fds, threads = cost()
use(40)
print(cost()[0] - fds, cost()[1] - threads)
"""


@pytest.mark.long
def test_a_process_that_holds_the_engine_can_have_a_client_as_often_as_it_likes(embedded: Dsn) -> None:
    fds, threads = map(int, run(OPEN_OFTEN, f"chdb://{embedded.path}").split())
    # An open that is one leaks 10 descriptors and 5 threads, 400 and 200 here; the engine's pools come and go.
    assert fds < 10
    assert threads < 10


MAP_THE_LIBRARY = """
import sys, threading
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import map_library

map_library(Dsn.parse(sys.argv[1]))
[thread.join() for thread in threading.enumerate() if thread is not threading.main_thread()]
print("_chdb.abi3.so" in open("/proc/self/maps").read(), "chdb" in sys.modules)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has mapped")
@pytest.mark.parametrize(
    ("dsn", "is_mapped"), [("chdb:///nowhere/embedded", True), ("clickhouse://localhost:8123/web_analytics", False)]
)
def test_the_library_of_the_embedded_engine_is_mapped_before_it_is_imported(dsn: str, *, is_mapped: bool) -> None:
    assert run(MAP_THE_LIBRARY, dsn).split() == [str(is_mapped), "False"]


# --- Work for a process that does not hold the engine -------------------------------------------------------


def who_works(client: Client) -> tuple[int, object]:
    return os.getpid(), client.command("SELECT 6 * 7")


def add(client: Client, number: int, *, to: str) -> str:
    return f"{to}{client.command(f'SELECT 1 + {number}')}"


def talk(client: Client) -> object:
    print("a library that prints")
    os.write(1, b"and one that writes\n")
    return client.command("SELECT 1")


def ask_for_nothing_there(client: Client) -> object:
    return client.query("SELECT * FROM a_table_that_nobody_made").result_rows


def refuse(_client: Client) -> None:
    raise SchemaError("a table lacks a column")


class TwoWordsError(Exception):
    """One that cannot be pickled: it is made of two words and remembers one."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


def refuse_in_two_words(_client: Client) -> None:
    raise TwoWordsError("very", "wrong")


def answer_with_what_cannot_be_sent(_client: Client) -> Callable[[], None]:
    return lambda: None


def die(_client: Client) -> None:
    os.write(2, b"the last words\n")
    os._exit(3)


def be_killed(_client: Client) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def never_end(client: Client) -> object:
    return client.command("SELECT sum(sipHash64(number)) FROM numbers(1000000000000000)")


def in_child(dsn: Dsn, work: Callable[[Client], Answer]) -> Answer:
    return call(dsn, work, wait_seconds=10, limit_seconds=LONG)


def test_work_is_done_by_a_child_and_its_answer_returned(written: Dsn) -> None:
    pid, answer = in_child(written, who_works)
    assert answer == 42
    assert pid != os.getpid()
    assert not psutil.pid_exists(pid)
    assert in_child(written, functools.partial(add, number=2, to="it is ")) == "it is 3"


@pytest.mark.long
def test_what_the_work_prints_does_not_get_into_its_answer(written: Dsn) -> None:
    assert in_child(written, talk) == 1


@pytest.mark.long
def test_an_error_of_the_work_is_raised_again_as_what_it_was(written: Dsn) -> None:
    with pytest.raises(SchemaError) as ours:
        in_child(written, refuse)
    assert str(ours.value) == "a table lacks a column"
    with pytest.raises(DatabaseError, match="a_table_that_nobody_made") as theirs:
        in_child(written, ask_for_nothing_there)
    assert isinstance(theirs.value, ClickHouseError)


@pytest.mark.long
def test_the_words_of_an_error_that_cannot_be_sent_arrive(written: Dsn) -> None:
    with pytest.raises(EngineError) as refused:
        in_child(written, refuse_in_two_words)
    assert str(refused.value) == "TwoWordsError: very wrong"


@pytest.mark.long
def test_a_child_that_ends_without_an_answer_is_an_error_with_its_last_words(written: Dsn) -> None:
    with pytest.raises(EngineError, match="ended with code 3: the last words"):
        in_child(written, die)
    with pytest.raises(EngineError, match="ended with code -9"):
        in_child(written, be_killed)
    with pytest.raises(EngineError, match=r"(?s)ended with code 1: .*pickle"):
        in_child(written, answer_with_what_cannot_be_sent)
    assert in_child(written, count_rows) == 3


@pytest.mark.long
def test_work_that_takes_too_long_is_stopped_and_the_engine_is_free_afterwards(written: Dsn) -> None:
    started = time.monotonic()
    with pytest.raises(EngineSlowError) as stopped:
        call(written, never_end, wait_seconds=1, limit_seconds=3)
    assert 3 <= time.monotonic() - started < 20
    assert f"the work on {written} took longer than 3 s and was stopped" in str(stopped.value)
    assert [child for child in psutil.Process().children() if "dags.clickhouse.child" in child.cmdline()] == []
    assert call(written, count_rows, wait_seconds=1, limit_seconds=LONG) == 3


def test_on_a_server_or_where_the_engine_is_held_anyway_no_child_is_needed(dsn: Dsn) -> None:
    assert in_child(dsn, who_works) == (os.getpid(), 42)


# --- What clients of both engines have in common ------------------------------------------------------------


def test_clients_of_two_databases_in_one_process_keep_apart(dsn: Dsn) -> None:
    other = replace(dsn, database="apart")
    with open_client(dsn, wait_seconds=1) as one, open_client(other, wait_seconds=1, create_database=True) as two:
        try:
            for client, number in ((one, 1), (two, 2)):
                client.command("CREATE TABLE same_name (n UInt64) ENGINE = MergeTree ORDER BY n")
                client.insert("same_name", [[number]], column_names=["n"])
            found = [client.query("SELECT n, currentDatabase() FROM same_name").result_rows for client in (one, two)]
            assert found == [[(1, "web_analytics")], [(2, "apart")]]
        finally:
            two.command("DROP DATABASE apart")


def test_what_one_client_has_set_for_itself_holds_for_no_other(dsn: Dsn) -> None:
    with open_client(dsn, wait_seconds=LONG) as one:
        one.set_client_setting("max_block_size", 7)
        with open_client(dsn, wait_seconds=LONG) as other:
            sizes = [client.command("SELECT getSetting('max_block_size')") for client in (one, other)]
            assert sizes == [7, int(one.server_settings["max_block_size"].value)]
            assert other.server_settings == one.server_settings


def test_instants_come_back_aware_and_exact(client: Client) -> None:
    rows = client.query("SELECT toDateTime64('2026-01-02 03:04:05.123456', 6, 'UTC'), toDateTime(86400, 'UTC')")
    assert rows.result_rows == [(datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC))]


def test_a_deletion_does_not_wait_for_each_part_of_its_table(client: Client) -> None:
    client.command("CREATE TABLE parts (number UInt64) ENGINE = MergeTree PARTITION BY number ORDER BY number")
    client.command("INSERT INTO parts SELECT number FROM numbers(60)")
    started = time.monotonic()
    client.command("DELETE FROM parts WHERE number % 2 = 1")
    # Half a second; a tenth of a second each where there are fewer threads than the engine wants free for mutations.
    assert time.monotonic() - started < 5
    assert client.query("SELECT count() FROM parts").result_rows == [(30,)]


def test_thousands_of_teams_can_be_bound(client: Client) -> None:
    # A server takes a value of at most 128 KiB (`http_max_field_value_size`): 6,000 ids of this length, no more.
    teams = list(range(2**63, 2**63 + 6_000))
    bound = client.query("SELECT length({teams:Array(UInt64)}), {teams:Array(UInt64)}[-1]", parameters={"teams": teams})
    assert bound.result_rows == [(6_000, teams[-1])]


def test_what_is_bound_is_in_no_address_be_it_of_a_query_or_of_a_command(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = []
    plain = urllib3.PoolManager.request

    def noting(self: urllib3.PoolManager, method: str, url: str, **options: Any) -> Any:
        addresses.append(url)
        return plain(self, method, url, **options)

    monkeypatch.setattr(urllib3.PoolManager, "request", noting)
    client.command("CREATE TABLE bound (value String) ENGINE = MergeTree ORDER BY value")
    try:
        insert = "INSERT INTO bound SELECT {value:String} AS value"
        written = client.command(insert, parameters={"value": SECRET}, settings={"max_threads": 1})
        assert is_embedded(client) or getattr(written, "summary")["written_rows"] == "1"  # noqa: B009 -- one of four types
        asked = "SELECT value FROM bound WHERE value = {value:String}"
        assert client.query(asked, parameters={"value": SECRET}).result_rows == [(SECRET,)]
        assert client.command(asked, parameters={"value": SECRET}) == SECRET
        assert client.command(f"SELECT 1, count() FROM ({asked})", parameters={"value": SECRET}) == ["1", "1"]
        with pytest.raises(DatabaseError, match="395") as failed:
            client.command(f"{insert} WHERE throwIf(value != '')", parameters={"value": SECRET})
        assert SECRET not in str(failed.value)
    finally:
        client.command("DROP TABLE bound")
    assert is_embedded(client) or len(addresses) >= 5
    assert not [url for url in addresses if SECRET in url]


def test_an_error_of_the_engine_carries_its_code(client: Client) -> None:
    with pytest.raises(ClickHouseError) as refused:
        client.query("SELECT * FROM a_table_that_nobody_made")
    assert error_code(refused.value) == 60
    assert error_code(ValueError("no code")) is None


def test_each_query_on_a_server_says_for_whom_it_is(server: Dsn) -> None:
    with open_client(server, wait_seconds=1, create_database=True, who="run 1f2e3d") as client:
        assert client.command("SELECT getSetting('log_comment')") == "run 1f2e3d"


def test_a_password_is_hidden_as_a_word_and_not_by_holes_in_others() -> None:
    shown = ClickHouseError("HTTPConnectionPool refused e")
    refused = refusals.refusal(Dsn.parse("clickhouse://ada:e@db.example/a"), shown)
    assert "HTTPConnectionPool refused [hidden]" in str(refused)
