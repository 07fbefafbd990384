"""Which of the days that a load brings are repaired by themselves.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dags.domain.days import in_words
from dags.domain.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date


def beyond_text(days: Iterable[date], today: date, lookback_days: int) -> str:
    """Which days nobody will repair by himself, for they lie before the look-back; empty if all of them are in it."""
    first = today - timedelta(days=lookback_days)
    beyond = [day for day in days if day < first]
    if not beyond:
        return ""
    return wrapped(
        f"BEYOND   {in_words(beyond)} lie before the {lookback_days} days that are looked at by themselves: health_job "
        "says what of them is wrong, with what builds it; or let WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS reach them"
    )
