"""The watched tables, declared once. Detection, decision and reports know no table by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WatchedTable:
    """A daily-partitioned table whose days are kept complete.

    ``agrees_with`` names the tables that must hold the same sessions and page views of each team and day: where one
    differs from its source and the other does not, readers see two truths, and the report says so.
    """

    name: str
    agrees_with: tuple[str, ...] = ()


STATS = WatchedTable("web_pre_aggregated_stats", agrees_with=("web_pre_aggregated_bounces",))
BOUNCES = WatchedTable("web_pre_aggregated_bounces", agrees_with=("web_pre_aggregated_stats",))

WATCHED = (STATS, BOUNCES)

# Stamped on every build. Raise it with every change of what a build computes.
LOGIC_VERSION = 1
