"""Plays the week: moves the clock, has happen what the script says, and writes down what is said.

The server, the PostgreSQL, Dagster's instance, the definitions and the channels are real; what the daemon does is done
here, see `dags.tests.week.daemon`.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any
from unittest import mock

import psycopg
from dagster import AssetCheckSeverity, DagsterEvent, DagsterEventType
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from dags.alerts.store import read_memory
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases import store as leases
from dags.dagster_runs.command import ANSWER_ONLY
from dags.definitions import defs
from dags.demo.loop import Loop, enable
from dags.domain.days import start_of
from dags.publish.build import _Attempt
from dags.settings import current_settings
from dags.tests.events import Event, insert
from dags.tests.week.clock import Clock, now
from dags.tests.week.report import Message, Page, Seen
from dags.tests.week.script import (
    BEGIN,
    END,
    HISTORY_DAYS,
    HUGE,
    POSTGRES_TEAM,
    SLOW_BY,
    SLOW_TEAM,
    TEAMS,
    WEEK,
    Act,
    Step,
    day_of,
)
from dags.tests.week.traffic import of_hour, of_tenant
from dags.tests.world import BOUNCES, STATS
from dags.web_preaggregated.tables import JOB as BUILD_JOB

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagster import ExecuteInProcessResult, RunRequest

    from dags.tests.alerts.hosts import Host
    from dags.tests.faults.server import Server
    from dags.tests.postgres_backfill.tenants import Tenant
    from dags.tests.week.daemon import PlayedDaemon

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

# While something may change it is looked every ten minutes, twice as seldom as the sensor does; else when something is
# due, for what would be said in between is what was said before. A look that finds something new is followed by an hour
# of these.
CLOSE = 10 * MINUTE

# So long after something has happened, or was said.
CLOSE_FOR = 40 * MINUTE

# The page is looked at by this minute of each sixth hour, and wherever something may change; in the hours between what
# the alerts go by is the page's word. The standing checks, which take longest, are run every twelfth hour, and when
# something has happened.
PAGE_AT, LOOKED_EVERY, CHECKS_AT, CHECKED_EVERY = 40, 6, 20, 12

LOAD_JOB, CHECKS_JOB = "postgres_backfill_job", "web_analytics_health_checks_job"
CHECK_SCHEDULE, HEALTH_SCHEDULE = "web_analytics_backfill_schedule", "web_analytics_health_schedule"

# A build says that it lives by the clock that is moved, so it does as soon as that was; in real time, as what follows.
BEAT_SECONDS = 0.5

# How long a run that waited may take once it goes on, in real time.
ENDS_WITHIN = 120.0


@dataclass
class Driver:
    """A week on a server, a PostgreSQL and two channels."""

    clock: Clock
    server: Server
    tenant: Tenant
    channels: dict[str, Host]
    watch: Host
    daemon: PlayedDaemon
    say: Callable[[str], None]
    seen: Seen = field(default_factory=Seen)
    _close_until: datetime = BEGIN
    _happened_at: datetime = BEGIN - timedelta(days=1)
    _arrived: datetime = BEGIN - HOUR
    _is_up: bool = True
    _undelivered: list[Event] = field(default_factory=list)
    _unsaved: list[tuple[int, datetime, str]] = field(default_factory=list)
    _slow_day: date | None = None
    _may_build: threading.Event = field(default_factory=threading.Event)
    _lock: psycopg.Connection[Any] | None = None
    _runs: list[threading.Thread] = field(default_factory=list)
    _queued: list[tuple[str, RunRequest, str, dict[str, str]]] = field(default_factory=list)

    @property
    def _loop(self) -> Loop:
        return Loop(self.daemon.instance)

    # --- The clock ---------------------------------------------------------------------------------------------------

    def play(self, since: datetime = BEGIN, until: datetime = END) -> Seen:
        """Play the week, or a part of it: what happens before is left out, and the days before are there and built."""
        self._close_until, self._arrived = since, since - HOUR
        self._prepare(since)
        steps, moment = [step for step in WEEK if step.at >= since], since
        plain = _Attempt._read_source

        def read_source(attempt: _Attempt, *given: Any) -> Any:
            if attempt.build.day == self._slow_day and threading.current_thread() in self._runs:
                self._may_build.wait()
            return plain(attempt, *given)

        with (
            mock.patch.object(_Attempt, "_read_source", read_source),
            mock.patch.object(leases, "BEAT_SECONDS", BEAT_SECONDS),
            # Nothing here begins in the very microsecond in which a clock is read.
            mock.patch("dags.postgres_backfill.execution.MARGIN_SECONDS", 0.0),
        ):
            while moment < until:
                self.clock.set(moment)
                if self._runs:
                    time.sleep(2 * BEAT_SECONDS)
                self._arrive(moment)
                while steps and steps[0].at <= moment:
                    self._happen(steps.pop(0))
                    self._close_until, self._happened_at = moment + CLOSE_FOR, moment
                if self.daemon.is_alive:
                    self.daemon.goes_on(moment, self._launch)
                    self._hear()
                if moment.minute == PAGE_AT and self._is_worth_a_look(moment):
                    self._look()
                moment = self._next(moment, steps)
            self._may_build.set()
            self._release()
        self.seen.since, self.seen.until = since, until
        return self.seen

    def _next(self, moment: datetime, steps: list[Step]) -> datetime:
        hour = moment.replace(minute=0)
        marks = [hour + PAGE_AT * MINUTE, hour + HOUR + PAGE_AT * MINUTE, *(step.at for step in steps[:1])]
        if moment < self._close_until:
            return min(mark for mark in [*marks, moment + CLOSE] if mark > moment)
        checks = hour.replace(hour=hour.hour - hour.hour % CHECKED_EVERY) + CHECKS_AT * MINUTE
        marks += [checks, checks + CHECKED_EVERY * HOUR, self.daemon.next_due(moment, {HEALTH_SCHEDULE})]
        return min(mark for mark in marks if mark > moment)

    # --- What is said ------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        """What the channels took; and whether more may come, for there is something that they have not heard of."""
        for name, host in self.channels.items():
            for one in host.heard:
                self.say(f"{name}: {one['title']}")
                self.seen.messages.append(Message(now(), name, one["title"]))
                self._close_until = max(self._close_until, now() + CLOSE_FOR)
            host.heard.clear()
        if self.watch.heard:
            self.seen.beats.append(now())
        self.watch.heard.clear()
        if self._is_pending():
            self._close_until = max(self._close_until, now() + CLOSE_FOR)
        word = self.daemon.words.partition(":")[0]
        if not word:  # a tick that failed says none
            return
        if self.seen.words and self.seen.words[-1][1] != word:
            self._close_until = max(self._close_until, now() + CLOSE_FOR)
        self.seen.words.append((now(), word))

    def _is_pending(self) -> bool:
        """Whether the sensor has seen something that must last until it is told."""
        memory = read_memory(self.daemon.instance, current_settings().clickhouse_dsn.mark)
        return any(one.seen_at is not None and not one.is_open for one in memory.entries.values())

    def _is_worth_a_look(self, moment: datetime) -> bool:
        said = {page.answer for page in self.seen.pages[-1:]}
        is_other = not self.daemon.is_alive or said != {word for _, word in self.seen.words[-1:]}
        return is_other or moment < self._close_until or moment.hour % LOOKED_EVERY == 0

    def _look(self) -> None:
        """What `health_job` answers a person, whatever lives."""
        result = self._run("health_job")
        if result.success:
            told: Any = result.output_for_node("health")
        else:
            [event] = [event for event in result.all_events if event.is_step_failure]
            failure: Any = event.step_failure_data.user_failure_data
            told = failure.metadata["health"].value
        causes = [one for one in told["causes"] if one["state"] in ("needs you", "unknown")]
        page = Page(now(), told["verdict"], tuple(one["what"] for one in causes))
        self.seen.pages.append(page)
        self.say(f"{page.answer} {'; '.join(one['what'] for one in told['causes'] if one['state'] != 'noted')}")

    # --- Runs --------------------------------------------------------------------------------------------------------

    def _run(self, job: str, tags: dict[str, str] | None = None, **options: Any) -> ExecuteInProcessResult:
        with redirect_stdout(StringIO()):
            return self._loop.run(job, raise_on_error=False, tags=dict(tags or {}), **options)

    def _launch(self, request: RunRequest, job: str, tags: dict[str, str]) -> None:
        """Make a run that was asked for; one that waits for something has a thread, and others of its pool wait."""
        name = request.job_name or job
        moment = now()
        if name == CHECKS_JOB and moment.hour % CHECKED_EVERY and moment - self._happened_at > HOUR:
            return
        if name == LOAD_JOB and self._lock is not None and self._runs:
            self._queued.append((self._queue(name, {**request.tags, **tags}), request, job, tags))
        elif (name == LOAD_JOB and self._lock is not None) or (
            self._slow_day is not None and request.partition_key == self._slow_day.isoformat()
        ):
            run = threading.Thread(target=self._made, args=(request, name, tags), daemon=True)
            self._runs.append(run)
            run.start()
            run.join(5)  # it is at it by then
        else:
            self._made(request, name, tags)

    def _made(self, request: RunRequest, job: str, tags: dict[str, str]) -> None:
        is_plain = self._loop.definitions.resolve_job_def(job).config_mapping is None
        options: dict[str, Any] = {"run_config": {**request.run_config, **(ANSWER_ONLY if is_plain else {})}}
        if request.partition_key:
            options["partition_key"] = request.partition_key
        if request.asset_selection:
            options["asset_selection"] = list(request.asset_selection)
        result = self._run(job, {**request.tags, **tags}, **options)
        if job == CHECKS_JOB:
            failed = [
                one.check_name
                for one in result.get_asset_check_evaluations()
                if not one.passed and one.severity is AssetCheckSeverity.ERROR
            ]
            self.seen.checks.append((now(), tuple(sorted(set(failed)))))

    def _queue(self, job: str, tags: dict[str, str]) -> str:
        """A run that waits in Dagster's queue; its id."""
        instance = self.daemon.instance
        origin = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("localhost", port=1), "__repository__")
        code = RepositoryPythonOrigin("python", ModuleCodePointer("dags.definitions", "defs"))
        run = instance.create_run_for_job(
            defs.resolve_job_def(job),
            tags=tags,
            remote_job_origin=RemoteJobOrigin(origin, job),
            job_code_origin=JobPythonOrigin(job, code),
        )
        instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_ENQUEUED.value, job), run.run_id)
        return run.run_id

    def _release(self) -> None:
        """Runs that wait go on, and those of the queue after them."""
        for run in self._runs:
            run.join(ENDS_WITHIN)
            if run.is_alive():
                raise RuntimeError("a run that was let go on has not ended")
        self._runs.clear()
        for run_id, request, job, tags in self._queued:
            self.daemon.instance.delete_run(run_id)
            self._launch(request, job, tags)
        self._queued.clear()

    # --- What happens ------------------------------------------------------------------------------------------------

    def _prepare(self, since: datetime) -> None:
        """The days before are there, and all but the last are built."""
        history = [since.date() - timedelta(days=ago) for ago in range(HISTORY_DAYS, 0, -1)]
        self.clock.set(since - 10 * MINUTE)
        hours = [start_of(day) + hour * HOUR for day in history for hour in range(24)]
        with self._client() as client:
            enable(client, (*TEAMS, POSTGRES_TEAM))
        for hour in hours:
            for team in TEAMS:
                late = SLOW_BY if team == SLOW_TEAM else timedelta(0)
                if hour + HOUR + late < since:
                    self._undelivered += of_hour((team,), hour, hour + HOUR + late)
            if hour + HOUR < since:
                self._unsaved += of_tenant(POSTGRES_TEAM, hour)
        self._deliver()
        self._run("web_analytics_team_selection_job")
        self.daemon.starts(now())
        [load] = [one for one in defs.get_repository_def().schedule_defs if one.job_name == LOAD_JOB]
        self.daemon.catches_up(load, self._launch)
        for day in history[:-1]:
            self._run(BUILD_JOB, partition_key=day.isoformat(), run_config=ANSWER_ONLY)
        self.daemon.starts(since - MINUTE)

    def _arrive(self, moment: datetime) -> None:
        """What happened in hours that are over by now arrives; of the slow team, in those that were over before."""
        quick = [team for team in TEAMS if team != SLOW_TEAM]
        while self._arrived + HOUR <= moment:
            hour = self._arrived
            self._arrived = hour + HOUR
            self._undelivered += of_hour(quick, hour, self._arrived)
            self._undelivered += of_hour((SLOW_TEAM,), hour - SLOW_BY, self._arrived)
            self._unsaved += of_tenant(POSTGRES_TEAM, hour)
        self._deliver()

    def _deliver(self) -> None:
        """Sources keep what they cannot deliver."""
        if self._is_up and self._undelivered:
            with self._client() as client:
                insert(client, self._undelivered)
            self._undelivered.clear()
        if self._lock is None and self._unsaved:
            self.tenant.add(self._unsaved)
            self._unsaved.clear()

    def _client(self) -> Any:
        return open_client(Dsn.parse(self.server.dsn()), wait_seconds=10, who="week")

    def _command(self, statement: str) -> None:
        with self._client() as client:
            client.command(statement)

    def _happen(self, step: Step) -> None:
        """Have it happen."""
        self.seen.happened.append((step.at, str(step)))
        self.say(f"--- {step}")
        match step.act:
            case Act.SERVER_DIES:
                self.server.kill()
                self._is_up = False
            case Act.SERVER_RETURNS:
                self.server.start()
                self._is_up = True
                self._deliver()
            case Act.DAEMON_DIES:
                self.daemon.dies()
            case Act.DAEMON_RETURNS:
                self.daemon.returns()
            case Act.CHANNEL_DIES | Act.CHANNEL_RETURNS:
                self.channels["b"].status = 503 if step.act is Act.CHANNEL_DIES else 200
            case Act.SCHEDULE_OFF | Act.SCHEDULE_ON | Act.SWITCH_STOPPED | Act.SWITCH_RESUMED:
                self._person_turns(step.act)
            case Act.BUILD_HANGS | Act.BUILD_GOES_ON | Act.SOURCE_HANGS | Act.SOURCE_GOES_ON:
                self._runs_wait(step)
            case _:
                self._data_changes(step)

    def _person_turns(self, act: Act) -> None:
        if act in (Act.SCHEDULE_OFF, Act.SCHEDULE_ON):
            self.daemon.switch(CHECK_SCHEDULE, is_on=act is Act.SCHEDULE_ON)
            return
        verb = "stop" if act is Act.SWITCH_STOPPED else "resume"
        result = self._run(f"{verb}_all_backfills_job", run_config={"requested_by": "ada", "reason": "a migration"})
        if not result.success:
            raise RuntimeError(f"a person could not {verb} backfills")

    def _runs_wait(self, step: Step) -> None:
        match step.act:
            case Act.BUILD_HANGS:
                self._slow_day = step.at.date() - timedelta(days=1)
            case Act.BUILD_GOES_ON:
                self._may_build.set()
                self._release()
                self._slow_day = None
            case Act.SOURCE_HANGS:
                self._lock = psycopg.connect(self.tenant.dsn)
                self._lock.execute("LOCK TABLE page_views IN ACCESS EXCLUSIVE MODE")
            case Act.SOURCE_GOES_ON if self._lock is not None:
                self._lock.close()
                self._lock = None
                self._deliver()
                self._release()

    def _data_changes(self, step: Step) -> None:
        """What happens to rows, and what a person does about it."""
        day = step.day
        match step.act:
            case Act.LATE if day is not None:
                hours = [start_of(day) + hour * HOUR for hour in (10, 11)]
                self._undelivered += [one for hour in hours for one in of_hour((step.team,), hour, step.at, "late")]
                self._deliver()
            case Act.HUGE_DAY:
                self._command(
                    "INSERT INTO events (team_id, timestamp, session_id, event, uuid, pathname, inserted_at) "
                    f"SELECT {step.team}, toDateTime64('{day} 12:00:00', 6, 'UTC') + number % 3600, "
                    "concat('huge-', toString(number % 5000)), '$pageview', generateUUIDv4(), '/', now64(6) "
                    f"FROM numbers({HUGE})"
                )
            case Act.LIMIT_RAISED:
                del os.environ["WEB_ANALYTICS_BUILD_MAX_ROWS_READ"]
                current_settings.cache_clear()
                for name in ("Tue", "Wed", "Thu"):
                    self._run(BUILD_JOB, partition_key=day_of(name).isoformat(), run_config=ANSWER_ONLY)
            case Act.DAY_DROPPED if day is not None:
                self._command(f"ALTER TABLE {STATS} DROP PARTITION '{day:%Y%m%d}'")
            case Act.TABLE_EMPTIED:
                self._command(f"TRUNCATE TABLE {BOUNCES}")
            case Act.SOURCE_LOSES:
                lost = f"team_id = {step.team} AND toDate(timestamp, 'UTC') = '{day}' AND toHour(timestamp, 'UTC') >= 3"
                self._command(f"DELETE FROM events WHERE {lost}")
            case Act.LOSS_ALLOWED if day is not None:
                allowed = {"ops": {"web_pre_aggregated": {"config": {"allow_shrink": True}}}}
                self._run(BUILD_JOB, partition_key=day.isoformat(), run_config={**allowed, **ANSWER_ONLY})
            case _:
                raise ValueError(f"nobody knows how this happens: {step}")
