"""What the UI shows of the planner's runs and of every event: tags that filter, keys that their column has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import AssetCheckKey, DagsterEventType

from dags.definitions import WATCHED, defs
from dags.tests.variants import at_night, server_at_night
from dags.tests.world import BOUNCES, STATS, ago
from dags.web_preaggregated_backfill.building import PARTITION_ROWS
from dags.web_preaggregated_backfill.catalog import KEY_CHARACTERS
from dags.web_preaggregated_backfill.own_checks import CHECK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from dags.tests.world import World

# The names of these are promised, whatever their tables are called.
PROMISED = {f"{table.name}_{what}" for table in WATCHED for what in ("missing_count", "sample_dates")}


def metadata_of_events(world: World) -> list[Mapping[str, Any]]:
    """Of everything that was materialized and checked; of an asset the newest first."""
    materialized = [
        record.asset_materialization
        for key in defs.resolve_all_asset_keys()
        for record in world.instance.fetch_materializations(key, limit=100).records
    ]
    storage = world.instance.event_log_storage
    checks = [
        record.event.dagster_event.asset_check_evaluation_data
        for key in defs.resolve_all_asset_keys()
        for record in storage.get_asset_check_execution_history(AssetCheckKey(key, CHECK), limit=100)
        if record.event is not None
        and record.event.dagster_event is not None
        and record.event.dagster_event_type is DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    assert checks
    return [one.metadata for one in (*materialized, *checks) if one is not None]


@at_night
@server_at_night
def test_the_planners_runs_can_be_filtered_by_plan_trigger_attempt_reason_tables_and_teams(world: World) -> None:
    world.select(1, 2)
    world.traffic([1, 2], [ago(2), ago(3), ago(4)])
    asked = world.tick()
    [newest, *_] = asked.requests
    shown = {name.removeprefix("web_analytics_backfill/"): said for name, said in newest.tags.items()}
    plan, estimate = shown.pop("plan"), shown.pop("estimate")
    assert {name: said for name, said in shown.items() if not name.startswith((".dagster/", "dagster/"))} == {
        "backfill_run": "true",
        "missing_data_detected": "true",
        "trigger": "sensor",
        "attempt": "0",
        "reasons": "never built: 4",
        "main_reason": "never built",
        "tables": f"{BOUNCES}, {STATS}",
        "teams": "2",
    }
    assert plan in {request.tags["web_analytics_backfill/plan"] for request in asked.requests}
    assert estimate.startswith("about ")

    world.carry_out(asked)
    world.missing_data()
    world.run_checks()
    found = metadata_of_events(world)
    built = [one for one in found if "rebuilt_sessions" in one]
    assert sorted(one[PARTITION_ROWS].value for one in built) == [2, 2, 2, 4, 4, 4]
    keys = {key for one in found for key in one}
    assert len(keys) > 30
    assert {key for key in keys - PROMISED if len(key) > KEY_CHARACTERS} == set()


def test_the_first_that_the_detector_shows_is_the_picture_and_what_is_too_long_is_the_last(world: World) -> None:
    world.select(1)
    world.traffic([1], [ago(2)])
    world.materialize("web_analytics_backfill_detector")
    [newest, *_] = [one for one in metadata_of_events(world) if "should_backfill" in one]
    keys = list(newest)
    assert keys[:2] == ["picture", "status"]
    assert len(newest["picture"].value) < 1000
    assert set(keys[-4:]) == PROMISED
