"""Trials of managed backfills: carried out and taken back, while what can go wrong does, and readers look on.

What must hold, whatever the fault: readers see of each day the whole old state or the whole new one; when a command
says that days are as before, they are; rows of teams that the backfill is not about stay the bytes they are, and what
others insert meanwhile is there, or it was said that it is not; once every run has ended the backfill can be finished
and taken back, unless it was deleted; and nothing is left behind.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from enum import StrEnum
from queue import Queue
from typing import TYPE_CHECKING, Any, Protocol

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.store import read_leases
from dags.domain.errors import EngineError
from dags.domain.given import read
from dags.domain.units import EPOCH
from dags.managed_backfill.fields import BackfillConfig
from dags.managed_backfill.kind import BACKFILL
from dags.managed_backfill.log import Days, work_of
from dags.managed_backfill.planning import make_plan, read_facts
from dags.managed_backfill.request import validated
from dags.publish.build import DayBuild
from dags.publish.staging import sweep
from dags.settings import read_settings
from dags.team_selection.store import write_selection
from dags.tests import events as traffic
from dags.tests.builds import LIMITS
from dags.tests.events import at, insert
from dags.tests.faults.acting import act
from dags.tests.faults.trial import BrokenPromiseError
from dags.tests.faults.worker import DEAD_AFTER_SECONDS
from dags.tests.fold import fold, stored
from dags.tests.managed_backfill import asked
from dags.web_preaggregated.tables import WEB_TABLES
from dags.work import control
from dags.work.audit.log import FINISHED, Entry, Event, Status
from dags.work.audit.store import Log, read_state
from dags.work.document import as_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.tests.faults.server import Server

TABLE = "web_pre_aggregated_stats"
DAYS = (date(2026, 1, 10), date(2026, 1, 11))
NOW = at("2026-01-16 12:00:00")
OURS = (1, 2, 3)
NEIGHBOUR, FOREIGNER = 7, 9
TEAMS = (*OURS, NEIGHBOUR)

# An actor that takes longer than this hangs.
LIMIT_SECONDS = 90.0
LOOK_EVERY_SECONDS = 0.01

# Where a fault may fall: before these statements, drawn by lot, with the occurrence.
OF_RUNS = (
    "create_bid", "holder", "append started", "create_backup", "create_staging", "attach_day", "publish_day", "written",
    "went_along", "events_of", "units_by_day", "append day_backed_up", "append day_swapping",
    "append gate+step_done", "drop_table",
    "append ended",
)  # fmt: skip
OF_ROLLBACKS = (
    "create_bid", "holder", "append started", "contents", "create_staging", "attach_day", "delete_teams", "publish_day",
    "empty_day", "written", "went_along", "published", "append step_undone", "append ended",
)  # fmt: skip


class Fault(StrEnum):
    """What goes wrong, at the statement that the seed draws."""

    STALLED_RUN = "a run stalls, another resumes, it wakes"
    STALLED_RUN_ROLLED_BACK = "a run stalls, a rollback comes, it wakes"
    STALLED_ROLLBACK = "a rollback stalls, another comes, it wakes"
    KILLED_RUN = "a run is killed"
    KILLED_ROLLBACK = "a rollback is killed"
    SERVER_KILLED = "the server is killed and comes back"
    FOREIGN_ROWS = "others write into the table all the time"
    ALTERED = "the table is altered before the rollback"
    ALTERED_IN_RUN = "the table is altered in the middle of a run"
    DELETED = "a delete comes in the middle of a rollback"
    SWEPT = "a sweep comes in the middle of a rollback"
    TWO_RUNS = "two runs at once"
    TWO_ROLLBACKS = "two rollbacks at once"
    BUILT = "a build of the same day comes in the middle"


@dataclass
class Answer:
    """What an actor said in the end: ``done``, ``refused``, ``robbed``, ``broke`` or ``killed``, and its words."""

    role: str
    outcome: str
    words: str = ""


@dataclass
class BackfillTrial:
    """One trial, all of it drawn from its seed."""

    server: Server
    seed: int
    fault: Fault
    looks: int = 0
    step: str = "-"
    answers: list[Answer] = field(default_factory=list)
    lost_rows_named: int = 0

    def run(self) -> None:
        """Prepare, carry out, take back, with the fault on one of the two; see whether what must hold does.

        Raises:
            BrokenPromiseError: it does not.
        """
        self._dice = random.Random(self.seed)
        self._id = f"backfill-{self.seed:08x}"
        self._writing = threading.Event()
        self._written: Counter[date] = Counter()
        with open_client(Dsn.parse(self.server.dsn()), wait_seconds=30) as client:
            self._client = client
            self._prepare()
            tables = self._tables()
            self._accept()
            onlookers = Onlookers(self.server.dsn(), self._old, self._new)
            writer = threading.Thread(target=self._write_on)
            if self.fault is Fault.FOREIGN_ROWS:
                writer.start()
            try:
                self._forth()
                self._back()
            finally:
                self._writing.set()
                if writer.ident:
                    writer.join()
                self.looks = onlookers.end()
            must(not onlookers.wrong, f"readers saw {onlookers.wrong[:1]}")
            self._bury()
            self._others_are_whole()
            must(self._tables() == tables, f"left behind: {self._tables() ^ tables}")
            must(not read_leases(client), "a lease is left behind")

    # --- The world before ----------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        client, dice = self._client, self._dice
        for table in (
            "events", "web_pre_aggregated_builds", "web_pre_aggregated_day_states", "web_analytics_backfill_events",
            *(table.name for table in WEB_TABLES),
        ):  # fmt: skip
            client.command(f"TRUNCATE TABLE {table} SYNC")
        for (left,) in client.query("SHOW TABLES LIKE 'web_pre_aggregated_backup_%'").result_rows:
            client.command(f"DROP TABLE {left} SYNC")  # of a trial that broke off
        write_selection(client, TEAMS, allow_shrink=True)
        before = [event for team in TEAMS for day in DAYS for event in self._traffic(team, day, "old")]
        insert(client, before)
        # One day was never built, one for the neighbour alone: what is absent must go again.
        for day in DAYS[:-1]:
            self._must_build(day, TEAMS)
        if dice.random() < 0.5:
            self._must_build(DAYS[-1], (NEIGHBOUR,))
        late = [event for team in OURS for day in DAYS for event in self._traffic(team, day, "late")]
        insert(client, late)
        self._events = [event for event in (*before, *late) if event.team_id in OURS]
        self._old = {day: self._ours(day) for day in DAYS}
        self._new = {day: fold(self._events, day, TABLE) for day in DAYS}
        self._others = {day: self._bytes_of_others(day) for day in DAYS}

    def _must_build(self, day: date, teams: tuple[int, ...]) -> None:
        built = DayBuild(self._client, day, {TABLE: teams}, "before", LIMITS, tables=WEB_TABLES).run()
        must(not built.problems, f"the world could not be made: {built.problems}")

    def _traffic(self, team: int, day: date, kind: str) -> list[traffic.Event]:
        start = at(f"{day} 01:00:00")
        return [
            traffic.Event(
                team, start + timedelta(minutes=self._dice.randint(0, 1300)), f"{kind}{day}{n}", pathname=f"/{n % 3}"
            )
            for n in range(self._dice.randint(1, 6))
        ]

    def _accept(self) -> None:
        settings = read_settings({})
        request = asked(
            start_date=str(DAYS[0]), end_date=str(DAYS[-1]), chunk_size_days=1, team_ids=list(OURS), allow_shrink=True
        )
        facts = read_facts(self._client, WEB_TABLES, settings, NOW, self._id, in_flight={})
        self._plan = make_plan(self._client, WEB_TABLES, validated(read(BackfillConfig, request), facts), settings, NOW)
        entry = Entry(Event.ACCEPTED, Status.ACCEPTED, payload=as_yaml(self._plan))
        Log(self._client, work_of(self._id, self._plan), f"accepted-{self.seed}").append(entry)

    # --- What is looked at ---------------------------------------------------------------------------------------

    def _ours(self, day: date) -> Any:
        return {key: value for key, value in stored(self._client, TABLE, day).items() if key[1] in OURS}

    def _bytes_of_others(self, day: date) -> Any:
        return self._client.query(
            f"SELECT groupArray(hash) FROM (SELECT cityHash64(persons_uniq_state, sessions_uniq_state, "
            f"pageviews_count_state, team_id, period_bucket, pathname, entry_pathname, end_pathname) AS hash "
            f"FROM {TABLE} WHERE team_id = {NEIGHBOUR} AND toDate(period_bucket) = '{day}' ORDER BY hash)"
        ).result_rows

    def _tables(self) -> set[str]:
        return {str(name) for (name,) in self._client.query("SHOW TABLES").result_rows}

    def _state(self) -> Any:
        state = read_state(self._client, self._id)
        must(state is not None, "the log has lost the backfill")
        return state

    def _are(self, expected: dict[date, Any], words: str, days: tuple[date, ...] = DAYS) -> None:
        wrong = [day for day in days if self._ours(day) != expected[day]]
        must(
            not wrong,
            f"{words}, but {', '.join(map(str, wrong))} are not; {[t.role + ' ' + t.outcome for t in self.answers]}",
        )

    def _others_are_whole(self) -> None:
        for day in DAYS:
            must(
                self._bytes_of_others(day) == self._others[day],
                f"rows of a team nobody asked for have changed on {day}",
            )
            [(found,)] = self._client.query(
                f"SELECT sumMerge(pageviews_count_state) FROM {TABLE} WHERE team_id = {FOREIGNER} AND "
                f"toDate(period_bucket) = '{day}'"
            ).result_rows
            lost = self._written[day] - found
            self.lost_rows_named += max(lost, 0)
            was_shown = any("went with the old day" in one.words for one in self.answers) or self._log_says_lost()
            must(lost <= 0 or was_shown, f"{day}: {lost} of {self._written[day]} rows of others are lost in silence")

    @property
    def rows_of_others(self) -> int:
        return self._written.total()

    def _log_says_lost(self) -> bool:
        return any("went with the old day" in entry.payload for entry in self._state().entries)

    # --- Forth and back ------------------------------------------------------------------------------------------

    def _forth(self) -> None:
        """Carry the backfill out, faults or not, until it is completed."""
        second = {
            Fault.STALLED_RUN: "run", Fault.STALLED_RUN_ROLLED_BACK: "rollback", Fault.TWO_RUNS: "run",
            Fault.ALTERED_IN_RUN: "", Fault.KILLED_RUN: "", Fault.SERVER_KILLED: "", Fault.BUILT: "build",
        }.get(self.fault)  # fmt: skip
        on_rollback = self.fault in (Fault.SERVER_KILLED, Fault.BUILT) and self._dice.random() < 0.5
        self._later = second if on_rollback else None
        if second is None or on_rollback:
            self._act("run")
        else:
            self._act("run", second, OF_RUNS)
        if self.fault is Fault.STALLED_RUN_ROLLED_BACK and self._state().status == Status.ROLLED_BACK:
            self._are(self._old, "the log says that it is rolled back")
            return
        for attempt in range(6):
            status = self._state().status
            if status == Status.COMPLETED:
                break
            if status == Status.ROLLING_BACK:
                return
            if status == Status.RESTORED:
                self._are(self._old, "the log says that it is restored")
                if self.fault is Fault.ALTERED_IN_RUN:  # the backup cannot take the table's parts any more, and says so
                    return
            self._settle()
            if attempt >= 2:
                self._writing.set()  # on a busy machine they leave no day alone for long enough
            self._act("run")
        must(self._state().status == Status.COMPLETED, f"it cannot be completed: {self.answers[-1]}")
        self._are(self._new, "it is completed")

    def _back(self) -> None:
        """Take it back, faults or not, until it says that it is done or cannot be any more."""
        if self.fault is Fault.ALTERED:
            self._alter()
        second = {
            Fault.STALLED_ROLLBACK: "rollback", Fault.KILLED_ROLLBACK: "", Fault.DELETED: "delete",
            Fault.SWEPT: "sweep", Fault.TWO_ROLLBACKS: "rollback",
        }.get(self.fault, self._later)  # fmt: skip
        if self._state().status != Status.ROLLED_BACK:
            self._act("rollback", second, OF_ROLLBACKS)
        for attempt in range(6):
            if self._state().status in (Status.ROLLED_BACK, Status.DELETED):
                break
            self._settle()
            if attempt >= 2:
                self._writing.set()  # as on the way forth
            # A build of others in between is theirs to lose, and a person says so.
            self._act("rollback anyway" if attempt >= 2 or self.fault is Fault.BUILT else "rollback")
        status = self._state().status
        if any(one.role == "sweep" and one.words.startswith("1 dropped") for one in self.answers):
            # Its time was over, it was finished, and no rollback held it yet.
            must("is not there any more" in self.answers[-1].words, f"the backup was swept, and {self.answers[-1]}")
            return
        must(status != Status.DELETED or self.fault is Fault.DELETED, "it was deleted, and nobody asked for that")
        if status == Status.DELETED:
            return
        # Altered in the middle, perhaps no day was replaced; then there is nothing to take back, and it says so.
        replaced_none = self.fault is Fault.ALTERED_IN_RUN and "has replaced nothing" in self.answers[-1].words
        must(status == Status.ROLLED_BACK or replaced_none, f"it cannot be taken back: {self.answers[-1]}")
        self._are(self._before(), "the log says that it is rolled back, or that nothing was replaced")

    def _before(self) -> dict[date, Any]:
        """What each day was before it was backed up: a build of others may have come first, and then that is kept."""
        before = dict(self._old)
        for day, entry in Days.of(self._state()).backed_up.items():
            [(built_at,)] = self._client.query(
                "SELECT max(finished_at) FROM web_pre_aggregated_builds "
                f"WHERE day = '{day}' AND outcome = 'built' AND run_id LIKE 'trial-{self.seed}-build-%'"
            ).result_rows
            if EPOCH < built_at.replace(tzinfo=UTC) < entry.at:
                before[day] = self._new[day]
        return before

    def _settle(self) -> None:
        """Let the dead be found out."""
        time.sleep(DEAD_AFTER_SECONDS + 0.5)

    # --- Actors --------------------------------------------------------------------------------------------------

    def call(self, role: str) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return act, (self.server.dsn(), role, self._id)

    def _act(self, role: str, second: str | None = None, where: tuple[str, ...] = ()) -> None:
        """Let one act; where ``second`` is given the fault falls on it, and that role, if any, acts beside it."""
        actor = Actor(self, role)
        if second is None:
            actor.watch()
        else:
            point, occurrence = self._dice.choice(where), self._dice.choice((1, 1, 2))
            actor.watch(point, occurrence, lambda: self._strike(actor, second))
        for one in actor.beside:
            one.join()
        self._claims_hold()

    def _claims_hold(self) -> None:
        """What was said of days, now that all have ended: the days that are called as before are."""
        last = [answer for answer in self.answers if answer.role.startswith("rollback")][-1:]
        ran_since = self.answers and self.answers[-1].role in ("run", "build")
        for answer in last if not ran_since and self.fault is not Fault.BUILT else ():
            if answer.outcome == "done" and answer.words == Status.ROLLED_BACK:
                self._are(self._old, "a rollback said that all days are as before")
            elif answer.outcome == "refused" and "not wholly rolled back" in answer.words:
                line = next(line for line in answer.words.splitlines() if "as before, read back" in line)
                self._are(self._old, "a rollback said so", tuple(day for day in DAYS if _names(line, day)))

    def _strike(self, actor: Actor, second: str) -> None:
        self.step = actor.at
        if self.fault in (Fault.STALLED_RUN, Fault.STALLED_RUN_ROLLED_BACK, Fault.STALLED_ROLLBACK):
            actor.stall()
            time.sleep(DEAD_AFTER_SECONDS + self._dice.uniform(0.3, 1.0))
            Actor(self, second).watch()
            actor.wake()
        elif self.fault in (Fault.KILLED_RUN, Fault.KILLED_ROLLBACK):
            actor.kill()
        elif self.fault is Fault.SERVER_KILLED:
            self.server.kill()
            self.server.start()
        elif self.fault is Fault.ALTERED_IN_RUN:
            self._alter()
        elif self.fault in (Fault.DELETED, Fault.SWEPT) and self._dice.random() < 0.5:
            actor.stall()
            time.sleep(DEAD_AFTER_SECONDS + self._dice.uniform(0.3, 1.0))
            Actor(self, second).watch()
            actor.wake()
        elif second:
            beside = Actor(self, second)
            thread = threading.Thread(target=beside.watch)
            thread.start()
            actor.beside.append(thread)
            if self._dice.random() < 0.5:
                thread.join()

    def _alter(self) -> None:
        self._altered = self._dice.choice(
            (
                ("ADD COLUMN extra String DEFAULT 'x'", "DROP COLUMN extra"),
                ("ADD PROJECTION extra (SELECT team_id, count() GROUP BY team_id)", "DROP PROJECTION extra"),
                ("ADD INDEX extra team_id TYPE minmax", "DROP INDEX extra"),
            )
        )
        self._client.command(f"ALTER TABLE {TABLE} {self._altered[0]}")

    def _write_on(self) -> None:
        dice = random.Random(-self.seed)
        with open_client(Dsn.parse(self.server.dsn()), wait_seconds=30) as client:
            while not self._writing.wait(dice.uniform(0.05, 1.0)):
                day = dice.choice(DAYS)
                with suppress(ClickHouseError):
                    client.command(
                        f"INSERT INTO {TABLE} (period_bucket, team_id, sessions_uniq_state, persons_uniq_state, "
                        f"pageviews_count_state) SELECT '{day} 05:00:00', {FOREIGNER}, uniqState('f'), "
                        "uniqState(generateUUIDv4()), sumState(toUInt64(1))"
                    )
                    self._written[day] += 1

    # --- The end -------------------------------------------------------------------------------------------------

    def _bury(self) -> None:
        """Drop what is to be dropped once all is over, as a person and the next build do."""
        self._settle()
        if getattr(self, "_altered", None):
            self._client.command(f"ALTER TABLE {TABLE} {self._altered[1]} SETTINGS mutations_sync = 1")
        if self._state().status in FINISHED - {Status.DELETED}:
            control.delete(self._client, BACKFILL, self._id, "burial", requested_by="trial", reason="over")
        until = time.monotonic() + LIMIT_SECONDS
        while any(not lease.is_dead(is_embedded=False) for lease in read_leases(self._client)):
            must(time.monotonic() < until, "a lease is held for ever")
            time.sleep(0.1)
        sweep(self._client, lambda _: None)


class Acted(Protocol):
    """A trial in which processes act on a piece of work."""

    seed: int
    answers: list[Answer]

    def call(self, role: str) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """What a process that plays this role runs, and what that is given between its pipe and its run's id."""


