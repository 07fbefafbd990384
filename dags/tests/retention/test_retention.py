"""A year of history, and retention after it: what is asked is answered as before, and what is open goes on."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from dagster import AssetKey, RunsFilter
from dagster._core.test_utils import freeze_time

from dags.clickhouse import clocks
from dags.clickhouse.schema.books import append
from dags.detection.waivers.store import read_waivers
from dags.domain.clock import MAX_SKEW, Clocks
from dags.domain.errors import UserError
from dags.repair.decision import Trigger
from dags.retention.jobs import agreed
from dags.tests.retention.test_store import LEDGER, work, works
from dags.tests.variants import server_at_night
from dags.tests.world import BOUNCES, STATS, ago
from dags.work.audit.log import MANAGED
from dags.work.audit.store import read_state

if TYPE_CHECKING:
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.tests.world import World

JOB, TEAMS = "web_analytics_retention_job", (1, 2)

# The settings keep 400 days.
DAYS = [ago(number) for number in (*range(460, 425, -1), *range(9, 1, -1))]
OLD, LATELY = ago(450), ago(5)


def at(day: date, hour: int = 1) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=UTC)


def a_year(world: World) -> None:
    """Builds, each three times, as the daily schedule makes them; some failed, some rows were lost since."""
    world.select(*TEAMS)
    world.traffic(TEAMS, DAYS)
    world.built(*DAYS)
    ended = "toDateTime64(day + {age}, 6, 'UTC') + toIntervalHour(1)"
    for age in (1, 2, 3):
        world.client.command(
            f"INSERT INTO {LEDGER} SELECT * REPLACE({ended.format(age=age)} AS finished_at, "
            f"concat('run-', toString(day), '-{age}') AS run_id) "
            f"FROM (SELECT * FROM {LEDGER} WHERE run_id = 'by-hand')"
        )
    world.client.command(f"ALTER TABLE {LEDGER} DELETE WHERE run_id = 'by-hand'")
    failed = [
        [table, day, 1, "a-run", "failed", "why", at(day, 5)] for table in (STATS, BOUNCES) for day in (OLD, LATELY)
    ]
    append(world.client, LEDGER, failed, ("table_name", "day", "team_id", "run_id", "outcome", "error", "finished_at"))
    for table in (STATS, BOUNCES):
        for day in (OLD, LATELY, ago(6), ago(430)):
            world.client.command(
                f"DELETE FROM {table} WHERE team_id = 1 AND toDate(period_bucket) = {{day:Date}}",
                parameters={"day": day},
            )
    work(world.client, "backfill-completed", MANAGED, "completed", at(OLD))
    work(world.client, "backfill-paused", MANAGED, "paused", at(OLD), runs=[f"run-{OLD}-1"])
    columns = ("waiver_id", "event", "first_day", "last_day", "valid_until", "at")
    waivers = [["waiver-1", "set", ago(430), ago(430), ago(-9), at(ago(430))], ["old", "set", OLD, OLD, OLD, at(OLD)]]
    append(world.client, "web_analytics_waivers", waivers, columns)


def answers(world: World) -> dict[str, Any]:
    """What every diagnostic says, of the look-back and of all days, and what a tick would do."""
    gaps = world.run_as_configured("show_data_gaps_job", {"days_back": 460}).output_for_node("show_data_gaps")
    decided = [world.evaluate(trigger).decision for trigger in (Trigger.SENSOR, Trigger.SCHEDULE)]
    why = world.run_as_configured("why_job", {"day": str(OLD), "team_id": 1}).output_for_node("why")
    paused = read_state(world.client, "backfill-paused")
    assert paused is not None
    return {
        "missing": {name: told for name, told in world.missing_data().items() if name != "query_seconds"},
        "gaps": gaps,
        "decisions": [(one.requests, one.deferred, one.remaining, one.words) for one in decided],
        # But for what it cost, and what was read for it.
        "why": why.partition("FACTS")[0],
        "open": paused.entries,
        "waived": [one for one in read_waivers(world.client) if one.holds(ago(0))],
    }


def forgotten(world: World, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.run_as_configured(JOB, given).output_for_node(JOB.removesuffix("_job"))
    return found


@pytest.mark.slow(minutes=0.4)
def test_after_a_year_of_history_every_question_is_answered_as_before_and_what_is_open_goes_on(world: World) -> None:
    a_year(world)
    before = answers(world)
    assert str(OLD) in str(before["gaps"])
    assert before["decisions"][0][0]
    [(rows,)] = world.client.query(f"SELECT count() FROM {LEDGER} WHERE outcome = 'built'").result_rows
    assert rows == 3 * 2 * 2 * len(DAYS)
    would = forgotten(world)
    assert works(world.client) == {"backfill-completed", "backfill-paused"}
    gone = forgotten(world, dry_run=False)
    assert gone["rows"][LEDGER] > 200
    assert would["rows"] == gone["rows"]
    assert gone["rows"]["web_analytics_backfill_events"] == 3
    assert gone["rows"]["web_analytics_waivers"] == 1
    assert gone["works_that_stay"] == {"it is not over": 1}
    assert works(world.client) == {"backfill-paused"}
    assert answers(world) == before
    kept = world.client.query(
        f"SELECT DISTINCT run_id FROM {LEDGER} WHERE day = {{day:Date}}", {"day": OLD}
    ).result_rows
    # The last build of each unit, its failure, and what a run of the paused backfill built.
    assert sorted(run for (run,) in kept) == sorted(["a-run", f"run-{OLD}-1", f"run-{OLD}-3"])
    world.carry_out(world.tick())
    assert not {str(LATELY), str(ago(6))} & set(str(world.missing_data()["details"]).split("'"))


@server_at_night
def test_the_job_says_what_would_go_and_touches_nothing_unless_told_and_prints_what_stays_and_why(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.select(1)
    day = ago(430)
    world.traffic([1], [day])
    with freeze_time(at(ago(420))):
        for _ in range(2):
            world.loop.run("web_pre_aggregate_job", partition_key=day.isoformat())
        for _ in range(2):
            world.loop.run("list_waivers_job")
    [*_] = runs = [run.run_id for run in world.instance.get_runs(RunsFilter(updated_before=at(ago(419))))]
    assert len(runs) == 4
    capsys.readouterr()
    told = forgotten(world)
    assert (told["runs"], told["runs_that_stay"], told["is_all"]) == (3, {"newest": 1}, True)
    printed = capsys.readouterr().out
    assert "WOULD GO 3 runs with their events and logs, the oldest of" in printed
    assert "STAY     1 run: the newest event of an asset, a day of it or a check is theirs" in printed
    assert "STAY     web_analytics_file_events: which files are known, and which rows are whose" in printed
    assert printed.endswith("Nothing was touched. With dry_run: false it goes; the schedule does that every day\n")
    assert [line for line in printed.splitlines() if len(line) > 100] == []
    assert len(world.instance.get_runs(RunsFilter(run_ids=runs))) == 4
    forgotten(world, dry_run=False)
    [stays] = world.instance.get_runs(RunsFilter(run_ids=runs))
    assert stays.job_name == "web_pre_aggregate_job"
    assert world.instance.get_materialized_partitions(AssetKey(STATS)) == {day.isoformat()}
    assert capsys.readouterr().out.count("GONE") == 7


@pytest.mark.parametrize(("host", "clickhouse"), [(730, 0), (0, 730)])
def test_while_clocks_disagree_nothing_is_forgotten_and_the_person_is_told_both(
    world: World, monkeypatch: pytest.MonkeyPatch, host: int, clickhouse: int
) -> None:
    with freeze_time(at(ago(40))):
        world.loop.run("list_waivers_job")
    columns = ("waiver_id", "event", "first_day", "last_day", "valid_until", "at")
    append(world.client, "web_analytics_waivers", [["w", "set", ago(9), ago(9), ago(-300), at(ago(8))]], columns)
    world.set(run_retention_days=41)
    real = clocks.read_clocks

    def wrong(client: Client) -> Clocks:
        found = real(client)
        return Clocks(found.host + timedelta(host), found.server + timedelta(clickhouse), found.read_at)

    monkeypatch.setattr(clocks, "read_clocks", wrong)
    with pytest.raises(UserError) as refused:
        forgotten(world, dry_run=False)
    assert "nothing is forgotten while clocks disagree" in str(refused.value)
    assert f"clock says {ago(-host)}" in str(refused.value)
    assert f"ClickHouse's, {ago(-clickhouse)}" in str(refused.value)
    [waiver] = read_waivers(world.client)
    assert waiver.holds(ago(0))
    assert len(world.instance.get_runs(RunsFilter(job_name="list_waivers_job"))) == 1


@pytest.mark.parametrize("skew", [-MAX_SKEW, MAX_SKEW])
def test_ages_are_counted_from_the_earlier_of_two_clocks_that_agree(skew: timedelta) -> None:
    host, server = at(LATELY), at(LATELY) + skew
    assert agreed(Clocks(host, server, 0.0)) == min(host, server)


@server_at_night
def test_runs_are_kept_for_as_long_as_the_setting_says(world: World) -> None:
    with freeze_time(at(ago(40))):
        for _ in range(2):
            world.loop.run("list_waivers_job")
    assert forgotten(world)["runs"] == 0
    world.set(run_retention_days=41)
    assert forgotten(world)["runs"] == 0
    world.set(run_retention_days=39)
    assert forgotten(world, max_runs=1, dry_run=False)["runs"] == 1
    assert forgotten(world)["runs"] == 1
    assert timedelta(days=39) == world.settings.run_retention
