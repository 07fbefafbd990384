"""Values and names as PostgreSQL reads them, whatever is in them and however its session is set.

Pure: no clock, no database, no Dagster. What these return may stand in a statement; nothing else that a person handed
in may. They hold for a session whose `client_encoding` is UTF8: in some others the last byte of a character may be a
backslash or a quote.
"""

from __future__ import annotations

# PostgreSQL cuts a longer name off, with no more than a notice, and might find another column by what remains.
NAME_BYTES = 63


def literal(value: str) -> str:
    """A value as a literal without a type, which becomes the type of what it is compared with.

    An `E'…'` literal, in which a backslash always escapes: so `standard_conforming_strings` decides nothing.

    Raises:
        ValueError: the value has what no text of PostgreSQL can have, see `obstacle`.
    """
    if found := obstacle(value):
        raise ValueError(f"a value has {found}")
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def identifier(name: str) -> str:
    """A name as it is, in double quotes: PostgreSQL folds and interprets nothing in it.

    Raises:
        ValueError: no column can have that name: it is empty, longer than `NAME_BYTES`, or see `obstacle`.
    """
    if found := obstacle(name):
        raise ValueError(f"a name has {found}")
    if not 0 < len(name.encode()) <= NAME_BYTES:
        raise ValueError(f"a name has {len(name.encode())} bytes, PostgreSQL's have 1 to {NAME_BYTES}: {name!r}")
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def obstacle(text: str) -> str | None:
    """What keeps a text from being one of PostgreSQL's, in words; None if nothing does."""
    if "\0" in text:
        return "the character NUL, which PostgreSQL does not store"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair, which is no character"
    return None
