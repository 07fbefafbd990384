"""Which teams' days are compared with raw events this hour: others each hour, and what differed last until it is equal.

Pure: no clock, no database, no Dagster. The choice is by a hash of the hour, so that nobody keeps where it was, and
whoever asks twice within an hour looks at the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.days import validated_day

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime
    from typing import Any

    from dags.detection.detection import Detection
    from dags.domain.watched import WatchedTable

# So many teams are computed again in an hour. Chosen: a few seconds of a build; a thousand teams take two days.
TEAMS = 20


@dataclass(frozen=True)
class Unequal:
    """What differed when it was compared last."""

    day: date
    teams: frozenset[int]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Unequal | None:
        """As a check's result tells it; None if it tells none that can be read."""
        try:
            teams = frozenset(int(team) for team in told["unequal"])
            return cls(validated_day(str(told["day"])), teams) if teams else None
        except (KeyError, ValueError, TypeError):
            return None


def days_in_turn(
    found: Detection, tables: Sequence[WatchedTable], now: datetime, last: Unequal | None
) -> tuple[date, ...]:
    """The closed days of which something is complete, in the order in which this hour would compare them."""
    reach = max(table.source.reach_days for table in tables)
    names = {table.name for table in tables}
    days = {
        day
        for (table, day), complete in found.complete.items()
        if complete and table in names and day in found.calendar.judged and not found.calendar.is_open(day, reach)
    }
    ordered = sorted(days, key=lambda day: _hash(now, str(day)))
    return tuple(([last.day] if last is not None and last.day in found.calendar.judged else []) + ordered)


def teams_of(
    teams: Collection[int], day: date, found: Detection, now: datetime, last: Unequal | None
) -> frozenset[int]:
    """The teams to compare of a day: a sample of ``teams``, and those that differed last.

    Those of which it is known already that they are wrong, or waived, are no news.
    """
    known = {team for one in found.verdicts.groups if one.day == day for team in one.teams}
    sample = sorted(set(teams) - known, key=lambda team: _hash(now, str(team)))[:TEAMS]
    again = last.teams - known if last is not None and last.day == day else frozenset()
    return frozenset(sample) | again


def _hash(now: datetime, name: str) -> bytes:
    return hashlib.sha256(f"{now:%Y-%m-%dT%H} {name}".encode()).digest()
