"""Units of which a rebuild would lose what their source has no longer: named, and kept until a person allows it.

Detection and managed backfills go by one rule, `Verdict.awaits_permission`. A plan leaves out what a detection of its
range finds so; a build holds what has become so since, and what detection does not judge: a day that is still open.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.detection.rules import Build, Verdict, detail_of, judge
from dags.detection.store import detect
from dags.detection.verdicts import Verdicts
from dags.domain.days import in_words
from dags.domain.errors import UserError
from dags.domain.units import Measure, Outcome, Unit, shrinks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.days import DayRange
    from dags.domain.watched import WatchedTable
    from dags.managed_backfill.plan import Plan
    from dags.settings import Settings

_PACKAGE = "dags.managed_backfill"

# Day and team → why the unit is held, with its figures.
Held = dict["date", dict[int, str]]

# So many teams of a day are named with their figures; more are counted.
NAMED = 3


def read_wrong(
    client: Client,
    watched: Sequence[WatchedTable],
    table: str,
    days: DayRange,
    *,
    teams: Collection[int],
    settings: Settings,
    now: datetime,
) -> Verdicts:
    """What a detection of these days finds wrong of these teams; nothing of it is kept.

    Raises:
        UserError: it could not be read, and unknown is not in order.
    """
    found = detect(
        client,
        now,
        watched,
        lookback_days=max((now.date() - days.start).days, 1),
        settle=settings.settle,
        records=False,
        only=days,
    )
    if table in found.unknown:
        raise UserError(f"which units of {table} are wrong is unknown: {found.unknown[table]}")
    return found.wrong.where(lambda one: one.table == table).of_teams(teams)


def held_units(wrong: Iterable[Verdict]) -> Held:
    """Those that await a person's permission."""
    held: Held = defaultdict(dict)
    for verdict in Verdicts.of(wrong).where(lambda one: one.awaits_permission):
        held[verdict.unit.day][verdict.unit.team_id] = f"{verdict.reason}: {verdict.detail}"
    return dict(sorted(held.items()))


def held_in_words(words_by_team: Mapping[int, str]) -> str:
    """Of one day: ``2 teams keep their rows: team 1, source shrank: source 7 sessions, …``."""
    shown = [f"team {team}, {words_by_team[team]}" for team in sorted(words_by_team)[:NAMED]]
    more = f"; … and {len(words_by_team) - NAMED:,} more" if len(words_by_team) > NAMED else ""
    count = "1 team keeps its rows" if len(words_by_team) == 1 else f"{len(words_by_team):,} teams keep their rows"
    return f"{count}: {'; '.join(shown)}{more}"


def refuse_held(plan: Plan, held: Held) -> None:
    """Refuse a plan that was handed back and rebuilds what is held.

    Raises:
        UserError: each day with its teams.
    """
    problems = []
    for day, teams in plan.teams_by_day.items():
        if named := {team: words for team, words in held.get(day, {}).items() if team in teams}:
            problems.append(f"chunks hold {in_words([day])}, where {held_in_words(named)}")
    if problems:
        problems.append("leave these units out, or set strategy.allow_shrink: true, which erases what they have more")
        raise UserError("the plan was refused, nothing was touched:\n" + "\n".join(problems))


def held_by_build(
    client: Client, table: WatchedTable, day: date, has: Mapping[int, Measure], staged: Mapping[int, Measure]
) -> dict[int, str]:
    """Which teams keep their rows of a day that is about to be published, and why.

    ``has`` is what the table holds, ``staged`` what the source comes to. The ledger is asked only where less than the
    table holds was staged.
    """
    fewer = [team for team in has if staged.get(team, Measure()) < has[team]]
    if not fewer:
        return {}
    rows = Sql(_PACKAGE, client).rows("last_builds", {"table": table.name, "day": day})
    builds = {
        team: Build(Outcome.VERIFIED if is_verified else Outcome.BUILT, Measure(*measure), finished_at)
        for team, *measure, is_verified, finished_at in rows
    }
    verdicts = (
        _verdict(table, Unit(table.name, team, day), staged.get(team, Measure()), has[team], builds.get(team))
        for team in fewer
    )
    return held_units(verdicts).get(day, {})


def _verdict(table: WatchedTable, unit: Unit, source: Measure, target: Measure, build: Build | None) -> Verdict:
    """The judgement of a detection, but as on a closed day: whoever publishes now has this source and no later one."""
    recorded = build.measure if build is not None else None
    kind, cause = judge(source, target, recorded, has_failed=False, is_open=False)
    detail = detail_of(source, target, build, "", table.words)
    return Verdict(unit, kind, cause, detail, is_held=shrinks(target, source), source=source, target=target)


def read_held_by_builds(client: Client, table: str, days: DayRange, run_ids: Collection[str]) -> dict[date, set[int]]:
    """The units that builds of these runs held, by day."""
    bound = {"table": table, "start": days.start, "end": days.end, "run_ids": list(run_ids)}
    return {day: set(teams) for day, teams in Sql(_PACKAGE, client).rows("held_by_builds", bound)}
