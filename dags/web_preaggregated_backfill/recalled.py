"""What a process has read of a database, for its next look to recall: a code server looks for days, and mostly in vain.

A tick on the embedded engine is a child's work, which keeps nothing, so that its parent does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.answers import Kept
    from dags.web_preaggregated_backfill.shards import Observed, OnEngine

# By the database's mark and the shard, 0 where there is one. The last look is kept, and no other.
_kept: dict[tuple[str, int], Kept] = {}


def recalling(on_engine: OnEngine, mark: str) -> OnEngine:
    """Calls what observes as ``on_engine`` does, with what the last look at this database has left."""

    def look(work: Callable[..., tuple[*Observed, Kept]], shard: int = 0) -> Observed:
        asked: Callable[[Client], tuple[*Observed, Kept]] = partial(work, before=_kept.get((mark, shard)))
        *observed, _kept[mark, shard] = on_engine(asked, shard=shard) if shard else on_engine(asked)
        detection, recent = observed
        return detection, recent

    return look
