"""The rows of the README's runbook, as tests use them: what an operator sees, and what he is to type.

A symptom is what stands in backquotes in the first column; ``…`` in it stands for whatever varies. A command is a job
that the last column names, with the fields that follow its name; who asks and why, it need not say.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

# Fields of every job that changes something.
WHO = ("requested_by", "reason")

# So many characters may stand for what varies, so that a pattern is of one sentence.
VARIES = 300

_SPAN = re.compile(r"`([^`]+)`")
_JOB = re.compile(r"(?:dg launch --job )?([a-z_]+_job)")
_FIELD = re.compile(r"([a-z_]+)(?:: (\S.*))?")


@dataclass(frozen=True)
class Row:
    """One of them. ``group`` is the heading that it stands under."""

    group: str
    symptoms: tuple[str, ...]
    means: str
    do: str

    @property
    def commands(self) -> dict[str, dict[str, str]]:
        """The jobs that it names, each with the fields that it gives it, and the values that they are to have."""
        found: dict[str, dict[str, str]] = {}
        fields: dict[str, str] = {}
        for span in _SPAN.findall(self.do):
            if job := _JOB.fullmatch(span):
                fields = found.setdefault(job[1], {})
            elif found and (field := _FIELD.fullmatch(span)):
                fields[field[1]] = field[2] or ""
        return found


def rows_of(readme: str) -> Iterator[Row]:
    """All of them, in order."""
    section = readme.partition("\n## Runbook\n")[2].partition("\n## ")[0]
    group = ""
    for line in section.splitlines():
        if heading := re.fullmatch(r"\*\*(.+)\*\*", line):
            group = heading[1]
        elif line.startswith("| ") and line != "| you see | it means | do |":
            seen, means, do = line.strip("| ").split(" | ")
            yield Row(group, tuple(_SPAN.findall(seen)), means, do)


ROWS = tuple(rows_of(README))
_BY_SYMPTOM = {words: row for row in ROWS for words in row.symptoms}


def symptom(words: str) -> re.Pattern[str]:
    """What finds a symptom in what is really printed, wherever its lines are broken.

    Raises:
        KeyError: no row of the runbook has it.
    """
    _BY_SYMPTOM[words]
    parts = (r"\s+".join(map(re.escape, part.split(" "))) for part in words.split("…"))
    return re.compile(f".{{1,{VARIES}}}?".join(parts), re.DOTALL)


def cure(words: str, job: str, **given: Any) -> tuple[str, dict[str, Any]]:
    """The job and its configuration that the row of a symptom has a person type.

    Raises:
        KeyError: the runbook has no such row, or that names no such job.
        ValueError: other fields are given than it names, or other values.
    """
    named = _BY_SYMPTOM[words].commands[job]
    asked = {name: str(value).lower() for name, value in given.items() if name not in WHO or name in named}
    if asked != {name: value or asked.get(name) for name, value in named.items()}:
        raise ValueError(f"the row of {words!r} gives {job} {named}, and not {asked}")
    return job, given
