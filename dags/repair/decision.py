"""Decides which days to rebuild now, and says of every other wrong day why not.

Pure: no clock, no database, no Dagster. The sensor, the schedule and the detector share it; only what they act on
differs. In which order days come is `dags.repair.priority`'s.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.detection.detection import Standing
from dags.detection.rules import Judged, Kind
from dags.detection.verdicts import Alike, Verdicts, repeated_unit
from dags.domain.days import ONE_DAY, in_words, start_of
from dags.domain.setting_values import Priority
from dags.domain.text import counted
from dags.repair.attempts import divided_by_backoff, ended
from dags.repair.estimate import Building, total
from dags.repair.priority import in_order

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from dags.detection.rules import Verdict
    from dags.repair.attempts import Run
    from dags.repair.estimate import Estimate


# The reason of a decision about nothing.
NOTHING_TO_REPAIR = "nothing to repair"


class Trigger(StrEnum):
    """Who asks."""

    SENSOR = "sensor"
    SCHEDULE = "schedule"
    MANUAL = "manual"


@dataclass(frozen=True)
class Policy:
    """The limits, from the settings.

    ``min_volume``: a unit whose source and table both have fewer occurrences (page views), times the team's weight, is
    left alone; so is a team of weight 0, which nobody reads.
    """

    min_missing_partitions: int
    max_days_per_run: int
    max_days_per_day: int
    max_gap_age: timedelta | None = None
    priority: Priority = Priority.RECENT
    weight_by_team: Mapping[int, int] = field(default_factory=dict)
    min_volume: int = 0
    rebuilds_outdated: bool = False


@dataclass(frozen=True)
class RepairRequest:
    """One day to rebuild by one job, in the tables that are wrong on it. Estimate None: the sizes could not be read.

    ``teams_by_table`` holds the teams that are wrong, and no other is rebuilt; ``outdated_tables`` those of which an
    older logic version built teams, which it does not name. ``units`` says how many units of a table are wrong, by why.
    ``shard``: where they lie, 0 where there is one.
    """

    day: date
    teams_by_table: Mapping[str, tuple[int, ...]]
    attempt: int
    run_key: str
    units: Mapping[str, Counter[str]]
    job: str = ""
    estimate: Estimate | None = None
    outdated_tables: frozenset[str] = frozenset()
    shard: int = 0

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(sorted({*self.teams_by_table, *self.outdated_tables}))

    def reasons(self, table: str = "") -> str:
        """Why it is rebuilt, or a table of it, each reason with its units: ``never built: 24; rows lost: 2``."""
        units = self.units.get(table, Counter[str]()) if table else sum(self.units.values(), Counter[str]())
        return "; ".join(f"{reason}: {count}" for reason, count in units.most_common())

    @property
    def main_reason(self) -> str:
        """The reason that most of its units have."""
        return sum(self.units.values(), Counter[str]()).most_common(1)[0][0]

    @property
    def teams(self) -> int:
        """How many teams are rebuilt, those apart that an older logic version built."""
        return len({team for teams in self.teams_by_table.values() for team in teams})


class Why(StrEnum):
    """Why a wrong day is not rebuilt now."""

    STOPPED = "backfills are stopped"
    IN_FLIGHT = "in flight"
    JUST_DONE = "rebuilt after the data was read"
    BACKING_OFF = "backing off"
    CAP = "over the cap of this tick"
    DAILY_CAP = "over the cap of this UTC day"
    BELOW_MINIMUM = "below the minimum"
    HELD = "held until a person allows it"
    FLOOR = "below the volume floor"
    NOT_ACTED_ON = "left to the comprehensive check"


@dataclass(frozen=True)
class Deferred:
    """A wrong day that is not rebuilt now; ``shard``: where, 0 where there is one."""

    day: date
    why: Why
    detail: str = ""
    shard: int = 0


@dataclass(frozen=True)
class Decision:
    """What to do, and the reasons of all that is not done.

    ``remaining`` are the days that a backfill which has begun has not got to: they are repaired below the minimum too,
    and handed to the next decision.
    """

    trigger: Trigger
    requests: tuple[RepairRequest, ...]
    deferred: tuple[Deferred, ...]
    remaining: frozenset[date]
    missing_partitions: int
    reasons: tuple[str, ...] = field(default=())

    @property
    def should_backfill(self) -> bool:
        return bool(self.requests)

    @property
    def words(self) -> str:
        return "; ".join(self.reasons)


def acts_on(trigger: Trigger, judged: Judged, policy: Policy) -> bool:
    """Whether a trigger repairs this kind of fault: the sensor what is missing, the 02:00 check whatever is wrong.

    What awaits a person's permission is never acted on.
    What an older logic version built is right, only not by today's rule: the 02:00 check rebuilds it if told to.
    """
    if judged.kind is Kind.OUTDATED:
        return trigger is not Trigger.SENSOR and policy.rebuilds_outdated
    if judged.awaits_permission or not judged.is_wrong:
        return False
    return trigger is not Trigger.SENSOR or judged.kind is Kind.MISSING


def above_floor(one: Alike, policy: Policy) -> Alike:
    """Those of the units that are large enough to be rebuilt, and of teams that somebody reads."""
    weights, floor = policy.weight_by_team, policy.min_volume
    if one.kind is Kind.OUTDATED or not (weights or floor):
        return one
    totals = zip(one.teams, one.columns.source_total, one.columns.target_total, strict=True)
    weighed = ((weights.get(team, 1), max(source, target)) for team, source, target in totals)
    return one.where([weight != 0 and volume * weight >= floor for weight, volume in weighed])


def decide(
    verdicts: Iterable[Verdict],
    runs: Iterable[Run],
    policy: Policy,
    *,
    trigger: Trigger,
    remaining: frozenset[date],
    read_at: datetime,
    now: datetime,
    building: Building | None = None,
    standing: Standing | None = None,
) -> Decision:
    """Choose the days to rebuild now, newest first or in the order that the policy names.

    A day is one request of each job, and of each shard, however many teams and tables are wrong on it, and the cap
    counts days; the minimum counts (table, day) partitions. The minimum begins a backfill; what one that has begun
    deferred by a cap, or failed, is finished below the minimum, or else a cap of 7 would strand the eighth day for
    ever.

    Raises:
        ValueError: ``now`` or ``read_at`` is naive, or two verdicts name the same unit.
    """
    if now.tzinfo is None or read_at.tzinfo is None:
        raise ValueError(f"now is {now!r} and read_at {read_at!r}: give aware datetimes")
    builds, obstacles = building or Building(), standing or Standing()
    wrong = Verdicts.of(verdicts).where(lambda one: one.is_wrong or acts_on(trigger, one, policy)).groups
    if (repeated := repeated_unit(wrong)) is not None:
        raise ValueError(f"{repeated} is judged twice")
    runs_by_day: dict[date, list[Run]] = defaultdict(list)
    for run in runs:
        runs_by_day[run.day].append(run)
    todo: dict[date, list[Alike]] = defaultdict(list)
    for one in wrong:
        if acts_on(trigger, one, policy) and (some := above_floor(one, policy)):
            todo[one.day].append(some)
    partitions = {(one.table, one.day) for group in todo.values() for one in group}
    is_minimum_reached = len(partitions) >= policy.min_missing_partitions
    aged = frozenset(day for day in todo if _is_aged(day, policy, now))
    remaining_now = (frozenset(todo) if is_minimum_reached else aged) | (remaining & {one.day for one in wrong})
    budget = _Budget(policy, runs_by_day, now)
    requests: list[RepairRequest] = []
    deferred = [
        Deferred(day, *_not_acted_on(group, policy), shard) for (day, shard), group in _left_alone(wrong, todo).items()
    ]
    for day in in_order(todo, policy.priority, policy.weight_by_team):
        by_place: dict[tuple[str, int], list[Alike]] = defaultdict(list)
        for one in todo[day]:
            by_place[builds.job(one.table), one.shard].append(one)
        for (job, shard), group in sorted(by_place.items()):
            request, left = _choose(
                day,
                group,
                [run for run in runs_by_day[day] if run.is_of(shard)],
                obstacles.of_shard(shard),
                is_remaining=day in remaining_now,
                budget=budget,
                read_at=read_at,
                now=now,
            )
            deferred += [replace(one, shard=shard) for one in left]
            if request is not None:
                estimate = builds.of_shard(shard).estimate(day, request.tables)
                requests.append(replace(request, job=job, estimate=estimate))
    decision = Decision(
        trigger,
        tuple(requests),
        tuple(sorted(set(deferred), key=lambda d: (d.day, d.why, d.shard), reverse=True)),
        remaining_now,
        len(partitions),
    )
    return _with_reasons(decision, policy, obstacles, is_minimum_reached=is_minimum_reached)


class _Budget:
    """What is left of both caps. Dagster stamps the runs that it counts, so ``now`` is of the same host's clock."""

    def __init__(self, policy: Policy, runs_by_day: Mapping[date, Sequence[Run]], now: datetime) -> None:
        today = now.astimezone(UTC).date()
        launched_today = {
            day
            for day, runs in runs_by_day.items()
            for run in runs
            if run.is_automatic and run.created_at.astimezone(UTC).date() == today
        }
        self.tick = policy.max_days_per_run
        self.today = policy.max_days_per_day - len(launched_today)
        self._taken: set[date] = set()

    def take(self, day: date) -> Why | None:
        """Take one day's worth, or say which cap is reached; a day is taken once, whatever number of jobs it needs."""
        if day in self._taken:
            return None
        if self.today <= 0:
            return Why.DAILY_CAP
        if self.tick <= 0:
            return Why.CAP
        self.tick -= 1
        self.today -= 1
        self._taken.add(day)
        return None


