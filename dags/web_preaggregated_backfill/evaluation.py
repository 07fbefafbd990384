"""One evaluation: detect, decide, and say what and why.

The sensor, the schedule, the detector asset and the diagnostics differ in what they do with the decision, and in
nothing else. What every one of them leaves in Dagster's catalog is `catalog`'s and `metadata`'s business.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import AssetKey, RunRequest
from dagster._core.storage.tags import PRIORITY_TAG

from dags.clickhouse.engine import LOOK_SECONDS
from dags.dagster_runs.tags import (
    ATTEMPT_TAG,
    BACKFILL_PRIORITY,
    BACKFILL_RUN_TAG,
    DATABASE_TAG,
    LANE_TAG,
    MAIN_REASON_TAG,
    MISSING_DATA_TAG,
    PLAN_FIELD,
    PLAN_TAG,
    REASONS_BY_TABLE_TAG,
    REASONS_TAG,
    TABLES_TAG,
    TAG_PREFIX,
    TEAMS_FIELD,
    TEAMS_TAG,
    TRIGGER_TAG,
)
from dags.detection.detection import Detection, unreadable
from dags.detection.store import read_outdated_teams
from dags.detection.verdicts import Verdicts
from dags.domain import clock
from dags.domain.days import calendar
from dags.domain.errors import UnreadableError
from dags.domain.shards import SHARD_TAG
from dags.domain.watched import first_day
from dags.repair.decision import Decision, Policy, RepairRequest, Trigger, decide
from dags.repair.requests.store import frozen_teams
from dags.repair.runs import runs_of, with_frozen_teams, without_the_dead
from dags.settings import current_settings
from dags.web_preaggregated_backfill.last_verdict import last_verdict, remaining_days
from dags.web_preaggregated_backfill.own_checks import own_checks
from dags.web_preaggregated_backfill.recalled import recalling
from dags.web_preaggregated_backfill.report import reasons, status_line
from dags.web_preaggregated_backfill.shards import (
    TICK_LOOK_SECONDS,
    building,
    observed_on_shards,
    on_shard,
    outdated,
    shards_read,
)
from dags.web_preaggregated_backfill.store import observe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client
    from dagster import DagsterInstance

    from dags.dagster_runs.resource import ClickHouseResource
    from dags.domain.days import Calendar
    from dags.domain.errors import Outage
    from dags.domain.watched import WatchedTable
    from dags.metrics.recent import Recent
    from dags.repair.attempts import Run
    from dags.repair.estimate import Building
    from dags.settings import Settings
    from dags.web_preaggregated_backfill.last_verdict import LastVerdict
    from dags.web_preaggregated_backfill.shards import OnEngine

# A tick has 60 s in all; waiting for the embedded engine and opening it take most of the rest.
TICK_VERIFY_SECONDS = 15.0

# A configuration is kept with each run and goes into the environment of its process: past so many characters of team
# ids it names the plan instead. Chosen, to stay under 10 kB in all.
CONFIG_CHARACTERS = 8_000

# Tag values are shown on one line in the UI.
TAG_CHARACTERS = 200


@dataclass(frozen=True)
class Evaluation:
    """What was found, and what each trigger would do about it.

    ``detection`` is of the days of the settings' look-back, no fewer and no more, whatever was asked about: one verdict
    for all to see. ``asked`` is of the days that were asked about. ``begun`` are the days that a backfill which has
    begun has not got to; a person's evaluation launches nothing, so it begins none. ``before`` is the verdict that was
    the last one in the catalog when this evaluation began to read, see `last_verdict.LastVerdict`, ``last`` the one
    that was when all was read. ``recent``: how repairs have gone of late, None where that could not be read.
    ``outdated_teams``: by shard, table and day.
    """

    trigger: Trigger
    detection: Detection
    asked: Detection
    decision: Decision
    decisions: Mapping[Trigger, Decision]
    runs: tuple[Run, ...]
    watched: tuple[WatchedTable, ...]
    outdated_teams: Mapping[tuple[int, str, date], tuple[int, ...]]
    begun: frozenset[date]
    before: int
    last: LastVerdict
    recent: Recent | None = None

    @property
    def is_unknown(self) -> bool:
        return bool(self.detection.unknown)

    @property
    def building(self) -> Building:
        """How its days are rebuilt, and at what cost."""
        return building(self.watched, self.detection)


def evaluate(
    instance: DagsterInstance,
    settings: Settings,
    watched: tuple[WatchedTable, ...],
    trigger: Trigger,
    on_engine: OnEngine,
    *,
    now: datetime,
    lookback_days: int | None = None,
    is_in_tick: bool = False,
) -> Evaluation:
    """Detect, then decide.

    Runs are read after the data: a run that ended in between has changed what was read, and is left alone. Where
    ClickHouse answers and what it says cannot be relied on, or is an error, every table is unknown, whichever of the
    questions it was. ``lookback_days``: what is asked about, where that is not the settings' look-back.
    ``is_in_tick``: a person's evaluation has all the time that it needs, unless a tick makes it.
    """
    before = last_verdict(instance).number
    own = settings.backfill_lookback_days
    asked = own if lookback_days is None else lookback_days
    widest = max(own, asked)
    has_time = trigger is Trigger.MANUAL and not is_in_tick
    look = recalling(on_engine, settings.clickhouse_dsn.mark)
    work = partial(
        observe,
        now=now,
        watched=watched,
        lookback_days=widest,
        own_lookback_days=own,
        settle=settings.settle,
        reads_all_days=trigger is Trigger.SCHEDULE,
        verify_seconds=math.inf if has_time else TICK_VERIFY_SECONDS,
        is_stopped=bool(settings.backfill_stopped),
    )
    judged = partial(
        _decided, instance, settings, watched, trigger=trigger, on_engine=on_engine, now=now, before=before
    )

    def of(days: int) -> Calendar:
        return calendar(now, lookback_days=days, settle=settings.settle, first_day=first_day(watched))

    def seen(found: Detection, days: int) -> Detection:
        return found if days == widest else found.within(of(days).judged, days)

    def missed(why: str, days: int = widest, outage: Outage | None = None) -> Detection:
        return unreadable(why, tuple(table.name for table in watched), of(days), days, now, outage=outage)

    try:
        if settings.clickhouse_dsn.later:
            seconds = None if has_time else TICK_LOOK_SECONDS
            found, recent = observed_on_shards(settings.clickhouse_dsn, look, work, missed, seconds=seconds)
        else:
            found, recent = look(work)
        return replace(judged(seen(found, own), seen(found, asked)), recent=recent)
    except (UnreadableError, ClickHouseError) as error:
        return judged(*(missed(str(error), days) for days in (own, asked)))


def _decided(
    instance: DagsterInstance,
    settings: Settings,
    watched: tuple[WatchedTable, ...],
    detection: Detection,
    asked: Detection,
    *,
    trigger: Trigger,
    on_engine: OnEngine,
    now: datetime,
    before: int,
) -> Evaluation:
    """The decision on what was found. Of a detection to which all is unknown it asks ClickHouse nothing more."""
    job_by_table = {table.name: table.job for table in watched}
    database = settings.clickhouse_dsn.mark
    found = runs_of(instance, job_by_table, detection.calendar.judged, now, database)
    runs = without_the_dead(found, detection.dead_runs)
    runs = _with_teams(runs, detection, on_engine)
    older = outdated(detection, {table.name: table.logic_version for table in watched})
    last = last_verdict(instance)
    remaining, policy = remaining_days(instance, last, database), policy_of(settings)
    decisions = {
        one: decide(
            Verdicts((*detection.wrong.groups, *older)),
            runs,
            policy,
            trigger=one,
            remaining=remaining,
            read_at=detection.read_at,
            now=now,
            building=building(watched, detection),
            standing=detection.standing,
        )
        for one in (Trigger.SENSOR, Trigger.SCHEDULE)
    }
    if detection.unknown:  # what remains of a backfill that has begun remains
        decisions = {one: replace(made, remaining=made.remaining | remaining) for one, made in decisions.items()}
    chosen = Trigger.SCHEDULE if trigger is Trigger.SCHEDULE else Trigger.SENSOR
    teams_by_day = _outdated_teams(decisions[chosen], watched, on_engine)
    begun = remaining if trigger is Trigger.MANUAL else decisions[chosen].remaining
    return Evaluation(
        trigger, detection, asked, decisions[chosen], decisions, tuple(runs), watched, teams_by_day, begun, before, last
    )


def policy_of(settings: Settings) -> Policy:
    return Policy(
        settings.backfill_min_missing_partitions,
        settings.backfill_max_partitions_per_run,
        settings.backfill_max_days_per_day,
        settings.max_gap_age,
        settings.backfill_priority,
        dict(settings.team_weights),
        settings.backfill_min_volume,
        bool(settings.backfill_rebuild_outdated),
    )


def evaluate_in_run(
    instance: DagsterInstance,
    clickhouse: ClickHouseResource,
    watched: tuple[WatchedTable, ...],
    run_id: str,
    lookback_days: int | None = None,
) -> Evaluation:
    """What a person's run finds now: the detector, a check and the diagnostics ask alike, and launch nothing."""

    def on_engine(work: Callable[[Client], Any], shard: int = 0) -> Any:  # noqa: ANN401 -- whatever the work answers
        with clickhouse.client(run_id, answer_seconds=LOOK_SECONDS, shard=shard) as client:
            return work(client)

    return evaluate(
        instance,
        current_settings(),
        watched,
        Trigger.MANUAL,
        on_engine,
        now=clock.utc_now(),
        lookback_days=lookback_days,
    )


