"""The rights that the README asks for are enough; who lacks one is told which, and who only reads is answered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dagster import AssetKey, DagsterInstance

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.targets.facts import NEXT_STEP, absent
from dags.clickhouse.targets.store import read_usability
from dags.definitions import defs
from dags.demo.loop import enable
from dags.settings import current_settings
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.events import Event, insert
from dags.tests.postgres_backfill.tenants import (
    DAYS,
    die_with_a_day_attached,
    load,
    loaded,
    of,
    queue,
    read_only,
    tenant,
)
from dags.tests.world import STATS, World, ago, new_world, noon
from dags.web_preaggregated.tables import WEB_TABLES
from dags.work.audit.store import read_works

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

README = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
[BLOCK] = re.findall(r"```sql\n(GRANT .+?)```", README, re.DOTALL)
GRANTS = [" ".join(one.split()) for one in re.sub(r"--.*", "", BLOCK).split(";")]
READS = ["GRANT SELECT, dictGet ON web_analytics.*", "GRANT SELECT ON system.*"]
WHO = {"requested_by": "alice", "reason": "a test"}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grants")]


def user(name: str, grants: Iterable[str], profile: str = "default") -> str:
    queries = "".join(f"<query>{grant.rpartition(' TO ')[0] or grant}</query>" for grant in grants)
    return (
        f"<{name}><password>word</password><networks><ip>127.0.0.1</ip></networks><profile>{profile}</profile>"
        f"<quota>default</quota><grants>{queries}</grants></{name}>"
    )


def configuration(users: Iterable[str]) -> str:
    """That of a server with these users, and one who may do all."""
    return f"""<clickhouse>
<profiles><default/><asks><readonly>2</readonly></asks></profiles><quotas><default/></quotas>
<users>
  <default><password></password><networks><ip>127.0.0.1</ip><ip>::1</ip></networks><profile>default</profile>
    <quota>default</quota></default>
  {"".join(users)}
</users></clickhouse>"""


USERS = (
    user("web_analytics", GRANTS),
    user("drops_nothing", [grant.replace("DROP TABLE, ", "") for grant in GRANTS]),
    user("inserts_nothing", READS),
    user("asks", READS, "asks"),
    user("asks_nothing_of_the_server", READS[:1], "asks"),
    user("nobody", ["GRANT SELECT ON system.one"]),
)


@pytest.fixture(scope="module")
def dsn_of(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Callable[[str], str]]:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    with running_server(tmp_path_factory.mktemp("grants"), configuration(USERS)) as server:
        address = server.dsn("web_analytics").rpartition("@")[2]
        yield lambda name: f"clickhouse://{name}:word@{address}"


def run(instance: DagsterInstance, name: str, config: object = None, **options: object) -> str:
    """Run a job; why it failed, in the words of what it raised; empty if it did not."""
    job = defs.resolve_job_def(name)
    ran = job.execute_in_process(instance=instance, run_config=config or {}, raise_on_error=False, **options)  # type: ignore[arg-type]
    failures = ran.get_step_failure_events()
    return str(failures[0].step_failure_data.error) if failures else ""


@pytest.fixture
def world(dsn_of: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Iterable[World]:
    dsn = dsn_of("web_analytics")
    monkeypatch.setenv("CLICKHOUSE_DSN", dsn)
    current_settings.cache_clear()
    with DagsterInstance.ephemeral() as instance:
        assert not run(instance, "apply_schema_job")
    with new_world(dsn, monkeypatch) as opened:
        opened.traffic([1], [ago(1), ago(2)])
        opened.select(1)
        yield opened


def test_the_rights_in_the_readme_are_enough_for_every_command_and_build(world: World) -> None:
    assert not run(world.instance, "web_analytics_team_selection_job")
    assert not run(world.instance, "web_pre_aggregate_job", partition_key=str(ago(1)))
    assert not run(world.instance, "check_missing_data_job")
    days = {"start_date": str(ago(2)), "end_date": str(ago(1))}
    assert not run(world.instance, "managed_backfill_job", {"target_table": STATS, **days, **WHO, "dry_run": False})
    [work, *_] = read_works(world.client)
    for job in ("rollback_backfill_job", "delete_backfill_job"):
        assert not run(world.instance, job, {"backfill_id": work.work_id, **WHO})


def test_the_rights_in_the_readme_are_enough_to_load_from_postgresql_and_to_take_out_again(
    world: World, postgres_database: str, tmp_path: Path
) -> None:
    """As a user of ClickHouse and as a role of PostgreSQL that have what the README gives them, and nothing else."""
    with tenant(world, postgres_database, tmp_path) as source:
        source.history(DAYS)
        world.monkeypatch.setenv("TENANT_POSTGRES_DSN", read_only(postgres_database))
        assert load(world, kind="incremental")["count_record"] == 9
        assert load(world, table_name="late_orders", batch_size=2)["count_record"] == 9
        die_with_a_day_attached(world)
        assert len(loaded(world)) == 21
        last = queue(world)[-1]["id"]
        for verb in ("cancel", "delete"):
            assert not run(world.instance, f"{verb}_postgres_backfill_job", of(last))
        assert len(loaded(world)) == 18


def test_a_right_that_lacks_is_named_with_the_statement_that_gives_it(
    world: World, dsn_of: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_DSN", dsn_of("inserts_nothing"))
    current_settings.cache_clear()
    refused = run(world.instance, "stop_all_backfills_job", WHO)
    assert "`GRANT INSERT ON web_analytics.web_analytics_backfill_stops TO inserts_nothing` gives it" in refused
    monkeypatch.setenv("CLICKHOUSE_DSN", dsn_of("drops_nothing"))
    current_settings.cache_clear()
    failed = run(world.instance, "web_pre_aggregate_job", partition_key=str(ago(1)))
    assert "`GRANT SELECT, DROP TABLE ON web_analytics.* TO drops_nothing` gives it" in failed
    assert "README, Server, has all of them. Until then each attempt may leave a table behind, this one " in failed


def test_that_a_table_is_detached_hears_whoever_may_ask_and_others_that_it_is_not_there(
    world: World, dsn_of: Callable[[str], str]
) -> None:
    said = {}
    world.client.command(f"DETACH TABLE {STATS}")
    try:
        for name in ("asks", "asks_nothing_of_the_server"):
            with open_client(Dsn.parse(dsn_of(name)), wait_seconds=5) as client:
                said[name] = read_usability(client, WEB_TABLES).unusable
    finally:
        world.client.command(f"ATTACH TABLE {STATS}")
    assert said == {
        "asks": {STATS: absent(STATS, [STATS])},
        "asks_nothing_of_the_server": {STATS: f"the table {STATS} does not exist: {NEXT_STEP}"},
    }


def test_who_runs_the_statements_that_are_named_one_after_another_gets_a_user_that_can_do_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as it stands, of a user who lacks several. The engine keeps users in a file, so it begins again for each."""
    grants = [re.sub("DROP TABLE, |ALTER TABLE, |, dictGet", "", grant) for grant in GRANTS]
    day, given = ago(1), list[str]()
    jobs: list[tuple[str, dict[str, object]]] = [
        ("web_analytics_team_selection_job", {}),
        ("web_pre_aggregate_job", {"partition_key": str(day)}),
    ]
    while True:
        users = configuration([*USERS, user("ada", [*grants, *given])])
        with running_server(tmp_path, users) as server:
            address = server.dsn("web_analytics").rpartition("@")[2]
            monkeypatch.setenv("CLICKHOUSE_DSN", f"clickhouse://{address}")
            current_settings.cache_clear()
            with DagsterInstance.ephemeral() as instance:
                if not given:
                    assert not run(instance, "apply_schema_job")
                    with open_client(current_settings().clickhouse_dsn, wait_seconds=5) as client:
                        insert(client, [Event(1, noon(day), "s")])
                        enable(client, [1])
                monkeypatch.setenv("CLICKHOUSE_DSN", f"clickhouse://ada:word@{address}")
                current_settings.cache_clear()
                failed = next(filter(None, (run(instance, job, **options) for job, options in jobs)), "")
        if not failed:
            break
        named = re.findall(r"`(GRANT .+? TO ada)` gives it", failed)
        assert set(named) - set(given), failed
        given.append(named[0])
    assert given == [
        "GRANT dictGet ON web_analytics.web_pre_aggregated_teams_dict TO ada",
        "GRANT SELECT, DROP TABLE ON web_analytics.* TO ada",
        "GRANT INSERT, ALTER DELETE ON web_analytics.* TO ada",
    ]


