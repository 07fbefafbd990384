"""The one place that reads the clock.

Everything below the shell takes ``now`` as a value; the assets, jobs, sensors and schedules ask here, once each.
"""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)
