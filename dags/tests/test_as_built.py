"""What tests write in place of builds is what builds leave."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from dags.team_selection.store import write_selection
from dags.tests.as_built import as_built
from dags.tests.builds import TABLES, build
from dags.tests.detection.test_store import detected
from dags.tests.events import Event, at, insert, person
from dags.tests.fold import stored
from dags.tests.variants import server_in_stories

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = server_in_stories

DAYS = [date(2026, 1, 9), date(2026, 1, 10)]
LEDGER = (
    "SELECT * EXCEPT (run_id, started_at, finished_at) FROM web_pre_aggregated_builds "
    "WHERE outcome != 'verified' ORDER BY ALL"
)


def left(client: Client) -> list[Any]:
    rows = [stored(client, table) for table in TABLES]
    parts = (
        "SELECT table, partition, sum(rows), countIf(is_projection) FROM (SELECT table, partition, rows, 0 AS "
        "is_projection FROM system.parts UNION ALL SELECT table, partition, rows, 1 FROM system.projection_parts) "
        f"WHERE table IN {TABLES} GROUP BY ALL ORDER BY ALL"
    )
    assert all(rows)
    return [*rows, client.query(LEDGER).result_rows, client.query(parts).result_rows]


def test_what_is_written_as_builds_leave_it_is_what_they_leave_and_complete(client: Client) -> None:
    insert(
        client,
        [
            Event(team, at(f"{day} {hour:02}:00:{second:02}"), f"{day}-{hour}", pathname=path, person_id=person(second))
            for team in (1, 2)
            for day in DAYS[:team]
            for hour in (0, 12)
            for second, path in enumerate(["/", "/a", "/", "/b"][: hour // 6 + team])
        ],
    )
    write_selection(client, [1, 2])
    for day in DAYS:
        build(client, 1, 2, day=day)
    built = left(client)
    for table in (*TABLES, "web_pre_aggregated_builds"):
        client.command(f"TRUNCATE TABLE {table} SYNC")
    as_built(client, 1, 2, days=DAYS)
    assert left(client) == built
    assert detected(client).wrong == ()
    assert detected(client, reads_all_days=True).complete_by_table == dict.fromkeys(TABLES, 3)
