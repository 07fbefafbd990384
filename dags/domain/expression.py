"""Pieces of SQL that declarations in code bring along.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from typing import Self

# What an expression over columns needs; nothing that ends a statement, begins a comment or binds a value. A
# minus stands in an arrow alone.
_EXPRESSION = re.compile(r"(?:[A-Za-z0-9_ ,.()'=!<>+*/%]|->)+")


class Expression(str):
    """A piece of SQL that a declaration in code brings along, such as ``toDate(timestamp)``.

    Raises:
        ValueError: it holds more than an expression over columns needs.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Refuse what is no plain expression."""
        if not _EXPRESSION.fullmatch(text) or "/*" in text or text.count("(") != text.count(")"):
            raise ValueError(
                f"{text!r} is no plain expression: give function calls, columns, numbers, operators and quoted words"
            )
        return super().__new__(cls, text)