def run_requests(evaluation: Evaluation, plan_id: str, job: str | None = None) -> list[RunRequest]:
    """The decision as Dagster's run requests: one day each, with the assets that are wrong on it.

    ``plan_id``: under which `teams_to_freeze` was written down.
    ``job``: only the requests for this one, for a schedule has one job; a sensor may have several.
    """
    decision = evaluation.decision
    return [
        RunRequest(
            run_key=f"{request.job}/{request.run_key}",
            job_name=request.job if job is None else None,
            partition_key=request.day.isoformat(),
            asset_selection=[AssetKey(table) for table in request.tables],
            asset_check_keys=own_checks(request.tables),
            run_config=_run_config(evaluation, request, plan_id),
            tags={
                PRIORITY_TAG: BACKFILL_PRIORITY,
                BACKFILL_RUN_TAG: "true",
                LANE_TAG: str(request.shard),
                MISSING_DATA_TAG: "true",
                PLAN_TAG: plan_id,
                DATABASE_TAG: current_settings().clickhouse_dsn.mark,
                TRIGGER_TAG: str(decision.trigger),
                ATTEMPT_TAG: str(request.attempt),
                REASONS_TAG: request.reasons()[:TAG_CHARACTERS],
                # Whole, for it decides whether a later attempt is one in vain, see `dags.repair.attempts`.
                REASONS_BY_TABLE_TAG: json.dumps({table: request.reasons(table) for table in request.tables}),
                MAIN_REASON_TAG: request.main_reason[:TAG_CHARACTERS],
                TABLES_TAG: ", ".join(request.tables)[:TAG_CHARACTERS],
                TEAMS_TAG: str(request.teams),
                **({SHARD_TAG: str(request.shard)} if request.shard else {}),
                **({f"{TAG_PREFIX}estimate": str(request.estimate)} if request.estimate is not None else {}),
            },
        )
        for request in decision.requests
        if job in (None, request.job)
    ]


