"""Builds a day in ClickHouse: everything is staged and validated first, then swapped in, then recorded.

Readers see a table's old day or its new one. A fault before the swap leaves them on the old data; one between the two
tables is found by the next detection, for the data is asked and not the ledger. What cannot be built is told apart
from what can, team by team, and never keeps the others from being published.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.failures import retrying
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.store import read_usability
from dags.detection.ledger import BuildRecord, append_to_ledger
from dags.domain.errors import BuildError, LeaseError, ReadBackError, UnreadableError
from dags.domain.units import Fingerprint, Measure, Outcome
from dags.domain.watched import Source
from dags.publish.batches import Limits, replacement
from dags.publish.built import BuiltDay, BuiltTable, SourceRead
from dags.publish.computing import Computation, Computed, LeftOut, Staged, left_out, of_table
from dags.publish.contents import read_source, read_units
from dags.publish.moments import Checkpoint, Moment
from dags.publish.path import NewRows, Publisher, retried
from dags.publish.staging import Staging, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client
    from tenacity import Retrying

    from dags.clickhouse.targets.store import Usability
    from dags.domain.watched import WatchedTable
    from dags.publish.staging import Tables

_PACKAGE = "dags.publish"

# What the sources of a build amount to, by source and team.
SourceRows = dict[Source, dict[int, Fingerprint]]


@dataclass(frozen=True)
class DayBuild:
    """One build of one day, for some teams in each of some tables.

    The teams asked for are rebuilt, or emptied where their source is empty; every other team's rows of the day stay
    the bytes they are. ``tables`` declares those of ``teams_by_table``. ``wait_seconds`` is how long to wait for
    another run that builds the day. ``progress`` is told in words what has been done, for the run's log; ``at`` at
    which step the build is, for tests of faults. ``checkpoint`` is asked between staging and swap.
    """

    client: Client
    day: date
    teams_by_table: Mapping[str, Collection[int]]
    run_id: str
    limits: Limits
    tables: Sequence[WatchedTable] = field(kw_only=True)
    allow_shrink: bool = False
    wait_seconds: float = 0.0
    progress: Callable[[str], None] = field(default=logging.getLogger(__name__).info)
    at: Callable[[Moment], None] = field(default=lambda _: None)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
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
        retry = retrying(self.tell, sleep=self.sleep)
        clocks = retry(read_clocks, self.client)
        usable = retry(read_usability, self.client, self._asked())
        wanted = self._wanted(usable)
        sql = Sql(_PACKAGE, self.client, settings=self.limits.settings())
        with (
            Leases(
                self.client, self.run_id, wait_seconds=self.wait_seconds, tell=self.progress, sleep=self.sleep
            ) as leases,
            (
                staging := Staging(self.client, sql, self.day, leases.token, self.tell, sleep=self.sleep)
            ).together() as until_end,
        ):
            attempt = _Attempt(self, sql, leases, staging, retry, usable.uuids, until_end, clocks.server)
            try:
                left = attempt.lease(wanted)
            except LeaseError as error:
                attempt.record_skipped(wanted, str(error))
                raise
            attempt = replace(attempt, started_at=clocks.server_now())
            self.at(Moment.LEASED)
            rows, computed = attempt.compute({t: teams - of_table(left, t).keys() for t, teams in wanted.items()})
            read = sql.cost
            self.at(Moment.STAGED)
            left |= computed.left
            built = [attempt.publish(table, teams, rows, computed, left) for table, teams in sorted(wanted.items())]
        left_out = (
            f"{self.day}: {computed.at_ceiling:,} teams were left out, for the run may read no more "
            "(WEB_ANALYTICS_BUILD_MAX_ROWS_READ, WEB_ANALYTICS_BUILD_MAX_BYTES_READ); the next run goes on"
        )
        not_begun = {table: f"{table} of {self.day} is not built: {why}" for table, why in usable.unusable.items()}
        sizes = [fingerprint for by_team in rows.values() for fingerprint in by_team.values()]
        source = SourceRead(sum(one.own_events for one in sizes), sum(one.events for one in sizes), read)
        uncounted = computed.uncounted()
        for what, number in uncounted.items():
            self.tell(f"counted on no day, {what}: {number:,}")
        return BuiltDay(
            self.day, tuple(built), source, sql.cost, not_begun, left_out if computed.at_ceiling else "", uncounted
        )

    def tell(self, words: str) -> None:
        """Say in words what has been done, of this day."""
        self.progress(f"{self.day}: {words}")

    def _asked(self) -> list[WatchedTable]:
        return [table for table in self.tables if table.name in self.teams_by_table]

    def _wanted(self, usable: Usability) -> dict[str, frozenset[int]]:
        """The teams by table, without the tables that no day may be swapped into: the others are built."""
        wanted = {
            table: frozenset(teams) for table, teams in self.teams_by_table.items() if table not in usable.unusable
        }
        if not any(wanted.values()):
            raise BuildError(f"{self.day} is not built, nothing was touched: {'; '.join(usable.unusable.values())}")
        return wanted


@dataclass(frozen=True)
class _Attempt:
    """A build at work, and what it works with. ``asked_at``, by ClickHouse's clock, is when it began to wait."""

    build: DayBuild
    sql: Sql
    leases: Leases
    staging: Staging
    retry: Retrying
    uuids: Mapping[str, str]
    until_end: Tables
    started_at: datetime

    # --- Before anything is computed -----------------------------------------------------------------------------

    def lease(self, wanted: Mapping[str, frozenset[int]]) -> LeftOut:
        """In one order for every build, so that no two wait for each other; then clear away what the dead left.

        What the run that we waited for has built is left out.
        """
        left: LeftOut = {}
        for table in sorted(wanted):
            if self.retry(self.leases.take, table, self.build.day):
                left |= self._built_meanwhile(table, wanted[table])
        staged = self.retry(self.staging.fence, sorted(wanted))
        self.retry(sweep, self.build.client, self.build.progress, token=self.leases.token, names=staged)
        return left

    def record_skipped(self, wanted: Mapping[str, frozenset[int]], words: str) -> None:
        """That nothing was built, and why. The run fails and says so itself: this is worth one attempt."""
        for table, teams in wanted.items():
            outcomes = dict.fromkeys(teams, Outcome.SKIPPED)
            skipped = BuiltTable(table, outcomes, {}, 0, dict.fromkeys(teams, words))
            with suppress(ClickHouseError):
                append_to_ledger(self.build.client, tuple(self._records(skipped, {})))

    def _built_meanwhile(self, table: str, asked: frozenset[int]) -> LeftOut:
        """Teams that the run we waited for has built, from data no older than what we were asked about."""
        bound = {
            "table": table,
            "day": self.build.day,
            "since": self.started_at,
            "logic_version": self._declared(table).logic_version,
            "run_id": self.build.run_id,
        }
        built = {team for (team,) in self.retry(self.sql.rows, "built_meanwhile", bound)}
        return left_out((table,), asked & built, Outcome.SKIPPED, "another run built it while this one waited")

    # --- Computing -----------------------------------------------------------------------------------------------

    def compute(self, wanted: Mapping[str, frozenset[int]]) -> tuple[SourceRows, Computed]:
        """What the source of each team amounts to, by source, and what was made of it."""
        tables = [self._declared(table) for table in sorted(wanted)]
        try:
            rows = {source: self.retry(self._read_source, source, wanted) for source in {one.source for one in tables}}
        except ClickHouseError as error:
            return {}, Computed(left=_all_left(wanted, Outcome.FAILED, str(error)))
        computing = Computation(
            self.sql, self.staging, self.build.day, self.build.limits,
            retry=self.retry, until_end=self.until_end, tell=self.build.tell, at=self.build.at,
        )  # fmt: skip
        # Tables of one builder come from one computation of their teams.
        for builder, source in dict.fromkeys((one.require_builder(), one.source) for one in tables):
            mine = {one.name: wanted[one.name] for one in tables if (one.builder, one.source) == (builder, source)}
            computing.run(builder, mine, rows[source])
        return rows, computing.computed

    def _read_source(self, source: Source, wanted: Mapping[str, frozenset[int]]) -> dict[int, Fingerprint]:
        teams = sorted(
            {team for table, some in wanted.items() if self._declared(table).source == source for team in some}
        )
        return read_source(self.sql, source, self.build.day, teams)

    # --- Publishing ----------------------------------------------------------------------------------------------

    def publish(
        self, table: str, wanted: frozenset[int], rows: SourceRows, computed: Computed, left: LeftOut
    ) -> BuiltTable:
        """Publish a table's day and record it; a failure leaves readers of this table on the old data."""
        spared = of_table(left, table)
        built = self._published(table, wanted - spared.keys(), computed)
        built = replace(
            built,
            outcome_by_team={**built.outcome_by_team, **{team: outcome for team, (outcome, _) in spared.items()}},
            words_by_team={**built.words_by_team, **{team: words for team, (_, words) in spared.items()}},
        )
        self.build.tell(built.in_words())
        problems = []
        try:
            self.retry(
                append_to_ledger,
                self.build.client,
                tuple(self._records(built, rows.get(self._declared(table).source, {}))),
            )
        except ClickHouseError as error:
            problems.append(f"{table} of {self.build.day} is not recorded in the ledger: {str(error)[:500]}")
        self.build.at(Moment.RECORDED)
        if failed := built.teams(Outcome.FAILED):
            became = "could not be built, readers see their old rows" if built.is_as_staged else "read back otherwise"
            problems.append(
                f"{table} of {self.build.day}: {len(failed):,} of {len(built.outcome_by_team):,} teams {became}. "
                f"Team {failed[0]}: {built.words_by_team[failed[0]][:500]}"
            )
        return replace(built, problems=tuple(problems))

    def _published(self, table: str, teams: frozenset[int], computed: Computed) -> BuiltTable:
        built = BuiltTable(table, {}, {}, 0, is_untouched=True)
        try:
            if teams:
                built = retried(lambda: self._swapped(table, teams, computed.of(table)), self.build.tell)
        except (ClickHouseError, BuildError, UnreadableError) as error:
            is_as_staged = not isinstance(error, ReadBackError)
            return BuiltTable(
                table,
                dict.fromkeys(teams, Outcome.FAILED),
                {},
                0,
                dict.fromkeys(teams, _explained(error, table)),
                is_published=not is_as_staged,
                is_as_staged=is_as_staged,
                is_untouched=isinstance(error, BuildError) and is_as_staged,
            )
        self.build.at(Moment.SWAPPED)
        return built

    def _swapped(self, table: str, teams: frozenset[int], staged: Sequence[Staged]) -> BuiltTable:
        """Decide whose rows are replaced by what was staged, and publish that."""
        build, declared = self.build, self._declared(table)
        publisher = Publisher(
            sql=self.sql.without_settings(),
            day=build.day,
            staging=self.staging,
            until_end=self.until_end,
            leases=self.leases,
            retry=self.retry,
            read=lambda sql, name: read_units(sql, declared, name, build.day, teams),
            team_column=declared.team_column,
            tell=build.tell,
            checkpoint=build.checkpoint,
            at=build.at,
        )
        before = publisher.seen(table)
        if before.written.uuid != self.uuids.get(table):
            raise BuildError(
                f"{table} of {build.day} was not published: another table was put in its place while it was being "
                "built; the next build is of that one"
            )
        after = {team: measure for one in staged for team, measure in one.measures.items()}
        has = before.amounts
        held = (
            () if build.allow_shrink else build.checkpoint.held({team: has[team] for team in teams & has.keys()}, after)
        )
        plan = replacement(teams, has, after, allow_shrink=build.allow_shrink, held=held)
        replaced = before.by_team.keys() - plan.kept
        if not replaced and after.keys() <= plan.held:
            return BuiltTable(table, plan.outcome_by_team, after, before.rows, is_untouched=True)
        new = [self._new_rows(publisher, one.staging_by_table[table], one.measures, plan.held) for one in staged]
        rows = publisher.publish(table, before, replaced, new)
        return BuiltTable(table, plan.outcome_by_team, after, rows, is_published=True)

    def _new_rows(
        self, publisher: Publisher[Measure], staging: str, measures: Mapping[int, Measure], held: Collection[int]
    ) -> NewRows[Measure]:
        """What was staged for a table, less the teams that are held."""
        self.retry(publisher.delete, staging, measures.keys() & held)
        return NewRows(staging, {team: measure for team, measure in measures.items() if team not in held})

    # --- What became of it ---------------------------------------------------------------------------------------

    def _declared(self, table: str) -> WatchedTable:
        return next(one for one in self.build.tables if one.name == table)

    def _records(self, built: BuiltTable, rows: Mapping[int, Fingerprint]) -> Iterable[BuildRecord]:
        for team, outcome in sorted(built.outcome_by_team.items()):
            yield BuildRecord(
                built.table,
                self.build.day,
                team,
                outcome,
                self.started_at,
                self.build.run_id,
                self._declared(built.table).logic_version,
                source=rows.get(team, Fingerprint()),
                measure=built.after.get(team, Measure()),
                error=built.words_by_team.get(team, ""),
            )


def _all_left(wanted: Mapping[str, frozenset[int]], outcome: Outcome, words: str) -> LeftOut:
    found: LeftOut = {}
    for table, teams in wanted.items():
        found |= left_out((table,), teams, outcome, words)
    return found


def _explained(error: Exception, table: str) -> str:
    """What failed, in words; with what ClickHouse does not know, for parts of one table do not fit another's."""
    if getattr(error, "name", None) == "INCOMPATIBLE_COLUMNS":
        return f"{table} was altered while its day was being built, and the next build takes that in: {error}"
    return str(error)
