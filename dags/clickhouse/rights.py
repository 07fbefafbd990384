"""Says what the user of a connection lacks, with the statement that gives it.

Every statement and every insert of ours goes through `naming_what_lacks`, so it is named wherever it is met, whether it
ends a run, is a reason why a team could not be built, or why a table is unknown.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from dags.domain.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_DENIED = "ACCESS_DENIED"

# As ClickHouse says it, which differs between versions by little more than the quotes.
_LACKS = re.compile(r"necessary to have (?:the )?grant (?P<grant>.+?)(?:\.? \(ACCESS_DENIED\)|\.?$|;)", re.MULTILINE)


class LacksRightError(EngineError, DatabaseError):
    """The user lacks a right; the words name it. It is an error of ClickHouse's too, and no attempt helps."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.name = ACCESS_DENIED


def missing_grant(error: Exception) -> str:
    """What an error of ClickHouse says that the user lacks, a grant and what it is on; empty if it says nothing so."""
    found = _LACKS.search(str(error)) if getattr(error, "name", None) == ACCESS_DENIED else None
    # Which columns, of a grant on all of them, nobody wants to read.
    return re.sub(r"\([^)]*\)", "", found["grant"]) if found is not None else ""


def lacking(error: Exception, user: str = "the user of CLICKHOUSE_DSN") -> LacksRightError | None:
    """The error in words, where it is that the user lacks a right."""
    lacks = missing_grant(error)
    if not lacks:
        return None
    if lacks.startswith("SHOW "):  # which no right gives by itself, and any right on it does
        where = lacks.rpartition(" ON ")[2]
        return LacksRightError(f"{user} has no right on {where} at all: README, Server, has the statements for it")
    return LacksRightError(f"{user} lacks a right. `GRANT {lacks} TO` it; README, Server, has all of them")


@contextmanager
def naming_what_lacks() -> Iterator[None]:
    """Raises: LacksRightError: what is done here needs a right that the user lacks; the words are what gives it."""
    try:
        yield
    except ClickHouseError as error:
        if not isinstance(error, LacksRightError) and (words := lacking(error)) is not None:
            raise words from error
        raise
