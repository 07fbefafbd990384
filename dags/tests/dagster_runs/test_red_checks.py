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

from dags.dagster_runs.red_checks import NEXT
from dags.definitions import defs

RED = {"status": "needs you: it\nis wrong", NEXT: "$ dg launch --job a_job\n$ dg launch --job other_job"}
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
