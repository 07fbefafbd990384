"""What a declaration of a watched table says. A table is declared once; detection, decision, repair and reports know
none by name.

Pure: no clock, no database, no Dagster. A declaration needs what can be asked cheaply of the source and of the table
(their days, teams and sizes, best kept by a projection), one statement that counts a unit of the source exactly, and
the job that rebuilds a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dags.domain.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from dags.domain.expression import Expression
    from dags.domain.units import Measure


class Workbench(Protocol):
    """What a builder works with for one batch: statements on the build's connection and on its bill, and tables.

    Statements are files, named by package and name; of ``parameters`` each gets those that it binds.
    """

    def rows(self, package: str, name: str, parameters: Mapping[str, Any], **identifiers: str) -> Sequence[Any]:
        """The rows of a query."""

    def command(self, package: str, name: str, parameters: Mapping[str, Any], **identifiers: str) -> None:
        """Run a statement that answers nothing."""

    def scratch(self, kind: str) -> str:
        """A name that was never used, for a table that only this batch needs; the table is dropped after it."""

    def staging(self, table: str) -> str:
        """An empty table like ``table``: the rows put there are compared, then published.

        From here to the next call what fails is this table's failure, and keeps no other from being built.
        """

    def uncounted(self, what: str, rows_by_team: Mapping[int, int]) -> None:
        """Have it reported that rows of the source count on no day: ``what`` they are, and each team's."""


class Builder(Protocol):
    """Computes days of one or more tables from their source. It stages; what becomes of that is not its business.

    ``op`` is the op, in the job of its tables, whose configuration takes ``team_ids_by_table``, and that rebuilds those
    teams and leaves the others' rows alone.
    """

    @property
    def op(self) -> str:
        """The name of the op."""

    def stage(self, bench: Workbench, day: date, tables: Sequence[str], teams: Sequence[int]) -> Mapping[int, Measure]:
        """Fill ``bench.staging(table)`` of each table with the day of these teams; what each team's source amounts to.

        Measured from the source and not from what was staged, for the two are compared. A team without a row is in
        neither. No two staged rows have the same key.
        """


class Column(NamedTuple):
    """A column as people are shown it: its type is ClickHouse's own name of it."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Source:
    """What a watched table is built from, and which activity there makes a unit expected.

    ``day`` must be the UTC day of a row, as an expression of its columns; where the table has a projection by
    ``day`` and the team column with ``count()``, ``expected`` and ``newest`` in it, detection reads no row.

    ``reach_days``: rows of so many days before and after bear on a day's units, which is therefore closed so much later
    than it is over. 0 where a row counts on its own day; 1 for sessions, which begin on one day and end on the next.

    ``counts``: package and name of the statement that counts units exactly, by the rule of the build. It binds
    ``{days:Array(Date)}`` and ``{teams:Array(UInt64)}``, of equal length and a unit at each place, and answers with
    rows of day, team, distinct things and occurrences.

    ``tells_rows``: it answers, of every unit with rows within reach, with how many of these it read, in a fifth column.
    What it counts is then believed only if it has read as many as the projection knows, or more.
    """

    table: str
    day: Expression
    expected: Expression
    newest: Expression
    counts: tuple[str, str]
    team_column: str = "team_id"
    reach_days: int = 0
    tells_rows: bool = False


@dataclass(frozen=True)
class WatchedTable:
    """A daily-partitioned table whose days are kept complete; also the key of the asset that builds it.

    ``distinct`` and ``total`` are the aggregates over a unit's rows that must equal the source's; ``words`` is what
    they count; ``row_distinct`` and ``row_total`` are the same of one row alone, and 0 in none that a build may leave.
    ``job`` rebuilds a day of this table; its partition key is the day. ``first_day`` is the first that it may have:
    none before it is judged or built.

    ``agrees_with`` names the tables that must hold the same of each team and day: where one differs from its source
    and the other does not, readers see two truths, and the report says so.

    ``builder``: computes it, for `dags.publish` to stage, compare and swap in, each day as one ClickHouse partition.
    Then the table must be one for which that is right, or it is refused. None where its job does all of that by itself:
    then a rebuild is of all teams, it is enough that the table can be read, and no managed backfill is of it.

    ``description`` is what a person reads of it in the UI, ``columns`` what the UI shows of its columns.

    ``logic_version`` is stamped on every build. Raise it with every change of what a build computes; what an older
    version built is then reported as outdated.
    """

    name: str
    source: Source
    job: str
    first_day: date
    day: Expression
    distinct: Expression
    total: Expression
    words: tuple[str, str]
    row_distinct: Expression
    row_total: Expression
    team_column: str = "team_id"
    logic_version: int = 1
    builder: Builder | None = None
    agrees_with: tuple[str, ...] = ()
    description: str = ""
    columns: tuple[Column, ...] = ()

    @property
    def op(self) -> str:
        """The op that rebuilds some teams; empty where a rebuild is of all."""
        return self.builder.op if self.builder is not None else ""

    @property
    def swaps_days(self) -> bool:
        """Whether its days are swapped in by `dags.publish`."""
        return self.builder is not None

    def require_builder(self) -> Builder:
        """Its builder.

        Raises:
            BuildError: its job does all by itself.
        """
        if self.builder is None:
            raise BuildError(
                f"{self.name} is declared without a builder, so its days are built by {self.job} alone: declare a "
                "builder (dags.domain.watched.Builder) to have them staged, compared and swapped in"
            )
        return self.builder


def first_day(watched: Iterable[WatchedTable]) -> date:
    """The first day that any of them may have."""
    return min(table.first_day for table in watched)


def most_reach(watched: Iterable[WatchedTable]) -> int:
    """So many days after its end a day is closed in all of them."""
    return max(table.source.reach_days for table in watched)
