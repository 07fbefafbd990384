"""Which batches a table is read in: every row is of one, none has too many, and who is at work has as much to do."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dags.postgres_backfill.compiling import Source
from dags.postgres_backfill.plan import MAX_RANGES, batches, ranges
from dags.sources.loads.shape import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

    from dags.tests.postgres_server import PostgresServer

WHOLE = st.integers(-(2**63), 2**63 - 1)


@given(st.tuples(WHOLE, WHOLE), st.integers(0, 10**9), st.integers(1, 10**6), st.integers(1, 16), st.booleans())
def test_ranges_follow_each_other_from_the_least_key_to_the_greatest(
    ends: tuple[int, int],
    rows: int,
    batch_size: int,
    parallelism: int,
    is_open: bool,  # noqa: FBT001 -- a value
) -> None:
    least, greatest = sorted(ends)
    made = ranges(
        "bigint", str(least), str(greatest), rows, batch_size=batch_size, parallelism=parallelism, is_open=is_open
    )
    assert [one.after for one in made] == [None, *(one.until for one in made[:-1])]
    assert made[-1].until == (None if is_open else str(greatest))
    cuts = [int(str(one.until)) for one in made[:-1]]
    assert cuts == sorted(set(cuts))
    assert all(least <= cut < greatest for cut in cuts)
    keys = greatest - least + 1
    assert len(made) <= min(keys, max(MAX_RANGES, parallelism))
    assert len(made) % parallelism == 0 or len(made) == keys


def test_a_range_of_uuids_is_cut_and_one_of_texts_is_whole() -> None:
    of_uuids = ranges(
        "uuid", str(UUID(int=0)), str(UUID(int=2**128 - 1)), 10**7, batch_size=10**5, parallelism=2, is_open=False
    )
    assert str(of_uuids[len(of_uuids) // 2].after) == "7fffffff-ffff-ffff-ffff-ffffffffffff"
    assert len(ranges("text", "a", "z", 10**7, batch_size=10**5, parallelism=2, is_open=False)) == 1


@pytest.fixture(scope="module")
def session(postgres: PostgresServer) -> Iterator[Connection]:
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE keyed (whole bigint, words text, number numeric, short character(3))"
        )
        yield connection


KEYS = {
    "whole": WHOLE,
    "words": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3),
    "number": st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000),
    "short": st.text("abC ", max_size=3),
}
TYPES = {"whole": "bigint", "words": "text", "number": "numeric", "short": "character(3)"}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_row_is_of_one_batch_and_only_equal_keys_make_one_larger(
    session: Connection, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(KEYS)))
    keys = data.draw(st.lists(KEYS[name], max_size=25))
    size = data.draw(st.integers(1, 8))
    session.execute("TRUNCATE keyed")
    with session.cursor() as cursor:
        cursor.executemany(f"INSERT INTO keyed ({name}) VALUES (%s)".encode(), [(key,) for key in keys])
    source = Source("keyed", TYPES, name)
    [(_, greatest, _)] = session.execute(source.ends().encode())
    for until in (None, greatest) if keys else (None,):
        bounds = [key for (key,) in session.execute(source.bounds(size, None, until).encode())]
        found = [
            session.execute(source.batch([(name, Kind.TEXT)], after, end).encode()).fetchall()
            for after, end in batches(bounds, None)
        ]
        assert sum(map(len, found)) == len(keys)
        assert all(len(rows) <= size or len({key for key, _ in rows}) < len(rows) for rows in found)
        assert len(found) <= -(-len(keys) // size) + 1


def test_a_time_travels_as_its_very_microsecond(session: Connection) -> None:
    source = Source("moments", {"moment": "timestamp with time zone", "id": "bigint"}, "id")
    moments = """
        CREATE TEMPORARY TABLE moments AS
        SELECT n AS id, timestamptz 'epoch' + micros * interval '1 microsecond' AS moment, micros
        FROM (
            SELECT n, CASE WHEN n <= 4000 THEN 2208988800000000 + n - 2000
                ELSE (random() * 8000000000000000)::bigint END AS micros
            FROM generate_series(1, 200000) AS n
        ) AS made
    """
    session.execute(moments)
    other = f"SELECT micros, {source.value('moment', Kind.TIME)} FROM moments".encode()
    assert [row for row in session.execute(other) if row[0] != row[1]] == []
