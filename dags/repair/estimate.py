"""Says what a rebuild of a day will cost.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date


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
    """How days are rebuilt: by which job a table is, what a rebuild of a day reads, and how long a row takes."""

    job_by_table: Mapping[str, str] = field(default_factory=dict)
    source_rows: Mapping[tuple[str, date], int] = field(default_factory=dict)
    seconds_per_row: Mapping[str, float] = field(default_factory=dict)

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
