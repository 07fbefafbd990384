"""What was asked for, in texts that others may have written: runs' configurations, their days, a materialization.

Pure: no clock, no database, no Dagster. Whoever may launch a run or report a materialization writes these, so nothing
is taken for granted, and nothing here raises: a launch that failed for its configuration must not end detection. What
cannot be read counts as a run of all teams of the table: its days then wait for the run, or back off after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from dags.dagster_runs.tags import PLAN_FIELD, PLAN_ID, TEAMS_FIELD
from dags.domain.days import FIRST_DAY, LAST_DAY, ONE_DAY, DayRange

_NO_DAYS = DayRange(FIRST_DAY, FIRST_DAY)


def asked_teams(run_config: object, tables: Iterable[str]) -> dict[str, frozenset[int]]:
    """The teams that a run was asked for, by table; a table that is not named is built for all of them."""
    named: dict[str, frozenset[int]] = {}
    for given in _op_configs(run_config):
        by_table = given.get(TEAMS_FIELD) or {}
        if isinstance(by_table, Mapping):
            for table in tables:
                if (teams := _teams(by_table.get(table, given.get("team_ids")))) is not None:
                    named[table] = teams
    return named


def asked_plan(run_config: object) -> str:
    """The plan that has the run's teams, where they are not in its configuration; empty where it names none."""
    plans = (given.get(PLAN_FIELD) for given in _op_configs(run_config))
    return next((plan for plan in plans if isinstance(plan, str) and PLAN_ID.fullmatch(plan)), "")


def asked_days(first: str, last: str) -> DayRange:
    """The days of two partition keys, the last itself included; none where these are no days.

    Days that no partition can have are left out: ten thousand years of them would fill the memory.
    """
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return _NO_DAYS
    return DayRange(max(start, FIRST_DAY), min(end, LAST_DAY) + ONE_DAY)


def days_listed(value: object) -> frozenset[date]:
    """The days of a list of partition keys; what is none is left out."""
    keys = value if isinstance(value, list) else ()
    return frozenset(day for key in keys if isinstance(key, str) for day in asked_days(key, key))


def _op_configs(run_config: object) -> list[Mapping[str, Any]]:
    ops = run_config.get("ops") if isinstance(run_config, Mapping) else None
    configs = (op.get("config") for op in ops.values() if isinstance(op, Mapping)) if isinstance(ops, Mapping) else ()
    return [given for given in configs if isinstance(given, Mapping)]


def _teams(given: object) -> frozenset[int] | None:
    """The teams of a list; None, for all of them, where it is no list of ids."""
    if not isinstance(given, list) or not given or not all(isinstance(team, int) for team in given):
        return None
    return frozenset(given)
