"""What earlier detections found, kept by day, so that a day is not read again while nothing of it has changed.

The state of a day is a digest of everything that its verdicts depend on: the parts of source and tables within reach,
the builds that the ledger has, the enabled teams, whether the day is open, the declarations, and the rules of this
code. It is taken before the data is read; what changes in between makes the next detection read again.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from datetime import date, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.schema.books import append
from dags.detection.alterations import partition_period
from dags.detection.rules import Cause, Kind
from dags.detection.verdicts import Alike, Columns, Verdicts
from dags.domain.units import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.answers import Answers
    from dags.clickhouse.sql import Sql
    from dags.detection.part_states import Partition
    from dags.domain.days import Calendar, DayRange
    from dags.domain.watched import WatchedTable

# Raise it with every change of how units are judged: what an older rule found is then read again.
RULES_VERSION = 5

LEDGER = "web_pre_aggregated_builds"


@dataclass(frozen=True)
class DayState:
    """One day as a detection found it."""

    day: date
    state: str
    read_at: datetime
    complete: Mapping[str, int]
    outdated: Mapping[str, int]
    wrong: Verdicts


def states_now(
    sql: Sql,
    dates: Calendar,
    watched: Sequence[WatchedTable],
    teams: Collection[int],
    partitions: Collection[Partition] | None,
    *,
    answers: Answers,
) -> dict[date, str]:
    """The state of each judged day; empty where ClickHouse tells nothing of a table's parts, or may not be asked.

    ``partitions``: see `dags.detection.part_states.Doubts`.
    """
    names = {table.name for table in watched} | {table.source.table for table in watched}
    days = dates.judged
    if partitions is None or not names <= {one.table for one in partitions if one.is_told}:
        return {}
    try:
        recorded = dict(answers.rows(sql, "recorded_builds", {"start": days.start, "end": days.end}, [LEDGER]))
    except ClickHouseError:
        return {}
    days_of = {table.source.table: table.source.day for table in watched} | {table.name: table.day for table in watched}
    parts = _by_day(partitions, days_of)
    reaches = sorted({table.source.reach_days for table in watched})
    common = hashlib.sha256(repr((RULES_VERSION, tuple(watched), sorted(teams))).encode()).hexdigest()
    return {
        day: hashlib.sha256(
            repr(
                (
                    common,
                    [dates.is_open(day, reach) for reach in reaches],
                    recorded.get(day, 0),
                    _parts_within_reach(parts, day, watched),
                )
            ).encode()
        ).hexdigest()
        for day in days
    }


def _parts_within_reach(
    parts: Mapping[tuple[str, str], tuple[tuple[str, int], ...]], day: date, watched: Iterable[WatchedTable]
) -> list[object]:
    """The partitions that bear on a day: its own of the tables, those within reach of their sources."""
    found: list[object] = []
    for table in watched:
        found.append(_partitions(parts, table.name, day))
        reach = table.source.reach_days
        found += [_partitions(parts, table.source.table, day + timedelta(days=n)) for n in range(-reach, reach + 1)]
    return found


def _partitions(
    parts: Mapping[tuple[str, str], tuple[tuple[str, int], ...]], table: str, day: date
) -> list[tuple[tuple[str, int], ...]]:
    return [parts.get((table, key), ()) for key in (f"{day:%Y%m%d}", f"{day:%Y%m}", "")]


def _by_day(
    partitions: Iterable[Partition], days_of: Mapping[str, str]
) -> dict[tuple[str, str], tuple[tuple[str, int], ...]]:
    """Table and the day, month or neither that a partition's id names → the states of those partitions."""
    found: dict[tuple[str, str], tuple[tuple[str, int], ...]] = {}
    for one in sorted(partitions, key=attrgetter("table", "name")):
        # Of a table without parts nothing: its first build is news of that day, and of no other.
        if not one.name or one.table not in days_of:
            continue
        key = (one.table, partition_period(one.key, one.name, days_of[one.table]))
        found[key] = (*found.get(key, ()), (one.name, one.parts.contents))
    return found


def recalled(sql: Sql, days: DayRange, states: Mapping[date, str]) -> dict[date, DayState]:
    """The days that are as an earlier detection found them."""
    if not states:
        return {}
    rows = sql.rows("day_states", {"start": days.start, "end": days.end})
    return {
        day: DayState(
            day,
            state,
            read_at,
            complete,
            outdated,
            Verdicts.joined(_group(day, *group) for group in zip(*facts, strict=True)),
        )
        for day, state, read_at, complete, outdated, *facts in rows
        if states.get(day) == state
    }


def remember(client: Client, found: Iterable[DayState]) -> None:
    """Keep what was found, for the next detection."""
    rows = [[s.day, s.state, s.read_at, dict(s.complete), dict(s.outdated), *_columns(s.wrong.groups)] for s in found]
    if rows:
        columns = ("day", "state", "read_at", "complete", "outdated", *_WRONG)
        append(client, "web_pre_aggregated_day_states", rows, columns)


# A nested column of the table for each fact of a group of verdicts, and for each of its units' own.
_SHARED = (
    "table_name", "kind", "cause", "is_held", "is_inconsistent", "outcome", "failure", "distinct_word", "total_word",
)  # fmt: skip
_OWN = (
    "teams", "source_distinct", "source_total", "target_distinct", "target_total", "built_distinct", "built_at",
)  # fmt: skip
_WRONG = tuple(f"alike.{name}" for name in (*_SHARED, *_OWN))


def _columns(groups: Sequence[Alike]) -> list[list[object]]:
    facts = [
        (
            one.table, str(one.kind), str(one.cause), one.is_held, one.is_inconsistent, str(one.outcome or ""),
            one.failure, *one.words, *one.columns.all(),
        )
        for one in groups
    ]  # fmt: skip
    return [list(column) for column in zip(*facts, strict=True)] if facts else [[] for _ in _WRONG]


def _group(day: date, table: str, kind: str, cause: str, *facts: Any) -> Alike:  # noqa: ANN401 -- as the table has them
    is_held, is_inconsistent, outcome, failure, distinct_word, total_word, *own = facts
    return Alike(
        table,
        day,
        Kind(kind),
        Cause(cause),
        is_held=is_held,
        is_inconsistent=is_inconsistent,
        outcome=Outcome(outcome) if outcome else None,
        failure=failure,
        words=(distinct_word, total_word),
        columns=Columns(*(array(typecode, column) for typecode, column in zip("QQQQQQq", own, strict=True))),
    )
