"""What the ledger is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.file_ingestion.store import Happened, read_known, read_ledger, record
from dags.file_ingestion.versions import FileEvent, FileVersion

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def test_the_ledger_answers_for_the_paths_that_it_is_asked_for_however_long_they_are(client: Client) -> None:
    paths = [f"{number:04d}" + "ü'" * 100 for number in range(1500)]
    versions = [FileVersion(path, 1, 1, "e") for path in [*paths, "other"]]
    happened = [Happened(version, FileEvent.SUCCESS, version.load("one", 1), 1) for version in versions]
    record(client, "one", "work", happened, lambda: None)
    record(client, "another", "work", happened[:1], lambda: None)
    assert read_known(client, "one", [*paths, "unknown"]).keys() == set(paths)
    assert read_known(client, "one", []) == {}
    assert len(read_ledger(client, "one")) == len(versions)
