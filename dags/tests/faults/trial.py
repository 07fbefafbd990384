"""One trial: a day is rebuilt, a fault falls on it, readers look on; then the next detection repairs.

What must hold, whatever the fault: readers of a table see the whole old day or the whole new one, rows of teams that
were not asked for stay the bytes they are, the next repair makes the day equal to its source, and nothing is left
behind.
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.store import read_leases
from dags.detection.store import detect
from dags.domain.errors import EngineError
from dags.publish.build import DayBuild
from dags.publish.moments import Moment
from dags.publish.staging import sweep
from dags.team_selection.store import write_selection
from dags.tests.builds import LIMITS, TABLES
from dags.tests.events import Event, at, insert
from dags.tests.faults.wire import Wire
from dags.tests.faults.worker import work
from dags.tests.fold import fold, sessions_of, stored
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.connection import Connection

    from clickhouse_connect.driver.client import Client

    from dags.tests.faults.server import Server

DAY = date(2026, 1, 10)
NOW = at("2026-01-13 12:00:00")
TEAMS = tuple(range(1, 7))

# A build that takes longer than this hangs.
LIMIT_SECONDS = 60.0

# Often enough to see a hole of some milliseconds, and seldom enough to leave the machine to the build.
LOOK_EVERY_SECONDS = 0.005

Seen = dict[int, tuple[int, int]]


class Fault(StrEnum):
    """What goes wrong, at the step that the seed draws."""

    KILLED = "the build's process is killed"
    KILLED_ANYTIME = "it is killed at any moment"
    SERVER_KILLED = "the server is killed and comes back"
    CUT = "the connection is cut for good"
    CUT_SHORT = "the connection is cut and comes back"
    DISK_FULL = "the disk is full"
    CLOCK = "the clock jumps"
    LEDGER_LOST = "the ledger cannot be written"


class BrokenPromiseError(AssertionError):
    """What must hold whatever the fault did not hold."""


@dataclass
class Trial:
    """One trial, all of it drawn from its seed."""

    server: Server
    seed: int
    fault: Fault
    looks: int = 0
    outcome: str = ""
    step: str = "-"
    _client: Client = field(init=False)

    def run(self) -> None:
        """Prepare, let the fault happen, and see whether what must hold does.

        Raises:
            BrokenPromiseError: it does not.
        """
        self._dice = random.Random(self.seed)
        self._drawn = self._dice.choice(list(Moment))
        self._occurrence = self._dice.choice((1, 2))
        with open_client(Dsn.parse(self.server.dsn()), wait_seconds=30) as client:
            self._client = client
            self._prepare()
            tables = self._tables()
            readers = Readers(self.server.dsn(), [self._old, self._new])
            try:
                self.outcome = self._build()
                self._others_untouched()
                self._repair()
            finally:
                self.looks = readers.end()
            readers.must_have_seen_old_or_new()
            self._bury()
            _must(self._tables() == tables, f"left behind: {self._tables() ^ tables}")
            _must(not read_leases(client), "a lease is left behind")

    # --- The world before ----------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        client, dice = self._client, self._dice
        for table in ("events", "web_pre_aggregated_builds", "web_pre_aggregated_day_states", *TABLES):
            client.command(f"TRUNCATE TABLE {table} SYNC")
        write_selection(client, TEAMS, allow_shrink=True)
        before = [event for team in TEAMS for event in self._traffic(team, "old")]
        insert(client, before)
        DayBuild(client, DAY, dict.fromkeys(TABLES, TEAMS), "before", LIMITS, tables=WEB_TABLES).run()
        self._asked = tuple(sorted(dice.sample(TEAMS, dice.randint(1, len(TEAMS)))))
        late = [event for team in self._asked for event in self._traffic(team, "late")]
        insert(client, late)
        self._events = [*before, *late]
        self._old, self._new = measured(before), measured(self._events)
        self._others = {table: self._bytes(table) for table in TABLES}

    def _traffic(self, team: int, kind: str) -> list[Event]:
        start = at("2026-01-10 00:00:00")
        return [
            Event(team, start + timedelta(minutes=self._dice.randint(0, 1438)), f"{kind}{n}", pathname=f"/{n % 3}")
            for n in range(self._dice.randint(1, 8))
        ]

    def _bytes(self, table: str) -> Any:
        others = [team for team in TEAMS if team not in self._asked] or [0]
        return self._client.query(
            f"SELECT groupArray(hash) FROM (SELECT cityHash64(*) AS hash FROM {table} WHERE team_id IN "
            f"({', '.join(map(str, others))}) ORDER BY ALL)"
        ).result_rows

    def _tables(self) -> set[str]:
        return {str(name) for (name,) in self._client.query("SHOW TABLES").result_rows}

    # --- The fault -----------------------------------------------------------------------------------------------

    def _build(self) -> str:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["dags.tests.faults.worker"])
        near, far = context.Pipe()
        wire = Wire(self.server.port)
        asked = dict.fromkeys(TABLES, self._asked)
        process = context.Process(
            target=work, args=(far, self.server.dsn(wire.port), f"trial-{self.seed}", DAY, asked), daemon=True
        )
        process.start()
        far.close()
        try:
            return self._watched(near, process, wire)
        finally:
            process.kill()
            process.join()
            wire.close()
            near.close()
            self._mend()

    def _watched(self, near: Connection, process: Any, wire: Wire) -> str:
        if self.fault is Fault.KILLED_ANYTIME:
            threading.Timer(self._dice.uniform(0.0, 0.5), process.kill).start()
        until, seen = time.monotonic() + LIMIT_SECONDS, 0
        while near.poll(max(until - time.monotonic(), 0)):
            try:
                text = near.recv()
            except (EOFError, ConnectionResetError):
                return "killed"
            if isinstance(text, tuple):
                return str(text[0])
            seen += text == self._drawn
            jump = None
            if text == self._drawn and seen == self._occurrence:
                self.step = text
                jump = self._strike(process, wire)
            with suppress(OSError):
                near.send(jump)
        raise BrokenPromiseError(f"the build hangs after {LIMIT_SECONDS:.0f} s")

    def _strike(self, process: Any, wire: Wire) -> timedelta | None:
        strikes: dict[Fault, Callable[[], None]] = {
            Fault.KILLED: process.kill,
            Fault.SERVER_KILLED: self._kill_server,
            Fault.CUT: wire.cut,
            Fault.CUT_SHORT: wire.cut_short,
            Fault.DISK_FULL: self._fill_disk,
            Fault.LEDGER_LOST: lambda: self._rename("web_pre_aggregated_builds", "hidden_builds"),
        }
        if self.fault in strikes:
            strikes[self.fault]()
        return self._dice.choice((-1, 1)) * timedelta(days=2) if self.fault is Fault.CLOCK else None

    def _kill_server(self) -> None:
        self.server.kill()
        self.server.start()

    def _fill_disk(self) -> None:
        """The server's own guard: it then refuses every insert as it does on a disk that has no room."""
        for table in (*TABLES, *self._staging()):
            with suppress(ClickHouseError):
                self._client.command(
                    f"ALTER TABLE {table} MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000"
                )

    def _staging(self) -> list[str]:
        return [name for name in self._tables() if name.startswith("web_pre_aggregated_staging_") and "__web" in name]

    def _rename(self, old: str, new: str) -> None:
        if self._client.command(f"EXISTS {old}"):
            self._client.command(f"RENAME TABLE {old} TO {new}")

    def _mend(self) -> None:
        self._rename("hidden_builds", "web_pre_aggregated_builds")
        for table in TABLES:
            self._client.command(f"ALTER TABLE {table} RESET SETTING min_free_disk_bytes_to_perform_insert")

    # --- What must hold ------------------------------------------------------------------------------------------

    def _others_untouched(self) -> None:
        for table in TABLES:
            _must(self._bytes(table) == self._others[table], f"{table}: rows of teams nobody asked for have changed")

    def _repair(self) -> None:
        """As the next tick does: detect, and build what is found wrong."""
        wrong = self._wrong()
        if wrong:
            _must(set(wrong) <= set(TABLES), f"{wrong} is wrong")
            messages = DayBuild(self._client, DAY, wrong, "repair", LIMITS, tables=WEB_TABLES, wait_seconds=20).run()
            _must(not messages.problems, f"the repair failed: {messages.problems}")
        self._others_untouched()
        for table in TABLES:
            _must(
                stored(self._client, table, DAY) == fold(self._events, DAY, table), f"{table} differs from its source"
            )
        _must(not self._wrong(), "something is still wrong after the repair")

    def _bury(self) -> None:
        """Sweep as the next build does, which is hours later: by then the dead have been silent for long enough."""
        until = time.monotonic() + LIMIT_SECONDS
        while any(not lease.is_dead(is_embedded=False) for lease in read_leases(self._client)):
            _must(time.monotonic() < until, "a lease is held for ever")
            time.sleep(0.1)
        sweep(self._client, lambda _: None)

    def _wrong(self) -> dict[str, tuple[int, ...]]:
        found = detect(
            self._client, now=NOW, watched=WEB_TABLES, lookback_days=5, settle=timedelta(hours=1), reads_all_days=True
        )
        _must(not found.unknown, f"unknown: {found.unknown}")
        return {
            table: teams
            for table in TABLES
            if (teams := tuple(v.unit.team_id for v in found.wrong if v.unit.table == table))
        }


