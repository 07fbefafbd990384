"""What readers see, held against raw events that are computed once more: equal to the bit, and nothing is touched."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.leases.store import Leases
from dags.domain.clock import utc_now
from dags.domain.errors import BuildError, LeaseError
from dags.publish.batches import build_limits
from dags.publish.recompute import Recomputed, recompute
from dags.tests.fold import stored
from dags.tests.variants import server_at_night
from dags.tests.world import BOUNCES, STATS, World, ago
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from datetime import datetime

pytestmark = server_at_night

DAY = ago(3)
TEAMS = (1, 2, 3)


@pytest.fixture
def built(world: World) -> World:
    world.traffic(TEAMS, [ago(4), DAY, ago(2)], views=3)
    world.traffic([9], [DAY])
    world.select(*TEAMS)
    world.build(DAY)
    return world


def recomputed(
    world: World, teams: tuple[int, ...] = (*TEAMS, 5), since: datetime | None = None
) -> dict[str, Recomputed]:
    return recompute(
        world.client, DAY, WEB_TABLES, teams, run_id="looks", limits=build_limits(world.settings),
        unchanged_since=since or utc_now() + timedelta(hours=1), tell=lambda _: None,
    )  # fmt: skip


def tables(world: World) -> set[str]:
    return {name for (name,) in world.client.query("SHOW TABLES").result_rows}


def test_what_was_built_is_what_its_events_come_to_and_nothing_is_touched_or_left(built: World) -> None:
    before = {table: stored(built.client, table) for table in (STATS, BOUNCES)}, tables(built)
    assert recomputed(built) == dict.fromkeys((STATS, BOUNCES), Recomputed(frozenset(TEAMS)))
    assert ({table: stored(built.client, table) for table in (STATS, BOUNCES)}, tables(built)) == before


def test_a_value_that_keeps_sessions_and_page_views_and_is_wrong_all_the_same_is_found(built: World) -> None:
    # As many page views and sessions, of another path: no count differs.
    copied = built.client.query(f"SELECT count() FROM {STATS} WHERE team_id = 2").result_rows
    built.client.command(
        f"INSERT INTO {STATS} SELECT * REPLACE ('/elsewhere' AS pathname) FROM "
        f"(SELECT * FROM {STATS} WHERE team_id = 2 AND pathname = '/1')"
    )
    built.client.command(f"DELETE FROM {STATS} WHERE team_id = 2 AND pathname = '/1'")
    assert built.client.query(f"SELECT count() FROM {STATS} WHERE team_id = 2").result_rows == copied
    assert recomputed(built) == {
        STATS: Recomputed(frozenset(TEAMS), {2: "other values in 3 rows"}),
        BOUNCES: Recomputed(frozenset(TEAMS)),
    }


def test_rows_that_were_lost_and_rows_of_no_event_are_found(built: World) -> None:
    built.client.command(f"DELETE FROM {BOUNCES} WHERE team_id = 1")
    built.client.command(
        f"INSERT INTO {STATS} SELECT * REPLACE (5 AS team_id) FROM (SELECT * FROM {STATS} WHERE team_id = 3)"
    )
    assert recomputed(built) == {
        STATS: Recomputed(frozenset({*TEAMS, 5}), {5: "3 rows where 0 belong"}),
        BOUNCES: Recomputed(frozenset(TEAMS), {1: "0 rows where 1 belong"}),
    }


def test_a_team_whose_events_still_arrive_is_left_out(built: World) -> None:
    since = utc_now() + timedelta(seconds=1)
    built.client.command(
        "INSERT INTO events (team_id, uuid, event, timestamp, distinct_id, session_id, inserted_at) "
        f"SELECT 2, generateUUIDv4(), '$pageview', toDateTime('{DAY} 13:00:00', 'UTC'), 'd', 'late', now64(6) + 60"
    )
    assert recomputed(built, since=since) == dict.fromkeys((STATS, BOUNCES), Recomputed(frozenset({1, 3})))


def test_a_day_that_is_being_built_is_not_waited_for(built: World) -> None:
    with Leases(built.client, "another", wait_seconds=0, tell=lambda _: None) as leases:
        leases.take(STATS, DAY)
        with pytest.raises(LeaseError, match="is being built by run another"):
            recomputed(built)
    assert recomputed(built)[STATS].compared == frozenset(TEAMS)


def test_what_cannot_be_computed_is_no_answer(built: World) -> None:
    built.set(build_max_rows_read=1)
    with pytest.raises(BuildError, match=f"of {DAY} could not be computed for team 1: .*MAX_ROWS_READ"):
        recomputed(built)
