"""What a person asks for, and what is refused of it: every violation at once, before anything is touched.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.domain.days import ONE_DAY, DayRange, in_words
from dags.domain.given_text import text_problems
from dags.domain.shards import unlike_planned
from dags.managed_backfill import gates
from dags.managed_backfill.plan import Extent, Strategy
from dags.work.plan import Ceilings
from dags.work.request import WHO, refusal, webhook_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from dags.domain.given import Read
    from dags.managed_backfill.fields import BackfillConfig
    from dags.managed_backfill.plan import Plan

TEXTS = ("name", "description", *WHO)


@dataclass(frozen=True)
class Facts:
    """What the request is held against.

    ``unusable``: why tables may not be rebuilt, by table, in words. ``in_work``: who works on a table's day
    right now or has it before them, in words; this backfill itself is not among them. ``first_days``: of the
    partitions of each table. ``shard``: which one is asked, and of how many; zeros where there is one.
    """

    today: date
    enabled: frozenset[int]
    tables: tuple[str, ...]
    max_range_days: int
    webhook_hosts: Collection[str] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)
    in_work: Mapping[tuple[str, date], str] = field(default_factory=dict)
    first_days: Mapping[str, date] = field(default_factory=dict)
    shard: tuple[int, int] = (0, 0)

    def first_day_problems(self, table: str, start: date) -> list[str]:
        """Whether a range begins before its table does."""
        first = self.first_days.get(table, start)
        return [f"start_date is {start}: the partitions of {table} begin on {first}"] if start < first else []


@dataclass(frozen=True)
class BackfillRequest:
    """A request that can be planned. ``days`` are those that are over, ``left_out`` says why others are not."""

    table: str
    start: date
    end: date
    days: tuple[date, ...]
    left_out: Mapping[str, str]
    team_ids: frozenset[int]
    strategy: Strategy
    max_range_days: int
    webhook: str
    webhook_every_chunks: int
    name: str
    description: str
    reason: str
    requested_by: str


def validated(asked: Read[BackfillConfig], facts: Facts) -> BackfillRequest:
    """The request that a job's configuration makes.

    Raises:
        UserError: every violation, each on a line of its own: what the model refuses, and what the facts do.
    """
    usable, problems = asked.usable, list(asked.problems)
    start, end, table = usable.get("start_date"), usable.get("end_date"), usable.get("target_table", "")
    problems += [
        f"{name} is missing: give YYYY-MM-DD, or a plan"
        for name in ("start_date", "end_date")
        if usable.get(name, "refused") is None
    ]
    if table not in facts.tables:
        problems.append(f"target_table is {table!r}: give one of {', '.join(facts.tables)}")
    max_range = usable.get("max_range_days") or facts.max_range_days
    if start and end:
        problems += range_problems(start, end, max_range, facts.today) + facts.first_day_problems(table, start)
    days, left_out = _days(start, end, usable.get("days", ()), facts.today, problems)
    teams = frozenset[int](usable.get("team_ids", ()))
    problems += team_problems(teams, facts)
    if usable.get("kind") is Extent.CORRECTION and not usable.get("team_ids", "refused"):
        problems.append("team_ids is empty: a point_in_time_correction is of the teams that are named")
    if not facts.enabled:
        problems.append(
            "no team is enabled, so there is nothing to rebuild: enable teams (WEB_ANALYTICS_TEAM_SOURCES) and "
            "materialize web_analytics_team_selection"
        )
    problems += table_problems(table, days, facts)
    problems += webhook_problems(usable.get("webhook", ""), facts.webhook_hosts)
    problems += text_problems({name: usable[name] for name in WHO if name in usable}, required=WHO)
    given = asked.whole
    if problems or given is None or start is None or end is None:
        raise refusal("the backfill", problems)
    strategy = Strategy(
        kind=given.kind,
        chunk_by=given.chunk_by,
        chunk_size_days=given.chunk_size_days,
        chunk_size_rows=given.chunk_size_rows,
        parallelism=given.parallelism,
        newest_first=given.newest_first,
        preserve_existing=given.preserve_existing,
        allow_shrink=given.allow_shrink,
        on_gate_failure=given.on_gate_failure,
        ceilings=Ceilings(source_rows=given.max_source_rows, seconds=given.max_seconds),
    )
    span = DayRange(days[0], days[-1] + ONE_DAY) if days else DayRange(start, end + ONE_DAY)
    return BackfillRequest(
        table=table,
        start=start,
        end=end,
        days=days,
        left_out=left_out,
        team_ids=teams or facts.enabled,
        strategy=strategy,
        max_range_days=max_range,
        webhook=given.webhook,
        webhook_every_chunks=given.webhook_every_chunks,
        name=given.name or f"{given.kind} of {table}, {in_words(span)}",
        description=given.description,
        reason=given.reason,
        requested_by=given.requested_by,
    )


def refuse_plan(plan: Plan, facts: Facts) -> None:
    """Hold a plan that was handed back against what is so now, as a request is.

    Raises:
        UserError: every violation, each on a line of its own.
    """
    scope, problems = plan.scope, text_problems({name: getattr(plan, name) for name in TEXTS}, required=WHO)
    if unlike := unlike_planned(scope.shard, *facts.shard):
        problems.append(unlike)
    if scope.table not in facts.tables:
        problems.append(f"scope.table is no table that can be rebuilt: give one of {', '.join(facts.tables)}")
    problems += range_problems(scope.start_date, scope.end_date, scope.max_range_days, facts.today)
    problems += facts.first_day_problems(scope.table, scope.start_date)
    problems += team_problems(frozenset(scope.team_ids), facts)
    problems += table_problems(scope.table, plan.days, facts)
    problems += webhook_problems(plan.monitoring.webhook, facts.webhook_hosts)
    problems += _edited_away(plan)
    if late := [day for day in plan.days if day >= facts.today]:
        problems.append(f"chunks hold {in_words(late)}: a day is rebuilt when it is over")
    if problems:
        raise refusal("the plan", problems)


def _edited_away(plan: Plan) -> list[str]:
    """What a plan says of itself, and what would not be done so."""
    checks = {"before": gates.BEFORE, "chunk": gates.OF_CHUNKS, "after": gates.AFTER}
    problems = [
        f"checks.{moment} are not the gates that are asked, which no plan chooses: give {', '.join(asked)}"
        for moment, asked in checks.items()
        if getattr(plan.checks, moment) != asked
    ]
    rebuilt = plan.teams_by_day
    problems += [
        f"scope.held has teams {sorted(both)[:5]} of {day}, which chunks rebuild: take them out of one of the two"
        for day, held in plan.scope.held.items()
        if (both := rebuilt.get(day, frozenset()) & frozenset(held.team_ids))
    ]
    return problems


def range_problems(start: date, end: date, max_range_days: int, today: date) -> list[str]:
    problems = []
    if end < start:
        problems.append(f"end_date is {end}: give a day that is not before start_date, {start}")
    if end > today:
        problems.append(f"end_date is {end}: give a day that is not in the future; today is {today} (UTC)")
    if (apart := (end - start).days) > max_range_days:
        problems.append(
            f"{start} … {end} are {apart + 1} days, the last {apart} after the first; at most {max_range_days} are "
            "allowed: name fewer, or set max_range_days for this one (WEB_ANALYTICS_BACKFILL_MAX_RANGE_DAYS for all)"
        )
    return problems


def team_problems(teams: frozenset[int], facts: Facts) -> list[str]:
    strangers = sorted(teams - facts.enabled) if facts.enabled else []
    return [
        (
            f"team_ids has {strangers[:10]} ({len(strangers)} of the {len(teams)} named), which are not enabled: "
            "enable them (WEB_ANALYTICS_TEAM_SOURCES) and materialize web_analytics_team_selection, or leave them out"
        )
    ] * bool(strangers)


def table_problems(table: str, days: Collection[date], facts: Facts) -> list[str]:
    problems = [facts.unusable[table]] if table in facts.unusable else []
    works: dict[str, list[date]] = {}
    for day in days:
        if who := facts.in_work.get((table, day)):
            works.setdefault(who, []).append(day)
    return problems + [
        f"{table} of {in_words(taken)} is in work by {who}: wait for it, cancel it, or leave these days out"
        for who, taken in works.items()
    ]


def _days(
    start: date | None, end: date | None, listed: tuple[date, ...], today: date, problems: list[str]
) -> tuple[tuple[date, ...], dict[str, str]]:
    if start is None or end is None or end < start:
        return (), {}
    whole = DayRange(start, end + ONE_DAY)
    if outside := [day for day in listed if day not in whole]:
        problems.append(f"days has {in_words(outside)}, outside {start} … {end}")
    days = tuple(sorted(set(listed) & set(whole))) if listed else tuple(whole)
    left_out = {str(today): "today is not over"} if today in days else {}
    return tuple(day for day in days if day < today), left_out
