"""The dashboard that ships asks what the schema answers: each of its queries runs on a server, and answers."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import dags.metrics
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.domain.clock import utc_now
from dags.tests.metrics.rows import TABLE, BuildRow, GapRow, insert_builds, insert_gaps

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DASHBOARD = json.loads((Path(dags.metrics.__file__).parent / "grafana.json").read_text(encoding="utf-8"))
PANELS: dict[str, Any] = {panel["title"]: panel for panel in DASHBOARD["panels"]}
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}


# As the data source writes them (grafana-clickhouse-datasource 4, its macros.go).
def filled(query: str, database: str, past: timedelta = timedelta(weeks=12)) -> str:
    now = utc_now()
    macros = {
        "$__fromTime": f"toDateTime({int((now - past).timestamp())})",
        "$__toTime": f"toDateTime({int(now.timestamp()) + 60})",
        "${table:singlequote}": f"'{TABLE}','another'",
        "${database}": database,
    }
    for macro, text in macros.items():
        query = query.replace(macro, text)
    assert "$__" not in query
    assert "${" not in query
    return query


@pytest.fixture(scope="module")
def run_id() -> str:
    return str(uuid4())


@pytest.fixture
def used(server: tuple[str, Client], run_id: str) -> Client:
    """A server on which a run has built a day whose gap it closed; another is open."""
    dsn, client = server
    with open_client(Dsn.parse(dsn), wait_seconds=5, who=run_id) as of_run:
        of_run.query("SELECT sum(number) FROM numbers(1000)")
    now = utc_now()
    day, began = now.date() - timedelta(days=3), now - timedelta(hours=2)
    insert_builds(client, [BuildRow(TABLE, day, 1, run_id, "built", began, now)])
    insert_gaps(
        client,
        [
            GapRow(TABLE, day, False, "opened", began),
            GapRow(TABLE, day, False, "closed", now, closed_by="build"),
            GapRow(TABLE, day - timedelta(days=1), False, "opened", now),
        ],
    )
    client.command("SYSTEM FLUSH LOGS query_log")
    return client


def test_every_query_of_the_dashboard_runs_and_answers(used: Client) -> None:
    database = str(used.database)
    silent = []
    for title, panel in PANELS.items():
        [target] = panel["targets"]
        answer = used.query(filled(target["rawSql"], database))
        is_series = panel["type"] == "timeseries"
        assert (target["format"], target["queryType"]) == ((0, "timeseries") if is_series else (1, "table"))
        if is_series:  # the data source takes the column of this name for the time
            assert answer.column_names[0] == "time"
            assert all(isinstance(row[0], datetime) for row in answer.result_rows)
        silent += [title] * (not answer.result_rows)
    assert len(PANELS) > 10
    assert not silent
    assert used.query(filled(VARIABLES["table"]["query"], database)).result_rows == [(TABLE,)]


def test_what_a_run_cost_is_found_by_its_id(used: Client, run_id: str) -> None:
    query = filled(PANELS["What cost most"]["targets"][0]["rawSql"], str(used.database), timedelta(seconds=30))
    rows = [dict(row) for row in used.query(query).named_results()]
    [own] = [row for row in rows if row["run_id"] == run_id]
    assert own["kind"] == "daily"
    assert own["rows_read"] >= 1000
    assert own["cpu"] > 0
    assert own["memory"] > 0


def test_the_dashboard_names_its_data_source_by_a_variable_and_has_no_panel_twice() -> None:
    sources = [target["datasource"] for panel in PANELS.values() for target in panel["targets"]]
    assert all(one == {"type": "grafana-clickhouse-datasource", "uid": "${datasource}"} for one in sources)
    assert len(PANELS) == len(DASHBOARD["panels"]) == len({panel["id"] for panel in DASHBOARD["panels"]})
    assert VARIABLES["datasource"]["query"] == "grafana-clickhouse-datasource"
