"""How days of a load that has landed come to the table that readers see, and how they leave it again.

What is there is asked of the data, by the load's number: a day is there, is not, or is in part, and then what is there
is taken out and it is done again. Rows of others are never touched, for a day is attached and nothing is replaced; for
that moment a row that a load brings anew is there twice, under one uuid, which counts once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.attachable import unattachable
from dags.clickhouse.targets.store import describe
from dags.domain.days import in_words
from dags.domain.errors import BuildError
from dags.domain.expression import Expression
from dags.publish.staging import make_like
from dags.sources.loads.landing import PACKAGE, drop_staged, drop_table
from dags.sources.loads.names import staging_name
from dags.sources.loads.shape import INSERTED_AT, LOAD_ID, TIME
from dags.sources.loads.verdicts import Presence, groups, presence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.targets.rules import Facts
    from dags.sources.loads.landing import Landing
    from dags.sources.loads.verdicts import Group


# So many rows at most are staged at once: a kill costs no more of them, and so much disk is needed beside the landing.
STAGED_AT_ONCE = 2_000_000

# So many rows at most of more than one day are sorted at once: 90 MiB, with what is written of them.
SORTED_AT_ONCE = 250_000

ALWAYS = Expression("1")

# What is staged is like the target, whose owner chose its columns.
_ANY_COLUMN = {"allow_suspicious_low_cardinality_types": 1}


@dataclass(frozen=True)
class Attaching:
    """Days of loads on their way. ``confirm`` raises where another run has taken over; it is asked before each day.

    ``place``: the expression that says which of ``loads`` a row that has landed is of, from 1.
    """

    client: Client
    landing: Landing
    work_id: str
    loads: tuple[int, ...]
    place: Expression
    token: str
    confirm: Callable[[], None]
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def attach(self, group: Group) -> None:
        """Have every day of the group there, whole. Done twice, it changes nothing.

        Raises:
            BuildError: what was staged, or is there in the end, is not what has landed.
        """
        target = self.landing.shape.target
        # Of an attempt before whose answer was lost, a day may be on its way yet: it is there, or never will be, then.
        drop_staged(self.client, self.work_id, self.token)
        found = present(self.client, target, self.loads, group.rows_by_day)
        how_much = {day: presence(rows, found.get(day, 0)) for day, rows in group.rows_by_day.items()}
        if broken := [day for day, one in how_much.items() if one is Presence.SOME]:
            self.confirm()
            take_out(self.client, target, self.loads, broken, while_there(self.landing.name))
        lacking = {day: group.rows_by_day[day] for day, one in how_much.items() if one is not Presence.ALL}
        if not lacking:
            return
        staging = staging_name(self.work_id, next(self._numbers), self.token)
        ours = Sql("dags.publish", self.client, _ANY_COLUMN)
        try:
            make_like(ours, "create_staging", staging=staging, target=target)
            Sql(PACKAGE, self.client).command("compact", staging=staging)
            self._stage(staging, lacking)
            for day in lacking:
                self.confirm()
                bound = {"partition": partition(day)}
                Sql(PACKAGE, self.client).command("attach_day", bound, target=target, staging=staging)
        finally:
            # An attachment that is being done ends first: a table is gone only when nobody uses it.
            drop_table(self.client, staging)
        self.require(lacking)

    def require(self, rows_by_day: Mapping[date, int]) -> None:
        """Raises: BuildError: what is there of these days is not what has landed."""
        target = self.landing.shape.target
        self._require(rows_by_day, present(self.client, target, self.loads, rows_by_day), f"{target} holds")

    def _stage(self, staging: str, rows_by_day: dict[date, int]) -> None:
        shape, sql = self.landing.shape, Sql(PACKAGE, self.client)
        for days in (group.rows_by_day for group in groups(rows_by_day, SORTED_AT_ONCE)):
            name, bound = (
                "stage" if len(days) > 1 else "stage_day",
                {
                    "constants": [column.constant for column in shape.constants],
                    "loads": list(self.loads),
                    "first": min(days),
                    "last": max(days),
                },
            )
            sql.command(
                name, bound, staging=staging, landing=self.landing.name, names=shape.staged_names,
                values=shape.staged, place=self.place,
            )  # fmt: skip
        staged = dict(sql.rows("staged", staging=staging))
        self._require(rows_by_day, {day: staged.get(day, 0) for day in rows_by_day}, "staged were")

    def _require(self, expected: Mapping[date, int], found: Mapping[date, int], words: str) -> None:
        wrong = {day: found.get(day, 0) for day, rows in expected.items() if found.get(day, 0) != rows}
        if wrong:
            day, rows = next(iter(wrong.items()))
            raise BuildError(
                f"of {in_words(wrong)} {words} other rows of {self.work_id} than have landed: {rows:,} instead of "
                f"{expected[day]:,} on {day}. Somebody deletes or writes them at the same time: go on with it when "
                "that is over. Or a TTL of the table drops them: then cancel it, and leave these days out by a filter"
            )


def notes_of(facts: Facts) -> tuple[str, ...]:
    """What is no reason to load nothing into a table, and what somebody should know all the same."""
    if not facts.read_by:
        return ()
    views = ", ".join(facts.read_by)
    return (
        f"the materialized views {views} read {facts.name}: rows are attached and not inserted, so they hear of none",
    )


def present(client: Client, target: str, loads: Collection[int], days: Collection[date]) -> dict[date, int]:
    """How many rows of some loads are in the target on these days; none of a day that it does not name."""
    bound = {"loads": list(loads), "partitions": [partition(day) for day in days]}
    return dict(Sql(PACKAGE, client).rows("present", bound, target=target)) if days else {}


def withdraw(client: Client, target: str, loads: Collection[int], condition: Expression = ALWAYS) -> dict[date, int]:
    """Take out every row of some loads, wherever it is, as `take_out` does; how many of each day those were."""
    there = rows_there(client, target, loads)
    take_out(client, target, loads, list(there), condition)
    return there


def rows_there(client: Client, target: str, loads: Collection[int]) -> dict[date, int]:
    """How many rows of some loads are in the target, by their days, wherever they are."""
    return dict(Sql(PACKAGE, client).rows("everywhere", {"loads": list(loads)}, target=target)) if loads else {}


def take_out(
    client: Client, target: str, loads: Collection[int], days: Collection[date], condition: Expression = ALWAYS
) -> None:
    """Take the rows of loads out of the target on these days, at the price of these days' rows of these loads alone.

    ``condition``: of the run that asks, and of no other that has taken over: a statement that was sent late then takes
    out nothing of theirs.
    """
    for day in days:
        bound = {"partition": partition(day), "loads": list(loads)}
        Sql(PACKAGE, client).command("take_out", bound, target=target, condition=condition)


def while_there(table: str) -> Expression:
    """As long as a table of a run is there, which another one that takes over has dropped before it attaches days."""
    return Expression(f"(SELECT count() FROM {table} WHERE 0) = 0")  # noqa: S608 -- ours


def partition(day: date) -> int:
    """The ClickHouse partition that a day is."""
    return int(f"{day:%Y%m%d}")


def require_attachable(client: Client, target: str, columns: Collection[str]) -> Facts:
    """What the target is, of which days can be attached.

    Raises:
        BuildError: why they cannot, and what to do. Nothing was touched.
    """
    facts = describe(client, [target]).get(target)
    if problems := unattachable(target, facts, f"toDate({TIME})", [*columns, LOAD_ID, INSERTED_AT]):
        raise BuildError(f"nothing can be loaded into {target}, and nothing was touched: {'; '.join(problems)}")
    assert facts is not None
    return facts
