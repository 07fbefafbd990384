"""Every format gives the same events, packed or not, and a file that is not whole, or not what it says, is named."""

from __future__ import annotations

import gzip
import lzma
import os
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from dags.clickhouse.sql import Sql
from dags.sources.formats import ACCESS_LOG, FORMATS, NAMELESS
from dags.tests.file_ingestion.partner import COLUMNS, Partner, event, lines
from dags.tests.variants import embedded_at_night, server_at_night, variants

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

BY_PLACE = {"team_id": "c1", "uuid": "c2", "timestamp": "c3", "session_id": "c4", "pathname": "c5"}
STRUCTURE = "tenant UInt32, id String, at DateTime64(3, \\'UTC\\'), visit String, path String"
ROW = (
    "7, toString(toUUID('00000000-0000-0000-0000-000000000009')), toDateTime64('2026-01-05 12:00:00.5', 3, 'UTC'), "
    "'v, \"1\"', '/ä'"
)


@embedded_at_night
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
    partner.put("places.data", joined(separator, ["c1", "c2", "c3", "c4", "c5"], of(11)))
    partner.put("blank.data", joined(separator, of(8), [], of(9)))
    partner.ingest()
    errors = partner.errors()
    assert (partner.seen(), sorted(errors)) == (
        [1, 2, 3],
        ["blank.data", "empty-team.data", "names.data", "places.data", "short.data"],
    )
    assert errors["empty-team.data"] == "1 row: team_id is absent (key empty-team.data row 1)"
    assert errors["short.data"] == "1 row: it has fewer columns than are mapped (key short.data row 2)"
    assert "team_id is no whole number that it holds (key names.data row 1)" in errors["names.data"]
    assert errors["blank.data"] == "1 row: it has fewer columns than are mapped (key blank.data row 2)"


# Of the same values: what is read by its own type, and what as a text.
TYPES = {
    "microseconds": ("DateTime64(6, 'UTC')", "Int64"),
    "milliseconds": ("DateTime64(3, 'UTC')", "Int16"),
    "seconds": ("DateTime('UTC')", "Int32"),
    "nanoseconds": ("DateTime64(9, 'UTC')", "UInt64"),
    "texts": ("String", "String"),
}


def put_parquet(partner: Partner, name: str, *rows: str, at: str, number: str) -> None:
    """A file of rows of a tenant, a number of an id, a time and a width, whose times and numbers are of these types."""
    path = partner.directory / "data" / name
    path.parent.mkdir(exist_ok=True)
    texts = "Array(Tuple(tenant Nullable(String), id UInt8, at Nullable(String), width Nullable(String)))"
    partner.client.command(
        f"INSERT INTO FUNCTION file('{path}', 'Parquet') SELECT one.tenant::Nullable({number}) AS tenant, "
        "concat('00000000-0000-0000-0000-0000000000', leftPad(toString(one.id), 2, '0')) AS id, "
        f"one.at::Nullable({at}) AS at, 'v' AS visit, '/' AS path, one.width::Nullable({number}) AS width "
        f"FROM (SELECT arrayJoin([{', '.join(rows)}]::{texts}) AS one)"
    )
    os.utime(path, (0, 0))


@pytest.mark.parametrize("kinds", [list(TYPES), *variants(*([one] for one in TYPES))], ids="+".join)
def test_files_of_parquet_give_the_same_events_whatever_types_their_columns_have(
    client: Client, dsn: Dsn, server_files: Path, kinds: list[str]
) -> None:
    partner = Partner(dsn, client, server_files)
    columns = COLUMNS | {"viewport_width": "width"}
    partner.declared |= {"format": "Parquet", "source_file_pattern": "*.parquet", "columns": columns}
    for number, kind in zip(range(10, 100, 10), kinds, strict=False):
        at, whole = TYPES[kind]
        rows = f"('7', {number + 1}, '2026-01-05 12:00:00', '640')", f"('8', {number + 2}, '2026-01-05 23:59:59', NULL)"
        put_parquet(partner, f"{kind}.parquet", *rows, at=at, number=whole)
        put_parquet(partner, f"{kind}, no team.parquet", f"(NULL, {number + 3}, NULL, '1')", at=at, number=whole)
    partner.ingest()
    found = client.query("SELECT team_id, toString(timestamp), viewport_width FROM events ORDER BY team_id").result_rows
    seven, eight = (7, "2026-01-05 12:00:00.000000", 640), (8, "2026-01-05 23:59:59.000000", 0)
    assert [tuple(row) for row in found] == [seven] * len(kinds) + [eight] * len(kinds)
    assert set(partner.errors().values()) == {
        f"1 row: team_id is absent (key {kind}, no team.parquet row 1)" for kind in kinds
    }


