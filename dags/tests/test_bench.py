"""The benchmarks run from end to end, on sizes that say nothing about speed: figures are printed, not tested."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dags.bench.__main__ import BENCHMARKS, main
from dags.bench.before import as_json, compared, from_json
from dags.bench.figures import BESIDE, WIDTH, Beside, Spread, Within, table, verdict
from dags.tests.clickhouse_cluster import cluster_obstacle
from dags.tests.clickhouse_server import require_or_skip_reason
from dags.tests.deployment import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow(minutes=1)
@pytest.mark.skipif(bool(require_or_skip_reason()), reason=require_or_skip_reason() or "")
def test_every_benchmark_runs_and_prints_its_machine_its_figures_and_its_verdict() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "WEB_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "dags.bench", "--quick"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    assert "machine" in lines[0]
    assert "QUICK" in ran.stdout
    titles = (
        "pre-aggregation of a day",
        "repair: one of",
        "managed: a chunk",
        "a tick with nothing to do",
        "presence: which of",
        "the full signals",
        "the whole detection",
        "a first look",
        "the comparison",
        "the leases",
        "the pure core",
        "dagster job execute, a whole process",
        "postgres: 4,000 rows",
        "files: 3,000 in a listing",
        "start: from a launch",
        "retention: what Dagster's storage keeps",
        "the health page",
        *([] if cluster_obstacle() else ["shards: one detection", "shards: one build"]),
    )
    assert [title for title in titles if title not in ran.stdout] == []
    _, _, beside = ran.stdout.partition("beside floor and peer")
    figures = (
        ("day, ", " floor "),
        ("day, ", " peer "),
        ("1 of 20 teams rebuilt, rows ", " floor "),
        ("1 of 20 teams rebuilt, CPU ", " the day "),
        ("0.0 M units, 1 in 10 wrong, CPU ", " floor "),
        ("0.0 M units, 1 in 10 wrong, CPU ", " peer "),
        ("nothing changed ", " first "),
        ("0.0 M units missing, decided, CPU ", " engine "),
        ("tick, nothing to do ", " SELECT 1 "),
        ("check_missing_data, embedded ", " empty job "),
        ("health, embedded ", " empty job "),
    )
    lines_beside = beside.splitlines()
    told = [(name, other) for name, other in figures for one in lines_beside if f"  {name}" in one and other in one]
    assert told == list(figures), beside
    verdicts = [line for line in lines if line.startswith(("  MET  ", "  MISSED  "))]
    assert len(verdicts) == (42 if cluster_obstacle() else 44), (
        ran.stdout
    )  # the tick on two engines, retention in two storages; detection has six, a first look seven, by what is measured


def test_a_benchmark_that_nobody_knows_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tock"])
    assert ended.value.code == 2
    names = ", ".join(BENCHMARKS)
    assert f"no benchmark is named tock: name one or more of {names}" in capsys.readouterr().err


def test_a_spread_is_the_median_with_its_extremes() -> None:
    assert Spread((3.0, 1.0, 2.5)).seconds == "2.50 s (1.00–3.00)"  # noqa: RUF001 -- a range
    assert Spread((0.003, 0.001, 1.5)).milliseconds == "3 (1–1,500)"  # noqa: RUF001 -- a range


def test_a_ratio_is_one_of_neighbours() -> None:
    ours, peers = Spread((1.0, 2.0, 10.0)), Spread((2.0, 6.0, 10.0))
    assert peers.over(ours) == Spread((2.0, 3.0, 1.0))
    with pytest.raises(ValueError, match="shorter"):
        peers.over(Spread((1.0,)))


def test_what_is_measured_beside_something_else_may_take_at_most_so_many_times_it() -> None:
    ours, floor = Spread((1.0, 3.0, 2.0)), Spread((1.0, 1.0, 1.0))
    assert Beside("a day", ours, "floor", floor, 1.5).cells == [
        "a day", "2.00 s", "floor 1.00 s", "2.00 (1.00–3.00)", "1.5", "MISSED",  # noqa: RUF001 -- a range
    ]  # fmt: skip
    assert Beside("a day", ours, "floor", floor, 2.0).cells[-1] == "MET"
    assert Beside("a day", ours, "peer", floor, None).cells[-2:] == ["", ""]
    assert Beside("rows", Spread((123456.0,)), "floor", Spread((1000.0,)), 3, "").cells[1:4] == [
        "123,456", "floor 1,000", "123 (123–123)",  # noqa: RUF001 -- a range
    ]  # fmt: skip
    assert Within("memory", Spread((512.0,)), 500, "MiB").cells == ["memory", "512 MiB", "", "", "500", "MISSED"]
    assert len({len(BESIDE), len(Within("memory", floor, 1, "MiB").cells)}) == 1


def test_figures_of_another_state_are_read_as_they_were_written_and_stand_beside_ours() -> None:
    day, tick = Spread((3.0, 1.0, 2.0)), Spread((0.5,))
    floor, peer, memory = (
        Beside("a day", day, "floor", day, 1.5), Beside("a day", day, "peer", day, None), Within("m", tick, 9, "MiB"),
    )  # fmt: skip
    ours: list[Beside | Within] = [floor, peer, memory]
    before = from_json(as_json([replace(floor, ours=Spread((4.0, 8.0))), replace(memory, figure="gone")]))
    assert [one.figure for one in from_json(as_json(ours))] == ["a day", "m"]
    assert [one.cells for one in compared(ours, before)] == [
        ["a day", "2.00 s", "before 6.00 s", "0.33 (0.33–0.33)", "", ""]  # noqa: RUF001 -- a range
    ]


def test_what_is_no_checkout_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--before", str(tmp_path), "tick"])
    assert f"{tmp_path} is no checkout of this project: expected dags/bench in it" in capsys.readouterr().err


@pytest.mark.slow(minutes=1)
@pytest.mark.skipif(bool(require_or_skip_reason()), reason=require_or_skip_reason() or "")
def test_another_state_is_measured_by_the_same_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "dags", other / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    (other / "dags" / "bench" / "__main__.py").write_text("raise SystemExit('its own benchmarks are not run')")
    assert main(["--quick", "--before", str(other), "repair"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"1 of 20 teams rebuilt, rows +[\d,]+ +before [\d,]+ +1\.00", told), told
    (other / "dags" / "publish" / "build.py").write_text("")
    assert main(["--quick", "--before", str(other), "repair"]) == 0
    assert "repair, before: left out, ImportError: cannot import name 'DayBuild'" in capsys.readouterr().out


def test_no_measurement_has_no_median() -> None:
    with pytest.raises(ValueError, match="run at least one round"):
        Spread(())


def test_a_table_has_its_first_column_to_the_left_and_the_others_to_the_right() -> None:
    assert table(["way", "s"], [["build", "10.1"], ["peer", "9"]]).splitlines() == [
        "  way       s",
        "  ─────  ────",
        "  build  10.1",
        "  peer      9",
    ]


def test_a_verdict_says_both_the_figure_and_the_target() -> None:
    assert verdict("under 2 s", "a tick takes 3 s", is_met=False) == "MISSED  a tick takes 3 s; the target is under 2 s"
    assert verdict("under 2 s", "a tick takes 1 s", is_met=True).startswith("MET  ")
