"""What a format of files is to the statement that has them land: how ClickHouse reads it, the texts that a row is made
of, and which rows are none.

Pure: no clock, no database, no Dagster. What a format offers to a declaration is for `dags.sources.formats`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dags.domain.errors import UserError
from dags.domain.expression import Expression
from dags.sources.formats import ACCESS_LOG, NAMELESS, place_of
from dags.sources.loads.shape import END_MICROS, FIRST_MICROS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dags.sources.loads.verdicts import Finding

# Stands in a row for what it is too short for. A row that has this very text is taken for one, and refused.
_TOO_SHORT = "\x01 too short \x01"

_TIME = re.compile(r"DateTime64\(([0-9])\)|DateTime(?![0-9(])")


# A statement reads about so many bytes, as they are stored: large enough that it costs a little more than reading all
# at once, small enough that what goes wrong in one file costs its neighbours little.
BYTES_A_GROUP = 256_000_000


class Fate(StrEnum):
    """What becomes of a row with a fault, and of its file."""

    REFUSED = "its file is not loaded"
    RUBBISH = "it is left out, and so is the file if most of it is rubbish"
    LEFT_OUT = "it is left out, as it should be"


@dataclass(frozen=True)
class Fault:
    """Why a row is none."""

    words: str
    fate: Fate


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a file whose rows have faults; else what is to be remembered of them."""

    problems: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Format:
    """How files of a format are read, as far as no column is named.

    ``engine`` is what ClickHouse calls it, ``rows`` the statements that make rows of what it reads, each
    within the next, and ``parameters`` what these bind; ``is_typed``: the
    files say of what types their columns are, and are read only by these. A statement reads about so many bytes.
    """

    engine: str
    rows: tuple[str, ...] = ("rows",)
    settings: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    is_typed: bool = False
    group_bytes: int = BYTES_A_GROUP

    def judged(self, rows: int, findings: Mapping[Fault, Finding]) -> Verdict:
        """Whether a file may be loaded of which so many ``rows`` are without a fault, and what was found of faults."""
        found: dict[Fate, list[Finding]] = {fate: [] for fate in Fate}
        for fault in self.faults:
            found[fault.fate] += [findings[fault]] if fault in findings else []
        rubbish, left_out = found[Fate.RUBBISH], found[Fate.LEFT_OUT]
        lines, lost = rows + sum(one.rows for one in left_out), sum(one.rows for one in rubbish)
        if lost > lines:
            words = f"{lost:,} of {lost + lines:,} lines are rubbish"
            return Verdict((words, *map(str, rubbish)))
        if found[Fate.REFUSED]:
            return Verdict(tuple(map(str, found[Fate.REFUSED])))
        others = ", ".join(f"{one.rows:,} {one.words}" for one in (*rubbish, *left_out))
        return Verdict(note=f"{rows:,} of {lines + lost:,} lines are page views; left out: {others}" if others else "")


# A row may have more columns than are mapped; one that has fewer is not filled with nothing in silence. A first row
# that looks like names is a row: it is no event, and says so.
_CSV = {
    "input_format_csv_allow_variable_number_of_columns": 1,
    "input_format_csv_detect_header": 0,
    "input_format_csv_empty_as_default": 0,
    "input_format_csv_skip_trailing_empty_lines": 1,
}
_SHORT = (Fault("it has fewer columns than are mapped", Fate.REFUSED),)

# Why a line of an access log is no hit, and why a hit is no page view; in the words of the statements.
RUBBISH = (
    "line over 256 KiB",
    "bytes that are not UTF-8",
    "blank line",
    "unprintable characters",
    "not Common or Combined Log Format",
    "no address of a visitor",
    "no request",
    "binary bytes where a request belongs",
    "request line that is not HTTP",
    "timestamp that does not exist",
    "status that is not 100 to 599",
)
NO_VIEWS = (
    "method is not GET",
    "answered 1xx",
    "answered 3xx other than 304",
    "answered 4xx",
    "answered 5xx",
    "target is not a path",
    "script, style or font",
    "image, sound or film",
    "feed, robots.txt or sitemap",
    "another kind of file",
)

