"""The backup of the days that a backfill replaces: their parts, attached to a table of the backfill's own.

It costs no copy and no space until the originals are merged away. The first backup of a day counts: what was there
before the backfill, however often the day is built again.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from dags.days import ONE_DAY, DayRange
from dags.managed_backfill.gates import Gate, backup_taken
from dags.managed_backfill.plan import BACKUP_PREFIX, backup_name
from dags.managed_backfill.store import target_of
from dags.sql import Sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.watched import WatchedTable

_PACKAGE = "dags.managed_backfill"

_KEPT_UNTIL = re.compile(r"kept_until_(\d{8})")


def make_backup(client: Client, backfill_id: str, table: str, kept_until: date) -> str:
    """The backup table of a backfill, made when it is not there yet."""
    name = backup_name(backfill_id, table)
    sql = Sql(_PACKAGE, client)
    sql.command("create_backup", backup=name, target=table, kept_until=f"kept_until_{kept_until:%Y%m%d}")
    return name


def take_backup(client: Client, backup: str, table: WatchedTable, day: date) -> tuple[int, Gate]:
    """Attach a day's parts to the backup, and see that they are there: how many rows, and the gate.

    Under the day's lease, before its swap.
    """
    partition = {"partition": int(f"{day:%Y%m%d}")}
    Sql(_PACKAGE, client).command("forget_day", partition, backup=backup)
    in_table = rows_of_day(client, table, table.name, day)
    if in_table:
        Sql("dags.web_preaggregated", client).command("attach_day", partition, into=backup, source=table.name)
    return in_table, backup_taken(in_table, rows_of_day(client, table, backup, day))


def rows_of_day(client: Client, table: WatchedTable, name: str, day: date) -> int:
    """How many rows a table like ``table`` has of a day."""
    one = DayRange(day, day + ONE_DAY)
    identifiers = {**target_of(table), "table": name}
    rows = Sql(_PACKAGE, client).rows("units_by_day", {"start": one.start, "end": one.end}, **identifiers)
    return sum(count for _, _, count, _ in rows)


def drop_backup(client: Client, backfill_id: str, table: str) -> None:
    Sql(_PACKAGE, client).command("drop_backup", backup=backup_name(backfill_id, table))


def sweep_backups(client: Client, now: datetime) -> tuple[str, ...]:
    """Drop the backups whose time is over; their names."""
    sql, dropped = Sql(_PACKAGE, client), []
    for name, comment in sql.rows("backups", {"prefix": BACKUP_PREFIX}):
        until = _KEPT_UNTIL.fullmatch(comment)
        if until and now.date() > _day(until[1]):
            sql.command("drop_backup", backup=name)
            dropped.append(name)
    return tuple(dropped)


def kept_until(now: datetime, days: int) -> date:
    return now.date() + timedelta(days=days)


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
