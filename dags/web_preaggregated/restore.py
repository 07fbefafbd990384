"""Puts a day back as a backup has it, for some teams: a publish like a build's, whose new rows come from the backup."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import retrying
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.store import require_usable
from dags.domain.errors import BuildError
from dags.web_preaggregated.publishing import Held, NewRows, Publisher, tried_again
from dags.web_preaggregated.staging import STAGING_PREFIX, Staging
from dags.web_preaggregated.structure import Column, Comparison, Content, comparison
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import date

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.web_preaggregated"

# What ClickHouse answers where the parts of one table do not fit another: columns; projections, indices, keys.
_DO_NOT_FIT = ("INCOMPATIBLE_COLUMNS", "BAD_ARGUMENTS")


@dataclass(frozen=True)
class DayRestore:
    """One restore of one table's day, for ``teams``, from ``backup``, None if the day was absent then.

    ``confirm`` raises where something else than the day's lease must hold, and does not any more. ``may_replace`` is
    called by each attempt that would change the day, after the numbers of its parts were read: what is written from
    then on is noticed before the swap, and what it raises leaves the day as it is.
    """

    client: Client
    day: date
    table: str
    teams: Collection[int]
    backup: str | None
    compare: Comparison
    run_id: str
    wait_seconds: float = 0.0
    progress: Callable[[str], None] = field(default=logging.getLogger(__name__).info)
    confirm: Callable[[], None] = field(default=lambda: None)
    may_replace: Callable[[], None] = field(default=lambda: None)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def run(self) -> int:
        """Put the day back; how many rows of it readers see then.

        Raises:
            BuildError: the table is not one that a day may be swapped into. Nothing was touched.
            LeaseError: another run works on the day, or took it from this one. Nothing was touched.
            BuildError: others wrote into the day meanwhile, or what was staged is not what the backup says. Readers see
                the day as it was.
            ReadBackError: the day was restored, and somebody wrote into it at the same moment.
            ClickHouseError: readers see the day as it was, or wholly restored.
        """
        sql, again = Sql(_PACKAGE, self.client), retrying(self.progress, sleep=self.sleep)
        uuid = again(require_usable, self.client, next(one for one in WEB_TABLES if one.name == self.table))
        with (
            Leases(
                self.client, self.run_id, wait_seconds=self.wait_seconds, tell=self.progress, sleep=self.sleep
            ) as leases,
            ExitStack() as stack,
        ):
            staging = Staging(self.client, sql, self.day, leases.token, self.progress)
            again(leases.take, self.table, self.day)
            again(staging.fence, self.table)
            publisher = Publisher(
                sql=sql,
                day=self.day,
                staging=staging,
                leases=leases,
                again=again,
                held=lambda table: contents(sql, table, self.day, self.compare),
                confirm=self.confirm,
            )
            return tried_again(lambda: self._restored(stack, publisher, uuid), self.progress)

    def _restored(self, stack: ExitStack, publisher: Publisher[Content], uuid: str) -> int:
        sql, again = publisher.sql, publisher.again
        before = publisher.seen(self.table)
        if before.written.uuid != uuid:
            raise BuildError(
                f"{self.table} of {self.day} was not restored: another table was put in its place meanwhile. Do it "
                "again if the day is to be restored in that one"
            )
        then = {} if self.backup is None else again(contents, sql, self.backup, self.day, self.compare)
        ours = {team: held.amount for team, held in then.items() if team in self.teams}
        replaced = before.by_team.keys() & set(self.teams)
        if self.compare.is_whole and ours == {team: before.by_team[team].amount for team in replaced}:
            return before.rows
        self.may_replace()
        new = [NewRows(again(self._kept, stack, sql, publisher, then.keys() - ours.keys()), ours)] if ours else []
        return publisher.publish(self.table, before, replaced, new)

    def _kept(self, stack: ExitStack, sql: Sql, publisher: Publisher[Content], others: Collection[int]) -> str:
        """A staging table with the backup's rows of the day, less those of other teams."""
        kept = publisher.like(stack, "kept", self.table)
        try:
            sql.command("attach_day", {"partition": int(f"{self.day:%Y%m%d}")}, into=kept, source=str(self.backup))
        except ClickHouseError as error:
            if getattr(error, "name", None) not in _DO_NOT_FIT:
                raise
            sql.command(
                "copy_day", {"day": self.day}, staging=kept, backup=str(self.backup), columns=self.compare.copied
            )
        publisher.delete(kept, others)
        return kept


def contents(sql: Sql, table: str, day: date, by: Comparison) -> Mapping[int, Held[Content]]:
    """What a table, a backup or a staging holds of a day, by team."""
    rows = sql.rows("contents", _of_day(table, day), target=table, key=by.key, compared=by.compared)
    return {team: Held(Content(keys, found), rows, strays) for team, rows, keys, found, strays in rows}


def contents_of_rows(sql: Sql, table: str, day: date, by: Comparison) -> dict[int, Content]:
    """The same, a fifth of the work, by row and not by key: equal to it where each key has one row, and only there."""
    rows = sql.rows("contents_of_rows", _of_day(table, day), target=table, compared=by.of_row)
    return {team: Content(keys, found) for team, keys, found in rows}


def _of_day(table: str, day: date) -> dict[str, object]:
    return {"day": day, "day_only": int(not table.startswith(STAGING_PREFIX))}


def read_comparison(client: Client, table: str, backup: str) -> Comparison:
    """How a table and its backup are compared, by the columns that they have now.

    Raises:
        BuildError: as `comparison`.
    """
    return comparison(table, read_columns(client, table), backup, read_columns(client, backup))


def read_columns(client: Client, table: str) -> list[Column]:
    rows = Sql(_PACKAGE, client).rows("columns", {"table": table})
    return [Column(name, kind, bool(is_key)) for name, kind, is_key in rows]
