"""The list of jobs, as a person reads it: names that are told apart, and what each is there for."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from dags.dagster_runs.tags import KIND_TAG, JobKind
from dags.definitions import defs
from dags.tests.variants import server_at_night
from dags.tests.world import STATS, ago

if TYPE_CHECKING:
    from dags.tests.world import World

JOBS = [job for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")]


def edits(one: str, other: str) -> int:
    """How many letters are to be put in, taken out or replaced to make one of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for n, letter in enumerate(one, 1):
        before, row[0] = row[0], n
        for m, another in enumerate(other, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (letter != another))
    return row[-1]


def test_no_two_jobs_have_names_that_one_letter_tells_apart() -> None:
    assert [edits("resume_backfill", "resume_backfills"), edits("left", "felt"), edits("", "abc")] == [1, 2, 3]
    names = [job.name for job in JOBS]
    assert len(names) > 25
    assert [pair for pair in combinations(names, 2) if edits(*pair) < 2] == []


def test_every_job_says_what_it_is_there_for_and_every_run_of_it_does() -> None:
    by_kind: dict[str, set[str]] = {kind: set() for kind in JobKind}
    for job in JOBS:
        by_kind[job.tags[KIND_TAG]].add(job.name.removesuffix("_job"))
    questions, loads, backfills = (by_kind.pop(kind) for kind in (JobKind.QUESTION, JobKind.LOAD, JobKind.BACKFILL))
    assert by_kind == {
        "switch": {"stop_all_backfills", "resume_all_backfills"},
        "schema": {"apply_schema", "report_existing_days"},
        "waiver": {"waive", "lift_waiver"},
        "teams": {"web_analytics_team_selection"},
        "build": {"web_pre_aggregate"},
        "retention": {"web_analytics_retention"},
        "alert": {"mute_alert", "send_test_alert"},
    }
    asking = ("show_", "list_", "check_", "why", "metrics", "health", "web_analytics_health")
    assert {name for name in questions if not name.startswith(asking)} == set()
    assert {name for name in loads | backfills if name.startswith(asking)} == set()
    assert all("backfill" in name or name == "sweep_backups" for name in backfills)


@server_at_night
@pytest.mark.parametrize("job", ["check_missing_data_job", "why_job"])
def test_no_answer_holds_a_sign_that_a_terminal_obeys(
    world: World, capsys: pytest.CaptureFixture[str], job: str
) -> None:
    world.select(1)
    world.traffic([1], [ago(2)])
    world.client.command(
        "INSERT INTO web_pre_aggregated_builds "
        "(table_name, day, team_id, run_id, logic_version, outcome, error, started_at, finished_at) "
        f"SELECT '{STATS}', '{ago(2)}', 1, 'r', 1, 'failed', "
        "concat('no ', unhex('1b5b324a1b5d303b78071fe280ae'), 'way'), now64(6), now64(6)"
    )
    world.run_as_configured(job, {"day": str(ago(2)), "team_id": 1} if job == "why_job" else {})
    said = capsys.readouterr().out
    assert "way" in said
    assert [sign for sign in said if not sign.isprintable() and sign != "\n"] == []
