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

# Some states carry a version before the function's name: ``AggregateFunction(1, sumMap, …)``.
_STATE = re.compile(r"(?:Simple)?AggregateFunction\((?:\d+, )?(?P<function>\w+)(?P<parameters>\([^)]*\))?[,)]")
_LOW_CARDINALITY = re.compile(r"LowCardinality\(((?:[^()]|\([^()]*\))*)\)")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# The states of these are the same bytes whatever was merged in which order; that of `uniq` is once its elements are
# sorted. Any other's is compared by its value alone, and it is said.
_SAME_BYTES = ("sum", "count", "min", "max")

# These say of a single row what they say of it alone in a group.
_SAME_OF_ONE = ("sum", "min", "max", "any", "anyLast", "groupBitAnd", "groupBitOr", "groupBitXor")

# A state of `uniq`: a byte, how many elements follow (1 to 3 bytes), and these, of 4 bytes, in an order that depends on
# what came first. So: the byte, and the elements sorted. Cut one by one where they are few, as they mostly are; cutting
# many so would copy the state for each, 12 GiB for 40,000 of them (measured), so these are cut at once. One alone, as
# that of a row mostly is, needs neither.
_SORTED = (
    "substring({state}, 1, 1), if(length({state}) = 6, array(substring({state}, 3, 4)), "
    "arraySort(if(length({state}) < 64, "
    "arrayMap(i -> substring({state}, 2 + modulo(length({state}) + 3, 4) + 4 * i, 4), "
    "range(intDiv(length({state}), 4))), "
    "arrayMap(e -> unhex(e), extractAll(hex(substring({state}, 2 + modulo(length({state}) + 3, 4))), '........')))))"
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
        """The name and the type, for values of two types cannot be compared; LowCardinality makes no difference."""
        return f"{self.name} {self.plain_type}"

    @property
    def plain_type(self) -> str:
        return _LOW_CARDINALITY.sub(r"\1", self.type)

    @property
    def is_state(self) -> bool:
        return _STATE.match(self.type) is not None


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
    Without ``has_row_form`` some column is another of one row than of a group of one.
    """

    key: Expression
    compared: Expression
    of_row: Expression
    copied: Expression
    left_out: tuple[str, ...] = ()
    by_value: tuple[str, ...] = ()
    has_row_form: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether what is compared equal is equal."""
        return not self.left_out and not self.by_value

    def in_words(self) -> str:
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
    plain = [_plain(name, ours[name], theirs[name]) for name in keys]
    return Comparison(
        Expression(", ".join(keys)),
        Expression(", ".join([*plain, *(_merged(name, ours[name], state) for name, state in states.items())])),
        Expression(", ".join([*plain, *(_of_row(name, ours[name], state) for name, state in states.items())])),
        Expression(", ".join(both)),
        tuple(name for name in both if name not in keys and name not in states),
        tuple(name for name, state in states.items() if not _is_exact(ours[name], state)),
        all(state["function"] in _SAME_OF_ONE for name, state in states.items() if _is_simple(ours[name])),
    )


def _state(column: Column) -> re.Match[str] | None:
    return _STATE.match(column.type)


def _is_simple(column: Column) -> bool:
    return column.type.startswith("Simple")


def _is_exact(column: Column, state: re.Match[str]) -> bool:
    return _is_simple(column) or state["function"] in (*_SAME_BYTES, "uniq")


def _plain(name: str, *both: Column) -> str:
    """A column's value, as text: the same value in another type may have another hash."""
    if any("Nullable" in column.type for column in both):
        return _or_null(name)
    is_text = all(column.plain_type == "String" for column in both)
    return name if is_text else f"toString({name})"


def _merged(name: str, column: Column, state: re.Match[str]) -> str:
    """What rows with one key have in a column of states, so that it tells one content from another."""
    function, parameters = state["function"], state["parameters"] or ""
    if _is_simple(column):
        return _value(f"{function}{parameters}({name})", column)
    if function == "uniq":
        return _SORTED.format(state=f"toString(uniqMergeState({name}))")
    return _value(f"{function}Merge{parameters}({name})", column)


def _of_row(name: str, column: Column, state: re.Match[str]) -> str:
    """What `_merged` is of a single row."""
    if _is_simple(column):
        return _value(name, column)
    if state["function"] == "uniq":
        return _SORTED.format(state=f"toString({name})")
    return _value(f"finalizeAggregation({name})", column)


def _value(value: str, column: Column) -> str:
    # As of Nullable, and of functions with OrNull.
    return _or_null(value) if "Null" in column.type else value


def _or_null(value: str) -> str:
    """A hash of several values of which one is NULL is NULL, and says nothing of the others."""
    return f"isNull({value}), ifNull(toString({value}), '')"


def _by_name(columns: Iterable[Column]) -> Mapping[str, Column]:
    return {column.name: column for column in columns}
