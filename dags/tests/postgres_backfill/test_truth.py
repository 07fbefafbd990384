"""What lands is what PostgreSQL has: tables by chance, of every type that can be mapped, under sessions of all kinds.

What is expected is asked of PostgreSQL by another client, under a session without surprises, as the text in which the
server writes each value; plain Python makes of it what the column of the target holds.
"""

from __future__ import annotations

import json
import random
import struct
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.engine import open_client
from dags.postgres_backfill.connection import Connection
from dags.postgres_backfill.execution import PostgresBackfill
from dags.postgres_backfill.fields import PostgresBackfillConfig
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.postgres_backfill.log import asked_entry, work_of
from dags.postgres_backfill.planning import make_plan
from dags.settings import read_settings
from dags.sources.file import read_sources
from dags.tests.postgres_backfill.columns import TEXTS
from dags.tests.variants import server_at_night
from dags.work import control
from dags.work.audit.store import Log
from dags.work.document import as_yaml
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Around both changes of the clocks of zones on either hemisphere, to the second and the microsecond, and far away.
MOMENTS = (
    *("2026-03-08 01:59:59.999999", "2026-03-08 02:30:00", "2026-03-08 03:00:00", "2026-11-01 01:30:00.000001"),
    *("2026-03-29 02:00:00", "2026-03-29 02:30:00.5", "2026-10-25 02:59:59.999999", "2026-10-25 03:00:00"),
    *("2026-04-05 02:30:00", "2026-09-27 02:30:00", "1971-01-02 00:00:00", "2148-12-30 23:59:59.999999"),
    *("2024-02-29 12:00:00", "1999-12-31 23:59:59.999999", "2000-01-01 00:00:00", "2038-01-19 03:14:08"),
)
DAYS = ("1971-01-02", "2024-02-29", "2026-03-29", "2038-01-19", "2148-12-30")
WHOLE = ("0", "1", "-1", "32767", "-32768")
BIG = (*WHOLE, "2147483648", "9223372036854775807", "-9223372036854775808", "9007199254740993")
PLAIN_TEXTS = tuple(text for text in TEXTS if len(text) <= 5)


def _float(text: str, _: ZoneInfo) -> Any:
    return repr(float(text))


def _single(text: str, _: ZoneInfo) -> Any:
    return repr(struct.unpack("f", struct.pack("f", float(text)))[0])


def _whole(text: str, _: ZoneInfo) -> Any:
    return int(Decimal(text))


def _text(text: str, _: ZoneInfo) -> Any:
    return text


def _unpadded(text: str, _: ZoneInfo) -> Any:
    return text.rstrip(" ")


def _bool(text: str, _: ZoneInfo) -> Any:
    return text == "t"


def _uuid(text: str, _: ZoneInfo) -> Any:
    return UUID(text)


def _instant(text: str, _: ZoneInfo) -> Any:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def _seconds(text: str, zone: ZoneInfo) -> Any:
    return _instant(text, zone) // 1_000_000


def _local(text: str, zone: ZoneInfo) -> Any:
    """PostgreSQL takes a time that is there twice for the later one, and one that is left out by the offset before."""
    first = datetime.fromisoformat(text).replace(tzinfo=zone)
    second = first.replace(fold=1)
    is_twice = first.utcoffset() > second.utcoffset()  # type: ignore[operator]
    return ((second if is_twice else first) - EPOCH) // timedelta(microseconds=1)


def _day_of(convert: Callable[[str, ZoneInfo], int], text: str, zone: ZoneInfo) -> Any:
    return (EPOCH + timedelta(microseconds=convert(text, zone))).date()


@dataclass(frozen=True)
class Sort:
    """A type of PostgreSQL with values, and what a column of the target has of each."""

    type: str
    values: Sequence[str]
    convert: Callable[[str, ZoneInfo], Any]


