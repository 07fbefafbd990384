"""Which columns files have, as far as a format says so without its rows being read twice.

Formats of texts are read as if they had the columns that are known, and no other: ClickHouse refuses the first row, or
the header, that has one, and only then it is asked which columns these files have. So every row is looked at, and it
costs nothing while nothing changes. Files of Parquet say at their end which columns they have; each is asked before it
is read. ORC, Avro, and formats whose columns have no names notice none.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.file_ingestion.location import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.location import Location

# Formats that refuse a column which nobody expects, if they are told to.
REFUSES_UNKNOWN = ("JSONEachRow", "CSVWithNames", "TSVWithNames")
SAYS_BEFORE = ("Parquet",)

_UNKNOWN_FIELD = "Code: 117"

_Columns = dict[str, dict[str, str]]


def is_of_unknown_column(error: Exception) -> bool:
    """Whether ClickHouse has refused a file for a column that nobody expected."""
    text = str(error)
    return _UNKNOWN_FIELD in text and "Unknown field found" in text


def columns_of(
    client: Client, location: Location, format_: str, paths: Sequence[str], *, seconds: int, objects: int
) -> _Columns:
    """The columns of each file, with its type where the format has one; of none that cannot be read. ``objects`` as
    `Location.by_name` has it.
    """
    name, reads_as, structure, columns = _ASKED[format_]
    bound = {
        **location.parameters_of(paths, reads_as, structure),
        "skip": location.skip,
        "paths": [f"{location.root}{one}" for one in paths],
        "seconds": seconds,
        "by_name": location.by_name(paths, objects),
    }
    try:
        rows = Sql(PACKAGE, client).rows(name, bound, path=location.path, source=location.function)
    except (ClickHouseError, UserError):
        # One of them cannot be read, as its load will say.
        if len(paths) == 1:
            return {}
        half = len(paths) // 2
        halves = (
            columns_of(client, location, format_, one, seconds=seconds, objects=objects)
            for one in (paths[:half], paths[half:])
        )
        return {path: found for one in halves for path, found in one.items()}
    return {path: columns(found) for path, found in rows}


def _of_keys(keys: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(keys, "")


def _of_csv(line: str) -> dict[str, str]:
    return dict.fromkeys(next(csv.reader([line.removeprefix("\ufeff")])), "")


def _of_tsv(line: str) -> dict[str, str]:
    return dict.fromkeys(line.removeprefix("\ufeff").rstrip("\r").split("\t"), "")


def _of_parquet(columns: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, type_ in columns:
        found[name] = f"{found[name]}, {type_}" if name in found else type_
    return found


# Of each format: the statement that asks, what the files are read as for it, and what is made of its answer.
_ASKED: dict[str, tuple[str, str, str, Callable[[Any], dict[str, str]]]] = {
    "JSONEachRow": ("columns_of_json", "JSONAsString", "json String", _of_keys),
    "CSVWithNames": ("columns_of_lines", "LineAsString", "line String", _of_csv),
    "TSVWithNames": ("columns_of_lines", "LineAsString", "line String", _of_tsv),
    "Parquet": ("columns_of_parquet", "ParquetMetadata", "auto", _of_parquet),
}
