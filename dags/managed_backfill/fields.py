"""What a person may give to the jobs of managed backfills: every field with its words, default and limits.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dags.domain.given import EMPTY_IS_NONE, Day, Days, Given, TeamIds, Text, Words, choice
from dags.managed_backfill.plan import ChunkBy, ChunkDays, Extent, OnGateFailure, RangeDays
from dags.work.audit.log import AUTOMATIC, MANAGED, MANUAL, Status
from dags.work.plan import Count, EveryChunks, Parallelism, Seconds


class Origin(StrEnum):
    """Who began a backfill."""

    MANAGED = MANAGED
    AUTOMATIC = AUTOMATIC
    MANUAL = MANUAL


class BackfillConfig(Given):
    """What `managed_backfill_job` is asked for; `dags.managed_backfill.request` holds it against what is so."""

    start_date: Annotated[Day | None, EMPTY_IS_NONE] = Field(default=None, description="First day, YYYY-MM-DD.")
    end_date: Annotated[Day | None, EMPTY_IS_NONE] = Field(
        default=None, description="Last day, itself included. Today is accepted, left out and named."
    )
    target_table: str = Field(default="", description="The watched table to rebuild, by its name.")
    dry_run: bool = Field(default=True, description="Show the plan and write nothing. Set it to false to carry it out.")
    chunk_size_days: ChunkDays = Field(default=7, description="Days in a chunk, at most.")
    reason: Text = Field(default="", description="Why; the audit keeps it.")
    requested_by: Text = Field(default="", description="Who asks; the audit keeps it.")
    team_ids: TeamIds = Field(default=(), description="The teams to rebuild; all enabled ones, when left out.")
    days: Days = Field(default=(), description="Only these days of the range; all, when left out.")
    kind: Extent = choice(
        Extent.FULL_RELOAD,
        "full_reload: the days that have a source. incremental: every day of the range. gap_filling: only "
        "what is wrong. point_in_time_correction: the teams in team_ids.",
    )
    preserve_existing: bool = Field(default=False, description="Build only what has a source and no row yet.")
    chunk_by: ChunkBy = choice(
        ChunkBy.DAY, "day: chunk_size_days alone. week, month: a chunk also ends with the ISO week or the month."
    )
    chunk_size_rows: Count | None = Field(
        default=None, description="Source rows in a chunk; it ends at the day that would exceed them."
    )
    parallelism: Parallelism = Field(default=1, description="Chunks at once; the embedded engine takes one.")
    newest_first: bool = Field(default=False, description="Begin with the last day.")
    allow_shrink: bool = Field(
        default=False, description="Publish also where a team would lose half of its sessions or more."
    )
    on_gate_failure: OnGateFailure = choice(
        OnGateFailure.RESTORE,
        "If a gate after the last chunk fails: restore every chunk, or keep what was published.",
    )
    max_range_days: RangeDays | None = Field(
        default=None, description="How far apart the two dates may be, for this backfill; else the setting's 30."
    )
    max_source_rows: Count | None = Field(
        default=None, description="Stop between two chunks when so many source rows were read; resumable."
    )
    max_seconds: Seconds | None = Field(
        default=None, description="Stop between two chunks after so many seconds; resumable."
    )
    webhook: str = Field(
        default="", description="An address that is told of each chunk; its host must be allowed by the settings."
    )
    webhook_every_chunks: EveryChunks = Field(default=1, description="Tell it of every so many chunks, and of the end.")
    name: Text = Field(default="", description="What to call it.")
    description: Text = Field(default="", description="More about it.")
    plan: str = Field(
        default="", description="A plan's YAML, in place of the fields above: carried out exactly as it is."
    )
    plan_file: str = Field(
        default="",
        description="The same, by its name in the directory of plans (WEB_ANALYTICS_BACKFILL_PLANS_DIRECTORY).",
    )
    save_plan_to: str = Field(
        default="", description="Keep the plan under this name in the directory of plans, to read, edit and hand back."
    )

    def beside_a_plan(self) -> list[str]:
        """The fields that were set although a plan says it all."""
        own = {"plan", "plan_file", "dry_run", "save_plan_to"}
        fields = type(self).model_fields
        return sorted(one for one in fields.keys() - own if getattr(self, one) != fields[one].default)


class ControlConfig(Given):
    """Which backfill is acted on, by whom and why."""

    backfill_id: Words = Field(description="As show_backfills_job lists it; its first characters do, but to delete.")
    requested_by: Words = Field(description="Who says so.")
    reason: Words = Field(description="Why; the audit keeps it.")


class RollbackConfig(ControlConfig):
    """What is taken back, and what may be lost by it."""

    allow_losing_later_builds: bool = Field(
        default=False, description="Restore also days that other runs have built since."
    )


class ShowConfig(Given):
    """Which backfills are shown."""

    backfill_id: Text = Field(
        default="", description="Show this one, with its chunks and gates; its first characters are enough."
    )
    table: Text = Field(default="", description="Only those of this table.")
    status: Annotated[Status | None, EMPTY_IS_NONE] = choice(None, "Only those of this status.")
    origin: Annotated[Origin | None, EMPTY_IS_NONE] = choice(
        None,
        "managed: by a plan. automatic: launched by sensor or schedule. manual: a build that a person launched. All, "
        "when left out.",
    )
    limit: int = Field(default=20, ge=1, le=1_000_000, description="How many, newest first.")
    save_plan_to: str = Field(
        default="", description="With backfill_id: keep its plan under this name in the directory of plans."
    )

    def none_found(self) -> str:
        """That nothing was found, and of what; deleted ones are listed only when they are asked for."""
        words = {"table": self.table, "status": self.status, "origin": self.origin}
        asked = ", ".join(f"{name} {value}" for name, value in words.items() if value)
        hidden = "" if self.status else "; those that were deleted are shown with status: deleted"
        return f"No backfill{f' of {asked}' if asked else ''}{hidden}."
