"""Reads what is to be known of some days and judges their units: the two stages of a detection.

First the engine compares projections and the ledger, and names the units that need a look. Those are then verified
exactly from their own rows. What a verification finds complete is recorded, so that the next detection does not ask
again. Days are read newest first and some at a time, so that neither side needs memory for all of them, and whatever
ends a detection finds the newest judged and kept.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.sql import Sql
from dags.detection import counting
from dags.detection.counting import BATCH_ROWS, ContradictionError, OutOfTimeError
from dags.detection.judging import AS_BEFORE, Judgement, PutBack, Suspects, Table, judge_day, with_rollbacks
from dags.detection.ledger import Verified, append_verified
from dags.detection.part_states import Doubts
from dags.detection.rules import Failure
from dags.detection.verdicts import Alike, Verdicts
from dags.domain.days import ONE_DAY, DayRange, merged
from dags.domain.units import MAX_TEAMS_BOUND, Measure

if TYPE_CHECKING:
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.days import Calendar
    from dags.domain.watched import Source, WatchedTable

# More scattered days than this are read as one stretch: the days in between cost less than a query each.
MAX_RANGES = 4

# Units, (table, team, day), that one statement compares. The server holds about 300 bytes of each (160 MiB, when all
# are missing), and Python as many of each suspect until it is judged (measured).
UNITS_AT_ONCE = 500_000

# In a tick, a comparison of more than one day that takes longer is done by halves: what it takes is the tick's.
RANGE_SECONDS = 10

# The suspects of some days, by day and table.
Suspected = Mapping["date", Mapping[str, Suspects]]


def _nothing(_days: Sequence[date]) -> None:
    """Keep nothing."""


@dataclass
class Reading:
    """What the data says of some days. ``complete`` and ``outdated`` count units by table and day.

    ``teams`` is how many are enabled. ``unknown`` holds the error of each table that could not be read; what was judged
    of it before is right, but not all. ``deadline`` is the reading of ``time.monotonic()`` at which no more is begun:
    the days that are left then, the oldest, are ``unverified``, and the next detection goes on with them. However late
    it is, the newest day is judged, or else a slow machine would never get anywhere. ``records``: record what was
    verified. ``keep`` is called with days as soon as all of their units are judged, those in ``whole``. ``not_kept`` is
    why something of this could not be written down for the next detection: that one reads it again, and no answer of
    this one depends on it.
    """

    client: Client
    sql: Sql
    calendar: Calendar
    watched: Sequence[WatchedTable]
    teams: int
    deadline: float = math.inf
    records: bool = True
    doubts: Doubts = field(default_factory=Doubts)
    keep: Callable[[Sequence[date]], None] = _nothing
    complete: Counter[tuple[str, date]] = field(default_factory=Counter)
    outdated: Counter[tuple[str, date]] = field(default_factory=Counter)
    unknown: dict[str, str] = field(default_factory=dict)
    unverified: set[date] = field(default_factory=set)
    whole: set[date] = field(default_factory=set)
    not_kept: str = ""
    _wrong: dict[date, list[Alike]] = field(default_factory=lambda: defaultdict(list))
    _failures: dict[tuple[str, date], dict[int, Failure]] = field(default_factory=lambda: defaultdict(dict))
    _has_begun: bool = False

    def read(self, days: Sequence[date], now: datetime) -> None:
        """Judge these days, of every watched table, newest first; leave in the ledger what was verified."""
        for span, wanted in self.ranges(days):
            if self._is_late():
                self.unverified |= wanted
            else:
                self._read_range(span, wanted, now)

    def wrong(self, days: Iterable[date] | None = None) -> Verdicts:
        """What is wrong on some days, or on all, but for tables that could not be read: nothing of them is acted on."""
        chosen = self._wrong if days is None else days
        return Verdicts.joined(
            one
            for day in chosen
            for one in self._wrong.get(day, ())
            if days is not None or one.table not in self.unknown
        )

    def _is_late(self) -> bool:
        return self._has_begun and time.monotonic() > self.deadline

    def ranges(self, days: Sequence[date]) -> Iterator[tuple[DayRange, set[date]]]:
        """The days in ranges that one statement compares, the newest first, each with those of its days to judge."""
        ranges = merged(days)
        if len(ranges) > MAX_RANGES:
            ranges = (DayRange(ranges[0].start, ranges[-1].end),)
        most = max(UNITS_AT_ONCE // max(self.teams * len(self.watched), 1), 1) * ONE_DAY
        for whole in reversed(ranges):
            end = whole.end
            while end > whole.start:
                wanted = {day for day in days if max(end - most, whole.start) <= day < end}
                if wanted:
                    yield DayRange(min(wanted), max(wanted) + ONE_DAY), wanted
                end -= most

    def _read_range(self, span: DayRange, days: set[date], now: datetime) -> None:
        suspected: dict[date, dict[str, Suspects]] = {day: {} for day in days}
        readable = [one for one in self.watched if one.name not in self.unknown and one.first_day < span.end]
        for group in self._by_source(readable).values():
            self._suspect_together(group, span, suspected)
        quiet = [day for day in days if not suspected[day]]
        self._done(quiet)
        batches = list(_batches(suspected))
        for number, some in enumerate(batches):
            try:
                self._judge(some, suspected, now)
                self._has_begun = True
            except OutOfTimeError:
                self.unverified |= {day for batch in batches[number:] for day in batch}
                break
            for day in some:
                suspected[day].clear()
        self._has_begun = True

    def _suspect_together(
        self, group: Sequence[WatchedTable], span: DayRange, suspected: dict[date, dict[str, Suspects]]
    ) -> None:
        """Tables of one source are compared in one statement; if that fails, in smaller ones."""
        if not group:
            return
        try:
            rows = self.suspects(group, span)
            self._failed_builds(group, span)
        except ClickHouseError as error:
            smaller = _smaller(group, span, error)
            for some, days in smaller:
                self._suspect_together([table for table in some if table.name not in self.unknown], days, suspected)
            if not smaller:
                self.unknown[group[0].name] = str(error)[:500]
            return
        first_days = {table.name: table.first_day for table in group}
        for name, day, complete, outdated, *columns in rows:
            if day in suspected and day >= first_days[name]:
                self.complete[name, day] += complete
                self.outdated[name, day] += outdated
                if columns[0]:
                    suspected[day][name] = Suspects.of(columns)

    def suspects(self, group: Sequence[WatchedTable], span: DayRange) -> Sequence[Any]:
        """The rows of ``suspects.sql`` for some tables of one source."""
        [source] = {table.source for table in group}
        bound = {
            "start": span.start,
            "end": span.end,
            "closed_before": self.calendar.closed_before(source.reach_days),
            "tables": [table.name for table in group],
            "logic_versions": [table.logic_version for table in group],
            "reach": source.reach_days,
        }
        doubted = self.doubts.of(group, span)
        bound |= {
            "doubted_tables": [place for place, _, _ in doubted],
            "doubted": [day for _, day, _ in doubted],
            "doubted_since": [since for _, _, since in doubted],
        }
        is_hurried = len(span) > 1 and self.deadline < math.inf
        limit = {"max_execution_time": RANGE_SECONDS} if is_hurried else {}
        sql = Sql.of(self.sql, "dags.detection", limit)
        present = sql.union("present", (target_identifiers(table) for table in group))
        return sql.rows("suspects", bound, present=present, **source_identifiers(source))

    def _failed_builds(self, group: Sequence[WatchedTable], span: DayRange) -> None:
        bound = {"tables": [table.name for table in group], "start": span.start, "end": span.end}
        for table, day, team, at, run_id, error in self.sql.rows("failures", bound):
            self._failures[table, day][team] = Failure(run_id, at, error)

    def _judge(self, days: Sequence[date], suspected: Suspected, now: datetime) -> None:
        """Count some days' suspects exactly, judge them, and record what is in order."""
        tables: dict[date, dict[str, Table]] = {day: {} for day in days}
        # With a table of which nothing is known none disagrees.
        readable = {table.name for table in self.watched} - self.unknown.keys()
        named = {name for day in days for name in suspected[day]} - self.unknown.keys()
        for source, group in self._by_source(table for table in self.watched if table.name in named).items():
            members = [
                (day, one, suspected[day][one.name]) for day in days for one in group if one.name in suspected[day]
            ]
            try:
                expected = {
                    (day, team): events
                    for day, _, suspects in members
                    for team, events in zip(suspects.teams, suspects.events, strict=True)
                }
                sources = self._sources(source, expected)
                targets = {table.name: self._targets(table, members) for table in group}
            except (ClickHouseError, ContradictionError) as error:
                self._give_up(group, days, str(error))
                continue
            for day, table, suspects in members:
                tables[day][table.name] = Table(
                    suspects,
                    sources.get(day, {}),
                    targets[table.name].get(day, {}),
                    self._failures.get((table.name, day), {}),
                    tuple(name for name in table.agrees_with if name in readable),
                    table.words,
                    is_open=self.calendar.is_open(day, source.reach_days),
                )
        judgements = {day: judge_day(day, tables[day]) for day in days}
        self._record(judgements, tables, now)
        for day, judgement in judgements.items():
            for name, count in judgement.complete.items():
                self.complete[name, day] += count
            self._wrong[day] += self.with_rollbacks(judgement.wrong.groups)
        self._done(days)

    def with_rollbacks(self, groups: Sequence[Alike]) -> Sequence[Alike]:
        """The verdicts, with what the log of work has to say where something is not there any more.

        Of what is recalled too: it may have been read before the log said so, or while that could not be read.
        """
        return with_rollbacks(groups, self._put_back) if any(one.cause in AS_BEFORE for one in groups) else groups

    @cached_property
    def _put_back(self) -> PutBack:
        """Which judged days were put back; where the log does not say, none."""
        bound = {
            "tables": [table.name for table in self.watched],
            "start": self.calendar.judged.start,
            "end": self.calendar.judged.end,
        }
        found: dict[tuple[str, date], list[tuple[int, Collection[int]]]] = defaultdict(list)
        with suppress(ClickHouseError):
            for table, day, ended, teams in self.sql.rows("rolled_back", bound):
                found[table, day].append((ended, frozenset(teams)))
        return found

    def _done(self, days: Sequence[date]) -> None:
        """All that is watched is judged of these days, unless a table could not be read."""
        if days and not self.unknown:
            self.whole |= set(days)
            with self._keeping():
                self.keep(days)

    def _sources(self, source: Source, expected: Mapping[tuple[date, int], int]) -> dict[date, dict[int, Measure]]:
        return counting.sources(self.sql, source, expected, self._is_late)

    def _targets(
        self, table: WatchedTable, members: Iterable[tuple[date, WatchedTable, Suspects]]
    ) -> dict[date, dict[int, Measure]]:
        """What a table holds of its suspects; where it has no row nothing is counted to find that out."""
        rows_by_unit = {
            (day, team): rows
            for day, one, suspects in members
            if one is table
            for team, rows in zip(suspects.teams, suspects.rows, strict=True)
            if rows
        }
        identifiers = {**target_identifiers(table), "distinct": table.distinct}
        return counting.targets(self.sql, rows_by_unit, self._is_late, identifiers)

    def _give_up(self, tables: Iterable[WatchedTable], days: Iterable[date], error: str) -> None:
        for table in tables:
            self.unknown.setdefault(table.name, f"{max(days, default='')}: {error[:500]}")

    def _record(
        self, judgements: Mapping[date, Judgement], tables: Mapping[date, Mapping[str, Table]], started: datetime
    ) -> None:
        """Record the suspects that turned out to be in order, with the fingerprint read before they were verified."""
        if self.records:
            found = [
                _verified(name, day, tables[day][name], places)
                for day, judgement in judgements.items()
                for name, places in judgement.equal.items()
                if places
            ]
            with self._keeping():
                append_verified(self.client, found, started)

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        try:
            yield
        except ClickHouseError as error:
            self.not_kept = self.not_kept or str(error)

    @staticmethod
    def _by_source(tables: Iterable[WatchedTable]) -> dict[Source, list[WatchedTable]]:
        """Tables of one source share its count, which is what costs here."""
        groups: dict[Source, list[WatchedTable]] = defaultdict(list)
        for table in tables:
            groups[table.source].append(table)
        return groups


