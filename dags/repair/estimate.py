"""Says what a rebuild of a day will cost.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from dags.domain.watched import WatchedTable


@dataclass(frozen=True)
class Estimate:
    """What a rebuild will cost, from the source's size and past builds; both are estimates. Seconds None: no build
    is known to tell from.
    """

    source_rows: int
    seconds: float | None

    def __str__(self) -> str:
        """``about 1,200,000 rows, 12 s``."""
        return f"about {self.source_rows:,} rows" + ("" if self.seconds is None else f", {self.seconds:,.1f} s")


@dataclass(frozen=True)
class Building:
    """How days are rebuilt: by which job a table is, what a rebuild of a day reads, and how long a row takes.

    ``op_by_table``: the op that rebuilds some teams; a table without one is rebuilt for all. ``teams``: how many are
    enabled, 0 if nobody knows. ``shards``: the same of each shard, where there are several.
    """

    job_by_table: Mapping[str, str] = field(default_factory=dict)
    source_rows: Mapping[tuple[str, date], int] = field(default_factory=dict)
    seconds_per_row: Mapping[str, float] = field(default_factory=dict)
    op_by_table: Mapping[str, str] = field(default_factory=dict)
    shards: Mapping[int, Building] = field(default_factory=dict)
    teams: int = 0

    @classmethod
    def of(
        cls, watched: Iterable[WatchedTable], rows: Mapping[tuple[str, date], int], seconds: Mapping[str, float]
    ) -> Building:
        """That of declared tables."""
        tables = tuple(watched)
        return cls({one.name: one.job for one in tables}, rows, seconds, {one.name: one.op for one in tables})

    def of_shard(self, shard: int) -> Building:
        return self.shards.get(shard, self)

    def job(self, table: str) -> str:
        return self.job_by_table.get(table, "")

    def estimate(self, day: date, tables: Sequence[str]) -> Estimate | None:
        """Tables of one job share their source's rows and their time; the largest of each counts."""
        rows = {table: self.source_rows[table, day] for table in tables if (table, day) in self.source_rows}
        if not rows:
            return None
        seconds = [
            count * self.seconds_per_row[table] for table, count in rows.items() if table in self.seconds_per_row
        ]
        return Estimate(max(rows.values()), max(seconds, default=None))

    def estimate_in_words(self, places: Iterable[tuple[str, date]]) -> str:
        """What rebuilding these tables' days will cost, as far as it is known: ``2 days, about 1,200 rows, 0.3 s``.

        The tables of one job are rebuilt together, a day at a time. Where nothing is known of one of the days no sum is
        given, for it would be too small.
        """
        tables: dict[tuple[date, str], set[str]] = defaultdict(set)
        for table, day in places:
            tables[day, self.job(table)].add(table)
        days = counted(len({day for day, _ in tables}), "day")
        found = [self.estimate(day, sorted(some)) for (day, _), some in tables.items()]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return f"{days}, how many rows is not known"
        return f"{days}, {total(known)}"


def total(estimates: Iterable[Estimate]) -> Estimate:
    """Of all together; no seconds where none has them."""
    known = tuple(estimates)
    seconds = [one.seconds for one in known if one.seconds is not None]
    return Estimate(sum(one.source_rows for one in known), sum(seconds) if seconds else None)
