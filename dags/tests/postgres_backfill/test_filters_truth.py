"""What a filter selects is what PostgreSQL selects for it, and nothing in it is ever read as anything but a value."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.pq import DiagnosticField, ExecStatus

from dags.postgres_backfill.column_types import value_problem
from dags.postgres_backfill.filters import MAX_FILTERS, Filter, Operator, predicate, problems
from dags.postgres_backfill.quoting import NAME_BYTES, identifier, literal
from dags.tests.postgres_backfill.columns import (
    PIECES,
    TEXTS,
    Column,
    make_table,
    make_types,
    values_for,
    values_of_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client
    from psycopg import Connection

    from dags.tests.postgres_server import PostgresServer

DATABASE = "filters"
ROWS = 60
VALUES = 2_000
# PostgreSQL takes these; why they are refused all the same stands in `column_types.py` and `filters.py`.
ON_PURPOSE = ("another time in every batch", "ends within an escape")
# PostgreSQL 16 was the first that can be asked.
SAYS_WHAT_IS_VALID = 160_000


@dataclass(frozen=True)
class Kept:
    """The table `kept`, and two sessions that differ in `standard_conforming_strings`, by its value."""

    columns: Sequence[Column]
    types: dict[str, str]
    sessions: dict[str, Connection]

    @property
    def session(self) -> Connection:
        return self.sessions["on"]


@pytest.fixture(scope="module")
def kept(postgres: PostgresServer) -> Iterator[Kept]:
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {DATABASE}".encode())
    dsn = postgres.dsn(DATABASE)
    with psycopg.connect(dsn, autocommit=True) as on, psycopg.connect(dsn, autocommit=True) as off:
        on.execute("SET standard_conforming_strings = on")
        off.execute("SET standard_conforming_strings = off")
        columns = make_types(on)
        types = make_table(on, columns, ROWS, random.Random(8))
        yield Kept(columns, types, {"on": on, "off": off})
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)".encode())


# --- What PostgreSQL selects ----------------------------------------------------------------------------------


def ids(connection: Connection, statement: str, values: Sequence[str] = ()) -> list[int] | str:
    """The ids that a statement selects, or the code of its error; `values` go to the server beside the statement."""
    result = connection.pgconn.exec_params(statement.encode(), [value.encode() for value in values])
    if result.status != ExecStatus.TUPLES_OK:
        return (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    return sorted(int(result.get_value(row, 0) or 0) for row in range(result.ntuples))


def with_parameters(kept: Kept, filters: Sequence[Filter]) -> list[int] | str:
    conditions, values = [], []
    for one in filters:
        conditions.append(f"{sql.Identifier(one.column).as_string(kept.session)} {one.operator}")
        if one.value is not None:
            values.append(one.value)
            conditions[-1] += f" ${len(values)}"
    return ids(kept.session, f"SELECT id FROM kept WHERE {' AND '.join(conditions)}", values)


def by_hand(kept: Kept, filters: Sequence[Filter]) -> list[int] | str:
    conditions = []
    for one in filters:
        conditions.append(f"{sql.Identifier(one.column).as_string(kept.session)} {one.operator}")
        if one.value is not None:
            conditions[-1] += f" {sql.Literal(one.value).as_string(kept.session)}"
    return ids(kept.session, f"SELECT id FROM kept WHERE {' AND '.join(conditions)}")


def assert_true(kept: Kept, filters: Sequence[Filter]) -> None:
    expected = with_parameters(kept, filters)
    assert by_hand(kept, filters) == expected
    if found := problems(filters, kept.types):
        is_on_purpose = any(words in problem for problem in found for words in ON_PURPOSE)
        assert isinstance(expected, str) or is_on_purpose, found
        return
    statement = f"SELECT id FROM kept WHERE {predicate(filters, kept.types)}"
    selected = {setting: ids(session, statement) for setting, session in kept.sessions.items()}
    assert selected == {"on": expected, "off": expected}


def filters_on(columns: Sequence[Column], *, usable: bool = False) -> st.SearchStrategy[Filter]:
    def on(column: Column) -> st.SearchStrategy[Filter]:
        values = st.sampled_from(column.values) if usable else values_for(column)
        by_operator = {True: values, False: st.none()}
        return st.sampled_from(Operator).flatmap(
            lambda operator: st.builds(
                Filter, st.just(column.name), st.just(operator), by_operator[operator.takes_a_value]
            )
        )

    return st.sampled_from([on(column) for column in columns]).flatmap(lambda strategy: strategy)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_filter_selects_what_postgresql_selects_and_nothing_that_it_takes_is_refused(
    kept: Kept, data: st.DataObject
) -> None:
    assert_true(kept, [data.draw(filters_on(kept.columns))])


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_several_filters_select_the_rows_that_all_of_them_select(kept: Kept, data: st.DataObject) -> None:
    usable = filters_on(kept.columns, usable=True)
    assert_true(kept, data.draw(st.lists(usable, min_size=2, max_size=MAX_FILTERS)))


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize("seed", range(4))
def test_filters_on_other_tables_select_what_postgresql_selects(kept: Kept, seed: int) -> None:
    types = make_table(kept.session, kept.columns, ROWS, random.Random(seed))
    assert types == kept.types

    @settings(max_examples=3_000, deadline=None)
    @given(filters_on(kept.columns))
    def compare(one: Filter) -> None:
        assert_true(kept, [one])

    compare()


# --- What is refused early ------------------------------------------------------------------------------------


def test_what_is_said_of_a_types_operators_holds_for_every_type_that_postgresql_comes_with(kept: Kept) -> None:
    found = kept.session.execute(
        "SELECT format_type(oid, NULL) FROM pg_type WHERE typnamespace IN ('pg_catalog'::regnamespace, "
        "'public'::regnamespace) AND typtype IN ('b', 'e', 'm', 'r') AND typname !~ '^pg_|^gtsvector'"
    )
    names = [name for (name,) in found]
    assert len(names) > 100
    wrong = set()
    for name in names:
        for operator in Operator:
            null = "NULL" if operator.takes_a_value else ""
            knows = not isinstance(ids(kept.session, f"SELECT 1 FROM kept WHERE NULL::{name} {operator} {null}"), str)
            refused = problems([Filter("c", operator, "{}" if null else None)], {"c": name})
            if knows == any("which has no" in problem for problem in refused):
                wrong.add((name, operator.value))
    assert not wrong


@pytest.mark.parametrize("column_type", PIECES)
def test_no_value_is_refused_that_postgresql_takes(kept: Kept, column_type: str) -> None:
    if kept.session.info.server_version < SAYS_WHAT_IS_VALID:
        pytest.skip("this version cannot be asked which values are valid")
    values = values_of_pieces(column_type, VALUES, random.Random(column_type))
    asked = "SELECT value FROM unnest(%s::text[]) AS value WHERE pg_input_is_valid(value, %s)"
    valid = {value for (value,) in kept.session.execute(asked, [values, column_type])}
    assert valid
    refused = {value: problem for value in values if (problem := value_problem(value, column_type))}
    assert refused
    assert not {value for value in valid & set(refused) if ON_PURPOSE[0] not in refused[value]}


# --- Nothing else is executed ---------------------------------------------------------------------------------

BREAKING_OUT = st.lists(
    st.sampled_from(
        [
            *("'", "''", "\\", "\\'", '"', "E'", "U&'", "$$", "$a$", "--", "/*", "*/", ";", ")", "(", ",", "\n", "\r"),
            *("\\x27", "\\047", "\\u0027", "\\0", "{}", "%s", "$1", "?", ":a", "\u02bc", "\uff07", "\u2019", "é"),
            *(" OR true", "; COMMIT; DROP TABLE kept; --", "'; CREATE TABLE pwned (a int); --", " UESCAPE '!'"),
        ]
    ),
    max_size=8,
).map("".join)


def answers(connection: Connection, statement: str) -> list[dict[str, str]]:
    """A row of each statement in the text, as a client gets them that lets several run at once."""
    connection.pgconn.send_query(statement.encode())
    rows = []
    while result := connection.pgconn.get_result():
        assert result.status == ExecStatus.TUPLES_OK, result.error_message
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        rows.append({name: (result.get_value(0, column) or b"").decode() for column, name in enumerate(names)})
    return rows


@settings(max_examples=300, deadline=None)
@given(value=BREAKING_OUT, name=BREAKING_OUT.filter(lambda text: 0 < len(text.encode()) <= NAME_BYTES))
def test_a_value_is_a_value_and_a_name_is_a_name_whatever_is_in_them(kept: Kept, value: str, name: str) -> None:
    types = {name: "text"}
    condition = predicate([Filter(name, Operator.EQUAL, value)], types)
    statement = (
        f"SELECT __subquery.* FROM (SELECT {literal(value)}::text AS {identifier(name)}) AS __subquery"
        f" WHERE {condition} AND octet_length({literal(value)}) = {len(value.encode())}"
    )
    for session in kept.sessions.values():
        assert answers(session, statement) == [{name: value}]


def test_what_went_through_an_engine_selects_the_same(kept: Kept, postgres: PostgresServer, client: Client) -> None:
    asked = [Filter("words", operator, text) for text in TEXTS for operator in (Operator.EQUAL, Operator.ILIKE)]
    asked += [Filter(column.name, Operator.GREATER, column.values[0]) for column in kept.columns[-8:]]
    usable = [one for one in asked if not problems([one], kept.types)]
    assert len(usable) > 2 * len(TEXTS)
    statements = [
        f"SELECT {number} AS n, id FROM kept WHERE {predicate([one], kept.types)}" for number, one in enumerate(usable)
    ]
    parameters = {
        "address": f"{postgres.host}:{postgres.port}",
        "database": DATABASE,
        "text": " UNION ALL ".join(statements),
        "user": postgres.user,
        "password": postgres.password,
    }
    table = "postgresql({address:String}, {database:String}, query({text:String}), {user:String}, {password:String})"
    rows = client.query(f"SELECT n, id FROM {table} ORDER BY n, id", parameters=parameters).result_rows
    assert rows
    expected = [(number, found) for number, one in enumerate(usable) for found in with_parameters(kept, [one])]
    assert rows == expected
