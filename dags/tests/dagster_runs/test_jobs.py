"""The list of jobs, as a person reads it: names that are told apart, and what each is there for."""

from __future__ import annotations

from itertools import combinations

from dags.dagster_runs.tags import KIND_TAG, JobKind
from dags.definitions import defs

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
