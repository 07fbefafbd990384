"""A build touches what it was asked for and nothing else, publishes what it has made sure of, and says of each unit
what became of it.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from dags.clickhouse.leases.rules import Lease, lease_name
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.domain.errors import LeaseError
from dags.domain.units import Outcome
from dags.publish.moments import Moment
from dags.publish.staging import STAGING_PREFIX, Staging, drop, sweep
from dags.tests.as_built import as_built
from dags.tests.builds import DAY, TABLES, AtSwap, build
from dags.tests.events import Event, at, insert
from dags.tests.faulty import break_team, mended
from dags.tests.fold import fold, stored
from dags.tests.runbook import symptom
from dags.tests.variants import embedded_at_night

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clickhouse_connect.driver.client import Client

    from dags.publish.moments import Swap

pytestmark = [pytest.mark.story, embedded_at_night]

STATS, BOUNCES = TABLES


def events_of(teams: Iterable[int], session: str = "s", views: int = 2) -> list[Event]:
    start = at("2026-01-10 10:00:00")
    return [
        Event(team, start + timedelta(seconds=n), f"{session}{team}", pathname=f"/{n}")
        for team in teams
        for n in range(views)
    ]


def holds(client: Client, events: list[Event], tables: Iterable[str] = TABLES) -> bool:
    return all(stored(client, table, DAY) == fold(events, DAY, table) for table in tables)


def bytes_of(client: Client, table: str, *teams: int) -> object:
    """The rows of some teams as they are stored, states and all, in an order of their own."""
    return client.query(
        f"SELECT groupArray(hash) FROM (SELECT cityHash64(*) AS hash FROM {table} "
        f"WHERE team_id IN ({', '.join(map(str, teams))}) ORDER BY ALL)"
    ).result_rows


def staging_of(client: Client, kind: str = "") -> list[str]:
    names = [str(name) for (name,) in client.query("SHOW TABLES").result_rows]
    return [name for name in names if name.startswith(STAGING_PREFIX) and kind in name]


def outcomes(client: Client, run_id: str) -> dict[tuple[str, int], tuple[str, str]]:
    rows = client.query(
        f"SELECT table_name, team_id, outcome, error FROM web_pre_aggregated_builds WHERE run_id = '{run_id}'"
    ).result_rows
    return {(table, team): (outcome, error) for table, team, outcome, error in rows}


# --- Exactly what was asked for ----------------------------------------------------------------------------------


def test_rebuilding_some_teams_leaves_the_rows_of_the_others_as_they_are(client: Client) -> None:
    old = events_of(range(1, 10))
    insert(client, old)
    as_built(client, *range(1, 10), days=[DAY])
    insert(client, events_of([8, 9], "late"))
    late = events_of([2], "late")
    insert(client, late)
    before = {table: bytes_of(client, table, 1, 3, 4, 5, 6, 7, 8, 9) for table in TABLES}
    built = build(client, 2, run_id="exact")
    assert built.problems == ()
    assert {table: bytes_of(client, table, 1, 3, 4, 5, 6, 7, 8, 9) for table in TABLES} == before
    assert holds(client, [*old, *late])
    assert outcomes(client, "exact") == {(table, 2): ("built", "") for table in TABLES}


def test_each_table_is_rebuilt_for_the_teams_that_are_wrong_in_it(client: Client) -> None:
    old, late = events_of([1, 2, 3]), events_of([1, 2, 3], "late")
    insert(client, old)
    as_built(client, 1, 2, 3, days=[DAY])
    insert(client, late)
    built = build(client, teams_by_table={STATS: [1, 2], BOUNCES: [2, 3]})
    assert [table.teams(Outcome.BUILT) for table in built.tables] == [(2, 3), (1, 2)]
    assert holds(client, [*old, *(e for e in late if e.team_id in (1, 2))], [STATS])
    assert holds(client, [*old, *(e for e in late if e.team_id in (2, 3))], [BOUNCES])


def test_a_build_that_has_nothing_to_change_swaps_nothing(client: Client) -> None:
    insert(client, events_of([1]))
    as_built(client, 1, days=[DAY])
    parts = "SELECT name, modification_time FROM system.parts WHERE active AND startsWith(table, 'web_pre_aggregated_')"
    before = client.query(parts).result_rows
    built = build(client, 2, 3)
    assert (built.problems, built.tables[0].outcome_by_team) == ((), {})
    assert [row for row in client.query(parts).result_rows if row not in before] == []


def test_the_last_teams_rows_go_when_its_sessions_are_gone_and_a_person_allows_it(client: Client) -> None:
    insert(client, events_of([1, 2]))
    as_built(client, 1, 2, days=[DAY])
    client.command("DELETE FROM events WHERE team_id = 2 SETTINGS prefer_column_name_to_alias = 1")
    assert build(client, 2, allow_shrink=True).tables[0].outcome_by_team == {2: Outcome.EMPTY}
    assert holds(client, events_of([1]))
    client.command("DELETE FROM events WHERE team_id = 1")
    assert build(client, 1, allow_shrink=True).tables[0].outcome_by_team == {1: Outcome.EMPTY}
    assert holds(client, [])


# --- Made sure of before and after -------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [[], [7]], ids=["the whole day", "one of two teams"])
def test_what_is_staged_and_unlike_its_sessions_is_not_published(client: Client, others: list[int]) -> None:
    old = events_of([1, *others])
    insert(client, old)
    as_built(client, 1, *others, days=[DAY])
    insert(client, events_of([1], "late"))

    def double(step: Moment) -> None:
        if step is Moment.STAGED:
            for name in staging_of(client, "_batch"):
                client.command(f"INSERT INTO {name} SELECT * FROM {name}")

    built = build(client, 1, at=double)
    assert len(built.problems) == 2
    assert "was not published, readers still see the old data" in built.problems[0]
    assert built.tables[0].outcome_by_team == {1: Outcome.FAILED}
    assert holds(client, old)


def test_rows_that_somebody_else_writes_in_the_meantime_are_not_lost(client: Client) -> None:
    insert(client, events_of([1, 2]))
    as_built(client, 1, 2, days=[DAY])
    insert(client, events_of([1], "late"))

    def meanwhile(swap: Swap) -> None:
        if swap.table == STATS:
            of_team_2 = f"(SELECT * FROM {STATS} WHERE team_id = 2)"
            client.command(f"INSERT INTO {STATS} SELECT * REPLACE (9 AS team_id) FROM {of_team_2}")

    built = build(client, 1, checkpoint=AtSwap(meanwhile))
    assert ["would have been lost" in problem for problem in built.problems] == [True], built.problems
    assert client.query(f"SELECT DISTINCT team_id FROM {STATS} ORDER BY 1").result_rows == [(1,), (2,), (9,)]
    assert holds(client, events_of([1, 2]) + events_of([1], "late"), [BOUNCES])


def test_an_update_that_ends_while_a_day_is_built_is_kept_though_the_day_has_a_younger_part(client: Client) -> None:
    insert(client, events_of([1, 2]))
    build(client, 1, 2)
    client.command(f"SYSTEM STOP MERGES {STATS}")
    client.command(
        f"ALTER TABLE {STATS} UPDATE persons_uniq_state = initializeAggregation('uniqState', generateUUIDv4(1)) "
        "WHERE team_id = 2 SETTINGS mutations_sync = 0, allow_nondeterministic_mutations = 1"
    )
    # Its block comes after the ALTER's number, so the day's highest version does not rise once that is through.
    client.command(f"INSERT INTO {STATS} (period_bucket, team_id) VALUES ('{DAY} 05:00:00', 9)")
    before = bytes_of(client, STATS, 2)
    under_way = f"SELECT count() FROM system.mutations WHERE table = '{STATS}' AND NOT is_done"
    updated = list[object]()

    def ends(swap: Swap) -> None:
        if swap.table == STATS and not updated:
            client.command(f"SYSTEM START MERGES {STATS}")
            while client.query(under_way).result_rows[0][0]:
                time.sleep(0.05)
            updated.append(bytes_of(client, STATS, 2))

    insert(client, late := events_of([1], session="late"))
    assert build(client, 1, checkpoint=AtSwap(ends)).problems == ()
    assert updated != [before]
    assert [bytes_of(client, STATS, 2)] == updated
    assert stored(client, BOUNCES, DAY) == fold([*events_of([1, 2]), *late], DAY, BOUNCES)


def test_a_build_that_was_robbed_of_its_lease_publishes_nothing_more(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = events_of([1])
    insert(client, old)
    as_built(client, 1, days=[DAY])
    insert(client, events_of([1], "late"))
    messages: list[str] = []
    with Leases(client, "thief", wait_seconds=0, tell=messages.append) as thief:

        def rob(step: Moment) -> None:
            if step is Moment.VALIDATED and not messages:
                with monkeypatch.context() as silent:
                    silent.setattr(Lease, "is_dead", lambda *_, **__: True)
                    thief.take(BOUNCES, DAY)
                Staging(client, Sql("dags.publish", client), DAY, thief.token, print).fence([BOUNCES])

        built = build(client, 1, at=rob)
        assert messages == [f"{DAY}: taking {BOUNCES} over from run test_run, which died"]
        [problem] = built.problems
        assert "is held by run thief and no longer by this run" in problem
        assert holds(client, old, [BOUNCES])
        assert holds(client, [*old, *events_of([1], "late")], [STATS])


def test_a_fence_drops_what_is_staged_of_its_tables_and_of_none_whose_name_ends_alike(client: Client) -> None:
    sql = Sql("dags.publish", client)
    names = [f"{STAGING_PREFIX}20260110_run_other__00000000_0001_new1__{table}" for table in (STATS, f"my__{STATS}")]
    for name in names:
        sql.command("create_staging", staging=name, target=STATS)
    try:
        left = Staging(client, sql, DAY, "run_mine__00000000_0002", print).fence([STATS])
        assert set(names) & set(left) == {names[1]}
    finally:
        client.command(f"DROP TABLE {names[1]} SYNC")


# --- Once --------------------------------------------------------------------------------------------------------


def test_a_day_that_another_run_builds_is_left_alone_and_each_unit_says_so(client: Client) -> None:
    insert(client, events_of([1, 2]))
    with Leases(client, "other-run", wait_seconds=0, tell=lambda _: None) as other:
        other.take(BOUNCES, DAY)
        with pytest.raises(LeaseError, match=symptom("… is being built by run …")):
            build(client, 1, 2, run_id="second")
    messages = outcomes(client, "second")
    assert {unit: outcome for unit, (outcome, _) in messages.items()} == {
        (table, team): "skipped" for table in TABLES for team in (1, 2)
    }
    assert all("is being built by run other_ru" in words for _, words in messages.values())
    assert holds(client, [])


def test_what_the_other_run_built_while_one_waited_is_not_built_twice(client: Client) -> None:
    insert(client, events_of([1, 2]))
    other = Leases(client, "other", wait_seconds=0, tell=lambda _: None)
    other.take(BOUNCES, DAY)

    def other_builds(_: float) -> None:
        other.__exit__()
        build(client, 1, run_id="other")

    built = build(client, 1, 2, run_id="second", wait_seconds=60, sleep=other_builds)
    assert built.problems == ()
    assert {t.table: t.outcome_by_team for t in built.tables} == {
        BOUNCES: {1: Outcome.SKIPPED, 2: Outcome.BUILT},
        STATS: {1: Outcome.BUILT, 2: Outcome.BUILT},
    }
    assert outcomes(client, "second")[BOUNCES, 1] == ("skipped", "another run built it while this one waited")
    assert holds(client, events_of([1, 2]))


# --- Failures ----------------------------------------------------------------------------------------------------


class Faulty:
    """The client, with a fault put before its commands."""

    def __init__(self, client: Client, fault: Callable[[str, dict[str, Any]], None]) -> None:
        self._client = client
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def command(self, text: str, parameters: Any = None, **options: Any) -> Any:
        self._fault(text, parameters or {})
        return self._client.command(text, parameters=parameters, **options)


def test_a_team_that_cannot_be_built_stands_alone_in_the_end_and_the_others_are_published(client: Client) -> None:
    for team in range(1, 10):
        insert(client, events_of([team]))
    break_team(client, 6)
    try:
        built = build(client, *range(1, 10), run_id="split")
    finally:
        mended(client)
    assert [table.teams(Outcome.FAILED) for table in built.tables] == [(6,), (6,)]
    assert holds(client, events_of([1, 2, 3, 4, 5, 7, 8, 9]))
    assert len(built.problems) == 2
    assert "1 of 9 teams could not be built, readers see their old rows. Team 6:" in built.problems[0]
    messages = outcomes(client, "split")
    assert {team: outcome for (table, team), (outcome, _) in messages.items() if table == STATS} == {
        **dict.fromkeys(range(1, 10), "built"),
        6: "failed",
    }
    assert "bad data" in messages[STATS, 6][1]


def test_a_fault_that_is_in_no_team_is_not_tried_team_by_team(client: Client) -> None:
    insert(client, events_of(range(1, 101)))
    commands: list[str] = []

    def fail(text: str, _: dict[str, Any]) -> None:
        if "CREATE TABLE" in text and "_exceptions" in text:
            commands.append(text)
            raise DatabaseError("Code: 49. DB::Exception: Logical error", code=49, name="LOGICAL_ERROR")

    built = build(Faulty(client, fail), *range(1, 101))  # type: ignore[arg-type]
    assert {len(table.teams(Outcome.FAILED)) for table in built.tables} == {100}
    assert len(commands) < 40


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (OperationalError("Connection refused"), 2),
        (DatabaseError("Code: 252. Too many parts", code=252, name="TOO_MANY_PARTS"), 2),
        (DatabaseError("Code: 241. (total) memory limit exceeded", code=241, name="MEMORY_LIMIT_EXCEEDED"), 2),
    ],
    ids=["network", "too many parts", "memory under load"],
)
def test_what_may_pass_is_tried_three_times_and_longer_apart_each_time(
    client: Client, error: Exception, waits: int
) -> None:
    insert(client, events_of([1]))
    slept: list[float] = []
    left = [error] * waits

    def fail(text: str, _: dict[str, Any]) -> None:
        if "INSERT INTO" in text and "_batch" in text and left:
            raise left.pop()

    assert build(Faulty(client, fail), 1, sleep=slept.append).problems == ()  # type: ignore[arg-type]
    assert holds(client, events_of([1]))
    assert len(slept) == waits
    assert 2 <= slept[0] < 4 <= slept[1] < 8


def test_what_will_not_pass_is_not_tried_again(client: Client) -> None:
    insert(client, events_of([1, 2]))
    slept: list[float] = []

    def lose_a_column(step: Moment) -> None:
        """In the middle: a source that lacks it from the beginning is refused before anything is made."""
        if step is Moment.LEASED:
            client.command("ALTER TABLE events DROP COLUMN fbclid SETTINGS mutations_sync = 2")

    try:
        built = build(client, 1, 2, sleep=slept.append, at=lose_a_column)
    finally:
        client.command("ALTER TABLE events ADD COLUMN fbclid String AFTER gad_source")
    assert slept == []
    assert all("fbclid" in problem for problem in built.problems)
    assert {table.teams(Outcome.FAILED) for table in built.tables} == {(1, 2)}
    assert holds(client, [])


def test_what_is_too_large_at_once_is_split_until_it_fits(client: Client) -> None:
    insert(client, events_of(range(1, 9)))
    sizes: list[int] = []

    def fail(text: str, bound: dict[str, Any]) -> None:
        if "web_preaggregated/sessions.sql" in text:
            sizes.append(len(bound["teams"]))
            if len(bound["teams"]) > 2:
                raise DatabaseError("Query memory limit exceeded", code=241, name="MEMORY_LIMIT_EXCEEDED")

    assert build(Faulty(client, fail), *range(1, 9)).problems == ()  # type: ignore[arg-type]
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert holds(client, events_of(range(1, 9)))


def test_a_batch_that_fills_the_servers_memory_again_and_again_is_split_too(client: Client) -> None:
    insert(client, events_of(range(1, 5)))
    sizes: list[int] = []

    def fail(text: str, bound: dict[str, Any]) -> None:
        if "web_preaggregated/sessions.sql" in text:
            sizes.append(len(bound["teams"]))
            if len(bound["teams"]) > 2:
                raise DatabaseError("(total) memory limit exceeded", code=241, name="MEMORY_LIMIT_EXCEEDED")

    assert build(Faulty(client, fail), *range(1, 5)).problems == ()  # type: ignore[arg-type]
    assert sizes == [4, 4, 4, 2, 2]
    assert holds(client, events_of(range(1, 5)))


def test_a_swap_whose_answer_was_lost_is_done_once_more_and_changes_nothing(client: Client) -> None:
    insert(client, events_of([1, 2]))
    lost = [True, True]

    class Cut(Faulty):
        def command(self, text: str, parameters: Any = None, **options: Any) -> Any:
            answer = super().command(text, parameters, **options)
            if "REPLACE PARTITION" in text and lost:
                lost.pop()
                raise OperationalError("Connection reset by peer")
            return answer

    assert build(Cut(client, lambda *_: None), 1, 2).problems == ()  # type: ignore[arg-type]
    assert lost == []
    assert holds(client, events_of([1, 2]))


def test_a_ledger_that_cannot_be_written_leaves_the_data_and_is_a_problem(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(client, events_of([1]))

    def lost(*_: object, **__: object) -> None:
        raise DatabaseError("Code: 497. Not enough privileges", code=497, name="ACCESS_DENIED")

    monkeypatch.setattr("dags.publish.build.append_to_ledger", lost)
    built = build(client, 1)
    assert ["is not recorded in the ledger" in problem for problem in built.problems] == [True, True]
    assert holds(client, events_of([1]))


# --- Bounds ------------------------------------------------------------------------------------------------------


def test_a_run_reads_no_more_rows_than_it_may_and_names_what_it_left(client: Client) -> None:
    insert(client, events_of([1], views=10))
    insert(client, events_of([2], views=5000))
    built = build(client, 1, 2, batch_events=1000, max_rows_read=2000, run_id="bounded")
    assert [table.outcome_by_team for table in built.tables] == [{1: Outcome.BUILT, 2: Outcome.SKIPPED}] * 2
    assert built.problems == (
        (
            f"{DAY}: 1 teams were left out, for the run may read no more (WEB_ANALYTICS_BUILD_MAX_ROWS_READ, "
            "WEB_ANALYTICS_BUILD_MAX_BYTES_READ); the next run goes on"
        ),
    )
    assert "WEB_ANALYTICS_BUILD_MAX_ROWS_READ=2000" in outcomes(client, "bounded")[STATS, 2][1]
    assert holds(client, events_of([1], views=10))


def test_the_engine_itself_stops_a_statement_at_the_ceiling(client: Client) -> None:
    insert(client, events_of([1], views=5000))
    built = build(client, 1, max_bytes_read=1000)
    assert [table.outcome_by_team for table in built.tables] == [{1: Outcome.SKIPPED}] * 2
    assert holds(client, [])


def test_a_statement_that_takes_too_long_is_stopped_and_the_other_teams_are_built(client: Client) -> None:
    insert(client, events_of([1], views=1))
    insert(client, events_of([2], views=5))
    break_team(client, 2, "sleepEachRow(0.4)")
    try:
        built = build(client, 1, 2, max_seconds=1)
    finally:
        mended(client)
    assert [table.outcome_by_team for table in built.tables] == [{1: Outcome.BUILT, 2: Outcome.FAILED}] * 2
    assert all("TIMEOUT_EXCEEDED" in problem for problem in built.problems)
    assert holds(client, events_of([1], views=1))


# --- What the dead leave -----------------------------------------------------------------------------------------


def test_a_sweep_drops_what_the_dead_left_and_nothing_of_the_living(client: Client) -> None:
    sql = Sql("dags.publish", client)
    before = {name for (name,) in client.query("SHOW TABLES").result_rows}
    names = {}
    with Leases(client, "living", wait_seconds=0, tell=lambda _: None) as living:
        living.take(STATS, DAY)
        for token in (living.token, "run_dead__00000000_0001"):
            names[token] = f"{STAGING_PREFIX}20260110_{token}_new1__{STATS}"
            sql.command("create_staging", staging=names[token], target=STATS)
        messages: list[str] = []
        assert sweep(client, messages.append) == 1
        assert messages == [f"dropping {names['run_dead__00000000_0001']}, left behind by a build that died"]
        assert staging_of(client) == [names[living.token]]
    assert sweep(client, messages.append) == 1
    assert {name for (name,) in client.query("SHOW TABLES").result_rows} == before


def test_an_insert_that_a_dead_client_left_running_is_stopped_with_its_staging(client: Client, dsn_text: str) -> None:
    if dsn_text.startswith("chdb:"):
        pytest.skip("the embedded engine ends with its process, and all of its statements with it")
    from dags.clickhouse.dsn import Dsn  # noqa: PLC0415
    from dags.clickhouse.engine import open_client  # noqa: PLC0415

    insert(client, events_of([1]))
    build(client, 1)
    name = f"{STAGING_PREFIX}20260110_run_dead__00000000_0001_new1__{STATS}"
    sql = Sql("dags.publish", client)
    sql.command("create_staging", staging=name, target=STATS)
    running = f"INSERT INTO {name} SELECT * FROM {STATS} CROSS JOIN numbers(1000000) AS n WHERE sleepEachRow(0.1) = 0"

    def client_that_dies() -> None:
        with open_client(Dsn.parse(dsn_text), wait_seconds=60) as other, suppress(ClickHouseError):
            other.command(running.replace("SELECT *", f"SELECT {STATS}.*"), settings={"max_block_size": 1})

    thread = threading.Thread(target=client_that_dies)
    thread.start()
    in_work = f"SELECT count() FROM system.processes WHERE startsWith(query, 'INSERT INTO {name}')"
    until = time.monotonic() + 10
    while not client.command(in_work) and time.monotonic() < until:
        time.sleep(0.05)
    assert client.command(in_work) == 1
    started = time.monotonic()
    drop(client, sql, name)
    assert time.monotonic() - started < 5
    thread.join(10)
    assert client.command(in_work) == 0
    assert staging_of(client) == []


def test_a_lease_left_by_the_dead_is_swept_too(client: Client) -> None:
    name = lease_name(STATS, DAY)
    client.command(f"CREATE TABLE {name} (token String, at DateTime64(3, 'UTC')) ENGINE = Memory")
    client.command(f"ALTER TABLE {name} MODIFY COMMENT 'run_x__00000000_0001'")
    client.command(f"INSERT INTO {name} VALUES ('run_x__00000000_0001', now64(3) - 100)")
    assert sweep(client, lambda _: None) == 1
    assert not client.command(f"EXISTS {name}")
