"""Another state of this project, measured by these benchmarks: what a change has made of their figures, in one run.

The other checkout's code is copied with these benchmarks in the place of its own, so that both do the same work on the
same data. An interface that they use and that it does not have is an error, which is told in the place of figures.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dags.bench.figures import Beside, Spread, Within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# By the arguments of a run, what is ours of its figures.
Measure = Callable[[Sequence[str]], list[Within]]

OWN = Path(__file__).resolve().parent


class OtherError(Exception):
    """The other state could not be measured; the message says why."""


@contextmanager
def measuring(checkout: Path) -> Iterator[Measure]:
    """What measures the other state.

    Raises:
        OtherError: it is no checkout of this project; and from what is given, where a benchmark ends with an error.
    """
    if not (checkout / "dags" / "bench").is_dir():
        raise OtherError(f"{checkout} is no checkout of this project: expected dags/bench in it")
    with tempfile.TemporaryDirectory(prefix="before-") as name:
        directory = Path(name)
        shutil.copytree(checkout / "dags", directory / "dags", ignore=shutil.ignore_patterns("bench", "__pycache__"))
        shutil.copytree(OWN, directory / "dags" / "bench", ignore=shutil.ignore_patterns("__pycache__"))
        yield lambda arguments: _figures(directory, arguments)


def _figures(directory: Path, arguments: Sequence[str]) -> list[Within]:
    written = directory / "figures.json"
    with subprocess.Popen(  # noqa: S603 -- our own benchmarks
        [sys.executable, "-m", "dags.bench", *arguments, "--figures", str(written)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            said = running.communicate()[1]
        finally:
            running.terminate()  # it ends what it has started; nothing where it is over
    if running.returncode != 0:
        raise OtherError((said.strip().splitlines() or ["it said nothing"])[-1])
    return from_json(written.read_text())


def as_json(told: Iterable[Beside | Within]) -> str:
    """What is ours of the figures; `from_json` reads it."""
    figures = {one.figure: _ours(one) for one in told}
    return json.dumps([asdict(one) for one in figures.values()])


def _ours(one: Beside | Within) -> Within:
    return Within(one.figure, one.ours, 0.0, one.unit)


def from_json(text: str) -> list[Within]:
    return [
        Within(one["figure"], Spread(tuple(one["ours"]["values"])), one["target"], one["unit"])
        for one in json.loads(text)
    ]


def compared(told: Iterable[Beside | Within], before: Iterable[Within]) -> list[Beside]:
    """The figures that both have, ours beside the other's: of their medians, for rounds of one are not those of the
    other's neighbours.
    """
    ours = {one.figure: _ours(one) for one in told}
    return [
        Beside(one.figure, _median(ours[one.figure]), "before", _median(one), None, one.unit)
        for one in before
        if one.figure in ours
    ]


def _median(one: Within) -> Spread:
    return Spread((one.ours.median,))
