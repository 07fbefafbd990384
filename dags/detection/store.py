"""Reads the signals of every watched table from ClickHouse and judges them: one detection.

Days of which nothing has changed since they were last read are recalled; the others are read and judged anew. A table
that cannot be read is *unknown*, never complete.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.answers import Answers
from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.grants import why_nothing_is_kept
from dags.clickhouse.leases.store import read_leases
from dags.clickhouse.replicas.store import place_of, said_of_others
from dags.clickhouse.schema.apply import require_schema
from dags.clickhouse.sql import Sql, is_embedded
from dags.detection.detection import Detection, with_interiors, with_waivers
from dags.detection.memory import DayState, recalled, remember, states_now
from dags.detection.part_states import read_doubts
from dags.detection.rules import Failure, Kind
from dags.detection.signals import Reading, source_identifiers, target_identifiers
from dags.detection.verdicts import Verdicts
from dags.detection.waivers.store import read_waivers
from dags.domain.days import ONE_DAY, Calendar, DayRange, calendar
from dags.domain.text import counted
from dags.domain.watched import first_day
from dags.schedules import TEAM_SELECTION_MAX_AGE
from dags.team_selection.store import dictionary_mismatches, read_selection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import Source, WatchedTable

_PACKAGE = "dags.detection"

# Longest that one statement of a detection may run; past it the table is unknown, and nothing is launched for it.
STATEMENT_SECONDS = 40

# Builds of so many days tell how long the next one will take.
RATE_DAYS = 7


@dataclass(frozen=True)
class _Hints:
    """What helps to order and to estimate repairs. Nothing is judged by it, so it may be lacking."""

    spans: Mapping[tuple[str, int], tuple[date, date]] = field(default_factory=dict)
    source_rows: Mapping[tuple[str, date], int] = field(default_factory=dict)
    seconds_per_row: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def detect(
    client: Client,
    now: datetime,
    watched: Sequence[WatchedTable],
    *,
    lookback_days: int,
    settle: timedelta,
    reads_all_days: bool = False,
    verify_seconds: float = math.inf,
    records: bool = True,
    only: DayRange | None = None,
    answers: Answers | None = None,
) -> Detection:
    """Judge every enabled team's days of the lookback, in every watched table.

    ``reads_all_days``: read every day, and recall only those for which there was no time. The comprehensive check does,
    so that whatever the memory of earlier detections might miss is found within a day. ``now`` is this host's clock: it
    says what today is, unless it is not so late by ClickHouse's, and is never written down. ``verify_seconds``: how
    long days may be read; a tick has little time, and what it leaves over the next one goes on with. ``records``: leave
    behind what was found, for the next detection to recall, unless the user may not write; without it nothing is
    written. ``only``: judge no other day of the lookback. ``answers``: the states of its tables are told
    on the way, so that whoever reads on recalls what an earlier look has read of them.

    Raises:
        SchemaError: the tables are not those this code works with.
        ClickHouseError: the list of teams cannot be read; without it nothing is known of any table.
    """
    usable = require_schema(client, watched)
    judged = [table for table in watched if table.name not in usable.unusable]
    clocks = read_clocks(client)
    not_kept = why_nothing_is_kept(client) if records else ""
    records = records and not not_kept
    sql = Sql(_PACKAGE, client, settings={"max_execution_time": STATEMENT_SECONDS})
    dates = calendar(clocks.earlier(now), lookback_days=lookback_days, settle=settle, first_day=first_day(watched))
    if only is not None:
        dates = dates.within(only)
    selection = read_selection(client)
    answers = answers or Answers()
    doubts = read_doubts(client, sql, dates.judged, judged, records=records, beside=answers.tables)
    answers.states = doubts.states()
    states = states_now(sql, dates, judged, selection.teams, doubts.partitions, answers=answers)
    remembered = {day: state for day, state in recalled(sql, dates.judged, states).items() if day not in doubts.news}
    known = {} if reads_all_days else dict(remembered)
    days = [day for day in dates.judged if day not in known]
    reading = Reading(
        client,
        sql,
        dates,
        judged,
        teams=len(selection.teams),
        deadline=time.monotonic() + verify_seconds,
        records=records,
        doubts=doubts,
    )
    if records:
        # At once, day by day: whatever ends this detection, the next goes on from there.
        reading.keep = lambda some: remember(client, _as_states(reading, some, states, judged, clocks.server))
    reading.read(days, doubts.read_at)
    # Reading everything anew, and without time for all of it, the rest is as it was: nothing of it has changed.
    known |= {day: remembered[day] for day in reading.unverified if day in remembered}
    reading.unverified -= known.keys()
    for state in known.values():
        reading.complete |= Counter({(table, state.day): count for table, count in state.complete.items()})
        reading.outdated |= Counter({(table, state.day): count for table, count in state.outdated.items()})
    # Of a table that is unknown nothing is acted on, not even what is recalled of it.
    recollected = [one for state in known.values() for one in state.wrong.groups if one.table not in reading.unknown]
    found = Verdicts.joined([*reading.with_rollbacks(recollected), *reading.wrong().groups])
    verdicts, waivers = with_waivers(found, read_waivers(client), clocks.earlier(now).date())
    leases = read_leases(client)
    dead = [lease for lease in leases if lease.is_dead(is_embedded=is_embedded(client))]
    hints = _hints(sql, dates, judged, verdicts, reading.outdated)
    team_warnings, mismatches = _warnings(client, selection.selected_at, len(selection.teams), clocks.server)
    return Detection(
        read_at=now,
        calendar=dates,
        lookback_days=lookback_days,
        tables=tuple(table.name for table in watched),
        teams=len(selection.teams),
        selected_at=selection.selected_at,
        warnings=(
            *clocks.warnings,
            *team_warnings,
            *usable.notes,
            *said_of_others(client),
            *([f"nothing of this is kept: {not_kept}"] if not_kept else []),
            *_failed_to_keep(doubts.not_kept or reading.not_kept),
        ),
        verdicts=with_interiors(verdicts, hints.spans),
        complete={unit: count for unit, count in reading.complete.items() if unit[0] not in reading.unknown},
        unknown={**usable.unusable, **reading.unknown},
        unverified=frozenset(reading.unverified),
        recalled={day: state.read_at for day, state in known.items()},
        server_at=clocks.server,
        outdated={key: count for key, count in reading.outdated.items() if count},
        waivers=waivers,
        source_rows=hints.source_rows,
        seconds_per_row=hints.seconds_per_row,
        errors=hints.errors,
        team_warnings=team_warnings,
        team_mismatches=mismatches,
        enabled=selection.teams if _is_of_several(client) else frozenset(),
        residents=_residents(sql, dates, judged) if _is_of_several(client) else frozenset(),
        cost=sql.cost,
        living=tuple(lease for lease in leases if lease not in dead),
        dead_runs={lease.run: now - timedelta(seconds=lease.silent_seconds) for lease in dead},
    )


def _failed_to_keep(why: str) -> tuple[str, ...]:
    return (f"all was read, and not all is kept, so the next who asks reads it again: {why[:300]}",) if why else ()


def read_outdated_teams(
    client: Client, wanted: Mapping[tuple[str, date], int]
) -> dict[tuple[str, date], tuple[int, ...]]:
    """The enabled teams that an older logic version built; ``wanted``: table and day → the version of now."""
    sql, enabled = Sql(_PACKAGE, client), read_selection(client).teams
    found = {}
    for (table, day), version in wanted.items():
        rows = sql.rows("outdated_teams", {"table": table, "day": day, "logic_version": version})
        found[table, day] = tuple(team for (team,) in rows if team in enabled)
    return found


def _as_states(
    reading: Reading,
    days: Iterable[date],
    states: Mapping[date, str],
    watched: Sequence[WatchedTable],
    now: datetime,
) -> Iterable[DayState]:
    for day in days:
        if day in states:
            yield DayState(
                day,
                states[day],
                now,
                {table.name: reading.complete[table.name, day] for table in watched},
                {table.name: reading.outdated[table.name, day] for table in watched},
                reading.wrong([day]),
            )


def _hints(
    sql: Sql,
    dates: Calendar,
    watched: Sequence[WatchedTable],
    verdicts: Verdicts,
    outdated: Mapping[tuple[str, date], int],
) -> _Hints:
    days = {one.day for one in verdicts.groups if one.is_wrong} | {day for (_, day), count in outdated.items() if count}
    if not days:
        return _Hints()
    try:
        return _Hints(
            _spans(sql, dates, watched, verdicts),
            _source_rows(sql, watched, days),
            _rates(sql, watched, dates),
            _errors(sql, verdicts),
        )
    except ClickHouseError:
        return _Hints()


def _spans(
    sql: Sql, dates: Calendar, watched: Sequence[WatchedTable], verdicts: Verdicts
) -> dict[tuple[str, int], tuple[date, date]]:
    """First and last day with rows, of each team in the tables in which something is missing."""
    missing = {one.table for one in verdicts.groups if one.kind is Kind.MISSING}
    spans: dict[tuple[str, int], tuple[date, date]] = {}
    for table in watched:
        if table.name in missing:
            bound = {"start": dates.judged.start, "end": dates.judged.end}
            rows = sql.rows("spans", bound, **target_identifiers(table))
            spans |= {(table.name, team): (first, last) for team, first, last in rows}
    return spans


def _is_of_several(client: Client) -> bool:
    """Whether the server is of one shard of several."""
    place = place_of(client)
    return place is not None and bool(place.dsn.shard)


def _residents(sql: Sql, dates: Calendar, watched: Sequence[WatchedTable]) -> frozenset[int]:
    """The enabled teams that have rows of the judged days.

    By the tables: a team that has but a source is wrong in them, so its verdicts name it.
    """
    bound = {"start": dates.judged.start, "end": dates.judged.end}
    spans = (sql.rows("spans", bound, **target_identifiers(table)) for table in watched)
    return frozenset(team for rows in spans for team, *_ in rows)


def _errors(sql: Sql, verdicts: Verdicts) -> dict[str, str]:
    """The error of each failed build, by its words: the memory of days keeps these and no more."""
    days_by_table: dict[str, list[date]] = defaultdict(list)
    for one in verdicts.groups:
        if one.failure:
            days_by_table[one.table].append(one.day)
    errors: dict[str, str] = {}
    for table, days in days_by_table.items():
        bound = {"tables": [table], "start": min(days), "end": max(days) + ONE_DAY}
        failures = [Failure(run_id, at, error) for *_, at, run_id, error in sql.rows("failures", bound)]
        errors |= {str(failure): failure.error for failure in failures}
    return errors


def _source_rows(sql: Sql, watched: Sequence[WatchedTable], days: Collection[date]) -> dict[tuple[str, date], int]:
    """How many rows of its source a rebuild of each of the days reads, by table."""
    rows_by_day: dict[Source, dict[date, int]] = {}
    found: dict[tuple[str, date], int] = {}
    for table in watched:
        reach = table.source.reach_days * ONE_DAY
        if table.source not in rows_by_day:
            bound = {"start": min(days) - reach, "end": max(days) + reach + ONE_DAY}
            rows_by_day[table.source] = dict(sql.rows("source_sizes", bound, **source_identifiers(table.source)))
        sizes = rows_by_day[table.source]
        for day in days:
            found[table.name, day] = sum(sizes.get(near, 0) for near in DayRange(day - reach, day + reach + ONE_DAY))
    return found


def _rates(sql: Sql, watched: Sequence[WatchedTable], dates: Calendar) -> dict[str, float]:
    """Seconds that past builds took for a row of their source, by table."""
    end = dates.judged.end
    bound = {"tables": [table.name for table in watched], "start": end - RATE_DAYS * ONE_DAY, "end": end}
    return {table: seconds / rows for table, seconds, rows in sql.rows("build_rate", bound) if rows}


def _warnings(
    client: Client, selected_at: datetime | None, teams: int, now: datetime
) -> tuple[tuple[str, ...], int | None]:
    """What a reader should know about the list of teams before believing the rest; and about how many teams the
    dictionary disagrees with it, None where that was not read.
    """
    if selected_at is None:
        never = "no team was ever enabled: see WEB_ANALYTICS_TEAM_SOURCES"
        return (f"{never}, then materialize web_analytics_team_selection",), None
    found, mismatches = [], None
    if not teams:
        found.append("no team is enabled, so nothing is watched: see WEB_ANALYTICS_TEAM_SOURCES")
    if now - selected_at > TEAM_SELECTION_MAX_AGE:
        found.append(
            f"the list of teams is from {selected_at:%Y-%m-%d %H:%M}: is web_analytics_team_selection_schedule running?"
        )
    try:
        if mismatches := len(dictionary_mismatches(client)):
            found.append(
                f"web_pre_aggregated_teams_dict disagrees with the list about {counted(mismatches, 'team')}: "
                "materialize web_analytics_team_selection to reload it"
            )
    except ClickHouseError as error:
        found.append(f"web_pre_aggregated_teams_dict cannot be read: {str(error)[:300]}")
    return tuple(found), mismatches
