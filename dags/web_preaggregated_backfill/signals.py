"""Reads what is to be known of some days and judges their units: the two stages of a detection.

First the engine compares projections and the ledger, and names the units that need a look. Those few are then
verified exactly from their own rows. What a verification finds complete is recorded, so that the next detection does
not ask again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags import clock
from dags.days import DayRange, merged
from dags.ledger import BuildRecord, append_to_ledger
from dags.sql import Sql
from dags.units import MAX_TEAMS_BOUND, Fingerprint, Measure, Outcome, Unit
from dags.web_preaggregated_backfill.rules import Build, Failure, Kind, Signals, Verdict, with_inconsistencies

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.days import Calendar
    from dags.watched import Source, WatchedTable

# More scattered days than this are read as one range: the days in between cost less than a query each.
MAX_RANGES = 4


@dataclass(frozen=True)
class _Suspect:
    """A unit that needs a look, with what the projections and the ledger say of it."""

    unit: Unit
    fingerprint: Fingerprint
    last_build: Build | None


@dataclass
class Reading:
    """What the data says of some days. ``complete`` and ``outdated`` count units by table and day; ``unknown`` holds
    the error of each table that could not be read.
    """

    client: Client
    sql: Sql
    window: Calendar
    watched: Sequence[WatchedTable]
    complete: Counter[tuple[str, date]] = field(default_factory=Counter)
    outdated: Counter[tuple[str, date]] = field(default_factory=Counter)
    unknown: dict[str, str] = field(default_factory=dict)
    wrong: tuple[Verdict, ...] = ()
    _suspected: list[_Suspect] = field(default_factory=list)
    _failures: dict[tuple[str, date], Failure] = field(default_factory=dict)

    def read(self, days: Sequence[date], now: datetime) -> None:
        """Judge these days, of every watched table; leave in the ledger what was verified."""
        ranges = merged(days)
        if len(ranges) > MAX_RANGES:
            ranges = (DayRange(ranges[0].start, ranges[-1].end),)
        for table in self.watched:
            try:
                for span in ranges:
                    self._suspect(table, span, frozenset(days))
            except ClickHouseError as error:
                self.unknown[table.name] = str(error)[:500]
        signals = [signal for signal in self._verified() if signal.unit.table not in self.unknown]
        verdicts = with_inconsistencies(signals, {table.name: table.agrees_with for table in self.watched})
        self._record(signals, verdicts, now)
        for verdict in verdicts:
            self.complete[verdict.unit.table, verdict.unit.day] += verdict.kind is Kind.COMPLETE
        self.wrong = tuple(verdict for verdict in verdicts if verdict.is_wrong)

    def _suspect(self, table: WatchedTable, span: DayRange, days: frozenset[date]) -> None:
        bound = {
            "start": span.start,
            "end": span.end,
            "closed_before": self.window.closed_before,
            "table": table.name,
            "reach": table.source.reach_days,
            "logic_version": table.logic_version,
        }
        identifiers = {**target_identifiers(table), **source_identifiers(table.source)}
        for day, complete, outdated, facts in self.sql.rows("suspects", bound, **identifiers):
            if day not in days:
                continue
            self.complete[table.name, day] += complete
            self.outdated[table.name, day] += outdated
            for team, events, qualifying, newest, is_built, last in facts:
                *_, distinct, total, outcome, run_id, finished_at = last
                build = Build(Outcome(outcome), Measure(distinct, total), run_id, finished_at) if is_built else None
                unit = Unit(table.name, team, day)
                self._suspected.append(_Suspect(unit, Fingerprint(events, qualifying, newest), build))
        failures = self.sql.rows("failures", {"table": table.name, "start": span.start, "end": span.end})
        self._failures |= {(table.name, day): Failure(run_id, at, error) for day, at, run_id, error in failures}

    def _verified(self) -> list[Signals]:
        """Count source and tables exactly for each suspect, a day and a source at a time."""
        by_day: dict[date, dict[str, list[_Suspect]]] = defaultdict(lambda: defaultdict(list))
        for suspect in self._suspected:
            by_day[suspect.unit.day][suspect.unit.table].append(suspect)
        signals: list[Signals] = []
        for day, by_table in sorted(by_day.items(), reverse=True):
            # Tables of one source share its count, which is what costs here.
            members_by_source: dict[Source, list[WatchedTable]] = defaultdict(list)
            for table in self.watched:
                if table.name in by_table:
                    members_by_source[table.source].append(table)
            for source, members in members_by_source.items():
                try:
                    signals += self._counted(day, source, {table: by_table[table.name] for table in members})
                except ClickHouseError as error:
                    for table in members:
                        self.unknown.setdefault(table.name, f"{day}: {str(error)[:500]}")
        return signals

    def _counted(self, day: date, source: Source, suspects: dict[WatchedTable, list[_Suspect]]) -> list[Signals]:
        package, name = source.counts
        teams = {suspect.unit.team_id for group in suspects.values() for suspect in group}
        sources = _measures(Sql.of(self.sql, package), name, day, teams)
        signals = []
        for table, group in suspects.items():
            asked = {suspect.unit.team_id for suspect in group}
            identifiers = {**target_identifiers(table), "distinct": table.distinct}
            targets = _measures(self.sql, "unit_targets", day, asked, **identifiers)
            signals += [
                Signals(
                    s.unit,
                    sources.get(s.unit.team_id, Measure()),
                    targets.get(s.unit.team_id, Measure()),
                    s.fingerprint,
                    self.window.is_open(day),
                    s.last_build,
                    self._failures.get((table.name, day)),
                    table.words,
                )
                for s in group
            ]
        return signals

    def _record(self, signals: Iterable[Signals], verdicts: Iterable[Verdict], started: datetime) -> None:
        """Record the suspects that turned out to be in order, with the fingerprint read before they were verified."""
        fine = {verdict.unit for verdict in verdicts if not verdict.is_wrong}
        finished = clock.utc_now()
        append_to_ledger(
            self.client,
            (
                BuildRecord(
                    s.unit.table,
                    s.unit.day,
                    s.unit.team_id,
                    Outcome.VERIFIED,
                    started,
                    finished,
                    source=s.fingerprint,
                    measure=s.target,
                )
                for s in signals
                if s.unit in fine and s.source == s.target
            ),
        )


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


def bound_teams(teams: Iterable[int]) -> list[list[int]]:
    """Teams in lists that a server takes as one value."""
    asked = sorted(set(teams))
    return [asked[first : first + MAX_TEAMS_BOUND] for first in range(0, len(asked), MAX_TEAMS_BOUND)]


def _measures(sql: Sql, name: str, when: date, teams: Iterable[int], **identifiers: str) -> dict[int, Measure]:
    return {
        team: Measure(*counts)
        for bound in bound_teams(teams)
        for team, *counts in sql.rows(name, {"day": when, "teams": bound}, **identifiers)
    }
