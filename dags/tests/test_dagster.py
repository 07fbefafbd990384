"""What we lean on of Dagster that it does not promise: names of its private modules, their values and what they do.

A release of Dagster may change them without a word. Then it is here that it shows, and `PRIVATE` says who leans on it.
A name that is not here may not be imported, see `test_code.py`; where Dagster exports it, it is imported from there.
"""

import inspect
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from dagster import (
    AssetExecutionContext,
    BackfillPolicy,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DailyPartitionsDefinition,
    Definitions,
    asset,
    define_asset_job,
)
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.events import EngineEventData
from dagster._core.execution.plan.resume_retry import ReexecutionStrategy
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    InProcessCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.remote_representation.code_location import InProcessCodeLocation
from dagster._core.storage import tags
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._grpc import impl
from dagster._grpc.types import StartRunResult
from dagster._serdes import serialize_value

from dags.clickhouse.dsn import Dsn
from dags.dagster_runs.processes import is_local
from dags.dagster_runs.tags import (
    BACKFILL_RUN_TAG,
    DATABASE_TAG,
    LANE_TAG,
    REASONS_BY_TABLE_TAG,
    REASONS_TAG,
    hidden_tag,
    is_automatic,
)
from dags.repair.runs import runs_of
from dags.tests.deployment import ROOT

_TAGS = "dagster._core.storage.tags"

