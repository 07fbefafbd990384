"""The two commands' main one: what `make demo` runs, as its own process, on generated traffic and on real logs."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dags.tests.runbook import symptom

ROOT = Path(__file__).resolve().parents[3]
TRACES = ROOT.parent / "shared" / "data"


def demo(
    directory: Path, *arguments: str, module: str = "dags.demo", **environment: str
) -> subprocess.CompletedProcess[str]:
    (directory / "home").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
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


def midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def lines(first: datetime, hours: int, before: str = "10.0.0.{} - -") -> list[str]:
    """A page view each hour."""
    return [
        f'{before.format(n % 9)} [{first + timedelta(hours=n):%d/%b/%Y:%H:%M:%S +0000}] "GET /p{n % 5} HTTP/1.1" 200 1'
        for n in range(hours)
    ]


def written(path: Path, content: list[str]) -> Path:
    text = "".join(f"{line}\n" for line in content).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def rotated(directory: Path) -> None:
    """16 files of half a day each, numbered and dated, of two sites: of four days and of three; a line of rubbish."""
    for age in range(8):
        first = midnight() - timedelta(hours=12 * (age + 1))
        name = "site-1.log" + (f".{age}.gz" if age > 1 else ".1" * age)
        written(directory / name, [*lines(first, 12), *["$(reboot)"] * (not age)])
        written(directory / f"site-2.log-{first:%Y%m%d%H}", lines(first, 12) if age < 6 else [])


def state(directory: Path) -> dict[Path, tuple[int, int]]:
    """Every file below, with its size and when it was last written."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in directory.rglob("*") if path.is_file()}


@pytest.mark.slow(minutes=1)
@pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces are not beside this checkout (../shared/data)")
def test_real_traces_run_through_the_loop_and_their_outages_are_no_gaps(tmp_path: Path) -> None:
    ran = demo(tmp_path, "--logs", str(TRACES / "*.log.gz"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # NASA: 1, 3-7 August have pages, 2 August has none (a hurricane). Site B: 17-20 and 25-31 December have, 21-24
    # have not (502). Shifted so that both end yesterday, 10 days have traffic, and 9 of them are built.
    assert "built 9 of 9" in ran.stdout or "(9 of 9)" in ran.stdout
    assert "COMPLETE: 32 (table, team, day) hold their source" in ran.stdout


@pytest.mark.slow(minutes=1)
def test_rotated_logs_of_two_sites_run_through_the_loop_and_nothing_is_emptied_for_what_cannot_be_shown(
    tmp_path: Path,
) -> None:
    (logs := tmp_path / "it's $HOME").mkdir()
    rotated(logs)
    ran = demo(tmp_path, "--logs", f'"{logs}/site-1*" "{logs}/site-2*"')
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "team 1: 96 events on 4 days" in ran.stdout
    assert "team 2: 72 events on 3 days" in ran.stdout
    assert "team 3" not in ran.stdout
    assert "NOT COMPLETE: 10 (table, team, day) are missing or wrong" in ran.stdout
    assert "Complete. 10 (table, team, day) were missing; the sensor asked for 4 days" in ran.stdout
    assert "site-1.log line 13: '$(reboot)" in ran.stdout
    before = state(tmp_path / "engine")
    assert before
    for name, content, why in (
        ("rubbish.log", b"Starting nginx\n", "1  rubbish: not Common or Combined Log Format"),
        ("packed.zip", b"PK\x03\x04", "it is a zip archive"),
    ):
        (tmp_path / name).write_bytes(content)
        refused = demo(tmp_path, "--logs", str(tmp_path / name))
        assert refused.returncode == 1
        assert why in refused.stderr
        assert "nothing was touched" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert state(tmp_path / "engine") == before
    again = demo(tmp_path, "--logs", str(logs / "site-1.log"))
    assert again.returncode == 0, again.stdout + again.stderr
    insert = "INSERT INTO events (team_id, uuid, event, timestamp) SELECT 1, generateUUIDv4(), 'mine', now()"
    demo(tmp_path, insert, module="dags.demo.sql")
    ran = demo(tmp_path, "--logs", str(logs / "site-1.log"))
    assert ran.returncode == 1
    assert symptom("… holds rows that no demo is known to have made").search(ran.stderr)
    demo(tmp_path, "DROP DATABASE web_analytics", module="dags.demo.sql")
    assert demo(tmp_path, "--logs", str(logs / "site-1.log")).returncode == 0


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize(
    ("content", "built", "missing"),
    [
        pytest.param(lines(midnight() - timedelta(days=400), 24), "the build of no day yet", 2, id="one day"),
        pytest.param(lines(midnight(), 2), "the build of no day yet", 2, id="today only"),
        pytest.param(
            [
                *lines(midnight() - timedelta(days=3), 72, "shop.example:443 10.0.0.{} - -"),
                *lines(midnight() - timedelta(days=3), 72, "blog.example:80 10.0.0.{} - -"),
            ],
            "the build of 2 days", 8, id="virtual hosts",
        ),
        pytest.param(
            lines(midnight() - timedelta(days=3), 72, "Nov 26 11:38:29 web1 nginx: 8.8.8.{} - -"),
            "the build of 2 days", 5, id="syslog",
        ),
    ],
)  # fmt: skip
def test_the_loop_is_closed_whatever_a_log_has_room_for(
    tmp_path: Path, content: list[str], built: str, missing: int
) -> None:
    ran = demo(tmp_path, "--logs", str(written(tmp_path / "access.log", content)))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert built in ran.stdout
    assert f"\nComplete. {missing} (table, team, day) were missing" in ran.stdout


def test_make_hands_a_path_on_as_it_was_typed() -> None:
    typed = """/srv/it's a "$HOME" $(PATH) `x`/*.log"""
    shown = "python() { printf '%s|' \"$$@\"; };"
    command = ["make", "--no-print-directory", "-o", "setup", "-o", ".venv/.ready", "demo", f"RUN={shown}"]
    for logs, expected in ((["LOGS=" + typed], f"-m|dags.demo|--logs={typed}|"), ([], "-m|dags.demo|")):
        made = subprocess.run([*command, *logs], cwd=ROOT, capture_output=True, text=True, check=True)
        assert made.stdout == expected


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
