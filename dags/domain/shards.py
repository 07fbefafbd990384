"""How a run says of which shard it is, and what people read of that.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.briefly import listed, teams_in_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# Of which shard a run is, counted from 1 as `CLICKHOUSE_DSN` names them; no run has it where there is one.
SHARD_TAG = "web_analytics_backfill/shard"


def shards_in_words(shards: Iterable[int]) -> str:
    """``shard 2``, ``shards 1, 2 and 4``; empty where there is one, which is 0."""
    named = sorted({shard for shard in shards if shard})
    return f"shard{'s' * (len(named) > 1)} {listed(map(str, named))}" if named else ""


def split_in_words(shards_by_team: Mapping[int, Collection[int]]) -> str:
    """Of teams that lie on several shards: ``team 4 has rows on shards 1 and 2``."""
    places = {frozenset(on) for on in shards_by_team.values()}
    where = shards_in_words(next(iter(places))) if len(places) == 1 else "several shards"
    return f"{teams_in_words(shards_by_team)} {'has' if len(shards_by_team) == 1 else 'have'} rows on {where}"


def looked_for_on(shard: int, count: int) -> str:
    """What goes after the words that nothing was found: where alone that was looked for; empty where there is one."""
    return f" on shard {shard}, which {SHARD_TAG} of this run names; no other of the {count} was asked" if count else ""


def shard_line(shard: int, count: int) -> str:
    """What goes before a list or a plan, for people: of which shard it is, and that it is of no other."""
    return f"SHARD    {shard} of {count}, as {SHARD_TAG} of this run says; no other was asked" if count else ""


def unlike_planned(planned: int, shard: int, count: int) -> str:
    """Why a plan of one shard (0: it names none) is not carried out on another, with what to do; empty where it is."""
    if planned == shard:
        return ""
    if not count:
        return (
            f"scope.shard is {planned}, and CLICKHOUSE_DSN names no shards: take it out if the plan is for this server"
        )
    if not planned:
        return f"scope.shard is missing, and this run is of shard {shard} of {count}: write that if the plan is for it"
    return (
        f"scope.shard is {planned}, and this run is of shard {shard} of {count}: give it the tag {SHARD_TAG} with "
        f"{planned}, or make a plan on shard {shard}, for teams and days are not the same there"
    )
