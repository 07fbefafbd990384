"""Reads what is to be known of some days and judges their units: the two stages of a detection.

First the engine compares projections and the ledger, and names the units that need a look. Those few are then
verified exactly from their own rows. What a verification finds complete is recorded, so that the next detection does
not ask again.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.days import DayRange, merged
from dags.ledger import BuildRecord, append_to_ledger
from dags.sql import Sql
from dags.units import ALL_TEAMS, MAX_TEAMS_BOUND, Fingerprint, Measure, Outcome, Unit
from dags.web_preaggregated_backfill.rules import Build, Failure, Kind, Signals, Verdict, with_inconsistencies
from dags.web_preaggregated_backfill.source_states import Doubts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.days import Calendar
    from dags.watched import Source, WatchedTable

# More scattered days than this are read as one range: the days in between cost less than a query each.
MAX_RANGES = 4

# Source rows that one statement verifies: it holds each event's identity in memory, about 150 bytes (measured).
BATCH_ROWS = 5_000_000


@dataclass(frozen=True)
class _Suspect:
    """A unit that needs a look, with what the projections and the ledger say of it."""

    unit: Unit
    fingerprint: Fingerprint
    last_build: Build | None


@dataclass
class Reading:
    """What the data says of some days. ``complete`` and ``outdated`` count units by table and day.

    ``unknown`` holds the error of each table that could not be read; nothing is known of it then on any of the days.
    ``deadline`` is the reading of ``time.monotonic()`` at which verification stops; the days that are left then, the
    oldest, are ``unverified``, and the next detection goes on with them. ``keeps``: record what was verified.
    """

    client: Client
    sql: Sql
    window: Calendar
    watched: Sequence[WatchedTable]
    deadline: float = math.inf
    keeps: bool = True
    doubts: Doubts = field(default_factory=Doubts)
    complete: Counter[tuple[str, date]] = field(default_factory=Counter)
    outdated: Counter[tuple[str, date]] = field(default_factory=Counter)
    unknown: dict[str, str] = field(default_factory=dict)
    unverified: set[date] = field(default_factory=set)
    wrong: list[Verdict] = field(default_factory=list)
    _suspected: dict[date, list[_Suspect]] = field(default_factory=lambda: defaultdict(list))
    _failures: dict[Unit, Failure] = field(default_factory=dict)

    def read(self, days: Sequence[date], now: datetime) -> None:
        """Judge these days, of every watched table; leave in the ledger what was verified."""
        ranges = merged(days)
        if len(ranges) > MAX_RANGES:
            ranges = (DayRange(ranges[0].start, ranges[-1].end),)
        for group in self._by_source(self.watched).values():
            self._suspect_together(group, ranges, frozenset(days))
        targets = self._targets()
        for some in self._batches():
            if time.monotonic() > self.deadline:
                self.unverified |= set(some)
            else:
                self._judge(some, targets, now)
        self.wrong = [verdict for verdict in self.wrong if verdict.unit.table not in self.unknown]

    def _suspect_together(
        self, group: Sequence[WatchedTable], ranges: Sequence[DayRange], days: frozenset[date]
    ) -> None:
        """Tables of one source are compared in one statement; if that fails each alone, to tell which it is."""
        try:
            found = [self._suspects(group, span) for span in ranges]
            for table in group:
                for span in ranges:
                    self._failed_builds(table, span)
        except ClickHouseError as error:
            if len(group) > 1:
                for table in group:
                    self._suspect_together([table], ranges, days)
            else:
                self.unknown[group[0].name] = str(error)[:500]
            return
        for rows in found:
            for name, day, complete, outdated, facts in rows:
                if day in days:
                    self.complete[name, day] += complete
                    self.outdated[name, day] += outdated
                    self._suspected[day] += [_suspect(name, day, *one) for one in facts]

    def _suspects(self, group: Sequence[WatchedTable], span: DayRange) -> Sequence[Any]:
        [source] = {table.source for table in group}
        bound = {
            "start": span.start,
            "end": span.end,
            "closed_before": self.window.closed_before,
            "tables": [table.name for table in group],
            "logic_versions": [table.logic_version for table in group],
            "reach": source.reach_days,
        }
        doubted = self.doubts.of(source, span)
        bound |= {"doubted": list(doubted), "doubted_since": list(doubted.values())}
        present = self.sql.union("present", (target_identifiers(table) for table in group))
        return self.sql.rows("suspects", bound, present=present, **source_identifiers(source))

    def _failed_builds(self, table: WatchedTable, span: DayRange) -> None:
        rows = self.sql.rows("failures", {"table": table.name, "start": span.start, "end": span.end})
        self._failures |= {
            Unit(table.name, team, day): Failure(run_id, at, error) for day, team, at, run_id, error in rows
        }

    def _last_failure(self, unit: Unit) -> Failure | None:
        """Of the unit itself, or of all teams of its day."""
        found = (self._failures.get(unit), self._failures.get(replace(unit, team_id=ALL_TEAMS)))
        return max((failure for failure in found if failure is not None), key=lambda f: f.failed_at, default=None)

    def _batches(self) -> Iterable[list[date]]:
        """The days with suspects, the newest first, as many at once as one statement verifies well."""
        batch: list[date] = []
        units = rows = 0
        for day in sorted((day for day, suspects in self._suspected.items() if suspects), reverse=True):
            more_units, more_rows = len(self._suspected[day]), sum(s.fingerprint.events for s in self._suspected[day])
            if batch and (units + more_units > MAX_TEAMS_BOUND or rows + more_rows > BATCH_ROWS):
                yield batch
                batch, units, rows = [], 0, 0
            batch.append(day)
            units, rows = units + more_units, rows + more_rows
        if batch:
            yield batch

    def _targets(self) -> dict[Unit, Measure]:
        """What the tables hold of all suspects, exactly."""
        held: dict[Unit, Measure] = {}
        for table in self.watched:
            units = {(s.unit.day, s.unit.team_id) for s in self._all_suspects() if s.unit.table == table.name}
            identifiers = {**target_identifiers(table), "distinct": table.distinct}
            try:
                found = _measures(self.sql, "unit_targets", units, **identifiers)
            except ClickHouseError as error:
                self._give_up([table], {day for day, _ in units}, str(error))
            else:
                held |= {Unit(table.name, team, day): measure for (day, team), measure in found.items()}
        return held

    def _all_suspects(self) -> Iterable[_Suspect]:
        return (suspect for suspects in self._suspected.values() for suspect in suspects)

    def _judge(self, days: Sequence[date], targets: Mapping[Unit, Measure], now: datetime) -> None:
        """Count the source of some days' suspects exactly, judge them, and record what is in order."""
        signals: list[Signals] = []
        suspects = [s for day in days for s in self._suspected[day] if s.unit.table not in self.unknown]
        named = {s.unit.table for s in suspects}
        for source, group in self._by_source([table for table in self.watched if table.name in named]).items():
            table_by_name = {table.name: table for table in group}
            members = [s for s in suspects if s.unit.table in table_by_name]
            try:
                sources = self._sources(source, {(s.unit.day, s.unit.team_id) for s in members})
            except ClickHouseError as error:
                self._give_up(group, days, str(error))
                continue
            signals += [
                Signals(
                    s.unit,
                    sources.get((s.unit.day, s.unit.team_id), Measure()),
                    targets.get(s.unit, Measure()),
                    s.fingerprint,
                    self.window.is_open(s.unit.day),
                    s.last_build,
                    self._last_failure(s.unit),
                    table_by_name[s.unit.table].words,
                )
                for s in members
            ]
        verdicts = with_inconsistencies(signals, {table.name: table.agrees_with for table in self.watched})
        self._record(signals, verdicts, now)
        for verdict in verdicts:
            self.complete[verdict.unit.table, verdict.unit.day] += verdict.kind is Kind.COMPLETE
        self.wrong += [verdict for verdict in verdicts if verdict.is_wrong]

    def _sources(self, source: Source, units: Iterable[tuple[date, int]]) -> dict[tuple[date, int], Measure]:
        package, name = source.counts
        return _measures(Sql.of(self.sql, package), name, units)

    def _give_up(self, tables: Iterable[WatchedTable], days: Iterable[date], error: str) -> None:
        for table in tables:
            self.unknown.setdefault(table.name, f"{max(days, default='')}: {error[:500]}")

    def _record(self, signals: Iterable[Signals], verdicts: Iterable[Verdict], started: datetime) -> None:
        """Record the suspects that turned out to be in order, with the fingerprint read before they were verified."""
        if not self.keeps:
            return
        fine = {verdict.unit for verdict in verdicts if not verdict.is_wrong}
        append_to_ledger(
            self.client,
            (
                BuildRecord(
                    s.unit.table,
                    s.unit.day,
                    s.unit.team_id,
                    Outcome.VERIFIED,
                    started,
                    source=s.fingerprint,
                    measure=s.target,
                )
                for s in signals
                if s.unit in fine and s.source == s.target
            ),
        )

    @staticmethod
    def _by_source(tables: Iterable[WatchedTable]) -> dict[Source, list[WatchedTable]]:
        """Tables of one source share its count, which is what costs here."""
        groups: dict[Source, list[WatchedTable]] = defaultdict(list)
        for table in tables:
            groups[table.source].append(table)
        return groups


