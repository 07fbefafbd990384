"""Says whether all is well: one page of a terminal for people, and everything as JSON for programs.

Pure: no clock, no database, no Dagster. The page never has more than `dags.domain.text.WIDTH` columns and `LINES`
lines, whatever is the matter: what has no room is counted. What stands in it may be other people's words, so nothing of
it is taken for a line's end or for a command to the terminal.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

from dags.domain.text import WIDTH, command_lines, counted
from dags.health.causes import State
from dags.health.freshness import freshness
from dags.health.words import age_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from dags.health.causes import Cause, Health
    from dags.health.facts import Facts

# A terminal shows 40 lines, and a run that fails ends with two more: an empty one, and the answer in a line.
LINES = 38

# So many teams that are behind are named to programs, the worst first: it goes into the event log of Dagster.
BEHIND = 200

# So many lines of what is said of one cause, of each of its parts; the rest of the words are cut. Whom it strikes may
# be several groups of teams, why something cannot be read ends with what to do, and a command that is cut is none.
_PART_LINES, _WHOM_LINES, _WHY_LINES, _COMMAND_LINES = 2, 4, 7, 6

_LABEL = 11

_WORDS = {
    State.NEEDS_YOU: ("needs you", "need you"),
    State.UNKNOWN: ("is unknown", "are unknown"),
    State.REPAIRING: ("is within its target", "are within their target"),
    State.NOTED: ("is only noted", "are only noted"),
}


def summary(health: Health) -> str:
    """The answer and what presses most, in one line."""
    first = f": {health.causes[0].what}" if health.causes else ""
    return textwrap.shorten(printable(f"{health.answer}{first}"), WIDTH, placeholder=" …")


def page(health: Health) -> str:
    """The page: the answer, then each cause with whom it strikes, since when, what is done and what to do."""
    head, foot = _head(health), _foot(health.facts)
    room = LINES - len(head) - len(foot) - 2
    blocks = [head, _fitted(health.causes, health.at, room), foot]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def counts_in_words(causes: Iterable[Cause]) -> str:
    """How many causes need somebody, are being repaired and so on; empty where there is none."""
    counts = Counter(cause.state for cause in causes)
    return ", ".join(f"{counts[state]:,} {_WORDS[state][counts[state] != 1]}" for state in State if counts[state])


def _head(health: Health) -> list[str]:
    words = counts_in_words(health.causes) or "nothing is the matter"
    return _lines(f"{health.answer}: {words}. {health.at:%Y-%m-%d %H:%M} UTC", "")


def _foot(facts: Facts) -> list[str]:
    """What the answer is of: teams, days, how fresh, how builds went."""
    lines = []
    if facts.evaluated is not None and facts.evaluated.detection.teams:
        found = facts.evaluated.detection
        fresh, judged = freshness(found), found.calendar.judged
        unsure = found.unsure
        on_time = found.teams - len(fresh.behind.keys() | unsure)
        newest = f"{on_time:,} of them fresh to {fresh.newest}" if fresh.newest is not None else "no day is judged"
        if unsure:
            newest += f", of {len(unsure):,} nobody knows"
        if found.unknown and not found.is_partial:
            newest = "nobody knows to which day a team is fresh"
        lines += _lines(f"{counted(found.teams, 'team')}, {counted(len(judged), 'day')}; {newest}", "WATCHED")
    rates = [
        f"{one.table} {one.rate:.1%}" + (f" ({counted(one.failed, 'build')} failed)" if one.failed else "")
        for one in facts.builds
        if one.rate is not None
    ]
    if rates:
        lines += _lines(f"succeeded in seven days: {', '.join(rates)}", "BUILDS")
    return lines


def _fitted(causes: Sequence[Cause], at: datetime, room: int) -> list[str]:
    """As many causes in full as there is room for beside a line and the commands of each other; where these have none,
    the first in full, and those that come last without their commands. What has no line is counted.
    """
    count, short = len(causes), [_in_short(cause) for cause in causes]
    full = [_in_full(cause, at) for cause in causes]
    brief = [[line, *_commands(cause)] for line, cause in zip(short, causes, strict=True)]
    ways = [(whole, count) for whole in range(count, 0, -1)] + [(1, some) for some in range(count, 0, -1)] + [(0, 0)]
    for whole, some in ways:
        blocks = [*full[:whole], *brief[whole:some], short[some:]]
        if sum(map(len, blocks)) <= room:
            return [line for block in blocks for line in block]
    shown = room - 1
    left = causes[shown:]
    return [*short[:shown], *_lines(f"… and {len(left):,} more: {counts_in_words(left)}", "")[:1]]


def _in_full(cause: Cause, at: datetime) -> list[str]:
    lines = _lines(cause.what, str(cause.state).upper())
    if cause.whom:
        lines += _lines(cause.whom, "  whom", most=_WHY_LINES if cause.state is State.UNKNOWN else _WHOM_LINES)
    if cause.since is not None:
        lines += _lines(f"{cause.since:%Y-%m-%d %H:%M} UTC, {age_in_words(at - cause.since)} ago", "  since")
    if cause.doing:
        lines += _lines(cause.doing, "  doing")
    if cause.cost:
        lines += _lines(cause.cost, "  cost")
    if cause.to_do:
        lines += _lines(cause.to_do, "  to do")
    return [*lines, *_commands(cause)]


def _commands(cause: Cause) -> list[str]:
    return [line for command in cause.commands for line in _command(command)]


def _command(command: str) -> list[str]:
    """A command so that a shell takes it as it stands, where it is longer than a line too."""
    lines = command_lines(printable(command), WIDTH - _LABEL)
    if lines is None or len(lines) > _COMMAND_LINES:
        return _lines(command, "  $", most=_COMMAND_LINES)
    return [f"{'  $' if not number else '':<{_LABEL}}{line}".rstrip() for number, line in enumerate(lines)]


def _in_short(cause: Cause) -> str:
    said = f"{cause.what}; {cause.whom}" if cause.whom else cause.what
    return _lines(said, str(cause.state).upper(), most=1)[0]


def _lines(text: str, label: str, most: int = _PART_LINES) -> list[str]:
    """Text beside its label in at most so many lines; where words are cut, it says so."""
    indent = " " * _LABEL if label else ""
    return textwrap.wrap(
        printable(text) or "-",
        WIDTH,
        initial_indent=f"{label:<{_LABEL}}" if label else "",
        subsequent_indent=indent,
        max_lines=most,
        placeholder=" …",
        break_on_hyphens=False,
    )


def told(cause: Cause, at: datetime) -> str:
    """A cause in a line of its own length, with each command in one below: what a check says."""
    parts = [cause.what, cause.whom]
    if cause.since is not None:
        parts.append(f"since {cause.since:%Y-%m-%d %H:%M} UTC, {age_in_words(at - cause.since)} ago")
    said = {"doing": cause.doing, "cost": cause.cost, "to do": cause.to_do}
    parts += [f"{label}: {words}" for label, words in said.items() if words]
    first = f"{str(cause.state).upper()}: " + "; ".join(printable(part) for part in parts if part)
    return "\n".join([first, *(f"$ {printable(command)}" for command in cause.commands)])


def printable(text: str) -> str:
    """Anybody's words in one line, without what a terminal would obey."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def as_dict(health: Health) -> dict[str, Any]:
    """Everything that the page says and has no room for, as JSON takes it."""
    return {
        "verdict": str(health.answer),
        "at": health.at.isoformat(),
        "needs_a_person": health.needs_a_person,
        "targets": {
            "repair_hours": health.targets.repair.total_seconds() / 3600,
            "freshness_hours": health.targets.freshness.total_seconds() / 3600,
        },
        "causes": [cause_as_dict(cause) for cause in health.causes],
        "freshness": _freshness(health.facts),
        "builds": [
            {
                "table": one.table,
                "success_rate": one.rate,
                "built": one.built,
                "failed": one.failed,
                "held": one.held,
                "error": one.error,
            }
            for one in health.facts.builds
        ],
        "weeks": [
            {
                "table": one.table,
                "week": str(one.week),
                "success_rate": one.rate,
                "built": one.built,
                "failed": one.failed,
                "held": one.held,
                "seconds": round(one.seconds, 1),
                "source_rows": one.source_rows,
            }
            for one in health.facts.weeks
        ],
        "unread": {str(section): error for section, error in health.facts.unread.items()},
    }


def cause_as_dict(cause: Cause) -> dict[str, Any]:
    return {
        "key": cause.key,
        "state": str(cause.state),
        "what": cause.what,
        "whom": cause.whom,
        "since": cause.since.isoformat() if cause.since is not None else None,
        "doing": cause.doing,
        "to_do": cause.to_do,
        "cost": cause.cost,
        "command": cause.command,
        "error": cause.error,
        "tables": list(cause.tables),
        "checks": sorted(map(str, cause.checks)),
    }


def _freshness(facts: Facts) -> dict[str, Any]:
    if facts.evaluated is None or not facts.evaluated.detection.teams:
        return {}
    found = facts.evaluated.detection
    fresh, now = freshness(found), found.server_at or facts.at
    lags = [(team, through, fresh.lag(team, now)) for team, through in fresh.behind.items()]
    worst = sorted(lags, key=lambda one: (-one[2], one[0]))
    return {
        "teams": found.teams,
        "newest_day": str(fresh.newest) if fresh.newest is not None else None,
        "teams_behind": len(fresh.behind),
        "behind": {
            str(team): {"complete_up_to": str(through), "lag_hours": round(lag.total_seconds() / 3600, 1)}
            for team, through, lag in worst[:BEHIND]
        },
    }
