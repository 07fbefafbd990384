"""Keeps in which state each source was last seen, by day, and so finds the days of which it was altered in place.

What was built or verified before such a day was noticed is in doubt: its units are counted exactly once more. Those
that are found in order are recorded in the build ledger, later than the doubt, so each is counted once and a detection
without time for all of them goes on at the next.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clock import read_clocks
from dags.days import ONE_DAY, DayRange
from dags.units import EPOCH
from dags.web_preaggregated_backfill.alterations import Parts, is_altered
from dags.web_preaggregated_backfill.memory import partition_period

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clickhouse_connect.driver.client import Client

    from dags.sql import Sql
    from dags.watched import Source

    Partitions = Mapping[str, Parts]

_TABLE = "web_pre_aggregated_source_states"
_COLUMNS = ("source", "day", "partitions", "doubted_since")


@dataclass(frozen=True)
class Doubts:
    """Since when what was built of a day is in doubt, by source and day; and the days of which that is news.

    ``read_at`` is ClickHouse's clock after the parts were read: what is counted from then on knows of every alteration.
    """

    since: Mapping[tuple[str, date], datetime] = field(default_factory=dict)
    news: frozenset[date] = frozenset()
    read_at: datetime = EPOCH

    def of(self, source: Source, days: Iterable[date]) -> dict[date, datetime]:
        return {day: self.since[source.table, day] for day in days if (source.table, day) in self.since}


def read_doubts(client: Client, sql: Sql, days: DayRange, sources: Iterable[Source], *, keeps: bool) -> Doubts:
    """Compare the sources with how they were last seen, and keep how they are now unless ``keeps`` is false.

    What began to be built or verified before an alteration was noticed may end after that, and knows nothing of it: so
    it counts when it began. Where ClickHouse may not be asked for parts there are no doubts, as for any source whose
    parts are elsewhere.
    """
    seen_by_source = {}
    for source in sources:
        with suppress(ClickHouseError):
            seen_by_source[source] = _last_seen(sql, source, days), _parts_by_period(sql, source)
    # Not before: whoever begins between the clock and the parts would seem to know of what the parts say.
    read_at = read_clocks(client).server
    since: dict[tuple[str, date], datetime] = {}
    news: set[date] = set()
    kept: list[tuple[str, date, list[tuple[object, ...]], datetime]] = []
    for source, (before, parts_by_period) in seen_by_source.items():
        for day in days:
            now = _within_reach(parts_by_period, day, source.reach_days)
            seen, doubted = before.get(day, (now, EPOCH))
            if is_altered(seen, now):
                doubted = read_at
                news.add(day)
            if doubted > EPOCH:
                since[source.table, day] = doubted
            if seen != now if day in before else now:
                rows = [(partition, *astuple(one)) for partition, one in sorted(now.items())]
                kept.append((source.table, day, rows, doubted))
    if kept and keeps:
        client.insert(_TABLE, kept, column_names=_COLUMNS)
    return Doubts(since, frozenset(news), read_at)


def _last_seen(sql: Sql, source: Source, days: DayRange) -> dict[date, tuple[dict[str, Parts], datetime]]:
    bound = {"source": source.table, "start": days.start, "end": days.end}
    found = {}
    for day, partitions, doubted_since in sql.rows("source_states", bound):
        facts = (tuple(partition.values()) for partition in partitions)
        found[day] = {partition: Parts(*rest) for partition, *rest in facts}, doubted_since.replace(tzinfo=UTC)
    return found


def _parts_by_period(sql: Sql, source: Source) -> dict[str, dict[str, Parts]]:
    """The partitions of a source by the day, month or neither that they hold."""
    found: dict[str, dict[str, Parts]] = defaultdict(dict)
    for partition, *facts, partition_key in sql.rows("source_parts", {"source": source.table}):
        found[partition_period(partition_key, partition)][partition] = Parts(*facts)
    return found


def _within_reach(parts_by_period: Mapping[str, Partitions], day: date, reach: int) -> dict[str, Parts]:
    """The partitions whose rows bear on a day: of the day, of its neighbours, of their months, and of no day."""
    near = DayRange(day - reach * ONE_DAY, day + (reach + 1) * ONE_DAY)
    periods = {"", *(f"{one:%Y%m%d}" for one in near), *(f"{one:%Y%m}" for one in near)}
    return {partition: one for period in periods for partition, one in parts_by_period.get(period, {}).items()}
