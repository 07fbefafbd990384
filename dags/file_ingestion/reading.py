"""Has rows land, of files by the statement that their format is read with, or of what they brought before."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.sql import Part, Sql
from dags.file_ingestion.formats import format_of
from dags.file_ingestion.location import EVERY_NAME, PACKAGE, only
from dags.file_ingestion.on_the_way import seconds_of
from dags.file_ingestion.values import TIME_FORM, landed, read_again

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.formats import Columns
    from dags.file_ingestion.landing import FileLanding
    from dags.file_ingestion.location import Location
    from dags.file_ingestion.on_the_way import OnTheWay
    from dags.file_ingestion.plan import Layout
    from dags.file_ingestion.values import Reading

# A block of rows may be of so many days, each of which is a part then: more, and all rows are sorted by the day first.
DAYS_A_BLOCK = 20

_TOO_MANY_DAYS = "Too many partitions for single INSERT block"


class ScatteredError(Exception):
    """Rows are of many days in no order: they are to be sorted first. Some may have landed."""


@dataclass(frozen=True)
class Statements:
    """The statements by which rows of a layout land, of so many ``seconds``; sorted by the day, or as they come."""

    landing: FileLanding
    layout: Layout
    seconds: int
    is_sorted: bool

    def of_files(
        self,
        location: Location,
        files: Sequence[OnTheWay],
        expected: Collection[str] | None,
        objects: int,
        said: Sequence[Mapping[str, str]],
    ) -> None:
        """Have files land. ``expected``: the columns that they may have beside those that are read; None for any.
        ``objects`` as `Location.by_name` has it. ``said``: what each file says of its columns' types.

        Raises:
            UserError: a file has not the columns that it is to have.
            ClickHouseError: one cannot be read, or has other columns than are expected. Some rows may have landed.
            ScatteredError: they are to be sorted.
        """
        form, reading = self.layout.as_format, self.layout.reading
        if form.is_typed:
            types = types_of(self.landing.client, location, self.layout, files[0].path, self.seconds)
            self._of_files(location, files, types, reading, expected=expected, objects=objects)
            return
        for own, some in self._by_own_types(files, said).items():
            names = self.layout.file_columns.names
            types = {names[place - 1]: type_ for place, type_ in own}
            read = replace(reading, own_types=dict(own))
            self._of_files(location, some, types, read, expected=expected, objects=objects)

    def _by_own_types(
        self, files: Sequence[OnTheWay], said: Sequence[Mapping[str, str]]
    ) -> Mapping[tuple[tuple[int, str], ...], Sequence[OnTheWay]]:
        """The files that are read by one statement, by the places that are read by their own types, with these."""
        found: dict[tuple[tuple[int, str], ...], list[OnTheWay]] = {}
        for one, types in zip(files, said, strict=True):
            own = tuple(
                (place, type_)
                for place, name in enumerate(self.layout.file_columns.names, 1)
                if (type_ := self.layout.reading.own_type(place, types.get(name, "")))
            )
            found.setdefault(own, []).append(one)
        return found

    def _of_files(
        self,
        location: Location,
        files: Sequence[OnTheWay],
        types: Mapping[str, str],
        reading: Reading,
        *,
        expected: Collection[str] | None,
        objects: int,
    ) -> None:
        columns, form, paths = self.layout.file_columns, self.layout.as_format, [one.path for one in files]
        structure = columns.with_names(expected or ()).structure(types)
        sql = Sql(PACKAGE, self.landing.client, form.settings)
        rows = {"wrong": reading.wrong, "values": reading.values, "rows": rows_of(sql, columns, location)}
        bound = {
            **location.parameters_of(paths, form.engine, structure),
            **form.parameters,
            "form": TIME_FORM,
            "paths": [f"{location.root}{one}" for one in paths],
            "skip": location.skip,
            "loads": [one.load for one in files],
            "etags": [one.planned.etag for one in files],
            "sizes": [one.planned.size for one in files],
            "moments": [seconds_of(one.planned) for one in files],
            "by_name": location.by_name(paths, objects),
        }
        self._land(sql, sql.union("rows_of_files", [rows]), bound, takes_any_column=expected is None)

    def of_loads(self, there: Mapping[str, str], loads: Mapping[int, int]) -> None:
        """Have rows of the target land, of each column as that of the target which ``there`` names. ``loads``: the
        number that those of a load have from then on.

        Raises:
            ScatteredError: they are to be sorted.
        """
        sql, shape = Sql(PACKAGE, self.landing.client), self.layout.shape
        rows = {"target": shape.target, "values": read_again(shape.landed, there)}
        bound = {"before": list(loads), "loads": list(loads.values()), "by_name": EVERY_NAME}
        self._land(sql, sql.union("rows_of_loads", [rows]), bound, takes_any_column=True)

    def _land(self, sql: Sql, rows: Part, bound: Mapping[str, object], *, takes_any_column: bool) -> None:
        shape = self.layout.shape
        with _saying_scattered():
            sql.command(
                "land",
                {
                    **bound,
                    "constants": [column.constant for column in shape.constants],
                    "days": 0 if self.is_sorted else DAYS_A_BLOCK,
                    "takes_any_column": int(takes_any_column),
                    "seconds": self.seconds,
                },
                landing=self.landing.name,
                names=shape.staged_names,
                values=landed(shape),
                fault=self.layout.faults.number,
                rows=rows,
                order=Part("ORDER BY intDiv(timestamp, 86400000000)" if self.is_sorted else ""),
            )


@contextmanager
def _saying_scattered() -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        if _TOO_MANY_DAYS in str(error):
            raise ScatteredError from None
        raise


def rows_of(sql: Sql, columns: Columns, location: Location) -> Part:
    """The statement that answers the rows of files, to stand in the one that has them land."""
    found = {"row": columns.row, "fault": columns.fault, "source": location.function, "path": location.path}
    for name in format_of(columns.format).rows:
        found["within"] = sql.union(name, [found])
    return Part(found["within"])


def types_of(client: Client, location: Location, layout: Layout, path: str, seconds: int) -> dict[str, str]:
    """The columns of a file whose format says of what types they are."""
    bound = location.parameters(only(path), layout.as_format.engine, "auto")
    rows = Sql(PACKAGE, client).rows("types", bound | {"seconds": seconds}, source=location.function)
    return {name: type_ for name, type_, *_ in rows}
