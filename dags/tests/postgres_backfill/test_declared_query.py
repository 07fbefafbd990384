"""A declared query stands within parentheses and stays there, whatever its text and however the session is set."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dags.domain.errors import UserError
from dags.postgres_backfill.declared_query import BACKSLASH, MAX_PROBLEMS, NUL, vetted
from dags.sources.file import MAX_QUERY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

SEMICOLON = "a semicolon: give one statement, and a semicolon at its end if at all"


def problems(text: str) -> list[str]:
    with pytest.raises(UserError) as refused:
        vetted(text)
    first, *listed = str(refused.value).splitlines()
    assert first == "the declared query cannot be used, nothing was touched:"
    return listed


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("SELECT 1", "SELECT 1"),
        ("\n select 1 ;\n", "select 1"),
        ("select 1; -- the end; \\ $1 '\n/* ; ' */", "select 1"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a"),
        ("values (1), (2)", "values (1), (2)"),
        ("TABLE orders", "TABLE orders"),
        ("((SELECT 1) UNION (SELECT 2))", "((SELECT 1) UNION (SELECT 2))"),
        ("SELECT ';)--/*$pageview''', \"a;)\"\"b\"", "SELECT ';)--/*$pageview''', \"a;)\"\"b\""),
        ("SELECT 1 -- one\r, 2--two\n, 3", "SELECT 1  \r, 2 \n, 3"),
        ("SELECT -/* a /* nested ' */ \" */-1", "SELECT - -1"),
        ("SELECT a-1/2 FROM t", "SELECT a-1/2 FROM t"),
        ("SELECT e'x', b'1', n'x', U& 'x', menu&'1' FROM t", "SELECT e'x', b'1', n'x', U& 'x', menu&'1' FROM t"),
        ("SELECT 'ä€😀' AS \"ñ\"", "SELECT 'ä€😀' AS \"ñ\""),
    ],
)
def test_a_query_is_taken_without_its_comments_and_its_last_semicolon(text: str, query: str) -> None:
    assert vetted(text) == query
    assert vetted(query) == query


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["line 1: there is no query: give one SELECT"]),
        ("-- nothing\n;", ["line 1: there is no query: give one SELECT"]),
        ("SELECT 1;\nSELECT 2", [f"line 1: {SEMICOLON}"]),
        ("SELECT 1;;", [f"line 1: {SEMICOLON}"]),
        ("SELECT\n(1", ["line 2: a '(' that is not closed"]),
        ("SELECT 1)\n\n(", ["line 1: a ')' that nothing opened", "line 3: a '(' that is not closed"]),
        ("SELECT 'a\n", ["line 1: a literal that is not closed"]),
        ('SELECT\n"a', ["line 2: an identifier that is not closed"]),
        ("SELECT 1 /* a /* b */", ["line 1: a comment that is not closed"]),
        ("SELECT 'a\n\\'", [f"line 2: {BACKSLASH}"]),
        ("SELECT E'\\n'", [f"line 1: {BACKSLASH}"]),
        ('SELECT "\\"', [f"line 1: {BACKSLASH}"]),
        ("SELECT \\", [f"line 1: {BACKSLASH}"]),
        ("SELECT '\0', \0", [f"line 1: {NUL}", f"line 1: {NUL}"]),
        ("SELECT U&'x'", ["line 1: a literal with escapes, U&'…': write the characters themselves"]),
        ('SELECT u&"x"', ['line 1: an identifier with escapes, U&"…": write the characters themselves']),
        ("DROP TABLE t", ["line 1: it does not begin with SELECT, WITH, VALUES or TABLE"]),
        ("(DELETE FROM t)", ["line 1: it does not begin with SELECT, WITH, VALUES or TABLE"]),
        ("SELECTED", ["line 1: it does not begin with SELECT, WITH, VALUES or TABLE"]),
    ],
    ids=ascii,
)
def test_what_could_be_more_than_one_query_is_refused_by_its_line(text: str, said: list[str]) -> None:
    assert problems(text) == said


@pytest.mark.parametrize("sign", ["$1", "$$a$$", "$a$;$a$", "$_$", "a$b", "$ä$", "$"])
def test_a_dollar_outside_quotes_is_refused(sign: str) -> None:
    assert problems(f"SELECT {sign}")[0] == (
        "line 1: a '$' outside quotes: write literals in '…', and values in place of parameters"
    )


def test_every_violation_is_said_at_once_in_order_and_no_more_than_a_screen_of_them() -> None:
    said = problems("DROP\n\\ )\n$1;\n( 'a")
    assert [one.split(":")[0] for one in said] == ["line 1", "line 2", "line 2", "line 3", "line 3", "line 4", "line 4"]
    began = time.monotonic()
    said = problems("SELECT " + "\\" * 29_000)
    assert said[MAX_PROBLEMS:] == ["and 28,980 more"]
    assert time.monotonic() - began < 2


def test_a_query_of_more_bytes_than_a_statement_can_hold_three_times_is_none() -> None:
    room = MAX_QUERY_BYTES - len("SELECT ''")
    assert vetted(f"SELECT '{'a' * room}'")
    for text in (f"SELECT '{'a' * (room + 1)}'", f"SELECT '{'ä' * room}'"):
        with pytest.raises(UserError, match=r"it has [\d,]+ bytes, give at most 30,000"):
            vetted(text)


# --- Against PostgreSQL -----------------------------------------------------------------------------------


class Script:
    """A session of PostgreSQL that takes a text as one script, as ClickHouse hands it on."""

    def __init__(self, connection: psycopg.Connection, conforming: str) -> None:
        self._connection = connection
        connection.execute("SET escape_string_warning = off")
        connection.execute(f"SET standard_conforming_strings = {conforming}".encode())

    def ends(self, script: str) -> list[str]:
        """How each statement of it ended; rows are read and dropped."""
        connection, ended = self._connection.pgconn, []
        connection.send_query(script.encode())
        while (result := connection.get_result()) is not None:
            status = psycopg.pq.ExecStatus(result.status)
            if status == psycopg.pq.ExecStatus.COPY_OUT:
                while connection.get_copy_data(0)[0] > 0:
                    pass
            else:
                ended.append(status.name)
        return ended

    def has_canary(self) -> bool:
        row = self._connection.execute("SELECT to_regclass('canary') IS NOT NULL").fetchone()
        return bool(row and row[0])


@pytest.fixture
def scripts(postgres_database: str) -> Iterator[tuple[Script, ...]]:
    with (
        psycopg.connect(postgres_database, autocommit=True) as one,
        psycopg.connect(postgres_database, autocommit=True) as other,
    ):
        yield Script(one, "on"), Script(other, "off")


def wrapped(query: str) -> tuple[str, str]:
    """As the schema is asked for, and as the rows are."""
    return (
        f"SELECT * FROM ({query}) AS __subquery LIMIT 0",
        f'COPY (SELECT "a" FROM (SELECT * FROM ({query}\n) AS q) AS __subquery) TO STDOUT',
    )


# Texts that are somebody's own statement once they are outside of quotes and comments, in each form of wrapping.
OUT_OF_SELECT = ") as x limit 0; create table canary(a int); select * from (select 1 as a"
OUT_OF_COPY = ") as q) as s) to stdout; create table canary(a int); copy (select a from (select * from (select 1 as a"

TRICKS = {
    "parenthesis": f"select 1 as a{OUT_OF_SELECT}",
    "backslash where strings do not conform": rf"select '\'' as a{OUT_OF_SELECT} --'",
    "escape string": rf"select E'\'' as a{OUT_OF_SELECT} --'",
    "dollar quotes": f"select $$'$$ as a{OUT_OF_SELECT}, $$'$$ as b",
    "named dollar quotes": f"select $_a1$'$_a1$ as a{OUT_OF_SELECT}, $é$'$é$ as b",
    "quote in a comment": f"select 1 as a -- '\n{OUT_OF_SELECT} -- '",
    "comment that ends at a carriage return": f"select 1 as a --\r{OUT_OF_SELECT}",
    "comment in a comment": f"select 1 as a /* /* */ ' */{OUT_OF_SELECT} -- '",
    "comment that ends an operator": f"select 1 +/* ' */ 1 as a{OUT_OF_SELECT} -- '",
    "quote in an identifier": f'select 1 as "a\'"{OUT_OF_SELECT}, 1 as "\'"',
    "identifier in a literal": f"select '\"' as a{OUT_OF_SELECT}, '\"' as b",
    "literal over lines": f"select 'x'\n'\"' as a{OUT_OF_SELECT}, '\"' as b",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_that_works_on_postgresql_is_refused(scripts: tuple[Script, ...], trick: str) -> None:
    # As it stands it works, where the session lets it: else there would be nothing to refuse.
    raw = f"SELECT * FROM ({TRICKS[trick]}\n) AS __subquery LIMIT 0"
    assert [script.has_canary() for script in scripts if len(script.ends(raw)) > 1]
    assert scripts[0].has_canary()
    assert problems(TRICKS[trick])


# Halves of what PostgreSQL's lexer knows, what lies on the edge of being one, and what would be done once outside.
PARTS = (
    OUT_OF_SELECT, OUT_OF_COPY, OUT_OF_SELECT, OUT_OF_COPY, "; create table canary(a int);", "; commit;",
    "'", "'", "'", "''", '"', '"', '""', "--", "--", "/*", "*/", "/*", "*/", "\n", "\n", "\r", " ", " ", "\\", "\\'",
    "$$", "$$", "$a$", "$1", "E'", "U&'", 'U&"', " uescape '!'", "B'", "N'", "-", "/", "*", "+", "&", "(", ")", ";",
    "\f", "\v", "\t", ", 'x' as b", "é", "\u00a0", "\u2028", "\ufeff", "where 'a' = ", "a", "1", ", ",
)  # fmt: skip


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_nothing_that_is_accepted_is_more_than_one_statement(scripts: tuple[Script, ...], text: str) -> None:
    try:
        query = vetted(f"select 1 as a {text}")
    except UserError:
        return
    for script in scripts:
        for one in wrapped(query):
            assert len(script.ends(one)) == 1, one
        assert not script.has_canary(), query
