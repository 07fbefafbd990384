"""What was recorded of some teams' day is known again by a digest of keys and states, however it is merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.publish.digests import digest_of_staged, holds, read_digest
from dags.tests.managed_backfill.test_taking_back import others_write
from dags.tests.world import STATS, ago
from dags.web_preaggregated.tables import STATS as TABLE

if TYPE_CHECKING:
    from dags.tests.world import World

DAY = ago(1)


def test_what_was_just_built_is_known_again_by_a_digest_of_its_rows_however_it_is_merged(world: World) -> None:
    world.traffic([1, 2], [DAY])
    world.select(1, 2)
    world.built(DAY)
    staged = digest_of_staged(world.client, TABLE, STATS, DAY, [1])
    assert staged == read_digest(world.client, TABLE, STATS, DAY, [1])
    assert holds(world.client, TABLE, STATS, DAY, teams=[1], then=staged)
    # One key in two rows, before and after they are merged: the digest of rows is of what readers see no more.
    others_write(world, DAY, team=2)
    assert holds(world.client, TABLE, STATS, DAY, teams=[1], then=staged)
    for _ in range(2):
        others_write(world, DAY, team=1)
    assert holds(world.client, TABLE, STATS, DAY, teams=[1], then=staged) is False
    two = read_digest(world.client, TABLE, STATS, DAY, [1])
    world.client.command(f"OPTIMIZE TABLE {STATS} FINAL")
    assert holds(world.client, TABLE, STATS, DAY, teams=[1], then=two)
    assert two == read_digest(world.client, TABLE, STATS, DAY, [1])


def test_many_elements_of_one_state_are_compared_at_the_price_of_reading_them(world: World) -> None:
    many = (
        "INSERT INTO {table} (period_bucket, team_id, sessions_uniq_state, pageviews_count_state) "
        "SELECT '{day} 05:00:00', 1, uniqState(toString(number)), sumState(toUInt64(1)) FROM numbers(60000)"
    )
    world.client.command(many.format(table=STATS, day=DAY))
    world.client.set_client_setting("max_memory_usage", 500_000_000)
    try:
        by_key = read_digest(world.client, TABLE, STATS, DAY, [1])
        assert digest_of_staged(world.client, TABLE, STATS, DAY, [1]) == by_key
    finally:
        world.client.set_client_setting("max_memory_usage", 0)
