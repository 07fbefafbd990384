"""Tables and lines for people, as a terminal shows them.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, TypeVar

from dags.domain.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What people read fits so many columns.
WIDTH = 100

# What is said to be bytes, in words or by the name of a setting.
_BYTES = re.compile(r"(?<![\w.:-])([1-9][0-9]{6,14}) bytes\b|(?<=memory_usage = )([1-9][0-9]{6,14})\b")

Key = TypeVar("Key")


def table_text(rows: Sequence[Sequence[object]], columns: Sequence[str]) -> str:
    """Text to the left, numbers to the right, columns as wide as what they hold.

    Plain Python: importing pandas would take a tenth of the whole command's time (decision 7).
    """
    cells = [[f"{value:,}" if isinstance(value, int) else str(value) for value in row] for row in rows]
    padded = []
    for position, column in enumerate(columns):
        is_number = all(isinstance(row[position], int) for row in rows)
        width = max(len(column), *(len(row[position]) for row in cells))
        adjust = str.rjust if is_number else str.ljust
        padded.append([adjust(text, width) for text in (column, *(row[position] for row in cells))])
    return "\n".join(" ".join(line).rstrip() for line in zip(*padded, strict=True))


def wrapped(text: str, indent: int = 9) -> str:
    """Text in lines of at most `WIDTH`; its own indentation stays, further lines are set in by ``indent``.

    No id is broken at its hyphen: people copy it.
    """
    has_words = bool(text.strip())
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * indent, drop_whitespace=has_words, break_on_hyphens=False)


def command_lines(command: str, room: int) -> list[str] | None:
    """A command for bash in lines of at most ``room`` columns, which it takes as they stand; None where no line's end
    may be so early.
    """
    if len(command) <= room:
        return [command]
    room -= 2  # for what says that a line goes on
    lines = textwrap.wrap(command, room, break_long_words=False, break_on_hyphens=False)
    if max(map(len, lines)) > room:
        return None
    said = ""
    for number, line in enumerate(lines[:-1]):
        said += line
        # In quotes, which in commands of ours are those of a configuration, a line's end is as good as a blank.
        lines[number] = line if said.count("'") % 2 or said.count('"') % 2 else f"{line} \\"
    return lines


def shortened(text: str, characters: int) -> str:
    """At most so many characters of a text, without blanks around it, and a sign that more follows where it is cut:
    between two words, unless that would leave less than half of what there is room for.
    """
    text = text.strip()
    if len(text) <= characters:
        return text
    head = text[: characters - 1].rstrip()
    words, _, _ = head.rpartition(" ")
    return f"{words.rstrip() if len(words) > characters / 2 else head[: characters - 2]} …"


def sizes_in_words(text: str) -> str:
    """A text in which numbers of bytes that are whole MiB or GiB, as limits are, are said so: ``1 GiB``."""

    def said(found: re.Match[str]) -> str:
        count = int(found[1] or found[2])
        for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
            if count % unit == 0:
                return f"{count // unit:,} {name}"
        return found[0]

    return _BYTES.sub(said, text)


def of_error(error: BaseException, characters: int = 1000) -> str:
    """What an error says, for a record: the words alone where they were written for people, else its class as well."""
    try:
        words = str(error)
    except Exception as fault:  # noqa: BLE001 -- an error of somebody else's, which has to be recorded all the same
        words = f"its words cannot be read, which raises {type(fault).__name__}"
    return (words if isinstance(error, UserError) and words else f"{type(error).__name__}: {words}")[:characters]


def by_words(words: Mapping[Key, str]) -> dict[str, list[Key]]:
    """What the same words are said of, such as an error, in the order in which each was first said."""
    found: dict[str, list[Key]] = {}
    for key, said in words.items():
        found.setdefault(said, []).append(key)
    return found


def counted(count: int, noun: str) -> str:
    """So many of something, as people say it: ``1 team``, ``2,000 teams``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
