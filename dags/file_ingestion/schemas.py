"""What of an ingestion's files is loaded, and which columns they have: versions of that, and what becomes of each.

A version is made when the declaration changes, when files have columns that none had before, and when a person wants
every file loaded again. Every file is loaded under the version that counts at that time, which the ledger keeps; so
what is loaded again is what was loaded under an older version than the last that asks for it.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.domain.units import EPOCH
from dags.sources.loads.columns import target_problems
from dags.sources.loads.shape import NOT_MAPPED, within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from dags.sources.ingestions import Ingestion

# So many columns of an ingestion's files are known; files with more have keys that are values, and no columns.
MAX_COLUMNS = 1_000

# So many files are named of a version.
MAX_FILES = 100


class SchemaEvent(StrEnum):
    """What happens to what is loaded."""

    DECLARED = "declared"
    NOTICED = "noticed"
    SEEN = "seen"
    REFRESHED = "refreshed"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """What becomes of a version.

    ``AUTO_MERGE``: files are loaded so from now on. ``BACKFILL``: those that were loaded under an older version too.
    ``IGNORE``: new columns are not loaded. ``MANUAL``: nobody has resolved it yet.
    """

    AUTO_MERGE = "auto_merge"
    BACKFILL = "backfill"
    IGNORE = "ignore"
    MANUAL = "manual"


_MERGED = (Resolution.AUTO_MERGE, Resolution.BACKFILL)

# Versions under which files are loaded as soon as they are there, whatever becomes of older files.
_OF_PEOPLE = (SchemaEvent.DECLARED, SchemaEvent.REFRESHED)


@dataclass(frozen=True)
class Happened:
    """An event of a version. ``loads`` is what `declared` makes of a declaration; ``columns`` of files, with types."""

    version: int
    event: SchemaEvent
    loads: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    resolution: Resolution = Resolution.MANUAL
    requested_by: str = ""
    reason: str = ""
    at: datetime = EPOCH

    def __str__(self) -> str:
        names = ", ".join(f"{name} ({type_})" if type_ else name for name, type_ in self.columns[:20])
        more = f" and {len(self.columns) - 20:,} more" if len(self.columns) > 20 else ""  # noqa: PLR2004 -- fits a screen
        if self.event is SchemaEvent.SEEN:
            return f"the first files have the columns {names}{more}"
        return f"schema version {self.version}, {self.resolution}: {self.files[0]} has {names}{more}"


@dataclass(frozen=True)
class Version:
    """A version and what became of it, with who said so and why."""

    number: int
    event: SchemaEvent
    loads: str
    columns: Mapping[str, str]
    files: tuple[str, ...]
    at: datetime
    resolution: Resolution
    resolved_by: str
    reason: str
    resolved_at: datetime

    @property
    def counts(self) -> bool:
        """Whether files are loaded under it."""
        return self.event in _OF_PEOPLE or self.resolution in _MERGED


@dataclass(frozen=True)
class Schemas:
    """All versions of an ingestion, oldest first, with the events that they come of."""

    events: tuple[Happened, ...] = ()
    versions: tuple[Version, ...] = ()
    seen: Mapping[str, str] = field(default_factory=dict)

    def with_events(self, more: Iterable[Happened]) -> Schemas:
        """What it is after more has happened."""
        return of_events((*self.events, *more))

    @property
    def next(self) -> int:
        return self.versions[-1].number + 1 if self.versions else 1

    @property
    def current(self) -> int:
        """The version under which files are loaded now; 0 where there is none."""
        return max((one.number for one in self.versions if one.counts), default=0)

    @property
    def reload_below(self) -> int:
        """What was loaded under an older version than this is loaded again."""
        return max((one.number for one in self.versions if one.resolution is Resolution.BACKFILL), default=0)

    @property
    def loads(self) -> str:
        """What was declared last."""
        return next((one.loads for one in reversed(self.versions) if one.loads), "")

    @cached_property
    def columns(self) -> dict[str, str]:
        """The columns that files were seen to have, each with its last type; "" where the format has none."""
        found = dict(self.seen)
        for one in self.versions:
            found |= one.columns
        return found

    def merged(self, upto: int) -> tuple[str, ...]:
        """The columns of files that are loaded beside those that are declared, under a version."""
        return tuple(
            dict.fromkeys(
                name
                for one in self.versions
                if one.number <= upto and one.event is SchemaEvent.NOTICED and one.resolution in _MERGED
                for name in one.columns
            )
        )

    def since(self, planned: int) -> int:
        """The version under which a run loads that was planned under one: what was noticed and merged since counts at
        once, and what people declared or refreshed since counts for the next run.
        """
        current = planned
        for one in self.versions:
            if one.number <= planned:
                continue
            if one.event in _OF_PEOPLE:
                break
            if one.counts:
                current = one.number
        return current

    def declared_under(self, number: int) -> str:
        """What was declared under a version; "" where it is not known."""
        return next((one.loads for one in reversed(self.versions) if one.loads and one.number <= number), "")

    def is_refreshed_after(self, number: int) -> bool:
        return any(one.event is SchemaEvent.REFRESHED and one.number > number for one in self.versions)

    def lacking(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Which of these columns of a file are new, or have another type than before."""
        return {
            name: type_
            for name, type_ in columns.items()
            if name not in self.columns or (type_ and self.columns[name] and type_ != self.columns[name])
        }


