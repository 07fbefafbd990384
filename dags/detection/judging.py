"""Judges the suspects of a day, thousands at a time, from what was counted of them.

Pure: no clock, no database, no Dagster. What each unit is judged by is `dags.detection.rules`.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dags.detection.rules import Cause, Failure, Kind, failed_since, is_fine, judge
from dags.detection.verdicts import Alike, Kept, Verdicts, instant
from dags.domain.units import ALL_TEAMS, Measure, Outcome, shrinks

if TYPE_CHECKING:
    from datetime import date

# What is counted of some teams.
Measures = Mapping[int, Measure]

_NOTHING = Measure()


@dataclass(frozen=True)
class Suspects:
    """The units of one table and day that need a look, with what the projections and the ledger say of them.

    ``events``, ``qualifying`` and ``newest`` are their fingerprints, ``rows`` what the table has of them. ``built_at``,
    in microseconds since 1970 as ``newest``, is 0 where the ledger knows no build; ``distinct`` and ``total`` are what
    that recorded, and ``is_verified`` that it was a detection.
    """

    teams: array[int] = field(default_factory=lambda: array("Q"))
    events: array[int] = field(default_factory=lambda: array("Q"))
    qualifying: array[int] = field(default_factory=lambda: array("Q"))
    newest: array[int] = field(default_factory=lambda: array("q"))
    rows: array[int] = field(default_factory=lambda: array("Q"))
    distinct: array[int] = field(default_factory=lambda: array("Q"))
    total: array[int] = field(default_factory=lambda: array("Q"))
    is_verified: array[int] = field(default_factory=lambda: array("B"))
    built_at: array[int] = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, columns: Sequence[Sequence[int]]) -> Suspects:
        """From the columns of an answer, in the order of the fields."""
        return cls(*(array(typecode, column) for typecode, column in zip("QQQqQQQBq", columns, strict=True)))

    def __len__(self) -> int:
        return len(self.teams)

    def present(self) -> Iterator[int]:
        """The teams of which the table has rows; of the others it holds nothing, which nobody need count."""
        return (team for team, rows in zip(self.teams, self.rows, strict=True) if rows)

    def build(self, number: int) -> tuple[Measure | None, Outcome | None]:
        """What the last build of a unit recorded, and how it ended."""
        if not self.built_at[number]:
            return None, None
        recorded = Measure(self.distinct[number], self.total[number])
        if self.is_verified[number]:
            return recorded, Outcome.VERIFIED
        return recorded, Outcome.BUILT if recorded else Outcome.EMPTY


@dataclass(frozen=True)
class Judgement:
    """What became of a day's suspects.

    ``complete`` counts those that are in order. ``equal``: by table, the places of those whose table holds what their
    source holds, which is worth remembering.
    """

    wrong: Verdicts
    complete: Mapping[str, int]
    equal: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Table:
    """A table's day to be judged: its suspects, what was counted of them, and what its declaration says.

    ``failures`` are the last failed builds by team, `ALL_TEAMS` among them. ``is_open``: its source may still grow.
    """

    suspects: Suspects
    source: Measures
    target: Measures
    failures: Mapping[int, Failure] = field(default_factory=dict)
    agrees_with: tuple[str, ...] = ()
    words: tuple[str, str] = ("distinct", "in all")
    is_open: bool = False

    def last_failure(self, team: int) -> Failure | None:
        """Of the unit itself, or of all teams of its day."""
        found = (self.failures.get(team), self.failures.get(ALL_TEAMS))
        return max((failure for failure in found if failure is not None), key=lambda f: f.failed_at, default=None)


# By table and day: when it was put back, in microseconds since 1970, and whose last builds were taken back by that.
PutBack = Mapping[tuple[str, "date"], Sequence[tuple[int, Collection[int]]]]

# What a table that was put back as it was before a build looks like.
AS_BEFORE = frozenset({Cause.ROWS_LOST, Cause.DIFFERS})


def with_rollbacks(groups: Iterable[Alike], put_back: PutBack) -> list[Alike]:
    """The verdicts, those told as rolled back whose last build was taken back, and who were not built since."""
    found = []
    for one in groups:
        ends = put_back.get((one.table, one.day), ()) if one.cause in AS_BEFORE else ()
        units = zip(one.teams, one.columns.built_at, strict=True)
        undone = [any(at <= end and team in teams for end, teams in ends) for team, at in units]
        if any(undone):
            found.append(replace(one.where(undone), cause=Cause.ROLLED_BACK))
        if not all(undone):
            found.append(one.where([not is_so for is_so in undone]))
    return found


def judge_day(day: date, tables: Mapping[str, Table]) -> Judgement:
    """The verdicts on the suspects of a day, those marked whose tables disagree.

    A unit that is no suspect is complete and so holds what its source holds. Of two tables that disagree the one that
    differs from the source is wrong; the mark is on that one.
    """
    suspected = {name: frozenset(table.suspects.teams) for name, table in tables.items()}
    kept = Kept()
    complete: dict[str, int] = {}
    equal: dict[str, list[int]] = {}
    for name, table in tables.items():
        suspects, failures = table.suspects, bool(table.failures)
        others = [(suspected[other], tables[other].target) for other in table.agrees_with if other in tables]
        is_alone = len(others) < len(table.agrees_with)
        complete[name], equal[name] = 0, []
        for number, team in enumerate(suspects.teams):
            source, target = table.source.get(team, _NOTHING), table.target.get(team, _NOTHING)
            recorded, outcome = suspects.build(number)
            built_at = suspects.built_at[number]
            failure = ""
            if failures and (last := table.last_failure(team)) is not None:
                failure = failed_since(last, instant(built_at) if built_at else None)
            kind, cause = judge(source, target, recorded, has_failed=bool(failure), is_open=table.is_open)
            if source == target:
                equal[name].append(number)
            if is_fine(kind):
                complete[name] += kind is Kind.COMPLETE
                continue
            disagrees = is_alone and source != target
            for teams, holds in others:
                disagrees = disagrees or (holds.get(team, _NOTHING) if team in teams else source) != target
            shared = (name, day, kind, cause, shrinks(target, source), disagrees, False, outcome, failure, "")
            built = (recorded.distinct if recorded else 0, built_at)
            # Of which shard this is whoever merges shards knows.
            kept.columns((*shared, table.words, 0)).append(team, source, target, built)
    return Judgement(kept.verdicts(), complete, equal)
