"""What columns must be: there, of the types that a build writes, of UTC days, and keys not NULL.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dags.clickhouse.targets.facts import RENAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dags.clickhouse.targets.facts import Facts

# Columns that ClickHouse fills by itself, or not at all.
_NOT_WRITTEN = ("MATERIALIZED", "ALIAS", "EPHEMERAL")

# By these what counts is told from what is the same or does not, and the newest delivery from the others; a value of
# any other column may be missing, and counts as empty.
_KEYS = {"team_id", "timestamp", "uuid", "event", "session_id", "person_id", "inserted_at"}
_MAY_BE_NULL = re.compile(r"\b(?:Nullable|Variant|Dynamic)\b")

_UTC = ("UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Universal")

_LOW_CARDINALITY = re.compile(r"\bLowCardinality\(((?:[^()]|\([^()]*\))*)\)")
_TIME = re.compile(r"DateTime(?:64)?(?:\((?:\d(?:, )?)?(?:'([^']*)')?\))?")


def lacking(facts: Facts, columns: Iterable[str]) -> Iterator[str]:
    if lacking := [column for column in columns if column not in facts.columns]:
        yield (
            f"the table {facts.name} lacks {', '.join(lacking)}: add the columns (dags/clickhouse/schema has their "
            f"types), or {RENAMED}"
        )


def other_days(facts: Facts, columns: Mapping[str, str]) -> Iterator[str]:
    """Times whose days are those of another time zone."""
    for name, declared in columns.items():
        found = facts.columns.get(name)
        zone = _zone(found.type, facts.time_zone) if found and declared.startswith("DateTime") else None
        if found and zone and zone not in _UTC:
            yield (
                f"the column {name} of {facts.name} is {found.type}, in the time zone {zone}: its days would not be "
                f"UTC days, and rows would count on the wrong one. Expected {declared}: change the column's type"
            )


def keys_without_value(facts: Facts, columns: Mapping[str, str]) -> Iterator[str]:
    """Columns that tell tenants, days, events, sessions, visitors or deliveries apart, and may be NULL."""
    for name in sorted(_KEYS & columns.keys() & facts.columns.keys()):
        if _MAY_BE_NULL.search(found := facts.columns[name].type):
            yield (
                f"the column {name} of {facts.name} is {found}, and rows are told apart by it: no build could take it. "
                f"Expected {columns[name]}: change the column's type, or let a view in its place say what NULL stands "
                "for (ifNull)"
            )


def wrong_types(facts: Facts, columns: Mapping[str, str]) -> Iterator[str]:
    wrong = [
        f"{name} is {f'{found.kind} {found.type}'.strip()} instead of {declared}"
        for name, declared in columns.items()
        if (found := facts.columns.get(name))
        and (found.kind in _NOT_WRITTEN or _compared(found.type, facts.time_zone) != _compared(declared, "UTC"))
    ]
    if wrong:
        yield (
            f"the table {facts.name} has columns that are not what a build writes: {'; '.join(wrong)}. Values would be "
            f"refused, cut or read otherwise: change the types, or {RENAMED}"
        )


def _compared(type_: str, server_zone: str) -> str:
    """A type without what makes no difference: LowCardinality, the name of UTC, and that Bool is a UInt8."""
    plain = _LOW_CARDINALITY.sub(r"\1", type_)
    if zone := _zone(plain, server_zone):
        plain = f"{plain.partition('(')[0]} in {'UTC' if zone in _UTC else zone}"
    return "UInt8" if plain == "Bool" else plain


def _zone(type_: str, server: str) -> str:
    """The time zone of a type of times; empty for any other type."""
    time = _TIME.fullmatch(type_)
    return (time[1] or server) if time else ""
