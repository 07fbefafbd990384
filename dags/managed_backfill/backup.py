"""The backup of the days that a backfill replaces: their parts, attached to a table of the backfill's own.

It costs no copy and no space until the originals are merged away. A day is backed up before its first swap; from that
swap on its backup is never touched again, however often the day is built. Until then it is taken anew where others have
written the day since.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.sql import Sql
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.errors import BuildError
from dags.managed_backfill.gates import Gate, backup_taken
from dags.managed_backfill.log import DayEvent, Days
from dags.managed_backfill.plan import BACKUP_PREFIX, backup_name
from dags.managed_backfill.store import target_of
from dags.publish.digests import Digest, Kept, digest_of_nothing, digest_of_staged, holds, read_digest
from dags.publish.staging import make_like

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.publish.steps import Swap
    from dags.work.audit.log import Entry
    from dags.work.audit.store import Log
    from dags.work.lease import Hold

_PACKAGE = "dags.managed_backfill"

KEPT_UNTIL = re.compile(r"kept_until_(\d{8})")


@dataclass(frozen=True)
class Held:
    """What a table or a backup has of a day: rows, and what each team's come to, which no merge changes."""

    rows: int
    total_by_team: dict[int, int]

    @property
    def total(self) -> int:
        return sum(self.total_by_team.values())


def make_backup(client: Client, backfill_id: str, table: str, kept_until: date) -> str:
    """The backup table of a backfill, made when it is not there yet, and kept that long at least.

    The backfill's lease is held, so that no sweep drops it meanwhile.
    """
    name = backup_name(backfill_id, table)
    sql = Sql(_PACKAGE, client)
    comment = f"kept_until_{kept_until:%Y%m%d}"
    make_like(sql, "create_backup", backup=name, target=table, kept_until=comment)
    found = dict(sql.rows("backups", {"prefix": BACKUP_PREFIX}))[name]
    # Days that a late run replaces are kept as long as those of the first; what a person wrote there stays.
    if KEPT_UNTIL.fullmatch(found) and found < comment:
        sql.command("keep_backup", backup=name, kept_until=comment)
    return name


def has_backup(client: Client, backfill_id: str, table: str) -> bool:
    name = backup_name(backfill_id, table)
    return name in {one for one, _ in Sql(_PACKAGE, client).rows("backups", {"prefix": BACKUP_PREFIX})}


def back_up_once(
    client: Client, log: Log, held: Hold, swap: Swap, *, backup: str, table: WatchedTable, teams: Collection[int],
    entry: Entry,
) -> Gate | None:  # fmt: skip
    """Back a day up, unless the backup has it as it was before the first swap; the gate if it was done now.

    ``entry`` names the day; it is recorded with what the day holds, and a digest of what ``teams`` have. Under the
    day's lease, so that what the log says of it is the last word, and after the day's numbers were read, so that what
    others write from now on keeps this attempt from swapping. The record comes before the swap.

    Raises:
        BuildError: the backup is not what was recorded, does not fit, or may be of a state that was not before; the
            gate failed.
        HoldLostError: another run acts on the backfill now.
    """
    state, day = log.read(), date.fromisoformat(entry.step)
    if state is not None and _is_of_before(
        client, Days.of(state), log.run_id, swap, backup=backup, table=table, teams=teams, day=day
    ):
        return None
    found, gate = _take_backup(client, swap, backup, table, day)
    if not gate.is_passed:
        raise BuildError(f"not published, readers see the old day: {gate}")
    kept = Kept.now(client, backup, day, total_by_team=found.total_by_team if swap.rows else {})
    held.confirm()
    log.append(replace(entry, rows=found.rows, total=found.total, payload=kept.text()))
    return gate


def _is_of_before(
    client: Client,
    days: Days,
    run_id: str,
    swap: Swap,
    *,
    backup: str,
    table: WatchedTable,
    teams: Collection[int],
    day: date,
) -> bool:
    """Whether the backup has the day as it was before the first swap of it; if not, none has happened.

    Raises:
        BuildError: it has not, or may not have, and a swap may have happened, so that no other can be taken.
    """
    recorded = days.backed_up.get(day)
    if recorded is None:
        return False
    # A run builds a day once, so what it has begun before is of an attempt that ended before the swap.
    swaps = [one for one in days.swapping.get(day, ()) if one.run_id != run_id]
    is_unswapped = knows_swaps(recorded) and not swaps
    if not holds_still(client, table, backup, day, recorded=recorded, teams=teams):
        if is_unswapped:
            return False
        raise BuildError(f"not published: the backup of {day}, which was recorded, is not what it was")
    then = read_digest(client, table, backup, day, teams) if recorded.rows else digest_of_nothing(client, backup, day)
    is_as_before = holds(client, table, swap.table, day, teams=teams, then=then)
    if is_as_before:
        return True
    if is_unswapped:
        return False
    is_ours = is_as_swapped(client, table, day, teams, swaps)
    if is_ours:
        return True
    why = (
        "the table's columns were altered since, so whether others have written it too cannot be told"
        if is_as_before is None or is_ours is None
        else "it holds neither what was backed up nor what this backfill wrote: others have written it, and no backup "
        "has that"
    )
    raise BuildError(
        f"not published, readers see the day as it is: {day} was backed up, then perhaps replaced by this backfill, "
        f"and {why}. Roll this backfill back, or ask for a new one for the day"
    )


