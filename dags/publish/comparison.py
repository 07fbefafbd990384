"""How a day's contents are compared between a table and a backup of it, whose columns may differ by now.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.errors import BuildError
from dags.domain.expression import Expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STATE = re.compile(r"(?:Simple)?AggregateFunction\((?P<function>\w+)(?P<parameters>\([^)]*\))?[,)]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# The states of these are the same bytes whatever was merged in which order; that of `uniq` is once its elements are
# sorted. Any other's is compared by its value alone, and it is said.
_SAME_BYTES = ("sum", "count", "min", "max")

# A state of `uniq`: a byte, how many elements follow (1 to 3 bytes), and these, of 4 bytes, in an order that depends on
# what came first. So: the byte, and the elements sorted.
_SORTED = (
    "substring({state}, 1, 1), "
    "arraySort(arrayMap(i -> substring({state}, 2 + modulo(length({state}) + 3, 4) + 4 * i, 4), "
    "range(intDiv(length({state}), 4))))"
)


@dataclass(frozen=True)
class Column:
    """A column of a table, as ``system.columns`` has it; those that nobody can insert into are left out.

    ``is_key``: it tells rows apart, as one of the sorting key, or any where rows are never merged.
    """

    name: str
    type: str
    is_key: bool

    @property
    def spelled(self) -> str:
        """The name; of a state with its type, for states of two types cannot be compared."""
        return f"{self.name} {self.type}" if _STATE.match(self.type) else self.name


@dataclass(frozen=True)
class Content:
    """What a team has in a day, whatever merges did to its rows: how many keys, and a hash of keys and states."""

    keys: int
    hash: int


@dataclass(frozen=True)
class Comparison:
    """What is compared of a backup and its table, and what is copied where parts cannot be attached any more.

    ``key`` are the columns that tell rows apart in both; ``compared`` are these and the states, of all rows with one
    key; ``of_row`` is equal to that where each key has one row. ``left_out`` are those that are copied and not
    compared, for a merge keeps any value of theirs; ``by_value`` the states that are compared by their values alone.
    """

    key: Expression
    compared: Expression
    of_row: Expression
    copied: Expression
    left_out: tuple[str, ...] = ()
    by_value: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether what is compared equal is equal."""
        return not self.left_out and not self.by_value

    def spoken(self) -> str:
        """What is not compared, in words; empty if there is nothing."""
        words = [f"not compared: columns {', '.join(self.left_out)}"] if self.left_out else []
        words += [f"compared by their values alone: columns {', '.join(self.by_value)}"] if self.by_value else []
        return "; ".join(words)


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
    states = {name: state for name in both if (state := _state(ours[name])) and theirs[name].type == ours[name].type}
    keys = [name for name in both if name not in states and ours[name].is_key and theirs[name].is_key]
    plain = [_plain(name, (ours[name], theirs[name])) for name in keys]
    return Comparison(
        Expression(", ".join(keys)),
        Expression(", ".join([*plain, *(_merged(name, ours[name], state) for name, state in states.items())])),
        Expression(", ".join([*plain, *(_of_row(name, ours[name], state) for name, state in states.items())])),
        Expression(", ".join(both)),
        tuple(name for name in both if name not in keys and name not in states),
        tuple(name for name, state in states.items() if not _is_exact(ours[name], state)),
    )


def _state(column: Column) -> re.Match[str] | None:
    return _STATE.match(column.type)


def _is_exact(column: Column, state: re.Match[str]) -> bool:
    return column.type.startswith("Simple") or state["function"] in (*_SAME_BYTES, "uniq")


def _plain(name: str, types: Iterable[Column]) -> str:
    """A column's value, as text: the same value in another type may have another hash, and NULL has none."""
    is_nullable = any("Nullable" in column.type for column in types)
    return f"isNull({name}), ifNull(toString({name}), '')" if is_nullable else f"toString({name})"


def _merged(name: str, column: Column, state: re.Match[str]) -> str:
    """What rows with one key have in a column of states, so that it tells one content from another."""
    function, parameters = state["function"], state["parameters"] or ""
    if column.type.startswith("Simple"):
        return f"{function}{parameters}({name})"
    if function == "uniq":
        return _SORTED.format(state=f"toString(uniqMergeState({name}))")
    return f"{function}Merge{parameters}({name})"


def _of_row(name: str, column: Column, state: re.Match[str]) -> str:
    """What `_merged` is of a single row."""
    if column.type.startswith("Simple"):
        return name
    if state["function"] == "uniq":
        return _SORTED.format(state=f"toString({name})")
    return f"finalizeAggregation({name})"


def _by_name(columns: Iterable[Column]) -> Mapping[str, Column]:
    return {column.name: column for column in columns}
