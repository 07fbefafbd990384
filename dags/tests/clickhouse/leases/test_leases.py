"""One holder at a time, of the living; the dead are found out and lose what they held."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import given
from hypothesis import strategies as st

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases import rules, store
from dags.clickhouse.leases.keeper import LEASES
from dags.clickhouse.leases.rules import DEAD_AFTER_SECONDS, Lease, lease_name, new_token, run_key, table_and_day
from dags.clickhouse.leases.store import Leases, read_leases
from dags.clickhouse.replicas.store import place_of
from dags.clickhouse.sql import Sql
from dags.domain.errors import LeaseError
from dags.tests.variants import WITH_REPLICAS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

DAY = date(2026, 1, 10)
TABLE = "web_pre_aggregated_stats"


@pytest.fixture(params=WITH_REPLICAS)
def dsn_text(request: pytest.FixtureRequest, emptied: Callable[[str], str]) -> str:
    return emptied(request.param)


def leases(client: Client, run_id: str, wait_seconds: float = 0.0, messages: list[str] | None = None) -> Leases:
    tell = (lambda _: None) if messages is None else messages.append
    return Leases(client, run_id, wait_seconds=wait_seconds, tell=tell, sleep=lambda _: None)


def left_by_the_dead(client: Client, run_id: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A lease that a process left behind that was killed: nobody gives it back, nobody says that it lives."""
    with monkeypatch.context() as another_process:
        another_process.setattr(rules, "THIS_PROCESS", "00000000")
        dead = leases(client, run_id)
    dead.take(TABLE, DAY)
    if place_of(client) is not None:
        long_ago = f"now64(3) - {DEAD_AFTER_SECONDS + 1}"
        client.command(f"ALTER TABLE {LEASES} UPDATE at = {long_ago} WHERE name = '{lease_name(TABLE, DAY)}'")
    elif not str(client.uri).startswith("chdb:"):
        client.command(f"TRUNCATE TABLE {lease_name(TABLE, DAY)}")
        client.command(
            f"INSERT INTO {lease_name(TABLE, DAY)} VALUES ('{dead.token}', now64(3) - {DEAD_AFTER_SECONDS + 1})"
        )
    return dead.token


def tables(client: Client) -> set[str]:
    return {name for (name,) in client.query("SHOW TABLES").result_rows}


def test_a_lease_that_is_held_is_refused_and_its_holder_named_until_it_is_given_back(client: Client) -> None:
    before = tables(client)
    with leases(client, "first-run") as first:
        assert not first.take(TABLE, DAY)
        with leases(client, "second-run") as second, pytest.raises(LeaseError, match="being built by run first_ru"):
            second.take(TABLE, DAY)
        [held] = read_leases(client)
        assert (held.table, held.day, held.run) == (TABLE, DAY, "first_run")
        first.confirm(TABLE, DAY)
    with leases(client, "second-run") as second:
        assert not second.take(TABLE, DAY)
    assert tables(client) == before


def test_days_and_tables_have_leases_of_their_own(client: Client) -> None:
    with leases(client, "a") as one, leases(client, "b") as other:
        one.take(TABLE, DAY)
        other.take(TABLE, date(2026, 1, 11))
        other.take("web_pre_aggregated_bounces", DAY)
        assert len(read_leases(client)) == 3