def record_swap(
    client: Client, log: Log, held: Hold, swap: Swap, *, table: WatchedTable, teams: Collection[int], entry: Entry
) -> None:
    """Record what the teams will have once a swap has happened, before it happens: so a restore knows what is ours."""
    day = date.fromisoformat(entry.step)
    held.confirm()  # or the staging may be gone
    if swap.staging is None:
        digest = digest_of_nothing(client, swap.table, day)
    elif swap.stay.isdisjoint(teams):
        digest = digest_of_staged(client, table, swap.staging, day, teams)
    else:  # of rows that were there, two may have one key, and be merged later
        digest = read_digest(client, table, swap.staging, day, teams)
    held.confirm()
    log.append(replace(entry, event=DayEvent.SWAPPING, payload=digest.text()))


def is_as_swapped(
    client: Client, table: WatchedTable, day: date, teams: Collection[int], swaps: Iterable[Entry]
) -> bool | None:
    """Whether teams have what one of these swaps brought; None if that cannot be compared any more."""
    found: bool | None = False
    for one in swaps:
        ours = Digest.of(one.payload)
        is_ours = holds(client, table, table.name, day, teams=teams, then=ours) if ours is not None else None
        if is_ours:
            return True
        found = None if is_ours is None else found
    return found


def knows_swaps(recorded: Entry) -> bool:
    """Whether the version that recorded a backup recorded each swap before it happened too; 0.4.0 did not."""
    return Kept.of(recorded.payload) is not None or Digest.of(recorded.payload) is not None


def _take_backup(client: Client, swap: Swap, backup: str, table: WatchedTable, day: date) -> tuple[Held, Gate]:
    """Keep a day's parts, and see that they are there: what the day holds, and the gate.

    What an earlier run left that died before it recorded it is replaced;
    a day without a row is recorded as such, whatever the backup has of it.

    Raises:
        BuildError: the table was altered since the backup was begun, so that its parts do not fit.
    """
    if swap.rows:
        try:
            swap.keep(backup)
        except ClickHouseError as error:
            if getattr(error, "name", None) not in ("INCOMPATIBLE_COLUMNS", "BAD_ARGUMENTS"):
                raise
            raise BuildError(
                f"{table.name} of {day} was not published, readers see the old day: the table was altered since the "
                f"backup {backup} was begun, and its parts do not fit there ({str(error)[:200]}). Cancel or roll back "
                "this backfill, and ask for a new one for the days that are left"
            ) from None
    in_table = held_of_day(client, table, table.name, day)
    in_backup = held_of_day(client, table, backup, day) if swap.rows else Held(0, {})
    return in_table, backup_taken(
        in_table.total, in_backup.total, is_equal=in_table.total_by_team == in_backup.total_by_team
    )


def holds_still(
    client: Client, table: WatchedTable, backup: str, day: date, *, recorded: Entry, teams: Collection[int]
) -> bool:
    """Whether a backup has a day of some teams as it was recorded.

    A record of 0.5.0 has a digest, one of before has the rows alone; a backup whose columns were altered by hand is
    held against its total.
    """
    if not recorded.rows:
        return True
    found = held_of_day(client, table, backup, day)
    if (kept := Kept.of(recorded.payload)) is not None:
        return kept.is_still(client, table, backup, day, total_by_team=found.total_by_team)
    then = Digest.of(recorded.payload)
    is_still = holds(client, table, backup, day, teams=teams, then=then) if then is not None else None
    if is_still is not None:
        return is_still
    return found.total == recorded.total if recorded.total else found.rows == recorded.rows


def held_of_day(client: Client, table: WatchedTable, name: str, day: date) -> Held:
    """What a table like ``table`` has of a day."""
    one = DayRange(day, day + ONE_DAY)
    identifiers = {**target_of(table), "table": name}
    rows = Sql(_PACKAGE, client).rows("units_by_day", {"start": one.start, "end": one.end}, **identifiers)
    return Held(sum(count for _, _, count, _ in rows), {team: total for _, team, _, total in rows})


def drop_backup(client: Client, backfill_id: str, table: str) -> None:
    Sql(_PACKAGE, client).command("drop_backup", backup=backup_name(backfill_id, table))


def kept_until(now: datetime, days: int) -> date:
    """The last day on which a backup is kept; ``now`` is ClickHouse's clock, which the sweep asks too."""
    return now.date() + timedelta(days=days)
