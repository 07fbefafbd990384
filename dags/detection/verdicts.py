"""Keeps the verdicts on very many units in little memory: those that are alike together, their units in columns.

Pure: no clock, no database, no Dagster. When a table is lost, hundreds of thousands of units are wrong in the same
words on a few days. What they share is kept once, and what is each unit's own in arrays of machine numbers, 56 bytes a
unit; a `Verdict` is made of one only when somebody looks at it. Arrays of the standard library, because importing numpy
takes longer than a terminal's answer may (decision 0007).
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from itertools import compress
from typing import TYPE_CHECKING, Any, Self, overload

from dags.detection.rules import Build, Cause, Judged, Kind, Verdict, detail_of
from dags.domain.units import EPOCH, Measure, Outcome, Unit

if TYPE_CHECKING:
    from datetime import date, datetime

MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime) -> int:
    """Since 1970, as the columns have an instant."""
    return (instant - EPOCH) // MICROSECOND


def instant(ticks: int) -> datetime:
    """What `microseconds` has made a number of."""
    return EPOCH + ticks * MICROSECOND


@dataclass(frozen=True, eq=False)
class Columns:
    """What is each unit's own: its team, what its source and its table hold, and what was built last, and when.

    All are of one length. ``built_at`` counts microseconds since 1970.
    """

    teams: array[int] = field(default_factory=lambda: array("Q"))
    source_distinct: array[int] = field(default_factory=lambda: array("Q"))
    source_total: array[int] = field(default_factory=lambda: array("Q"))
    target_distinct: array[int] = field(default_factory=lambda: array("Q"))
    target_total: array[int] = field(default_factory=lambda: array("Q"))
    built_distinct: array[int] = field(default_factory=lambda: array("Q"))
    built_at: array[int] = field(default_factory=lambda: array("q"))

    def all(self) -> tuple[array[int], ...]:
        return (
            self.teams,
            self.source_distinct,
            self.source_total,
            self.target_distinct,
            self.target_total,
            self.built_distinct,
            self.built_at,
        )

    def append(self, team: int, source: tuple[int, int], target: tuple[int, int], built: tuple[int, int]) -> None:
        """Add a unit; ``built`` is the distinct things of the last build, and when it ended."""
        self.teams.append(team)
        self.source_distinct.append(source[0])
        self.source_total.append(source[1])
        self.target_distinct.append(target[0])
        self.target_total.append(target[1])
        self.built_distinct.append(built[0])
        self.built_at.append(built[1])

    def where(self, chosen: Sequence[bool]) -> Columns:
        return Columns(*(array(one.typecode, compress(one, chosen)) for one in self.all()))


@dataclass(frozen=True, eq=False)
class Alike(Judged):
    """Units of one table and day that are judged alike, in the same words.

    ``outcome`` is that of their last builds, None where the ledger knows none. ``failure`` says which build failed.
    ``detail``, where it is not empty, is said of each in place of what its numbers amount to. ``shard`` is where they
    lie, 0 where there is one.
    """

    table: str
    day: date
    kind: Kind
    cause: Cause = Cause.NONE
    is_held: bool = False
    is_inconsistent: bool = False
    is_interior: bool = False
    outcome: Outcome | None = None
    failure: str = ""
    detail: str = ""
    words: tuple[str, str] = ("distinct", "in all")
    shard: int = 0
    columns: Columns = field(default_factory=Columns)

    def __len__(self) -> int:
        return len(self.columns.teams)

    def __iter__(self) -> Iterator[Verdict]:
        return (self.verdict(number) for number in range(len(self)))

    @property
    def teams(self) -> array[int]:
        return self.columns.teams

    def key(self) -> tuple[Any, ...]:
        """What these units share; those of equal keys belong together."""
        return tuple(getattr(self, name) for name in _SHARED)

    def verdict(self, number: int) -> Verdict:
        """The judgement on one of the units."""
        team, source_distinct, source_total, target_distinct, target_total, built_distinct, built_at = (
            column[number] for column in self.columns.all()
        )
        source, target = Measure(source_distinct, source_total), Measure(target_distinct, target_total)
        build = None if self.outcome is None else Build(self.outcome, Measure(built_distinct), instant(built_at))
        return Verdict(
            Unit(self.table, team, self.day),
            self.kind,
            self.cause,
            self.detail or (detail_of(source, target, build, self.failure, self.words) if self.is_wrong else ""),
            is_held=self.is_held,
            is_inconsistent=self.is_inconsistent,
            is_interior=self.is_interior,
            source=source,
            target=target,
            last_failure=self.failure,
        )

    def where(self, chosen: Sequence[bool]) -> Alike:
        """Those of the units that are chosen, by their place."""
        return self if all(chosen) else replace(self, columns=self.columns.where(chosen))

    def split(self, key: Callable[[int], Hashable]) -> dict[Any, Alike]:
        """The units by what ``key`` says of their teams."""
        keys = [key(team) for team in self.teams]
        distinct = dict.fromkeys(keys)
        if len(distinct) == 1:
            return dict.fromkeys(distinct, self)
        return {one: self.where([other == one for other in keys]) for one in distinct}


_SHARED = tuple(one.name for one in fields(Alike) if one.name != "columns")


@dataclass(frozen=True, eq=False)
class Verdicts(Sequence[Verdict]):
    """The verdicts on many units, by table and day, each made when it is looked at.

    It is a sequence of verdicts, for reports and tests; whoever works on all of them goes through `groups`.
    """

    groups: tuple[Alike, ...] = ()

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Self:
        """Some verdicts in columns; as they are, if they are so already."""
        if isinstance(verdicts, cls):
            return verdicts
        kept = Kept()
        for one in verdicts:
            shared = Alike(
                one.unit.table,
                one.unit.day,
                one.kind,
                one.cause,
                one.is_held,
                one.is_inconsistent,
                one.is_interior,
                failure=one.last_failure,
                detail=one.detail,
            )
            kept.columns(shared.key()).append(one.unit.team_id, one.source, one.target, (0, 0))
        return cls(kept.verdicts().groups)

    @classmethod
    def joined(cls, groups: Iterable[Alike]) -> Self:
        """Groups in the order of their tables and days; within one the order is that of the teams as they came."""
        return cls(
            tuple(sorted((one for one in groups if len(one)), key=lambda one: (one.table, one.day, *_order(one))))
        )

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    def __iter__(self) -> Iterator[Verdict]:
        return (verdict for group in self.groups for verdict in group)

    @overload
    def __getitem__(self, place: int) -> Verdict: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Verdict, ...]: ...

    def __getitem__(self, place: int | slice) -> Verdict | tuple[Verdict, ...]:
        numbers = range(len(self))[place]
        return tuple(map(self._at, numbers)) if isinstance(numbers, range) else self._at(numbers)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Verdicts | tuple):
            return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(group.key() for group in self.groups))

    def _at(self, number: int) -> Verdict:
        for group in self.groups:
            if number < len(group):
                return group.verdict(number)
            number -= len(group)
        raise IndexError(number)

    def where(self, chosen: Callable[[Alike], bool]) -> Verdicts:
        """Those groups that are chosen."""
        return Verdicts(tuple(group for group in self.groups if chosen(group)))

    def of_teams(self, teams: Collection[int]) -> Verdicts:
        """The verdicts on some teams' units."""
        wanted = frozenset(teams)
        split = (group.split(wanted.__contains__).get(True) for group in self.groups)
        return Verdicts(tuple(group for group in split if group is not None))


