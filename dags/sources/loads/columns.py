"""Which columns of a target a load fills, with what, and what is wrong with that.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dags.sources.loads.shape import TEAM, TIME, TIMES, Column, Kind, Shape, kind_of, within
from dags.work.plan import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dags.clickhouse.targets.facts import Facts

_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")

# What stands for a value in ClickHouse, and not for a column.
_WORDS = frozenset({"null", "true", "false", "nan", "inf", "infinity", "default"})

# Columns that ClickHouse fills by itself.
_NOT_WRITTEN = ("MATERIALIZED", "ALIAS", "EPHEMERAL")


class PlannedColumn(Part):
    """A column of the target, with its type there: from a column of the source, or with a constant."""

    name: str
    type: str
    source: str | None = None
    constant: str | None = None


def shape_of(target: str, columns: Iterable[PlannedColumn]) -> Shape:
    """What a load of these columns fills of a table."""
    return Shape(target, tuple(Column(one.name, one.type, one.constant) for one in columns))


def writable(facts: Facts) -> dict[str, str]:
    """The columns of a table that can be written, with their types."""
    return {name: one.type for name, one in facts.columns.items() if one.kind not in _NOT_WRITTEN}


def target_problems(name: str, target: Mapping[str, str]) -> list[str]:
    """Why a load cannot fill a column. ``target``: the columns that can be written, with their types."""
    if name not in target:
        return [f"the target has no column {name} that can be written: it has {', '.join(target)}"]
    if name.startswith("_") or name.lower() in _WORDS:
        return [
            f"the target's {name} is called as ClickHouse or loads call what is theirs: such a column is not filled"
        ]
    if kind_of(target[name]) is None:
        return [f"the target's {name} is {target[name]}: loads fill texts, whole numbers, floats, Bool, UUID and times"]
    return []


def constant_problems(name: str, constant: str, type_: str) -> list[str]:
    """Why a column of that type cannot have a constant."""
    kind, whole = kind_of(type_), constant.isascii() and constant.removeprefix("-").isdigit()
    if name == TIME:
        return [f"{TIME} is a constant: each event has its own, map it to a column"]
    if kind in TIMES or kind is Kind.UUID:
        return [f"{name} is {type_}: map it to a column, a constant is a text or a number"]
    if kind is Kind.WHOLE:
        is_held = whole and _holds(within(type_), int(constant)) and (name != TEAM or 0 < int(constant) < 2**63)
    elif kind is Kind.FLOAT:
        is_held = bool(_FLOAT.fullmatch(constant))
    else:
        is_held = kind is not Kind.BOOL or constant in ("true", "false")
    if not is_held:
        return [f"the constant of {name} is none that it holds, it is {type_}" + ", above 0" * (name == TEAM)]
    return []


def _holds(type_: str, number: int) -> bool:
    """Whether a ClickHouse type of whole numbers holds one: ``UInt8`` up to 255."""
    bits, is_unsigned = int(type_.lstrip("UInt")), type_.startswith("U")
    least, beyond = (0, 1 << bits) if is_unsigned else (-(1 << bits - 1), 1 << bits - 1)
    return least <= number < beyond
