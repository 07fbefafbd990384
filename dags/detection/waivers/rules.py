"""What a waiver covers, and what is refused of a request for one.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.days import MAX_LOOKBACK_DAYS, ONE_DAY, DayRange
from dags.domain.errors import UserError
from dags.domain.text import counted
from dags.domain.watched import first_day

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from dags.detection.waivers.fields import WaiverConfig
    from dags.domain.given import Read
    from dags.domain.units import Unit
    from dags.domain.watched import WatchedTable

# Whoever waives for longer than a year has forgotten it by then; it can be set again.
MAX_WAIVED_DAYS = 366


@dataclass(frozen=True)
class Waiver:
    """Units that a person leaves as they are. No team named means all of them; no table named, every watched one.

    It holds up to and including ``valid_until``, a UTC day; what is wrong then is wrong again.
    """

    waiver_id: str
    days: DayRange
    teams: frozenset[int]
    table: str
    reason: str
    requested_by: str
    valid_until: date

    def covers(self, unit: Unit) -> bool:
        return (
            unit.day in self.days and (not self.teams or unit.team_id in self.teams) and self.table in ("", unit.table)
        )

    def holds(self, today: date) -> bool:
        return today <= self.valid_until

    def __str__(self) -> str:
        """What is waived, for how long, by whom and why, in one line."""
        named = f"team {min(self.teams)}" if len(self.teams) == 1 else counted(len(self.teams), "team")
        who = named if self.teams else "all teams"
        where = self.table or "every table"
        return (
            f"{self.waiver_id}: {self.days}, {who}, {where}, until {self.valid_until}, "
            f"by {self.requested_by}: {self.reason}"
        )


def free_id(run_id: str, taken: Collection[str]) -> str:
    """The id of the waiver that a run sets: the first characters of the run's, or the whole if another has that."""
    short = f"waiver-{run_id[:8]}"
    return f"waiver-{run_id}" if short in taken else short


def validated(
    asked: Read[WaiverConfig], watched: Sequence[WatchedTable], enabled: Collection[int], waiver_id: str, today: date
) -> Waiver:
    """The waiver that a job's configuration asks for; of ``enabled`` teams, for no others are judged.

    Raises:
        UserError: every violation, each on a line of its own.
    """
    usable, problems = asked.usable, list(asked.problems)
    first, last, until = (usable.get(name) for name in ("first_day", "last_day", "valid_until"))
    if first and first < (begin := first_day(watched)):
        problems.append(f"first_day is {first}: the partitions begin on {begin}")
    if first and last and last < first:
        problems.append(f"last_day is {last}: give a day that is not before first_day, {first}")
    if until is not None and not today <= until <= today + MAX_WAIVED_DAYS * ONE_DAY:
        problems.append(f"valid_until is {until}: give a day from today to {MAX_WAIVED_DAYS} days from now")
    if first and last and (last - first).days >= MAX_LOOKBACK_DAYS:
        problems.append(f"{first} … {last} are more than {MAX_LOOKBACK_DAYS:,} days: name fewer")
    table, tables = usable.get("table", ""), sorted(one.name for one in watched)
    if table and table not in tables:
        problems.append(f"table is {table!r}: give one of {', '.join(tables)}, or leave it out for all")
    if strangers := sorted(set(usable.get("team_ids", ())) - set(enabled)):
        problems.append(
            f"team_ids has {strangers[:10]}, which are not enabled and so not judged: leave them out, or enable them "
            "(WEB_ANALYTICS_TEAM_SOURCES) and materialize web_analytics_team_selection first"
        )
    given = asked.whole
    if problems or given is None:
        raise UserError("the waiver was not set:\n" + "\n".join(problems))
    return Waiver(
        waiver_id,
        DayRange(given.first_day, given.last_day + ONE_DAY),
        frozenset(given.team_ids),
        given.table,
        given.reason,
        given.requested_by,
        given.valid_until,
    )
