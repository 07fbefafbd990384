"""What an operator sees of teams, leftovers and the schema, what he types for it, and that it is gone then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.schema.books import append
from dags.clickhouse.schema.declared import migrations
from dags.demo.loop import enable
from dags.domain.errors import UserError
from dags.publish.backup import make_backup
from dags.team_selection.store import read_selection
from dags.tests.health.matter import matters
from dags.tests.runbook import cure, symptom
from dags.tests.variants import server_at_night
from dags.tests.world import STATS

if TYPE_CHECKING:
    from dags.tests.world import World

pytestmark = server_at_night


def test_what_is_wrong_with_the_list_of_teams_is_over_when_it_is_written(world: World) -> None:
    nobody, old = "so nothing is watched", "the list of teams is … old"
    assert symptom(nobody).search(matters(world.client)["teams:none"].what)
    enable(world.client, range(1, 6))
    write = world.run_as_configured(*cure(nobody, "web_analytics_team_selection_job"))
    assert write.success
    assert matters(world.client) == {}
    assert symptom(old).match(matters(world.client, later=timedelta(hours=26))["teams:list"].what)

    append(
        world.client,
        "web_pre_aggregated_teams",
        [[9, 1, read_clocks(world.client).server]],
        ["team_id", "is_enabled", "selected_at"],
    )
    disagrees = "web_pre_aggregated_teams_dict disagrees with the list about …"
    assert symptom(disagrees).match(matters(world.client)["teams:dictionary"].what)
    world.run_as_configured(*cure(disagrees, "web_analytics_team_selection_job"))
    assert matters(world.client) == {}


def test_a_list_that_loses_most_of_its_teams_is_written_when_a_person_allows_it(world: World) -> None:
    seen = "only … of the … enabled teams would stay enabled"
    enable(world.client, range(1, 6))
    world.run_as_configured("web_analytics_team_selection_job")
    left = "INSERT INTO web_analytics_enabled_teams (team_id, is_enabled) SELECT number, 0 FROM numbers(3, 3)"
    world.client.command(left)
    with pytest.raises(Exception, match=symptom(seen)):
        world.run_as_configured("web_analytics_team_selection_job")
    job, allowed = cure(seen, "web_analytics_team_selection_job", allow_shrink=True)
    world.run_as_configured(job, {"ops": {"web_analytics_team_selection": {"config": allowed}}})
    assert read_selection(world.client).teams == {1, 2}


def test_what_was_left_behind_is_gone_after_a_sweep(world: World) -> None:
    seen, late = "… left behind, on disk and of no use", timedelta(hours=49)
    until = read_clocks(world.client).server.date() - timedelta(days=2)
    make_backup(world.client, f"web_pre_aggregated_backup_backfill_gone__{STATS}", STATS, until)
    assert symptom(seen).match(matters(world.client, later=late)["left:backup"].what)
    world.run_as_configured(*cure(seen, "sweep_backups_job"))
    assert "left:backup" not in matters(world.client, later=late)


def test_a_table_that_was_made_anew_is_given_again_what_it_lacks(world: World) -> None:
    seen = "lacks what apply_schema_job had given it"
    world.client.command(f"ALTER TABLE {STATS} DROP PROJECTION coverage")
    assert [note for note in world.evaluate().detection.warnings if symptom(seen).search(note)]
    world.run_as_configured(*cure(seen, "apply_schema_job"))
    assert not [note for note in world.evaluate().detection.warnings if symptom(seen).search(note)]


def test_a_schema_that_is_older_than_the_code_is_brought_up_to_it(world: World) -> None:
    seen, newest = "has schema version …", migrations()[-1].version
    world.client.command(f"DELETE FROM web_analytics_schema_version WHERE version > {newest - 2}")
    with pytest.raises(UserError, match=symptom(seen)):
        world.run_as_configured("list_waivers_job")
    world.run_as_configured(*cure(seen, "apply_schema_job"))
    assert world.run_as_configured("list_waivers_job").success
