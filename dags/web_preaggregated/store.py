"""Builds a day in ClickHouse: everything is staged and validated first, then swapped in, then recorded.

Readers see a table's old day or its new one. A fault before the swap leaves them on the old data; one between the two
tables is found by the next detection, for the data is asked and not the ledger.
"""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags import clock
from dags.errors import BuildError
from dags.ledger import ALL_TEAMS, BuildRecord, append_to_ledger
from dags.sql import Cost, Sql
from dags.units import MAX_TEAMS_BOUND, Fingerprint, Measure, Outcome
from dags.web_preaggregated.plan import Replacement, batches, replacement
from dags.web_preaggregated.tables import LOGIC_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import date

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.web_preaggregated"

# Every staging table's name begins so; nothing else's may.
STAGING_PREFIX = "web_pre_aggregated_staging_"

# A staging table older than this belongs to a run that is dead: runs end after six hours (their max_runtime).
LEFTOVER_SECONDS = 24 * 3600


@dataclass(frozen=True)
class BuiltTable:
    """What a build did to one table's day."""

    table: str
    outcome_by_team: Mapping[int, Outcome]
    after: Mapping[int, Measure]
    rows: int

    def teams(self, outcome: Outcome) -> tuple[int, ...]:
        return tuple(sorted(team for team, was in self.outcome_by_team.items() if was is outcome))


@dataclass(frozen=True)
class BuiltDay:
    """What a build did, and what it cost."""

    day: date
    tables: tuple[BuiltTable, ...]
    source_events: int
    cost: Cost


