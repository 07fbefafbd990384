"""What a terminal shows of a run whose checks failed, which is no failure of the run."""

from collections.abc import Iterator

import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    DagsterInstance,
    asset,
    materialize,
    multi_asset_check,
)

from dags.dagster_runs.red_checks import next_steps
from dags.definitions import defs

STEPS = next_steps(["$ dg launch --job a_job", "", "$ dg launch --job other_job"])
RED = {"status": "needs you: it\nis wrong", **STEPS}
RESULTS = {
    "fine": AssetCheckResult(passed=True),
    "late": AssetCheckResult(passed=False, metadata=RED),
    "stuck": AssetCheckResult(passed=False, metadata=RED),
    "odd": AssetCheckResult(passed=False, severity=AssetCheckSeverity.WARN, description="it is odd\nand more"),
}


@asset
def a_table() -> None:
    """A table."""


@multi_asset_check(specs=[AssetCheckSpec(name, asset="a_table") for name in RESULTS])
def checked() -> Iterator[AssetCheckResult]:
    for name, result in RESULTS.items():
        yield result._replace(check_name=name, asset_key=a_table.key)


def test_each_step_is_an_entry_of_its_own_for_the_ui_runs_the_lines_of_one_together() -> None:
    assert STEPS == {"next": "$ dg launch --job a_job", "next_2": "$ dg launch --job other_job"}


def test_a_run_with_failed_checks_succeeds_and_its_last_words_are_which_why_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert defs  # by which all consoles of the process are ours
    with DagsterInstance.ephemeral() as instance:
        assert materialize([a_table, checked], instance=instance).success
        last = capsys.readouterr().err.partition("2 of 4 checks failed")[2]
        assert last.rstrip().split("\n") == [
            ", 1 warning",
            "FAILED   late, stuck of a_table: needs you: it is wrong",
            "         $ dg launch --job a_job",
            "         $ dg launch --job other_job",
            "WARNING  odd of a_table: it is odd",
        ]
        assert materialize([a_table], instance=instance).success
        assert "checks failed" not in capsys.readouterr().err