_FORMATS = {
    "CSV": Format("CSV", settings=_CSV, faults=_SHORT),
    "TSV": Format("TSV", settings={name.replace("csv", "tsv"): on for name, on in _CSV.items()}, faults=_SHORT),
    "Avro": Format("Avro", is_typed=True),
    ACCESS_LOG: Format(
        "LineAsString",
        ("access_log_lines", "access_log_hits", "access_log_views", "access_log"),
        parameters={
            "kinds": [*RUBBISH, *NO_VIEWS],
            "first": FIRST_MICROS // 10**6,
            "end": END_MICROS // 10**6,
        },
        faults=(
            *(Fault(words, Fate.RUBBISH) for words in RUBBISH),
            *(Fault(words, Fate.LEFT_OUT) for words in NO_VIEWS),
        ),
        # All lines of a statement are sorted, and packed ones are ten times as many bytes as they are stored.
        group_bytes=BYTES_A_GROUP // 8,
    ),
}


def format_of(name: str) -> Format:
    """The format that a declaration names."""
    return _FORMATS.get(name) or Format(name)


@dataclass(frozen=True)
class Columns:
    """The columns of files that are read, each once, by their names there."""

    format: str
    names: tuple[str, ...]

    def with_names(self, more: Iterable[str]) -> Columns:
        """The same and others, which come after these."""
        return replace(self, names=tuple(dict.fromkeys((*self.names, *more))))

    def structure(self, types: Mapping[str, str]) -> str:
        """The columns as ClickHouse is to read them: each as a text that may be absent, or of the type that it has.
        ``types``: those of files that say of what types all are, of others of what is read by its type.

        Raises:
            UserError: the files have none of that name.
        """
        if self.format == ACCESS_LOG:
            return "line String"
        if self.format in NAMELESS:
            last = max(self._places)
            texts = [f"c{place} Nullable(String)" for place in range(1, last)]
            return ", ".join([*texts, f"c{last} Nullable(String) DEFAULT '{_TOO_SHORT}'"])
        if not format_of(self.format).is_typed:
            return ", ".join(f"{_quoted(name)} Nullable({types.get(name, 'String')})" for name in self.names)
        if lacking := [name for name in self.names if name not in types]:
            raise UserError(f"it has no column {', '.join(lacking)}: it has {', '.join(types)[:500]}")
        # A time is an instant: as a text it is that of UTC, and says so.
        return ", ".join(f"{_quoted(name)} {_TIME.sub(_in_utc, types[name])}" for name in self.names)

    @property
    def row(self) -> Expression:
        """The texts of a row, as a tuple in the order of the names."""
        if self.format in NAMELESS:
            texts = (f"nullIf({name}, '')" for name in self.names)
            return Expression(f"tuple({', '.join(texts)})")
        if self.format == ACCESS_LOG:
            return Expression(f"tuple({', '.join(self.names)})")
        if format_of(self.format).is_typed:
            zone = "if(position(toTypeName(one), 'DateTime') > 0, 'Z', '')"
            return Expression(f"tuple(* APPLY (one -> concat(toString(one), {zone})))")
        return Expression("tuple(*)")

    @property
    def fault(self) -> Expression:
        """The number of the format's fault that a row as a whole has, from 1; 0 if it has none."""
        if self.format in NAMELESS:
            last = max(self._places)
            return Expression(f"if(ifNull(c{last}, '') = concat(char(1), ' too short ', char(1)), 1, 0)")
        return Expression("0")

    @property
    def _places(self) -> list[int]:
        return [place for name in self.names if (place := place_of(name)) is not None]


def _in_utc(found: re.Match[str]) -> str:
    return f"DateTime64({found[1]}, 'UTC')" if found[1] else "DateTime('UTC')"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