# Who leans on what, and why: the room in `dags/`, and what it takes the name for.
PRIVATE: dict[str, dict[str, str]] = {
    f"{_TAGS}.PARENT_RUN_ID_TAG": {
        "dagster_runs": "tells what a person executed again from what the planner launched; which run one does again",
        "retention": "a run stays while one that stays does it again",
    },
    f"{_TAGS}.RETRY_NUMBER_TAG": {"dagster_runs": "tells Dagster's own retry from what a person executed again"},
    f"{_TAGS}.ROOT_RUN_ID_TAG": {
        "dagster_runs": "when an order was given, where this run is a retry of it; whose work a retry carries on",
        "retention": "a run stays while one that stays does it again",
    },
    f"{_TAGS}.PRIORITY_TAG": {
        "web_preaggregated_backfill": "repairs wait behind the daily build in the queue",
        "file_ingestion": "ranges that end by themselves wait behind what comes every day",
    },
    f"{_TAGS}.PARTITION_NAME_TAG": {
        "repair": "which day a run covers",
        "dagster_runs": "which day a run is of, in its line",
        "demo": "which day a run that was asked for is of",
    },
    f"{_TAGS}.BACKFILL_ID_TAG": {"retention": "a run stays while the backfill that launched it is not over"},
    f"{_TAGS}.REPOSITORY_LABEL_TAG": {
        "retention": "which runs are this location's, its former jobs' too",
        "health": "whose run has put right what failed",
    },
    f"{_TAGS}.TICK_ID_TAG": {"dagster_runs": "which tick asked for a run"},
    f"{_TAGS}.SENSOR_NAME_TAG": {"dagster_runs": "which sensor did"},
    f"{_TAGS}.SCHEDULE_NAME_TAG": {
        "dagster_runs": "which schedule did",
        "health": "which runs a schedule of a load has launched",
    },
    f"{_TAGS}.RUN_KEY_TAG": {"dagster_runs": "under which key, which the tick's line has too"},
    f"{_TAGS}.ASSET_PARTITION_RANGE_START_TAG": {"repair": "which days a run of several covers"},
    f"{_TAGS}.ASSET_PARTITION_RANGE_END_TAG": {"repair": "which days a run of several covers"},
    f"{_TAGS}.GRPC_INFO_TAG": {"work": "whether the process of a run is on this machine"},
    "dagster._core.definitions.job_base.InMemoryJob": {"demo": "a run of some assets and some checks, in this process"},
    "dagster._core.execution.execute_in_process.core_execute_in_process": {"demo": "the same"},
    "dagster._core.definitions.unresolved_asset_job_definition.UnresolvedAssetJobDefinition": {
        "definitions": "the type of what `define_asset_job` returns",
        "web_preaggregated_backfill": "the same",
        "health": "the same",
    },
    "dagster._core.code_pointer.ModuleCodePointer": {"tests": "a run that waits in the queue says where its code is"},
    "dagster._core.origin.JobPythonOrigin": {"tests": "the same"},
    "dagster._core.origin.RepositoryPythonOrigin": {"tests": "the same"},
    "dagster._core.remote_origin.GrpcServerCodeLocationOrigin": {"tests": "the same"},
    "dagster._core.remote_origin.RemoteJobOrigin": {"tests": "the same"},
    "dagster._core.remote_origin.RemoteRepositoryOrigin": {"tests": "the same"},
    "dagster._core.events.EngineEventData": {"tests": "a run says which process carries it out"},
    "dagster._core.execution.backfill.BulkActionsFilter": {"retention": "which of Dagster's backfills are not over"},
    "dagster._core.execution.backfill.BulkActionStatus": {"retention": "the same"},
    "dagster._core.storage.asset_check_execution_record.AssetCheckExecutionRecordStatus": {
        "health": "results of a check, without the plans of runs that never came to it",
    },
    "dagster._core.definitions.asset_checks.asset_check_evaluation.AssetCheckEvaluationPlanned": {
        "tests": "such a plan, as a run leaves it",
    },
    "dagster._core.storage.event_log.SqlEventLogStorage": {"retention": "events of no run are forgotten in SQL"},
    "dagster._core.storage.event_log.schema.SqlEventLogStorageTable": {"retention": "the same"},
    "dagster._core.storage.event_log.schema.AssetCheckExecutionsTable": {"retention": "the same of results of checks"},
    "dagster._core.storage.event_log.schema.AssetEventTagsTable": {"retention": "what stands beside such an event"},
    "dagster._core.storage.event_log.sqlite.sqlite_event_log.SqliteEventLogStorage": {
        "retention": "the file that SQLite has for each run goes with the run",
    },
    "dagster._serdes.deserialize_value": {"retention": "of which asset the result of a check is"},
    "dagster._core.definitions.run_request.InstigatorType": {"bench": "a tick as the daemon writes it"},
    "dagster._core.scheduler.instigation.TickData": {"bench": "the same"},
    "dagster._core.scheduler.instigation.TickStatus": {"bench": "the same"},
    "dagster._core.snap.snap_to_yaml.default_values_yaml_from_type_snap": {
        "tests": "what the webserver writes into the launchpad of a job's defaults"
    },
    "dagster._utils.schedules.reverse_cron_string_iterator": {
        "file_ingestion": "when a declared schedule ticked last",
        "health": "when a schedule was to tick last",
    },
    "dagster._core.remote_origin.RemoteInstigatorOrigin": {"tests": "what a daemon leaves of its ticks"},
    "dagster._core.scheduler.instigation.InstigatorState": {"tests": "the same"},
    "dagster._core.scheduler.instigation.InstigatorStatus": {"tests": "the same"},
    "dagster._core.scheduler.instigation.InstigatorType": {"tests": "the same"},
    "dagster._core.scheduler.instigation.ScheduleInstigatorData": {"tests": "the same"},
    "dagster._core.scheduler.instigation.SensorInstigatorData": {"tests": "the same"},
    "dagster._core.storage.schedules.sqlite.SqliteScheduleStorage": {"tests": "the same"},
    "dagster._daemon.types.DaemonHeartbeat": {"tests": "the same"},
    "dagster._core.test_utils.freeze_time": {"tests": "the clock of Dagster's host is wrong"},
}

VALUES = {
    "PARENT_RUN_ID_TAG": "dagster/parent_run_id",
    "RETRY_NUMBER_TAG": "dagster/retry_number",
    "ROOT_RUN_ID_TAG": "dagster/root_run_id",
    "PRIORITY_TAG": "dagster/priority",
    "PARTITION_NAME_TAG": "dagster/partition",
    "ASSET_PARTITION_RANGE_START_TAG": "dagster/asset_partition_range_start",
    "ASSET_PARTITION_RANGE_END_TAG": "dagster/asset_partition_range_end",
    "GRPC_INFO_TAG": ".dagster/grpc_info",
    "BACKFILL_ID_TAG": "dagster/backfill",
    "REPOSITORY_LABEL_TAG": ".dagster/repository",
    "TICK_ID_TAG": "dagster/tick",
    "SENSOR_NAME_TAG": "dagster/sensor_name",
    "SCHEDULE_NAME_TAG": "dagster/schedule_name",
    "RUN_KEY_TAG": "dagster/run_key",
}

