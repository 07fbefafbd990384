"""The page as a document: well formed and of one piece, whoever's words stand in it; it says no more than is known."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dags.detection.verdicts import Verdicts
from dags.health.causes import Cause, Health, State, answer, in_order
from dags.health.facts import Section
from dags.health.judging import judge
from dags.health.page import CAUSES, MAX_CHARACTERS, html_page
from dags.health.page_file import MARK
from dags.health.words import ERROR_CHARACTERS
from dags.tests.health.known import (
    NOW,
    SCHEDULE,
    SENSOR,
    TABLES,
    TARGETS,
    ago,
    evaluated,
    facts,
    missing,
    orphan,
)
from dags.tests.health.shown import busy

if TYPE_CHECKING:
    from collections.abc import Iterable

# Elements that have no end, by the standard.
VOID = {"meta", "link", "col"}

# What a page may hold; each of them shows and none of them acts.
ELEMENTS = VOID | {
    "html", "head", "title", "style", "body", "main", "header", "section", "article", "h1", "h2", "h3", "p", "span",
    "bdi", "b", "i", "dl", "dt", "dd", "pre", "code", "div", "ul", "li", "table", "caption", "colgroup", "thead",
    "tbody", "tr", "th", "td", "details", "summary",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "rel", "href", "class", "id", "scope", "style", "title", "span",
    "colspan", "role", "tabindex", "aria-labelledby", "aria-label", "aria-hidden",
}  # fmt: skip


class Document(HTMLParser):
    """Reads a page strictly: each element that begins ends, in its order, and nothing is of a kind that acts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.by_section: dict[str, str] = {}
        self._section = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, tag
        found = dict(attrs)
        assert len(found) == len(attrs)
        assert found.keys() <= ATTRIBUTES, found
        assert None not in found.values()
        self.elements.append((tag, found))
        self.by_section[self._section] = self.by_section.get(self._section, "") + " "
        if tag == "h2":
            self._section = str(found["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)
            self.by_section[self._section] = self.by_section.get(self._section, "") + data

    def text(self, section: str) -> str:
        return " ".join(self.by_section[section].split())


def read(health: Health) -> Document:
    text = html_page(health)
    assert text.startswith(MARK)
    text.encode()  # no half of a character
    return Document(text)


def of(causes: Iterable[Cause], **more: object) -> Health:
    ordered = in_order(causes)
    return Health(answer(ordered), ordered, NOW, TARGETS, facts(**more))  # type: ignore[arg-type]


HOSTILE = [
    "</style><script>alert(1)</script>",
    "\" onload='x'",
    "\u202eab\u2066",
    "\ud800",
    "x" * 10_000,
    "{{ 7*7 }}",
    "&lt;",
]


@pytest.mark.parametrize("word", HOSTILE, ids=["script", "quotes", "turned", "half", "long", "template", "entity"])
def test_anybodys_words_are_words_in_every_section(word: str) -> None:
    # What is too long for a heading stands below it once more, with more of it.
    usual, found = read(busy("word" if len(word) < ERROR_CHARACTERS else "word " * 2_000)), read(busy(word))
    assert [one for one, _ in found.elements].count("details") == (0 if len(word) < ERROR_CHARACTERS else 4)
    assert found.words.count("more of the error") == [one for one, _ in found.elements].count("details")
    assert found.elements == usual.elements
    said = "".join(found.words)
    assert not {"\u202e", "\u2066", "\ud800"} & set(said)
    assert max(len(word) for words in found.words for word in words.split()) <= MAX_CHARACTERS + 2
    if word.isprintable() and len(word) < 100:
        assert said.count(word) == "".join(usual.words).count("word")


@settings(max_examples=25)
@given(
    st.lists(st.builds(Cause, *[st.text(max_size=80), st.sampled_from(State), *[st.text(max_size=80)] * 2]), max_size=9)
)
def test_a_page_is_well_formed_whatever_is_the_matter(causes: list[Cause]) -> None:
    assert len([one for one, _ in read(of(causes)).elements if one == "article"]) == len(causes)


def test_a_page_stands_alone_and_allows_itself_nothing() -> None:
    found = read(busy())
    policy = [one["content"] for _, one in found.elements if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    ]
    addresses = [str(one["href"]) for _, one in found.elements if "href" in one]
    assert [one.partition(",")[0] for one in addresses] == ["data:image/svg+xml"]
    assert "url(" not in html_page(busy())
    assert "@import" not in html_page(busy())


def test_a_page_can_be_read_to_who_does_not_see_it() -> None:
    found = read(busy())
    by_tag = {tag: [one for name, one in found.elements if name == tag] for tag in ELEMENTS}
    assert [one["lang"] for one in by_tag["html"]] == ["en"]
    assert (len(by_tag["title"]), len(by_tag["h1"])) == (1, 1)
    ids = [one["id"] for _, one in found.elements if "id" in one]
    assert len(ids) == len(set(ids))
    assert {one["aria-labelledby"] for _, one in found.elements if "aria-labelledby" in one} <= set(ids)
    assert all(one.get("scope") in ("row", "col", "colgroup") for one in by_tag["th"])
    # What scrolls is reached by keys, and has a name.
    scrolling = [one for one in by_tag["div"] if one.get("class") == "scroll"]
    assert all(one["tabindex"] == "0" and one["role"] == "region" for one in scrolling)


def test_a_page_says_what_is_the_matter_of_whom_and_when() -> None:
    wrong = [*missing(2, 3, 4, teams=[7, 8]), orphan(6, team=9)]
    found = read(judge(facts(evaluated(wrong, seen=3), database="chdb:///d (database a)"), TARGETS, (SENSOR, SCHEDULE)))
    assert found.text("").endswith(
        "Is all well? NEEDS YOU 1 needs you, 1 is within its target as of 2026-01-20 06:00 UTC database chdb:///d "
        "(database a) watched 9 teams; 30 days; bounces, stats targets a gap is repaired within 2 d of being seen; a "
        "team is at most 36 h behind"
    )
    assert found.text("causes") == (
        "What is the matter NEEDS YOU 1 (table, team, day) is held: a rebuild would lose what their source has no "
        "longer whom team 9, stats, 2026-01-14 since 2026-01-20 03:00 UTC, 3 h ago doing nothing, readers keep what "
        "they have cost 1 day, about 1,000 rows, 1.0 s to do see what would be lost. If the source is right, build "
        "these teams' days with allow_shrink: true. Else load it again, or waive it dg launch --job why_job "
        "-c <(echo \"{day: '2026-01-14'}\") dg launch --job the_job --partition 2026-01-14 -c <(echo '{ops: {the_op: "
        "{config: {team_ids: [9], allow_shrink: true}}}}') REPAIRING 12 (table, team, day) are wrong: never built "
        "whom teams 7, 8, bounces and stats, 2026-01-16 … 2026-01-18 since 2026-01-20 03:00 UTC, 3 h ago doing 3 days "
        "due at the sensor's next tick cost 3 days, about 3,000 rows, 3.0 s"
    )
    assert "2026-01-18 2 4 missing 2026-01-20 03:00 UTC" in found.text("picture")
    assert found.text("freshness") == (
        "Freshness 9 teams fresh to 2026-01-19. No team is further behind than the target of 36 h."
    )
    assert found.text("waived").startswith("Held and waived Held: nothing rebuilds it until a person allows the loss")


def test_where_all_is_well_each_section_says_so() -> None:
    found = read(judge(facts(), TARGETS, ()))
    assert found.text("causes") == "What is the matter Nothing."
    assert found.text("picture").endswith("No team is known to have a wrong unit.")
    assert found.text("work") == "Open backfills and loads None."
    assert found.text("loads") == "Source loads Nothing is loaded by a timetable."
    assert found.text("builds") == "Success and cost of builds Nothing was built."
    assert found.text("waived") == "Held and waived Nothing is held. Nothing is waived."


def test_what_is_not_known_is_said_to_be_unknown_and_never_well() -> None:
    blind = read(
        judge(replace(facts(), evaluated=None, server_at=None, unread=dict.fromkeys(Section, "down")), TARGETS, ())
    )
    for section in ("picture", "freshness", "work", "loads", "builds", "waived"):
        assert "UNKNOWN" in blind.text(section), section
    half = read(judge(facts(evaluated(missing(1, tables=["stats"]), unknown={"bounces": "gone"})), TARGETS, ()))
    assert "UNKNOWN bounces could not be read, so more may be wrong than is shown." in half.text("picture")
    assert "fresh to 2" not in half.text("freshness")
    cells = [
        one.get("class") for tag, one in half.elements if tag == "td" and one.get("title") in ("unknown", "missing")
    ]
    assert cells.count("unknown") == 29
    lost = evaluated(unknown=dict.fromkeys(("bounces", "stats"), "down")).detection
    seen = evaluated(
        missing(1, 2, teams=[3]), shards={1: evaluated().detection, 2: lost}, unknown=lost.unknown,
        enabled=frozenset(range(1, 10)), unplaced=frozenset({8, 9}),
    )  # fmt: skip
    one_down = read(judge(facts(seen), TARGETS, ()))
    said = "UNKNOWN Of 2 teams not all could be read, so {}."
    assert said.format("more may be wrong than is shown") in one_down.text("picture")
    assert said.format("teams may be further behind than is said") + " 6 teams fresh to" in one_down.text("freshness")
    all_down = replace(seen, detection=replace(seen.detection, shards={1: lost, 2: lost}))
    said = "UNKNOWN bounces, stats could not be read, so nobody knows to which day a team is fresh."
    assert said in read(judge(facts(all_down), TARGETS, ())).text("freshness")
    unverified = read(judge(facts(evaluated(missing(1), unverified=frozenset({ago(3)}))), TARGETS, ()))
    assert "UNKNOWN 1 day not verified yet, so teams may be further behind than is said." in unverified.text(
        "freshness"
    )


def test_the_days_of_teams_on_a_shard_that_was_read_are_known_and_those_of_the_others_are_listed_as_unknown() -> None:
    one, dead = evaluated(missing(1)).detection, evaluated(unknown=dict.fromkeys(TABLES, "down")).detection
    groups = tuple(replace(group, shard=1) for group in one.verdicts.groups)
    seen = evaluated(
        verdicts=Verdicts(groups), unknown=dead.unknown, shards={1: one, 2: dead}, unplaced=frozenset(range(8, 90))
    )
    found = read(judge(facts(seen), TARGETS, ()))
    said = found.text("picture")
    unknown = " ?" * 30
    assert f" 1 M 8{unknown} 9{unknown} 10" in said
    assert f" 56{unknown} " in said
    assert f"57{unknown}" not in said
    assert "… and 33 more teams of which nothing could be read." in said


def test_no_day_and_no_team_are_not_taken_for_well() -> None:
    none = read(judge(facts(evaluated(teams=0)), TARGETS, ()))
    assert none.text("picture") == "Teams by day UNKNOWN No team is watched."
    assert none.text("freshness") == "Freshness UNKNOWN Nothing is known of any team."


def test_the_worst_teams_have_a_row_and_the_others_are_summed() -> None:
    wrong = [*missing(1, teams=range(1, 61)), *missing(1, 2, teams=[77])]
    found = read(judge(facts(evaluated(wrong, teams=100)), TARGETS, ()))
    said = found.text("picture")
    assert "77 M M 1 M 2 M" in said
    assert "11 others 11" in said
    # The months of the columns, and what a cell without a sign is.
    assert "Dec 2025 Jan 2026 team 21 22" in " ".join(said.split())
    assert "right, or no data on that day" in said
    rows = [one for tag, one in found.elements if tag == "td" and one.get("class") == "missing"]
    assert len(rows) == 51


def test_causes_that_have_no_room_are_counted() -> None:
    causes = [Cause(f"a{n}", State.NEEDS_YOU if n < CAUSES else State.NOTED, "a") for n in range(CAUSES + 2)]
    assert "… and 2 are only noted more" in read(of(causes)).text("causes")


def test_a_page_of_ten_thousand_teams_is_no_longer_than_one_of_a_hundred() -> None:
    def size(teams: int) -> int:
        wrong = missing(*range(1, 4), teams=range(1, teams + 1))
        return len(html_page(judge(facts(evaluated(wrong, teams=teams)), TARGETS, ())))

    assert size(3_000) < 1.1 * size(200)
