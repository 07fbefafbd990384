"""Files of a bucket against a bare listing and against one ``INSERT … SELECT FROM s3()``, in turns, on a real server.

Ours is from the request to the end: listed, decided, landed, checked, attached by the day and recorded. What the peer
leaves out, such as checks, a file's own number on its rows and days that appear whole, is in our seconds.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from dags.bench.child import environment
from dags.bench.event_files import COLUMNS, COUNT, NAMES, STRUCTURE, VALUES
from dags.bench.figures import MEBIBYTE, Spread, paragraph, table, verdict
from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.schema.apply import apply_schema
from dags.file_ingestion.claims import Claims
from dags.file_ingestion.execution import FileIngestion
from dags.file_ingestion.fields import IngestFilesConfig
from dags.file_ingestion.kind import FILE_INGESTION
from dags.file_ingestion.planning import make_plan
from dags.settings import read_settings
from dags.sources.loads.log import FILES
from dags.tests.clickhouse_server import running_server
from dags.tests.s3_listing import running_listing
from dags.tests.s3_server import running_s3
from dags.web_preaggregated.tables import WEB_TABLES
from dags.work import control
from dags.work.audit.log import Work
from dags.work.audit.store import Log
from dags.work.document import as_yaml
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.planning import Planned
    from dags.tests.s3_listing import ListingServer
    from dags.tests.s3_server import S3Server

LISTED, QUICK_LISTED = 100_000, 3_000
# What is loaded at once: files as partners send them, of some megabytes. What is replaced, or bad, are small ones.
LOAD_FILES, LOAD_ROWS_A_FILE = 60, 100_000
ROWS_A_FILE, QUICK_ROWS_A_FILE = 10_000, 20
BAD_OF_FILES, DAY_FILES, QUICK_FILES = 100, 300, 4
ROUNDS, QUICK_ROUNDS = 3, 1

# As many as a plan takes.
MAX_FILES = 20_000

TARGET_LISTING, TARGET_LISTING_MEBIBYTES = 1.5, 250
TARGET_LOAD = 0.8
TARGET_REPLACED_SECONDS, TARGET_REPLACED = 1.0, 0.05
TARGET_BAD = 1.5

BUCKET, PEER = "bench-files", "peer"
FORMATS = {"Parquet": "parquet", "JSONEachRow": "jsonl.gz"}


@dataclass(frozen=True)
class Bench:
    """The server, the bucket, and how an ingestion of it is declared and run."""

    client: Client
    dsn: Dsn
    s3: S3Server
    directory: Path
    progress: Callable[[str], None]

    def settings(self, name: str, root: str, pattern: str, format_: str) -> dict[str, str]:
        """The environment of an ingestion of that name, which knows no file yet."""
        document = {
            "name": name, "source_path": root, "source_file_pattern": pattern, "format": format_,
            "columns": {one: one for one in COLUMNS}, "access_key_env": "BENCH_KEY", "secret_key_env": "BENCH_SECRET",
            "max_files_per_run": MAX_FILES,
        }  # fmt: skip
        path = self.directory / f"{name}.json"
        path.write_text(json.dumps({"ingestions": [document]}), encoding="utf-8")
        return {
            **environment(self.directory / "home", str(self.dsn)),
            "CLICKHOUSE_DSN": str(self.dsn),
            "WEB_ANALYTICS_SOURCES": str(path),
            "BENCH_KEY": self.s3.access_key,
            "BENCH_SECRET": self.s3.secret_key,
        }

    def planned(self, name: str, variables: dict[str, str], *, dry_run: bool) -> Planned:
        who = {"requested_by": "bench", "reason": "a benchmark"}
        asked = IngestFilesConfig.model_validate({"ingestion": name, "dry_run": dry_run, **who})
        return make_plan(self.client, asked, read_settings(variables), variables, read_clocks(self.client).server)

    def ingest(self, name: str, variables: dict[str, str]) -> tuple[float, int]:
        """A run from the request to the end: its seconds, and the rows that it has brought."""
        began = time.perf_counter()
        planned = self.planned(name, variables, dry_run=False)
        work = Work(f"file-ingestion-{uuid4().hex[:8]}", FILES, planned.plan.subject)
        planned.settle(self.client, work.work_id)
        control.accept(
            Log(self.client, work, work.work_id), as_yaml(planned.plan), "bench", "a benchmark", planned_in=0
        )
        with Leases(self.client, work.work_id, wait_seconds=0, tell=_nobody) as leases:
            claims = Claims(self.client, leases, name, _nobody)
            state = Runner(
                client=self.client,
                open_client=lambda: open_client(self.dsn, wait_seconds=60, who=work.work_id),
                kind=FILE_INGESTION,
                work=work,
                chunks=planned.plan.groups,
                worker=FileIngestion(planned.plan, planned.location, 600, "manual", claims, _nobody, _nobody),
                run_id=work.work_id,
                ordered_at=read_clocks(self.client).server,
                listeners=Listeners(tell=_nobody, chunk_done=_nobody, notify=_nobody),
            ).run()
        return time.perf_counter() - began, sum(entry.rows for entry in state.done.values())

    def put(self, directory: str, numbers: range, format_: str, rows_a_file: int) -> None:
        """Files of a directory, each of its own rows."""
        for number in numbers:
            address = self.s3.url(BUCKET, f"{directory}/{number:04d}.{FORMATS[format_]}")
            first = number * rows_a_file
            self.client.command(
                f"INSERT INTO FUNCTION s3('{address}', '{self.s3.access_key}', {{secret:String}}, '{format_}', "  # noqa: S608
                f"'{STRUCTURE.replace(chr(39), chr(92) + chr(39))}') SELECT {VALUES} FROM "
                f"(SELECT number + {first} AS n FROM numbers({rows_a_file})) "
                "SETTINGS s3_truncate_on_insert = 1",
                parameters={"secret": self.s3.secret_key},
            )

    def one_go(self, directory: str, format_: str) -> float:
        """Seconds of one statement that reads them all into a table like `events`."""
        self.emptied()
        address = self.s3.url(BUCKET, f"{directory}/*.{FORMATS[format_]}")
        began = time.perf_counter()
        self.client.command(
            f"INSERT INTO {PEER} ({NAMES}) SELECT {NAMES} FROM s3('{address}', '{self.s3.access_key}', "  # noqa: S608
            f"{{secret:String}}, '{format_}', '{STRUCTURE.replace(chr(39), chr(92) + chr(39))}')",
            parameters={"secret": self.s3.secret_key},
        )
        return time.perf_counter() - began

    def emptied(self) -> None:
        """Nothing of the measurement before is left: no row, no merge at work, and no file that the server knows."""
        for table_name in ("events", PEER):
            self.client.command(f"TRUNCATE TABLE {table_name} SYNC")
        self.settled()
        self.client.command("SYSTEM DROP PARQUET METADATA CACHE")

    def settled(self) -> None:
        """Wait until no merge is at work, which would take its share of the cores."""
        while self.client.query("SELECT count() FROM system.merges").result_rows != [(0,)]:
            time.sleep(0.1)


def _nobody(*_: object) -> None:
    """Nobody hears of it."""


@dataclass
class Found:
    """What was measured, round by round; sizes beside it."""

    listed: int
    files: int
    rows_a_file: int
    bad_of: int
    day_files: int
    day_rows_a_file: int
    bare: list[float] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)
    known: list[float] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    engine_bytes: int = 0
    loads: dict[str, list[float]] = field(default_factory=dict)
    peers: dict[str, list[float]] = field(default_factory=dict)
    day: float = 0.0
    replaced: list[float] = field(default_factory=list)
    good: list[float] = field(default_factory=list)
    bad: list[float] = field(default_factory=list)


def files(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures."""
    found = Found(
        QUICK_LISTED if quick else LISTED,
        QUICK_FILES if quick else LOAD_FILES,
        QUICK_ROWS_A_FILE if quick else LOAD_ROWS_A_FILE,
        QUICK_FILES if quick else BAD_OF_FILES,
        QUICK_FILES if quick else DAY_FILES,
        QUICK_ROWS_A_FILE if quick else ROWS_A_FILE,
    )
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name, made(Path(name), progress) as bench:
        _discover(bench, found, rounds)
        _load(bench, found, rounds)
        _one_is_bad(bench, found, rounds)
        _replace(bench, found, rounds)
    yield _text(found)


