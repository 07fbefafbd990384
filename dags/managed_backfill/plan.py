"""The plan of a managed backfill: a document that a person reads, keeps, edits and hands back.

Pure: no clock, no database, no Dagster. A plan that was accepted is frozen: what is done later, by a resume or a retry,
is what it says and nothing that would be worked out anew. So it names the teams and days, not how to find them.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, FailFast, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import PydanticCustomError

from dags.domain.days import FIRST_DAY, LAST_DAY, MAX_LOOKBACK_DAYS, ONE_DAY, DayRange, in_words
from dags.domain.errors import UserError
from dags.work import document
from dags.work.plan import NOTHING, Amount, Ceilings, Count, Estimate, Monitoring, Parallelism, Part, total

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dags.work.plan import Rates


class Extent(StrEnum):
    """Which units of the range are rebuilt."""

    FULL_RELOAD = "full_reload"
    INCREMENTAL = "incremental"
    GAP_FILLING = "gap_filling"
    CORRECTION = "point_in_time_correction"


class ChunkBy(StrEnum):
    """Where a chunk ends at the latest."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class OnGateFailure(StrEnum):
    """What becomes of what was published, if a gate after the last chunk fails."""

    RESTORE = "restore"
    KEEP = "keep"


def _at_most_ten_years(chunks: object) -> object:
    """Refused before each of a million chunks is looked at."""
    if isinstance(chunks, list) and len(chunks) > MAX_LOOKBACK_DAYS:
        raise PydanticCustomError("chunks", "give at most one for each day of ten years")
    return chunks


TeamId = Annotated[int, Field(ge=1, lt=2**64)]
# Of a list of ids that is none, one violation says it.
TeamIds = Annotated[tuple[TeamId, ...], FailFast(), Field(min_length=1)]
Day = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]
Days = Annotated[tuple[Day, ...], FailFast(), Field(min_length=1)]
RangeDays = Annotated[int, Field(ge=1, le=MAX_LOOKBACK_DAYS)]
ChunkDays = Annotated[int, Field(ge=1, le=366)]


class Held(Part):
    """Teams of a day that keep their rows, for their source has less; ``words``: some of them with their figures."""

    team_ids: TeamIds
    words: str = ""


class Scope(Part):
    """What the plan is about. Both ends of the range are included.

    ``left_out`` says of days of the range why they are in no chunk, ``held`` of which teams no chunk is, by day.
    ``shard``: on which it was made, whose teams and days it has; 0, and not in the document, where there is one.
    """

    table: str
    shard: Annotated[int, Field(ge=0, lt=2**32)] = 0
    start_date: Day
    end_date: Day
    team_ids: TeamIds
    max_range_days: RangeDays
    left_out: dict[str, str] = Field(default_factory=dict)
    held: dict[Day, Held] = Field(default_factory=dict)
    estimate: Estimate = NOTHING
    estimated_from: str = ""
    memory_at_most_bytes: Amount = 0

    @property
    def days(self) -> DayRange:
        return DayRange(self.start_date, self.end_date + ONE_DAY)

    @model_serializer(mode="wrap")
    def _in_document(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in written(self).items() if name != "shard" or value}


class Strategy(Part):
    """How the chunks were cut, and how they are carried out."""

    kind: Extent
    chunk_by: ChunkBy
    chunk_size_days: ChunkDays
    chunk_size_rows: Count | None = None
    parallelism: Parallelism = 1
    newest_first: bool = False
    preserve_existing: bool = False
    allow_shrink: bool = False
    on_gate_failure: OnGateFailure = OnGateFailure.RESTORE
    ceilings: Ceilings = Ceilings()


class Chunk(Part):
    """Days that are reported, paused and counted as one. ``team_ids_by_day``: where not all teams of the plan."""

    # The audit keeps it in 32 bits.
    id: Annotated[int, Field(ge=1, lt=2**32)]
    days: Days
    team_ids_by_day: dict[Day, TeamIds] = Field(default_factory=dict)
    estimate: Estimate = NOTHING
    status: str = "planned"

    def __str__(self) -> str:
        return in_words(self.days)

    @property
    def steps(self) -> tuple[str, ...]:
        """Its days, as the log of its work has them."""
        return tuple(map(str, self.days))

    def named(self) -> dict[str, Any]:
        """What a report says of it first."""
        return {"id": self.id, "date_range": f"{min(self.days)} … {max(self.days)}"}


class Checks(Part):
    """The gates, by name; see the README for what each asks."""

    before: tuple[str, ...]
    chunk: tuple[str, ...]
    after: tuple[str, ...]


class Rollback(Part):
    """The backup of each day, taken before the day is replaced."""

    backup: str
    kept_days: RangeDays


