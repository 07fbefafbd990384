"""What people are told of several shards, also while one is down: what is lost, where, and what to type."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dags.domain.clock import utc_now
from dags.health.causes import Check
from dags.repair.stops.store import turn
from dags.tests.health.daemon import Daemon
from dags.tests.variants import at_night
from dags.tests.web_preaggregated_backfill.test_shards import DAYS, shards, world
from dags.tests.world import BOUNCES, STATS, ago

if TYPE_CHECKING:
    from dags.tests.web_preaggregated_backfill.test_shards import Sharded

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("shards")]

__all__ = ["shards", "world"]  # fixtures


def told(world: Sharded, capsys: pytest.CaptureFixture[str], job: str, **given: object) -> str:
    """What a job prints, in one line."""
    capsys.readouterr()
    world.loop.run(job, raise_on_error=False, run_config=given)
    return " ".join(capsys.readouterr().out.split())


def test_health_tells_of_a_loss_on_one_shard_while_another_is_down_and_of_that_once(
    world: Sharded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.carry_out(world.tick())
    Daemon.of(world.instance, tmp_path).lives(utc_now())
    world.clients[1].command(f"DELETE FROM {STATS} WHERE team_id = 1")
    page = tmp_path / "page.html"
    with world.without(2):
        said = told(world, capsys, "health_job", save_page_to=str(page))
        assert said.startswith("UNKNOWN: 1 is unknown, 1 is within its target.")
        assert "are wrong, and tables disagree about them: rows lost" in said
        assert f"whom shard 1, team 1, {STATS}, " in said
        assert said.count("shard 2: no replica of") == 1
        assert "teams 3, 4: on no shard that was read. shard 2: no replica of" in said
        assert "8123 by default) and that the server runs." in said
        text = page.read_text()
        assert "and tables disagree about them: rows lost" in text.split("Teams by day")[0]
        rows = [" ".join(row.split()) for row in text.split("<tr>")]
        cells = {team: row for row in rows for team in "134" if row.startswith(f'<th scope="row" title="{team}">')}
        assert {team: row.count("unknown") > 0 for team, row in cells.items()} == {"1": False, "3": True, "4": True}


def test_health_says_first_what_is_out_of_reach_and_of_whom_nothing_is_known(
    world: Sharded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.built(*DAYS)
    Daemon.of(world.instance, tmp_path).lives(utc_now())
    with world.without_keeper():
        said = told(world, capsys, "health_job", save_page_to=str(tmp_path / "page.html"))
        text = " ".join((tmp_path / "page.html").read_text().split())
        [picture] = re.findall(r"<h2>Teams by day</h2>(.*?)</section>", text.replace(' id="picture"', ""))
        assert "could not be read: shard 1: no replica of" in picture
        assert "UNKNOWN Keeper does not answer whom shard 1: no replica of" in said
        assert "to do start Keeper, then ask again" in said
        checked = world.loop.run("web_analytics_health_checks_job", raise_on_error=False)
        failed = {(one.asset_key.to_user_string(), one.check_name) for one in checked.get_asset_check_evaluations()
                  if not one.passed}  # fmt: skip
        assert {(STATS, Check.NO_OLD_GAP), (BOUNCES, Check.FRESH)} <= failed
    with world.without(2):
        said = told(world, capsys, "health_job")
        assert "UNKNOWN shard 2 does not answer whom teams 3, 4: on no shard that was read." in said
        assert f"2 of them fresh to {ago(1)}, of 2 nobody knows" in said
    turn(world.clients[2], is_stopped=True, reason="a move", requested_by="ada")
    said = told(world, capsys, "health_job")
    assert "NEEDS YOU backfills are stopped by ada on shard 2, which stops them on all" in said
    turn(world.clients[2], is_stopped=False, reason="moved", requested_by="ada")
    world.visit(2, 1)
    said = told(world, capsys, "health_job")
    assert said.startswith("UNKNOWN: 1 is unknown, ")
    assert " UTC UNKNOWN team 1 has rows on shards 1 and 2" in said
    assert f"3 of them fresh to {ago(1)}, of 1 nobody knows" in said


def asked(world: Sharded, capsys: pytest.CaptureFixture[str], **given: object) -> list[str]:
    """What why_job prints, each paragraph in a line; the lines of a command as they are."""
    capsys.readouterr()
    world.loop.run("why_job", raise_on_error=False, run_config=given)
    lines: list[str] = []
    for line in capsys.readouterr().out.splitlines():
        if line.startswith(" " * 10) and lines:
            lines[-1] += f"\n{line[10:]}" if "$ " in line or "\n" in lines[-1] else f" {line.strip()}"
        else:
            lines.append(line)
    return lines


def of_kind(lines: list[str], kind: str) -> list[str]:
    return [line for line in lines if line.startswith(kind)]


@at_night
def test_why_job_says_on_which_shard_a_team_lies_and_tells_of_that_shard_alone(
    world: Sharded, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world.carry_out(world.tick())
    for table in (STATS, BOUNCES):
        world.clients[1].command(f"DELETE FROM {table} WHERE team_id = 1 AND toDate(period_bucket) = '{ago(2)}'")
    for table in (STATS, BOUNCES):
        world.clients[2].command(f"DELETE FROM {table} WHERE team_id = 3 AND toDate(period_bucket) = '{ago(2)}'")
    world.visit(2, 4)

    lines = asked(world, capsys, team_id=3)
    assert "TEAMS     team 3 is enabled, and lies on shard 2" in lines
    assert {line.split(",")[0] for line in of_kind(lines, "GAP")} == {"GAP       shard 2"}
    runs = of_kind(lines, "RUN")
    assert len(runs) == 1
    assert f" of {ago(2)} on shard 2: succeeded" in runs[0]
    decided = of_kind(lines, "DECISION")[-1]
    assert "on shard 1" not in decided
    assert "on shard 2" in decided

    of_both = of_kind(asked(world, capsys), "DECISION")[-1]
    said = re.findall(r"\d{4}-\d\d-\d\d on shard \d: would be rebuilt now", of_both)
    assert len(said) == len(set(said)) > 0

    [build] = of_kind(asked(world, capsys, team_id=3), "BUILD")
    command = build.split("$ ", 1)[1]
    assert "[3]" in command
    home = tmp_path / "home"
    home.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["/bin/bash", "-c", command],
        env={**os.environ, "PATH": path, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert not [unit for unit in world.wrong() if unit == (2, 3)]
    assert (1, 1) in world.wrong()


@at_night
def test_with_a_shard_down_nothing_is_undecided_of_the_other_and_a_team_of_none_may_be_there(
    world: Sharded, capsys: pytest.CaptureFixture[str]
) -> None:
    with world.without(2):
        lines = asked(world, capsys, team_id=3)
        assert (
            "TEAMS     team 3 is enabled, and lies on no shard that could be read: it may be on one that could not"
            in lines
        )
        said = told(world, capsys, "check_missing_data_job")
        assert f"DECISION nothing is decided of {STATS}, {BOUNCES} on shard 2: unknown DECISION 4 partitions" in said
        assert "could not be read on every shard; 8 (table, team, day) of what was read are missing or wrong." in said
