"""The one path on which a day of a table reaches its readers, whatever its new rows come from: a build or a backup.

Under the day's lease the day is assembled beside the table as it is to be, compared with what it must be, and swapped
in whole, unless anybody else wrote into the day meanwhile; then it is read back. Whoever was robbed of the lease can no
longer do any of it: everything that changes the table moves parts between it and a staging table, and a thief drops
that one first.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import ATTEMPTS
from dags.clickhouse.replicas.store import lagging, place_of
from dags.clickhouse.sql import Sql
from dags.domain.batched import batched
from dags.domain.errors import BuildError, ChangedError, ReadBackError, UnreadableError
from dags.domain.units import MAX_TEAMS_BOUND
from dags.publish.moments import Checkpoint, Moment, Swap
from dags.publish.parts import (
    Memory,
    Remembered,
    Written,
    differences,
    has_other_parts,
    went_along,
    written_since,
)
from dags.publish.staging import EMPTIED
from dags.publish.written import read_day_written, read_written

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import date

    from tenacity import Retrying

    from dags.clickhouse.leases.store import Leases
    from dags.publish.staging import Staging, Tables

_PACKAGE = "dags.publish"

_Amount = TypeVar("_Amount")
Published = TypeVar("Published")


@dataclass(frozen=True)
class TeamRows(Generic[_Amount]):
    """What a table, or a staging of one, holds of a team's day: what is compared, the rows, those outside the day."""

    amount: _Amount
    rows: int
    strays: int = 0


@dataclass(frozen=True)
class Seen(Generic[_Amount]):
    """What a table held of a day when it was looked at, by team, and how far it was written then."""

    by_team: Mapping[int, TeamRows[_Amount]]
    written: Written

    @property
    def amounts(self) -> dict[int, _Amount]:
        return {team: rows.amount for team, rows in self.by_team.items()}

    @property
    def rows(self) -> int:
        return sum(rows.rows for rows in self.by_team.values())


@dataclass(frozen=True)
class NewRows(Generic[_Amount]):
    """Rows that come into a day: the table that has them as parts of the day, and what each team's amount to."""

    table: str
    amounts: Mapping[int, _Amount]


def retried(publish: Callable[[], Published], tell: Callable[[str], None]) -> Published:
    """What ``publish`` answers, called again from the start a few times while others write the day."""
    for attempt in range(1, ATTEMPTS):
        try:
            return publish()
        except ChangedError as error:
            tell(f"attempt {attempt} of {ATTEMPTS}: {error}")
    return publish()


