"""The gates of a managed backfill: what must hold before, of each chunk's staging, and in the end.

Pure: no clock, no database, no Dagster. A gate is a named check with what it measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from dags.domain.days import in_words
from dags.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

SOURCE, COLUMNS, ALONE, BASELINE = "source_has_data", "target_columns_exist", "no_other_backfill", "baseline_captured"
BACKUP, NO_NULLS, DISTRIBUTION = "backup_taken", "no_nulls", "distribution"
CHUNKS, ROWS = "every_chunk_succeeded", "row_counts"

BEFORE = (SOURCE, COLUMNS, ALONE, BASELINE)
OF_CHUNKS = (ROWS, NO_NULLS, DISTRIBUTION, BACKUP)
AFTER = (CHUNKS, ROWS, DISTRIBUTION)

# Days before the range that a day is compared with, and how many of them must hold rows: with fewer, what is usual is
# not known, and nothing is judged.
BASELINE_DAYS = 28
BASELINE_MIN_DAYS = 7

# A figure is unusual that is twice or half the median, and lies six deviations from it. The factor keeps a table whose
# days are all alike from failing over nothing, the deviations a lively one. Deviations are the median absolute
# ones, times 1.4826, which makes them standard deviations where values are normal (Rousseeuw and Croux, 1993).
FACTOR = 2.0
DEVIATIONS = 6.0
TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Gate:
    """What a gate found. ``measured`` is for people, also when it passed."""

    name: str
    is_passed: bool
    measured: str

    def __str__(self) -> str:
        return f"{'passed' if self.is_passed else 'FAILED'} {self.name}: {self.measured}"


@dataclass(frozen=True)
class Spread:
    """Of a day, or of more: rows of the table, what they count in all (page views), and what the source expects."""

    rows: int = 0
    total: int = 0
    expected: int = 0

    def __add__(self, other: Spread) -> Spread:
        return Spread(self.rows + other.rows, self.total + other.total, self.expected + other.expected)

    def figures(self) -> dict[str, float]:
        """What does not depend on how much traffic there was, so that a busy day is no reason to fail."""
        found = {}
        if self.total:
            found["rows per page view"] = self.rows / self.total
        if self.expected:
            found["page views per one of the source"] = self.total / self.expected
        return found


def source_has_data(days: Sequence[date], rows: int) -> Gate:
    return Gate(
        SOURCE, rows > 0 and bool(days), f"{rows:,} source rows bear on {counted(len(days), 'day')}, {in_words(days)}"
    )


def target_columns_exist(table: str, unusable: str) -> Gate:
    """``unusable``: why no day may be swapped into the table. A request is refused for it; a resume meets it here."""
    return Gate(COLUMNS, not unusable, unusable or f"{table} has every column that a build writes, and days to swap")


def no_other_backfill(taken: Mapping[str, Iterable[date]]) -> Gate:
    words = "; ".join(f"{in_words(days)} by {who}" for who, days in taken.items())
    return Gate(ALONE, not taken, words or "nobody else works on these days")


def baseline_captured(baseline: Mapping[date, Spread]) -> Gate:
    held = [day for day, spread in baseline.items() if spread.rows]
    return Gate(BASELINE, is_passed=True, measured=f"{len(held)} of the {BASELINE_DAYS} days before hold rows")


def no_nulls(teamless: int, without_distinct: int, without_total: int, *, words: tuple[str, str]) -> Gate:
    """No row may be of no team, or hold nothing of what its table counts, which ``words`` name."""
    measured = (
        f"{teamless:,} rows of no team, {without_distinct:,} without {words[0]}, {without_total:,} without {words[1]}"
    )
    return Gate(NO_NULLS, not (teamless or without_distinct or without_total), measured)


def distribution(now: Spread, baseline: Iterable[Spread]) -> Gate:
    """Whether a day is spread as recent days are; see `FACTOR` and `DEVIATIONS` for the test.

    Two figures are held against the median of the days before the range: rows per page view, which moves when a
    dimension is lost or multiplied, and page views per one that the source expects, which moves when a build
    counts otherwise. Neither depends on how busy a day was.
    """
    usual = [spread.figures() for spread in baseline if spread.rows]
    words, is_passed = [], True
    for name, value in now.figures().items():
        others = [figures[name] for figures in usual if name in figures]
        if len(others) < BASELINE_MIN_DAYS:
            words.append(f"{name} {value:.3g}, not judged: {len(others)} of {BASELINE_MIN_DAYS} days to compare with")
            continue
        middle = median(others)
        deviation = TO_SIGMA * median(abs(other - middle) for other in others)
        is_unlike = value > FACTOR * middle or value < middle / FACTOR
        is_unusual = is_unlike and abs(value - middle) > DEVIATIONS * deviation
        is_passed = is_passed and not is_unusual
        words.append(f"{name} {value:.3g}, median of {counted(len(others), 'day')} {middle:.3g}")
    return Gate(DISTRIBUTION, is_passed, "; ".join(words) or "no row, nothing to compare")


def backup_taken(in_table: int, in_backup: int, *, is_equal: bool) -> Gate:
    """Whether the backup has every team's page views of the day, and no others."""
    return Gate(BACKUP, is_equal, f"{in_backup:,} of the day's {in_table:,} page views are in the backup")


def staged_rows(rows: int, teams: int) -> Gate:
    """Passed when it is reached: staging that differs from its source is refused by the build itself."""
    return Gate(ROWS, is_passed=True, measured=f"{rows:,} staged rows of {counted(teams, 'team')} equal their source")


def every_chunk_succeeded(failed: Mapping[int, str], chunks: int) -> Gate:
    words = "; ".join(f"chunk {number}: {error[:200]}" for number, error in sorted(failed.items()))
    return Gate(CHUNKS, not failed, words or f"all {chunks} chunks are done")


def row_counts(found: Mapping[date, int], expected: Mapping[date, int], left_out: Iterable[date]) -> Gate:
    """Whether the table still holds what was published; days that others have built since are not ours to judge."""
    others = frozenset(left_out)
    wrong = [day for day in sorted(expected) if day not in others and found.get(day, 0) != expected[day]]
    words = f"{sum(found.values()):,} page views in the table, {sum(expected.values()):,} published"
    if wrong:
        words += f"; {in_words(wrong)} differ"
    if others:
        words += f"; {in_words(others)} were built by others since and are not judged"
    return Gate(ROWS, not wrong, words)
