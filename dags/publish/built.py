"""What a build did: the outcome of each unit, and what is said of it.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.domain.text import counted
from dags.domain.units import Measure, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from dags.clickhouse.sql import Cost


@dataclass(frozen=True)
class BuiltTable:
    """What a build did to one table's day: an outcome for each team that there was something to say of.

    ``words_by_team`` says of those that failed or were skipped why. ``rows`` are those of the day that readers see, as
    far as they were read. ``is_published``: a day was swapped in; ``is_as_staged``: it read back as it was staged;
    ``is_untouched``: for certain nothing was swapped in, where neither says whether a swap that failed happened.
    ``problems``: why it is not a success, in words.
    """

    table: str
    outcome_by_team: Mapping[int, Outcome]
    after: Mapping[int, Measure]
    rows: int
    words_by_team: Mapping[int, str] = field(default_factory=dict)
    is_published: bool = False
    is_as_staged: bool = True
    is_untouched: bool = False
    problems: tuple[str, ...] = ()

    def in_words(self) -> str:
        """What became of it, and of how many teams nothing did."""
        left = [
            f"{counted(len(teams), 'team')} {outcome}"
            for outcome in (Outcome.FAILED, Outcome.HELD, Outcome.SKIPPED)
            if (teams := self.teams(outcome))
        ]
        if self.is_published:
            rows = f"{self.rows:,} rows" if self.is_as_staged else "and reads back otherwise"
            return "; ".join([f"{self.table} published, {rows}", *left])
        reason = ", ".join(left) or "no team has anything to build"
        return f"{self.table}: nothing published, readers see their old rows: {reason}"

    def teams(self, outcome: Outcome) -> tuple[int, ...]:
        return tuple(sorted(team for team, was in self.outcome_by_team.items() if was is outcome))


@dataclass(frozen=True)
class SourceRead:
    """Of the teams that a build was of: the rows of the day itself, those with its neighbours that bear on it, and what
    ClickHouse has read to compute them, which the embedded engine does not say.
    """

    own: int
    around: int
    cost: Cost


@dataclass(frozen=True)
class BuiltDay:
    """What a build did, and what it cost.

    ``not_begun``: tables that no day may be swapped into, and why. ``left_out``: teams of any table that were left out,
    and why, in words. ``uncounted``: how many rows of the sources count on no day, by what they are.
    """

    day: date
    tables: tuple[BuiltTable, ...]
    source: SourceRead
    cost: Cost
    not_begun: Mapping[str, str] = field(default_factory=dict)
    left_out: str = ""
    uncounted: Mapping[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it is not a success, in words; empty if it is one."""
        of_tables = (words for table in self.tables for words in table.problems)
        return (*self.not_begun.values(), *filter(None, [self.left_out]), *of_tables)

    def problems_of(self, table: str) -> tuple[str, ...]:
        """Why it is none for one table: of a table of which no team was left out, that is no reason."""
        own = [one for one in self.tables if one.table == table]
        lacks = any(one.teams(Outcome.SKIPPED) for one in own)
        words = [self.not_begun.get(table, ""), self.left_out if lacks else ""]
        return (*filter(None, words), *(problem for one in own for problem in one.problems))
