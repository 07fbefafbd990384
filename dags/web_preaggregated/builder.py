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
    """Builds `web_pre_aggregated_stats` and `web_pre_aggregated_bounces`; see `dags.domain.watched.Builder`."""

    op: str

    def stage(self, bench: Workbench, day: date, tables: Sequence[str], teams: Sequence[int]) -> Mapping[int, Measure]:
        bound = {"day": day, "teams": list(teams)}
        shared = {"duplicates": bench.scratch("duplicates"), "sessions": bench.scratch("sessions")}
        bench.command(_PACKAGE, "duplicates", bound, duplicates=shared["duplicates"])
        bench.command(_PACKAGE, "sessions", bound, **shared)
        for table in tables:
            bench.command(_PACKAGE, table, bound, staging=bench.staging(table), **shared)
        rows = bench.rows(_PACKAGE, "session_units", {}, sessions=shared["sessions"])
        what = f"events of {day + ONE_DAY} whose sessions had begun before {day}"
        bench.uncounted(what, {team: events for team, *_, events in rows if events})
        measures = {team: Measure(*counts) for team, *counts, _ in rows}
        return {team: measure for team, measure in measures.items() if measure}
