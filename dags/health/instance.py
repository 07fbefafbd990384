"""Reads from Dagster's instance what health is judged by: whether sensors and schedules tick, how the runs of loads
ended, and what the last comparison with raw events came to.

An instance may be shared with other locations: only what is named as ours is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRecord,
    RunsFilter,
    ScheduleDefinition,
    SensorDefinition,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG, SCHEDULE_NAME_TAG
from dagster._utils.schedules import reverse_cron_string_iterator

from dags.dagster_runs.console import why_failed
from dags.domain.clock import MAX_SKEW
from dags.domain.text import of_error
from dags.file_ingestion.sensors import INGESTION_TAG
from dags.health.causes import Check
from dags.health.facts import Compared, Load, Section, Ticking
from dags.health.sampling import Unequal
from dags.repair.runs import IN_FLIGHT
from dags.schedules import ALERTS_INTERVAL_SECONDS, HEALTH_CRON, RETENTION_CRON, TIME_ZONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dags.sources.declaration import Sources

# By which the standing checks are run, see `dags.health.checks`.
HEALTH_SCHEDULE = "web_analytics_health_schedule"

# By which runs, events and history are forgotten, see `dags.retention`.
RETENTION_SCHEDULE = "web_analytics_retention_schedule"

# By which people are told, see `dags.alerts`.
ALERTS_SENSOR = "web_analytics_alerts_sensor"

# The daemons that evaluate sensors and schedules, as they call themselves.
_DAEMONS = ("SENSOR", "SCHEDULER")

# So many ticks that failed, runs of a load, and results of a check are looked back at.
LOOKED_BACK = 20

# Said by a result that could not be had, beside what differed before; and by one for which nobody could be asked.
IS_UNKNOWN, IS_UNREACHABLE = "is_unknown", "is_unreachable"

# Dagster's own default, of a schedule that says no time zone.
_UTC = "UTC"


@dataclass(frozen=True)
class Trigger:
    """A sensor or a schedule that this location serves, as it is declared. ``crons`` are a schedule's."""

    name: str
    is_sensor: bool
    is_on: bool
    every: timedelta | None = None
    crons: tuple[str, ...] = ()
    time_zone: str = _UTC


@dataclass(frozen=True)
class Timetable:
    """What works alone here: ``repairing`` are the names of those that launch repairs, ``loads`` say by a schedule's
    name what it loads, and ``chores`` what is done by it that is neither a load nor a build.
    """

    triggers: tuple[Trigger, ...]
    repairing: tuple[str, ...]
    loads: Mapping[str, str]
    chores: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        sensors: Sequence[SensorDefinition],
        schedules: Sequence[ScheduleDefinition],
        *,
        repairing: Iterable[str],
        loads: Iterable[ScheduleDefinition],
        chores: Iterable[ScheduleDefinition],
    ) -> Timetable:
        """Of all that is served, by its definitions. Those that need it are named: the schedules of these checks and of
        retention, and the sensor of alerts.
        """
        found = [
            Trigger(
                one.name,
                is_sensor=True,
                is_on=one.default_status is DefaultSensorStatus.RUNNING,
                every=timedelta(seconds=one.minimum_interval_seconds or 30),
            )
            for one in sensors
        ]
        found += [
            Trigger(
                one.name,
                is_sensor=False,
                is_on=one.default_status is DefaultScheduleStatus.RUNNING,
                crons=(one.cron_schedule,) if isinstance(one.cron_schedule, str) else tuple(one.cron_schedule),
                time_zone=one.execution_timezone or _UTC,
            )
            for one in schedules
        ]
        every = timedelta(seconds=ALERTS_INTERVAL_SECONDS)
        found.append(Trigger(ALERTS_SENSOR, is_sensor=True, is_on=True, every=every))
        for name, cron in ((HEALTH_SCHEDULE, HEALTH_CRON), (RETENTION_SCHEDULE, RETENTION_CRON)):
            found.append(Trigger(name, is_sensor=False, is_on=True, crons=(cron,), time_zone=TIME_ZONE))
        what = {one.name: (one.description or one.name).removeprefix("Loads ").rstrip(".") for one in loads}
        beside = {
            **{one.name: one.job_name for one in chores},
            HEALTH_SCHEDULE: "web_analytics_health_checks_job",
            RETENTION_SCHEDULE: "web_analytics_retention_job",
        }
        return cls(tuple(found), tuple(repairing), what, beside)


