"""What Dagster's UI takes for Markdown shows each line by itself, commands as they are typed, and prose as it is."""

from __future__ import annotations

import pytest

from dags.domain.markdown import as_markdown

LOOP = "for day in 2026-01-17 2026-01-15; do dg launch --partition $day -c <(echo '{team_ids: [7]}'); done"


def test_each_line_is_a_paragraph_and_commands_are_a_list_of_code() -> None:
    said = (
        f"5 are wrong\nno source, held: team 7\nbuild them:\n$ {LOOP}\n$ dg launch --job one_job\nor allow it:\n$ other"
    )
    assert as_markdown(said) == (
        f"5 are wrong\n\nno source, held: team 7\n\nbuild them:\n\n- `{LOOP}`\n- `dg launch --job one_job`\n\n"
        "or allow it:\n\n- `other`"
    )
    assert as_markdown("") == ""
    assert as_markdown(" \n\nit is indented\n") == "it is indented"


PROSE = {
    "web_pre_aggregated_stats, 2026-01-15 … 2026-01-17: 5 (table, team, day)": None,
    "would use 1.2 GiB - more; #3 + 4 > 2. Yes, a & b": None,
    "_a_ and __b__": r"\_a\_ and \_\_b\_\_",
    "count(*) <b>x</b> `a` [1](u)": r"count(\*) \<b>x\</b> \`a\` \[1](u)",
    r"~~c~~ \d &lt; &#60;": r"\~\~c\~\~ \\d \&lt; \&#60;",
    "- 1": r"\- 1",
    "# of days": r"\# of days",
    "1. of all": r"1\. of all",
}


@pytest.mark.parametrize(("prose", "expected"), PROSE.items())
def test_what_would_be_markup_in_prose_is_shown_as_it_is(prose: str, expected: str | None) -> None:
    assert as_markdown(prose) == (prose if expected is None else expected)


def test_a_command_with_backticks_is_code_all_the_same() -> None:
    assert as_markdown("$ echo `date` ``x``") == "- ``` echo `date` ``x`` ```"
