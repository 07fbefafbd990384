"""Has files land, by the statement that their format is read with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.sql import Part, Sql
from dags.file_ingestion.formats import format_of
from dags.file_ingestion.location import PACKAGE, only
from dags.file_ingestion.values import TIME_FORM

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.formats import Columns
    from dags.file_ingestion.location import Location
    from dags.file_ingestion.plan import Layout
    from dags.sources.loads.landing import Landing


def read_files(
    client: Client,
    location: Location,
    landing: Landing,
    layout: Layout,
    paths: Mapping[int, str],
    *,
    expected: Collection[str] | None,
    seconds: int,
) -> None:
    """Have files land, each under its number. ``expected``: the columns that they may have beside those that are read;
    None for any.

    Raises:
        UserError: a file has not the columns that it is to have.
        ClickHouseError: one cannot be read, or has other columns than are expected. Some rows may have landed.
    """
    columns, form = layout.file_columns, layout.as_format
    types = _types(client, location, layout, next(iter(paths.values())), seconds) if form.is_typed else {}
    structure = columns.with_names(expected or ()).structure(types)
    bound = {
        **location.parameters_of(list(paths.values()), form.engine, structure),
        **form.parameters,
        "form": TIME_FORM,
        "paths": [f"{location.root}{one}" for one in paths.values()],
        "numbers": list(paths),
        "skip": location.skip,
        "takes_any_column": int(expected is None),
        "seconds": seconds,
    }
    sql = Sql(PACKAGE, client, form.settings)
    sql.command(
        "land",
        bound,
        landing=landing.name,
        names=tuple(column.name for column in layout.shape.landed),
        values=layout.reading.values,
        day=layout.reading.day,
        wrong=layout.reading.wrong,
        rows=rows_of(sql, columns, location),
    )


def rows_of(sql: Sql, columns: Columns, location: Location) -> Part:
    """The statement that answers the rows of files, to stand in the one that has them land."""
    found = {"row": columns.row, "fault": columns.fault, "source": location.function, "path": location.path}
    for name in format_of(columns.format).rows:
        found["within"] = sql.union(name, [found])
    return Part(found["within"])


def _types(client: Client, location: Location, layout: Layout, path: str, seconds: int) -> dict[str, str]:
    """The columns of a file whose format says of what types they are."""
    bound = location.parameters(only(path), layout.as_format.engine, "auto")
    rows = Sql(PACKAGE, client).rows("types", bound | {"seconds": seconds}, source=location.function)
    return {name: type_ for name, type_, *_ in rows}