def read_sections(
    instance: DagsterInstance, timetable: Timetable, sources: Sources, tables: Sequence[str], now: datetime
) -> dict[str, Any]:
    """The fields of `dags.health.facts.Facts` that Dagster knows, but for sections that cannot be read, with why."""
    sections: tuple[tuple[Section, Callable[[], dict[str, Any]]], ...] = (
        (Section.TRIGGERS, lambda: _triggers(instance, timetable, now)),
        (Section.LOADS, lambda: _runs(instance, timetable, sources, now)),
        (Section.ACCURACY, lambda: {"compared": tuple(_compared(instance, tables))}),
    )
    found: dict[str, Any] = {}
    unread: dict[Section, str] = {}
    for section, read in sections:
        try:
            found |= read()
        except Exception as error:  # noqa: BLE001 -- whichever storage it is: it is unknown, and said to be
            unread[section] = of_error(error)
    return {**found, "unread": unread}


def _triggers(instance: DagsterInstance, timetable: Timetable, now: datetime) -> dict[str, Any]:
    beats = [beat.timestamp for name, beat in instance.get_daemon_heartbeats().items() if name in _DAEMONS]
    # A beat of the future is the one to tell of: it says nothing, and the other's says nothing of this one.
    latest = _instant(max(beats)) if beats else None
    is_ahead = latest is not None and latest > now + MAX_SKEW
    daemon_at = latest if is_ahead else _instant(min(beats)) if len(beats) == len(_DAEMONS) else None
    states: dict[str, list[Any]] = {}
    for state in instance.all_instigator_state():
        states.setdefault(state.instigator_name, []).append(state)
    ticking = (_ticking(instance, one, states.get(one.name, []), now) for one in timetable.triggers)
    return {"daemon_at": daemon_at, "believed_until": now + MAX_SKEW, "ticking": tuple(ticking)}


def _ticking(instance: DagsterInstance, trigger: Trigger, states: Sequence[Any], now: datetime) -> Ticking:
    """How one stands. Of several that have the name, as after a location was renamed, the one that ticked last."""
    if not states:
        return Ticking(trigger.name, trigger.is_sensor, is_on=trigger.is_on, is_known=False, every=trigger.every)
    state, last = max(
        ((one, next(iter(_ticks(instance, one, limit=1)), None)) for one in states),
        key=lambda pair: pair[1].timestamp if pair[1] is not None else 0.0,
    )
    is_on = trigger.is_on if state.status.value == "DECLARED_IN_CODE" else state.status.value == "RUNNING"
    data = state.instigator_data
    ticked_at = _instant(last.timestamp) if last is not None else None
    if trigger.is_sensor:
        begun = getattr(data, "last_sensor_start_timestamp", None)
        since = max(filter(None, [last.timestamp if last is not None else None, begun]), default=None)
        due_at = _instant(since) + (trigger.every or timedelta(0)) if since is not None else None
    else:
        begun = getattr(data, "start_timestamp", None)
        due_at = last_tick(trigger.crons, trigger.time_zone, now)
        due_at = due_at if begun is None or due_at > _instant(begun) else None
        iterated = getattr(data, "last_iteration_timestamp", None)  # of a tick that was left out, none is kept
        ticked_at = max(filter(None, [ticked_at, _instant(iterated) if iterated else None]), default=None)
    failures, failed_since, error = (
        _failures(instance, state) if last is not None and last.is_failure else (0, None, "")
    )
    return Ticking(
        trigger.name,
        trigger.is_sensor,
        is_on=is_on,
        is_known=True,
        every=trigger.every,
        due_at=due_at,
        ticked_at=ticked_at,
        failures=failures,
        failed_since=failed_since,
        error=error,
        # Who keeps history for ever has reasons, and a disk.
        is_needed=trigger.name != RETENTION_SCHEDULE,
    )


