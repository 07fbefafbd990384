"""The two commands' main one: what `make demo` runs, as its own process, on generated traffic and on real logs."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TRACES = ROOT.parent / "shared" / "data"


def demo(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (directory / "home").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "dags.demo", *arguments],
        cwd=directory,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("WEB_ANALYTICS_")},
            "CLICKHOUSE_DSN": f"chdb://{directory}/engine",
            "DAGSTER_HOME": str(directory / "home"),
            "WEB_ANALYTICS_BACKFILL_SETTLE_HOURS": "0",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def access_log(path: Path, days: int) -> Path:
    """A log of a page view each hour of the last days, with a line of rubbish."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = [midnight - timedelta(days=days) + timedelta(hours=n) for n in range(24 * days)]
    lines = [
        f'10.0.0.{n % 9} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET /p{n % 5} HTTP/1.1" 200 1'
        for n, at in enumerate(hours)
    ]
    path.write_bytes(gzip.compress("\n".join([*lines, "$(reboot)"]).encode()))
    return path


@pytest.mark.slow(minutes=1)
@pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces are not beside this checkout (../shared/data)")
def test_real_traces_run_through_the_loop_and_their_outages_are_no_gaps(tmp_path: Path) -> None:
    ran = demo(tmp_path, "--logs", str(TRACES / "*.log.gz"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # NASA: 1, 3-7 August have pages, 2 August has none (a hurricane). Site B: 17-20 and 25-31 December have, 21-24
    # have not (502). Shifted so that both end yesterday, 10 days have traffic, and 9 of them are built.
    assert "built 9 of 9" in ran.stdout or "(9 of 9)" in ran.stdout
    assert "COMPLETE: 32 (table, team, day) hold their source" in ran.stdout


def test_the_demo_runs_on_the_users_own_logs_and_refuses_other_peoples_events(tmp_path: Path) -> None:
    access_log(tmp_path / "site-1.log.gz", days=5)
    access_log(tmp_path / "site-2.log.gz", days=4)
    ran = demo(tmp_path, "--logs", str(tmp_path / "site-*.log.gz"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "NOT COMPLETE: 10 (table, team, day) are missing or wrong" in ran.stdout
    assert "tick 1 asks for 4 runs" in ran.stdout
    assert "Complete. 10 (table, team, day) were missing; the sensor asked for 4 days" in ran.stdout
    assert "'$(reboot)'" in ran.stdout
    (tmp_path / "engine.demo").unlink()
    ran = demo(tmp_path, "--logs", str(tmp_path / "site-*.log.gz"))
    assert ran.returncode == 1
    assert "events that no demo loaded" in ran.stderr


def test_a_log_that_is_not_there_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    ran = demo(tmp_path, "--logs", "no/such/*.log")
    assert ran.returncode == 1
    assert "no/such/*.log" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "engine").exists()


def test_the_demo_refuses_a_server(tmp_path: Path) -> None:
    ran = demo(tmp_path, CLICKHOUSE_DSN="clickhouse://somebody:secret@localhost:1/production")
    assert ran.returncode == 1
    assert "the demo empties its tables and runs on the embedded engine only" in ran.stderr
    assert "secret" not in ran.stderr
