"""The processes that act on a managed backfill, and to which the faults happen: carry out, take back, delete, sweep.

Each says before every statement which one is next, and waits for leave: so a stall, a kill or a second process falls
between any two statements, and on the same two whenever the seed is the same.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.sql import Sql
from dags.domain import clock
from dags.domain.errors import LeaseLostError, UserError
from dags.managed_backfill.execution import Backfill
from dags.managed_backfill.kind import BACKFILL
from dags.managed_backfill.log import work_of
from dags.managed_backfill.plan import from_yaml
from dags.managed_backfill.rollback import roll_back
from dags.managed_backfill.sweeping import sweep_backups
from dags.publish.build import DayBuild
from dags.tests.builds import LIMITS
from dags.tests.faults.worker import hurried
from dags.web_preaggregated.tables import WEB_TABLES
from dags.work import control
from dags.work.audit.store import Log, require_state
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from clickhouse_connect.driver.client import Client

# Whoever waits for another's lease gives up after so long.
WAIT_SECONDS = 10.0

# Beyond the time of every backup.
LATER = timedelta(days=8)


def act(asked: Connection, dsn_text: str, role: str, backfill_id: str, run_id: str) -> None:
    """Do what the role says; ends with what became of it, as ``(outcome, words)``."""
    try:
        with (
            hurried(),
            announced(asked),
            open_client(Dsn.parse(dsn_text), wait_seconds=5, answer_seconds=20) as client,
        ):
            asked.send(("done", _ROLES[role](client, dsn_text, backfill_id, run_id)))
    except LeaseLostError as error:
        asked.send(("robbed", str(error)))
    except UserError as error:
        asked.send(("refused", str(error)))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the trial is told
        asked.send(("broke", f"{type(error).__name__}: {error}"))


@contextmanager
def announced(asked: Connection) -> Iterator[Callable[[str], None]]:
    """Within it every statement and every entry of the log is announced, and waits for leave; what announces more."""
    run, append, one_at_a_time = Sql._run, Log.append, threading.Lock()

    def announce(name: str) -> None:
        with one_at_a_time:  # chunks may be at work at once
            asked.send(name)
            asked.recv()

    def ran(itself: Sql, statement: Callable[..., Any], name: str, *rest: Any) -> Any:
        if name not in ("beat", "keeper_beat"):  # signs of life come from a thread of their own
            announce(name)
        return run(itself, statement, name, *rest)

    def appended(itself: Log, *entries: Any) -> None:
        announce("append " + "+".join(sorted({str(entry.event) for entry in entries})))
        append(itself, *entries)

    with mock.patch.object(Sql, "_run", ran), mock.patch.object(Log, "append", appended):
        yield announce


def _carry_out(client: Client, dsn_text: str, backfill_id: str, run_id: str) -> str:
    plan = from_yaml(require_state(client, BACKFILL, backfill_id).accepted.payload)
    table = next(table for table in WEB_TABLES if table.name == plan.scope.table)
    state = Runner(
        client=client,
        open_client=lambda: open_client(Dsn.parse(dsn_text), wait_seconds=5, answer_seconds=20),
        kind=BACKFILL,
        work=work_of(backfill_id, plan),
        chunks=plan.chunks,
        worker=Backfill(table, plan, LIMITS, WAIT_SECONDS, lambda _: None, lambda _: None, lambda *_: None),
        run_id=run_id,
        ordered_at=read_clocks(client).server,
        listeners=Listeners(lambda _: None, lambda *_: None, lambda _: None),
        parallelism=plan.strategy.parallelism,
    ).run()
    return str(state.status)


def _roll_back(client: Client, _: str, backfill_id: str, run_id: str, *, even_built_since: bool = False) -> str:
    messages = roll_back(
        client,
        WEB_TABLES,
        backfill_id,
        run_id=run_id,
        requested_by="trial",
        reason="trial",
        even_built_since=even_built_since,
        wait_seconds=WAIT_SECONDS,
        tell=lambda _: None,
    )
    return str(messages["status"])


def _roll_back_anyway(client: Client, dsn_text: str, backfill_id: str, run_id: str) -> str:
    return _roll_back(client, dsn_text, backfill_id, run_id, even_built_since=True)


def _delete(client: Client, _: str, backfill_id: str, run_id: str) -> str:
    return control.delete(client, BACKFILL, backfill_id, run_id, requested_by="trial", reason="trial")


def _cancel(client: Client, _: str, backfill_id: str, run_id: str) -> str:
    return control.cancel(client, BACKFILL, backfill_id, run_id, requested_by="trial", reason="trial")


def _sweep(client: Client, _: str, __: str, run_id: str) -> str:
    text: list[str] = []
    dropped = sweep_backups(client, clock.utc_now() + LATER, run_id, text.append)
    return f"{len(dropped)} dropped; {'; '.join(text)}"


def _build(client: Client, _: str, backfill_id: str, run_id: str) -> str:
    scope = from_yaml(require_state(client, BACKFILL, backfill_id).accepted.payload).scope
    asked = {scope.table: scope.team_ids}
    built = DayBuild(
        client, scope.start_date, asked, run_id, LIMITS, tables=WEB_TABLES, wait_seconds=WAIT_SECONDS
    ).run()
    return "; ".join(built.problems) or "built"


_ROLES: dict[str, Callable[[Client, str, str, str], str]] = {
    "run": _carry_out,
    "rollback": _roll_back,
    "rollback anyway": _roll_back_anyway,
    "delete": _delete,
    "cancel": _cancel,
    "sweep": _sweep,
    "build": _build,
}
