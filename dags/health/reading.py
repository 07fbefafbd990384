"""Asks everybody once: one evaluation, and all else that health is judged by, at one moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.engine import LOOK_SECONDS
from dags.clickhouse.schema.apply import require_schema
from dags.domain import clock
from dags.domain.errors import EngineBusyError, EngineSlowError, Outage, outage_of
from dags.domain.text import of_error
from dags.health import instance as dagster_facts
from dags.health import store
from dags.health.facts import Evaluated, Facts, Gone, Section, Teams
from dags.health.judging import judge
from dags.health.shards import together
from dags.health.targets import Targets
from dags.repair.decision import Trigger
from dags.settings import current_settings
from dags.web_preaggregated_backfill.catalog import is_overtaken, leaving_unknown
from dags.web_preaggregated_backfill.evaluation import evaluate, policy_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client
    from dagster import DagsterInstance

    from dags.dagster_runs.resource import ClickHouseResource
    from dags.domain.watched import WatchedTable
    from dags.health.causes import Health
    from dags.health.instance import Timetable
    from dags.metrics.recent import Recent
    from dags.sources.declaration import Sources
    from dags.web_preaggregated_backfill.evaluation import Evaluation
    from dags.web_preaggregated_backfill.shards import OnEngine

# What is left of a code server's tick, see `dags.dagster_runs.resource.ClickHouseResource.in_tick`.
InTick = Callable[..., Any]

# What ClickHouse knows; where it cannot even be asked all of it is unknown.
_OF_CLICKHOUSE = (
    Section.DATA, Section.TEAMS, Section.WORK, Section.OLD_DAYS, Section.LEFT_BEHIND, Section.BUILDS, Section.FILES,
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """What this location serves, as far as its health depends on it."""

    watched: tuple[WatchedTable, ...]
    timetable: Timetable
    sources: Sources

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(table.name for table in self.watched)


@dataclass(frozen=True)
class Examined:
    """Whether all is well, and the evaluation that says so; None where ClickHouse could not be asked."""

    health: Health
    evaluation: Evaluation | None


def examine(
    instance: DagsterInstance,
    clickhouse: ClickHouseResource,
    served: Served,
    run_id: str,
    *,
    asks_data: bool = True,
    then: Callable[[Evaluation], object] = lambda _evaluation: None,
) -> Examined:
    """Ask, and judge. Whatever cannot be read is unknown, and never an error here.

    ``asks_data``: evaluate. Without it nothing is said of the data, for whoever asks about the rest alone. ``then`` is
    called with the evaluation before the rest is read.

    The evaluation is not left in the catalog; that nothing could be evaluated is.
    """
    now, evaluation = clock.utc_now(), None
    with ThreadPoolExecutor(1) as beside:
        of_dagster = beside.submit(_of_dagster, instance, served)
        try:
            if len(clickhouse.shards) > 1:
                on_engine = partial(_with_client, clickhouse, run_id)
                with leaving_unknown(instance, served.watched):
                    if asks_data:
                        evaluation = _evaluated(instance, on_engine, served, now)
                        then(evaluation)
                    of_clickhouse = _of_shards(on_engine, served, evaluation)
                return _examined(served, evaluation, of_clickhouse, of_dagster.result(), now)
            with (
                leaving_unknown(instance, served.watched),
                clickhouse.client(run_id, answer_seconds=LOOK_SECONDS) as client,
            ):
                if asks_data:
                    evaluation = _evaluated(instance, lambda work: work(client), served, now)
                    then(evaluation)
                else:
                    require_schema(client)
                of_clickhouse = _of_clickhouse(client, served, _known(evaluation))
        except Exception as error:  # noqa: BLE001 -- an answer of another shape as well: it is unknown, and said to be
            of_clickhouse = _nothing(error)
        return _examined(served, evaluation, of_clickhouse, of_dagster.result(), now)


def examine_in_tick(instance: DagsterInstance, in_tick: InTick, served: Served, *, is_patient: bool = True) -> Examined:
    """As `examine`, in the time that a tick has, and with nothing left in the catalog.

    Raises:
        EngineBusyError, EngineSlowError: another process has the embedded engine, or it did not answer in time, which
            both are no news where ``is_patient``; else all that is in it is unknown.
    """
    now, evaluation, settings = clock.utc_now(), None, current_settings()
    try:
        evaluation = evaluate(instance, settings, served.watched, Trigger.MANUAL, in_tick, now=now, is_in_tick=True)
        if settings.clickhouse_dsn.later:
            of_clickhouse = _of_shards(in_tick, served, evaluation)
        else:
            of_clickhouse = in_tick(partial(_of_clickhouse, served=served, known=_known(evaluation)))
    except Exception as error:  # as above
        if is_patient and isinstance(error, EngineBusyError | EngineSlowError):
            raise
        evaluation, of_clickhouse = None, _nothing(error)
    return _examined(served, evaluation, of_clickhouse, _of_dagster(instance, served), now)


def _nothing(error: Exception) -> dict[str, Any]:
    """What ClickHouse knows where it cannot even be asked."""
    unread = dict.fromkeys(_OF_CLICKHOUSE, of_error(error))
    if outage_of(error) is not Outage.KEEPER:
        return {"unread": unread}
    return {"unread": unread, "unread_by_shard": {0: unread}, "gone": {0: Gone(of_error(error), Outage.KEEPER)}}


def _of_dagster(instance: DagsterInstance, served: Served) -> dict[str, Any]:
    return dagster_facts.read_sections(instance, served.timetable, served.sources, served.tables, clock.utc_now())


def _examined(
    served: Served,
    evaluation: Evaluation | None,
    of_clickhouse: dict[str, Any],
    of_dagster: dict[str, Any],
    now: datetime,
) -> Examined:
    settings, seen = current_settings(), None
    if evaluation is not None and "server_at" in of_clickhouse:
        found, building = evaluation.detection, evaluation.building
        seen = Evaluated(found, evaluation.decisions, evaluation.runs, policy_of(settings), building)
    unread = {**of_clickhouse.pop("unread"), **of_dagster.pop("unread")}
    database = str(settings.clickhouse_dsn)
    facts = Facts(now, served.tables, database, evaluated=seen, **of_clickhouse, **of_dagster, unread=unread)
    return Examined(judge(facts, Targets.of(settings), served.timetable.repairing), evaluation)


def _with_client(clickhouse: ClickHouseResource, run_id: str, work: Callable[[Client], Any], shard: int) -> Any:  # noqa: ANN401 -- whatever the work answers
    with clickhouse.client(run_id, answer_seconds=LOOK_SECONDS, shard=shard) as client:
        return work(client)


def _of_shards(on_engine: OnEngine, served: Served, evaluation: Evaluation | None) -> dict[str, Any]:
    """What else each shard knows; of one that cannot be asked all of it is unknown."""
    found: dict[int, dict[str, Any]] = {}
    gone: dict[int, Gone] = {}
    for shard in (one.shard for one in current_settings().clickhouse_dsn.shards):
        try:
            found[shard] = on_engine(
                partial(_of_clickhouse, served=served, known=_known(evaluation)),
                shard=shard,
            )
        except Exception as error:  # noqa: BLE001 -- as `examine` has it
            # Of the data an evaluation of other shards says it, and why: in its words one outage is told once.
            is_said = evaluation is not None and not evaluation.detection.is_blind
            sections = [one for one in _OF_CLICKHOUSE if one is not Section.DATA or not is_said]
            gone[shard] = _seen_gone(evaluation, shard) or Gone(of_error(error), outage_of(error))
            found[shard] = {"unread": dict.fromkeys(sections, gone[shard].why)}
    return {**together(found), "gone": gone}


def _seen_gone(evaluation: Evaluation | None, shard: int) -> Gone | None:
    """Why an evaluation knows nothing of a shard; None where it knows something, or nobody has evaluated."""
    seen = evaluation.detection.shards.get(shard) if evaluation is not None else None
    if seen is None or seen.server_at is not None:
        return None
    return Gone(next(iter(seen.unknown.values())), seen.outage)


def _evaluated(instance: DagsterInstance, on_engine: OnEngine, served: Served, now: datetime) -> Evaluation:
    """One evaluation; who was overtaken by a later reading asks once more, as `catalog.evaluate_now` does."""

    def asked() -> Evaluation:
        settings = current_settings()
        return evaluate(instance, settings, served.watched, Trigger.MANUAL, on_engine, now=now)

    found = asked()
    return asked() if is_overtaken(found.last, found) else found


class _Known(NamedTuple):
    """What an evaluation has read: when ClickHouse was asked, by its clock, how builds have gone, and the teams; None
    of each that must be read yet. And the first day that it has judged.
    """

    server_at: datetime | None = None
    recent: Recent | None = None
    teams: Teams | None = None
    judged_from: date | None = None


def _known(evaluation: Evaluation | None) -> _Known:
    if evaluation is None:
        return _Known()
    found = evaluation.detection
    mismatches = found.team_mismatches
    teams = Teams(found.teams, found.selected_at, mismatches) if mismatches is not None else None
    return _Known(found.server_at, evaluation.recent, teams, found.calendar.judged.start)


def _of_clickhouse(client: Client, served: Served, known: _Known) -> dict[str, Any]:
    """What else ClickHouse knows."""
    at = known.server_at or read_clocks(client).server
    sections = store.read_sections(
        client,
        served.tables,
        served.sources,
        triggers={one.name for one in served.timetable.triggers},
        server_at=at,
        kept_days=current_settings().backfill_backup_days,
        recent=known.recent,
        teams=known.teams,
        old=(served.watched, known.judged_from) if known.judged_from is not None else None,
    )
    return {**sections, "server_at": at}
