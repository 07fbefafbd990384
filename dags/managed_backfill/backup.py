"""The backup of the days that a backfill replaces: their parts, attached to a table of the backfill's own.

It costs no copy and no space until the originals are merged away. A day is backed up once, before its first swap; once
that is recorded the backup of the day is never touched again, however often the day is built.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.audit.log import FINISHED
from dags.audit.store import read_backfills, read_state
from dags.days import ONE_DAY, DayRange
from dags.errors import BuildError, LeaseError
from dags.managed_backfill.gates import Gate, backup_taken
from dags.managed_backfill.holding import hold
from dags.managed_backfill.plan import BACKUP_PREFIX, backup_name
from dags.managed_backfill.store import target_of
from dags.sql import Sql
from dags.web_preaggregated.staging import make_like

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

    from dags.audit.log import Entry
    from dags.audit.store import Log
    from dags.managed_backfill.holding import Hold
    from dags.watched import WatchedTable
    from dags.web_preaggregated.publishing import Swap

_PACKAGE = "dags.managed_backfill"

_KEPT_UNTIL = re.compile(r"kept_until_(\d{8})")


@dataclass(frozen=True)
class Held:
    """What a table or a backup has of a day: rows, and what each team's come to, which no merge changes."""

    rows: int
    total_by_team: dict[int, int]

    @property
    def total(self) -> int:
        return sum(self.total_by_team.values())


def make_backup(client: Client, backfill_id: str, table: str, kept_until: date) -> str:
    """The backup table of a backfill, made when it is not there yet."""
    name = backup_name(backfill_id, table)
    sql = Sql(_PACKAGE, client)
    make_like(sql, "create_backup", backup=name, target=table, kept_until=f"kept_until_{kept_until:%Y%m%d}")
    return name


def has_backup(client: Client, backfill_id: str, table: str) -> bool:
    name = backup_name(backfill_id, table)
    return name in {one for one, _ in Sql(_PACKAGE, client).rows("backups", {"prefix": BACKUP_PREFIX})}


def back_up_once(
    client: Client, log: Log, held: Hold, swap: Swap, *, backup: str, table: WatchedTable, entry: Entry
) -> Gate | None:
    """Back a day up, unless that was done; the gate if it was done now.

    ``entry`` names the day; it is recorded with what the day holds. Under the day's lease, so that what the log says of
    it is the last word. The record comes before the swap, and a backup that is recorded is never touched again: so
    whatever happens in between, the backup is of before.

    Raises:
        BuildError: the backup is not what was recorded, or does not fit; the gate failed.
        HoldLostError: another run acts on the backfill now.
    """
    state = log.read()
    recorded = state.backed_up.get(entry.day) if state is not None else None
    if recorded is not None:
        if not holds_still(client, table, backup, entry.day, recorded):
            raise BuildError(f"not published: the backup of {entry.day}, which was recorded, is not what it was")
        return None
    found, gate = _take_backup(client, swap, backup, table, entry.day)
    if not gate.is_passed:
        raise BuildError(f"not published, readers see the old day: {gate}")
    held.confirm()
    log.append(replace(entry, rows=found.rows, total=found.total))
    return gate


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


def holds_still(client: Client, table: WatchedTable, backup: str, day: date, recorded: Entry) -> bool:
    """Whether a backup has a day as it was recorded; a record of before 0.5.0 has the rows alone."""
    if not recorded.rows:
        return True
    found = held_of_day(client, table, backup, day)
    return found.total == recorded.total if recorded.total else found.rows == recorded.rows


def held_of_day(client: Client, table: WatchedTable, name: str, day: date) -> Held:
    """What a table like ``table`` has of a day."""
    one = DayRange(day, day + ONE_DAY)
    identifiers = {**target_of(table), "table": name}
    rows = Sql(_PACKAGE, client).rows("units_by_day", {"start": one.start, "end": one.end}, **identifiers)
    return Held(sum(count for _, _, count, _ in rows), {team: total for _, team, _, total in rows})


def drop_backup(client: Client, backfill_id: str, table: str) -> None:
    Sql(_PACKAGE, client).command("drop_backup", backup=backup_name(backfill_id, table))


def sweep_backups(client: Client, now: datetime, run_id: str, tell: Callable[[str], None]) -> tuple[str, ...]:
    """Drop the backups whose time is over by ``now``, of backfills that are over and that nobody acts on; their names.

    ``now`` is ClickHouse's clock, which `kept_until` asked as well.
    """
    sql, dropped = Sql(_PACKAGE, client), []
    expired = [
        name
        for name, comment in sql.rows("backups", {"prefix": BACKUP_PREFIX})
        if (until := _KEPT_UNTIL.fullmatch(comment)) and now.date() > _day(until[1])
    ]
    known = {backup_name(row.backfill_id, row.table): row for row in read_backfills(client)} if expired else {}
    for name in expired:
        row = known.get(name)
        if row is None:  # nobody could restore from it: the audit does not know whose it is
            sql.command("drop_backup", backup=name)
            dropped.append(name)
            continue
        if row.status not in FINISHED:
            tell(f"{name} is kept beyond its time, until {row.backfill_id} is over: it is {row.status}")
            continue
        try:
            with hold(client, row.backfill_id, row.start, run_id, tell) as held:
                state = read_state(client, row.backfill_id)
                if state is not None and state.status not in FINISHED:
                    continue
                held.confirm()
                sql.command("drop_backup", backup=name)
                dropped.append(name)
        except LeaseError as error:
            tell(f"{name} is kept beyond its time: {error}")
    return tuple(dropped)


def kept_until(now: datetime, days: int) -> date:
    """The last day on which a backup is kept; ``now`` is ClickHouse's clock, which the sweep asks too."""
    return now.date() + timedelta(days=days)


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
