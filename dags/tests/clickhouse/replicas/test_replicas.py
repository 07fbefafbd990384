"""On two servers that hold the same rows, one of which may be gone, cut off, late, or not what was declared."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases import rules
from dags.clickhouse.leases.store import Leases, read_leases
from dags.clickhouse.replicas import store
from dags.clickhouse.replicas.rules import unusable
from dags.clickhouse.replicas.store import everywhere, fenceable, place_of, said_of_others, synced
from dags.clickhouse.schema.apply import apply_schema, recorded_version, require_schema
from dags.clickhouse.schema.declared import migrations
from dags.domain.errors import EngineError, LeaseError, SchemaError, UnreadableError
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.publish.moments import Moment
from dags.publish.staging import STAGING_PREFIX, leftovers, sweep
from dags.settings import read_settings
from dags.team_selection.store import write_selection
from dags.tests.emptied import EmptiedDatabase
from dags.tests.events import Event, insert
from dags.tests.variants import at_night
from dags.tests.world import STATS, ago, noon
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from dags.domain.clock import Clocks
    from dags.tests.clickhouse_cluster import Cluster

pytestmark = pytest.mark.cluster

DAY = ago(2)
VISITS = f"SELECT team_id, uniqMerge(sessions_uniq_state) FROM {STATS} GROUP BY team_id ORDER BY team_id"


@contextmanager
def on(dsn: str, first: int = 0) -> Iterator[Client]:
    """A client of the replica that comes first, or another one where that is of no use."""
    with open_client(turned(dsn, first), wait_seconds=60, who="tests") as client:
        yield client


def turned(dsn: str, first: int) -> Dsn:
    whole = Dsn.parse(dsn)
    one, other = whole.replicas
    return whole if not first else replace(other, others=((one.host, one.port),))


@pytest.fixture(scope="module")
def emptying(cluster: Cluster) -> Iterator[Callable[[], str]]:
    dsn = cluster.dsn("replicas")
    with open_client(Dsn.parse(dsn), wait_seconds=60, create_database=True) as client:
        database = EmptiedDatabase(client)

        def empty() -> str:
            database.empty()
            return dsn

        yield empty


@pytest.fixture
def dsn(emptying: Callable[[], str]) -> str:
    return emptying()


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    over = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < over
        time.sleep(0.1)


def visit(client: Client, *teams: int, sessions: int = 2) -> None:
    insert(
        client,
        [Event(team_id=t, timestamp=noon(DAY, n), session_id=f"{t}-{n}") for t in teams for n in range(sessions)],
    )
    write_selection(client, teams)


def build(client: Client, run_id: str = "run-1", *teams: int, **more: object) -> DayBuild:
    settings = read_settings({})
    return DayBuild(
        client=client,
        day=DAY,
        teams_by_table={table.name: teams or (1, 2) for table in WEB_TABLES},
        run_id=run_id,
        limits=build_limits(settings),
        tables=WEB_TABLES,
        **more,  # type: ignore[arg-type]
    )


def shown(cluster: Cluster) -> list[list[tuple[int, int]]]:
    """What readers of each replica see, who know nothing of the others."""
    found = []
    for server in cluster.servers[0]:
        with open_client(Dsn.parse(server.address.dsn("replicas")), wait_seconds=60) as client:
            found.append([tuple(row) for row in client.query(VISITS).result_rows])
    return found


def staged(client: Client) -> list[str]:
    return [
        name
        for one in everywhere(client).values()
        for (name,) in one.query("SHOW TABLES").result_rows
        if name.startswith(STAGING_PREFIX)
    ]


def test_what_is_built_on_one_is_on_the_other_when_the_build_ends(cluster: Cluster, dsn: str) -> None:
    with on(dsn) as client:
        visit(client, 1, 2)
        messages: list[str] = []
        assert build(client, progress=messages.append).run().problems == ()
        assert shown(cluster) == [[(1, 2), (2, 2)]] * 2
        assert not any("replica" in words for words in messages)
        assert (staged(client), read_leases(client)) == ([], ())


def test_with_one_replica_dead_the_other_is_worked_on_and_the_dead_one_has_it_all_when_it_is_back(
    cluster: Cluster, dsn: str
) -> None:
    with on(dsn) as client, on(dsn, first=1) as other:
        visit(client, 1, 2)
        until(lambda: not unusable(synced(other)))
    first = cluster.servers[0][0]
    first.kill()
    try:
        with on(dsn) as client:
            place = place_of(client)
            assert place is not None
            assert place.name == "2"
            messages: list[str] = []
            built = build(client, progress=messages.append).run()
            assert built.problems == ()
            assert any("and not yet on the replica" in words and "does not answer" in words for words in messages)
    finally:
        first.start()
    with on(dsn) as client:
        until(lambda: not unusable(synced(client)))
    assert shown(cluster) == [[(1, 2), (2, 2)]] * 2


def test_one_that_lags_is_told_by_a_build_and_not_relied_on_until_it_has_all(
    cluster: Cluster, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FETCH_SECONDS", 1.0)
    with on(dsn) as client, on(dsn, first=1) as late:
        visit(client, 1, 2)
        late.command(f"SYSTEM STOP FETCHES {STATS}")
        try:
            messages: list[str] = []
            assert build(client, progress=messages.append).run().problems == ()
            [words] = [words for words in messages if "not yet on the replica" in words]
            assert f"{STATS}: published here, and not yet on the replica 2: it lags behind" in words
            assert shown(cluster) == [[(1, 2), (2, 2)], []]
            with on(dsn, first=1) as other:  # though another one is named first
                place = place_of(other)
                assert place is not None
                assert place.name == "1"
        finally:
            late.command(f"SYSTEM START FETCHES {STATS}")
        until(lambda: shown(cluster) == [[(1, 2), (2, 2)]] * 2)


def test_tables_into_which_nothing_was_written_are_not_behind(dsn: str) -> None:
    with on(dsn) as client:
        assert [one.table for one in synced(client) if one.is_behind] == []


def test_what_was_left_behind_is_told_to_a_reader_who_may_write_nothing(dsn: str) -> None:
    with on(dsn) as client, on(dsn) as reader:
        name = f"{STAGING_PREFIX}20260101_run_dead__00000000_0000_batch1__{STATS}"
        client.command(f"CREATE TABLE {name} (n UInt8) ENGINE = MergeTree ORDER BY n")
        reader.set_client_setting("readonly", "2")
        assert leftovers(reader) == [name]
        assert sweep(client, lambda _: None) == 1
        assert leftovers(reader) == []


def test_who_names_one_server_gets_no_lease_where_leases_are_in_keeper(cluster: Cluster, dsn: str) -> None:
    alone = Dsn.parse(cluster.servers[0][0].address.dsn("replicas"))
    with on(dsn), open_client(alone, wait_seconds=60) as client:
        with (
            Leases(client, "alone", wait_seconds=0, tell=lambda _: None) as leases,
            pytest.raises(LeaseError, match="leases of this database are in Keeper"),
        ):
            leases.take(STATS, ago(2))
        names = [name for (name,) in client.query("SHOW TABLES").result_rows]
        assert [name for name in names if name.startswith(rules.LEASE_PREFIX)] == []


def test_without_keeper_nothing_is_known_from_any_replica(cluster: Cluster, dsn: str) -> None:
    cluster.keeper.kill()
    try:
        with (
            pytest.raises(UnreadableError, match=r"no replica of .* can be used:(.|\n)*has no session with Keeper"),
            on(dsn),
        ):
            pass
    finally:
        cluster.keeper.start()
    until(lambda: _is_open(dsn))


def _is_open(dsn: str) -> bool:
    try:
        with on(dsn) as client:
            return not unusable(synced(client))
    except EngineError:
        return False


def test_a_new_replica_is_given_the_tables_as_they_are_on_the_others_and_their_rows(cluster: Cluster, dsn: str) -> None:
    with on(dsn) as client:
        visit(client, 1, 2)
        assert build(client).run().problems == ()
        other = everywhere(client)["2"]
        other.command("DROP DATABASE replicas SYNC")
        with pytest.raises(SchemaError, match=r"1 of them does not answer: (.|\n)*UNKNOWN_DATABASE"):
            apply_schema(client, WEB_TABLES)
        second = cluster.servers[0][1].address
        for at in (nullcontext(client), on(dsn)):
            with at as asking, pytest.raises(SchemaError) as refused:
                require_schema(asking, WEB_TABLES)
            first, *_ = str(refused.value).partition(" is not usable: ")[2].split("; ")
            assert re.sub(r"table \w+", "table …", first) == (
                "the table … has 1 replica in Keeper, and CLICKHOUSE_DSN names 2 hosts: "
                f"{second.host}:{second.http_port} has none: run apply_schema_job, which makes it there"
            )
        with open_client(Dsn.parse(dsn), wait_seconds=60, create_database=True) as applying:
            apply_schema(applying, WEB_TABLES)
    assert shown(cluster) == [[(1, 2), (2, 2)]] * 2
    with on(dsn, first=1) as client:
        assert not require_schema(client, WEB_TABLES).unusable


def test_a_replica_without_a_table_is_named_with_what_makes_it_and_one_with_another_path_with_what_to_drop(
    cluster: Cluster, dsn: str
) -> None:
    second = cluster.servers[0][1].address
    with on(dsn) as client:
        visit(client, 1, 2)
        assert build(client).run().problems == ()
        other = everywhere(client)["2"]
        said = f"the table {STATS} has 1 replica in Keeper, and CLICKHOUSE_DSN names 2 hosts: "
        [[made]] = other.query(
            f"SELECT create_table_query FROM system.tables WHERE name = '{STATS}' AND database = 'replicas'"
        ).result_rows

        other.command(f"DROP TABLE {STATS} SYNC")
        none = f"{second.host}:{second.http_port} has none: run apply_schema_job, which makes it there"
        assert require_schema(client, WEB_TABLES).unusable == {STATS: said + none}
        apply_schema(client, WEB_TABLES)
        assert not require_schema(client, WEB_TABLES).unusable
        until(lambda: shown(cluster) == [[(1, 2), (2, 2)]] * 2)

        other.command(f"DROP TABLE {STATS} SYNC")
        other.command(str(made).replace(f"/replicas/{STATS}'", f"/replicas/other_{STATS}'"))
        apart = f"on {second.host}:{second.http_port} it has another path, and other rows: drop it there, and run "
        assert require_schema(client, WEB_TABLES).unusable == {STATS: f"{said}{apart}apply_schema_job"}
        with pytest.raises(SchemaError, match=re.escape(f"{said}{apart}apply_schema_job")):
            apply_schema(client, WEB_TABLES)
        other.command(f"DROP TABLE {STATS} SYNC")
        apply_schema(client, WEB_TABLES)
        until(lambda: shown(cluster) == [[(1, 2), (2, 2)]] * 2)


@at_night
def test_two_who_apply_the_schema_at_once_each_on_another_replica_both_succeed(cluster: Cluster) -> None:
    def applied(first: int) -> None:
        whole = turned(cluster.dsn("applied_twice"), first)
        with open_client(whole, wait_seconds=60, create_database=True) as client:
            apply_schema(client, WEB_TABLES)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(applied, range(2)))
    with open_client(Dsn.parse(cluster.dsn("applied_twice")), wait_seconds=60) as client:
        assert not require_schema(client, WEB_TABLES).unusable
        assert recorded_version(client) == migrations()[-1].version


def test_a_build_that_was_robbed_on_one_replica_publishes_nothing_once_another_holds_the_lease_on_the_other(
    cluster: Cluster, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stalls before the swap, is silent for too long, and wakes up after all."""
    with on(dsn) as robbed, on(dsn, first=1) as thief:
        visit(robbed, 1, 2)
        monkeypatch.setattr("dags.clickhouse.leases.store.BEAT_SECONDS", 1000.0)

        def stall(moment: Moment) -> None:
            if moment is Moment.VALIDATED:
                monkeypatch.setattr(rules, "DEAD_AFTER_SECONDS", 0.0)
                insert(thief, [Event(team_id=1, timestamp=noon(DAY, 50), session_id="late")])
                assert build(thief, "run-2").run().problems == ()
                assert not [name for name in staged(thief) if "run_run_1" in name and name.endswith(STATS)]
                monkeypatch.setattr(rules, "DEAD_AFTER_SECONDS", 60.0)

        built = build(robbed, "run-1", at=stall).run()
        assert built.problems
        assert all("no longer by this run" in words for words in built.problems)
        assert shown(cluster) == [[(1, 3), (2, 2)]] * 2


