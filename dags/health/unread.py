"""What could not be read, as causes: servers that are out of reach, teams that lie on several shards, and all else.

Pure: no clock, no database, no Dagster. What is said first is what a person puts right: of a shard that is down that it
does not answer, and not the list of all that could therefore not be read.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dags.detection.shards import joined
from dags.domain.errors import Outage
from dags.domain.shards import shards_in_words, split_in_words
from dags.domain.text import by_words
from dags.health.causes import OF_DATA, Cause, Check, State, few
from dags.health.facts import Section
from dags.health.words import NAMED, launch, listed, teams_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dags.detection.detection import Detection
    from dags.health.facts import Facts, Gone

# So many characters of why something could not be read: what to do about it may stand at its end.
UNREAD_CHARACTERS = 1000

# What cannot be said while a section is not read.
_CHECKS_OF = {
    Section.DATA: OF_DATA,
    Section.TEAMS: frozenset({Check.TEAM_LIST_FRESH}),
    Section.BUILDS: frozenset({Check.BUILDS_SUCCEED}),
    Section.WORK: frozenset({Check.BACKFILLS_END, Check.LOADS_ON_TIME, Check.RUNS_BY_ITSELF}),
    Section.FILES: frozenset({Check.LOADS_ON_TIME}),
    Section.OLD_DAYS: frozenset({Check.LOADS_ON_TIME}),
    Section.LEFT_BEHIND: frozenset({Check.NOTHING_LEFT_BEHIND}),
    Section.TRIGGERS: frozenset({Check.RUNS_BY_ITSELF}),
    Section.LOADS: frozenset({Check.LOADS_ON_TIME, Check.RUNS_BY_ITSELF}),
    Section.ACCURACY: frozenset({Check.ACCURATE}),
}

_AS_SAID = "do what is said there, then ask again"


def unread_causes(facts: Facts) -> Iterator[Cause]:
    """What could not be read; where one error keeps several from it, that is one cause."""
    found = facts.evaluated.detection if facts.evaluated is not None else None
    if facts.gone:
        yield _of_gone(facts, found)
    if found is not None and found.split:
        yield _of_split(found)
    unknown, unread = _others(facts, found)
    sections_by_error = by_words(unread)
    for error, tables in by_words(unknown).items():
        is_whole = found is not None and len(tables) == len(found.tables)
        # What keeps all data from being read may keep all else from it too.
        sections = sections_by_error.pop(error, []) if is_whole else []
        key = "data" if is_whole and not facts.gone else tables[0]
        teams = "" if facts.gone else _unplaced(found)
        yield _unreadable(key, [*tables, *sections], teams + error, OF_DATA | _checks(sections), tables)
    for error, sections in sections_by_error.items():
        yield _unreadable(sections[0].name.lower(), sections, error, _checks(sections))


def _others(facts: Facts, found: Detection | None) -> tuple[Mapping[str, str], Mapping[Section, str]]:
    """Why tables and sections are unknown beside what is said of shards that are gone, and of teams on several."""
    unknown: Mapping[str, str] = {}
    if found is not None:
        rest = {shard: one for shard, one in found.shards.items() if shard not in facts.gone or not one.is_blind}
        unknown = joined({shard: one.unknown for shard, one in rest.items()}) if found.shards else found.unknown
    of_shards = {section for some in facts.unread_by_shard.values() for section in some}
    own = {section: why for section, why in facts.unread.items() if section not in of_shards}
    rest_unread = {shard: some for shard, some in facts.unread_by_shard.items() if shard not in facts.gone}
    return unknown, {**joined(rest_unread), **own}


def _of_gone(facts: Facts, found: Detection | None) -> Cause:
    """Shards of which nothing could be read, or one server's replicas without their Keeper."""
    sections = {section for shard in facts.gone for section in facts.unread_by_shard[shard]}
    why = "; ".join(joined({shard: {"": one.why} for shard, one in facts.gone.items()}).values())
    words = _gone_in_words(facts.gone, len(facts.unread_by_shard))
    cures = [cure for outage, cure in _CURES.items() if outage in {one.outage for one in facts.gone.values()}]
    return Cause(
        "unknown:data",
        State.UNKNOWN,
        words,
        (_unplaced(found) + (why if 0 not in facts.gone else facts.gone[0].why))[:UNREAD_CHARACTERS],
        to_do=f"{listed(cures)}, then ask again" if cures else _AS_SAID,
        command=launch("health_job"),
        tables=facts.tables,
        checks=OF_DATA | _checks(sections),
    )


_CURES = {
    Outage.KEEPER: "start Keeper",
    Outage.SERVER: "start its servers or correct CLICKHOUSE_DSN",
    None: "do what is said there",
}


def _gone_in_words(gone: Mapping[int, Gone], count: int) -> str:
    """What is out of reach, of so many shards; 1 where there is one."""
    shards: dict[Outage | None, list[int]] = defaultdict(list)
    for shard, one in sorted(gone.items()):
        shards[one.outage].append(shard)
    said = []
    if alone := shards[Outage.KEEPER]:
        said.append("Keeper does not answer" + f" on {shards_in_words(alone)}" * (len(alone) < count))
    if silent := shards[Outage.SERVER]:
        said.append(f"{shards_in_words(silent)} {'does' if len(silent) == 1 else 'do'} not answer")
    if others := shards[None]:
        said.append(f"{shards_in_words(others)} could not be read")
    return listed(said)


def _of_split(found: Detection) -> Cause:
    """Teams on several shards; all others are judged."""
    named = [f"team {team} on {shards_in_words(on)}" for team, on in found.split.items()]
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    is_said = len(named) <= NAMED and len(set(found.split.values())) == 1
    who = "" if is_said else f"{', '.join(named[:NAMED])}{more}: "
    return Cause(
        "unknown:split",
        State.UNKNOWN,
        split_in_words(found.split),
        f"{who}sessions may be cut in two, and nobody can say which shard is right",
        doing="nothing of theirs is rebuilt; all other teams are judged",
        to_do="move each team's rows to one shard, then ask again",
        command=launch("health_job"),
        tables=found.tables,
        checks=OF_DATA,
        size=len(found.split),
        teams=few(found.split),
    )


def _unplaced(found: Detection | None) -> str:
    """The teams that may be on a shard that was not read, said before why that is so."""
    return f"{teams_in_words(found.unplaced)}: on no shard that was read. " if found and found.unplaced else ""


def _checks(sections: Iterable[Section]) -> frozenset[Check]:
    return frozenset(check for section in sections for check in _CHECKS_OF[section])


def _unreadable(
    key: str, names: Iterable[str], why: str, checks: frozenset[Check], tables: Iterable[str] = ()
) -> Cause:
    return Cause(
        f"unknown:{key}",
        State.UNKNOWN,
        f"{_named([*map(str, names)])} could not be read",
        why[:UNREAD_CHARACTERS],
        to_do=_AS_SAID,
        command=launch("health_job"),
        tables=tuple(tables),
        checks=checks,
    )


def _named(names: list[str]) -> str:
    """Some, and how many more: a message's subject has room for no more, and says at its end what is the matter."""
    more = len(names) - NAMED
    return f"{', '.join(names[:NAMED])} and {more} more" if more > 1 else listed(names)
