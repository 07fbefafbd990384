"""What a format of files offers to a declaration: which names its columns have, and what they are for if nobody says.

Pure: no clock, no database, no Dagster. How each is read is for `dags.file_ingestion.formats`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, get_args

from dags.sources.parts import mapping, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FormatName = Literal[
    "JSONEachRow", "CSVWithNames", "TSVWithNames", "CSV", "TSV", "Parquet", "ORC", "Avro", "access_log"
]
FORMATS: tuple[str, ...] = get_args(FormatName)

# Their columns are called by their place: c1, c2, …
NAMELESS = ("CSV", "TSV")
MAX_PLACES = 1000
_PLACE = re.compile(r"c([1-9][0-9]{0,3})")

ACCESS_LOG = "access_log"

# What ClickHouse says of a file beside its columns; a column that is called so hides that.
_OF_CLICKHOUSE = frozenset(
    {"_path", "_file", "_size", "_time", "_etag", "_tags", "_row_number", "_headers", "_data_lake_snapshot_version"}
)

# Columns of a page view that `events` calls the same.
_SAME = (
    "host", "referring_domain", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "gclid",
    "gad_source", "fbclid", "browser", "os", "device_type",
)  # fmt: skip

# What a line of an access log that is a page view has.
OFFERED = ("id", "at", "address", "path", "referrer", "status", "user_agent", "visitor", "session", *_SAME)

# What becomes of that where a declaration has no columns.
_COLUMNS = {
    "uuid": "id", "timestamp": "at", "distinct_id": "visitor", "person_id": "visitor", "session_id": "session",
    "pathname": "path", **{name: name for name in _SAME},
}  # fmt: skip
_EVENT = {"event": "$pageview"}


def place_of(column: str) -> int | None:
    """The place of a column that has no name, from 1; None where it is called otherwise."""
    found = _PLACE.fullmatch(column)
    return int(found[1]) if found is not None and int(found[1]) <= MAX_PLACES else None


def is_readable(column: str) -> bool:
    """Whether files can be read as if they had a column of that name."""
    return column != "" and column not in _OF_CLICKHOUSE


def completed(given: object) -> object:
    """A declaration with what its format fills by itself: an access log without columns has all that it offers.

    What is no declaration is left as it is, to be refused.
    """
    if not isinstance(given, dict) or given.get("format") != ACCESS_LOG:
        return given
    columns, constants = given.get("columns") or {}, given.get("constants") or {}
    if not isinstance(columns, dict) or not isinstance(constants, dict):
        return given
    columns = columns or {target: name for target, name in _COLUMNS.items() if target not in constants}
    return {**given, "columns": columns, "constants": constants if "event" in columns else _EVENT | constants}


def column_problems(ingestion: Mapping[str, Any]) -> Iterator[str]:
    """Names of columns that the format does not have, by their numbers."""
    format_, columns = ingestion.get("format"), mapping(ingestion.get("columns"))
    if format_ in NAMELESS:
        wrong = [number for number, name in enumerate(columns.values(), 1) if place_of(str(name)) is None]
        names = f"c1, c2, … c{MAX_PLACES}, by their place"
    elif format_ == ACCESS_LOG:
        wrong = [number for number, name in enumerate(columns.values(), 1) if name not in OFFERED]
        names = ", ".join(OFFERED)
    else:
        if wrong := [number for number, name in enumerate(columns.values(), 1) if not is_readable(str(name))]:
            yield f".columns: {numbered(wrong)} cannot be: ClickHouse itself calls something so, rename it in the files"
        return
    if wrong:
        yield f".columns: {numbered(wrong)} cannot be: the columns of {format_} are {names}"
