"""The story: what `health_job` and the standing checks say while all is well, when it breaks, and once it is right."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from dagster import AssetSelection

from dags.definitions import defs
from dags.domain.clock import utc_now
from dags.domain.errors import UserError
from dags.health import jobs
from dags.health.causes import Check
from dags.health.report import page
from dags.settings import current_settings
from dags.tests.health.daemon import Daemon
from dags.tests.runbook import cure, symptom
from dags.tests.variants import server_at_night
from dags.tests.world import BOUNCES, STATS, World, ago
from dags.web_preaggregated_backfill import catalog
from dags.web_preaggregated_backfill.last_verdict import last_verdict

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from dagster import AssetKey, DagsterInstance

    from dags.health.causes import Health
    from dags.web_preaggregated_backfill.evaluation import Evaluation

pytestmark = server_at_night

TEAMS = (1, 2, 3)
LOST = (4, 5, 6)
DAYS = [ago(n) for n in range(1, 8)]


@pytest.fixture
def well(world: World, tmp_path: Path) -> World:
    """All days are built and the daemon lives."""
    world.traffic(TEAMS, DAYS)
    world.select(*TEAMS)
    world.built(*DAYS)
    Daemon.of(world.instance, tmp_path).lives(utc_now())
    return world


Asked = tuple[bool, str, dict[str, str]]


@dataclass
class Ask:
    """Asks whether all is well; ``page`` is what was printed last."""

    world: World
    capsys: pytest.CaptureFixture[str]
    page: str = ""

    def __call__(self) -> Asked:
        """Whether the job succeeds, the first line of its page, and its causes with their states; all of them agree."""
        self.capsys.readouterr()
        ran = self.world.run_as_configured("health_job", raise_on_error=False)
        self.page = self.capsys.readouterr().out.strip()
        lines = self.page.splitlines()
        assert len(lines) <= 40
        told = ran.output_for_node("health") if ran.success else failure(ran)
        assert lines[0].startswith(f"{told['verdict']}: ")
        assert ran.success is not told["needs_a_person"]
        return ran.success, told["verdict"], {cause["key"]: cause["state"] for cause in told["causes"]}


@pytest.fixture
def ask(world: World, capsys: pytest.CaptureFixture[str]) -> Ask:
    return Ask(world, capsys)


def failure(ran: Any) -> dict[str, Any]:
    [event] = [event for event in ran.all_events if event.is_step_failure]
    told: dict[str, Any] = event.step_failure_data.user_failure_data.metadata["health"].value
    return told


def lose(world: World, *days: int, table: str = STATS) -> None:
    for day in days:
        world.client.command(f"ALTER TABLE {table} DROP PARTITION '{ago(day):%Y%m%d}'")


def checks(world: World, *names: Check) -> dict[tuple[str, str], str]:
    """Run standing checks by themselves, as a click or the schedule does: of those that failed, severity and words."""
    job = defs.resolve_job_def("web_analytics_health_checks_job")
    if names:
        keys = [key for key in defs.resolve_asset_graph().asset_check_keys if key.name in map(str, names)]
        job = defs.resolve_implicit_global_asset_job_def().get_subset(
            asset_check_selection=AssetSelection.checks(*keys).resolve_checks(defs.resolve_asset_graph()),
            asset_selection=set(),
        )
    ran = job.execute_in_process(instance=world.instance)
    return {
        (one.asset_key.to_user_string(), one.check_name): f"{one.severity.value}: {one.description}"
        for one in ran.get_asset_check_evaluations()
        if not one.passed
    }


def test_what_breaks_is_told_and_calls_a_person_only_where_nothing_repairs_it(well: World, ask: Ask) -> None:
    assert ask() == (True, "OK", {})
    assert checks(well) == {}

    lose(well, *LOST)
    assert ask() == (True, "REPAIRING", {"gap:disagrees": "repairing"})
    [(where, words)] = checks(well, Check.NO_OLD_GAP, Check.TABLES_AGREE).items()
    assert where == (STATS, "tables_agree")
    assert words.startswith("WARN: REPAIRING: 9 (table, team, day) are wrong, and tables disagree about them")

    well.run_as_configured("stop_all_backfills_job", {"requested_by": "ada", "reason": "disks are full"})
    assert ask() == (False, "NEEDS YOU", {"switch": "needs you", "gap:disagrees": "noted"})
    assert symptom("backfills are stopped").search(ask.page)
    [(where, words)] = checks(well, Check.NO_OLD_GAP, Check.RUNS_BY_ITSELF).items()
    assert where == ("web_analytics_operation", "runs_by_itself")
    assert words.startswith("ERROR: NEEDS YOU: backfills are stopped by ada; their reason: disks are full; since ")
    assert words.endswith(
        '\n\n- `dg launch --job resume_all_backfills_job -c <(echo "{requested_by: $(whoami), reason: it is over}")`'
    )
    well.run_as_configured("resume_all_backfills_job", {"requested_by": "ada", "reason": "it is over"})

    well.client.command("TRUNCATE TABLE web_analytics_gaps")
    well.client.command(
        "INSERT INTO web_analytics_gaps (table_name, day, event, at) "
        f"SELECT '{STATS}', toDate('{ago(5)}'), 'opened', now64(6) - INTERVAL 49 HOUR"
    )
    assert ask() == (False, "NEEDS YOU", {"gap:disagrees": "needs you"})
    late = "… wrong for longer than …"
    assert symptom(late).search(ask.page)
    failed = checks(well, Check.NO_OLD_GAP, Check.TABLES_AGREE)
    assert failed.keys() == {(STATS, "no_old_gap"), (STATS, "tables_agree")}
    assert all(words.startswith("ERROR: NEEDS YOU: 3 (table, team, day) are wrong for") for words in failed.values())

    waived, *built = map(ago, LOST)
    well.build(*built)
    waiver = {
        "first_day": str(waived),
        "last_day": str(waived),
        "valid_until": str(ago(-30)),
        "requested_by": "ada",
        "reason": "the tracker was off",
    }
    well.run_as_configured(*cure(late, "waive_job", **waiver))
    assert ask() == (True, "OK", {"waived": "noted"})


def test_a_clickhouse_that_is_gone_is_unknown_and_fails_every_check_that_asks_it(
    well: World, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        gone(patched)
        _says_that_it_is_gone(well, ask)
    current_settings.cache_clear()
    assert ask() == (True, "REPAIRING", NOT_COMPARED)


# That nothing could be compared is no second reason to call somebody, nor one once ClickHouse answers again.
NOT_COMPARED = {f"accuracy:{table}": "repairing" for table in (STATS, BOUNCES)}


def _says_that_it_is_gone(well: World, ask: Ask) -> None:
    assert ask() == (False, "UNKNOWN", {"unknown:data": "unknown"})
    assert symptom("… could not be read").search(ask.page)
    failed = checks(well)
    served = {(key.asset_key.to_user_string(), key.name) for key in defs.resolve_asset_graph().asset_check_keys}
    assert failed.keys() == {one for one in served if one[1] != "complete"}
    assert all(words.startswith("ERROR: ") and "secret" not in words for words in failed.values())
    assert ask() == (False, "UNKNOWN", {"unknown:data": "unknown", **NOT_COMPARED})
    checks(well, Check.ACCURATE)
    assert ask() == (False, "UNKNOWN", {"unknown:data": "unknown", **NOT_COMPARED})


def test_an_answer_does_not_wait_for_the_catalog_and_the_run_does(well: World, ask: Ask) -> None:
    answered, is_in_time = threading.Event(), []
    leave = catalog.leave

    def page_then(health: Health) -> str:
        answered.set()
        return page(health)

    def leave_late(instance: DagsterInstance, evaluation: Evaluation, *, but: Collection[AssetKey]) -> None:
        is_in_time.append(answered.wait(30))
        leave(instance, evaluation, but=but)

    before = last_verdict(well.instance).number
    with mock.patch.object(catalog, "leave", leave_late), mock.patch.object(jobs, "page", page_then):
        assert ask()[:2] == (True, "OK")
    assert is_in_time == [True]
    assert last_verdict(well.instance).number > before


def test_values_that_no_count_finds_wrong_are_found_against_raw_events_until_they_are_right(
    well: World, ask: Ask
) -> None:
    well.client.command(
        f"INSERT INTO {STATS} SELECT * REPLACE ('/elsewhere' AS pathname) "
        f"FROM (SELECT * FROM {STATS} WHERE team_id = 2)"
    )
    well.client.command(f"DELETE FROM {STATS} WHERE team_id = 2 AND pathname != '/elsewhere'")
    assert ask() == (True, "OK", {})
    [(where, words)] = checks(well, Check.ACCURATE).items()
    assert where == (STATS, "accurate")
    assert words.startswith("ERROR: team 2 of 3 that were compared, ")
    assert ask() == (False, "NEEDS YOU", {f"accuracy:{STATS}": "needs you"})
    seen = "… is not what its raw events come to"
    assert symptom(seen).search(ask.page)
    well.build(date.fromisoformat(words.partition("compared, ")[2][:10]))
    well.run_as_configured(*cure(seen, "web_analytics_health_checks_job"))
    assert ask() == (True, "OK", {})


def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_DSN", "clickhouse://nobody:secret@localhost:1/web_analytics")
    current_settings.cache_clear()


def test_the_page_is_written_where_it_was_asked_for_also_where_a_person_is_needed(
    well: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "health.html"
    asked = {"save_page_to": str(path)}
    ran = well.run_as_configured("health_job", asked)
    text = path.read_text(encoding="utf-8")
    assert "<title>OK: nothing is the matter</title>" in text
    assert f"<dt>database</dt><dd>{escape(str(current_settings().clickhouse_dsn))}</dd>" in text
    [saved] = [event.step_output_data.metadata["saved_page"] for event in ran.all_events if event.is_successful_output]
    assert saved.value == str(path)

    gone(monkeypatch)
    assert not well.run_as_configured("health_job", asked, raise_on_error=False).success
    text = path.read_text(encoding="utf-8")
    assert "<title>UNKNOWN: 1 is unknown</title>" in text
    assert "clickhouse://nobody@localhost:1/web_analytics" in text
    assert "secret" not in text


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_asked(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone(monkeypatch)
    with pytest.raises(UserError, match=r"save_page_to is '.*': .*/none is no directory: make it, or name another"):
        world.run_as_configured("health_job", {"save_page_to": str(tmp_path / "none" / "health.html")})
    assert "UNKNOWN" not in capsys.readouterr().out