@dataclass(frozen=True)
class Publisher(Generic[_Amount]):
    """Publishes days of tables whose lease is held.

    ``read`` reads what is compared. ``retry`` calls what may fail for a moment; ``tell`` is told in words what is worth
    knowing, ``at`` at which step it is, for tests of faults. ``team_column`` is the tables'; what is staged is dropped
    when ``until_end`` closes.
    """

    sql: Sql
    day: date
    staging: Staging
    until_end: Tables
    leases: Leases
    retry: Retrying
    read: Callable[[Sql, str], Mapping[int, TeamRows[_Amount]]]
    team_column: str
    tell: Callable[[str], None]
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    at: Callable[[Moment], None] = field(default=lambda _: None)

    def seen(self, table: str) -> Seen[_Amount]:
        """What a table holds of the day now."""
        # Written first: what is written between the two is then a change, and not overlooked.
        written = self.retry(read_day_written, self.sql, table, self.day)
        return Seen(self.retry(self.read, self.sql, table), written)

    def publish(
        self, table: str, before: Seen[_Amount], replaced: Collection[int], new: Collection[NewRows[_Amount]]
    ) -> int:
        """Put new rows in the place of some teams' rows; how many rows of the day readers see then.

        Every other team's rows stay the bytes they are.

        Raises:
            ChangedError: something else wrote the day since ``before``; it was not published.
            BuildError: the day was not published, and why.
            ReadBackError: it was published, and reads back otherwise or took somebody's rows with it.
            LeaseError: the lease was taken away; nothing was published.
            ClickHouseError: likewise.
        """
        kept = {team: amount for team, amount in before.amounts.items() if team not in replaced}
        expected = kept | {team: amount for rows in new for team, amount in rows.amounts.items()}
        if expected:
            staging = self.retry(self._assembled, table, before, replaced, new)
            self.retry(self._compare, staging, table, expected)
            looked = self._last_look(table, staging, before, kept)
            self._swap(table, staging, looked)
            with self._unread(table):
                self._nothing_went_along(table, staging, looked)
        elif before.by_team:
            with self.staging.together() as emptied:
                taken = self.retry(self.like, EMPTIED, table, emptied)
                self._last_look(table, None, before, kept)
                self._empty(table, taken, before)
        ours = {*replaced, *(team for rows in new for team in rows.amounts)}
        with self._unread(table):
            rows: int = self.retry(
                self._read_back, table, {team: expected[team] for team in ours if team in expected}, ours
            )
        self._look_elsewhere(table)
        return rows

    # --- Beside the table ----------------------------------------------------------------------------------------

    def like(self, kind: str, table: str, tables: Tables | None = None) -> str:
        """An empty table like ``table``, while the lease is held; dropped in the end, or with ``tables``."""
        name = self.staging.like(self.until_end if tables is None else tables, kind, table)
        # After making the table, or a thief that came before would not have found it.
        self._confirm(table)
        return name

    def _assembled(
        self,
        table: str,
        before: Seen[_Amount],
        replaced: Collection[int],
        new: Iterable[NewRows[_Amount]],
    ) -> str:
        """The day as it is to be: the parts that readers have, less the teams that are replaced, and the new rows.

        Parts are hard links, and rows that stay are the same bytes.
        """
        staging = self.like("new", table)
        if before.by_team.keys() - replaced:
            self._attach(staging, table)
            self.delete(staging, before.by_team.keys() & replaced)
        for rows in new:
            if rows.amounts:
                self._attach(staging, rows.table)
        return staging

    def _attach(self, into: str, source: str) -> None:
        self.sql.command("attach_day", self._partition, into=into, source=source)

    def delete(self, staging: str, teams: Iterable[int]) -> None:
        """Take some teams' rows out of a staging table."""
        for some in batched(sorted(teams), MAX_TEAMS_BOUND):
            self.sql.command("delete_teams", {"teams": some}, staging=staging, team=self.team_column)

    def _compare(self, staging: str, table: str, expected: Mapping[int, _Amount]) -> None:
        found = self.read(self.sql, staging)
        if wrong := differences({team: rows.amount for team, rows in found.items()}, expected):
            team, (has, should) = next(iter(wrong.items()))
            raise BuildError(
                f"{table} of {self.day} was not published, readers still see the old data: {len(wrong)} teams differ "
                f"from what they should be, team {team} with {has} staged of {should}. Either something else wrote the "
                "day at the same moment, then the next attempt succeeds; or this is a fault of ours: report "
                "it with this message"
            )
        if strays := sum(rows.strays for rows in found.values()):
            raise BuildError(f"{table} of {self.day} was not published: {strays} staged rows lie outside the day")

    # --- Just before ---------------------------------------------------------------------------------------------

    def _last_look(self, table: str, staging: str | None, before: Seen[_Amount], stay: Collection[int]) -> Written:
        keep = partial(self.retry, self._keep, table)
        self.checkpoint.before_swap(Swap(table, staging, before.rows, frozenset(stay), keep))
        self.retry(self.checkpoint.confirm)
        now = self._written(table)
        changed = written_since(before.written, now)
        if not changed and has_other_parts(before.written, now) and self._amounts(table) != before.amounts:
            changed = "rows were removed"
        if changed:
            raise ChangedError(
                f"{table} of {self.day} was not published: something else wrote that day meanwhile, and would have "
                f"been lost ({changed}); the next attempt takes it in"
            )
        self.at(Moment.VALIDATED)
        return now

    def _keep(self, table: str, into: str) -> None:
        kept = self.like("kept", table)
        self._attach(kept, table)
        self.sql.command("publish_day", self._partition, target=into, staging=kept)

    def _amounts(self, name: str) -> dict[int, _Amount]:
        return {team: rows.amount for team, rows in self.retry(self.read, self.sql, name).items()}

    def _confirm(self, table: str) -> None:
        if not self.leases.confirm(table, self.day, self.checkpoint.leases):
            self.checkpoint.confirm()

    def _written(self, table: str) -> Written:
        return self.retry(read_written, self.sql, table, self.day)

    # --- The swap, and after it ----------------------------------------------------------------------------------

    def _swap(self, table: str, staging: str, looked: Written) -> None:
        swap = partial(self.sql.command, "publish_day", self._partition, target=table, staging=staging)
        began = list[bool]()

        def once_more() -> None:
            # A server that was cut off kept what was staged there, which nobody could drop.
            if place_of(self.sql.client) is not None:
                self._confirm(table)
            # An answer was lost: done twice, a swap would take along what others wrote since the first.
            if began and written_since(looked, read_written(self.sql, table, self.day)):
                self._has_swapped(table, staging, looked)
                return
            began.append(True)
            swap()

        try:
            self.retry(once_more)
        except ClickHouseError:
            self._confirm(table)  # whoever took the lease dropped the staging; then say that
            raise

    def _has_swapped(self, table: str, staging: str, looked: Written) -> None:
        """Raises: ReadBackError: whether the swap happened of which no answer came cannot be told."""
        if not self._remembered(table, staging, looked).has_staged:
            raise ReadBackError(
                f"{table} of {self.day} was perhaps published: the answer was lost, and the day was written since, by "
                "that or by others. The next detection judges it; build it again"
            )

    def _remembered(self, table: str, staging: str, looked: Written) -> Memory:
        bound = {"table": table, "partition": str(self._number), "staging": staging, "highest": looked.highest}
        of: dict[str, list[Remembered]] = {"table": [], "day": [], "staged": [], "other": []}
        for what, part in self.sql.rows("went_along", bound):
            of[what].append(Remembered(*part))
        return Memory(
            day=tuple(of["day"]),
            staged=frozenset(part.contents for part in of["staged"]),
            others=tuple(of["other"]),
            uuid="".join(one.name for one in of["table"]),
            moved=sum(part.is_active for part in of["staged"]),
        )

    def _empty(self, table: str, taken: str, before: Seen[_Amount]) -> None:
        """Move the day out of the table; what came in the same instant goes back.

        Moved and not dropped, for a run that was robbed of the lease has no table any more to move it to. Until what
        was moved is known to be the old day and no more, whoever drops that table puts it back: see `staging.drop`.
        """
        try:
            self.retry(self.sql.command, "empty_day", self._partition, target=table, staging=taken)
        except ClickHouseError:
            self._confirm(table)
            raise
        if self._amounts(taken) != before.amounts:
            self.retry(self.sql.command, "empty_day", self._partition, target=taken, staging=table)
            raise ChangedError(
                f"{table} of {self.day} was not emptied: something else wrote that day at the same moment, and its "
                "rows were put back; the next attempt takes it in"
            )
        self.retry(self.sql.command, "truncate_table", staging=taken)

    def _nothing_went_along(self, table: str, staging: str, looked: Written) -> None:
        """Between the last look and the swap lie milliseconds, and the rows of whoever writes in them go with the old
        day. ClickHouse remembers their parts for a while, so that it can be said.
        """
        now = self.retry(self._remembered, table, staging, looked)
        along = went_along(looked, now)
        if now.uuid != looked.uuid:
            raise ReadBackError(
                f"{table} of {self.day} was published into another table, which was put in its place in the instant "
                "of the swap: what that one had of the day is gone. Let its writers write the day again, and build it "
                "again in the table that readers are to have"
            )
        if along.parts:
            words = (
                f"wrote {along.rows:,} rows into it in the instant of the swap, and they went with the old day: let "
                "their writer write them again"
                if along.rows
                else "removed rows of it in the instant of the swap, and they are back: let it remove them again"
            )
            raise ReadBackError(f"{table} of {self.day} was published, but something else {words}")
        if along.forgotten and along.is_unwritten:
            self.tell(
                f"{table}: nothing was written into the old day before the swap; but its parts are cleared away, so "
                "whether something removed it in that instant is unknown, and then it is back"
            )
        elif along.forgotten:
            raise ReadBackError(
                f"{table} of {self.day} was published, but ClickHouse has cleared {along.forgotten} parts of the old "
                "day away, and since the last look the table has taken numbers that no part explains: whether "
                "something wrote this day in the instant of the swap, and its rows went with the old day, is unknown. "
                "Compare the day with what its writers wrote, and build it again"
            )
        elif not (looked.read or along.is_unwritten):
            self.tell(
                f"{table}: the day had no rows, and since the last look the table has taken numbers that no part "
                "explains, as after a day was dropped: whether something wrote this day in the instant of the swap is "
                "unknown"
            )

    @contextmanager
    def _unread(self, table: str) -> Iterator[None]:
        """Where reading fails after a swap, what readers see is not known: least of all that it is the old day."""
        try:
            yield
        except (ClickHouseError, UnreadableError) as error:
            raise ReadBackError(
                f"{table} of {self.day} was published, but could not be read back, so what readers see is not known: "
                f"{str(error)[:500]}. The next detection judges it; build it again"
            ) from error

    def _read_back(self, table: str, expected: Mapping[int, _Amount], ours: Collection[int]) -> int:
        """The rows that readers of the day now see, once our teams' are known to be what was staged.

        What others have written of other teams since the swap is theirs, and there.
        """
        found = self.read(self.sql, table)
        if wrong := differences({team: rows.amount for team, rows in found.items() if team in ours}, expected):
            raise ReadBackError(
                f"{table} of {self.day} was published, but {len(wrong)} teams read back unlike what was staged "
                f"(first: {list(wrong)[:5]}): something else wrote the day at the same moment; build it again"
            )
        return sum(rows.rows for rows in found.values())

    def _look_elsewhere(self, table: str) -> None:
        """Say which of the other replicas does not show the day as this one does, after some time to fetch it.

        It was published all the same: who lags fetches it later.
        """
        late = lagging(self.sql.client, table, lambda client: self.read(Sql(_PACKAGE, client), table))
        for name, why in late.items():
            self.tell(f"{table}: published here, and not yet on the replica {name}: {why}")

    @property
    def _number(self) -> int:
        return int(f"{self.day:%Y%m%d}")

    @property
    def _partition(self) -> dict[str, int]:
        return {"partition": self._number}
