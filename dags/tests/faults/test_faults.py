"""Some of what `make faults` does at length: what must hold holds whatever goes wrong, and in races."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dags.tests.clickhouse_server import require_or_skip_reason
from dags.tests.faults import backfills, files, loads
from dags.tests.faults.dagster_runs import run_trials
from dags.tests.faults.races import rounds
from dags.tests.faults.server import Server
from dags.tests.faults.swaps import swaps
from dags.tests.faults.trial import Fault, Trial
from dags.tests.faults.worker import hurried

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dags.tests.postgres_server import PostgresServer
    from dags.tests.s3_server import S3Server

pytestmark = pytest.mark.slow

# Of the trials of backfills those that found faults first, with seeds that strike.
SHORT_FORM = {
    backfills.Fault.STALLED_RUN: 14,
    backfills.Fault.STALLED_RUN_ROLLED_BACK: 15,
    backfills.Fault.STALLED_ROLLBACK: 2,
    backfills.Fault.FOREIGN_ROWS: 6,
    backfills.Fault.ALTERED: 7,
    backfills.Fault.DELETED: 9,
    backfills.Fault.TWO_ROLLBACKS: 12,
}


TRIALS_UNTIL_STRUCK = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    started = Server(tmp_path_factory.mktemp("faults"))
    with hurried():
        yield started
    started.stop()


@pytest.mark.parametrize("fault", Fault)
def test_readers_neighbours_and_the_next_repair_do_not_suffer_when(server: Server, fault: Fault) -> None:
    trial = Trial(server, seed=list(Fault).index(fault), fault=fault)
    trial.run()
    assert trial.looks > 0


@pytest.mark.parametrize("fault", SHORT_FORM)
def test_a_backfill_can_be_finished_and_taken_back_and_what_is_said_of_its_days_is_so_when(
    server: Server, fault: backfills.Fault
) -> None:
    # A trial draws when its fault strikes, and may be over by then: so there are some, until one was struck.
    for seed in range(SHORT_FORM[fault], SHORT_FORM[fault] + TRIALS_UNTIL_STRUCK):
        trial = backfills.BackfillTrial(server, seed=seed, fault=fault)
        trial.run()
        assert trial.looks > 0
        if trial.step != "-" or fault in (backfills.Fault.FOREIGN_ROWS, backfills.Fault.ALTERED):
            return
    pytest.fail("the fault never struck")


@pytest.mark.parametrize("fault", loads.Fault)
def test_a_load_brings_every_row_once_or_none_and_those_of_others_are_whole_when(
    server: Server, postgres: PostgresServer, tmp_path: Path, fault: loads.Fault
) -> None:
    trial = loads.LoadTrial(loads.Side(server, postgres, tmp_path), seed=list(loads.Fault).index(fault), fault=fault)
    trial.run()
    assert trial.foreign > 0


@pytest.mark.parametrize("fault", files.Fault)
def test_every_file_is_there_once_or_is_named_and_rows_of_others_are_whole_when(
    server: Server, s3: S3Server, tmp_path: Path, fault: files.Fault
) -> None:
    trial = files.FileTrial(files.FileSide(server, s3, tmp_path), seed=list(files.Fault).index(fault) + 1, fault=fault)
    trial.run()
    assert trial.foreign > 0


def test_a_run_that_was_killed_is_made_good_by_the_tick_that_is_due(server: Server) -> None:
    [words] = run_trials(server, 1)
    assert words.split(": ")[1] == "2 of 2 tables were left wrong, the next tick repaired them"


def test_four_that_want_the_same_days_build_none_twice_at_once_and_forget_none(server: Server) -> None:
    assert len(list(rounds(server, 2))) == 2


def test_readers_see_the_old_day_or_the_new_one_during_swaps(server: Server) -> None:
    assert swaps(server, 10) > 10
