"""Rows that a policy hides from the user are not absent: nothing is known, and nothing is built without them.

The embedded engine has one user, and no policies.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.targets.rules import hidden_by
from dags.clickhouse.targets.store import describe
from dags.detection.store import detect
from dags.domain.errors import BuildError, SchemaError
from dags.team_selection.store import write_selection
from dags.tests.builds import TABLES, build
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.events import Event, at, insert
from dags.tests.fold import stored
from dags.tests.profiles import DAY, NOW
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from dags.detection.detection import Detection

# By user, what each of the tables lets through.
POLICIES = {
    "some": {"events": "NOT endsWith(session_id, '-1')", "kept": "team_id != 2"},
    "none": {"events": "0"},
    "every": {"events": "1", TABLES[0]: "1"},
    "target": {TABLES[0]: "team_id != 2"},
    "ledger": {"web_pre_aggregated_builds": "team_id != 2"},
}


def _users_xml() -> str:
    rights = "<password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>"
    users = "".join(
        f"<{user}>{rights}<databases><web_analytics>"
        + "".join(f"<{table}><filter>{condition}</filter></{table}>" for table, condition in by_table.items())
        + f"</web_analytics></databases></{user}>"
        for user, by_table in POLICIES.items()
    )
    return (
        f"<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>{rights}</default>"
        f"{users}</users></clickhouse>"
    )


def _found(dsn: Dsn) -> Detection:
    with open_client(dsn, wait_seconds=5) as client:
        return detect(client, NOW, WEB_TABLES, lookback_days=30, settle=timedelta(hours=1))


def test_a_user_from_whom_a_policy_hides_rows_knows_nothing_and_builds_nothing(tmp_path: Path) -> None:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    with running_server(tmp_path, users_xml=_users_xml()) as address:
        dsn = Dsn.parse(address.dsn("web_analytics"))
        with open_client(dsn, wait_seconds=5, create_database=True) as client:
            apply_schema(client, WEB_TABLES)
            write_selection(client, (1, 2))
            insert(client, [Event(team, at(f"{DAY} 09:0{n}:00"), f"{team}-{n}") for team in (1, 2) for n in (0, 1)])
            build(client, 1, 2, day=DAY)
            before = {table: stored(client, table) for table in TABLES}
            client.command("CREATE VIEW chosen AS SELECT * FROM events WHERE team_id = 1")
            client.command("CREATE TABLE joined AS events ENGINE = Merge(currentDatabase(), '^events$')")
            client.command("CREATE TABLE kept (team_id UInt64) ENGINE = Log")
        says = "not wholly seen: a row policy hides rows of it"
        for user in ("some", "none"):
            with open_client(replace(dsn, user=user), wait_seconds=5) as client:
                with pytest.raises(BuildError, match=says):
                    build(client, 1, 2, day=DAY)
                assert _found(replace(dsn, user=user)).unknown.keys() == set(TABLES)
        with open_client(replace(dsn, user="target"), wait_seconds=5) as client:
            assert says in " ".join(build(client, 1, 2, day=DAY).problems)
            assert _found(replace(dsn, user="target")).unknown.keys() == {TABLES[0]}
        with open_client(replace(dsn, user="some"), wait_seconds=5) as client:
            facts = describe(client, ("events", "chosen", "joined", "kept", *TABLES))
            assert {name for name, own in facts.items() if own.hides} == {"events", "chosen", "joined", "kept"}
        with pytest.raises(SchemaError, match="web_pre_aggregated_builds is not wholly seen"):
            _found(replace(dsn, user="ledger"))
        for user in ("every", "default"):
            found = _found(replace(dsn, user=user))
            assert (dict(found.unknown), len(found.wrong)) == ({}, 0)
        with open_client(dsn, wait_seconds=5) as client:
            assert {table: stored(client, table) for table in TABLES} == before
            assert not any(own.hides for own in describe(client, ("events", "chosen", "joined", "kept")).values())


@pytest.mark.parametrize(
    ("engine", "line", "is_hidden"),
    [
        ("MergeTree", "   Row level filter column:  team_id != 2", True),
        ("Log", "└──Filter (Row-level security filter)", True),
        ("Merge", "   └──Filter", True),
        ("Merge", "         Prewhere filter", True),
        ("View", "└──Filter ((WHERE + Change column names to column identifiers))", False),
        ("View", "      Row level filter", True),
        ("MergeTree", "└──ReadFromMergeTree (wa.filter)", False),
    ],
)
def test_a_plan_tells_what_hides_rows(engine: str, line: str, *, is_hidden: bool) -> None:
    assert bool(hidden_by(engine, ["Aggregating", line])) is is_hidden
