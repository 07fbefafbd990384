"""A backfill from PostgreSQL against a pipe of psql and against pandas in chunks, in turns, on real servers.

Each of ours is a process of its own, from the request to the end, every day attached. What the peers leave out, such
as checks, the right to stop and to go on, and days that appear whole, is in our seconds.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

import psycopg

from dags.bench.child import environment, in_child
from dags.bench.figures import MEBIBYTE, Spread, paragraph, table, verdict
from dags.bench.loading import PIPELINE, TABLE
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.tests.clickhouse_server import running_server
from dags.tests.postgres_server import PostgresError, postgres_binaries, running_postgres
from dags.web_preaggregated.tables import WEB_TABLES
from dags.work import control

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.tests.clickhouse_server import ServerAddress
    from dags.tests.postgres_server import PostgresServer

ROWS, QUICK_ROWS = 5_000_000, 4_000
ROUNDS, QUICK_ROUNDS = 3, 1
# Of so many rows pandas reads one, and a load is measured for its memory: it has less than a tenth of our rate.
FRACTION, QUICK_FRACTION = 20, 2
SMALLER = 5
CHUNK = 10_000
AT_ONCE = 2
BIG, SMALL = 100_000, 10_000

TARGET_PIPE = 0.9
TARGET_PANDAS_BIG, TARGET_PANDAS_SMALL = 5.0, 2.5
TARGET_ENGINE_MEBIBYTES = 200
TARGET_PYTHON_MEBIBYTES = 10

# As many as a row of `events` has that somebody fills, in 30 days; keys and times grow together, as they do.
COLUMNS = (
    *("team_id", "uuid", "event", "timestamp", "distinct_id", "person_id", "session_id", "host", "pathname"),
    *("referring_domain", "utm_source", "utm_medium", "utm_campaign", "browser", "os", "device_type"),
    *("viewport_width", "viewport_height", "country_code", "city_name", "region_code", "gclid"),
)
MADE = """
CREATE TABLE page_views AS SELECT
    n AS id, (1 + n % 50)::int AS team_id, gen_random_uuid() AS uuid,
    CASE WHEN n % 4 = 0 THEN '$autocapture' ELSE '$pageview' END AS event,
    timestamptz '2026-01-01 00:00:00+00' + n * (interval '30 days' / :rows) AS timestamp,
    'visitor-' || n % 100000 AS distinct_id, md5((n % 100000)::text)::uuid AS person_id,
    'session-' || n / 8 AS session_id, 'www.example.com' AS host, '/articles/' || n % 5000 AS pathname,
    (ARRAY['', 'google.com', 'news.ycombinator.com'])[1 + n % 3] AS referring_domain,
    (ARRAY['', 'google', 'letter'])[1 + n % 3] AS utm_source, (ARRAY['', 'cpc', 'email'])[1 + n % 3] AS utm_medium,
    'campaign-' || n % 20 AS utm_campaign, (ARRAY['Chrome', 'Firefox', 'Safari'])[1 + n % 3] AS browser,
    (ARRAY['Windows', 'Mac OS X', 'iOS'])[1 + n % 3] AS os, (ARRAY['Desktop', 'Mobile'])[1 + n % 2] AS device_type,
    1920::bigint AS viewport_width, 1080::bigint AS viewport_height,
    (ARRAY['DE', 'US', 'NZ'])[1 + n % 3] AS country_code, 'city-' || n % 300 AS city_name,
    'region-' || n % 40 AS region_code, '' AS gclid
FROM generate_series(1, :rows::bigint) AS n
"""
DECLARED = f"""
pipelines:
  - name: {PIPELINE}
    dsn_env: BENCH_POSTGRES_DSN
    tables:
      - {{table: {TABLE}, key: id, into: events, columns: {{{", ".join(f"{name}: {name}" for name in COLUMNS)}}}}}
