"""The sensor of files, the refresh and the resolution of a schema, as people and the daemon meet them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterRunStatus, SkipReason, build_sensor_context

from dags.definitions import defs
from dags.domain.clock import utc_now
from dags.file_ingestion.due import where
from dags.file_ingestion.sensors import INGESTION_TAG, RANGE_TAG, files_sensor
from dags.sources.declaration import declared
from dags.sources.loads.log import FILES
from dags.tests.file_ingestion.partner import event, lines
from dags.tests.file_ingestion.test_jobs import files, ingest, put, run  # noqa: F401 -- a fixture among them
from dags.tests.variants import at_night, server_at_night
from dags.work.audit.log import Entry, Event, Status, Work
from dags.work.audit.store import Log

if TYPE_CHECKING:
    from pathlib import Path

    from dagster import SensorResult

    from dags.tests.world import World

JOB = "ingest_files_job"


def tick(world: World, document: Path, cursor: str | None = None) -> SensorResult:
    sensor = files_sensor(defs.resolve_job_def(JOB), declared(document.read_text(encoding="utf-8")))
    with build_sensor_context(
        instance=world.instance, cursor=cursor, resources=defs.resources, repository_def=defs.get_repository_def()
    ) as context:
        result: Any = sensor(context)
    assert not isinstance(result, SkipReason)
    return result  # type: ignore[no-any-return]


def launched(result: SensorResult) -> list[dict[str, Any]]:
    return [dict(one.run_config) for one in result.run_requests or ()]


def queue(world: World, **tags: str) -> str:
    """A run of the job that waits for its turn."""
    run = world.instance.create_run_for_job(
        defs.resolve_job_def(JOB), status=DagsterRunStatus.NOT_STARTED, tags={**tags}
    )
    return run.run_id


def waiting_text(result: SensorResult) -> str:
    found = result.skip_reason
    return str(found.skip_message if isinstance(found, SkipReason) else found)


@server_at_night
def test_a_run_is_launched_where_files_wait_and_nowhere_else(world: World, files: Path) -> None:  # noqa: F811
    document = files.parent / "files.yaml"
    put(files, "year=2026/month=01/a.jsonl", lines(event(1)))
    first = tick(world, document)
    [asked] = launched(first)
    assert (asked["ingestion"], asked["listing"], asked["dry_run"]) == ("partner-logs", "everything", False)
    assert waiting_text(tick(world, document, first.cursor)) == "no ingestion is due"
    world.run_as_configured(JOB, asked)
    there = where(declared(document.read_text(encoding="utf-8")).ingestion("partner-logs"))
    an_hour_ago = {
        "partner-logs": {"at": "2026-01-01T00:00:00+00:00", "everything": f"{utc_now():%Y-%m-%d}", "where": there}
    }
    cursor = json.dumps(an_hour_ago)
    assert waiting_text(tick(world, document, cursor)) == "partner-logs: no file waits"
    put(files, "year=2026/month=01/b.jsonl", lines(event(2)))
    [again] = launched(tick(world, document, cursor))
    assert again["listing"] == "recent"
    busy = queue(world, **{INGESTION_TAG: "partner-logs", RANGE_TAG: "false"})
    assert waiting_text(tick(world, document, cursor)) == f"partner-logs: run {busy[:8]} is at it"


@at_night
@server_at_night
def test_a_range_runs_until_it_is_over_gives_way_and_a_pause_holds_it(world: World, files: Path) -> None:  # noqa: F811
    document = files.parent / "files.yaml"
    text = document.read_text(encoding="utf-8")
    text = re.sub(r"    schedule: hourly.*\n", '    from: "2026-01-01"\n    until: "2026-01-31"\n', text)
    document.write_text(text + "    max_files_per_run: 1\n", encoding="utf-8")
    world.set(sources=document)
    for day in (1, 2, 3):
        put(files, f"year=2026/month=01/2026-01-0{day}.jsonl", lines(event(day, at=f"2026-01-0{day}T00:00:00Z")))
    first = tick(world, document)
    [asked] = launched(first)
    [request] = first.run_requests or ()
    assert (request.tags[RANGE_TAG], request.tags["dagster/priority"]) == ("true", "-1")
    assert world.run_as_configured(JOB, asked).output_for_node("ingest_files")["later"] == 2
    normal = queue(world, **{INGESTION_TAG: "another", RANGE_TAG: "false"})
    assert waiting_text(tick(world, document, first.cursor)) == f"partner-logs: its range gives way to run {normal[:8]}"
    stopped = world.run_as_configured(JOB, asked).output_for_node("ingest_files")
    assert (stopped["status"], stopped["groups_done"]) == ("completed", 0)
    world.instance.delete_run(normal)
    [asked] = launched(tick(world, document, first.cursor))
    world.run_as_configured(JOB, asked)
    log = Log(world.client, Work("file-ingestion-x", FILES, "partner-logs 2026-01-01 to 2026-01-31"), "a run")
    log.append(Entry(Event.ACCEPTED, Status.ACCEPTED), Entry(Event.ENDED, Status.PAUSED, requested_by="ada"))
    assert "file-ingestion-x is paused: resume or cancel it" in waiting_text(tick(world, document, first.cursor))
    world.run_as_configured(
        "cancel_file_ingestion_job", {"file_ingestion_id": "file-ingestion-x", "requested_by": "ada", "reason": "on"}
    )
    assert "was cancelled: ingest_files_job goes on" in waiting_text(tick(world, document, first.cursor))
    world.run_as_configured(JOB, asked)
    assert waiting_text(tick(world, document, first.cursor)) == (
        "partner-logs: its range is over: 3 files are loaded, 0 given up"
    )
    assert world.client.query("SELECT count() FROM events").result_rows == [(3,)]


@at_night
@server_at_night
def test_a_refresh_answers_with_its_impact_its_operations_and_what_is_lost(
    world: World,
    files: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(files, "year=2026/month=01/a.jsonl", lines(event(1), event(2)))
    put(files, "year=2026/month=01/b.jsonl", lines(event(3, colour="red")))
    ingest(world)
    shown = run(world, "refresh_ingestion", mode="full")
    assert shown.keys() == {"ingestion_id", "mode", "dry_run", "run_id", "impact", "operations", "notes"}
    assert shown["impact"].keys() == {
        "files_to_process", "files_skipped", "estimated_data_size_gb", "estimated_cost_usd",
        "estimated_duration_minutes", "oldest_file_date", "newest_file_date",
    }  # fmt: skip
    assert all(one.keys() == {"operation", "status", "timestamp", "details"} for one in shown["operations"])
    assert "DRY RUN" in capsys.readouterr().out
    with pytest.raises(Exception, match="confirm is false"):
        run(world, "refresh_ingestion", mode="full", dry_run=False)
    done = run(world, "refresh_ingestion", mode="full", dry_run=False, confirm=True, auto_run=True)
    assert (done["operations"][-1]["status"], done["run_id"] is not None) == ("completed", True)
    assert world.client.query("SELECT count(), uniqExact(uuid) FROM events").result_rows == [(3, 3)]
    taken = run(world, "refresh_ingestion", mode="new_only", dry_run=False, confirm=True)
    assert "LOST: 3 rows of 2 files taken out" in taken["notes"][1]
    assert world.client.query("SELECT count() FROM events").result_rows == [(0,)]
    put(files, "year=2026/month=01/c.jsonl", lines(event(4)))
    assert ingest(world)["files"] == 1
    run(world, "refresh_ingestion", mode="clear_history", dry_run=False, confirm=True)
    assert ingest(world)["files"] == 3
    assert world.client.query("SELECT count(), uniqExact(uuid) FROM events").result_rows == [(4, 4)]
    capsys.readouterr()
    world.run_as_configured(
        "resolve_schema_job",
        {"ingestion": "partner-logs", "version": 2, "resolution": "ignore", "requested_by": "ada", "reason": "no use"},
    )
    assert "RESOLVED version 2 of partner-logs: ignore" in capsys.readouterr().out
    run(world, "show_files")
    assert "refreshed" in capsys.readouterr().out
