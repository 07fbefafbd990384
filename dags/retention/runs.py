"""Forgets Dagster's runs whose time is over, oldest first, but those without which something would be shown otherwise.

Dagster deletes with a run all of its events: a day whose newest materialization is among them would be shown as never
built. So such a run stays, one for each day and asset at most, and so do the runs of the newest attempt at a day, of
the newest result of a check and of the newest observation. Runs of other code locations are nobody's business here.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import AssetCheckKey, AssetKey, AssetRecordsFilter, DagsterEventType, DagsterRunStatus, RunsFilter
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.tags import BACKFILL_ID_TAG, PARENT_RUN_ID_TAG, REPOSITORY_LABEL_TAG, ROOT_RUN_ID_TAG

from dags.retention.rules import Ended, Stays, staying

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from dagster import DagsterInstance, DagsterRun, RunRecord

# Dagster's own job of assets that were clicked: each code location has one of this name.
ASSETS_JOB = "__ASSET_JOB"

# So many runs are looked at together. Each costs some ten small queries.
AT_ONCE = 100

_OVER = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_OPEN = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]

# The events of a run by which Dagster's pages say how an asset, a day of it or a check stands.
_TELLING = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_OBSERVATION,
    DagsterEventType.ASSET_CHECK_EVALUATION,
}

# What of an asset, of a partition of it or of a check an event is about.
_About = tuple[DagsterEventType, AssetKey, str | None]


@dataclass(frozen=True)
class Ours:
    """Which runs are this location's: those of its jobs, and of Dagster's own where all assets are its.

    ``location`` is the name by which Dagster knows it, and ``label`` that with its repository's; both empty in a run
    that a terminal has launched, which does not know them: an instance may be shared, and so may the name of a job.
    """

    jobs: frozenset[str]
    assets: frozenset[AssetKey]
    location: str = ""
    label: str = ""

    @classmethod
    def of(cls, run: DagsterRun, jobs: Collection[str], assets: Collection[AssetKey]) -> Ours:
        """As a run of it knows them."""
        origin = run.remote_job_origin
        known = (origin.location_name, origin.repository_origin.get_label()) if origin is not None else ()
        return cls(frozenset(jobs), frozenset(assets), *known)

    def filters(self, before: datetime) -> list[RunsFilter]:
        """What to ask Dagster for; an instance that is shared may have millions of others."""
        jobs = [RunsFilter(job_name=name, statuses=_OVER, updated_before=before) for name in sorted(self.jobs)]
        assets = [RunsFilter(job_name=ASSETS_JOB, statuses=_OVER, updated_before=before)]
        # Of jobs as well that this location had once.
        tags = {REPOSITORY_LABEL_TAG: self.label}
        former = [RunsFilter(tags=tags, statuses=_OVER, updated_before=before)] if self.label else []
        return [*jobs, *assets, *former]

    def has(self, run: DagsterRun) -> bool:
        origin = run.remote_job_origin
        if origin is not None:
            return bool(self.location and origin.location_name == self.location)
        return self._has_job(run)

    def may_have(self, run: DagsterRun) -> bool:
        """Whether it is of a location while nobody knows here which is this one, and does what is done here."""
        return run.remote_job_origin is not None and not self.location and self._has_job(run)

    def _has_job(self, run: DagsterRun) -> bool:
        if run.job_name == ASSETS_JOB:
            checks = {key.asset_key for key in run.asset_check_selection or ()}
            return bool(selected := (run.asset_selection or set()) | checks) and selected <= self.assets
        return run.job_name in self.jobs


@dataclass
class ForgottenRuns:
    """What became of runs whose time is over; ``is_all``: every one of them was looked at."""

    gone: int = 0
    stay: Counter[Stays] = field(default_factory=Counter)
    oldest: datetime | None = None
    is_all: bool = True


def forget_runs(
    instance: DagsterInstance,
    ours: Ours,
    before: datetime,
    in_use: Collection[str],
    *,
    most: int,
    until: float,
    dry_run: bool,
) -> ForgottenRuns:
    """Forget the runs that ended before an instant, oldest first: so many at most, and until a moment of this process's
    clock; what is left the next one forgets. ``in_use`` are runs that ClickHouse's audit refers to.
    """
    found, newest = ForgottenRuns(), _Newest(instance)
    backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=_OPEN))
    open_backfills = {backfill.backfill_id for backfill in backfills}
    pages = _Pages(instance, ours.filters(before))
    while records := pages.next():
        if found.gone >= most or time.monotonic() > until:
            found.is_all = False
            break
        runs = {record.dagster_run.run_id: record for record in records if ours.has(record.dagster_run)}
        facts = [_ended(instance, record.dagster_run, newest) for record in runs.values()]
        found.stay.update(Stays.UNKNOWN for record in records if ours.may_have(record.dagster_run))
        stay = staying(facts, _again_by(instance, list(runs)), in_use, open_backfills)
        found.stay.update(stay.values())
        going = [run_id for run_id in runs if run_id not in stay][: most - found.gone]
        found.is_all &= len(going) + len(stay) == len(runs)
        if going:
            found.oldest = min(filter(None, (found.oldest, *(runs[one].create_timestamp for one in going))))
        for run_id in () if dry_run else going:
            delete_run(instance, run_id)
        found.gone += len(going)
        pages.passed(record for record in records if dry_run or record.dagster_run.run_id not in set(going))
    return found


def delete_run(instance: DagsterInstance, run_id: str) -> None:
    """Delete a run with its events, what its steps printed, and what they handed on.

    The run itself last, where Dagster begins with it: a process that is killed meanwhile leaves a run that the next
    finds, and no events of nobody. Dagster empties the file that its SQLite has for each run, and leaves it: half of
    what a run takes.
    """
    instance.event_log_storage.delete_events(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        path = storage.path_for_shard(run_id)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    instance.run_storage.delete_run(run_id)


class _Pages:
    """The runs of some filters, the oldest first of all, page by page, while those that were looked at vanish."""

    def __init__(self, instance: DagsterInstance, filters: Sequence[RunsFilter]) -> None:
        self._instance = instance
        # Of each filter behind which run to go on; None behind the last.
        self._behind: dict[int, str | None] = dict.fromkeys(range(len(filters)), "")
        self._filters = filters
        self._shown: dict[int, set[str]] = {}

    def next(self) -> list[RunRecord]:
        """The next runs; what was shown and is neither gone nor passed is shown again."""
        found: dict[str, RunRecord] = {}
        # What a filter has not shown yet is younger than this.
        newest = float("inf")
        self._shown = {}
        for number, behind in list(self._behind.items()):
            page = self._instance.get_run_records(
                self._filters[number], limit=AT_ONCE, cursor=behind or None, ascending=True
            )
            if len(page) == AT_ONCE:
                newest = min(newest, page[-1].storage_id)
            if not page:
                del self._behind[number]
            self._shown[number] = {record.dagster_run.run_id for record in page}
            found |= {record.dagster_run.run_id: record for record in page}
        inside = [record for record in found.values() if record.storage_id <= newest]
        return sorted(inside, key=lambda record: record.storage_id)[:AT_ONCE]

    def passed(self, records: Iterator[RunRecord]) -> None:
        """These stay: go on behind them."""
        for record in sorted(records, key=lambda record: record.storage_id):
            run_id = record.dagster_run.run_id
            for number, shown in self._shown.items():
                if run_id in shown:
                    self._behind[number] = run_id


class _Newest:
    """Which run the newest event is of that is about something; asked once of each, for the newest stays the newest."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._instance = instance
        self._known: dict[_About, str] = {}

    def run_id(self, about: _About) -> str:
        if about not in self._known:
            self._known[about] = self._asked(*about)
        return self._known[about]

    def _asked(self, kind: DagsterEventType, key: AssetKey, part: str | None) -> str:
        if kind is DagsterEventType.ASSET_CHECK_EVALUATION:
            check = self._instance.get_latest_asset_check_evaluation_record(AssetCheckKey(key, str(part)))
            return check.run_id if check is not None else ""
        if kind is DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            planned = self._instance.get_latest_planned_materialization_info(key, part)
            return planned.run_id if planned is not None else ""
        fetch = (
            self._instance.fetch_materializations
            if kind is DagsterEventType.ASSET_MATERIALIZATION
            else self._instance.fetch_observations
        )
        records = fetch(AssetRecordsFilter(key, asset_partitions=None if part is None else [part]), limit=1).records
        return records[0].run_id if records else ""


