"""A load that dies before or after any statement that it sends, and is gone on with: every row is there, once."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.leases.rules import LEASE_PREFIX
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.domain.given import read
from dags.postgres_backfill.connection import Connection
from dags.postgres_backfill.execution import PostgresBackfill
from dags.postgres_backfill.fields import PostgresBackfillConfig
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.postgres_backfill.log import asked_entry, work_of
from dags.postgres_backfill.planning import make_plan
from dags.settings import read_settings
from dags.sources.file import read_sources
from dags.sources.loads.landing import tables_of
from dags.sources.loads.names import load_id
from dags.tests.events import Event, insert
from dags.tests.postgres_backfill.tenants import DAYS, DECLARED, LATE_ORDERS, TABLE, Tenant, asked
from dags.tests.variants import at_night, server_at_night
from dags.tests.world import noon
from dags.work import control
from dags.work.audit.log import Status
from dags.work.audit.store import Log, require_state
from dags.work.document import as_yaml
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.postgres_backfill.plan import Plan


class DiedError(BaseException):
    """The process is gone: nothing that it would do after that is done."""


class Mortal:
    """Counts what is sent; dies before or after the nth, and sends nothing more, as when it is killed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.live()
        run, append, leave = Sql._run, Log.append, Leases.__exit__

        def ran(itself: Sql, statement: Callable[..., Any], name: str, *rest: Any) -> Any:
            if name == "beat":  # from a thread of its own
                return run(itself, statement, name, *rest)
            return self._sent(name, run, itself, statement, name, *rest)

        def appended(itself: Log, *entries: Any) -> None:
            self._sent(" ".join(["append", *(entry.event for entry in entries)]), append, itself, *entries)

        def left(itself: Leases, *error: Any) -> None:
            if self.is_dead:
                itself._names.clear()  # the dead give nothing back
            leave(itself, *error)

        monkeypatch.setattr(Sql, "_run", ran)
        monkeypatch.setattr(Log, "append", appended)
        monkeypatch.setattr(Leases, "__exit__", left)

    def live(self, dies_at: int | str = 0, *, is_before: bool = True) -> None:
        """From now on; for ever without ``dies_at``, which is a number or a statement's name."""
        self.sent, self._dies_at, self._is_before, self.is_dead = 0, dies_at, is_before, False

    def _sent(self, name: str, send: Callable[..., Any], *args: Any) -> Any:
        self.sent += 1
        dies = self._dies_at in (self.sent, name)
        self.is_dead |= dies and self._is_before
        if self.is_dead:
            raise DiedError
        answer = send(*args)
        self.is_dead |= dies
        if self.is_dead:
            getattr(answer, "close", lambda: None)()  # an answer that nobody reads
            raise DiedError
        return answer


class Loads:
    """Loads of one table, which may die."""

    def __init__(self, client: Client, source: Tenant, directory: Path, mortal: Mortal) -> None:
        self.client, self.source, self.mortal = client, source.connection, mortal
        (directory / "sources.yaml").write_text(DECLARED)
        (directory / "late_orders.sql").write_text(LATE_ORDERS)
        self._settings = read_settings({"WEB_ANALYTICS_SOURCES": str(directory / "sources.yaml")})
        self._environment = {"TENANT_POSTGRES_DSN": source.dsn}
        given = read(PostgresBackfillConfig, asked(batch_size=4)).required()
        self.plan: Plan = make_plan(client, given, self._settings, self._environment).plan

    def accept(self, work_id: str) -> None:
        log = Log(self.client, work_of(work_id, self.plan), "run-0")
        control.accept(log, as_yaml(self.plan), "ada", "test", planned_in=0.0, beside=[asked_entry(self.plan)])

    def _bury(self) -> None:
        """What the dead held counts as given back."""
        for (lease,) in self.client.query(f"SHOW TABLES LIKE '{LEASE_PREFIX}%'").result_rows:
            self.client.command(f"DROP TABLE {lease} SYNC")

    def cancel(self, work_id: str, number: int) -> None:
        self._bury()
        control.cancel(
            self.client, POSTGRES_BACKFILL, work_id, f"cancel-{number}", requested_by="bob", reason="it is late"
        )

    def run(self, work_id: str, number: int) -> None:
        """Begin it, or go on with it."""
        self._bury()
        pipeline = read_sources(self._settings).pipeline("tenant-import")
        Runner(
            client=self.client,
            open_client=lambda: nullcontext(self.client),
            kind=POSTGRES_BACKFILL,
            work=work_of(work_id, self.plan),
            chunks=self.plan.ranges,
            worker=PostgresBackfill(
                self.plan, Connection.of(pipeline, self._environment), 60, lambda _: None, lambda _: None
            ),
            run_id=f"run-{number}",
            ordered_at=read_clocks(self.client).server,
            listeners=Listeners(lambda _: None, lambda *_: None, lambda _: None),
        ).run()

    def there(self, work_id: str) -> int:
        """How many rows of it are in the target."""
        [(rows,)] = self.client.query(f"SELECT count() FROM events WHERE load_id = {load_id(work_id)}").result_rows
        return int(rows)

    def status(self, work_id: str) -> str:
        return require_state(self.client, POSTGRES_BACKFILL, work_id).status

    def require_whole(self, work_id: str, rows: int) -> None:
        """Every row is there, once, and those of others are; nothing else is left of it."""
        found = self.client.query(
            "SELECT count(), uniqExact(uuid), countIf(load_id = 0) FROM events "
            f"WHERE load_id IN (0, {load_id(work_id)})"
        ).result_rows
        assert [tuple(row) for row in found] == [(rows + 2, rows + 2, 2)]
        assert self.status(work_id) == Status.COMPLETED
        assert tables_of(self.client, work_id) == []


