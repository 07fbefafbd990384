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

_NAME = r"(?:[\w*]+|`[^`]+`)"

# As ClickHouse says it: who lacks which rights, and on what. What follows, such as in which function, is none of it.
_LACKS = re.compile(rf"necessary to have (?:the )?grant (?P<rights>\w.*?) ON (?P<where>{_NAME}(?:\.{_NAME})?)")
_WHO = re.compile(r"(?P<user>\S+): Not enough privileges")

# Tables that are made for one run and dropped; a right on one of them would help no other run.
_OF_ONE_RUN = re.compile(
    r"_tmp_|web_analytics_(?:bid|lease|landing|landcopy|loading)_|web_pre_aggregated_(?:staging|backup)_"
)

# Of these a right on one table is enough for good; to make, alter and drop tables it is on all of the database.
_OF_ONE_TABLE = {"SELECT", "INSERT", "dictGet"}

# Rights that are needed among replicas alone.
_AMONG_REPLICAS = re.compile(r"SYSTEM SYNC REPLICA|TABLE ENGINE ON (?:Replicated|KeeperMap)")


class LacksRightError(EngineError, DatabaseError):
    """The user lacks a right; the words name it. It is an error of ClickHouse's too, and no attempt helps."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.name = ACCESS_DENIED


def missing_grant(error: Exception) -> str:
    """The statement that gives what an error of ClickHouse says that the user lacks; empty if it says nothing so.

    It is on all of the database where the table is one that is made and dropped again.
    """
    said = str(error)
    found = _LACKS.search(said) if getattr(error, "name", None) == ACCESS_DENIED else None
    if found is None:
        return ""
    # Which columns, of a grant on all of them, nobody wants to read.
    rights, where = re.sub(r"\([^)]*\)", "", found["rights"]), found["where"]
    database, is_table, table = where.rpartition(".")
    if is_table and (_OF_ONE_RUN.match(table.strip("`")) or set(rights.split(", ")) - _OF_ONE_TABLE):
        where = f"{database}.*"
    who = _WHO.search(said)
    return f"GRANT {rights} ON {where} TO {quoted(who['user']) if who is not None else 'CURRENT_USER'}"


def quoted(name: str) -> str:
    """A user's name as a statement takes it."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f"`{name.replace('`', '``')}`"


def lacking(error: Exception, user: str = "the user of CLICKHOUSE_DSN") -> LacksRightError | None:
    """The error in words, where it is that the user lacks a right."""
    statement = missing_grant(error)
    if not statement:
        return None
    if statement.startswith("GRANT SHOW "):  # which no right gives by itself, and any right on it does
        where = statement.rpartition(" ON ")[2].rpartition(" TO ")[0]
        return LacksRightError(f"{user} has no right on {where} at all: README, Server, has the statements for it")
    chapter = "Replicas" if _AMONG_REPLICAS.search(statement) else "Server"
    return LacksRightError(f"{user} lacks a right. `{statement}` gives it; README, {chapter}, has all of them")


@contextmanager
def naming_what_lacks() -> Iterator[None]:
    """Raises: LacksRightError: what is done here needs a right that the user lacks; the words are what gives it."""
    try:
        yield
    except ClickHouseError as error:
        if not isinstance(error, LacksRightError) and (words := lacking(error)) is not None:
            raise words from error
        raise