DAYS = DailyPartitionsDefinition("2026-01-01")


@asset(partitions_def=DAYS, backfill_policy=BackfillPolicy.single_run())
def a_table(context: AssetExecutionContext) -> None:
    context.add_output_metadata({"days": context.partition_keys})


a_job = define_asset_job("a_job", [a_table], tags={"of": "the job"})
location = Definitions([a_table], jobs=[a_job])


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def queued(instance: DagsterInstance, **given: str) -> DagsterRun:
    """A run that waits in the queue; its tags are named without `dagster/`."""
    job = location.resolve_job_def("a_job")
    origin = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("localhost", port=1), "__repository__")
    return instance.create_run_for_job(
        job,
        tags={f"dagster/{name}": value for name, value in given.items()},
        status=DagsterRunStatus.QUEUED,
        remote_job_origin=RemoteJobOrigin(origin, job.name),
        job_code_origin=JobPythonOrigin(
            job.name, RepositoryPythonOrigin(sys.executable, ModuleCodePointer(__name__, "location"))
        ),
    )


def test_the_tags_that_runs_of_other_releases_carry_are_called_the_same() -> None:
    # Runs are kept for years: a tag with a new name would no longer find those of before.
    pinned = {name.removeprefix(f"{_TAGS}.") for name in PRIVATE if name.startswith(_TAGS)}
    assert {name: getattr(tags, name) for name in pinned} == VALUES


def test_a_job_of_assets_is_what_its_type_says() -> None:
    assert isinstance(a_job, UnresolvedAssetJobDefinition)
    assert a_job.name == "a_job"


# --- Which days a run covers ------------------------------------------------------------------------------


def covered(instance: DagsterInstance, database: str = "") -> set[date]:
    now = datetime.now(UTC) + timedelta(minutes=1)
    wanted = [date(2026, 1, day) for day in range(1, 10)]
    return {run.day for run in runs_of(instance, {"a_table": "a_job"}, wanted, now, database)}


def test_a_run_of_one_partition_carries_its_key_and_is_found_by_it(instance: DagsterInstance) -> None:
    job = location.resolve_job_def("a_job")
    run = job.execute_in_process(instance=instance, partition_key="2026-01-02").dagster_run
    assert run.tags[tags.PARTITION_NAME_TAG] == "2026-01-02"
    assert covered(instance) == {date(2026, 1, 2)}


def test_a_run_of_several_partitions_is_of_the_first_tags_day_to_the_last_tags_both_included(
    instance: DagsterInstance,
) -> None:
    ends = {tags.ASSET_PARTITION_RANGE_START_TAG: "2026-01-02", tags.ASSET_PARTITION_RANGE_END_TAG: "2026-01-04"}
    result = location.resolve_job_def("a_job").execute_in_process(instance=instance, tags=ends)
    [made] = result.get_asset_materialization_events()[:1]
    assert made.materialization.metadata["days"].value == ["2026-01-02", "2026-01-03", "2026-01-04"]
    queued(instance, asset_partition_range_start="2026-01-02", asset_partition_range_end="2026-01-04")
    assert covered(instance) == {date(2026, 1, 2), date(2026, 1, 3), date(2026, 1, 4)}


def test_what_has_ended_for_another_database_is_no_run_of_this_one(instance: DagsterInstance) -> None:
    job = location.resolve_job_def("a_job")
    job.execute_in_process(instance=instance, partition_key="2026-01-02", tags={DATABASE_TAG: "the demo's"})
    job.execute_in_process(instance=instance, partition_key="2026-01-03")
    assert covered(instance, "the demo's") == {date(2026, 1, 2), date(2026, 1, 3)}
    assert covered(instance, "the server's") == {date(2026, 1, 3)}
    marks = {Dsn.parse(f"clickhouse://{user}@here:8123/{name}").mark for user in ("a", "b:c") for name in ("x", "y")}
    assert len(marks) == 2


