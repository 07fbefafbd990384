"""Loads a statement from its file, and refuses to run it with parameters it does not have.

A statement is one ``.sql`` file. Values are bound by the server (``{day:Date}``). What the server cannot bind, a
table in ``REPLACE PARTITION … FROM`` for one, is a ``$name`` in the text; code alone fills it, with one plain
identifier or several, the `Expression` of a declaration, or a `Part`, itself a file. The server accepts an unknown
parameter in silence and a missing one is its own late error, so both are checked here.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from dags.clickhouse.rights import naming_what_lacks
from dags.clickhouse.words import asking
from dags.domain.errors import UnreadableError
from dags.domain.expression import Expression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.resources.abc import Traversable

    from clickhouse_connect.driver.client import Client
    from clickhouse_connect.driver.query import QueryResult

_PARAMETER = re.compile(r"\{(\w+):[^{}]+\}")
_HEADER = re.compile(r"\A(?:--.*\n)+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_BETWEEN = (
    "something between here and ClickHouse cuts or adds to answers. Look at its proxies, which must pass on "
    "ClickHouse's own headers (X-ClickHouse-…), and at the user's profile"
)


@dataclass(frozen=True)
class Cost:
    """What statements cost: how many, rows and bytes they read, and seconds of waiting.

    Rows and bytes are None where they are unknown: the embedded driver reports those of the answer in their place
    (chDB 4.4), and a wrong figure is worse than none.
    """

    queries: int = 0
    rows_read: int | None = 0
    bytes_read: int | None = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.queries + other.queries,
            _sum(self.rows_read, other.rows_read),
            _sum(self.bytes_read, other.bytes_read),
            self.seconds + other.seconds,
        )

    def shares(self, among: int) -> tuple[Cost, ...]:
        """Equal shares that add up to it, of things that were done together; the queries are the first one's."""
        rows, size = _shares(self.rows_read, among), _shares(self.bytes_read, among)
        queries = (self.queries, *[0] * (among - 1))
        return tuple(Cost(*share, self.seconds / among) for share in zip(queries, rows, size, strict=True))

    def __str__(self) -> str:
        rows = "" if self.rows_read is None else f"{self.rows_read:,} rows read, "
        return f"{self.queries} queries, {rows}{self.seconds:.2f} s"


