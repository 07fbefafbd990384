"""Runs a function of this package in a process of its own, under an environment of its own.

The embedded engine belongs to one process and the settings are read once in each, so whatever touches either is
measured in a child. Arguments and answer travel as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# dagster.yaml of the measured instance: the settings that cost time in a process are those of `make dev`.
_INSTANCE = "telemetry:\n  enabled: false\n"


class ChildError(RuntimeError):
    """The child failed; the message ends with what it said."""


def environment(home: Path, dsn: str) -> dict[str, str]:
    """What ``.venv/bin/activate`` and a person set, and nothing that the caller's shell has set for this project.

    Compiled modules are kept beside ``home``: an installation that has none, or a shell that forbids to write them,
    would more than double the time of every process. So the first process of each kind is not to be measured.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(_INSTANCE, encoding="utf-8")
    foreign = ("WEB_ANALYTICS_", "DAGSTER_", "PYTHONDONTWRITEBYTECODE")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "CLICKHOUSE_DSN": dsn,
        "DAGSTER_HOME": str(home),
        "DAGSTER_MODULE_NAME": "dags.definitions",
        "PYTHONPYCACHEPREFIX": str(home.parent / "bytecode"),
    }


def run(command: list[str], variables: Mapping[str, str]) -> str:
    """What a command prints.

    Raises:
        ChildError: it failed.
    """
    child = subprocess.run(command, env=dict(variables), capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    if child.returncode:
        raise ChildError(f"{' '.join(command[1:])} ended with code {child.returncode}: {child.stderr[-3000:]}")
    return child.stdout


def in_child(name: str, variables: Mapping[str, str], **arguments: Any) -> Any:  # noqa: ANN401 -- any JSON
    """The answer of ``module.function`` of this package, called in a child.

    Raises:
        ChildError: it failed there.
    """
    printed = run([sys.executable, "-m", "dags.bench.child", name, json.dumps(arguments)], variables)
    return json.loads(printed.splitlines()[-1])


def main(name: str, arguments: str) -> None:
    """The child's side."""
    module, _, function = name.partition(".")
    answer = getattr(importlib.import_module(f"dags.bench.{module}"), function)(**json.loads(arguments))
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
