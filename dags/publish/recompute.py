"""Computes some teams' day from the source once more, and compares what readers see with it; publishes nothing.

It is a build that stops before the swap, by the builder of the tables: under the day's lease, in staging tables of its
own, which are dropped. Keys and states are compared, whatever merges did to their rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.clickhouse.failures import retrying
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.domain.errors import BuildError
from dags.domain.text import counted
from dags.publish.computing import Computation
from dags.publish.contents import contents_of_teams, read_comparison, read_source
from dags.publish.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.publish.batches import Limits
    from dags.publish.comparison import Content

_PACKAGE = "dags.publish"


@dataclass(frozen=True)
class Recomputed:
    """What came of it for one table: the teams that were compared, and of those that differ how, in words.

    ``not_compared`` says what of a row was not: columns and states of which equal values prove nothing.
    """

    compared: frozenset[int] = frozenset()
    unequal: Mapping[int, str] = field(default_factory=dict)
    not_compared: str = ""

    @classmethod
    def of_all(cls, found: Iterable[Recomputed]) -> Recomputed:
        """Of several shards together: each has teams of its own."""
        one = cls()
        for some in found:
            compared, unequal = one.compared | some.compared, {**one.unequal, **some.unequal}
            one = cls(compared, unequal, one.not_compared or some.not_compared)
        return one


def recompute(
    client: Client,
    day: date,
    tables: Sequence[WatchedTable],
    teams: Collection[int],
    *,
    run_id: str,
    limits: Limits,
    unchanged_since: datetime,
    tell: Callable[[str], None],
) -> dict[str, Recomputed]:
    """Compute and compare, by table; no wait for who builds the day.

    ``unchanged_since``, by ClickHouse's clock: teams of which rows have arrived since are left out, for of them readers
    are to see the old day until it is built.

    Raises:
        LeaseError: another run builds the day. Nothing was touched.
        BuildError: a team could not be computed, or a table is declared without a builder.
        ClickHouseError: it could not be read, or not be staged.
    """
    sql, retry = Sql(_PACKAGE, client, settings=limits.settings()), retrying(tell)
    names = sorted(table.name for table in tables)
    with (
        Leases(client, run_id, wait_seconds=0, tell=tell) as leases,
        (staging := Staging(client, sql, day, leases.token, tell)).together() as until_end,
    ):
        for name in names:
            retry(leases.take, name, day)
        retry(staging.fence, names)
        found: dict[str, Recomputed] = {}
        for builder, source in dict.fromkeys((one.require_builder(), one.source) for one in tables):
            mine = [one for one in tables if (one.builder, one.source) == (builder, source)]
            rows = retry(read_source, sql, source, day, sorted(teams))
            settled = frozenset(team for team in teams if team not in rows or rows[team].newest <= unchanged_since)
            computing = Computation(
                sql, staging, day, limits, retry=retry, until_end=until_end, tell=tell, at=lambda _: None
            )
            computing.run(builder, {one.name: settled for one in mine}, rows)
            if computing.computed.left:
                (name, team), (_, why) = next(iter(computing.computed.left.items()))
                raise BuildError(f"{name} of {day} could not be computed for team {team}: {why}")
            for table in mine:
                stagings = [one.staging_by_table[table.name] for one in computing.computed.of(table.name)]
                by = read_comparison(client, table.name, [*stagings, table.name][0])
                has = contents_of_teams(sql, table, table.name, day, by=by, teams=settled)
                comes_to: dict[int, Content] = {}
                for name in stagings:
                    comes_to |= contents_of_teams(sql, table, name, day, by=by, teams=settled)
                found[table.name] = _compared(has, comes_to, by.in_words())
        return found


def _compared(has: Mapping[int, Content], comes_to: Mapping[int, Content], not_compared: str) -> Recomputed:
    teams = frozenset({*has, *comes_to})
    unequal = {
        team: _how(has.get(team), comes_to.get(team)) for team in sorted(teams) if has.get(team) != comes_to.get(team)
    }
    return Recomputed(teams, unequal, not_compared)


def _how(has: Content | None, comes_to: Content | None) -> str:
    """How a team's day differs."""
    seen, right = (one.keys if one is not None else 0 for one in (has, comes_to))
    return (
        f"{counted(seen, 'row')} where {right:,} belong" if seen != right else f"other values in {counted(seen, 'row')}"
    )
