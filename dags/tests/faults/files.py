"""Trials of ingestions of files, from a bucket and from a directory, while what can go wrong does, on either side.

What must hold, whatever the fault, once runs have come to their end and nothing is left to load: of every file that
lies there and can be loaded the rows of its newest version are there, each once; every other is named with the reason,
and no row is there of a version that was not loaded whole; the ledger and the rows say the same; rows that others write
and delete meanwhile are as these left them; and nothing is left behind.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import threading
import time
import traceback
import uuid
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml
from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.store import read_leases
from dags.domain.errors import EngineError
from dags.file_ingestion.kind import FILE_INGESTION
from dags.file_ingestion.versions import FileVersion
from dags.publish.staging import sweep
from dags.sources.loads.sweeping import sweep_landings
from dags.tests.faults.backfills import LIMIT_SECONDS, Actor, Answer, must
from dags.tests.faults.ingesting import NAME, NOTHING, Place, act_on_files
from dags.tests.faults.storage import StorageWire, Way
from dags.tests.faults.trial import BrokenPromiseError
from dags.tests.faults.wire import Wire
from dags.tests.faults.worker import DEAD_AFTER_SECONDS
from dags.work.audit.log import FINISHED, RESUMABLE
from dags.work.audit.store import read_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.tests.faults.server import Server
    from dags.tests.s3_server import S3Server

DAYS = tuple(date(2026, 1, 10) + timedelta(days=number) for number in range(3))
TEAMS = (1, 2, 3)
FOREIGNER = 9
COLUMNS = {"team_id": "tenant", "uuid": "id", "timestamp": "at", "session_id": "visit", "pathname": "path"}

# Where a fault may fall: before these statements of a run or while they are at work, drawn by lot.
BEGINNING = (
    "list_objects", "list_directory", "standing", "ledger", "append accepted", "append started", "create_bid", "take",
    "tables", "events_of", "asks",
)  # fmt: skip
LANDING = (
    "next_instant", "record", "create_staging", "unmerged", "land", "land", "landed", "landed_faults", "leave_out",
    "landed",
)  # fmt: skip
ATTACHING = (
    "present", "tokens", "attach_day", "attach_day", "drop_table",
    "append load_attached", "everywhere", "take_out", "next_instant", "record", "append chunk_done+step_done",
    "append ended",
)  # fmt: skip
ANYWHERE = (*BEGINNING, *LANDING, *LANDING, *ATTACHING, *ATTACHING)


class Fault(StrEnum):
    """What goes wrong, at the statement that the seed draws."""

    KILLED = "a run is killed"
    TERMINATED = "a run is told to end"
    STALLED = "a run stalls, another comes, it wakes"
    STALLED_AND_CLEARED = "a run stalls, a clear comes, it wakes"
    CLEAR_STALLED = "a clear stalls, a run comes, it wakes"
    CLEAR_KILLED = "a clear is killed"
    TWO_RUNS = "two runs at once"
    SERVER_KILLED = "ClickHouse is killed and comes back"
    QUERY_KILLED = "somebody kills its statements"
    CUT = "the connection is cut for good"
    CUT_SHORT = "an answer is lost"
    STORAGE_DOWN = "the storage fails until the run ends"
    STORAGE_FAILS = "the storage fails for a moment"
    REPLACED = "a file is replaced"
    DELETED = "a file is deleted"
    SPOILED = "a file is replaced by one that is bad"
    MANY_CHANGED = "a run is killed, and files change"
    LANDING_DROPPED = "somebody drops what has landed"
    TARGET_OPTIMIZED = "the target is optimized"
    PAUSED = "a pause comes"
    CANCELLED = "a cancel comes"
    CLEARED = "a clear comes"


OF_STORAGE = (Fault.STORAGE_DOWN, Fault.STORAGE_FAILS)
BAD = ("malformed", "no time", "truncated", "empty")


@dataclass
class FileSide:
    """Where trials of one lane are: a ClickHouse of its own, a storage that all have, and a directory."""

    server: Server
    s3: S3Server
    directory: Path


@dataclass(frozen=True)
class Upload:
    """A version of a file as it was put there, the events that it has, and whether it can be loaded."""

    version: FileVersion
    events: frozenset[str]
    is_good: bool


@dataclass
class FileTrial:
    """One trial, all of it drawn from its seed."""

    side: FileSide
    seed: int
    fault: Fault
    step: str = "-"
    outcome: str = "-"
    rows: int = 0
    foreign: int = 0
    answers: list[Answer] = field(default_factory=list)

    def run(self) -> None:
        """Prepare, load with the fault on it, go on until nothing is left to do; see whether what must hold does.

        Raises:
            BrokenPromiseError: it does not.
        """
        self._dice = random.Random(self.seed)
        self._works = 0
        self._over, self._tried, self._written = threading.Event(), set[str](), set[str]()
        self._deleted, self._maybe_deleted = set[str](), set[str]()
        self._is_bucket = self.fault in OF_STORAGE or self._dice.random() < 0.7
        self._wire: Wire | None = None
        self._storage = StorageWire(urlsplit(self.side.s3.endpoint).port or 0)
        with open_client(Dsn.parse(self.side.server.dsn()), wait_seconds=30) as client:
            self._client = client
            self._prepare()
            tables = self._tables()
            writer = threading.Thread(target=self._write_on)
            writer.start()
            try:
                self._forth()
                self._to_the_end()
            finally:
                self._over.set()
                writer.join()
                self._storage.close()
            self._check()
            self._end(tables)

    # --- The world before ----------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        client, dice = self._client, self._dice
        for table in (
            "events",
            "web_analytics_backfill_events",
            "web_analytics_file_events",
            "web_analytics_file_schemas",
        ):
            client.command(f"TRUNCATE TABLE {table} SYNC")
        for (left,) in client.query("SHOW TABLES WHERE name LIKE 'web_analytics_l%'").result_rows:
            client.command(f"DROP TABLE {left} SYNC")  # of a trial that broke off
        self._bucket = f"trial-{self.seed}"
        if self._is_bucket:
            self.side.s3.drop_bucket(self._bucket)
            self.side.s3.make_bucket(self._bucket)
        else:
            found = client.query("SELECT value FROM system.server_settings WHERE name = 'user_files_path'").result_rows
            self._files = Path(found[0][0]) / self._bucket
            shutil.rmtree(self._files, ignore_errors=True)
        self._declare()
        self._current: dict[str, Upload] = {}
        self._by_load: dict[int, tuple[str, Upload]] = {}
        self._names = [
            f"day={DAYS[n % 3]}/part {n}.jsonl{dice.choice(('', '.gz'))}" for n in range(dice.randint(4, 11))
        ]
        for path in self._names:
            self._put(path)
        self._max_files = dice.choice((3, 5, 500, 500))
        if dice.random() < 0.6:  # some of it was loaded before
            self._act("run")
            must(self.answers[-1].outcome == "done", f"the world could not be made: {self.answers[-1]}")
            for path in dice.sample(self._names, dice.randint(1, 3)):
                self._put(path)
            self._names += [f"day={DAYS[n % 3]}/late {n}.jsonl" for n in range(dice.randint(1, 3))]
            for path in self._names[-2:]:
                self._put(path)
        if dice.random() < 0.5:
            self._put(dice.choice(self._names), dice.choice(BAD))
        self._put("always.jsonl")  # a place that was emptied is another matter

    def _declare(self) -> None:
        declared: dict[str, Any] = {
            "name": NAME, "source_file_pattern": "**/*.jsonl*", "format": "JSONEachRow", "columns": COLUMNS,
            "constants": {"event": "$pageview"}, "source_path": f"{getattr(self, '_files', '')}/data/",
        }  # fmt: skip
        self._variables: dict[str, str] = {}
        if self._is_bucket:
            declared |= {
                "source_path": f"http://127.0.0.1:{self._storage.port}/{self._bucket}/data/",
                "access_key_env": "PARTNER_KEY",
                "secret_key_env": "PARTNER_SECRET",
            }
            self._variables = {"PARTNER_KEY": self.side.s3.access_key, "PARTNER_SECRET": self.side.s3.secret_key}
        self._sources = self.side.directory / "files.yaml"
        self._sources.write_text(yaml.safe_dump({"ingestions": [declared]}), encoding="utf-8")

    def _put(self, path: str, kind: str = "") -> None:
        """Upload a version of a file, with some of the events that the one before had."""
        dice = self._dice
        before = sorted(self._current[path].events) if path in self._current else []
        events = [*before[: len(before) // 2]]
        events += [str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(dice.choice((1, 20, 400, 3000)))]
        lines = [
            {"tenant": dice.choice(TEAMS), "id": one, "visit": "v", "path": "/", "at": self._moment()} for one in events
        ]
        if kind == "truncated" and not path.endswith(".gz"):
            kind = "malformed"
        if kind == "no time":
            dice.choice(lines)["at"] = ""
        content = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
        if kind == "malformed":
            content += b'{"tenant": 1, "id": \n' + content[:200]
        if path.endswith(".gz"):
            content = gzip.compress(content, mtime=0)
        if kind == "truncated":
            content = content[: len(content) * 2 // 3]
        if kind == "empty":
            content = b""
        upload = Upload(self._uploaded(path, content), frozenset(events), not kind)
        self._current[path] = upload
        self._by_load[upload.version.load(NAME, 1)] = (path, upload)

    def _moment(self) -> str:
        return f"{self._dice.choice(DAYS)}T{self._dice.randint(0, 23):02d}:30:00Z"

    def _uploaded(self, path: str, content: bytes) -> FileVersion:
        if self._is_bucket:
            etag = self.side.s3.put(self._bucket, f"data/{path}", content)
            return FileVersion(path, len(content), 0, etag.strip('"'))
        whole = self._files / "data" / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        beside = whole.with_suffix(".beside")
        beside.write_bytes(content)
        written = datetime.now(UTC) - timedelta(hours=1)
        micros = (written - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        os.utime(beside, ns=(micros * 1000, micros * 1000))
        beside.replace(whole)
        return FileVersion(path, len(content), micros)

    def _delete(self, path: str) -> None:
        self._current.pop(path, None)
        if self._is_bucket:
            self.side.s3.delete(self._bucket, f"data/{path}")
        else:
            (self._files / "data" / path).unlink(missing_ok=True)

    def _tables(self) -> set[str]:
        return {str(name) for (name,) in self._client.query("SHOW TABLES").result_rows}

    # --- Forth ---------------------------------------------------------------------------------------------------

    def call(self, role: str) -> tuple[Callable[..., None], tuple[Any, ...]]:
        port = self._wire.port if self._wire is not None else None
        # To a run that comes later every bad file is due: what there is of them leaves the others their place.
        is_later = role == "run later"
        most = self._max_files + is_later * sum(not one.is_good for one in self._current.values())
        place = Place(
            self.side.server.dsn(port), str(self._sources), self._variables, most,
            f"day={self._dice.choice(DAYS)}/*",
        )  # fmt: skip
        if role.startswith("run"):
            self._works += 1
        return act_on_files, (place, role, f"file-ingestion-{self.seed:08x}-{self._works}")

    def _forth(self) -> None:
        if self.fault in (Fault.CUT, Fault.CUT_SHORT):
            self._wire = Wire(self.side.server.port)
        if self.fault in (Fault.CLEAR_STALLED, Fault.CLEAR_KILLED):
            self._act("run")
            where = ("ledger", "take", "next_instant", "record", "record", "everywhere", "take_out", "take_out")
            self._act("clear", where, self._strike)
        else:
            self._act("run", ANYWHERE if self._dice.random() < 0.6 else ATTACHING, self._strike)
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        self._storage.way = Way.WHOLE
        self.outcome = self.answers[-1].outcome
        self._settle()
        if self.fault is Fault.MANY_CHANGED:
            for path in self._dice.sample(self._names, min(len(self._names), 5)):
                self._dice.choice((self._put, self._delete, self._spoil))(path)
        state = read_state(self._client, f"file-ingestion-{self.seed:08x}-{self._works}")
        if state is not None and state.status in RESUMABLE and self._dice.random() < 0.3:
            self._act("resume")
            self._settle()

    def _to_the_end(self) -> None:
        """As the schedule does, until nothing is left."""
        for _ in range(12):
            self._act("run later")
            if self.answers[-1].words == NOTHING:
                return
            must(self.answers[-1].outcome == "done", f"a run after it: {self.answers[-1]}")
            must("failed" not in self.answers[-1].words[:9], f"a run after it: {self.answers[-1]}")
            if not self._has_more():
                return

    def _has_more(self) -> bool:
        """Whether a file that lies there waits for a run, or one is on its way."""
        states = self._states()
        return "PROCESSING" in states.values() or any(
            states.get(path) not in (("SUCCESS",) if one.is_good else ("FAILED", "SKIPPED"))
            for path, one in self._current.items()
        )

    def _states(self) -> dict[str, str]:
        return dict(map(tuple, self._client.query("SELECT path, state FROM processed_files").result_rows))

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
        point, occurrence = self._dice.choice(where), self._dice.choice((1, 1, 1, 2, 3))
        within = self._dice.uniform(0, 0.05) if self._dice.random() < 0.4 else None

        def struck() -> None:
            self.step = actor.at
            strike(actor)

        actor.watch(point, occurrence, struck, within=within)
        for one in actor.beside:
            one.join()

    # --- Faults --------------------------------------------------------------------------------------------------

    def _strike(self, actor: Actor) -> None:
        fault = self.fault
        if fault in (Fault.KILLED, Fault.CLEAR_KILLED, Fault.MANY_CHANGED):
            actor.kill()
        elif fault is Fault.TERMINATED:
            actor.terminate()
        elif fault in (Fault.STALLED, Fault.STALLED_AND_CLEARED, Fault.CLEAR_STALLED):
            self._stall(actor, "clear" if fault is Fault.STALLED_AND_CLEARED else "run")
        elif fault in (Fault.TWO_RUNS, Fault.CANCELLED, Fault.PAUSED, Fault.CLEARED):
            role = {Fault.CANCELLED: "cancel", Fault.PAUSED: "pause", Fault.CLEARED: "clear"}.get(fault, "run")
            self._beside(actor, role)
        else:
            self._breaking()[fault]()

    def _stall(self, actor: Actor, second: str) -> None:
        actor.stall()
        time.sleep(DEAD_AFTER_SECONDS + self._dice.uniform(0.3, 0.8))
        if self._dice.random() < 0.5:
            for path in self._dice.sample(self._names, 2):
                self._dice.choice((self._put, self._put, self._delete, self._spoil))(path)
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

    def _breaking(self) -> dict[Fault, Callable[[], None]]:
        return {
            Fault.SERVER_KILLED: self._kill_server,
            Fault.QUERY_KILLED: lambda: self._command("KILL QUERY WHERE startsWith(query, '-- dags.') ASYNC"),
            Fault.CUT: self._cut,
            Fault.CUT_SHORT: self._cut_short,
            Fault.STORAGE_DOWN: self._break_storage,
            Fault.STORAGE_FAILS: self._break_storage_for_a_moment,
            Fault.REPLACED: lambda: self._put(self._dice.choice(self._names)),
            Fault.DELETED: lambda: self._delete(self._dice.choice(self._names)),
            Fault.SPOILED: lambda: self._spoil(self._dice.choice(self._names)),
            Fault.LANDING_DROPPED: self._drop_landing,
            Fault.TARGET_OPTIMIZED: lambda: self._command("OPTIMIZE TABLE events FINAL"),
        }

    def _command(self, statement: str) -> None:
        with suppress(ClickHouseError):
            self._client.command(statement)

    def _kill_server(self) -> None:
        self.side.server.kill()
        self.side.server.start()

    def _cut(self) -> None:
        assert self._wire is not None
        self._wire.cut()

    def _cut_short(self) -> None:
        assert self._wire is not None
        self._wire.cut_short()

    def _break_storage(self) -> None:
        self._storage.way = self._dice.choice([way for way in Way if way is not Way.WHOLE])

    def _break_storage_for_a_moment(self) -> None:
        self._break_storage()
        threading.Timer(self._dice.uniform(0.05, 2), lambda: setattr(self._storage, "way", Way.WHOLE)).start()

    def _spoil(self, path: str) -> None:
        self._put(path, self._dice.choice(BAD))

    def _drop_landing(self) -> None:
        rows = self._client.query("SHOW TABLES WHERE name LIKE 'web_analytics_landing%'").result_rows
        for (name,) in rows:
            self._client.command(f"DROP TABLE IF EXISTS {name} SYNC")

    # --- What others do meanwhile --------------------------------------------------------------------------------

    def _write_on(self) -> None:
        """Others insert events of the same days all the time, and delete some; what was acknowledged must be so."""
        dice = random.Random(-self.seed)
        while not self._over.is_set():
            self._over.wait(0.05)
            with (
                suppress(ClickHouseError, EngineError),
                open_client(Dsn.parse(self.side.server.dsn()), wait_seconds=5, answer_seconds=10) as client,
            ):
                while not self._over.wait(dice.uniform(0.01, 0.1)):
                    if self._written and dice.random() < 0.1:
                        one = dice.choice(sorted(self._written - self._maybe_deleted) or [""])
                        self._maybe_deleted.add(one)
                        client.command(f"DELETE FROM events WHERE team_id = {FOREIGNER} AND toString(uuid) = '{one}'")
                        self._deleted.add(one)
                        continue
                    one, day = str(uuid.UUID(int=dice.getrandbits(128))), dice.choice(DAYS)
                    self._tried.add(one)
                    client.command(
                        "INSERT INTO events (team_id, uuid, event, timestamp, session_id) "
                        f"VALUES ({FOREIGNER}, '{one}', '$pageview', '{day} 11:00:00', 'f')"
                    )
                    self._written.add(one)

    # --- What must hold ------------------------------------------------------------------------------------------

    def _check(self) -> None:
        said = f"; {[(one.role, one.outcome, one.words[:160]) for one in self.answers]}"
        found: dict[int, Counter[str]] = defaultdict(Counter)
        query = "SELECT load_id, toString(uuid), count() FROM events WHERE load_id != 0 GROUP BY ALL"
        for load, one, count in self._client.query(query).result_rows:
            found[load][one] = count
        must(found.keys() <= self._by_load.keys(), "rows of a version that never was" + said)
        there: dict[str, Upload] = {}
        for load, rows in found.items():
            path, upload = self._by_load[load]
            must(set(rows.values()) == {1}, f"{path}: rows are doubled" + said)
            must(rows.keys() == upload.events, f"{path}: {len(rows)} rows of {len(upload.events)}" + said)
            must(path not in there, f"{path}: two versions are there" + said)
            there[path] = upload
            self.rows += len(rows)
        states = self._states()
        errors = dict(map(tuple, self._client.query("SELECT path, error FROM processed_files").result_rows))
        for path, upload in self._current.items():
            if upload.is_good:
                must(there.get(path) == upload, f"{path} is not there, it is {states.get(path)}" + said)
                must(states.get(path) == "SUCCESS", f"{path} is there, and {states.get(path)}" + said)
            else:
                must(there.get(path) != upload, f"{path} is there, and bad" + said)
                must(
                    states.get(path) in ("FAILED", "SKIPPED") and bool(errors[path]),
                    f"{path} is bad, and {states.get(path)}" + said,
                )
        must("PROCESSING" not in states.values(), f"something is on its way for ever: {states}" + said)
        self._ledger_agrees(set(found), said)
        self._foreign_are_whole()

    def _ledger_agrees(self, loads: set[int], said: str) -> None:
        rows = self._client.query(
            "SELECT load, argMax(event, at) FROM web_analytics_file_events GROUP BY path, load"
        ).result_rows
        loaded = {load for load, event in rows if event == "success"}
        names = {load: self._by_load[load][0] for load in loads ^ loaded}
        must(not names, f"the ledger and the rows differ: {names}" + said)

    def _foreign_are_whole(self) -> None:
        rows = self._client.query("SELECT toString(uuid), count() FROM events WHERE load_id = 0 GROUP BY uuid")
        found = {str(one): int(count) for one, count in rows.result_rows}
        self.foreign = len(self._written)
        lost = self._written - self._maybe_deleted - found.keys()
        must(not lost, f"{len(lost)} of {len(self._written)} rows of others are lost")
        must(all(count == 1 for count in found.values()), "rows of others are doubled")
        must(found.keys() <= self._tried - self._deleted, "rows of others that nobody wrote, or that were deleted")

    # --- The end -------------------------------------------------------------------------------------------------

    def _end(self, tables: set[str]) -> None:
        self._settle()
        sweep(self._client, lambda _: None)
        now = read_clocks(self._client).server
        sweep_landings(
            self._client, FILE_INGESTION, FINISHED | RESUMABLE, "sweep", lambda _: None, now=now, kept_days=0
        )
        must(self._tables() == tables, f"left behind: {self._tables() ^ tables}")
        must(not read_leases(self._client), "a lease is left behind")
        if self._is_bucket:
            self.side.s3.drop_bucket(self._bucket)
        else:
            shutil.rmtree(self._files)


def file_trials(
    sides: list[FileSide], count: int, first_seed: int, say: Callable[[str], None]
) -> list[tuple[FileTrial, str]]:
    """So many trials, every fault in turn, on each side one at a time; each with what it broke, or nothing."""
    free: Queue[FileSide] = Queue()
    for side in sides:
        free.put(side)

    def one(number: int) -> tuple[FileTrial, str]:
        side = free.get()
        trial, broken = FileTrial(side, first_seed + number, list(Fault)[number % len(Fault)]), ""
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
            say(f"{len(done)} of {count} trials of ingestions of files")
    return done


def file_tally(done: list[tuple[FileTrial, str]]) -> str:
    """How often each fault fell, how the run that it fell on ended, and what held."""
    ends = sorted({trial.outcome for trial, _ in done})
    lines = [f"{'fault':<42} {'trials':>6} {'struck':>6} " + " ".join(f"{one:>7}" for one in ends) + f" {'broken':>6}"]
    for fault in Fault:
        group = [(trial, broken) for trial, broken in done if trial.fault is fault]
        outcomes = Counter(trial.outcome for trial, _ in group)
        lines.append(
            f"{fault:<42} {len(group):>6} {sum(trial.step != '-' for trial, _ in group):>6} "
            + " ".join(f"{outcomes[one]:>{max(7, len(one))}}" for one in ends)
            + f" {sum(bool(broken) for _, broken in group):>6}"
        )
    steps = Counter(trial.step for trial, _ in done if trial.step != "-")
    failures = sum(bool(broken) for _, broken in done)
    lines += [
        "",
        "struck " + ", ".join(f"{step}: {count}" for step, count in steps.most_common()),
        "",
        f"{len(done)} trials of ingestions of files, in {sum(steps.values())} of which the fault struck: in {failures} "
        f"something that must hold did not. {sum(trial.rows for trial, _ in done):,} rows are there in the end, beside "
        f"{sum(trial.foreign for trial, _ in done):,} that others inserted meanwhile"
        + ("; none is lost, none is doubled." if not failures else "; see above."),
    ]
    return "\n".join(lines)
