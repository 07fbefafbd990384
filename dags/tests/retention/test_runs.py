"""Which of Dagster's runs and events are forgotten, and that its pages say the same afterwards."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckResult,
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DailyPartitionsDefinition,
    Definitions,
    ResourceParam,
    asset,
    asset_check,
    define_asset_job,
    job,
    op,
)
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from hypothesis import given
from hypothesis import strategies as st

from dags.retention.events import forget_events
from dags.retention.rules import Ended, Stays, staying
from dags.retention.runs import ForgottenRuns, Ours, forget_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A_TABLE, WATCHING = AssetKey("a_table"), AssetKey("watching")
CHECK = AssetCheckKey(A_TABLE, "whole")


@asset(partitions_def=DailyPartitionsDefinition("2026-01-01"))
def a_table(works: ResourceParam[bool]) -> None:
    """A day of it is built, unless it is not."""
    print("a step says something")
    if not works:
        raise ValueError("it does not work")


@asset_check(asset=a_table, name="whole")
def whole() -> AssetCheckResult:
    return AssetCheckResult(passed=True)


@op
def say() -> int:
    return 1


@job
def asking_job() -> None:
    say()


a_job = define_asset_job("a_job", [a_table])
location = Definitions([a_table], asset_checks=[whole], jobs=[a_job, asking_job], resources={"works": True})
OURS = Ours(frozenset({"a_job", "asking_job"}), frozenset({A_TABLE, WATCHING}))


# What steps print is kept nowhere: to begin and end to listen to one is half a second, and one test is about its files.
NO_LOGS = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path), {"compute_logs": NO_LOGS}) as on_disk:
        yield on_disk


@pytest.fixture
def with_files(tmp_path: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path)) as on_disk:
        yield on_disk


def built(instance: DagsterInstance, day: str, *, works: bool = True, **tags: str) -> str:
    run = location.resolve_job_def("a_job").execute_in_process(
        instance=instance,
        partition_key=day,
        raise_on_error=False,
        resources={"works": works},
        tags={f"dagster/{name}": value for name, value in tags.items()},
    )
    assert run.success == works
    return run.run_id


def asked(instance: DagsterInstance, **tags: str) -> str:
    named = {f"dagster/{name}": value for name, value in tags.items()}
    return location.resolve_job_def("asking_job").execute_in_process(instance=instance, tags=named).run_id


def forgotten(instance: DagsterInstance, ours: Ours = OURS, **given: Any) -> ForgottenRuns:
    options = {"in_use": (), "most": 1000, "until": time.monotonic() + 60, "dry_run": False, **given}
    return forget_runs(instance, ours, datetime.now(UTC) + timedelta(minutes=1), **options)


def there(instance: DagsterInstance) -> list[str]:
    """The runs that Dagster has, the oldest first."""
    return [run.run_id for run in reversed(instance.get_runs())]


def pages(instance: DagsterInstance) -> dict[str, Any]:
    """What Dagster's pages say of assets, days and checks."""
    kinds = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    failed = instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations
    check = instance.get_latest_asset_check_evaluation_record(CHECK)
    [newest] = instance.fetch_materializations(A_TABLE, limit=1).records
    return {
        "days": instance.get_materialized_partitions(A_TABLE),
        "newest events": [instance.get_latest_storage_id_by_partition(A_TABLE, kind, None) for kind in kinds],
        "failed days": failed(A_TABLE),
        "newest": newest.run_id,
        "check": (check.run_id, check.status) if check is not None else None,
    }


def test_the_newest_build_of_each_day_the_newest_failure_and_the_newest_check_stay_and_pages_say_the_same(
    instance: DagsterInstance,
) -> None:
    first, second = built(instance, "2026-01-01"), built(instance, "2026-01-02")
    again = built(instance, "2026-01-01")
    # The second day was built, and a later attempt at it has failed: both are shown.
    failed = [built(instance, day, works=False) for day in ("2026-01-03", "2026-01-03", "2026-01-02")]
    question = asked(instance)
    before = pages(instance)
    assert before["days"] == {"2026-01-01", "2026-01-02"}
    assert set(before["failed days"]) == {"2026-01-02", "2026-01-03"}
    assert forgotten(instance, dry_run=True).gone == 3
    assert there(instance) == [first, second, again, *failed, question]
    found = forgotten(instance)
    assert there(instance) == [second, again, *failed[1:]]
    assert (found.gone, dict(found.stay), found.is_all) == (3, {Stays.NEWEST: 4}, True)
    assert pages(instance) == before
    assert forgotten(instance).gone == 0