class Actor:
    """A process that acts, watched statement by statement."""

    def __init__(self, trial: Acted, role: str) -> None:
        context = multiprocessing.get_context("forkserver")
        modules = ("acting", "loading", "ingesting")
        context.set_forkserver_preload([f"dags.tests.faults.{module}" for module in modules])
        self._near, far = context.Pipe()
        self._trial, self._role = trial, role
        self.beside: list[threading.Thread] = []
        self.at = "-"
        number = len(trial.answers) + random.randint(0, 10**6)
        run_id = f"trial-{trial.seed}-{role.replace(' ', '-')}-{number}"
        target, given = trial.call(role)
        self._process: Any = context.Process(target=target, args=(far, *given, run_id), daemon=True)
        self._process.start()
        far.close()

    def watch(
        self,
        point: str = "",
        occurrence: int = 1,
        strike: Callable[[], None] = lambda: None,
        *,
        within: float | None = None,
    ) -> None:
        """Let it act to its end; before the statement of this name, for the nth time, the fault comes; or ``within``
        so many seconds of its begin, while it may be at work.

        Raises:
            BrokenPromiseError: it hangs.
        """
        until, seen = time.monotonic() + LIMIT_SECONDS, 0
        answer = Answer(self._role, "hangs")
        try:
            while self._near.poll(max(until - time.monotonic(), 0)):
                try:
                    text = self._near.recv()
                except (EOFError, ConnectionResetError):
                    answer = Answer(self._role, "killed")
                    return
                if isinstance(text, tuple):
                    answer = Answer(self._role, *text)
                    return
                seen += text == point
                strikes = text == point and seen == occurrence
                if strikes and within is None:
                    self.at = f"before {text}"
                    strike()
                with suppress(OSError):
                    self._near.send(None)
                if strikes and within is not None:
                    self.at = f"during {text}"
                    time.sleep(within)
                    strike()
        finally:
            self._trial.answers.append(answer)
            self._process.kill()
            self._process.join()
            self._near.close()
        must(answer.outcome != "hangs", f"a {self._role} hangs after {LIMIT_SECONDS:.0f} s")

    def stall(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


class Onlookers:
    """Look at the days all the time; of the backfill's teams they may see the whole old day or the whole new one."""

    def __init__(self, dsn_text: str, old: dict[date, Any], new: dict[date, Any]) -> None:
        self._dsn = Dsn.parse(dsn_text)
        self._allowed = {day: (_measures(old[day]), _measures(new[day])) for day in DAYS}
        self._over = threading.Event()
        self._looks = 0
        self.wrong: list[str] = []
        self._thread = threading.Thread(target=self._look_on)
        self._thread.start()

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return self._looks

    def _look_on(self) -> None:
        while not self._over.is_set():
            self._over.wait(0.05)
            with suppress(ClickHouseError, EngineError), open_client(self._dsn, wait_seconds=5) as client:
                while not self._over.wait(LOOK_EVERY_SECONDS):
                    for day in DAYS:
                        rows = client.query(
                            f"SELECT team_id, sumMerge(pageviews_count_state) FROM {TABLE} WHERE team_id IN {OURS} AND "
                            f"period_bucket >= '{day}' AND period_bucket < '{day + timedelta(days=1)}' GROUP BY team_id"
                        ).result_rows
                        self._looks += 1
                        if dict(map(tuple, rows)) not in self._allowed[day]:
                            self.wrong.append(f"{day}: {rows}, neither of {self._allowed[day]}")


def _measures(day: Any) -> dict[int, int]:
    """Page views by team, of what `fold` and `stored` answer."""
    found: Counter[int] = Counter()
    for key, values in day.items():
        found[key[1]] += values[2]
    return dict(found)


def _names(line: str, day: date) -> bool:
    """Whether a line of spoken days names a day, alone or within a range."""
    for first, last in re.findall(r"(\d{4}-\d\d-\d\d)(?: … (\d{4}-\d\d-\d\d))?", line):
        if date.fromisoformat(first) <= day <= date.fromisoformat(last or first):
            return True
    return False


def must(holds: bool, words: str) -> None:  # noqa: FBT001 -- an assertion
    if not holds:
        raise BrokenPromiseError(words)


def backfill_trials(
    servers: list[Server], count: int, first_seed: int, say: Callable[[str], None]
) -> list[tuple[BackfillTrial, str]]:
    """So many trials, every fault in turn, on each server one at a time; each with what it broke, or nothing."""
    free: Queue[Server] = Queue()
    for server in servers:
        free.put(server)

    def one(number: int) -> tuple[BackfillTrial, str]:
        server = free.get()
        trial, broken = BackfillTrial(server, first_seed + number, list(Fault)[number % len(Fault)]), ""
        try:
            trial.run()
        except BrokenPromiseError as error:
            broken = f"seed {trial.seed}, {trial.fault}, {trial.step}: {error}"
            print(broken, flush=True)
        finally:
            free.put(server)
        return trial, broken

    done = []
    with ThreadPoolExecutor(len(servers)) as lanes:
        for result in lanes.map(one, range(count)):
            done.append(result)
            say(f"{len(done)} of {count} trials of backfills")
    return done


def backfill_tally(done: list[tuple[BackfillTrial, str]]) -> str:
    """How often each fault fell, what the actors said, and what held."""
    outcomes = ("done", "refused", "robbed", "broke", "killed")
    lines = [
        f"{'fault':<42} {'trials':>6} {'struck':>6} {'acted':>6} "
        + " ".join(f"{one:>7}" for one in outcomes)
        + f" {'looks':>8} {'broken':>6}"
    ]
    for fault in Fault:
        group = [(trial, broken) for trial, broken in done if trial.fault is fault]
        counted = Counter(answer.outcome for trial, _ in group for answer in trial.answers)
        looks = sum(trial.looks for trial, _ in group)
        lines.append(
            f"{fault:<42} {len(group):>6} {sum(trial.step != '-' for trial, _ in group):>6} {counted.total():>6} "
            + " ".join(f"{counted[one]:>7}" for one in outcomes)
            + f" {looks:>8,} {sum(bool(broken) for _, broken in group):>6}"
        )
    steps = Counter(trial.step for trial, _ in done if trial.step != "-")
    failures = sum(bool(broken) for _, broken in done)
    lost_rows_reported = sum(trial.lost_rows_named for trial, _ in done)
    written = sum(trial.rows_of_others for trial, _ in done)
    lines += [
        "",
        "struck " + ", ".join(f"{step}: {count}" for step, count in steps.most_common()),
        "",
        f"{len(done)} trials of managed backfills: in {failures} something that must hold did not. Readers looked "
        f"{sum(trial.looks for trial, _ in done):,} times. Of {written:,} rows that others inserted meanwhile "
        f"{lost_rows_reported} were lost, each said to be"
        + (
            "; every day that was called as before was, and every other could be put back."
            if not failures
            else "; see above."
        ),
    ]
    return "\n".join(lines)
