"""What of an ingestion's files is loaded, and which columns they have: versions of that, and what becomes of each.

A version is made when the declaration changes, when files have columns that none had before, when a person has such
columns loaded, and when a person wants every file loaded again. One under which files are loaded says in full what that
is, so nothing that is decided later changes what was loaded then. Every file is loaded under the version that counts at
that time, which the ledger keeps; what is loaded again is what was loaded under an older one than the last that asks
for it.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, reduce
from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.domain.units import EPOCH
from dags.file_ingestion.versions import Schema
from dags.sources.loads.columns import target_problems
from dags.sources.loads.shape import NOT_MAPPED, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from dags.sources.ingestions import Ingestion

# So many columns of an ingestion's files are known; files with more have keys that are values, and no columns.
MAX_COLUMNS = 1_000

# So many files are named of a version, and so many columns are told of one.
MAX_FILES = 100
SHOWN = 20


class SchemaEvent(StrEnum):
    """What happens to what is loaded.

    ``SEEN`` are columns of the first files, ``RESOLVED`` says what becomes of a version, and ``MERGED`` is the version
    under which columns are loaded that a person has resolved so; the others are as the module has them.
    """

    DECLARED = "declared"
    NOTICED = "noticed"
    SEEN = "seen"
    REFRESHED = "refreshed"
    RESOLVED = "resolved"
    MERGED = "merged"


class Resolution(StrEnum):
    """What becomes of a version.

    ``AUTO_MERGE``: files are loaded so from now on. ``BACKFILL``: those that were loaded under an older version too.
    ``IGNORE``: new columns are not loaded. ``MANUAL``: nobody has resolved it yet.
    """

    AUTO_MERGE = "auto_merge"
    BACKFILL = "backfill"
    IGNORE = "ignore"
    MANUAL = "manual"


_MERGES = (Resolution.AUTO_MERGE, Resolution.BACKFILL)

_Types = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Loads:
    """What is loaded of a file: of each column of the target, which of the file's, or which constant.

    ``reading`` is its format, its target and the time zone of times without one; ``place`` is where the files lie.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    reading: tuple[str, str, str]
    place: str = ""

    @classmethod
    def of(cls, ingestion: Ingestion) -> Loads:
        """As it is declared."""
        reading = (ingestion.format, ingestion.into, ingestion.time_zone)
        return cls(dict(ingestion.columns), dict(ingestion.constants), reading, ingestion.source_path)

    @classmethod
    def parsed(cls, text: str) -> Loads:
        """What a text says that `__str__` made."""
        found = json.loads(text)
        form, into, zone = found["reading"]
        return cls(found["columns"], found["constants"], (form, into, zone), found["place"])

    def __str__(self) -> str:
        parts = {"columns": dict(self.columns), "constants": dict(self.constants)}
        return json.dumps(
            {**parts, "reading": list(self.reading), "place": self.place}, ensure_ascii=False, sort_keys=True
        )

    def with_columns(self, names: Iterable[str], target: Mapping[str, str]) -> Loads:
        """The same with columns of files that the target has under the same names, that a load can fill and that
        nothing fills yet. ``target``: its columns, each with its type.
        """
        filled = {*self.columns, *self.constants, *NOT_MAPPED}
        more = {name: name for name in names if name not in filled and not target_problems(name, target)}
        return replace(self, columns={**self.columns, **more})


@dataclass(frozen=True)
class Happened:
    """An event of a version. ``declares`` is what is declared and ``loads`` what is loaded under it, as `Loads` has
    them; ``columns`` are of files, each with the types that it has in them, none where the format has none.
    """

    version: int
    event: SchemaEvent
    declares: str = ""
    loads: str = ""
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    files: tuple[str, ...] = ()
    resolution: Resolution = Resolution.MANUAL
    requested_by: str = ""
    reason: str = ""
    at: datetime = EPOCH

    def __str__(self) -> str:
        names = ", ".join(f"{name} ({' or '.join(types)})" if types else name for name, types in self.columns[:SHOWN])
        more = f" and {len(self.columns) - SHOWN:,} more" if len(self.columns) > SHOWN else ""
        if self.event is SchemaEvent.SEEN:
            return f"the first files have the columns {names}{more}"
        words = f"schema version {self.version}, {self.resolution}: {self.files[0]} has {names}{more}"
        is_open = self.resolution is Resolution.MANUAL
        return f"{words}; resolve_schema_job has what of it events has loaded too" if is_open else words


@dataclass(frozen=True)
class Version:
    """A version and what became of it, with who said so and why. Files are loaded under it if it says what of them."""

    number: int
    event: SchemaEvent
    declares: str
    loads: str
    columns: Mapping[str, tuple[str, ...]]
    files: tuple[str, ...]
    at: datetime
    resolution: Resolution
    resolved_by: str
    reason: str


