"""The documented commands, as a person types them after `source .venv/bin/activate`, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from dags.tests.runbook import symptom

ROOT = Path(__file__).resolve().parents[2]

# A process takes seconds to begin; and all on one worker, so that the terminal is made ready once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("terminal")]


class Terminal:
    """A shell with the environment activated, on an embedded engine and an instance of its own."""

    def __init__(self, directory: Path) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WEB_ANALYTICS_")},
            "CLICKHOUSE_DSN": f"chdb://{directory}/engine",
            # What .venv/bin/activate exports.
            "DAGSTER_HOME": str(directory),
        }

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def succeed(self, command: str) -> str:
        ran = self.run(command)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A terminal in which the schema was applied, as the first answer of any command asks for."""
    opened = Terminal(tmp_path_factory.mktemp("terminal"))
    ran = opened.run("dg launch --job check_missing_data_job")
    assert ran.returncode != 0
    assert "create it with apply_schema_job" in ran.stderr
    assert "has schema version" in opened.succeed("dg launch --job apply_schema_job")
    return opened


def test_the_diagnostics_answer_with_little_else_around_the_answer(terminal: Terminal) -> None:
    checked = terminal.succeed("dg launch --job check_missing_data_job")
    assert checked.startswith("NOTHING IS WATCHED")
    terminal.succeed("dg launch --job web_analytics_team_selection_job")
    asked = terminal.succeed("dg launch --job show_data_gaps_job -c <(echo 'days_back: 14')")
    assert asked.startswith("NOTHING IS WATCHED")


def test_an_encoding_that_lacks_a_sign_costs_the_sign_and_not_the_answer(terminal: Terminal) -> None:
    ran = terminal.run("dg launch --job show_data_gaps_job", PYTHONIOENCODING="ascii")
    assert (ran.returncode, ran.stdout.startswith("NOTHING IS WATCHED")) == (0, True), ran.stderr


def test_a_field_that_no_command_has_is_refused_in_words_and_they_are_the_last(terminal: Terminal) -> None:
    ran = terminal.run("dg launch --job list_waivers_job -c <(echo 'nonsense: 1')")
    assert ran.returncode != 0
    assert "nonsense" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_older_command_says_the_same_and_that_another_supersedes_it(terminal: Terminal) -> None:
    answer = terminal.succeed("dg launch --job check_missing_data_job").splitlines()
    older = terminal.run("dagster job execute -m dags.definitions -j check_missing_data_job")
    assert (older.returncode, older.stdout.splitlines()[:6]) == (0, answer[:6])
    assert "superseded" in older.stderr


@pytest.mark.parametrize(
    ("command", "said", "warned"),
    [
        ("dg check defs", "All definitions loaded successfully.", 0),
        ("dg list defs", "why_job", 0),
        ("python -c 'import dags.definitions; print(1)'", "1", 0),
        # Dagster's own word on this command: that `dg check defs` supersedes it.
        ("dagster definitions validate -m dags.definitions", "Validation successful", 1),
    ],
)
def test_the_definitions_are_checked_and_listed_without_a_warning(
    tmp_path: Path, command: str, said: str, warned: int
) -> None:
    """Every kind of warning is let through; of other people's code one is known, as in `pyproject.toml`."""
    (tmp_path / "dagster.yaml").write_bytes((ROOT / ".dagster" / "dagster.yaml").read_bytes())
    known = "ignore:The `__fields__` attribute is deprecated"
    ran = Terminal(tmp_path).run(command, PYTHONWARNINGS=f"default,{known}")
    shown = ran.stdout + ran.stderr
    assert (ran.returncode, said in shown) == (0, True), shown
    warnings = [line for line in shown.splitlines() if "warning" in line.lower()]
    assert [line for line in warnings if "definitions_validate_command` is superseded" not in line] == []
    assert len(warnings) == warned


def test_a_script_is_answered_in_one_line_of_json_and_by_the_exit_code(terminal: Terminal) -> None:
    """On `dagster job execute` as well, which prints a warning of its own: not where the answer is."""
    for command in ("dg launch --job", "dagster job execute -m dags.definitions -j"):
        ran = terminal.run(
            f"{command} check_missing_data_job -c <(echo '{{output: json, fail_when_incomplete: true}}')"
        )
        assert ran.returncode == 1
        answer = json.loads(ran.stdout)
        assert (answer["is_complete"], answer["total_missing_partitions"]) == (False, 0)
        assert answer["status"] in ran.stderr
        assert answer["status"].startswith("NOTHING IS WATCHED")
    assert json.loads(terminal.succeed("dg launch --job check_missing_data_job -c <(echo 'output: json')")) == answer


def test_an_answer_that_could_not_be_written_is_a_failure_and_one_of_which_enough_was_read_is_none(
    terminal: Terminal,
) -> None:
    ask = "dg launch --job check_missing_data_job -c <(echo 'output: json')"
    full = terminal.run(f"{ask} > /dev/full")
    assert full.returncode == 1
    assert symptom("the answer could not be written to standard output").search(full.stderr)
    assert "Traceback" not in full.stderr
    assert terminal.run(f"set -o pipefail; {ask} | head -c 1").returncode == 0


