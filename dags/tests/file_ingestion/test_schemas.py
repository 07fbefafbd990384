"""What of files is loaded, by versions: what is loaded again, what is taken from where it is, and what is noticed."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dags.domain.errors import SettingsError, UserError
from dags.file_ingestion.schemas import (
    Happened,
    Loads,
    Resolution,
    SchemaEvent,
    Schemas,
    derived,
    noticed,
    of_events,
    redeclared,
    refreshed,
    resolved,
)
from dags.sources.ingestions import Ingestion
from dags.tests.file_ingestion.partner import NAME, Partner, event, lines
from dags.tests.variants import embedded_at_night, variants

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

TARGET = {"pathname": "String", "host": "LowCardinality(String)", "city_name": "String", "viewport_width": "Int64"}
TYPES = {"team_id": "UInt64", "uuid": "UUID", "timestamp": "DateTime64(6)", "event": "String"}
REQUIRED = {"team_id": "t", "uuid": "u", "timestamp": "a", "event": "e"}
PATH = Loads({"pathname": "path"}, {"event": "e"}, ("CSV", "events", "UTC"))


def declares(**given: Any) -> Ingestion:
    document = {"name": NAME, "source_path": "s3://b/", "source_file_pattern": "**", "format": "JSONEachRow", **given}
    return Ingestion.model_validate(document)


def of(*events: Happened) -> Schemas:
    return of_events(events)


def declared(version: int, resolution: Resolution = Resolution.AUTO_MERGE, loads: Loads = PATH) -> Happened:
    return Happened(version, SchemaEvent.DECLARED, str(loads), str(loads), resolution=resolution)


def new(version: int, resolution: Resolution, *names: str, loads: str = "") -> Happened:
    columns = tuple((name, ()) for name in names)
    return Happened(version, SchemaEvent.NOTICED, loads=loads, columns=columns, files=("a",), resolution=resolution)


def after(schemas: Schemas, number: int, resolution: Resolution) -> Schemas:
    return schemas.with_events(resolved(schemas, number, resolution, TARGET, who="ada", reason="so"))


MERGED = str(PATH.with_columns(["city_name"], TARGET))


@pytest.mark.parametrize(
    ("schemas", "current", "reload_below"),
    [
        (of(), 0, 0),
        (of(declared(1)), 1, 0),
        (of(declared(1), new(2, Resolution.MANUAL, "b")), 1, 0),
        (of(declared(1), new(2, Resolution.IGNORE, "b")), 1, 0),
        (of(declared(1), new(2, Resolution.AUTO_MERGE, "b", loads=MERGED)), 2, 0),
        (of(declared(1), new(2, Resolution.BACKFILL, "b", loads=MERGED)), 2, 2),
        (after(of(declared(1), new(2, Resolution.MANUAL, "city_name")), 2, Resolution.BACKFILL), 3, 3),
        (after(of(declared(1), new(2, Resolution.MANUAL, "city_name")), 2, Resolution.AUTO_MERGE), 3, 0),
        (after(of(declared(1), new(2, Resolution.MANUAL, "city_name")), 2, Resolution.IGNORE), 1, 0),
        (after(of(declared(1), new(2, Resolution.MANUAL, "city_name"), declared(3)), 2, Resolution.BACKFILL), 4, 4),
        (of(declared(1), declared(2, Resolution.MANUAL)), 2, 0),
        (after(of(declared(1), declared(2, Resolution.MANUAL)), 2, Resolution.BACKFILL), 2, 2),
        (of(declared(1), refreshed(of(declared(1)), "ada", "so")), 2, 2),
    ],
)
def test_the_version_that_counts_is_the_last_under_which_files_are_loaded(
    schemas: Schemas, current: int, reload_below: int
) -> None:
    assert (schemas.current, schemas.reload_below) == (current, reload_below)


def test_what_is_loaded_under_a_version_is_what_it_says_whatever_comes_after() -> None:
    schemas = after(of(declared(1), new(2, Resolution.MANUAL, "city_name", "team")), 2, Resolution.AUTO_MERGE)
    loads = schemas.loads(3)
    assert loads is not None
    assert (dict(loads.columns), schemas.loads(2)) == ({"pathname": "path", "city_name": "city_name"}, None)
    with pytest.raises(UserError, match="its columns are loaded"):
        after(schemas, 2, Resolution.IGNORE)
    with pytest.raises(UserError, match="the versions are 1, 2, 3"):
        after(schemas, 9, Resolution.IGNORE)


def test_a_column_is_merged_once_and_stays_so_when_the_declaration_changes() -> None:
    ingestion = declares(columns={**REQUIRED, "pathname": "path"})
    schemas = of(*redeclared(of(), ingestion, TARGET | TYPES, "ada"))
    assert redeclared(schemas, ingestion, TARGET | TYPES, "ada") == ()
    [found] = [noticed(schemas, {"a": {"x": ""}}, NAME, Resolution.AUTO_MERGE, TARGET)]
    schemas = schemas.with_events([found] if found else [])
    merged = noticed(schemas, {"b": {"city_name": "", "event": ""}}, NAME, Resolution.AUTO_MERGE, TARGET | TYPES)
    assert merged is not None
    schemas = schemas.with_events([merged])
    changed = declares(columns=REQUIRED, constants={"host": "h"})
    [version] = redeclared(schemas, changed, TARGET | TYPES, "ada")
    assert dict(Loads.parsed(version.loads).columns) == {**REQUIRED, "city_name": "city_name"}


def test_a_run_goes_on_under_what_is_noticed_and_ends_where_people_change_what_is_loaded() -> None:
    merged = new(2, Resolution.AUTO_MERGE, "b", loads=MERGED)
    assert not of(declared(1), merged, new(3, Resolution.MANUAL, "c")).is_changed(1)
    assert of(declared(1), merged, declared(3)).is_changed(1)
    assert of(declared(1), refreshed(of(declared(1)), "ada", "so")).is_changed(1)
    assert after(of(declared(1), new(2, Resolution.MANUAL, "city_name")), 2, Resolution.AUTO_MERGE).is_changed(1)


def test_columns_are_new_once_and_those_of_the_first_files_never() -> None:
    first = noticed(of(declared(1)), {"a": {"x": ""}}, NAME, Resolution.MANUAL, TARGET)
    assert first is not None
    assert (first.version, first.event) == (1, SchemaEvent.SEEN)
    known = of(declared(1), first)
    assert noticed(known, {"b": {"x": ""}}, NAME, Resolution.MANUAL, TARGET) is None
    second = noticed(known, {"b": {"x": ""}, "c": {"x": "", "y": "INT32"}}, NAME, Resolution.IGNORE, TARGET)
    assert second is not None
    assert (second.version, second.columns, second.files) == (2, (("y", ("INT32",)),), ("c",))
    retyped = noticed(of(declared(1), first, second), {"d": {"y": "INT64"}}, NAME, Resolution.IGNORE, TARGET)
    assert retyped is not None
    assert retyped.columns == (("y", ("INT64",)),)
    both = of(declared(1), first, second, retyped)
    assert noticed(both, {"e": {"y": "INT32"}, "f": {"y": "INT64"}}, NAME, Resolution.BACKFILL, TARGET) is None


def test_types_that_files_of_one_group_differ_in_are_one_change() -> None:
    known = of(declared(1), Happened(1, SchemaEvent.SEEN, columns=(("x", ("INT64",)),)))
    files = {"a": {"x": "DOUBLE"}, "b": {"x": "BYTE_ARRAY"}, "c": {"x": "INT64"}}
    found = noticed(known, files, NAME, Resolution.IGNORE, TARGET)
    assert found is not None
    assert (found.columns, found.files) == ((("x", ("DOUBLE", "BYTE_ARRAY")),), ("a", "b"))
    assert noticed(known.with_events([found]), {"a": {"x": "DOUBLE"}}, NAME, Resolution.IGNORE, TARGET) is None


def test_what_is_in_the_target_already_is_taken_from_there_and_nothing_else_is() -> None:
    copied = replace(PATH, columns={"host": "path", "pathname": "path"})
    elsewhere = replace(copied, reading=("CSV", "events", "Europe/Rome"))
    schemas = of(declared(1), declared(2, loads=copied), declared(3, loads=elsewhere))
    landed = [("host", "path"), ("pathname", "path")]
    assert derived(schemas, 1, 2, TARGET, landed) == {"host": "pathname", "pathname": "pathname"}
    assert derived(schemas, 1, 2, TARGET, [*landed, ("city_name", "town")]) is None
    assert derived(schemas, 1, 2, TARGET, [("viewport_width", "path")]) is None
    assert derived(schemas, 2, 3, TARGET, landed) is None
    assert derived(schemas.with_events([refreshed(schemas, "ada", "so")]), 3, 4, TARGET, landed) is None
    assert derived(schemas, 0, 2, TARGET, landed) is None
    # What a file leaves out is a default there, and would be NULL.
    assert derived(schemas, 1, 2, TARGET | {"host": "Nullable(String)"}, landed) is None
    # Of a column that a constant filled, or that the target did not have then, nothing is there.
    noticed_then = of(declared(1), new(2, Resolution.AUTO_MERGE, "event", "plan", loads=str(PATH)), declared(3))
    assert derived(noticed_then, 2, 3, TARGET | {"plan": "String", "event": "String"}, [("event", "event")]) is None
    assert derived(noticed_then, 2, 3, TARGET | {"plan": "String"}, [("plan", "plan")]) is None


def values(partner: Partner, *names: str) -> list[tuple[Any, ...]]:
    rows = partner.client.query(f"SELECT {', '.join(names)} FROM events WHERE load_id != 0 ORDER BY uuid").result_rows
    return [tuple(row) for row in rows]


@embedded_at_night
def test_a_column_that_can_be_derived_is_filled_from_what_is_loaded_without_reading_files(partner: Partner) -> None:
    partner.declared["schema_changes"] = "backfill"
    partner.put("a.jsonl", lines(event(1, at="2026-01-05T23:59:59.999999Z", path="/ü"), event(2)))
    partner.ingest()
    partner.declared |= {
        "columns": {**partner.columns, "referring_domain": "path"},
        "constants": {"event": "$pageview", "browser": "none"},
    }
    state = partner.ingest()
    assert state is not None
    assert sum(entry.bytes_read for entry in state.entries) == 0
    assert values(partner, "referring_domain", "browser", "pathname", "toString(timestamp)", "load_id > 0") == [
        ("/ü", "none", "/ü", "2026-01-05 23:59:59.999999", 1), ("/", "none", "/", "2026-01-05 12:00:00.000000", 1),
    ]  # fmt: skip
    assert partner.ingest() is None


@embedded_at_night
def test_what_is_not_whole_in_the_target_is_read_from_its_file(partner: Partner) -> None:
    partner.declared["schema_changes"] = "backfill"
    partner.put("a.jsonl", lines(event(1), event(2)))
    partner.ingest()
    partner.client.command("DELETE FROM events WHERE uuid = toUUID('00000000-0000-0000-0000-000000000001')")
    partner.declared["constants"] = {"event": "$pageview", "browser": "none"}
    state = partner.ingest()
    assert state is not None
    assert sum(entry.bytes_read for entry in state.entries) > 0
    assert (partner.seen(), values(partner, "browser")) == ([1, 2], [("none",), ("none",)])


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
@pytest.mark.parametrize("format_", variants("CSVWithNames", "TSVWithNames", "Parquet"))
def test_a_column_is_noticed_in_formats_that_name_them(
    client: Client, dsn: Dsn, server_files: Path, format_: str
) -> None:
    partner = Partner(dsn, client, server_files)
    partner.declared |= {"format": format_, "source_file_pattern": "**/*.data", "schema_changes": "auto_merge"}
    partner.put("x", b"")
    columns = "tenant UInt32, id String, at DateTime64(3, \\'UTC\\'), visit String, path String"
    for number, more, value in ((1, "", ""), (2, ", city_name String", ", 'Rome'")):
        path = f"{server_files}/data/{number}.data"
        client.command(
            f"INSERT INTO FUNCTION file('{path}', '{format_}', '{columns}{more}') SELECT 7, "
            f"toString(toUUID('00000000-0000-0000-0000-00000000000{number}')), "
            f"toDateTime64('2026-01-05 12:00:00', 3, 'UTC'), 'v', '/'{value}"
        )
        os.utime(path, (0, number))
        partner.ingest()
    assert partner.errors() == {}
    assert values(partner, "city_name") == [("",), ("Rome",)]
    [found] = [one for one in partner.schemas().versions if one.event == "noticed"]
    assert (list(found.columns), found.files, found.at > datetime(2026, 1, 1, tzinfo=UTC)) == (
        ["city_name"], ("2.data",), True,
    )  # fmt: skip


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_a_malformed_file_hides_no_column_of_its_neighbours_and_values_for_keys_end_the_noticing(
    client: Client, dsn: Dsn, server_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = Partner(dsn, client, server_files)
    partner.put("a.jsonl", lines(event(1)))
    partner.ingest()
    partner.put("b.jsonl", lines(event(2, colour="red")))
    partner.put("c.jsonl", lines(event(3)) + b'{"tenant": 1, \n')
    partner.ingest()
    assert partner.states() == {"a.jsonl": "success", "b.jsonl": "success", "c.jsonl": "failed"}
    assert [list(one.columns) for one in partner.schemas().versions] == [[], ["colour"]]
    monkeypatch.setattr("dags.file_ingestion.loading.MAX_COLUMNS", 10)
    partner.put("d.jsonl", lines({**event(4), **{f"key {number}": 1 for number in range(30)}}))
    partner.put("e.jsonl", lines(event(5, another=1)))
    partner.ingest()
    partner.put("f.jsonl", lines(event(6, yet_another=1)))
    partner.ingest()
    assert partner.seen() == [1, 2, 4, 5, 6]
    assert len(partner.schemas().versions) == 3


@pytest.mark.long
@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_names_that_no_column_can_have_keep_no_file_from_being_loaded(
    client: Client, dsn: Dsn, server_files: Path
) -> None:
    partner = Partner(dsn, client, server_files)
    partner.declared["schema_changes"] = "auto_merge"
    names = ["", "_path", "_size", "_time", "_row_number", "_file", "`", "\\", "a b", "'", "\n", "ü", "{x:String}"]
    for number, name in enumerate(names, 1):
        partner.put(f"{number:02d}.jsonl", lines(event(number), {**event(number + 100), name: 5}))
        partner.ingest()
    assert partner.errors() == {}
    assert len(partner.seen()) == 2 * len(names)
    partner.put("later.jsonl", lines(event(99, city_name="Rome")))
    partner.ingest()
    assert ("Rome",) in values(partner, "city_name")
    partner.declared["columns"] = {**partner.columns, "host": "_path"}
    with pytest.raises(SettingsError, match="ClickHouse itself calls something so"):
        partner.planned()


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_a_header_with_a_comma_too_many_is_read(client: Client, dsn: Dsn, server_files: Path) -> None:
    partner = Partner(dsn, client, server_files)
    partner.declared |= {"format": "CSVWithNames", "source_file_pattern": "**/*.csv"}
    for number in (1, 2):
        row = f"1,00000000-0000-0000-0000-00000000000{number},2026-01-05,v,/,\n"
        partner.put(f"{number}.csv", f"tenant,id,at,visit,path,\n{row}".encode())
        partner.ingest()
    assert (partner.errors(), partner.seen()) == ({}, [1, 2])