@contextmanager
def made(directory: Path, progress: Callable[[str], None]) -> Iterator[Bench]:
    """The server with its tables, and an empty bucket."""
    with (
        running_server(directory / "server") as server,
        running_s3() as s3,
        open_client(Dsn.parse(server.dsn("files")), wait_seconds=60, create_database=True, who="bench") as client,
    ):
        apply_schema(client, WEB_TABLES)
        client.command(f"CREATE TABLE {PEER} AS events")
        s3.make_bucket(BUCKET)
        yield Bench(client, Dsn.parse(server.dsn("files")), s3, directory, progress)


def _discover(bench: Bench, found: Found, rounds: int) -> None:
    with running_listing(found.listed) as listing:
        of = {name: bench.settings(name, listing.url(), "**/*.jsonl.gz", "JSONEachRow") for name in ("empty", "known")}
        _know_all(bench, listing)
        for number in range(rounds + 1):
            before = listing.requests()
            seconds = {"bare": _bare(bench, listing)}
            for name, variables in of.items():
                began = time.perf_counter()
                plan = bench.planned(name, variables, dry_run=True).plan
                seconds[name] = time.perf_counter() - began
                if plan.files != (0 if name == "known" else min(found.listed, MAX_FILES)):
                    raise AssertionError(f"{plan.files} files are planned of {found.listed}")
            if number:  # the first of each fills what is kept
                found.bare.append(seconds["bare"])
                found.empty.append(seconds["empty"])
                found.known.append(seconds["known"])
            found.requests = dict(listing.requests() - before)
            bench.progress(f"listed {found.listed:,} files: {', '.join(f'{k} {v:.1f} s' for k, v in seconds.items())}")
    bench.client.command("SYSTEM FLUSH LOGS query_log")
    # All that planning asks. A statement that names a key is in the log without its comment.
    [(listings, peak)] = bench.client.query(
        "SELECT countIf(query LIKE '%FROM s3(%min_joined_block_size_rows%'), max(memory_usage) FROM system.query_log "
        "WHERE type = 'QueryFinish' AND query_kind = 'Select' AND query NOT LIKE 'SELECT _path,%' "
        "AND query NOT LIKE '%query_log%'"
    ).result_rows
    if not listings:
        raise AssertionError("the server's log has no listing of ours, so nothing is known of its memory")
    found.engine_bytes = int(peak)


