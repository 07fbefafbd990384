"""Leaves in Dagster's catalog what was found, so that what the UI shows is what is so, whoever asked.

Every evaluation leaves a materialization of the detector and the result of each table's check; what changes data has
it evaluated at once. So no page stays green over what a terminal has called wrong, and none red over what was repaired.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import AssetCheckEvaluation, AssetKey, AssetMaterialization, AssetObservation, MetadataValue

from dags.clickhouse.engine import LOOK_SECONDS
from dags.detection.store import detect
from dags.domain import clock
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.errors import EngineBusyError
from dags.domain.markdown import as_markdown
from dags.domain.text import of_error, wrapped
from dags.repair.decision import Trigger
from dags.settings import current_settings
from dags.web_preaggregated_backfill.check_words import check_text
from dags.web_preaggregated_backfill.evaluation import evaluate, evaluate_in_run
from dags.web_preaggregated_backfill.last_verdict import (
    DETECTOR,
    REMAINING,
    last_verdict,
    provenance,
    remaining_days,
)
from dags.web_preaggregated_backfill.metadata import metadata, of_check
from dags.web_preaggregated_backfill.own_checks import CHECK
from dags.web_preaggregated_backfill.report import status_line, table_statuses
from dags.web_preaggregated_backfill.scraped import leave_for_a_scraper

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import date

    from clickhouse_connect.driver.client import Client
    from dagster import AssetExecutionContext, DagsterInstance

    from dags.dagster_runs.command import Command
    from dags.dagster_runs.resource import ClickHouseResource
    from dags.detection.detection import Detection
    from dags.domain.watched import WatchedTable
    from dags.web_preaggregated_backfill.evaluation import Evaluation
    from dags.web_preaggregated_backfill.last_verdict import LastVerdict
    from dags.web_preaggregated_backfill.shards import OnEngine

# The UI's column of keys is 300 pixels wide, 24 of them margins, and a letter 8.4: a longer one lies over what stands
# beside it. Of the keys that are promised some are, after the names of their tables; they are the last.
KEY_CHARACTERS = 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """A verdict as the catalog has it: the detector's metadata, and of each table what its check says."""

    detector: Mapping[str, MetadataValue]
    checks: Mapping[AssetKey, Checked]


@dataclass(frozen=True)
class Checked:
    """Whether a check passes, what it says to people, in Markdown, and its metadata."""

    passed: bool
    words: str
    metadata: Mapping[str, MetadataValue]


def as_shown(instance: DagsterInstance, evaluation: Evaluation, last: LastVerdict) -> Shown:
    """What an evaluation has the catalog show, after ``last``, which that shows now."""
    dsn, found = current_settings().clickhouse_dsn, evaluation.detection
    beside, elsewhere = provenance(last, dsn, found.server_at)
    told = metadata(evaluation)
    if evaluation.trigger is Trigger.MANUAL:  # it begins nothing, and a tick may have begun something meanwhile
        told[REMAINING] = _as_listed(remaining_days(instance, last, dsn.mark))
    entries = {**told, **beside, "status": MetadataValue.text(status_line(found) + elsewhere)}
    return Shown(
        dict(sorted(entries.items(), key=lambda entry: len(entry[0]) > KEY_CHARACTERS)),
        {
            AssetKey(status.table): Checked(
                status.is_complete,
                as_markdown(check_text(status, found, evaluation.building)),
                {**of_check(status, found, elsewhere), **beside},
            )
            for status in table_statuses(found)
        },
    )


def is_overtaken(last: LastVerdict, evaluation: Evaluation) -> bool:
    """Whether ``last`` is of a later reading of this database, which has left its verdict since this one began to read.

    What was the last verdict when it began is older, whatever the clocks say; of any other ClickHouse's clock decides.
    """
    read_at = evaluation.detection.server_at
    is_news = last.number != evaluation.before and last.is_of(current_settings().clickhouse_dsn.mark)
    return is_news and None not in (last.read_at, read_at) and read_at < last.read_at  # type: ignore[operator]


def leave(instance: DagsterInstance, evaluation: Evaluation, *, but: Collection[AssetKey] = ()) -> None:
    """Leave the detector's materialization and the checks' results, unless a later reading has left its own.

    A tick that was overtaken launches what it decided, so what remains of that is left beside the later verdict.
    ``but``: the run itself leaves those of these.
    """
    last = last_verdict(instance)
    if not is_overtaken(last, evaluation):
        _report(instance, as_shown(instance, evaluation, last), but)
        leave_for_a_scraper(instance, evaluation)
    elif evaluation.trigger is not Trigger.MANUAL:
        [record] = instance.fetch_materializations(DETECTOR, limit=1).records
        later = record.asset_materialization.metadata if record.asset_materialization is not None else {}
        begun = {REMAINING: _as_listed(evaluation.begun)}
        instance.report_runless_asset_event(AssetMaterialization(DETECTOR, metadata={**later, **begun}))


def leave_or_tell(
    instance: DagsterInstance,
    evaluation: Evaluation,
    *,
    but: Collection[AssetKey] = (),
    tell: Callable[[str], None] = lambda words: print(words, file=sys.stderr),
) -> None:
    """`leave`, where that nothing can be left, as when Dagster's event log is locked, fails nothing: it is told."""
    with _telling(tell):
        leave(instance, evaluation, but=but)


