"""The figures of an evaluation that are worth a curve: Dagster's UI draws one of every number in an asset's metadata.

Pure: no clock, no database, no Dagster. What else the detector says in numbers stands in
`dags.web_preaggregated_backfill.metadata`; no name is in both.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dags.detection.gaps.rules import oldest_age

if TYPE_CHECKING:
    from dags.detection.detection import Detection
    from dags.metrics.recent import Recent

HOUR = timedelta(hours=1)


def figures(found: Detection, recent: Recent | None) -> dict[str, float]:
    """By name; what is not known is not there, for a curve would fall to 0. ``…_7_days`` are of all watched tables."""
    known: dict[str, float | None] = {}
    if not found.unknown and found.server_at is not None:
        known["oldest_gap_age_hours"] = round(oldest_age(found.gaps, found.server_at) / HOUR, 2)
        known["complete_units"] = sum(found.complete_by_table.values())
    if recent is not None:
        known["builds_7_days"] = recent.all_builds.succeeded + recent.all_builds.failed
        known["success_rate_7_days"] = recent.all_builds.success_rate
        known["gaps_opened_7_days"] = sum(one.opened for one in recent.gaps.values())
        known["gaps_closed_7_days"] = sum(one.closed for one in recent.gaps.values())
    return {name: float(value) for name, value in known.items() if value is not None}
