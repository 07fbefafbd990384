"""Which files are loaded is decided by what is known of each, and by nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from dags.file_ingestion.versions import Days, FileEvent, FileVersion, Found, Known, Reason, decide, reason_for

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = 86_400_000_000
OLD = int((NOW - timedelta(days=400)).timestamp()) * 10**6
FILE = FileVersion("2026/01/05/a.jsonl", 10, OLD, "e1")


def known(event: FileEvent, version: FileVersion = FILE, *, failed: int = 0, hours: float = 0) -> Known:
    return Known(version, event, failed, NOW - timedelta(hours=hours), (1,))


@pytest.mark.parametrize(
    ("found", "before", "reason"),
    [
        (FILE, None, Reason.NEW),
        (FILE, known(FileEvent.SUCCESS), Reason.LOADED),
        (FileVersion(FILE.path, 10, OLD, "e2"), known(FileEvent.SUCCESS), Reason.REPLACED),
        (FileVersion(FILE.path, 11, OLD), known(FileEvent.SUCCESS, FileVersion(FILE.path, 10, OLD)), Reason.REPLACED),
        (FileVersion(FILE.path, 10, OLD + DAY, "e1"), known(FileEvent.SUCCESS), Reason.LOADED),
        (FILE, known(FileEvent.PROCESSING), Reason.BROKEN_OFF),
        (FILE, known(FileEvent.CLEARED), Reason.CLEARED),
        (FILE, known(FileEvent.SKIPPED), Reason.LEFT_OUT),
        (FILE, known(FileEvent.FAILED, failed=1, hours=5.9), Reason.WAITS),
        (FILE, known(FileEvent.FAILED, failed=1, hours=6), Reason.RETRIED),
        (FILE, known(FileEvent.FAILED, failed=3, hours=23.9), Reason.WAITS),
        (FILE, known(FileEvent.FAILED, failed=3, hours=24), Reason.RETRIED),
        (FILE, known(FileEvent.FAILED, failed=99, hours=24 * 7), Reason.RETRIED),
        (FILE, known(FileEvent.FAILED, failed=1, hours=-24 * 365), Reason.RETRIED),
        (FileVersion(FILE.path, 10, OLD, "e2"), known(FileEvent.FAILED, failed=9), Reason.REPLACED),
    ],
)
def test_the_reason_is_what_became_of_the_newest_version(
    found: FileVersion, before: Known | None, reason: Reason
) -> None:
    assert reason_for(found, before, NOW, settles=False) is reason


def test_a_file_of_a_directory_that_changed_a_moment_ago_waits() -> None:
    fresh = FileVersion("a", 1, int((NOW - timedelta(seconds=30)).timestamp()) * 10**6)
    assert reason_for(fresh, None, NOW, settles=True) is Reason.SETTLES
    assert reason_for(fresh, None, NOW, settles=False) is Reason.NEW
    ahead = FileVersion("a", 1, int((NOW + timedelta(days=400)).timestamp()) * 10**6)
    assert reason_for(ahead, None, NOW, settles=True) is Reason.NEW


def test_a_run_takes_the_newest_days_first_and_so_much_but_one_at_least() -> None:
    found = [Found(FileVersion(f"2026-01-{day:02d}/a", 100, OLD)) for day in (3, 1, 9)]
    for limits, names in (((2, 10**6), ["09", "03"]), ((9, 150), ["09"]), ((9, 1), ["09"]), ((9, 200), ["09", "03"])):
        decision = decide(found, {}, NOW, max_files=limits[0], max_bytes=limits[1], settles=False, days=Days())
        assert [one.version.path[8:10] for one in decision.wanted] == names
        assert len(decision.wanted) + len(decision.later) == 3


def test_a_range_takes_what_may_have_rows_of_its_days() -> None:
    days = Days(date(2026, 1, 5), date(2026, 1, 31))
    paths = {"2026-01-04": False, "2026-01-05": True, "year=2026/month=01/a": True, "2026-02-01": False, "a": False}
    assert {path: days.has(FileVersion(path, 1, OLD)) for path in paths} == paths
    by_time = Days(date(2026, 1, 5), by_path=False)
    assert not by_time.has(FileVersion("2026-01-06", 1, OLD))
    assert by_time.has(FileVersion("a", 1, int(NOW.timestamp()) * 10**6))


def test_each_version_of_a_file_has_a_number_of_its_own_and_always_the_same() -> None:
    versions = [
        FILE,
        FileVersion(FILE.path, 10, OLD, "e2"),
        FileVersion("b", 10, OLD, "e1"),
        FileVersion(FILE.path, 10, 1),
    ]
    assert len({one.load(name, schema) for one in versions for name in ("a", "b") for schema in (1, 2)}) == 16
    assert FILE.load("a", 1) == FileVersion(FILE.path, 99, 0, "e1").load("a", 1)
