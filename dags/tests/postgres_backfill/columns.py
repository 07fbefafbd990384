"""A table of every type that PostgreSQL commonly has, with rows by chance, and values to filter them by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from hypothesis import strategies as st
from psycopg import sql

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from psycopg import Connection

TEXTS = (
    *("", " ", "a", "A", "aa", "b", "ä", "Z", "a ", " a", "e\u0301", "é", "ß", "SS", "\u0131", "I", "\U0001f600"),
    *("'", "''", '"', "\\", "\\'", "'\\", "\\\\", "a\\b", "%", "_", "a%", "\\%", "a_b", "100%", ";", "--", "/*", "$$"),
    *("\n", "\t", "NULL", "true", "1", "E'x'", "\\x27", "\\047", "\\u0027", "{}", "{{0}}", "$1", "%s", "?", ":a"),
    *("'; DROP TABLE kept; --", "') OR (true", "it's", "now", "\u2019", "\u00a0"),
)  # fmt: skip
INTEGERS = ("0", "1", "-1", "7", "32767", "-32768")
NUMBERS = ("0", "1.5", "-2.25", "1e3", "NaN", "Infinity", "-inf", "1e-20", "12345678901234567890.123456789")
TIMES = ("2026-01-31", "1999-12-31 23:59:59.999999", "0044-03-15 BC", "infinity", "-infinity", "epoch")


@dataclass(frozen=True)
class Column:
    """One column: its name, its definition, and values that it takes, as a person writes them."""

    name: str
    definition: str
    values: Sequence[str]


def shorter(length: int) -> list[str]:
    return [text for text in TEXTS if len(text.encode()) <= length]


COLUMNS = (
    Column("small", "smallint", INTEGERS),
    Column("whole", "integer", (*INTEGERS, "2147483647", "-2147483648")),
    Column("big", "bigint", (*INTEGERS, "9223372036854775807", "-9223372036854775808")),
    Column("num", "numeric", NUMBERS),
    Column("scaled", "numeric(10,2)", ("0", "1.00", "1.01", "-99999999.99", "NaN", "0.1")),
    Column("single", "real", ("0", "1.1", "NaN", "-Infinity", "1e-30", "-0")),
    Column("double", "double precision", (*NUMBERS[:-1], "-0", "1.1", "1e300")),
    Column("flag", "boolean", ("true", "false")),
    Column("words", "text", TEXTS),
    Column("Limited", "character varying(5)", shorter(5)),
    Column("padded", "character(3)", shorter(3)),
    Column("sorted", 'text COLLATE "C"', TEXTS),
    Column("catalogued", "name", shorter(60)),
    Column("byte", '"char"', ("a", "'", "\\", "", "A")),
    Column("key", "uuid", ("0190a6c2-7b1e-7000-8000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff")),
    Column("day", "date", TIMES),
    Column("clock", "time without time zone", ("00:00", "23:59:59.999999", "24:00", "10:30 PM", "allballs")),
    Column("zoned clock", "time with time zone", ("00:00+00", "23:59:59-12", "10:00 UTC")),
    Column("at", "timestamp without time zone", TIMES),
    Column("rounded", "timestamp(3) without time zone", TIMES),
    Column("instant", "timestamp with time zone", (*TIMES, "2026-07-01 10:00 Europe/Berlin", "2026-07-01 08:00Z")),
    Column("lasts", "interval", ("1 day", "24:00:00", "-1 mon", "PT1H", "1 year 2 mons 3.5 days")),
    Column("lasts_days", "interval day", ("1 day", "24:00:00", "30 days")),
    Column("doc", "jsonb", ('{"a": 1}', '"x"', "null", "[1, 2]", "1", '{"a": "it\'s"}')),
    Column("plain doc", "json", ('{"a": 1}', "[]")),
    Column("raw", "bytea", ("\\x", "\\x00ff", "\\x27", "abc", "\\134", "a%")),
    Column("address", "inet", ("10.0.0.1", "10.0.0.1/8", "::1")),
    Column("feeling", "mood", ("sad", "it's", "now")),
    Column("Mixed", '"Mo od"', ("a", "b")),
    Column("positive", "positive", ("1", "2", "300")),
    Column("mail", "mail", ("a@b", "it's@b", "%@\\")),
    Column("numbers", "integer[]", ("{}", "{1,2,NULL}", "{{1,2},{3,4}}")),
    Column("tags", "text[]", ("{}", '{a,"b c",NULL}', "{it's}", '{"\\\\"}')),
    Column("price", "money", ("1.50", "-3", "0")),
    Column("bits", "bit(3)", ("101", "000")),
    Column("span", "tstzrange", ("empty", "[2026-01-01,2026-02-01)", "(,infinity]")),
    Column("place", "point", ("(1,2)", "(0,0)")),
    # As hostile as a name can be; PostgreSQL's own limit is 63 bytes.
    Column('a"; DROP TABLE kept; --', "text", TEXTS),
    Column("$1 %s {x} \\'", "integer", INTEGERS),
    Column("select", "text", TEXTS),
    Column("spalte_\u00fc\u65e5", "text", TEXTS),
)
# What not every build of PostgreSQL has; the first word makes it.
EXTRAS = (
    ("CREATE EXTENSION citext", Column("folded", "citext", TEXTS)),
    ("SELECT '<a/>'::xml", Column("markup", "xml", ("<a/>",))),
    ("SELECT 'a' COLLATE \"en-x-icu\"", Column("icu", 'text COLLATE "en-x-icu"', TEXTS)),
    (
        "CREATE COLLATION unaccented (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
        Column("unaccented", "text COLLATE unaccented", TEXTS),
    ),
)
TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'it''s', 'now')",
    "CREATE TYPE \"Mo od\" AS ENUM ('a', 'b')",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
    "CREATE DOMAIN mail AS character varying(20) CHECK (VALUE LIKE '%@%')",
)


def make_types(connection: Connection) -> list[Column]:
    """Make the types that the table needs, in the database that is connected; returns the columns it may have."""
    for statement in TYPES:
        connection.execute(statement.encode())
    columns = list(COLUMNS)
    for statement, column in EXTRAS:
        try:
            connection.execute(statement.encode())
        except psycopg.Error:
            continue
        columns.append(column)
    return columns


def make_table(connection: Connection, columns: Sequence[Column], rows: int, chance: random.Random) -> dict[str, str]:
    """Make the table `kept` with rows by chance, a quarter of it NULL; returns its columns with their types."""
    connection.execute("DROP TABLE IF EXISTS kept")
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.definition)) for column in columns
    )
    connection.execute(sql.SQL("CREATE TABLE kept (id serial, {})").format(definitions))
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    for _ in range(rows):
        row = [None if chance.random() < 0.25 else chance.choice(column.values) for column in columns]
        values = sql.SQL(", ").join(sql.Literal(value) for value in row)
        connection.execute(sql.SQL("INSERT INTO kept ({}) VALUES ({})").format(names, values))
    found = connection.execute(
        "SELECT attname, format_type(coalesce(nullif(typbasetype, 0), atttypid), atttypmod) FROM pg_attribute"
        " JOIN pg_type ON pg_type.oid = atttypid WHERE attrelid = 'kept'::regclass AND attnum > 0"
    )
    return dict(found.fetchall())


def values_for(column: Column) -> st.SearchStrategy[str]:
    """Values to filter by: those that the column takes, nearly those, and those of others."""
    taken = st.sampled_from(column.values)
    cut = st.tuples(taken, st.integers(0, 6), st.sampled_from(["", " ", "0", "1", "%", "_", "-", "\\", "'", "x"]))
    nearly = cut.map(lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :])
    return st.one_of(
        taken,
        nearly,
        st.sampled_from(TEXTS),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    )


# What values of a type are made of, to be put together rightly and wrongly.
_OF_NUMBERS = (
    *("0", "1", "7", "12", "32767", "_", "+", "-", ".", "0x", "0X", "0o", "0b", "e", "E-", "f", "A", "p", "(", ")"),
    *("nan", "NaN", "inf", "Infinity", " ", "\t", "\n"),
)  # fmt: skip
_OF_TIMES = (
    *("2024", "2023", "24", "2", "02", "29", "30", "31", "12", "13", "00", "0", "20240229", "100000", "J", "J2460000"),
    *("-", "-", "/", ":", ".", ",", "T", "Z", "+02", "-05:30", "10:00", "25:00", "10:00:60", "24:00", "AM", "PM", "BC"),
    *("now", "Today", "tomorrow", "yesterday", "infinity", "-infinity", "epoch", "allballs", "Feb", "February", "Mon"),
    *("UTC", "America/New_York", "at", "on", "\t", *[" "] * 8),
)  # fmt: skip
PIECES = {
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double precision"), _OF_NUMBERS),
    **dict.fromkeys(("date", "timestamp without time zone", "timestamp with time zone"), _OF_TIMES),
    **dict.fromkeys(("time without time zone", "time with time zone"), _OF_TIMES),
    "boolean": (*"truefalsnoyTF01 ", "true", "false", "yes", "no", "on", "off", "ON"),
    "uuid": ("0190", "a6c2", "FFFF", "-", "{", "}", " ", "0190a6c2-7b1e-7000-8000", "00000000", "0190a6c27b1e70008000"),
}


def values_of_pieces(column_type: str, number: int, chance: random.Random) -> list[str]:
    """As many values, which may or may not be of that type."""
    pieces = PIECES[column_type]
    return ["".join(chance.choices(pieces, k=chance.randint(0, 8))) for _ in range(number)]
