"""The picture shows the worst teams first, each cell its gravest unit, and is an SVG that stands by itself."""

from __future__ import annotations

import base64
import re
from datetime import date
from xml.etree import ElementTree as ET

import pytest

from dags.detection.rules import Kind, Verdict
from dags.domain.days import DayRange
from dags.domain.units import Unit
from dags.web_preaggregated_backfill.picture import CELL, COLOURS, FINE, HELD, TEAMS, as_markdown, team_by_day

DAYS = DayRange(date(2026, 1, 1), date(2026, 1, 4))
SVG = "{http://www.w3.org/2000/svg}"


def wrong(team: int, day: int, kind: Kind = Kind.MISSING, table: str = "stats", *, is_held: bool = False) -> Verdict:
    return Verdict(Unit(table, team, date(2026, 1, day)), kind, is_held=is_held)


def rows(svg: str) -> dict[str, list[str]]:
    """Team → the colours of its days, read back from the picture."""
    root = ET.fromstring(svg)  # noqa: S314 -- our own
    teams = [t.text or "" for t in root.iter(f"{SVG}text") if (t.text or "").startswith("team ")]
    cells: dict[int, dict[int, str]] = {}
    for path in root.iter(f"{SVG}path"):
        for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d", "")):
            run = range(int(x), int(x) + int(length), CELL)
            cells.setdefault(int(y), {}).update(dict.fromkeys(run, path.get("stroke", "")))
    drawn = [[row[x] for x in sorted(row)] for _, row in sorted(cells.items())]
    return dict(zip(teams, drawn, strict=True))


def test_a_row_is_a_team_and_a_column_a_day_the_worst_team_first() -> None:
    svg = team_by_day([wrong(1, 2), wrong(2, 1), wrong(2, 3)], DAYS)
    bad = COLOURS[Kind.MISSING]
    assert rows(svg) == {"team 2": [bad, FINE, bad], "team 1": [FINE, bad, FINE]}


def test_a_cell_shows_the_gravest_of_its_tables_and_held_only_if_nothing_else_is_wrong() -> None:
    both = [wrong(1, 1, Kind.STALE), wrong(1, 1, table="bounces"), wrong(1, 2, Kind.ORPHAN, is_held=True)]
    both += [wrong(1, 3, Kind.ORPHAN, is_held=True), wrong(1, 3, Kind.STALE, "bounces")]
    assert rows(team_by_day(both, DAYS)) == {"team 1": [COLOURS[Kind.MISSING], HELD, COLOURS[Kind.STALE]]}


def test_what_is_waived_is_shown_beside_what_is_wrong_and_gives_no_team_a_row() -> None:
    waived = [wrong(1, 1, Kind.WAIVED), wrong(2, 1, Kind.WAIVED, is_held=True), wrong(1, 2, Kind.WAIVED)]
    svg = team_by_day([*waived, wrong(1, 2, Kind.STALE), wrong(1, 3)], DAYS)
    assert rows(svg) == {"team 1": [COLOURS[Kind.WAIVED], COLOURS[Kind.STALE], COLOURS[Kind.MISSING]]}


def test_more_teams_than_fit_a_screen_are_counted() -> None:
    svg = team_by_day([wrong(team, 1) for team in range(1, TEAMS + 8)], DAYS)
    assert len(rows(svg)) == TEAMS
    assert "… and 7 more teams" in svg


@pytest.mark.long
def test_a_picture_is_bounded_however_many_teams_and_days_there_are() -> None:
    days = DayRange(date(2020, 1, 1), date(2026, 1, 1))
    kinds = [Kind.MISSING, Kind.STALE, Kind.EXCESS]
    every = [
        Verdict(Unit("stats", team, day), kinds[(n + team) % 3]) for team in range(1, 101) for n, day in enumerate(days)
    ]
    picture = as_markdown(team_by_day(every, days))
    assert 50_000 < len(picture) < 140_000
    assert len(rows(team_by_day(every, days))["team 1"]) == 92


def test_the_markdown_holds_the_picture() -> None:
    svg = team_by_day([wrong(1, 1)], DAYS)
    encoded = as_markdown(svg).removeprefix("![team by day](data:image/svg+xml;base64,").removesuffix(")")
    assert base64.b64decode(encoded).decode() == svg
