"""Dagster's daemon as its storage knows it: what it leaves when it lives, and sensors and schedules tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.schedules.sqlite import SqliteScheduleStorage
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from dags.definitions import defs

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from dagster import DagsterInstance

_ORIGIN = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("localhost", port=1), "__repository__")


@dataclass(frozen=True)
class Daemon:
    """The daemon of an instance, which evaluates what this location serves."""

    instance: DagsterInstance

    @classmethod
    def of(cls, instance: DagsterInstance, directory: Path) -> Daemon:
        """One of an instance in memory, which has no storage for it: that is in the directory."""
        storage = SqliteScheduleStorage.from_local(str(directory))
        storage.register_instance(instance)
        instance._schedule_storage = storage
        return cls(instance)

    def lives(self, at: datetime) -> None:
        """It says that it lives, and has evaluated every sensor and schedule just now."""
        self.beats(at)
        repository = defs.get_repository_def()
        for sensor in repository.sensor_defs:
            self.ticks(sensor.name, at)
        for schedule in repository.schedule_defs:
            self.ticks(schedule.name, at)

    def beats(self, at: datetime) -> None:
        for kind in ("SENSOR", "SCHEDULER"):
            self.instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), kind, "daemon", []))

    def switch(
        self, name: str, at: datetime, status: InstigatorStatus = InstigatorStatus.DECLARED_IN_CODE
    ) -> InstigatorState:
        """What it knows of one; made anew if it knows it already."""
        is_sensor = defs.get_repository_def().has_sensor_def(name)
        origin = RemoteInstigatorOrigin(_ORIGIN, name)
        data = (
            SensorInstigatorData(min_interval=30, last_sensor_start_timestamp=at.timestamp())
            if is_sensor
            else ScheduleInstigatorData("0 * * * *", start_timestamp=at.timestamp())
        )
        kind = InstigatorType.SENSOR if is_sensor else InstigatorType.SCHEDULE
        state = InstigatorState(origin, kind, status, data)
        if self.instance.get_instigator_state(state.instigator_origin_id, state.selector_id) is None:
            return self.instance.add_instigator_state(state)
        return self.instance.update_instigator_state(state)

    def ticks(self, name: str, at: datetime, error: str = "") -> None:
        """One is evaluated, and fails if an error is given."""
        state = self.switch(name, at)
        self.instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name=name,
                instigator_type=state.instigator_type,
                status=TickStatus.FAILURE if error else TickStatus.SKIPPED,
                timestamp=at.timestamp(),
                selector_id=state.selector_id,
                error=SerializableErrorInfo(error, [], "Error") if error else None,
            )
        )
