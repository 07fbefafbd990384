"""What a terminal shows of a run that failed for a reason of ours: the words, once, and nothing after them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from dagster import AssetKey, DagsterInstance, Failure, JobDefinition, job, op

from dags.dagster_runs.console import nothing_is_obeyed
from dags.definitions import defs
from dags.domain.errors import UserError
from dags.settings import current_settings
from dags.tests.runbook import symptom
from dags.tests.world import World, ago

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORDS = "no ClickHouse answers at clickhouse://default@localhost:1/x"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    """One by which no ClickHouse answers."""
    monkeypatch.setenv("CLICKHOUSE_DSN", "clickhouse://localhost:1/x")
    current_settings.cache_clear()
    with DagsterInstance.ephemeral() as made:
        yield made
    current_settings.cache_clear()


def said_last(shown: str) -> str:
    """The last of what stands between empty lines, in one line."""
    return " ".join(shown.rstrip().rpartition("\n\n")[2].split())


def test_a_job_of_assets_and_a_selection_of_assets_end_in_words_without_a_trace(
    instance: DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    of_all = defs.resolve_implicit_global_asset_job_def()
    build, of_a_day = defs.resolve_job_def("web_pre_aggregate_job"), {"partition_key": str(ago(1))}
    strange = {"ops": {"web_pre_aggregated": {"config": {"plan_id": "a b"}}}}
    runs: list[tuple[JobDefinition, dict[str, Any], str]] = [
        (build, of_a_day, WORDS),
        (build, {}, "web_pre_aggregate_job builds one day, and this run names none, or several: name one"),
        (build, {**of_a_day, "run_config": strange}, "plan_id has 3 characters, or some that no plan's has"),
        (defs.resolve_job_def("web_analytics_team_selection_job"), {}, WORDS),
        (of_all, {"asset_selection": [AssetKey("web_analytics_backfill_detector")]}, WORDS),
    ]
    for ran, options, words in runs:
        assert not ran.execute_in_process(instance=instance, raise_on_error=False, **options).success
        shown = capsys.readouterr().err
        assert "Stack Trace" not in shown
        assert "RUN_FAILURE" in shown
        assert shown.count(words) == 1
        assert said_last(shown).startswith(words)


def test_whoever_has_no_standard_output_is_answered_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with nothing_is_obeyed():
        print("to nobody")


def test_what_dagster_refuses_before_there_is_a_run_ends_in_words_and_a_fault_does_not(
    instance: DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    build = defs.resolve_job_def("web_pre_aggregate_job")

    def ended_by(refused: Callable[[], object]) -> str:
        """What a command's process prints in the end."""
        with pytest.raises(Exception) as raised:  # noqa: PT011 -- whatever it is, the process ends with it
            refused()
        sys.excepthook(raised.type, raised.value, raised.tb)
        return capsys.readouterr().err

    shown = ended_by(lambda: build.execute_in_process(instance=instance, partition_key="2026-13-45"))
    assert shown.splitlines()[1:] == [
        "Could not find a partition with key `2026-13-45`.",
        "A partition is a day that is over, as 2026-01-31, and no earlier than the table's first: give such a one",
    ]
    shown = ended_by(lambda: instance.create_run_for_job(build, run_config={"team_ids": [1]}))
    assert 'Received unexpected config entry "team_ids" at the root' in shown
    assert len(shown.splitlines()) == 4
    assert max(map(len, shown.splitlines())) < 310
    assert "Traceback" in ended_by(lambda: 1 // 0)


def test_what_clickhouse_refuses_ends_in_words_without_a_trace_in_every_kind_of_job(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A constraint stands for whatever ClickHouse may refuse: a full disk, too many parts, a limit."""
    books = {
        "web_analytics_backfill_stops": ("stop_all_backfills_job", {"reason": "r", "requested_by": "ada"}, {}),
        "web_pre_aggregated_teams": ("web_analytics_team_selection_job", {}, {}),
        "web_analytics_backfill_events": ("web_pre_aggregate_job", {}, {"partition_key": str(ago(1))}),
    }
    world.select(1)
    for table, (name, config, options) in books.items():
        world.client.command(f"ALTER TABLE {table} ADD CONSTRAINT nope CHECK 0")
        capsys.readouterr()
        try:
            ran = world.run_as_configured(name, config, raise_on_error=False, **options)
        finally:
            world.client.command(f"ALTER TABLE {table} DROP CONSTRAINT nope")
        assert not ran.success
        shown = capsys.readouterr().err
        assert "Stack Trace" not in shown
        first, asked, step = shown.rstrip().splitlines()[-3:]
        assert symptom("ClickHouse refused this, …").match(first)
        assert first.startswith(
            f"ClickHouse refused this, VIOLATED_CONSTRAINT: Constraint `nope` for table web_analytics.{table} "
        )
        assert asked in (f"What was asked: an INSERT into {table}", "What was asked: dags/repair/stops/turn.sql")
        assert step == "Put right what it names, then run this again"
        [failure] = ran.get_step_failure_events()
        assert failure.step_failure_data.error.cause.stack


def test_every_step_that_failed_in_words_is_heard_and_a_fault_keeps_its_trace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @op
    def refused() -> None:
        raise UserError("the first reason")

    @op
    def given_up() -> None:
        raise Failure("the second reason")

    @op
    def broken() -> None:
        raise ZeroDivisionError

    @job
    def in_words() -> None:
        refused()
        given_up()

    @job
    def at_fault() -> None:
        broken()

    with DagsterInstance.ephemeral() as own:
        in_words.execute_in_process(instance=own, raise_on_error=False)
        shown = capsys.readouterr().err
        assert "Stack Trace" not in shown
        assert shown.rstrip().split("\n\n")[-2:] == ["the second reason", "the first reason"]
        # The event log has it all.
        [run] = own.get_runs()
        kept = [one.dagster_event for one in own.all_logs(run.run_id) if one.dagster_event is not None]
        traces = [one.step_failure_data.error.stack for one in kept if one.is_step_failure]  # type: ignore[union-attr]
        assert len(traces) == 2
        assert all(traces)
        at_fault.execute_in_process(instance=own, raise_on_error=False)
        assert "Stack Trace" in capsys.readouterr().err
