"""Answers the questions that an engineer has in front of a gap: why is it there, why was nothing launched, what next.

Pure: facts in, text out, at most 100 columns. A question may be about a team, a day, a run, or about none of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dags.detection.verdicts import Verdicts
from dags.detection.whom import whom_in_words
from dags.domain.briefly import listed
from dags.domain.days import in_words
from dags.domain.text import WIDTH, command_lines, counted, wrapped
from dags.domain.watched import most_reach
from dags.repair.by_hand import rebuild_by_hand
from dags.repair.decision import Why
from dags.repair.estimate import Building
from dags.sources.loads.log import LoadEvent
from dags.web_preaggregated_backfill.report import freshness, status_line, unknown_words
from dags.work.audit.log import Event
from dags.work.history import asked_text, end_text
from dags.work.history import lines as history_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from dags.detection.detection import Detection
    from dags.detection.rules import Verdict
    from dags.detection.verdicts import Alike
    from dags.domain.watched import WatchedTable
    from dags.repair.attempts import Run
    from dags.repair.decision import Decision
    from dags.team_selection.store import Selection
    from dags.work.audit.log import Entry, State, Work

# As many units as are read in a terminal; the rest is counted.
SHOWN = 20

# What stands before a command.
_TYPED = "          $ "

NEXT_STEPS = {
    Why.STOPPED: "run resume_all_backfills_job, or unset WEB_ANALYTICS_BACKFILL_STOPPED",
    Why.IN_FLIGHT: "wait for the run, or look at it: why_job with its run_id",
    Why.JUST_DONE: "wait for the next tick",
    Why.BACKING_OFF: "look at the failed run (why_job with run_id); to try at once, the command below builds it",
    Why.CAP: "wait for the next tick, or raise WEB_ANALYTICS_BACKFILL_MAX_PARTITIONS_PER_RUN",
    Why.DAILY_CAP: "wait for tomorrow, or raise WEB_ANALYTICS_BACKFILL_MAX_DAYS_PER_DAY",
    Why.BELOW_MINIMUM: "lower WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS, set "
    "WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS, or build it by the command below",
    Why.HELD: "if the source is right, allow the loss by the command below",
    Why.FLOOR: "lower WEB_ANALYTICS_BACKFILL_MIN_VOLUME, or build it by the command below",
    Why.NOT_ACTED_ON: "web_analytics_backfill_schedule repairs it at 02:00 UTC; or build it by the command below",
}

_NEXT_BEFORE = (
    "          next: build it by the command below, ask for it with managed_backfill_job, or raise "
    "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS"
)


@dataclass(frozen=True)
class Question:
    """What is asked about; None leaves it open."""

    team_id: int | None = None
    day: date | None = None

    def of(self, verdicts: Verdicts) -> Verdicts:
        """Those that it asks about."""
        found = verdicts.where(lambda one: self.day in (None, one.day))
        return found if self.team_id is None else found.of_teams([self.team_id])


class Change(NamedTuple):
    """What a piece of work did to a day; ``shard``: where, 0 where there is one."""

    work: Work
    entry: Entry
    shard: int = 0


def why_text(
    question: Question,
    detection: Detection,
    decisions: Iterable[Decision],
    runs: Sequence[Run],
    selection: Selection,
    *,
    watched: Sequence[WatchedTable],
    changes: Sequence[Change] = (),
    loads: Sequence[Change] = (),
    earlier: Detection | None = None,
) -> str:
    """The answer, the most general part first.

    ``changes``: what managed backfills did to the day; ``loads``: what was loaded into it from elsewhere. Where a team
    is asked about that lies on a shard, what was done on others is left out.
    ``earlier``: what is so of a day before the look-back, of which ``detection`` says nothing, and for which nothing is
    ever decided; it was read for this answer.
    """
    found = detection if earlier is None else earlier
    is_judged = earlier is not None or question.day is None or question.day in detection.calendar.judged
    lines = [status_line(found) if is_judged else f"NOT JUDGED YET: {question.day}. {status_line(detection)}", ""]
    lines += [f"UNKNOWN   {words}" for words in unknown_words(found)]
    lines += [f"TEAMS     {line}" for line in _about_teams(question, selection, detection)]
    if question.day is not None:
        lines += ["", *(f"DAY       {line}" for line in _about_day(question.day, detection, watched))]
    wrong = question.of(found.wrong)
    lines.append("")
    if not wrong and not found.unknown:
        lines.append("GAPS      none here" if is_judged else "GAPS      not judged yet, so none is known of")
    lines += _about_gaps(wrong)
    places = {(one.day, one.shard) for one in wrong.groups}
    by_words: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for decision in decisions if earlier is None else ():
        by_words[_about_decision(decision, places)].append(f"the {decision.trigger}")
    for (first, *others), triggers in by_words.items():
        lines += ["", f"DECISION  of {listed(triggers)}: {first}", *others]
    if earlier is not None:
        lines += ["", "DECISION  none: no trigger acts on a day before the look-back", *[_NEXT_BEFORE] * bool(wrong)]
    lines += _by_hand(wrong, Building.of(watched, found.source_rows, found.seconds_per_row))
    lines += ["", *_about_runs(_runs_asked_about(question, detection, runs, places))]
    lines += [f"BACKFILL  {_changed(one)}" for one in _changes_asked_about(question, detection, changes)]
    lines += [f"LOAD      {_loaded(one)}" for one in _changes_asked_about(question, detection, loads)]
    lines += [f"WAIVER    {waiver}" for waiver in found.waivers]
    lines += ["", f"FACTS     {freshness(found)}", f"COST      {found.cost}"]
    return "\n".join(wrapped(line, indent=10) for line in lines)


def _about_teams(question: Question, selection: Selection, detection: Detection) -> list[str]:
    if selection.selected_at is None:
        return ["no list was ever written: run web_analytics_team_selection_job"]
    lines = [f"{len(selection.teams):,} enabled, list written {selection.selected_at:%Y-%m-%d %H:%M} UTC"]
    lines += detection.warnings or ["the dictionary answers as the list does"]
    if question.team_id is not None:
        if question.team_id in selection.teams:
            lines.append(f"team {question.team_id} is enabled{_where(question.team_id, detection)}")
        elif question.team_id in selection.departed:
            lines.append(f"team {question.team_id} was enabled and is no longer: it is not judged, its rows stay")
        else:
            lines.append(f"team {question.team_id} was never enabled: see WEB_ANALYTICS_TEAM_SOURCES")
    else:
        lines.append(
            "enabled: " + ", ".join(map(str, sorted(selection.teams)[:SHOWN])) + (" …" * (len(selection.teams) > SHOWN))
        )
    return lines


def _where(team: int, detection: Detection) -> str:
    """On which shard a team lies; nothing where there is one."""
    on = detection.shards_of(team)
    if on:
        return f", and lies on shard {listed(map(str, on))}"
    if team in detection.unplaced:
        return ", and lies on no shard that could be read: it may be on one that could not"
    return ", and has nothing on any shard in the days that are judged" if detection.shards else ""


def _about_day(day: date, detection: Detection, watched: Sequence[WatchedTable]) -> list[str]:
    dates = detection.calendar
    if day in dates.judged:
        is_open = dates.is_open(day, most_reach(watched))
        state = "open: its source may still grow" if is_open else "closed: that its source moves now is a fault"
        return [f"{day} is a valid partition key and is judged; it is {state}"]
    if day < dates.judged.start:
        return [f"{day} is a valid partition key; it lies before the look-back, {dates.judged}, and was read now"]
    return [f"{day} is not judged yet: a day is judged once it is over and settled"]


def _about_gaps(wrong: Verdicts) -> list[str]:
    """Units that are wrong for one reason together, and what is the same of several of them once."""
    by_reason: dict[tuple[int, str], list[Alike]] = defaultdict(list)
    for one in wrong.groups:
        hole = ", a hole between days with rows" if one.is_interior else ""
        by_reason[one.shard, f"{one.kind}, {one.reason}{hole}"].append(one)
    lines: list[str] = []
    room = SHOWN
    for (_, reason), groups in by_reason.items():
        units_by_detail: dict[str, list[Verdict]] = defaultdict(list)
        for verdict in islice((verdict for one in groups for verdict in one), max(room, 0)):
            units_by_detail[verdict.detail].append(verdict)
        lines.append(f"GAP       {whom_in_words(groups)}: {reason}")
        for detail, units in units_by_detail.items():
            whom = f"{whom_in_words(Verdicts.of(units).groups)}: " if len(units_by_detail) > 1 else ""
            lines.append(f"          {whom}{detail}")
        if left := sum(map(len, groups)) - sum(map(len, units_by_detail.values())):
            lines.append(f"          … and {left:,} more")
        room -= sum(map(len, units_by_detail.values()))
    return lines


def _by_hand(wrong: Verdicts, building: Building) -> list[str]:
    """What a person types to build now what is wrong, and what to build what is held."""
    lines = []
    for label, words, awaits in (
        ("BUILD", "what is wrong now, and no other team's rows", False),
        ("ALLOW", "the loss, once it is sure that the source is right", True),
    ):
        found = rebuild_by_hand(
            (one for one in wrong.groups if one.awaits_permission is awaits), building, allow_shrink=awaits
        )
        if found.commands:
            lines += ["", f"{label:<10}{words}{found.more_words}"]
        for command in found.commands:
            first, *others = command_lines(command, WIDTH - len(_TYPED)) or [command]
            lines += [f"{_TYPED}{first}", *(f"{'':<{len(_TYPED)}}{line}" for line in others)]
    return lines


def _about_decision(decision: Decision, places: Collection[tuple[date, int]]) -> tuple[str, ...]:
    """What is decided on all, and of the days and shards that are asked about in particular."""
    lines = [
        f"          {request.day}{_on(request.shard)}: would be rebuilt now, attempt {request.attempt}"
        + (f", {request.estimate}" if request.estimate is not None else "")
        for request in decision.requests
        if (request.day, request.shard) in places
    ]
    days_by_why: dict[tuple[Why, str, int], list[date]] = defaultdict(list)
    for deferred in decision.deferred:
        if (deferred.day, deferred.shard) in places:
            days_by_why[deferred.why, deferred.detail, deferred.shard].append(deferred.day)
    for (why, detail, shard), some in days_by_why.items():
        lines.append(f"          {in_words(some)}{_on(shard)}: {why}{f' ({detail})' if detail else ''}")
        lines.append(f"          next: {NEXT_STEPS[why]}")
    return decision.reasons[0], *lines


_DID = {
    Event.STEP_DONE: "was rebuilt",
    Event.STEP_FAILED: "could not be rebuilt",
    Event.STEP_UNDONE: "was put back as it was before",
}


def _changed(change: Change) -> str:
    """What a managed backfill did to a day: when, where, in which run, and who had that run do it."""
    work, entry, shard = change
    rows = "" if entry.event == Event.STEP_FAILED else f", {counted(entry.rows, 'row')}"
    return (
        f"{entry.at:%Y-%m-%d %H:%M} {work.subject} {_DID[Event(entry.event)]}{_on(shard)}{rows}: {work.work_id}, "
        f"run {entry.run_id[:8]}, {asked_text(entry.requested_by, entry.reason)}"
    )


def _loaded(change: Change) -> str:
    """What was loaded into a day, or taken out of it again: when, from where, on which shard, and who did."""
    work, entry, shard = change
    what = "were taken out again" if entry.event == LoadEvent.TAKEN_OUT else "came in"
    return (
        f"{entry.at:%Y-%m-%d %H:%M} {counted(entry.rows, 'row')} of {work.subject} {what}{_on(shard)}: {work.work_id}, "
        f"run {entry.run_id[:8]}, {asked_text(entry.requested_by, entry.reason)}"
    )


def work_text(state: State) -> str:
    """What a piece of work that a run did has come to since."""
    work, said = state.work, end_text(state.end)
    days = " … ".join(dict.fromkeys(filter(None, [work.first_step, work.last_step])))
    what = f"{work.work_id}, {work.subject}{' of ' * bool(days)}{days}"
    lines = [
        f"BACKFILL  {what}, is {state.status} now{f', {said}' if said else ''}",
        *(" " * 10 + " ".join(line.removeprefix("HISTORY ").split()) for line in history_lines(state)),
    ]
    return "\n".join(wrapped(line, indent=10) for line in lines)


def _on(shard: int) -> str:
    return f" on shard {shard}" if shard else ""


def _shards_asked_about(question: Question, detection: Detection) -> tuple[int, ...]:
    """The shards on which the team lies that is asked about; none where any may be meant, or there is one."""
    return detection.shards_of(question.team_id) if question.team_id is not None else ()


def _changes_asked_about(question: Question, detection: Detection, changes: Iterable[Change]) -> list[Change]:
    """The last changes, the newest first: of one team those of its shards, as far as it is known where it lies."""
    on = _shards_asked_about(question, detection)
    found = [one for one in changes if not on or one.shard in on]
    return sorted(found, key=lambda one: one.entry.at)[-SHOWN:][::-1]


def _runs_asked_about(
    question: Question, detection: Detection, runs: Iterable[Run], places: Collection[tuple[date, int]]
) -> list[Run]:
    """The runs that built what is asked about, or tried to: of its day or of the days that are wrong, each on the
    shards where that lies.
    """
    on = _shards_asked_about(question, detection)
    if question.day is not None:
        places = {(question.day, shard) for shard in on or detection.shards or (0,)}
    return [run for run in runs if any(run.day == day and run.is_of(shard) for day, shard in places)]


def _about_runs(runs: Sequence[Run]) -> list[str]:
    lines = [
        f"RUN       {run.run_id} of {run.day}{_on(run.shard)}: {run.state}"
        + (f", ended {run.ended_at:%Y-%m-%d %H:%M}" if run.ended_at else "")
        + (", automatic" if run.is_automatic else "")
        for run in sorted(runs, key=lambda run: run.created_at, reverse=True)
    ]
    return lines[:SHOWN] or ["RUN       no run of these partitions in the last two weeks"]
