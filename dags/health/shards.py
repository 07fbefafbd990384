"""What ClickHouse knows of health on each of several shards, as one.

Pure: no clock, no database, no Dagster. Of a section that one shard could not say nothing is known, and it is said
which; what the others said of it is told all the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dags.detection.shards import joined
from dags.health.facts import Files, OldDays, WorkNow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dags.health.facts import Section
    from dags.repair.stops.store import Stop

# Of these there is one; all others are lists, and what two shards say in the same words is said once.
_SINGLE = ("stop", "teams", "server_at", "unread")


def together(by_shard: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of `dags.health.facts.Facts` that ClickHouse knows, as `dags.health.store.read_sections` has them.

    Who stopped backfills on one shard has stopped them on all, and it is said on which that was; the list of teams is
    the same on each, and a detection says where it is not; ``server_at`` is the earliest.
    """
    lists: dict[str, dict[Any, None]] = defaultdict(dict)
    unread: dict[int, Mapping[Section, str]] = {shard: found["unread"] for shard, found in by_shard.items()}
    for shard, found in sorted(by_shard.items()):
        for name, value in found.items():
            if name not in _SINGLE:
                lists[name].update(dict.fromkeys(_placed(one, shard) for one in value))
    known: dict[str, Any] = {name: tuple(values) for name, values in lists.items()}
    stops = {shard: found["stop"] for shard, found in sorted(by_shard.items()) if "stop" in found}
    if stops:
        known["stop"] = _stop(stops, len(by_shard))
    for name, chosen in (("teams", _first), ("server_at", min)):
        values = [found[name] for found in by_shard.values() if found.get(name) is not None]
        if values or any(name in found for found in by_shard.values()):
            known[name] = chosen(values) if values else None
    return {**known, "unread": joined(unread), "unread_by_shard": unread}


def _stop(by_shard: Mapping[int, Stop | None], count: int) -> Stop | None:
    """The stop of the first of so many shards that has one, with all that have; the setting is of every shard."""
    stops = {shard: stop for shard, stop in by_shard.items() if stop is not None}
    if not stops:
        return None
    first = next(iter(stops.values()))
    return first if first.at is None or len(stops) == count else replace(first, shards=tuple(stops))


def _placed(one: Any, shard: int) -> Any:  # noqa: ANN401 -- whatever the list holds
    """A fact, with its shard where what is done about it is done there; files that are fine are so on every shard."""
    if isinstance(one, WorkNow | OldDays) or (isinstance(one, Files) and not one.is_fine):
        return replace(one, shard=shard)
    return one


def _first(values: list[Any]) -> Any:  # noqa: ANN401 -- whatever the field holds
    return values[0]
