"""Reads from the Dagster instance which runs cover which days, and writes the tags by which they are found.

Runs are found by partition and assets, not by job: a click on an asset in the UI runs under a job of Dagster's own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from dagster import DagsterEventType, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from dags.clickhouse.leases.rules import run_key
from dags.dagster_runs.console import why_failed
from dags.dagster_runs.tags import DATABASE_TAG, REASONS_BY_TABLE_TAG, REASONS_TAG, hidden_tag, is_automatic, shard_of
from dags.domain.errors import UserError
from dags.domain.text import wrapped
from dags.repair.asked import asked_days, asked_plan, asked_teams
from dags.repair.attempts import LONGEST_BACKOFF, Run, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dagster import DagsterInstance

# Queued, starting, started, canceling: whatever may still write the day.
IN_FLIGHT = (
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)

# Attempts older than two of the longest back-offs are forgotten, see attempts.failed_attempts.
REMEMBERED = 2 * LONGEST_BACKOFF + timedelta(days=2)

# How many runs are looked through for one whose id begins as asked.
RECENT_RUNS = 5000


def runs_of(
    instance: DagsterInstance, job_by_table: Mapping[str, str], days: Iterable[date], now: datetime, database: str = ""
) -> list[Run]:
    """Every run, of any trigger, that covers ``days`` of the tables: all in flight, and the ended ones of two weeks.

    Asked by partition, because the instance may be shared with jobs that make thousands of runs a day. ``database``:
    the mark of the one that is asked about, else any; what has ended and says that it was of another is left out.
    """
    keys = [day.isoformat() for day in days]
    ended = RunsFilter(tags={PARTITION_NAME_TAG: keys}, created_after=now - REMEMBERED)
    records = [
        *instance.get_run_records(RunsFilter(statuses=list(IN_FLIGHT))),
        *(instance.get_run_records(ended) if keys else ()),
    ]
    found = {}
    for record in records:
        run = record.dagster_run
        covered = _tables(run, job_by_table)
        if not covered:
            continue
        state = _state(run)
        is_elsewhere = bool(database) and (hidden_tag(run, DATABASE_TAG) or database) != database
        if state is not RunState.IN_FLIGHT and is_elsewhere:
            continue
        ended_at = _instant(record.end_time) if state is not RunState.IN_FLIGHT else None
        if state is not RunState.IN_FLIGHT and ended_at is None:
            ended_at = record.update_timestamp.astimezone(UTC)
        for day in _days(run):
            found[run.run_id, day] = Run(
                run_id=run.run_id,
                day=day,
                tables=covered,
                state=state,
                created_at=record.create_timestamp.astimezone(UTC),
                ended_at=ended_at,
                is_automatic=is_automatic(run),
                teams_by_table=asked_teams(run.run_config, covered),
                plan_id=asked_plan(run.run_config),
                shard=shard_of(run),
                # Of all its units, uncut; a run that was queued before an upgrade may have the shown ones alone.
                reasons=hidden_tag(run, REASONS_BY_TABLE_TAG) or run.tags.get(REASONS_TAG, ""),
            )
    return list(found.values())


def without_the_dead(runs: Iterable[Run], dead: Mapping[str, datetime]) -> list[Run]:
    """The runs, those failed that Dagster takes for running and whose lease has been silent for too long.

    A run that was killed stays STARTED until something ends it; its days need not wait for that. ``dead``: by
    `dags.clickhouse.leases.rules.run_key`, when each was last heard of.
    """
    return [
        replace(run, state=RunState.FAILED, ended_at=max(dead[run_key(run.run_id)], run.created_at))
        if run.ended_at is None and run_key(run.run_id) in dead
        else run
        for run in runs
    ]


def with_frozen_teams(
    runs: Iterable[Run], frozen: Mapping[tuple[str, date], Mapping[str, frozenset[int]]]
) -> list[Run]:
    """The runs, with the teams that their plans asked for.

    A plan that is gone is taken for all teams: its run then counts as an attempt at each of them.
    """
    return [replace(run, teams_by_table=frozen.get((run.plan_id, run.day), {})) if run.plan_id else run for run in runs]


def find_run(instance: DagsterInstance, run_id: str) -> DagsterRun:
    """The run of an id, or of the first characters of one, as reports show them.

    Raises:
        UserError: no run, or more than one, begins so.
    """
    whole = instance.get_run_by_id(run_id)
    recent = instance.get_runs(limit=RECENT_RUNS) if whole is None else [whole]
    matching = [run for run in recent if run.run_id.startswith(run_id)]
    if len(matching) != 1:
        raise UserError(
            f"run_id is {run_id!r}: {len(matching) or 'no'} runs begin so. `dagster run list` shows the ids of the last"
        )
    return matching[0]


def run_text(instance: DagsterInstance, run: DagsterRun) -> str:
    """What a run did: its tags, what it materialized with which figures, and its errors."""
    lines = [f"RUN       {run.run_id}: {run.job_name}, {run.status.value.lower()}"]
    lines += [f"          {name} = {value}" for name, value in sorted(run.tags.items())]
    for entry in instance.all_logs(run.run_id):
        event = entry.dagster_event
        if event is None:
            continue
        at = f"{datetime.fromtimestamp(entry.timestamp, tz=UTC):%H:%M:%S}"
        if event.is_step_materialization:
            found = event.step_materialization_data.materialization
            figures = ", ".join(f"{k} {v.value}" for k, v in found.metadata.items() if isinstance(v.value, int | float))
            lines.append(f"{at}  built {found.asset_key.to_user_string()} of {found.partition}: {figures}")
        elif event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause or error if error is not None else None
            words = why_failed(event) or (cause.message.strip() if cause else "no message")
            lines.append(f"{at}  {event.step_key} failed: {words}")
        elif event.is_run_failure or event.event_type is DagsterEventType.RUN_CANCELED:
            lines.append(f"{at}  {event.message}")
    return "\n".join(wrapped(line, indent=10) for line in lines)


def _tables(run: DagsterRun, job_by_table: Mapping[str, str]) -> frozenset[str]:
    if run.asset_selection:  # an in-process run of a whole job has an empty one
        return frozenset(key.to_user_string() for key in run.asset_selection) & job_by_table.keys()
    return frozenset(table for table, job in job_by_table.items() if job == run.job_name)


def _days(run: DagsterRun) -> Iterable[date]:
    """The days of a run: its partition, or the range that a single-run backfill covers; none for other keys."""
    tags = run.tags
    first = tags.get(PARTITION_NAME_TAG) or tags.get(ASSET_PARTITION_RANGE_START_TAG) or ""
    last = tags.get(PARTITION_NAME_TAG) or tags.get(ASSET_PARTITION_RANGE_END_TAG) or ""
    return asked_days(first, last)


def _state(run: DagsterRun) -> RunState:
    if run.status in IN_FLIGHT:
        return RunState.IN_FLIGHT
    return RunState.SUCCEEDED if run.status is DagsterRunStatus.SUCCESS else RunState.FAILED


def _instant(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, tz=UTC)
