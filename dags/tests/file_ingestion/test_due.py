"""Which ingestions are due, where they look, and which of them a tick launches."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from dagster import DagsterRun, DagsterRunStatus

from dags.file_ingestion.due import Asked, Due, Seen, after, as_cursor, choose, cursor_of, that_are_due, where
from dags.file_ingestion.fields import Scope
from dags.file_ingestion.sensors import NOTHING_LOADED_TAG, broke_down
from dags.sources.ingestions import Ingestion

NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
TICK = datetime(2026, 6, 1, 10, tzinfo=UTC)
RANGE = {"from": "2026-01-01", "until": "2026-01-31"}


def ingestion(name: str = "a", **given: Any) -> Ingestion:
    document = {
        "name": name, "source_path": "s3://bucket/", "source_file_pattern": "**", "format": "JSONEachRow",
        "columns": {"team_id": "t", "uuid": "u", "timestamp": "a", "event": "e"}, **given,
    }  # fmt: skip
    return Ingestion.model_validate(document)


TODAY = NOW.date()
HERE, IN_RANGE = where(ingestion()), where(ingestion(**RANGE))


def asked(hours: float, everything: date = TODAY) -> dict[str, Asked]:
    return {"a": Asked(TICK - timedelta(hours=hours), everything, where=HERE)}


@pytest.mark.parametrize(
    ("given", "known", "scope"),
    [
        ({}, {}, None),
        ({"schedule": "hourly"}, {}, Scope.EVERYTHING),
        ({"schedule": "hourly"}, asked(0), None),
        ({"schedule": "hourly"}, asked(1), Scope.RECENT),
        ({"schedule": "hourly"}, asked(1, date(2026, 5, 31)), Scope.EVERYTHING),
        ({"schedule": "hourly", "status": "DRAFT"}, {}, None),
        ({"schedule": "hourly", "status": "PAUSED"}, {}, None),
        (RANGE, {}, Scope.EVERYTHING),
        (RANGE, {"a": Asked(TICK, TODAY, where=IN_RANGE)}, Scope.RECENT),
        (RANGE, asked(0), Scope.EVERYTHING),
        ({**RANGE, "schedule": "hourly"}, asked(0), None),
        (RANGE, {"a": Asked(NOW - timedelta(minutes=59), TODAY, is_idle=True)}, None),
        (RANGE, {"a": Asked(NOW - timedelta(minutes=61), TODAY, is_idle=True, where=IN_RANGE)}, Scope.RECENT),
        ({"from": "2026-01-01"}, {}, None),
    ],
)
def test_an_ingestion_is_due_by_its_schedule_and_a_range_without_one_always(
    given: dict[str, Any], known: dict[str, Asked], scope: Scope | None
) -> None:
    due = that_are_due([ingestion(**given)], known, lambda *_: TICK, NOW)
    assert [one.scope for one in due] == ([scope] if scope else [])


def test_normal_runs_go_first_and_nothing_is_launched_without_files_or_while_it_is_held() -> None:
    names = {
        name: Due(ingestion(name, schedule="hourly"), TICK, Scope.RECENT)
        for name in ("busy", "idle", "held", "new", "old")
    }
    a_range = Due(ingestion("a-range", **RANGE), NOW, Scope.EVERYTHING)
    due = [a_range, *names.values()]
    seen = {"idle": Seen(0), "held": Seen(held="it is paused"), "old": Seen(3)}
    choice = choose(due, {"busy": "run 1 is at it"}, seen, "")
    assert [one.name for one in choice.launched] == ["new", "old", "a-range"]
    assert choice.others == {"busy": "run 1 is at it", "idle": "no file waits", "held": "it is paused"}
    waits = choose(due, {}, seen, "12345678-9")
    assert "a-range" not in [one.name for one in waits.launched]
    assert waits.others["a-range"] == "its range gives way to run 12345678"
    known = after({}, due, choice, NOW)
    assert known.keys() == {"new", "old", "a-range", "idle"}
    assert (known["new"], known["idle"]) == (
        Asked(TICK, TODAY, where=HERE), Asked(TICK, TODAY, is_idle=True, where=HERE),
    )  # fmt: skip


def test_a_run_that_failed_may_have_listed_nothing() -> None:
    [due] = that_are_due([ingestion(schedule="hourly")], asked(1), lambda *_: TICK, NOW, failed=["a"])
    assert due.scope is Scope.EVERYTHING


def test_everything_is_listed_once_a_day() -> None:
    known, scopes = dict[str, Asked](), list[Scope]()
    for hour in range(30):
        now = TICK + timedelta(hours=hour)
        due = that_are_due([ingestion(schedule="hourly")], known, lambda *_, now=now: now, now)
        scopes += [one.scope for one in due]
        known = cursor_of(as_cursor(after(known, due, choose(due, {}, {}, ""), now)), now)
    assert [place for place, scope in enumerate(scopes) if scope is Scope.EVERYTHING] == [0, 14]


@pytest.mark.parametrize(
    "text",
    [
        None, "", "no", "[]", '{"a": {}}', '{"a": {"at": "x", "everything": "y"}}',
        '{"a": {"at": "2026-06-01T09:00:00", "everything": "2026-06-01"}}',
        '{"a": {"at": "2027-06-01T09:00:00+00:00", "everything": "2026-06-01"}}',
        '{"a": {"at": "2026-06-01T09:00:00+00:00", "everything": "2027-06-01"}}',
    ],
)  # fmt: skip
def test_a_cursor_that_cannot_be_read_makes_everything_due(text: str | None) -> None:
    assert cursor_of(text, NOW) == {}


@pytest.mark.parametrize(
    ("status", "tags", "is_so"),
    [
        (DagsterRunStatus.FAILURE, {}, True),
        (DagsterRunStatus.FAILURE, {NOTHING_LOADED_TAG: "true"}, False),
        (DagsterRunStatus.SUCCESS, {}, False),
    ],
)
def test_a_run_that_could_load_none_of_its_files_did_not_break_down(
    status: DagsterRunStatus, tags: dict[str, str], *, is_so: bool
) -> None:
    """What broke down is tried again in an hour, and may have listed nothing."""
    assert broke_down(DagsterRun(job_name="ingest_files_job", status=status, tags=tags)) is is_so
