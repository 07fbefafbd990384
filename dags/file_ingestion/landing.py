"""The private table in which a group of files lands: made like the target, so that its days are attached as they are.

A row is known by the number of its file's load. Rows that are no events are on 1970-01-01 and stay there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.file_ingestion.location import PACKAGE
from dags.sources.loads.attaching import make_apart

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from clickhouse_connect.driver.client import Client


# Of each fault how many rows have it, and where some of them stand.
Found = dict[int, tuple[int, Sequence[str]]]


@dataclass(frozen=True)
class Landed:
    """The events of each load of which any has landed, those of each day in its order, and the teams of these that are
    not enabled.
    """

    by_load: Mapping[int, int]
    by_day: Mapping[date, int]
    strangers: Collection[int]


@dataclass(frozen=True)
class FileLanding:
    """What has landed of a group of files, in the table ``name``."""

    client: Client
    name: str

    @classmethod
    def made(cls, client: Client, name: str, target: str) -> FileLanding:
        """An empty one."""
        make_apart(client, name, target)
        return cls(client, name)

    def landed(self) -> Landed:
        """What has landed, and was not left out since."""
        by_load, by_day, strangers = dict[int, int](), dict[date, int](), set[int]()
        for load, day, team, rows in self._sql.rows("landed", landing=self.name):
            if load:
                by_load[load] = rows
            elif team:
                strangers.add(team)
            else:
                by_day[day] = rows
        return Landed(by_load, dict(sorted(by_day.items())), strangers)

    def faults(self) -> dict[int, Found]:
        """Of each load the rows that are none: of each fault how many, and where some stand."""
        found: dict[int, Found] = defaultdict(dict)
        for load, number, rows, keys in self._sql.rows("landed_faults", landing=self.name):
            found[load][number] = (rows, keys)
        return found

    def leave_out(self, loads: Collection[int]) -> None:
        """Forget what has landed of some loads."""
        if loads:
            self._sql.command("leave_out", {"loads": sorted(loads)}, landing=self.name)

    @property
    def _sql(self) -> Sql:
        return Sql(PACKAGE, self.client)