def test_a_run_that_is_forgotten_leaves_no_file_and_no_row(with_files: DagsterInstance, tmp_path: Path) -> None:
    instance = with_files
    stays, goes = asked(instance), asked(instance)
    assert files_of(tmp_path, goes)
    forgotten(instance, in_use=[stays])
    assert there(instance) == [stays]
    assert not files_of(tmp_path, goes)
    assert files_of(tmp_path, stays)
    with DagsterInstance.local_temp(str(tmp_path)) as another_process:
        assert another_process.all_logs(goes) == []
        assert len(another_process.all_logs(stays)) > 5


def files_of(directory: Path, run_id: str) -> list[Path]:
    return [path for path in directory.rglob("*") if run_id in str(path) and path.is_file()]


def test_the_oldest_go_first_so_many_a_day_and_the_next_day_goes_on(instance: DagsterInstance) -> None:
    runs = [asked(instance) for _ in range(3)]
    one = forgotten(instance, most=1)
    assert (one.gone, one.is_all, there(instance)) == (1, False, runs[1:])
    nothing = forgotten(instance, until=time.monotonic() - 1)
    assert (nothing.gone, nothing.is_all, there(instance)) == (0, False, runs[1:])
    assert (forgotten(instance).is_all, there(instance)) == (True, [])


def test_page_by_page_all_go_but_those_that_stay(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dags.retention.runs.AT_ONCE", 2)
    runs = [built(instance, "2026-01-01"), *(asked(instance) for _ in range(5)), built(instance, "2026-01-01")]
    later = [asked(instance) for _ in range(2)]
    found = forgotten(instance, in_use=runs[1:3])
    assert there(instance) == [runs[1], runs[2], runs[6]]
    assert (found.gone, found.stay.total(), found.is_all) == (4 + len(later), 3, True)


def launched(instance: DagsterInstance, by: str, status: DagsterRunStatus = DagsterRunStatus.SUCCESS) -> DagsterRun:
    """A run as a daemon or the UI launches it, which names its code location."""
    own = location.resolve_job_def("asking_job")
    origin = GrpcServerCodeLocationOrigin("localhost", port=1, location_name=by)
    return instance.create_run_for_job(
        own,
        status=status,
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(origin, "__repository__"), own.name),
        job_code_origin=JobPythonOrigin(
            own.name, RepositoryPythonOrigin("python", ModuleCodePointer(__name__, "location"))
        ),
    )


def test_what_is_in_flight_or_young_or_of_another_location_or_of_a_job_of_others_is_nobodys_business_here(
    instance: DagsterInstance,
) -> None:
    queued = launched(instance, "ours", DagsterRunStatus.QUEUED)
    theirs = launched(instance, "theirs")
    former = launched(instance, "ours")
    there_is = Ours(OURS.jobs, OURS.assets, "ours", "__repository__@ours")
    assert forgotten(instance, there_is).gone == 1
    assert there(instance) == [queued.run_id, theirs.run_id]
    assert former.run_id not in there(instance)
    assert forgotten(instance, Ours(frozenset({"another_job"}), frozenset())).gone == 0
    young = datetime.now(UTC) - timedelta(days=1)
    assert forget_runs(instance, OURS, young, (), most=9, until=time.monotonic() + 9, dry_run=False).gone == 0


def test_a_terminal_which_knows_no_location_leaves_what_one_launched_and_says_so(instance: DagsterInstance) -> None:
    left, by_hand = [launched(instance, by).run_id for by in ("theirs", "ours")], asked(instance)
    found = forgotten(instance)
    assert (found.gone, dict(found.stay), found.is_all) == (1, {Stays.UNKNOWN: 2}, True)
    assert there(instance) == left
    assert by_hand not in there(instance)
    assert dict(forgotten(instance, Ours(frozenset({"another_job"}), frozenset())).stay) == {}


