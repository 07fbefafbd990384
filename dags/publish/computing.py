"""Has teams of a day computed into staging tables, a batch at a time, and finds out which of them cannot be computed.

What fails because it was too much at once, or for the data of one team, is tried again in halves, until what fails
stands alone and the rest is done.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.sql import Sql
from dags.domain.text import counted
from dags.domain.units import Outcome
from dags.publish.batches import Batch, Limits, batches, left_to_read
from dags.publish.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from tenacity import Retrying

    from dags.domain.units import Fingerprint, Measure
    from dags.domain.watched import Builder
    from dags.publish.staging import Staging, Tables

_PACKAGE = "dags.publish"

# The engine's own names for going beyond what `Limits.max_rows_read` and `Limits.max_bytes_read` set.
_CEILING_REACHED = ("TOO_MANY_ROWS", "TOO_MANY_BYTES")

# So many teams failed, each alone, and none succeeded: then it is not the teams, and the rest is not tried.
MAX_CULPRITS = 8

# By table and team: what became of a unit that was not built, and why.
LeftOut = dict[tuple[str, int], tuple[Outcome, str]]


def left_out(tables: Iterable[str], teams: Collection[int], outcome: Outcome, words: str) -> LeftOut:
    """Units that are not built, all for one reason."""
    return {(table, team): (outcome, words) for table in tables for team in teams}


def of_table(left: LeftOut, table: str) -> dict[int, tuple[Outcome, str]]:
    """What became of one table's units that are not built, by team."""
    return {team: what for (name, team), what in left.items() if name == table}


@dataclass(frozen=True)
class Staged:
    """A batch that was computed: its staging by table, what its teams' sources hold, and what counts on no day."""

    batch: Batch
    staging_by_table: Mapping[str, str]
    measures: Mapping[int, Measure]
    uncounted: Mapping[str, Mapping[int, int]]


@dataclass(frozen=True)
class Computed:
    """What was staged, and what was not; ``at_ceiling``: how many teams were left since no more may be read."""

    staged: tuple[Staged, ...] = ()
    left: LeftOut = field(default_factory=dict)
    at_ceiling: int = 0

    def of(self, table: str) -> tuple[Staged, ...]:
        return tuple(one for one in self.staged if table in one.batch.tables)

    def uncounted(self) -> dict[str, int]:
        """How many rows of the sources count on no day, by what they are; of a team once, in however many batches."""
        found: dict[str, dict[int, int]] = {}
        for one in self.staged:
            for what, rows_by_team in one.uncounted.items():
                found.setdefault(what, {}).update(rows_by_team)
        return {what: sum(rows.values()) for what, rows in found.items() if rows}


class _Bench:
    """A batch's `dags.domain.watched.Workbench`. ``table`` is the one in work; empty while none alone is."""

    def __init__(self, sql: Sql, staging: Staging, at: Callable[[Moment], None]) -> None:
        self.table = ""
        self.staging_by_table: dict[str, str] = {}
        self.uncounted_by_team: dict[str, Mapping[int, int]] = {}
        self._sql = sql
        self._staging = staging
        self._at = at
        self._scratch = staging.together()
        self._results = staging.together()

    @contextmanager
    def attempt(self) -> Iterator[Tables]:
        """Work from the start; the results, to be handed over, or else they are dropped as all the rest is."""
        with self._staging.together() as self._scratch, self._staging.together() as self._results:
            self.table, self.staging_by_table, self.uncounted_by_team = "", {}, {}
            yield self._results

    def rows(self, package: str, name: str, parameters: Mapping[str, Any], **identifiers: str) -> Sequence[Any]:
        self.table = ""
        sql, bound = self._statement(package, name, parameters)
        return sql.rows(name, bound, **identifiers)

    def command(self, package: str, name: str, parameters: Mapping[str, Any], **identifiers: str) -> None:
        sql, bound = self._statement(package, name, parameters)
        sql.command(name, bound, **identifiers)
        if self.table:
            self._at(Moment.HALF_STAGED)

    def _statement(self, package: str, name: str, parameters: Mapping[str, Any]) -> tuple[Sql, dict[str, Any]]:
        """A package's statements, and of the parameters those that the named one binds."""
        sql = Sql.of(self._sql, package)
        return sql, {one: parameters[one] for one in sql.parameters(name)}

    def scratch(self, kind: str) -> str:
        self.table = ""
        return self._staging.name(self._scratch, kind)

    def staging(self, table: str) -> str:
        self.table = table
        self.staging_by_table[table] = self._staging.like(self._results, "batch", table)
        return self.staging_by_table[table]

    def uncounted(self, what: str, rows_by_team: Mapping[int, int]) -> None:
        self.uncounted_by_team[what] = rows_by_team


