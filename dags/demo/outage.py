"""What goes wrong in the demo, the way it does in earnest: days and teams in, what to break out.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.days import in_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date


@dataclass(frozen=True)
class Outage:
    """Three faults that leave no trace in any ledger of runs.

    ``never_built`` is a day whose build did not happen; ``lost_day`` vanishes whole from one table; the rows of
    ``team_id`` vanish from both tables on ``team_days``. A short trace has room for some of them only.
    """

    never_built: date | None
    lost_day: date | None
    team_id: int | None
    team_days: tuple[date, ...]

    def words(self, table: str) -> list[str]:
        lines = []
        if self.never_built:
            lines.append(f"{self.never_built} was never built")
        if self.lost_day:
            lines.append(f"{self.lost_day} vanished from {table}")
        if self.team_days:
            lines.append(f"team {self.team_id} lost its rows of {in_words(self.team_days)} in both tables")
        return lines


def outage(days_by_team: Mapping[int, Collection[date]]) -> Outage:
    """Spread the faults over the newest days that have traffic, each on a day of its own."""
    days = iter(sorted({day for days in days_by_team.values() for day in days}, reverse=True))
    never_built, lost_day = next(days, None), next(days, None)
    left = set(days)
    by_days_left = Counter({team: len(left & set(own)) for team, own in sorted(days_by_team.items())})
    team, count = by_days_left.most_common(1)[0] if by_days_left else (None, 0)
    team_days = sorted(left & set(days_by_team[team]), reverse=True)[:2] if team is not None and count else []
    return Outage(never_built, lost_day, team, tuple(team_days))
