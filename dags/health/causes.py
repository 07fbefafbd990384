"""What is the matter, each thing once: the model that the page, the standing checks and the alerts share.

Pure: no clock, no database, no Dagster. A cause is told from others by its `key`, which names what is wrong, and
neither a run nor an hour: who looks twice knows whether it is still the same. Whatever else is said of it may change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, datetime

    from dags.health.facts import Facts
    from dags.health.targets import Targets


class State(StrEnum):
    """What a cause asks of people, the most pressing first.

    ``UNKNOWN``: what it is about could not be read. Nothing repairs that by itself, so a person looks. ``REPAIRING``:
    it is within its target, and being seen to. ``NOTED``: as somebody wants it, of no harm, or a person is called for
    what it comes of; never a reason to act.
    """

    NEEDS_YOU = "needs you"
    UNKNOWN = "unknown"
    REPAIRING = "repairing"
    NOTED = "noted"


class Answer(StrEnum):
    """Whether all is well, in a word."""

    OK = "OK"
    REPAIRING = "REPAIRING"
    NEEDS_YOU = "NEEDS YOU"
    UNKNOWN = "UNKNOWN"


class Check(StrEnum):
    """The standing checks, by the names that Dagster knows them by; a cause says which of them it fails.

    Of a watched table each: `NO_OLD_GAP` to `NOTHING_STUCK`. Of the detector: `NOTHING_LEFT_BEHIND`, `BACKFILLS_END`,
    `RUNS_BY_ITSELF`. Of the list of teams: `TEAM_LIST_FRESH`. Of what loads write into: `LOADS_ON_TIME`.
    """

    NO_OLD_GAP = "no_old_gap"
    FRESH = "fresh"
    TABLES_AGREE = "tables_agree"
    ACCURATE = "accurate"
    BUILDS_SUCCEED = "builds_succeed"
    NOTHING_STUCK = "nothing_stuck"
    NOTHING_LEFT_BEHIND = "nothing_left_behind"
    BACKFILLS_END = "backfills_end"
    RUNS_BY_ITSELF = "runs_by_itself"
    TEAM_LIST_FRESH = "team_list_fresh"
    LOADS_ON_TIME = "loads_on_time"


OF_TABLES = (
    Check.NO_OLD_GAP,
    Check.FRESH,
    Check.TABLES_AGREE,
    Check.BUILDS_SUCCEED,
    Check.NOTHING_STUCK,
    Check.ACCURATE,
)


# Of more teams it is said how many they are.
TEAMS_NAMED = 100

# These are of what an evaluation finds in the data.
OF_DATA = frozenset(OF_TABLES) - {Check.BUILDS_SUCCEED, Check.ACCURATE}

# What is only noted, or repaired within its target, fails these too, as a warning: their names say what is so now.
WARNING = frozenset({Check.BUILDS_SUCCEED, Check.TABLES_AGREE})


@dataclass(frozen=True)
class Cause:
    """One thing that is the matter.

    ``key``: ``gap:late``, ``sensor:web_analytics_backfill_sensor``, ``work:postgres-backfill-1a2b3c4d``. ``what`` is a
    phrase of what is wrong; ``whom`` says which teams, tables and days in words; ``since`` when it began, or was first
    seen, None where that is not known. ``doing`` is what is being done about it without anybody, ``to_do`` what a
    person should do, with the ``command`` as it is typed, each of several in a line of its own; ``cost`` what its
    repair will take, whoever begins it; ``error`` all that was read of an error that ``what`` has the begin of. Each
    is empty where there is nothing, or nothing is known.

    ``tables`` are the watched tables that it strikes, none where it is of no table. ``checks`` are those that it fails
    while it needs a person or is unknown, `TABLES_AGREE` of the ``disagreeing`` ones alone, where it has such.
    ``size``: of how many (table, team, day) or teams it is, 0 where it is of one thing; ``days`` and ``teams`` are
    those that it strikes, ``teams`` none where they are more than `TEAMS_NAMED`. Who was told of it hears once more
    when it has grown, or has spread to others.
    """

    key: str
    state: State
    what: str
    whom: str = ""
    since: datetime | None = None
    doing: str = ""
    to_do: str = ""
    command: str = ""
    tables: tuple[str, ...] = ()
    checks: frozenset[Check] = frozenset()
    size: int = 0
    days: tuple[date, ...] = ()
    teams: tuple[int, ...] = ()
    cost: str = ""
    error: str = ""
    disagreeing: tuple[str, ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """Each by itself."""
        return tuple(self.command.split("\n")) if self.command else ()

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody must act, or look at least."""
        return self.state in (State.NEEDS_YOU, State.UNKNOWN)

    def fails(self, check: Check) -> bool:
        """Whether a check that it strikes fails for it."""
        return self.needs_a_person or check in WARNING

    def strikes(self, check: Check, table: str = "") -> bool:
        """Whether it is a reason for a check of a table to fail, or for one that is of no table."""
        tables = (check is Check.TABLES_AGREE and self.disagreeing) or self.tables
        return check in self.checks and (not table or not tables or table in tables)


@dataclass(frozen=True)
class Health:
    """Whether all is well at one moment, and all that is the matter, the most pressing first; by which targets.

    ``facts`` are all that it was judged by, for whoever shows more.
    """

    answer: Answer
    causes: tuple[Cause, ...]
    at: datetime
    targets: Targets
    facts: Facts = field(repr=False)

    @property
    def needs_a_person(self) -> bool:
        """Whether `health_job` fails. What is unknown is not well, and looks after itself least of all."""
        return self.answer in (Answer.NEEDS_YOU, Answer.UNKNOWN)

    def of(self, check: Check, table: str = "") -> tuple[Cause, ...]:
        """What a check says of a table, or of all where it is of none: also what is being repaired."""
        return tuple(cause for cause in self.causes if cause.strikes(check, table))


def few(teams: Collection[int]) -> tuple[int, ...]:
    """Teams by their ids, where they are not too many."""
    return tuple(sorted(teams)) if len(teams) <= TEAMS_NAMED else ()


def in_order(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """The most pressing first. Of these, what keeps all else from being repaired by itself, then the largest, then the
    oldest; one whose begin is not known comes after those that say it.
    """
    rank = {state: place for place, state in enumerate(State)}
    return tuple(
        sorted(
            causes,
            key=lambda one: (
                rank[one.state],
                Check.RUNS_BY_ITSELF not in one.checks,
                -one.size,
                one.since is None,
                one.since.timestamp() if one.since is not None else 0,
                one.key,
            ),
        )
    )


def answer(causes: Iterable[Cause]) -> Answer:
    """The word for all of them: what needs a person outweighs what nobody knows, and that what is being repaired."""
    states = {cause.state for cause in causes}
    for state, word in (
        (State.NEEDS_YOU, Answer.NEEDS_YOU),
        (State.UNKNOWN, Answer.UNKNOWN),
        (State.REPAIRING, Answer.REPAIRING),
    ):
        if state in states:
            return word
    return Answer.OK