def _ticks(instance: DagsterInstance, state: Any, limit: int) -> Sequence[Any]:  # noqa: ANN401 -- Dagster's own
    return instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=limit)


def _failures(instance: DagsterInstance, state: Any) -> tuple[int, datetime | None, str]:  # noqa: ANN401 -- as above
    """The unbroken row of ticks that failed, as far as it is looked back: how many, since when, and the last error."""
    failed = [*takewhile(lambda tick: tick.is_failure, _ticks(instance, state, LOOKED_BACK))]
    error = failed[0].error
    cause = (error.cause or error) if error is not None else None
    return len(failed), _instant(failed[-1].timestamp), cause.message.strip() if cause is not None else "no message"


def last_tick(crons: Sequence[str], time_zone: str, now: datetime) -> datetime:
    """When a schedule was to tick last, by now."""
    return max(next(_ticks_before(cron, time_zone, now)) for cron in crons)


def _ticks_before(cron: str, time_zone: str, now: datetime) -> Iterator[datetime]:
    for tick in reverse_cron_string_iterator(now.timestamp(), cron, time_zone):
        yield tick.astimezone(UTC)


def _runs(
    instance: DagsterInstance, timetable: Timetable, sources: Sources, now: datetime
) -> dict[str, tuple[Load, ...]]:
    chores = (_load(instance, name, job, {SCHEDULE_NAME_TAG: name}, job=job) for name, job in timetable.chores.items())
    return {"loads": tuple(_loads(instance, timetable, sources, now)), "chores": tuple(chores)}


def _loads(instance: DagsterInstance, timetable: Timetable, sources: Sources, now: datetime) -> Iterator[Load]:
    by_name = {one.name: one for one in timetable.triggers}
    for name, what in timetable.loads.items():
        trigger = by_name[name]
        ticks = _ticks_before(trigger.crons[0], trigger.time_zone, now)
        _, before = next(ticks), next(ticks)
        yield _load(instance, name, what, {SCHEDULE_NAME_TAG: name}, due_at=before)
    for ingestion in sources.ingestions:
        if ingestion.status == "ACTIVE":
            # Runs are launched only where files wait, so none is due by the hour.
            found = _load(instance, ingestion.name, f"ingestion {ingestion.name}", {INGESTION_TAG: ingestion.name})
            yield replace(found, is_scheduled=False)


def _load(
    instance: DagsterInstance,
    name: str,
    what: str,
    tags: Mapping[str, str],
    *,
    due_at: datetime | None = None,
    job: str = "",
) -> Load:
    """How the runs with some tags ended. ``job``: who has it succeed by hand, as its timetable has it run, has
    put it right.
    """
    records = instance.get_run_records(RunsFilter(tags=dict(tags)), limit=LOOKED_BACK)
    if not records:
        return Load(name, what)
    running = [one for one in records if one.dagster_run.status in IN_FLIGHT]
    # What a person cancelled says neither that it works nor that it does not.
    over = {*IN_FLIGHT, DagsterRunStatus.CANCELED}
    ended = [one for one in records if one.dagster_run.status not in over]
    failed = [*takewhile(lambda one: one.dagster_run.status is DagsterRunStatus.FAILURE, ended)]
    if failed and job and (worked_at := _worked_at(instance, job, failed)) is not None:
        failed = [*takewhile(lambda one: _ended_at(one) >= worked_at, failed)]
    succeeded = next((one for one in ended if one.dagster_run.status is DagsterRunStatus.SUCCESS), None)
    return Load(
        name,
        what,
        records[0].dagster_run.run_id,
        failures=len(failed),
        failed_since=_ended_at(failed[-1]) if failed else None,
        error=_error(instance, failed[0]) if failed else "",
        # Of the very first run nothing can be late yet.
        due_at=due_at if due_at is not None and records[-1].create_timestamp.astimezone(UTC) <= due_at else None,
        succeeded_at=succeeded.create_timestamp.astimezone(UTC) if succeeded is not None else None,
        running_since=running[-1].create_timestamp.astimezone(UTC) if running else None,
        begun_at=min((_instant(one.start_time) for one in running if one.start_time is not None), default=None),
    )


