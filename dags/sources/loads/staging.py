"""Days of a load that has landed by the batch are staged as the target has rows, and attached from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.sources.loads.attaching import make_apart, require_same
from dags.sources.loads.landing import PACKAGE, drop_staged, drop_table
from dags.sources.loads.names import staging_name
from dags.sources.loads.verdicts import groups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from dags.sources.loads.attaching import Attaching
    from dags.sources.loads.landing import Landing
    from dags.sources.loads.verdicts import Group

# So many rows at most of more than one day are sorted at once: 90 MiB, with what is written of them.
SORTED_AT_ONCE = 250_000


@dataclass(frozen=True)
class Staging:
    """Days of the load of a work on their way from its landing table, in the run of a token."""

    attaching: Attaching
    landing: Landing
    work_id: str
    load: int
    token: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def attach(self, group: Group) -> None:
        """Have every day of the group there, whole. Done twice, it changes nothing.

        Raises:
            BuildError: what was staged, or is there in the end, is not what has landed.
        """
        client, target = self.attaching.client, self.attaching.target
        # Of an attempt before whose answer was lost, a day may be on its way yet: it is there, or never will be, then.
        drop_staged(client, self.work_id, self.token)
        lacking = self.attaching.lacking(group.rows_by_day)
        if not lacking:
            return
        staging = staging_name(self.work_id, next(self._numbers), self.token)
        try:
            make_apart(client, staging, target)
            self._stage(staging, lacking)
            self.attaching.attach(staging, lacking)
        finally:
            # An attachment that is being done ends first: a table is gone only when nobody uses it.
            drop_table(client, staging)
        self.attaching.require(lacking)

    def _stage(self, staging: str, rows_by_day: dict[date, int]) -> None:
        shape, sql = self.landing.shape, Sql(PACKAGE, self.attaching.client)
        for days in (group.rows_by_day for group in groups(rows_by_day, SORTED_AT_ONCE)):
            bound = {
                "constants": [column.constant for column in shape.constants],
                "load": self.load,
                "first": min(days),
                "last": max(days),
            }
            sql.command(
                "stage" if len(days) > 1 else "stage_day", bound, staging=staging, landing=self.landing.name,
                names=shape.staged_names, values=shape.staged,
            )  # fmt: skip
        staged = dict(sql.rows("staged", staging=staging))
        require_same(rows_by_day, {day: staged.get(day, 0) for day in rows_by_day}, "staged were")