TEXT_SORTS = (
    Sort("text", TEXTS, _text),
    Sort("varchar(5)", PLAIN_TEXTS, _text),
    Sort("char(5)", PLAIN_TEXTS, _unpadded),
    Sort("json", ('{"a":  1}', "[]", '"it\'s"'), _text),
    Sort("jsonb", ('{"a":  1}', "null", '{"a": "\\\\"}'), _text),
    Sort("inet", ("10.0.0.1", "10.0.0.1/8", "::1"), _text),
    Sort("mood", ("sad", "it's"), _text),
    Sort("mail", ("a@b", "it's@b"), _text),
    Sort("int[]", ("{}", "{1,2,NULL}", "{{1,2},{3,4}}"), _text),
    Sort("text[]", ("{}", '{a,"b c",NULL}', '{"\\\\"}'), _text),
    Sort("uuid", (str(UUID(int=7)),), _text),
    Sort("bigint", BIG, _text),
    Sort("numeric", ("1.50", "-0.1", "NaN", "1e30"), _text),
)
WHOLE_SORTS = (
    Sort("smallint", WHOLE, _whole),
    Sort("int", (*WHOLE, "2147483647"), _whole),
    Sort("bigint", BIG, _whole),
    Sort("numeric", (*BIG, "12.00"), _whole),
    Sort("numeric(20,2)", ("0", "-7.00", "123456789012345678"), _whole),
    Sort("double precision", ("0", "-0", "9007199254740992", "1e15"), _whole),
    Sort("positive", ("1", "300"), _whole),
    Sort("text", ("12", " -7 "), _whole),
)
NARROW_SORTS = (Sort("int", WHOLE, _whole), Sort("bigint", WHOLE, _whole), Sort("numeric", WHOLE, _whole))
FLOAT_SORTS = (
    Sort("real", ("0.1", "1e-30", "NaN", "-Infinity", "-0"), _single),
    Sort("double precision", ("0.1", "0.30000000000000004", "1.7976931348623157e308", "Infinity", "5e-324"), _float),
    Sort("numeric", ("0.1", "123456789.123456789"), _float),
    Sort("int", WHOLE, _float),
)
INSTANTS = Sort("timestamptz", [f"{moment}+00" for moment in MOMENTS], _instant)
ROUNDED = Sort("timestamptz(3)", ["2026-03-29 01:00:00.123456+00"], _instant)
LOCALS = Sort("timestamp", MOMENTS, _local)
DATES = Sort("date", DAYS, _local)
TIME_SORTS = (INSTANTS, ROUNDED, LOCALS, DATES)
DAY_SORTS = tuple(Sort(one.type, one.values, partial(_day_of, one.convert)) for one in TIME_SORTS)
SECOND_SORTS = (Sort("timestamptz", ("2026-03-29 01:00:00+00", "2105-12-31 23:59:59+00"), _seconds),)
UUID_SORTS = (
    Sort("uuid", [str(UUID(int=number << 96 | 1)) for number in range(5)], _uuid),
    Sort("text", ["{0190A6C2-7b1e-7000-8000-000000000001}"], _uuid),
)
BOOL_SORTS = (Sort("boolean", ("true", "false"), _bool),)

# Columns of the target: those of `events`, and some of a kind that people add. What is read back, and without a value.
TARGET: Mapping[str, tuple[str, Sequence[Sort], str, Any]] = {
    "uuid": ("UUID", UUID_SORTS[:1], "uuid", None),
    "timestamp": ("DateTime64(6, 'UTC')", TIME_SORTS, "toUnixTimestamp64Micro(timestamp)", None),
    "person_id": ("UUID", UUID_SORTS, "person_id", UUID(int=0)),
    "distinct_id": ("String", TEXT_SORTS, "distinct_id", ""),
    "pathname": ("String", TEXT_SORTS, "pathname", ""),
    "browser": ("LowCardinality(String)", TEXT_SORTS, "browser", ""),
    "viewport_width": ("Int64", WHOLE_SORTS, "viewport_width", 0),
    "viewport_height": ("Int64", WHOLE_SORTS, "viewport_height", 0),
    "own_flag": ("Bool", BOOL_SORTS, "own_flag", False),
    "own_float": ("Float64", FLOAT_SORTS, "own_float", repr(0.0)),
    "own_narrow": ("Nullable(Int16)", NARROW_SORTS, "own_narrow", None),
    "own_small": ("Int32", NARROW_SORTS, "own_small", 0),
    "own_text": ("Nullable(String)", TEXT_SORTS, "own_text", None),
    "own_at": ("Nullable(DateTime64(6, 'UTC'))", TIME_SORTS, "toUnixTimestamp64Micro(own_at)", None),
    "own_seconds": ("DateTime('UTC')", SECOND_SORTS, "toUnixTimestamp(own_seconds)", 0),
    "own_day": ("Nullable(Date32)", DAY_SORTS, "own_day", None),
}
REQUIRED = ("uuid", "timestamp")
OWN = [name for name in TARGET if name.startswith("own_")]