def _order(one: Alike) -> tuple[object, ...]:
    return (
        one.kind,
        one.cause,
        one.is_held,
        one.is_inconsistent,
        one.is_interior,
        one.outcome or "",
        one.failure,
        one.detail,
        one.shard,
    )


def repeated_unit(groups: Iterable[Alike]) -> Unit | None:
    """A unit on which there are two verdicts, if there is one. What is said of all teams is said on each shard."""
    judged: dict[tuple[str, date, int], set[int]] = defaultdict(set)
    for one in groups:
        known = judged[one.table, one.day, one.shard if one.kind is Kind.OUTDATED else 0]
        if len(known) + len(one) > len(known | set(one.teams)):
            [(team, _)] = Counter([*known, *one.teams]).most_common(1)
            return Unit(one.table, team, one.day)
        known.update(one.teams)
    return None


class Kept:
    """Gathers units one by one, and those that are alike into one group."""

    def __init__(self) -> None:
        self._columns: dict[tuple[Any, ...], Columns] = defaultdict(Columns)

    def columns(self, shared: tuple[Any, ...]) -> Columns:
        """Where the units go that share this, an `Alike.key`."""
        return self._columns[shared]

    def verdicts(self) -> Verdicts:
        return Verdicts.joined(
            Alike(**dict(zip(_SHARED, shared, strict=True)), columns=columns)
            for shared, columns in self._columns.items()
        )
