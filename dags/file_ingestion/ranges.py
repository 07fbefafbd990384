"""How far a range of days is that an ingestion loads and that ends by itself: what is loaded of it, and what is left.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.file_ingestion.versions import Days, FileEvent, Schema, is_settled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from dags.file_ingestion.versions import Known
    from dags.sources.ingestions import Ingestion

# A file that has failed so often keeps a range from its end no longer.
TRIES = 3


def days_taken(ingestion: Ingestion) -> Days:
    """The days that an ingestion takes files of."""
    return Days(ingestion.since, ingestion.until, by_path=ingestion.dated_by == "path")


def range_of(ingestion: Ingestion) -> str:
    """The range that an ingestion loads and that ends by itself, in words; empty where it has no last day."""
    if ingestion.until is None:
        return ""
    return f"{ingestion.since or '...'} to {ingestion.until}"


@dataclass(frozen=True)
class RangeProgress:
    """Files and bytes of a range: all that were found, those that are loaded or left out, and those that were given up
    after `TRIES` failures.
    """

    files: int = 0
    bytes: int = 0
    done: int = 0
    done_bytes: int = 0
    given_up: int = 0
    given_up_bytes: int = 0

    @property
    def left(self) -> int:
        return self.files - self.done - self.given_up

    @property
    def left_bytes(self) -> int:
        return self.bytes - self.done_bytes - self.given_up_bytes

    @property
    def percent(self) -> float:
        return 100 * (1 - self.left_bytes / self.bytes) if self.bytes else 100.0 * (not self.left)

    def is_over(self, until: date, today: date) -> bool:
        """Whether the range has ended: its last day is over, files of it were found, and none is left."""
        return until < today and self.files > 0 and not self.left


def progress_of(ledger: Mapping[str, Known], days: Days, schema: Schema) -> RangeProgress:
    """How far a range is. ``ledger``: every file that the ingestion knows. What failed under an older schema is due."""
    counts = dict.fromkeys(("files", "bytes", "done", "done_bytes", "given_up", "given_up_bytes"), 0)
    for known in ledger.values():
        if not days.has(known.version):
            continue
        names = ["files"]
        if is_settled(known, schema):
            names.append("done")
        elif known.event is FileEvent.FAILED and known.failed >= TRIES and known.schema >= schema.current:
            names.append("given_up")
        for name in names:
            counts[name] += 1
            counts["bytes" if name == "files" else f"{name}_bytes"] += known.version.size
    return RangeProgress(**counts)