def _shares(whole: int | None, among: int) -> list[int | None]:
    return [None if whole is None else (whole + n) // among for n in range(among)]


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


@cache
def _files(package: str) -> Traversable:
    """Where a package's statements lie: to find that out takes as long as to read one, and the schema has many."""
    return files(package)


@cache
def _text(package: str, name: str) -> str:
    """A statement as it is sent: with its file's name, by which ``system.query_log`` tells it, in place of its header.

    The driver looks through every word of a text in which ``INTO`` stands anywhere, and headers are prose.
    """
    text = _files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return f"-- {package}/{name}.sql\n{_HEADER.sub('', text)}"


# What stands in a statement for a ``$name``: one identifier, or several with commas between them.
Names = str | tuple[str, ...]


class Part(str):
    """A statement of ours that is part of another, made by `Sql.union`."""

    __slots__ = ()


class Sql:
    """Statements of one package, run on one client; keeps count of what they cost in `cost`.

    ``as_sent`` makes of a statement the one that is sent.
    """

    def __init__(
        self,
        package: str,
        client: Client,
        settings: Mapping[str, Any] | None = None,
        *,
        as_sent: Callable[[str], str] = str,
    ) -> None:
        self._package = package
        self._client = client
        self._settings = dict(settings or {})
        self._as_sent = as_sent
        self._bill = [Cost()]

    @property
    def client(self) -> Client:
        return self._client

    @property
    def cost(self) -> Cost:
        return self._bill[0]

    @classmethod
    def of(cls, other: Sql, package: str, settings: Mapping[str, Any] | None = None) -> Sql:
        """Statements of another package, or with more settings, on the same client and on the same bill."""
        made = cls(package, other._client, {**other._settings, **(settings or {})})
        made._bill = other._bill
        return made

    def without_settings(self) -> Sql:
        """The same statements on the same bill, none of them with settings: as for those that read and compute nothing.

        The embedded engine's driver runs two statements for each setting of a command, and asks what it was before.
        """
        made = Sql(self._package, self._client)
        made._bill = self._bill
        return made

    def rows(self, name: str, /, parameters: Mapping[str, Any] | None = None, **identifiers: Names) -> Sequence[Any]:
        """The rows of a query, as tuples.

        Raises:
            UnreadableError: a server says that it answered another number of them than came. An answer without rows has
                no byte, so that what a proxy emptied would be taken for one.
        """
        result: QueryResult = self._run(self._client.query, name, parameters, identifiers)
        rows = result.result_rows
        said = (result.summary or {}).get("result_rows")
        if said != str(len(rows)) and not is_embedded(self._client):
            raise UnreadableError(
                f"{self._package}/{name}.sql: {len(rows)} rows came, and ClickHouse says that it answered "
                f"{said or 'nothing of their number'}: {_BETWEEN}"
            )
        return rows

    def row(self, name: str, /, parameters: Mapping[str, Any] | None = None, **identifiers: Names) -> Any:  # noqa: ANN401 -- a tuple of what the statement selects
        """The row of a query that answers one, always.

        Raises:
            UnreadableError: it answered another number of them, so what stands between cannot be relied on.
        """
        rows = self._run(self._client.query, name, parameters, identifiers).result_rows
        if len(rows) != 1:
            raise UnreadableError(f"{self._package}/{name}.sql answers one row, and {len(rows)} came: {_BETWEEN}")
        return rows[0]

    def command(self, name: str, /, parameters: Mapping[str, Any] | None = None, **identifiers: Names) -> int:
        """Run a statement that answers nothing; how many rows it wrote, 0 where the engine does not say (chDB 4.4)."""
        answer = self._run(self._client.command, name, parameters, identifiers)
        return int((getattr(answer, "summary", None) or {}).get("written_rows", 0))

    def parameters(self, name: str) -> frozenset[str]:
        """The names of the values that ``name.sql`` binds."""
        return frozenset(_PARAMETER.findall(_text(self._package, name)))

    def union(self, name: str, filled: Iterable[Mapping[str, str]]) -> Part:
        """``name.sql`` filled in each way, the answers joined into one, to stand in another statement."""
        return Part("\nUNION ALL\n".join(statement(self._package, name, identifiers) for identifiers in filled))

    def _run(
        self,
        run: Callable[..., Any],
        name: str,
        parameters: Mapping[str, Any] | None,
        identifiers: Mapping[str, Names],
    ) -> Any:  # noqa: ANN401 -- the driver answers with one of three types
        text = self._as_sent(statement(self._package, name, identifiers))
        bound = dict(parameters or {})
        expected = frozenset(_PARAMETER.findall(text))
        if expected != bound.keys():
            raise ValueError(f"{name}.sql binds {sorted(expected)}, but got {sorted(bound)}")
        started = time.monotonic()
        with naming_what_lacks(), asking(_asked(self._package, name, identifiers)):
            answer = run(text, parameters=bound, settings=self._settings)
        summary = getattr(answer, "summary", None) or {}
        is_known = not is_embedded(self._client)
        self._bill[0] += Cost(
            1,
            int(summary.get("read_rows", 0)) if is_known else None,
            int(summary.get("read_bytes", 0)) if is_known else None,
            time.monotonic() - started,
        )
        return answer


def _asked(package: str, name: str, identifiers: Mapping[str, Names]) -> str:
    """A statement by its file, and the tables that it was filled in with."""
    plain = (one for one in identifiers.values() if isinstance(one, str) and not isinstance(one, Expression | Part))
    tables = ", ".join(dict.fromkeys(one for one in plain if one.startswith("web_")))
    return f"{package.replace('.', '/')}/{name}.sql" + (f" of {tables}" if tables else "")


def is_embedded(client: Client) -> bool:
    """Whether a client's engine is the embedded one, which one process alone has open."""
    return str(client.uri).startswith("chdb:")


def statement(package: str, name: str, identifiers: Mapping[str, Names]) -> str:
    """The text of ``name.sql`` with its ``$identifiers`` filled in.

    Raises:
        ValueError: an identifier is not a plain name; it would be SQL of somebody else's.
        KeyError: the text has a ``$name`` that nobody filled.
    """
    filled = {}
    for key, value in identifiers.items():
        names = (value,) if isinstance(value, str) else value
        if not names or not all(isinstance(one, Expression | Part) or _IDENTIFIER.fullmatch(one) for one in names):
            raise ValueError(f"{key} is {value!r}: identifiers are letters, digits and _, not starting with a digit")
        filled[key] = ", ".join(names)
    return Template(_text(package, name)).substitute(filled)
