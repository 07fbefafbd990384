"""A run dies at every statement that it sends: in the end every version of every file is there once, or named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.sql import Sql
from dags.file_ingestion.kind import FILE_INGESTION
from dags.sources.loads.landing import all_landed
from dags.sources.loads.sweeping import sweep_landings
from dags.tests.events import Event, insert
from dags.tests.file_ingestion.partner import Partner, event, lines
from dags.work.audit.log import FINISHED, RESUMABLE

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

OTHERS = 3


class Died(BaseException):
    """The process is gone: nobody catches it, and nothing is sent after it."""


def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Have the process die at the statement of that number, and at every one that it might send then."""
    sent, whole = 0, Sql._run

    def run(self: Sql, *arguments: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent > after:
            raise Died
        return whole(self, *arguments)

    monkeypatch.setattr(Sql, "_run", run)


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
@pytest.mark.parametrize(
    "every", [19, pytest.param(1, marks=pytest.mark.slow(minutes=2))], ids=["some statements", "each statement"]
)
def test_whatever_statement_a_run_dies_at_every_file_is_there_once(
    client: Client, dsn: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    insert(client, [Event(1, datetime(2026, 1, 5, 9, tzinfo=UTC), f"s{number}") for number in range(OTHERS)])
    partner, number, points = Partner(dsn, client, tmp_path), 0, range(3, 500, every)
    expected: set[int] = set()
    for point in points:
        number += 10
        partner.put("replaced.jsonl", lines(event(number + 1), event(number + 2, at="2026-01-06T00:00:00Z")))
        partner.put(f"new-{point}.jsonl", lines(event(number + 3)))
        partner.put(f"bad-{point}.jsonl", lines(event(number + 4), event(number + 5, at="never")))
        with monkeypatch.context() as patched:
            dying(patched, point)
            try:
                partner.ingest()
                is_whole = True
            except Died:
                is_whole = False
        expected = {one for one in expected if one % 10 == 3} | {number + 1, number + 2, number + 3}
        # In the next process; what leases the dead one held, it holds no more.
        monkeypatch.setattr("dags.clickhouse.leases.rules.THIS_PROCESS", f"{point:08x}")
        partner.ingest()
        assert partner.seen() == sorted(expected), point
        assert partner.states()[f"bad-{point}.jsonl"] == "failed"
        now = read_clocks(client).server
        sweep_landings(client, FILE_INGESTION, FINISHED | RESUMABLE, "sweep", print, now=now, kept_days=0)
        assert all_landed(client) == []
        if is_whole:
            break
    assert is_whole, "no run came to its end"
    [(others,)] = client.query("SELECT count() FROM events WHERE load_id = 0").result_rows
    assert others == OTHERS
