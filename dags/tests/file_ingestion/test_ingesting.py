"""Files are loaded once a version, from a bucket and from a directory, and their rows can be taken out again."""

from __future__ import annotations

import gzip

from dags.clickhouse.leases.store import Leases
from dags.file_ingestion.claims import Claims, bucket_of
from dags.tests.file_ingestion.partner import NAME, Partner, event, lines


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
