"""What repeated measurements amount to, and how they are printed. Pure: nothing is measured here.

Two ways are run in turns, A B A B. What else the machine does then falls on both, and the ratio of two neighbours says
more than the ratio of two medians. Both are printed with their extremes.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 100
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Spread:
    """Some measurements of one thing, in the order in which they were taken.

    Raises:
        ValueError: there is none.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what has no median."""
        if not self.values:
            raise ValueError("no measurement was taken: run at least one round")

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def seconds(self) -> str:
        return f"{self.median:.2f} s ({min(self.values):.2f}–{max(self.values):.2f})"  # noqa: RUF001 -- a range

    @property
    def milliseconds(self) -> str:
        """For what is over before a hundredth of a second says anything."""
        middle, least, most = (1000 * seconds for seconds in (self.median, min(self.values), max(self.values)))
        return f"{middle:,.0f} ({least:,.0f}–{most:,.0f})"  # noqa: RUF001 -- a range

    @property
    def times(self) -> str:
        return f"{self.median:.2f} × ({min(self.values):.2f}–{max(self.values):.2f})"  # noqa: RUF001 -- a range

    def over(self, other: Spread) -> Spread:
        """The ratios of neighbours.

        Raises:
            ValueError: the two were not measured in turns.
        """
        return Spread(tuple(mine / its for mine, its in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True)
class Beside:
    """What something of ours takes beside something else, measured in turns: a line of the table that ends all figures.

    ``named`` says what the other is: the floor, the least that it can cost; or a peer, another's way. ``ours`` may take
    at most ``target`` times ``other``, of a peer a fraction. A ``target`` of None is none: the ratio is only told.
    """

    figure: str
    ours: Spread
    named: str
    other: Spread
    target: float | None
    unit: str = "s"

    @property
    def cells(self) -> list[str]:
        """Its row under `BESIDE`."""
        ratio = self.ours.over(self.other)
        beside = f"{self.named} {_amount(self.other, self.unit)}"
        least, most = (_short(one) for one in (min(ratio.values), max(ratio.values)))
        times = f"{_short(ratio.median)} ({least}–{most})"  # noqa: RUF001 -- a range
        limit = ["", ""] if self.target is None else [f"{self.target:.2g}", _met(ratio, self.target)]
        return [self.figure, _amount(self.ours, self.unit), beside, times, *limit]


@dataclass(frozen=True)
class Within:
    """What something of ours takes, where it may take at most ``target``: a line as `Beside` is one."""

    figure: str
    ours: Spread
    target: float
    unit: str

    @property
    def cells(self) -> list[str]:
        """Its row under `BESIDE`."""
        return [
            self.figure, _amount(self.ours, self.unit), "", "", f"{self.target:,.0f}", _met(self.ours, self.target)
        ]  # fmt: skip


# What a benchmark tells: its text, and lines of the table that ends all figures.
Told = str | Beside | Within

BESIDE = ("figure", "ours", "beside", "times", "at most", "")


def _amount(one: Spread, unit: str) -> str:
    return f"{one.median:,.2f} s" if unit == "s" else f"{one.median:,.0f} {unit}".rstrip()


def _short(ratio: float) -> str:
    """Three digits, or those before the point: the line has no room for more."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"  # noqa: PLR2004 -- digits


def _met(one: Spread, target: float) -> str:
    return "MET" if one.median <= target else "MISSED"


def verdict(target: str, figure: str, *, is_met: bool) -> str:
    """The line that ends a benchmark. A miss is a fact to be read, not an error: a busy machine misses too."""
    return f"{'MET' if is_met else 'MISSED'}  {figure}; the target is {target}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(("  " + first, *others)).rstrip()

    return "\n".join([line(head), "  " + "  ".join("─" * width for width in widths), *map(line, rows)])


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent="  ", subsequent_indent="  ")
