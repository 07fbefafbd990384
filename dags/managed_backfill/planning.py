"""Makes the plan of a request from what source and tables hold. Reads only."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dags.clickhouse.replicas.store import shard_at
from dags.clickhouse.targets.store import read_usability
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.errors import UserError
from dags.managed_backfill import gates
from dags.managed_backfill.plan import Checks, Extent, Held, Plan, Rollback, Scope, chunked
from dags.managed_backfill.request import Facts
from dags.managed_backfill.shrunk import held_in_words, held_units, read_wrong
from dags.managed_backfill.store import read_coverage, read_in_work, read_rates
from dags.team_selection.store import read_selection
from dags.work.plan import Monitoring, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.detection.rules import Verdict
    from dags.domain.watched import WatchedTable
    from dags.managed_backfill.request import BackfillRequest
    from dags.managed_backfill.store import Coverage
    from dags.settings import Settings

# Of a day's teams: None stands for all of the plan's.
TeamsByDay = dict["date", "tuple[int, ...] | None"]


def read_facts(
    client: Client,
    watched: Sequence[WatchedTable],
    settings: Settings,
    now: datetime,
    backfill_id: str,
    *,
    in_flight: Mapping[tuple[str, date], str],
) -> Facts:
    """What a request is held against. ``in_flight``: the runs that Dagster has queued or started, in words."""
    allowed = [table for table in watched if table.op]
    return Facts(
        today=now.date(),
        enabled=read_selection(client).teams,
        tables=tuple(table.name for table in allowed),
        max_range_days=settings.backfill_max_range_days,
        webhook_hosts=settings.backfill_webhook_hosts,
        unusable=read_usability(client, allowed).unusable,
        first_days={table.name: table.first_day for table in allowed},
        in_work={**in_flight, **read_in_work(client, except_backfill=backfill_id)},
        shard=shard_at(client),
    )


def make_plan(
    client: Client, watched: Sequence[WatchedTable], request: BackfillRequest, settings: Settings, now: datetime
) -> Plan:
    """The plan of a request.

    Raises:
        UserError: nothing of the range is to be rebuilt, or what is wrong in it could not be read.
    """
    table = next(one for one in watched if one.name == request.table)
    days = DayRange(request.start, request.end + ONE_DAY)
    coverage = read_coverage(client, table, days)
    allows = request.strategy.allow_shrink
    wrong: Iterable[Verdict] = ()
    if request.strategy.kind is Extent.GAP_FILLING or not allows:
        teams = request.team_ids
        wrong = read_wrong(client, watched, request.table, days, teams=teams, settings=settings, now=now)
    asked = frozenset(request.days)
    held = {} if allows else {day: teams for day, teams in held_units(wrong).items() if day in asked}
    teams_by_day = _without(_teams_by_day(request, coverage, wrong), held, request)
    if request.strategy.preserve_existing:
        teams_by_day = _only_absent(teams_by_day, request, coverage)
    if not teams_by_day:
        lines = "".join(f"\n{day}: {held_in_words(teams)}; allow_shrink: true rebuilds" for day, teams in held.items())
        raise UserError(
            f"nothing to do: {request.strategy.kind} of {request.table}, {days}, finds no unit to rebuild. "
            f"show_data_gaps_job shows what is wrong{lines}"
        )
    everyone = tuple(sorted(request.team_ids))
    reach = table.source.reach_days
    rows = {day: coverage.rows_for(day, teams or everyone, reach) for day, teams in teams_by_day.items()}
    rates = read_rates(client, table, now.date(), settings.backfill_usd_per_gb)
    chunks = chunked(teams_by_day, rows, request.strategy, rates)
    return Plan(
        name=request.name,
        description=request.description,
        created=now,
        requested_by=request.requested_by,
        reason=request.reason,
        scope=Scope(
            table=request.table,
            shard=shard_at(client)[0],
            start_date=request.start,
            end_date=request.end,
            team_ids=everyone,
            max_range_days=request.max_range_days,
            left_out=dict(request.left_out),
            held={day: Held(team_ids=tuple(sorted(teams)), words=held_in_words(teams)) for day, teams in held.items()},
            estimate=total(chunk.estimate for chunk in chunks),
            estimated_from=rates.words,
            memory_at_most_bytes=settings.build_max_memory_bytes * request.strategy.parallelism,
        ),
        strategy=request.strategy,
        checks=Checks(before=gates.BEFORE, chunk=gates.OF_CHUNKS, after=gates.AFTER),
        chunks=chunks,
        rollback=Rollback(
            backup="each day's parts, attached to a table of this backfill's before the day is replaced",
            kept_days=settings.backfill_backup_days,
        ),
        monitoring=Monitoring(webhook=request.webhook, every_chunks=request.webhook_every_chunks),
    )


def _teams_by_day(request: BackfillRequest, coverage: Coverage, wrong: Iterable[Verdict]) -> TeamsByDay:
    if request.strategy.kind is Extent.FULL_RELOAD:
        return {day: None for day in request.days if coverage.has_source(day, request.team_ids)}
    if request.strategy.kind is Extent.GAP_FILLING:
        teams: dict[date, set[int]] = defaultdict(set)
        for verdict in wrong:
            teams[verdict.unit.day].add(verdict.unit.team_id)
        return {day: tuple(sorted(teams[day])) for day in sorted(teams.keys() & set(request.days))}
    return dict.fromkeys(request.days)


def _without(teams_by_day: TeamsByDay, held: Mapping[date, Mapping[int, str]], request: BackfillRequest) -> TeamsByDay:
    """Less the units that are held; a day of which nothing is left is in no chunk."""
    left: TeamsByDay = {}
    for day, teams in teams_by_day.items():
        asked = request.team_ids if teams is None else frozenset(teams)
        rest = asked - held.get(day, {}).keys()
        if rest:
            left[day] = teams if rest == asked else tuple(sorted(rest))
    return left


def _only_absent(teams_by_day: TeamsByDay, request: BackfillRequest, coverage: Coverage) -> TeamsByDay:
    """Only units that have a source and no row in the table."""
    absent: TeamsByDay = {}
    for day, teams in teams_by_day.items():
        asked = teams if teams is not None else tuple(sorted(request.team_ids))
        lacking = tuple(team for team in asked if (day, team) in coverage.source and (day, team) not in coverage.target)
        if lacking:
            absent[day] = lacking
    return absent