def of_events(events: Iterable[Happened]) -> Schemas:
    """What the events of an ingestion, in their order, come to. Two runs that noticed at once have made one version."""
    found: dict[int, Version] = {}
    seen: dict[str, str] = {}
    every = tuple(events)
    for one in every:
        columns = dict(one.columns)
        known = found.get(one.version)
        if one.event is SchemaEvent.SEEN:
            seen |= columns
        elif one.event is SchemaEvent.RESOLVED:
            if known is not None:
                found[one.version] = replace(
                    known,
                    resolution=one.resolution,
                    resolved_by=one.requested_by,
                    reason=one.reason,
                    resolved_at=one.at,
                )
        elif known is not None:
            files = tuple(dict.fromkeys((*known.files, *one.files)))[:MAX_FILES]
            found[one.version] = replace(known, columns={**known.columns, **columns}, files=files)
        else:
            found[one.version] = Version(
                one.version, one.event, one.loads, columns, one.files, one.at, one.resolution, one.requested_by,
                one.reason, one.at,
            )  # fmt: skip
    return Schemas(every, tuple(found[number] for number in sorted(found)), seen)


def declared(ingestion: Ingestion) -> str:
    """What of a declaration decides what is loaded of a file, as a text that is the same where that is."""
    return json.dumps(
        {
            "columns": dict(sorted(ingestion.columns.items())),
            "constants": dict(sorted(ingestion.constants.items())),
            "format": ingestion.format,
            "into": ingestion.into,
            "time_zone": ingestion.time_zone,
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def redeclared(schemas: Schemas, ingestion: Ingestion, who: str) -> tuple[Happened, ...]:
    """The version that a declaration makes, where it is another than the last."""
    loads = declared(ingestion)
    if loads == schemas.loads:
        return ()
    is_first = not schemas.versions
    return (
        Happened(
            schemas.next,
            SchemaEvent.DECLARED,
            loads,
            resolution=Resolution.AUTO_MERGE if is_first else Resolution(ingestion.schema_changes),
            requested_by=who,
            reason="first declared" if is_first else f"as declared: schema_changes: {ingestion.schema_changes}",
        ),
    )


def first_seen(number: int, names: Iterable[str]) -> Happened:
    """That files have these columns, of whichever none was refused before any was known."""
    return Happened(number, SchemaEvent.SEEN, columns=tuple((name, "") for name in names))


def refreshed(schemas: Schemas, who: str, reason: str) -> Happened:
    """The version by which every file is loaded again."""
    return Happened(
        schemas.next,
        SchemaEvent.REFRESHED,
        schemas.loads,
        resolution=Resolution.BACKFILL,
        requested_by=who,
        reason=reason,
    )


def resolved(schemas: Schemas, number: int, resolution: str, who: str, reason: str) -> Happened:
    """What a person makes of a version.

    Raises:
        UserError: there is none of that number.
    """
    if number not in {one.number for one in schemas.versions}:
        known = ", ".join(str(one.number) for one in schemas.versions) or "none"
        raise UserError(f"version is {number}: the versions are {known}. show_files_job lists them")
    return Happened(number, SchemaEvent.RESOLVED, resolution=Resolution(resolution), requested_by=who, reason=reason)


def noticed(
    schemas: Schemas, columns_by_file: Mapping[str, Mapping[str, str]], ingestion: str, resolution: Resolution
) -> Happened | None:
    """What files with these columns make known; None where nothing of it is new.

    Of the first files it is no change that they have columns.
    """
    lacking: dict[str, str] = {}
    files: list[str] = []
    for path, columns in sorted(columns_by_file.items()):
        if found := schemas.lacking(columns):
            lacking |= found
            files.append(path)
    if not lacking:
        return None
    is_first = not schemas.columns
    return Happened(
        schemas.current if is_first else schemas.next,
        SchemaEvent.SEEN if is_first else SchemaEvent.NOTICED,
        columns=tuple(sorted(lacking.items())),
        files=tuple(files[:MAX_FILES]),
        resolution=resolution,
        requested_by=ingestion,
        reason=f"as declared: schema_changes: {resolution}",
    )


def derived(
    schemas: Schemas, old: int, new: int, types: Mapping[str, str], landed: Sequence[tuple[str, str]]
) -> dict[str, str] | None:
    """Of each column that lands under a version, the target's column that has it already of a file that was loaded
    under an older one; None where files have to be read.

    ``landed`` are the target's columns that land, each with that of the files; ``types`` those of the target's columns.
    Only what is the same text in the file can be taken, as a column of the same type.
    """
    if old < 1 or schemas.is_refreshed_after(old):
        return None
    before, now = (json.loads(schemas.declared_under(number) or "{}") for number in (old, new))
    if not before or not now or any(before[name] != now[name] for name in ("format", "into", "time_zone")):
        return None
    there: dict[str, str] = dict(before["columns"])
    there |= {name: name for name in schemas.merged(old) if name in types and name not in there}
    found: dict[str, str] = {}
    for target, source in landed:
        candidates = [one for one, of in there.items() if of == source and one in types]
        same = [one for one in candidates if within(types[one]) == within(types.get(target, ""))]
        if not same:
            return None
        found[target] = target if target in same else same[0]
    return found


def mergeable(names: Iterable[str], filled: Collection[str], target: Mapping[str, str]) -> dict[str, str]:
    """Which columns of files a target has under the same names, and a load can fill, and nothing else does; each with
    its type there. ``filled``: what is declared.
    """
    return {
        name: target[name]
        for name in names
        if name not in filled and name not in NOT_MAPPED and not target_problems(name, target)
    }
