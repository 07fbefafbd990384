"""The three paths that a newcomer reads first are as decision 21 draws them, module by module, and short."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.sql import Sql
from dags.tests.managed_backfill import asked
from dags.tests.world import STATS, ago

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.tests.world import World

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "dags/decisions/0021-three-paths.md").read_text(encoding="utf-8")
DAY = ago(3)
MOST = {"A tick": 12, "A build": 8, "A managed backfill": 12}


def drawn(path: str) -> list[str]:
    """The modules of a path, as the page has them."""
    [found] = re.findall(rf"^## {path}\n.*?```\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    return [line.split()[0] for line in found.splitlines() if line.strip()]


def walked(patch: pytest.MonkeyPatch, statement: str, act: Callable[[], object]) -> list[str]:
    """Through which modules of ours a statement is reached, from what Dagster calls."""
    seen: list[list[str]] = []
    real = Sql._run

    def run(itself: Sql, call: Any, name: str, *given: Any) -> Any:
        if name == statement and not seen:
            files = [Path(frame.filename) for frame in traceback.extract_stack()]
            own = [file.relative_to(ROOT / "dags") for file in files if file.is_relative_to(ROOT / "dags")]
            names = [".".join(file.with_suffix("").parts) for file in own if file.parts[0] not in ("tests", "demo")]
            seen.append([one for one, before in zip(names, ["", *names], strict=False) if one != before])
        return real(itself, call, name, *given)

    with patch.context() as watched:
        watched.setattr(Sql, "_run", run)
        act()
    return seen[0]


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_a_tick_a_build_and_a_managed_backfill_go_as_the_page_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1], [DAY, ago(2), ago(1)])
    world.select(1)
    request = asked(start_date=str(DAY), end_date=str(DAY), target_table=STATS, dry_run=False)
    walks = {
        "A tick": walked(monkeypatch, "suspects", world.tick),
        "A build": walked(
            monkeypatch,
            "publish_day",
            lambda: world.loop.run("web_pre_aggregate_job", partition_key=DAY.isoformat()),
        ),
        "A managed backfill": walked(
            monkeypatch, "publish_day", lambda: world.run_as_configured("managed_backfill_job", request)
        ),
    }
    assert walks == {path: drawn(path) for path in walks}
    assert {path for path, modules in walks.items() if len(modules) > MOST[path]} == set()
