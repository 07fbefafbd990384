"""Runs that stall, break off or come late, and those that take over from them: no row twice, none lost, none half."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from dags.clickhouse.sql import Sql
from dags.file_ingestion.clearing import clear
from dags.settings import read_settings
from dags.sources.file import read_sources
from dags.tests.file_ingestion.partner import NAME, Partner, event, lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

pytestmark = pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)

SECOND_DAY = "2026-01-06T12:00:00Z"


class Died(BaseException):
    """The process is gone: nobody catches it, and nothing is sent after it."""


class Processes:
    """A partner whose runs are processes of their own: to each the others are dead."""

    def __init__(self, partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.partner = partner
        self._monkeypatch = monkeypatch
        self._numbers = count(1)

    def run(self, act: Callable[[], Any]) -> None:
        """Act in the next process."""
        with self._monkeypatch.context() as patched:
            patched.setattr("dags.clickhouse.leases.rules.THIS_PROCESS", f"{next(self._numbers):08x}")
            act()

    def stalled_before(self, statement: str, act: Callable[[], Any], meanwhile: Callable[[], Any]) -> None:
        """Act; before the statement of this name it stalls, and something else happens before it wakes up."""
        run, stalled = Sql._run, False

        def ran(itself: Sql, send: Any, name: str, *rest: Any) -> Any:
            nonlocal stalled
            if name == statement and not stalled:
                stalled = True
                self.run(meanwhile)
            return run(itself, send, name, *rest)

        with self._monkeypatch.context() as patched:
            patched.setattr(Sql, "_run", ran)
            self.run(act)
        assert stalled, f"{statement} was never sent"

    def killed_before(self, statement: str, occurrence: int = 1, act: Callable[[], Any] | None = None) -> None:
        """Run the ingestion, or act, until that is killed before the nth statement of this name."""
        run, seen = Sql._run, 0

        def ran(itself: Sql, send: Any, name: str, *rest: Any) -> Any:
            nonlocal seen
            seen += name == statement
            if seen >= occurrence:
                raise Died
            return run(itself, send, name, *rest)

        with self._monkeypatch.context() as patched:
            patched.setattr(Sql, "_run", ran)
            with pytest.raises(Died):
                self.run(act or self.partner.ingest)


@pytest.fixture
def processes(client: Client, dsn: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    return Processes(Partner(dsn, client, tmp_path), monkeypatch)


def cleared(partner: Partner) -> None:
    ingestion = read_sources(read_settings(partner.variables)).ingestion(NAME)
    clear(partner.client, ingestion, ["a.jsonl"], "clears", print)


def test_a_run_that_wakes_up_attaches_nothing_of_files_that_another_has_taken(processes: Processes) -> None:
    partner = processes.partner
    partner.put("a.jsonl", lines(event(1)))
    processes.run(partner.ingest)
    partner.put("a.jsonl", lines(event(1), event(2, at=SECOND_DAY)))
    processes.stalled_before("attach_day", partner.ingest, partner.ingest)
    assert partner.seen() == [1, 2]
    assert partner.states() == {"a.jsonl": "success"}


def test_a_run_that_wakes_up_after_a_clear_records_nothing(processes: Processes) -> None:
    partner = processes.partner
    partner.put("a.jsonl", lines(event(1)))
    processes.stalled_before("landed", partner.ingest, lambda: cleared(partner))
    assert (partner.seen(), partner.states()) == ([], {"a.jsonl": "cleared"})


def test_a_clear_that_wakes_up_takes_out_nothing_that_a_run_has_loaded(processes: Processes) -> None:
    partner = processes.partner
    partner.put("a.jsonl", lines(event(1)))
    processes.run(partner.ingest)
    with pytest.raises(Exception, match="taken from this run"):
        processes.stalled_before("take_out", lambda: cleared(partner), partner.ingest)
    assert (partner.seen(), partner.states()) == ([1], {"a.jsonl": "success"})


def test_a_statement_whose_answer_was_lost_attaches_nothing_beside_the_attempt_that_follows(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner, late, run = processes.partner, list[Any](), Sql._run
    partner.put("a.jsonl", lines(event(1)))
    broken = ["attach_day", "drop_table"]  # the statement, and the table of its attempt

    def ran(itself: Sql, send: Any, name: str, *rest: Any) -> Any:
        if name == "attach_day" and not late:
            late.extend((itself, send, name, *rest))
        if late and broken and name == broken[0]:
            broken.pop(0)
            raise OperationalError("the connection is cut")
        if name == "attach_day":  # the next attempt has seen that nothing is there
            with suppress(ClickHouseError):
                run(*late)
        return run(itself, send, name, *rest)

    monkeypatch.setattr(Sql, "_run", ran)
    monkeypatch.setattr("dags.clickhouse.failures.FIRST_WAIT_SECONDS", 0.0)
    partner.ingest()
    assert not broken
    assert (partner.seen(), partner.states()) == ([1], {"a.jsonl": "success"})


def test_what_a_clear_has_begun_to_take_out_is_whole_of_no_version(processes: Processes) -> None:
    partner = processes.partner
    partner.put("a.jsonl", lines(event(1), event(2, at=SECOND_DAY)))
    partner.put("b.jsonl", lines(event(3)))
    processes.run(partner.ingest)
    partner.put("a.jsonl", lines(event(4, at="never")))
    processes.run(partner.ingest)
    assert partner.seen() == [1, 2, 3]
    processes.killed_before("take_out", 2, lambda: cleared(partner))
    processes.run(partner.ingest)
    assert partner.seen() == [3]
    partner.put("a.jsonl", lines(event(5), event(6, at=SECOND_DAY)))
    processes.run(partner.ingest)
    processes.killed_before("take_out", 2, lambda: cleared(partner))
    partner.delete("a.jsonl")
    processes.run(partner.ingest)
    assert partner.seen() == [3]
    assert partner.states()["a.jsonl"] == "failed"


def test_a_file_that_is_gone_when_its_run_broke_off_has_no_row_in_the_end(processes: Processes) -> None:
    partner = processes.partner
    partner.put("a.jsonl", lines(event(1), event(2, at=SECOND_DAY)))
    partner.put("b.jsonl", lines(event(3)))
    processes.killed_before("attach_day", 2)
    partner.delete("a.jsonl")
    processes.run(partner.ingest)
    assert partner.seen() == [3]
    assert partner.states() == {"a.jsonl": "failed", "b.jsonl": "success"}


def test_a_file_that_is_gone_while_its_old_rows_are_taken_out_has_its_new_ones_alone(processes: Processes) -> None:
    partner = processes.partner
    partner.put("a.jsonl", lines(event(1), event(2, at=SECOND_DAY)))
    partner.put("b.jsonl", lines(event(3)))
    processes.run(partner.ingest)
    partner.put("a.jsonl", lines(event(4), event(5, at=SECOND_DAY)))
    processes.killed_before("take_out", 2)
    partner.delete("a.jsonl")
    partner.put("c.jsonl", lines(event(6)))  # of the same group, and a day of both
    processes.run(partner.ingest)
    assert partner.seen() == [3, 4, 5, 6]
    assert partner.states() == {"a.jsonl": "success", "b.jsonl": "success", "c.jsonl": "success"}


def test_what_broke_off_is_settled_first_also_outside_of_the_days_that_are_taken_now(processes: Processes) -> None:
    partner = processes.partner
    partner.put("2026-01-05.jsonl", lines(event(1), event(2, at=SECOND_DAY)))
    processes.killed_before("attach_day", 2)
    partner.put("2026-01-09.jsonl", lines(event(3)))
    partner.declared["from"] = "2026-01-08"
    processes.run(lambda: partner.ingest(max_files=1))
    assert partner.seen() == [1, 2]


def test_a_version_that_broke_off_is_taken_out_where_the_next_one_is_bad(processes: Processes) -> None:
    partner = processes.partner
    partner.put("a.jsonl", lines(event(1), event(9)))
    processes.run(partner.ingest)
    partner.put("a.jsonl", lines(event(2), event(3, at=SECOND_DAY)))
    processes.killed_before("attach_day", 2)
    partner.put("a.jsonl", lines(event(4, at="never")))
    processes.run(partner.ingest)
    assert partner.seen() == [1, 9]
    assert partner.states() == {"a.jsonl": "failed"}


def test_a_plan_that_waited_replaces_what_was_loaded_since_it_was_made(processes: Processes) -> None:
    partner = processes.partner
    newer, kept = partner.directory / "data" / "a.jsonl", partner.directory / "newer"
    partner.put("a.jsonl", lines(event(1), event(2)))
    waited, work = partner.accepted()
    newer.rename(kept)
    partner.put("a.jsonl", lines(event(1)))
    processes.run(partner.ingest)
    kept.rename(newer)
    processes.run(lambda: partner.carried_out(waited, work))
    assert partner.seen() == [1, 2]
