"""Says what went wrong between ClickHouse and PostgreSQL: which kind of failure, and its words for a person.

ClickHouse hands on what PostgreSQL says, wrapped in one form by the embedded engine and in another by a server. The
class of the error, which comes of SQLSTATE, tells it in whatever language PostgreSQL speaks; words are asked only where
the class says nothing. `Connection.in_words` is what others call: it takes secrets out, and knows whom to name.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What a failure is about, and so who can do something about it."""

    CONNECTION = "connection"
    REFUSED = "refused"
    LOST = "lost"
    TIMEOUT = "timeout"
    MISSING_TABLE = "missing table"
    MISSING_COLUMN = "missing column"
    PERMISSION = "permission"
    TYPE = "type"
    STATEMENT = "statement"
    OTHER = "other"

    @property
    def may_pass(self) -> bool:
        """Whether the same statement may succeed in a minute, with nobody having done anything."""
        return self in (FailureKind.CONNECTION, FailureKind.LOST)


@dataclass(frozen=True)
class SourceFailure:
    """A failure of a source: its kind, and what a person reads, which ends with what to do."""

    kind: FailureKind
    words: str


# By libpqxx's class of error.
_BY_CLASS = {
    "undefined_table": FailureKind.MISSING_TABLE,
    "undefined_column": FailureKind.MISSING_COLUMN,
    "insufficient_privilege": FailureKind.PERMISSION,
    "data_exception": FailureKind.TYPE,
    "conversion_error": FailureKind.TYPE,
    "conversion_overrun": FailureKind.TYPE,
    "unexpected_null": FailureKind.TYPE,
    "syntax_error": FailureKind.STATEMENT,
    "undefined_function": FailureKind.STATEMENT,
    "feature_not_supported": FailureKind.STATEMENT,
    "broken_connection": FailureKind.LOST,
    "in_doubt_error": FailureKind.LOST,
    "failure": FailureKind.LOST,
    "serialization_failure": FailureKind.LOST,
    "deadlock_detected": FailureKind.LOST,
    "insufficient_resources": FailureKind.LOST,
    "out_of_memory": FailureKind.LOST,
    "disk_full": FailureKind.LOST,
    "too_many_connections": FailureKind.CONNECTION,
}

# By words, the first that are found: in a statement, where the class is one for all other errors ...
_IN_STATEMENTS = (
    (FailureKind.TIMEOUT, r"due to (statement|lock|transaction) timeout|-transaction timeout"),
    (FailureKind.LOST, r"due to user request|due to conflict with recovery|server closed the connection|FATAL: "),
    (FailureKind.MISSING_TABLE, r"(relation|schema) .+ does not exist"),
    (FailureKind.STATEMENT, r"ERROR: "),
)
# ... and on the way to one, where there is no class.
_WHILE_CONNECTING = (
    (FailureKind.CONNECTION, r"database system is |the database system|too many |remaining connection slots"),
    (FailureKind.REFUSED, r"FATAL: |certificate|SSL was required|does not support SSL|sslmode|root\.crt"),
)

# By ClickHouse's own names, of what it makes of rows that came.
_BY_NAME = {
    "ACCESS_DENIED": FailureKind.PERMISSION,
    "ARGUMENT_OUT_OF_BOUND": FailureKind.TYPE,
    "CANNOT_CONVERT_TYPE": FailureKind.TYPE,
    "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN": FailureKind.TYPE,
    "CANNOT_PARSE_DATE": FailureKind.TYPE,
    "CANNOT_PARSE_DATETIME": FailureKind.TYPE,
    "CANNOT_PARSE_NUMBER": FailureKind.TYPE,
    "CANNOT_PARSE_TEXT": FailureKind.TYPE,
    "CANNOT_PARSE_UUID": FailureKind.TYPE,
    "DECIMAL_OVERFLOW": FailureKind.TYPE,
    "NAMED_COLLECTION_DOESNT_EXIST": FailureKind.REFUSED,
    "POSTGRESQL_CONNECTION_FAILURE": FailureKind.CONNECTION,
    "TIMEOUT_EXCEEDED": FailureKind.TIMEOUT,
    "TYPE_MISMATCH": FailureKind.TYPE,
    "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE": FailureKind.TYPE,
}

