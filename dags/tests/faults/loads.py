"""Trials of backfills from PostgreSQL: rows land and are attached while what can go wrong does, on either side.

What must hold, whatever the fault: a load that is completed has brought each row that was in its source all the time
once, and of rows that changed meanwhile one version each; of one that is cancelled no row is there; of one that is
neither, rows are there only while it can be gone on with or cancelled; what it says it cannot do it says with what to
do; rows that others insert are there, each once; and nothing is left behind.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from queue import Queue
from typing import TYPE_CHECKING, Any

import psycopg
from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.store import read_leases
from dags.domain.errors import EngineError
from dags.domain.given import read
from dags.postgres_backfill.fields import PostgresBackfillConfig
from dags.postgres_backfill.log import asked_entry, in_queue, work_of
from dags.postgres_backfill.planning import make_plan
from dags.publish.staging import sweep
from dags.sources.loads.names import load_id
from dags.tests.faults.backfills import LIMIT_SECONDS, Actor, Answer, must
from dags.tests.faults.loading import DSN_VARIABLE, Sides, act_on_load, declared
from dags.tests.faults.trial import BrokenPromiseError
from dags.tests.faults.worker import DEAD_AFTER_SECONDS
from dags.tests.postgres_backfill.tenants import DECLARED, LATE_ORDERS, TABLE
from dags.work import control
from dags.work.audit.log import FINISHED, State, Status
from dags.work.audit.store import Log, read_state
from dags.work.document import as_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dags.tests.faults.server import Server
    from dags.tests.postgres_server import PostgresServer

DAYS = tuple(date(2026, 1, 10) + timedelta(days=number) for number in range(4))
TEAMS = (1, 2, 3)
FOREIGNER = 9

# Where a fault may fall: before these statements of a run or while they are at work, drawn by lot.
LANDING = ("ask", "create_landing", "land", "append chunk_done+step_done", "land", "checkpoints")
ATTACHING = (
    "findings", "rows_by_day", "teams", "append gate", "present", "create_staging", "stage", "staged", "tokens",
    "attach_day", "attach_day", "drop_table", "append load_attached", "append load_loaded",
    "append load_loaded+load_marked", "append ended",
)  # fmt: skip
BEGINNING = ("create_bid", "tables", "append started", "events_of", "asks")
ANYWHERE = (*LANDING, *ATTACHING, *BEGINNING)
HANDING_OVER = ("tables", "create_copy", "attach_all", "rename", "drop_table", "kill", "checkpoints")


class Fault(StrEnum):
    """What goes wrong, at the statement that the seed draws."""

    KILLED = "a run is killed"
    KILLED_TAKING_OVER = "a run is killed while it takes over"
    TERMINATED = "a run is told to end"
    STALLED = "a run stalls, another resumes, it wakes"
    STALLED_TAKING_OVER = "it stalls while it takes over"
    STALLED_AND_CANCELLED = "a run stalls, a cancel comes, it wakes"
    TWO_RUNS = "two runs at once"
    SERVER_KILLED = "ClickHouse is killed and comes back"
    QUERY_KILLED = "somebody kills its statements"
    POSTGRES_RESTARTED = "PostgreSQL restarts"
    POSTGRES_KILLED = "PostgreSQL is killed and comes back"
    POSTGRES_CUT = "its sessions of PostgreSQL are ended"
    TABLE_DROPPED = "the source is dropped"
    COLUMN_RENAMED = "a column of the source is renamed"
    TYPE_CHANGED = "a column's type changes"
    NO_WINDOW = "tokens are forgotten, and an answer is lost"
    LANDING_DROPPED = "somebody drops what has landed"
    LANDING_THINNED = "somebody deletes some of what has landed"
    TARGET_ALTERED = "the target is altered"
    TARGET_OPTIMIZED = "the target is optimized"
    ROWS_DELETED = "somebody deletes some of what is attached"
    CANCELLED = "a cancel comes"
    PAUSED = "a pause comes"
    DELETED = "a delete comes"
    CANCEL_KILLED = "a cancel is killed"


# After these a person may have to give it up, which the words say.
MAY_FAIL = {
    Fault.TABLE_DROPPED,
    Fault.COLUMN_RENAMED,
    Fault.TYPE_CHANGED,
    Fault.NO_WINDOW,
    Fault.LANDING_DROPPED,
    Fault.LANDING_THINNED,
}
UNDOING = {
    Fault.TABLE_DROPPED: b"ALTER TABLE IF EXISTS hidden_views RENAME TO page_views",
    Fault.COLUMN_RENAMED: b"ALTER TABLE page_views RENAME visit TO session",
    Fault.TYPE_CHANGED: b"ALTER TABLE page_views ALTER session TYPE text",
}
WORDS_OF_WHAT_TO_DO = ("ask for a new", "Ask for a new", "Cancel it", "go on with it", "try again")


@dataclass
class Side:
    """Where trials of one lane are: a ClickHouse and a PostgreSQL of its own, and a directory."""

    server: Server
    postgres: PostgresServer
    directory: Path


@dataclass
class LoadTrial:
    """One trial, all of it drawn from its seed."""

    side: Side
    seed: int
    fault: Fault
    step: str = "-"
    outcome: str = "-"
    rows: int = 0
    foreign: int = 0
    answers: list[Answer] = field(default_factory=list)

    def run(self) -> None:
        """Prepare, load with the fault on it, go on until it ends; see whether what must hold does.

        Raises:
            BrokenPromiseError: it does not.
        """
        self._dice = random.Random(self.seed)
        self._id, self._load = f"postgres-backfill-{self.seed:08x}", 0
        self._over, self._foreign, self._tried = threading.Event(), set[str](), set[str]()
        self._late_deletion = False
        with open_client(Dsn.parse(self.side.server.dsn()), wait_seconds=30) as client:
            self._client = client
            self._prepare()
            tables = self._tables()
            self._accept()
            threads = [threading.Thread(target=self._write_on)]
            if self._dice.random() < 0.6:
                threads.append(threading.Thread(target=self._change_source))
            for thread in threads:
                thread.start()
            try:
                self._forth()
            finally:
                self._over.set()
                for thread in threads:
                    thread.join()
            self._check()
            self._end(tables)

    # --- The world before ----------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        client, dice = self._client, self._dice
        for table in ("events", "web_analytics_backfill_events"):
            client.command(f"TRUNCATE TABLE {table} SYNC")
        for (left,) in client.query("SHOW TABLES WHERE name LIKE 'web_analytics_l%'").result_rows:
            client.command(f"DROP TABLE {left} SYNC")  # of a trial that broke off
        for name in ("added", "surplus"):
            client.command(f"ALTER TABLE events DROP COLUMN IF EXISTS {name}")
        client.command("ALTER TABLE events ADD COLUMN surplus String DEFAULT 'x'")
        self._sources = self.side.directory / "sources.yaml"
        self._sources.write_text(DECLARED)
        (self.side.directory / "late_orders.sql").write_text(LATE_ORDERS)
        self.side.postgres.start()
        count, step = dice.randint(2_000, 9_000), dice.choice((1, 1, 3, 1000))
        with self._postgres() as source:
            source.execute("DROP TABLE IF EXISTS page_views, hidden_views CASCADE")
            source.execute(TABLE)
            source.execute(
                "INSERT INTO page_views (id, tenant_id, event_id, happened_at, session, path, updated_at) "
                "SELECT n * 2 * %s + n %% 2, 1 + n %% 3, md5(%s || n::text)::uuid, "
                "%s::timestamptz + (n * 7919 %% 345600) * interval '1 second', 's' || n, '/', '2026-02-01' "
                "FROM generate_series(1, %s) AS n",
                (step, str(self.seed), f"{DAYS[0]} 00:00:00+00", count),
            )
            source.execute("SELECT setval(pg_get_serial_sequence('page_views', 'id'), %s)", (count * 2 * step + 10,))
            source.execute("CHECKPOINT")
            # Of these nobody changes anything.
            self._stable = {str(one) for (one,) in source.execute("SELECT event_id FROM page_views WHERE id % 5 <> 0")}
        self._batch = dice.randint(max(50, count // 40), count)

    def _postgres(self) -> Any:
        return psycopg.connect(self.side.postgres.dsn(), autocommit=True, connect_timeout=5)

    def _tables(self) -> set[str]:
        return {str(name) for (name,) in self._client.query("SHOW TABLES").result_rows}

    def _accept(self) -> None:
        given = {
            "pipeline": "tenant-import",
            "table_name": "public.page_views",
            "dry_run": False,
            "requested_by": "ada",
            "reason": "a week was lost",
            "batch_size": self._batch,
            "parallelism": self._dice.choice((1, 1, 2, 3)),
            "kind": self._dice.choice(("full", "full", "incremental")),
        }
        asked = read(PostgresBackfillConfig, given).required()
        environment = {DSN_VARIABLE: self.side.postgres.dsn()}
        self._plan = make_plan(self._client, asked, declared(str(self._sources)), environment).plan
        self._accepted(self._id, self._plan)
        self._load = load_id(self._id)

    def _accepted(self, work_id: str, plan: Any) -> None:
        log = Log(self._client, work_of(work_id, plan), f"accepted-{work_id}")
        control.accept(log, as_yaml(plan), "ada", "trial", planned_in=0.1, beside=[asked_entry(plan)])

    # --- Forth ---------------------------------------------------------------------------------------------------

    def call(self, role: str) -> tuple[Callable[..., None], tuple[Any, ...]]:
        sides = Sides(self.side.server.dsn(), self.side.postgres.dsn(), str(self._sources))
        return act_on_load, (sides, role, self._id)

    def _forth(self) -> None:
        if self.fault in (Fault.KILLED_TAKING_OVER, Fault.STALLED_TAKING_OVER):
            self._act("run", (*LANDING, *ATTACHING), lambda actor: actor.kill())
            self._settle()
            self._act("run", HANDING_OVER, self._strike)
        elif self.fault is Fault.CANCEL_KILLED:
            self._act("run", (*ATTACHING, "append load_attached"), lambda actor: actor.kill())
            self._settle()
            where = ("create_bid", "tables", "present", "take_out", "take_out", "drop_table", "append ended")
            self._act("cancel", where, self._strike)
        else:
            self._act("run", ANYWHERE if self._dice.random() < 0.7 else ATTACHING, self._strike)
        for _ in range(7):
            status = self._state().status
            if status in FINISHED - {Status.FAILED}:
                break
            if status == Status.FAILED and not self._goes_on():
                break
            self._settle()
            self._act("run")
            if self.answers[-1].outcome == "refused" and "Cancel it" in self.answers[-1].words:
                must(self.fault in MAY_FAIL, f"it cannot be gone on with: {self.answers[-1]}")
                break
        status = self._state().status
        if status not in FINISHED - {Status.FAILED}:
            must(self.fault in MAY_FAIL, f"it does not end: {status}, {self._last_words()}")
            must(
                any(words in self._last_words() for words in WORDS_OF_WHAT_TO_DO),
                f"it does not say what to do: {self._last_words()}",
            )
            self.outcome = f"{status}, given up"
            self._settle()
            self._act("cancel")
            if self._state().status != Status.CANCELLED:  # it had failed, which is an end
                must(self._state().status == Status.FAILED, f"the cancel came to nothing: {self.answers[-1]}")
                self._settle()
                self._act("delete")
        if self.outcome == "-":
            self.outcome = str(self._state().status)

    def _goes_on(self) -> bool:
        """A person reads why it failed and does what is said; or leaves it."""
        if self.fault in UNDOING:
            must("page_views" in self._last_words() or "read" in self._last_words(), f"unclear: {self._last_words()}")
            if self._dice.random() < 0.4:
                return False
            self._undo()
            return True
        return "Ask for a new" not in self._last_words() and "ask for a new" not in self._last_words()

    def _undo(self) -> None:
        """Make the source what it was."""
        with suppress(psycopg.Error), self._postgres() as source:
            source.execute(UNDOING[self.fault])

    def _last_words(self) -> str:
        end = self._state().end
        return f"{end.payload if end else ''} {self.answers[-1].words if self.answers else ''}"

    def _state(self) -> State:
        state = read_state(self._client, self._id)
        if state is None:
            raise BrokenPromiseError("the log has lost the load")
        return state

    def _settle(self) -> None:
        """Let the dead be found out."""
        until = time.monotonic() + LIMIT_SECONDS
        while any(not lease.is_dead(is_embedded=False) for lease in read_leases(self._client)):
            must(time.monotonic() < until, "a lease is held for ever")
            time.sleep(0.1)

    def _act(self, role: str, where: tuple[str, ...] = (), strike: Callable[[Actor], None] | None = None) -> None:
        actor = Actor(self, role)
        if strike is None:
            actor.watch()
            return
        point, occurrence = self._dice.choice(where), self._dice.choice((1, 1, 2, 3))
        within = self._dice.uniform(0, 0.03) if self._dice.random() < 0.4 else None

        def struck() -> None:
            self.step = actor.at
            strike(actor)

        actor.watch(point, occurrence, struck, within=within)
        for one in actor.beside:
            one.join()

    # --- Faults --------------------------------------------------------------------------------------------------

    def _strike(self, actor: Actor) -> None:
        fault = self.fault
        if fault in (Fault.KILLED, Fault.KILLED_TAKING_OVER, Fault.CANCEL_KILLED):
            actor.kill()
        elif fault is Fault.TERMINATED:
            actor.terminate()
        elif fault in (Fault.STALLED, Fault.STALLED_TAKING_OVER, Fault.STALLED_AND_CANCELLED):
            self._stall(actor, "cancel" if fault is Fault.STALLED_AND_CANCELLED else "run")
        elif fault in (Fault.TWO_RUNS, Fault.CANCELLED, Fault.PAUSED, Fault.DELETED):
            role = {Fault.CANCELLED: "cancel", Fault.PAUSED: "pause", Fault.DELETED: "delete"}.get(fault, "run")
            self._beside(actor, role)
        else:
            self._breaking()[fault](actor)

    def _stall(self, actor: Actor, second: str) -> None:
        actor.stall()
        time.sleep(DEAD_AFTER_SECONDS + self._dice.uniform(0.3, 0.8))
        beside = Actor(self, second)
        if self._dice.random() < 0.5:  # it wakes before the other has ended
            thread = threading.Thread(target=beside.watch)
            thread.start()
            actor.beside.append(thread)
            time.sleep(self._dice.uniform(0, 0.6))
        else:
            beside.watch()
        actor.wake()

    def _beside(self, actor: Actor, role: str) -> None:
        beside = Actor(self, role)
        thread = threading.Thread(target=beside.watch)
        thread.start()
        actor.beside.append(thread)
        if self._dice.random() < 0.5:
            thread.join(20)

    def _kill_server(self, _: Actor) -> None:
        self.side.server.kill()
        self.side.server.start()

    def _kill_query(self, _: Actor) -> None:
        self._client.command("KILL QUERY WHERE startsWith(query, '-- dags.') ASYNC")

    def _restart_postgres(self, _: Actor) -> None:
        self.side.postgres.restart(self._dice.choice(("fast", "immediate")))

    def _kill_postgres(self, _: Actor) -> None:
        self.side.postgres.restart("kill")

    def _cut_postgres(self, _: Actor) -> None:
        with self._postgres() as source:
            source.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def _execute(self, statement: str) -> None:
        with self._postgres() as source:
            source.execute(statement.encode())

    def _drop_source(self, _: Actor) -> None:
        self._execute("ALTER TABLE page_views RENAME TO hidden_views")

    def _rename_column(self, _: Actor) -> None:
        self._execute("ALTER TABLE page_views RENAME session TO visit")

    def _change_type(self, _: Actor) -> None:
        self._execute("ALTER TABLE page_views ALTER session TYPE varchar")

    def _landings(self) -> list[str]:
        rows = self._client.query("SHOW TABLES WHERE name LIKE 'web_analytics_landing%'").result_rows
        return [str(name) for (name,) in rows]

    def _forget_tokens(self, _: Actor) -> None:
        """As if a batch was sent again after its token's time: what lands is sent twice, and nothing knows that."""
        for name in self._landings():
            with suppress(ClickHouseError):
                self._client.command(f"ALTER TABLE {name} MODIFY SETTING non_replicated_deduplication_window = 0")
                if self._dice.random() < 0.7:
                    self._client.command(
                        f"INSERT INTO {name} SELECT * REPLACE (_attempt + 1 AS _attempt) FROM {name} "
                        f"WHERE (_range, _batch) IN (SELECT _range, max(_batch) FROM {name} GROUP BY _range)"
                    )

    def _drop_landing(self, _: Actor) -> None:
        for name in self._landings():
            self._client.command(f"DROP TABLE IF EXISTS {name} SYNC")

    def _thin_landing(self, _: Actor) -> None:
        for name in self._landings():
            with suppress(ClickHouseError):
                self._client.command(f"DELETE FROM {name} WHERE cityHash64(_key) % 7 = 0")

    def _alter_target(self, _: Actor) -> None:
        self._client.command(
            self._dice.choice(
                (
                    "ALTER TABLE events ADD COLUMN IF NOT EXISTS added String DEFAULT 'y'",
                    "ALTER TABLE events DROP COLUMN IF EXISTS surplus",
                )
            )
        )

    def _optimize_target(self, _: Actor) -> None:
        with suppress(ClickHouseError):
            self._client.command("OPTIMIZE TABLE events FINAL")

    def _delete_rows(self, actor: Actor) -> None:
        """Some rows of it go; where it looks once more after that, they are there in the end."""
        late = ("during", "append load_loaded", "append ended", "drop_table", "tokens", "tables", "asks", "events_of")
        self._late_deletion = any(one in actor.at for one in late)
        self._client.command(f"DELETE FROM events WHERE load_id = {self._load} AND cityHash64(uuid) % 3 = 0")

    def _breaking(self) -> dict[Fault, Callable[[Actor], None]]:
        return {
            Fault.SERVER_KILLED: self._kill_server,
            Fault.QUERY_KILLED: self._kill_query,
            Fault.POSTGRES_RESTARTED: self._restart_postgres,
            Fault.POSTGRES_KILLED: self._kill_postgres,
            Fault.POSTGRES_CUT: self._cut_postgres,
            Fault.TABLE_DROPPED: self._drop_source,
            Fault.COLUMN_RENAMED: self._rename_column,
            Fault.TYPE_CHANGED: self._change_type,
            Fault.NO_WINDOW: self._forget_tokens,
            Fault.LANDING_DROPPED: self._drop_landing,
            Fault.LANDING_THINNED: self._thin_landing,
            Fault.TARGET_ALTERED: self._alter_target,
            Fault.TARGET_OPTIMIZED: self._optimize_target,
            Fault.ROWS_DELETED: self._delete_rows,
        }

    # --- What others do meanwhile --------------------------------------------------------------------------------

    def _write_on(self) -> None:
        """Others insert events of the same days all the time; what was acknowledged must be there, and once."""
        dice = random.Random(-self.seed)
        while not self._over.is_set():
            self._over.wait(0.05)
            with (
                suppress(ClickHouseError, EngineError),
                open_client(Dsn.parse(self.side.server.dsn()), wait_seconds=5, answer_seconds=10) as client,
            ):
                while not self._over.wait(dice.uniform(0.01, 0.1)):
                    one, day = str(uuid.UUID(int=dice.getrandbits(128))), dice.choice(DAYS)
                    self._tried.add(one)
                    client.command(
                        "INSERT INTO events (team_id, uuid, event, timestamp, session_id) "
                        f"VALUES ({FOREIGNER}, '{one}', '$pageview', '{day} 11:00:00', 'f')"
                    )
                    self._foreign.add(one)

    def _change_source(self) -> None:
        """Rows of the source change, go and come all the time, some in transactions that commit late."""
        dice = random.Random(-self.seed)
        while not self._over.is_set():
            self._over.wait(0.05)
            with suppress(psycopg.Error), self._postgres() as source:
                while not self._over.wait(dice.uniform(0.01, 0.1)):
                    with source.transaction():
                        act = dice.choice(("update", "delete", "insert", "late"))
                        if act == "update":
                            source.execute(
                                "UPDATE page_views SET path = '/changed', updated_at = clock_timestamp() "
                                "WHERE id %% 5 = 0 AND id %% 7 = %s",
                                (dice.randint(0, 6),),
                            )
                        elif act == "delete":
                            source.execute(
                                "DELETE FROM page_views WHERE id %% 5 = 0 AND id %% 97 = %s", (dice.randint(0, 96),)
                            )
                        else:
                            source.execute(
                                "INSERT INTO page_views (tenant_id, happened_at, session, path) VALUES "
                                "(1, %s, 'new', '/new')",
                                (f"{dice.choice(DAYS)} 13:00:00+00",),
                            )
                            if act == "late":
                                self._over.wait(dice.uniform(0.1, 1.5))

    # --- What must hold ------------------------------------------------------------------------------------------

    def _check(self) -> None:
        state = self._state()
        found = self._client.query(
            f"SELECT toString(uuid), count(), any(pathname) FROM events WHERE load_id = {self._load} GROUP BY uuid"
        ).result_rows
        doubled = [one for one, count, _ in found if count != 1]
        there = {one: path for one, _, path in found}
        self.rows = len(there)
        said = f"; {[(one.role, one.outcome, one.words[:200]) for one in self.answers]}"
        if state.status == Status.COMPLETED:
            lost = self._stable - there.keys()
            if not (self.fault is Fault.ROWS_DELETED and self._late_deletion):
                must(not lost, f"{len(lost)} of {len(self._stable)} rows are lost" + said)
            must(not doubled, f"{len(doubled)} rows are doubled" + said)
            must(set(there.values()) <= {"/", "/changed", "/new"}, "rows are otherwise than they ever were" + said)
            must(
                all(path == "/" for one, path in there.items() if one in self._stable),
                "rows that nobody changed are otherwise" + said,
            )
        else:
            must(state.status in (Status.CANCELLED, Status.FAILED, Status.DELETED), f"it is {state.status}" + said)
            was_whole = state.end is not None and state.end.status == Status.COMPLETED
            if state.status != Status.FAILED and not was_whole:
                must(not found, f"it is {state.status}, and {len(there)} rows of it are there" + said)
        self._queue_agrees(state, said)
        self._foreign_are_whole()
        if state.status == Status.COMPLETED and self._plan.kind == "incremental":
            self._next_brings_the_rest()

    def _queue_agrees(self, state: State, said: str) -> None:
        rows = self._client.query(
            f"SELECT status, count_record FROM queue_backfill_data WHERE id = '{self._id}'"
        ).result_rows
        if state.status == Status.DELETED:
            must(not rows, "deleted, and in the queue" + said)
            return
        [(status, count)] = rows
        must(status == in_queue(state.status), f"the queue says {status}, the log {state.status}" + said)
        if status == "COMPLETED" and self.fault is not Fault.ROWS_DELETED:
            must(count == self.rows, f"the queue says {count} rows, there are {self.rows}" + said)

    def _foreign_are_whole(self) -> None:
        rows = self._client.query("SELECT toString(uuid), count() FROM events WHERE load_id = 0 GROUP BY uuid")
        found = {str(one): int(count) for one, count in rows.result_rows}
        self.foreign = len(self._foreign)
        lost = self._foreign - found.keys()
        must(not lost, f"{len(lost)} of {len(self._foreign)} rows of others are lost")
        must(all(count == 1 for count in found.values()), "rows of others are doubled")
        must(found.keys() <= self._tried, "rows of others that nobody wrote")

    def _next_brings_the_rest(self) -> None:
        """What the source has in the end, is there after the next incremental load, in its last version."""
        if self.fault in UNDOING:
            self._undo()
        first, self._id = self._id, f"{self._id}-next"
        with self._postgres() as source:
            last = {str(one): path for one, path in source.execute("SELECT event_id, path FROM page_views")}
        self._accept()
        self._load, load = load_id(first), self._load
        self._act("run")
        must(self._state().status == Status.COMPLETED, f"the next incremental load: {self.answers[-1]}")
        found = self._client.query(
            f"SELECT toString(uuid), argMax(pathname, (load_id = {load}, inserted_at)) FROM events WHERE load_id != 0 "
            "GROUP BY uuid"
        ).result_rows
        there = dict(map(tuple, found))
        if not (self.fault is Fault.ROWS_DELETED and self._late_deletion):
            lacking = [one for one, path in last.items() if there.get(one) != path]
            must(not lacking, f"{len(lacking)} of {len(last)} rows of the source are otherwise after the next load")
        self._settle()
        self._act("delete")
        self._id = first

    # --- The end -------------------------------------------------------------------------------------------------

    def _end(self, tables: set[str]) -> None:
        end = self._state().end
        status = end.status if end is not None else "-"
        self._settle()
        if self._state().status != Status.DELETED:
            for _ in range(3):
                self._act("delete")
                if self._state().status == Status.DELETED:
                    break
                self._settle()
        must(self._state().status == Status.DELETED, f"it cannot be deleted: {self.answers[-1]}")
        [(left,)] = self._client.query(f"SELECT count() FROM events WHERE load_id = {self._load}").result_rows
        if status == Status.COMPLETED:
            must(left == self.rows, f"a delete of what was completed took {self.rows - left} rows out")
        else:
            must(left == 0, f"{left} rows of a load that was {status} and then deleted are left")
        self._settle()
        sweep(self._client, lambda _: None)
        must(self._tables() == tables, f"left behind: {self._tables() ^ tables}")
        must(not read_leases(self._client), "a lease is left behind")
        self._foreign_are_whole()


