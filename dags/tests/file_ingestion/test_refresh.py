"""What a refresh takes out and what comes back, whatever became of files meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.leases.store import Leases
from dags.domain.errors import LeaseError
from dags.file_ingestion.claims import Claims
from dags.tests.file_ingestion.partner import NAME, Partner, event, lines
from dags.tests.variants import at_night

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn
    from dags.tests.s3_server import S3Server

pytestmark = pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)


@pytest.fixture
def partner(client: Client, dsn: Dsn, tmp_path: Path, bucket: tuple[S3Server, str]) -> Partner:
    """In a bucket a file that comes again is the same version, whenever it comes."""
    return Partner(dsn, client, tmp_path, bucket)


def confirmed(partner: Partner, mode: str) -> None:
    partner.refresh(mode, dry_run=False, confirm=True)


@at_night
def test_a_file_that_was_gone_at_a_full_refresh_is_loaded_when_it_is_there_again(partner: Partner) -> None:
    partner.put("a.jsonl", lines(event(1)))
    partner.put("b.jsonl", lines(event(2)))
    partner.ingest()
    partner.delete("a.jsonl")
    confirmed(partner, "full")
    partner.ingest()
    assert partner.seen() == [2]
    partner.put("a.jsonl", lines(event(1)))
    partner.ingest()
    assert partner.seen() == [1, 2]


@at_night
def test_what_new_only_took_out_stays_out_until_a_person_wants_it_again(partner: Partner) -> None:
    partner.declared["schema_changes"] = "backfill"
    partner.put("a.jsonl", lines(event(1)))
    partner.put("b.jsonl", lines(event(2)))
    partner.ingest()
    confirmed(partner, "new_only")
    partner.put("c.jsonl", lines(event(3, city_name="Rome")))
    partner.ingest()
    partner.ingest()
    assert partner.seen() == [3]
    partner.ingest(paths=["b.jsonl"])
    assert partner.seen() == [2, 3]
    confirmed(partner, "clear_history")
    partner.ingest()
    assert partner.seen() == [1, 2, 3]


def test_a_refresh_that_meets_a_run_touches_nothing(partner: Partner) -> None:
    partner.put("a.jsonl", lines(event(1)))
    partner.put("b.jsonl", lines(event(2)))
    partner.ingest()
    partner.delete("a.jsonl")
    before = partner.schemas()
    with Leases(partner.client, "a-run", wait_seconds=0, tell=print) as leases:
        Claims(partner.client, leases, NAME, print).take(["a.jsonl"])
        with pytest.raises(LeaseError, match="nothing was touched"):
            confirmed(partner, "full")
    assert (partner.schemas(), partner.seen()) == (before, [1, 2])


def test_a_refresh_while_a_run_is_at_work_ends_that_run_and_counts_for_the_next(partner: Partner) -> None:
    partner.declared["schema_changes"] = "auto_merge"
    partner.put("a.jsonl", lines(event(1)))
    partner.ingest()
    partner.put("b.jsonl", lines(event(2, city_name="Rome")))
    planned, work = partner.accepted()
    confirmed(partner, "clear_history")
    state = partner.carried_out(planned, work)
    assert (state.status, partner.seen()) == ("completed", [1])
    partner.ingest()
    assert [(one.number, str(one.event)) for one in partner.schemas().versions] == [
        (1, "declared"), (2, "refreshed"), (3, "noticed"),
    ]  # fmt: skip
    rows = partner.client.query("SELECT uuid, city_name FROM events ORDER BY uuid").result_rows
    assert [(one.int, town) for one, town in rows] == [(1, ""), (2, "Rome")]
    assert {one.schema for one in partner.ledger().values()} == {3}
