"""The backup of the days that somebody replaces: their parts, attached to a table of its own.

It costs no copy and no space until the originals are merged away. A day is backed up before its first swap; from that
swap on its backup is never touched again, however often the day is built. Until then it is taken anew where others have
written the day since. Who replaces the days keeps what is recorded of each, `BackedUp` and what each swap was to bring,
and hands it in again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.rules import run_key
from dags.clickhouse.replicas.store import everywhere, reached
from dags.clickhouse.sql import Sql
from dags.domain.days import ONE_DAY
from dags.domain.errors import BuildError
from dags.domain.units import Measure
from dags.publish.contents import contents, read_units, target_of
from dags.publish.digests import Digest, Kept, digest_of_nothing, digest_of_staged, holds, read_digest
from dags.publish.parts import differences
from dags.publish.staging import make_like

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.publish.comparison import Comparison
    from dags.publish.moments import Swap

_PACKAGE = "dags.publish"

# Every backup's name begins so; nothing else's may.
BACKUP_PREFIX = "web_pre_aggregated_backup_"

_KEPT_UNTIL = re.compile(r"kept_until_(\d{8})")


def backup_name(owner: str, table: str) -> str:
    """The table that keeps the days of a table which ``owner`` replaces."""
    return f"{BACKUP_PREFIX}{run_key(owner)}__{table}"


def make_backup(client: Client, name: str, table: str, kept_until: date) -> None:
    """Make a backup's table when it is not there yet, and keep it that long at least.

    Its owner is held by who asks, so that no sweep drops it meanwhile.
    """
    sql = Sql(_PACKAGE, client)
    comment = f"kept_until_{kept_until:%Y%m%d}"
    make_like(sql, "create_backup", backup=name, target=table, kept_until=comment)
    [(found, is_merged)] = [facts for one, *facts in sql.rows("backups", {"prefix": BACKUP_PREFIX}) if one == name]
    if is_merged:
        sql.command("no_merges", backup=name)
    # Days that a late run replaces are kept as long as those of the first; what a person wrote there stays.
    if _KEPT_UNTIL.fullmatch(found) and found < comment:
        sql.command("keep_backup", backup=name, kept_until=comment)


def has_backup(client: Client, name: str) -> bool:
    """Whether a backup's table is there, on this server."""
    return name in _names(client)


def _names(client: Client) -> frozenset[str]:
    return frozenset(name for name, *_ in Sql(_PACKAGE, client).rows("backups", {"prefix": BACKUP_PREFIX}))


def beside_backup(client: Client, name: str) -> Client:
    """A client of the replica that has a backup; this one, where none that answers has it.

    A backup shares the parts of the target that it was taken from, on the server on which the days were swapped, so it
    has no replicas: whoever goes on with the days, or puts them back, does it there, each client of his.
    """
    return next((one for one in everywhere(client).values() if has_backup(one, name)), client)


def backup_names(client: Client) -> tuple[frozenset[str], Sequence[str]]:
    """The tables of all backups that are there, on any replica; and the addresses of those that do not answer."""
    servers, silent = reached(client)
    return frozenset[str]().union(*map(_names, servers.values())), silent


def perhaps_elsewhere(client: Client) -> str:
    """Where a backup that was not found may be yet, in words that end a sentence; empty where nowhere."""
    _, silent = reached(client)
    return f", unless it is on {', '.join(silent)}, which does not answer: do this again when it does" if silent else ""


def drop_backup(client: Client, name: str) -> Sequence[str]:
    """Drop a backup for good, wherever it is; the addresses of replicas that do not answer, and may have it yet."""
    servers, silent = reached(client)
    for one in servers.values():
        Sql(_PACKAGE, one).command("drop_backup", backup=name)
    return silent


def kept_until(now: datetime, days: int) -> date:
    """The last day on which a backup is kept; ``now`` is ClickHouse's clock, as in `expired_backups`."""
    return now.date() + timedelta(days=days)


def expired_backups(client: Client, now: datetime) -> tuple[str, ...]:
    """The backups whose time is over by ``now``, by ClickHouse's clock. One with a person's words has no end."""
    return tuple(name for name, until in backups_until(client).items() if now.date() > until)


def backups_until(client: Client) -> dict[str, date]:
    """The backups, each with the last day on which it is kept; one with a person's words has none, and is left out.

    On every replica that answers; where two have one of the same name, as long as either is kept.
    """
    bound = {"prefix": BACKUP_PREFIX}
    rows = [row for one in everywhere(client).values() for row in Sql(_PACKAGE, one).rows("backups", bound)]
    found = [(name, _KEPT_UNTIL.fullmatch(comment)) for name, comment, _ in rows]
    endless = {name for name, until in found if until is None}
    kept: dict[str, date] = {}
    for name, until in found:
        if until is not None and name not in endless:
            kept[name] = max(_day(until[1]), kept.get(name, date.min))
    return kept


