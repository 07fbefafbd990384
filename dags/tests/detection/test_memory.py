"""A day is read again when something that its verdicts depend on has changed, and only then."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.clickhouse.sql import Sql
from dags.detection import memory
from dags.detection.ledger import BuildRecord, append_to_ledger
from dags.detection.rules import Cause, Kind
from dags.detection.signals import Reading
from dags.detection.store import detect
from dags.domain import clock
from dags.domain.days import ONE_DAY
from dags.domain.units import ALL_TEAMS, Measure, Outcome
from dags.team_selection.store import write_selection
from dags.tests.as_built import as_built
from dags.tests.builds import TABLES, build
from dags.tests.detection.test_store import NOW, detected
from dags.tests.events import Event, at, insert
from dags.tests.runbook import symptom
from dags.tests.variants import embedded_at_night
from dags.web_preaggregated.tables import STATS, WEB_TABLES
from dags.web_preaggregated_backfill.report import status_line, table_statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection
    from dags.domain.days import DayRange
    from dags.domain.watched import Source, WatchedTable

# What is remembered is decided in Python; the statements are tried on both engines where each is tested.
pytestmark = [pytest.mark.story, embedded_at_night]

DAYS = [date(2026, 1, 5), date(2026, 1, 7), date(2026, 1, 10)]
WINDOW = 30


@pytest.fixture
def judged(client: Client) -> Client:
    """Two teams on three days, all built but one day, detected once."""
    write_selection(client, [1, 2])
    insert(client, [Event(team, at(f"{day} 10:00:00"), f"{team}-{day}") for team in (1, 2) for day in DAYS])
    as_built(client, 1, 2, days=DAYS[:2])
    assert detected(client).days_read == WINDOW
    return client


def test_what_has_not_changed_is_not_read_again_and_is_judged_alike(judged: Client) -> None:
    recalled, reads_all_days = detected(judged), detected(judged, reads_all_days=True)
    assert (recalled.days_read, reads_all_days.days_read) == (0, WINDOW)
    assert recalled.wrong == reads_all_days.wrong
    assert len(recalled.wrong) == 4
    assert recalled.complete_by_table == reads_all_days.complete_by_table == dict.fromkeys(TABLES, 4)
    assert recalled.cost.queries < reads_all_days.cost.queries
    assert recalled.oldest_reading < reads_all_days.oldest_reading  # type: ignore[operator]


def test_what_cannot_be_kept_costs_no_answer_and_is_told(client: Client) -> None:
    """Refused for whatever reason: a constraint stands for a full disk, too many parts, a right on one table."""
    write_selection(client, [1])
    wrong = set()
    for day, memory_of in enumerate(("day_states", "part_states", "builds"), start=1):
        table = f"web_pre_aggregated_{memory_of}"
        # A visit across midnight: the second day is a suspect that is verified, which the ledger would keep.
        midnight = at(f"2026-01-0{2 * day} 00:00:00") + ONE_DAY
        insert(client, [Event(1, midnight + timedelta(minutes=n), f"{day}") for n in (-1, 1)])
        wrong.add(date(2026, 1, 2 * day))
        client.command(f"ALTER TABLE {table} ADD CONSTRAINT nope CHECK 0")
        try:
            refused = detected(client, reads_all_days=True)
        finally:
            client.command(f"ALTER TABLE {table} DROP CONSTRAINT nope")
        assert not refused.unknown
        assert {v.unit.day for v in refused.wrong} == wrong
        [told] = filter(symptom("all was read, and not all is kept").match, refused.warnings)
        assert table in told
    assert not [one for one in detected(client).warnings if "kept" in one]


def loses_rows(client: Client) -> None:
    client.command(f"DELETE FROM {STATS.name} IN PARTITION 20260107 WHERE team_id = 1")


def loses_its_day(client: Client) -> None:
    client.command(f"ALTER TABLE {STATS.name} DROP PARTITION 20260107")


def gets_an_event(client: Client) -> None:
    insert(client, [Event(1, at(f"{DAYS[1]} 11:00:00"), "late")])


def is_built(client: Client) -> None:
    build(client, 1, 2, day=DAYS[1])


def fails_to_build(client: Client) -> None:
    append_to_ledger(
        client,
        [BuildRecord(STATS.name, DAYS[1], ALL_TEAMS, Outcome.FAILED, clock.utc_now(), "run", 1)],
    )


NEIGHBOURS = [DAYS[1] - timedelta(days=1), DAYS[1], DAYS[1] + timedelta(days=1)]


@pytest.mark.parametrize(
    ("change", "read_again"),
    [(loses_rows, 1), (loses_its_day, 1), (gets_an_event, len(NEIGHBOURS)), (is_built, 1), (fails_to_build, 1)],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_a_day_that_something_happened_to_is_read_again_and_no_other(
    judged: Client, change: Callable[[Client], None], read_again: int
) -> None:
    change(judged)
    changed = detected(judged)
    assert changed.days_read == read_again
    assert changed.wrong == detected(judged, reads_all_days=True).wrong


def test_a_failed_build_changes_the_reason_of_a_day_whose_data_is_the_same(judged: Client) -> None:
    day = DAYS[2]
    assert {v.cause for v in detected(judged).wrong} == {Cause.NEVER_BUILT}
    append_to_ledger(
        judged,
        [BuildRecord(t, day, ALL_TEAMS, Outcome.FAILED, clock.utc_now(), "run", 1) for t in TABLES],
    )
    assert {v.cause for v in detected(judged).wrong} == {Cause.BUILD_FAILED}


def test_another_list_of_teams_reads_every_day_again(judged: Client) -> None:
    write_selection(judged, [1, 2, 3])
    assert detected(judged).days_read == WINDOW


def test_a_day_that_closes_is_read_again(judged: Client) -> None:
    """On an open day a source that moved is no fault; when the day has closed it is one."""
    insert(judged, [Event(1, at("2026-01-12 10:00:00"), "first")])
    now = at("2026-01-13 12:00:00")
    build(judged, 1, 2, day=date(2026, 1, 12))
    insert(judged, [Event(1, at("2026-01-12 11:00:00"), "second")])
    # No merge between the two readings.
    for table in ("events", *TABLES):
        judged.command(f"OPTIMIZE TABLE {table} FINAL")
    assert not [v for v in detected(judged, now).wrong if v.unit.day == date(2026, 1, 12)]
    assert detected(judged, now).days_read == 0
    stale = [v for v in detected(judged, NOW).wrong if v.unit.day == date(2026, 1, 12)]
    assert {v.kind for v in stale} == {Kind.STALE}
    assert len(stale) == 2


def test_other_declarations_and_other_rules_read_every_day_again(
    judged: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = detect(judged, NOW, WEB_TABLES[:1], lookback_days=WINDOW, settle=timedelta(hours=1))
    assert alone.days_read == WINDOW
    monkeypatch.setattr(memory, "RULES_VERSION", memory.RULES_VERSION + 1)
    assert detected(judged).days_read == WINDOW


def test_a_clock_that_jumps_changes_no_verdict(judged: Client) -> None:
    for now in (NOW + timedelta(days=400), NOW - timedelta(days=2), NOW + timedelta(days=1), NOW):
        assert detected(judged, now).wrong == detected(judged, now, reads_all_days=True).wrong
        assert detected(judged, now).days_read == 0


def test_a_source_whose_rows_are_elsewhere_is_read_each_time_and_as_right(judged: Client) -> None:
    """Of a source that is spread over servers this one's parts tell nothing."""
    before = detected(judged).wrong
    judged.command("RENAME TABLE events TO events_local")
    judged.command("CREATE TABLE events AS events_local ENGINE = Merge(currentDatabase(), '^events_local$')")
    try:
        for _ in range(2):
            found = detected(judged)
            assert found.days_read == WINDOW
            assert found.wrong == before != ()
    finally:
        judged.command("DROP TABLE events SYNC")
        judged.command("RENAME TABLE events_local TO events")


