"""What runs share: their tags, what these say of a run, and how long a run may last."""

from __future__ import annotations

import re
import sys
import time
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import MAX_RUNTIME_SECONDS_TAG
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG, ROOT_RUN_ID_TAG

from dags.dagster_runs.processes import age_seconds
from dags.domain.shards import SHARD_TAG

if TYPE_CHECKING:
    from datetime import datetime

    from dagster import DagsterInstance, DagsterRun

    from dags.domain.clock import Clocks

# One prefix for everything the planner says of a run it launches.
TAG_PREFIX = "web_analytics_backfill/"
BACKFILL_RUN_TAG = "backfill_run"
MISSING_DATA_TAG = "missing_data_detected"

# Which servers a backfill gives work to: its shard, 0 where there is one. `dagster.yaml` lets one run of each value be
# at work at a time, so that shards are built at the same time, and none by two.
LANE_TAG = ".dagster/web_analytics_backfill_lane"

# Who launched a build by hand and why, as far as that is said. Tags, because Dagster takes the name of an environment
# variable in place of a text of its configuration, and the audit would show what that holds.
REQUESTED_BY_TAG, REASON_TAG = f"{TAG_PREFIX}requested_by", f"{TAG_PREFIX}reason"

# Why the planner launched a build: of all its tables, and of each its own, as JSON.
REASONS_TAG = f"{TAG_PREFIX}reasons"

# What the list of runs can be filtered by, so each has few values: the most frequent of the reasons, and the tables.
MAIN_REASON_TAG, TABLES_TAG, TEAMS_TAG = f"{TAG_PREFIX}main_reason", f"{TAG_PREFIX}tables", f"{TAG_PREFIX}teams"

# What only programs read. Dagster's UI shows a tag on each line of the list of runs, and none that begins like this.
_HIDDEN = ".dagster/web_analytics_"
REASONS_BY_TABLE_TAG = f"{_HIDDEN}reasons_by_table"

# Who launched a build by itself, under which plan, and the how many-th attempt it is, from 0.
TRIGGER_TAG, PLAN_TAG, ATTEMPT_TAG = (f"{TAG_PREFIX}{name}" for name in ("trigger", "plan", "attempt"))

# Which database a run was asked to repair, see `dags.clickhouse.dsn.Dsn.mark`: what a run came to elsewhere, as in a
# demo before, is no attempt here.
DATABASE_TAG = f"{_HIDDEN}database"
_FORMERLY = {name: f"{TAG_PREFIX}{name.removeprefix(_HIDDEN)}" for name in (DATABASE_TAG, REASONS_BY_TABLE_TAG)}

# On the runs of the daily schedule, which are nobody's backfill.
DAILY_RUN_TAG = f"{TAG_PREFIX}daily"

# Dagster's queue starts runs of a higher priority first; the daily build has 0.
BACKFILL_PRIORITY = "-1"

# The field of a building op's configuration that names the teams to rebuild, by table.
TEAMS_FIELD = "team_ids_by_table"

# The field that names the plan which asked for them, where they are too many for a configuration; see
# `dags.repair.requests`.
PLAN_FIELD = "plan_id"

# What a plan is called; anything else names none, and is never asked for.
PLAN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")

# A killed run is ended within two minutes where its process is seen to be dead (`dags.work.dead_runs`). For all others
# every job says how long it may last. A build must end well before its staging tables count as leftovers (a day). A
# managed backfill is many builds; killed, it is resumed.
BUILD_RUN = {MAX_RUNTIME_SECONDS_TAG: str(6 * 3600)}
LONG_RUN = {MAX_RUNTIME_SECONDS_TAG: str(48 * 3600)}
SHORT_RUN = {MAX_RUNTIME_SECONDS_TAG: str(1800)}


# What a job is there for, so that the list of runs, which the UI filters by tags and not by jobs, can be asked for one.
KIND_TAG = "web_analytics/kind"


class JobKind(StrEnum):
    """What a job is there for."""

    QUESTION = "question"
    BUILD = "build"
    BACKFILL = "backfill"
    LOAD = "load"
    WAIVER = "waiver"
    SWITCH = "switch"
    TEAMS = "teams"
    SCHEMA = "schema"
    RETENTION = "retention"
    ALERT = "alert"


def lock_directory(instance: DagsterInstance) -> Path:
    """Where runs hold the lock by which it is seen that their process lives, see `dags.dagster_runs.locks`."""
    return Path(instance.root_directory) / "web_analytics_runs"


def hidden_tag(run: DagsterRun, name: str) -> str:
    """What a hidden tag says, or until 0.10.0 one that was shown; empty where there is none."""
    return run.tags.get(name) or run.tags.get(_FORMERLY[name], "")


def shard_of(run: DagsterRun) -> int:
    """The number of the shard that a run names; 0 where it names none, or nothing that is a number."""
    said = run.tags.get(SHARD_TAG, "")
    return int(said) if said.isascii() and said.isdecimal() else 0


def is_automatic(run: DagsterRun) -> bool:
    """Whether the planner launched a run, or Dagster itself retried one that the planner had launched.

    What a person executes again carries the tags of the run before it, and is a person's run all the same: only
    Dagster's own retries have a number, and a number is never handed on.
    """
    return run.tags.get(BACKFILL_RUN_TAG) == "true" and not _is_executed_again(run)


def is_daily(run: DagsterRun) -> bool:
    """Whether the daily schedule launched a run, or Dagster itself retried one that it had launched."""
    return run.tags.get(DAILY_RUN_TAG) == "true" and not _is_executed_again(run)


def _is_executed_again(run: DagsterRun) -> bool:
    return PARENT_RUN_ID_TAG in run.tags and RETRY_NUMBER_TAG not in run.tags


def root_of(instance: DagsterInstance, run_id: str) -> str:
    """The run of which a run is an attempt: itself, unless it is a retry; itself too if Dagster has it no more."""
    run = instance.get_run_by_id(run_id)
    return run.tags.get(ROOT_RUN_ID_TAG, run_id) if run is not None else run_id


def ordered_at(instance: DagsterInstance, run: DagsterRun, clocks: Clocks) -> datetime:
    """When a run was launched, by ClickHouse's clock: that clock now, less the seconds since by this host's.

    A retry by Dagster itself is no new order. `dagster job execute` makes its run when its process has loaded the code,
    seconds after a person gave the order.
    """
    ids = [run.tags[ROOT_RUN_ID_TAG]] if {ROOT_RUN_ID_TAG, RETRY_NUMBER_TAG} <= run.tags.keys() else []
    firsts = [one for run_id in [*ids, run.run_id] for one in instance.get_records_for_run(run_id, limit=1).records]
    ages = [0.0, *(time.time() - first.event_log_entry.timestamp for first in firsts)]
    if sys.argv[1:3] == ["job", "execute"]:
        ages.append(age_seconds("self") or 0.0)
    return clocks.server_now() - timedelta(seconds=max(ages))
