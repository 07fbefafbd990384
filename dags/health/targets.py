"""What is expected of the whole: how old a gap may grow, and how far a team may lie behind.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dags.settings import Settings


@dataclass(frozen=True)
class Targets:
    """``repair``: since a gap was seen first. ``freshness``: since the end of a team's newest day that is complete."""

    repair: timedelta
    freshness: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Targets:
        """As the settings say."""
        return cls(timedelta(hours=settings.repair_target_hours), timedelta(hours=settings.freshness_target_hours))
