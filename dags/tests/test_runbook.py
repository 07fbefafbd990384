"""The runbook's rows are what tests see and type: no row without a test, no test of a row that is gone."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dags.dagster_runs.tags import KIND_TAG, JobKind
from dags.definitions import defs
from dags.settings import Settings
from dags.tests.readme import Command, steps
from dags.tests.runbook import README, ROWS, WHO, Row, cure, rows_of, symptom

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent
SYMPTOMS = [words for row in ROWS for words in row.symptoms]


def named(function: str) -> Iterator[tuple[str, ...]]:
    """The words with which tests call a function of the runbook, wherever that is but here."""
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name == Path(__file__).name or f"{function}(" not in text:
            continue
        for scope in ast.parse(text).body:
            words = constants(scope)
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
                    yield tuple(
                        words[ast.unparse(one)] if isinstance(one, ast.Name) else ast.literal_eval(one)
                        for one in node.args
                    )


def constants(scope: ast.AST) -> dict[str, str]:
    """The names that a test gives to words, alone or several at once."""
    found = {}
    assigned = (node for node in ast.walk(scope) if isinstance(node, ast.Assign))
    for target, given in ((target, node.value) for node in assigned for target in node.targets):
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        values = given.elts if isinstance(given, ast.Tuple) else [given]
        for name, value in zip(names, values, strict=False):
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[name.id] = value.value
    return found


def test_every_symptom_of_the_runbook_is_seen_by_a_test_and_no_test_sees_another() -> None:
    assert {words for (words,) in named("symptom")} == set(SYMPTOMS)


def test_of_every_row_with_a_job_that_changes_something_a_test_types_it() -> None:
    typed = Counter((next(row for row in ROWS if words in row.symptoms), job) for words, job in named("cure"))
    changing = {
        (row, job)
        for row in ROWS
        for job in row.commands
        if defs.resolve_job_def(job).tags[KIND_TAG] != JobKind.QUESTION
    }
    assert changing - {*typed} == set()


def test_every_row_has_a_heading_a_symptom_of_its_own_a_meaning_and_what_to_do() -> None:
    assert len(ROWS) > 50
    assert [row for row in ROWS if not (row.group and row.symptoms and row.means and row.do)] == []
    assert [words for words, count in Counter(SYMPTOMS).items() if count > 1] == []


def test_no_symptom_is_taken_for_a_command_that_a_person_types() -> None:
    assert {step.text for step in steps(README) if isinstance(step, Command)} & set(SYMPTOMS) == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.symptoms[0])
def test_what_a_row_names_is_there(row: Row) -> None:
    for job, fields in row.commands.items():
        assert set(fields) <= fields_of(job), job
    settings = {f"WEB_ANALYTICS_{name}".upper() for name in Settings.model_fields}
    assert set(re.findall(r"\bWEB_ANALYTICS_[A-Z_]+", "".join([*row.symptoms, row.means, row.do]))) <= settings


def fields_of(job: str) -> set[str]:
    """The fields that a job takes, wherever in its configuration they are."""
    types = defs.resolve_job_def(job).get_config_schema_snapshot().all_config_snaps_by_key.values()
    return {field.name for one in types for field in one.fields or () if field.name}


# --- How rows are read and patterns made --------------------------------------------------------------------

BOOK = """
## Before

| `not a row` | at all | here |

## Runbook

**One**

| you see | it means | do |
|---|---|---|
| `… is off`, or `NOTHING` | it is off | `dg launch --job start_job` with `name` and `is_loud: true`, then `look_job` |

## After
"""


def test_a_row_is_read_with_its_heading_its_symptoms_and_its_commands() -> None:
    [row] = rows_of(BOOK)
    assert (row.group, row.symptoms, row.means) == ("One", ("… is off", "NOTHING"), "it is off")
    assert row.commands == {"start_job": {"name": "", "is_loud": "true"}, "look_job": {}}


def test_a_pattern_is_of_the_words_wherever_lines_are_broken_and_of_no_others() -> None:
    pattern = symptom("… behind the target of …")
    assert pattern.search("2 teams behind the\n      target of 36 h")
    assert not pattern.search("behind the target of 36 h"[:21])
    assert not pattern.search(f"2 teams behind {'x' * 400} the target of 36 h")
    with pytest.raises(KeyError):
        symptom("no such row")


def test_a_cure_is_what_the_row_says_and_nothing_else() -> None:
    seen, job = "rollback would lose these builds", "rollback_backfill_job"
    given = {"backfill_id": "b", "allow_losing_later_builds": True, **dict.fromkeys(WHO, "x")}
    assert cure(seen, job, **given) == (job, given)
    for wrong in ({**given, "allow_losing_later_builds": False}, {**given, "more": 1}, {"backfill_id": "b"}):
        with pytest.raises(ValueError, match="the row of"):
            cure(seen, job, **wrong)
    with pytest.raises(KeyError):
        cure(seen, "why_job")
