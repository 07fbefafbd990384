"""Builds a day in ClickHouse: everything is staged and validated first, then swapped in, then recorded.

Readers see a table's old day or its new one. A fault before the swap leaves them on the old data; one between the two
tables is found by the next detection, for the data is asked and not the ledger. What cannot be built is told apart
from what can, team by team, and never keeps the others from being published.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.failures import retrying
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Cost, Sql
from dags.clickhouse.targets.store import read_usability
from dags.detection.ledger import BuildRecord, append_to_ledger
from dags.domain.errors import BuildError, LeaseError, ReadBackError
from dags.domain.units import MAX_TEAMS_BOUND, Fingerprint, Measure, Outcome
from dags.web_preaggregated.compute import Aside, Computation, Staged, Step
from dags.web_preaggregated.plan import Limits, Replacement, replacement
from dags.web_preaggregated.publishing import Held, NewRows, Publisher, Swap, tried_again
from dags.web_preaggregated.staging import STAGING_PREFIX, Staging, sweep
from dags.web_preaggregated.tables import LOGIC_VERSION, WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import date

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.web_preaggregated"


@dataclass(frozen=True)
class BuiltTable:
    """What a build did to one table's day: an outcome for each team that there was something to say of.

    ``words_by_team`` says of those that failed or were skipped why. ``rows`` are those of the day that readers see, as
    far as they were read. ``is_published``: a day was swapped in; ``is_as_staged``: it read back as it was staged;
    ``is_untouched``: for certain nothing was swapped in, where neither says whether a swap that failed happened.
    """

    table: str
    outcome_by_team: Mapping[int, Outcome]
    after: Mapping[int, Measure]
    rows: int
    words_by_team: Mapping[int, str] = field(default_factory=dict)
    is_published: bool = False
    is_as_staged: bool = True
    is_untouched: bool = False

    def spoken(self) -> str:
        """What became of it, and of how many teams nothing did."""
        left = [
            f"{len(teams):,} teams {outcome}"
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
class BuiltDay:
    """What a build did, and what it cost. ``problems``: why it is not a success, in words; empty if it is one."""

    day: date
    tables: tuple[BuiltTable, ...]
    source_events: int
    cost: Cost
    problems: tuple[str, ...] = ()


@dataclass
class DayBuild:
    """One build of one day, for some teams in each of some tables. `run` is called once.

    The teams asked for are rebuilt, or emptied where their source is empty; every other team's rows of the day stay
    the bytes they are. ``wait_seconds`` is how long to wait for another run that builds the day. ``progress`` is told
    in words what has been done, for the run's log; ``at`` at which step the build is, for tests of faults.

    ``holds`` names, from what a table has of the teams asked for and what was staged, those that keep their rows beside
    the ones that would lose half; it is not asked where ``allow_shrink`` is set.

    ``before_swap`` is told of each swap that is about to happen; what it raises keeps readers on the old day.
    ``confirm`` raises where something else than the day's lease must hold, and does not any more: as a managed
    backfill's own lease. It is called after each staging table is made, and just before the swap.
    """

    client: Client
    day: date
    teams_by_table: Mapping[str, Collection[int]]
    run_id: str
    limits: Limits
    allow_shrink: bool = False
    wait_seconds: float = 0.0
    progress: Callable[[str], None] = field(default=logging.getLogger(__name__).info)
    at: Callable[[Step], None] = field(default=lambda _: None)
    holds: Callable[[Mapping[int, Measure], Mapping[int, Measure]], Collection[int]] = field(default=lambda *_: ())
    before_swap: Callable[[Swap], None] = field(default=lambda _: None)
    confirm: Callable[[], None] = field(default=lambda: None)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def run(self) -> BuiltDay:
        """Take the leases; then stage, validate, publish and record each table.

        Raises:
            BuildError: nobody to build for, or no day may be swapped into any of the tables. Nothing was touched.
            LeaseError: another run is building the day. Nothing was touched.
            ClickHouseError: the leases could not be taken. Nothing was touched.
        """
        if not any(self.teams_by_table.values()):
            raise BuildError(
                f"no team is enabled, so nothing is watched and {self.day} is not built: enable teams "
                "(WEB_ANALYTICS_TEAM_SOURCES) and materialize web_analytics_team_selection"
            )
        self._again = retrying(self._told, sleep=self.sleep)
        clocks = self._again(read_clocks, self.client)
        self._asked_at = self._started = clocks.server
        self._problems: list[str] = []
        self._aside = Aside()
        self._fingerprints: dict[int, Fingerprint] = {}
        self._sql = Sql(_PACKAGE, self.client, settings=self._settings())
        self._leave_out_what_is_unusable()
        with (
            Leases(
                self.client, self.run_id, wait_seconds=self.wait_seconds, tell=self.progress, sleep=self.sleep
            ) as self._leases,
            ExitStack() as self._until_end,
        ):
            self._staging = Staging(self.client, self._sql, self.day, self._leases.token, self._told)
            try:
                self._take_leases()
            except LeaseError as error:
                self._skipped_whole(str(error))
                raise
            self._started = clocks.server_now()
            self.at(Step.LEASED)
            staged = self._compute()
            self.at(Step.STAGED)
            built = [self._built(table, staged) for table in sorted(self.teams_by_table)]
        events = sum(f.events for f in self._fingerprints.values())
        return BuiltDay(self.day, tuple(built), events, self._sql.cost, tuple(self._problems))

    def _compute(self) -> list[Staged]:
        computing = Computation(
            sql=self._sql,
            staging=self._staging,
            day=self.day,
            limits=self.limits,
            again=self._again,
            until_end=self._until_end,
            aside=self._aside,
            tell=self._told,
            at=self.at,
        )
        try:
            self._fingerprints = self._again(self._read_fingerprints)
            computing.run(self.teams_by_table, self._fingerprints)
        except ClickHouseError as error:
            for table in self.teams_by_table:
                self._aside.put((table,), self._open(table), Outcome.FAILED, str(error))
        if computing.ceilings:
            self._problems.append(
                f"{self.day}: {computing.ceilings:,} teams were left out, for the run may read no more "
                "(WEB_ANALYTICS_BUILD_MAX_ROWS_READ, WEB_ANALYTICS_BUILD_MAX_BYTES_READ); the next run goes on"
            )
        return computing.staged

    def _told(self, words: str) -> None:
        self.progress(f"{self.day}: {words}")

    def _settings(self) -> dict[str, int | str]:
        limits = self.limits
        spill_at = limits.max_memory_bytes // 2
        chosen = {
            "max_memory_usage": limits.max_memory_bytes,
            "max_bytes_before_external_group_by": spill_at,
            "max_bytes_before_external_sort": spill_at,
            "max_bytes_before_external_join": spill_at,
            "max_threads": limits.max_threads,
            "max_execution_time": limits.max_seconds,
            # What is inserted was grouped a moment ago; merging it once more costs a third of the build.
            "optimize_on_insert": 0,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def _leave_out_what_is_unusable(self) -> None:
        """Tables that no day may be swapped into; what is asked of the others is done."""
        asked = [table for table in WEB_TABLES if table.name in self.teams_by_table]
        usable = self._again(read_usability, self.client, asked)
        if not any(teams for table, teams in self.teams_by_table.items() if table not in usable.unusable):
            raise BuildError(f"{self.day} is not built, nothing was touched: {'; '.join(usable.unusable.values())}")
        self._problems += [f"{table} of {self.day} is not built: {why}" for table, why in usable.unusable.items()]
        self.teams_by_table = {t: teams for t, teams in self.teams_by_table.items() if t not in usable.unusable}
        self._uuids = usable.uuids

    # --- Before anything is computed -----------------------------------------------------------------------------

    def _take_leases(self) -> None:
        """In one order for every build, so that no two wait for each other; then clear away what the dead left."""
        for table in sorted(self.teams_by_table):
            if self._again(self._leases.take, table, self.day):
                self._leave_out_what_was_built(table)
            self._again(self._staging.fence, table)
        self._again(sweep, self.client, self.progress, token=self._leases.token)

    def _skipped_whole(self, words: str) -> None:
        for table, teams in self.teams_by_table.items():
            outcomes = dict.fromkeys(teams, Outcome.SKIPPED)
            skipped = BuiltTable(table, outcomes, {}, 0, dict.fromkeys(teams, words))
            # The run fails and says so itself; that the ledger knows it too is worth one attempt.
            with suppress(ClickHouseError):
                append_to_ledger(self.client, tuple(self._records(skipped)))

    def _leave_out_what_was_built(self, table: str) -> None:
        """Teams that the run we waited for has built, from data no older than what we were asked about."""
        bound = {
            "table": table,
            "day": self.day,
            "since": self._asked_at,
            "logic_version": LOGIC_VERSION,
            "run_id": self.run_id,
        }
        built = {team for (team,) in self._again(self._sql.rows, "built_meanwhile", bound)}
        asked = frozenset(self.teams_by_table[table])
        self._aside.put((table,), asked & built, Outcome.SKIPPED, "another run built it while this one waited")
        self.teams_by_table = {**self.teams_by_table, table: asked - built}

    def _read_fingerprints(self) -> dict[int, Fingerprint]:
        teams = sorted({team for teams in self.teams_by_table.values() for team in teams})
        found: dict[int, Fingerprint] = {}
        for some in _bindable(teams):
            rows = self._sql.rows("activity", {"day": self.day, "teams": some})
            found |= {team: Fingerprint(*counts) for team, *counts in rows}
        return found

    # --- Publishing ----------------------------------------------------------------------------------------------

    def _built(self, table: str, staged: Iterable[Staged]) -> BuiltTable:
        """Publish a table's day and record it; a failure leaves readers of this table on the old data."""
        plan, after, rows = Replacement(frozenset(), frozenset(), {}), dict[int, Measure](), 0
        is_published, is_as_staged, is_untouched = False, True, False
        try:
            if self._open(table):
                mine = [one for one in staged if table in one.batch.tables]
                plan, after, rows, is_published = tried_again(lambda: self._published(table, mine), self._told)
        except (ClickHouseError, BuildError) as error:
            self._aside.put((table,), self._open(table), Outcome.FAILED, _explained(error, table))
            is_as_staged = not isinstance(error, ReadBackError)
            is_published = not is_as_staged
            is_untouched = isinstance(error, BuildError) and is_as_staged
        else:
            is_untouched = not is_published
            self.at(Step.SWAPPED)
        aside = self._aside.of(table)
        outcomes = {**plan.outcome_by_team, **{team: outcome for team, (outcome, _) in aside.items()}}
        words_by_team = {team: words for team, (_, words) in aside.items()}
        built = BuiltTable(table, outcomes, after, rows, words_by_team, is_published, is_as_staged, is_untouched)
        self._told(built.spoken())
        try:
            self._again(append_to_ledger, self.client, tuple(self._records(built)))
        except ClickHouseError as error:
            self._problems.append(f"{table} of {self.day} is not recorded in the ledger: {str(error)[:500]}")
        self.at(Step.RECORDED)
        if failed := built.teams(Outcome.FAILED):
            became = "could not be built, readers see their old rows" if is_as_staged else "read back otherwise"
            self._problems.append(
                f"{table} of {self.day}: {len(failed):,} of {len(outcomes):,} teams {became}. "
                f"Team {failed[0]}: {built.words_by_team[failed[0]][:500]}"
            )
        return built

    def _published(self, table: str, staged: Iterable[Staged]) -> tuple[Replacement, dict[int, Measure], int, bool]:
        """What was decided, what was computed, the rows that readers see, and whether anything was swapped."""
        publisher = Publisher(
            sql=self._sql,
            day=self.day,
            staging=self._staging,
            leases=self._leases,
            again=self._again,
            held=lambda name: read_units(self._sql, name, self.day),
            confirm=self.confirm,
            before_swap=self.before_swap,
            at=self.at,
        )
        before = publisher.seen(table)
        if before.written.uuid != self._uuids.get(table):
            raise BuildError(
                f"{table} of {self.day} was not published: another table was put in its place while it was being "
                "built; the next build is of that one"
            )
        after = {team: measure for one in staged for team, measure in one.measures.items()}
        asked, has = self._open(table), before.amounts
        held = () if self.allow_shrink else self.holds({team: has[team] for team in asked & has.keys()}, after)
        plan = replacement(asked, has, after, allow_shrink=self.allow_shrink, held=held)
        replaced = before.by_team.keys() - plan.kept
        if not replaced and after.keys() <= plan.held:
            return plan, after, before.rows, False
        new = [self._new_rows(publisher, table, one, plan.held) for one in staged]
        return plan, after, publisher.publish(table, before, replaced, new), True

    def _new_rows(
        self, publisher: Publisher[Measure], table: str, staged: Staged, held: Collection[int]
    ) -> NewRows[Measure]:
        """What was staged for a table, less the teams that are held."""
        staging = staged.staging_by_table[table]
        self._again(publisher.delete, staging, staged.measures.keys() & held)
        return NewRows(staging, {team: measure for team, measure in staged.measures.items() if team not in held})

    def _open(self, table: str) -> frozenset[int]:
        """The teams asked for that are neither failed nor skipped."""
        return frozenset(
            team for team in self.teams_by_table[table] if (table, team) not in self._aside.outcome_by_unit
        )

    # --- What became of it ---------------------------------------------------------------------------------------

    def _records(self, built: BuiltTable) -> Iterable[BuildRecord]:
        for team, outcome in sorted(built.outcome_by_team.items()):
            yield BuildRecord(
                built.table,
                self.day,
                team,
                outcome,
                self._started,
                self.run_id,
                LOGIC_VERSION,
                source=self._fingerprints.get(team, Fingerprint()),
                measure=built.after.get(team, Measure()),
                error=built.words_by_team.get(team, ""),
            )


def _explained(error: Exception, table: str) -> str:
    """What failed, in words; with what ClickHouse does not know, for parts of one table do not fit another's."""
    if getattr(error, "name", None) == "INCOMPATIBLE_COLUMNS":
        return f"{table} was altered while its day was being built, and the next build takes that in: {error}"
    return str(error)


def read_units(sql: Sql, table: str, day: date) -> dict[int, Held[Measure]]:
    """What a table, or a staging of one, holds of a day, by team. Of a staging all rows are read, to find strays."""
    bound = {"day": day, "day_only": int(not table.startswith(STAGING_PREFIX))}
    return {
        team: Held(Measure(sessions, pageviews), rows, strays)
        for team, rows, sessions, pageviews, strays in sql.rows("target_units", bound, target=table)
    }


def _bindable(teams: list[int]) -> Iterable[list[int]]:
    return (teams[first : first + MAX_TEAMS_BOUND] for first in range(0, len(teams), MAX_TEAMS_BOUND))
