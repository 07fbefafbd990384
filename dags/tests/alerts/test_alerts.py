"""The story: what people hear while a gap appears, is repaired, grows old, is reminded of and is over."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance

from dags.alerts.channels import read_channels
from dags.alerts.memory import Memory
from dags.alerts.sensors import UntoldError
from dags.alerts.store import UnkeptError, alone, read_memory, write_memory, write_mutes
from dags.clickhouse.child import call
from dags.definitions import defs
from dags.demo.loop import tick
from dags.domain import clock
from dags.domain.clock import utc_now
from dags.domain.errors import EngineBusyError, EngineError, EngineSlowError, UserError
from dags.settings import current_settings
from dags.tests.alerts.hosts import Host, free_port, hearing
from dags.tests.health.daemon import Daemon
from dags.tests.runbook import cure, symptom
from dags.tests.variants import server_at_night, variants
from dags.tests.world import STATS, World, ago

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dags.clickhouse.dsn import Dsn

pytestmark = server_at_night

TEAMS = (1, 2, 3)
DAYS = [ago(n) for n in range(1, 8)]
SENSOR = "web_analytics_alerts_sensor"


@pytest.fixture
def host() -> Iterator[Host]:
    with hearing() as opened:
        yield opened


def as_in_a_child(dsn: Dsn, work: Any, **limits: Any) -> Any:
    """What a child does with the work of a tick, but for the process: these tests have the engine themselves."""
    return pickle.loads(pickle.dumps(call(dsn, pickle.loads(pickle.dumps(work)), **limits)))  # noqa: S301 -- our own


@dataclass
class Ticks:
    """The sensor's ticks, by a clock that tests set; the daemon lives by it, and messages go to real hosts."""

    world: World
    daemon: Daemon
    late: timedelta = timedelta(0)
    read: Any = field(default=utc_now)

    def __call__(self, after: timedelta = timedelta(minutes=10)) -> str:
        """What the tick says so long after the last."""
        self.late += after
        self.world.monkeypatch.setattr(clock, "utc_now", lambda: self.read() + self.late)
        self.daemon.lives(clock.utc_now())
        return tick(defs.resolve_sensor_def(SENSOR), self.world.instance).skip_message or ""


@pytest.fixture
def ticks(world: World, host: Host, tmp_path: Path) -> Ticks:
    """All days are built, the daemon lives, and one channel hears."""
    world.traffic(TEAMS, DAYS)
    world.select(*TEAMS)
    world.built(*DAYS)
    world.set(alert_urls=host.url())
    world.monkeypatch.setattr("dags.dagster_runs.resource.call", as_in_a_child)
    return Ticks(world, Daemon.of(world.instance, tmp_path))


def said(answer: str, count: int) -> str:
    sent = f"{count} message{'s' * (count != 1)} sent"
    return f"{answer}: {sent if count else 'nothing new to tell'}"