@pytest.mark.parametrize("at", ["toInt64(1767614400)", "toUInt64(1767614400000)", "'2026-01-05 12:00:00'"])
def test_a_column_of_parquet_is_not_read_as_what_one_is_whose_name_begins_with_its(
    client: Client, dsn: Dsn, server_files: Path, at: str
) -> None:
    partner = Partner(dsn, client, server_files)
    partner.declared |= {"format": "Parquet", "source_file_pattern": "*.parquet"}
    path = server_files / "data" / "dotted.parquet"
    path.parent.mkdir(exist_ok=True)
    client.command(
        f"INSERT INTO FUNCTION file('{path}', 'Parquet') SELECT toDateTime64('2020-02-02 02:02:02', 6, 'UTC') "
        f"AS `at.x`, 1 AS tenant, '{UUID(int=1)}' AS id, {at} AS at, 'v' AS visit, '/' AS path"
    )
    os.utime(path, (0, 0))
    partner.ingest()
    assert partner.errors() == {}
    [(found,)] = client.query("SELECT toString(timestamp) FROM events").result_rows
    assert found == "2026-01-05 12:00:00.000000"


def test_a_file_that_is_no_parquet_has_its_neighbours_land_once(
    client: Client, dsn: Dsn, server_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner, asked, run = Partner(dsn, client, server_files), list[str](), Sql._run
    partner.declared |= {"format": "Parquet", "source_file_pattern": "*.parquet"}
    for number in range(1, 9):
        row = f"('7', {number}, '2026-01-05 12:00:00', '1')"
        put_parquet(partner, f"{number}.parquet", row, at="DateTime('UTC')", number="Int64")
    partner.put("3.parquet", b"PAR1 is none")

    def ran(itself: Sql, send: Any, name: str, *rest: Any) -> Any:
        asked.append(name)
        return run(itself, send, name, *rest)

    monkeypatch.setattr(Sql, "_run", ran)
    partner.ingest()
    assert (partner.seen(), set(partner.errors())) == ([1, 2, 4, 5, 6, 7, 8], {"3.parquet"})
    assert asked.count("land") == 2


INSTANTS = {kind: of for kind, of in TYPES.items() if kind != "texts"}


@pytest.mark.parametrize("kinds", [list(INSTANTS), *variants(*([one] for one in INSTANTS))], ids="+".join)
def test_an_instant_in_a_file_of_parquet_is_one_wherever_times_without_a_zone_are(
    client: Client, dsn: Dsn, server_files: Path, kinds: list[str]
) -> None:
    """Other columns that are filled from it get the day, and the words, that stand there."""
    partner = Partner(dsn, client, server_files)
    columns = COLUMNS | {"viewport_width": "width", "distinct_id": "at"}
    partner.declared |= {
        "format": "Parquet", "source_file_pattern": "*.parquet", "columns": columns, "time_zone": "Europe/Berlin",
    }  # fmt: skip
    for number, kind in zip(range(10, 100, 10), kinds, strict=False):
        at, whole = TYPES[kind]
        rows = f"('7', {number}, '2026-07-05 23:30:00', '640')"
        put_parquet(partner, f"{kind}.parquet", rows, at=at, number=whole)
    put_parquet(partner, "text.parquet", "('7', 1, '2026-07-06 01:30:00', '640')", at="String", number="String")
    partner.ingest()
    assert partner.errors() == {}
    found = client.query("SELECT DISTINCT toString(timestamp), substring(distinct_id, 1, 16) FROM events ORDER BY 2")
    assert [tuple(row) for row in found.result_rows] == [
        ("2026-07-05 23:30:00.000000", "2026-07-05 23:30"), ("2026-07-05 23:30:00.000000", "2026-07-06 01:30"),
    ]  # fmt: skip


def test_a_time_out_of_reach_in_a_file_of_parquet_is_refused_and_no_time_of_this_year(
    client: Client, dsn: Dsn, server_files: Path
) -> None:
    partner = Partner(dsn, client, server_files)
    partner.declared |= {"format": "Parquet", "source_file_pattern": "*.parquet"}
    (server_files / "data").mkdir()
    names = set[str]()
    for unit, at in product(("Milli", "Micro"), (2**63 - 1, 1 - 2**63, -1, 10413792000000000)):
        names.add(f"{unit} {at}.parquet")
        path = server_files / "data" / f"{unit} {at}.parquet"
        client.command(
            f"INSERT INTO FUNCTION file('{path}', 'Parquet') SELECT toInt64(1) AS tenant, '{UUID(int=1)}' AS id, "
            f"fromUnixTimestamp64{unit}({at}, 'UTC') AS at, 'v' AS visit, '/' AS path"
        )
        os.utime(path, (0, 0))
    for zone in ("UTC", "Europe/Berlin"):
        partner.declared["time_zone"] = zone
        assert partner.ingest() is not None  # they are tried again
        errors = partner.errors()
        assert (partner.seen(), set(errors)) == ([], names)
        assert all("1 row: timestamp" in error for error in errors.values()), errors


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


# Enough that it is packed in several blocks, of lines of one length, so that some cut is between two of them.
MANY = lines(*(event(number) for number in range(1000, 6000)))


def made_by_engine(client: Client, directory: Path, content: bytes, method: str) -> bytes:
    """Content as the engine packs it."""
    plain, packed = directory / "plain", directory / f"packed.{method}"
    plain.write_bytes(content)
    client.command(
        f"INSERT INTO FUNCTION file('{packed}', 'RawBLOB', 'raw String', '{method}') "
        f"SELECT raw FROM file('{plain}', 'RawBLOB', 'raw String', 'none') SETTINGS engine_file_truncate_on_insert = 1"
    )
    return packed.read_bytes()


def sized(content: bytes, packed: bytes) -> bytes:
    """A zst of a stream, as one of a file: its head says how much is in it."""
    assert packed[4] & 0xE0 == 0
    return packed[:4] + bytes([packed[4] | 0x80]) + packed[5:6] + len(content).to_bytes(4, "little") + packed[6:]


@pytest.mark.parametrize(("kind", "dsn_text"), [("directory", "embedded"), ("bucket", "server")], indirect=["dsn_text"])
@server_at_night
def test_packed_files_are_read_and_one_that_breaks_off_is_never_half_loaded(
    request: pytest.FixtureRequest, kind: str, client: Client, dsn: Dsn, server_files: Path
) -> None:
    bucket = request.getfixturevalue("bucket") if kind == "bucket" else None
    partner = Partner(dsn, client, server_files, bucket)
    partner.declared |= {"source_file_pattern": "**/*.jsonl*"}
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress,
        "xz": lzma.compress,
        "zst": lambda content: sized(content, made_by_engine(client, server_files, content, "zst")),
        "lz4": lambda content: made_by_engine(client, server_files, content, "lz4"),
    }
    for number, (extension, packed) in enumerate(packers.items(), 1):
        partner.put(f"a b/whole.jsonl.{extension}", packed(lines(event(number))))
        many = packed(MANY)
        for place, cut in enumerate((20, len(many) // 2, len(many) - 40)):
            partner.put(f"cut-{place}.jsonl.{extension}", many[:cut])
    stream = made_by_engine(client, server_files, MANY, "zst")
    partner.put("stream.jsonl.zst", stream)
    partner.put("twice.jsonl.zst", packers["zst"](lines(event(9))) * 2)
    partner.ingest()
    errors = partner.errors()
    loaded = {path for path, state in partner.states().items() if state == "success"}
    assert loaded == {f"a b/whole.jsonl.{extension}" for extension in packers}
    assert partner.seen() == [1, 2, 3, 4]
    assert len(errors) == 3 * len(packers) + 2
    assert "it does not say how much is in it" in errors["stream.jsonl.zst"]
    assert "it has several parts" in errors["twice.jsonl.zst"]
