"""Answers the questions that an engineer has in front of a gap: why is it there, why was nothing launched, what next.

Pure: facts in, text out, at most 100 columns. A question may be about a team, a day, a run, or about none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.text import counted, wrapped
from dags.domain.watched import most_reach
from dags.repair.decision import Why
from dags.sources.loads.log import LoadEvent
from dags.web_preaggregated_backfill.report import freshness, status_line
from dags.work.audit.log import Event
from dags.work.history import asked_text, end_text
from dags.work.history import lines as history_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from dags.detection.detection import Detection
    from dags.detection.verdicts import Verdicts
    from dags.domain.watched import WatchedTable
    from dags.repair.attempts import Run
    from dags.repair.decision import Decision
    from dags.team_selection.store import Selection
    from dags.work.audit.log import Entry, State, Work

# As many units as are read in a terminal; the rest is counted.
SHOWN = 20

NEXT_STEPS = {
    Why.STOPPED: "run resume_all_backfills_job, or unset WEB_ANALYTICS_BACKFILL_STOPPED",
    Why.IN_FLIGHT: "wait for the run, or look at it: why_job with its run_id",
    Why.JUST_DONE: "wait for the next tick",
    Why.BACKING_OFF: "look at the failed run (why_job with run_id); to try at once, materialize the partition",
    Why.CAP: "wait for the next tick, or raise WEB_ANALYTICS_BACKFILL_MAX_PARTITIONS_PER_RUN",
    Why.DAILY_CAP: "wait for tomorrow, or raise WEB_ANALYTICS_BACKFILL_MAX_DAYS_PER_DAY",
    Why.BELOW_MINIMUM: "lower WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS, set "
    "WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS, or materialize the partition in the UI",
    Why.HELD: "if the source is right, run the partition by hand with allow_shrink: true",
    Why.FLOOR: "lower WEB_ANALYTICS_BACKFILL_MIN_VOLUME, or materialize the partition in the UI",
    Why.NOT_ACTED_ON: "web_analytics_backfill_schedule repairs it at 02:00 UTC; or materialize the partition in the UI",
}

_NEXT_BEFORE = (
    "          next: materialize the partition in the UI, ask for it with managed_backfill_job, or raise "
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


def why_text(
    question: Question,
    detection: Detection,
    decisions: Iterable[Decision],
    runs: Sequence[Run],
    selection: Selection,
    *,
    watched: Sequence[WatchedTable],
    changes: Sequence[tuple[Work, Entry]] = (),
    loads: Sequence[tuple[Work, Entry]] = (),
    earlier: Detection | None = None,
) -> str:
    """The answer, the most general part first.

    ``changes``: what managed backfills did to the day, in order; ``loads``: what was loaded into it from elsewhere.
    ``earlier``: what is so of a day before the look-back, of which ``detection`` says nothing, and for which nothing is
    ever decided; it was read for this answer.
    """
    found = detection if earlier is None else earlier
    is_judged = earlier is not None or question.day is None or question.day in detection.calendar.judged
    lines = [status_line(found) if is_judged else f"NOT JUDGED YET: {question.day}. {status_line(detection)}", ""]
    lines += [f"TEAMS     {line}" for line in _about_teams(question, selection, detection)]
    if question.day is not None:
        lines += ["", *(f"DAY       {line}" for line in _about_day(question.day, detection, watched))]
    wrong = question.of(found.wrong)
    lines.append("")
    if not wrong and not found.unknown:
        lines.append("GAPS      none here" if is_judged else "GAPS      not judged yet, so none is known of")
    for verdict in wrong[:SHOWN]:
        unit = verdict.unit
        hole = ", a hole between days with rows" if verdict.is_interior else ""
        lines.append(f"GAP       {unit.table}, team {unit.team_id}, {unit.day}: {verdict.kind}, {verdict.reason}{hole}")
        lines.append(f"          {verdict.detail}")
    if len(wrong) > SHOWN:
        lines.append(f"          … and {len(wrong) - SHOWN:,} more")
    days = {one.day for one in wrong.groups}
    for decision in decisions if earlier is None else ():
        lines += ["", *_about_decision(decision, days)]
    if earlier is not None:
        lines += ["", "DECISION  none: no trigger acts on a day before the look-back", *[_NEXT_BEFORE] * bool(wrong)]
    lines += ["", *_about_runs(runs, days if question.day is None else {question.day})]
    lines += [f"BACKFILL  {_changed(work, entry)}" for work, entry in [*changes][-SHOWN:][::-1]]
    lines += [f"LOAD      {_loaded(work, entry)}" for work, entry in [*loads][-SHOWN:][::-1]]
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
            lines.append(f"team {question.team_id} is enabled")
        elif question.team_id in selection.departed:
            lines.append(f"team {question.team_id} was enabled and is no longer: it is not judged, its rows stay")
        else:
            lines.append(f"team {question.team_id} was never enabled: see WEB_ANALYTICS_TEAM_SOURCES")
    else:
        lines.append(
            "enabled: " + ", ".join(map(str, sorted(selection.teams)[:SHOWN])) + (" …" * (len(selection.teams) > SHOWN))
        )
    return lines


def _about_day(day: date, detection: Detection, watched: Sequence[WatchedTable]) -> list[str]:
    dates = detection.calendar
    if day in dates.judged:
        is_open = dates.is_open(day, most_reach(watched))
        state = "open: its source may still grow" if is_open else "closed: its source is final"
        return [f"{day} is a valid partition key and is judged; it is {state}"]
    if day < dates.judged.start:
        return [f"{day} is a valid partition key; it lies before the look-back, {dates.judged}, and was read now"]
    return [f"{day} is not judged yet: a day is judged once it is over and settled"]


def _about_decision(decision: Decision, days: set[date]) -> list[str]:
    lines = [f"DECISION  of the {decision.trigger}: {decision.reasons[0]}"]
    lines += [
        f"          {request.day}: would be rebuilt now, attempt {request.attempt}"
        + (f", {request.estimate}" if request.estimate is not None else "")
        for request in decision.requests
        if request.day in days
    ]
    for deferred in decision.deferred:
        if deferred.day in days:
            detail = f" ({deferred.detail})" if deferred.detail else ""
            lines.append(f"          {deferred.day}: {deferred.why}{detail}")
            lines.append(f"          next: {NEXT_STEPS[deferred.why]}")
    return lines


_DID = {
    Event.STEP_DONE: "was rebuilt",
    Event.STEP_FAILED: "could not be rebuilt",
    Event.STEP_UNDONE: "was put back as it was before",
}


def _changed(work: Work, entry: Entry) -> str:
    """What a managed backfill did to a day: when, in which run, and who had that run do it."""
    rows = "" if entry.event == Event.STEP_FAILED else f", {counted(entry.rows, 'row')}"
    return (
        f"{entry.at:%Y-%m-%d %H:%M} {work.subject} {_DID[Event(entry.event)]}{rows}: {work.work_id}, "
        f"run {entry.run_id[:8]}, {asked_text(entry.requested_by, entry.reason)}"
    )


def _loaded(work: Work, entry: Entry) -> str:
    """What was loaded into a day, or taken out of it again: when, from where, and who had that run do it."""
    what = "were taken out again" if entry.event == LoadEvent.TAKEN_OUT else "came in"
    return (
        f"{entry.at:%Y-%m-%d %H:%M} {counted(entry.rows, 'row')} of {work.subject} {what}: {work.work_id}, "
        f"run {entry.run_id[:8]}, {asked_text(entry.requested_by, entry.reason)}"
    )


def work_text(state: State) -> str:
    """What a piece of work that a run did has come to since."""
    work, days = state.work, " … ".join(dict.fromkeys([state.work.first_step, state.work.last_step]))
    said = end_text(state.end)
    lines = [
        f"BACKFILL  {work.work_id}, {work.subject} of {days}, is {state.status} now{f', {said}' if said else ''}",
        *(" " * 10 + " ".join(line.removeprefix("HISTORY ").split()) for line in history_lines(state)),
    ]
    return "\n".join(wrapped(line, indent=10) for line in lines)


def _about_runs(runs: Sequence[Run], days: set[date]) -> list[str]:
    lines = [
        f"RUN       {run.run_id} of {run.day}: {run.state}"
        + (f", ended {run.ended_at:%Y-%m-%d %H:%M}" if run.ended_at else "")
        + (", automatic" if run.is_automatic else "")
        for run in sorted(runs, key=lambda run: run.created_at, reverse=True)
        if run.day in days
    ]
    return lines[:SHOWN] or ["RUN       none of the last two weeks covers these days"]
