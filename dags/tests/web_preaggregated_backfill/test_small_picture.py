"""The picture that the UI shows without a click: it fits, and what it shows is so."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from dags.detection.rules import Kind, Verdict
from dags.domain.days import DayRange
from dags.domain.units import Unit
from dags.tests.web_preaggregated_backfill.test_picture import SVG, wrong
from dags.web_preaggregated_backfill.metadata import MARKDOWN_CHARACTERS
from dags.web_preaggregated_backfill.picture import COLOURS, FINE, HELD
from dags.web_preaggregated_backfill.small_picture import TEAMS, small_team_by_day

DAYS = DayRange(date(2026, 1, 1), date(2026, 1, 31))


def drawn(markdown: str) -> tuple[ET.Element, dict[str, list[str]]]:
    """The picture as a browser reads it, and team → the colours of its days."""
    [address] = re.findall(r"^!\[team by day\]\(data:image/svg\+xml,([^ \n]*)\)$", markdown)
    root = ET.fromstring(unquote(address))  # noqa: S314 -- our own
    labels = [text for text in root.findall(f"{SVG}text") if (text.text or "").isdigit()]
    teams = [text.text or "" for text in labels]
    if labels[0].get("x"):  # each digit has its place
        [label] = labels
        by_row: dict[str, str] = defaultdict(str)
        for digit, x, y in zip(teams[0], *(str(label.get(one)).split(",") for one in "xy"), strict=True):
            assert int(x) == 6 * len(by_row[y])
            by_row[y] += digit
        teams = list(by_row.values())
    [grid] = root.findall(f"{SVG}g")
    fine, *lines = grid.findall(f"{SVG}path")
    [columns] = re.findall(rf"^M0,0h(\d+)v{len(teams)}H0$", fine.get("d", ""))
    assert fine.get("fill") == FINE
    cells = {team: [FINE] * int(columns) for team in teams}
    for line in lines:
        for x, y, way, length in re.findall(r"M([\d.]+),([\d.]+)([hv])(\d+)", line.get("d", "")):
            for n in range(int(length)):
                row, column = int(float(y)) + n * (way == "v"), int(float(x)) + n * (way == "h")
                assert cells[teams[row]][column] == FINE, "drawn over"
                cells[teams[row]][column] = line.get("stroke", "")
    return root, cells


def small(verdicts: list[Verdict], days: DayRange = DAYS) -> str:
    return small_team_by_day(verdicts, days, MARKDOWN_CHARACTERS)


def test_a_row_is_a_team_and_a_column_a_day_the_worst_team_first_and_the_words_are_of_what_is_shown() -> None:
    root, cells = drawn(small([wrong(1, 2), wrong(2, 1), wrong(2, 3)]))
    bad, fine = COLOURS[Kind.MISSING], FINE
    assert cells == {"2": [bad, fine, bad, *[fine] * 27], "1": [fine, bad, *[fine] * 28]}
    *_, legend = root.findall(f"{SVG}text")
    assert "".join(legend.itertext()) == "■missing ■fine"
    assert "2026-01-01 … 2026-01-30" in [text.text for text in root.findall(f"{SVG}text")]


def test_a_day_that_twelve_teams_lost_is_shown_whole_and_of_more_than_a_third_of_a_screen_the_rest_is_counted() -> None:
    whole = small([wrong(team, day) for team in range(1, 13) for day in (4, 7)])
    bad, fine = COLOURS[Kind.MISSING], FINE
    row = [*[fine] * 3, bad, fine, fine, bad, *[fine] * 23]
    assert drawn(whole)[1] == {str(team): row for team in range(1, 13)}
    root, cells = drawn(small([wrong(team, 4) for team in range(1, 101)]))
    assert 10 <= len(cells) <= TEAMS
    assert f"2026-01-01 … 2026-01-30 +{100 - len(cells)} teams" in [text.text for text in root.findall(f"{SVG}text")]


def test_where_nothing_is_wrong_there_is_no_picture() -> None:
    assert small([wrong(1, 2, Kind.WAIVED)]) == ""


TEAM, AGE = st.integers(1, 30) | st.integers(1, 2**64 - 1), st.integers(0, 400)
FAULT = st.tuples(st.sampled_from(sorted(set(COLOURS) - {Kind.WAIVED})), st.booleans())


@given(
    alone=st.dictionaries(st.tuples(TEAM, AGE), FAULT, min_size=1, max_size=300),
    together=st.lists(st.tuples(st.sets(TEAM, max_size=20), st.sets(AGE, max_size=3), FAULT), max_size=3),
    days=st.integers(1, 400),
)
def test_however_much_is_wrong_it_is_short_enough_and_every_cell_that_is_shown_is_right(
    alone: dict[tuple[int, int], tuple[Kind, bool]],
    together: list[tuple[set[int], set[int], tuple[Kind, bool]]],
    days: int,
) -> None:
    """Teams lose days alone, and many teams the same ones: lines run along days and along teams."""
    wrongs = alone | {(team, age): fault for teams, ages, fault in together for team in teams for age in ages}
    end = date(2026, 6, 1)
    day = {age: end - timedelta(days=1 + age) for _, age in wrongs}
    verdicts = [
        Verdict(Unit("stats", team, day[age]), kind, is_held=held) for (team, age), (kind, held) in wrongs.items()
    ]
    markdown = small(verdicts, DayRange(end - timedelta(days=days), end))
    assert len(markdown) <= MARKDOWN_CHARACTERS < 1000
    if all(age >= days for _, age in wrongs):
        assert markdown == ""
        return
    _, cells = drawn(markdown)
    for team, colours in cells.items():
        ages = range(len(colours) - 1, -1, -1)
        found = [wrongs.get((int(team), age)) for age in ages]
        assert colours == [FINE if one is None else HELD if one[1] else COLOURS[one[0]] for one in found]
