"""Tells a table that was altered in place from one that only grew, was rebuilt or merged, by the parts that hold it.

Pure: no clock, no database, no Dagster. An `ALTER TABLE … UPDATE` can merge two sessions into one and change neither
the number of rows nor their newest arrival, which is all that a fingerprint knows; one of a built table's states may
leave its page views as they are, which is all that is compared cheaply there. The parts do tell: contents change, and
with them the mutation that wrote them, or the blocks that they are made of.

What cannot be seen: an alteration before a day was first looked at and after its last build; a part that was dropped
while more rows than it had arrived in the same partition, between two looks; a built table's day that others replaced
whole by one of equal page views, for builds do that too; anything in a table whose parts are not on this server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Where a table's partition key ends with one of these, its partitions' ids end with the day or the month they hold.
# Partitions of any other key may hold any day: an id of eight digits may be a team.
_BY_DAY = re.compile(r"(?:toYYYYMMDD|toDate)\((\w+)\)\)?$")
_BY_MONTH = re.compile(r"toYYYYMM\((\w+)\)\)?$")
_DAY, _MONTH = re.compile(r"(?:^|-)(\d{8})$"), re.compile(r"(?:^|-)(\d{6})$")
_DAY_OF = re.compile(r"(?:toDate\()?(\w+)\)?")

# Partitions of the rows that an UPDATE has replaced and no merge has yet written, named by ClickHouse.
_PATCH = "patch-"


@dataclass(frozen=True)
class Parts:
    """What the active parts of one ClickHouse partition amount to.

    ``contents`` is a digest of their files: a merge changes it, a mutation that touches no row does not. ``mutation``
    is the newest mutation applied: a merge does not change it, a mutation that touches no row does. ``first_block`` and
    ``last_block`` are the oldest and the newest insert that they hold; merges keep both. ``table`` is the table's
    identity: another one under the same name shares no history with it.
    """

    table: str
    contents: int
    mutation: int
    first_block: int
    last_block: int
    rows: int


def is_mutated(before: Mapping[str, Parts], now: Mapping[str, Parts]) -> bool:
    """Whether rows of a built table's partitions were changed in place between two looks.

    Keys are ClickHouse's partition ids. A build replaces the partition: its blocks are newer than all before.
    """
    return any(
        now[partition].contents != parts.contents
        and now[partition].first_block == parts.first_block
        and (now[partition].table != parts.table or now[partition].mutation != parts.mutation)
        for partition, parts in before.items()
        if partition in now
    ) or any(partition.startswith(_PATCH) for partition in before.keys() ^ now.keys())


def is_altered(before: Mapping[str, Parts], now: Mapping[str, Parts]) -> bool:
    """Whether rows of a source's partitions were changed or replaced between two looks, and not only added or merged.

    Keys are ClickHouse's partition ids. A partition that is new only adds rows, unless it holds what replaces others.
    """
    return any(
        _is_altered(before[partition], now[partition])
        if partition in before and partition in now
        else partition in before or partition.startswith(_PATCH)
        for partition in {*before, *now}
    )


def _is_altered(before: Parts, now: Parts) -> bool:
    if before.table != now.table:
        return True
    if before.contents == now.contents:
        return False
    is_grown = now.rows > before.rows
    is_merged = now.rows == before.rows and now.last_block == before.last_block
    return now.mutation != before.mutation or now.first_block != before.first_block or not (is_grown or is_merged)


def partition_period(partition_key: str, partition: str, day: str) -> str:
    """The day, ``20260110``, or the month, ``202601``, whose rows alone a partition holds; empty if it may be any.

    ``day`` is the declaration's expression of a row's day: a key over another column, as over the time of arrival, or
    in another time zone, says nothing of that.
    """
    of = _DAY_OF.fullmatch(day)
    for key, name in ((_BY_DAY, _DAY), (_BY_MONTH, _MONTH)):
        column, named = key.search(partition_key), name.search(partition)
        if column and named and of and column[1] == of[1]:
            return named[1]
    return ""