NAMES = ("k", "n", "c1", "bound", "place", "order", 'Weird "key', "keys", "is_last", "the_first")
KEYS = {
    "smallint": ("-32768", "-1", "0", "5", "32767"),
    "int": ("-2147483648", "-7", "0", "1", "2", "3", "2147483647"),
    "bigint": ("-9223372036854775808", "-1", "0", "1", "10", "11", "9223372036854775807"),
    "uuid": tuple(str(UUID(int=number)) for number in (0, 1, 2, 1 << 64, (1 << 128) - 1)),
    "text": TEXTS,
    'text COLLATE "en-x-icu"': TEXTS,
    "varchar(20)": tuple(text for text in TEXTS if len(text) <= 20),
    "char(5)": tuple({text.rstrip(" "): text for text in PLAIN_TEXTS}.values()),
    "numeric": ("-1e40", "-0.5", "0", "0.5", "1.50", "1e40", "NaN"),
}
SESSIONS: Sequence[Mapping[str, str]] = (
    {},
    {"TimeZone": "America/New_York", "DateStyle": "SQL, DMY", "default_transaction_isolation": "serializable"},
    {"TimeZone": "Asia/Kolkata", "DateStyle": "German", "standard_conforming_strings": "off"},
    {"TimeZone": "Europe/Berlin", "bytea_output": "escape", "IntervalStyle": "sql_standard"},
    {"TimeZone": "Pacific/Auckland", "enable_seqscan": "off", "row_security": "off", "lc_messages": "C"},
    {"search_path": "decoys, public", "enable_indexscan": "off", "backslash_quote": "on"},
    {"extra_float_digits": "-3", "quote_all_identifiers": "on", "array_nulls": "on", "jit": "off"},
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
MADE = """
CREATE TYPE mood AS ENUM ('sad', 'it''s'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN mail AS varchar(20) CHECK (VALUE LIKE '%@%');
CREATE SCHEMA decoys; CREATE TABLE decoys.late (a int);
CREATE FUNCTION decoys.trunc(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0.0'
"""


@dataclass
class Source:
    """A database that is loaded from: its address, and the table `late` as it is made anew for each load."""

    dsn: str
    directory: Path
    engine: Dsn
    client: Client
    key: str = "id"
    sorts: dict[str, Sort] = field(default_factory=dict)
    zone: str = "UTC"
    filter_sql: str = ""

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            plain = "SET TimeZone = UTC; SET DateStyle = ISO; SET extra_float_digits = 1; SET row_security = on;"
            connection.execute(f"{plain} SET search_path = public; SET standard_conforming_strings = on".encode())
            yield connection

    def session(self, settings: Mapping[str, str]) -> None:
        """What every session begins with that says nothing else."""
        name = sql.Identifier(conninfo_to_dict(self.dsn)["dbname"])  # type: ignore[arg-type]
        with self.connected() as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))
            for setting, value in settings.items():
                words = sql.SQL(value) if setting == "search_path" else sql.Literal(value)
                statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
                connection.execute(statement.format(name, sql.Identifier(setting), words))

    def make(self, key_type: str, keys: Sequence[str], rows: Sequence[Mapping[str, str | None]]) -> None:
        columns = [sql.SQL("{} {} PRIMARY KEY").format(sql.Identifier(self.key), sql.SQL(key_type))]
        columns += [sql.SQL("{} {}").format(sql.Identifier(f"c_{n}"), sql.SQL(s.type)) for n, s in self.sorts.items()]
        with self.connected() as connection:
            connection.execute("DROP TABLE IF EXISTS late")
            connection.execute(sql.SQL("CREATE TABLE late ({})").format(sql.SQL(", ").join(columns)))
            insert = sql.SQL("INSERT INTO late VALUES ({})")
            for key, row in zip(keys, rows, strict=True):
                values = [sql.Literal(value) for value in (key, *(row[name] for name in self.sorts))]
                connection.execute(insert.format(sql.SQL(", ").join(values)))

    def expected(self) -> list[tuple[Any, ...]]:
        """What the filter selects, as the target is to have it."""
        chosen = sql.SQL(", ").join(sql.Identifier(f"c_{name}") for name in self.sorts)
        with self.connected() as connection:
            statement = sql.SQL("SELECT {} FROM public.late WHERE {}")
            where = sql.SQL(self.filter_sql or "true")
            result = connection.pgconn.exec_(statement.format(chosen, where).as_string(connection).encode())
            assert result.error_message == b"", result.error_message
            found = []
            for row in range(result.ntuples):
                texts = [result.get_value(row, column) for column in range(result.nfields)]
                found.append(tuple(map(self._converted, self.sorts, texts)))
        return sorted(found, key=repr)

    def _converted(self, name: str, text: bytes | None) -> Any:
        return TARGET[name][3] if text is None else self.sorts[name].convert(text.decode(), ZoneInfo(self.zone))

    def landed(self) -> list[tuple[Any, ...]]:
        """What is there of loads."""
        chosen = ", ".join(TARGET[name][2] for name in self.sorts)
        rows = self.client.query(f"SELECT {chosen} FROM events WHERE load_id != 0").result_rows
        floats = [name == "own_float" for name in self.sorts]
        read = (tuple(repr(v) if is_float else v for v, is_float in zip(row, floats, strict=True)) for row in rows)
        return sorted(read, key=repr)

    def load(self, **given: Any) -> tuple[str, str]:
        """Load it; the status and, where there are some, the words that it ended with."""
        table = {
            "table": "public.late", "key": self.key, "into": "events", "time_zone": self.zone,
            "columns": {name: f"c_{name}" for name in self.sorts},
            "constants": {"team_id": "1", "event": "$pageview"},
        }  # fmt: skip
        declared = {"pipelines": [{"name": "truth", "dsn_env": "TRUTH_DSN", "tables": [table]}]}
        (self.directory / "sources.yaml").write_text(json.dumps(declared))
        settings = read_settings({"WEB_ANALYTICS_SOURCES": str(self.directory / "sources.yaml")})
        environment = {"TRUTH_DSN": self.dsn}
        asked = {
            "pipeline": "truth", "table_name": "public.late", "filter_sql": self.filter_sql, "dry_run": False,
            "requested_by": "ada", "reason": "a test", **given,
        }  # fmt: skip
        plan = make_plan(self.client, PostgresBackfillConfig.model_validate(asked), settings, environment).plan
        work = work_of(f"postgres-backfill-{uuid4().hex[:8]}", plan)
        control.accept(
            Log(self.client, work, "run"), as_yaml(plan), "ada", "a test", planned_in=0, beside=[asked_entry(plan)]
        )
        ended = Runner(
            client=self.client,
            # Who has no server has no second client.
            open_client=lambda: (
                nullcontext(self.client) if self.engine.is_embedded else open_client(self.engine, wait_seconds=60)
            ),
            kind=POSTGRES_BACKFILL,
            work=work,
            chunks=plan.ranges,
            worker=PostgresBackfill(
                plan,
                Connection.of(read_sources(settings).pipeline("truth"), environment),
                settings.build_max_seconds,
                moved=lambda _: None,
                attached=lambda _: None,
            ),
            run_id=uuid4().hex,
            ordered_at=read_clocks(self.client).server,
            listeners=Listeners(tell=lambda _: None, chunk_done=lambda *_: None, notify=lambda _: None),
            parallelism=plan.parallelism,
        ).run()
        return str(ended.status), ended.end.payload if ended.end else ""