def _choose(
    day: date,
    verdicts: Sequence[Alike],
    runs: Sequence[Run],
    obstacles: Standing,
    *,
    is_remaining: bool,
    budget: _Budget,
    read_at: datetime,
    now: datetime,
) -> tuple[RepairRequest | None, list[Deferred]]:
    """What to rebuild of a day now, and what of it waits, and why."""
    tables = {one.table for one in verdicts}
    relevant = [run for run in runs if run.tables & tables]
    if (blocked := _blocked(day, tables, relevant, obstacles, read_at)) is not None:
        return None, [blocked]
    before = sorted((run for run in relevant if run.ended_at is not None), key=ended)
    due, backing_off, attempt = divided_by_backoff(verdicts, before, now)
    left = [Deferred(day, Why.BACKING_OFF, backing_off)] if backing_off else []
    if not due:
        return None, left
    if not is_remaining:
        return None, [*left, Deferred(day, Why.BELOW_MINIMUM)]
    if (cap := budget.take(day)) is not None:
        return None, [*left, Deferred(day, cap)]
    last_run = before[-1].run_id if before else "first"
    # Dagster remembers a run key for ever, whatever became of its run: the key changes with every run of the day.
    shard = due[0].shard
    run_key = f"{day}/after-{last_run}/attempt-{attempt}" + f"/shard-{shard}" * bool(shard)
    units: dict[str, Counter[str]] = defaultdict(Counter)
    teams_by_table: dict[str, list[int]] = defaultdict(list)
    for one in due:
        units[one.table][one.reason] += len(one)
        if one.kind is not Kind.OUTDATED:
            teams_by_table[one.table].extend(one.teams)
    frozen = {table: tuple(sorted(teams)) for table, teams in sorted(teams_by_table.items())}
    outdated = frozenset(one.table for one in due if one.kind is Kind.OUTDATED)
    return RepairRequest(day, frozen, attempt, run_key, units, outdated_tables=outdated, shard=shard), left