def test_whoever_concludes_from_leases_that_are_not_held_has_keeper_written_to_before_it_reads(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may answer with what its keeper said a moment ago, but never without what it has written itself."""
    done: list[str] = []

    def noted(do: Callable[..., Any]) -> Callable[..., Any]:
        def noting(self: Client, statement: str, *args: object, **options: object) -> Any:
            done.append(re.sub(r"(--[^\n]*\s+)+", "", statement).split()[0])
            return do(self, statement, *args, **options)

        return noting

    for name in ("query", "command"):
        monkeypatch.setattr(type(client), name, noted(getattr(type(client), name)))
    assert read_leases(client) == ()
    assert "INSERT" not in done
    done.clear()
    assert read_leases(client, up_to_date=True) == ()
    is_among_replicas = place_of(client) is not None
    assert done[:3] == (["INSERT", "DELETE", "SELECT"] if is_among_replicas else done[:3])
    assert ("INSERT" in done) == is_among_replicas


@pytest.mark.usefixtures("of_one_server")
def test_all_leases_are_read_in_as_many_statements_as_one_and_none_that_is_given_back_meanwhile(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead and the living, one without a sign of life yet; one is given back after it was known to be there."""
    asked: list[str] = []
    query = type(client).query

    def counted(self: Client, statement: str, *args: object, **options: object) -> object:
        asked.append(statement)
        return query(self, statement, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as counting:
        counting.setattr(type(client), "query", counted)
        assert read_leases(client) == ()
    left_by_the_dead(client, "dead-run", monkeypatch)
    with leases(client, "worker") as worker, monkeypatch.context() as counting:
        for number in range(1, 10):
            worker.take(TABLE, DAY + timedelta(days=number))
        asked.clear()
        counting.setattr(type(client), "query", counted)
        found = read_leases(client)
        assert len(asked) <= 2
        assert {lease.day for lease in found} == {DAY + timedelta(days=number) for number in range(10)}
        assert {lease.run for lease in found if lease.silent_seconds > DEAD_AFTER_SECONDS} <= {"dead_run"}
        assert len(read_leases(client, except_token=worker.token)) == 1

        def all_given_back(self: Client, statement: str, *args: object, **options: object) -> object:
            if "merge(" in statement:
                worker.__exit__()
                self.command(f"DROP TABLE {lease_name(TABLE, DAY)} SYNC")
            return query(self, statement, *args, **options)  # type: ignore[arg-type]

        counting.setattr(type(client), "query", all_given_back)
        assert read_leases(client) == ()


@pytest.mark.usefixtures("of_one_server")
@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE {} (a Int8) ENGINE = Memory",
        "CREATE VIEW {} AS SELECT 1 AS token, now64(3) AS at",
        "CREATE TABLE {} (token String, at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY at",
    ],
    ids=["a table", "a view", "a stored table"],
)
def test_what_others_named_like_a_lease_is_passed_over_said_and_never_taken(
    client: Client, caplog: pytest.LogCaptureFixture, made: str
) -> None:
    names = ["web_analytics_lease_notes", lease_name(TABLE, DAY)]
    for name in names:
        client.command(made.format(name))
    assert read_leases(client) == ()
    with leases(client, "ours") as ours:
        ours.take(TABLE, DAY + timedelta(days=1))
        assert [lease.day for lease in read_leases(client)] == [DAY + timedelta(days=1)]
        with pytest.raises(LeaseError, match=f"{names[1]} is no lease"):
            ours.take(TABLE, DAY)
    assert ", ".join(sorted(names)) in caplog.text
    assert [client.query(f"EXISTS {name}").result_rows[0][0] for name in names] == [1, 1]
    for name in names:
        client.command(f"DROP TABLE {name} SYNC")


def test_who_waits_gets_the_lease_when_it_is_given_back_and_learns_that_it_waited(client: Client) -> None:
    first, messages = leases(client, "first-run"), list[str]()
    first.take(TABLE, DAY)

    def give_back(_: float) -> None:
        first.__exit__()

    with Leases(client, "second-run", wait_seconds=60, tell=messages.append, sleep=give_back) as second:
        assert second.take(TABLE, DAY)
        second.confirm(TABLE, DAY)
    assert messages == [f"{DAY}: {TABLE} is being built by run first_ru, waiting for it"]


