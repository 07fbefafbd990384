"""Files are loaded once a version, from a bucket and from a directory, and their rows can be taken out again."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.file_ingestion.claims import Claims, bucket_of
from dags.file_ingestion.progress import not_loaded_text
from dags.file_ingestion.reading import DAYS_A_BLOCK
from dags.file_ingestion.store import read_ledger
from dags.tests.file_ingestion.partner import COLUMNS, NAME, Partner, event, lines
from dags.tests.variants import embedded_at_night
from dags.work.audit.log import Event

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn


def test_a_file_that_cannot_be_loaded_is_named_and_its_neighbours_are_loaded(partner: Partner) -> None:
    partner.declared["source_file_pattern"] = "**/*.jsonl*"
    partner.put("good.jsonl", lines(event(1)))
    partner.put("malformed.jsonl", lines(event(2)) + b'{"tenant": 1, "id": \n')
    partner.put("truncated.jsonl.gz", gzip.compress(lines(*map(event, range(100, 2000))))[:-300])
    partner.put("no-team.jsonl", lines(event(3), event(4, team=None)))
    partner.put("no-time.jsonl", lines(event(5), event(6, at="")))
    partner.put("odd-time.jsonl", lines(event(7, at="05/01/2026 10:00")))
    partner.put("year-zero.jsonl", lines(event(10, at="0000-01-01 00:00:00")))
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
    assert "1 row: timestamp is no time" in errors["year-zero.jsonl"]
    assert "team_id is no whole number" in errors["word.jsonl"]
    assert errors["empty.jsonl"] == "it is empty: 0 bytes"
    assert partner.states()["empty.jsonl"] == "skipped"
    told = not_loaded_text(read_ledger(partner.client, NAME))
    assert "FAILED   7 files not loaded; tried again after 6 h" in told
    assert "SKIPPED  1 file not loaded, for there is nothing in it" in told
    [(teams,)] = partner.client.query("SELECT groupUniqArray(team_id) FROM events").result_rows
    assert teams == [1]


@embedded_at_night
def test_files_that_another_run_has_are_left_to_it(partner: Partner) -> None:
    names = {bucket_of(f"{number}.jsonl"): f"{number}.jsonl" for number in range(50)}
    (theirs, first), (_, second) = list(names.items())[:2]
    partner.put(first, lines(event(1)))
    partner.put(second, lines(event(2)))
    with Leases(partner.client, "another-run", wait_seconds=0, tell=print) as leases:
        Claims(partner.client, leases, NAME, print).take([first])
        partner.ingest()
        assert partner.seen() == [2]
        assert bucket_of(first) == theirs
    partner.ingest()
    assert partner.seen() == [1, 2]


@embedded_at_night
def test_a_file_that_is_replaced_or_deleted_before_it_is_read_is_never_half_there(partner: Partner) -> None:
    partner.put("a.jsonl", lines(event(1), event(2)))
    partner.put("b.jsonl", lines(event(3)))
    partner.put("c.jsonl", lines(event(4)))
    planned, work = partner.accepted()
    partner.put("a.jsonl", lines(event(1), event(9), event(10)))
    partner.delete("b.jsonl")
    partner.carried_out(planned, work)
    assert partner.seen() == [4]
    assert partner.states() == {"a.jsonl": "failed", "b.jsonl": "failed", "c.jsonl": "success"}
    assert "changed while it was read" in partner.errors()["a.jsonl"]
    partner.ingest()
    assert partner.seen() == [1, 4, 9, 10]


@embedded_at_night
def test_a_version_that_comes_again_is_loaded_again(partner: Partner) -> None:
    old, new = lines(event(1)), lines(event(2), event(3))
    partner.put("a.jsonl", old)
    partner.put("b.jsonl", lines(event(7)))
    partner.ingest()
    partner.put("a.jsonl", new)
    partner.ingest()
    partner.put("a.jsonl", old)
    partner.put("b.jsonl", lines(event(8)))
    partner.ingest(max_files=1)
    assert sorted(partner.states().values()) == ["discovered", "success"]
    partner.ingest()
    assert partner.seen() == [1, 8]


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_a_file_of_parquet_that_lacks_a_column_is_loaded_without_it_unless_it_is_required(
    client: Client, dsn: Dsn, server_files: Path
) -> None:
    partner = Partner(dsn, client, server_files)
    partner.declared |= {"format": "Parquet", "source_file_pattern": "**/*.parquet"}
    partner.put("x", b"")
    id_ = "toString(toUUID('00000000-0000-0000-0000-00000000000{}')) AS id"
    for number, columns in ((1, "now() AS at, 7 AS tenant"), (2, "now() AS at, 'v' AS visit"), (3, "7 AS tenant")):
        path = f"{server_files}/data/{number}.parquet"
        client.command(f"INSERT INTO FUNCTION file('{path}') SELECT {columns}, {id_.format(number)}")
        os.utime(path, (0, 0))
    partner.ingest()
    assert partner.seen() == [1]
    errors = partner.errors()
    assert "team_id is absent" in errors["2.parquet"]
    assert "timestamp is absent" in errors["3.parquet"]
    [(years,)] = client.query("SELECT groupUniqArray(toYear(timestamp)) FROM events").result_rows
    assert 1970 not in years


def test_a_directory_that_disappears_is_no_empty_one(partner: Partner) -> None:
    partner.declared["source_file_pattern"] = "**"
    partner.put("year=2026/a.jsonl", lines(event(1)))
    partner.ingest()
    if partner.bucket is not None:  # as consoles make directories
        partner.put("", b"")
        partner.put("year=2026/", b"")
    partner.delete("year=2026/a.jsonl")
    with pytest.raises(UserError, match="has, and 1 are known: it was emptied, renamed"):
        partner.ingest()
    assert partner.seen() == [1]


@embedded_at_night
def test_rows_that_are_there_whole_stay_when_their_file_cannot_be_read_again(partner: Partner) -> None:
    good, bad = lines(event(1)), lines(event(2, team=None))
    partner.put("a.jsonl", good)
    partner.ingest()
    partner.put("a.jsonl", bad)
    partner.ingest()
    partner.put("a.jsonl", good)
    planned, work = partner.accepted()
    partner.put("a.jsonl", lines(event(3), event(4)))
    partner.carried_out(planned, work)
    assert partner.seen() == [1]
    partner.ingest()
    assert partner.seen() == [3, 4]


@embedded_at_night
def test_a_run_that_dies_when_old_rows_are_out_and_says_so_to_nobody_leaves_the_new_ones_to_readers(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner.put("a.jsonl", lines(event(1)))
    partner.ingest()
    partner.put("a.jsonl", lines(event(2), event(3)))
    planned, work = partner.accepted()
    with monkeypatch.context() as patched:
        patched.setattr("dags.file_ingestion.loading.Loading._not_loaded", _die)
        partner.put("b.jsonl", b"{")
        planned, work = partner.accepted()
        with pytest.raises(KeyboardInterrupt):
            partner.carried_out(planned, work)
    assert partner.seen() == [2, 3]
    partner.put("a.jsonl", lines(event(4), event(5), event(6)))
    partner.carried_out(planned, work)
    assert partner.seen() == [2, 3]
    partner.ingest()
    assert partner.seen() == [4, 5, 6]


def _die(*_: object) -> None:
    raise KeyboardInterrupt


@embedded_at_night
def test_files_that_are_declared_to_lie_elsewhere_take_the_place_of_none_unless_they_were_moved(
    partner: Partner,
) -> None:
    partner.put("a.jsonl", lines(event(1)))
    partner.ingest()
    partner.declared["source_path"] = f"{partner.root}elsewhere/"
    partner.put("elsewhere/a.jsonl", lines(event(2), event(3)))
    with pytest.raises(UserError, match="would take the place of their rows"):
        partner.ingest()
    assert partner.seen() == [1]
    partner.ingest(is_moved=True)
    assert partner.seen() == [2, 3]
    assert partner.ingest() is None


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_times_that_do_not_exist_are_refused_and_made_no_others(client: Client, dsn: Dsn, server_files: Path) -> None:
    partner = Partner(dsn, client, server_files)
    wrong = (
        "2026-01-00", "2026-00-10", "2026-02-30", "2026-13-01", "2026-01-05T25:00:00Z", "2026-01-05T12:60:00Z",
        "2026-01-05T12:00:99Z", "2026-01-05T12:00:00+99:99", "2026-01-05T12", "2026-01-05T12:00:00.", "20260105",
        "2026-01-05T12:00:00,5", "2026-01-05T12:00:00-03",
    )  # fmt: skip
    right = {
        "2026-01-05": "2026-01-05 00:00:00.000000",
        "2026-01-05T12:30Z": "2026-01-05 12:30:00.000000",
        "2026-01-05 12:30:01.5": "2026-01-05 12:30:01.500000",
        "2026-01-05T23:30:00.123456789+0530": "2026-01-05 18:00:00.123456",
        "2026-01-05T23:30:00-03:00": "2026-01-06 02:30:00.000000",
    }
    for number, at in enumerate((*right, *wrong)):
        partner.put(f"{number}.jsonl", lines(event(number + 1, at=at)))
    partner.ingest()
    rows = client.query("SELECT uuid, toString(timestamp) FROM events ORDER BY uuid").result_rows
    assert [text for _, text in rows] == list(right.values())
    assert len(partner.errors()) == len(wrong)


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_links_are_told_and_passed_over_and_names_that_mean_something_to_the_engine_are_names(
    client: Client, dsn: Dsn, server_files: Path
) -> None:
    partner = Partner(dsn, client, server_files)
    names = [
        "plain.jsonl",
        "a,b.jsonl",
        "{c}.jsonl",
        "d*.jsonl",
        "e?.jsonl",
        "[f].jsonl",
        "g\\h.jsonl",
        "ü #%20'.jsonl",
    ]
    for number, name in enumerate(names, 1):
        partner.put(f"of {number}/{name}.jsonl", lines(event(number)))
    partner.ingest(max_files=4)
    root = server_files / "data"
    (root / "link.jsonl").symlink_to(root / "of 1" / "plain.jsonl")
    (root / "loop").symlink_to(root)
    (root / os.fsdecode(b"M\xe4rz.jsonl")).write_bytes(lines(event(99)))
    planned = partner.planned()
    assert any("1 symbolic link passed over" in note for note in planned.notes)
    assert any("1 file passed over, whose names are no UTF-8" in note for note in planned.notes)
    partner.ingest()
    assert (set(partner.seen()), partner.errors()) == (set(range(1, len(names) + 1)), {})


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_files_of_before_1970_are_files(client: Client, dsn: Dsn, server_files: Path) -> None:
    partner = Partner(dsn, client, server_files)
    for number, seconds in enumerate((-(10**9), -1, 0, 2 * 10**9), 1):
        partner.put(f"{number}.jsonl", lines(event(number)))
        os.utime(server_files / "data" / f"{number}.jsonl", (seconds, seconds))
    partner.ingest()
    assert (partner.seen(), partner.errors()) == ([1, 2, 3, 4], {})
    assert partner.ingest() is None


@embedded_at_night
def test_rows_of_many_days_in_no_order_are_there_and_are_known_to_be_so_to_the_groups_that_follow(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dags.file_ingestion.plan.FILES_A_GROUP", 1)
    days = [f"2026-01-{1 + number % 25:02d}T12:00:00Z" for number in range(75)]
    partner.put("a.jsonl", lines(*(event(number, at=day) for number, day in enumerate(days, 1))))
    partner.put("b.jsonl", lines(*(event(number, at=day) for number, day in enumerate(days, 101))))
    partner.put("bad.jsonl", lines(event(200, at=days[0]), event(201, at="never")))
    landed, run = list[Any](), Sql._run

    def ran(itself: Sql, send: Any, name: str, parameters: Any, *rest: Any) -> Any:
        landed.extend([parameters["days"]] if name == "land" else [])
        return run(itself, send, name, parameters, *rest)

    monkeypatch.setattr(Sql, "_run", ran)
    partner.ingest()
    assert partner.seen() == [*range(1, 76), *range(101, 176)]
    assert partner.states() == {"a.jsonl": "success", "b.jsonl": "success", "bad.jsonl": "failed"}
    assert landed == [DAYS_A_BLOCK, 0, 0, 0]  # none is a limit
    rows = partner.client.query("SELECT uniqExact(toDate(timestamp)), count() FROM events").result_rows
    assert rows == [(25, 150)]


def test_a_value_that_is_absent_is_none_and_not_what_the_target_would_have_had(partner: Partner) -> None:
    partner.client.command("ALTER TABLE events ADD COLUMN plan String DEFAULT 'free', ADD COLUMN price Nullable(Int32)")
    partner.declared["columns"] = {**COLUMNS, "plan": "plan", "price": "price"}
    partner.put("a.jsonl", lines(event(1, plan=None, price=None), event(2), event(3, plan="paid", price=7)))
    partner.ingest()
    found = partner.client.query("SELECT plan, price FROM events ORDER BY uuid").result_rows
    assert found == [("", None), ("", None), ("paid", 7)]


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_what_a_group_has_read_before_it_failed_is_among_what_was_read(
    client: Client, dsn: Dsn, server_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner, run = Partner(dsn, client, server_files), Sql._run
    content = lines(event(1))
    partner.put("a.jsonl", content)

    def ran(itself: Sql, send: Any, name: str, *rest: Any) -> Any:
        if name == "attach_day":
            raise DatabaseError("Code: 36. DB::Exception: no")
        return run(itself, send, name, *rest)

    monkeypatch.setattr(Sql, "_run", ran)
    state = partner.ingest()
    assert state is not None
    [failed] = [entry for entry in state.entries if entry.event == Event.STEP_FAILED]
    assert failed.bytes_read == len(content)
