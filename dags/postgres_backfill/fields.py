"""What a person may give to the jobs of backfills from PostgreSQL: every field with its words, default and limits.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dags.domain.given import EMPTY_IS_NONE, Given, Text, Words, choice, parts, whole
from dags.postgres_backfill.column_types import Operator
from dags.postgres_backfill.plan import Extent
from dags.work.plan import Parallelism


class FilterField(Given):
    """A filter: a column, an operator, and a value where the operator takes one."""

    column: str = Field(description="A column of the source.")
    operator: Operator = choice(Operator.EQUAL, "One of " + ", ".join(Operator))
    value: str | int | float | bool | None = Field(default=None, description="What it is compared with.")

    @property
    def text(self) -> str | None:
        """The value as PostgreSQL reads it."""
        if self.value is None:
            return None
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


class PostgresBackfillConfig(Given):
    """What `postgres_backfill_job` is asked for."""

    # Not without a default, for the launchpad writes down no field that has none.
    pipeline: Text = Field(default="", description="A pipeline that the file of WEB_ANALYTICS_SOURCES declares.")
    table_name: Text = Field(default="", description="A table of it, or the name of a declared query.")
    filters: Annotated[tuple[FilterField, ...], parts(FilterField)] = Field(
        default=(), description="Which rows, at most five conditions that all hold: column, operator, value."
    )
    filter_sql: str = Field(
        default="", description="The same as one text: team_id = 5; path LIKE '/a%'; deleted_at IS NULL"
    )
    kind: Extent = choice(
        Extent.FULL,
        "full: all rows that the filters let through. incremental: those that changed since the last incremental load "
        "with the same filters.",
    )
    start_over: bool = Field(
        default=False,
        description="With kind incremental: forget how far earlier ones came, and load from the beginning.",
    )
    batch_size: int = whole(10_000, 1, 10_000_000, "rows", "Rows in a batch; a cancel ends after the one in work.")
    parallelism: Parallelism = Field(default=1, description="Ranges of keys at once; the embedded engine takes one.")
    dry_run: bool = Field(
        default=True, description="Show what would be done, with the first rows, and write nothing. Set it to false."
    )
    requested_by: Text = Field(default="", description="Who asks; the audit keeps it.")
    reason: Text = Field(default="", description="Why; the audit keeps it.")
    webhook: str = Field(
        default="", description="An address that is told of each range and of the end; its host must be allowed."
    )


class PostgresControlConfig(Given):
    """Which backfill is acted on, by whom and why."""

    postgres_backfill_id: Words = Field(
        description="As show_postgres_backfills_job lists it; its first characters do, but to delete."
    )
    requested_by: Words = Field(description="Who says so.")
    reason: Words = Field(description="Why; the audit keeps it.")


class QueueStatus(StrEnum):
    """What a request is, in the words of the queue."""

    PENDING = "PENDING"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class PostgresShowConfig(Given):
    """Which backfills are shown."""

    postgres_backfill_id: Text = Field(default="", description="Show this one; its first characters are enough.")
    pipeline: Text = Field(default="", description="Only those of this pipeline.")
    status: Annotated[QueueStatus | None, EMPTY_IS_NONE] = choice(None, "Only those of this status.")
    skip: int = Field(default=0, ge=0, le=1_000_000, description="How many are left out, the newest first.")
    limit: int = Field(default=100, ge=1, le=1_000_000, description="How many, newest first.")
