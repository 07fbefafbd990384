"""The page: what it says, and that it always fits a terminal, whatever is the matter and in whosever words."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dags.domain.text import WIDTH
from dags.health.causes import Cause, Check, Health, State, answer, in_order
from dags.health.facts import BuildsOfLately
from dags.health.judging import judge
from dags.health.report import LINES, as_dict, page, summary, told
from dags.health.words import age_in_words, days_in_words, launch, listed, teams_in_words
from dags.repair.stops.store import Stop
from dags.tests.health.known import HOUR, NOW, SCHEDULE, SENSOR, TARGETS, ago, evaluated, facts, missing, orphan

if TYPE_CHECKING:
    from collections.abc import Iterable

WORDS = st.text(max_size=150) | st.sampled_from(["\x1b[2Jgone", "a\nb\u2028c\x85d", "x" * 300, "two  words", ""])
INSTANTS = st.none() | st.timedeltas(-9 * HOUR, 9_000 * HOUR).map(lambda age: NOW - age)
CAUSES = st.builds(
    Cause, WORDS, st.sampled_from(State), WORDS, WORDS, INSTANTS, WORDS, WORDS,
    WORDS | WORDS.map(lambda words: launch("why_job", day=words)), st.just(()), st.just(frozenset(Check)),
)  # fmt: skip


def of(causes: Iterable[Cause], **more: object) -> Health:
    ordered = in_order(causes)
    return Health(answer(ordered), ordered, NOW, TARGETS, facts(**more))  # type: ignore[arg-type]


@settings(max_examples=50)
@given(st.lists(CAUSES, max_size=45), WORDS)
def test_a_page_has_no_more_lines_and_columns_than_a_terminal_and_obeys_nobody(causes: list[Cause], word: str) -> None:
    health = of(causes, builds=tuple(BuildsOfLately(word, 0.5, 1, 1, 0) for _ in range(9)))
    lines = page(health).split("\n")
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith(str(health.answer))
    assert len(summary(health)) <= WIDTH
    json.dumps(as_dict(health))


@settings(max_examples=30)
@given(st.lists(CAUSES, min_size=1, max_size=45))
def test_a_page_has_a_line_of_every_cause_or_counts_it(causes: list[Cause]) -> None:
    lines = page(of(causes)).split("\n")[2:]
    begun = [line for line in lines if line.startswith(tuple(str(state).upper() for state in State))]
    more = [int(line.split()[2].replace(",", "")) for line in lines if line.startswith("… and ")]
    assert len(begun) + sum(more) == len(causes)


def test_a_page_says_what_for_whom_since_when_what_is_done_and_what_to_do() -> None:
    wrong = [*missing(2, 3, 4, teams=[7, 8]), orphan(6, team=9)]
    known = facts(evaluated(wrong, seen=3), builds=(BuildsOfLately("stats", 0.98, 98, 2, 0),))
    assert page(judge(known, TARGETS, (SENSOR, SCHEDULE))) == (
        "NEEDS YOU: 1 needs you, 1 is within its target. 2026-01-20 06:00 UTC\n"
        "\n"
        "NEEDS YOU  1 (table, team, day) is held: a rebuild would lose what their source has no longer\n"
        "  whom     team 9, stats, 2026-01-14\n"
        "  since    2026-01-20 03:00 UTC, 3 h ago\n"
        "  doing    nothing, readers keep what they have\n"
        "  cost     1 day, about 1,000 rows, 1.0 s\n"
        "  to do    see what would be lost. If the source is right, build these teams' days with\n"
        "           allow_shrink: true. Else load it again, or waive it\n"
        "  $        dg launch --job why_job -c <(echo \"{day: '2026-01-14'}\")\n"
        "  $        dg launch --job the_job --partition 2026-01-14 -c <(echo '{ops: {the_op: {config:\n"
        "           {team_ids: [9], allow_shrink: true}}}}')\n"
        "REPAIRING  12 (table, team, day) are wrong: never built\n"
        "  whom     teams 7, 8, bounces and stats, 2026-01-16 … 2026-01-18\n"
        "  since    2026-01-20 03:00 UTC, 3 h ago\n"
        "  doing    3 days due at the sensor's next tick\n"
        "  cost     3 days, about 3,000 rows, 3.0 s\n"
        "\n"
        "WATCHED    9 teams, 30 days; 9 of them fresh to 2026-01-19\n"
        "BUILDS     succeeded in seven days: stats 98.0% (2 builds failed)"
    )


def test_what_is_worst_comes_first_and_each_cause_has_its_command_where_there_is_room() -> None:
    small = [
        Cause(f"work:{n}", State.NEEDS_YOU, f"load {n} failed", "w " * 90, NOW - n * HOUR, command=f"dagster do {n}")
        for n in range(1, 10)
    ]
    large = Cause("gap:fails", State.NEEDS_YOU, "900 are wrong", "all teams", NOW, command="dagster why", size=900)
    switch = Cause("switch", State.NEEDS_YOU, "stopped", checks=frozenset({Check.RUNS_BY_ITSELF}), command="dagster go")
    lines = page(of([*small, large, switch])).split("\n")
    typed = [line.split(maxsplit=1)[1] for line in lines if line.startswith("  $")]
    assert typed == ["dagster go", "dagster why", *(f"dagster do {n}" for n in range(9, 0, -1))]
    assert [line for line in lines if line.startswith("  since")] != []

    lines = page(of([*small, *(replace(one, key=f"{one.key}+") for one in small), large, switch])).split("\n")
    typed = [line.split(maxsplit=1)[1] for line in lines if line.startswith("  $")]
    assert typed[:2] == ["dagster go", "dagster why"]
    assert len([line for line in lines if line.startswith("NEEDS YOU  ")]) == 20


def test_where_nothing_is_the_matter_the_page_says_of_what() -> None:
    assert page(judge(facts(), TARGETS, ())) == (
        "OK: nothing is the matter. 2026-01-20 06:00 UTC\n\nWATCHED    9 teams, 30 days; 9 of them fresh to 2026-01-19"
    )


def test_a_command_that_takes_two_lines_is_one_for_a_shell() -> None:
    typed = launch(
        "resume_postgres_backfill_job", postgres_backfill_id="p" * 60, requested_by="$(whoami)", reason="is over"
    )
    lines = page(of([Cause("a", State.NEEDS_YOU, "a", command=typed)])).split("\n")
    shown = "\n".join(line[11:] for line in lines if line.startswith(("  $", "    "))).replace("dg launch", "cat", 1)
    assert len(shown.split("\n")) > 1
    shown = shown.replace("--job resume_postgres_backfill_job -c", "")
    ran = subprocess.run(
        ["bash", "-c", f"whoami() {{ echo ada; }}; {shown}"], capture_output=True, text=True, check=True
    )
    assert " ".join(ran.stdout.split()) == f"{{postgres_backfill_id: {'p' * 60}, requested_by: ada, reason: is over}}"


def test_commands_of_many_days_and_teams_are_whole_on_the_page_and_do_in_a_shell_what_they_say() -> None:
    wrong = [orphan(day, 1_000_000_007 + team) for day in range(1, 9) for team in range(30)]
    health = judge(facts(evaluated(wrong, seen=3)), TARGETS, (SENSOR, SCHEDULE))
    lines = page(health).split("\n")
    assert len(lines) <= LINES
    shown = [line.removeprefix("  $").strip() for line in lines if line.startswith(("  $", "          "))]
    at = next(number for number, line in enumerate(shown) if line.startswith("for day in "))
    typed = "\n".join(shown[at:])
    bash = 'dg() { echo "$3 $5"; tail -n 99 "$7"; }\n'
    ran = subprocess.run(["bash", "-c", bash + typed], capture_output=True, text=True, check=True)
    # As many teams' ids as a command takes, on seven days; then the other day, and the other teams.
    assert ran.stdout.count("the_job 2026-01-") == 7 + 1 + 7
    found = re.findall(r"(?s)\{ops:.*?\}\}\}\}", ran.stdout)
    assert {str(yaml.safe_load(one)["ops"]["the_op"]["config"]["allow_shrink"]) for one in found} == {"True"}
    teams = [yaml.safe_load(one)["ops"]["the_op"]["config"]["team_ids"] for one in found]
    assert teams[0] == [1_000_000_007 + team for team in range(len(teams[0]))]
    assert "1 more after these, ask again" in health.causes[0].to_do


def test_json_has_what_the_page_says_and_all_that_has_no_room_there() -> None:
    stop = Stop("ada", "disks are full", NOW - 2 * HOUR)
    found = as_dict(judge(facts(evaluated(missing(1, teams=[7]), seen=1, stopped="so"), stop=stop), TARGETS, ()))
    assert (found["verdict"], found["needs_a_person"]) == ("NEEDS YOU", True)
    assert [(one["key"], one["state"]) for one in found["causes"]] == [
        ("switch", "needs you"),
        ("gap:repaired", "noted"),
    ]
    assert found["freshness"] == {
        "teams": 9,
        "newest_day": "2026-01-19",
        "teams_behind": 1,
        "behind": {"7": {"complete_up_to": "2026-01-18", "lag_hours": 30.0}},
    }


def test_a_check_says_a_cause_in_a_line_and_each_of_its_commands_in_one() -> None:
    cause = Cause(
        "a", State.NEEDS_YOU, "it is\nwrong", "team 7", NOW - 3 * HOUR, "nothing", "look", "why\nbuild", (),
        frozenset(), cost="2 days",
    )  # fmt: skip
    assert told(cause, NOW) == (
        "NEEDS YOU: it is wrong; team 7; since 2026-01-20 03:00 UTC, 3 h ago; doing: nothing; cost: 2 days; to do: look"
        "\n$ why\n$ build"
    )


def test_words() -> None:
    assert [teams_in_words(teams) for teams in ([7], [9, 7], range(1, 2001))] == ["team 7", "teams 7, 9", "2,000 teams"]
    assert days_in_words([ago(1), ago(2), ago(4), ago(6), ago(8), ago(9)]) == (
        "2026-01-18 … 2026-01-19, 2026-01-16, 2026-01-14 and 2 more days"
    )
    assert [age_in_words(hours * HOUR) for hours in (-1, 0.5, 1.9, 2, 47.9, 48)] == [
        "0 min", "30 min", "114 min", "2 h", "47 h", "2 d",
    ]  # fmt: skip
    assert [listed([]), listed(["a"]), listed(["a", "", "b"]), listed("abc")] == ["", "a", "a and b", "a, b and c"]
