"""Answers of statements, which a process keeps from one look to the next while the parts that were read are the same.

Who looks again finds most tables as they were. Their parts tell so, by the hashes of their contents, and a statement
that reads nothing else has the answer that it had. It is kept in memory alone, so that it ends with the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dags.clickhouse.sql import Sql

    # By a statement's name and what it binds: in which states the tables were that it reads, and its answer.
    Kept = Mapping[str, tuple[tuple[object, ...], Sequence[Any]]]


class Answers:
    """The answers of one look; ``before`` is what an earlier one has kept, and ``kept`` what this one keeps.

    ``states``: the state of each of the ``tables`` that is told, read before any of the statements. What reads another
    table is asked each time.
    """

    def __init__(self, before: Kept | None = None, tables: Sequence[str] = ()) -> None:
        self._before = before or {}
        self.tables = tables
        self.states: Mapping[str, object] = {}
        self.kept: dict[str, tuple[tuple[object, ...], Sequence[Any]]] = {}

    def rows(self, sql: Sql, name: str, bound: Mapping[str, object], reads: Sequence[str]) -> Sequence[Any]:
        """The rows of a statement that reads the rows of these tables, and nothing else: no clock, no other table.

        Raises:
            ClickHouseError: as `Sql.rows`.
        """
        key, states = f"{name} {sorted(bound.items())}", tuple(self.states.get(table) for table in reads)
        before, answer = self._before.get(key, ((), ()))
        if None in states or before != states:
            answer = sql.rows(name, bound)
        if None not in states:
            self.kept[key] = states, answer
        return answer
