"""Says what was forgotten, what stays and why.

Pure: no clock, no database, no Dagster. Lines for people fit 100 columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dags.domain.text import counted, wrapped

if TYPE_CHECKING:
    from datetime import datetime

    from dags.retention.events import ForgottenEvents
    from dags.retention.runs import ForgottenRuns
    from dags.retention.store import Forgotten

# The books of which nothing is ever forgotten here, and why.
NEVER: dict[str, str] = {
    "web_analytics_schema_version": "which schema this is",
    "web_analytics_enabled_teams": "people write it; one row a team",
    "web_pre_aggregated_teams": "who was ever enabled; one row a team",
    "web_pre_aggregated_part_states": "since when a day is in doubt; one row a table and day",
    "web_pre_aggregated_requests": "ClickHouse forgets it by itself, 60 days after it was asked for",
    "web_analytics_file_events": "which files are known, and which rows are whose",
    "web_analytics_file_schemas": "under which version each file was loaded",
    "web_analytics_gaps": "since when days are wrong, and were; a few rows per day that ever was",
}


@dataclass(frozen=True)
class Report:
    """What was forgotten, or would be: runs from before one instant, all else from before the other."""

    runs_before: datetime
    history_before: datetime
    runs: ForgottenRuns
    events: ForgottenEvents
    history: Forgotten
    is_dry_run: bool

    @property
    def text(self) -> str:
        verb = "WOULD GO" if self.is_dry_run else "GONE    "
        oldest = f", the oldest of {self.runs.oldest:%Y-%m-%d}" if self.runs.oldest is not None else ""
        lines = [
            f"RUNS     of Dagster's that ended before {self.runs_before:%Y-%m-%d %H:%M} UTC",
            f"{verb} {counted(self.runs.gone, 'run')} with their events and logs{oldest}",
            *(f"STAY     {counted(number, 'run')}: {why}" for why, number in self.runs.stay.most_common()),
            *(["LEFT     more runs than one day's share: the next run goes on"] if not self.runs.is_all else []),
            f"EVENTS   of no run, and results of checks, from before {self.runs_before:%Y-%m-%d %H:%M} UTC",
            f"{verb} {counted(self.events.events, 'event')}, {counted(self.events.checks, 'result')} of checks",
            *([f"STAY     all: {self.events.why_not}"] if self.events.why_not else []),
            f"HISTORY  in ClickHouse that ended before {self.history_before:%Y-%m-%d %H:%M} UTC",
            *(f"{verb} {counted(rows, 'row')} of {table}" for table, rows in sorted(self.history.rows.items())),
            "STAY     the last build of each unit, and the last of each other outcome, in web_pre_aggregated_builds",
            *(f"STAY     {counted(n, 'work')}: {why}" for why, n in self.history.works_that_stay.most_common()),
            *(f"LEFT     {what}: the next run goes on" for what in self.history.left),
            *(f"STAY     {table}: {why}" for table, why in NEVER.items()),
        ]
        if self.is_dry_run:
            lines.append("Nothing was touched. With dry_run: false it goes; the schedule does that every day")
        return "\n".join(map(wrapped, lines))

    def as_dict(self) -> dict[str, Any]:
        return {
            "dry_run": self.is_dry_run,
            "runs_before": self.runs_before.isoformat(),
            "history_before": self.history_before.isoformat(),
            "runs": self.runs.gone,
            "runs_that_stay": {why.name.lower(): number for why, number in self.runs.stay.items()},
            "events": self.events.events,
            "check_results": self.events.checks,
            "rows": dict(self.history.rows),
            "works_that_stay": dict(self.history.works_that_stay),
            "is_all": self.runs.is_all and not self.history.left and not self.events.why_not,
        }
