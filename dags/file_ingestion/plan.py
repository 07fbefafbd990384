"""The frozen plan of a run that loads files: which versions of which, what becomes of their columns, in which groups.

Pure: no clock, no database, no Dagster. It holds no key and no secret: the ingestion is named, and where its files lie
is read anew by every run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from dags.domain.text import counted
from dags.file_ingestion.faults import Faults
from dags.file_ingestion.formats import Columns, Format, format_of
from dags.file_ingestion.values import Reading
from dags.file_ingestion.versions import FileVersion
from dags.sources.loads.columns import PlannedColumn, shape_of
from dags.work import document
from dags.work.plan import NOTHING, Estimate, Monitoring, Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from dags.file_ingestion.schemas import Loads
    from dags.sources.loads.shape import Shape

# A statement reads so many files at most, for the reason of `dags.file_ingestion.formats.BYTES_A_GROUP`.
FILES_A_GROUP = 100

# What a group takes beside its bytes, and how many bytes a second take: until runs before say. Measured on two cores,
# files of JSON packed by gzip.
SECONDS_A_GROUP = 1.0
BYTES_A_SECOND = 5_000_000.0


class PlannedFile(Part):
    """A version of a file."""

    path: str
    size: Annotated[int, Field(ge=0)]
    modified: int
    etag: str = ""

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
        return f"{counted(len(self.files), 'file')} from {self.files[0].path}"


@dataclass(frozen=True)
class Layout:
    """What of files is loaded, by whatever version of the schema: columns of the target, and how each is read."""

    target: str
    format: str
    time_zone: str
    columns: tuple[PlannedColumn, ...]

    @cached_property
    def shape(self) -> Shape:
        return shape_of(self.target, self.columns)

    @cached_property
    def reading(self) -> Reading:
        places = {name: place for place, name in enumerate(self.file_columns.names, 1)}
        return Reading(self.shape.landed, tuple(places[name] for name in self.sources), self.time_zone)

    @cached_property
    def faults(self) -> Faults:
        return Faults(self.as_format, self.reading, self.shape)

    @property
    def as_format(self) -> Format:
        return format_of(self.format)

    @cached_property
    def file_columns(self) -> Columns:
        """The files' columns that land, each once."""
        return Columns(self.format, tuple(dict.fromkeys(self.sources)))

    @cached_property
    def sources(self) -> list[str]:
        """Of each column of the target that lands, the name of the files' column."""
        sources = {one.name: str(one.source) for one in self.columns}
        return [sources[column.name] for column in self.shape.landed]

    def of(self, loads: Loads, target: Mapping[str, str]) -> Layout:
        """The same of what is loaded under another version. ``target``: its columns, each with its type."""
        return replace(self, columns=planned_columns(loads, target))


def planned_columns(loads: Loads, target: Mapping[str, str]) -> tuple[PlannedColumn, ...]:
    """What is loaded, as far as the target has it."""
    columns = [
        PlannedColumn(name=name, type=target[name], source=source)
        for name, source in loads.columns.items()
        if name in target
    ]
    constants = [
        PlannedColumn(name=name, type=target[name], constant=constant)
        for name, constant in loads.constants.items()
        if name in target
    ]
    return (*columns, *constants)


class Plan(Part):
    """A run of an ingestion. ``schema_version`` is that under which it loads; ``columns`` are those that are declared.

    ``days``: the range that it is a part of, empty where it is of none. ``objects``: how many lay below the root when
    this was planned, 0 where that is not known. ``later``: files that were left for another run, with their bytes.
    ``seconds`` is what it may take, by what runs before took.
    """

    ingestion: str
    target: str
    format: str
    time_zone: str
    schema_version: Annotated[int, Field(ge=1)]
    columns: tuple[PlannedColumn, ...]
    groups: tuple[FileGroup, ...]
    days: str = ""
    objects: Annotated[int, Field(ge=0)] = 0
    later: Annotated[int, Field(ge=0)] = 0
    later_bytes: Annotated[int, Field(ge=0)] = 0
    usd_per_gb: float = Field(ge=0, le=10**6)
    requested_by: str
    reason: str
    monitoring: Monitoring = Monitoring()

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.target, self.format, self.time_zone, self.columns)

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
    def seconds(self) -> float:
        """What it may take."""
        return round(sum(group.estimate.seconds for group in self.groups), 1)

    @property
    def subject(self) -> str:
        """What the log has it work on: a range has a progress of its own."""
        return subject_of(self.ingestion, self.days)


def subject_of(ingestion: str, days: str) -> str:
    """What the log has a run work on, of a range of days or of none."""
    return f"{ingestion} {days}" if days else ingestion


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


def grouped(
    files: Sequence[PlannedFile], group_bytes: int, bytes_a_second: float, usd_per_gb: float
) -> tuple[FileGroup, ...]:
    """Files in groups of about so many bytes, in their order; a file that is larger is alone."""
    found, size = list[list[PlannedFile]](), 0
    for one in files:
        if not found or len(found[-1]) == FILES_A_GROUP or size + one.size > group_bytes:
            found.append([])
            size = 0
        found[-1].append(one)
        size += one.size
    return tuple(
        FileGroup(
            id=place,
            files=tuple(group),
            estimate=_estimate(sum(one.size for one in group), bytes_a_second, usd_per_gb),
        )
        for place, group in enumerate(found, 1)
    )


def _estimate(size: int, bytes_a_second: float, usd_per_gb: float) -> Estimate:
    return Estimate(
        rows=0,
        bytes=size,
        seconds=round(SECONDS_A_GROUP + size / bytes_a_second, 1),
        usd=round(size / 1e9 * usd_per_gb, 4),
    )
