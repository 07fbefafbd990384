"""Says what happened to a piece of work: who asked for what, when and why, which gates were asked, what came of it.

Pure: no clock, no database, no Dagster. Lines for people fit 100 columns.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from dags.domain.text import wrapped
from dags.work.audit.log import Event, Status

if TYPE_CHECKING:
    from datetime import datetime

    from dags.work.audit.log import Entry, State


def asked_text(requested_by: str, reason: str) -> str:
    """Who asked for it and why, as far as it was said."""
    return ": ".join(filter(None, [f"by {requested_by}" if requested_by else "by a person who is not named", reason]))


def end_text(end: Entry | None) -> str:
    """Why it ended so: a ceiling, the switch, a person, a gate, an error; empty where there is nothing to say."""
    if end is None or not (end.payload or end.requested_by):
        return ""
    return end.payload if end.payload and not end.requested_by else asked_text(end.requested_by, end.reason)


def outcome(status: str, end: Entry | None) -> list[str]:
    """Why it is what it is, and of one that was deleted what it was before; no line where there is nothing to say."""
    if end is None or status not in (end.status, Status.DELETED):
        return []
    was = f"it was {end.status} before" if status == Status.DELETED else ""
    said = ": ".join(filter(None, [was, end_text(end)]))
    return [wrapped(f"         {said}")] if said else []


def lines(state: State) -> list[str]:
    """Everything that people, runs and ceilings did to it, in order."""
    found = _happened(state)
    heads = ["HISTORY ", *([" " * 8] * (len(found) - 1))]
    return [wrapped(f"{head} {at:%Y-%m-%d %H:%M} {what}") for head, (at, what, _) in zip(heads, found, strict=True)]


def _happened(state: State) -> list[tuple[datetime, str, str]]:
    """When what happened, and by which run. A run that died could not say so: that is told by what came after it."""
    found: list[tuple[datetime, str, str]] = []
    begun: Entry | None = None
    for entry in state.entries:
        what = _what(entry, state)
        if entry.event in (Event.STARTED, Event.ENDED):
            if begun is not None and entry.run_id != begun.run_id:
                found.append((entry.at, f"{_died(begun)}, it had not come to an end", begun.run_id))
            begun = entry if entry.event == Event.STARTED else None
        if what:
            found.append((entry.at, what, entry.run_id))
    if begun is not None and state.status != begun.status:
        found.append((state.read_at, f"{_died(begun)}, nothing is heard of it", begun.run_id))
    return found


def _died(begun: Entry) -> str:
    return f"run {begun.run_id[:8]} was killed, or silent for too long"


def _what(entry: Entry, state: State) -> str:
    """What an event says of the work as a whole; empty where it is of one of its steps or chunks."""
    who = asked_text(entry.requested_by, entry.reason) if entry.requested_by else ""
    if entry.event == Event.ACCEPTED:
        return f"asked for, {asked_text(entry.requested_by, entry.reason)}"
    if entry.event == Event.STARTED:
        is_first = entry is next(one for one in state.entries if one.event == Event.STARTED)
        began = "a rollback began" if entry.status == Status.ROLLING_BACK else "begun" if is_first else "gone on with"
        return ", ".join(filter(None, [f"{began} in run {entry.run_id[:8]}", who]))
    if entry.event == Event.CONTROL:
        return f"asked to be {entry.name}, {who}"
    if entry.event == Event.ENDED:
        return ": ".join(filter(None, [str(entry.status), end_text(entry)]))
    return ""


def gates_text(state: State) -> list[str]:
    """Which gates were asked, and how often each passed."""
    gates, failed = state.gates(), _failed_gates(state)
    passed = Counter(gate.name for gate in gates if gate.is_passed)
    if not gates:
        return []
    named = ", ".join(name if times == 1 else f"{name} {times} times" for name, times in passed.items())
    return [wrapped(f"GATES    {passed.total()} passed, {len(failed)} failed{': ' if named else ''}{named}")]


def failures_text(state: State) -> list[str]:
    """Which gates failed, with what they measured, and which steps, with why."""
    return [
        *(wrapped(f"FAILED   {gate.name}{_where(gate)}: {gate.payload}") for gate in _failed_gates(state)),
        *(wrapped(f"FAILED   {entry.step}: {entry.payload}") for entry in state.failed.values()),
    ]


def _where(gate: Entry) -> str:
    return f" of {gate.step}" if gate.chunk else ""


def _failed_gates(state: State) -> list[Entry]:
    return [gate for gate in state.gates() if not gate.is_passed]


def as_dict(state: State) -> dict[str, Any]:
    """The same for programs: who asked, when and why, and what it ended as, though it was deleted since."""
    end = state.end
    return {
        "requested_by": state.accepted.requested_by,
        "reason": state.accepted.reason,
        "asked_at": state.accepted.at.isoformat(),
        "outcome": str(end.status) if end is not None else "",
        "outcome_words": end_text(end),
        "history": [{"at": at.isoformat(), "what": what, "run_id": run_id} for at, what, run_id in _happened(state)],
    }
