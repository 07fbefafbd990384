"""To which day each team is fresh, and who is behind.

Pure: no clock, no database, no Dagster. A team is fresh to a day if that day is in order in every watched table and all
judged days after it are not: a hole further back is a gap, and delays nobody, so nobody is said to be complete by this.
A day without traffic is in order. What awaits a person's word, or was waived, is there as far as readers can tell.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.domain.days import ONE_DAY, start_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime, timedelta

    from dags.detection.detection import Detection


@dataclass(frozen=True)
class Freshness:
    """``newest``: the newest day that is judged, to which all teams are fresh but those in ``behind``: of each
    the last day to which it is, which lies before the look-back where no judged day is in order. None: no day is
    judged yet.
    """

    newest: date | None = None
    behind: Mapping[int, date] = field(default_factory=dict)

    def lag(self, team: int, now: datetime) -> timedelta:
        """How long ago the last day ended to which a team is fresh."""
        through = self.behind.get(team, self.newest)
        return now - start_of(through + ONE_DAY) if through is not None else 0 * ONE_DAY

    def late(self, now: datetime, target: timedelta) -> dict[int, timedelta]:
        """The teams that are further behind than the target, by how much they lag; the worst first."""
        lags = {team: self.lag(team, now) for team in self.behind}
        return {team: lag for team, lag in sorted(lags.items(), key=lambda one: (-one[1], one[0])) if lag > target}


def freshness(found: Detection) -> Freshness:
    """Who is fresh to which day."""
    judged = found.calendar.judged
    if not len(judged):
        return Freshness()
    wrong: dict[date, set[int]] = defaultdict(set)
    for one in found.wrong.groups:
        if not one.awaits_permission:
            wrong[one.day] |= set(one.teams)
    newest = judged.end - ONE_DAY
    behind: dict[int, date] = {}
    left, day = set(wrong[newest]), newest
    while left:
        day -= ONE_DAY
        still = left & wrong[day] if day in judged else set()
        behind |= dict.fromkeys(left - still, day)
        left = still
    return Freshness(newest, behind)
