"""Faults put into the code on purpose: the test named beside each must notice.

A mutant is a copy of the package in which one line says something else, as it might after a slip of the pen. Its test
runs in a process of its own, on the embedded engine; a mutant that it lets live is a hole in it.
"""

from __future__ import annotations

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

ROOT = Path(__file__).resolve().parents[2]
BACKFILL = "dags/web_preaggregated_backfill"

STORY = "dags/tests/test_web_preaggregated_backfill.py"
STORE = "dags/tests/detection/test_store.py"
MEMORY = "dags/tests/detection/test_memory.py"
HISTORIES = "dags/tests/detection/test_histories.py"
BUILDS = "dags/tests/web_preaggregated/test_store.py"
SESSIONS = "dags/tests/web_preaggregated/test_sessions.py"
RULES = "dags/tests/detection/test_rules.py"
REPAIRS = "dags/tests/web_preaggregated/test_repair.py"
DECISION = "dags/tests/repair/test_decision.py"
DAYS = "dags/tests/domain/test_days.py"
MANAGED = "dags/tests/managed_backfill/test_managed_backfill.py"
WORK = "dags/tests/work/test_second_kind.py"
GATES = "dags/tests/managed_backfill/test_gates.py"
ALERTS = "dags/tests/alerts/test_rules.py"


@dataclass(frozen=True)
class Mutant:
    """One line that says something else, and the test that must fail for it."""

    says: str
    file: str
    line: str
    becomes: str
    caught_by: str