@pytest.mark.parametrize("assets", [frozenset({A_TABLE}), frozenset({WATCHING})], ids=["ours", "another's"])
def test_a_click_on_an_asset_is_the_locations_whose_assets_these_are(
    instance: DagsterInstance, assets: frozenset[AssetKey]
) -> None:
    clicked = location.resolve_implicit_global_asset_job_def()
    for _ in range(2):
        clicked.execute_in_process(instance=instance, partition_key="2026-01-01", asset_selection=[A_TABLE])
    assert forgotten(instance, Ours(frozenset(), assets)).gone == (1 if assets == {A_TABLE} else 0)


def test_a_run_stays_while_one_that_stays_does_it_again(instance: DagsterInstance) -> None:
    root = asked(instance)
    parent = asked(instance, root_run_id=root, parent_run_id=root)
    last = asked(instance, root_run_id=root, parent_run_id=parent)
    alone = asked(instance)
    found = forgotten(instance, in_use=[last])
    assert there(instance) == [root, parent, last]
    assert dict(found.stay) == {Stays.WORK: 1, Stays.AGAIN: 2}
    assert alone not in there(instance)
    forgotten(instance)
    assert there(instance) == []


RUNS = st.integers(0, 7).map(str)


@given(st.dictionaries(RUNS, RUNS, max_size=8), st.sets(RUNS), st.sets(RUNS), st.sets(RUNS))
def test_whoever_stays_has_all_that_it_does_again_beside_it_and_nobody_stays_without_a_reason(
    parents: dict[str, str], newest: set[str], in_use: set[str], young: set[str]
) -> None:
    runs = [
        Ended(run, is_newest=run in newest, before=frozenset({parents[run]} if run in parents else ()))
        for run in map(str, range(8))
        if run not in young
    ]
    again_by: dict[str, set[str]] = {}
    for run, parent in parents.items():
        again_by.setdefault(parent, set()).add(run)
    stay = staying(runs, again_by, in_use, ())
    # What must stay, step by step: a plain closure.
    must = {run.run_id for run in runs if run.is_newest or run.run_id in in_use}
    must |= {run.run_id for run in runs if any(child in young for child in again_by.get(run.run_id, ()))}
    old = {run.run_id for run in runs}
    while more := {parents[run] for run in must if parents.get(run) in old} - must:
        must |= more
    assert set(stay) == must


# --- Events of no run -------------------------------------------------------------------------------------


def test_events_of_no_run_go_but_the_newest_of_each_asset_day_and_check(instance: DagsterInstance) -> None:
    for number in range(3):
        instance.report_runless_asset_event(AssetMaterialization(WATCHING, metadata={"number": number}))
        instance.report_runless_asset_event(AssetObservation(A_TABLE, partition="2026-01-01"))
        instance.report_runless_asset_event(AssetMaterialization(A_TABLE, partition=f"2026-01-0{number + 1}"))
        evaluation = AssetCheckEvaluation(A_TABLE, CHECK.name, passed=number > 0)
        instance.report_runless_asset_event(evaluation)
        instance.report_runless_asset_event(AssetMaterialization("theirs"))
    early, late = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(minutes=1)
    before = pages(instance)
    assert forget_events(instance, OURS.assets, early, dry_run=False).events == 0
    would = forget_events(instance, OURS.assets, late, dry_run=True)
    assert forget_events(instance, OURS.assets, late, dry_run=False) == would
    # Of three evaluations two materializations, two observations, and all copies of the results of the check.
    assert (would.events, would.checks, would.why_not) == (2 + 2 + 3, 2, "")
    assert pages(instance) == before
    [newest] = instance.fetch_materializations(WATCHING, limit=9).records
    assert newest.asset_materialization is not None
    assert newest.asset_materialization.metadata["number"].value == 2
    assert len(instance.fetch_materializations(AssetKey("theirs"), limit=9).records) == 3
    assert instance.get_materialized_partitions(A_TABLE) == {"2026-01-01", "2026-01-02", "2026-01-03"}
    assert forget_events(instance, OURS.assets, late, dry_run=False).events == 0


def test_a_materialization_of_no_run_goes_when_a_run_has_built_the_day_since(instance: DagsterInstance) -> None:
    instance.report_runless_asset_event(AssetMaterialization(A_TABLE, partition="2026-01-01"))
    run = built(instance, "2026-01-01")
    before = pages(instance)
    assert forget_events(instance, OURS.assets, datetime.now(UTC) + timedelta(minutes=1), dry_run=False).events == 1
    assert pages(instance) == before
    assert before["newest"] == run
