"""Fixtures: each test that touches SQL gets an empty schema on the embedded engine and on a real server.

Statements and stores are tried on both. A story, which is a whole job or several, is the same on both but takes
seconds: the default suite tells it on the embedded engine, and `make stories`, which CI runs too, on a server; one of
which a single engine is enough by day is marked with it, see `dags.tests.variants`.
"""

from __future__ import annotations

import gc
import os
import shutil
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic.script import ScriptDirectory
from hypothesis import Phase, settings

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.replicas.store import place_of
from dags.tests.clickhouse_cluster import running_cluster
from dags.tests.clickhouse_server import require_or_skip_reason, server_for_tests
from dags.tests.emptied import EmptiedDatabase
from dags.tests.postgres_server import running_postgres
from dags.tests.s3_server import running_s3
from dags.tests.variants import require_cluster
from dags.tests.world import World, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.config import Config
    from clickhouse_connect.driver.client import Client

    from dags.tests.clickhouse_cluster import Cluster
    from dags.tests.postgres_server import PostgresServer
    from dags.tests.s3_server import S3Server

ENGINES = ("embedded", "server")

# Where Linux keeps files in memory. A build makes and drops some fifteen tables of one row: on a disk, a quarter of the
# suite's CPU goes into the file system's own books.
IN_MEMORY = Path("/dev/shm")  # noqa: S108 -- pytest makes directories of its user's own in it
ROOM_BYTES = 2_000_000_000
if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# How long an example takes says how busy the machine is.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

# For faults put in on purpose: that a test fails is enough, the smallest example of it is nobody's interest.
settings.register_profile("no-shrinking", phases=(Phase.explicit, Phase.generate))


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the stories on a server that are told on the embedded engine as well, and those that are told at night.

    What takes minutes comes first, and what takes long before the rest.
    """
    functions = [item for item in items if isinstance(item, pytest.Function)]
    for item in functions:
        # Servers and a keeper of one cluster are a gigabyte: one process has them.
        if item.get_closest_marker("cluster") is not None and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("cluster"))
    stories = [item for item in functions if _is_story(item)]
    embedded = {_test(item) for item in stories if _engine(item) == "embedded"}
    for item in stories:
        if _engine(item) == "server" and _test(item) in embedded:
            item.add_marker("second_engine")
    on_engine = {(_test(item), _engine(item)) for item in functions}
    for item in functions:
        mark = item.get_closest_marker("at_night")
        if mark is not None and _engine(item) in mark.args:
            [other] = set(ENGINES) - {_engine(item)}
            if (_test(item), other) in on_engine:  # what one engine alone has is told by day
                item.add_marker("slow")
    items.sort(key=_minutes, reverse=True)


def pytest_collection_finish() -> None:
    """What was imported stays: without this every collection of garbage looks at a million objects of it again."""
    gc.collect()
    gc.freeze()


def _is_story(item: pytest.Function) -> bool:
    return not {"world", "partner"}.isdisjoint(item.fixturenames) or item.get_closest_marker("story") is not None


def _minutes(item: pytest.Item) -> float:
    """How long a slow or a long test takes, so that no worker begins it when the others are about to end; most of it
    waits.
    """
    mark = item.get_closest_marker("slow")
    if mark is None:
        return 0.1 if item.get_closest_marker("long") else 0
    return float(mark.kwargs.get("minutes", 0.5))


def _test(item: pytest.Function) -> tuple[str, str]:
    return str(item.path), item.originalname


def _engine(item: pytest.Function) -> object:
    """The engine's name among the parameters, by itself or together with where files lie."""
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    together = (one for value in values for one in (value if type(value) is tuple else (value,)))
    return next((value for value in together if value in ENGINES), None)


@pytest.fixture(scope="session", autouse=True)
def migrations_are_read_once() -> Iterator[None]:
    """Dagster reads its hundred migrations for each instance, to note the newest: three quarters of what one costs."""
    plain, known = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def from_config(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = plain(config)
        return known[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", from_config)
        yield


@pytest.fixture(scope="session")
def engine_dsn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """The DSN of an engine by name, started when it is first asked for; its database is ``web_analytics``."""
    with ExitStack() as servers:
        known: dict[str, str] = {}

        def of(engine: str) -> str:
            if engine not in known:
                directory = tmp_path_factory.mktemp(engine)
                if engine == "embedded":
                    known[engine] = f"chdb://{directory}/data"
                elif engine == "replicas":
                    cluster: Cluster = request.getfixturevalue("cluster")
                    known[engine] = cluster.dsn("web_analytics")
                else:
                    if reason := require_or_skip_reason():
                        # CI exists to see both engines; a person's laptop may lack all three ways to a server.
                        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
                    address = servers.enter_context(server_for_tests(directory))
                    known[engine] = address.dsn("web_analytics")
            return known[engine]

        yield of


@pytest.fixture(scope="session")
def emptied(engine_dsn: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """The DSN of an engine by name, as a setting has it, with this project's schema and no row in it."""
    with ExitStack() as clients:
        known: dict[str, EmptiedDatabase] = {}

        def of(engine: str) -> str:
            text = engine_dsn(engine)
            if engine not in known:
                opened = open_client(Dsn.parse(text), wait_seconds=60, create_database=True, who="tests")
                known[engine] = EmptiedDatabase(clients.enter_context(opened))
            known[engine].empty()
            return text

        yield of


@pytest.fixture(params=ENGINES)
def dsn_text(request: pytest.FixtureRequest, emptied: Callable[[str], str]) -> str:
    """The DSN of an engine with this project's schema and no row in it."""
    return emptied(request.param)


@pytest.fixture
def dsn(dsn_text: str) -> Dsn:
    return Dsn.parse(dsn_text)


@pytest.fixture
def client(dsn: Dsn) -> Iterator[Client]:
    with open_client(dsn, wait_seconds=60, who="tests") as opened:
        yield opened


@pytest.fixture
def of_one_server(client: Client) -> None:
    """What is asked is so of a server that stands alone, such as how its leases are made."""
    if place_of(client) is not None:
        pytest.skip("of a server that stands alone")


@pytest.fixture
def world(dsn_text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The real definitions on that engine, with a Dagster instance of their own."""
    with new_world(dsn_text, monkeypatch) as opened:
        yield opened


@pytest.fixture
def server(emptied: Callable[[str], str]) -> Iterator[tuple[str, Client]]:
    """A real server, emptied: its DSN, for processes that are started, and a client."""
    dsn = emptied("server")
    with open_client(Dsn.parse(dsn), wait_seconds=60) as client:
        yield dsn, client


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One shard of two replicas, which all tests of this process share. Who kills or pauses a process starts or resumes
    it again.
    """
    require_cluster()
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real PostgreSQL, which all tests of this process share. Who stops it, starts it again."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


_DATABASES = count(1)


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The DSN of an empty database of that PostgreSQL, under a name that no other test has.

    Who is still connected at the end is sent away.
    """
    name = f"test_{next(_DATABASES)}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield postgres.dsn(name)
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 endpoint, which all tests of this process share."""
    with running_s3() as server:
        yield server


_BUCKETS = count(1)


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[tuple[S3Server, str]]:
    """That endpoint, and an empty bucket there under a name that no other test has."""
    name = f"test-{next(_BUCKETS)}"
    s3.make_bucket(name)
    yield s3, name
    s3.drop_bucket(name)
