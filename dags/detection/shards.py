"""What was found on each of several shards, as one detection.

Pure: no clock, no database, no Dagster. A team lies on one shard, so what is judged on the shards are different units:
counts add up, verdicts stand beside each other, each with its shard. A shard of which nothing is known makes every
table unknown by its name, and takes nothing from the others. A team that lies on two is judged on neither.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from dags.clickhouse.sql import Cost
from dags.detection.detection import Detection, Standing
from dags.detection.verdicts import Verdicts
from dags.domain.days import DayRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from dags.detection.gaps.rules import Gap, Place
    from dags.detection.verdicts import Alike

Key = TypeVar("Key")

# So many teams are named of those that lie on several shards.
MAX_NAMED = 5


def merged(by_shard: Mapping[int, Detection]) -> Detection:
    """The detections of all shards as one, of the days that all of them judged.

    Raises:
        ValueError: there is none.
    """
    if not by_shard:
        raise ValueError("there is no detection to merge")
    days = DayRange(
        max(one.calendar.judged.start for one in by_shard.values()),
        min(one.calendar.judged.end for one in by_shard.values()),
    )
    found = {shard: one.within(days, one.lookback_days) for shard, one in sorted(by_shard.items())}
    one, known = next(iter(found.values())), [some for some in found.values() if some.server_at is not None]
    shards_by_team = _shards_by_team(found)
    split = {team: on for team, on in shards_by_team.items() if len(on) > 1}
    enabled = frozenset[int]().union(*(some.enabled for some in found.values()))
    is_whole = not any(some.is_blind for some in found.values())
    residents = frozenset[int]().union(*(some.residents for some in found.values()))
    found = {
        shard: replace(
            some,
            verdicts=_placed(some, shard, split),
            residents=frozenset(team for team, on in shards_by_team.items() if shard in on),
        )
        for shard, some in found.items()
    }
    all_of = tuple(found.values())
    unverified = frozenset[date]().union(*(some.unverified for some in all_of))
    recalled = _by_key((some.recalled for some in all_of), min)
    selected = [some.selected_at for some in known if some.selected_at is not None]
    mismatches = [some.team_mismatches for some in all_of]
    return replace(
        one,
        read_at=min(some.read_at for some in all_of),
        teams=max(some.teams for some in all_of),
        selected_at=min(selected, default=None),
        warnings=(*_named(found, lambda some: some.warnings), *_unlike_lists(found)),
        team_warnings=(*_named(found, lambda some: some.team_warnings), *_unlike_lists(found)),
        team_mismatches=None if None in mismatches else max(filter(None, mismatches), default=0),
        verdicts=Verdicts.joined(group for some in all_of for group in some.verdicts.groups),
        complete=_added(some.complete for some in all_of),
        unknown=_unknown(found, split),
        cost=sum((some.cost for some in all_of), Cost()),
        living=tuple(lease for some in all_of for lease in some.living),
        standing=_standing(found),
        dead_runs=_by_key((some.dead_runs for some in all_of), max),
        unverified=unverified,
        recalled={day: at for day, at in recalled.items() if day not in unverified},
        server_at=min((some.server_at for some in known if some.server_at is not None), default=None),
        outdated=_added(some.outdated for some in all_of),
        waivers=tuple(dict.fromkeys(waiver for some in all_of for waiver in some.waivers)),
        source_rows=_added(some.source_rows for some in all_of),
        seconds_per_row=_by_key((some.seconds_per_row for some in all_of), max),
        errors=_by_key((some.errors for some in all_of), max),
        gaps=_gaps(all_of),
        enabled=enabled,
        residents=residents,
        unplaced=frozenset() if is_whole else enabled - shards_by_team.keys(),
        shards=found,
        split=split,
        outage=None,
    )


def _shards_by_team(found: Mapping[int, Detection]) -> dict[int, tuple[int, ...]]:
    """The shards on which each team lies: where it has rows in a table, or in a source."""
    shards: dict[int, list[int]] = defaultdict(list)
    for shard, one in found.items():
        unbuilt = {
            team
            for group in one.verdicts.groups
            for team, distinct, total in zip(
                group.teams, group.columns.source_distinct, group.columns.source_total, strict=True
            )
            if distinct or total
        }
        for team in one.residents | unbuilt:
            shards[team].append(shard)
    return {team: tuple(on) for team, on in sorted(shards.items())}


def _placed(one: Detection, shard: int, split: Mapping[int, object]) -> Verdicts:
    """Its verdicts with their shard, without those on teams that lie on several."""
    groups: Iterable[Alike | None] = (group.split(split.__contains__).get(False) for group in one.verdicts.groups)
    return Verdicts.joined(replace(group, shard=shard) for group in groups if group is not None)


def _unknown(found: Mapping[int, Detection], split: Mapping[int, tuple[int, ...]]) -> dict[str, str]:
    words = joined({shard: one.unknown for shard, one in found.items()})
    if split:
        named = ", ".join(f"{team} (shards {', '.join(map(str, on))})" for team, on in list(split.items())[:MAX_NAMED])
        more = f" and {len(split) - MAX_NAMED:,} more" if len(split) > MAX_NAMED else ""
        why = (
            f"of the teams {named}{more} there are rows on several shards, so that sessions may be cut in two, and "
            "nobody can say which shard is right: nothing of theirs is rebuilt. Move each team's rows to one shard"
        )
        for table in next(iter(found.values())).tables:
            words[table] = "; ".join(filter(None, [words.get(table), why]))
    return words


def joined(by_shard: Mapping[int, Mapping[Key, str]]) -> dict[Key, str]:
    """What is said of each thing on some shards, in one line, each part with its shard's number."""
    words: dict[Key, list[str]] = defaultdict(list)
    for shard, said in sorted(by_shard.items()):
        for key, why in said.items():
            words[key].append(f"shard {shard}: {why}")
    return {key: "; ".join(some) for key, some in words.items()}