def teams_to_freeze(
    evaluation: Evaluation, job: str | None = None, shard: int = 0
) -> dict[tuple[str, date], tuple[int, ...]]:
    """The teams that do not fit into their run's configuration, by table and day; see `dags.repair.requests.store`.

    ``shard``: only those that are to be written there, for its runs read them there; 0 where there is one.
    """
    return {
        (table, request.day): teams
        for request in evaluation.decision.requests
        if job in (None, request.job) and request.shard == shard
        for teams_by_table in _teams_by_op(evaluation, request).values()
        if PLAN_FIELD in _op_config(teams_by_table, evaluation.detection.teams, "plan")
        for table, teams in teams_by_table.items()
    }


def _run_config(evaluation: Evaluation, request: RepairRequest, plan_id: str) -> dict[str, Any]:
    """The teams to rebuild, frozen: of each table those that are wrong, and those that an older logic built."""
    by_op = _teams_by_op(evaluation, request)
    enabled = evaluation.detection.teams
    return (
        {"ops": {op: {"config": _op_config(teams, enabled, plan_id)} for op, teams in by_op.items()}} if by_op else {}
    )


def _teams_by_op(evaluation: Evaluation, request: RepairRequest) -> dict[str, dict[str, tuple[int, ...]]]:
    by_op: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for table in evaluation.watched:
        if table.op and table.name in request.tables:
            outdated = evaluation.outdated_teams.get((request.shard, table.name, request.day), ())
            teams = request.teams_by_table.get(table.name, ())
            by_op[table.op][table.name] = tuple(sorted({*teams, *outdated})) if outdated else teams
    return by_op


