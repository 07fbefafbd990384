"""What a declaration of a watched table says. A table is declared once; detection, decision, repair and reports know
none by name.

Pure: no clock, no database, no Dagster. A declaration needs what can be asked cheaply of the source and of the table
(their days, teams and sizes, best kept by a projection), one statement that counts a unit of the source exactly, and
the job that rebuilds a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dags.domain.expression import Expression


@dataclass(frozen=True)
class Source:
    """What a watched table is built from, and which activity there makes a unit expected.

    ``day`` must be the UTC day of a row, as an expression of its columns; where the table has a projection by
    ``day`` and the team column with ``count()``, ``expected`` and ``newest`` in it, detection reads no row.

    ``reach_days``: rows of so many days before and after bear on a day's units. 0 where a row counts on its own day;
    1 for sessions, which begin on one day and end on the next.

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
    they count. ``job`` rebuilds a day of this table; its partition key is the day.

    ``agrees_with`` names the tables that must hold the same of each team and day: where one differs from its source
    and the other does not, readers see two truths, and the report says so.

    ``op``: the op in ``job`` whose configuration takes ``team_ids_by_table``, and that rebuilds those teams and leaves
    the others' rows alone. Empty: a rebuild is of all teams.

    ``swaps_days``: its builds stage a day and swap it in as one ClickHouse partition, as `dags.web_preaggregated` does.
    Then the table must be one for which that is right, or it is refused; of any other it is enough that it can be read.

    ``logic_version`` is stamped on every build. Raise it with every change of what a build computes; what an older
    version built is then reported as outdated.
    """

    name: str
    source: Source
    job: str
    day: Expression
    distinct: Expression
    total: Expression
    words: tuple[str, str]
    team_column: str = "team_id"
    logic_version: int = 1
    op: str = ""
    agrees_with: tuple[str, ...] = ()
    swaps_days: bool = False