def _blocked(
    day: date, tables: Collection[str], runs: Sequence[Run], obstacles: Standing, read_at: datetime
) -> Deferred | None:
    if obstacles.stopped:
        return Deferred(day, Why.STOPPED)
    by_lease = [
        obstacles.run_by_lease[table, day] for table in sorted(tables) if (table, day) in obstacles.run_by_lease
    ]
    in_flight = sorted((run for run in runs if run.ended_at is None), key=lambda run: run.created_at)
    if building := [*by_lease, *(run.run_id for run in in_flight)]:
        return Deferred(day, Why.IN_FLIGHT, f"run {building[-1][:8]}")
    last = max((run for run in runs if run.ended_at is not None), key=ended, default=None)
    if last is not None and ended(last) > read_at:
        return Deferred(day, Why.JUST_DONE, f"run {last.run_id[:8]}")
    return None


def _is_aged(day: date, policy: Policy, now: datetime) -> bool:
    return policy.max_gap_age is not None and now - start_of(day + ONE_DAY) > policy.max_gap_age


def _left_alone(wrong: Iterable[Alike], todo: Mapping[date, Iterable[Alike]]) -> dict[tuple[date, int], list[Alike]]:
    """What is wrong on days, and shards, on which nothing is to be done."""
    done = {(day, one.shard) for day, group in todo.items() for one in group}
    groups: dict[tuple[date, int], list[Alike]] = defaultdict(list)
    for one in wrong:
        if (one.day, one.shard) not in done:
            groups[one.day, one.shard].append(one)
    return groups


def _not_acted_on(groups: Sequence[Alike], policy: Policy) -> tuple[Why, str]:
    if not any(above_floor(one, policy) for one in groups):
        return Why.FLOOR, f"fewer than {policy.min_volume:,}, or of weight 0"
    held = any(one.awaits_permission for one in groups)
    return (Why.HELD if held else Why.NOT_ACTED_ON), ", ".join(sorted({one.reason for one in groups}))


def _estimated(requests: Iterable[RepairRequest]) -> str:
    known = [request.estimate for request in requests if request.estimate is not None]
    if not known:
        return ""
    return f": {total(known)}"


def _with_reasons(decision: Decision, policy: Policy, obstacles: Standing, *, is_minimum_reached: bool) -> Decision:
    count, minimum = decision.missing_partitions, policy.min_missing_partitions
    reasons = [f"backfills are {obstacles.stopped}"] if obstacles.stopped else []
    wrong = f"{counted(count, 'partition')} to repair"
    if count == 0:
        reasons.append(NOTHING_TO_REPAIR)
    elif is_minimum_reached:
        reasons.append(f"{wrong}, at least {minimum} begin a backfill")
    elif decision.requests:
        reasons.append(f"{wrong}, fewer than {minimum}: finishing what remains")
    else:
        reasons.append(f"{wrong}, fewer than the {minimum} that begin a backfill")
    if decision.requests:
        reasons.append(f"rebuild {in_words(one.day for one in decision.requests)}{_estimated(decision.requests)}")
    by_why: dict[Why, list[Deferred]] = defaultdict(list)
    for one in decision.deferred:
        by_why[one.why].append(one)
    for why, group in by_why.items():
        details = sorted({one.detail for one in group if one.detail})
        shown = f" ({'; '.join(details[:3])}{' …' if len(details) > 3 else ''})" if details else ""  # noqa: PLR2004
        reasons.append(f"{in_words(one.day for one in group)}: {why}{shown}")
    return replace(decision, reasons=tuple(reasons))