@dataclass
class Computation:
    """The computing part of one build.

    ``retry`` calls what may fail for a moment; ``until_end`` keeps what is staged; ``tell`` gets in words what was
    done.
    """

    sql: Sql
    staging: Staging
    day: date
    limits: Limits
    retry: Retrying
    until_end: Tables
    tell: Callable[[str], None]
    at: Callable[[Moment], None]
    _staged: list[Staged] = field(default_factory=list, init=False)
    _left: LeftOut = field(default_factory=dict, init=False)
    _at_ceiling: int = field(default=0, init=False)
    _rows_read: int = field(default=0, init=False)

    def run(
        self, builder: Builder, teams_by_table: Mapping[str, Collection[int]], rows_of: Mapping[int, Fingerprint]
    ) -> None:
        """Compute the teams that have rows in the source of these tables."""
        rows_by_team = {team: fingerprint.events for team, fingerprint in rows_of.items()}
        cut = batches(teams_by_table, rows_by_team, self.limits.batch_events)
        for number, batch in enumerate(cut, start=1):
            self._stage(builder, batch, rows_by_team)
            self.tell(f"batch {number} of {len(cut)} staged, {counted(len(batch.teams), 'team')}")

    @property
    def computed(self) -> Computed:
        """All that was computed."""
        return Computed(tuple(self._staged), self._left, self._at_ceiling)

    def _stage(self, builder: Builder, batch: Batch, rows_by_team: Mapping[int, int]) -> None:
        ahead = sum(rows_by_team[team] for team in batch.teams)
        rows, size = left_to_read(self.limits, self.sql.cost, self._rows_read)
        if ahead > rows or size <= 0:
            self._stop_at_ceiling(batch)
            return
        ceilings = {"max_rows_to_read": rows, "max_bytes_to_read": size}
        sql = Sql.of(self.sql, _PACKAGE, {name: int(most) for name, most in ceilings.items() if most < math.inf})
        bench = _Bench(sql, self.staging, self.at)
        try:
            self._staged.append(self.retry(self._computed, builder, batch, bench))
            self._rows_read += ahead
        except ClickHouseError as error:
            if getattr(error, "name", None) in _CEILING_REACHED:
                self._stop_at_ceiling(batch)
            elif len(batch.tables) > 1 and bench.table and remedy(error) in (Remedy.ISOLATE, Remedy.STOP):
                # It is not what all tables share that failed, but what one of them makes of it.
                self.tell(f"{bench.table} failed, the other tables go on without it: {str(error)[:200]}")
                for part in batch.without(bench.table):
                    self._stage(builder, part, rows_by_team)
            elif len(batch.teams) == 1 or self._is_hopeless(batch, error):
                self._left |= left_out(batch.tables, batch.teams, Outcome.FAILED, str(error))
            else:
                self.tell(f"{counted(len(batch.teams), 'team')} failed together, trying halves: {str(error)[:200]}")
                for half in batch.halves():
                    self._stage(builder, half, rows_by_team)

    def _computed(self, builder: Builder, batch: Batch, bench: _Bench) -> Staged:
        with bench.attempt() as results:
            measures = builder.stage(bench, self.day, batch.tables, batch.teams)
            results.hand_over(self.until_end)
        return Staged(batch, bench.staging_by_table, measures, bench.uncounted_by_team)

    def _is_hopeless(self, batch: Batch, error: ClickHouseError) -> bool:
        """Whether fewer teams would fail all the same.

        What has been tried again in vain is over; but for memory, where this batch may be what fills the server.
        """
        tables = set(batch.tables)
        none_succeeded = not any(tables & set(one.batch.tables) for one in self._staged)
        failed = {team for (table, team), (what, _) in self._left.items() if table in tables and what is Outcome.FAILED}
        is_systemic = none_succeeded and len(failed) >= MAX_CULPRITS
        is_over = remedy(error) is Remedy.RETRY and getattr(error, "name", None) != "MEMORY_LIMIT_EXCEEDED"
        return is_systemic or is_over or remedy(error) is Remedy.STOP

    def _stop_at_ceiling(self, batch: Batch) -> None:
        ceilings = {
            "WEB_ANALYTICS_BUILD_MAX_ROWS_READ": self.limits.max_rows_read,
            "WEB_ANALYTICS_BUILD_MAX_BYTES_READ": self.limits.max_bytes_read,
        }
        named = " and ".join(f"{name}={most}" for name, most in ceilings.items() if most is not None)
        words = f"{named} leaves nothing for it: the next run goes on here, or raise it"
        self._left |= left_out(batch.tables, batch.teams, Outcome.SKIPPED, words)
        self._at_ceiling += len(batch.teams)
