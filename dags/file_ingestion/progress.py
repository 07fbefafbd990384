"""What people and programs are shown of a run that loads files: before, meanwhile and after.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dags.domain.text import counted, table_text, wrapped
from dags.domain.units import EPOCH
from dags.file_ingestion.ranges import range_of
from dags.file_ingestion.versions import FileEvent, Reason
from dags.work import history
from dags.work.audit.log import Event
from dags.work.progress import seconds_at_work, seconds_in_words, took_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dags.file_ingestion.plan import Plan
    from dags.file_ingestion.ranges import RangeProgress
    from dags.file_ingestion.schemas import Schemas
    from dags.file_ingestion.versions import Decision, Known
    from dags.sources.ingestions import Ingestion
    from dags.work.audit.log import State

# So many files are shown of a plan.
SHOWN = 5

# Of so many files it is told why they were not loaded.
TOLD = 10


def plan_text(plan: Plan, decision: Decision, reached: RangeProgress | None = None) -> str:
    """What a run would do, for who decides whether it may."""
    others = ", ".join(f"{count:,} {reason}" for reason, count in sorted(decision.others.items()))
    size = plan.bytes / 1e9
    lines = [
        wrapped(f"FILES    {counted(plan.files, 'file')} of {plan.ingestion} in {counted(len(plan.groups), 'group')}"),
        wrapped(
            f"SIZE     {size:,.3f} GB as they are stored, {plan.usd:,.4f} USD at {plan.usd_per_gb} a GB; about "
            f"{seconds_in_words(plan.seconds)}"
        ),
        f"SCHEMA   version {plan.schema_version}",
    ]
    if reached is not None:
        lines.append(_range_line(plan.days, reached))
    if decision.wanted:
        moments = [one.version.modified for one in decision.wanted]
        lines.append(f"DATES    modified {_moment(min(moments))} … {_moment(max(moments))}")
    unsettled = sum(one.reason is Reason.SETTLES for one in decision.later)
    if unsettled:
        lines.append(wrapped(f"SETTLES  {counted(unsettled, 'file')} changed within the last minute, and waits"))
    if plan.later > unsettled:
        more = counted(plan.later - unsettled, "file")
        lines.append(wrapped(f"LATER    {more} more, for a run takes no more than that"))
    if others:
        lines.append(wrapped(f"OTHERS   {others}"))
    # Those first of which there is more to say than that they are new.
    first = sorted(decision.wanted, key=lambda one: one.reason is Reason.NEW)[:SHOWN]
    shown = [(one.version.path[-70:], f"{one.version.size:,}", str(one.reason)) for one in first]
    if shown:
        lines += ["", table_text(shown, ("file", "bytes", "why"))]
    if len(decision.wanted) > SHOWN:
        lines.append(f"… and {len(decision.wanted) - SHOWN:,} more")
    return "\n".join(lines)


def _range_line(days: str, reached: RangeProgress) -> str:
    given_up = f", {counted(reached.given_up, 'file')} given up" if reached.given_up else ""
    return wrapped(
        f"RANGE    {days}: {reached.done:,} of {counted(reached.files, 'file')} loaded, {reached.percent:.1f} % of "
        f"{reached.bytes / 1e9:,.3f} GB{given_up}"
    )


def range_text(ingestion: Ingestion, reached: RangeProgress, bytes_a_second: float) -> str:
    """How far a range is that ends by itself, for people: what is left of it, how long that takes and what it costs."""
    line, usd = _range_line(range_of(ingestion), reached), ingestion.cost_usd_per_gb / 1e9
    if not reached.left:
        return f"{line}\n" + wrapped(
            f"OVER     nothing of it is left, {(reached.bytes - reached.left_bytes) * usd:,.4f} USD"
        )
    left = seconds_in_words(reached.left_bytes / bytes_a_second)
    return f"{line}\n" + wrapped(
        f"LEFT     {counted(reached.left, 'file')}, {reached.left_bytes / 1e9:,.3f} GB, about {left}, "
        f"{reached.left_bytes * usd:,.4f} USD"
    )


def schemas_text(schemas: Schemas) -> str:
    """The versions of what is loaded, for people."""
    shown = [
        (
            one.number, str(one.event), str(one.resolution) if one.number > 1 else "", one.resolved_by,
            f"{one.at:%Y-%m-%d %H:%M}",
            ", ".join(one.columns)[:40], one.files[0][-40:] if one.files else "",
        )
        for one in schemas.versions
    ]  # fmt: skip
    columns = ("version", "what", "resolution", "by", "at", "columns", "file")
    return ("\n" + table_text(shown, columns)) if shown else ""


def _moment(micros: int) -> str:
    return f"{EPOCH + timedelta(microseconds=micros):%Y-%m-%d %H:%M}"


def report(plan: Plan, state: State) -> dict[str, Any]:
    """The final report, for programs."""
    return {
        "file_ingestion_id": state.work_id,
        "ingestion": plan.ingestion,
        "status": state.status,
        "files": plan.files,
        "bytes": plan.bytes,
        "rows": sum(entry.rows for entry in state.done.values()),
        "groups": len(plan.groups),
        "groups_done": len(state.done),
        "later": plan.later,
        "usd": plan.usd,
        "usd_of_what_was_read": _usd_read(plan, state),
        "seconds": round(seconds_at_work(state), 1),
        "seconds_estimated": plan.seconds,
    }


def report_text(plan: Plan, state: State) -> str:
    """The final report, for people."""
    rows, seconds = sum(entry.rows for entry in state.done.values()), seconds_at_work(state)
    lines = [
        f"{state.status.upper():<8} {state.work_id}: {plan.subject}",
        *history.outcome(state.status, state.end),
        wrapped(
            f"LOADED   {rows:,} rows; {len(state.done)} of {counted(len(plan.groups), 'group')}, "
            f"{counted(plan.files, 'file')}, {plan.bytes / 1e9:,.3f} GB"
        ),
        wrapped(f"COST     {_usd_read(plan, state):,.4f} USD of what was read, {plan.usd:,.4f} USD were estimated"),
        wrapped(
            f"{took_text(seconds)}; {seconds_in_words(plan.seconds)} were estimated"
            + (f"; {rows / seconds:,.0f} rows a second" if seconds > 0 else "")
        ),
        *history.lines(state),
        *history.failures_text(state),
    ]
    return "\n".join(lines)


def _usd_read(plan: Plan, state: State) -> float:
    """What was read costs, whatever was read twice included."""
    read = sum(entry.bytes_read for entry in state.entries if entry.event in (Event.STEP_DONE, Event.STEP_FAILED))
    return round(read / 1e9 * plan.usd_per_gb, 4)


def states_of(ledger: Mapping[str, Known]) -> dict[str, int]:
    """How many files there are of each state."""
    return dict(Counter(str(known.event) for known in ledger.values()))


def ledger_text(ledger: Mapping[str, Known], limit: int) -> str:
    """The files that an ingestion knows, those that failed first, for people."""
    head = ", ".join(f"{count:,} {event}" for event, count in sorted(states_of(ledger).items())) or "no file is known"
    rows = sorted(ledger.items(), key=lambda item: (item[1].event != "failed", item[0]))[:limit]
    shown = [(path[-60:], str(known.event), f"{known.version.size:,}", str(known.failed or "")) for path, known in rows]
    text = head + ("\n\n" + table_text(shown, ("file", "state", "bytes", "failures")) if shown else "")
    return "\n".join([text, *_said({path: known for path, known in rows if known.said})])


def not_loaded_text(known: Mapping[str, Known]) -> str:
    """Which files of a run were not loaded, why, and that they are tried again; empty if all were."""
    lines = []
    for event, what_next in (
        (FileEvent.FAILED, "; tried again after 6 h, 12 h … a week, or at once where paths names it"),
        (FileEvent.SKIPPED, ", for there is nothing in it"),
    ):
        if left := {path: one for path, one in known.items() if one.event is event}:
            head = f"{event.upper():<8} {counted(len(left), 'file')} not loaded{what_next}"
            lines += [wrapped(f"{head}. processed_files has all reasons"), *_said(left)]
    return "\n".join(lines)


def nothing_loaded(known: Mapping[str, Known]) -> str:
    """Why a run has failed that did all that it had to do: of its files none was loaded. Empty if one was, or if none
    failed.
    """
    failed = [path for path, one in known.items() if one.event is FileEvent.FAILED]
    if not failed or len(failed) + sum(one.event is FileEvent.SKIPPED for one in known.values()) < len(known):
        return ""
    first = min(failed)
    return (
        f"none of {counted(len(known), 'file')} was loaded. {first[-60:]}: {known[first].said[:200]}. Put right what "
        "keeps them from it and name them in paths, or wait until they are tried again; processed_files has all reasons"
    )


def _said(known: Mapping[str, Known]) -> list[str]:
    """Why files were not loaded, or what is to be known of them: of some of them."""
    lines = [wrapped(f"         {path[-60:]}: {one.said[:200]}") for path, one in sorted(known.items())[:TOLD]]
    return [*lines, f"         … and {len(known) - TOLD:,} more"] if len(known) > TOLD else lines