@dataclass(frozen=True)
class Schemas:
    """All versions of an ingestion, oldest first, with the events that they come of."""

    events: tuple[Happened, ...] = ()
    versions: tuple[Version, ...] = ()
    seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def with_events(self, more: Iterable[Happened]) -> Schemas:
        """What it is after more has happened."""
        return of_events((*self.events, *more))

    @property
    def next(self) -> int:
        return self.versions[-1].number + 1 if self.versions else 1

    @property
    def current(self) -> int:
        """The version under which files are loaded now; 0 where there is none."""
        return max((one.number for one in self.versions if one.loads), default=0)

    @property
    def reload_below(self) -> int:
        """What was loaded under an older version than this is loaded again."""
        backfills = (one.number for one in self.versions if one.loads and one.resolution is Resolution.BACKFILL)
        return max(backfills, default=0)

    @property
    def standing(self) -> Schema:
        """What decides which files are loaded again."""
        refreshes = (one.number for one in self.versions if one.event is SchemaEvent.REFRESHED)
        return Schema(self.current, self.reload_below, max(refreshes, default=0))

    @property
    def declares(self) -> str:
        """What was declared last."""
        return next((one.declares for one in reversed(self.versions) if one.declares), "")

    @cached_property
    def columns(self) -> _Types:
        """The columns that files were seen to have, each with every type that it had; none where the format has none.

        Files of one day may have another type than their neighbours, as a column of whole numbers that lacks one: a
        type that was there before is no change.
        """
        return reduce(_united, (one.columns for one in self.versions), dict(self.seen))

    def version(self, number: int) -> Version | None:
        """The version of that number; None if there is none."""
        return next((one for one in self.versions if one.number == number), None)

    def loads(self, number: int) -> Loads | None:
        """What is loaded under a version; None where nothing says so."""
        found = self.version(number)
        return Loads.parsed(found.loads) if found is not None and found.loads else None

    def is_changed(self, planned: int) -> bool:
        """Whether people have changed what is loaded since a run was planned under a version: it loads no more then.

        What is noticed and merged since counts for it at once.
        """
        later = (one for one in self.versions if one.number > planned and one.loads)
        return any(one.event is not SchemaEvent.NOTICED for one in later)

    def is_refreshed(self, after: int, upto: int) -> bool:
        """Whether a person wanted every file loaded again after a version, and up to another."""
        return any(one.event is SchemaEvent.REFRESHED and after < one.number <= upto for one in self.versions)

    def lacking(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Which of these columns of a file are new, or have a type that they never had, "" where there is none."""
        return {
            name: type_
            for name, type_ in columns.items()
            if name not in self.columns or (type_ and self.columns[name] and type_ not in self.columns[name])
        }


def of_events(events: Iterable[Happened]) -> Schemas:
    """What the events of an ingestion, in their order, come to."""
    found: dict[int, Version] = {}
    seen: _Types = {}
    every = tuple(events)
    for one in every:
        if one.event is SchemaEvent.SEEN:
            seen = _united(seen, dict(one.columns))
        elif one.event is not SchemaEvent.RESOLVED:
            found[one.version] = Version(
                one.version, one.event, one.declares, one.loads, dict(one.columns), one.files, one.at, one.resolution,
                one.requested_by, one.reason,
            )  # fmt: skip
        elif (known := found.get(one.version)) is not None:
            found[one.version] = replace(
                known, resolution=one.resolution, resolved_by=one.requested_by, reason=one.reason
            )
    return Schemas(every, tuple(found[number] for number in sorted(found)), seen)


def _united(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> _Types:
    """The columns of both, each with the types of both."""
    return {name: tuple(dict.fromkeys((*one.get(name, ()), *other.get(name, ())))) for name in (*one, *other)}


def moved_from(schemas: Schemas, ingestion: Ingestion) -> str:
    """Where the files lay that the ledger knows, if they are declared to lie elsewhere now."""
    before = Loads.parsed(schemas.declares).place if schemas.declares else ""
    return before if before != ingestion.source_path else ""


def redeclared(schemas: Schemas, ingestion: Ingestion, target: Mapping[str, str], who: str) -> tuple[Happened, ...]:
    """The version that a declaration makes, where it is another than the last. Columns that were merged stay so.

    ``target``: the columns of the target that can be filled, each with its type.
    """
    declares = Loads.of(ingestion)
    if str(declares) == schemas.declares:
        return ()
    before, is_first = schemas.loads(schemas.current), not schemas.versions
    once = Loads.parsed(schemas.declares).columns if schemas.declares else {}
    merged = [name for name in before.columns if name not in once] if before is not None else []
    return (
        Happened(
            schemas.next,
            SchemaEvent.DECLARED,
            str(declares),
            str(declares.with_columns(merged, target)),
            resolution=Resolution.AUTO_MERGE if is_first else Resolution(ingestion.schema_changes),
            requested_by=who,
            reason="first declared" if is_first else f"as declared: schema_changes: {ingestion.schema_changes}",
        ),
    )


def refreshed(schemas: Schemas, who: str, reason: str) -> Happened:
    """The version by which every file is loaded again."""
    return Happened(
        schemas.next,
        SchemaEvent.REFRESHED,
        loads=str(schemas.loads(schemas.current)),
        resolution=Resolution.BACKFILL,
        requested_by=who,
        reason=reason,
    )


def resolved(
    schemas: Schemas, number: int, resolution: Resolution, target: Mapping[str, str], *, who: str, reason: str
) -> tuple[Happened, ...]:
    """What a person makes of a version: what it is from now on, and the version under which its columns are loaded.

    Raises:
        UserError: there is none of that number, or its columns are loaded already.
    """
    found = schemas.version(number)
    if found is None:
        known = ", ".join(str(one.number) for one in schemas.versions) or "none"
        raise UserError(f"version is {number}: the versions are {known}. show_files_job lists them")
    if found.event is SchemaEvent.NOTICED and found.resolution in _MERGES:
        raise UserError(
            f"version is {number}: its columns are loaded, it is {found.resolution}. Map them otherwise in the "
            "declaration, or refresh_ingestion_job has every file loaded again"
        )
    marked = Happened(number, SchemaEvent.RESOLVED, resolution=resolution, requested_by=who, reason=reason)
    loads = schemas.loads(schemas.current)
    if found.event is not SchemaEvent.NOTICED or resolution not in _MERGES or loads is None:
        return (marked,)
    merged = str(loads.with_columns(found.columns, target))
    return (marked, replace(marked, version=schemas.next, event=SchemaEvent.MERGED, loads=merged))


def not_loaded(schemas: Schemas, number: int, target: Mapping[str, str]) -> list[str]:
    """The columns that files of a version have and that nothing is filled from, for the target has none of the name;
    none where nobody wants them loaded.
    """
    found, loads = schemas.version(number), schemas.loads(schemas.current)
    if found is None or loads is None or found.resolution not in _MERGES:
        return []
    return [name for name in found.columns if name not in target and name not in loads.columns.values()]


def first_seen(number: int, names: Iterable[str]) -> Happened:
    """That files have these columns, of whichever none was refused before any was known."""
    return Happened(number, SchemaEvent.SEEN, columns=tuple((name, ()) for name in names))


def noticed(
    schemas: Schemas,
    columns_by_file: Mapping[str, Mapping[str, str]],
    ingestion: str,
    resolution: Resolution,
    target: Mapping[str, str],
) -> Happened | None:
    """What files with these columns make known; None where nothing of it is new.

    Of the first files it is no change that they have columns. ``target``: the columns of the target that can be filled.
    """
    lacking: _Types = {}
    files: list[str] = []
    for path, columns in sorted(columns_by_file.items()):
        if found := schemas.lacking(columns):
            lacking = _united(lacking, {name: (type_,) if type_ else () for name, type_ in found.items()})
            files.append(path)
    if not lacking:
        return None
    is_first, loads = not schemas.columns, schemas.loads(schemas.current)
    is_merged = not is_first and resolution in _MERGES and loads is not None
    return Happened(
        schemas.current if is_first else schemas.next,
        SchemaEvent.SEEN if is_first else SchemaEvent.NOTICED,
        loads=str(loads.with_columns(lacking, target)) if is_merged and loads is not None else "",
        columns=tuple(sorted(lacking.items())),
        files=tuple(files[:MAX_FILES]),
        resolution=resolution,
        requested_by=ingestion,
        reason=f"as declared: schema_changes: {resolution}",
    )


def _holds_as_much(old: str, new: str) -> bool:
    """Whether a column of a type has all that one of another type is to have; what is absent may be a default there."""
    return within(old) == within(new) and ("Nullable" in old or "Nullable" not in new)


def derived(
    schemas: Schemas, old: int, new: int, types: Mapping[str, str], landed: Sequence[tuple[str, str]]
) -> dict[str, str] | None:
    """Of each column that lands under a version, the target's column that has it already of a file that was loaded
    under an older one; None where files have to be read.

    ``landed`` are the target's columns that land, each with that of the files; ``types`` those of the target's columns.
    Only what was loaded of the same column of the file can be taken, as a column of the same type.
    """
    before, now = schemas.loads(old), schemas.loads(new)
    if before is None or now is None or before.reading != now.reading or schemas.is_refreshed(old, new):
        return None
    found: dict[str, str] = {}
    for target, source in landed:
        there = [one for one, of in before.columns.items() if of == source and one in types]
        same = [one for one in there if _holds_as_much(types[one], types.get(target, ""))]
        if not same:
            return None
        found[target] = target if target in same else same[0]
    return found
