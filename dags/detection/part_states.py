"""Keeps in which state the parts of each table were last seen, by day: so it finds the days that were altered in place.

What was built or verified before such a day was noticed is in doubt: its units are counted exactly once more. Those
that are found in order are recorded in the build ledger, as begun after the doubt, so each is counted once and a
detection without time for all of them goes on at the next.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.schema.books import append
from dags.detection.alterations import Parts, is_altered, is_mutated, partition_period
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.units import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.sql import Sql
    from dags.domain.watched import WatchedTable

    Partitions = Mapping[str, Parts]

_TABLE = "web_pre_aggregated_part_states"
_COLUMNS = ("table_name", "day", "partitions", "doubted_since")


class Partition(NamedTuple):
    """A ClickHouse partition of a table. ``name`` is its id, empty of a table without parts, and ``key`` the table's
    partition key. ``is_told``: whether this server's parts say all of the table's rows.
    """

    table: str
    is_told: bool
    key: str
    name: str
    parts: Parts


@dataclass(frozen=True)
class Doubts:
    """Since when what was found of a day is in doubt, by table and day; and the days of which that is news.

    ``read_at`` is ClickHouse's clock after the parts were read: what is counted from then on knows of every alteration.
    ``not_kept`` says why this could not be kept: then it is news to the next who looks as well. ``partitions`` are
    those of all tables that were looked at; None where ClickHouse could not be asked for them.
    """

    since: Mapping[tuple[str, date], datetime] = field(default_factory=dict)
    news: frozenset[date] = frozenset()
    read_at: datetime = EPOCH
    not_kept: str = ""
    partitions: tuple[Partition, ...] | None = None

    def states(self) -> dict[str, object]:
        """The state of each table that is told by its parts: as long as it is equal, so are the table's rows."""
        found: dict[str, list[tuple[str, Parts]]] = {}
        for one in self.partitions or ():
            if one.is_told:
                found.setdefault(one.table, []).append((one.name, one.parts))
        return {table: tuple(sorted(parts, key=itemgetter(0))) for table, parts in found.items()}

    def of(self, group: Sequence[WatchedTable], days: Iterable[date]) -> list[tuple[int, date, datetime]]:
        """Of tables of one source: which is in doubt, by its place from 1 on, on which day and since when.

        A table is in doubt where it or its source was altered.
        """
        found = (
            (place, day, max(self.since.get((name, day), EPOCH) for name in (table.name, table.source.table)))
            for place, table in enumerate(group, start=1)
            for day in days
        )
        return [one for one in found if one[2] > EPOCH]


class _Seen(NamedTuple):
    """A table that is looked at: the expression of a row's day, how far rows reach, and what an alteration of it is."""

    day: str
    reach_days: int
    is_altered: Callable[[Partitions, Partitions], bool]


def read_doubts(
    client: Client,
    sql: Sql,
    days: DayRange,
    watched: Iterable[WatchedTable],
    *,
    records: bool,
    beside: Collection[str] = (),
) -> Doubts:
    """Compare tables and sources with how they were last seen, and keep how they are now unless ``records`` is false.

    What began to be built or verified before an alteration was noticed may end after that, and knows nothing of it: so
    it counts when it began. Where ClickHouse may not be asked for parts there are no doubts, as for any table whose
    parts are elsewhere. ``beside``: tables whose partitions are told too, and nothing is concluded from here.
    """
    tables: dict[str, _Seen] = {}
    for one in watched:
        tables[one.name] = _Seen(one.day, 0, is_mutated)
        tables[one.source.table] = _Seen(one.source.day, one.source.reach_days, is_altered)
    before: dict[tuple[str, date], tuple[Partitions, datetime]] | None = None
    partitions = None
    with suppress(ClickHouseError):
        before = _last_seen(sql, tables, days)
    with suppress(ClickHouseError):
        rows = sql.rows("parts", {"tables": [*tables, *beside]})
        partitions = tuple(Partition(table, told, key, name, Parts(*rest)) for table, told, key, name, *rest in rows)
    # Not before: whoever begins between the clock and the parts would seem to know of what the parts say.
    read_at = read_clocks(client).server
    if before is None or partitions is None:
        return Doubts(read_at=read_at, partitions=partitions)
    since: dict[tuple[str, date], datetime] = {}
    news: set[date] = set()
    kept: list[tuple[str, date, list[tuple[object, ...]], datetime]] = []
    for name, periods in _by_period(partitions, tables).items():
        table = tables[name]
        for day in days:
            now = _within_reach(periods, day, table.reach_days)
            seen, doubted = before.get((name, day), (now, EPOCH))
            if table.is_altered(seen, now):
                doubted = read_at
                news.add(day)
            if doubted > EPOCH:
                since[name, day] = doubted
            if seen != now if (name, day) in before else now:
                rows = [(partition, *astuple(one)) for partition, one in sorted(now.items())]
                kept.append((name, day, rows, doubted))
    not_kept = ""
    if kept and records:
        try:
            append(client, _TABLE, kept, _COLUMNS)
        except ClickHouseError as error:
            not_kept = str(error)
    return Doubts(since, frozenset(news), read_at, not_kept, partitions)


def _last_seen(sql: Sql, tables: Iterable[str], days: DayRange) -> dict[tuple[str, date], tuple[Partitions, datetime]]:
    bound = {"tables": list(tables), "start": days.start, "end": days.end}
    found: dict[tuple[str, date], tuple[Partitions, datetime]] = {}
    for name, day, partitions, doubted_since in sql.rows("part_states", bound):
        facts = (tuple(partition.values()) for partition in partitions)
        parts = {partition: Parts(*rest) for partition, *rest in facts}
        found[name, day] = parts, doubted_since.replace(tzinfo=UTC)
    return found


def _by_period(partitions: Iterable[Partition], tables: Mapping[str, _Seen]) -> dict[str, dict[str, dict[str, Parts]]]:
    """The partitions of each table by the day, month or neither that they hold; a table without parts has none."""
    found: dict[str, dict[str, dict[str, Parts]]] = {name: defaultdict(dict) for name in tables}
    for one in partitions:
        if one.name and one.table in tables:
            found[one.table][partition_period(one.key, one.name, tables[one.table].day)][one.name] = one.parts
    return found


def _within_reach(periods: Mapping[str, Partitions], day: date, reach: int) -> dict[str, Parts]:
    """The partitions whose rows bear on a day: of the day, of its neighbours, of their months, and of no day."""
    near = DayRange(day - reach * ONE_DAY, day + (reach + 1) * ONE_DAY)
    names = {"", *(f"{one:%Y%m%d}" for one in near), *(f"{one:%Y%m}" for one in near)}
    return {partition: one for name in names for partition, one in periods.get(name, {}).items()}
