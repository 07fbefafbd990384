"""What the catalog shows of every asset: lineage from where the data comes from, and facts that are so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dagster import AssetSpec, TableSchema

from dags.definitions import WATCHED, defs, location, web_pre_aggregate_job, web_pre_aggregated
from dags.settings import current_settings
from dags.tests.orders import defs as with_orders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client
    from dagster import Definitions

COLUMNS = "{team_id: team, uuid: id, timestamp: at, event: what}"
SOURCES = f"""
pipelines:
  - name: crm
    dsn_env: CRM_DSN
    tables:
      - {{table: public.visits, key: id, changed: at, schedule: "0 * * * *", columns: {COLUMNS}}}
      - {{table: public_visits, key: id, columns: {COLUMNS}}}
ingestions:
  - {{name: partner-a, source_path: "s3://bucket/partner/", source_file_pattern: "**/*.parquet", format: Parquet,
     schedule: daily, columns: {COLUMNS}}}
  - {{name: local, status: PAUSED, source_path: /srv/files/, source_file_pattern: "*.csv", format: CSVWithNames,
     columns: {COLUMNS}}}
"""


def specs_of(served: Definitions) -> Mapping[str, AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in served.resolve_all_asset_specs()}


def served(monkeypatch: pytest.MonkeyPatch, **settings: str) -> Mapping[str, AssetSpec]:
    """What a location shows that is loaded with these settings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    current_settings.cache_clear()
    try:
        return specs_of(location(WATCHED, [web_pre_aggregated], [web_pre_aggregate_job]))
    finally:
        monkeypatch.undo()
        current_settings.cache_clear()


def upstream(spec: AssetSpec) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in spec.deps}


def test_lineage_begins_where_events_and_teams_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.yaml").write_text(SOURCES, encoding="utf-8")
    shown = served(
        monkeypatch,
        WEB_ANALYTICS_SOURCES=str(tmp_path / "sources.yaml"),
        WEB_ANALYTICS_TEAM_SOURCES="environment,table,top_pageviews",
        WEB_ANALYTICS_ENABLED_TEAM_IDS="1,7",
    )
    origins = {
        "postgres/crm/public_visits",
        "postgres/crm/public_visits_2",
        "files/partner_a",
        "files/local",
    }
    teams = {"enabled_team_ids", "web_analytics_enabled_teams", "top_pageviews"}
    tables = {table.name for table in WATCHED}
    assert {name: upstream(spec) for name, spec in shown.items()} == {
        **{name: set() for name in (*origins, *teams, "web_analytics_operation")},
        "top_pageviews": {"events"},
        "events": origins,
        "web_analytics_team_selection": teams,
        **{name: {"events", "web_analytics_team_selection"} for name in tables},
        "web_analytics_backfill_detector": {"web_analytics_team_selection", *tables},
    }
    assert {name: sorted(shown[name].kinds) for name in origins} == {
        "postgres/crm/public_visits": ["postgres"],
        "postgres/crm/public_visits_2": ["postgres"],
        "files/partner_a": ["parquet", "s3"],
        "files/local": ["csv", "file"],
    }
    assert "2 teams when the location was loaded" in (shown["enabled_team_ids"].description or "")
    assert "`s3://bucket/partner/**/*.parquet`" in (shown["files/partner_a"].description or "")


def test_only_the_team_sources_that_are_united_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = served(monkeypatch, WEB_ANALYTICS_TEAM_SOURCES="top_pageviews")
    assert upstream(shown["web_analytics_team_selection"]) == {"top_pageviews"}
    assert "web_analytics_enabled_teams" not in shown


@pytest.mark.parametrize("served", [defs, with_orders], ids=["ours", "with a table of a user's"])
def test_every_asset_has_a_group_a_layer_and_what_builds_it_is_a_line_of_a_file(served: Definitions) -> None:
    for name, spec in specs_of(served).items():
        layer = {"web_analytics_sources": "source", "web_analytics": "table", "web_analytics_backfill": "verdict"}
        assert spec.tags["web_analytics/layer"] == layer[str(spec.group_name)], name
        if name == "orders":  # nothing is known of it but that it is there
            continue
        assert spec.description, name
        references = spec.metadata["dagster/code_references"].code_references
        files = [Path(one.file_path) for one in references]
        assert all(path.is_file() for path in files), name
        assert all(one.line_number for one in references if one.file_path.endswith(".py") and one.label is None), name
    builders = [
        one.label
        for one in specs_of(served)["web_pre_aggregated_stats"].metadata["dagster/code_references"].code_references
    ]
    assert builders == ["SessionsBuilder", None]


def test_owners_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = served(monkeypatch, WEB_ANALYTICS_OWNERS="team:data, ada@example.com")
    assert {tuple(spec.owners) for spec in shown.values()} == {("team:data", "ada@example.com")}


def test_the_columns_that_are_shown_are_those_of_the_tables_in_their_order(client: Client) -> None:
    asked = "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}"
    compared = 0
    for name, spec in specs_of(defs).items():
        schema = spec.metadata.get("dagster/column_schema")
        if schema is None:
            continue
        assert isinstance(schema, TableSchema)
        database, table = spec.metadata["dagster/table_name"].split(".")
        assert database == "web_analytics"
        bound = {"database": client.database, "table": table}
        made = client.query(f"{asked} ORDER BY position", parameters=bound).result_rows
        assert [(column.name, column.type) for column in schema.columns] == [tuple(row) for row in made], name
        assert all(column.description for column in schema.columns), name
        compared += 1
    assert compared == 5
