"""The frozen plan of a run that loads files: which versions of which, what becomes of their columns, in which groups.

Pure: no clock, no database, no Dagster. It holds no key and no secret: the ingestion is named, and where its files lie
is read anew by every run.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from dags.file_ingestion.formats import Columns, Format, format_of
from dags.file_ingestion.values import Reading
from dags.file_ingestion.versions import FileVersion
from dags.sources.loads.columns import PlannedColumn, shape_of
from dags.work import document
from dags.work.plan import NOTHING, Estimate, Monitoring, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from dags.sources.loads.shape import Shape

# A statement reads so many files at most, and about so many bytes as they are stored: large enough that it costs a
# little more than reading all at once, small enough that what goes wrong in one file costs its neighbours little.
FILES_A_GROUP = 50
BYTES_A_GROUP = 256_000_000


class PlannedFile(Part):
    """A version of a file, the number on its rows, and the loads of older versions that these take the place of."""

    path: str
    size: Annotated[int, Field(ge=0)]
    modified: int
    etag: str = ""
    load: Annotated[int, Field(ge=1)]
    replaces: tuple[int, ...] = ()

    @property
    def version(self) -> FileVersion:
        return FileVersion(self.path, self.size, self.modified, self.etag)


class FileGroup(Part):
    """Files that one statement reads."""

    id: Annotated[int, Field(ge=1, le=1_000_000)]
    files: tuple[PlannedFile, ...]
    estimate: Estimate = NOTHING

    @property
    def steps(self) -> tuple[str, ...]:
        return (f"group {self.id}",)

    def named(self) -> dict[str, Any]:
        return {"id": self.id, "files": len(self.files), "bytes": sum(one.size for one in self.files)}

    def __str__(self) -> str:
        return f"{len(self.files)} files from {self.files[0].path}"


class Plan(Part):
    """A run of an ingestion. ``later``: files that were left for another run, because one takes so much."""

    ingestion: str
    target: str
    format: str
    time_zone: str
    columns: tuple[PlannedColumn, ...]
    groups: tuple[FileGroup, ...]
    later: Annotated[int, Field(ge=0)] = 0
    usd_per_gb: float = Field(ge=0, le=10**6)
    requested_by: str
    reason: str
    monitoring: Monitoring = Monitoring()

    @cached_property
    def shape(self) -> Shape:
        return shape_of(self.target, self.columns)

    @cached_property
    def reading(self) -> Reading:
        places = {name: place for place, name in enumerate(self.file_columns.names, 1)}
        return Reading(self.shape.landed, tuple(places[name] for name in self._sources), self.time_zone)

    @property
    def as_format(self) -> Format:
        return format_of(self.format)

    @cached_property
    def file_columns(self) -> Columns:
        """The files' columns that land."""
        return Columns(self.format, tuple(dict.fromkeys(self._sources)))

    @property
    def _sources(self) -> list[str]:
        sources = {one.name: str(one.source) for one in self.columns}
        return [sources[column.name] for column in self.shape.landed]

    @property
    def files(self) -> int:
        return sum(len(group.files) for group in self.groups)

    @property
    def bytes(self) -> int:
        return sum(one.size for group in self.groups for one in group.files)

    @property
    def usd(self) -> float:
        """What reading it costs, by the ingestion's own rate."""
        return round(self.bytes / 1e9 * self.usd_per_gb, 4)

    @property
    def subject(self) -> str:
        """What the log has it work on."""
        return self.ingestion


_PARTS: dict[str, type[BaseModel]] = {
    "": Plan,
    "columns": PlannedColumn,
    "groups": FileGroup,
    "files": PlannedFile,
    "estimate": Estimate,
    "monitoring": Monitoring,
}


def from_yaml(text: str) -> Plan:
    """The plan that was accepted.

    Raises:
        UserError: it cannot be read.
    """
    return document.from_yaml(text, Plan, _PARTS)


def grouped(files: Sequence[PlannedFile]) -> tuple[FileGroup, ...]:
    """Files in groups, in their order; a file that is larger than a group is alone."""
    found: list[list[PlannedFile]] = []
    for one in files:
        if (
            not found
            or len(found[-1]) == FILES_A_GROUP
            or sum(other.size for other in found[-1]) + one.size > BYTES_A_GROUP
        ):
            found.append([])
        found[-1].append(one)
    return tuple(
        FileGroup(
            id=place,
            files=tuple(group),
            estimate=Estimate(rows=0, bytes=sum(one.size for one in group), seconds=1, usd=0),
        )
        for place, group in enumerate(found, 1)
    )
