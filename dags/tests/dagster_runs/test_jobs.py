"""The list of jobs, as a person reads it: names that are told apart, and what each is there for."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from dags.dagster_runs.tags import DEPRECATED_TAG, KIND_TAG, JobKind
from dags.definitions import defs
from dags.repair.stops.jobs import FORMER_NAMES
from dags.tests.variants import server_at_night

if TYPE_CHECKING:
    import pytest

    from dags.tests.world import World

JOBS = [job for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
WHO = {"reason": "a storm", "requested_by": "ada"}


def edits(one: str, other: str) -> int:
    """How many letters are to be put in, taken out or replaced to make one of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for n, letter in enumerate(one, 1):
        before, row[0] = row[0], n
        for m, another in enumerate(other, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (letter != another))
    return row[-1]


def test_no_two_jobs_have_names_that_one_letter_tells_apart_but_former_names() -> None:
    assert [edits("resume_backfill", "resume_backfills"), edits("left", "felt"), edits("", "abc")] == [1, 2, 3]
    names = [job.name for job in JOBS if DEPRECATED_TAG not in job.tags]
    assert len(names) > 25
    assert [pair for pair in combinations(names, 2) if edits(*pair) < 2] == []


def test_every_job_says_what_it_is_there_for_and_every_run_of_it_does() -> None:
    by_kind: dict[str, set[str]] = {kind: set() for kind in JobKind}
    for job in JOBS:
        by_kind[job.tags[KIND_TAG]].add(job.name.removesuffix("_job"))
    questions, loads, backfills = (by_kind.pop(kind) for kind in (JobKind.QUESTION, JobKind.LOAD, JobKind.BACKFILL))
    assert by_kind == {
        "switch": {*FORMER_NAMES, *FORMER_NAMES.values()},
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
def test_a_former_name_does_the_same_and_says_what_it_is_called_now(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    described = {job.name.removesuffix("_job"): job.description or "" for job in JOBS}
    said = {}
    for name in FORMER_NAMES:
        former = FORMER_NAMES[name]
        assert described[former].startswith(f"Deprecated, gone in 0.12.0: the former name of {name}_job. ")
        for called in (name, former):
            capsys.readouterr()
            world.run_as_configured(f"{called}_job", WHO)
            said[called] = capsys.readouterr().out.splitlines()[0]
            stopped = world.client.query("SELECT argMax(is_stopped, at) FROM web_analytics_backfill_stops").result_rows
            assert bool(stopped[0][0]) == (name == "stop_all_backfills")
    assert [said[name] for name in FORMER_NAMES] == [said[former] for former in FORMER_NAMES.values()]
