"""What the audit shows of backfills: who asked for each, when and why, and what came of it, as long as it is kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from dagster import Failure

from dags.dagster_runs.tags import DAILY_RUN_TAG, REASON_TAG, REQUESTED_BY_TAG
from dags.domain.errors import EngineError
from dags.domain.text import WIDTH
from dags.managed_backfill.kind import BACKFILL
from dags.tests.managed_backfill import asked
from dags.tests.variants import at_night, server_at_night
from dags.tests.world import BOUNCES, STATS, ago
from dags.work.audit.log import Entry, Event, Status
from dags.work.audit.store import Log, read_works, require_state

if TYPE_CHECKING:
    from dags.tests.world import World

pytestmark = server_at_night

DAYS = [ago(n) for n in (3, 2, 1)]
WHO = {"requested_by": "bob", "reason": "it was wrong"}


def unreadable(*_: object) -> None:
    raise EngineError("it is away")


class Audit:
    """`show_backfills_job`, as a person reads it: lines folded, times left out."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self.capsys = capsys

    def shown(self, job: str = "show_backfills_job", **given: Any) -> str:
        self.capsys.readouterr()
        self.world.run_as_configured(job, given)
        text = self.capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= WIDTH
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "<at>", " ".join(text.split()))

    def report(self, backfill_id: str) -> dict[str, Any]:
        ran = self.world.run_as_configured("show_backfills_job", {"backfill_id": backfill_id})
        return ran.output_for_node("show_backfills")  # type: ignore[no-any-return]

    def has(self, backfill_id: str, *words: str, **given: Any) -> None:
        """In the list and alone."""
        for text in (self.shown(**given), self.shown(backfill_id=backfill_id)):
            assert [one for one in words if one not in text] == [], text