@pytest.fixture
def loads(client: Client, postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loads]:
    insert(client, [Event(7, noon(day)) for day in DAYS[:2]])
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(TABLE)
        Tenant(postgres_database, connection).history(DAYS[:2])
        mortal = Mortal(monkeypatch)
        yield Loads(client, Tenant(postgres_database, connection), tmp_path, mortal)
        mortal.live()


def died(loads: Loads, dies_at: int | str, act: Callable[..., Any], *args: Any, is_before: bool = True) -> bool:
    """Whether what was done came to its nth statement, or to one of a name, and died there."""
    loads.mortal.live(dies_at, is_before=is_before)
    try:
        act(*args)
    except DiedError:
        return True
    finally:
        loads.mortal.live()
    return False


@at_night
@server_at_night
@pytest.mark.story
def test_a_load_whose_every_run_dies_one_statement_later_brings_every_row_once(loads: Loads) -> None:
    work_id, number = "postgres-backfill-1a2b3c4d", 1
    loads.accept(work_id)
    while died(loads, number, loads.run, work_id, number, is_before=number % 2 == 1):
        number += 1
    assert number > 40
    loads.require_whole(work_id, 6)


@server_at_night
@pytest.mark.story
def test_no_row_of_a_load_that_is_called_cancelled_is_there_wherever_a_cancel_dies(loads: Loads) -> None:
    work_id, number = "postgres-backfill-1a2b3c4d", 1
    loads.accept(work_id)
    assert died(loads, "attach_day", loads.run, work_id, 1, is_before=False)
    assert loads.there(work_id) == 3
    for name in tables_of(loads.client, work_id):  # by hand: that they are there, nothing but the data knows
        loads.client.command(f"DROP TABLE {name} SYNC")
    while died(loads, number, loads.cancel, work_id, number, is_before=number % 2 == 1):
        assert loads.status(work_id) != Status.CANCELLED or loads.there(work_id) == 0
        if loads.status(work_id) == Status.CANCELLED:
            break
        number += 1
    assert (loads.status(work_id), loads.there(work_id)) == (Status.CANCELLED, 0)


@server_at_night
@pytest.mark.story
def test_what_has_landed_is_brought_to_its_end_without_its_source_and_what_was_deleted_of_it_is_there_again(
    loads: Loads,
) -> None:
    work_id = "postgres-backfill-1a2b3c4d"
    loads.accept(work_id)
    assert died(loads, "append load_loaded", loads.run, work_id, 1)
    assert loads.there(work_id) == 6
    loads.client.command(f"DELETE FROM events WHERE load_id = {load_id(work_id)} AND toDate(timestamp) = '{DAYS[0]}'")
    loads.source.execute("DROP TABLE page_views")
    loads.run(work_id, 2)
    loads.require_whole(work_id, 6)


@server_at_night
@pytest.mark.story
def test_what_is_otherwise_than_it_landed_is_never_seen_and_it_is_said_what_to_do(loads: Loads) -> None:
    work_id = "postgres-backfill-1a2b3c4d"
    loads.accept(work_id)
    assert died(loads, "append load_loaded", loads.run, work_id, 1)
    [landing] = tables_of(loads.client, work_id)
    loads.client.command(f"DELETE FROM {landing} WHERE _batch = 1")
    loads.run(work_id, 2)
    assert (loads.status(work_id), loads.there(work_id)) == (Status.FAILED, 0)
    end = require_state(loads.client, POSTGRES_BACKFILL, work_id).end
    assert end is not None
    assert "of range 1 6 rows had landed and 2 are there" in end.payload
    assert "delete it and ask for a new one" in end.payload


@pytest.mark.slow(minutes=4)
@pytest.mark.parametrize("is_before", [True, False])
def test_a_load_that_dies_at_any_statement_is_gone_on_with_and_brings_every_row_once(
    loads: Loads, *, is_before: bool
) -> None:
    for number in range(1, 1000):
        work_id = f"postgres-backfill-{number:08x}"
        loads.accept(work_id)
        has_died = died(loads, number, loads.run, work_id, 1, is_before=is_before)
        if has_died and loads.status(work_id) != Status.COMPLETED:
            loads.run(work_id, 2)
        loads.require_whole(work_id, 6)
        if not has_died:
            return
    pytest.fail("it sends more statements than that")
