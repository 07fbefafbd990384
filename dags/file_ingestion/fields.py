"""What a person may give to the jobs of ingestions: every field with its words, default and limits.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from dags.domain.given import Given, Text, Texts, Words, choice


class Scope(StrEnum):
    """Where a run looks for files."""

    EVERYTHING = "everything"
    RECENT = "recent"


class Mode(StrEnum):
    """What a refresh does."""

    FULL = "full"
    NEW_ONLY = "new_only"
    CLEAR_HISTORY = "clear_history"


class Resolved(StrEnum):
    """What a person may make of a version of the schema; the values of `dags.file_ingestion.schemas.Resolution`."""

    AUTO_MERGE = "auto_merge"
    BACKFILL = "backfill"
    IGNORE = "ignore"


class IngestFilesConfig(Given):
    """What `ingest_files_job` is asked for."""

    # Not without a default, for the launchpad writes down no field that has none.
    ingestion: Text = Field(default="", description="An ingestion that the file of WEB_ANALYTICS_SOURCES declares.")
    paths: Texts = Field(
        default=(),
        max_length=100,
        description="Only these files, below the ingestion's root; at once, where one has failed.",
    )
    listing: Scope = choice(
        Scope.EVERYTHING,
        "everything, or recent: of a bucket the prefixes of today, yesterday and tomorrow alone, and what waits.",
    )
    is_moved: bool = Field(
        default=False,
        description="true, once: the files were moved to another source_path, and are the same under their names.",
    )
    max_files: int | None = Field(
        default=None, ge=1, le=20_000, description="At most so many files; the ingestion's own limit if not given."
    )
    max_bytes: int | None = Field(
        default=None, ge=1, description="At most about so many bytes; the ingestion's own limit if not given."
    )
    dry_run: bool = Field(
        default=True, description="Show what would be loaded and what it costs, and write nothing. Set it to false."
    )
    requested_by: Text = Field(default="", description="Who asks; the audit keeps it.")
    reason: Text = Field(default="", description="Why; the audit keeps it.")
    webhook: str = Field(
        default="", description="An address that is told of each group and of the end; its host must be allowed."
    )


class RefreshIngestionConfig(Given):
    """What `refresh_ingestion_job` is asked for."""

    ingestion: Text = Field(default="", description="An ingestion that the file of WEB_ANALYTICS_SOURCES declares.")
    mode: Mode = choice(
        Mode.FULL,
        "full: every file is loaded again in place of its rows, the rows of files that are gone are taken out. "
        "clear_history: the same, and those stay. new_only: all its rows are taken out, and files that are known stay "
        "known.",
    )
    confirm: bool = Field(default=False, description="true: you have seen its dry run and want it.")
    auto_run: bool = Field(default=False, description="true: load at once, and not with the next run.")
    dry_run: bool = Field(default=True, description="Show what would happen, and write nothing. Set it to false.")
    requested_by: Text = Field(default="", description="Who asks; the audit keeps it.")
    reason: Text = Field(default="", description="Why; the audit keeps it.")


class ResolveSchemaConfig(Given):
    """What `resolve_schema_job` is asked for."""

    ingestion: Text = Field(default="", description="An ingestion that the file of WEB_ANALYTICS_SOURCES declares.")
    version: int = Field(default=0, ge=0, description="The version, as show_files_job lists it.")
    resolution: Resolved = choice(
        Resolved.IGNORE,
        "auto_merge: files are loaded so from now on. backfill: those that were loaded under an older version too. "
        "ignore: new columns are not loaded.",
    )
    requested_by: Words = Field(description="Who says so.")
    reason: Words = Field(description="Why; the audit keeps it.")


class ClearFilesConfig(Given):
    """What `clear_files_job` is asked for."""

    ingestion: Text = Field(default="", description="An ingestion that the file of WEB_ANALYTICS_SOURCES declares.")
    paths: Texts = Field(default=(), description="These files, below the ingestion's root.")
    pattern: str = Field(default="", description="Those that a pattern has: year=2026/month=01/**/*.gz")
    first_day: str = Field(default="", description="Those whose path names this day or a later one: 2026-01-01")
    last_day: str = Field(default="", description="Those whose path names this day or an earlier one.")
    dry_run: bool = Field(default=True, description="Show which, and write nothing. Set it to false.")
    requested_by: Text = Field(default="", description="Who asks; the audit keeps it.")
    reason: Text = Field(default="", description="Why; the audit keeps it.")


class FilesControlConfig(Given):
    """Which run of an ingestion is acted on, by whom and why."""

    file_ingestion_id: Words = Field(description="As show_files_job lists it; its first characters do, but to delete.")
    requested_by: Words = Field(description="Who says so.")
    reason: Words = Field(description="Why; the audit keeps it.")


class ShowFilesConfig(Given):
    """What of the ingestions is shown."""

    ingestion: Text = Field(default="", description="The files that this one knows.")
    file_ingestion_id: Text = Field(default="", description="This run; its first characters are enough.")
    limit: int = Field(default=100, ge=1, le=1_000_000, description="At most so many files or runs.")
