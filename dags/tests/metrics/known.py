"""A detection of two days in both tables, made up."""

from __future__ import annotations

from datetime import date, timedelta

from dags.clickhouse.sql import Cost
from dags.detection.detection import Detection
from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.verdicts import Verdicts
from dags.domain.days import Calendar, DayRange, start_of
from dags.domain.units import Unit
from dags.tests.builds import TABLES

DAY, NEXT = date(2026, 1, 10), date(2026, 1, 11)
ONE, OTHER = TABLES
READ_AT = start_of(date(2026, 1, 14))


def wrong(table: str = ONE, team: int = 1, day: date = DAY, kind: Kind = Kind.MISSING) -> Verdict:
    return Verdict(Unit(table, team, day), kind, Cause.NEVER_BUILT)


def found(*verdicts: Verdict) -> Detection:
    days = DayRange(DAY, NEXT + timedelta(days=1))
    return Detection(
        read_at=READ_AT, calendar=Calendar(days, days.end), lookback_days=2, tables=TABLES, teams=2,
        selected_at=None, warnings=(), verdicts=Verdicts.of(verdicts), complete={}, unknown={}, cost=Cost(),
        server_at=READ_AT,
    )  # fmt: skip
