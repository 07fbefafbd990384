"""Our lines for people as Dagster's UI takes the description of a check: as Markdown, which it runs into one paragraph.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from itertools import groupby

# By which a line is a command, as a terminal shows one.
PROMPT = "$ "

# What would be taken for markup in prose: anywhere, around words, and at the beginning of a line.
_MARKUP = re.compile(r"[\\`*<\[~]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])|^[-+#>](?=\s)|(?<=^\d)[.)](?=\s)")
_BACKTICKS = re.compile(r"`+")


def as_markdown(lines: str) -> str:
    """Each line as a paragraph, and commands as a list of code.

    In a list of code a command wraps where the page ends and is copied as the one line that it is; a block of code
    would make the page as wide as the command.
    """
    groups = groupby(filter(str.strip, lines.split("\n")), lambda line: line.startswith(PROMPT))
    return "\n\n".join(
        "\n".join(map(_item, some)) if is_code else "\n\n".join(map(_escaped, some)) for is_code, some in groups
    )


def _item(line: str) -> str:
    command = line.removeprefix(PROMPT)
    quotes = "`" * (max(map(len, _BACKTICKS.findall(command)), default=0) + 1)
    return f"- {quotes} {command} {quotes}" if "`" in command else f"- `{command}`"


def _escaped(line: str) -> str:
    return _MARKUP.sub(lambda sign: f"\\{sign[0]}", line.strip())