@pytest.fixture
def source(client: Client, dsn: Dsn, postgres_database: str, tmp_path: Path) -> Source:
    columns = ", ".join(f"ADD COLUMN {name} {TARGET[name][0]}" for name in OWN)
    client.command(f"ALTER TABLE events {columns}")
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(MADE.encode())
    return Source(postgres_database, tmp_path, dsn, client)


def by_chance(source: Source, chance: random.Random) -> str:
    """Make a table by chance, under a session and a filter; what it is like, for whoever reads of a failure."""
    session, key_type = chance.choice(SESSIONS), chance.choice(list(KEYS))
    source.session(session)
    source.zone, source.key = chance.choice(ZONES), chance.choice(NAMES)
    optional = [name for name in TARGET if name not in REQUIRED]
    chosen = [*REQUIRED, *chance.sample(optional, chance.randint(3, len(optional)))]
    source.sorts = {name: chance.choice(TARGET[name][1]) for name in chosen}
    keys = chance.sample(KEYS[key_type], chance.choice([0, 1, len(KEYS[key_type])]))
    rows = [
        {
            name: None if name not in REQUIRED and chance.random() < 0.2 else chance.choice(sort.values)
            for name, sort in source.sorts.items()
        }
        for _ in keys
    ]
    for row in rows:
        row["uuid"] = str(UUID(int=chance.getrandbits(128)))
    try:
        source.make(key_type, keys, rows)
    except psycopg.errors.UndefinedObject:  # this PostgreSQL has no ICU
        source.make("text", keys, rows)
    source.filter_sql = chance.choice(["", "", "c_timestamp < '2026-01-01 00:00:00'", "c_timestamp IS NOT NULL"])
    if source.filter_sql.endswith("'") and source.sorts["timestamp"].type.startswith("timestamptz"):
        source.filter_sql = source.filter_sql.replace("00'", "00Z'")  # without, it is the session's own time
    return f"{session}, {key_type} {source.key}, {source.zone}, {source.filter_sql}, {source.sorts}, {keys}, {rows}"