class Plan(Part):
    """The whole document."""

    name: str = Field(min_length=1)
    description: str = ""
    created: datetime
    requested_by: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    scope: Scope
    strategy: Strategy
    checks: Checks
    chunks: Annotated[tuple[Chunk, ...], Field(min_length=1), BeforeValidator(_at_most_ten_years)]
    rollback: Rollback
    monitoring: Monitoring = Monitoring()

    def teams(self, chunk: Chunk, day: date) -> tuple[int, ...]:
        """Whom to rebuild on a day of a chunk."""
        return chunk.team_ids_by_day.get(day, self.scope.team_ids)

    @property
    def teams_by_day(self) -> dict[date, frozenset[int]]:
        """Whom to rebuild, day by day."""
        return {day: frozenset(self.teams(chunk, day)) for chunk in self.chunks for day in chunk.days}

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(sorted(day for chunk in self.chunks for day in chunk.days))

    @property
    def estimate(self) -> Estimate:
        return total(chunk.estimate for chunk in self.chunks)


# The document's parts by the field that holds them.
_PARTS: dict[str, type[BaseModel]] = {
    "": Plan, "scope": Scope, "held": Held, "estimate": Estimate, "strategy": Strategy, "ceilings": Ceilings,
    "chunks": Chunk, "checks": Checks, "rollback": Rollback, "monitoring": Monitoring,
}  # fmt: skip


def chunked(
    teams_by_day: Mapping[date, tuple[int, ...] | None],
    rows_by_day: Mapping[date, int],
    strategy: Strategy,
    rates: Rates,
) -> tuple[Chunk, ...]:
    """Days cut into chunks. ``None`` for a day's teams: all of the plan's.

    A chunk ends at the first that is reached: its number of days, its number of source rows, the end of the ISO week
    or of the month; never inside a day. The numbers follow the order in which chunks are carried out.
    """
    groups: list[list[date]] = []
    key, rows = None, 0
    for day in sorted(teams_by_day, reverse=strategy.newest_first):
        ahead = rows_by_day.get(day, 0)
        is_full = bool(groups) and (
            len(groups[-1]) >= strategy.chunk_size_days
            or _period(day, strategy.chunk_by) != key
            or (strategy.chunk_size_rows is not None and rows + ahead > strategy.chunk_size_rows)
        )
        if not groups or is_full:
            groups.append([])
            rows = 0
        groups[-1].append(day)
        key, rows = _period(day, strategy.chunk_by), rows + ahead
    return tuple(
        Chunk(
            id=number,
            days=tuple(days),
            team_ids_by_day={day: teams for day in days if (teams := teams_by_day[day]) is not None},
            estimate=total(rates.of(rows_by_day.get(day, 0)) for day in days),
        )
        for number, days in enumerate(groups, start=1)
    )


def _period(day: date, chunk_by: ChunkBy) -> object:
    if chunk_by is ChunkBy.WEEK:
        return day.isocalendar()[:2]
    return (day.year, day.month) if chunk_by is ChunkBy.MONTH else None


def from_yaml(text: str) -> Plan:
    """The plan that a document holds.

    Raises:
        UserError: every violation at once, each with its place in the document.
    """
    plan = document.from_yaml(text, Plan, _PARTS)
    if problems := contradictions(plan):
        raise UserError("the plan contradicts itself, nothing was touched:\n" + "\n".join(problems))
    return plan


def contradictions(plan: Plan) -> list[str]:
    """What an edited document says twice, or outside its own scope; each in words."""
    days = Counter(day for chunk in plan.chunks for day in chunk.days)
    ids = Counter(chunk.id for chunk in plan.chunks)
    problems = [f"chunks: the id {number} occurs {times} times" for number, times in ids.items() if times > 1]
    if twice := [day for day, times in days.items() if times > 1]:
        problems.append(f"chunks: {in_words(twice)} are in more than one chunk")
    if outside := [day for day in days if day not in plan.scope.days]:
        problems.append(
            f"chunks: {in_words(outside)} lie outside scope, {plan.scope.start_date} … {plan.scope.end_date}"
        )
    known = frozenset(plan.scope.team_ids)
    for chunk in plan.chunks:
        if strange := sorted(set(chunk.team_ids_by_day) - set(chunk.days)):
            problems.append(f"chunk {chunk.id}: team_ids_by_day names {in_words(strange)}, not among its days")
        strangers = {team for teams in chunk.team_ids_by_day.values() for team in teams} - known
        if strangers:
            problems.append(f"chunk {chunk.id}: teams {sorted(strangers)[:5]} are not in scope.team_ids")
    return problems
