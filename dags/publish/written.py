"""Asks how far a table's day was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.publish.parts import Part, Written

if TYPE_CHECKING:
    from datetime import date

_PACKAGE = "dags.publish"


def read_written(sql: Sql, table: str, day: date) -> Written:
    """How far a table's day was written until now, by anybody; ``sql`` is of any package."""
    found: dict[str, list[Part]] = {"table": [], "alter": [], "part": [], "highest": []}
    is_replicated = False
    for what, of_replicated, *part in Sql.of(sql, _PACKAGE).rows("written", _of_day(table, day)):
        found[what].append(Part(*part))
        is_replicated |= bool(of_replicated)
    return Written(
        parts=tuple(found["part"]),
        alters=len(found["alter"]),
        uuid="".join(one.name for one in found["table"]),
        others=max((one.highest for one in (*found["highest"], *found["alter"])), default=0),
        shares_numbers=not is_replicated,
    )


def read_day_written(sql: Sql, table: str, day: date) -> Written:
    """The same of the day's own parts alone, for half the time: enough to see later that something was written."""
    parts: list[Part] = []
    uuid = ""
    for of_table, *part in Sql.of(sql, _PACKAGE).rows("day_written", _of_day(table, day)):
        uuid = of_table or uuid
        if not of_table:
            parts.append(Part(*part))
    return Written(parts=tuple(parts), uuid=uuid)


def _of_day(table: str, day: date) -> dict[str, str]:
    return {"table": table, "partition": f"{day:%Y%m%d}"}