@at_night
def test_a_backfill_shows_who_when_why_and_what_came_of_it_until_after_its_deletion(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.traffic([1], DAYS)
    world.select(1)
    audit = Audit(world, capsys)
    # Today is accepted, and left out.
    span = {"start_date": str(DAYS[0]), "end_date": str(ago(0)), "dry_run": False}
    ran = world.run_as_configured("managed_backfill_job", asked(**span, chunk_size_days=1, max_source_rows=1))
    report = ran.output_for_node("managed_backfill")
    this = {"backfill_id": report["backfill_id"], **WHO}
    why = "source rows were read, the plan's ceiling is 1: resume it"
    audit.has(this["backfill_id"], "<at>", "by ada: a bug", why)
    text = audit.shown(backfill_id=this["backfill_id"].removeprefix("backfill-"))
    assert "1 of 3 chunks done" in text
    assert (report["requested_by"], report["reason"], report["outcome"]) == ("ada", "a bug", "paused")
    [row] = world.client.query("SELECT start_date, end_date FROM backfill_log").result_rows
    assert (row, f"{row[0]} … {row[1]}" in audit.shown()) == ((DAYS[0], DAYS[-1]), True)

    # A run that was killed has a line of its own, as long as nothing comes after it and for good.
    known = require_state(world.client, BACKFILL, this["backfill_id"])
    Log(world.client, known.work, "doomed-run").append(Entry(Event.STARTED, Status.RUNNING))
    died = "run doomed-r was killed, or silent for too long"
    assert f"{died}, nothing is heard of it" in audit.shown(backfill_id=this["backfill_id"])

    world.run_as_configured("stop_all_backfills_job", WHO)
    with pytest.raises(Failure, match="is paused: backfills are stopped by bob"):
        world.run_as_configured("resume_backfill_job", this)
    audit.has(this["backfill_id"], "backfills are stopped by bob")
    world.run_as_configured("resume_all_backfills_job", WHO)
    world.run_as_configured("resume_backfill_job", this)  # its ceiling counts anew
    world.run_as_configured("resume_backfill_job", this)
    text = audit.shown(backfill_id=this["backfill_id"])
    assert text.startswith("COMPLETED")
    # An estimate stands beside what it estimated, and what ClickHouse read in all by itself.
    assert "SOURCE 6 rows of these days; with the neighbours that bear on each 14, estimated 14 (0.00 GB) READ " in text
    assert "chunk days status rows source estimated read took estimated" in text
    assert "HISTORY <at> asked for, by ada: a bug <at> begun in run" in text
    assert text.count("gone on with in run") == 4
    assert re.search(f"gone on with in run doomed-r.+{died}, it had not come to an end.+gone on with in run", text)
    assert "by bob: it was wrong" in text
    for gate in ("source_has_data 4 times", "row_counts 4 times", "backup_taken 3 times", "every_chunk_succeeded"):
        assert gate in text

    written = audit.report(this["backfill_id"])
    taken_back = world.run_as_configured("rollback_backfill_job", this)
    text = audit.shown(backfill_id=this["backfill_id"])
    what_it_did_is_kept(audit, this["backfill_id"], written)
    assert "3 of the 3 days that it had replaced are as they were before it: 0 rows now, 6 as it had written" in text
    assert "a rollback began in run" in text
    assert "0 %" not in text
    audit.has(this["backfill_id"], "rolled back", "by bob: it was wrong")
    whoever_asks_hears_of_it(audit, this["backfill_id"], ran.run_id, taken_back.run_id)
    world.run_as_configured("delete_backfill_job", this)
    assert this["backfill_id"] not in audit.shown()
    audit.has(this["backfill_id"], "deleted", "it was rolled back before", status="deleted")


def what_it_did_is_kept(audit: Audit, backfill_id: str, written: dict[str, Any]) -> None:
    """Of a backfill that was rolled back; rows are those that the days have now, in the report and in SQL."""
    left = audit.report(backfill_id)
    sizes = ("source_rows", "source_rows_with_neighbours", "rows_read")
    assert {name: left[name] for name in sizes} == {name: written[name] for name in sizes}
    assert [chunk["source_rows"] for chunk in left["chunks"]] == [chunk["source_rows"] for chunk in written["chunks"]]
    assert (written["total_rows"], left["total_rows"]) == (6, 0)
    rows = audit.world.client.query("SELECT rows_affected FROM backfill_log").result_rows
    assert rows == [(left["total_rows"],)]


def whoever_asks_hears_of_it(audit: Audit, backfill_id: str, built_by: str, taken_back_by: str) -> None:
    """Of a backfill that was rolled back: who asks about a day of it, or about a run, even where the audit is away."""
    wrote = f"<at> {STATS} was rebuilt, 2 rows: {backfill_id}, run {built_by[:8]}, by ada: a bug"
    back = f"<at> {STATS} was put back as it was before, 0 rows: {backfill_id}, run {taken_back_by[:8]}, by bob: it was"
    assert re.search(f"BACKFILL {back}.+{wrote}", audit.shown("why_job", day=str(DAYS[0])))
    for run_id in (built_by, taken_back_by):
        said = audit.shown("why_job", run_id=run_id[:8])
        assert f"{backfill_id}, {STATS} of {DAYS[0]} … {DAYS[-1]}, is rolled back now, by bob" in said
    with audit.world.monkeypatch.context() as fault:
        fault.setattr("dags.web_preaggregated_backfill.jobs.read_works_of", unreadable)
        said = audit.shown("why_job", run_id=built_by)
    assert said.startswith(f"RUN {built_by}")
    assert "since cannot be read now: it is away" in said


def test_a_build_that_a_person_launched_is_in_the_audit_and_the_daily_one_is_not(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.traffic([1], DAYS)
    world.select(1)
    audit = Audit(world, capsys)
    build = {"partition_key": str(DAYS[0])}
    world.loop.run("web_pre_aggregate_job", **build, tags={DAILY_RUN_TAG: "true"})
    assert audit.shown().startswith("No backfill")
    tags = {REQUESTED_BY_TAG: "grace", REASON_TAG: "a late import"}
    run_id = world.loop.run("web_pre_aggregate_job", **build, tags=tags).run_id
    world.loop.run("web_pre_aggregate_job", partition_key=str(DAYS[1]))
    rows = read_works(world.client)
    assert {(row.work.subject, row.work.kind, str(row.status), row.requested_by) for row in rows} == {
        (table, "manual", "completed", who) for table in (BOUNCES, STATS) for who in ("", "grace")
    }
    this = next(row.work_id for row in rows if row.run_id == run_id)
    audit.has(this, "by grace: a late import", origin="manual")
    assert "by a person who is not named" in audit.shown()
