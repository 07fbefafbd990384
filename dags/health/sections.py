"""What the sections of the page say, as values: days that are wrong, who is behind, work, loads, what is held.

Pure: no clock, no database, no Dagster. Each section has at most so many lines, whatever is the matter, and
says how many it leaves out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from dags.health.causes import State, in_order
from dags.health.fates import Fated
from dags.health.freshness import freshness
from dags.health.words import age_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, timedelta

    from dags.detection.verdicts import Alike
    from dags.detection.waivers.rules import Waiver
    from dags.health.causes import Health
    from dags.health.facts import Load, WorkNow

# Lines of a section. What is further down is in the JSON of the job's output, or in the job that lists it.
DAYS, TEAMS, LAST_DAYS, WORKS, LOADS, HELD, WAIVERS = 31, 20, 14, 30, 100, 30, 50

Line = TypeVar("Line")


@dataclass(frozen=True)
class Lines(Generic[Line]):
    """The first of them, and how many there are beside."""

    shown: tuple[Line, ...]
    more: int

    @classmethod
    def of(cls, lines: Sequence[Line], most: int) -> Lines[Line]:
        return cls(tuple(lines[:most]), max(len(lines) - most, 0))


@dataclass(frozen=True)
class WrongDay:
    """A day with wrong units: how many teams, what these units are, and since when the first of them is known."""

    day: date
    teams: int
    what: str
    since: datetime | None


def days_of(health: Health) -> Lines[WrongDay]:
    """The days that are not as they should be, the newest first."""
    if health.facts.evaluated is None:
        return Lines((), 0)
    found = health.facts.evaluated.detection
    by_day: dict[date, list[Alike]] = defaultdict(list)
    for one in found.wrong.groups:
        by_day[one.day].append(one)
    since: dict[date, datetime] = {}
    for gap in found.gaps:
        since[gap.day] = min(gap.since, since.get(gap.day, gap.since))
    lines = [
        WrongDay(day, len({team for one in by_day[day] for team in one.teams}), _what(by_day[day]), since.get(day))
        for day in sorted(by_day, reverse=True)
    ]
    return Lines.of(lines, DAYS)


def _what(groups: Sequence[Alike]) -> str:
    """How many units are missing, stale and so on, how many of all are held; by shard, where there are some."""
    by_shard: dict[int, list[Alike]] = defaultdict(list)
    for one in groups:
        by_shard[one.shard].append(one)
    return "; ".join(f"{f'shard {shard}: ' * bool(shard)}{_counted(some)}" for shard, some in sorted(by_shard.items()))


def _counted(groups: Sequence[Alike]) -> str:
    counts: Counter[str] = Counter()
    held = 0
    for one in groups:
        counts[str(one.kind)] += len(one)
        held += len(one) * one.awaits_permission
    said = [f"{count:,} {kind}" for kind, count in counts.most_common()]
    return ", ".join([*said, f"{held:,} of these held"] if held else said)


@dataclass(frozen=True)
class Behind:
    """A team that is behind: the last day to which it is fresh, for how long, and by how much over the target."""

    team: int
    through: date
    lag: timedelta
    over: timedelta | None


@dataclass(frozen=True)
class Fresh:
    """Up to which day teams are complete. ``by_day`` counts them, the newest first."""

    newest: date | None
    on_time: int
    late: int
    by_day: Lines[tuple[date, int]]
    behind: Lines[Behind]


def freshness_of(health: Health) -> Fresh | None:
    """Who is fresh to when, those furthest behind first; None where nothing is known of any team."""
    if health.facts.evaluated is None or not health.facts.evaluated.detection.teams:
        return None
    found, target = health.facts.evaluated.detection, health.targets.freshness
    fresh, now = freshness(found), found.server_at or health.at
    lags = sorted(((fresh.lag(team, now), team) for team in fresh.behind), key=lambda one: (-one[0], one[1]))
    behind = [Behind(team, fresh.behind[team], lag, lag - target if lag > target else None) for lag, team in lags]
    on_time = found.teams - len(fresh.behind.keys() | found.unsure)
    counts = Counter(fresh.behind.values())
    if fresh.newest is not None:
        counts[fresh.newest] += on_time
    return Fresh(
        fresh.newest,
        on_time,
        sum(one.over is not None for one in behind),
        Lines.of(sorted(counts.items(), reverse=True), LAST_DAYS),
        Lines.of(behind, TEAMS),
    )


@dataclass(frozen=True)
class WorkLine:
    """A piece of work, and whether it asks for anybody; ``range`` are its first and last step."""

    work: WorkNow
    state: State | None
    range: str


def works_of(health: Health) -> Lines[WorkLine]:
    """Work that is not over or failed: what asks for a person first, as the causes have it."""
    order = {cause.key: (place, cause.state) for place, cause in enumerate(health.causes)}
    last = len(order), None
    lines = [
        (order.get(f"work:{work.work_id}", last), work)
        for work in sorted(health.facts.work, key=lambda one: one.asked_at, reverse=True)
    ]
    made = [
        WorkLine(work, state, " … ".join(dict.fromkeys(filter(None, [work.first_step, work.last_step]))))
        for (_, state), work in sorted(lines, key=lambda one: one[0][0])
    ]
    return Lines.of(made, WORKS)


@dataclass(frozen=True)
class LoadLine:
    """What is loaded by a timetable, how it stands, and when it was loaded whole last."""

    name: str
    state: State | None
    words: str
    loaded_at: datetime | None


def loads_of(health: Health) -> Lines[LoadLine]:
    """Loads by timetable, and the files of ingestions; what asks for a person first."""
    causes = {cause.key: cause for cause in health.causes}
    lines = []
    for load in health.facts.loads:
        cause = causes.get(f"load:{load.name}")
        words = cause.what if cause is not None else _standing(load, health.at)
        lines.append(LoadLine(load.what, cause.state if cause is not None else None, words, load.succeeded_at))
    for files in health.facts.files:
        keys = [f"{files.key}:{part}" for part in ("schema", "failed", "waiting")]
        own = in_order(causes[key] for key in keys if key in causes)
        words = "; ".join(cause.what for cause in own) or "every file that is known is loaded"
        lines.append(LoadLine(f"files of {files.ingestion}", own[0].state if own else None, words, files.loaded_at))
    rank = {state: place for place, state in enumerate(State)}
    return Lines.of(sorted(lines, key=lambda one: len(rank) if one.state is None else rank[one.state]), LOADS)


def _standing(load: Load, now: datetime) -> str:
    """Of a load with which nothing is the matter."""
    if load.running_since is not None:
        return f"a run is at it for {age_in_words(now - load.running_since)}"
    return "on time" if load.succeeded_at is not None else "no run of it has succeeded yet"


@dataclass(frozen=True)
class Held:
    """Units of a table that await a person's word, for one reason."""

    reason: str
    units: int
    whom: str


def held_of(health: Health) -> Lines[Held]:
    """What nothing rebuilds until a person allows its loss."""
    if health.facts.evaluated is None:
        return Lines((), 0)
    by_reason: dict[tuple[str, str], list[Alike]] = defaultdict(list)
    for one in health.facts.evaluated.detection.wrong.groups:
        if one.awaits_permission:
            by_reason[one.table, one.reason].append(one)
    lines = [
        Held(reason, sum(map(len, groups)), Fated(groups).in_words())
        for (_, reason), groups in sorted(by_reason.items())
    ]
    return Lines.of(lines, HELD)


def waivers_of(health: Health) -> Lines[Waiver]:
    """The waivers that hold today, those that end first before the others."""
    if health.facts.evaluated is None:
        return Lines((), 0)
    waivers = health.facts.evaluated.detection.waivers
    return Lines.of(sorted(waivers, key=lambda one: (one.valid_until, one.waiver_id)), WAIVERS)
