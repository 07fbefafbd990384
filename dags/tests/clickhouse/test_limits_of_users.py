"""The profiles and quotas of the README: what a server makes of them, and what is so once they are used up."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import DagsterInstance

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.domain.errors import UserError
from dags.repair.decision import Trigger
from dags.settings import read_settings
from dags.team_selection.store import write_selection
from dags.tests.builds import TABLES, build
from dags.tests.clickhouse.test_grants import user
from dags.tests.clickhouse.three_users import BUILDER, GRANTS, LIMITS, READER, limited, three_users
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.events import Event, insert
from dags.tests.fold import stored
from dags.tests.world import ago, noon
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.evaluation import evaluate, run_requests, skip_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

# So many statements, and no more: too few for a connection, or for a question, or for a build, and enough.
ASKING = (1, 4, 8, 11, 14, 17, 20, 23, 26, 30, 100)
BUILDING = (12, 20, 24, 28, 32, 36, 40, 48, 60, 80, 400)


@pytest.mark.parametrize("statement", LIMITS)
def test_clickhouse_takes_the_statements_of_the_readme(client: Client, statement: str) -> None:
    client.query(f"EXPLAIN AST {statement}")


def short_of(name: str, statements: int) -> str:
    return f"{name}_{statements}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Dsn]]:
    """The DSN by user: the three, and those with few statements an hour."""
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    few = {
        short_of(name, count): (name, count) for name, counts in {READER: ASKING, BUILDER: BUILDING}.items()
        for count in counts
    }  # fmt: skip
    quotas = "".join(
        f"<{quota}><interval><duration>86400</duration><queries>{count}</queries></interval></{quota}>"
        for quota, (_, count) in few.items()
    )
    users = [
        limited(name, GRANTS[name], short_of(name, count)).replace(name, own, 1).replace(f"</{name}>", f"</{own}>")
        for own, (name, count) in few.items()
    ]
    users.append(user("shows", ["GRANT SHOW ACCESS ON *.*", "GRANT SELECT ON *.*"]))
    with running_server(tmp_path_factory.mktemp("limits"), three_users(users, quotas)) as server:
        where = server.dsn("web_analytics").rpartition("@")[2]
        with opened(Dsn.parse(f"clickhouse://{where}"), create_database=True) as client:
            apply_schema(client, WEB_TABLES)
        yield lambda name: Dsn.parse(f"clickhouse://{name}:word@{where}" if name else f"clickhouse://{where}")


def opened(dsn: Dsn, **options: Any) -> Any:
    return open_client(dsn, wait_seconds=5, who="tests", **options)


@pytest.mark.slow
def test_a_server_makes_of_the_tests_file_what_the_statements_say(served: Callable[[str], Dsn]) -> None:
    """As the server itself writes them, and as it would write ours."""
    with opened(served("shows")) as client:
        for statement in LIMITS:
            kind, name = (
                ("SETTINGS PROFILE", statement.split()[3])
                if "PROFILE" in statement
                else ("QUOTA", statement.split()[2])
            )
            [(ours,)] = client.query("SELECT formatQuerySingleLine({text:String})", {"text": statement}).result_rows
            [(theirs,)] = client.query(f"SHOW CREATE {kind} {name}").result_rows
            assert normal(theirs) == normal(ours)


def normal(statement: str) -> tuple[str, ...]:
    """Without whose it is, which the file has at the user, in no order, and ``300.`` seconds as they are written."""
    text = statement.rpartition(" TO ")[0] if " TO " in statement else statement
    head, _, rest = text.replace(" SETTINGS ", " MAX ", 1).replace("'", "").replace(". ", " ").partition(" MAX ")
    return head, *sorted(one.rstrip(".") for one in rest.split(", "))


@pytest.mark.slow
def test_nobody_raises_a_limit_of_his_own(served: Callable[[str], Dsn]) -> None:
    for name, setting, most in (
        (READER, "max_execution_time", 300),
        (READER, "max_memory_usage", 4_000_000_000),
        (BUILDER, "max_memory_usage", 8_000_000_000),
        (BUILDER, "max_threads", 8),
    ):
        without_limit = [] if setting == "max_threads" else [0]  # of threads 0 is as many as there are cores
        with opened(served(name)) as client:
            client.query("SELECT 1", settings={setting: most})
            for beyond in (most + 1, *without_limit):
                with pytest.raises(ClickHouseError, match=rf"Setting {setting} shouldn't be|SETTING_CONSTRAINT"):
                    client.query("SELECT 1", settings={setting: beyond})


@pytest.mark.slow
def test_a_build_that_may_ask_for_more_memory_than_its_user_says_so_and_publishes_nothing(
    served: Callable[[str], Dsn],
) -> None:
    day = ago(20)
    with opened(served("")) as plain:
        insert(plain, [Event(1, noon(day), "s")])
    with opened(served(BUILDER)) as client:
        built = build(client, 1, day=day, max_memory_bytes=9_000_000_000)
        assert all("max_memory_usage" in problem for problem in built.problems)
        assert len(built.problems) == len(TABLES)
        assert not any(stored(client, table, day) for table in TABLES)
        assert build(client, 1, day=day, max_memory_bytes=8_000_000_000).problems == ()


@pytest.mark.slow
def test_a_quota_that_ends_within_a_tick_is_unknown_and_launches_nothing(served: Callable[[str], Dsn]) -> None:
    day, now = ago(3), datetime.now(UTC)
    with opened(served("")) as plain:
        write_selection(plain, [1, 2])
        insert(
            plain, [Event(team, noon(day - timedelta(days=back)), str(back)) for team in (1, 2) for back in range(4)]
        )
        build(plain, 1, 2, day=day)

    def seen(name: str) -> tuple[bool, str, int]:
        def on_engine(work: Callable[[Client], Any]) -> Any:
            with opened(served(name)) as client:
                return work(client)

        with DagsterInstance.ephemeral() as instance:
            found = evaluate(instance, read_settings({}), WEB_TABLES, Trigger.SENSOR, on_engine, now=now)
            return found.is_unknown, skip_reason(found), len(run_requests(found, "plan"))

    is_unknown, _, requests = seen(READER)
    assert (is_unknown, requests > 0) == (False, True)
    few = {count: seen(short_of(READER, count)) for count in ASKING}
    for count, (is_unknown, said, launched) in few.items():
        if is_unknown:
            assert "QUOTA_EXCEEDED" in said, count
            assert "complete" not in said.replace("not complete", ""), said
            assert launched == 0, count
        else:
            assert launched == requests, count
    assert [one for one, *_ in few.values()] == sorted((one for one, *_ in few.values()), reverse=True)
    assert {one for one, *_ in few.values()} == {True, False}


@pytest.mark.slow(minutes=1.5)
def test_a_quota_that_ends_within_a_build_leaves_the_old_rows_and_the_next_one_makes_it_good(
    served: Callable[[str], Dsn],
) -> None:
    """Each on a day of its own, that has been built and has more events since."""
    days = {count: ago(30 + number) for number, count in enumerate(BUILDING)}
    with opened(served("")) as plain:
        old, new = dict[int, Any](), dict[int, Any]()
        for count, day in days.items():
            insert(plain, [Event(team, noon(day), f"{team}-{day}") for team in (1, 2)])
            assert build(plain, 1, 2, day=day).problems == ()
            old[count] = [stored(plain, table, day) for table in TABLES]
            insert(plain, [Event(1, noon(day, minute), f"1-{day}") for minute in range(1, 5)])
        ended = dict[int, str]()
        for count, day in days.items():
            try:
                with opened(served(short_of(BUILDER, count))) as client:
                    ended[count] = "; ".join(build(client, 1, 2, day=day, run_id=f"few-{count}").problems)
            except (ClickHouseError, UserError) as error:
                ended[count] = str(error)
        after = {count: [stored(plain, table, day) for table in TABLES] for count, day in days.items()}
        # As by whoever comes when the quota's hour is over; a lease that could not be given back ends after a minute.
        for count, day in days.items():
            assert (
                build(plain, 1, 2, day=day, run_id=f"next-{count}", wait_seconds=150, sleep=time.sleep).problems == ()
            )
            new[count] = [stored(plain, table, day) for table in TABLES]
            assert all(one != before for one, before in zip(new[count], old[count], strict=True))
            for number in range(len(TABLES)):
                assert after[count][number] in (old[count][number], new[count][number]), count
            if after[count] != new[count]:
                assert "QUOTA_EXCEEDED" in ended[count] or "has been exceeded" in ended[count], (count, ended[count])
        assert ended[400] == ""
        assert after[400] == new[400]
        kept = [count for count in BUILDING if after[count] == old[count]]
        assert len(kept) > 1
        assert {count for count, said in ended.items() if said} - {*kept}  # ended between the tables, or behind them
        assert not plain.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND match(name, 'staging|lease_|_bid_')"
        ).result_rows
