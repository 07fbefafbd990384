"""Vets the text of a declared query, so that it can stand within parentheses.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations


def vetted(text: str) -> str:
    """The text without what follows it."""
    return text.strip().removesuffix(";")