def _day(digits: str) -> date:
    """The day that a comment names; where its digits are none, as a person may write them, it is never over."""
    try:
        return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return date.max


@dataclass(frozen=True)
class DayRows:
    """What a table or a backup has of a day: rows, and what each team's come to, which no merge changes."""

    rows: int = 0
    total_by_team: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.total_by_team.values())


@dataclass(frozen=True)
class BackedUp:
    """What is recorded of a day when its backup was taken: rows, their total, and what tells it again later."""

    rows: int
    total: int
    kept: str

    @property
    def knows_swaps(self) -> bool:
        """Whether the version that recorded it recorded each swap before it happened too; 0.4.0 did not."""
        return Kept.of(self.kept) is not None or Digest.of(self.kept) is not None


@dataclass(frozen=True)
class Taken:
    """A backup that was just taken: what the day holds, and what of it is in the backup."""

    in_table: DayRows
    in_backup: DayRows
    kept: str

    @property
    def is_equal(self) -> bool:
        return self.in_table.total_by_team == self.in_backup.total_by_team

    @property
    def recorded(self) -> BackedUp:
        return BackedUp(self.in_table.rows, self.in_table.total, self.kept)


@dataclass(frozen=True)
class DayBackup:
    """The backup of a day of a table, in the table ``backup``. ``teams``: all whose rows its owner replaces.

    Everything is asked under the day's lease, so that what was recorded is the last word, and after the numbers of the
    day's parts were read, so that what others write from now on keeps an attempt from swapping.
    """

    client: Client
    table: WatchedTable
    backup: str
    day: date
    teams: Collection[int]

    def take(self, swap: Swap) -> Taken:
        """Keep the day's parts, and see what is there then.

        What an earlier run left that died before it recorded it is replaced; of a day without a row nothing is kept,
        whatever the backup has of it.

        Raises:
            BuildError: the table was altered since the backup was begun, so that its parts do not fit.
        """
        if swap.rows:
            try:
                swap.keep(self.backup)
            except ClickHouseError as error:
                if getattr(error, "name", None) not in ("INCOMPATIBLE_COLUMNS", "BAD_ARGUMENTS"):
                    raise
                raise BuildError(
                    f"{self.table.name} of {self.day} was not published, readers see the old day: the table was altered"
                    f" since the backup {self.backup} was begun, and its parts do not fit there ({str(error)[:200]}). "
                    "Cancel or roll back this backfill, and ask for a new one for the days that are left"
                ) from None
        in_table = self._rows(self.table.name)
        in_backup = self._rows(self.backup) if swap.rows else DayRows()
        kept = Kept.now(self.client, self.backup, self.day, total_by_team=in_backup.total_by_team)
        return Taken(in_table, in_backup, kept.text())

    def is_of_before(self, swap: Swap, recorded: BackedUp | None, swaps: Collection[str]) -> bool:
        """Whether the backup has the day as it was before the first swap of it; if not, none has happened.

        ``swaps``: what those of other runs were to bring that were begun and may have happened, as `after` has it.

        Raises:
            BuildError: it has not, or may not have, and a swap may have happened, so that no other can be taken.
        """
        if recorded is None:
            return False
        is_unswapped = recorded.knows_swaps and not swaps
        if not self.holds_still(recorded):
            if is_unswapped:
                return False
            raise BuildError(f"not published: the backup of {self.day}, which was recorded, is not what it was")
        then = self._digest(self.backup) if recorded.rows else self._nothing(self.backup)
        is_as_before = self._holds(swap.table, then)
        if is_as_before:
            return True
        if is_unswapped:
            return False
        is_ours = self.is_as_swapped(swaps)
        if is_ours:
            return True
        why = (
            "the table's columns were altered since, so whether others have written it too cannot be told"
            if is_as_before is None or is_ours is None
            else "it holds neither what was backed up nor what this backfill wrote: others have written it, and no "
            "backup has that"
        )
        raise BuildError(
            f"not published, readers see the day as it is: {self.day} was backed up, then perhaps replaced by this "
            f"backfill, and {why}. Roll this backfill back, or ask for a new one for the day"
        )

    def after(self, swap: Swap) -> str:
        """What the teams will have once a swap has happened, to be recorded before it: so it is known whose that is.

        Raises:
            BuildError: the staging is gone.
        """
        if swap.staging is None:
            return self._nothing(swap.table).text()
        if swap.stay.isdisjoint(self.teams):
            return digest_of_staged(self.client, self.table, swap.staging, self.day, self.teams).text()
        # Of rows that were there, two may have one key, and be merged later.
        return self._digest(swap.staging).text()

    def is_as_swapped(self, swaps: Iterable[str]) -> bool | None:
        """Whether the teams have what one of these swaps brought; None if that cannot be compared any more."""
        found: bool | None = False
        for one in swaps:
            ours = Digest.of(one)
            is_ours = self._holds(self.table.name, ours) if ours is not None else None
            if is_ours:
                return True
            found = None if is_ours is None else found
        return found

    def holds_still(self, recorded: BackedUp) -> bool:
        """Whether the backup has the day as it was recorded.

        A record of 0.5.0 has a digest, one of before has the rows alone; a backup whose columns were altered by hand is
        held against its total.
        """
        if not recorded.rows:
            return True
        if (kept := Kept.of(recorded.kept)) is not None:
            # Where hashes settle it, nothing of the backup is read.
            return kept.is_still(
                self.client, self.table, self.backup, self.day,
                total_by_team=lambda: self._rows(self.backup).total_by_team,
            )  # fmt: skip
        then = Digest.of(recorded.kept)
        is_still = self._holds(self.backup, then) if then is not None else None
        if is_still is not None:
            return is_still
        found = self._rows(self.backup)
        return found.total == recorded.total if recorded.total else found.rows == recorded.rows

    def source(self, recorded: BackedUp) -> str | None:
        """Where the day's rows of then are; None if it had none."""
        return self.backup if recorded.rows else None

    def what_others_wrote(self, recorded: BackedUp, swaps: Collection[str], run_ids: Iterable[str]) -> str:
        """What the teams hold that the owner's runs did not write, in words; empty if nothing.

        What it was to write was recorded before each swap, so a run that died right after one leaves it known. Where
        columns were dropped since, sessions and page views are compared, with the ledger's of those runs.
        """
        is_ours = self.is_as_swapped(swaps)
        if is_ours:
            return ""
        sql, source = Sql(_PACKAGE, self.client), self.source(recorded)
        now = read_units(sql, self.table, self.table.name, self.day)
        then = read_units(sql, self.table, source, self.day) if source is not None else {}
        bound = {"table": self.table.name, "day": self.day, "run_ids": list(run_ids)}
        published = {team: Measure(*measure) for team, *measure in sql.rows("published", bound)}
        strange = {
            team: rows.amount
            for team, rows in now.items()
            if team in self.teams
            and rows.amount != published.get(team)
            and (team not in then or rows.amount != then[team].amount)
        }
        if strange:
            team, amount = next(iter(strange.items()))
            return (
                f"{len(strange)} teams hold what this backfill did not write, as team {team} "
                f"{amount.in_words(self.table.words)}"
            )
        if is_ours is False and recorded.knows_swaps:
            return (
                "its teams hold what this backfill did not write, or lack what it wrote, with sessions and page views "
                "that are equal or gone"
            )
        return ""

    def unlike(self, recorded: BackedUp, by: Comparison) -> str:
        """How the teams' day differs now from what it was, in words; empty if it does not."""
        sql = Sql(_PACKAGE, self.client)
        now, then = (
            {team: rows.amount for team, rows in contents(sql, self.table, name, self.day, by).items()}
            if name is not None
            else {}
            for name in (self.table.name, self.source(recorded))
        )
        ours = frozenset(self.teams)
        wrong = differences(
            {team: now[team] for team in now.keys() & ours}, {team: then[team] for team in then.keys() & ours}
        )
        return f"{len(wrong)} teams differ, first {next(iter(wrong))}" if wrong else ""

    def _rows(self, name: str) -> DayRows:
        identifiers = {**target_of(self.table), "table": name}
        bound = {"start": self.day, "end": self.day + ONE_DAY}
        rows = Sql(_PACKAGE, self.client).rows("units_by_day", bound, **identifiers)
        return DayRows(sum(count for _, _, count, _ in rows), {team: total for _, team, _, total in rows})

    def _holds(self, name: str, then: Digest) -> bool | None:
        return holds(self.client, self.table, name, self.day, teams=self.teams, then=then)

    def _digest(self, name: str) -> Digest:
        return read_digest(self.client, self.table, name, self.day, self.teams)

    def _nothing(self, name: str) -> Digest:
        return digest_of_nothing(self.client, name, self.day)
