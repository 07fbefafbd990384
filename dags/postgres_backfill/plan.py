"""The frozen plan of a backfill from PostgreSQL: which rows, what becomes of their columns, in which ranges of keys.

Pure: no clock, no database, no Dagster. It holds no address and no secret: the pipeline is named, and where that leads
is read anew by every run.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from dags.postgres_backfill.compiling import Source
from dags.sources.loads.columns import PlannedColumn, shape_of
from dags.work import document
from dags.work.plan import NOTHING, Estimate, Monitoring, Parallelism, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dags.sources.loads.shape import Kind, Shape

# How an estimate was made that went no further.
MORE = "counted so far, there may be more"

Batch = Annotated[int, Field(ge=1, le=10_000_000)]


class Extent(StrEnum):
    """Which rows of a table: all that a filter lets through, or those that changed since the last incremental load."""

    FULL = "full"
    INCREMENTAL = "incremental"


class KeyRange(Part):
    """Rows after one key, up to another, itself included; without one of them, from the beginning or to the end.

    It lands by itself.
    """

    id: Annotated[int, Field(ge=1, le=1_000_000)]
    after: str | None = None
    until: str | None = None
    estimate: Estimate = NOTHING

    @property
    def steps(self) -> tuple[str, ...]:
        return (f"range {self.id}",)

    def named(self) -> dict[str, Any]:
        return {"id": self.id, "after": self.after, "until": self.until}

    def __str__(self) -> str:
        return f"{_short(self.after)} … {_short(self.until)}".strip()


def _short(key: str | None) -> str:
    text = key or ""
    return text if len(text) <= 16 else f"{text[:14]}…"  # noqa: PLR2004 -- a column of a table for people


class Window(Part):
    """What an incremental load goes by: rows whose ``column`` is after one mark, up to another (`compiling.Source`).

    Without the first, everything up to the other: nothing was loaded before. ``name`` is what the mark is kept under,
    see `mark_name`.
    """

    column: str
    name: str
    after: int | None = None
    until: int


def mark_name(column: str, filter_sql: str, *rest: object) -> str:
    """What a mark is kept under: all that decides which rows are meant, and what becomes of them.

    Of another table, of a query that was changed, of columns that are mapped otherwise, a load begins anew.
    """
    digest = hashlib.sha256(repr(rest).encode()).hexdigest()
    return f"{column}: {filter_sql} ({digest[:12]})"


class Plan(Part):
    """A backfill from PostgreSQL.

    ``relation`` is what stands after FROM, ``types`` those of the source's columns that are used, as they were when it
    was planned. ``identity`` tells the table and its database from any other that is put in their place. ``empty`` are
    columns of the target that nothing is mapped to; those that the target has a default for are in ``by_default``, with
    its expression. ``rows`` is an estimate, in words how it was made.
    """

    pipeline: str
    table_name: str
    filter_sql: str
    kind: Extent
    target: str
    relation: str
    identity: str
    key: str
    types: dict[str, str]
    where: str
    time_zone: str
    columns: tuple[PlannedColumn, ...]
    empty: tuple[str, ...] = ()
    by_default: dict[str, str] = Field(default_factory=dict)
    window: Window | None = None
    batch_size: Batch
    parallelism: Parallelism
    rows: Annotated[int, Field(ge=0)]
    estimated_from: str
    ranges: tuple[KeyRange, ...]
    requested_by: str
    reason: str
    monitoring: Monitoring = Monitoring()

    @property
    def may_be_more(self) -> bool:
        """Whether nobody knows how many rows there are: so many were counted, and not to the end."""
        return self.estimated_from == MORE

    @cached_property
    def source(self) -> Source:
        return Source(self.relation, self.types, self.key, self.where, self.time_zone)

    @cached_property
    def shape(self) -> Shape:
        return shape_of(self.target, self.columns)

    @property
    def values(self) -> tuple[tuple[str, Kind], ...]:
        """Of each column that lands, in their order, the source's column and what becomes of it."""
        sources = {one.name: one.source for one in self.columns}
        return tuple((str(sources[column.name]), column.kind) for column in self.shape.landed)

    @property
    def times(self) -> frozenset[str]:
        """The source's columns that are times."""
        return frozenset(name for name, type_ in self.types.items() if type_.startswith("timestamp"))

    @property
    def subject(self) -> str:
        """What the log has it work on."""
        return subject(self.pipeline, self.table_name)


def subject(pipeline: str, table_name: str) -> str:
    """A table of a pipeline, as the log names it."""
    return f"{pipeline} {table_name}"


_PARTS: dict[str, type[BaseModel]] = {
    "": Plan,
    "columns": PlannedColumn,
    "ranges": KeyRange,
    "window": Window,
    "estimate": Estimate,
    "monitoring": Monitoring,
}


def from_yaml(text: str) -> Plan:
    """The plan that was accepted.

    Raises:
        UserError: it cannot be read.
    """
    return document.from_yaml(text, Plan, _PARTS)


# So many rows or eight batches at least are a range, and so many ranges at most a plan: each costs a few statements
# beside its batches.
ROWS_A_RANGE = 250_000
MAX_RANGES = 400


def ranges(
    key_type: str, least: str, greatest: str, rows: int, *, batch_size: int, parallelism: int, is_open: bool
) -> tuple[KeyRange, ...]:
    """The keys from the least to the greatest in ranges that are equally wide, where they are whole numbers or UUIDs.

    Keys of another type are one range, for nothing between two of them is known; batches go through it all the same.
    ``is_open``: something else than the greatest key bounds what is loaded, such as a time, and what is committed late
    may have a greater one.
    """
    number, text = _numbers(key_type)
    pieces = 1
    if number is not None:
        # As many for each that is at work: with 5 for 2 one would wait for the other in the end.
        each = -(-rows // (parallelism * max(ROWS_A_RANGE, 8 * batch_size)))
        wanted = parallelism * max(1, min(each, MAX_RANGES // parallelism))
        pieces = min(wanted, number(greatest) - number(least) + 1)
    cuts: list[str] = []
    if number is not None:
        first, last = number(least) - 1, number(greatest)
        cuts = [text(first + (last - first) * piece // pieces) for piece in range(1, pieces)]
    # Ranges count alike: how long one takes is known when the first has landed.
    share = Estimate(rows=rows // pieces, bytes=0, seconds=1, usd=0)
    ends = [None, *cuts, None if is_open else greatest]
    return tuple(
        KeyRange(id=place, after=ends[place - 1], until=ends[place], estimate=share) for place in range(1, pieces + 1)
    )


def _numbers(key_type: str) -> Any:  # noqa: ANN401 -- two functions that belong together, or none
    """What makes a whole number of a key in its order, and a key of such a number."""
    if key_type in ("smallint", "integer", "bigint"):
        return int, str
    if key_type == "uuid":
        return _uuid_number, _uuid_text
    return None, None


def _uuid_number(text: str) -> int:
    return int(text.replace("-", ""), 16)


def _uuid_text(number: int) -> str:
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def batches(bounds: Sequence[str], after: str | None) -> tuple[tuple[str | None, str], ...]:
    """What each batch is of: after which key, up to which."""
    return tuple(zip([after, *bounds][: len(bounds)], bounds, strict=True))
