"""Computes both pre-aggregated tables from the sessions of `events`: deduplicated, put together once, then counted.

Both tables of a batch share its sessions, and both are compared with what these amount to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.days import ONE_DAY
from dags.domain.units import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from dags.domain.watched import Workbench

_PACKAGE = "dags.web_preaggregated"


@dataclass(frozen=True)
class SessionsBuilder:
    """Builds `web_pre_aggregated_stats` and `web_pre_aggregated_bounces`; see `dags.domain.watched.Builder`.

    A session that was delivered in more than ``large_session`` events is not put together in memory. Chosen: trackers'
    sessions have some hundred at most, and a million page views of one took 663 MiB to put together (measured). Of at
    most ``few_teams`` what is unusual is found in one reading of `events`, which costs all teams of a day a fifth more.
    """

    op: str
    large_session: int = 10_000
    few_teams: int = 100

    def stage(self, bench: Workbench, day: date, tables: Sequence[str], teams: Sequence[int]) -> Mapping[int, Measure]:
        sessions = self.sessions(bench, day, day + ONE_DAY, teams)
        alike = self.alike(bench, sessions)
        bound = {"day": day}
        for table in tables:
            bench.command(_PACKAGE, table, bound, staging=bench.staging(table), sessions=sessions, alike=alike)
        rows = bench.rows(_PACKAGE, "session_units", bound, sessions=sessions)
        what = f"events of {day + ONE_DAY} whose sessions had begun before {day}"
        bench.uncounted(what, {team: events for team, *_, events in rows if events})
        measures = {team: Measure(*counts) for team, *counts, _ in rows}
        return {team: measure for team, measure in measures.items() if measure}

    def sessions(self, bench: Workbench, start: date, end: date, teams: Sequence[int]) -> str:
        """Put the sessions of the days of ``[start, end)`` together, each day's as if it were alone; their table."""
        bound = {"start": start, "end": end, "teams": list(teams), "large": self.large_session}
        if len(teams) <= self.few_teams:
            exceptions = bench.scratch("exceptions")
            bench.command(_PACKAGE, "exceptions", bound, exceptions=exceptions)
            found = {"duplicates": exceptions, "unusual": exceptions}
        else:
            found = {name: bench.scratch(name) for name in ("duplicates", "unusual")}
            for name, table in found.items():
                bench.command(_PACKAGE, name, bound, **{name: table})
        sessions = bench.scratch("sessions")
        bench.command(_PACKAGE, "sessions", bound, sessions=sessions, **found)
        [(large,)] = bench.rows(_PACKAGE, "large_sessions_found", bound, unusual=found["unusual"])
        if large:
            bench.command(_PACKAGE, "large_sessions", bound, sessions=sessions, **found)
        return sessions

    def alike(self, bench: Workbench, sessions: str) -> str:
        """Find which page views of these sessions have the same key, once for both tables; where that is written."""
        alike = bench.scratch("alike")
        bench.command(_PACKAGE, "alike", {}, sessions=sessions, alike=alike)
        return alike
