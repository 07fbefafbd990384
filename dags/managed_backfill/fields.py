"""What the launchpad shows of the managed backfills' jobs: every field with its description and default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import Field, Noneable

from dags.domain.errors import UserError
from dags.managed_backfill.plan import ChunkBy, Kind, OnGateFailure
from dags.work.audit.log import AUTOMATIC, MANAGED, Status

if TYPE_CHECKING:
    from collections.abc import Mapping


def _text(description: str) -> Field:
    return Field(str, default_value="", description=description)


def _number(description: str) -> Field:
    return Field(Noneable(int), default_value=None, description=description)


def _flag(description: str, *, default: bool = False) -> Field:
    return Field(bool, default_value=default, description=description)


REQUEST: dict[str, Field] = {
    "start_date": _text("First day, YYYY-MM-DD."),
    "end_date": _text("Last day, itself included. Today is accepted, left out and named."),
    "target_table": _text("The watched table to rebuild, such as web_pre_aggregated_stats."),
    "dry_run": _flag("Show the plan and write nothing. Set it to false to carry it out.", default=True),
    "chunk_size_days": Field(int, default_value=7, description="Days in a chunk, at most."),
    "reason": _text("Why; the audit keeps it."),
    "requested_by": _text("Who asks; the audit keeps it."),
    "team_ids": Field([int], default_value=[], description="The teams to rebuild; all enabled ones, when left out."),
    "days": Field([str], default_value=[], description="Only these days of the range; all, when left out."),
    "kind": Field(
        str,
        default_value=Kind.FULL_RELOAD.value,
        description="full_reload: the days that have a source. incremental: every day of the range. gap_filling: only "
        "what is wrong. point_in_time_correction: the teams in team_ids.",
    ),
    "preserve_existing": _flag("Build only what has a source and no row yet."),
    "chunk_by": Field(
        str,
        default_value=ChunkBy.DAY.value,
        description="day: chunk_size_days alone. week, month: a chunk also ends with the ISO week or the month.",
    ),
    "chunk_size_rows": _number("Source rows in a chunk; it ends at the day that would exceed them."),
    "parallelism": Field(int, default_value=1, description="Chunks at once; the embedded engine takes one."),
    "newest_first": _flag("Begin with the last day."),
    "allow_shrink": _flag("Publish also where a team would lose half of its sessions or more."),
    "on_gate_failure": Field(
        str,
        default_value=OnGateFailure.RESTORE.value,
        description="If a gate after the last chunk fails: restore every chunk, or keep what was published.",
    ),
    "max_range_days": _number("How far apart the two dates may be, for this backfill; else the setting's 30."),
    "max_source_rows": _number("Stop between two chunks when so many source rows were read; resumable."),
    "max_seconds": _number("Stop between two chunks after so many seconds; resumable."),
    "webhook": _text("An address that is told of each chunk; its host must be allowed by the settings."),
    "webhook_every_chunks": Field(int, default_value=1, description="Tell it of every so many chunks, and of the end."),
    "name": _text("What to call it."),
    "description": _text("More about it."),
    "plan": _text("A plan's YAML, in place of the fields above: carried out exactly as it is."),
    "plan_file": _text("The same, by its name in the directory of plans (WEB_ANALYTICS_BACKFILL_PLANS_DIRECTORY)."),
    "save_plan_to": _text("Keep the plan under this name in the directory of plans, to read, edit and hand back."),
}

_ID = {"backfill_id": Field(str, description="As show_backfills_job lists it; its first characters do, but to delete.")}
_WHO = {
    "requested_by": Field(str, description="Who says so."),
    "reason": Field(str, description="Why; the audit keeps it."),
}

TEXTS_OF_CONTROL = (*_ID, *_WHO)
CONTROL: dict[str, Field] = {**_ID, **_WHO}
ROLLBACK: dict[str, Field] = {
    **CONTROL,
    "allow_losing_later_builds": _flag("Restore also days that other runs have built since."),
}
SHOW: dict[str, Field] = {
    "backfill_id": _text("Show this one, with its chunks and gates; its first characters are enough."),
    "table": _text("Only those of this table."),
    "status": _text("Only those of this status."),
    "origin": _text("managed or automatic; both, when left out."),
    "limit": Field(int, default_value=20, description="How many, newest first."),
    "save_plan_to": _text("With backfill_id: keep its plan under this name in the directory of plans."),
}


def require_whole_id(given: str, found: str) -> None:
    """Raises: UserError: what cannot be undone was asked for by the first characters of an id."""
    if given != found:
        raise UserError(f"backfill_id is {given!r}: a deletion cannot be undone, so give the whole id, {found}")


def refuse_unknown_words(given: Mapping[str, Any]) -> None:
    """Refuse to list what cannot be there: a word that was mistyped would be answered with nothing.

    Raises:
        UserError: status or origin is none that there is.
    """
    known = {"status": tuple(Status), "origin": (MANAGED, AUTOMATIC)}
    problems = [
        f"{name} is {given[name]!r}: give one of {', '.join(words)}, or leave it out"
        for name, words in known.items()
        if given[name] and given[name] not in words
    ]
    if problems:
        raise UserError("\n".join(problems))


def none_found(given: Mapping[str, Any]) -> str:
    """That nothing was found, and of what; deleted ones are listed only when they are asked for."""
    asked = ", ".join(f"{name} {given[name]}" for name in ("table", "status", "origin") if given[name])
    hidden = "" if given["status"] else "; those that were deleted are shown with status: deleted"
    return f"No backfill{f' of {asked}' if asked else ''}{hidden}."


def given_beside_a_plan(config: dict[str, Any]) -> list[str]:
    """The fields of a request that were set although a plan says it all."""
    own = {"plan", "plan_file", "dry_run", "save_plan_to"}
    return sorted(name for name, field in REQUEST.items() if name not in own and config[name] != field.default_value)