def test_a_table_that_cannot_be_read_is_not_remembered_as_fine(judged: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the middle of the verification, and the one thing here that is not real."""
    loses_rows(judged)

    def fail(*_: object) -> None:
        raise DatabaseError("Code: 159. DB::Exception: Timeout exceeded")

    with monkeypatch.context() as fault:
        fault.setattr(Reading, "_sources", fail)
        unknown = detected(judged)
        assert unknown.unknown.keys() == {STATS.name}
        assert STATS.name not in {v.unit.table for v in unknown.wrong if v.unit.day == DAYS[1]}
    again = detected(judged)
    assert again.days_read == 1
    assert {(v.unit.table, v.unit.day) for v in again.wrong} >= {(STATS.name, DAYS[1])}


def test_a_fault_on_one_day_does_not_let_the_others_be_remembered_as_fine(
    judged: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each day is verified by itself here, and the one in the middle fails: two days are judged, before and after."""
    for day in DAYS:
        judged.command(f"ALTER TABLE {STATS.name} DROP PARTITION {day:%Y%m%d}")
    expected = detected(judged, reads_all_days=True).wrong
    assert {v.unit.day for v in expected} == set(DAYS)
    judged.command("TRUNCATE TABLE web_pre_aggregated_day_states")
    count = Reading._sources

    def fail_once(
        self: Reading, source: Source, units: Mapping[tuple[date, int], int]
    ) -> dict[date, dict[int, Measure]]:
        if {day for day, _ in units} == {DAYS[1]}:
            raise DatabaseError("Code: 159. DB::Exception: Timeout exceeded")
        return count(self, source, units)

    with monkeypatch.context() as fault:
        fault.setattr("dags.detection.signals.BATCH_ROWS", 0)
        fault.setattr(Reading, "_sources", fail_once)
        assert detected(judged).unknown.keys() == {STATS.name}
    assert detected(judged).wrong == expected


@pytest.fixture
def lost(judged: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """All that was built is gone and nothing is remembered; a range is six days, and a day is counted by itself."""
    for day in DAYS[:2]:
        for table in TABLES:
            judged.command(f"ALTER TABLE {table} DROP PARTITION {day:%Y%m%d}")
    judged.command("TRUNCATE TABLE web_pre_aggregated_day_states")
    monkeypatch.setattr("dags.detection.signals.UNITS_AT_ONCE", 6 * 2 * len(TABLES))
    monkeypatch.setattr("dags.detection.signals.BATCH_ROWS", 0)
    return judged


def hurried(client: Client, *, reads_all_days: bool = False) -> Detection:
    """A detection whose time is over before it begins."""
    settle = timedelta(hours=1)
    return detect(
        client, NOW, WEB_TABLES, lookback_days=WINDOW, settle=settle, verify_seconds=-1, reads_all_days=reads_all_days
    )


def test_ticks_without_any_time_come_to_the_end_newest_first_and_keep_what_they_found(lost: Client) -> None:
    seen: list[set[date]] = []
    left = WINDOW
    while left:
        found = hurried(lost)
        seen.append({v.unit.day for v in found.wrong})
        assert len(found.unverified) < left, "no progress"
        left = len(found.unverified)
        assert status_line(found).startswith("NOT YET KNOWN" if left else "NOT COMPLETE: 12 ")
        assert (symptom("not verified yet").search(status_line(found)) is not None) is bool(left)
        assert {status.is_complete for status in table_statuses(found)} == {False}
    # A range a tick, but for the one with two wrong days: of these a tick judges one.
    assert seen == [{DAYS[2]}, {*DAYS[1:]}, *[{*DAYS}] * 4]
    again = hurried(lost)
    assert (again.days_read, again.wrong) == (0, detected(lost, reads_all_days=True).wrong)
    # A check that reads all anew, and has no time, reads the newest; of the others it knows.
    anew = hurried(lost, reads_all_days=True)
    assert (anew.wrong, anew.complete_by_table, anew.unverified) == (again.wrong, again.complete_by_table, frozenset())
    assert 0 < anew.days_read < WINDOW
    for day in DAYS:
        build(lost, 1, 2, day=day)
    ticks = [hurried(lost) for _ in DAYS]
    assert [(tick.days_read, len(tick.unverified)) for tick in ticks] == [(1, 2), (1, 1), (1, 0)]
    assert ticks[-1].wrong == ()
    assert status_line(ticks[-1]).startswith("COMPLETE: 12 ")


def test_a_fault_in_the_middle_of_the_ranges_keeps_what_was_found_before_and_takes_nothing_for_complete(
    lost: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspects = Reading.suspects

    def fail_before(self: Reading, group: Sequence[WatchedTable], span: DayRange) -> Sequence[Any]:
        if span.start <= DAYS[1]:
            raise DatabaseError("Code: 210. DB::Exception: Connection refused")
        return suspects(self, group, span)

    with monkeypatch.context() as fault:
        fault.setattr(Reading, "suspects", fail_before)
        unknown = detected(lost)
        assert unknown.unknown.keys() == set(TABLES)
        assert unknown.wrong == ()
        assert {status.is_complete for status in table_statuses(unknown)} == {False}
        kept = lost.query("SELECT min(day), sum(length(alike.teams)) FROM web_pre_aggregated_day_states").result_rows
        assert kept == [(DAYS[1] + ONE_DAY, len(TABLES))]
    again = detected(lost)
    assert again.days_read == (DAYS[1] - again.calendar.judged.start).days + 1
    assert again.wrong == detected(lost, reads_all_days=True).wrong
    assert len(again.wrong) == 12


def test_a_range_that_needs_too_much_is_read_by_halves(lost: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    suspects, count = Reading.suspects, Sql.rows
    asked: list[int] = []

    def too_much() -> DatabaseError:
        error = DatabaseError("Code: 159. DB::Exception: Timeout exceeded")
        error.name = "TIMEOUT_EXCEEDED"
        return error

    def fail_on_more_than_two(self: Reading, group: Sequence[WatchedTable], span: DayRange) -> Sequence[Any]:
        asked.append(len(span))
        if len(span) > 2:
            raise too_much()
        return suspects(self, group, span)

    def fail_on_two_units(self: Sql, name: str, parameters: Any = None, **identifiers: str) -> Sequence[Any]:
        if name in ("unit_sources", "unit_targets") and len(parameters["teams"]) > 1:
            raise too_much()
        return count(self, name, parameters, **identifiers)

    expected = detected(lost, reads_all_days=True).wrong
    with monkeypatch.context() as fault:
        fault.setattr(Reading, "suspects", fail_on_more_than_two)
        fault.setattr(Sql, "rows", fail_on_two_units)
        found = detected(lost, reads_all_days=True)
    assert found.unknown == {}
    assert found.wrong == expected != ()
    assert asked == [6, 3, 2, 1, 3, 2, 1] * 5


def test_where_a_table_has_no_rows_nothing_is_counted_to_find_that_out(
    lost: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    count = Sql.rows

    def counted(self: Sql, name: str, parameters: Any = None, **identifiers: str) -> Sequence[Any]:
        asked.append(name)
        return count(self, name, parameters, **identifiers)

    with monkeypatch.context() as counting:
        counting.setattr(Sql, "rows", counted)
        assert len(detected(lost).wrong) == 12
    assert asked.count("unit_targets") == 0
    assert asked.count("unit_sources") == len(DAYS)


def test_a_count_that_read_less_than_there_is_is_no_answer_and_is_not_remembered(
    lost: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a profile does that cuts answers short without an error: no sessions where there are page views."""
    count = Sql.rows

    def cut_short(self: Sql, name: str, parameters: Any = None, **identifiers: str) -> Sequence[Any]:
        rows = count(self, name, parameters, **identifiers)
        return rows[:0] if name == "unit_sources" else rows

    with monkeypatch.context() as fault:
        fault.setattr(Sql, "rows", cut_short)
        found = detected(lost)
    assert found.unknown.keys() == set(TABLES)
    assert "read 0 rows of team 1 around 2026-01-10, where 1 were a moment before" in found.unknown[STATS.name]
    assert symptom("an exact count of … were a moment before").search(found.unknown[STATS.name])
    verified = "SELECT count() FROM web_pre_aggregated_builds WHERE outcome = 'verified'"
    assert lost.query(verified).result_rows == [(0,)]
    assert len(detected(lost).wrong) == 12


def test_people_may_ask_for_the_verdicts_in_sql(judged: Client) -> None:
    rows = judged.query(
        "SELECT table_name, team_id, day, kind, cause FROM web_pre_aggregated_verdicts ORDER BY table_name, team_id"
    ).result_rows
    assert rows == [(table, team, DAYS[2], "missing", "never built") for table in sorted(TABLES) for team in (1, 2)]
