"""The picture of the page, team by day: the teams with the most wrong units by name, all others in sums.

Pure: no clock, no database, no Dagster. A day of which nothing is known is shown as unknown, and never as fine.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from dags.domain.days import ONE_DAY, DayRange
from dags.web_preaggregated_backfill.picture import COLOURS, DAYS, HELD, colours_by_team

if TYPE_CHECKING:
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
    ``left_out`` in all. ``known`` says of each day whether all was read.
    """

    days: DayRange
    wrong: tuple[int, ...]
    known: tuple[bool, ...]
    rows: tuple[Row, ...]
    others: tuple[int, ...]
    left_out: int

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
    known = [not found.unknown and day not in found.unverified for day in days]
    rows = [
        Row(
            team,
            tuple(
                WORDS[cells[day]] if day in cells else FINE if is_known else UNKNOWN
                for day, is_known in zip(days, known, strict=True)
            ),
        )
        for team, cells in colours.items()
    ]
    return Grid(
        days,
        tuple(len(by_day[day]) for day in days),
        tuple(known),
        tuple(rows),
        tuple(len(by_day[day] - colours.keys()) for day in days),
        wrong_teams - len(colours),
    )
