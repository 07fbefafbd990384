"""Asks PostgreSQL, through ClickHouse: what a table is, what its session is like, and rows of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.postgres_backfill import compiling
from dags.postgres_backfill.source_failures import FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.postgres_backfill.connection import Connection

P = ParamSpec("P")
R = TypeVar("R")

PACKAGE = "dags.postgres_backfill"

# PostgreSQL that restarts answers again within seconds, one that recovers within a minute.
RESTART_SECONDS = 60.0

_log = logging.getLogger(__name__)

# A backfill waits for so long for transactions that were open when it began: what they write may be among its rows.
# Chosen: transactions of applications last for seconds, and one that does not end keeps nothing else waiting.
OPEN_SECONDS = 60.0
_POLL_SECONDS = 0.5

# Between the clock that is read and the question which transactions are open: one that has begun before the former is
# seen by the latter, however busy PostgreSQL is.
MARGIN_SECONDS = 1.0


class SourceError(UserError):
    """PostgreSQL could not be read, or refused it; the words name it, what it says and the next step."""

    def __init__(self, words: str, kind: FailureKind) -> None:
        super().__init__(words)
        self.kind = kind


@dataclass(frozen=True)
class SourceColumn:
    """A column of a source: its type as PostgreSQL writes it, and the one beneath where that is a domain."""

    name: str
    type: str
    base: str
    is_required: bool = False
    is_unique: bool = False


@dataclass(frozen=True)
class Session:
    """What a session of PostgreSQL is like. ``has_limit``: its role has a statement_timeout."""

    is_standby: bool
    has_limit: bool

    @property
    def notes(self) -> tuple[str, ...]:
        if self.has_limit:
            return ()
        words = "PostgreSQL sets its role no limit of time, and a statement that waits there is waited for as long."
        return (f"{words} ALTER ROLE … SET statement_timeout = '30min'",)


@dataclass(frozen=True)
class Postgres:
    """A database of PostgreSQL, asked through a ClickHouse client. A statement may take so
    many ``seconds``; ``tell`` hears of what is tried again, for
    ``patience`` seconds.
    """

    client: Client
    connection: Connection
    seconds: int
    tell: Callable[[str], None] = _log.info
    patience: float = RESTART_SECONDS

    def ask(self, text: str) -> Sequence[Any]:
        """The rows that PostgreSQL answers a statement of ours with.

        Raises:
            SourceError: what it says instead, and what to do.
        """
        return self.patiently(self._rows, "ask", text)

    def _rows(self, name: str, text: str) -> Sequence[Any]:
        bound: dict[str, Any] = {**self.connection.parameters(text)}
        if name == "ask":
            bound["seconds"] = self.seconds
        return Sql(PACKAGE, self.client).rows(name, bound, source=self.connection.function)

    def patiently(self, run: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run what reads PostgreSQL, and again where that does not answer for a moment, as while it restarts.

        Raises:
            SourceError: what PostgreSQL says, and what to do.
            ClickHouseError: it is ClickHouse that failed.
        """
        waiting = Retrying(
            stop=stop_after_delay(self.patience),
            wait=wait_exponential(multiplier=0.5, max=8),
            retry=retry_if_exception(self._may_pass),
            sleep=lambda seconds: sleep(seconds),  # noqa: PLW0108 -- whatever it is by then
            reraise=True,
        )
        try:
            return waiting(run, *args, **kwargs)
        except ClickHouseError as error:
            if remedy(error) is Remedy.RETRY or (failure := self.connection.in_words(error)).kind is FailureKind.OTHER:
                raise
            raise SourceError(failure.words, failure.kind) from None

    def _may_pass(self, error: BaseException) -> bool:
        is_own = isinstance(error, ClickHouseError) and remedy(error) is not Remedy.RETRY
        if not is_own or not self.connection.in_words(error).kind.may_pass:
            return False
        self.tell(f"{self.connection.in_words(error).words}. It is asked again in a moment")
        return True

    def columns(self, relation: str) -> tuple[SourceColumn, ...]:
        """The columns of a table; none if there is no such table."""
        return tuple(
            SourceColumn(
                name, compiling.unquoted(type_), compiling.unquoted(base), is_required == "true", is_unique == "true"
            )
            for name, type_, base, is_required, is_unique in self.ask(compiling.columns_of(relation))
        )

    def identity(self, relation: str) -> str:
        """What tells this database from any other, and a table from another that is given its name."""
        [(own,)] = self.ask(compiling.identity_of(relation))
        return str(own)

    def columns_of_query(self, relation: str, names: Sequence[str]) -> tuple[SourceColumn, ...]:
        """Columns of a declared query, by their names."""
        [types] = self.ask(compiling.types_of(relation, names))
        named = zip(names, map(compiling.unquoted, types), strict=True)
        return tuple(SourceColumn(name, type_, type_) for name, type_ in named)

    def names_of_query(self, relation: str) -> tuple[str, ...]:
        """The names of a declared query's columns."""
        rows = self.patiently(self._rows, "names", compiling.everything(relation))
        return tuple(name for name, *_ in rows)

    def require_session(self) -> Session:
        """What a session of the pipeline's role is like.

        Raises:
            UserError: texts would not arrive as they are.
        """
        [(encoding, first_schema, timeout, is_standby)] = self.ask(compiling.SESSION)
        if encoding != "UTF8":
            raise UserError(
                f"PostgreSQL would send texts as {encoding}, and ClickHouse takes them for UTF-8: "
                "ALTER ROLE … SET client_encoding = 'UTF8' for the role of this pipeline"
            )
        if first_schema != "pg_catalog":
            raise UserError(
                "the role's search_path puts a schema before pg_catalog, so that functions and types of somebody "
                "else's could stand in for PostgreSQL's: ALTER ROLE … SET search_path = public"
            )
        return Session(is_standby == "true", has_limit=timeout != "0")

    def open_transactions(self, until: int | None = None) -> frozenset[str]:
        """The transactions that are open in this database, by their numbers.

        ``until``: without those that are known to have begun after it, in microseconds since 1970.
        """
        found = self.ask(compiling.OPEN_TRANSACTIONS)
        return frozenset(str(one) for one, began in found if until is None or began is None or began <= until)

    def wait_for_open_transactions(self, *, until: int | None = None, margin: float = 0.0) -> int:
        """Wait until the transactions that are open now are over; how many are not, after so long.

        What committed until then is seen by whoever reads afterwards, in whichever order it was written. What
        transactions write that begin later, is later by PostgreSQL's clock and has a later number of a sequence.
        """
        sleep(margin)
        waited, left = 0.0, self.open_transactions(until)
        while left and waited < OPEN_SECONDS:
            if not waited:
                self.tell(f"{len(left)} transactions are open in PostgreSQL; what they write may be wanted: waiting")
            sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
            # One that is prepared meanwhile has another number then.
            left = frozenset(one for one in self.open_transactions(until) if one in left or one.startswith("prepared "))
        return len(left)