def _suspect(table: str, day: date, team: int, *facts: Any) -> _Suspect:  # noqa: ANN401 -- a row of suspects.sql
    events, qualifying, newest, is_built, distinct, total, is_verified, finished_at = facts
    build = None
    if is_built:
        measure = Measure(distinct, total)
        outcome = Outcome.VERIFIED if is_verified else Outcome.BUILT if measure else Outcome.EMPTY
        build = Build(outcome, measure, finished_at)
    return _Suspect(Unit(table, team, day), Fingerprint(events, qualifying, newest), build)


def target_identifiers(table: WatchedTable) -> dict[str, str]:
    """What a statement about a watched table is filled in with."""
    return {"target": table.name, "team": table.team_column, "day": table.day, "total": table.total}


def source_identifiers(source: Source) -> dict[str, str]:
    """What a statement about a source is filled in with."""
    return {
        "source": source.table,
        "source_team": source.team_column,
        "source_day": source.day,
        "expected": source.expected,
        "newest": source.newest,
    }


def _measures(
    sql: Sql, name: str, units: Iterable[tuple[date, int]], **identifiers: str
) -> dict[tuple[date, int], Measure]:
    """What a statement counts of units, (day, team)."""
    # Neighbours in one statement, so that it reads few days.
    asked = sorted(units)
    found: dict[tuple[date, int], Measure] = {}
    for first in range(0, len(asked), MAX_TEAMS_BOUND):
        some = asked[first : first + MAX_TEAMS_BOUND]
        bound = {"days": [day for day, _ in some], "teams": [team for _, team in some]}
        found |= {(day, team): Measure(*counts) for day, team, *counts in sql.rows(name, bound, **identifiers)}
    return found
