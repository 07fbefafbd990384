"""What people hand in as text (reasons, names, ids), and what is refused of it before anything is touched.

Pure: no clock, no database, no Dagster. Such a text is kept in the audit, bound into statements, shown in terminals and
in skip reasons. So it has to be what it looks like: no control character that a terminal would obey, no sign that
turns the reading direction, no half of a character that cannot be encoded; and short enough to be bound and read.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from dags.domain.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Chosen: a page of text. ClickHouse takes no bound value of 128 KiB and more.
MAX_CHARACTERS = 2_000

# Unicode's categories: control, format, surrogate, private, unassigned, and what ends a line or a paragraph.
_UNSHOWN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# Without these two joiners some languages cannot be written.
_JOINERS = "\u200c\u200d"
# What a description may have besides.
_OF_LINES = "\n\t"


def text_problems(given: Mapping[str, object], *, required: Collection[str] = ()) -> list[str]:
    """Why texts are refused, each by its name; None counts as empty.

    ``required``: those that may not be empty. ``description`` alone may have more than one line.
    """
    problems = []
    for name, value in given.items():
        text = "" if value is None else str(value)
        allowed = _JOINERS + (_OF_LINES if name == "description" else "")
        if name in required and not text.strip():
            problems.append(f"{name} is empty: it is kept and shown, for whoever asks later who did it and why")
        if len(text) > MAX_CHARACTERS:
            problems.append(f"{name} has {len(text):,} characters: give at most {MAX_CHARACTERS:,}")
        elif bad := sorted({sign for sign in text if sign not in allowed and unicodedata.category(sign) in _UNSHOWN}):
            signs = ", ".join(f"U+{ord(sign):04X}" for sign in bad[:5])
            problems.append(f"{name} holds what is not shown as it is ({signs}): give plain text in one line")
    return problems


def require_texts(given: Mapping[str, object], *, required: Collection[str] = ()) -> None:
    """Raises: UserError: every violation, each on a line of its own."""
    if problems := text_problems(given, required=required):
        raise UserError("refused, nothing was touched:\n" + "\n".join(problems))
