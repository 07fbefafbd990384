"""What the embedded engine is started with: nothing of the directory a process runs in, and no parts of before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.embedded import _CONFIG

if TYPE_CHECKING:
    from pathlib import Path

DELAY = "SELECT value FROM system.merge_tree_settings WHERE name = 'cleanup_delay_period'"

# How long a build lives at least, with room for a machine that is busy; by itself the engine begins after 30 s.
A_BUILD_SECONDS = 15

REPLACED = """
import sys, time
from dags.clickhouse.embedded import EmbeddedClient

client = EmbeddedClient(sys.argv[1])
client.command("CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n" + sys.argv[2])
for n in range(3):
    client.command(f"INSERT INTO t VALUES ({n})")
client.command("OPTIMIZE TABLE t FINAL")
until = time.monotonic() + float(sys.argv[3])
left = 3
while left and time.monotonic() < until:
    time.sleep(0.1)
    left = client.command("SELECT countIf(NOT active) FROM system.parts WHERE table = 't'")
print(left, client.command("SELECT count() FROM t"))
"""

ASKED = f"""
import sys
from pathlib import Path
from dags.clickhouse import embedded

embedded._CONFIG = Path(sys.argv[2])
print(embedded.EmbeddedClient(sys.argv[1]).command({DELAY!r}))
"""


def said(script: str, *given: object, cwd: Path) -> str:
    command = [sys.executable, "-c", script, *map(str, given)]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def test_parts_that_were_replaced_are_removed_by_whoever_lives_for_some_seconds(tmp_path: Path) -> None:
    at_once = " SETTINGS old_parts_lifetime = 0"
    assert said(REPLACED, tmp_path / "data", at_once, A_BUILD_SECONDS, cwd=tmp_path) == "0 3"


def test_parts_that_were_just_replaced_are_kept_for_what_was_made_of_them_may_not_be_on_the_disk(
    tmp_path: Path,
) -> None:
    assert said(REPLACED, tmp_path / "data", "", 4, cwd=tmp_path) == "3 3"


def test_a_configuration_that_lies_where_a_process_runs_is_not_the_engines(tmp_path: Path) -> None:
    words = "<clickhouse><merge_tree><cleanup_delay_period>7</cleanup_delay_period></merge_tree></clickhouse>"
    (tmp_path / "config.xml").write_text(words, encoding="utf-8")
    assert said(ASKED, tmp_path / "data", _CONFIG, cwd=tmp_path) == "1"


@pytest.mark.parametrize("name", ["plain", "two words", "a+b", "jürgen & söhne?100%25#1"])
def test_this_project_may_lie_in_a_directory_of_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    config = shutil.copy(_CONFIG, tmp_path / name)
    assert said(ASKED, tmp_path / "data", config, cwd=tmp_path) == "1"
