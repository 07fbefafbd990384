"""The check that each table has of its own, and that comes along with a build of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import AssetCheckKey, AssetKey

if TYPE_CHECKING:
    from collections.abc import Iterable

# Every evaluation leaves its result, see `catalog`.
CHECK = "complete"


def own_checks(tables: Iterable[str]) -> list[AssetCheckKey]:
    """The checks that come along with a build of these tables: whether they are complete.

    The others are of the whole location, and not of a day. A run of some assets of a job brings each check that these
    have anywhere, unless it is told which: a rebuild of one day would ask once more how all is, and compare a sample.
    """
    return [AssetCheckKey(AssetKey(table), CHECK) for table in tables]