def test_a_right_that_lacks_is_named_without_a_trace_wherever_it_is_met(
    world: World,
    dsn_of: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    of_assets = defs.resolve_implicit_global_asset_job_def().name
    runs: list[tuple[str, str, dict[str, object], str]] = [
        ("inserts_nothing", "web_pre_aggregate_job", {"partition_key": str(ago(1))}, "`GRANT INSERT ON web_analytics."),
        ("inserts_nothing", "web_analytics_team_selection_job", {}, "`GRANT INSERT ON web_analytics."),
        ("nobody", "check_missing_data_job", {}, "README, Server, has the statements for it"),
        ("nobody", of_assets, {"asset_selection": [AssetKey("web_analytics_backfill_detector")]}, "README, Server"),
    ]
    for name, job, options, words in runs:
        monkeypatch.setenv("CLICKHOUSE_DSN", dsn_of(name))
        current_settings.cache_clear()
        capfd.readouterr()
        assert run(world.instance, job, **options)
        shown = capfd.readouterr()
        assert "Stack Trace" not in shown.err
        last = " ".join(shown.err.rstrip().rpartition("\n\n")[2].split())
        assert words in last
        # The words alone, without the class of what was raised.
        assert last.startswith(("the user ", "unknown, not complete: web_pre_aggregated_"))
        assert "SHOW DATABASES" not in shown.out + shown.err


def test_who_only_reads_is_answered_and_told_that_nothing_is_kept(
    world: World,
    dsn_of: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    kept = "SELECT count(), max(read_at) FROM web_pre_aggregated_day_states FINAL"  # a merge changes neither
    before = world.client.query(kept).result_rows
    insert = "`GRANT INSERT ON web_analytics.* TO inserts_nothing`"
    for name, words in {"asks": "readonly (2)", "inserts_nothing": insert}.items():
        world.traffic([1], [ago(1), ago(2)], session=name)
        monkeypatch.setenv("CLICKHOUSE_DSN", dsn_of(name))
        current_settings.cache_clear()
        for job in ("check_missing_data_job", "show_data_gaps_job", "show_backfills_job", "list_waivers_job"):
            assert not run(world.instance, job)
        said = " ".join(capfd.readouterr().out.split())
        assert "NOT COMPLETE" in said
        assert words in said
    assert world.client.query(kept).result_rows == before
