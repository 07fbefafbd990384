"""The commands by which a person rebuilds days of some teams, whole and as bash takes them.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dags.domain.commands import launch_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from dags.repair.estimate import Building

# So many commands are given at once, each of so many days, and of teams whose ids take so many characters: a command
# that is cut is none. Chosen, so that all of them fit half a page of a terminal; who has typed them asks again.
COMMANDS, DAYS, TEAMS_CHARACTERS = 3, 7, 180


class Units(Protocol):
    """Teams of a table's day."""

    @property
    def table(self) -> str: ...
    @property
    def day(self) -> date: ...
    @property
    def teams(self) -> Iterable[int]: ...
    @property
    def shard(self) -> int: ...


@dataclass(frozen=True)
class ByHand:
    """The commands, each in a line of its own length, and how many there are beside; the newest days first."""

    commands: tuple[str, ...] = ()
    more: int = 0

    @property
    def more_words(self) -> str:
        """What is to be said of those that are not here; empty if there are none."""
        return f"; {self.more:,} more after these, ask again" if self.more else ""


def rebuild_by_hand(groups: Iterable[Units], building: Building, *, allow_shrink: bool = False) -> ByHand:
    """How to rebuild units: their teams, in every table of their job, and no other's, each on its shard.

    ``allow_shrink``: also where that loses what their source has no longer. A job that rebuilds all teams of a day
    alone takes neither; of a table whose job is not known there is no command.
    """
    teams_by_day: dict[tuple[str, str, int], dict[date, set[int]]] = defaultdict(lambda: defaultdict(set))
    for one in groups:
        if job := building.job(one.table):
            teams_by_day[job, building.op_by_table.get(one.table, ""), one.shard][one.day].update(one.teams)
    made = []
    for (job, op, shard), by_day in sorted(teams_by_day.items()):
        days_by_teams: dict[tuple[int, ...], list[date]] = defaultdict(list)
        for day in sorted(by_day, reverse=True):
            days_by_teams[tuple(sorted(by_day[day])) if op else ()].append(day)
        for teams, days in days_by_teams.items():
            parts = list(_parts(teams)) if op else [""]
            if len(parts) > 1 and len(teams) == building.teams:
                parts = [""]  # all of a day are meant where none is named
            for some in parts:
                config = _config(op, some, allow_shrink=allow_shrink)
                made += [_command(job, shard, days[at : at + DAYS], config) for at in range(0, len(days), DAYS)]
    return ByHand(tuple(made[:COMMANDS]), max(len(made) - COMMANDS, 0))


def _parts(teams: Iterable[int]) -> Iterator[str]:
    """The ids, in as many lists as there have to be."""
    part = ""
    for team in map(str, teams):
        if part and len(part) + len(team) + 2 > TEAMS_CHARACTERS:
            yield part
            part = ""
        part = f"{part}, {team}" if part else team
    yield part


def _config(op: str, teams: str, *, allow_shrink: bool) -> str:
    fields = ", ".join([f"team_ids: [{teams}]"] * bool(teams) + ["allow_shrink: true"] * allow_shrink)
    if not op or not fields:
        return ""
    return f"<(echo '{{ops: {{{op}: {{config: {{{fields}}}}}}}}}')"


def _command(job: str, shard: int, days: list[date], config: str) -> str:
    if len(days) == 1:
        return launch_command(job, shard=shard, day=str(days[0]), config=config)
    each = launch_command(job, shard=shard, day="$day", config=config)
    return f"for day in {' '.join(map(str, days))}; do {each}; done"
