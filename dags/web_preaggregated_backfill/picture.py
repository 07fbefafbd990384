"""A picture of what is wrong, team by day, where a table would be too long to read.

Verdicts in, SVG out. It draws its own background, because the UI shows it on a light and on a dark page alike.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

from dags.detection.rules import Kind
from dags.detection.verdicts import Verdicts
from dags.domain.days import ONE_DAY, DayRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from dags.detection.rules import Verdict
    from dags.detection.verdicts import Alike

# As many teams as fit a screen, those with the most wrong units; the rest is counted below.
TEAMS = 50

# The newest days of a long look-back; what is older is counted in the tables of the report.
DAYS = 92

CELL, GAP, LEFT, TOP, LINE = 16, 2, 110, 46, 20

# Colours that stay apart for the colour-blind (Okabe and Ito, 2008), the gravest first: a cell shows its worst unit.
COLOURS = {
    Kind.MISSING: "#d55e00",
    Kind.ORPHAN: "#cc79a7",
    Kind.PARTIAL: "#e69f00",
    Kind.EXCESS: "#f0e442",
    Kind.STALE: "#56b4e9",
    Kind.WAIVED: "#b8c4de",
}
HELD, FINE, PAPER, INK = "#7f7f7f", "#e3ebe6", "#ffffff", "#333333"


def team_by_day(verdicts: Iterable[Verdict], days: DayRange) -> str:
    """An SVG with a row per team and a column per day; the teams with the most wrong units come first.

    What is waived is shown beside what is wrong; a team of which nothing is wrong has no row. One path draws all cells
    of a colour, neighbours as one dashed line: 50 teams × 92 days, no two neighbours alike, are under 100 KB.
    """
    days = DayRange(max(days.start, days.end - DAYS * ONE_DAY), days.end)
    colours, wrong_teams = colours_by_team(verdicts, days)
    parts = [_text(LEFT + CELL * n, TOP - 8, f"{day:%d}", size=9) for n, day in enumerate(days)]
    parts += [_text(LEFT + CELL * n, 28, f"{day:%b}", size=9) for n, day in enumerate(days) if n == 0 or day.day == 1]
    parts.append(_text(LEFT, 14, f"{days}", size=12))
    lines: dict[str, list[str]] = defaultdict(list)
    dashed = f'stroke-width="{CELL - GAP}" stroke-dasharray="{CELL - GAP} {GAP}"'
    for row, (team, by_day) in enumerate(colours.items()):
        top = TOP + CELL * row
        parts.append(_text(8, top + 12, f"team {team}", size=11))
        for colour, column, length in runs(by_day.get(day, FINE) for day in days):
            lines[colour].append(f"M{LEFT + CELL * column} {top + (CELL - GAP) // 2}h{CELL * length - GAP}")
    parts += [f'<path d="{"".join(drawn)}" stroke="{colour}" {dashed}/>' for colour, drawn in lines.items()]
    bottom = TOP + CELL * len(colours) + LINE
    if wrong_teams > len(colours):
        parts.append(_text(8, bottom, f"… and {wrong_teams - len(colours):,} more teams", size=11))
        bottom += LINE
    legend = [*((colour, str(kind)) for kind, colour in COLOURS.items()), (HELD, "held"), (FINE, "right, or no data")]
    for n, (colour, word) in enumerate(legend):
        parts.append(f'<rect x="{8 + 84 * n}" y="{bottom}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(24 + 84 * n, bottom + 10, word, size=11))
    width, height = max(LEFT + CELL * len(days) + 8, 84 * len(legend) + 48), bottom + LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(parts)}</svg>'
    )


def colours_by_team(
    verdicts: Iterable[Verdict], days: DayRange, most: int = TEAMS
) -> tuple[dict[int, dict[date, str]], int]:
    """The colours of the days that are not fine, of the teams with the most wrong units, first those with more; and
    how many teams have a wrong unit.
    """
    drawn = [one for one in Verdicts.of(verdicts).groups if one.kind in COLOURS and one.day in days]
    wrong_by_team: Counter[int] = Counter()
    for one in drawn:
        if one.is_wrong:
            wrong_by_team.update(one.teams)
    shown = sorted(wrong_by_team, key=lambda team: (-wrong_by_team[team], team))[:most]
    gravest: dict[int, dict[date, Alike]] = {team: {} for team in shown}
    for one in drawn:
        for team in gravest.keys() & set(one.teams):
            known = gravest[team].get(one.day)
            if known is None or _gravity(one) < _gravity(known):
                gravest[team][one.day] = one
    colours = {team: {day: _colour(one) for day, one in by_day.items()} for team, by_day in gravest.items()}
    return colours, len(wrong_by_team)


def as_markdown(svg: str) -> str:
    """The picture as Markdown, the one way in which the UI shows one; an inline ``<svg>`` is stripped there."""
    return f"![team by day](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def runs(colours: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    """Neighbours of one colour: it, the first of them, and how many they are."""
    for colour, run in groupby(enumerate(colours), key=lambda cell: cell[1]):
        cells = list(run)
        yield colour, cells[0][0], len(cells)


def _gravity(one: Alike) -> tuple[bool, bool, int]:
    return not one.is_wrong, one.is_held, list(COLOURS).index(one.kind)


def _colour(one: Alike) -> str:
    return HELD if one.is_held and one.is_wrong else COLOURS[one.kind]


def _text(x: int, y: int, words: str, *, size: int) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{INK}">{words}</text>'
