"""On servers over which teams are spread: each shard is looked at and built by itself, and all are told of as one."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from dagster import AssetSelection, DagsterInstance, Failure, build_schedule_context

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.replicas.rules import unusable
from dags.clickhouse.replicas.store import shard_at, synced
from dags.clickhouse.schema.apply import require_schema
from dags.dagster_runs import command
from dags.dagster_runs.tags import LANE_TAG, PLAN_FIELD, TEAMS_FIELD
from dags.definitions import WATCHED, defs
from dags.demo.loop import Loop
from dags.detection.waivers.store import read_waivers
from dags.domain.clock import utc_now
from dags.domain.commands import launch_command
from dags.domain.errors import EngineError, UserError
from dags.domain.shards import SHARD_TAG
from dags.repair.stops import jobs
from dags.repair.stops.stopped import why_stopped
from dags.settings import current_settings
from dags.team_selection.store import read_selection
from dags.tests.as_built import as_built
from dags.tests.clickhouse_cluster import running_cluster
from dags.tests.emptied import EmptiedDatabase
from dags.tests.events import Event, insert
from dags.tests.health.daemon import Daemon
from dags.tests.variants import at_night, require_cluster, variants
from dags.tests.world import BOUNCES, STATS, ago, noon
from dags.web_preaggregated_backfill import evaluation
from dags.web_preaggregated_backfill.catalog import evaluate_now
from dags.web_preaggregated_backfill.store import observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from clickhouse_connect.driver.client import Client
    from dagster import RunRequest

    from dags.detection.detection import Detection
    from dags.tests.clickhouse_cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("shards")]

DATABASE, BUILD = "shards", "web_pre_aggregate_job"
DAYS = [ago(3), ago(2)]
HERE, THERE = (1, 2), (3, 4)


@dataclass
class Sharded:
    """Two shards of which the first has the teams `HERE` and the second `THERE`, and a Dagster that knows of both."""

    cluster: Cluster
    clients: dict[int, Client]
    instance: DagsterInstance
    monkeypatch: pytest.MonkeyPatch

    @property
    def loop(self) -> Loop:
        return Loop(self.instance)

    def visit(self, shard: int, *teams: int) -> None:
        """Two sessions of each team on each day, on one shard."""
        sessions = [(team, day, n) for team in teams for day in DAYS for n in range(2)]
        events = [Event(team_id=t, timestamp=noon(day, n), session_id=f"{t}-{day}-{n}") for t, day, n in sessions]
        insert(self.clients[shard], events)

    def built(self, *days: date) -> None:
        """Each shard has built these days of its own teams; written without a build."""
        for client, teams in zip(self.clients.values(), (HERE, THERE), strict=True):
            as_built(client, *teams, days=days)

    def detected(self) -> Detection:
        clickhouse: Any = (defs.resources or {})["clickhouse"]
        return evaluate_now(self.instance, clickhouse, WATCHED, "tests").detection

    def wrong(self) -> set[tuple[int, int]]:
        """Shard and team of what is wrong."""
        return {(group.shard, team) for group in self.detected().wrong.groups for team in group.teams}

    def tick(self) -> list[RunRequest]:
        asked = self.loop.tick()
        print(asked.skip_message)
        return list(asked.requests)

    def carry_out(self, requests: list[RunRequest]) -> None:
        self.loop.carry_out(requests, lambda _: None)

    def shown(self) -> list[list[tuple[int, int]]]:
        """Days by team in the table of stats, on each shard: on its first replica, which readers ask by itself."""
        found = []
        for of_shard in self.cluster.servers:
            with open_client(Dsn.parse(of_shard[0].address.dsn(DATABASE)), wait_seconds=60) as client:
                rows = client.query(f"SELECT team_id, uniq(toDate(period_bucket)) FROM {STATS} GROUP BY 1 ORDER BY 1")
                found.append([tuple(row) for row in rows.result_rows])
        return found

    @contextmanager
    def without(self, shard: int, *replicas: int) -> Iterator[None]:
        """Servers of a shard are dead meanwhile: those that are named, else all of them."""
        of_shard = self.cluster.servers[shard - 1]
        dead = [of_shard[number] for number in replicas] or of_shard
        for server in dead:
            server.kill()
        try:
            yield
        finally:
            for server in dead:
                server.start()
            self._wait_until_usable(shard)

    @contextmanager
    def without_keeper(self) -> Iterator[None]:
        """Keeper is dead meanwhile, of every shard."""
        self.cluster.keeper.kill()
        try:
            yield
        finally:
            self.cluster.keeper.start()
            for shard in self.clients:
                self._wait_until_usable(shard)

    def _wait_until_usable(self, shard: int) -> None:
        over = time.monotonic() + 60
        while not self._is_usable(shard):
            assert time.monotonic() < over
            time.sleep(0.2)

    def _is_usable(self, shard: int) -> bool:
        try:
            with open_client(
                Dsn.parse(self.cluster.dsn_of_shards(DATABASE, 0, 1)).shards[shard - 1], wait_seconds=60
            ) as client:
                return not unusable(synced(client))
        except EngineError:
            return False


# Replicas of shards are told at night: all else of them is told of replicas alone.
@pytest.fixture(scope="module", params=[pytest.param(1, id="2x1"), pytest.param(2, id="2x2", marks=pytest.mark.slow)])
def shards(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    require_cluster()
    with ExitStack() as opened:
        cluster = opened.enter_context(running_cluster(tmp_path_factory.mktemp("shards"), 2, request.param))
        clients = {}
        for shard, dsn in enumerate(Dsn.parse(cluster.dsn_of_shards(DATABASE, 0, 1)).shards, 1):
            client = open_client(dsn, wait_seconds=60, create_database=True, who="tests")
            clients[shard] = opened.enter_context(client)
        databases = [EmptiedDatabase(client) for client in clients.values()]

        def empty() -> tuple[Cluster, dict[int, Client]]:
            for database in databases:
                database.empty()
            return cluster, clients

        yield empty


@pytest.fixture
def world(
    shards: Callable[[], tuple[Cluster, dict[int, Client]]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sharded]:
    cluster, clients = shards()
    monkeypatch.setenv("CLICKHOUSE_DSN", cluster.dsn_of_shards(DATABASE, 0, 1))
    monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_SETTLE_HOURS", "0")
    monkeypatch.setenv("WEB_ANALYTICS_ENABLED_TEAM_IDS", "1,2,3,4")
    current_settings.cache_clear()
    with DagsterInstance.ephemeral() as instance:
        made = Sharded(cluster, clients, instance, monkeypatch)
        made.visit(1, *HERE)
        made.visit(2, *THERE)
        made.loop.run("web_analytics_team_selection_job")
        yield made
    current_settings.cache_clear()


def places(requests: list[RunRequest]) -> dict[tuple[str | None, str], dict[str, list[int]]]:
    """Day and shard of each request → the teams that it names, by table."""
    [op] = {table.op for table in WATCHED}
    return {
        (one.partition_key, one.tags[SHARD_TAG]): one.run_config["ops"][op]["config"][TEAMS_FIELD] for one in requests
    }


def both(teams: tuple[int, ...]) -> dict[str, list[int]]:
    return {BOUNCES: list(teams), STATS: list(teams)}


def test_a_tick_asks_for_a_run_of_each_day_and_shard_with_its_teams_alone_and_the_runs_leave_nothing_to_do(
    world: Sharded,
) -> None:
    requests = world.tick()
    assert places(requests) == {
        (str(day), shard): both(teams) for day in DAYS for shard, teams in (("1", HERE), ("2", THERE))
    }
    assert len({one.run_key for one in requests}) == 4
    assert {(one.tags[SHARD_TAG], one.tags[LANE_TAG]) for one in requests} == {("1", "1"), ("2", "2")}
    world.carry_out(requests)
    found = world.detected()
    assert (found.unknown, list(found.wrong), found.teams) == ({}, [], 4)
    assert found.complete_by_table == {STATS: 8, BOUNCES: 8}
    assert world.shown() == [[(team, 2) for team in HERE], [(team, 2) for team in THERE]]
    assert world.tick() == []


@at_night
def test_teams_too_many_for_a_configuration_are_written_where_their_run_reads_them(world: Sharded) -> None:
    world.built(DAYS[0])
    world.monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS", "1")
    current_settings.cache_clear()
    world.monkeypatch.setattr(evaluation, "CONFIG_CHARACTERS", 1)
    requests = world.tick()
    assert len(requests) == 2
    assert {list(op["config"]) == [PLAN_FIELD] for one in requests for op in one.run_config["ops"].values()} == {True}
    frozen = "SELECT DISTINCT arrayJoin(team_ids) FROM web_pre_aggregated_requests ORDER BY 1"
    found = [[team for (team,) in client.query(frozen).result_rows] for client in world.clients.values()]
    assert found == [list(HERE), list(THERE)]
    world.carry_out(requests)
    assert (world.wrong(), world.shown()) == (set(), [[(team, 2) for team in HERE], [(team, 2) for team in THERE]])


def test_a_shard_that_is_down_is_unknown_by_name_and_the_days_of_the_other_are_done_and_later_its_own(
    world: Sharded,
) -> None:
    with world.without(2):
        requests = world.tick()
        assert places(requests) == {(str(day), "1"): both(HERE) for day in DAYS}
        world.carry_out(requests)
        found = world.detected()
        assert set(found.unknown) == {STATS, BOUNCES}
        assert all(why.startswith("shard 2: ") and "no ClickHouse answers" in why for why in found.unknown.values())
        assert (list(found.wrong), found.complete_by_table) == ([], {})
        with pytest.raises(Failure, match="unknown, not complete"):
            world.loop.missing_data()
        assert world.tick() == []
    world.monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS", "1")
    current_settings.cache_clear()
    requests = world.tick()
    assert places(requests) == {(str(day), "2"): both(THERE) for day in DAYS}
    world.carry_out(requests)
    assert (world.detected().unknown, world.wrong()) == ({}, set())


@at_night
def test_why_job_answers_for_the_shards_that_do_and_says_which_does_not(
    world: Sharded, capsys: pytest.CaptureFixture[str]
) -> None:
    world.visit(1, 1)
    early = {"day": str(ago(90)), "team_id": 1}
    with world.without(2):
        for given in ({"team_id": 1}, early):
            capsys.readouterr()
            with pytest.raises(Failure, match="unknown, not complete"):
                world.loop.run("why_job", run_config=given)
            said = " ".join(capsys.readouterr().out.split())
            assert said.startswith("UNKNOWN")
            assert "shard 2: no replica of clickhouse://" in said
            assert "team 1 is enabled" in said
            assert "missing" in said or given is early


def test_with_one_replica_of_a_shard_dead_all_is_known_and_built(world: Sharded) -> None:
    if len(world.cluster.servers[0]) == 1:
        pytest.skip("a shard of one replica is down with it")
    with world.without(2, 1):
        world.carry_out(world.tick())
        assert (world.detected().unknown, world.wrong()) == ({}, set())


@pytest.mark.parametrize(
    "is_built", variants(False, True), ids=["before any build", "once each shard has built its part"]
)
def test_a_team_on_two_shards_is_named_and_never_asked_for(world: Sharded, is_built: bool) -> None:  # noqa: FBT001
    world.visit(2, 1)
    if is_built:
        as_built(world.clients[1], *HERE, days=DAYS)
        as_built(world.clients[2], 1, *THERE, days=DAYS)
    found = world.detected()
    assert set(found.unknown) == {STATS, BOUNCES}
    assert all("of the teams 1 (shards 1, 2) there are rows on several shards" in why for why in found.unknown.values())
    assert world.wrong() == (set() if is_built else {(1, 2), (2, 3), (2, 4)})
    assert {team for teams in places(world.tick()).values() for team in teams[STATS]} == (
        set() if is_built else {2, 3, 4}
    )


@at_night
def test_a_team_that_is_moved_as_the_page_has_it_is_rebuilt_where_it_lies_now_and_nowhere_else(world: Sharded) -> None:
    world.built(*DAYS)
    here, there = world.clients[1], world.clients[2]
    columns = [name for name, kind in here.query(
        "SELECT name, default_kind FROM system.columns WHERE database = currentDatabase() AND table = 'events'"
    ).result_rows if kind != "MATERIALIZED"]  # fmt: skip
    moved = here.query(f"SELECT {', '.join(columns)} FROM events WHERE team_id = 2").result_rows
    there.insert("events", moved, column_names=columns)
    assert all("of the teams 2 (shards 1, 2)" in why for why in world.detected().unknown.values())
    for table in ("events", STATS, BOUNCES):
        here.command(f"DELETE FROM {table} WHERE team_id = 2")
    requests = world.tick()
    assert places(requests) == {(str(day), "2"): both((2,)) for day in DAYS}
    world.carry_out(requests)
    assert (world.detected().unknown, world.wrong()) == ({}, set())
    assert world.shown() == [[(1, 2)], [(2, 2), (3, 2), (4, 2)]]


def test_shards_that_are_named_in_another_order_are_refused_by_name(world: Sharded) -> None:
    world.monkeypatch.setenv("CLICKHOUSE_DSN", world.cluster.dsn_of_shards(DATABASE, 1, 0))
    current_settings.cache_clear()
    for why in world.detected().unknown.values():
        assert "it is of shard 2 of the cluster 'test_cluster', and CLICKHOUSE_DSN has it in place 1" in why
        assert "it is of shard 1 of the cluster 'test_cluster', and CLICKHOUSE_DSN has it in place 2" in why


def test_a_build_that_names_no_shard_or_none_that_there_is_is_refused_and_touches_nothing(world: Sharded) -> None:
    for tags in ({}, {SHARD_TAG: "3"}):
        with pytest.raises(
            UserError, match=f"CLICKHOUSE_DSN names 2 shards, and this .*: give the run the tag {SHARD_TAG}"
        ) as refused:
            world.loop.run(BUILD, partition_key=str(DAYS[0]), tags=tags)
        assert launch_command(BUILD, shard=1, day=str(DAYS[0])) in str(refused.value)
    assert world.shown() == [[], []]


@pytest.mark.usefixtures("world")
def test_the_daily_schedule_asks_for_a_run_of_each_day_and_shard() -> None:
    schedule = defs.resolve_schedule_def("web_pre_aggregate_daily_schedule")
    with build_schedule_context(
        scheduled_execution_time=utc_now(), resources=defs.resources, repository_def=defs.get_repository_def()
    ) as context:
        requests = schedule.evaluate_tick(context).run_requests or []
    days = {str(ago(1)), str(ago(2))}
    assert {(one.partition_key, one.tags[SHARD_TAG]) for one in requests} == {(d, s) for d in days for s in ("1", "2")}
    assert len({one.run_key for one in requests}) == 4


@at_night
def test_who_stops_backfills_stops_them_on_every_shard_also_while_one_is_down(world: Sharded) -> None:
    why = {"reason": "a move", "requested_by": "ops"}
    with world.without(2), pytest.raises(UserError, match=r"1 of 2 shards were not told, the others were: shard 2: "):
        world.loop.run("stop_all_backfills_job", run_config=why)
    assert [bool(why_stopped(client)) for client in world.clients.values()] == [True, False]
    assert world.tick() == []
    world.loop.run("stop_all_backfills_job", run_config=why)
    assert all(why_stopped(client) for client in world.clients.values())
    world.loop.run("resume_all_backfills_job", run_config=why)
    assert len(world.tick()) == 4


def test_a_detection_of_one_shard_of_several_says_of_what_nothing_is_known(world: Sharded) -> None:
    if len(world.cluster.servers[0]) == 1:
        pytest.skip("a shard of one replica is not named with a cluster")
    assert world.detected().warnings == ()
    world.monkeypatch.setenv("CLICKHOUSE_DSN", world.cluster.dsn(DATABASE, shard=1))
    current_settings.cache_clear()
    [warning] = world.detected().warnings
    assert "has 2 shards, and CLICKHOUSE_DSN names the hosts of one" in warning


@at_night
def test_a_shard_that_stands_still_once_it_is_connected_keeps_a_stop_from_no_other(world: Sharded) -> None:
    first = world.cluster.servers[0][0]

    def stands_still(client: Client) -> object:
        if shard_at(client)[0] == 1:
            first.pause()
        return require_schema(client)

    world.monkeypatch.setattr(command, "require_schema", stands_still)
    world.monkeypatch.setattr(jobs, "ANSWER_SECONDS", 1.0)
    try:
        with pytest.raises(UserError, match=r"1 of 2 shards were not told, the others were: shard 1: "):
            world.loop.run("stop_all_backfills_job", run_config={"reason": "a move", "requested_by": "ops"})
    finally:
        first.resume()
    assert [bool(why_stopped(client)) for client in world.clients.values()] == [False, True]


def test_a_shard_that_stands_still_while_it_is_looked_at_is_unknown_soon_and_hides_no_other(world: Sharded) -> None:
    first = world.cluster.servers[0][0]

    def stands_still(client: Client, **how: Any) -> object:
        if shard_at(client)[0] == 1:
            first.pause()
        return observe(client, **how)

    world.monkeypatch.setattr(evaluation, "observe", stands_still)
    world.monkeypatch.setattr(evaluation, "LOOK_SECONDS", 1.0)
    try:
        found = world.detected()
    finally:
        first.resume()
    assert all(words.startswith("shard 1: ") for words in found.unknown.values())
    assert found.unknown.keys() == {STATS, BOUNCES}
    assert {(group.shard, team) for group in found.wrong.groups for team in group.teams} == {(2, 3), (2, 4)}


@at_night
def test_a_waiver_is_given_to_every_shard_and_lifted_on_each(world: Sharded) -> None:
    asked = {"first_day": str(DAYS[0]), "last_day": str(DAYS[1]), "valid_until": str(ago(-7)), "team_ids": [1, 3]}
    result = world.loop.run("waive_job", run_config={**asked, "reason": "known", "requested_by": "ops"})
    assert [len(read_waivers(client)) for client in world.clients.values()] == [1, 1]
    assert (len(world.detected().waivers), world.wrong()) == (1, {(1, 2), (2, 4)})
    lift = {"waiver_id": result.output_for_node("waive"), "requested_by": "ops"}
    world.loop.run("lift_waiver_job", run_config=lift)
    assert [read_waivers(client) for client in world.clients.values()] == [(), ()]


@at_night
def test_the_teams_that_any_shard_names_are_the_list_on_each(world: Sharded) -> None:
    world.monkeypatch.setenv("WEB_ANALYTICS_TEAM_SOURCES", "table")
    current_settings.cache_clear()
    for shard, teams in ((1, (1, 7)), (2, (3, 4))):
        world.clients[shard].insert("web_analytics_enabled_teams", [[team] for team in teams], ["team_id"])
    world.loop.run("web_analytics_team_selection_job")
    assert [read_selection(client).teams for client in world.clients.values()] == [{1, 3, 4, 7}] * 2


def test_apply_schema_says_of_every_host_that_it_has_it(world: Sharded, capsys: pytest.CaptureFixture[str]) -> None:
    world.loop.run("apply_schema_job")
    said = [line for line in capsys.readouterr().out.splitlines() if "replica" in line]
    replicas = range(1, len(world.cluster.servers[0]) + 1)
    assert said == [f"shard {shard}: replica {replica}: has it" for shard in (1, 2) for replica in replicas]


def health(world: Sharded, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    world.loop.run("health_job", raise_on_error=False)
    return capsys.readouterr().out


@at_night
def test_health_is_of_every_shard_and_names_the_one_that_cannot_be_asked(
    world: Sharded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.built(*DAYS)
    Daemon.of(world.instance, tmp_path).lives(utc_now())
    assert health(world, capsys).startswith("OK: ")
    with world.without(2):
        page = health(world, capsys)
        assert page.startswith("UNKNOWN: ")
        assert "shard 2: no replica of clickhouse://" in " ".join(page.split())
        # What was lost on the other is told nevertheless.
        world.clients[1].command(f"DELETE FROM {STATS} WHERE team_id = 1")
        page = " ".join(health(world, capsys).split())
        assert "shard 2 does not answer" in page
        assert "rows lost" in page


@at_night
def test_a_team_that_is_not_what_its_raw_events_come_to_is_found_on_the_second_shard_too(world: Sharded) -> None:
    world.built(*DAYS)
    client = world.clients[2]
    client.command(
        f"INSERT INTO {STATS} SELECT * REPLACE ('/elsewhere' AS pathname) "
        f"FROM (SELECT * FROM {STATS} WHERE team_id = 4)"
    )
    client.command(f"DELETE FROM {STATS} WHERE team_id = 4 AND pathname != '/elsewhere'")
    [key] = [one for one in defs.resolve_asset_graph().asset_check_keys if one.name == "accurate" and STATS in str(one)]
    job = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_check_selection=AssetSelection.checks(key).resolve_checks(defs.resolve_asset_graph()),
        asset_selection=set(),
    )
    [found] = job.execute_in_process(instance=world.instance).get_asset_check_evaluations()
    assert not found.passed
    assert str(found.description).startswith("team 4 of 4 that were compared, ")


@at_night
def test_what_is_swept_and_forgotten_is_on_every_shard(world: Sharded, capsys: pytest.CaptureFixture[str]) -> None:
    for client in world.clients.values():
        client.command(
            "INSERT INTO web_analytics_backfill_stops (is_stopped, reason, requested_by, at) "
            "SELECT 0, 'long ago', 'ops', now64(6) - toIntervalYear(3) + toIntervalSecond(number) FROM numbers(3)"
        )
    world.loop.run("web_analytics_retention_job", run_config={"dry_run": False})
    assert "GONE     4 rows of web_analytics_backfill_stops" in capsys.readouterr().out
    left = [
        client.query("SELECT count() FROM web_analytics_backfill_stops").result_rows
        for client in world.clients.values()
    ]
    assert left == [[(1,)], [(1,)]]
    world.loop.run("sweep_backups_job")


@at_night
def test_a_shard_that_hangs_leaves_a_tick_the_time_to_ask_for_the_days_of_the_other(world: Sharded) -> None:
    world.monkeypatch.setattr(evaluation, "TICK_LOOK_SECONDS", 5.0)
    world.monkeypatch.setattr(evaluation, "CONFIG_CHARACTERS", 1)
    for server in world.cluster.servers[1]:
        server.pause()
    try:
        began = time.monotonic()
        requests = world.tick()
        assert time.monotonic() - began < 10
    finally:
        for server in world.cluster.servers[1]:
            server.resume()
    assert {one.tags[SHARD_TAG] for one in requests} == {"1"}
    world.carry_out(requests)
    assert world.wrong() == {(2, team) for team in THERE}
