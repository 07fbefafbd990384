"""Puts a day back as a backup has it, for some teams: a publish like a build's, whose new rows come from the backup."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import retrying
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.store import require_usable
from dags.domain.errors import BuildError
from dags.publish.contents import contents
from dags.publish.moments import Checkpoint
from dags.publish.path import NewRows, Publisher, retried
from dags.publish.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.publish.comparison import Comparison, Content

_PACKAGE = "dags.publish"

# What ClickHouse answers where the parts of one table do not fit another: columns; projections, indices, keys.
_DO_NOT_FIT = ("INCOMPATIBLE_COLUMNS", "BAD_ARGUMENTS")


@dataclass(frozen=True)
class DayRestore:
    """One restore of one table's day, for ``teams``, from ``backup``, None if the day was absent then.

    ``checkpoint`` is asked by each attempt that would change the day: what others write after it was asked whether it
    may is noticed before the swap.
    """

    client: Client
    day: date
    table: WatchedTable
    teams: Collection[int]
    backup: str | None
    compare: Comparison
    run_id: str
    wait_seconds: float = 0.0
    progress: Callable[[str], None] = field(default=logging.getLogger(__name__).info)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
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
        sql, retry = Sql(_PACKAGE, self.client), retrying(self.progress, sleep=self.sleep)
        uuid = retry(require_usable, self.client, self.table)
        with (
            Leases(
                self.client, self.run_id, wait_seconds=self.wait_seconds, tell=self.progress, sleep=self.sleep
            ) as leases,
            (staging := Staging(self.client, sql, self.day, leases.token, self.progress)).together() as until_end,
        ):
            retry(leases.take, self.table.name, self.day)
            retry(staging.fence, [self.table.name])
            publisher = Publisher(
                sql=sql,
                day=self.day,
                staging=staging,
                until_end=until_end,
                leases=leases,
                retry=retry,
                read=lambda sql, name: contents(sql, self.table, name, self.day, self.compare),
                team_column=self.table.team_column,
                tell=self.progress,
                checkpoint=self.checkpoint,
            )
            return retried(lambda: self._restored(publisher, uuid), self.progress)

    def _restored(self, publisher: Publisher[Content], uuid: str) -> int:
        sql, retry = publisher.sql, publisher.retry
        before = publisher.seen(self.table.name)
        if before.written.uuid != uuid:
            raise BuildError(
                f"{self.table.name} of {self.day} was not restored: another table was put in its place meanwhile. Do "
                "it again if the day is to be restored in that one"
            )
        then = {} if self.backup is None else retry(contents, sql, self.table, self.backup, self.day, self.compare)
        ours = {team: rows.amount for team, rows in then.items() if team in self.teams}
        replaced = before.by_team.keys() & set(self.teams)
        if self.compare.is_whole and ours == {team: before.by_team[team].amount for team in replaced}:
            return before.rows
        self.checkpoint.may_replace()
        new = [NewRows(retry(self._kept, sql, publisher, then.keys() - ours.keys()), ours)] if ours else []
        return publisher.publish(self.table.name, before, replaced, new)

    def _kept(self, sql: Sql, publisher: Publisher[Content], others: Collection[int]) -> str:
        """A staging table with the backup's rows of the day, less those of other teams."""
        kept = publisher.like("kept", self.table.name)
        try:
            sql.command("attach_day", {"partition": int(f"{self.day:%Y%m%d}")}, into=kept, source=str(self.backup))
        except ClickHouseError as error:
            if getattr(error, "name", None) not in _DO_NOT_FIT:
                raise
            sql.command(
                "copy_day",
                {"day": self.day},
                staging=kept,
                backup=str(self.backup),
                columns=self.compare.copied,
                day=self.table.day,
            )
        publisher.delete(kept, others)
        return kept