@contextmanager
def leaving_unknown(
    instance: DagsterInstance, watched: tuple[WatchedTable, ...], *, is_asked: bool = True
) -> Iterator[None]:
    """Whatever keeps the question from being asked, leave that nothing is known; the error goes on.

    The embedded engine serves one process at a time: that it is in use for a while is no news. Where nobody asked
    (``is_asked``), it is no news either that what was unknown is so still.
    """
    try:
        yield
    except EngineBusyError:
        raise
    except Exception as error:
        with _telling(lambda words: print(words, file=sys.stderr)):
            last, mark = last_verdict(instance), current_settings().clickhouse_dsn.mark
            if is_asked or not (last.is_unknown and last.is_of(mark)):
                _report(instance, _unknown(instance, watched, error, last))
            leave_for_a_scraper(instance, tuple(table.name for table in watched))
        raise


def _unknown(
    instance: DagsterInstance, watched: tuple[WatchedTable, ...], error: Exception, last: LastVerdict
) -> Shown:
    """That nothing is known; what remains of a backfill that has begun remains."""
    dsn = current_settings().clickhouse_dsn
    beside, elsewhere = provenance(last, dsn, None)
    said = f"UNKNOWN: {of_error(error)}{elsewhere}"
    words = MetadataValue.text(said)
    remaining = _as_listed(remaining_days(instance, last, dsn.mark))
    return Shown(
        {"status": words, "should_backfill": MetadataValue.bool(False), REMAINING: remaining, **beside},
        {AssetKey(table.name): Checked(False, as_markdown(said), {"status": words, **beside}) for table in watched},
    )


def _as_listed(days: Collection[date]) -> MetadataValue:
    return MetadataValue.json(sorted(map(str, days)))


def _report(instance: DagsterInstance, shown: Shown, but: Collection[AssetKey] = ()) -> None:
    if DETECTOR not in but:
        instance.report_runless_asset_event(AssetMaterialization(DETECTOR, metadata=shown.detector))
    for key, one in shown.checks.items():
        if key not in but:
            instance.report_runless_asset_event(
                AssetCheckEvaluation(key, CHECK, passed=one.passed, description=one.words, metadata=one.metadata)
            )


@contextmanager
def _telling(tell: Callable[[str], None]) -> Iterator[None]:
    """Whatever Dagster's storage raises is told, and ends nothing."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- a storage's own; that a page is old undoes no change and no answer
        tell(wrapped(f"WARNING  what is so now is not shown in the UI, check_missing_data_job tries again: {error}"))


def evaluate_now(
    instance: DagsterInstance,
    clickhouse: ClickHouseResource,
    watched: tuple[WatchedTable, ...],
    run_id: str,
    lookback_days: int | None = None,
) -> Evaluation:
    """What a person's run finds now; where ClickHouse cannot even be asked, that is left before the error goes on.

    Who was overtaken asks once more: what a run itself says of an asset Dagster writes in the end, whatever came first.
    """
    with leaving_unknown(instance, watched):
        found = evaluate_in_run(instance, clickhouse, watched, run_id, lookback_days)
        if is_overtaken(last_verdict(instance), found):
            found = evaluate_in_run(instance, clickhouse, watched, run_id, lookback_days)
        return found


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
    is so of each is left as an observation of its partition. That nothing can be read or left any more undoes no change
    and fails no run: it is told.
    """
    try:
        found = evaluate_now(instance, clickhouse, watched, run_id)
        tell(wrapped(f"VERDICT  {status_line(found.detection)}"))
        leave_or_tell(instance, found, tell=tell)
        earlier = {(table, day) for table, day in changed if day < found.detection.calendar.judged.start}
        if earlier:
            with clickhouse.client(run_id, answer_seconds=LOOK_SECONDS) as client:
                before = detected(client, watched, earlier)
            tell(wrapped(f"VERDICT  before the look-back: {status_line(before)}"))
            with _telling(tell):
                _observe(instance, before, earlier)
    except Exception as error:  # noqa: BLE001 -- whichever it is, what was changed is changed
        words = of_error(error)
        tell(wrapped(f"WARNING  what is so now could not be read, check_missing_data_job reads it again: {words}"))


def after_command(watched: tuple[WatchedTable, ...]) -> Callable[[Command[Any]], None]:
    """`look_again` for commands that know no table: they change what is expected."""

    def look(asked: Command[Any]) -> None:
        look_again(asked.instance, asked.clickhouse, watched, asked.run_id)

    return look


def after_selection(watched: tuple[WatchedTable, ...]) -> Callable[[AssetExecutionContext, ClickHouseResource], None]:
    """`look_again` for the asset of the list of teams, which changes what is expected too."""

    def look(context: AssetExecutionContext, clickhouse: ClickHouseResource) -> None:
        look_again(context.instance, clickhouse, watched, context.run.run_id, tell=context.log.info)

    return look


def after_dead_runs(
    watched: tuple[WatchedTable, ...],
) -> Callable[[DagsterInstance, OnEngine], None]:
    """What a tick does about runs that ended without success, and may have changed data before: as `look_again`, in the
    time that a tick has.

    It raises only that another process has the embedded engine; all else has left that nothing is known.
    """

    def look(instance: DagsterInstance, in_tick: OnEngine) -> None:
        settings, now = current_settings(), clock.utc_now()
        try:
            with leaving_unknown(instance, watched, is_asked=False):
                found = evaluate(instance, settings, watched, Trigger.MANUAL, in_tick, now=now, is_in_tick=True)
            leave_or_tell(instance, found)
        except EngineBusyError:
            raise
        except Exception as error:  # noqa: BLE001 -- it is left already that nothing is known
            _log.warning("what runs left that died cannot be read: %s", of_error(error))

    return look


def detected(client: Client, watched: tuple[WatchedTable, ...], units: Collection[tuple[str, date]]) -> Detection:
    """What is so of days that may lie before the look-back, in the tables that are named with them."""
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
            AssetObservation(table, partition=str(day), description=status.words, metadata=of_check(status, found))
        )