def _smaller(
    group: Sequence[WatchedTable], span: DayRange, error: ClickHouseError
) -> list[tuple[Sequence[WatchedTable], DayRange]]:
    """What to ask for in place of a statement that failed: half of the days, newest first, where it needed too much
    time or memory; else each table alone, to tell which it is. Nothing, where it was one table.
    """
    if len(span) > 1 and remedy(error) is Remedy.SPLIT:
        middle = span.start + len(span) // 2 * ONE_DAY
        return [(group, DayRange(middle, span.end)), (group, DayRange(span.start, middle))]
    return [([table], span) for table in group] if len(group) > 1 else []


def _batches(suspected: Suspected) -> Iterator[list[date]]:
    """The days with suspects, the newest first, as many at once as one statement verifies well."""
    batch: list[date] = []
    units = rows = 0
    for day in sorted((day for day, by_table in suspected.items() if by_table), reverse=True):
        more_units = sum(map(len, suspected[day].values()))
        more_rows = sum(sum(suspects.events) for suspects in suspected[day].values())
        if batch and (units + more_units > MAX_TEAMS_BOUND or rows + more_rows > BATCH_ROWS):
            yield batch
            batch, units, rows = [], 0, 0
        batch.append(day)
        units, rows = units + more_units, rows + more_rows
    if batch:
        yield batch


def _verified(name: str, day: date, table: Table, places: Sequence[int]) -> Verified:
    suspects = table.suspects
    teams, events, qualifying, newest = (
        [column[place] for place in places]
        for column in (suspects.teams, suspects.events, suspects.qualifying, suspects.newest)
    )
    held = [table.target.get(team, Measure()) for team in teams]
    distinct, total = ([measure[n] for measure in held] for n in (0, 1))
    return Verified(name, day, teams, events, qualifying, newest, distinct, total)


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
