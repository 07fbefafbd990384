"""Whatever answers in ClickHouse's place, whether all is well is known in truth or not at all."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, get_args

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse import server as server_client
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.pinned import PINS
from dags.clickhouse.sql import Sql
from dags.domain.errors import EngineError, UserError
from dags.settings import current_settings
from dags.tests.between import Between, Fault, between
from dags.tests.variants import both_by_day, variants
from dags.tests.world import STATS, World, ago, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

pytestmark = both_by_day

# Of some forty statements of a look so many are struck by each fault; every night all of them.
BY_DAY, ALL, SEED = 2, 1000, 20261127


@pytest.fixture
def well(server: tuple[str, Client], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """All days of two teams are built."""
    with new_world(server[0], monkeypatch) as world:
        days = [ago(n) for n in range(1, 8)]
        world.traffic((1, 2), days)
        world.select(1, 2)
        world.built(*days)
        yield world


@pytest.fixture
def struck(server: tuple[str, Client], monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    """Something before the server, and a location that asks through it."""
    dsn = Dsn.parse(server[0])
    with between(dsn.host, dsn.port) as found:
        monkeypatch.setenv("CLICKHOUSE_DSN", server[0].replace(f":{dsn.port}/", f":{found.port}/"))
        current_settings.cache_clear()
        yield found
    current_settings.cache_clear()


def verdict(well: World, capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, str]]:
    """What `health_job` says, and its causes with their states."""
    capsys.readouterr()
    well.run_as_configured("health_job", {"output": "json"}, raise_on_error=False)
    told = json.loads(capsys.readouterr().out)
    return told["verdict"], {one["key"]: one["state"] for one in told["causes"]}


@pytest.mark.parametrize("fault", ["emptied", "page", "cut"])
@pytest.mark.parametrize("count", variants(BY_DAY, ALL))
def test_a_look_through_something_that_answers_itself_says_the_truth_or_that_it_is_unknown(
    well: World, struck: Between, fault: Fault, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (3, 4, 5):
        well.client.command(f"ALTER TABLE {STATS} DROP PARTITION '{ago(day):%Y%m%d}'")
    struck.strike(-1, fault)
    _, truth = verdict(well, capsys)
    assert truth["gap:disagrees"] != "unknown"
    asked = struck.asked
    wrong = {}
    for at in sorted(random.Random(f"{SEED} {fault}").sample(range(asked), min(asked, count))):
        struck.strike(at, fault)
        word, causes = verdict(well, capsys)
        is_unknown = word == "UNKNOWN" or "unknown" in causes.values()
        if causes != truth and not is_unknown:
            wrong[at] = (word, causes)
    assert wrong == {}


def test_a_server_that_takes_a_question_and_never_answers_is_given_up(
    struck: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_client, "FIRST_ANSWER_SECONDS", 0.2)
    struck.strike(0, "silent")
    begun = time.monotonic()
    with (
        pytest.raises(EngineError, match="no ClickHouse answers"),
        open_client(current_settings().clickhouse_dsn, wait_seconds=1),
    ):
        pass
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("fault", get_args(Fault))
def test_what_clickhouse_did_not_answer_is_an_error(struck: Between, fault: Fault) -> None:
    with open_client(current_settings().clickhouse_dsn, wait_seconds=1, answer_seconds=1) as client:
        sql = Sql("dags.clickhouse", client)
        assert sql.rows("settings_unlike_defaults", {"named": ["readonly"]})
        struck.strike(0, fault)
        with pytest.raises((ClickHouseError, UserError)):
            sql.rows("settings_unlike_defaults", {"named": ["readonly"]})


def test_who_was_silent_once_is_asked_no_more_by_who_only_asks(struck: Between) -> None:
    with open_client(current_settings().clickhouse_dsn, wait_seconds=1, answer_seconds=1) as client:
        sql = Sql("dags.clickhouse", client)
        struck.strike(0, "silent")
        with pytest.raises(ClickHouseError, match="timed out"):
            sql.rows("user")
        with pytest.raises(ClickHouseError, match="so nothing more is asked"):
            sql.rows("user")
        assert struck.asked == 1


def test_what_is_pinned_is_so_though_the_list_of_settings_was_emptied_on_its_way(struck: Between) -> None:
    def pinned() -> dict[str, str]:
        with open_client(current_settings().clickhouse_dsn, wait_seconds=1) as client:
            return {name: str(client.get_client_setting(name)) for name in PINS}

    whole = pinned()
    struck.strike(1, "emptied")
    assert pinned() == whole
    assert struck.asked > 1


def test_a_statement_that_somebody_else_says_is_done_is_not_taken_for_done(struck: Between) -> None:
    with open_client(current_settings().clickhouse_dsn, wait_seconds=1) as client:
        struck.strike(0, "page")
        with pytest.raises(ClickHouseError, match="what answered is not ClickHouse: status 200, text/html"):
            client.command("TRUNCATE TABLE web_analytics_gaps")