"""
PEER = "peer"


@dataclass(frozen=True)
class Bench:
    """Both servers, with the table that is loaded, and what a child has to know of them."""

    client: Client
    server: ServerAddress
    postgres: PostgresServer
    variables: dict[str, str]
    rows: int
    progress: Callable[[str], None]

    def ours(self, batch_size: int, rows: int | None = None) -> Load:
        """A load of the first rows, or of all."""
        self.client.command("TRUNCATE TABLE events SYNC")
        wanted = self.rows if rows is None else rows
        work_id, filter_sql = f"postgres-backfill-{uuid4().hex[:8]}", f"id <= {wanted}" if rows is not None else ""
        found = in_child(
            "loading.load", self.variables, work_id=work_id, batch_size=batch_size, parallelism=AT_ONCE,
            filter_sql=filter_sql,
        )  # fmt: skip
        if found["status"] != "completed":
            raise RuntimeError(f"the load is {found['status']}: {found['words']}")
        self._require("events", wanted)
        load = Load(wanted / found["seconds"], found["peak_bytes"], self.memory(work_id))
        self.progress(f"{wanted:,} rows in batches of {batch_size:,}: {load.rate:,.0f} rows a second")
        return load

    def memory(self, work_id: str) -> int:
        """The most that its statements have needed at once."""
        self.client.command("SYSTEM FLUSH LOGS query_log")
        [peak] = Sql("dags.bench", self.client).row("memory_together", {"way": work_id})
        return int(peak)

    def pipe(self) -> float:
        """Rows a second of ``psql COPY … TO STDOUT`` into an insert over HTTP."""
        self.client.command(f"TRUNCATE TABLE {PEER} SYNC")
        # Without a zone, which the format does not read without a slower setting.
        chosen = ", ".join(f"{name} AT TIME ZONE 'UTC'" if name == "timestamp" else name for name in COLUMNS)
        copy = f"COPY (SELECT {chosen} FROM {TABLE}) TO STDOUT"  # noqa: S608 -- of constants
        insert = f"INSERT INTO {PEER} ({', '.join(COLUMNS)}) FORMAT TabSeparated"
        path = f"/?database={Dsn.parse(self.server.dsn('loaded')).database}&query={quote(insert)}"
        began = time.perf_counter()
        command = [str(postgres_binaries() / "psql"), self.variables["BENCH_POSTGRES_DSN"], "-qXc", copy]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as source:  # noqa: S603 -- our own
            http = HTTPConnection(self.server.host, self.server.http_port, timeout=600, blocksize=1 << 20)
            user = {"X-ClickHouse-User": self.server.user, "X-ClickHouse-Key": self.server.password}
            http.request("POST", path, body=source.stdout, headers=user, encode_chunked=True)
            with http.getresponse() as answer:
                if answer.status != 200 or source.wait():  # noqa: PLR2004 -- OK
                    raise RuntimeError(f"the pipe broke: {answer.read()[:1000]!r}, psql {source.returncode}")
        seconds = time.perf_counter() - began
        self._require(PEER, self.rows)
        self.progress(f"psql: {self.rows / seconds:,.0f} rows a second")
        return self.rows / seconds

    def pandas(self, rows: int, *, is_direct: bool = False) -> Load:
        """Rows a second of pandas, over the first rows; see `loading.pandas`."""
        self.client.command(f"TRUNCATE TABLE {PEER} SYNC")
        found = in_child(
            "loading.pandas", self.variables, columns=COLUMNS, rows=rows, chunk=CHUNK, into=PEER,
            is_direct=is_direct,
        )  # fmt: skip
        self._require(PEER, rows)
        load = Load(rows / found["seconds"], found["peak_bytes"], 0)
        self.progress(f"pandas{', direct' * is_direct}, {rows:,} rows: {load.rate:,.0f} rows a second")
        return load

    def cancelled(self, batch_size: int) -> Cancelled:
        """A load that is cancelled while a batch of it is in work."""
        work_id = f"postgres-backfill-{uuid4().hex[:8]}"
        arguments = {"work_id": work_id, "batch_size": batch_size, "parallelism": AT_ONCE, "filter_sql": ""}
        sql = Sql("dags.bench", self.client)
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(in_child, "loading.load", self.variables, **arguments)
            asked_at = self._asked_to_end(sql, work_id, load.done)
            began = time.perf_counter()
            status = load.result()["status"]
            seconds = time.perf_counter() - began
        self.client.command("SYSTEM FLUSH LOGS query_log")
        whole, later = sql.row("landing_statements", {"way": work_id, "since": asked_at})
        self.progress(f"cancelled in batches of {batch_size:,}: {status}, {later} batches after it, {seconds:.1f} s")
        return Cancelled(status, int(whole), int(later), seconds)

    def _asked_to_end(self, sql: Sql, work_id: str, is_over: Callable[[], bool]) -> datetime:
        while not is_over():
            landing, _ = sql.row("batches_in_work", {"way": work_id})
            if landing:
                who = {"requested_by": "bench", "reason": "a benchmark"}
                control.cancel(self.client, POSTGRES_BACKFILL, work_id, "bench", **who)
                _, at = sql.row("batches_in_work", {"way": work_id})
                moment: datetime = at
                return moment
            time.sleep(0.01)
        raise RuntimeError("the load was over before a batch of it was seen")

    def _require(self, name: str, rows: int) -> None:
        [(found,)] = self.client.query(f"SELECT count() FROM {name}").result_rows  # noqa: S608 -- ours
        if found != rows:
            raise AssertionError(f"{name} has {found:,} rows instead of {rows:,}")


@dataclass(frozen=True)
class Load:
    """Rows a second, the most that the process held, and that its statements did on the server; in bytes."""

    rate: float
    peak_bytes: int
    engine_bytes: int


@dataclass(frozen=True)
class Cancelled:
    """The batches that landed, those of them that began after it was asked, and seconds to its end."""

    status: str
    batches: int
    later: int
    seconds: float


@dataclass
class Found:
    """What was measured: round by round, of pandas on the first ``fraction`` rows; memory and a cancel once.

    ``empty`` is what a load of no row holds, in bytes; ``fifth`` a load of the first fifth.
    """

    rows: int
    fraction: int
    big: list[Load] = field(default_factory=list)
    small: list[Load] = field(default_factory=list)
    pipe: list[float] = field(default_factory=list)
    pandas: list[Load] = field(default_factory=list)
    direct: list[Load] = field(default_factory=list)
    empty: int = 0
    fifth: list[Load] = field(default_factory=list)
    cancelled: list[Cancelled] = field(default_factory=list)


def postgres(*, quick: bool, progress: Callable[[str], None], rows: int | None = None) -> Iterator[str]:
    """Yield the text of the figures."""
    try:
        postgres_binaries()
    except PostgresError as error:
        yield f"postgres: left out, {error}"
        return
    rows = rows or (QUICK_ROWS if quick else ROWS)
    with tempfile.TemporaryDirectory() as name, made(Path(name), rows, progress) as bench:
        found = Found(rows, rows // (QUICK_FRACTION if quick else FRACTION))
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            found.big.append(bench.ours(BIG))
            found.pipe.append(bench.pipe())
            found.small.append(bench.ours(SMALL))
            found.pandas.append(bench.pandas(found.fraction))
            found.direct.append(bench.pandas(found.fraction, is_direct=True))
        found.empty = bench.ours(BIG, 0).peak_bytes
        found.fifth.append(bench.ours(BIG, rows // SMALLER))
        sizes = (QUICK_ROWS // 4, QUICK_ROWS // 40) if quick else (BIG, SMALL)
        found.cancelled.extend(map(bench.cancelled, sizes))
    yield _text(found)


@contextmanager
def made(directory: Path, rows: int, progress: Callable[[str], None]) -> Iterator[Bench]:
    """Both servers, the rows in one, and the tables that they come to in the other."""
    (directory / "sources.yaml").write_text(DECLARED, encoding="utf-8")
    with (
        running_server(directory / "server") as server,
        running_postgres(directory / "postgres", options=("shared_buffers=512MB", "max_wal_size=8GB")) as source,
        open_client(Dsn.parse(server.dsn("loaded")), wait_seconds=60, create_database=True, who="bench") as client,
    ):
        apply_schema(client, WEB_TABLES)
        client.command(f"CREATE TABLE {PEER} AS events")
        progress(f"{rows:,} rows in PostgreSQL")
        with psycopg.connect(source.dsn(), autocommit=True) as connection:
            connection.execute(MADE.replace(":rows", str(rows)).encode())
            connection.execute(f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id)".encode())
            connection.execute(f"VACUUM ANALYZE {TABLE}".encode())
        variables = {
            **environment(directory / "home", server.dsn("loaded")),
            "WEB_ANALYTICS_SOURCES": str(directory / "sources.yaml"),
            "BENCH_POSTGRES_DSN": source.dsn(),
        }
        bench = Bench(client, server, source, variables, rows, progress)
        bench.ours(SMALL, 0)  # compiles the modules
        yield bench


def _text(found: Found) -> str:
    big, small, pandas, direct = (
        Spread(tuple(load.rate for load in loads)) for loads in (found.big, found.small, found.pandas, found.direct)
    )
    pipe = Spread(tuple(found.pipe))
    engine = max(load.engine_bytes for load in (*found.big, *found.small)) / MEBIBYTE
    more = [(load.peak_bytes - found.empty) / MEBIBYTE for load in (*found.fifth, *found.big)]
    lines = [
        _line(f"ours, batches of {BIG:,}", big, found.big),
        _line(f"ours, batches of {SMALL:,}", small, found.small),
        ["psql COPY into HTTP", _rates(pipe), "", ""],
        _line(f"pandas, chunks of {CHUNK:,}", pandas, found.pandas),
        _line("the same, unsupported", direct, found.direct),
    ]
    ratios = (
        (f"{TARGET_PIPE} × the pipe", big.over(pipe), TARGET_PIPE, BIG),
        (f"{TARGET_PANDAS_BIG} × pandas", big.over(pandas), TARGET_PANDAS_BIG, BIG),
        (f"{TARGET_PANDAS_SMALL} × pandas", small.over(pandas), TARGET_PANDAS_SMALL, SMALL),
    )
    verdicts = [
        verdict(f"at least {words}", f"batches of {size:,}: {ratio.times}", is_met=ratio.median >= target)
        for words, ratio, target, size in ratios
    ]
    verdicts += [
        verdict(
            f"at most {TARGET_ENGINE_MEBIBYTES} MiB",
            f"the engine needs {engine:,.0f} MiB at once",
            is_met=engine <= TARGET_ENGINE_MEBIBYTES,
        ),
        verdict(
            f"at most {TARGET_PYTHON_MEBIBYTES} MiB",
            f"Python holds {more[0]:.1f} MiB more for a fifth of the rows, {max(more[1:]):.1f} for all",
            is_met=max(more) <= TARGET_PYTHON_MEBIBYTES,
        ),
        verdict(
            "none",
            f"{sum(one.later for one in found.cancelled)} batches began after a cancel; "
            f"{', '.join(f'{one.batches} had landed' for one in found.cancelled)}",
            is_met=not any(one.later for one in found.cancelled)
            and {one.status for one in found.cancelled} == {"cancelled"},
        ),
    ]
    ends = ", ".join(f"{one.seconds:.1f} s" for one in found.cancelled)
    return "\n".join(
        [
            f"postgres: {found.rows:,} rows of {len(COLUMNS)} columns and 30 days, {AT_ONCE} at once",
            "",
            table(["way", "rows a second (min–max)", "MiB, Python", "MiB, engine"], lines),  # noqa: RUF001 -- a range
            "",
            paragraph(
                f"""Ours from the request to the last day that is attached, in a process of its own; pandas on the first
                {found.fraction:,} rows: through SQLAlchemy, as its documentation has it, and with a bare connection of
                psycopg, of which it says that it is not tested (ours is {big.over(direct).times} that). The process of
                a load of no row holds {found.empty / MEBIBYTE:,.0f} MiB. A load that was cancelled was over, with
                nothing left of it, after {ends} (batches of {BIG:,} and {SMALL:,})."""
            ),
            *("  " + line for line in verdicts),
        ]
    )


def _line(way: str, rates: Spread, loads: list[Load]) -> list[str]:
    peak, engine = (
        max(values) / MEBIBYTE for values in zip(*((x.peak_bytes, x.engine_bytes) for x in loads), strict=True)
    )
    return [way, _rates(rates), f"{peak:,.0f}", f"{engine:,.0f}" if engine else ""]


def _rates(spread: Spread) -> str:
    return f"{spread.median:,.0f} ({min(spread.values):,.0f}–{max(spread.values):,.0f})"  # noqa: RUF001 -- a range
