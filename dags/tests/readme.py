"""The commands that the README has a person type, in its order, and the files that it shows with them.

A command is whatever stands in a block for a terminal, after ``$`` where the block shows answers too; and in the text
what begins with a program's name. A name that is nearly a program's counts as well, so that a slip is found.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What commands begin with, wherever they stand.
PROGRAMS = ("make", "source", "dg", "dagster", "python", "pip", "docker", "curl", "timedatectl")

# Alone they are commands too; another program alone is only mentioned.
ALONE = ("make", "timedatectl")

_PLACES = re.compile(
    r"^##+ (?P<section>[^\n]+)$|^```console\n(?P<block>.*?)^```$|^```.*?^```$|`(?P<span>[^`]+)`",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Command:
    """Text to be typed, as it stands there, and the section in which it does."""

    text: str
    section: str


@dataclass(frozen=True)
class File:
    """A file that a block shows by ``cat``."""

    name: str
    content: str


def steps(readme: str) -> list[Command | File]:
    """What is to be typed, and which files are to be there for it, in order."""
    found: list[Command | File] = []
    section = ""
    for place in _PLACES.finditer(readme):
        section = place["section"] or section
        if place["block"]:
            found += _of_block(place["block"], section)
        elif place["span"]:
            span = " ".join(place["span"].split())
            if span.startswith("-c ") and isinstance(found[-1], Command):  # the same with a configuration
                found.append(Command(f"{found[-1].text} {span}", section))
            elif _is_command(span):
                found.append(Command(span, section))
    return found


def _is_command(span: str) -> bool:
    if re.match(r"SELECT .* FROM ", span):
        return True
    first, *rest = span.split(" ")
    return bool(difflib.get_close_matches(first, PROGRAMS, cutoff=0.75)) if rest else first in ALONE


def _of_block(block: str, section: str) -> Iterator[Command | File]:
    lines = block.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        yield from (Command(line.split("  #")[0].strip(), section) for line in lines if line)
        return
    while lines:
        if not (line := lines.pop(0)).startswith("$ "):
            continue
        typed = [line.removeprefix("$ ")]
        while _goes_on(typed):
            typed.append(lines.pop(0))
        text = "\n".join(typed)
        if text.startswith("cat "):
            answer = []
            while lines and not lines[0].startswith("$ "):
                answer.append(lines.pop(0))
            yield File(text.removeprefix("cat "), "\n".join(answer) + "\n")
        else:
            yield Command(text, section)


def _goes_on(typed: list[str]) -> bool:
    try:
        shlex.split("\n".join(typed))
    except ValueError:  # a quote is open
        return True
    return typed[-1].endswith("\\")
