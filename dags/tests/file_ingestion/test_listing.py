"""What of a listing is to be decided, beside runs that go on meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

from dags.file_ingestion import listing
from dags.file_ingestion.listing import Ledger, Listing, There, list_files
from dags.file_ingestion.patterns import compiled
from dags.file_ingestion.store import Happened, read_ledger_at, record
from dags.file_ingestion.versions import FileEvent, FileVersion, Found

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

OLD, NEW, OTHER = FileVersion("a", 1, 1, "old"), FileVersion("a", 1, 2, "new"), FileVersion("b", 1, 1, "b")


def happen(client: Client, version: FileVersion, *events: FileEvent) -> None:
    for event in events:
        record(client, "one", "work", [Happened(version, event, version.load("one", 1), 1)], lambda: None)


def test_what_another_run_has_in_hand_meanwhile_is_not_taken_for_replaced_by_what_was_listed_before(
    client: Client,
) -> None:
    happen(client, OLD, FileEvent.PROCESSING, FileEvent.SUCCESS)
    ledger = Ledger("one", read_ledger_at(client, "one"))

    def listed_beside_a_run(*_asked: object, **_more: object) -> There:
        happen(client, NEW, FileEvent.PROCESSING, FileEvent.SUCCESS)
        return There((OLD, OTHER))

    with mock.patch.object(listing, "what_is_there", listed_beside_a_run):
        found = list_files(client, mock.sentinel.location, compiled("**"), ledger, seconds=9)
    assert found == Listing((Found(OTHER),), settled=1)
    afterwards = Ledger("one", read_ledger_at(client, "one"))
    with mock.patch.object(listing, "what_is_there", return_value=There((OLD, NEW))):
        found = list_files(client, mock.sentinel.location, compiled("**"), afterwards, seconds=9)
    assert found == Listing((Found(OLD, is_known=True),), settled=1)