_BEGINNING = {
    FailureKind.CONNECTION: "{whom} does not answer",
    FailureKind.REFUSED: "{whom} cannot be connected to as is asked",
    FailureKind.LOST: "the connection to {whom} was lost",
    FailureKind.TIMEOUT: "a statement on {whom} took longer than it may",
    FailureKind.MISSING_TABLE: "{whom} does not have a table that is to be read",
    FailureKind.MISSING_COLUMN: "{whom} does not have a column that is to be read",
    FailureKind.PERMISSION: "{whom} may not be read by that role",
    FailureKind.TYPE: "{whom} has a value that cannot be read as is asked",
    FailureKind.STATEMENT: "{whom} does not accept the statement",
    FailureKind.OTHER: "{whom} could not be read",
}
_NEXT = {
    FailureKind.CONNECTION: "See that it runs, has a free connection, and can be reached from where ClickHouse runs",
    FailureKind.REFUSED: "Correct {address}, or let PostgreSQL accept it",
    FailureKind.LOST: "See what its log says; what was not recorded is done again when the work is resumed",
    FailureKind.TIMEOUT: "Ask for smaller batches, or let the role's statement_timeout be longer",
    FailureKind.MISSING_TABLE: "Correct what WEB_ANALYTICS_SOURCES declares, or the declared query",
    FailureKind.MISSING_COLUMN: "Correct what WEB_ANALYTICS_SOURCES declares, the filters, or the declared query",
    FailureKind.PERMISSION: "Grant the role SELECT on the table and USAGE on its schema",
    FailureKind.TYPE: "Leave the row out by a filter, or cast the column in a declared query",
    FailureKind.STATEMENT: "Correct the filters, or the declared query",
    FailureKind.OTHER: "Put right what it names",
}
_NO_TLS_OPTIONS = (
    "{whom} cannot be connected to as is asked: this ClickHouse takes no {option} for PostgreSQL (26.7 does not, 26.9 "
    "does), so nothing was sent. Use a newer one. Or set PGSSLMODE and PGSSLROOTCERT in the environment of the "
    "ClickHouse server, for all that it reads from PostgreSQL, and leave sslmode and sslrootcert out of {address}"
)

# So much of what the other side says names the thing; more may be a row or a whole statement.
SHOWN_CHARACTERS = 300

_CLASS = re.compile(r"pqxx::(\w+)")
_NO_TLS_OPTION = re.compile(r"(?:identifier|key) `(?P<option>sslmode|sslrootcert)(?:_pem)?`")
# What stands before PostgreSQL's own words, in a statement and while connecting, and before ClickHouse's own.
_BEFORE = (
    re.compile(r"\A.*?(?:e\.what\(\) = |pqxx::\w+: )(?:Failure during '[^']*': )?", re.DOTALL),
    re.compile(r"\A.*?failed with error: (?:connection to server at .*? failed: )?", re.DOTALL),
    re.compile(r"\A.*?DB::(?:Net)?Exception: ", re.DOTALL),
)
_AFTER = re.compile(r"\s*\.?\s*(?:\((?:[A-Z]\w+|version .*|for url .*)\)\s*)*\Z")
_SEVERITY = re.compile(r"\A[A-Z]+:\s+")


def kind_of(said: str, name: str | None = None) -> FailureKind:
    """The kind of a failure by the engine's words; ``name`` is ClickHouse's own of it, where it has one."""
    if _NO_TLS_OPTION.search(said):
        return FailureKind.REFUSED
    if (found := _CLASS.search(said)) is not None:
        by_words = (kind for kind, words in _IN_STATEMENTS if re.search(words, said))
        return _BY_CLASS.get(found[1]) or next(by_words, FailureKind.OTHER)
    if "failed with error: " in said:
        by_words = (kind for kind, words in _WHILE_CONNECTING if re.search(words, said))
        return next(by_words, FailureKind.CONNECTION)
    if "Precision" in said and "not supported" in said:
        return FailureKind.TYPE
    return _BY_NAME.get(name or "", FailureKind.OTHER)


def in_words(said: str, name: str | None, *, whom: str, address: str) -> SourceFailure:
    """A failure for a person. ``whom``: the database, without a secret; ``address``: what holds its address."""
    kind = kind_of(said, name)
    if (found := _NO_TLS_OPTION.search(said)) is not None:
        return SourceFailure(kind, _NO_TLS_OPTIONS.format(whom=whom, option=found["option"], address=address))
    begun = _BEGINNING[kind].format(whom=whom)
    step = _NEXT[kind].format(address=address)
    who = "It" if _CLASS.search(said) or "failed with error: " in said else "ClickHouse"
    return SourceFailure(kind, f"{begun}. {who} says: {core_of(said)}. {step}, then try again")


def core_of(said: str) -> str:
    """What the other side itself says, without what is wrapped around it, without statement and place, in one line."""
    for wrapping in _BEFORE:
        said, is_found = wrapping.subn("", said, count=1)
        if is_found:
            break
    first, *rest = said.strip().splitlines() or [""]
    hints = [line for line in rest if line.startswith("HINT:")]
    plain = _AFTER.sub("", " ".join([_SEVERITY.sub("", first), *hints])).strip()
    return plain if len(plain) <= SHOWN_CHARACTERS else f"{plain[:SHOWN_CHARACTERS]} …"
