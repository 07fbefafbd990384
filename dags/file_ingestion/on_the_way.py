"""A file that is being loaded: what the ledger knew of it, and which version of it was read.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.file_ingestion.versions import FileEvent, Known

if TYPE_CHECKING:
    from dags.file_ingestion.plan import PlannedFile


# What stands for less in a path.
_FOLDED = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")


@dataclass(frozen=True)
class OnTheWay:
    """A file that is being loaded, by its number in the group: the number on its rows, what the ledger knew of it, and
    the loads that its rows take the place of.
    """

    planned: PlannedFile
    load: int
    known: Known | None
    replaces: tuple[int, ...]

    @property
    def path(self) -> str:
        return self.planned.path

    @property
    def was_whole(self) -> bool:
        """Whether all of its rows were in the target already, as of a version that comes again after a bad one."""
        return self.known is not None and self.load in self.known.whole

    @property
    def broken(self) -> tuple[int, ...]:
        """The loads of other versions of which rows may be there that nobody should see: they broke off, or another
        that is there whole was to take their place.
        """
        if self.known is None:
            return ()
        others = self.known.loads if self.known.attached else self.known.broken
        return tuple(load for load in others if load != self.load and load not in self.known.attached)

    @property
    def loaded_before(self) -> Known | None:
        """What the ledger knows of it where this very version of it is in the target, under an older schema."""
        known = self.known
        if known is None or known.event is not FileEvent.SUCCESS or known.load not in known.loads:
            return None
        return known if self.planned.version.is_as(known.version) else None


def why_absent(planned: PlannedFile) -> str:
    """Why nothing of a file has landed."""
    if planned.size == 0:
        return "it is empty: 0 bytes"
    if _FOLDED.search(planned.path):
        return "its name has //, /./ or /../, which ClickHouse folds when it reads an object: give it another one"
    return "it has no row, or is gone"


def seconds_of(planned: PlannedFile) -> int:
    """When it was modified, as ClickHouse says it of what it reads: in 32 bits, so one before 1970 is in a century."""
    return planned.modified // 10**6 % 2**32
