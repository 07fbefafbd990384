"""How a day's contents are compared between a table and a backup of it, whose columns may differ by now.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.errors import BuildError
from dags.sql import Expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STATE = re.compile(r"(?:Simple)?AggregateFunction\((?P<function>\w+)(?P<parameters>\([^)]*\))?[,)]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Column:
    """A column of a table, as ``system.columns`` has it; those that nobody can insert into are left out."""

    name: str
    type: str
    is_key: bool


@dataclass(frozen=True)
class Content:
    """What a team has in a day, whatever merges did to its rows: how many keys, and a hash of keys and states."""

    keys: int
    hash: int


@dataclass(frozen=True)
class Comparison:
    """What is compared of a backup and its table, and what is copied where parts cannot be attached any more.

    ``key`` are the columns of the sorting key that both have; ``compared`` are these and the states, finalized. A
    column that is neither has no value of its own, for a merge keeps any: it is copied and not compared.
    """

    key: Expression
    compared: Expression
    copied: Expression


def comparison(table: str, now: Iterable[Column], backup: str, then: Iterable[Column]) -> Comparison:
    """Compare by the columns that the table has now and the backup has too.

    Raises:
        BuildError: the backup has columns that the table lacks and the other way round, so that one may have been
            renamed; or a name that no statement of ours can have.
    """
    ours, theirs = _by_name(now), _by_name(then)
    gone, new = sorted(theirs.keys() - ours.keys()), sorted(ours.keys() - theirs.keys())
    if gone and new:
        raise BuildError(
            f"{backup} has the columns {', '.join(gone)} that {table} has no longer, and lacks {', '.join(new)}: what "
            "was renamed and what was dropped cannot be told. Nothing was touched: `ALTER TABLE` the backup likewise "
            f"(RENAME COLUMN {gone[0]} TO {new[0]}, or DROP COLUMN {gone[0]}), then do it again"
        )
    both = [name for name in theirs if name in ours]
    if strange := [name for name in both if not _PLAIN.fullmatch(name)]:
        raise BuildError(
            f"{table} has the columns {strange}, whose names are not letters, digits and _: nothing was touched. "
            f"Rename them there and in {backup}, then do it again"
        )
    keys = [name for name in both if ours[name].is_key and theirs[name].is_key]
    merged = [
        f"{state['function']}{'Merge' if column.type.startswith('Agg') else ''}{state['parameters'] or ''}({name})"
        for name in both
        if (column := ours[name]) and (state := _STATE.match(column.type)) and theirs[name].type == column.type
    ]
    # The same value in another type may have another hash.
    told = [name if ours[name].type == theirs[name].type else f"toString({name})" for name in keys]
    return Comparison(Expression(", ".join(keys)), Expression(", ".join([*told, *merged])), Expression(", ".join(both)))


def _by_name(columns: Iterable[Column]) -> Mapping[str, Column]:
    return {column.name: column for column in columns}