def _worked_at(instance: DagsterInstance, job: str, failed: Sequence[RunRecord]) -> datetime | None:
    """When a run of a job was begun last that did what runs failed to do, the last of these first, and for the same
    location; None if none was since the first of them.
    """
    later = RunsFilter(job_name=job, statuses=[DagsterRunStatus.SUCCESS], created_after=_ended_at(failed[-1]))
    found = instance.get_run_records(later, limit=LOOKED_BACK)
    same = (one for one in found if _does_as(one.dagster_run, failed[0].dagster_run))
    return max((one.create_timestamp.astimezone(UTC) for one in same), default=None)


def _does_as(one: DagsterRun, other: DagsterRun) -> bool:
    """Whether two runs of a job do the same part of it, in the same way; a terminal's run names no location."""
    label, of_other = (run.tags.get(REPOSITORY_LABEL_TAG) for run in (one, other))
    did, done = (
        (run.run_config, run.op_selection, run.asset_selection, run.asset_check_selection, run.step_keys_to_execute)
        for run in (one, other)
    )
    return did == done and (label is None or of_other is None or label == of_other)


def _ended_at(record: RunRecord) -> datetime:
    return _instant(record.end_time) if record.end_time is not None else record.update_timestamp.astimezone(UTC)


def _error(instance: DagsterInstance, record: RunRecord) -> str:
    """Why a run failed, in words where it said any."""
    entries = instance.all_logs(
        record.dagster_run.run_id, {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}
    )
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    words = next(filter(None, map(why_failed, events)), "")
    return words or next((str(event.message) for event in events), "it said nothing")


def _compared(instance: DagsterInstance, tables: Sequence[str]) -> Iterator[Compared]:
    for table in tables:
        if (found := last_compared(instance, table)) is not None:
            yield found[0]


def last_compared(instance: DagsterInstance, table: str) -> tuple[Compared, Mapping[str, Any]] | None:
    """The last result of a table's comparison with raw events, and its metadata; None before the first.

    A check that is running, or never ran to its end, has left its plan, which is no result.
    """
    key = AssetCheckKey(AssetKey(table), str(Check.ACCURATE))
    results = []
    ended = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=LOOKED_BACK, status=ended):
        evaluation = record.evaluation
        if record.event is not None and isinstance(evaluation, AssetCheckEvaluation):
            metadata = {name: value.value for name, value in evaluation.metadata.items()}
            results.append((evaluation, _instant(record.event.timestamp), metadata))
    if not results:
        return None
    (evaluation, at, metadata), *before = results
    is_unknown = bool(metadata.get(IS_UNKNOWN))
    # That nobody could be asked says the outage itself, and one result may be missing: the next is an hour away.
    is_first = bool(metadata.get(IS_UNREACHABLE)) or not any(one.get(IS_UNKNOWN) for _, _, one in before[:1])
    is_passing = is_unknown and is_first and not metadata.get("unequal")
    words = evaluation.description or ""
    told = Compared(table, evaluation.passed, at, words, is_unknown=is_unknown, is_passing=is_passing)
    if (unequal := Unequal.of(metadata)) is not None:
        told = replace(told, day=unequal.day, teams=tuple(sorted(unequal.teams)))
    return told, metadata


def _instant(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)