def _op_config(teams_by_table: Mapping[str, tuple[int, ...]], enabled: int, plan_id: str) -> dict[str, Any]:
    """What a building op is told: the teams by name while that is short, nothing of a table of which all are meant, or
    else the plan that has them.
    """
    fewer = {table: teams for table, teams in teams_by_table.items() if len(teams) < enabled}
    for named in (teams_by_table, fewer):
        if sum(len(str(team)) + 2 for teams in named.values() for team in teams) < CONFIG_CHARACTERS:
            return {TEAMS_FIELD: {table: list(teams) for table, teams in named.items()}} if named else {}
    return {PLAN_FIELD: plan_id}


def _with_teams(runs: list[Run], detection: Detection, on_engine: OnEngine) -> list[Run]:
    """The runs, with the teams that are not in their configurations; only of ended ones that bear on what is wrong.

    A plan is where its run reads it, which is the run's shard.
    """
    days = {one.day for one in detection.wrong.groups}
    wanted: dict[int, set[tuple[str, date]]] = defaultdict(set)
    for run in runs:
        if run.plan_id and run.ended_at is not None and run.day in days:
            wanted[run.shard if detection.shards else 0].add((run.plan_id, run.day))
    for shard in wanted.keys() & shards_read(detection):
        frozen = on_shard(on_engine, shard)(partial(frozen_teams, wanted=wanted[shard]))
        runs = [
            one
            for run in runs
            for one in (with_frozen_teams([run], frozen) if run.shard == shard or not detection.shards else [run])
        ]
    return runs


def _outdated_teams(
    decision: Decision, watched: tuple[WatchedTable, ...], on_engine: OnEngine
) -> Mapping[tuple[int, str, date], tuple[int, ...]]:
    versions = {table.name: table.logic_version for table in watched}
    wanted: dict[int, dict[tuple[str, date], int]] = defaultdict(dict)
    for request in decision.requests:
        for table in request.outdated_tables:
            wanted[request.shard][table, request.day] = versions[table]
    return {
        (shard, table, day): teams
        for shard, some in wanted.items()
        for (table, day), teams in on_shard(on_engine, shard)(partial(read_outdated_teams, wanted=some)).items()
    }


def skip_reason(evaluation: Evaluation) -> str:
    """Why nothing is launched, in words a person reads in the tick's row."""
    detection = evaluation.detection
    unknown = [f"unknown: {table} could not be read: {error}" for table, error in detection.unknown.items()]
    return ". ".join(
        [status_line(detection), "; ".join(reasons(detection, evaluation.decision)), *unknown, *detection.warnings]
    )