def test_what_only_programs_read_of_a_run_is_shown_nowhere_and_is_believed_as_it_was_shown_before(
    instance: DagsterInstance,
) -> None:
    for name in (DATABASE_TAG, REASONS_BY_TABLE_TAG):
        assert tags.get_tag_type(name) is tags.TagType.HIDDEN  # type: ignore[no-untyped-call]
        former = f"web_analytics_backfill/{name.removeprefix('.dagster/web_analytics_')}"
        assert tags.get_tag_type(former) is tags.TagType.USER_PROVIDED  # type: ignore[no-untyped-call]
        for said in ({name: "x"}, {former: "x"}, {name: "x", former: "y"}):
            assert hidden_tag(DagsterRun("a_job", tags=said), name) == "x"
        assert hidden_tag(DagsterRun("a_job"), name) == ""
    job = location.resolve_job_def("a_job")
    before = {"web_analytics_backfill/database": "the demo's"}
    job.execute_in_process(instance=instance, partition_key="2026-01-02", tags=before)
    assert covered(instance, "the server's") == set()


def test_why_a_run_was_launched_is_known_whole_where_what_is_shown_is_cut(instance: DagsterInstance) -> None:
    job, now = location.resolve_job_def("a_job"), datetime.now(UTC) + timedelta(minutes=1)
    shown = {REASONS_TAG: "never built: 9; row"}
    for day, hidden in (
        ("2026-01-02", {REASONS_BY_TABLE_TAG: '{"a_table": "never built: 9; rows lost: 1"}'}),
        ("2026-01-03", {}),
    ):
        job.execute_in_process(instance=instance, partition_key=day, tags={**shown, **hidden})
    runs = runs_of(instance, {"a_table": "a_job"}, [date(2026, 1, 2), date(2026, 1, 3)], now)
    said = {run.day.day: ("rows lost" in run.reasons, "never built" in run.reasons) for run in runs}
    assert said == {2: (True, True), 3: (False, True)}


# --- Who launched a run -----------------------------------------------------------------------------------


def test_what_is_executed_again_has_a_parent_and_a_root_and_no_number_is_handed_on(instance: DagsterInstance) -> None:
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(executable_path=sys.executable, module_name=__name__, attribute="location"),
        location_name="here",
    )
    here = InProcessCodeLocation(origin, instance)
    remote_job = here.get_repository("__repository__").get_full_job("a_job")

    def again(run: DagsterRun, **given: str) -> DagsterRun:
        # As the web server does it for a person, and the daemon, with `retry_number`, for itself.
        return instance.create_reexecuted_run(
            parent_run=run,
            request_context=mock.Mock(asset_graph=location.resolve_asset_graph()),
            code_location=here,
            remote_job=remote_job,
            strategy=ReexecutionStrategy.ALL_STEPS,
            extra_tags={f"dagster/{name}": value for name, value in given.items()},
            use_parent_run_tags=True,
        )

    job = location.resolve_job_def("a_job")
    first = job.execute_in_process(
        instance=instance, partition_key="2026-01-02", tags={BACKFILL_RUN_TAG: "true"}
    ).dagster_run
    retried = again(first, retry_number="1")
    by_hand = again(retried)
    parents = [(run.tags[tags.PARENT_RUN_ID_TAG], run.tags[tags.ROOT_RUN_ID_TAG]) for run in (retried, by_hand)]
    assert parents == [(first.run_id, first.run_id), (retried.run_id, first.run_id)]
    assert [run.tags.get(tags.RETRY_NUMBER_TAG) for run in (first, retried, by_hand)] == [None, "1", None]
    # The planner's own tag is handed on, and so it does not tell who launched a run.
    assert [run.tags[BACKFILL_RUN_TAG] for run in (retried, by_hand)] == ["true", "true"]
    assert [is_automatic(run) for run in (first, retried, by_hand)] == [True, True, False]


