"""What one detection found: the facts that decision, reports, checks and the UI share.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Cost
from dags.detection.rules import Kind, Verdict
from dags.detection.verdicts import Verdicts
from dags.domain.text import counted
from dags.domain.units import ALL_TEAMS, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from dags.clickhouse.leases.rules import Lease
    from dags.detection.gaps.rules import Gap
    from dags.detection.verdicts import Alike
    from dags.detection.waivers.rules import Waiver
    from dags.domain.days import Calendar, DayRange
    from dags.domain.errors import Outage


@dataclass(frozen=True)
class Standing:
    """What stands in the way of launching anything, or a day: who stopped backfills, and what is being built now.

    ``run_by_lease``: table and day → the run that holds its lease in ClickHouse, also one that Dagster here does not
    know of. ``stopped`` is empty while backfills may run. ``shards``: what does on each, where there are several.
    """

    stopped: str = ""
    run_by_lease: Mapping[tuple[str, date], str] = field(default_factory=dict)
    shards: Mapping[int, Standing] = field(default_factory=dict)

    def of_shard(self, shard: int) -> Standing:
        """What stands in the way on one shard; whoever stopped backfills on one has stopped them on all."""
        return replace(self.shards[shard], stopped=self.stopped) if shard in self.shards else self


@dataclass(frozen=True)
class Detection:
    """What was found in the data at one moment.

    ``verdicts`` are those of the units that needed a look; all others are complete (``complete`` counts them by table
    and day) or have nothing to expect. ``unknown`` holds the error of each table that could not be read; ``unverified``
    the days for whose suspects a tick had no time, so that nothing is known of them yet. ``errors``: the error alone of
    each failed build that verdicts speak of, by the words in which they do; whoever lacks one takes the words.

    ``recalled`` are the days that were not read anew and when they were read, for nothing in their tables has changed
    since; all others, but for those that are unverified, were read at ``server_at``, None where nothing could be.
    ``source_rows`` says of the days with something to repair how many rows a rebuild will read, by table, and
    ``seconds_per_row`` how long past builds took for one.

    ``read_at`` is by the clock of this host, for it is compared with the times of Dagster's runs, which the daemon's
    host stamps; all other instants are ClickHouse's, and so never compared with it.

    ``gaps`` says since when days of the look-back are wrong, once somebody has read that too; ``team_warnings`` are
    those of the ``warnings`` that are of the list of teams; ``team_mismatches``: about how many teams the dictionary
    disagrees with the list, None where it cannot be read.

    ``living`` are the leases that are held; ``standing`` is what keeps days from being launched, once somebody has
    read that too; ``dead_runs`` are those that hold a lease and have been silent
    for too long, by `dags.clickhouse.leases.rules.run_key`, with when they were last heard of: as many seconds before
    ``read_at`` as ClickHouse counts.

    ``enabled`` are the ids of the teams, and ``residents`` those that have rows in a table, read only where there are
    several shards; ``unplaced`` are the enabled teams that are on no shard that could be read, where one could not, so
    they may be there; ``shards`` is what was found on each, where this is of all of them, see `dags.detection.shards`:
    its residents are also the teams that have but a source. ``split`` are the teams that have rows on several
    shards, with these; every table is ``unknown`` for them. ``outage`` is what is out of reach where nothing could be
    read for that.
    """

    read_at: datetime
    calendar: Calendar
    lookback_days: int
    tables: tuple[str, ...]
    teams: int
    selected_at: datetime | None
    warnings: tuple[str, ...]
    verdicts: Verdicts
    complete: Mapping[tuple[str, date], int]
    unknown: Mapping[str, str]
    cost: Cost
    living: tuple[Lease, ...] = ()
    standing: Standing = field(default_factory=Standing)
    dead_runs: Mapping[str, datetime] = field(default_factory=dict)
    unverified: frozenset[date] = frozenset()
    recalled: Mapping[date, datetime] = field(default_factory=dict)
    server_at: datetime | None = None
    outdated: Mapping[tuple[str, date], int] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    source_rows: Mapping[tuple[str, date], int] = field(default_factory=dict)
    seconds_per_row: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    team_warnings: tuple[str, ...] = ()
    team_mismatches: int | None = None
    enabled: frozenset[int] = frozenset()
    residents: frozenset[int] = frozenset()
    unplaced: frozenset[int] = frozenset()
    shards: Mapping[int, Detection] = field(default_factory=dict)
    split: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    outage: Outage | None = None

    @property
    def is_blind(self) -> bool:
        """Whether nothing is known of any table, on any shard."""
        if self.shards:
            return all(one.is_blind for one in self.shards.values())
        return self.unknown.keys() >= set(self.tables)

    @property
    def is_partial(self) -> bool:
        """Whether something is known on some of several shards, whatever is unknown on the others."""
        return bool(self.shards) and not self.is_blind

    @property
    def unsure(self) -> frozenset[int]:
        """The enabled teams of which not all is known, on several shards: those of the others are judged."""
        partly = (one.residents for one in self.shards.values() if one.unknown)
        return (self.unplaced | self.split.keys()).union(*partly) & self.enabled

    def shards_of(self, team: int) -> tuple[int, ...]:
        """The shards that were read on which a team lies; none where there is one shard."""
        return tuple(shard for shard, one in self.shards.items() if team in one.residents)

    @property
    def complete_by_table(self) -> dict[str, int]:
        """How many units of each table that was read hold their source."""
        found = {table: 0 for table in self.tables if table not in self.unknown}
        for (table, _), count in self.complete.items():
            if table in found:
                found[table] += count
        return found

    @property
    def days_read(self) -> int:
        """How many days were read just now."""
        known = len(self.recalled) + len(self.unverified)
        return 0 if self.server_at is None else len(self.calendar.judged) - known

    @property
    def oldest_reading(self) -> datetime | None:
        """Since when what is said here is known to be so."""
        return min(self.recalled.values(), default=self.server_at)

    def within(self, days: DayRange, lookback_days: int) -> Detection:
        """What was found on some of the days alone."""
        return replace(
            self,
            calendar=self.calendar.within(days),
            lookback_days=lookback_days,
            verdicts=self.verdicts.where(lambda one: one.day in days),
            complete={unit: count for unit, count in self.complete.items() if unit[1] in days},
            unverified=frozenset(day for day in self.unverified if day in days),
            recalled={day: at for day, at in self.recalled.items() if day in days},
            outdated={unit: count for unit, count in self.outdated.items() if unit[1] in days},
            source_rows={unit: rows for unit, rows in self.source_rows.items() if unit[1] in days},
            shards={shard: one.within(days, lookback_days) for shard, one in self.shards.items()},
        )

    @property
    def wrong(self) -> Verdicts:
        return self.verdicts.where(lambda one: one.is_wrong)

    @property
    def missing(self) -> Verdicts:
        return self.verdicts.where(lambda one: one.kind is Kind.MISSING)

    @property
    def waived(self) -> Verdicts:
        return self.verdicts.where(lambda one: one.kind is Kind.WAIVED)


def unreadable(
    reason: str,
    tables: tuple[str, ...],
    calendar: Calendar,
    lookback_days: int,
    read_at: datetime,
    *,
    outage: Outage | None = None,
) -> Detection:
    """Of a database from which nothing can be known: every table is unknown, none complete, and nothing is launched."""
    return Detection(
        read_at=read_at,
        calendar=calendar,
        lookback_days=lookback_days,
        tables=tables,
        teams=0,
        selected_at=None,
        warnings=(),
        verdicts=Verdicts(),
        complete={},
        unknown=dict.fromkeys(tables, reason[:1000]),
        cost=Cost(),
        outage=outage,
    )


def with_waivers(
    verdicts: Iterable[Verdict], waivers: Iterable[Waiver], today: date
) -> tuple[Verdicts, tuple[Waiver, ...]]:
    """The verdicts, what a waiver covers turned into *waived*; and the waivers that hold today."""
    holding = tuple(waiver for waiver in waivers if waiver.holds(today))
    found: list[Alike] = []
    for group in Verdicts.of(verdicts).groups:
        left: Alike | None = group
        for waiver in holding if group.is_wrong else ():
            if left is None or group.day not in waiver.days or waiver.table not in ("", group.table):
                continue
            split = left.split(waiver.teams.__contains__) if waiver.teams else {True: left}
            if (covered := split.get(True)) is not None:
                detail = f"{group.reason}; waived until {waiver.valid_until} by {waiver.requested_by}: {waiver.reason}"
                found.append(replace(covered, kind=Kind.WAIVED, detail=detail))
            left = split.get(False)
        if left is not None:
            found.append(left)
    return Verdicts.joined(found), holding


def with_interiors(verdicts: Iterable[Verdict], spans: Mapping[tuple[str, int], tuple[date, date]]) -> Verdicts:
    """The verdicts, those marked that are a hole between days of which the table has rows.

    ``spans``: table and team → the first and the last day with rows.
    """
    marked: list[Alike] = []
    for group in Verdicts.of(verdicts).groups:
        if group.kind is not Kind.MISSING or not spans:
            marked.append(group)
            continue

        def is_interior(team: int, table: str = group.table, day: date = group.day) -> bool:
            first, last = spans.get((table, team), (day, day))
            return first < day < last

        split = group.split(is_interior)
        marked += [replace(some, is_interior=True) if inside else some for inside, some in split.items()]
    return Verdicts.joined(marked)


def as_outdated(counts: Mapping[tuple[str, date], int], version_by_table: Mapping[str, int]) -> Verdicts:
    """One verdict for each day of a table that an older logic version built, for all of its teams together."""
    return Verdicts.of(
        Verdict(
            Unit(table, ALL_TEAMS, day),
            Kind.OUTDATED,
            detail=f"{counted(count, 'team')} built by an older logic version than {version_by_table[table]}",
        )
        for (table, day), count in sorted(counts.items())
        if count
    )
