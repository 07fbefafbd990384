"""What is the matter with the data, as causes: gaps by what becomes of them, and teams that are behind.

Pure: no clock, no database, no Dagster. A gap that is being repaired within its target is no reason to call anybody;
one that is older, or that nothing will repair, is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dags.domain.shards import shards_in_words
from dags.domain.text import counted
from dags.health.causes import Cause, Check, State, few
from dags.health.fates import Fate, Fated, fates
from dags.health.freshness import freshness
from dags.health.words import NAMED, age_in_words, days_in_words, first_words, launch, listed
from dags.repair.attempts import RunState
from dags.repair.by_hand import ByHand, rebuild_by_hand
from dags.repair.decision import Trigger, Why

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date, datetime

    from dags.detection.verdicts import Alike
    from dags.health.facts import Evaluated
    from dags.health.targets import Targets

# A team that falls behind all at once, as when rows are lost, is left alone for so long: two ticks of the sensor.
REPAIRED_WITHIN = timedelta(hours=12)


@dataclass(frozen=True)
class Gaps:
    """All that causes of gaps are made from. ``now`` is the clock that Dagster's runs are stamped by, ``server_now``
    that of ClickHouse, by which a gap's age counts since it was seen first. ``halted`` says why nothing repairs
    anything now, as where backfills are stopped; else it is empty. ``off``: the triggers that are off, each with the
    words that say so. ``next_tick`` is when the sensor ticks next, by Dagster's clock, where that is known.
    """

    seen: Evaluated
    targets: Targets
    now: datetime
    server_now: datetime
    halted: str = ""
    off: Mapping[Trigger, str] = field(default_factory=dict)
    next_tick: datetime | None = None

    def causes(self) -> tuple[Cause, ...]:
        """The causes, of gaps first."""
        made = {
            Fate.REPAIRED: self._repaired,
            Fate.DISAGREES: self._disagrees,
            Fate.FAILS: self._fails,
            Fate.HELD: self._held,
            Fate.WAITS: self._waits,
            Fate.LEFT: self._left,
        }
        found = fates(self.seen, self.now)
        gaps = [(_told(made[fate](fated), fate, fated), fated.teams()) for fate, fated in found.items()]
        return self._with_freshness(gaps)

    def _since(self, groups: Iterable[Alike]) -> datetime:
        """When the oldest of them was seen first; now, of what nobody has seen before."""
        opened = {gap.place: gap.since for gap in self.seen.detection.gaps}
        return min(opened.get((one.table, one.day, one.awaits_permission), self.server_now) for one in groups)

    def _is_late(self, since: datetime) -> bool:
        return self.server_now - since > self.targets.repair

    def _idle(self, fated: Fated) -> str:
        """Why nothing repairs any of these days, in words; empty if something does, or will."""
        if self.halted:
            return self.halted
        off = self.off.get(Trigger.SCHEDULE, "")
        is_left = off and all(self._is_left((one.day, one.shard)) for one in fated.groups)
        return f"nothing: {off}" if is_left else ""

    def _is_left(self, place: tuple[date, int]) -> bool:
        """Whether the check of 02:00 UTC alone repairs a day of a shard, and is off, and no run is at it."""
        by_sensor, by_schedule = (self._deferred[one].get(place, set()) for one in (Trigger.SENSOR, Trigger.SCHEDULE))
        return Trigger.SCHEDULE in self.off and Why.NOT_ACTED_ON in by_sensor and Why.IN_FLIGHT not in by_schedule

    def _quiet(self, fated: Fated) -> State:
        """What a gap within its target is: being repaired; or nothing is, and a person is called for that already."""
        return State.NOTED if self._idle(fated) else State.REPAIRING

    def _repaired(self, fated: Fated) -> Cause:
        return self._being_repaired("gap:repaired", fated, "", frozenset({Check.NO_OLD_GAP}))

    def _disagrees(self, fated: Fated) -> Cause:
        more = ", and tables disagree about them"
        return self._being_repaired("gap:disagrees", fated, more, frozenset({Check.NO_OLD_GAP}))

    def _cost(self, fated: Fated) -> str:
        return self.seen.building.estimate_in_words(fated.places)

    def _by_hand(self, fated: Fated, *, allow_shrink: bool = False) -> ByHand:
        return rebuild_by_hand(fated.groups, self.seen.building, allow_shrink=allow_shrink)

    def _being_repaired(self, key: str, fated: Fated, more: str, checks: frozenset[Check]) -> Cause:
        late = fated.of(one for one in fated.groups if self._is_late(self._since([one])))
        if not late.groups:
            return _cause(
                key,
                self._quiet(fated),
                f"{_units(fated)} wrong{more}: {fated.why_in_words()}",
                fated,
                self._since(fated.groups),
                doing=self._doing(fated),
                checks=checks,
                cost=self._cost(fated),
            )
        return _cause(
            key,
            State.NEEDS_YOU,
            f"{_units(late)} wrong for longer than {age_in_words(self.targets.repair)}{more}: {late.why_in_words()}",
            late,
            self._since(late.groups),
            doing=self._doing(late),
            to_do="look why that takes so long: what its day's runs did, whether a cap is too low",
            command=why_day(late.days),
            checks=checks,
            cost=self._cost(late),
        )

    def _doing(self, fated: Fated) -> str:
        """What is being done about days that are wrong, by what both triggers would do now."""
        if idle := self._idle(fated):
            return idle
        again = f"tried again from {fated.again:%Y-%m-%d %H:%M}" if fated.again is not None else "tried again later"
        days: dict[str, set[date]] = defaultdict(set)
        for place in sorted({(one.day, one.shard) for one in fated.groups}, reverse=True):
            days[self._awaited(place, again)].add(place[0])
        return "; ".join(f"{counted(len(some), 'day')} {words}" for words, some in days.items())

    @cached_property
    def _asked(self) -> dict[Trigger, set[tuple[date, int]]]:
        return {
            trigger: {(request.day, request.shard) for request in decision.requests}
            for trigger, decision in self.seen.decisions.items()
        }

    @cached_property
    def _deferred(self) -> dict[Trigger, dict[tuple[date, int], set[Why]]]:
        whys: dict[Trigger, dict[tuple[date, int], set[Why]]] = defaultdict(lambda: defaultdict(set))
        for trigger, decision in self.seen.decisions.items():
            for one in decision.deferred:
                whys[trigger][one.day, one.shard].add(one.why)
        return whys

    def _awaited(self, place: tuple[date, int], again: str) -> str:
        """What a day of a shard waits for; that its trigger is off, where nothing else comes to it."""
        by_sensor, by_schedule = (place in self._asked[one] for one in (Trigger.SENSOR, Trigger.SCHEDULE))
        whys = self._deferred[Trigger.SCHEDULE].get(place, set())
        if Why.IN_FLIGHT in whys:
            return "being rebuilt"
        if self._is_left(place):
            return f"not at all: {self.off[Trigger.SCHEDULE]}"
        if by_sensor and Trigger.SENSOR not in self.off:
            at = f", {self.next_tick:%H:%M} UTC" if self.next_tick is not None else ""
            return f"due at the sensor's next tick{at}"
        if by_schedule and Trigger.SCHEDULE not in self.off:
            check = "the check of 02:00 UTC"
            return f"not before {check}: {self.off[Trigger.SENSOR]}" if by_sensor else f"due at {check}"
        if whys & {Why.CAP, Why.DAILY_CAP}:
            return "in line for a later tick"
        return again if Why.BACKING_OFF in whys else "looked at again by the next tick"

    def _fails(self, fated: Fated) -> Cause:
        since, by_hand = self._since(fated.groups), self._by_hand(fated)
        failure = next((one.failure for one in fated.groups if one.failure), "")
        error = self.seen.detection.errors.get(failure, failure)
        is_undone = fated.run is not None and fated.run.state is RunState.SUCCEEDED
        why = first_words(error) if error.strip() else fated.why_in_words()
        first = "find what undoes its builds" if is_undone else "put right what its last run says"
        return _cause(
            "gap:fails",
            State.NEEDS_YOU,
            f"{_units(fated)} wrong after {counted(fated.failures, 'attempt')}: {why}",
            fated,
            since,
            doing=self._idle(fated)
            or (f"tried again from {fated.again:%Y-%m-%d %H:%M}" if fated.again is not None else ""),
            to_do=f"{first}, then build these teams' days{by_hand.more_words}",
            command=_lines(
                launch("why_job", run_id=f"'{fated.run.run_id[:8]}'") if fated.run is not None else "", by_hand
            ),
            cost=self._cost(fated),
            error=error,
            checks=frozenset({Check.NOTHING_STUCK} | ({Check.NO_OLD_GAP} if self._is_late(since) else set())),
        )

    def _held(self, fated: Fated) -> Cause:
        by_hand = self._by_hand(fated, allow_shrink=True)
        return _cause(
            "gap:held",
            State.NEEDS_YOU,
            f"{_units(fated)} held: a rebuild would lose what their source has no longer",
            fated,
            self._since(fated.groups),
            doing="nothing, readers keep what they have",
            to_do="see what would be lost. If the source is right, build these teams' days with allow_shrink: true"
            f"{by_hand.more_words}. Else load it again, or waive it",
            command=_lines(why_day(fated.days), by_hand),
            cost=self._cost(fated),
            checks=frozenset({Check.NOTHING_STUCK}),
        )

    def _waits(self, fated: Fated) -> Cause:
        policy, since, by_hand = self.seen.policy, self._since(fated.groups), self._by_hand(fated)
        minimum = f"fewer than the {policy.min_missing_partitions} partitions that begin a backfill"
        alone = ""
        if policy.max_gap_age is not None:
            alone = f"; repaired alone once its day has been over for {age_in_words(policy.max_gap_age)}"
        is_late = self._is_late(since)
        return _cause(
            "gap:waits",
            State.NEEDS_YOU if is_late else self._quiet(fated),
            f"{_units(fated)} wrong, and too few to begin with: {fated.why_in_words()}",
            fated,
            since,
            doing=self._idle(fated) or f"waits for more: {minimum}{alone}",
            to_do=f"build these teams' days{by_hand.more_words}; or set WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS"
            if is_late
            else f"nothing until {since + self.targets.repair:%Y-%m-%d %H:%M} UTC; or build these teams' days now"
            f"{by_hand.more_words}",
            command=_lines("" if by_hand.commands else why_day(fated.days), by_hand),
            cost=self._cost(fated),
            checks=frozenset({Check.NO_OLD_GAP}),
        )

    def _left(self, fated: Fated) -> Cause:
        return _cause(
            "gap:left",
            State.NOTED,
            f"{_units(fated)} wrong and left so, below the volume floor or of weight 0: {fated.why_in_words()}",
            fated,
            self._since(fated.groups),
        )

    def _with_freshness(self, gaps: list[tuple[Cause, set[int]]]) -> tuple[Cause, ...]:
        """The causes of gaps, and of teams that are behind for none of these a cause of their own.

        Who is behind for what a person is called for already is no second reason to call.
        """
        found = self.seen.detection
        fresh = freshness(found)
        late = fresh.late(self.server_now, self.targets.freshness)
        made: list[Cause] = []
        for cause, teams in gaps:
            is_why = cause.state is State.NEEDS_YOU and cause.key != "gap:held" and not teams.isdisjoint(late)
            made.append(replace(cause, checks=cause.checks | {Check.FRESH}) if is_why else cause)
        explained = {
            team for (_, teams), cause in zip(gaps, made, strict=True) if Check.FRESH in cause.checks for team in teams
        }
        left = {team: lag for team, lag in late.items() if team not in explained}
        if left:
            made.append(self._behind(left, fresh.behind))
        return tuple(made)

    def _behind(self, late: Mapping[int, timedelta], through: Mapping[int, date]) -> Cause:
        """Teams that are further behind than the target, since the first of them could have been repaired."""
        groups = [
            one
            for one in self.seen.detection.wrong.groups
            if not one.awaits_permission and any(team in late and one.day > through[team] for team in one.teams)
        ]
        since = self._since(groups)
        is_young = self.server_now - since < REPAIRED_WITHIN
        behind = Fated(groups)
        [(worst, lag), *_] = late.items()
        on = {team: shards_in_words(self.seen.detection.shards_of(team)) for team in [*late][:NAMED]}
        named = [f"team {team}{f' ({where})' * bool(where)} {through[team]}" for team, where in on.items()]
        more = f" and {len(late) - NAMED:,} more" if len(late) > NAMED else ""
        return Cause(
            "fresh",
            self._quiet(behind) if is_young else State.NEEDS_YOU,
            f"{counted(len(late), 'team')} behind the target of {age_in_words(self.targets.freshness)}, by up to "
            f"{age_in_words(lag - self.targets.freshness)}",
            f"fresh to: {', '.join(named)}{more}",
            since,
            doing=self._doing(behind),
            cost=self._cost(behind),
            to_do="" if is_young else "look why the newest days are not built",
            command="" if is_young else launch("why_job", team_id=worst),
            tables=tuple(sorted({one.table for one in groups})),
            checks=frozenset({Check.FRESH}),
            size=len(late),
            teams=few(late),
        )


def _told(cause: Cause, fate: Fate, fated: Fated) -> Cause:
    """A cause that is also one of tables that disagree, where they do; not of what somebody has left so."""
    tables = {one.table for one in fated.groups if one.is_inconsistent}
    if fate is Fate.LEFT or not tables:
        return cause
    return replace(cause, checks=cause.checks | {Check.TABLES_AGREE}, disagreeing=tuple(sorted(tables)))


def _lines(first: str, by_hand: ByHand) -> str:
    """Commands as a cause has them."""
    return "\n".join(filter(None, [first, *by_hand.commands]))


def why_day(days: Collection[date]) -> str:
    """The command that says of the newest of some days why it is wrong, and what will be done."""
    return launch("why_job", day=f"'{max(days)}'")


def _units(fated: Fated) -> str:
    return f"{fated.units:,} (table, team, day) {'is' if fated.units == 1 else 'are'}"


def _cause(
    key: str, state: State, what: str, fated: Fated, since: datetime, *,
    doing: str = "", to_do: str = "", command: str = "", checks: frozenset[Check] = frozenset(), cost: str = "",
    error: str = "",
) -> Cause:  # fmt: skip
    return Cause(
        key, state, what, fated.in_words(), since, doing, to_do, command, fated.tables, checks, fated.units,
        tuple(sorted(fated.days)), few(fated.teams()), cost, error,
    )  # fmt: skip


def also_known(seen: Evaluated) -> tuple[Cause, ...]:
    """What is known and asks for nobody: what was waived, and what an older logic version built."""
    found = seen.detection
    made = []
    if waived := found.waived.groups:
        fated = Fated([*waived])
        words = listed(f"until {one.valid_until} by {one.requested_by}" for one in found.waivers[:NAMED])
        made.append(Cause("waived", State.NOTED, f"{_units(fated)} wrong and waived {words}", fated.in_words()))
    if outdated := {place: count for place, count in found.outdated.items() if count}:
        tables = listed(sorted({table for table, _ in outdated}))
        whom = f"{tables}, {days_in_words(day for _, day in outdated)}"
        words = f"{sum(outdated.values()):,} (table, team, day) were built by an older logic version"
        doing = "the check of 02:00 UTC rebuilds them" if seen.policy.rebuilds_outdated else ""
        cost = seen.building.estimate_in_words(outdated) if doing else ""
        made.append(Cause("outdated", State.NOTED, words, whom, doing=doing, cost=cost))
    return tuple(made)
