"""Every format gives the same events, packed or not, and a file that is not whole, or not what it says, is named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from dags.sources.formats import ACCESS_LOG, FORMATS, NAMELESS
from dags.tests.file_ingestion.partner import COLUMNS, Partner

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

BY_PLACE = {"team_id": "c1", "uuid": "c2", "timestamp": "c3", "session_id": "c4", "pathname": "c5"}
STRUCTURE = "tenant UInt32, id String, at DateTime64(3, \\'UTC\\'), visit String, path String"
ROW = (
    "7, toString(toUUID('00000000-0000-0000-0000-000000000009')), toDateTime64('2026-01-05 12:00:00.5', 3, 'UTC'), "
    "'v, \"1\"', '/ä'"
)


@pytest.mark.parametrize("format_", [one for one in FORMATS if one != ACCESS_LOG])
def test_each_format_gives_the_same_events(client: Client, dsn: Dsn, server_files: Path, format_: str) -> None:
    partner = Partner(dsn, client, server_files)
    columns = BY_PLACE if format_ in NAMELESS else COLUMNS
    # A time that says its zone is not that of the ingestion; a text without one is.
    zone = "UTC" if format_ != "Avro" else "Europe/Berlin"
    # Two columns may be filled from one.
    columns = columns | {"distinct_id": columns["session_id"]}
    partner.declared |= {"format": format_, "source_file_pattern": "**/*.data", "columns": columns, "time_zone": zone}
    partner.put("x", b"")
    path = f"{server_files}/data/a ü.data"
    client.command(f"INSERT INTO FUNCTION file('{path}', '{format_}', '{STRUCTURE}') SELECT {ROW}")
    os.utime(path, (0, 0))
    partner.ingest()
    found = client.query(
        "SELECT team_id, uuid, toString(timestamp), session_id, distinct_id, pathname, event FROM events"
    ).result_rows
    assert partner.errors() == {}
    assert [tuple(row) for row in found] == [
        (7, UUID(int=9), "2026-01-05 12:00:00.500000", 'v, "1"', 'v, "1"', "/ä", "$pageview")
    ]


def of(number: int) -> list[str]:
    return ["1", str(UUID(int=number)), "2026-01-05T12:00:00Z", f"v{number}", "/"]


def joined(separator: str, *rows: list[str]) -> bytes:
    return "".join(separator.join(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize(("format_", "separator"), [("CSV", ","), ("TSV", "\t")])
def test_columns_without_names_are_known_by_their_place_and_none_is_made_up(
    client: Client, dsn: Dsn, server_files: Path, format_: str, separator: str
) -> None:
    partner = Partner(dsn, client, server_files)
    partner.declared |= {"format": format_, "source_file_pattern": "*.data", "columns": BY_PLACE}
    partner.put("good.data", joined(separator, of(1), [*of(2), "more", "and more"], [*of(3)[:4], ""]) + b"\n\n")
    partner.put("empty-team.data", joined(separator, ["", *of(10)[1:]]))
    partner.put("short.data", joined(separator, of(4), of(5)[:4], of(6)))
    partner.put("names.data", joined(separator, ["tenant", "id", "at", "visit", "path"], of(7)))
    partner.put("blank.data", joined(separator, of(8), [], of(9)))
    partner.ingest()
    errors = partner.errors()
    assert (partner.seen(), sorted(errors)) == (
        [1, 2, 3],
        ["blank.data", "empty-team.data", "names.data", "short.data"],
    )
    assert errors["empty-team.data"] == "1 row: team_id is absent (key empty-team.data row 1)"
    assert errors["short.data"] == "1 row: it has fewer columns than are mapped (key short.data row 2)"
    assert "team_id is no whole number that it holds (key names.data row 1)" in errors["names.data"]
    assert errors["blank.data"] == "1 row: it has fewer columns than are mapped (key blank.data row 2)"


def test_avro_files_that_lack_a_column_or_have_other_types_are_read_each_by_what_it_says(
    client: Client, dsn: Dsn, server_files: Path
) -> None:
    partner = Partner(dsn, client, server_files)
    partner.declared |= {"format": "Avro", "source_file_pattern": "*.avro"}
    partner.put("readme.txt", b"no Avro")
    texts = "tenant String, id String, at String, visit Nullable(String), path String, more Array(Int8)"
    for name, structure, row in (
        ("a, {1}.avro", STRUCTURE, ROW),
        ("b.avro", texts, f"'7', '{UUID(int=10)}', '2026-01-05', NULL, '/', [1]"),
        ("c.avro", "tenant UInt32, id String", "7, 'x'"),
    ):
        path = server_files / "data" / "made.avro"
        client.command(f"INSERT INTO FUNCTION file('{path}', 'Avro', '{structure}') SELECT {row}")
        os.utime(path, (0, 0))
        path.rename(path.with_name(name))
    partner.put("d.avro", b"no Avro")
    partner.ingest()
    assert partner.seen() == [9, 10]
    assert partner.errors()["c.avro"] == "it has no column path, visit, at: it has tenant, id"
    assert set(partner.errors()) == {"c.avro", "d.avro"}
