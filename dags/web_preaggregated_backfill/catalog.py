"""Leaves in Dagster's catalog what was found, so that what the UI shows is what is so, whoever asked.

Every evaluation leaves a materialization of the detector and the result of each table's check; what changes data has
it evaluated at once. So no page stays green over what a terminal has called wrong, and none red over what was repaired.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import AssetCheckEvaluation, AssetKey, AssetMaterialization, AssetObservation, MetadataValue

from dags.detection.store import detect
from dags.domain import clock
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.errors import UserError
from dags.domain.text import wrapped
from dags.settings import current_settings
from dags.web_preaggregated_backfill.evaluation import DETECTOR, evaluate_in_run, metadata
from dags.web_preaggregated_backfill.report import TableStatus, status_line, table_statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import date

    from clickhouse_connect.driver.client import Client
    from dagster import DagsterInstance

    from dags.dagster_runs.command import Command
    from dags.dagster_runs.resource import ClickHouseResource
    from dags.detection.detection import Detection
    from dags.domain.watched import WatchedTable
    from dags.web_preaggregated_backfill.evaluation import Evaluation

CHECK = "complete"


def leave(instance: DagsterInstance, evaluation: Evaluation, *, but: Collection[AssetKey] = ()) -> None:
    """Leave the detector's materialization and the checks' results. ``but``: the run itself leaves those of these."""
    if DETECTOR not in but:
        instance.report_runless_asset_event(AssetMaterialization(DETECTOR, metadata=metadata(evaluation)))
    for status in table_statuses(evaluation.detection):
        if (key := AssetKey(status.table)) not in but:
            instance.report_runless_asset_event(
                AssetCheckEvaluation(
                    asset_key=key, check_name=CHECK, passed=status.is_complete, metadata=of_check(status)
                )
            )


@contextmanager
def leaving_unknown(instance: DagsterInstance, watched: tuple[WatchedTable, ...]) -> Iterator[None]:
    """Where ClickHouse cannot even be asked, leave that nothing is known; the error goes on.

    Not of the embedded engine: it serves one process at a time, and that it is busy for a while is no news.
    """
    try:
        yield
    except (UserError, ClickHouseError) as error:
        if not current_settings().clickhouse_dsn.is_embedded:
            words = MetadataValue.text(f"UNKNOWN: {error}"[:1000])
            told = {"status": words, "should_backfill": MetadataValue.bool(False)}
            instance.report_runless_asset_event(AssetMaterialization(DETECTOR, metadata=told))
            for table in watched:
                instance.report_runless_asset_event(
                    AssetCheckEvaluation(AssetKey(table.name), CHECK, passed=False, metadata={"status": words})
                )
        raise


def evaluate_now(
    instance: DagsterInstance,
    clickhouse: ClickHouseResource,
    watched: tuple[WatchedTable, ...],
    run_id: str,
    lookback_days: int | None = None,
) -> Evaluation:
    """What a person's run finds now; where ClickHouse cannot even be asked, that is left before the error goes on."""
    with leaving_unknown(instance, watched):
        return evaluate_in_run(instance, clickhouse, watched, run_id, lookback_days)


def of_check(status: TableStatus) -> dict[str, Any]:
    """What a check's result says of its table."""
    return {
        "status": MetadataValue.text(status.words),
        "wrong_units": MetadataValue.int(status.wrong),
        "missing_days": MetadataValue.int(status.missing_days),
        "complete_units": MetadataValue.int(status.complete),
        "days": MetadataValue.text(status.days),
    }


def look_again(
    instance: DagsterInstance,
    clickhouse: ClickHouseResource,
    watched: tuple[WatchedTable, ...],
    run_id: str,
    *,
    changed: Collection[tuple[str, date]] = (),
    tell: Callable[[str], None] = print,
) -> None:
    """After something has changed data, or what is expected of it: evaluate, leave the verdict, and tell it.

    ``changed``: the tables' days that may be otherwise now. Those before the look-back are looked at as well, and what
    is so of each is left as an observation of its partition. That nothing can be read any more undoes no change and
    fails no run: it is told.
    """
    try:
        found = evaluate_now(instance, clickhouse, watched, run_id)
        leave(instance, found)
        tell(wrapped(f"VERDICT  {status_line(found.detection)}"))
        earlier = {(table, day) for table, day in changed if day < found.detection.calendar.judged.start}
        if earlier:
            with clickhouse.client(run_id) as client:
                before = _detected(client, watched, earlier)
            _observe(instance, before, earlier)
            tell(wrapped(f"VERDICT  before the look-back: {status_line(before)}"))
    except (UserError, ClickHouseError) as error:
        tell(wrapped(f"WARNING  what is so now could not be read, check_missing_data_job reads it again: {error}"))


def after_command(watched: tuple[WatchedTable, ...]) -> Callable[[Command[Any]], None]:
    """`look_again` for commands that know no table: they change what is expected."""

    def look(asked: Command[Any]) -> None:
        look_again(asked.instance, asked.clickhouse, watched, asked.run_id)

    return look


def _detected(client: Client, watched: tuple[WatchedTable, ...], units: Collection[tuple[str, date]]) -> Detection:
    now, days, tables = clock.utc_now(), {day for _, day in units}, {table for table, _ in units}
    return detect(
        client,
        now,
        [table for table in watched if table.name in tables],
        lookback_days=(now.date() - min(days)).days,
        settle=current_settings().settle,
        only=DayRange(min(days), max(days) + ONE_DAY),
    )


def _observe(instance: DagsterInstance, found: Detection, units: Collection[tuple[str, date]]) -> None:
    for table, day in sorted(units):
        alone = found.within(DayRange(day, day + ONE_DAY), found.lookback_days)
        [status] = [one for one in table_statuses(alone) if one.table == table]
        instance.report_runless_asset_event(
            AssetObservation(table, partition=str(day), description=status.words, metadata=of_check(status))
        )