def shown(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.run_as_configured("show_alerts_job").output_for_node("show_alerts")
    return found


HOUR = timedelta(hours=1)


def test_a_gap_is_told_when_it_is_old_reminded_of_once_and_over_when_it_is_repaired(
    ticks: Ticks, host: Host, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world, scraped = ticks.world, tmp_path / "web_analytics.prom"
    world.set(metrics_file=scraped)
    assert ticks() == said("OK", 0)
    assert 'web_analytics_health{verdict="OK"} 1.0' in scraped.read_text(encoding="utf-8")
    for day in (4, 5, 6):
        world.client.command(f"ALTER TABLE {STATS} DROP PARTITION '{ago(day):%Y%m%d}'")
    assert [ticks() for _ in range(2)] == [said("REPAIRING", 0)] * 2
    assert 'web_analytics_health{verdict="OK"} 0.0' in scraped.read_text(encoding="utf-8")
    assert 'web_analytics_health{verdict="REPAIRING"} 1.0' in scraped.read_text(encoding="utf-8")
    assert host.heard == []

    world.client.command("TRUNCATE TABLE web_analytics_gaps")
    world.client.command(
        "INSERT INTO web_analytics_gaps (table_name, day, event, at) "
        f"SELECT '{STATS}', toDate('{ago(5)}'), 'opened', now64(6) - INTERVAL 49 HOUR"
    )
    assert [ticks(), ticks(), ticks()] == [said("NEEDS YOU", count) for count in (0, 1, 0)]
    [told] = host.heard
    assert (told["title"], told["type"]) == (
        "NEEDS YOU: 3 (table, team, day) are wrong for longer than 2 d, and tables disagree about them: rows lost",
        "failure",
    )
    assert f"whom: teams 1, 2, 3, {STATS}" in told["message"]
    assert "$: dg launch --job why_job" in told["message"]
    assert "key: 'gap:disagrees'" in told["message"]
    [alert] = shown(world)["alerts"]
    assert (alert["key"], alert["status"], alert["took_it"]) == ("gap:disagrees", "told", 1)
    assert "key     gap:disagrees\n  heard   told " in capsys.readouterr().out

    ticks(24 * HOUR)
    ticks(24 * HOUR)
    assert host.subjects == [told["title"], f"STILL {told['title']}"]

    for day in (4, 5, 6):
        world.build(ago(day))
    assert [ticks(), ticks(), ticks()] == [said("OK", count) for count in (0, 0, 1)]
    assert host.subjects[2:] == [told["title"].replace("NEEDS YOU", "OVER")]
    ticks(48 * HOUR)
    assert len(host.heard) == 3


def test_a_clickhouse_that_is_gone_is_told_though_nothing_can_be_read_from_it(ticks: Ticks, host: Host) -> None:
    dsn = f"clickhouse://nobody:secret@127.0.0.1:{free_port()}/web_analytics"
    ticks.world.monkeypatch.setenv("CLICKHOUSE_DSN", dsn)
    current_settings.cache_clear()
    assert [ticks(), ticks(), ticks()] == [said("UNKNOWN", count) for count in (0, 1, 0)]
    [told] = host.heard
    assert told["title"].startswith("UNKNOWN: the data, the list of teams, ")
    assert "secret" not in str(told)


@pytest.mark.long
@pytest.mark.parametrize("error", variants(EngineBusyError, EngineSlowError))
def test_an_engine_that_does_not_answer_is_no_news_until_it_has_been_so_for_long(
    ticks: Ticks, host: Host, error: type[EngineError]
) -> None:
    assert ticks() == said("OK", 0)

    def busy(*_: object, **__: object) -> None:
        raise error("another process has it")

    ticks.world.monkeypatch.setattr("dags.dagster_runs.resource.call", busy)
    with hearing() as watch:  # that nothing is seen is no beat
        ticks.world.set(heartbeat_url=f"http://127.0.0.1:{watch.port}/")
        assert [ticks() for _ in range(5)] == [said("the engine does not answer yet", 0)] * 5
        assert watch.heard == []
        ticks.world.set(heartbeat_url="")
    assert [ticks(), ticks(), ticks()] == [said("UNKNOWN", count) for count in (0, 1, 0)]
    assert "another process has it" in host.heard[0]["message"]


@pytest.mark.long
def test_a_channel_that_is_dead_fails_the_tick_by_its_name_and_hears_it_later(ticks: Ticks, host: Host) -> None:
    world = ticks.world
    world.run_as_configured("stop_all_backfills_job", {"requested_by": "ada", "reason": "disks"})
    with hearing() as other:
        other.status = 500
        world.set(alert_urls=f"{host.url()} {other.url('json')}?x=1")
        assert ticks() == said("NEEDS YOU", 0)
        for _ in range(2):
            with pytest.raises(UntoldError) as failed:
                ticks()
            assert symptom("channel … of WEB_ANALYTICS_ALERT_URLS").match(str(failed.value))
            assert str(failed.value).startswith("channel 2 (json) of WEB_ANALYTICS_ALERT_URLS: it answered 500.")
            assert "sesame" not in str(failed.value)
            assert "secret" not in str(failed.value)
        assert (len(host.heard), len(other.heard)) == (1, 0)
        other.status = 200
        assert [ticks(), ticks()] == [said("NEEDS YOU", 1), said("NEEDS YOU", 0)]
        assert (len(host.heard), len(other.heard)) == (1, 1)


@pytest.mark.long
def test_what_one_channel_took_is_kept_though_the_tick_does_not_live_to_its_end(ticks: Ticks, host: Host) -> None:
    ticks.world.run_as_configured("stop_all_backfills_job", {"requested_by": "ada", "reason": "disks"})
    ticks()
    with ticks.world.monkeypatch.context() as fault:
        fault.setattr("dags.alerts.sensors.untold", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ticks()
    ticks()
    assert len(host.heard) == 1


@pytest.mark.long
def test_the_heartbeat_is_heard_while_somebody_can_be_told(ticks: Ticks, host: Host) -> None:
    world = ticks.world
    with hearing() as watch:
        beats = f"http://127.0.0.1:{watch.port}/ping/secret"
        world.set(heartbeat_url=beats)
        ticks()
        assert watch.heard == [{"sensor": SENSOR, "answer": said("OK", 0)}]
        host.status = 500
        world.run_as_configured("stop_all_backfills_job", {"requested_by": "ada", "reason": "disks"})
        ticks()
        with pytest.raises(UntoldError):
            ticks()
        assert len(watch.heard) == 2
        world.set(alert_urls="")
        assert ticks() == "nobody is to be told: WEB_ANALYTICS_ALERT_URLS is not set"
        assert len(watch.heard) == 3


def test_what_is_muted_is_not_told_until_that_ends(ticks: Ticks, capsys: pytest.CaptureFixture[str]) -> None:
    world = ticks.world
    world.run_as_configured("stop_all_backfills_job", {"requested_by": "ada", "reason": "disks"})
    mute = {"key": "swi*", "hours": 2, "requested_by": "bob", "reason": "we know"}
    world.run_as_configured("mute_alert_job", mute)
    assert [ticks(), ticks()] == [said("NEEDS YOU", 0)] * 2
    found = shown(world)
    assert [(one["key"], one["status"]) for one in found["alerts"]] == [("switch", "muted")]
    assert [(one["key"], one["requested_by"], one["reason"]) for one in found["mutes"]] == [("swi*", "bob", "we know")]
    assert datetime.fromisoformat(found["mutes"][0]["until"]) - utc_now() <= timedelta(hours=2)
    assert [ticks(2 * HOUR), ticks()] == [said("NEEDS YOU", 0), said("NEEDS YOU", 1)]
    assert shown(world)["mutes"] == []

    world.run_as_configured("mute_alert_job", {**mute, "key": "gap:*"})
    world.run_as_configured("mute_alert_job", {**mute, "key": "gap:*", "hours": 0})
    assert shown(world)["mutes"] == []
    assert "UNMUTED  gap:*" in capsys.readouterr().out


def test_a_test_message_goes_to_every_channel_and_says_which_took_it(
    world: World, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="there is no channel: name some in WEB_ANALYTICS_ALERT_URLS"):
        world.run_as_configured("send_test_alert_job")
    world.set(alert_urls=host.url())
    assert world.run_as_configured("send_test_alert_job").output_for_node("send_test_alert") == {
        "channel 1 (json)": "took it"
    }
    world.set(alert_urls=f"json://127.0.0.1:{free_port()}/token-1 {host.url()}")
    with pytest.raises(UserError, match=r"^channel 1 \(json\) of WEB_ANALYTICS_ALERT_URLS did not take the message"):
        world.run_as_configured("send_test_alert_job")
    assert host.subjects == ["TEST: web analytics alerts"] * 2
    world.set(alert_urls=host.url())
    job, given = cure("channel … of WEB_ANALYTICS_ALERT_URLS", "send_test_alert_job")
    assert world.run_as_configured(job, given).success
    output = str(capsys.readouterr())
    assert "channel 1 (json): did NOT take it: it could not be reached, or refused" in output
    assert "token-1" not in output
    assert "sesame" not in output


def test_what_cannot_be_kept_is_told_all_the_same_and_its_error_holds_none_of_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(_: object) -> None:
        raise OSError("database is locked [parameters: everybody's words]")

    world.monkeypatch.setattr(world.instance.daemon_cursor_storage, "set_cursor_values", locked)
    write_memory(world.instance, "mark", Memory())
    assert "it is told again" in caplog.text
    with pytest.raises(UnkeptError, match="cannot be kept in Dagster's storage") as refused:
        write_mutes(world.instance, "mark", ())
    assert "everybody" not in f"{refused.value}{caplog.text}"


def test_two_ticks_at_once_tell_nothing_twice(ticks: Ticks) -> None:
    with alone(ticks.world.instance) as is_alone:
        assert is_alone
        assert ticks() == "another tick tells people right now"
    assert ticks() == said("OK", 0)


def test_where_no_lock_can_be_taken_people_are_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr("dags.alerts.store.FileLock.acquire", refuse)
    with DagsterInstance.ephemeral() as instance, alone(instance) as is_alone:
        assert is_alone
    assert "read-only file system" in caplog.text


@pytest.mark.parametrize("kept", ["no JSON", json.dumps({"version": 0}), json.dumps([1]), json.dumps({"version": 1})])
def test_a_memory_that_cannot_be_understood_is_begun_anew(kept: str, caplog: pytest.LogCaptureFixture) -> None:
    with DagsterInstance.ephemeral() as instance:
        instance.daemon_cursor_storage.set_cursor_values({"web_analytics_alerts:here:told": kept})
        assert read_memory(instance, "here").entries == {}
    assert "so all is told again" in caplog.text


@pytest.mark.long
def test_nothing_that_is_kept_or_logged_holds_a_url(ticks: Ticks, caplog: pytest.LogCaptureFixture) -> None:
    world = ticks.world
    world.run_as_configured("stop_all_backfills_job", {"requested_by": "ada", "reason": "disks"})
    ticks()
    ticks()
    [channel] = read_channels(current_settings())
    kept = world.instance.daemon_cursor_storage.get_cursor_values(
        {f"web_analytics_alerts:{current_settings().clickhouse_dsn.mark}:told"}
    )
    [text] = kept.values()
    assert channel.id in text
    assert not [secret for secret in ("sesame", "a-secret-path", "somebody") if secret in text + caplog.text]
