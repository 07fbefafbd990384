"""What keeps a row from being an event, each by a number, and what that says of its file.

Pure: no clock, no database, no Dagster. A row has the first of its faults: the file that was read is not the one that
was planned, its format says that the row is none, a column is not what it is to be, or no event may be like that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.expression import Expression
from dags.file_ingestion.formats import Verdict
from dags.sources.loads.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dags.file_ingestion.formats import Format
    from dags.file_ingestion.values import Reading
    from dags.sources.loads.shape import Shape

CHANGED = "it changed while it was read; the version that is there now is taken with the next run"

_CHANGED_NUMBER = 1


@dataclass(frozen=True)
class Faults:
    """The faults that rows of an ingestion may have."""

    format: Format
    reading: Reading
    shape: Shape

    @property
    def number(self) -> Expression:
        """The number of a row's fault, 0 where it has none; of `rows_of_files` in SQL, or what stands for them."""
        first = self._first_of_events
        checks = [f"{one.condition}, {number}" for number, one in enumerate(self.shape.checks(), first)]
        before = [
            f"NOT _is_planned, {_CHANGED_NUMBER}",
            f"_fault > 0, {_CHANGED_NUMBER} + _fault",
            f"_wrong > 0, {self._first_of_columns - 1} + _wrong",
        ]
        return Expression(f"toUInt32(multiIf({', '.join([*before, *checks])}, 0))")

    def judged(self, rows: int, found: Mapping[int, tuple[int, Sequence[str]]]) -> Verdict:
        """Whether a file may be loaded of which so many ``rows`` are events. ``found``: of each fault, by its number,
        how many rows have it, and where some stand.
        """
        if _CHANGED_NUMBER in found:
            return Verdict((CHANGED,))
        words = self._words
        findings = {
            number: Finding(words[number], count, tuple(sorted(keys))) for number, (count, keys) in found.items()
        }
        of_format = {fault: findings[n] for n, fault in enumerate(self.format.faults, 2) if n in findings}
        verdict = self.format.judged(rows, of_format)
        others = [str(one) for number, one in sorted(findings.items()) if number >= self._first_of_columns]
        return Verdict((*verdict.problems, *others), verdict.note)

    @property
    def _first_of_columns(self) -> int:
        return _CHANGED_NUMBER + 1 + len(self.format.faults)

    @property
    def _first_of_events(self) -> int:
        return self._first_of_columns + len(self.reading.problems)

    @property
    def _words(self) -> dict[int, str]:
        words = [CHANGED, *(one.words for one in self.format.faults), *self.reading.problems]
        return dict(enumerate([*words, *(one.words for one in self.shape.checks())], _CHANGED_NUMBER))
