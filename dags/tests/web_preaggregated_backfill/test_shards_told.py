"""What people are told of several shards, also while one is down: what is lost, where, and what to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dags.domain.clock import utc_now
from dags.tests.health.daemon import Daemon
from dags.tests.web_preaggregated_backfill.test_shards import shards, world
from dags.tests.world import STATS

if TYPE_CHECKING:
    from pathlib import Path

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
        assert f"whom team 1, {STATS}, " in said
        assert said.count("shard 2: no replica of") == 1
        assert "teams 3, 4: on no shard that was read. shard 2: no replica of" in said
        assert "8123 by default) and that the server runs." in said
        text = page.read_text()
        assert "and tables disagree about them: rows lost" in text.split("Teams by day")[0]
        rows = [" ".join(row.split()) for row in text.split("<tr>")]
        cells = {team: row for row in rows for team in "134" if row.startswith(f'<th scope="row" title="{team}">')}
        assert {team: row.count("unknown") > 0 for team, row in cells.items()} == {"1": False, "3": True, "4": True}
