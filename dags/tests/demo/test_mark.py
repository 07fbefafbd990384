"""The demo empties what a demo loaded, and nothing else: what is somebody's is named, and stays."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from dagster import AssetKey, AssetMaterialization, DagsterInstance

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.definitions import defs
from dags.demo.loop import DEMO_TAG, forget_demo_runs
from dags.demo.mark import marking, start_over
from dags.domain.errors import UserError
from dags.tests.variants import at_night

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

EVENT = "INSERT INTO events (team_id, uuid, event, timestamp) SELECT {}, generateUUIDv4(), '$pageview', {}"
YESTERDAY, EARLIER = "now() - INTERVAL 1 DAY", "now() - INTERVAL 9 DAY"
WORK = "INSERT INTO web_analytics_backfill_events (backfill_id, origin) VALUES ('b', '{}')"

# What somebody wrote beside a demo's data, by the table in which it is found.
SOMEBODYS = {
    "events": [EVENT.format(1, YESTERDAY), EVENT.format(1, EARLIER), EVENT.format(77, YESTERDAY)],
    "web_pre_aggregated_stats": [
        "INSERT INTO web_pre_aggregated_stats (team_id, period_bucket) SELECT 77, now() - INTERVAL 1 DAY",
        "INSERT INTO web_pre_aggregated_stats (team_id, period_bucket) SELECT 1, now() - INTERVAL 9 DAY",
    ],
    "web_pre_aggregated_bounces": [
        "INSERT INTO web_pre_aggregated_bounces (team_id, period_bucket) SELECT 77, now() - INTERVAL 1 DAY"
    ],
    "web_pre_aggregated_builds": ["INSERT INTO web_pre_aggregated_builds (team_id) VALUES (77)"],
    "web_pre_aggregated_teams": ["INSERT INTO web_pre_aggregated_teams (team_id) VALUES (77)"],
    "web_analytics_enabled_teams": ["INSERT INTO web_analytics_enabled_teams (team_id) VALUES (77)"],
    "web_analytics_waivers": ["INSERT INTO web_analytics_waivers (waiver_id, team_ids) VALUES ('waiver-mine', [1])"],
    "web_analytics_backfill_stops": ["INSERT INTO web_analytics_backfill_stops (reason) VALUES ('mine')"],
    "web_analytics_backfill_events": [WORK.format("managed"), WORK.format("manual")],
}


def load(client: Client) -> None:
    """As a demo leaves a database: events of a team, its rows and builds, and another team that is listed."""
    with marking(client):
        client.command(EVENT.format(1, YESTERDAY))
        client.command("INSERT INTO web_pre_aggregated_teams (team_id) VALUES (1), (2)")
        client.command("INSERT INTO web_analytics_enabled_teams (team_id) VALUES (1)")
    client.command("INSERT INTO web_pre_aggregated_stats (team_id, period_bucket) SELECT 1, now() - INTERVAL 1 DAY")
    client.command("INSERT INTO web_pre_aggregated_builds (team_id) VALUES (1), (2)")
    client.command("INSERT INTO web_pre_aggregated_day_states (day) VALUES (today())")
    client.command(WORK.format("automatic"))


def held(client: Client) -> dict[str, int]:
    return {table: client.query(f"SELECT count() FROM {table}").result_rows[0][0] for table in SOMEBODYS}


def refused(client: Client, dsn: Dsn, table: str) -> None:
    """Refused in words, with nothing touched."""
    before = held(client)
    with pytest.raises(UserError) as refusal:
        start_over(client, dsn)
    words = str(refusal.value)
    assert re.search(rf"would remove them: \d of {table}\. ", words)
    assert f"CLICKHOUSE_DSN='chdb://{dsn.path}?database={dsn.database}_demo' make demo" in words
    assert f"python -m dags.demo.sql 'DROP DATABASE {dsn.database}'" in words
    assert held(client) == before


@pytest.fixture
def own(emptied: Callable[[str], str]) -> Iterator[tuple[Client, Dsn]]:
    """A database of one's own on the embedded engine, which has others."""
    dsn = replace(Dsn.parse(emptied("embedded")), database="tried")
    with open_client(dsn, wait_seconds=60, create_database=True) as client:
        yield client, dsn
        client.command("DROP DATABASE tried SYNC")


def test_the_catalog_is_emptied_where_no_runs_but_demos_have_been() -> None:
    job, of_stats = defs.resolve_job_def("why_job"), AssetKey("web_pre_aggregated_stats")
    with DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(AssetMaterialization(of_stats))
        instance.create_run_for_job(job, tags={DEMO_TAG: "true"})
        somebodys = instance.create_run_for_job(job)
        assert not forget_demo_runs(instance)
        assert [run.run_id for run in instance.get_runs()] == [somebodys.run_id]
        assert instance.get_latest_materialization_event(of_stats)
        instance.delete_run(somebodys.run_id)
        assert forget_demo_runs(instance)
        assert not instance.get_latest_materialization_event(of_stats)


@at_night
def test_what_somebody_wrote_is_refused_and_kept_before_a_demo_and_beside_its_data(own: tuple[Client, Dsn]) -> None:
    client, dsn = own
    start_over(client, dsn)
    for is_marked in (False, True):
        for table, statements in SOMEBODYS.items():
            for statement in statements:
                client.command(statement)
                refused(client, dsn, table)
                client.command(f"TRUNCATE TABLE {table}")
                if is_marked:
                    start_over(client, dsn)
                    load(client)
        if not is_marked:
            load(client)
    start_over(client, dsn)
    assert not any(held(client).values())
    client.command(EVENT.format(1, YESTERDAY))
    refused(client, dsn, "events")


def test_the_mark_of_a_demo_counts_in_its_own_database_alone(own: tuple[Client, Dsn]) -> None:
    client, dsn = own
    client.command("CREATE TABLE web_analytics_demo (team_id UInt64) ENGINE = Memory")
    other = replace(dsn, database="tried_too")
    with open_client(other, wait_seconds=60, create_database=True) as beside:
        try:
            # As an earlier version's table may be: nothing of it is changed before it is known to be a demo's.
            beside.command("CREATE TABLE events (team_id UInt64) ENGINE = Memory AS SELECT 1")
            with pytest.raises(UserError, match="1 of events"):
                start_over(beside, other)
            assert beside.query("SHOW TABLES").result_rows == [("events",)]
        finally:
            beside.command("DROP DATABASE tried_too SYNC")
