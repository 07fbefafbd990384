"""Parts of the documents by which work is asked for: what plans of every kind have.

Pure: no clock, no database, no Dagster. A plan that was accepted is frozen: what is done later, by a resume or a retry,
is what it says and nothing that would be worked out anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable


class Part(BaseModel):
    """A part of the document: nothing in it is unknown, nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False, allow_inf_nan=False, defer_build=True)


Count = Annotated[int, Field(ge=1, le=10**15)]
Amount = Annotated[int, Field(ge=0, le=10**18)]
Seconds = Annotated[int, Field(ge=1, le=10**8)]
Parallelism = Annotated[int, Field(ge=1, le=16)]
EveryChunks = Annotated[int, Field(ge=1, le=10_000)]


class Estimate(Part):
    """What the work will take: a lower bound, not a promise.

    ``rows`` are those of the source that bear on it, neighbours included, each once for each step, and not all that
    ClickHouse reads; ``bytes`` is what these take uncompressed; ``usd`` is bytes at the rate of the settings.
    """

    rows: Amount
    bytes: Amount
    seconds: float = Field(ge=0, le=10**12)
    usd: float = Field(ge=0, le=10**12)

    def __add__(self, other: Estimate) -> Estimate:
        # A sum of what was accepted is accepted.
        return Estimate.model_construct(
            rows=self.rows + other.rows,
            bytes=self.bytes + other.bytes,
            seconds=round(self.seconds + other.seconds, 1),
            usd=round(self.usd + other.usd, 4),
        )


NOTHING = Estimate(rows=0, bytes=0, seconds=0.0, usd=0.0)


class Ceilings(Part):
    """Beyond these the work stops between two chunks and can be resumed; they count anew from each start."""

    source_rows: Count | None = None
    seconds: Seconds | None = None


class Monitoring(Part):
    """Who is told, and how often: of every so many chunks, and in any case of the last and of the end."""

    webhook: str = ""
    every_chunks: EveryChunks = 1


class Chunk(Protocol):
    """Steps that are paused, counted and reported as one; in words, what they are of."""

    @property
    def id(self) -> int:
        """Its number within the plan, from 1."""

    @property
    def steps(self) -> tuple[str, ...]:
        """Its steps, in their order."""

    @property
    def estimate(self) -> Estimate:
        """What it will take."""

    def named(self) -> dict[str, Any]:
        """What a report says of it first: its id and what it is of."""


def total(estimates: Iterable[Estimate]) -> Estimate:
    return sum(estimates, NOTHING)


class Rates(Part):
    """What a source row costs. ``words``: where the figures come from."""

    seconds_per_row: float
    seconds_per_step: float
    bytes_per_row: float
    usd_per_gb: float
    words: str

    def of(self, rows: int, steps: int = 1) -> Estimate:
        size = int(rows * self.bytes_per_row)
        return Estimate(
            rows=rows,
            bytes=size,
            seconds=round(rows * self.seconds_per_row + steps * self.seconds_per_step, 1),
            usd=round(size / 1e9 * self.usd_per_gb, 4),
        )