def test_a_bad_look_back_is_refused_in_words(terminal: Terminal) -> None:
    ran = terminal.run("dg launch --job show_data_gaps_job -c <(echo 'days_back: 0')")
    assert ran.returncode != 0
    assert "days_back is 0: give a whole number of days from 1 to 3,650" in ran.stderr
    assert "Stack Trace" not in ran.stderr


def test_jobs_are_listed_and_described(terminal: Terminal) -> None:
    listed = terminal.succeed("dagster job list")
    for job in ("apply_schema_job", "check_missing_data_job", "show_data_gaps_job", "web_pre_aggregate_job"):
        assert f"Job: {job}" in listed
    described = terminal.succeed("dagster job print --verbose -j check_missing_data_job")
    assert "Op: check_missing_data" in described
    assert "What is missing in the pre-aggregated tables" in described


def test_sql_by_hand_is_answered_as_it_asks_and_refused_in_words(terminal: Terminal) -> None:
    asked = terminal.succeed("python -m dags.demo.sql 'SELECT count() AS n FROM backfill_log FORMAT Vertical'")
    assert asked.splitlines()[-1].split() == ["n:", "0"]
    insert = "INSERT INTO web_analytics_enabled_teams (team_id, is_enabled) VALUES (7, 0)"
    assert terminal.succeed(f"python -m dags.demo.sql '{insert}'") == ""
    ran = terminal.run("python -m dags.demo.sql 'SELECT nonsense'")
    assert (ran.returncode, ran.stdout, "Traceback" in ran.stderr) == (1, "", False)
    assert "`nonsense`" in ran.stderr


def test_the_detector_is_materialized_by_name(terminal: Terminal) -> None:
    ran = terminal.run("dg launch --assets web_analytics_backfill_detector")
    assert ran.returncode == 0, ran.stderr
    assert "RUN_SUCCESS" in ran.stdout + ran.stderr


def test_every_invalid_setting_is_named_when_the_location_is_validated(terminal: Terminal) -> None:
    ran = terminal.run(
        "dagster definitions validate",
        WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS="0",
        WEB_ANALYTICS_BACKFILL_SETLE_HOURS="1",
        CLICKHOUSE_DSN="clickhouse://u:hunter2@:1/",
    )
    assert ran.returncode != 0
    shown = ran.stdout + ran.stderr
    assert "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS is '0': give a whole number of days from 1 to 3,650" in shown
    assert "did you mean WEB_ANALYTICS_BACKFILL_SETTLE_HOURS?" in shown
    assert "CLICKHOUSE_DSN" in shown
    assert "hunter2" not in shown


def test_a_command_under_a_bad_setting_ends_in_its_words_and_nothing_else(terminal: Terminal) -> None:
    for command in ("--job check_missing_data_job", "--assets web_analytics_backfill_detector"):
        ran = terminal.run(f"dg launch {command}", WEB_ANALYTICS_BACKFILL_LOKBACK_DAYS="3")
        said = "WEB_ANALYTICS_BACKFILL_LOKBACK_DAYS is no setting: did you mean WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS?"
        # Before it Dagster may say that this instance has no configuration.
        assert (ran.returncode, ran.stdout, ran.stderr.splitlines()[-1]) == (1, "", f"Error: {said}")
        assert "Traceback" not in ran.stderr
    checked = terminal.run("dg check defs", CLICKHOUSE_DSN="clickhouse://u:a/b@localhost:8123/x")
    assert checked.returncode == 1
    assert "a '/', '?' or '#' in user or password is not percent-encoded" in checked.stdout + checked.stderr
    assert "Stack Trace" not in checked.stdout + checked.stderr


def test_what_dagster_refuses_before_there_is_a_run_ends_in_words(terminal: Terminal) -> None:
    for options, words in (
        ("--partition 2026-13-45", "Could not find a partition with key `2026-13-45`."),
        ("--partition 2026-01-31 -c <(echo 'team_ids: [1]')", 'unexpected config entry "team_ids" at the root'),
    ):
        ran = terminal.run(f"dg launch --job web_pre_aggregate_job {options}")
        assert ran.returncode == 1
        assert words in ran.stderr
        assert "Traceback" not in ran.stdout + ran.stderr


def test_loading_the_location_opens_no_connection(terminal: Terminal) -> None:
    nobody_listens = "clickhouse://u:p@127.0.0.1:1/x"
    assert terminal.run("dagster definitions validate", CLICKHOUSE_DSN=nobody_listens).returncode == 0
    ran = terminal.run("dg launch --job check_missing_data_job", CLICKHOUSE_DSN=nobody_listens)
    assert ran.returncode != 0
    assert "no ClickHouse answers at clickhouse://u@127.0.0.1:1/x" in ran.stderr