def _ended(instance: DagsterInstance, run: DagsterRun, newest: _Newest) -> Ended:
    return Ended(
        run.run_id,
        is_newest=any(newest.run_id(about) == run.run_id for about in _about(instance, run.run_id)),
        before=frozenset(filter(None, (run.tags.get(PARENT_RUN_ID_TAG), run.tags.get(ROOT_RUN_ID_TAG)))),
        backfill=run.tags.get(BACKFILL_ID_TAG, ""),
    )


def _about(instance: DagsterInstance, run_id: str) -> set[_About]:
    """What the events of a run are about."""
    found: set[_About] = set()
    for entry in instance.all_logs(run_id, of_type=_TELLING):
        event = entry.dagster_event
        if event is None or event.event_type is None:
            continue
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            found.add((event.event_type, check.asset_key, check.check_name))
        elif event.asset_key is not None:
            found.add((event.event_type, event.asset_key, event.partition))
    return found


def _again_by(instance: DagsterInstance, run_ids: Sequence[str]) -> dict[str, set[str]]:
    """The runs that do some runs again, by these."""
    found: dict[str, set[str]] = {}
    for tag in (PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG):
        for run in instance.get_runs(RunsFilter(tags={tag: list(run_ids)})) if run_ids else ():
            found.setdefault(run.tags[tag], set()).add(run.run_id)
    return found
