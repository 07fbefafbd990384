"""How days of a load that has landed come to the table that readers see, and how they leave it again.

What is there is asked of the data, by the load's number: a day is there, is not, or is in part, and then what is there
is taken out and it is done again. Rows of others are never touched, for a day is attached and nothing is replaced; for
that moment a row that a load brings anew is there twice, under one uuid, which counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.attachable import unattachable
from dags.clickhouse.targets.definition import MODE
from dags.clickhouse.targets.store import describe, detached_of, setting_for_all
from dags.domain.days import in_words
from dags.domain.errors import BuildError
from dags.domain.expression import Expression
from dags.publish.staging import make_like
from dags.sources.loads.landing import PACKAGE
from dags.sources.loads.shape import INSERTED_AT, LOAD_ID, TIME
from dags.sources.loads.verdicts import Presence, presence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.targets.facts import Facts

# So many rows at most are attached between two questions whether the run is to go on.
ATTACHED_AT_ONCE = 2_000_000

ALWAYS = Expression("1")

# What is staged is like the target, whose owner chose its columns.
_ANY_COLUMN = {"allow_suspicious_low_cardinality_types": 1}


@dataclass(frozen=True)
class Attaching:
    """Days of loads on their way. ``confirm`` raises where another run has taken over; it is asked before each day.

    ``fence``: a table of the run, which another one that takes over drops before it attaches days: where it is gone,
    nothing is taken out any more.
    """

    client: Client
    target: str
    loads: tuple[int, ...]
    fence: str
    confirm: Callable[[], None]

    def lacking(self, rows_by_day: Mapping[date, int]) -> dict[date, int]:
        """The days that are not there; of one that is there in part, what is there is taken out."""
        found = present(self.client, self.target, self.loads, rows_by_day)
        how_much = {day: presence(rows, found.get(day, 0)) for day, rows in rows_by_day.items()}
        if broken := [day for day, one in how_much.items() if one is Presence.SOME]:
            self.confirm()
            take_out(self.client, self.target, self.loads, broken, while_there(self.fence))
        return {day: rows_by_day[day] for day, one in how_much.items() if one is not Presence.ALL}

    def attach(self, table: str, days: Collection[date]) -> None:
        """Have these days of a table like the target there."""
        for day in days:
            self.confirm()
            bound = {"partition": partition(day)}
            Sql(PACKAGE, self.client).command("attach_day", bound, target=self.target, staging=table)

    def require(self, rows_by_day: Mapping[date, int]) -> None:
        """Raises: BuildError: what is there of these days is not what has landed."""
        found = present(self.client, self.target, self.loads, rows_by_day)
        require_same(rows_by_day, found, f"{self.target} holds")


def require_same(expected: Mapping[date, int], found: Mapping[date, int], words: str) -> None:
    """Raises: BuildError: there are other rows of a day than are expected."""
    wrong = {day: found.get(day, 0) for day, rows in expected.items() if found.get(day, 0) != rows}
    if wrong:
        day, rows = next(iter(wrong.items()))
        raise BuildError(
            f"of {in_words(wrong)} {words} other rows of the load than have landed: {rows:,} instead of "
            f"{expected[day]:,} on {day}. Somebody deletes or writes them at the same time: go on with it when "
            "that is over. Or a TTL of the table drops them: then cancel it, and leave these days out by a filter"
        )


def make_apart(client: Client, name: str, target: str) -> None:
    """Make a table like the target, of which days can be attached to it; nobody else reads it."""
    make_like(Sql("dags.publish", client, _ANY_COLUMN), "create_staging", staging=name, target=target)
    Sql(PACKAGE, client).command("unmerged", staging=name)


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
    described = describe(client, [target])
    facts, detached = described.get(target), detached_of(client, [target], described)
    needed = [*columns, LOAD_ID, INSERTED_AT]
    mode = setting_for_all(client, facts, MODE)
    if problems := unattachable(target, facts, f"toDate({TIME})", needed, mode, detached=detached):
        raise BuildError(f"nothing can be loaded into {target}, and nothing was touched: {'; '.join(problems)}")
    assert facts is not None
    return facts
