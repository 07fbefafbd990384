"""Reads the signals of every watched table from ClickHouse and judges them: one detection.

Two stages. The engine compares projections and the ledger, and names the units that need a look; those few are then
verified exactly from their own events and rows. What a verification finds complete is recorded, so that the next
detection does not ask again. A table that cannot be read is *unknown*, never complete.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags import clock
from dags.days import Calendar, calendar
from dags.schema.apply import require_schema
from dags.sql import Cost, Sql
from dags.team_selection.store import dictionary_mismatches, read_selection
from dags.web_preaggregated.plan import MAX_TEAMS_BOUND, Fingerprint, Measure, Outcome
from dags.web_preaggregated.store import BuildRecord, append_to_ledger
from dags.web_preaggregated_backfill.rules import Build, Failure, Kind, Signals, Unit, Verdict, with_inconsistencies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.web_preaggregated.tables import WatchedTable

_PACKAGE = "dags.web_preaggregated_backfill"

# Longest that one statement of a detection may run; past it the table is unknown, and nothing is launched for it.
STATEMENT_SECONDS = 40

# The list is written daily; older than this, its schedule does not run.
SELECTION_MAX_AGE = timedelta(hours=25)


@dataclass(frozen=True)
class Detection:
    """What was found in the data at one moment.

    ``verdicts`` are those of the units that needed a look; all others are complete (``complete_by_table`` counts
    them) or have nothing to expect. ``unknown`` holds the error of each table that could not be read.
    """

    read_at: datetime
    window: Calendar
    lookback_days: int
    tables: tuple[str, ...]
    teams: int
    selected_at: datetime | None
    warnings: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    complete_by_table: Mapping[str, int]
    unknown: Mapping[str, str]
    cost: Cost

    @property
    def wrong(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.is_wrong)

    @property
    def missing(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.kind is Kind.MISSING)


@dataclass(frozen=True)
class _Suspect:
    """A unit that needs a look, with what the projections and the ledger say of it."""

    unit: Unit
    fingerprint: Fingerprint
    last_build: Build | None


def detect(
    client: Client,
    now: datetime,
    watched: Sequence[WatchedTable],
    *,
    lookback_days: int,
    settle: timedelta,
) -> Detection:
    """Judge every enabled team's days of the window, in every watched table.

    Raises:
        SchemaError: the tables are not those this code works with.
        ClickHouseError: the list of teams cannot be read; without it nothing is known of any table.
    """
    require_schema(client)
    sql = Sql(_PACKAGE, client, settings={"max_execution_time": STATEMENT_SECONDS})
    window = calendar(now, lookback_days=lookback_days, settle=settle)
    selection = read_selection(client)
    suspects: list[_Suspect] = []
    complete: dict[str, int] = {}
    unknown: dict[str, str] = {}
    failures: dict[tuple[str, date], Failure] = {}
    for table in watched:
        try:
            complete[table.name], found = _suspects(sql, window, table.name)
            failures |= _failures(sql, window, table.name)
            suspects += found
        except ClickHouseError as error:
            unknown[table.name] = str(error)[:500]
    signals, unverified = _verified(sql, suspects, failures, window)
    unknown |= {table: error for table, error in unverified.items() if table not in unknown}
    known = [signal for signal in signals if signal.unit.table not in unknown]
    verdicts = with_inconsistencies(known, {table.name: table.agrees_with for table in watched})
    _remember(client, known, verdicts, now)
    for verdict in verdicts:
        complete[verdict.unit.table] += verdict.kind is Kind.COMPLETE
    return Detection(
        read_at=now,
        window=window,
        lookback_days=lookback_days,
        tables=tuple(table.name for table in watched),
        teams=len(selection.teams),
        selected_at=selection.selected_at,
        warnings=_warnings(client, selection.selected_at, len(selection.teams), now),
        verdicts=verdicts,
        complete_by_table={table: count for table, count in complete.items() if table not in unknown},
        unknown=unknown,
        cost=sql.cost,
    )


def _suspects(sql: Sql, window: Calendar, table: str) -> tuple[int, list[_Suspect]]:
    bound = {
        "start": window.window.start,
        "end": window.window.end,
        "closed_before": window.closed_before,
        "table": table,
    }
    complete, suspects = 0, []
    for day, complete_units, facts in sql.rows("suspects", bound, target=table):
        complete += complete_units
        for team, events, qualifying, newest, is_built, last in facts:
            *_, sessions, pageviews, outcome, run_id, finished_at = last
            build = Build(Outcome(outcome), Measure(sessions, pageviews), run_id, finished_at) if is_built else None
            suspects.append(_Suspect(Unit(table, team, day), Fingerprint(events, qualifying, newest), build))
    return complete, suspects


def _failures(sql: Sql, window: Calendar, table: str) -> dict[tuple[str, date], Failure]:
    rows = sql.rows("failures", {"table": table, "start": window.window.start, "end": window.window.end})
    return {(table, day): Failure(run_id, failed_at, error) for day, failed_at, run_id, error in rows}


def _verified(
    sql: Sql, suspects: Iterable[_Suspect], failures: Mapping[tuple[str, date], Failure], window: Calendar
) -> tuple[list[Signals], dict[str, str]]:
    """Count source and tables exactly for each suspect, a day at a time; the error of each table that failed."""
    by_day: dict[date, list[_Suspect]] = defaultdict(list)
    for suspect in suspects:
        by_day[suspect.unit.day].append(suspect)
    signals: list[Signals] = []
    errors: dict[str, str] = {}
    for day, members in sorted(by_day.items(), reverse=True):
        by_table: dict[str, list[_Suspect]] = defaultdict(list)
        for suspect in members:
            by_table[suspect.unit.table].append(suspect)
        try:
            sources = _measures(sql, "unit_sources", day, {s.unit.team_id for s in members})
            targets = {
                table: _measures(sql, "unit_targets", day, {s.unit.team_id for s in group}, target=table)
                for table, group in by_table.items()
            }
        except ClickHouseError as error:
            errors |= dict.fromkeys(by_table, f"{day}: {str(error)[:500]}")
            continue
        signals += [
            Signals(
                s.unit,
                sources.get(s.unit.team_id, Measure()),
                targets[s.unit.table].get(s.unit.team_id, Measure()),
                s.fingerprint,
                window.is_open(day),
                s.last_build,
                failures.get((s.unit.table, day)),
            )
            for s in members
        ]
    return signals, errors


def _measures(sql: Sql, name: str, day: date, teams: Iterable[int], **identifiers: str) -> dict[int, Measure]:
    asked = sorted(teams)
    return {
        team: Measure(*counts)
        for first in range(0, len(asked), MAX_TEAMS_BOUND)
        for team, *counts in sql.rows(
            name, {"day": day, "teams": asked[first : first + MAX_TEAMS_BOUND]}, **identifiers
        )
    }


def _remember(client: Client, signals: Iterable[Signals], verdicts: Iterable[Verdict], started: datetime) -> None:
    """Record the suspects that turned out to be in order, with the fingerprint read before they were verified."""
    fine = {verdict.unit for verdict in verdicts if not verdict.is_wrong}
    finished = clock.utc_now()
    append_to_ledger(
        client,
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


def _warnings(client: Client, selected_at: datetime | None, teams: int, now: datetime) -> tuple[str, ...]:
    """What a reader should know about the list of teams before believing the rest."""
    if selected_at is None:
        return (
            "no team was ever enabled: see WEB_ANALYTICS_TEAM_SOURCES, then materialize web_analytics_team_selection",
        )
    found = []
    if not teams:
        found.append("no team is enabled, so nothing is watched: see WEB_ANALYTICS_TEAM_SOURCES")
    if now - selected_at > SELECTION_MAX_AGE:
        found.append(
            f"the list of teams is from {selected_at:%Y-%m-%d %H:%M}: is web_analytics_team_selection_schedule running?"
        )
    try:
        if wrong := dictionary_mismatches(client):
            found.append(
                f"web_pre_aggregated_teams_dict disagrees with the list about {len(wrong)} teams: "
                "materialize web_analytics_team_selection to reload it"
            )
    except ClickHouseError as error:
        found.append(f"web_pre_aggregated_teams_dict cannot be read: {str(error)[:300]}")
    return tuple(found)
