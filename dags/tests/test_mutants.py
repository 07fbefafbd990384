"""Faults put into the code on purpose: the tests named beside each must notice.

A mutant is a copy of the package in which one line says something else, as it might after a slip of the pen. Its tests
run in a process of their own, on the embedded engine; a mutant that they let live is a hole in them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKFILL = "dags/web_preaggregated_backfill"

STORY = "dags/tests/test_web_preaggregated_backfill.py"
STORE = "dags/tests/web_preaggregated_backfill/test_store.py"
MEMORY = "dags/tests/web_preaggregated_backfill/test_memory.py"
HISTORIES = "dags/tests/web_preaggregated_backfill/test_histories.py"
BUILDS = "dags/tests/web_preaggregated/test_store.py"
RULES = "dags/tests/web_preaggregated_backfill/test_rules.py"
REPAIRS = "dags/tests/web_preaggregated/test_repair.py"
DECISION = "dags/tests/web_preaggregated_backfill/test_decision.py"
DAYS = "dags/tests/test_days.py"


@dataclass(frozen=True)
class Mutant:
    """One line that says something else, and the tests that must fail for it."""

    says: str
    file: str
    line: str
    becomes: str
    caught_by: str


MUTANTS = [
    Mutant(
        "a lost join condition: the ledger of any team is every team's",
        f"{BACKFILL}/suspects.sql",
        "LEFT JOIN built USING (table_number, unit_day, team_id)",
        "LEFT ANY JOIN built USING (table_number, unit_day)",
        HISTORIES,
    ),
    Mutant(
        "a lost join condition: one table's rows are the other's too",
        f"{BACKFILL}/suspects.sql",
        "FULL OUTER JOIN target USING (table_number, unit_day, team_id)",
        "FULL OUTER JOIN target USING (unit_day, team_id)",
        HISTORIES,
    ),
    Mutant(
        "the join that reports no gap for ever",
        f"{BACKFILL}/suspects.sql",
        "FULL OUTER JOIN target",
        "INNER JOIN target",
        HISTORIES,
    ),
    Mutant(
        "a lost team in a join: two tenants' sessions of one name are one",
        "dags/web_preaggregated/web_pre_aggregated_stats.sql",
        "ON pageview.team_id = session.team_id AND pageview.session_id = session.session_id",
        "ON pageview.session_id = session.session_id",
        BUILDS,
    ),
    Mutant(
        "a day off by one: nothing is expected of the last day",
        f"{BACKFILL}/suspects.sql",
        "unit_day < {end:Date}",
        "unit_day < {end:Date} - 1",
        HISTORIES,
    ),
    Mutant(
        "a day off by one: sessions that begin the day after",
        "dags/web_preaggregated/unit_sources.sql",
        "HAVING toDate(began) = unit_day",
        "HAVING toDate(began) = unit_day + 1",
        STORE,
    ),
    Mutant(
        "a day off by one: no eve, so a session that begins before midnight is cut",
        "dags/web_preaggregated/unit_sources.sql",
        "ARRAY JOIN [-1, 0, 1] AS shift",
        "ARRAY JOIN [0, 1] AS shift",
        STORE,
    ),
    Mutant(
        "an open day is closed too early",
        "dags/days.py",
        "(now - settle - MAX_SESSION)",
        "(now - settle)",
        DAYS,
    ),
    Mutant(
        "unknown is taken for complete: the error of a table is dropped",
        f"{BACKFILL}/signals.py",
        "self.unknown[group[0].name] = str(error)[:500]",
        "pass",
        STORY,
    ),
    Mutant(
        "unknown is taken for complete: the check is green over a table that was not read",
        f"{BACKFILL}/report.py",
        'TableStatus(table, is_complete=False, words=f"unknown',
        'TableStatus(table, is_complete=True, words=f"unknown',
        STORY,
    ),
    Mutant(
        "no team is taken for complete",
        f"{BACKFILL}/report.py",
        "is_complete=bool(detection.teams) and not wrong",
        "is_complete=not wrong",
        STORY,
    ),
    Mutant(
        "a table without rows is called stale",
        f"{BACKFILL}/rules.py",
        "    if not target:\n",
        "    if not target and build is None:\n",
        RULES,
    ),
    Mutant(
        "half of a source erases the history",
        "dags/units.py",
        "after.distinct * 2 <= before.distinct",
        "after.distinct * 2 < before.distinct",
        RULES,
    ),
    Mutant(
        "a failed build is not remembered against a day that has not changed",
        f"{BACKFILL}/memory.py",
        "recorded.get(day, 0)",
        "0",
        MEMORY,
    ),
    Mutant(
        "lost rows are not noticed on a day that was fine",
        f"{BACKFILL}/memory.py",
        "found.append(_partitions(parts, table.name, day))",
        "found.append(())",
        MEMORY,
    ),
    Mutant(
        "what is in flight is asked for again",
        f"{BACKFILL}/decision.py",
        "if building := [*by_lease, *(run.run_id for run in in_flight)]:",
        "if building := list[str]():",
        DECISION,
    ),
    Mutant(
        "a team that fails keeps the others of its day waiting",
        f"{BACKFILL}/attempts.py",
        "[run for run in runs if run.covers(verdict.unit)]",
        "list(runs)",
        DECISION,
    ),
    Mutant(
        "the rows of teams that nobody asked for are wiped",
        "dags/web_preaggregated/store.py",
        "        if plan.kept:\n",
        "        if not plan:\n",
        REPAIRS,
    ),
    Mutant(
        "what was staged is published without a look",
        "dags/web_preaggregated/store.py",
        "self._again(self._validate, new, table, expected)",
        "pass",
        REPAIRS,
    ),
]


def ran(root: Path, tests: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "WEB_"))}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", tests, "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("-k", "not server", "-m", "not slow", "--hypothesis-profile", "no-shrinking"),
        ],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.says)
def test_a_fault_that_is_put_in_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dags", tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / mutant.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutant.line) == 1, f"{mutant.file} has changed: say again what the mutant is"
    path.write_text(text.replace(mutant.line, mutant.becomes), encoding="utf-8")
    outcome = ran(tmp_path, mutant.caught_by)
    assert outcome.returncode == 1, f"it lives:\n{outcome.stdout[-2000:]}{outcome.stderr[-2000:]}"
    assert " failed" in outcome.stdout


@pytest.mark.slow
def test_the_copy_without_a_fault_passes(tmp_path: Path) -> None:
    """Or else the mutants would be caught by anything."""
    shutil.copytree(ROOT / "dags", tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    outcome = ran(tmp_path, RULES)
    assert outcome.returncode == 0, outcome.stdout[-2000:]
