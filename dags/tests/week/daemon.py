"""What Dagster's daemon does, played in this process: evaluates what is due, keeps its ticks, has runs made.

As in a daemon's storage, a tick that fails is a failure, and one that was missed while the daemon was dead is made up
for once. Sensors of minutes are evaluated when somebody looks; the ticks between two looks are kept as skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from dagster import RunRequest, build_schedule_context
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.tags import SCHEDULE_NAME_TAG, SENSOR_NAME_TAG
from dagster._utils.schedules import reverse_cron_string_iterator

from dags.definitions import defs
from dags.demo.loop import tick
from dags.tests.health.daemon import Daemon
from dags.tests.week.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from dagster import DagsterInstance, ScheduleDefinition, SensorDefinition

    Launch = Callable[[RunRequest, str, dict[str, str]], None]

ALERTS = "web_analytics_alerts_sensor"

# Every so often a sensor of seconds or minutes is evaluated at least; nothing that it does can be seen sooner here.
SELDOM, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class PlayedDaemon:
    """The daemon of an instance."""

    instance: DagsterInstance
    is_alive: bool = True
    words: str = ""
    _ticked: dict[str, datetime] = field(default_factory=dict)
    _off: set[str] = field(default_factory=set)
    # Whether it lived at the look before: else there were no ticks between.
    _was_alive: bool = True

    @property
    def _kept(self) -> Daemon:
        return Daemon(self.instance)

    def starts(self, moment: datetime) -> None:
        """It knows of all from now on; what was due before is no business of it."""
        repository = defs.get_repository_def()
        names = [one.name for one in repository.sensor_defs] + [one.name for one in repository.schedule_defs]
        for name in names:
            self._kept.switch(name, now())
            self._ticked[name] = moment
        self._kept.beats(now())

    def switch(self, name: str, *, is_on: bool) -> None:
        """A person switches one off, or on again."""
        (self._off.discard if is_on else self._off.add)(name)
        self._kept.switch(name, now(), InstigatorStatus.DECLARED_IN_CODE if is_on else InstigatorStatus.STOPPED)

    def goes_on(self, moment: datetime, launch: Launch) -> None:
        """Do what is due by now: schedules in the order of their hours, sensors, and at last the alerts."""
        self._kept.beats(now())
        repository = defs.get_repository_def()
        sensors = {one.name: one for one in repository.sensor_defs}
        if self._was_alive:
            for sensor in sensors.values():
                if (every := _every(sensor)) < SELDOM and moment - self._ticked[sensor.name] > every:
                    self._kept.ticks(sensor.name, now() - every)
        due = [
            (last, one)
            for one in repository.schedule_defs
            if one.name not in self._off and (last := _last(one, moment)) > self._ticked[one.name]
        ]
        for last, schedule in sorted(due, key=lambda pair: (pair[0], pair[1].name)):
            self._schedule_ticks(schedule, last, launch)
        alerts = sensors.pop(ALERTS)
        for sensor in sensors.values():
            if moment - self._ticked[sensor.name] >= max(_every(sensor), SELDOM):
                self._sensor_ticks(sensor, moment, launch)
        self._sensor_ticks(alerts, moment, launch)
        self._was_alive = True

    def dies(self) -> None:
        self.is_alive = self._was_alive = False

    def returns(self) -> None:
        self.is_alive = True

    def next_due(self, moment: datetime, without: Collection[str]) -> datetime:
        """When a schedule is due next, or a sensor of hours."""
        repository = defs.get_repository_def()
        sensors = [self._ticked[one.name] + _every(one) for one in repository.sensor_defs if _every(one) > SELDOM]
        schedules = [_next(one, moment) for one in repository.schedule_defs if one.name not in {*without, *self._off}]
        return min(one for one in (*sensors, *schedules) if one > moment)

    def catches_up(self, schedule: ScheduleDefinition, launch: Launch) -> None:
        """Have a schedule tick that is not due."""
        self._schedule_ticks(schedule, now(), launch)

    def _schedule_ticks(self, schedule: ScheduleDefinition, last: datetime, launch: Launch) -> None:
        self._ticked[schedule.name] = last
        error, requests = "", []
        with build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=last,
            resources=defs.resources,
            repository_def=defs.get_repository_def(),
        ) as context:
            try:
                requests = list(schedule.evaluate_tick(context).run_requests or ())
            except Exception as failure:  # noqa: BLE001 -- whatever it is, the daemon keeps it
                error = str(failure.__cause__ or failure)
        self._kept.ticks(schedule.name, now(), error)
        for request in requests:
            launch(request, schedule.job_name, {SCHEDULE_NAME_TAG: schedule.name})

    def _sensor_ticks(self, sensor: SensorDefinition, moment: datetime, launch: Launch) -> None:
        self._ticked[sensor.name] = moment
        error, requests = "", list[RunRequest]()
        self.words = "" if sensor.name == ALERTS else self.words
        try:
            ticked = tick(sensor, self.instance)
            requests += ticked.requests
            if sensor.name == ALERTS:
                self.words = ticked.skip_message
        except Exception as failure:  # noqa: BLE001 -- as above
            error = str(failure.__cause__ or failure)
        self._kept.ticks(sensor.name, now(), error)
        for request in requests:
            launch(request, request.job_name or "", {SENSOR_NAME_TAG: sensor.name})


def _every(sensor: SensorDefinition) -> timedelta:
    return timedelta(seconds=sensor.minimum_interval_seconds or 30)


def _next(schedule: ScheduleDefinition, moment: datetime) -> datetime:
    """When it is due next, at the latest a day later: all are at least daily."""
    return min(takewhile(lambda due: due > moment, _ticks_before(schedule, moment + DAY)), default=moment + DAY)


def _last(schedule: ScheduleDefinition, moment: datetime) -> datetime:
    """When it was due last; at this very moment, if it is."""
    return next(_ticks_before(schedule, moment))


def _ticks_before(schedule: ScheduleDefinition, moment: datetime) -> Iterator[datetime]:
    """When it is due, from that moment back."""
    cron, zone = str(schedule.cron_schedule), schedule.execution_timezone or "UTC"
    for due in reverse_cron_string_iterator(moment.timestamp() + 1, cron, zone):
        yield due.astimezone(UTC)
