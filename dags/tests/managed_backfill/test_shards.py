"""Managed backfills where there are several shards: each is of one, which its plan and all that is said of it names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterRunStatus
from dagster._core.storage.tags import PARTITION_NAME_TAG

from dags.definitions import defs
from dags.domain.errors import UserError
from dags.domain.shards import SHARD_TAG
from dags.tests.variants import at_night, variants
from dags.tests.web_preaggregated_backfill.test_shards import BUILD, DAYS, HERE, THERE, shards, world
from dags.tests.world import STATS

if TYPE_CHECKING:
    from dags.tests.web_preaggregated_backfill.test_shards import Sharded

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("shards")]

__all__ = ["shards", "world"]  # fixtures


def planned(world: Sharded, shard: int, **given: Any) -> dict[str, Any]:
    """What a managed backfill that is a run of a shard answers."""
    fields = given if "plan" in given else {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1]), **given}
    who = {} if "plan" in given else {"target_table": STATS, "reason": "a bug", "requested_by": "ada"}
    result = world.loop.run("managed_backfill_job", run_config={**who, **fields}, tags={SHARD_TAG: str(shard)})
    answer: dict[str, Any] = result.output_for_node("managed_backfill")
    return answer


def in_flight(world: Sharded, tags: dict[str, str]) -> str:
    """A build of the first day that is not over."""
    run = world.instance.create_run_for_job(
        defs.resolve_job_def(BUILD), tags={PARTITION_NAME_TAG: str(DAYS[0]), **tags}, status=DagsterRunStatus.STARTED
    )
    return run.run_id


def test_a_run_in_flight_keeps_a_managed_backfill_of_its_own_shard_waiting_and_of_no_other(
    world: Sharded,
) -> None:
    of_first = in_flight(world, {SHARD_TAG: "1"})
    assert planned(world, 2)["status"] == "dry run"
    with pytest.raises(UserError, match=f"{STATS} of {DAYS[0]} is in work by run {of_first[:8]}"):
        planned(world, 1)
    of_any = in_flight(world, {})  # until it is refused it may be of either
    with pytest.raises(UserError, match=f"{STATS} of {DAYS[0]} is in work by run {of_any[:8]}"):
        planned(world, 2)


def test_a_plan_is_carried_out_on_the_shard_that_it_names_and_all_that_is_said_of_it_names_that(
    world: Sharded, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(world, 2, team_ids=list(THERE))["plan"]
    said = capsys.readouterr().out
    assert "\nSHARD    2\n" in said
    assert "dry_run: false carries it out, on shard 2" in said
    with pytest.raises(UserError, match=r"scope\.shard is 2, and this run is of shard 1 of 2"):
        planned(world, 1, plan=plan, dry_run=False)
    assert world.shown() == [[], []]
    report = planned(world, 2, plan=plan, dry_run=False)
    assert (report["status"], report["shard"]) == ("completed", 2)
    assert "\nSHARD    2\n" in capsys.readouterr().out
    assert world.shown() == [[], [(team, 2) for team in THERE]]
    planned(world, 1, plan=planned(world, 1, team_ids=list(HERE))["plan"], dry_run=False)
    for team, lines in ((HERE[0], {"1": 1}), (THERE[0], {"2": 1}), (None, {"1": 1, "2": 1})):
        capsys.readouterr()
        given = {"day": str(DAYS[0]), **({} if team is None else {"team_id": team})}
        world.loop.run("why_job", raise_on_error=False, run_config=given)
        found = re.findall(r"^BACKFILL .* was rebuilt on shard (\d), ", capsys.readouterr().out, re.MULTILINE)
        assert Counter(found) == lines


@pytest.mark.parametrize("job", variants("show_backfills_job", "show_postgres_backfills_job", "show_files_job"))
def test_a_list_says_of_which_shard_it_is(world: Sharded, capsys: pytest.CaptureFixture[str], job: str) -> None:
    capsys.readouterr()
    world.loop.run(job, tags={SHARD_TAG: "2"})
    said = capsys.readouterr().out
    assert said.startswith(f"SHARD    2 of 2, as {SHARD_TAG} of this run says; no other was asked\nNo ")


@at_night
def test_who_asks_the_wrong_shard_for_a_backfill_is_told_which_was_asked(
    world: Sharded, capsys: pytest.CaptureFixture[str]
) -> None:
    backfill_id = planned(world, 2, team_ids=list(THERE), dry_run=False)["backfill_id"]
    given = {"backfill_id": backfill_id, "requested_by": "ada", "reason": "it was right before"}
    nowhere = f"no backfill's id begins so on shard 1, which {SHARD_TAG} of this run names; no other of the 2 was asked"
    for job in ("rollback_backfill_job", "resume_backfill_job", "pause_backfill_job", "delete_backfill_job"):
        with pytest.raises(UserError, match=nowhere):
            world.loop.run(job, run_config=given, tags={SHARD_TAG: "1"})
    for shard in ("1", "2"):
        capsys.readouterr()
        world.loop.run("show_backfills_job", tags={SHARD_TAG: shard})
        said = capsys.readouterr().out
        assert said.startswith(f"SHARD    {shard} of 2, as {SHARD_TAG} of this run says; no other was asked\n")
        assert (backfill_id in said, "No backfill" in said) == (shard == "2", shard == "1")
    world.loop.run("rollback_backfill_job", run_config=given, tags={SHARD_TAG: "2"})
    assert world.shown() == [[], []]
