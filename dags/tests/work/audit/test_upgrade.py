"""The log of 0.4.0 to 0.5.1 is read as today's, whoever still writes it, and none of it is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.schema.declared import migrations
from dags.clickhouse.sql import Sql
from dags.managed_backfill.kind import BACKFILL
from dags.tests.clickhouse.schema import own_database
from dags.tests.conftest import ENGINES
from dags.tests.world import STATS
from dags.web_preaggregated.tables import WEB_TABLES
from dags.work.audit.log import AUTOMATIC, MANAGED, UNFINISHED, Entry, Event, Status, Work
from dags.work.audit.store import Log, read_state, read_works, require_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client

TABLE = "web_analytics_backfill_events"
NEWEST_OF_0_4_0, NEWEST_OF_0_5_1 = 30, 40
FIRST, LAST, NONE = date(2026, 1, 2), date(2026, 1, 4), date(1970, 1, 1)
START = datetime(2026, 1, 5, tzinfo=UTC)
OLD_COLUMNS = (
    "backfill_id", "event", "status", "origin", "day", "rows", "run_id", "requested_by", "detail",
    "table_name", "start_date", "end_date", "at",
)  # fmt: skip
MINE = [
    ("accepted", "accepted", "managed", NONE, 0, "run-1", "ada", "the plan"),
    ("started", "running", "", NONE, 0, "run-1", "", ""),
    ("gate", "", "", NONE, 0, "run-1", "", "it holds"),
    ("day_backed_up", "", "", FIRST, 7, "run-1", "", ""),
    ("day_done", "", "", FIRST, 5, "run-1", "", ""),
    ("day_done", "", "", date(2026, 1, 3), 4, "run-1", "", ""),
    ("day_restored", "", "", date(2026, 1, 3), 3, "run-1", "", ""),
    ("day_failed", "", "", LAST, 0, "run-1", "", "out of memory"),
]
AUTO = [
    ("accepted", "running", "automatic", NONE, 0, "run-2", "sensor", ""),
    ("day_done", "completed", "", FIRST, 9, "run-2", "", ""),
]


def as_before(client: Client, backfill_id: str, events: Sequence[tuple[Any, ...]], first: int = 0) -> None:
    """Write events as the versions of before wrote them."""
    rows = [
        (backfill_id, *one, STATS, FIRST, LAST, START + timedelta(minutes=number))
        for number, one in enumerate(events, first)
    ]
    client.insert(TABLE, rows, column_names=OLD_COLUMNS)


def upgraded(client: Client, version: int) -> None:
    """Bring a database to the schema of an older version, as that did."""
    for migration in migrations():
        if migration.version <= version:
            Sql("dags.clickhouse.schema", client).command(migration.name, database=str(client.database))


def audit(client: Client) -> tuple[Any, Any]:
    described = [(name, type_) for name, type_, *_ in client.query("DESCRIBE TABLE backfill_log").result_rows]
    return described, client.query("SELECT * FROM backfill_log ORDER BY backfill_id").result_rows


@pytest.mark.parametrize("engine", ENGINES)
def test_a_log_of_before_is_read_as_todays_and_backfill_log_keeps_its_columns_and_rows(
    engine_dsn: Callable[[str], str], engine: str
) -> None:
    with own_database(engine_dsn(engine)) as (text, client):
        upgraded(client, NEWEST_OF_0_4_0)
        as_before(client, "backfill-1", MINE[:4])
        upgraded(client, NEWEST_OF_0_5_1)
        as_before(client, "backfill-1", MINE[4:], 4)
        as_before(client, "auto-1-stats", AUTO)
        before = audit(client)
        assert len(before[1]) == 2
        with open_client(Dsn.parse(text), wait_seconds=60) as upgrading:
            assert apply_schema(upgrading, WEB_TABLES)
            apply_schema(upgrading, WEB_TABLES)
        assert audit(client) == before

        work = Work("backfill-1", MANAGED, STATS, str(FIRST), str(LAST))
        state = require_state(client, BACKFILL, "backfill-1")
        assert (state.work, state.status, state.accepted.payload) == (work, "running", "the plan")
        assert {step: entry.rows for step, entry in state.done.items()} == {str(FIRST): 5}
        assert {step: entry.payload for step, entry in state.failed.items()} == {str(LAST): "out of memory"}
        assert [row.work for row in read_works(client, kinds=[MANAGED], statuses=UNFINISHED)] == [work]
        assert [row.rows for row in read_works(client, kinds=[AUTOMATIC])] == [9]
        assert read_works(client, kinds=["another"]) == () == read_works(client, kinds=[AUTOMATIC], statuses=UNFINISHED)

        # The run of before is at work yet, then dies; another of today goes on.
        as_before(client, "backfill-1", [("day_done", "", "", LAST, 6, "run-1", "", "")], len(MINE))
        Log(client, work, "run-3").append(
            Entry(Event.STARTED, Status.RUNNING), Entry(Event.STEP_DONE, step="2026-01-03", rows=8)
        )
        Log(client, work, "run-3").append(Entry(Event.ENDED, Status.COMPLETED))
        found = read_state(client, "backfill-1")
        assert found is not None
        assert (sorted(found.done), found.failed, found.run_ids) == (
            ["2026-01-02", "2026-01-03", "2026-01-04"], {}, ("run-1", "run-3"),
        )  # fmt: skip
        [row] = client.query("SELECT * FROM backfill_log WHERE backfill_id = 'backfill-1'").named_results()
        assert {name: row[name] for name in ("start_date", "end_date", "status", "rows_affected", "run_id")} == {
            "start_date": FIRST, "end_date": LAST, "status": "completed", "rows_affected": 5 + 8 + 6, "run_id": "run-3",
        }  # fmt: skip
        # Who reads days, reads them still; a step that is none is of no day.
        Log(client, Work("copy-1", "copy", "numbers", "0", "9"), "run-4").append(
            Entry(Event.ACCEPTED, Status.ACCEPTED), Entry(Event.STEP_DONE, step="0-4")
        )
        days = client.query(f"SELECT DISTINCT day FROM {TABLE} WHERE backfill_id = 'copy-1'").result_rows
        assert days == [(NONE,)]
        days = client.query(f"SELECT day, start_date FROM {TABLE} WHERE run_id = 'run-3' AND step != ''").result_rows
        assert days == [(date(2026, 1, 3), FIRST)]
        assert [row[0] for row in audit(client)[1]] == ["auto-1-stats", "backfill-1"]
        assert [row.work for row in read_works(client, kinds=["copy"], statuses=UNFINISHED)] == [
            Work("copy-1", "copy", "numbers", "0", "9")
        ]