@pytest.mark.usefixtures("of_one_server")
@pytest.mark.parametrize("fault", ["dropped", "cancelled"])
def test_who_waits_bids_anew_when_its_bid_is_swept_away(
    client: Client, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    swept: list[str] = []
    command = Sql.command

    def sweeping(self: Sql, name: str, *bound: Any, **identifiers: Any) -> None:
        if name == "beat" and not swept:
            swept.append(identifiers["lease"])
            client.command(f"DROP TABLE {identifiers['lease']} SYNC")
            if fault == "cancelled":  # what is being written is stopped first
                error = DatabaseError("Code: 394. DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)")
                error.name = "QUERY_WAS_CANCELLED"
                raise error
        command(self, name, *bound, **identifiers)

    with leases(client, "holder") as holder:
        holder.take(TABLE, DAY)
        waits = leases(client, "waiter", wait_seconds=60)
        waits._sleep = lambda _: holder.__exit__()  # as soon as it waits, the other is done
        monkeypatch.setattr(Sql, "command", sweeping)
        assert waits.take(TABLE, DAY)
    assert len(swept) == 1
    assert [lease.run for lease in read_leases(client)] == ["waiter"]


def test_a_dead_holders_lease_is_taken_over_and_it_finds_out_should_it_live_after_all(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, messages = tables(client), list[str]()
    left_by_the_dead(client, "dead-run", monkeypatch)
    [lease] = read_leases(client)
    assert lease.is_dead(is_embedded=str(client.uri).startswith("chdb:"))
    with leases(client, "thief", messages=messages) as thief:
        thief.take(TABLE, DAY)
        thief.confirm(TABLE, DAY)
        zombie = leases(client, "dead-run")
        with pytest.raises(LeaseError, match="held by run thief and no longer by this run"):
            zombie.confirm(TABLE, DAY)
        zombie._names.add(lease_name(TABLE, DAY))
        zombie.__exit__()  # and it must not give back what is not its own
        thief.confirm(TABLE, DAY)
    assert messages == [f"{DAY}: taking {TABLE} over from run dead_run, which died"]
    assert tables(client) == before


def test_a_holder_says_that_it_lives_while_it_works(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BEAT_SECONDS", 0.05)
    with leases(client, "worker") as worker:
        worker.take(TABLE, DAY)
        time.sleep(0.5)
        [held] = read_leases(client)
    assert held.silent_seconds < 0.4 or str(client.uri).startswith("chdb:")
    assert not held.is_dead(is_embedded=False)


def test_an_answer_that_was_lost_on_its_way_does_not_lose_the_lease(client: Client) -> None:
    with leases(client, "worker") as worker:
        worker.take(TABLE, DAY)
        assert not worker.take(TABLE, DAY)
        worker.confirm(TABLE, DAY)


@pytest.mark.parametrize(
    ("process", "silent", "embedded_dead", "server_dead"),
    [
        ("this", 0.0, False, False),
        ("this", DEAD_AFTER_SECONDS + 1, False, True),
        ("00000000", 0.0, True, False),
        ("00000000", DEAD_AFTER_SECONDS + 1, True, True),
    ],
)
def test_the_living_are_told_from_the_dead(
    process: str, silent: float, *, embedded_dead: bool, server_dead: bool
) -> None:
    lease = Lease(TABLE, DAY, f"run_abc__{process.replace('this', rules.THIS_PROCESS)}_0001", silent)
    assert (lease.is_dead(is_embedded=True), lease.is_dead(is_embedded=False)) == (embedded_dead, server_dead)
    assert lease.run == "abc"


def test_a_lease_is_named_by_its_day_and_table_and_tells_them(client: Client) -> None:
    token = new_token("119c4f15-33fa-4542-a16f-5e430ac22a29")
    lease = Lease.of(lease_name(TABLE, DAY), token, 1.0)
    assert lease is not None
    assert (lease.table, lease.day, lease.name) == (TABLE, DAY, lease_name(TABLE, DAY))
    assert lease.run == run_key("119c4f15-33fa-4542-a16f-5e430ac22a29")
    assert Lease.of("events", token, 1.0) is None
    assert read_leases(client) == ()


@given(st.dates(), st.from_regex("[A-Za-z0-9_]{1,40}", fullmatch=True))
def test_what_a_leases_name_is_made_of_is_read_back_from_it(day: date, table: str) -> None:
    assert table_and_day(lease_name(table, day)) == (table, day)


@pytest.mark.usefixtures("of_one_server")
def test_no_day_makes_who_waits_ask_without_end_and_digits_that_are_none_are_passed_over(client: Client) -> None:
    assert table_and_day("web_analytics_lease_20261345_x") is None
    first = date(1, 1, 1)
    with leases(client, "first-run") as holder, leases(client, "second-run") as other:
        holder.take(TABLE, first)
        client.command(f"RENAME TABLE {lease_name(TABLE, first)} TO web_analytics_lease_20261345_x")
        assert read_leases(client) == ()
        client.command(f"RENAME TABLE web_analytics_lease_20261345_x TO {lease_name(TABLE, first)}")
        [held] = read_leases(client)
        assert (held.day, held.run) == (first, "first_run")
        with pytest.raises(LeaseError, match="0001-01-01 is being built by run first_ru"):
            other.take(TABLE, first)
        client.command(f"ALTER TABLE {lease_name(TABLE, first)} MODIFY COMMENT ''")
        with pytest.raises(LeaseError, match="by a run that its lease does not name any more"):
            other.take(TABLE, first)


RACER = """
import sys
from datetime import date, timedelta
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import given
from hypothesis import strategies as st

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.sql import Sql
from dags.domain.errors import LeaseError
from dags.clickhouse.leases.store import Leases

with open_client(Dsn.parse(sys.argv[1]), wait_seconds=60) as client:
    for line in sys.stdin:
        with Leases(client, sys.argv[2], wait_seconds=0, tell=lambda _: None) as mine:
            try:
                mine.take("raced", date(2026, 1, int(line)))
            except LeaseError:
                print("lost", flush=True)
            else:
                print("won", flush=True)
                sys.stdin.readline()
"""


def race(racers: list[subprocess.Popen[str]], number: int) -> list[str]:
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(f"{number}\n")
        racer.stdin.flush()
    answers = [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]
    for racer, answer in zip(racers, answers, strict=True):
        assert racer.stdin is not None
        if answer == "won":
            racer.stdin.write("end\n")
            racer.stdin.flush()
    return answers


@pytest.fixture
def racers(dsn_text: str) -> Iterator[list[subprocess.Popen[str]]]:
    if Dsn.parse(dsn_text).is_embedded:
        pytest.skip("one process at a time holds the embedded engine: its file lock keeps them apart")
    with ExitStack() as processes:
        started = []
        for number in range(4):
            # Among replicas every other one asks another server.
            asked = re.sub(r"@([^,/]+),([^,/]+)/", r"@\2,\1/", dsn_text) if number % 2 else dsn_text
            command = [sys.executable, "-c", RACER, asked, f"racer-{number}"]
            racer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            started.append(processes.enter_context(racer))
            processes.callback(racer.kill)
        yield started


@pytest.mark.long
def test_of_four_processes_that_want_a_free_lease_at_once_one_gets_it(racers: list[subprocess.Popen[str]]) -> None:
    for number in range(1, 26):
        answers = race(racers, number)
        assert sorted(answers) == ["lost", "lost", "lost", "won"]


@pytest.mark.long
def test_of_four_processes_that_find_a_dead_holder_at_once_one_has_the_lease_in_the_end(
    client: Client, racers: list[subprocess.Popen[str]]
) -> None:
    dead = "run_x__00000000_0001"
    for number in range(1, 26):
        name = lease_name("raced", date(2026, 1, number))
        client.command(
            f"CREATE TABLE {name} (token String, at DateTime64(3, 'UTC')) ENGINE = Memory AS "
            f"SELECT '{dead}', now64(3) - 100"
        )
        client.command(f"ALTER TABLE {name} MODIFY COMMENT '{dead}'")
        # One may lose it at once to another that saw the same dead holder; it finds out before it publishes.
        assert race(racers, number).count("won") >= 1
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
        racer.wait(30)
    assert read_leases(client) == ()


def test_two_threads_of_one_process_are_two_builds(dsn_text: str) -> None:
    held, refused = threading.Event(), list[str]()

    def second() -> None:
        held.wait(30)
        with open_client(Dsn.parse(dsn_text), wait_seconds=60) as own, leases(own, "second") as other:
            try:
                other.take(TABLE, DAY)
            except LeaseError as error:
                refused.append(str(error))

    with open_client(Dsn.parse(dsn_text), wait_seconds=60) as mine, leases(mine, "first") as first:
        thread = threading.Thread(target=second)
        thread.start()
        first.take(TABLE, DAY)
        held.set()
        thread.join(30)
    assert len(refused) == 1
