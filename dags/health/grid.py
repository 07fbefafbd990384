"""The picture of the page, team by day: the teams with the most wrong units by name, all others in sums.

Pure: no clock, no database, no Dagster. A day of which nothing is known is shown as unknown, and never as fine.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from dags.domain.days import ONE_DAY, DayRange
from dags.web_preaggregated_backfill.picture import COLOURS, DAYS, HELD, TEAMS, colours_by_team

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from dags.detection.detection import Detection

FINE, UNKNOWN, IS_HELD = "fine", "unknown", "held"

# What a cell is, by the colour that the picture in the UI has for it.
WORDS = {**{colour: str(kind) for kind, colour in COLOURS.items()}, HELD: IS_HELD}

# A sign stands beside each colour, for who cannot tell them apart.
SIGNS = {word: word[0].upper() for word in WORDS.values()} | {FINE: "", UNKNOWN: "?"}

# What the legend says of a cell, where that is more than its word. A team without events on a day is expected to have
# no rows of it, so such a day is fine.
LEGEND = {word: word for word in SIGNS} | {
    FINE: "right, or no data on that day",
    UNKNOWN: "unknown: not read, or not verified yet",
    IS_HELD: "held: waits for a person",
}


@dataclass(frozen=True)
class Row:
    """A team, and in words what the gravest of each of its days is."""

    team: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """``wrong`` and ``others`` count teams with a wrong unit by day: of all, and of those that have no row, which are
    ``left_out`` in all. ``known`` says of each day whether all was read. ``unread`` counts the teams without a row of
    which nothing is known, for the shard where they may be could not be read.
    """

    days: DayRange
    wrong: tuple[int, ...]
    known: tuple[bool, ...]
    rows: tuple[Row, ...]
    others: tuple[int, ...]
    left_out: int
    unread: int = 0

    @property
    def months(self) -> tuple[tuple[date, int], ...]:
        """The first day that is shown of each month, and how many are."""
        by_month = (tuple(days) for _, days in groupby(self.days, key=lambda day: (day.year, day.month)))
        return tuple((days[0], len(days)) for days in by_month)


def grid(found: Detection) -> Grid:
    """The newest days of the look-back, and the teams that are worst on them."""
    judged = found.calendar.judged
    days = DayRange(max(judged.start, judged.end - DAYS * ONE_DAY), judged.end)
    colours, wrong_teams = colours_by_team(found.verdicts, days)
    by_day: dict[date, set[int]] = defaultdict(set)
    for one in found.wrong.groups:
        by_day[one.day].update(one.teams)
    known = [_is_known(found, day) for day in days]
    shards = _shards(found, colours)
    rows = [
        Row(
            team,
            tuple(
                WORDS[cells[day]] if day in cells else FINE if _is_known(shards[team], day) else UNKNOWN for day in days
            ),
        )
        for team, cells in colours.items()
    ]
    unread = sorted(found.unplaced)[: TEAMS - len(rows)]
    rows += [Row(team, (UNKNOWN,) * len(days)) for team in unread]
    return Grid(
        days,
        tuple(len(by_day[day]) for day in days),
        tuple(known),
        tuple(rows),
        tuple(len(by_day[day] - colours.keys()) for day in days),
        wrong_teams - len(colours),
        len(found.unplaced) - len(unread),
    )


def _is_known(found: Detection, day: date) -> bool:
    return not found.unknown and day not in found.unverified


def _shards(found: Detection, teams: Collection[int]) -> dict[int, Detection]:
    """What was found where each team lies, which may be known while another shard is down."""
    shards = dict.fromkeys(teams, found)
    for one in found.verdicts.groups:
        if one.shard in found.shards:
            shards |= dict.fromkeys(shards.keys() & set(one.teams), found.shards[one.shard])
    return shards