@dataclass
class DayBuild:
    """One build of one day, for some teams, into some tables. `run` is called once.

    ``teams`` are rebuilt, or emptied where their source is empty; every other team's rows of the day stay.
    ``progress`` is told in words what has been done, for the run's log.
    """

    client: Client
    day: date
    teams: Collection[int]
    tables: Collection[str]
    run_id: str
    batch_events: int
    max_memory_bytes: int
    allow_shrink: bool = False
    progress: Callable[[str], None] = field(default=logging.getLogger(__name__).info)

    def run(self) -> BuiltDay:
        """Stage, validate, publish, record.

        Raises:
            BuildError: nobody to build for, or what was staged is not what the sessions say. Nothing is published.
            ClickHouseError: a statement failed. What was published before stays, whole.
        """
        if not self.teams:
            raise BuildError(
                f"no team is enabled, so nothing is watched and {self.day} is not built: enable teams "
                "(WEB_ANALYTICS_TEAM_SOURCES) and materialize web_analytics_team_selection"
            )
        spill_at = self.max_memory_bytes // 2
        self._sql = Sql(
            _PACKAGE,
            self.client,
            settings={
                "max_memory_usage": self.max_memory_bytes,
                "max_bytes_before_external_group_by": spill_at,
                "max_bytes_before_external_sort": spill_at,
                # What is inserted was grouped a moment ago; merging it once more costs a third of the build.
                "optimize_on_insert": 0,
            },
        )
        self._started = clock.utc_now()
        try:
            return self._staged_and_published()
        except (ClickHouseError, BuildError) as error:
            # The reason for the gap that stays. If the ledger cannot take it either, the run's own error must do.
            with suppress(ClickHouseError):
                self._record_failure(str(error))
            raise

    def _staged_and_published(self) -> BuiltDay:
        self._sweep()
        fingerprints = self._fingerprints()
        with ExitStack() as staging:
            staged = {table: self._staging(staging, f"new_{table}", like=table) for table in self.tables}
            expected = self._stage(staged, {team: f.events for team, f in fingerprints.items()})
            after = {table: self._validated(staged[table], table, expected) for table in self.tables}
            built = []
            for table in self.tables:
                before = self._units(table, day_only=True)
                plan = replacement(self.teams, _measures(before), after[table], allow_shrink=self.allow_shrink)
                self._publish(staging, table, staged[table], plan, before=before.keys())
                rows = self._read_back(table, plan, after[table])
                self._record(table, plan, after[table], fingerprints)
                built.append(BuiltTable(table, plan.outcome_by_team, after[table], rows))
                self.progress(f"{self.day}: {table} published, {rows:,} rows")
        return BuiltDay(self.day, tuple(built), sum(f.events for f in fingerprints.values()), self._sql.cost)

    def _fingerprints(self) -> dict[int, Fingerprint]:
        asked = frozenset(self.teams)
        rows = self._sql.rows("activity", {"day": self.day})
        return {team: Fingerprint(*counts) for team, *counts in rows if team in asked}

    def _stage(self, staged: Mapping[str, str], events_by_team: Mapping[int, int]) -> dict[int, Measure]:
        """Compute the day into the staging tables, batch by batch; the measure of each team's sessions."""
        expected: dict[int, Measure] = {}
        cut = batches(events_by_team, self.batch_events)
        for number, teams in enumerate(cut, start=1):
            bound = {"day": self.day, "teams": list(teams)}
            with ExitStack() as batch:
                duplicates = self._name(batch, "duplicates")
                sessions = self._name(batch, "sessions")
                self._sql.command("duplicates", bound, duplicates=duplicates)
                self._sql.command("sessions", bound, duplicates=duplicates, sessions=sessions)
                for table, staging in staged.items():
                    needed = {name: bound[name] for name in self._sql.parameters(table)}
                    self._sql.command(table, needed, staging=staging, sessions=sessions, duplicates=duplicates)
                for team, *measure in self._sql.rows("session_units", sessions=sessions):
                    expected[team] = Measure(*measure)
            self.progress(f"{self.day}: batch {number} of {len(cut)} staged, {len(teams):,} teams")
        return expected

    def _validated(self, staging: str, table: str, expected: Mapping[int, Measure]) -> dict[int, Measure]:
        staged = self._units(staging, day_only=False)
        strays = sum(stray for *_, stray in staged.values())
        found = _measures(staged)
        differing = {team for team in {*found, *expected} if found.get(team) != expected.get(team)}
        if strays or differing:
            example = min(differing, default=None)
            raise BuildError(
                f"{table} of {self.day} was not published, readers still see the old data: {strays} staged rows lie "
                f"outside the day and {len(differing)} teams differ from their sessions"
                + (f", team {example} with {found.get(example)} staged of {expected.get(example)}" if example else "")
                + ". This is a fault of the build itself: report it with this message"
            )
        return found

    def _publish(
        self, staging: ExitStack, table: str, new: str, plan: Replacement, *, before: AbstractSet[int]
    ) -> None:
        partition = {"partition": int(f"{self.day:%Y%m%d}")}
        self._delete(new, plan.held)
        if plan.kept:
            kept = self._staging(staging, f"kept_{table}", like=table)
            self._sql.command("attach_day", partition, into=kept, source=table)
            self._delete(kept, before - plan.kept)
            self._sql.command("attach_day", partition, into=new, source=kept)
        if Outcome.BUILT in plan.outcome_by_team.values() or plan.kept:
            self._sql.command("publish_day", partition, target=table, staging=new)
        elif before:
            self._sql.command("drop_day", partition, target=table)

    def _delete(self, staging: str, teams: Collection[int]) -> None:
        ids = sorted(teams)
        for first in range(0, len(ids), MAX_TEAMS_BOUND):
            self._sql.command("delete_teams", {"teams": ids[first : first + MAX_TEAMS_BOUND]}, staging=staging)

    def _read_back(self, table: str, plan: Replacement, after: Mapping[int, Measure]) -> int:
        """The rows that readers of the day now see, once they are known to be what was staged."""
        units = self._units(table, day_only=True)
        now = _measures(units)
        differing = [team for team in after.keys() - plan.held if now.get(team) != after[team]]
        if differing or plan.kept - now.keys():
            raise BuildError(
                f"{table} of {self.day} was published, but {len(differing)} teams read back unlike what was staged "
                f"(first: {differing[:5]}): something else wrote the day at the same moment; build it again"
            )
        return sum(rows for rows, *_ in units.values())

    def _units(self, table: str, *, day_only: bool) -> dict[int, tuple[int, int, int, int]]:
        rows = self._sql.rows("target_units", {"day": self.day, "day_only": int(day_only)}, target=table)
        return {team: tuple(facts) for team, *facts in rows}

    def _record(
        self,
        table: str,
        plan: Replacement,
        after: Mapping[int, Measure],
        fingerprints: Mapping[int, Fingerprint],
    ) -> None:
        append_to_ledger(
            self.client,
            (
                replace(
                    self._record_of(table, team, outcome),
                    source=fingerprints.get(team, Fingerprint()),
                    measure=after.get(team, Measure()),
                )
                for team, outcome in sorted(plan.outcome_by_team.items())
            ),
        )

    def _record_failure(self, error: str) -> None:
        failed = (replace(self._record_of(table, ALL_TEAMS, Outcome.FAILED), error=error) for table in self.tables)
        append_to_ledger(self.client, failed)

    def _record_of(self, table: str, team: int, outcome: Outcome) -> BuildRecord:
        return BuildRecord(table, self.day, team, outcome, self._started, clock.utc_now(), self.run_id, LOGIC_VERSION)

    def _staging(self, stack: ExitStack, kind: str, like: str) -> str:
        name = self._name(stack, kind)
        self._sql.command("create_staging", staging=name, target=like)
        return name

    def _name(self, stack: ExitStack, kind: str) -> str:
        """The name of a staging table of this run alone, dropped when ``stack`` closes, made by then or not."""
        run = re.sub(r"\W", "", self.run_id)[:32]
        name = f"{STAGING_PREFIX}{self.day:%Y%m%d}_{run}_{kind}"
        stack.callback(self._drop, name)
        return name

    def _drop(self, name: str) -> None:
        self._sql.command("drop_table", table=name)

    def _sweep(self) -> None:
        bound = {"prefix": STAGING_PREFIX, "older_than_seconds": LEFTOVER_SECONDS}
        for (name,) in self._sql.rows("leftovers", bound):
            self.progress(f"dropping {name}, left behind by a run that died")
            self._drop(name)


def _measures(units: Mapping[int, tuple[int, int, int, int]]) -> dict[int, Measure]:
    return {team: Measure(sessions, pageviews) for team, (_, sessions, pageviews, _) in units.items()}
