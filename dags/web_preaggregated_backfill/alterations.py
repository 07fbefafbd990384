"""Tells a source that was altered in place from one that only grew or was merged, by the parts that hold it.

Pure: no clock, no database, no Dagster. An `ALTER TABLE … UPDATE` can merge two sessions into one and change neither
the number of rows nor their newest arrival, which is all that a fingerprint knows. The parts do tell: contents change,
and with them the mutation that wrote them, or the blocks that they are made of.

What cannot be seen: an alteration before a day was first looked at and after its last build; a part that was dropped
while more rows than it had arrived in the same partition, between two looks; anything in a table whose parts are not
on this server. The counts of a fingerprint still see what they see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def is_altered(before: Mapping[str, Parts], now: Mapping[str, Parts]) -> bool:
    """Whether rows of some partitions were changed or replaced between two looks, and not only added or merged.

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
