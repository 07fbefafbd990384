"""A managed backfill that an older version began is gone on with and taken back by this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.schema.declared import migrations
from dags.tests.fold import stored
from dags.tests.managed_backfill.test_managed_backfill import DAYS, ended_after, holds_its_source, prepared, run, who
from dags.tests.variants import at_night, server_at_night
from dags.tests.world import BOUNCES, STATS
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    import pytest

    from dags.tests.world import World

# As 0.5.1 wrote its events: days in place of steps, and the kind in the first alone.
AS_0_5_1 = """
    ALTER TABLE web_analytics_backfill_events UPDATE
        event = transform(
            toString(event),
            ['step_done', 'step_failed', 'step_undone'],
            ['day_done', 'day_failed', 'day_restored'],
            toString(event)
        ),
        origin = if(event = 'accepted', origin, ''),
        step = '',
        first_step = '',
        last_step = ''
    WHERE 1
    SETTINGS mutations_sync = 2
"""
DELETE = "ALTER TABLE web_analytics_backfill_events DELETE"


@at_night
@server_at_night
def test_a_backfill_of_0_5_1_that_was_running_is_resumed_and_rolled_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = prepared(world, 1)
    # Nor had its tables the columns that readers of PostHog's know.
    for table in (STATS, BOUNCES):
        for column in frozenset().union(*(one.columns for one in migrations() if one.table == table)):
            world.client.command(f"ALTER TABLE {table} DROP COLUMN {column}")
    world.build(*DAYS)
    before = {day: stored(world.client, STATS, day) for day in DAYS}
    events += world.traffic([1], DAYS, session="late")
    ended_after(world, monkeypatch, 1)
    world.client.command(AS_0_5_1)
    # It was at work, and its run died with the upgrade.
    world.client.command(f"{DELETE} WHERE event = 'ended' SETTINGS mutations_sync = 2")
    assert apply_schema(world.client, WEB_TABLES)
    [row] = run(world, "show_backfills_job")["backfills"]
    assert row["status"] == "interrupted"
    report = run(world, "resume_backfill_job", **who(row["backfill_id"]))
    assert (report["status"], report["successful"]) == ("completed", len(DAYS))
    assert holds_its_source(world, events)
    world.client.command(AS_0_5_1)
    run(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
    assert {day: stored(world.client, STATS, day) for day in DAYS} == before
