"""What a waiver covers, and what is refused of a request for one.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.days import MAX_LOOKBACK_DAYS, ONE_DAY, DayRange, validated_day
from dags.domain.errors import UserError
from dags.domain.given_text import text_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from dags.domain.units import Unit

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
        named = f"team {min(self.teams)}" if len(self.teams) == 1 else f"{len(self.teams):,} teams"
        who = named if self.teams else "all teams"
        where = self.table or "every table"
        return (
            f"{self.waiver_id}: {self.days}, {who}, {where}, until {self.valid_until}, "
            f"by {self.requested_by}: {self.reason}"
        )


def validated(request: Mapping[str, object], tables: Collection[str], waiver_id: str, today: date) -> Waiver:
    """The waiver that a job's configuration asks for.

    Raises:
        UserError: every violation, each on a line of its own.
    """
    problems: list[str] = []
    first, last, until = (_day(request, name, problems) for name in ("first_day", "last_day", "valid_until"))
    if first and last and last < first:
        problems.append(f"last_day is {last}: give a day that is not before first_day, {first}")
    if until is not None and not today <= until <= today + MAX_WAIVED_DAYS * ONE_DAY:
        problems.append(f"valid_until is {until}: give a day from today to {MAX_WAIVED_DAYS} days from now")
    if first and last and (last - first).days >= MAX_LOOKBACK_DAYS:
        problems.append(f"{first} … {last} are more than {MAX_LOOKBACK_DAYS:,} days: name fewer")
    table = str(request["table"])
    if table and table not in tables:
        problems.append(f"table is {table!r}: give one of {', '.join(sorted(tables))}, or leave it out for all")
    who = ("reason", "requested_by")
    problems += text_problems({name: request[name] for name in who}, required=who)
    teams = [int(str(team)) for team in request["team_ids"]]  # type: ignore[attr-defined]
    if bad := [team for team in teams if not 0 < team < 2**64]:
        problems.append(f"team_ids has {bad}: give whole numbers above 0")
    if problems or first is None or last is None or until is None:
        raise UserError("the waiver was not set:\n" + "\n".join(problems))
    return Waiver(
        waiver_id,
        DayRange(first, last + ONE_DAY),
        frozenset(teams),
        table,
        str(request["reason"]).strip(),
        str(request["requested_by"]).strip(),
        until,
    )


def _day(request: Mapping[str, object], name: str, problems: list[str]) -> date | None:
    try:
        return validated_day(str(request[name]))
    except ValueError as error:
        problems.append(f"{name} is {request[name]!r}: {error}")
        return None