def load_trials(
    sides: list[Side], count: int, first_seed: int, say: Callable[[str], None]
) -> list[tuple[LoadTrial, str]]:
    """So many trials, every fault in turn, on each side one at a time; each with what it broke, or nothing."""
    free: Queue[Side] = Queue()
    for side in sides:
        free.put(side)

    def one(number: int) -> tuple[LoadTrial, str]:
        side = free.get()
        trial, broken = LoadTrial(side, first_seed + number, list(Fault)[number % len(Fault)]), ""
        try:
            trial.run()
        except BrokenPromiseError as error:
            broken = f"seed {trial.seed}, {trial.fault}, {trial.step}: {error}"
            print(broken, flush=True)
        except Exception as error:  # noqa: BLE001 -- a trial that breaks off is told like one that failed
            broken = f"seed {trial.seed}, {trial.fault}, {trial.step}: {type(error).__name__}: {error}"
            print(broken, flush=True)
            traceback.print_exc()
        finally:
            free.put(side)
        return trial, broken

    done = []
    with ThreadPoolExecutor(len(sides)) as lanes:
        for result in lanes.map(one, range(count)):
            done.append(result)
            say(f"{len(done)} of {count} trials of backfills from PostgreSQL")
    return done


def load_tally(done: list[tuple[LoadTrial, str]]) -> str:
    """How often each fault fell, what the loads came to, and what held."""
    ends = sorted({trial.outcome for trial, _ in done})
    lines = [f"{'fault':<46} {'trials':>6} {'struck':>6} " + " ".join(f"{one:>9}" for one in ends) + f" {'broken':>6}"]
    for fault in Fault:
        group = [(trial, broken) for trial, broken in done if trial.fault is fault]
        outcomes = Counter(trial.outcome for trial, _ in group)
        lines.append(
            f"{fault:<46} {len(group):>6} {sum(trial.step != '-' for trial, _ in group):>6} "
            + " ".join(f"{outcomes[one]:>{max(9, len(one))}}" for one in ends)
            + f" {sum(bool(broken) for _, broken in group):>6}"
        )
    steps = Counter(trial.step for trial, _ in done if trial.step != "-")
    failures = sum(bool(broken) for _, broken in done)
    lines += [
        "",
        "struck " + ", ".join(f"{step}: {count}" for step, count in steps.most_common()),
        "",
        f"{len(done)} trials of backfills from PostgreSQL: in {failures} something that must hold did not. "
        f"{sum(trial.rows for trial, _ in done):,} rows were brought, beside "
        f"{sum(trial.foreign for trial, _ in done):,} that others inserted meanwhile"
        + ("; none is lost, none is doubled." if not failures else "; see above."),
    ]
    return "\n".join(lines)