class Readers:
    """Look at the day all the time, and remember what they saw that was neither old nor new."""

    def __init__(self, dsn_text: str, allowed: list[Seen]) -> None:
        self._dsn = Dsn.parse(dsn_text)
        self._allowed = allowed
        self._over = threading.Event()
        self._looks = 0
        self._wrong: list[str] = []
        self._thread = threading.Thread(target=self._look_on)
        self._thread.start()

    def end(self) -> int:
        """Stop looking; how often they looked."""
        self._over.set()
        self._thread.join()
        return self._looks

    def must_have_seen_old_or_new(self) -> None:
        """
        Raises:
            BrokenPromiseError: what one of them saw was neither.
        """
        _must(not self._wrong, f"readers saw {self._wrong[:1]}, neither of {self._allowed}")

    def _look_on(self) -> None:
        while not self._over.is_set():
            # A server that is down shows nobody anything.
            self._over.wait(0.05)
            with suppress(ClickHouseError, EngineError), open_client(self._dsn, wait_seconds=5) as client:
                while not self._over.is_set():
                    for table in TABLES:
                        seen = self._look(client, table)
                        self._looks += 1
                        if seen not in self._allowed:
                            self._wrong.append(f"{table}: {seen}")
                    time.sleep(LOOK_EVERY_SECONDS)

    @staticmethod
    def _look(client: Client, table: str) -> Seen:
        rows = client.query(
            f"SELECT team_id, uniqMerge(sessions_uniq_state), sumMerge(pageviews_count_state) FROM {table} "
            "WHERE period_bucket >= '2026-01-10' AND period_bucket < '2026-01-11' GROUP BY team_id"
        ).result_rows
        return {team: (sessions, views) for team, sessions, views in rows}


def measured(events: list[Event], teams: Iterable[int] = TEAMS, day: date = DAY) -> Seen:
    """What readers of the day see of each team, told from the events alone."""
    found: Seen = {}
    for team in teams:
        sessions = list(sessions_of([event for event in events if event.team_id == team], day))
        found[team] = (len(sessions), sum(len(session.pageviews) for session in sessions))
    return found


def _must(holds: bool, words: str) -> None:  # noqa: FBT001 -- an assertion
    if not holds:
        raise BrokenPromiseError(words)
