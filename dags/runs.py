"""Run tags that features share, and their limits."""

from __future__ import annotations

from dagster import MAX_RUNTIME_SECONDS_TAG

# One prefix for everything the planner says of a run it launches.
TAG_PREFIX = "web_analytics_backfill/"
BACKFILL_RUN_TAG = "backfill_run"
MISSING_DATA_TAG = "missing_data_detected"

# A killed run stays STARTED for ever unless something ends it: every job says how long it may last. A build must end
# well before its staging tables count as leftovers (a day).
BUILD_RUN = {MAX_RUNTIME_SECONDS_TAG: str(6 * 3600)}
SHORT_RUN = {MAX_RUNTIME_SECONDS_TAG: str(1800)}

# A diagnostic's answer is what it prints; Dagster's own hundred lines around it hide it. Errors are shown.
ANSWER_ONLY = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