def _know_all(bench: Bench, listing: ListingServer) -> None:
    """Have the ledger of one of them know every file as loaded, as it lies there."""
    bench.client.command(
        "INSERT INTO web_analytics_file_events SELECT 'known', substring(_path, 9), event.1, _size, "
        "toDateTime64(_time, 6, 'UTC'), replaceAll(ifNull(_etag, ''), '\"', ''), cityHash64(_path), 1, 1, '', 'w', "
        "now64(6) + toIntervalSecond(event.2) FROM s3({address:String}, {key:String}, {secret:String}, 'One') "
        "ARRAY JOIN [('processing', 0), ('success', 1)] AS event",
        parameters={
            "address": listing.url("**/*"), "key": bench.s3.access_key, "secret": bench.s3.secret_key,
        },
    )  # fmt: skip


def _bare(bench: Bench, listing: ListingServer) -> float:
    began = time.perf_counter()
    rows = bench.client.query(
        "SELECT _path, _size, _time, _etag FROM s3({address:String}, {key:String}, {secret:String}, 'One')",
        parameters={"address": listing.url("**/*"), "key": bench.s3.access_key, "secret": bench.s3.secret_key},
    ).result_rows
    seconds = time.perf_counter() - began
    if len(rows) != len(listing.keys):
        raise AssertionError(f"{len(rows)} files are listed of {len(listing.keys)}")
    return seconds


def _load(bench: Bench, found: Found, rounds: int) -> None:
    for format_ in FORMATS:
        directory = format_.lower()
        bench.put(directory, range(found.files), format_, found.rows_a_file)
        for number in range(rounds + 1):
            bench.emptied()
            name = f"{directory}-{number}"
            variables = bench.settings(name, bench.s3.url(BUCKET, f"{directory}/"), "*", format_)
            seconds, rows = bench.ingest(name, variables)
            if rows != found.files * found.rows_a_file:
                raise AssertionError(f"{rows:,} rows were loaded of {found.files * found.rows_a_file:,}")
            peer = bench.one_go(directory, format_)
            if number:
                found.loads.setdefault(format_, []).append(seconds)
                found.peers.setdefault(format_, []).append(peer)
            bench.progress(f"{found.files} files of {format_}: {seconds:.2f} s, in one go {peer:.2f} s")


def _one_is_bad(bench: Bench, found: Found, rounds: int) -> None:
    root, middle = bench.s3.url(BUCKET, "some/"), found.bad_of // 2
    bench.put("some", range(found.bad_of), "Parquet", found.day_rows_a_file)
    for number in range(rounds):
        bench.emptied()
        good, _ = bench.ingest(f"good-{number}", bench.settings(f"good-{number}", root, "*", "Parquet"))
        bench.s3.put(BUCKET, f"some/{middle:04d}.parquet", b"PAR1 is none")
        bench.emptied()
        bad, rows = bench.ingest(f"bad-{number}", bench.settings(f"bad-{number}", root, "*", "Parquet"))
        if rows != (found.bad_of - 1) * found.day_rows_a_file:
            raise AssertionError(f"{rows:,} rows were loaded, and not all but those of the bad file")
        bench.put("some", range(middle, middle + 1), "Parquet", found.day_rows_a_file)
        found.good.append(good)
        found.bad.append(bad)
        bench.progress(f"{found.bad_of} files: {good:.2f} s; one of them bad: {bad:.2f} s")