MUTANTS = [
    Mutant(
        "a session that is there to be reported is counted on the day after it began as well",
        "dags/web_preaggregated/session_units.sql",
        "uniqIf(session_id, uncounted = 0)",
        "uniq(session_id)",
        "dags/tests/web_preaggregated/test_overlong.py::"
        "test_events_that_no_day_counts_are_counted_in_what_the_build_of_the_day_before_reports",
    ),
    Mutant(
        "a lost join condition: the ledger of any team is every team's",
        "dags/detection/suspects.sql",
        "LEFT JOIN built USING (table_number, unit_day, team_id)",
        "LEFT ANY JOIN (SELECT * EXCEPT team_id FROM built) AS built USING (table_number, unit_day)",
        f"{STORE}::test_detection_changes_no_table_but_the_ledger",
    ),
    Mutant(
        "a join on the wrong table: the rows of one are taken for the other's",
        "dags/detection/suspects.sql",
        "FULL OUTER JOIN target USING",
        "FULL OUTER JOIN (SELECT * REPLACE (3 - table_number AS table_number) FROM target) AS target USING",
        f"{STORY}::test_tables_that_disagree_are_told_apart_and_only_the_wrong_one_is_rebuilt",
    ),
    Mutant(
        "the join that reports no gap for ever",
        "dags/detection/suspects.sql",
        "FULL OUTER JOIN target",
        "INNER JOIN target",
        f"{HISTORIES}::test_no_gap_is_missed_none_is_invented_and_every_reason_is_right",
    ),
    Mutant(
        "a lost team in a join: two tenants' large sessions of one name are one",
        "dags/web_preaggregated/large_sessions.sql",
        "ordered.day = session.day AND ordered.team_id = session.team_id AND ordered",
        "ordered.day = session.day AND ordered",
        f"{SESSIONS}::test_large_sessions_and_many_teams_equal_the_fold_too"
        "[embedded-tenants share session ids and uuids and nothing else-0-100]",
    ),
    Mutant(
        "a day off by one: no eve, so a session that begins before midnight counts on the day after as well",
        "dags/web_preaggregated/sessions.sql",
        "ARRAY JOIN [-1, 0, 1] AS shift",
        "ARRAY JOIN [-1, 0] AS shift",
        f"{BUILDS}::test_a_build_equals_the_fold[embedded-a session across midnight belongs to the day it began]",
    ),
    Mutant(
        "what occurs twice is not found: two rows of one key are staged",
        "dags/web_preaggregated/alike.sql",
        "HAVING count() > 1",
        "HAVING count() > 2",
        f"{SESSIONS}::test_no_two_staged_rows_have_the_same_key[embedded]",
    ),
    Mutant(
        "a day off by one: nothing is expected of the last day",
        "dags/detection/suspects.sql",
        "unit_day < {end:Date}",
        "unit_day < {end:Date} - 1",
        f"{STORE}::test_a_day_is_judged_once_it_is_settled_and_today_never",
    ),
    Mutant(
        "a day off by one: sessions that begin the day after",
        "dags/web_preaggregated/unit_sources.sql",
        "toDate(min(newest.2)) = unit_day",
        "toDate(min(newest.2)) = unit_day + 1",
        f"{STORE}::test_a_session_is_expected_on_the_day_of_its_first_event",
    ),
    Mutant(
        "a day off by one: no eve, so a session that begins before midnight is cut",
        "dags/web_preaggregated/unit_sources.sql",
        "ARRAY JOIN [-1, 0, 1] AS shift",
        "ARRAY JOIN [0, 1] AS shift",
        f"{STORE}::test_a_session_is_expected_on_the_day_of_its_first_event",
    ),
    Mutant(
        "an open day is closed too early",
        "dags/domain/days.py",
        "self.settled_before - reach_days * ONE_DAY",
        "self.settled_before",
        f"{DAYS}::test_a_day_is_judged_and_closed_at_its_instant_and_not_a_millisecond_before",
    ),
    Mutant(
        "unknown is taken for complete: the error of a table is dropped",
        "dags/detection/signals.py",
        "self.unknown[group[0].name] = str(error)[:500]",
        "pass",
        f"{STORY}::test_a_source_that_cannot_be_read_makes_all_its_tables_unknown_and_launches_nothing",
    ),
    Mutant(
        "unknown is taken for complete: the check is green over a table that was not read",
        f"{BACKFILL}/report.py",
        'TableStatus(table, is_complete=False, words=f"unknown',
        'TableStatus(table, is_complete=True, words=f"unknown',
        f"{STORY}::test_a_source_that_cannot_be_read_makes_all_its_tables_unknown_and_launches_nothing",
    ),
    Mutant(
        "no team is taken for complete",
        f"{BACKFILL}/report.py",
        "is_complete=bool(detection.teams) and not wrong",
        "is_complete=not wrong",
        f"{STORY}::test_a_standing_check_fails_while_a_judged_day_is_wrong_and_when_it_cannot_know",
    ),
    Mutant(
        "a table without rows is called stale",
        "dags/detection/rules.py",
        "    if not target:\n",
        "    if not target and build is None:\n",
        f"{RULES}::test_a_unit_is_judged",
    ),
    Mutant(
        "half of a source erases the history",
        "dags/domain/units.py",
        "after.distinct * 2 <= before.distinct",
        "after.distinct * 2 < before.distinct",
        f"{RULES}::test_a_unit_is_judged",
    ),
    Mutant(
        "a failed build is not remembered against a day that has not changed",
        "dags/detection/memory.py",
        "recorded.get(day, 0)",
        "0",
        f"{MEMORY}::test_a_failed_build_changes_the_reason_of_a_day_whose_data_is_the_same",
    ),
    Mutant(
        "lost rows are not noticed on a day that was fine",
        "dags/detection/memory.py",
        "found.append(_partitions(parts, table.name, day))",
        "found.append(())",
        f"{MEMORY}::test_a_day_that_something_happened_to_is_read_again_and_no_other",
    ),
    Mutant(
        "a tick without time judges nothing, and so does the next",
        "dags/detection/signals.py",
        "return self._has_begun and time.monotonic()",
        "return time.monotonic()",
        f"{MEMORY}::test_ticks_without_any_time_come_to_the_end_newest_first_and_keep_what_they_found",
    ),
    Mutant(
        "an answer that was cut short is believed",
        "dags/detection/counting.py",
        "if read.get(unit, 0) < expected[unit]",
        "if read.get(unit, 0) > expected[unit]",
        f"{MEMORY}::test_a_count_that_read_less_than_there_is_is_no_answer_and_is_not_remembered",
    ),
    Mutant(
        "what is in flight is asked for again",
        "dags/repair/decision.py",
        "if building := [*by_lease, *(run.run_id for run in in_flight)]:",
        "if building := list[str]():",
        f"{DECISION}::test_a_day_in_flight_is_deferred_and_named_whoever_launched_it",
    ),
    Mutant(
        "a team that fails keeps the others of its day waiting",
        "dags/repair/attempts.py",
        "tuple(run.covers(table, team) for run in runs)",
        "tuple(True for run in runs)",
        f"{DECISION}::test_a_team_that_cannot_be_built_backs_off_and_the_others_of_its_day_do_not_wait_for_it",
    ),
    Mutant(
        "the rows of teams that nobody asked for are wiped",
        "dags/publish/path.py",
        "        if before.by_team.keys() - replaced:\n",
        "        if not before.by_team:\n",
        f"{REPAIRS}::test_rebuilding_some_teams_leaves_the_rows_of_the_others_as_they_are",
    ),
    Mutant(
        "what was staged is published without a look",
        "dags/publish/path.py",
        "self.retry(self._compare, staging, table, expected)",
        "pass",
        f"{REPAIRS}::test_what_is_staged_and_unlike_its_sessions_is_not_published",
    ),
    Mutant(
        "a day that is built once more is backed up once more, with what the backfill itself has published",
        "dags/publish/backup.py",
        "        if recorded is None:\n",
        "        if recorded is None or recorded.kept:\n",
        f"{MANAGED}::test_a_day_that_was_published_and_not_recorded_is_built_again_and_its_backup_is_that_of_before",
    ),
    Mutant(
        "a retry makes its plan anew",
        "dags/managed_backfill/jobs.py",
        "if known is not None:\n                plan = from_yaml",
        "if known is not None and not known.entries:\n                plan = from_yaml",
        f"{MANAGED}::test_a_retry_of_a_run_goes_on_with_the_plan_that_was_accepted",
    ),
    Mutant(
        "a step that is done is done again by the next run",
        "dags/work/runner.py",
        "[step for step in chunk.steps if step not in before]",
        "list(chunk.steps)",
        f"{WORK}::test_a_copy_is_stopped_by_its_ceiling_by_a_person_and_by_a_kill_and_comes_to_the_same",
    ),
    Mutant(
        "a run is given the work of another whose id begins alike",
        "dags/work/control.py",
        "known.accepted.run_id == run_id",
        "known.accepted.run_id",
        f"{WORK}::test_a_copy_is_stopped_by_its_ceiling_by_a_person_and_by_a_kill_and_comes_to_the_same",
    ),
    Mutant(
        "a run that was robbed goes on",
        "dags/work/lease.py",
        "self.leases.confirm(*work_lease(self.work.work_id, self.work.first_step))",
        "pass",
        f"{WORK}::test_a_copy_that_was_robbed_says_nothing_more_and_one_without_a_target_does_not_begin",
    ),
    Mutant(
        "a rollback wipes the rows of teams that the backfill did not touch",
        "dags/publish/restore.py",
        "replaced = before.by_team.keys() & set(self.teams)",
        "replaced = set(before.by_team)",
        f"{MANAGED}::test_a_rollback_keeps_the_rows_of_other_teams_and_refuses_to_lose_later_builds",
    ),
    Mutant(
        "a rollback loses later builds without a word",
        "dags/managed_backfill/restoring.py",
        "later.is_after(backed_up[day]) and",
        "not later.is_after(backed_up[day]) and",
        f"{MANAGED}::test_a_rollback_keeps_the_rows_of_other_teams_and_refuses_to_lose_later_builds",
    ),
    Mutant(
        "a dimension that is lost is as usual",
        "dags/managed_backfill/gates.py",
        "value > FACTOR * middle or value < middle / FACTOR",
        "value > FACTOR * middle",
        f"{GATES}::test_a_lost_a_multiplied_dimension_and_another_count_fail",
    ),
    Mutant(
        "what cannot be seen is told to be over",
        "dags/alerts/rules.py",
        "one.state is State.UNKNOWN and _may_hide(one, cause)",
        "False",
        f"{ALERTS}::test_what_cannot_be_seen_is_not_over",
    ),
    Mutant(
        "people are told twice of a cause that comes back soon",
        "dags/alerts/rules.py",
        "now - gone_at < (hold(entry.returns) if entry.is_open else LASTS)",
        "False",
        f"{ALERTS}::test_a_cause_that_comes_back_soon_is_the_same_one",
    ),
    Mutant(
        "what a dead channel did not take is lost",
        "dags/alerts/rules.py",
        "entry.heard.get(channel, OVER) < entry.number",
        "not entry.heard",
        f"{ALERTS}::test_a_channel_that_is_dead_keeps_no_other_from_it_and_loses_nothing",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package to put faults into."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "dags", root / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    for read_by_tests in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / read_by_tests, root)
    return root


@pytest.fixture(scope="module")
def process() -> Iterator[Executor]:
    """A process of its own for each call, with everything imported but this package: that takes longer than a test."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["clickhouse_connect", "dagster", "hypothesis", "pandas", "psutil", "pytest"])
    # Python has one fork server for all: another test's may have imported this package, and not the copy of it.
    forget = "import sys; [sys.modules.pop(name) for name in list(sys.modules) if name.split('.')[0] == 'dags']"
    with ProcessPoolExecutor(
        max_workers=1, mp_context=context, max_tasks_per_child=1, initializer=exec, initargs=(forget,)
    ) as executor:
        yield executor


@contextmanager
def put_in(mutant: Mutant, root: Path) -> Iterator[None]:
    path = root / mutant.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutant.line) == 1, f"{mutant.file} has changed: say again what the mutant is"
    try:
        _write(path, text.replace(mutant.line, mutant.becomes))
        yield
    finally:
        _write(path, text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # What was compiled from it counts as up to date for as long as the clock shows the same second.
    Path(cache_from_source(path)).unlink(missing_ok=True)


def ran(process: Executor, root: Path, *tests: str) -> tuple[int, str]:
    """How the tests of a copy ended, and the faults that they found."""
    report = root / "report.xml"
    arguments = [
        *(
            *(str(root / test) for test in tests),
            f"--junitxml={report}",
            "-c",
            str(root / "pyproject.toml"),
            f"--rootdir={root}",
        ),
        *("-o", f"pythonpath={root}", "-o", "addopts=", "-x", "-k", "not server"),
        *("--hypothesis-profile", "no-shrinking"),
        # Nobody reads what it prints; pytest cannot rewrite the asserts of what is imported already.
        *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist", "--assert=plain"),
        *("-o", "faulthandler_timeout=300", "-o", "faulthandler_exit_on_timeout=true"),
    ]
    code = process.submit(pytest.main, arguments).result()
    return code, report.read_text(encoding="utf-8")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.says)
def test_the_line_of_a_fault_is_there_and_so_is_the_test_that_catches_it(mutant: Mutant) -> None:
    file, _, name = mutant.caught_by.partition("::")
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.line) == 1
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.says)
def test_a_fault_that_is_put_in_is_caught(mutant: Mutant, copy: Path, process: Executor) -> None:
    with put_in(mutant, copy):
        code, report = ran(process, copy, mutant.caught_by)
    assert code == pytest.ExitCode.TESTS_FAILED, f"it lives:\n{report[:2000]}"
    assert "<failure " in report, f"no test failed, one broke:\n{report[:2000]}"


@pytest.mark.slow
def test_the_copy_without_a_fault_passes(copy: Path, process: Executor) -> None:
    """Or else the mutants would be caught by anything. The long ones pass every day, in the default suite."""
    short = {
        mutant.caught_by: None for mutant in MUTANTS if not mutant.caught_by.startswith((STORY, HISTORIES, MANAGED))
    }
    code, report = ran(process, copy, *short)
    assert code == pytest.ExitCode.OK, report[:2000]