def test_the_queue_takes_a_higher_priority_first_none_as_0_and_equal_ones_as_they_came(
    instance: DagsterInstance,
) -> None:
    runs = [queued(instance, priority="-1"), queued(instance), queued(instance, priority="3"), queued(instance)]
    ordered = QueuedRunCoordinatorDaemon(interval_seconds=1)._priority_sort(runs)
    assert [runs.index(run) for run in ordered] == [2, 1, 3, 0]


@pytest.mark.parametrize("settings", [ROOT / ".dagster" / "dagster.yaml", ROOT / "dags" / "deploy" / "dagster.yaml"])
def test_of_backfills_one_of_each_shard_is_at_work_at_a_time_and_other_runs_find_room(
    tmp_path: Path, settings: Path
) -> None:
    as_shipped = {name: said for name, said in yaml.safe_load(settings.read_text()).items() if name != "storage"}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(as_shipped))
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        lanes: list[dict[str, str]] = [{LANE_TAG: "1"}, {LANE_TAG: "1"}, {LANE_TAG: "2"}, {}]
        runs = [queued(instance) for _ in lanes]
        for run, tags_of_run in zip(runs, lanes, strict=True):
            instance.add_run_tags(run.run_id, tags_of_run)
        daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
        begun = [run.run_id for run in daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)]
        assert begun == [runs[0].run_id, runs[2].run_id, runs[3].run_id]


# --- Which process carries a run out ----------------------------------------------------------------------


SERVERS: dict[str, tuple[dict[str, Any], bool]] = {
    "a socket": ({"host": "localhost", "port": None, "socket": "a.sock"}, True),
    "a port of this machine": ({"host": "localhost", "port": 4000, "socket": None}, True),
    "another machine": ({"host": "code.example", "port": 4000, "socket": None}, False),
}


def test_the_launcher_says_where_the_code_server_is(tmp_path: Path) -> None:
    started = serialize_value(StartRunResult(success=True, message=None, serializable_error_info=None))
    text = {}
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        for name, (server, _) in SERVERS.items():
            run = queued(instance)
            # The server is no real one: nothing that it is asked is leaned on.
            client = mock.Mock(**server, use_ssl=False, start_run=lambda _: started)
            DefaultRunLauncher.launch_run_from_grpc_client(instance, run, client)
            launched = instance.get_run_by_id(run.run_id)
            assert launched is not None
            text[name] = launched.tags[tags.GRPC_INFO_TAG]
    assert {name: is_local(words) for name, words in text.items()} == {
        name: is_here for name, (_, is_here) in SERVERS.items()
    }


def test_an_engine_event_names_the_process(instance: DagsterInstance) -> None:
    # The words are those of the code server; `dags.work.dead_runs` looks for them.
    assert 'f"Started process for run (pid: {pid})."' in inspect.getsource(impl)
    run = queued(instance)
    words = f"Started process for run (pid: {os.getpid()})."
    instance.report_engine_event(words, run, EngineEventData.in_process(os.getpid()))
    [entry] = instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT)
    assert entry.message == words
    assert isinstance(entry.dagster_event, DagsterEvent)
    assert str(entry.dagster_event.engine_event_data.metadata["pid"].value) == str(os.getpid())


def test_freezing_the_time_moves_dagsters_clock_and_no_other() -> None:
    then = datetime(2027, 1, 2, tzinfo=UTC)
    with freeze_time(then):
        assert DAYS.get_last_partition_key() == "2027-01-01"
        assert abs(time.time() - then.timestamp()) > 1


def test_an_instance_keeps_what_it_is_told_under_a_key_for_whoever_opens_it_next(tmp_path: Path) -> None:
    """`dags.alerts.store` keeps there what people were told; a second word takes the place of the first."""
    for text in ("first", "second"):
        with DagsterInstance.local_temp(str(tmp_path)) as instance:
            instance.daemon_cursor_storage.set_cursor_values({"ours": text, f"of {text}": text})
        with DagsterInstance.local_temp(str(tmp_path)) as instance:
            kept = instance.daemon_cursor_storage.get_cursor_values({"ours", "nobody's"})
            assert kept == {"ours": text}
