"""The picture of what is wrong, team by day, in so few characters that the UI shows it without a click.

Dagster's UI shows Markdown of less than a thousand characters in its place, and what is longer behind a link. So this
one has the worst teams and the newest days alone where all would be too many, and says so; `picture` has them all.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dags.domain.days import ONE_DAY, DayRange
from dags.domain.text import counted
from dags.web_preaggregated_backfill.picture import COLOURS, FINE, HELD, colours_by_team, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from dags.detection.rules import Verdict

# As wide as the column of values is beside the columns of keys and times, at 1440 pixels; and rows a text fits into.
WIDTH, ROW = 284, 12

# So many teams are a third of a screen.
TEAMS = 15

# A digit at ten pixels.
DIGIT = 6

_WORDS = {**{colour: str(kind) for kind, colour in COLOURS.items()}, HELD: "held", FINE: "fine"}


def small_team_by_day(verdicts: Iterable[Verdict], days: DayRange, characters: int) -> str:
    """The picture as Markdown of at most so many characters; empty where no team has a wrong unit.

    A row is a team and a column a day, the teams with the most wrong units first. Teams are left out until it fits,
    then the older days.
    """
    colours, wrong_teams = colours_by_team(verdicts, days, TEAMS)
    if not colours:
        return ""
    while len(drawn := _markdown(colours, wrong_teams, days)) > characters and (len(colours) > 1 or len(days) > 1):
        if len(colours) > TEAMS // 3 or len(days) == 1:
            colours.popitem()
        else:
            days = DayRange(days.start + (len(days) + 7) // 8 * ONE_DAY, days.end)
    return drawn


def _markdown(colours: Mapping[int, Mapping[date, str]], wrong_teams: int, days: DayRange) -> str:
    """The address has no more escapes than Markdown and browsers need: each takes the room of three characters."""
    left, top = 6 + DIGIT * max(len(str(team)) for team in colours), 16
    teams, columns = len(colours), len(days)
    bottom = top + ROW * (teams + 1)
    used = dict.fromkeys(colour for by_day in colours.values() for day, colour in by_day.items() if day in days)
    squares = " ".join(f"<a fill='{colour}'>■</a>{_WORDS[colour]}" for colour in (*used, FINE))
    more = f" +{counted(wrong_teams - teams, 'team')}" if wrong_teams > teams else ""
    labels = _labels(list(map(str, colours)), top + 10)
    # The grid is drawn with a day as one unit of width, and a team as one of height.
    grid = (
        f"<path d='M0,0h{columns}v{teams}H0' fill='{FINE}'/>"
        + "".join(f"<path d='{d}' stroke='{colour}'/>" for colour, d in _lines(colours, days).items())
        + f"<g stroke='#fff' stroke-dasharray='.1,.9'><path d='M0,{teams / 2}h{columns}' stroke-width='{teams}'/>"
        f"<path d='M{columns / 2},0v{teams}' stroke-width='{columns}'/></g>"
    )
    scale = f"translate({left},{top})scale({(WIDTH - left) / columns:.2f},{ROW})"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{bottom + 6}' "
        f"style='background:#fff;font:10px sans-serif'><text x='{left}' y='10'>{days}{more}</text>{labels}"
        f"<g transform='{scale}'>{grid}</g><text y='{bottom}'>{squares}</text></svg>"
    )
    return f"![team by day](data:image/svg+xml,{svg.replace('#', '%23').replace(' ', '%20')})"


def _labels(teams: Sequence[str], first: int) -> str:
    """The teams, each beside its row: a text each, or one of which every digit has its place, whichever is shorter."""
    rows = [first + ROW * row for row in range(len(teams))]
    each = "".join(f"<text y='{y}'>{team}</text>" for y, team in zip(rows, teams, strict=True))
    across = ",".join(str(DIGIT * place) for team in teams for place in range(len(team)))
    down = ",".join(str(y) for y, team in zip(rows, teams, strict=True) for _ in team)
    return min(each, f"<text x='{across}' y='{down}'>{''.join(teams)}</text>", key=len)


def _lines(colours: Mapping[int, Mapping[date, str]], days: DayRange) -> dict[str, str]:
    """Of each colour the lines, a unit thick, that cover its cells: along days or along teams, whichever are fewer."""
    by_team = [[by_day.get(day, FINE) for day in days] for by_day in colours.values()]
    along_days, along_teams = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for row, team in enumerate(by_team):
        for colour, first, length in runs(team):
            along_days[colour].append(f"M{first},{row}.5h{length}")
    for column, day in enumerate(zip(*by_team, strict=True)):
        for colour, first, length in runs(day):
            along_teams[colour].append(f"M{column}.5,{first}v{length}")
    return {
        colour: min("".join(lines), "".join(along_teams[colour]), key=len)
        for colour, lines in along_days.items()
        if colour != FINE
    }
