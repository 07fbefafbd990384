"""Counts units exactly, from their own rows: as many at once as a statement holds well, within the time there is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.sql import Sql
from dags.domain.units import MAX_TEAMS_BOUND, Measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from dags.domain.watched import Source

# Source rows that one statement verifies: it holds each event's identity in memory, about 150 bytes (measured).
BATCH_ROWS = 5_000_000


class OutOfTimeError(Exception):
    """The deadline is over in the middle of a day; nothing is known of that day."""


class ContradictionError(Exception):
    """An exact count has read less than was there a moment before: its answer is no answer."""


def sources(
    sql: Sql, source: Source, expected: Mapping[tuple[date, int], int], is_late: Callable[[], bool]
) -> dict[date, dict[int, Measure]]:
    """What a source holds of some units, (day, team), by day; ``expected``: how many rows it has within their reach.

    Raises:
        ContradictionError: fewer rows were read than that, so something has cut the answer short.
        OutOfTimeError: ``is_late`` before all were counted.
    """
    package, name = source.counts
    found: dict[date, dict[int, Measure]] = defaultdict(dict)
    for units, rows in _in_pieces(Sql.of(sql, package), name, expected, is_late):
        read: dict[tuple[date, int], int] = {}
        for day, team, distinct, total, *rows_read in rows:
            if distinct or total:
                found[day][team] = Measure(distinct, total)
            if source.tells_rows:
                [read[day, team]] = rows_read
        if source.tells_rows:
            _compare(source, units, expected, read)
    return found


def targets(
    sql: Sql, rows_by_unit: Mapping[tuple[date, int], int], is_late: Callable[[], bool], identifiers: Mapping[str, str]
) -> dict[date, dict[int, Measure]]:
    """What a table holds of some units, (day, team), by day.

    Raises:
        OutOfTimeError: ``is_late`` before all were counted.
    """
    found: dict[date, dict[int, Measure]] = defaultdict(dict)
    for _, rows in _in_pieces(sql, "unit_targets", rows_by_unit, is_late, **identifiers):
        for day, team, *counts in rows:
            found[day][team] = Measure(*counts)
    return found


def _compare(
    source: Source,
    units: Sequence[tuple[date, int]],
    expected: Mapping[tuple[date, int], int],
    read: Mapping[tuple[date, int], int],
) -> None:
    """Two signals of one thing: the projection's count of a unit's rows, and how many were read to count it exactly.

    More may have arrived in between; fewer means an answer that was cut short, by a setting that truncates in silence,
    and what it says of sessions is worth nothing. Rows may have been deleted too; the next detection then agrees.
    """
    short = [unit for unit in units if read.get(unit, 0) < expected[unit]]
    if short:
        (day, team), *_ = short
        raise ContradictionError(
            f"an exact count of {source.table} read {read.get((day, team), 0):,} rows of team {team} around {day}, "
            f"where {expected[day, team]:,} were a moment before, and fewer of {len(short):,} of {len(units):,} units: "
            "a setting of the user cuts answers short, or rows were deleted meanwhile"
        )


def _in_pieces(
    sql: Sql,
    name: str,
    rows_by_unit: Mapping[tuple[date, int], int],
    is_late: Callable[[], bool],
    **identifiers: str,
) -> Iterator[tuple[Sequence[tuple[date, int]], Sequence[Any]]]:
    """What a statement says of units; what needs too much time or memory is asked for half of them at a time."""
    todo = list(_pieces(rows_by_unit))
    todo.reverse()
    while todo:
        if is_late():
            raise OutOfTimeError
        some = todo.pop()
        bound = {"days": [day for day, _ in some], "teams": [team for _, team in some]}
        try:
            rows = sql.rows(name, bound, **identifiers)
        except ClickHouseError as error:
            if len(some) == 1 or remedy(error) is not Remedy.SPLIT:
                raise
            middle = len(some) // 2
            todo += [some[middle:], some[:middle]]
        else:
            yield some, rows


def _pieces(rows_by_unit: Mapping[tuple[date, int], int]) -> Iterator[list[tuple[date, int]]]:
    """Units in pieces of which a statement can bind the teams and hold the rows; neighbours together, so that it reads
    few days.
    """
    piece: list[tuple[date, int]] = []
    rows = 0
    for unit in sorted(rows_by_unit):
        if piece and (len(piece) == MAX_TEAMS_BOUND or rows + rows_by_unit[unit] > BATCH_ROWS):
            yield piece
            piece, rows = [], 0
        piece.append(unit)
        rows += rows_by_unit[unit]
    if piece:
        yield piece
