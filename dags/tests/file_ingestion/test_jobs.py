"""An ingestion as people run it: the jobs of the location, as the README shows them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dagster import Failure

from dags.clickhouse.sql import is_embedded
from dags.file_ingestion.sensors import NOTHING_LOADED_TAG
from dags.health.causes import State
from dags.sources.file import read_sources
from dags.sources.loads.landing import all_landed
from dags.tests.file_ingestion.partner import event, lines
from dags.tests.health.matter import matters
from dags.tests.runbook import cure, symptom
from dags.tests.variants import server_at_night
from dags.tests.world import BOUNCES, STATS, World, ago, noon

README = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
[DECLARED] = re.findall(r"\$ cat files\.yaml\n(ingestions:\n.+?)\$ export", README, re.DOTALL)

if TYPE_CHECKING:
    from datetime import date


@pytest.fixture
def files(world: World, tmp_path: Path) -> Path:
    """The directory of the ingestion that the README declares."""
    if not is_embedded(world.client):
        [(allowed,)] = world.client.query(
            "SELECT value FROM system.server_settings WHERE name = 'user_files_path'"
        ).result_rows
        tmp_path = Path(allowed) / tmp_path.name
    root = tmp_path / "partner"
    root.mkdir(parents=True)
    document = tmp_path / "files.yaml"
    document.write_text(re.sub(r"s3://partner/data/ .*", f"{root}/", DECLARED), encoding="utf-8")
    world.set(sources=document)
    return root


def put(root: Path, path: str, content: bytes) -> None:
    """Upload a file, some time ago."""
    whole = root / path
    whole.parent.mkdir(parents=True, exist_ok=True)
    whole.write_bytes(content)
    moment = noon(ago(1)).timestamp()
    os.utime(whole, (moment, moment))


def of_day(day: date, numbers: range) -> bytes:
    """Events of that day, a minute apart."""
    moments = {number: f"{noon(day, number % 50):%Y-%m-%dT%H:%M:%SZ}" for number in numbers}
    return lines(*(event(number, at=at) for number, at in moments.items()))


def run(world: World, verb: str, **given: Any) -> dict[str, Any]:
    """Run a job; its report."""
    who = {"ingestion": "partner-logs", "requested_by": "ada", "reason": "two years came"}
    asked = {"ingestion": "partner-logs"} if verb == "show_files" else who
    found: dict[str, Any] = world.run_as_configured(f"{verb}_job", asked | given).output_for_node(verb)
    return found


def ingest(world: World, **given: Any) -> dict[str, Any]:
    return run(world, "ingest_files", **{"dry_run": False, **given})


def seen(world: World) -> list[Any]:
    rows = world.client.query(f"SELECT team_id, sumMerge(pageviews_count_state) FROM {STATS} GROUP BY 1 ORDER BY 1")
    return [tuple(row) for row in rows.result_rows]


@server_at_night
def test_history_arrives_in_files_the_detector_says_so_the_sensor_repairs_it_and_readers_see_it(
    world: World, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [ago(number) for number in range(4, 1, -1)]
    world.set(backfill_lookback_days=4)
    world.select(1)
    for number, day in enumerate(days):
        events = of_day(day, range(10 * number + 1, 10 * number + 4))
        put(files, f"year={day.year}/month={day.month}/{day}.jsonl", events)
    old = ago(700)
    put(files, f"year={old.year}/month={old.month}/{old}.jsonl", of_day(old, range(91, 94)))
    assert ingest(world, dry_run=True)["files"] == 4
    assert "DRY RUN" in capsys.readouterr().out
    report = ingest(world)
    assert (report["status"], report["files"], report["rows"]) == ("completed", 4, 12)
    printed = capsys.readouterr().out
    assert f"BEYOND   {old}" in printed
    assert symptom("BEYOND").search(printed)
    assert int(world.missing_data()["wrong_units"]) == 6
    world.run_as_configured("why_job", {"day": str(days[0])})
    assert "partner-logs" in capsys.readouterr().out
    world.carry_out(world.tick())
    assert int(world.missing_data()["wrong_units"]) == 0
    assert seen(world) == [(1, 9)]
    waits = matters(world.client, judged_from=ago(4))
    assert set(waits) == {f"old:{STATS}", f"old:{BOUNCES}"}
    assert symptom("… (table, team, day) before the look-back").match(waits[f"old:{STATS}"].what)
    assert waits[f"old:{STATS}"].state is State.NEEDS_YOU
    assert f"target_table: {STATS}, start_date: {old}, end_date: {old}" in waits[f"old:{STATS}"].command
    asked = {"target_table": STATS, "kind": "gap_filling", "start_date": str(old), "end_date": str(old)}
    who = {"requested_by": "ada", "reason": "two years came", "dry_run": False}
    world.run_as_configured(*cure("BEYOND", "managed_backfill_job", **asked, **who))
    assert seen(world) == [(1, 12)]
    assert set(matters(world.client, judged_from=ago(4))) == {f"old:{BOUNCES}"}
    world.run_as_configured("managed_backfill_job", {**asked, "target_table": BOUNCES, **who})
    assert matters(world.client, judged_from=ago(4)) == {}
    assert all_landed(world.client) == []
    assert ingest(world)["status"] == "nothing to do"


@server_at_night
def test_files_are_shown_cleared_and_loaded_again(
    world: World, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(files, "year=2026/month=01/2026-01-05.jsonl", lines(event(1)))
    put(files, "year=2026/month=01/2026-01-06.jsonl", lines(event(2), event(3, at="never")))
    ingest(world)
    capsys.readouterr()
    assert run(world, "show_files")["states"] == {"success": 1, "failed": 1}
    assert symptom("… file of … failed").match(matter(world, "failed"))
    assert "1 failed, 1 success" in capsys.readouterr().out
    with pytest.raises(Exception, match=r"no file-ingestion's id begins so\. show_files_job lists them"):
        run(world, "show_files", file_ingestion_id="none")
    with pytest.raises(Exception, match="nothing says which files"):
        run(world, "clear_files", dry_run=False)
    with pytest.raises(Exception, match=r"clearing files was refused.*\nfirst_day is after.*\npattern, character 3"):
        run(world, "clear_files", first_day="2026-01-06", last_day="2026-01-05", pattern="a/**b")
    assert run(world, "clear_files", last_day="2026-01-05")["dry_run"] is True
    cleared = run(world, "clear_files", last_day="2026-01-05", dry_run=False)
    assert (cleared["files"], cleared["rows"]) == (1, 1)
    assert world.client.query("SELECT count() FROM events").result_rows == [(0,)]
    assert ingest(world)["rows"] == 1
    states = world.client.query("SELECT path, state, retry_count, rows FROM processed_files ORDER BY path").result_rows
    assert [tuple(row) for row in states] == [
        ("year=2026/month=01/2026-01-05.jsonl", "SUCCESS", 0, 1),
        ("year=2026/month=01/2026-01-06.jsonl", "FAILED", 1, 0),
    ]
    put(files, "year=2026/month=01/2026-01-07.jsonl", lines(event(4, at="never")))
    with pytest.raises(Failure, match=r"none of 1 file was loaded.*2026-01-07.jsonl: 1 row: timestamp is no time"):
        ingest(world)
    [failed] = world.instance.get_runs(limit=1)
    assert NOTHING_LOADED_TAG in failed.tags
    seen = "… files of … failed"
    assert symptom(seen).match(matter(world, "failed"))
    bad = [f"year=2026/month=01/2026-01-0{day}.jsonl" for day in (6, 7)]
    given = {"ingestion": "partner-logs", "requested_by": "ada", "reason": "no use"}
    world.run_as_configured(*cure(seen, "clear_files_job", **given, paths=bad, dry_run=False))
    assert matter(world, "failed") == ""


def matter(world: World, part: str) -> str:
    """What is the matter with a part of the files, empty if nothing is."""
    causes = matters(world.client, read_sources(world.settings))
    cause = causes.get(f"files:partner-logs:{part}")
    return cause.what if cause is not None else ""


@server_at_night
def test_files_that_wait_are_loaded_and_a_schema_that_awaits_a_word_gets_it(
    world: World, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(files, "year=2026/month=01/2026-01-06.jsonl", lines(event(1)))
    put(files, "year=2026/month=01/2026-01-05.jsonl", lines(event(2, colour="red")))
    ingest(world, max_files=1)
    waits, awaits = "… to be loaded", "schema version … awaits a person's word"
    assert symptom(waits).match(matter(world, "waiting"))
    who = {"ingestion": "partner-logs", "requested_by": "ada", "reason": "looked at"}
    world.run_as_configured(*cure(waits, "ingest_files_job", **who, dry_run=False))
    assert symptom(awaits).match(matter(world, "schema"))
    world.run_as_configured(*cure(awaits, "resolve_schema_job", **who, version=2, resolution="ignore"))
    assert (matter(world, "waiting"), matter(world, "schema")) == ("", "")
    nowhere = "events has no column colour, so nothing of that is loaded"
    assert nowhere not in " ".join(capsys.readouterr().out.split())
    world.run_as_configured("resolve_schema_job", {**who, "version": 2, "resolution": "auto_merge"})
    assert nowhere in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_what_cannot_be_is_refused_before_anything_is_touched(world: World, files: Path, tmp_path: Path) -> None:
    put(files, "year=2026/month=01/a.jsonl", lines(event(1)))
    for given, words in (
        ({"ingestion": "nobody"}, "WEB_ANALYTICS_SOURCES declares partner-logs"),
        ({"reason": ""}, "reason"),
        ({"paths": ["year=2026/month=01/b.jsonl"]}, "is none of the directory"),
    ):
        with pytest.raises(Exception, match=words):
            ingest(world, **given)
    document = tmp_path / "files.yaml"
    text = document.read_text()
    wrong = re.sub(r"source_file_pattern: .*", "source_file_pattern: '{a'", text)
    for document_text, words in ((f"{text}    status: PAUSED\n", "is PAUSED"), (wrong, "no } closes this")):
        document.write_text(document_text)
        with pytest.raises(Exception, match=words):
            ingest(world)
    assert world.client.query("SELECT count() FROM web_analytics_file_events").result_rows == [(0,)]


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_a_place_that_is_empty_though_files_of_it_are_known_fails_the_run(world: World, files: Path) -> None:
    put(files, "year=2026/month=01/a.jsonl", lines(event(1)))
    ingest(world)
    (files / "year=2026/month=01/a.jsonl").unlink()
    with pytest.raises(Exception, match="has, and 1 are known"):
        ingest(world)
    assert world.client.query("SELECT count() FROM events").result_rows == [(1,)]