@at_night
def test_what_another_replica_published_while_one_waited_is_fetched_before_the_day_is_swapped(
    cluster: Cluster, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day is swapped in whole, and what this replica has not fetched of it would be gone from all."""
    monkeypatch.setattr(store, "FETCH_SECONDS", 1.0)
    with on(dsn) as one, on(dsn, first=1) as late:
        visit(one, 1, 2)
        assert not unusable(synced(late))
        for table in WEB_TABLES:
            late.command(f"SYSTEM STOP FETCHES {table.name}")
        try:
            assert build(one, "run-1", 1).run().problems == ()
            with pytest.raises(LeaseError, match="the replica 2 is not worked on, nothing was touched: it lags behind"):
                build(late, "run-2", 2).run()
        finally:
            for table in WEB_TABLES:
                late.command(f"SYSTEM START FETCHES {table.name}")
        # Who was kept from fetching tries again at longer and longer intervals.
        until(lambda: not unusable(synced(late)))
        assert build(late, "run-3", 2).run().problems == ()
    assert shown(cluster) == [[(1, 2), (2, 2)]] * 2


def test_without_a_session_nobody_is_taken_for_dead(cluster: Cluster, dsn: str) -> None:
    with on(dsn) as client:
        cluster.keeper.kill()
        try:
            with pytest.raises((LeaseError, ClickHouseError)):
                fenceable(client, wait_seconds=0.2)
        finally:
            cluster.keeper.start()
    until(lambda: _is_open(dsn))


def test_a_replica_that_keeper_holds_for_alive_and_that_does_not_answer_keeps_builds_from_beginning(dsn: str) -> None:
    with on(dsn) as client:
        place = place_of(client)
        assert place is not None
        silent = replace(place.own, host="127.0.0.1", port=1)
        client.place = replace(place, dsn=replace(place.own, others=((silent.host, silent.port),)), _opened={})  # type: ignore[attr-defined]
        told: list[str] = []
        with pytest.raises(LeaseError, match="the replica 2 is alive by Keeper and does not answer"):
            fenceable(client, told.append, sleep=lambda _: None, wait_seconds=0.2)
        assert len(told) == 1


def test_clocks_that_disagree_are_told_and_nobody_takes_over_from_the_dead(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on(dsn) as client:
        here = place_of(client)
        assert said_of_others(client) == ()

        def read(asked: Client) -> Clocks:
            found = read_clocks(asked)
            return found if place_of(asked) is here else replace(found, server=found.server + timedelta(seconds=25))

        monkeypatch.setattr(store, "read_clocks", read)
        [words] = said_of_others(client)
        assert "the clocks of replicas disagree by 25 s; have them agree within 20 s" in words
        with pytest.raises(LeaseError, match="disagree by 25 s"):
            fenceable(client, wait_seconds=0)


def test_a_replica_that_is_slow_is_not_said_to_have_a_wrong_clock_nor_held_for_sure(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on(dsn) as client:
        here, clock, late = place_of(client), time.monotonic, [0.0]
        monkeypatch.setattr("dags.clickhouse.replicas.store.time.monotonic", lambda: clock() + late[0])

        def read(asked: Client) -> Clocks:
            found = read_clocks(asked)
            late[0] += 0 if place_of(asked) is here else 50
            return found

        monkeypatch.setattr(store, "read_clocks", read)
        assert said_of_others(client) == ()
        with pytest.raises(LeaseError, match="a replica took so long to say what time it is"):
            fenceable(client, wait_seconds=0)


def test_of_clients_of_both_replicas_one_gets_a_lease_and_the_others_see_whose_it_is(dsn: str) -> None:
    with on(dsn) as one, on(dsn, first=1) as other:
        for attempt in range(20):
            day = ago(100 + attempt)
            racers = [one, other] if attempt % 2 else [other, one]
            with (
                Leases(racers[0], "winner", wait_seconds=0, tell=print) as winner,
                Leases(racers[1], "loser", wait_seconds=0, tell=print) as loser,
            ):
                winner.take(STATS, day)
                with pytest.raises(LeaseError, match="is being built by run winner"):
                    loser.take(STATS, day)
                winner.confirm(STATS, day)
        assert read_leases(other) == ()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda dsn: replace(dsn, cluster="none"), "it knows no cluster 'none'"),
        (lambda dsn: replace(dsn, others=(*dsn.others, ("127.0.0.1", 1))), "names 3 hosts"),
    ],
    ids=["no cluster of that name", "a host too many"],
)
def test_what_is_not_as_declared_is_refused_by_every_replica(
    dsn: str, changed: Callable[[Dsn], Dsn], words: str
) -> None:
    with pytest.raises(UnreadableError, match=words), open_client(changed(Dsn.parse(dsn)), wait_seconds=60):
        pass


def test_a_replicated_table_of_two_is_not_built_where_one_host_is_named(cluster: Cluster, dsn: str) -> None:
    with on(dsn) as client:
        visit(client, 1)
    alone = cluster.servers[0][0].address.dsn("replicas")
    with open_client(Dsn.parse(alone), wait_seconds=60) as client:
        unusable = require_schema(client, WEB_TABLES).unusable
    assert "has 2 replicas, and CLICKHOUSE_DSN names one host" in unusable[STATS]


def test_a_table_of_one_server_among_replicas_is_refused_by_name(dsn: str) -> None:
    with on(dsn) as client:
        client.command(f"RENAME TABLE {STATS} TO replicated")
        client.command(f"CREATE TABLE {STATS} AS replicated ENGINE = AggregatingMergeTree "
                       "PARTITION BY toYYYYMMDD(period_bucket) ORDER BY (team_id, period_bucket, host, device_type) "
                       "SETTINGS deduplicate_merge_projection_mode = 'rebuild', "
                       "allow_dimensions_outside_sorting_key = 1")  # fmt: skip
        try:
            words = require_schema(client, WEB_TABLES).unusable[STATS]
            assert "of one server, and CLICKHOUSE_DSN names several" in words
        finally:
            client.command(f"DROP TABLE {STATS} SYNC")
            client.command(f"RENAME TABLE replicated TO {STATS}")


def test_a_source_that_shows_what_is_not_known_to_be_here_wholly_is_refused_by_name(dsn: str) -> None:
    with on(dsn) as client:

        def of_source(shown: str) -> str:
            client.command(f"CREATE OR REPLACE VIEW events AS {shown}")
            return require_schema(client, WEB_TABLES).unusable.get(STATS, "")

        client.command("RENAME TABLE events TO events_kept")
        client.command("CREATE TABLE plain AS events_kept ENGINE = MergeTree ORDER BY team_id")
        try:
            kept = "SELECT *, qualifies FROM events_kept"
            assert of_source(f"{kept} WHERE team_id IN (SELECT team_id FROM events_kept)") == ""
            both = of_source(f"{kept} UNION ALL SELECT *, qualifies FROM plain")  # which has no row here
            assert "the table plain is a MergeTree of one server, and CLICKHOUSE_DSN names several" in both
            far = of_source("SELECT *, qualifies FROM merge('replicas', '^events_kept$')")
            assert "events is a View and shows rows that are in no table of its database" in far
        finally:
            client.command("DROP VIEW events SYNC")
            client.command("DROP TABLE plain SYNC")
            client.command("RENAME TABLE events_kept TO events")
