"""What `make demo-sources` runs, as its own process, as a person has it: until Ctrl-C, and where it cannot be."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from dags.tests.postgres_server import BINARIES_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path


def started(directory: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "dags.demo.sources", "--directory", str(directory), *arguments],
        env={**os.environ, "CLICKHOUSE_DSN": "clickhouse://somebody:word-7@localhost:1/production", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow(minutes=1)
def test_late_data_is_loaded_found_repaired_and_read_and_postgresql_ends_with_ctrl_c(tmp_path: Path) -> None:
    said = ""
    with started(tmp_path / "own", "--keep") as process:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "load from it:" in line:
                break
        [dsn] = re.findall(r"TENANT_POSTGRES_DSN='?([^'\n]+)", (tmp_path / "own" / "env").read_text())
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT max(tenant_id) FROM page_views").fetchone() == (5,)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert "Traceback" not in said
    assert "word-7" not in said
    for words in (
        "DRY RUN  nothing was written",
        "NOT COMPLETE: 10 (table, team, day) are missing or wrong",
        "SEEN     500 rows",
        "(source grew: 2)",
        "FILES    5 files of partner-logs in 1 group",
        "FILES    1 file of partner-logs in 1 group",
        "5 success",
        "Complete. ",
    ):
        assert words in said
    assert len(re.findall(r"tenant_id = '4' COMPLETED", said)) == 2
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)


def test_where_there_is_no_postgresql_it_says_what_to_install_and_touches_nothing(tmp_path: Path) -> None:
    process = started(tmp_path / "own", **{BINARIES_VARIABLE: str(tmp_path)})
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "apt-get install postgresql" in said
    assert "Nothing was touched" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
