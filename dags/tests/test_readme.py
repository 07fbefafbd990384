"""The README's commands, each as a person types it, in its order, on a fresh copy of this checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from dags.tests.postgres_backfill.tenants import TABLE, Tenant, read_only
from dags.tests.readme import Command, File, steps
from dags.tests.test_dev import end, free_port, interrupted_by, left, served

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Why a command of the README is not run here. Of these the targets of make are looked up.
NOT_RUN = {
    "make test": "this is one of them",
    "make faults": "a quarter of an hour",
    "make week": "twelve minutes, and a test of its own runs it",
    "make load": "a quarter of an hour, and a test of its own runs a minute of it",
    "make bench": "a quarter of an hour",
    "pip install .": "the packages of the lock file are there, and others are not to be",
    "dagster job execute": "named, not shown: with what it needs it is run",
    "timedatectl": "it sets the clock of a machine",
    "dg launch --job send_test_alert_job": "it needs a channel, and with none it fails",
}
# What stays in the foreground, and what has it listen where nobody else does.
STAYS = {"make dev": "PORT={}", "dg dev": "--port {}", "dagster dev": "--port {}"}
# Where the text around a command says which fields it needs.
FIELDS = {"dg launch --job resume_all_backfills_job": "{reason: tried, requested_by: ada}"}
# What ends as a failure where it has to tell of something: here, that no daemon runs.
MAY_FAIL = ("dg launch --job health_job",)
# What the README's examples take for today.
ITS_TODAY = date(2026, 11, 21)
SITES, DAYS = 7, 6


class Walk:
    """A person with a shell in a copy of the checkout, who reads on and types."""

    def __init__(self, directory: Path, server: Callable[[], str], postgres_dsn: str = "") -> None:
        self._directory, self._checkout, self._server = directory, directory / "checkout", server
        self._postgres_dsn = postgres_dsn
        self._said = ""
        self._before = ""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("WEB_ANALYTICS_", "DAGSTER_"))
        }
        for name in ("CLICKHOUSE_DSN", "VIRTUAL_ENV", "LOGS", "PORT", "MAKEFLAGS"):
            kept.pop(name, None)
        searched = [place for place in kept["PATH"].split(os.pathsep) if Path(place) != Path(sys.prefix) / "bin"]
        # The package is this checkout's in what is installed, and that of the copy here.
        self._environment = {**kept, "PATH": os.pathsep.join(searched), "PYTHONPATH": str(self._checkout)}
        _copy(self._checkout)
        self._write_logs()
        self._write_file()

    def go(self, readme: str) -> list[str]:
        """Type what the README says; answers with what did not work, in words."""
        todo = steps(readme)
        for step in todo:
            if isinstance(step, File):
                (self._checkout / step.name).write_text(self._filled(step.content))
        problems, done = [], set()
        for step in todo:
            if isinstance(step, Command) and (on := (self._filled(step.text), step.section == "Server")) not in done:
                done.add(on)
                began = time.monotonic()
                try:
                    self._type(step)
                except AssertionError as error:
                    problems.append(f"{step.section or 'The beginning'}: {step.text}\n{error}")
                print(f"{time.monotonic() - began:5.1f} s  {step.text}")
        return problems

    def _type(self, command: Command) -> None:
        text = self._filled(command.text)
        if text in NOT_RUN:
            if text.startswith("make "):
                self._run(text.replace("make", "make --dry-run"))
        elif text in STAYS:
            self._stay(text)
        elif text.startswith("SELECT"):
            self._run(f"python -m dags.demo.sql '{text}'")
        elif text.startswith("curl"):
            self._with_webserver(text)
        else:
            fields = f" -c <(echo '{FIELDS[text]}')" if text in FIELDS else ""
            self._run(text + fields)
            if text.startswith(("source ", "export ")):
                self._before += f"{text} && "

    def _filled(self, text: str) -> str:
        """With days as far from today as they are in the README, and what was printed before where it has an id."""
        moved = datetime.now(UTC).date() - ITS_TODAY
        text = re.sub(r"20\d\d-\d\d-\d\d", lambda day: f"{date.fromisoformat(day[0]) + moved}", text)
        for shown, tried in (
            ("/var/log/nginx", str(self._directory / "logs")),
            ("/srv/", f"{self._directory}/srv/"),
            ("s3://partner/data/", f"{self._directory}/partner/"),
            ("…", "check_missing_data_job"),
        ):
            text = text.replace(shown, tried)
        text = re.sub(r"clickhouse://user:password\S+", lambda _: self._server(), text)
        text = re.sub(r"postgresql://web_analytics_reader:\S+", lambda _: self._postgres_dsn, text)
        for printed, example, filled in (
            (r"^RUN +(\w{8})", r'run_id: "\w{8}"', 'run_id: "{}"'),
            (r"^BACKFILL +(backfill-\w{8})", r"(?<!postgres-)backfill-\w{8}", "{}"),
            (r"^POSTGRES-BACKFILL +(postgres-backfill-\w{8})", r"postgres-backfill-\w{8}", "{}"),
        ):
            if known := re.findall(printed, self._said, re.MULTILINE):
                text = re.sub(example, filled.format(known[-1]), text)
        return text

    def _run(self, text: str) -> None:
        ran = subprocess.run(
            ["bash", "-c", self._before + text],
            cwd=self._checkout,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self._said += ran.stdout
        is_answer = text.startswith(MAY_FAIL) and "NEEDS YOU" in ran.stdout
        assert ran.returncode == 0 or is_answer, (ran.stdout + ran.stderr)[-3000:]
        assert "Traceback" not in ran.stdout + ran.stderr, (ran.stdout + ran.stderr)[-3000:]

    def _stay(self, text: str, ask: str = "") -> None:
        """Wait until it serves the location, ask, then end it as Ctrl-C does: nothing of it stays."""
        port = free_port()
        mark = ("PYTHONPATH", self._environment["PYTHONPATH"])
        # In the foreground of a terminal, wherever this test runs.
        with interrupted_by(signal.default_int_handler), (self._directory / "log").open("w") as log:
            process = subprocess.Popen(
                ["bash", "-c", f"{self._before}{text} {STAYS.get(text, '--port {}').format(port)}"],
                cwd=self._checkout,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            served(port, time.monotonic() + 90)
            if ask:
                self._run(ask.replace("localhost:3000", f"localhost:{port}"))
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)
            still_there = left(*mark)
            assert not still_there, still_there
        except Exception as error:
            raise AssertionError(f"{error!r}\n{(self._directory / 'log').read_text()[-3000:]}") from error
        finally:
            end(*mark)
            process.wait(10)

    def _with_webserver(self, text: str) -> None:
        self._stay("dagster-webserver", text)
        assert '"LaunchRunSuccess"' in self._said

    def _write_logs(self) -> None:
        """A log of some sites and what rotation made of it, a page view an hour for each site."""
        (self._directory / "logs").mkdir()
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for age in range(DAYS):
            times = [midnight - timedelta(days=age + 1, hours=-hour) for hour in range(24)]
            (self._directory / "logs" / f"access.log{f'.{age}' * bool(age)}").write_text(
                "".join(
                    f'site-{site}.example:443 10.0.{site}.7 - - [{at:%d/%b/%Y:%H:%M:%S +0000}] "GET / HTTP/1.1" 200 1\n'
                    for at in times
                    for site in range(SITES)
                )
            )

    def _write_file(self) -> None:
        """What a partner has uploaded: one page view, in the way of the README's declaration."""
        at = datetime.now(UTC) - timedelta(days=2)
        path = self._directory / f"partner/year={at:%Y}/month={at:%m}/day.jsonl"
        path.parent.mkdir(parents=True)
        row = {"tenant": 1, "id": str(UUID(int=1)), "at": f"{at:%Y-%m-%d %H:%M:%S}", "visit": "v", "path": "/"}
        path.write_text(json.dumps(row) + "\n")