def assert_true(source: Source, chance: random.Random) -> None:
    about = by_chance(source, chance)
    batch_size, parallelism = chance.choice([1, 2, 7, 1000]), chance.choice([1, 3])
    source.client.command("TRUNCATE TABLE events SYNC")
    status, words = source.load(batch_size=batch_size, parallelism=parallelism)
    assert status == "completed", (words, about)
    assert source.landed() == source.expected(), (batch_size, parallelism, about)


@server_at_night
def test_what_lands_is_what_postgresql_has(source: Source) -> None:
    for seed in range(3):
        assert_true(source, random.Random(seed))


def test_no_batch_is_taken_for_another_whatever_stands_in_the_keys(source: Source) -> None:
    # A batch lands once under its token; these keys, joined by what they hold, would give two batches the same.
    keys = ("1:2", "1:2:0", "1:2:1", "2:0", "3", "a,b", "a", 'a","b', "b")
    source.sorts = {"uuid": UUID_SORTS[0], "timestamp": INSTANTS}
    rows = [{"uuid": str(UUID(int=number + 1)), "timestamp": INSTANTS.values[0]} for number in range(len(keys))]
    source.make('text COLLATE "C"', keys, rows)
    status, words = source.load(batch_size=1)
    assert status == "completed", words
    assert source.landed() == source.expected()


# Column of the target, type of PostgreSQL, value, and words that name it.
NOT_HELD = (
    ("viewport_width", "numeric", "1.5", 'bigint: "1.5"'),
    ("viewport_width", "real", "0.5", 'bigint: "0.5"'),
    ("viewport_width", "double precision", "NaN", "bigint out of range"),
    ("viewport_width", "numeric", "1e19", "bigint out of range"),
    ("viewport_width", "text", "abc", 'bigint: "abc"'),
    ("own_narrow", "int", "32768", "own_narrow"),
    ("own_flag", "text", "perhaps", 'boolean: "perhaps"'),
    ("person_id", "text", "0190", 'uuid: "0190"'),
    ("timestamp", "timestamptz", None, "1 row: timestamp is absent (key 7)"),
    ("timestamp", "timestamptz", "-infinity", "1 row: timestamp is infinite (key 7)"),
    ("timestamp", "date", "infinity", "1 row: timestamp is infinite (key 7)"),
    ("timestamp", "timestamp", "0044-03-15 BC", "1 row: timestamp is before 1971 or after 2148 (key 7)"),
    ("own_at", "timestamptz", "2262-01-01 00:00Z", "1 row: own_at is before 1900 or after 2261 (key 7)"),
    ("own_seconds", "timestamp", "2106-01-01", "1 row: own_seconds is before 1970 or after 2105 (key 7)"),
)


@server_at_night
@pytest.mark.parametrize("cases", [NOT_HELD[::4], pytest.param(NOT_HELD, marks=pytest.mark.slow)], ids=["some", "all"])
def test_a_value_that_its_column_does_not_hold_keeps_the_load_out_and_is_named(
    source: Source, cases: Sequence[tuple[str, str, str | None, str]]
) -> None:
    for target, type_, value, words in cases:
        source.sorts = {"uuid": UUID_SORTS[0], "timestamp": INSTANTS, target: Sort(type_, (), _text)}
        good = {target: None, "uuid": str(UUID(int=1)), "timestamp": "2026-01-01 00:00Z"}
        source.make("int", ["1", "7"], [good, {**good, target: value}])
        status, said = source.load()
        assert (status, source.landed()) == ("failed", []), (target, type_, value)
        assert words in said


@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize("block", range(2))
def test_what_lands_is_what_postgresql_has_whatever_the_table_the_session_and_the_batches(
    source: Source, block: int
) -> None:
    for number in range(60):
        assert_true(source, random.Random(1000 * (block + 1) + number))
