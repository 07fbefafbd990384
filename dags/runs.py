"""What the features' jobs share: run tags and their limits, and how a job takes its configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import MAX_RUNTIME_SECONDS_TAG, ConfigMapping
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagster import DagsterInstance, DagsterRun, Field

# One prefix for everything the planner says of a run it launches.
TAG_PREFIX = "web_analytics_backfill/"
BACKFILL_RUN_TAG = "backfill_run"
MISSING_DATA_TAG = "missing_data_detected"

# Dagster's queue starts runs of a higher priority first; the daily build has 0.
BACKFILL_PRIORITY = "-1"

# The field of a building op's configuration that names the teams to rebuild, by table.
TEAMS_FIELD = "team_ids_by_table"

# The field that names the plan which asked for them, where they are too many for a configuration; see dags/requests.
PLAN_FIELD = "plan_id"

# What a plan is called; anything else names none, and is never asked for.
PLAN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")

# A killed run is ended within two minutes where its process is seen to be dead (`dags.dead_runs`). For all others every
# job says how long it may last. A build must end well before its staging tables count as leftovers (a day). A managed
# backfill is many builds; killed, it is resumed.
BUILD_RUN = {MAX_RUNTIME_SECONDS_TAG: str(6 * 3600)}
LONG_RUN = {MAX_RUNTIME_SECONDS_TAG: str(48 * 3600)}
SHORT_RUN = {MAX_RUNTIME_SECONDS_TAG: str(1800)}

# A diagnostic's answer is what it prints; Dagster's own hundred lines around it hide it. Errors are shown.
ANSWER_ONLY = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


def lock_directory(instance: DagsterInstance) -> Path:
    """Where runs hold the lock by which it is seen that their process lives, see `dags.dead_runs.locks`."""
    return Path(instance.root_directory) / "web_analytics_runs"


def is_automatic(run: DagsterRun) -> bool:
    """Whether the planner launched a run, or Dagster itself retried one that the planner had launched.

    What a person executes again carries the tags of the run before it, and is a person's run all the same: only
    Dagster's own retries have a number, and a number is never handed on.
    """
    if run.tags.get(BACKFILL_RUN_TAG) != "true":
        return False
    return PARENT_RUN_ID_TAG not in run.tags or RETRY_NUMBER_TAG in run.tags


def answering(op_name: str, fields: Mapping[str, Field]) -> ConfigMapping:
    """The configuration of a job whose one op takes these fields and prints its answer: they are all of it."""

    def config(given: dict[str, Any]) -> dict[str, Any]:
        return {"ops": {op_name: {"config": given}}, **ANSWER_ONLY}

    return ConfigMapping(config_fn=config, config_schema=dict(fields))
