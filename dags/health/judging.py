"""Whether all is well: every fact turned into what is the matter, and that into one answer.

Pure: no clock, no database, no Dagster. Whatever could not be read is unknown, and unknown is never well.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from dags.domain.text import counted
from dags.health.causes import OF_DATA, Cause, Check, Health, State, answer, few, in_order
from dags.health.facts import Section
from dags.health.gaps import Gaps, also_known
from dags.health.triggers import halted, is_daemon_dead, next_tick, off, trigger_causes
from dags.health.unread import unread_causes
from dags.health.words import age_in_words, first_words, launch
from dags.health.work_causes import chore_causes, file_causes, left_causes, load_causes, old_day_causes, work_causes
from dags.repair.by_hand import rebuild_by_hand
from dags.repair.estimate import Building
from dags.schedules import TEAM_SELECTION_MAX_AGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from dags.detection.detection import Detection
    from dags.health.facts import BuildsOfLately, Compared, Facts, Teams
    from dags.health.targets import Targets

# Of the builds of a day that ended in seven days so many must have succeeded. Chosen: one bad night of seven is less.
MIN_SUCCESS = 0.95

# Tables are compared with raw events each hour. An equal comparison that is older says nothing of what is read now.
COMPARED_LATE = timedelta(hours=24)


def judge(facts: Facts, targets: Targets, repairing: tuple[str, ...]) -> Health:
    """All that is the matter. ``repairing``: the names of the triggers that launch repairs."""
    works = None if Section.WORK in facts.unread else facts.work
    causes = [*unread_causes(facts), *trigger_causes(facts), *load_causes(facts.loads, facts.at, works)]
    causes += [cause for one in facts.builds if (cause := _of_builds(one)) is not None]
    causes += chore_causes(facts.chores, facts.at)
    building = facts.evaluated.building if facts.evaluated is not None else Building()
    found = facts.evaluated.detection if facts.evaluated is not None else None
    causes += [_unequal(one, building, found) for one in facts.compared if not one.is_equal]
    causes += [_not_compared(one, facts.at) for one in facts.compared if one.is_equal and _is_old(one, facts)]
    if facts.server_at is not None:
        now = facts.server_at
        causes += _of_teams(facts.teams, now) if facts.teams is not None else ()
        causes += work_causes(facts.work, now)
        causes += file_causes(facts.files, now)
        causes += old_day_causes(facts.old_days)
        causes += left_causes(facts.left_behind, now, targets.repair)
    if facts.evaluated is not None:
        gaps = Gaps(
            facts.evaluated,
            targets,
            facts.at,
            facts.evaluated.detection.server_at or facts.at,
            halted(facts, repairing),
            off(facts, repairing),
            next_tick(facts, repairing),
        )
        causes += _of_data(gaps)
    ordered = in_order(causes)
    return Health(answer(ordered), ordered, facts.at, targets, facts)


def _of_data(gaps: Gaps) -> list[Cause]:
    """What is known of the data: also where a table, or a shard, could not be read, of the others."""
    seen, found = gaps.seen, gaps.seen.detection
    causes = list[Cause]()
    if found.is_blind:
        return causes
    if found.unverified:
        causes.append(
            Cause(
                "unknown:unverified",
                State.UNKNOWN,
                f"{counted(len(found.unverified), 'day')} not verified yet",
                doing="the next detection goes on with them",
                to_do="ask again",
                command=launch("health_job"),
                checks=OF_DATA,
            )
        )
    causes += gaps.causes()
    causes += also_known(seen)
    causes += [
        Cause(f"warning:{words[:40]}", State.NOTED, words)
        for words in found.warnings
        if words not in found.team_warnings
    ]
    return causes


def _of_teams(found: Teams, now: datetime) -> Iterator[Cause]:
    """The list of teams: there, of today, and what the dictionary answers with."""
    write, checks = launch("web_analytics_team_selection_job"), frozenset({Check.TEAM_LIST_FRESH})
    if not found.enabled:
        yield Cause(
            "teams:none",
            State.UNKNOWN,
            "no team is enabled, so nothing is watched"
            if found.selected_at is not None
            else "no list of teams was ever written, so nothing is watched",
            since=found.selected_at,
            to_do="enable teams, see WEB_ANALYTICS_TEAM_SOURCES, and write the list",
            command=write,
            checks=OF_DATA | {Check.TEAM_LIST_FRESH},
        )
        return
    if found.selected_at is not None and now - found.selected_at > TEAM_SELECTION_MAX_AGE:
        yield Cause(
            "teams:list",
            State.NEEDS_YOU,
            f"the list of teams is {age_in_words(now - found.selected_at)} old",
            "teams that were enabled since are not watched",
            found.selected_at,
            to_do="look why the last run of web_analytics_team_selection_job did not write it, then write it",
            command=write,
            checks=checks,
        )
    if found.mismatches:
        yield Cause(
            "teams:dictionary",
            State.NEEDS_YOU,
            f"web_pre_aggregated_teams_dict disagrees with the list about {counted(found.mismatches, 'team')}",
            "builds and readers that ask the dictionary",
            to_do="write the list, which reloads it and reads it back",
            command=write,
            checks=checks,
        )


def _of_builds(one: BuildsOfLately) -> Cause | None:
    if one.rate is None or one.rate >= MIN_SUCCESS:
        return None
    return Cause(
        f"builds:{one.table}",
        State.NOTED,
        f"{one.failed:,} of {one.built + one.failed:,} builds of a day failed in seven days "
        f"({one.rate:.0%} succeeded): {first_words(one.error)}",
        one.table,
        one.failed_at,
        "what is wrong yet is a cause of its own",
        tables=(one.table,),
        checks=frozenset({Check.BUILDS_SUCCEED}),
        error=one.error,
    )


def _is_old(one: Compared, facts: Facts) -> bool:
    """Whether it says nothing of today; where no daemon runs nothing is compared, and that is the cause."""
    return facts.at - one.at > COMPARED_LATE and not is_daemon_dead(facts)


def _not_compared(one: Compared, now: datetime) -> Cause:
    return Cause(
        f"accuracy:{one.table}",
        State.UNKNOWN,
        f"{one.table} was not compared with raw events for {age_in_words(now - one.at)}",
        one.words,
        one.at,
        to_do="compare now; then look why web_analytics_health_schedule did not",
        command=launch("web_analytics_health_checks_job"),
        tables=(one.table,),
        checks=frozenset({Check.ACCURATE}),
    )


def _unequal(one: Compared, building: Building, found: Detection | None) -> Cause:
    if one.is_unknown:
        return Cause(
            f"accuracy:{one.table}",
            State.REPAIRING if one.is_passing else State.UNKNOWN,
            f"{one.table} could not be compared with raw events",
            one.words,
            one.at,
            "it is tried again each hour",
            "" if one.is_passing else "put that right, or compare now",
            "" if one.is_passing else launch("web_analytics_health_checks_job"),
            tables=(one.table,),
            checks=frozenset({Check.ACCURATE}),
        )
    units = _compared_units(one, found)
    by_hand = rebuild_by_hand(units, building)
    return Cause(
        f"accuracy:{one.table}",
        State.NEEDS_YOU,
        f"{one.table} is not what its raw events come to",
        one.words,
        one.at,
        "the same teams are compared again each hour",
        f"build the day for these teams{by_hand.more_words}, then compare again; if it stays so, its builder is wrong",
        "\n".join((*by_hand.commands, launch("web_analytics_health_checks_job"))),
        tables=(one.table,),
        checks=frozenset({Check.ACCURATE}),
        days=(one.day,) if one.day is not None else (),
        teams=few(one.teams),
        cost=building.estimate_in_words([(unit.table, unit.day) for unit in units]) if units else "",
    )


class _Units(NamedTuple):
    table: str
    day: date
    teams: tuple[int, ...]
    shard: int


def _compared_units(one: Compared, found: Detection | None) -> list[_Units]:
    """What differed, where it lies as far as that is known."""
    teams_by_shard: dict[int, list[int]] = defaultdict(list)
    for team in one.teams:
        on = found.shards_of(team) if found is not None else ()
        teams_by_shard[on[0] if on else 0].append(team)
    if one.day is None:
        return []
    return [_Units(one.table, one.day, tuple(teams), shard) for shard, teams in sorted(teams_by_shard.items())]
