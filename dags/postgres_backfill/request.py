"""What a person asks for, held against what is declared and what is so in both databases: every violation at once.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.postgres_backfill.compiling import INTEGERS, key_problem, mark_problem
from dags.postgres_backfill.filters import Filter, Operator, parse, problems, text_of
from dags.postgres_backfill.plan import Extent
from dags.sources.loads.columns import PlannedColumn, constant_problems, target_problems
from dags.sources.loads.shape import NOT_MAPPED, REQUIRED, TIMES, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dags.postgres_backfill.fields import PostgresBackfillConfig
    from dags.postgres_backfill.reading import SourceColumn
    from dags.sources.declaration import SourceTable


# A statement of ours has them three times, and a server takes 128 KiB of a value.
MAX_FILTER_BYTES = 10_000


@dataclass(frozen=True)
class Counter:
    """A sequence: how many values a session takes from it at once, by how much it grows, whether it begins anew."""

    at_once: int
    grows: int
    cycles: bool

    @property
    def only_grows(self) -> bool:
        """Whether a value that was given later, by whichever session, is always greater."""
        # Where it grows by more, applications hand out the numbers in between as they like.
        return self.at_once == 1 and self.grows == 1 and not self.cycles


@dataclass(frozen=True)
class Facts:
    """What a request is held against.

    ``relation`` is what stands after FROM, ``identity`` tells it from any other, ``columns`` are its own, none where
    there is no such table. ``target``: the columns of the target that can be written, with their types. ``hides_rows``:
    by row security, from this role. ``sequences``: where the values come from of the column that an incremental load
    goes by.
    """

    table: SourceTable
    relation: str
    identity: str
    columns: Sequence[SourceColumn]
    target: Mapping[str, str]
    is_standby: bool = False
    hides_rows: bool = False
    sequences: Sequence[Counter] = ()

    @property
    def types(self) -> dict[str, str]:
        """What PostgreSQL compares a column as: the type beneath a domain."""
        return {one.name: one.base for one in self.columns}


@dataclass(frozen=True)
class Asked:
    """What of a request can be planned."""

    filters: tuple[Filter, ...]
    columns: tuple[PlannedColumn, ...]
    key: str
    goes_by: str = ""


def filters_of(given: PostgresBackfillConfig) -> tuple[Filter, ...]:
    """The filters, whichever of the two forms they were given in.

    Raises:
        UserError: both forms, or one that cannot be read.
    """
    if given.filters and given.filter_sql:
        raise UserError("filters and filter_sql were both given: leave one of the two out, they say the same")
    if given.filter_sql:
        return parse(given.filter_sql)
    return tuple(Filter(one.column, Operator(one.operator), one.text) for one in given.filters)


def held_against(filters: tuple[Filter, ...], extent: Extent, facts: Facts) -> tuple[Asked, list[str]]:
    """What can be planned of a request, and everything that is wrong with it."""
    table, types = facts.table, facts.types
    key = key_of(table)
    columns, found = _planned_columns(facts)
    found += problems(filters, types)
    if (size := len(text_of(filters).encode(errors="replace"))) > MAX_FILTER_BYTES:
        found.append(f"the filters have {size:,} bytes, and at most {MAX_FILTER_BYTES:,} are taken: declare a query")
    found += _key_problems(key, facts)
    if facts.hides_rows:
        found.append(
            f"row security of {table.name} hides rows from this role: what is hidden would count as absent, and be "
            "passed by for ever. Name a role that sees every row (BYPASSRLS, or a policy that lets all through)"
        )
    column = ""
    if extent is Extent.INCREMENTAL:
        column = goes_by(table)
        found += _incremental_problems(column, facts)
    return Asked(filters, columns, key, column), found


def _planned_columns(facts: Facts) -> tuple[tuple[PlannedColumn, ...], list[str]]:
    table, types = facts.table, facts.types
    mapped = dict(table.columns)
    if table.maps_by_name:
        mapped = {name: name for name in types if name in facts.target and name not in NOT_MAPPED}
    planned, found = list[PlannedColumn](), list[str]()
    for name, source in mapped.items():
        found += target_problems(name, facts.target)
        if source not in types:
            found.append(f"{table.name} has no column {source}, which {name} is mapped to: it has {', '.join(types)}")
        elif name in facts.target and (kind := kind_of(facts.target[name])) in TIMES and not _is_time(types[source]):
            found.append(
                f"{name} is mapped to {source}, which is {types[source]}, and is a {kind}: name a timestamp or a date, "
                "or declare a query that makes one of it"
            )
        else:
            planned.append(PlannedColumn(name=name, type=facts.target.get(name, ""), source=source))
    for name, constant in table.constants.items():
        found += target_problems(name, facts.target) + constant_problems(name, constant, facts.target.get(name, ""))
        planned.append(PlannedColumn(name=name, type=facts.target.get(name, ""), constant=constant))
    lacking = [name for name in REQUIRED if name not in mapped and name not in table.constants]
    if lacking:
        found.append(f"{table.name} gives no {', '.join(lacking)}: no row is an event without")
    return tuple(planned), found


def _is_time(type_: str) -> bool:
    return type_.startswith(("timestamp", "date"))


def _key_problems(key: str, facts: Facts) -> list[str]:
    columns = {one.name: one for one in facts.columns}
    if key not in columns:
        return [f"{facts.table.name} has no column {key}, by which batches go: it has {', '.join(columns)}"]
    found = [problem] if (problem := key_problem(key, columns[key].base)) else []
    if facts.table.source == "table":
        if not columns[key].is_unique:
            found.append(
                f"the key {key} of {facts.table.name} has no unique index of its own: batches go by it, and one of "
                f"many equal keys would have no end. CREATE UNIQUE INDEX ON {facts.table.name} ({key}), or name another"
            )
        if not columns[key].is_required:
            found.append(
                f"the key {key} of {facts.table.name} may be NULL, and such rows would be in no batch: NOT NULL"
            )
    return found


def goes_by(table: SourceTable) -> str:
    """The column that an incremental load of a table goes by."""
    return table.changed or key_of(table)


def key_of(table: SourceTable) -> str:
    """The column that batches go by; of a query that names none, the one by which events are told apart."""
    return table.key or table.columns.get("uuid", "uuid")


def _incremental_problems(column: str, facts: Facts) -> list[str]:
    name, columns = facts.table.name, {one.name: one for one in facts.columns}
    if column not in columns:
        return [f"{name} has no column {column}, by which an incremental load goes"]
    base = columns[column].base
    found = [problem] if (problem := mark_problem(column, base)) else []
    if facts.is_standby:
        found.append(
            "this PostgreSQL is a standby, which does not know what is being written: an incremental load from it "
            "could miss rows. Name the primary, or ask for kind: full with filters"
        )
    if not problem and base in INTEGERS and not (facts.sequences and all(one.only_grows for one in facts.sequences)):
        found.append(
            f"{column} of {name} does not come from a sequence that only grows (CACHE 1, INCREMENT 1, no "
            "CYCLE), so that lower numbers may come later: declare changed, a timestamp with time zone that PostgreSQL "
            "sets"
        )
    if facts.table.source == "table" and not columns[column].is_required:
        found.append(f"{column} of {name} may be NULL, and such rows would never come: SET NOT NULL")
    return found


def in_lines(problems_found: Iterable[str]) -> list[str]:
    """Each once, in their order."""
    return list(dict.fromkeys(problems_found))
