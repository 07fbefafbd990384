"""Files are loaded once a version, from a bucket and from a directory, and their rows can be taken out again."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.leases.store import Leases
from dags.file_ingestion.claims import Claims, bucket_of
from dags.file_ingestion.clearing import clear, files_to_clear
from dags.file_ingestion.fields import ClearFilesConfig
from dags.settings import read_settings
from dags.sources.file import read_sources
from dags.tests.events import Event, insert
from dags.tests.file_ingestion.partner import NAME, Partner, event, lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn


# Where files lie, and the engine that reads them: each once in the default suite, all pairs every night.
PLACES = [
    ("directory", "embedded"),
    ("bucket", "server"),
    *(pytest.param(pair, marks=pytest.mark.slow) for pair in (("bucket", "embedded"), ("directory", "server"))),
]


@pytest.fixture(params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def dsn_text(place: tuple[str, str], emptied: Callable[[str], str]) -> str:
    return emptied(place[1])


@pytest.fixture
def partner(
    request: pytest.FixtureRequest, place: tuple[str, str], client: Client, dsn: Dsn, tmp_path: Path
) -> Partner:
    if place[0] == "bucket":
        return Partner(dsn, client, tmp_path, request.getfixturevalue("bucket"))
    return Partner(dsn, client, request.getfixturevalue("server_files"))


def test_f1_the_first_run_loads_every_file_that_the_pattern_has(partner: Partner) -> None:
    partner.put("year=2026/a b#ü.jsonl", lines(event(1), event(2)))
    partner.put("year=2026/month=01/b.jsonl", lines(event(3)))
    partner.put("year=2026/readme.txt", b"no event")
    state = partner.ingest()
    assert state is not None
    assert (state.status, partner.seen(), partner.errors()) == ("completed", [1, 2, 3], {})
    assert partner.states() == {"year=2026/a b#ü.jsonl": "success", "year=2026/month=01/b.jsonl": "success"}
    assert partner.ingest() is None


def test_f3_a_replaced_file_is_noticed_and_its_rows_take_the_place_of_the_old(partner: Partner) -> None:
    insert(partner.client, [Event(1, datetime(2026, 1, 5, 9, tzinfo=UTC))])
    partner.put("a.jsonl", lines(event(1), event(2)))
    partner.put("b.jsonl", lines(event(5)))
    partner.ingest()
    partner.put("a.jsonl", lines(event(2), event(3), event(4)))
    partner.ingest()
    assert partner.seen() == [2, 3, 4, 5]
    assert partner.states() == {"a.jsonl": "success", "b.jsonl": "success"}
    [(others,)] = partner.client.query("SELECT count() FROM events WHERE load_id = 0").result_rows
    assert others == 1


def test_a_file_that_cannot_be_loaded_is_named_and_its_neighbours_are_loaded(partner: Partner) -> None:
    partner.declared["source_file_pattern"] = "**/*.jsonl*"
    partner.put("good.jsonl", lines(event(1)))
    partner.put("malformed.jsonl", lines(event(2)) + b'{"tenant": 1, "id": \n')
    partner.put("truncated.jsonl.gz", gzip.compress(lines(*map(event, range(100, 2000))))[:-300])
    partner.put("no-team.jsonl", lines(event(3), event(4, team=None)))
    partner.put("no-time.jsonl", lines(event(5), event(6, at="")))
    partner.put("odd-time.jsonl", lines(event(7, at="05/01/2026 10:00")))
    partner.put("word.jsonl", lines(event(8, team="null")))
    partner.put("empty.jsonl", b"")
    partner.put("team_id=5/path.jsonl", lines(event(9)))
    state = partner.ingest()
    assert state is not None
    assert state.status == "completed"
    assert partner.seen() == [1, 9]
    errors = partner.errors()
    assert sorted(path for path, state in partner.states().items() if state == "success") == [
        "good.jsonl", "team_id=5/path.jsonl",
    ]  # fmt: skip
    assert "team_id is absent" in errors["no-team.jsonl"]
    assert "timestamp is absent" in errors["no-time.jsonl"]
    assert "1 row: timestamp is no time" in errors["odd-time.jsonl"]
    assert "team_id is no whole number" in errors["word.jsonl"]
    assert errors["empty.jsonl"] == "it is empty: 0 bytes"
    assert partner.states()["empty.jsonl"] == "skipped"
    [(teams,)] = partner.client.query("SELECT groupUniqArray(team_id) FROM events").result_rows
    assert teams == [1]


def test_f3_files_are_cleared_by_pattern_and_loaded_again(partner: Partner) -> None:
    partner.put("2026-01-05/a.jsonl", lines(event(1)))
    partner.put("2026-01-06/b.jsonl", lines(event(2, at="2026-01-06T00:00:00Z")))
    partner.ingest()
    ingestion = read_sources(read_settings(partner.variables)).ingestion(NAME)
    given = ClearFilesConfig.model_validate(
        {"ingestion": NAME, "first_day": "2026-01-06", "dry_run": False, "reason": "a test", "requested_by": "tests"}
    )
    chosen = files_to_clear(partner.client, given, ingestion)
    assert list(chosen) == ["2026-01-06/b.jsonl"]
    assert clear(partner.client, ingestion, list(chosen), "run-9", print) == 1
    assert partner.seen() == [1]
    partner.ingest()
    assert partner.seen() == [1, 2]


def test_files_that_another_run_has_are_left_to_it(partner: Partner) -> None:
    names = {bucket_of(f"{number}.jsonl"): f"{number}.jsonl" for number in range(50)}
    (theirs, first), (_, second) = list(names.items())[:2]
    partner.put(first, lines(event(1)))
    partner.put(second, lines(event(2)))
    with Leases(partner.client, "another-run", wait_seconds=0, tell=print) as leases:
        Claims(leases, NAME, print).take([first])
        partner.ingest()
        assert partner.seen() == [2]
        assert bucket_of(first) == theirs
    partner.ingest()
    assert partner.seen() == [1, 2]