def _replace(bench: Bench, found: Found, rounds: int) -> None:
    bench.put("day", range(found.day_files), "Parquet", found.day_rows_a_file)
    bench.emptied()
    variables = bench.settings("day", bench.s3.url(BUCKET, "day/"), "*", "Parquet")
    found.day, rows = bench.ingest("day", variables)
    bench.progress(f"a day of {rows:,} rows: {found.day:.1f} s")
    for number in range(rounds):
        bench.put("day", range(number, number + 1), "Parquet", found.day_rows_a_file - number - 1)
        bench.settled()
        seconds, _ = bench.ingest("day", variables)
        found.replaced.append(seconds)
        bench.progress(f"one of its files replaced: {seconds:.2f} s")
    [(there,)] = bench.client.query("SELECT count() FROM events").result_rows
    if there != rows - sum(range(1, rounds + 1)) and found.day_rows_a_file > rounds:
        # Every file begins at its number times its rows, which are fewer now; what counts is how many there are.
        raise AssertionError(f"{there:,} rows are there")


def _text(found: Found) -> str:
    bare, empty, known = Spread(tuple(found.bare)), Spread(tuple(found.empty)), Spread(tuple(found.known))
    listing = [
        ["a bare listing", bare.seconds],
        ["ours, no file known", empty.seconds],
        ["ours, all known", known.seconds],
    ]
    ratios = {name: Spread(tuple(found.peers[name])).over(Spread(tuple(found.loads[name]))) for name in FORMATS}
    rows = found.files * found.rows_a_file
    loads = [
        [f"{name}, {way}", spread.seconds, f"{rows / spread.median:,.0f}"]
        for name in FORMATS
        for way, spread in (
            ("ours", Spread(tuple(found.loads[name]))),
            ("in one go", Spread(tuple(found.peers[name]))),
        )
    ]
    replaced, bad = Spread(tuple(found.replaced)), Spread(tuple(found.bad)).over(Spread(tuple(found.good)))
    share, peak = replaced.median / found.day, found.engine_bytes / MEBIBYTE
    slowest = max(empty.over(bare).median, known.over(bare).median)
    others = sum(count for kind, count in found.requests.items() if kind != "LIST")
    verdicts: list[tuple[str, str, bool]] = [
        (f"at most {TARGET_LISTING} ×", f"{empty.over(bare).times} and {known.over(bare).times} a bare listing",
         slowest <= TARGET_LISTING),
        (f"at most {TARGET_LISTING_MEBIBYTES} MiB", f"the engine needs {peak:,.0f} MiB for it",
         peak <= TARGET_LISTING_MEBIBYTES),
        ("none", f"{others} requests for files", others == 0),
        *((f"at least {TARGET_LOAD} ×", f"{name}: {ratio.times} one INSERT", ratio.median >= TARGET_LOAD)
          for name, ratio in ratios.items()),
        (f"at most {TARGET_REPLACED_SECONDS} s", f"a file is replaced in {replaced.seconds}",
         replaced.median <= TARGET_REPLACED_SECONDS),
        (f"at most {TARGET_REPLACED} ×", f"{share:.3f} × of loading its day again", share <= TARGET_REPLACED),
        (f"at most {TARGET_BAD} ×", f"one bad file: {bad.times} the time", bad.median <= TARGET_BAD),
    ]  # fmt: skip
    day = found.day_files * found.day_rows_a_file
    return "\n".join(
        [
            f"files: {found.listed:,} in a listing; {found.files} of {found.rows_a_file:,} rows each, {COUNT} columns",
            "",
            table(["listing", "seconds (min–max)"], listing),  # noqa: RUF001 -- a range
            "",
            table(["load", "seconds (min–max)", "rows a second"], loads),  # noqa: RUF001 -- a range
            "",
            paragraph(
                f"""Ours from the request to the end, every file checked and recorded; the peer has its columns' types
                from us. A file is replaced in a day of {day:,} rows, which took {found.day:.1f} s. Of
                {found.bad_of} files with one bad the others are loaded, and that one is named."""
            ),
            *(f"  {verdict(target, figure, is_met=is_met)}" for target, figure, is_met in verdicts),
        ]
    )
