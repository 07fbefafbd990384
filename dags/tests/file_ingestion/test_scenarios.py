"""The ten scenarios of an ingestion, from a bucket and from a directory, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dags.file_ingestion.clearing import clear, files_to_clear
from dags.file_ingestion.fields import ClearFilesConfig
from dags.file_ingestion.planning import progress_now
from dags.file_ingestion.progress import range_text, report_text
from dags.settings import read_settings
from dags.sources.file import read_sources
from dags.tests.events import Event, insert
from dags.tests.file_ingestion.partner import NAME, Partner, event, lines
from dags.tests.variants import embedded_at_night, server_at_night
from dags.work import control
from dags.work.audit.store import Log, require_state

if TYPE_CHECKING:
    from dags.sources.ingestions import Ingestion

OTHERS = [Event(1, datetime(2026, 1, 5, 9, tzinfo=UTC), f"s{number}") for number in range(3)]


def ingestion_of(partner: Partner) -> Ingestion:
    return read_sources(read_settings(partner.variables)).ingestion(NAME)


def others_of(partner: Partner) -> int:
    [(count,)] = partner.client.query("SELECT count() FROM events WHERE load_id = 0").result_rows
    return int(count)


def column(partner: Partner, name: str) -> dict[int, Any]:
    """What readers see of a column, by the number of the event."""
    rows = partner.client.query(f"SELECT uuid, {name} FROM events WHERE load_id != 0").result_rows
    return {one.int: value for one, value in rows}


def test_f1_the_first_run_loads_every_file_that_the_pattern_has(partner: Partner) -> None:
    partner.put("year=2026/a b#ü.jsonl", lines(event(1), event(2)))
    partner.put("year=2026/month=01/b.jsonl", lines(event(3)))
    partner.put("year=2026/readme.txt", b"no event")
    state = partner.ingest()
    assert state is not None
    assert (state.status, partner.seen(), partner.errors()) == ("completed", [1, 2, 3], {})
    assert partner.states() == {"year=2026/a b#ü.jsonl": "success", "year=2026/month=01/b.jsonl": "success"}
    assert partner.ingest() is None


@embedded_at_night
def test_f2_after_a_change_of_the_mapping_everything_is_loaded_again_and_rows_of_others_stay(partner: Partner) -> None:
    insert(partner.client, OTHERS)
    partner.put("a.jsonl", lines(event(1, town="Rome"), event(2, town="Oslo", at="2026-01-06T00:00:00Z")))
    partner.put("gone.jsonl", lines(event(3)))
    partner.ingest()
    partner.delete("gone.jsonl")
    partner.declared["columns"] = {**partner.columns, "city_name": "town"}
    shown = partner.refresh("full")
    assert (shown["dry_run"], shown["run_id"], partner.seen()) == (True, None, [1, 2, 3])
    assert (shown["impact"]["files_to_process"], shown["impact"]["files_skipped"]) == (1, 0)
    assert shown["impact"]["estimated_cost_usd"] >= 0
    assert "1 rows are taken out and cannot be loaded again" in shown["notes"][1]
    with pytest.raises(Exception, match="confirm is false"):
        partner.refresh("full", dry_run=False)
    done = partner.refresh("full", dry_run=False, confirm=True)
    assert [(one["operation"], one["status"]) for one in done["operations"]] == [
        ("clear_history", "done"), ("take_out_rows", "done"), ("run", "planned"),
    ]  # fmt: skip
    assert partner.seen() == [1, 2]
    partner.ingest()
    assert column(partner, "city_name") == {1: "Rome", 2: "Oslo"}
    assert (partner.seen(), others_of(partner)) == ([1, 2], len(OTHERS))
    assert partner.ingest() is None


@embedded_at_night
def test_f3_a_replaced_file_is_noticed_and_its_rows_take_the_place_of_the_old(partner: Partner) -> None:
    insert(partner.client, OTHERS)
    partner.put("2026-01-05/a.jsonl", lines(event(1), event(2)))
    partner.put("2026-01-06/b.jsonl", lines(event(5, at="2026-01-06T00:00:00Z")))
    partner.ingest()
    partner.put("2026-01-05/a.jsonl", lines(event(2), event(3), event(4)))
    partner.ingest()
    assert partner.seen() == [2, 3, 4, 5]
    asked = {"ingestion": NAME, "first_day": "2026-01-06", "dry_run": False, "reason": "a test", "requested_by": "ada"}
    chosen = files_to_clear(partner.client, ClearFilesConfig.model_validate(asked), ingestion_of(partner))
    assert list(chosen) == ["2026-01-06/b.jsonl"]
    assert clear(partner.client, ingestion_of(partner), list(chosen), "run-9", print) == 1
    assert partner.seen() == [2, 3, 4]
    partner.ingest()
    assert (partner.seen(), others_of(partner)) == ([2, 3, 4, 5], len(OTHERS))


@embedded_at_night
def test_f4_what_came_during_a_pause_is_up_to_date(partner: Partner) -> None:
    partner.put("a.jsonl", lines(event(1)))
    partner.ingest()
    partner.declared["status"] = "PAUSED"
    partner.put("b.jsonl", lines(event(2)))
    partner.put("a.jsonl", lines(event(1), event(3)))
    with pytest.raises(Exception, match="is PAUSED"):
        partner.ingest()
    assert partner.seen() == [1]
    partner.declared["status"] = "ACTIVE"
    partner.ingest()
    assert partner.seen() == [1, 2, 3]


@embedded_at_night
def test_f5_late_files_with_old_dates_are_taken(partner: Partner) -> None:
    partner.put("year=2026/month=06/day=01/a.jsonl", lines(event(1, at="2026-06-01T00:00:00Z")))
    partner.ingest()
    partner.put(
        "year=2024/month=02/day=29/b.jsonl", lines(event(2, at="2024-02-29T23:59:59.999999Z")), age=timedelta(days=800)
    )
    partner.ingest()
    assert partner.seen() == [1, 2]
    assert str(column(partner, "toDate(timestamp)")[2]) == "2024-02-29"


@server_at_night
def test_f6_an_ingestion_is_tried_before_it_is_used(partner: Partner) -> None:
    partner.put("year=2026/a.jsonl", lines(event(1)))
    partner.put("year=2025/b.jsonl", lines(event(2)))
    partner.declared |= {"status": "DRAFT", "source_file_pattern": "year=2025/*.jsonl", "name": "partner-logs-trial"}
    planned = partner.planned(ingestion="partner-logs-trial", dry_run=True)
    assert (planned.plan.files, planned.plan.bytes > 0, planned.plan.seconds > 0) == (1, True, True)
    assert partner.seen() == []
    [(events,)] = partner.client.query("SELECT count() FROM web_analytics_file_events").result_rows
    assert events == 0
    partner.ingest(ingestion="partner-logs-trial")
    assert partner.seen() == [2]
    del partner.declared["name"], partner.declared["status"], partner.declared["source_file_pattern"]
    partner.ingest()  # a trial keeps its own ledger: the same event of both counts once
    assert sorted(set(partner.seen())) == [1, 2]


@server_at_night
def test_f7_a_range_has_a_progress_of_its_own_and_ends_by_itself(partner: Partner) -> None:
    partner.declared |= {"from": "2026-01-01", "until": "2026-01-31", "max_files_per_run": 2}
    for day in range(1, 5):
        partner.put(f"2026-01-{day:02d}/a.jsonl", lines(event(day, at=f"2026-01-{day:02d}T12:00:00Z")))
    partner.put("2026-02-01/later.jsonl", lines(event(9)))
    planned, work = partner.accepted()
    assert planned.plan.subject == f"{NAME} 2026-01-01 to 2026-01-31"
    log = Log(partner.client, work, "ada's run")
    control.pause(partner.client, partner.kind, work.work_id, "ada's run", requested_by="ada", reason="a pause")
    assert require_state(partner.client, partner.kind, work.work_id).status == "paused"
    assert log.read() is not None
    state = partner.carried_out(planned, work)
    assert (state.status, partner.seen()) == ("completed", [3, 4])
    reached = progress_now(partner.client, ingestion_of(partner))
    assert (reached.files, reached.done, reached.left) == (4, 2, 2)
    assert not reached.is_over(ingestion_of(partner).until, datetime.now(UTC).date())  # type: ignore[arg-type]
    assert "LEFT     2 files" in range_text(ingestion_of(partner), reached, 1e6)
    partner.ingest()
    reached = progress_now(partner.client, ingestion_of(partner))
    assert reached.is_over(ingestion_of(partner).until, datetime.now(UTC).date())  # type: ignore[arg-type]
    assert "OVER     nothing of it is left" in range_text(ingestion_of(partner), reached, 1e6)
    assert partner.seen() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("year=*/month=*/day=*/**/*.jsonl", [1, 2, 3, 4]),
        pytest.param("year=2026/month=0[3-4]/**/*.jsonl", [2, 3], marks=server_at_night),
        pytest.param("year={2025,2026}/month={01..03}/day=*/*.jsonl", [1, 2], marks=server_at_night),
        pytest.param("year=2026/month=04/**", [3], marks=server_at_night),
    ],
)
def test_f8_patterns_have_the_partitions_that_they_say(partner: Partner, pattern: str, expected: list[int]) -> None:
    partner.put("year=2025/month=01/day=02/a.jsonl", lines(event(1)))
    partner.put("year=2026/month=03/day=02/b, c.jsonl", lines(event(2)))
    partner.put("year=2026/month=04/day=02/deep/er/{d}.jsonl", lines(event(3)))
    partner.put("year=2026/month=12/day=02/e.jsonl", lines(event(4)))
    partner.put("other/f.jsonl", lines(event(5)))
    partner.declared["source_file_pattern"] = pattern
    partner.ingest()
    assert partner.seen() == expected


@server_at_night
def test_f9_a_run_is_limited_and_says_what_it_costs_before_and_after(partner: Partner) -> None:
    partner.declared |= {"cost_usd_per_gb": 1000.0}
    contents = [lines(*map(event, range(10 * number, 10 * number + 9))) for number in (1, 2, 3)]
    for number, content in enumerate(contents):
        partner.put(f"2026-01-{number + 1:02d}.jsonl", content)
    plan = partner.planned(max_files=2).plan
    assert (plan.files, plan.later, plan.usd) == (2, 1, round(sum(map(len, contents[1:])) / 1e6, 4))
    assert partner.planned(max_bytes=len(contents[2])).plan.files == 1
    state = partner.ingest(max_files=2)
    assert state is not None
    cost = f"COST     {plan.usd:,.4f} USD of what was read, {plan.usd:,.4f} USD were estimated"
    assert cost in report_text(plan, state)
    assert partner.states() == {
        "2026-01-03.jsonl": "success", "2026-01-02.jsonl": "success", "2026-01-01.jsonl": "discovered",
    }  # fmt: skip
    partner.ingest()
    assert len(partner.seen()) == 27


@pytest.mark.parametrize(
    "resolution",
    ["auto_merge", *(pytest.param(one, marks=server_at_night) for one in ("manual", "backfill", "ignore"))],
)
def test_f10_new_columns_are_noticed_recorded_and_resolved_as_declared(partner: Partner, resolution: str) -> None:
    partner.declared["schema_changes"] = resolution
    partner.put("2026-01-01.jsonl", lines(event(1), event(2)))
    partner.ingest()
    partner.put("2026-01-02.jsonl", lines(event(3), event(4, city_name="Rome", shoe_size=44)))
    partner.ingest()
    [found] = [one for one in partner.schemas().versions if one.event == "noticed"]
    assert (found.number, found.columns, found.files) == (2, {"city_name": (), "shoe_size": ()}, ("2026-01-02.jsonl",))
    assert (str(found.resolution), found.resolved_by) == (resolution, NAME)
    is_merged = resolution in ("auto_merge", "backfill")
    assert column(partner, "city_name") == {1: "", 2: "", 3: "", 4: "Rome" if is_merged else ""}
    again = partner.ingest()
    assert (again is not None) == (resolution == "backfill")
    if resolution == "manual":
        partner.resolve(2, "backfill")
        partner.ingest()
        assert column(partner, "city_name")[4] == "Rome"
    versions = partner.client.query("SELECT DISTINCT schema_version FROM processed_files ORDER BY 1").result_rows
    assert [one for (one,) in versions] == {
        "auto_merge": [1, 2], "ignore": [1], "backfill": [2], "manual": [3],
    }[resolution]  # fmt: skip
    assert partner.seen() == [1, 2, 3, 4]
    assert partner.ingest() is None
