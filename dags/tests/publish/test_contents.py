"""What is read of a day of which few teams are built says of these what all of it says, and enough of the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.sql import Sql
from dags.publish.contents import read_units
from dags.publish.staging import STAGING_PREFIX
from dags.tests.as_built import as_built
from dags.tests.builds import DAY
from dags.tests.events import Event, at, insert
from dags.tests.variants import server_in_stories
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable

pytestmark = server_in_stories

TEAMS = (1, 2, 3)


@pytest.mark.parametrize("table", WEB_TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("built", [(2,), (1, 3, 9), ()], ids=str)
def test_all_is_read_but_the_distinct_of_teams_that_are_not_built(
    client: Client, table: WatchedTable, built: tuple[int, ...]
) -> None:
    noon = at("2026-01-10 12:00:00")
    insert(client, [Event(team, noon + timedelta(hours=n), f"s{n}") for team in TEAMS for n in range(team)])
    as_built(client, *TEAMS, days=[DAY])
    # Rows of the next day: strays in a staging.
    staging = f"{STAGING_PREFIX}with_strays"
    client.command(f"CREATE TABLE {staging} AS {table.name}")
    client.command(f"INSERT INTO {staging} SELECT * FROM {table.name}")
    client.command(
        f"INSERT INTO {staging} SELECT * REPLACE (period_bucket + INTERVAL 1 DAY AS period_bucket) "
        f"FROM {table.name} WHERE team_id = 3"
    )
    for name, strays in ((table.name, 0), (staging, 3)):
        everything = read_units(Sql("dags.publish", client), table, name, DAY)
        assert {team: rows.strays for team, rows in everything.items()} == {1: 0, 2: 0, 3: strays}
        assert read_units(Sql("dags.publish", client), table, name, DAY, built) == {
            team: rows if team in built else replace(rows, amount=rows.amount._replace(distinct=0))
            for team, rows in everything.items()
        }
