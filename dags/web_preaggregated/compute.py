"""Computes teams of a day into staging tables, a batch at a time, and finds out which of them cannot be computed.

What fails because it was too much at once, or for the data of one team, is tried again in halves, until what fails
stands alone and the rest is done.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.sql import Sql
from dags.domain.units import Measure, Outcome
from dags.web_preaggregated.plan import Batch, Limits, batches, left_to_read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import date

    from tenacity import Retrying

    from dags.domain.units import Fingerprint
    from dags.web_preaggregated.staging import Staging

_PACKAGE = "dags.web_preaggregated"

# The engine's own names for going beyond what `Limits.max_rows_read` and `Limits.max_bytes_read` set.
_CEILING_REACHED = ("TOO_MANY_ROWS", "TOO_MANY_BYTES")

# So many teams failed, each alone, and none succeeded: then it is not the teams, and the rest is not tried.
MAX_CULPRITS = 8


class Step(StrEnum):
    """The moments of a build, in their order; a fault may fall on each."""

    LEASED = "leases taken"
    HALF_STAGED = "half inserted"
    STAGED = "everything staged"
    VALIDATED = "before the swap"
    SWAPPED = "swapped, not recorded"
    RECORDED = "table recorded"


@dataclass
class Aside:
    """The units that a build leaves alone: with what outcome, and why."""

    outcome_by_unit: dict[tuple[str, int], Outcome] = field(default_factory=dict)
    words_by_unit: dict[tuple[str, int], str] = field(default_factory=dict)

    def put(self, tables: Iterable[str], teams: Collection[int], outcome: Outcome, words: str) -> None:
        units = [(table, team) for table in tables for team in teams]
        self.outcome_by_unit |= dict.fromkeys(units, outcome)
        self.words_by_unit |= dict.fromkeys(units, words)

    def failed(self, tables: Collection[str]) -> set[int]:
        return {
            team
            for (table, team), outcome in self.outcome_by_unit.items()
            if outcome is Outcome.FAILED and table in tables
        }

    def of(self, table: str) -> dict[int, tuple[Outcome, str]]:
        return {
            team: (outcome, self.words_by_unit[name, team])
            for (name, team), outcome in self.outcome_by_unit.items()
            if name == table
        }


@dataclass(frozen=True)
class Staged:
    """A batch that was computed: its staging by table, and what its sessions amount to."""

    batch: Batch
    staging_by_table: Mapping[str, str]
    measures: Mapping[int, Measure]


@dataclass
class Computation:
    """The computing part of one build. ``again`` calls what may fail for a moment; ``until_end`` keeps the staging.

    ``staged`` and ``aside`` hold what became of each team; ``ceilings`` counts those for which nothing was left.
    """

    sql: Sql
    staging: Staging
    day: date
    limits: Limits
    again: Retrying
    until_end: ExitStack
    aside: Aside
    tell: Callable[[str], None]
    at: Callable[[Step], None]
    staged: list[Staged] = field(default_factory=list)
    ceilings: int = 0
    _events_read: int = 0
    # The one in work; empty while what all tables share is computed.
    _table: str = ""

    def run(self, teams_by_table: Mapping[str, Collection[int]], fingerprints: Mapping[int, Fingerprint]) -> None:
        """Compute the teams that have events; those that cannot be are set aside."""
        self._events = {team: fingerprint.events for team, fingerprint in fingerprints.items()}
        cut = batches(teams_by_table, self._events, self.limits.batch_events)
        for number, batch in enumerate(cut, start=1):
            self._stage(batch)
            self.tell(f"batch {number} of {len(cut)} staged, {len(batch.teams):,} teams")

    def _stage(self, batch: Batch) -> None:
        ahead = sum(self._events[team] for team in batch.teams)
        rows, size = left_to_read(self.limits, self.sql.cost, self._events_read)
        if ahead > rows or size <= 0:
            self._stop_at_ceiling(batch)
            return
        try:
            self.staged.append(self.again(self._computed, batch, rows, size))
            self._events_read += ahead
        except ClickHouseError as error:
            if getattr(error, "name", None) in _CEILING_REACHED:
                self._stop_at_ceiling(batch)
            elif self._is_of_one_table(batch, error):
                self.tell(f"{self._table} failed, the other tables go on without it: {str(error)[:200]}")
                for part in batch.without(self._table):
                    self._stage(part)
            elif len(batch.teams) == 1 or self._is_hopeless(batch, error):
                self.aside.put(batch.tables, batch.teams, Outcome.FAILED, str(error))
            else:
                self.tell(f"{len(batch.teams):,} teams failed together, trying halves: {str(error)[:200]}")
                for half in batch.halves():
                    self._stage(half)

    def _is_of_one_table(self, batch: Batch, error: ClickHouseError) -> bool:
        """Whether what failed is not the sessions, which all tables share, but what one of them makes of them."""
        return len(batch.tables) > 1 and self._table != "" and remedy(error) in (Remedy.ISOLATE, Remedy.STOP)

    def _is_hopeless(self, batch: Batch, error: ClickHouseError) -> bool:
        """Whether fewer teams would fail all the same.

        What has been tried again in vain is over; but for memory, where this batch may be what fills the server.
        """
        tables = set(batch.tables)
        none_succeeded = not any(tables & set(one.batch.tables) for one in self.staged)
        is_systemic = none_succeeded and len(self.aside.failed(tables)) >= MAX_CULPRITS
        is_over = remedy(error) is Remedy.RETRY and getattr(error, "name", None) != "MEMORY_LIMIT_EXCEEDED"
        return is_systemic or is_over or remedy(error) is Remedy.STOP

    def _stop_at_ceiling(self, batch: Batch) -> None:
        ceilings = {
            "WEB_ANALYTICS_BUILD_MAX_ROWS_READ": self.limits.max_rows_read,
            "WEB_ANALYTICS_BUILD_MAX_BYTES_READ": self.limits.max_bytes_read,
        }
        named = " and ".join(f"{name}={most}" for name, most in ceilings.items() if most is not None)
        words = f"{named} leaves nothing for it: the next run goes on here, or raise it"
        self.aside.put(batch.tables, batch.teams, Outcome.SKIPPED, words)
        self.ceilings += len(batch.teams)

    def _computed(self, batch: Batch, rows: float, size: float) -> Staged:
        bound = {"day": self.day, "teams": list(batch.teams)}
        ceilings = {"max_rows_to_read": rows, "max_bytes_to_read": size}
        sql = Sql.of(self.sql, _PACKAGE, {name: int(most) for name, most in ceilings.items() if most < math.inf})
        with ExitStack() as scratch, ExitStack() as results:
            duplicates = self.staging.name(scratch, "duplicates")
            sessions = self.staging.name(scratch, "sessions")
            self._table = ""
            sql.command("duplicates", bound, duplicates=duplicates)
            sql.command("sessions", bound, duplicates=duplicates, sessions=sessions)
            staging: dict[str, str] = {}
            for table in batch.tables:
                self._table = table
                name = staging[table] = self.staging.like(results, "batch", table)
                needed = {parameter: bound[parameter] for parameter in sql.parameters(table)}
                sql.command(table, needed, staging=name, sessions=sessions, duplicates=duplicates)
                self.at(Step.HALF_STAGED)
            self._table = ""
            measured = {team: Measure(*counts) for team, *counts in sql.rows("session_units", sessions=sessions)}
            self.until_end.enter_context(results.pop_all())
        return Staged(batch, staging, measured)