def _copy(checkout: Path) -> None:
    """What a clone of this work tree would have, and the environment that is there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    binaries = checkout / ".venv" / "bin"
    binaries.mkdir(parents=True)
    installed = Path(sys.prefix)
    activate = (installed / "bin" / "activate").read_text()
    (binaries / "activate").write_text(re.sub(r"(?m)^(export DAGSTER_HOME=).*$", rf'\1"{checkout}/.dagster"', activate))
    (checkout / ".venv" / ".ready").touch()


@pytest.mark.slow(minutes=4)
def test_every_command_of_the_readme_works_in_its_order(
    tmp_path: Path, emptied: Callable[[str], str], postgres_database: str
) -> None:
    days = [datetime.now(UTC).date() - timedelta(days=age) for age in range(1, 6)]
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(TABLE)
        Tenant(postgres_database, connection).history(days, tenants=(7, 8), views=40)
    assert not Walk(tmp_path, lambda: emptied("server"), read_only(postgres_database)).go(README)


@pytest.mark.slow
def test_a_command_that_does_not_work_is_found_wherever_it_stands(tmp_path: Path) -> None:
    """A slip in a program, a target, an option, a job, a field; what else stands in a text is no command."""
    readme = """
`source .venv/bin/activate`, then `dg list defs` or `makes demo`; `in flight (run 0b5e61d2)` `ALTER TABLE`

## Blocks

```console
make dem   # the demo
dg lists defs
```

```console
$ cat waiver.yaml
teams: [7]
$ dg launch --job waive_job -c waiver.yaml
SET      a waiver
$ dg launch --job why_job \\
    --conf <(echo 'team_id: 7')
```

| `dg launch --job
no_such_job` | `SELECT * FROM no_table` |
"""
    problems = Walk(tmp_path, lambda: "").go(readme)
    assert [problem.splitlines()[0] for problem in problems] == [
        "The beginning: makes demo",
        "Blocks: make dem",
        "Blocks: dg lists defs",
        "Blocks: dg launch --job waive_job -c waiver.yaml",
        "Blocks: dg launch --job why_job \\",
        "Blocks: dg launch --job no_such_job",
        "Blocks: SELECT * FROM no_table",
    ]


def test_what_is_known_of_the_readmes_commands_is_of_commands_that_it_has() -> None:
    typed = {step.text for step in steps(README) if isinstance(step, Command)}
    assert not {*NOT_RUN, *STAYS, *FIELDS} - typed
