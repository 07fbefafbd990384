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
        self.sent, self._dies_at, self._is_before, self.is_dead = 0, 0, True, False
        run, append, leave = Sql._run, Log.append, Leases.__exit__

        def ran(itself: Sql, statement: Callable[..., Any], name: str, *rest: Any) -> Any:
            return (
                run(itself, statement, name, *rest)
                if name == "beat"
                else self._sent(run, itself, statement, name, *rest)
            )

        def appended(itself: Log, *entries: Any) -> None:
            self._sent(append, itself, *entries)

        def left(itself: Leases, *error: Any) -> None:
            if self.is_dead:
                itself._names.clear()  # the dead give nothing back
            leave(itself, *error)

        monkeypatch.setattr(Sql, "_run", ran)
        monkeypatch.setattr(Log, "append", appended)
        monkeypatch.setattr(Leases, "__exit__", left)

    def live(self, dies_at: int = 0, *, is_before: bool = True) -> None:
        """From now on; for ever without ``dies_at``."""
        self.sent, self._dies_at, self._is_before, self.is_dead = 0, dies_at, is_before, False

    def _sent(self, send: Callable[..., Any], *args: Any) -> Any:
        self.sent += 1
        dies = self.sent == self._dies_at
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

    def __init__(self, client: Client, dsn: str, directory: Path, mortal: Mortal) -> None:
        self.client, self.mortal = client, mortal
        (directory / "sources.yaml").write_text(DECLARED)
        (directory / "late_orders.sql").write_text(LATE_ORDERS)
        self._settings = read_settings({"WEB_ANALYTICS_SOURCES": str(directory / "sources.yaml")})
        self._environment = {"TENANT_POSTGRES_DSN": dsn}
        given = read(PostgresBackfillConfig, asked(batch_size=4)).required()
        self.plan: Plan = make_plan(client, given, self._settings, self._environment).plan

    def accept(self, work_id: str) -> None:
        log = Log(self.client, work_of(work_id, self.plan), "run-0")
        control.accept(log, as_yaml(self.plan), "ada", "test", planned_in=0.0, beside=[asked_entry(self.plan)])

    def run(self, work_id: str, number: int) -> None:
        """Go on with it; what the dead held counts as given back."""
        for (lease,) in self.client.query(f"SHOW TABLES LIKE '{LEASE_PREFIX}%'").result_rows:
            self.client.command(f"DROP TABLE {lease} SYNC")

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

    def require_whole(self, work_id: str, rows: int) -> None:
        """Every row is there, once, and those of others are; nothing else is left of it."""
        found = self.client.query(
            "SELECT count(), uniqExact(uuid), countIf(load_id = 0) FROM events "
            f"WHERE load_id IN (0, {load_id(work_id)})"
        ).result_rows
        assert [tuple(row) for row in found] == [(rows + 2, rows + 2, 2)]
        assert require_state(self.client, POSTGRES_BACKFILL, work_id).status == Status.COMPLETED
        assert tables_of(self.client, work_id) == []


@pytest.fixture
def loads(client: Client, postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loads]:
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(TABLE)
        Tenant(postgres_database, connection).history(DAYS[:2])
    insert(client, [Event(7, noon(day)) for day in DAYS[:2]])
    mortal = Mortal(monkeypatch)
    yield Loads(client, postgres_database, tmp_path, mortal)
    mortal.live()


def died(loads: Loads, work_id: str, number: int, dies_at: int, *, is_before: bool) -> bool:
    """Whether a run came to its nth statement, and died there."""
    loads.mortal.live(dies_at, is_before=is_before)
    try:
        loads.run(work_id, number)
    except DiedError:
        loads.mortal.live()
        return True
    loads.mortal.live()
    return False


@pytest.mark.story
def test_a_load_whose_every_run_dies_one_statement_later_brings_every_row_once(loads: Loads) -> None:
    work_id, number = "postgres-backfill-1a2b3c4d", 1
    loads.accept(work_id)
    while died(loads, work_id, number, number, is_before=number % 2 == 1):
        number += 1
    assert number > 40
    loads.require_whole(work_id, 6)


@pytest.mark.slow(minutes=4)
@pytest.mark.parametrize("is_before", [True, False])
def test_a_load_that_dies_at_any_statement_is_gone_on_with_and_brings_every_row_once(
    loads: Loads, *, is_before: bool
) -> None:
    for number in range(1, 1000):
        work_id = f"postgres-backfill-{number:08x}"
        loads.accept(work_id)
        has_died = died(loads, work_id, 1, number, is_before=is_before)
        if has_died and require_state(loads.client, POSTGRES_BACKFILL, work_id).status != Status.COMPLETED:
            loads.run(work_id, 2)
        loads.require_whole(work_id, 6)
        if not has_died:
            return
    pytest.fail("it sends more statements than that")
