"""All that a Keeper held is lost: what the page for production says brings it back, and no row is lost."""

from __future__ import annotations

import re
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.keeper import LEASES
from dags.clickhouse.schema.apply import apply_schema
from dags.domain.errors import EngineError
from dags.tests.clickhouse.replicas.test_replicas import until
from dags.tests.clickhouse_cluster import running_cluster
from dags.tests.variants import require_cluster
from dags.tests.world import STATS, ago, new_world
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PAGE = (Path(__file__).parents[3] / "PRODUCTION.md").read_text()
[ON_EACH] = re.findall(r"```sql\n-- on each server, once it has started on an empty Keeper\n(.+?)```", PAGE, re.DOTALL)
READ_ONLY = "SELECT DISTINCT is_readonly FROM system.replicas WHERE database = currentDatabase()"
SESSIONS = f"SELECT uniqMerge(sessions_uniq_state) FROM {STATS}"


def test_what_keeper_held_is_made_anew_by_the_pages_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_cluster()
    with running_cluster(tmp_path) as cluster, ExitStack() as opened:
        dsn = cluster.dsn("web_analytics")
        with open_client(Dsn.parse(dsn), wait_seconds=60, create_database=True) as client:
            apply_schema(client, WEB_TABLES)
        with new_world(dsn, monkeypatch) as world:
            world.traffic([1], [ago(1), ago(2)])
            world.select(1)
            world.build(ago(1), ago(2))
        cluster.keeper.kill()
        shutil.rmtree(tmp_path / "keeper" / "data")
        cluster.keeper.start()
        servers = [server for of_shard in cluster.servers for server in of_shard]
        for server in servers:
            server.kill()
            server.start()
        alone = [
            opened.enter_context(open_client(Dsn.parse(server.address.dsn("web_analytics")), wait_seconds=60))
            for server in servers
        ]
        with pytest.raises(EngineError), open_client(Dsn.parse(dsn), wait_seconds=5):
            pass
        for client in alone:
            until(lambda client=client: client.query(READ_ONLY).result_rows == [(True,)])  # type: ignore[misc]
            restore(client)
            until(lambda client=client: client.query(READ_ONLY).result_rows == [(False,)])  # type: ignore[misc]
        with open_client(Dsn.parse(dsn), wait_seconds=60) as client:
            apply_schema(client, WEB_TABLES)
        with new_world(dsn, monkeypatch) as world:
            world.traffic([1], [ago(3)])
            world.build(ago(3))
            assert world.missing_data()["status"].startswith("COMPLETE: 6 ")
        assert [client.query(SESSIONS).result_rows for client in alone] == [[(3,)], [(3,)]]


def restore(client: Client) -> None:
    """What the page has to be done on each server: a statement by itself, or one that makes those to be run."""
    for words in ON_EACH.split(";"):
        statement = "\n".join(line for line in words.splitlines() if not line.startswith("--")).strip()
        if statement.startswith("SELECT"):
            for (made,) in client.query(statement).result_rows:
                client.command(made)
            assert client.query(statement).result_rows == []
        elif statement:
            client.command(statement)
    assert LEASES not in [name for (name,) in client.query("SHOW TABLES").result_rows]
