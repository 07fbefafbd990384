"""What is appended is written down, and does not cost what nobody needs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

APPENDS = """
import sys
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.schema.books import append
from dags.web_preaggregated.tables import WEB_TABLES

with open_client(Dsn.parse(sys.argv[1]), wait_seconds=60, create_database=True) as client:
    apply_schema(client, WEB_TABLES)
    append(client, "web_analytics_enabled_teams", [[7]], ["team_id"])
    append(client, "web_analytics_enabled_teams", [[8, 9]], ["team_id"], is_by_column=True)
    print(client.query("SELECT team_id FROM web_analytics_enabled_teams ORDER BY team_id").result_columns)
    print(sorted({"numpy", "pandas"} & sys.modules.keys()))
    import pandas
    client.insert_df("web_analytics_enabled_teams", pandas.DataFrame({"team_id": [10]}))
    print(client.command("SELECT max(team_id) FROM web_analytics_enabled_teams"))
"""


def test_to_append_loads_no_frames_and_keeps_nobody_from_inserting_one_later(tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPENDS, f"chdb://{tmp_path}/embedded"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["[[7, 8, 9]]", "[]", "10"]