def _standing(found: Mapping[int, Detection]) -> Standing:
    stopped = [f"{one.standing.stopped} (shard {shard})" for shard, one in found.items() if one.standing.stopped]
    runs = {unit: run for one in found.values() for unit, run in one.standing.run_by_lease.items()}
    return Standing("; ".join(stopped), runs, {shard: one.standing for shard, one in found.items()})


def _named(found: Mapping[int, Detection], of: Callable[[Detection], tuple[str, ...]]) -> list[str]:
    """What is said of every shard in the same words once, and the rest with the shard's number."""
    shards: dict[str, list[int]] = defaultdict(list)
    for shard, one in found.items():
        for words in of(one):
            shards[words].append(shard)
    return [
        words if len(on) == len(found) else f"shard {', '.join(map(str, on))}: {words}" for words, on in shards.items()
    ]


def _unlike_lists(found: Mapping[int, Detection]) -> tuple[str, ...]:
    lists = {shard: one.enabled for shard, one in found.items() if one.server_at is not None}
    every = frozenset[int]().union(*lists.values())
    lacking = {shard: sorted(every - teams) for shard, teams in lists.items() if every - teams}
    if not lacking:
        return ()
    said = "; ".join(
        f"shard {shard} has {len(lists[shard]):,}, not team {', '.join(map(str, teams[:MAX_NAMED]))}"
        + (f" and {len(teams) - MAX_NAMED:,} more" if len(teams) > MAX_NAMED else "")
        for shard, teams in lacking.items()
    )
    words = f"the lists of teams differ ({said}), and none is judged where it is not listed"
    return (f"{words}: materialize web_analytics_team_selection",)


def _gaps(found: Iterable[Detection]) -> tuple[Gap, ...]:
    """A gap on several shards is one, open since it was seen first on any."""
    gaps: dict[Place, Gap] = {}
    for gap in (gap for one in found for gap in one.gaps):
        known = gaps.get(gap.place)
        gaps[gap.place] = (
            gap if known is None else replace(gap, since=min(gap.since, known.since), waived=gap.waived + known.waived)
        )
    return tuple(sorted(gaps.values()))


def _added(counts: Iterable[Mapping[Any, int]]) -> dict[Any, int]:
    total: Counter[Any] = Counter()
    for some in counts:
        total.update(some)
    return dict(total)


def _by_key(mappings: Iterable[Mapping[Any, Any]], chosen: Callable[[Any, Any], Any]) -> dict[Any, Any]:
    """All of the mappings as one; ``chosen`` of two values of a key."""
    one: dict[Any, Any] = {}
    for some in mappings:
        for key, value in some.items():
            one[key] = chosen(one[key], value) if key in one else value
    return one
