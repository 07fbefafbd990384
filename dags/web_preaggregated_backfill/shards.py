"""Looks at several shards as one: each is asked on its own tables, and what was found is put together.

A client is of one shard, so whatever asks all of them asks each, by its number.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.detection.detection import as_outdated
from dags.detection.shards import merged
from dags.domain.errors import Outage, UserError, outage_of
from dags.domain.text import of_error
from dags.metrics.recent import added
from dags.repair.estimate import Building

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dags.clickhouse.dsn import Dsn
    from dags.detection.detection import Detection
    from dags.detection.verdicts import Alike
    from dags.domain.watched import WatchedTable
    from dags.metrics.recent import Recent

# Calls what it is given with a client, in this process or in a child; where there are several shards, with one of that
# which ``shard=`` names.
OnEngine = Callable[..., Any]

Observed = tuple["Detection", "Recent | None"]

# So long a tick waits for a shard: a server that hangs, and its replica after it, would take all that a tick has, also
# what writing down what the others need takes.
TICK_LOOK_SECONDS = 30.0


def observed_on_shards(
    dsn: Dsn,
    on_engine: OnEngine,
    work: Callable[..., Any],
    missed: Callable[..., Detection],
    *,
    seconds: float | None = None,
) -> Observed:
    """Look at every shard at the same time, and at what was found as one; ``missed`` is of one that cannot be read:
    why, and as ``outage=`` what is out of reach where that is why.

    Whatever keeps one from being read is said of it, and keeps no other from it. One that has not answered after so
    many ``seconds`` is not waited for; None waits for each as long as it takes. How repairs have gone is None unless
    every shard has said so.
    """

    def look(shard: int) -> Observed:
        try:
            found: Observed = on_engine(work, shard=shard)
        except (UserError, ClickHouseError) as error:
            return missed(of_error(error), outage=outage_of(error)), None
        return found

    threads = ThreadPoolExecutor(len(dsn.shards))
    looking = {one.shard: threads.submit(look, one.shard) for one in dsn.shards}
    answered, _ = wait(looking.values(), timeout=seconds)
    threads.shutdown(wait=False)  # whoever looks on ends by itself, and what it finds is remembered for the next
    late = f"it has not answered within {seconds:.0f} s, and no tick waits longer" if seconds is not None else ""
    found: dict[int, Observed] = {
        shard: one.result() if one in answered else (missed(late, outage=Outage.SERVER), None)
        for shard, one in looking.items()
    }
    lately = [recent for _, recent in found.values() if recent is not None]
    detection = merged({shard: one for shard, (one, _) in found.items()})
    return detection, added(lately) if len(lately) == len(found) else None


def as_one(found: Mapping[int, Detection]) -> Detection | None:
    """What was found on each shard as one; that of the only one as it is, and None where nobody looked."""
    return merged(found) if any(found) else found.get(0)


def on_shard(on_engine: OnEngine, shard: int) -> OnEngine:
    """The same, with clients of that shard; 0 where there is one."""
    return partial(on_engine, shard=shard) if shard else on_engine


def shards_read(detection: Detection) -> tuple[int, ...]:
    """The shards of which something is known; 0 alone where there is one."""
    read = (shard for shard, one in detection.shards.items() if one.server_at is not None)
    return tuple(read) if detection.shards else (0,)


def building(watched: tuple[WatchedTable, ...], detection: Detection) -> Building:
    """How days are rebuilt, and at what cost, on each shard and on all together."""
    shards = {shard: building(watched, one) for shard, one in detection.shards.items()}
    made = Building.of(watched, detection.source_rows, detection.seconds_per_row)
    return replace(made, shards=shards, teams=detection.teams)


def outdated(detection: Detection, version_by_table: Mapping[str, int]) -> list[Alike]:
    """One verdict for each day of a table, and shard, that an older logic version built."""
    of_shards = detection.shards or {0: detection}
    return [
        replace(group, shard=shard)
        for shard, one in of_shards.items()
        for group in as_outdated(one.outdated, version_by_table).groups
    ]
