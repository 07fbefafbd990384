"""Weeks in words and as JSON: what is not known is said to be unknown, and is no 0."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.domain.clock import utc_now
from dags.domain.text import WIDTH
from dags.metrics import store
from dags.metrics.recent import RECENT_DAYS, Builds, Gaps, Recent
from dags.metrics.store import read_recent, read_weeks
from dags.metrics.weeks import RunStatements, Statements, Took, Weeks, as_json, as_text, mondays
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.metrics.rows import BuildRow, EventRow, GapRow, insert_builds, insert_events, insert_gaps
from dags.tests.variants import embedded_at_night
from dags.tests.world import BOUNCES, STATS, ago
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.recalled import recalling
from dags.web_preaggregated_backfill.store import observe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.answers import Kept
    from dags.tests.world import World

KEPT = timedelta(days=400)
NO_LOG = """<clickhouse>
<profiles><default><log_queries>0</log_queries></default></profiles><quotas><default/></quotas>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
<quota>default</quota></default></users></clickhouse>"""
WEEKS = [date(2026, 10, 26), date(2026, 11, 2), date(2026, 11, 9)]

KNOWN = Weeks(
    mondays=WEEKS,
    tables=(BOUNCES, STATS),
    builds={(WEEKS[1], STATS): Builds(9, 1, 2), (WEEKS[2], STATS): Builds(0, 0, 3)},
    gaps={(WEEKS[2], STATS): Gaps(2, 1, 3.25, 4.0)},
    took={WEEKS[1]: Took(7, 12.5, 1000, None, None), WEEKS[2]: Took(2, 1.0, None, 50, 10**9)},
    gaps_since=datetime(2026, 11, 4, 10, tzinfo=UTC),
    causes_since=datetime(2026, 11, 4, 10, tzinfo=UTC),
    statements={WEEKS[2]: Statements(40, 61.25, 2 * 10**9, 10**6, 3 * 10**9)},
    runs=[RunStatements(str(uuid4()), "managed", datetime(2026, 11, 9, tzinfo=UTC), 12, 1, 8.0, 10**9, 77, 88)],
    log_since=date(2026, 11, 10),
)


def test_the_last_of_the_weeks_is_todays_and_each_begins_on_a_monday() -> None:
    for day in (date(2026, 11, 9), date(2026, 11, 12), date(2026, 11, 15)):
        assert mondays(day, 3) == WEEKS
    assert mondays(date(2027, 1, 1), 1) == [date(2026, 12, 28)]


def test_weeks_in_a_terminal() -> None:
    weeks = replace(KNOWN, runs=())
    assert as_text(weeks).splitlines() == [
        "week of    table                      built failed held success opened  closed  median  p90",
        "2026-11-09 web_pre_aggregated_bounces     0      0    0 -       0       0       -       -",
        "2026-11-09 web_pre_aggregated_stats       0      0    3 -       2       1       3.2 h   4.0 h",
        "2026-11-02 web_pre_aggregated_bounces     0      0    0 -       0       0       -       -",
        "2026-11-02 web_pre_aggregated_stats       9      1    2 90.0%   0       0       -       -",
        "2026-10-26 web_pre_aggregated_bounces     0      0    0 -       unknown unknown unknown unknown",
        "2026-10-26 web_pre_aggregated_stats       0      0    0 -       unknown unknown unknown unknown",
        "",
        "week of    runs seconds rows    rows read GB read CPU s   peak memory",
        "2026-11-09    2 1.0     unknown 1,000,000 3.00    61.2    2.00 GB",
        "2026-11-02    7 12.5    1,000   unknown   unknown unknown unknown",
        "2026-10-26    0 0.0     0       0         0.00    unknown unknown",
        "",
        "NOTE     gaps are recorded since 2026-11-04 10:00 UTC; one of before opened then",
        "NOTE     CPU and memory are known since 2026-11-10, with which system.query_log begins",
    ]
    assert max(map(len, as_text(KNOWN).splitlines())) <= WIDTH
    assert f"{KNOWN.runs[0].run_id} managed" in as_text(KNOWN)


def test_of_what_was_recorded_later_or_is_forgotten_it_is_said() -> None:
    recorded = replace(KNOWN, gaps_since=datetime(2025, 1, 1, tzinfo=UTC), kept_since=date(2026, 11, 3))
    assert [recorded.gaps_of(monday, STATS) for monday in WEEKS] == [Gaps(), Gaps(), Gaps(2, 1, 3.25, 4.0)]
    assert recorded.notes[:2] == [
        "what closed a gap is known since 2026-11-04 10:00 UTC; those that closed before are in no time to repair",
        "of before 2026-11-03 builds that others have superseded are forgotten (WEB_ANALYTICS_HISTORY_RETENTION_DAYS)",
    ]


def test_weeks_for_a_program_have_null_for_what_is_not_known() -> None:
    first, second, third = as_json(KNOWN)["weeks"]
    nothing = {"succeeded": 0, "failed": 0, "held": 0, "success_rate": None}
    assert first["tables"][STATS] == {**nothing, **dict.fromkeys(Gaps._fields)}
    assert first["statements"] == dict.fromkeys(Statements._fields)
    assert second["tables"][STATS] == {"succeeded": 9, "failed": 1, "held": 2, "success_rate": 0.9, **Gaps()._asdict()}
    assert second["runs"] == {"runs": 7, "seconds": 12.5, "rows": 1000, "rows_read": None, "bytes_read": None}
    assert third["statements"] == KNOWN.statements[WEEKS[2]]._asdict()
    assert json.loads(json.dumps(as_json(KNOWN))) == as_json(KNOWN)


# --- Read -------------------------------------------------------------------------------------------------


def test_the_last_seven_days_are_those_and_no_older_ones(client: Client) -> None:
    now = datetime(2026, 1, 14, 12, tzinfo=UTC)
    edge, day = now - timedelta(days=7), date(2026, 1, 6)
    moment = timedelta(microseconds=1)
    outcomes = [("built", now), ("failed", edge), ("held", now - moment), ("failed", edge - moment)]
    insert_builds(
        client, [BuildRow("one", day, 1, f"r{n}", outcome, when, when) for n, (outcome, when) in enumerate(outcomes)]
    )
    old, hour = edge - timedelta(hours=5), timedelta(hours=1)
    insert_gaps(
        client,
        [
            GapRow("one", day, False, "opened", old),
            GapRow("one", day, True, "opened", old - hour),
            *(GapRow("one", day, held, "closed", edge + hour, closed_by="build") for held in (False, True)),
            GapRow("other", day, False, "opened", edge),
            GapRow("third", day, False, "opened", old),
            GapRow("third", day, False, "closed", edge - moment, closed_by="build"),
        ],
    )
    recent = read_recent(client, now)
    assert recent is not None
    assert recent.builds == {"one": Builds(1, 1, 1)}
    assert recent.gaps == {"one": Gaps(0, 2, 6.0, 6.0), "other": Gaps(1, 0, None, None)}
    assert Recent().all_builds.success_rate is None


def observed(client: Client, before: Kept | None = None, *, reads_all_days: bool = False) -> tuple[Recent, Kept]:
    _, recent, kept = observe(
        client, now=utc_now(), watched=WEB_TABLES, lookback_days=3, settle=timedelta(hours=1),
        reads_all_days=reads_all_days, verify_seconds=60, own_lookback_days=3, is_stopped=False, before=before,
    )  # fmt: skip
    assert recent is not None
    return recent, kept


def test_builds_are_recalled_while_the_ledger_and_the_audit_are_as_they_were(client: Client) -> None:
    now = utc_now()

    def build(run: str) -> BuildRow:
        return BuildRow(STATS, ago(2), 1, run, "built", now, now)

    insert_builds(client, [build("one")])
    recent, kept = observed(client)
    assert recent.builds == {STATS: Builds(1)}
    another = {key: (states, [row for row in rows if key.startswith("rec")]) for key, (states, rows) in kept.items()}
    assert len(another) == 2  # how many builds there were of each day, and how they ended
    assert observed(client, another)[0].builds == {}  # as it was kept, for nothing has changed
    assert observed(client, another, reads_all_days=True)[0].builds == {STATS: Builds(1)}
    assert observed(client, kept)[1] == kept
    insert_builds(client, [build("two")])
    recent, kept = observed(client, another)
    assert recent.builds == {STATS: Builds(2)}
    insert_events(client, [EventRow("w", "automatic", STATS, "day_failed", str(ago(2)), "dead", now)])
    assert observed(client, kept)[0].builds == {STATS: Builds(2, 1)}
    client.command("ALTER TABLE web_pre_aggregated_builds DELETE WHERE run_id = 'one' SETTINGS mutations_sync = 2")
    assert observed(client, kept)[0].builds == {STATS: Builds(1, 1)}


def test_a_process_recalls_of_each_database_and_shard_what_its_last_look_has_left() -> None:
    asked: list[object] = []

    def work(client: str, before: Kept | None) -> tuple[str, None, Kept]:
        asked.append(before)
        return "found", None, {client: ((), [len(asked)])}

    def on_engine(work: Callable[[str], Any], shard: int = 0) -> Any:
        return work(f"shard {shard}")

    mark = uuid4().hex
    look = recalling(on_engine, mark)
    assert look(work) == look(work, shard=2) == recalling(on_engine, uuid4().hex)(work) == ("found", None)
    look(work)
    recalling(on_engine, mark)(work, shard=2)
    assert asked == [None, None, None, {"shard 0": ((), [1])}, {"shard 2": ((), [2])}]


def test_an_evaluation_that_finds_nothing_wrong_tells_of_gaps_that_were_over_days_before(client: Client) -> None:
    """It asks about gaps of late only where any was open in that time, and those that it knows of go back that far."""
    now, hour = utc_now(), timedelta(hours=1)
    over = now - timedelta(days=RECENT_DAYS) + hour

    assert observed(client)[0].gaps == {}
    insert_gaps(client, [GapRow(STATS, ago(8), False, "opened", over - 24 * hour)])
    insert_gaps(client, [GapRow(STATS, ago(8), False, "closed", over, closed_by="build")])
    assert observed(client)[0].gaps == {STATS: Gaps(0, 1, 24.0, 24.0)}


def test_weeks_of_an_engine_without_a_log_are_known_but_for_what_statements_cost(client: Client) -> None:
    today = utc_now().date()
    now, [this] = utc_now(), mondays(today, 1)
    insert_builds(client, [BuildRow("one", today, 1, "r", "built", now - timedelta(seconds=2), now)])
    weeks = read_weeks(client, today, 2, [STATS], kept=KEPT)
    assert weeks.tables == ["one", STATS]
    assert weeks.builds == {(this, "one"): Builds(1)}
    assert weeks.took == {this: Took(1, 2.0, None, None, None)}
    assert abs(weeks.gaps_since - now) < timedelta(hours=1)
    is_embedded = str(client.uri).startswith("chdb:")
    assert (weeks.log_since is None) is is_embedded
    assert ("embedded engine keeps no log" in weeks.no_log) is is_embedded


def test_what_a_run_and_all_ticks_cost_is_read_from_the_log_of_a_server(
    server: tuple[str, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_RUNS", 1_000_000)  # others of this server may have cost more
    dsn, client = server
    run_id, nobodys = str(uuid4()), "SQL"
    for who in (run_id, "tick", "tick 12 of web_analytics_backfill_sensor", "ticking", nobodys):
        with open_client(Dsn.parse(dsn), wait_seconds=5, who=who) as opened:
            opened.query("SELECT sum(number) FROM numbers(123456)")
    client.command("SYSTEM FLUSH LOGS query_log")
    weeks = read_weeks(client, utc_now().date(), 1, [], kept=KEPT)
    named = {run.run_id: run for run in weeks.runs}
    assert not named.keys() & {nobodys, "ticking"}
    assert named["tick"].rows_read >= 2 * 123456
    assert weeks.statements[weeks.mondays[0]].rows_read >= 3 * 123456
    assert weeks.statements[weeks.mondays[0]].cpu > 0
    assert weeks.log_since is not None
    assert named[run_id].rows_read >= 123456


@pytest.mark.slow
def test_a_server_that_keeps_no_log_has_every_view_and_is_told_why_processor_and_memory_are_unknown(
    tmp_path: Path,
) -> None:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    with (
        running_server(tmp_path, NO_LOG) as server,
        open_client(Dsn.parse(server.dsn("unlogged")), wait_seconds=5, create_database=True, who="SQL") as client,
    ):
        apply_schema(client, WEB_TABLES)
        with pytest.raises(DatabaseError, match=r"system\.query_log.*UNKNOWN_TABLE"):
            client.query("SELECT * FROM web_analytics_statements")
        for _ in ("not there", "empty"):
            weeks = read_weeks(client, utc_now().date(), 2, [STATS], kept=KEPT)
            assert (weeks.log_since, weeks.statements, weeks.runs) == (None, {}, [])
            assert "system.query_log of this server is empty, not there, or not this user's" in weeks.notes[-1]
            assert weeks.gaps_of(weeks.mondays[-1], STATS) == Gaps()
            client.command("SYSTEM FLUSH LOGS query_log")  # makes the table
        assert client.query("SELECT * FROM web_analytics_statements").result_rows == []


# --- The job ----------------------------------------------------------------------------------------------


def answered(world: World, capsys: pytest.CaptureFixture[str], **config: Any) -> tuple[str, dict[str, Any]]:
    capsys.readouterr()
    run = world.run_as_configured("metrics_job", config)
    return capsys.readouterr().out, run.output_for_node("read_weeks")


@embedded_at_night
def test_the_job_says_what_has_happened_and_what_it_took(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    day = ago(2)
    world.set(backfill_min_missing_partitions=1)
    world.traffic([1, 2], [day])
    world.select(1, 2)
    world.carry_out(world.tick())
    world.run_as_configured("check_missing_data_job")

    printed, report = answered(world, capsys, weeks=2)
    assert [week["week"] for week in report["weeks"]] == [str(one) for one in mondays(utc_now().date(), 2)]
    this = report["weeks"][-1]
    for table in (STATS, BOUNCES):
        told = this["tables"][table]
        assert (told["succeeded"], told["failed"], told["success_rate"]) == (1, 0, 1.0)
        assert (told["opened"], told["closed"]) == (1, 1)
        assert 0 < told["median_hours"] == told["p90_hours"] < 1
    assert this["runs"]["runs"] == 1
    assert this["runs"]["seconds"] > 0
    is_embedded = str(world.client.uri).startswith("chdb:")
    assert (this["runs"]["rows_read"] is None) is is_embedded
    assert ("CPU and memory are unknown: the embedded engine" in " ".join(printed.split())) is is_embedded
    assert "100.0%" in printed
    assert max(map(len, printed.splitlines())) <= WIDTH

    only, report = answered(world, capsys, weeks=1, output="json")
    assert json.loads(only) == report
    assert len(only.splitlines()) == 1
