"""What goes wrong between ClickHouse and PostgreSQL is told apart and put in words, and no text has the password."""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from psycopg import sql

from dags.clickhouse.engine import open_client
from dags.clickhouse.rights import LacksRightError
from dags.clickhouse.sql import is_embedded
from dags.domain.errors import EngineError
from dags.postgres_backfill.connection import Connection
from dags.postgres_backfill.source_failures import FailureKind, SourceFailure, core_of, kind_of
from dags.sources.declaration import Pipeline, SourceTable
from dags.tests.postgres_backfill.tls import make_certificates, tls_before
from dags.tests.runbook import symptom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn
    from dags.tests.postgres_server import PostgresServer, Stop

MARK = "Hx7hunter"
# Who looks for it does not have it whole, for what is bound is in the log as well.
HAS_MARK = "position(toString(tuple(*)), concat({first:String}, {rest:String})) > 0"
HALVES = {"first": MARK[:3], "rest": MARK[3:]}
PASSWORD = f"{MARK}'q\\z\"w {{f}}|g,h%@:/"
SLOW = "SELECT g AS a, pg_sleep(0.001)::text AS b FROM generate_series(1, 100000) AS g"


class Source:
    """A database of PostgreSQL, a role there that may read one table, and a client of ClickHouse."""

    def __init__(self, client: Client, postgres: PostgresServer, database: str) -> None:
        self.client, self.postgres, self.database = client, postgres, database
        self.role = f"reader_{database}"
        with self.admin(database) as admin:
            made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(self.role), sql.Literal(PASSWORD))
            admin.execute(made)
            admin.execute("CREATE TABLE t AS SELECT 1 AS a, 'x' AS b")
            admin.execute("CREATE TABLE secret AS SELECT 1 AS a")
            admin.execute(f"GRANT SELECT ON t TO {self.role}".encode())

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.postgres.dsn(database), autocommit=True)

    def connection(self, options: str = "", **parts: object) -> Connection:
        given: dict[str, object] = {
            "user": self.role, "password": PASSWORD, "host": "127.0.0.1", "port": self.postgres.port,
            "database": self.database,
        } | parts  # fmt: skip
        user, password, database = (quote(str(given[one]), safe="") for one in ("user", "password", "database"))
        text = f"postgresql://{user}:{password}@{given['host']}:{given['port']}/{database}{options}"
        pipeline = Pipeline(name="import", dsn_env="IMPORT_DSN", tables=(SourceTable(query="late"),))
        return Connection.of(pipeline, {"IMPORT_DSN": text})

    def rows(self, text: str, statement: str = "SELECT * FROM {}", options: str = "", **parts: object) -> Any:
        made = self.connection(options, **parts)
        return self.client.query(statement.format(made.function), parameters=made.parameters(text)).result_rows

    def failure(self, text: str = "SELECT a FROM t", *arguments: str, **parts: Any) -> SourceFailure:
        """What is said of a statement that must fail, in all of which no password may be."""
        with pytest.raises(ClickHouseError) as failed:
            self.rows(text, *arguments, **parts)
        assert MARK not in "".join(traceback.format_exception(failed.value))
        found = self.connection().in_words(failed.value)
        assert MARK not in found.words
        for wrapping in ("pqxx", "DB::", "Code:", "__subquery", "for url", "\n"):
            assert wrapping not in found.words
        return found

    def while_reading(self, act: Callable[[], None]) -> SourceFailure:
        """What is said of a statement during whose reading something happens."""
        acting = threading.Thread(target=self._when_reading, args=(act,))
        acting.start()
        try:
            return self.failure(SLOW)
        finally:
            acting.join()

    def _when_reading(self, act: Callable[[], None]) -> None:
        asked = "SELECT 1 FROM pg_stat_activity WHERE usename = %s AND query LIKE 'COPY%%' AND state = 'active'"
        with self.admin() as admin:
            while not admin.execute(asked, [self.role]).fetchall():
                time.sleep(0.02)
        act()

    def on_backends(self, function: str) -> Callable[[], None]:
        def act() -> None:
            with self.admin() as admin:
                admin.execute(f"SELECT {function}(pid) FROM pg_stat_activity WHERE usename = %s".encode(), [self.role])

        return act

    def stop(self, mode: Stop) -> Callable[[], None]:
        """Who starts it again is another: it ends with the thread that started it."""
        return lambda: self.postgres.stop(mode)


@pytest.fixture
def source(client: Client, postgres: PostgresServer, postgres_database: str) -> Iterator[Source]:
    made = Source(client, postgres, urlsplit(postgres_database).path.strip("/"))
    yield made
    with made.admin(made.database) as admin:
        admin.execute(f"DROP OWNED BY {made.role}; DROP ROLE {made.role}".encode())


def test_a_read_answers_rows_and_a_failure_says_what_to_do_without_a_secret(source: Source) -> None:
    assert source.rows("SELECT a, b FROM t") == [(1, "x")]
    at = f"PostgreSQL at {source.role}@127.0.0.1:{source.postgres.port}/{source.database}"
    cases: list[tuple[FailureKind, str, dict[str, Any]]] = [
        (FailureKind.REFUSED, "password authentication failed for user", {"password": f"{PASSWORD}no"}),
        (FailureKind.REFUSED, "password authentication failed for user", {"user": "nobody"}),
        (FailureKind.REFUSED, 'database "absent" does not exist', {"database": "absent"}),
        (FailureKind.CONNECTION, "Connection refused", {"port": 1}),
        (FailureKind.CONNECTION, "could not translate host name", {"host": "no.such.host.invalid"}),
        (FailureKind.MISSING_TABLE, 'relation "absent" does not exist', {"text": "SELECT * FROM absent"}),
        (FailureKind.MISSING_TABLE, 'relation "no.t" does not exist', {"text": "SELECT * FROM no.t"}),
        (FailureKind.MISSING_COLUMN, 'column "zz" does not exist', {"text": "SELECT zz FROM t"}),
        (FailureKind.PERMISSION, "permission denied for table secret", {"text": "SELECT * FROM secret"}),
        (FailureKind.TYPE, 'invalid input syntax for type integer: "x"', {"text": "SELECT b::int AS a FROM t"}),
        (FailureKind.TYPE, "division by zero", {"text": "SELECT 1 / (a - 1) AS a FROM t"}),
        (FailureKind.TYPE, "integer out of range", {"text": "SELECT a + 2147483647 AS a FROM t"}),
        (FailureKind.TYPE, "Precision 78 and scale 10 are too big", {"text": "SELECT 1::numeric(78, 10) AS a"}),
        (FailureKind.STATEMENT, 'syntax error at or near "where"', {"text": "SELECT FROM where"}),
        (FailureKind.STATEMENT, " HINT: ", {"text": "SELECT absent(1)"}),
        (FailureKind.STATEMENT, "syntax error at or near", {"text": "DROP TABLE t"}),
        (FailureKind.STATEMENT, "read-only transaction", {"text": "SELECT lo_create(0)::bigint AS a"}),
        (FailureKind.STATEMENT, "must be at the top level",
         {"text": "WITH x AS (INSERT INTO t VALUES (2) RETURNING a) SELECT a FROM x"}),
        (FailureKind.OTHER, "Syntax error", {"statement": "SELECT * FROM {} FROM"}),
        (FailureKind.MISSING_COLUMN, 'column "zz" does not exist',
         {"text": "SELECT zz", "statement": "DESCRIBE {}"}),
        # ClickHouse looks at its clock between blocks, and a slow source may fill one for minutes.
        (FailureKind.TIMEOUT, "Timeout exceeded", {
            "text": "SELECT g AS a FROM generate_series(1, 1000) AS g",
            "statement": "SELECT max(sleepEachRow(0.01)) FROM {} SETTINGS max_execution_time = 1, max_block_size = 10",
        }),
    ]  # fmt: skip
    for kind, said, how in cases:
        found = source.failure(**how)
        assert (found.kind, said in found.words) == (kind, True), found
        assert found.words.endswith(", then try again")
        assert at in found.words
    _land(source, "SELECT a FROM t")
    with pytest.raises(ClickHouseError, match="division by zero"):
        _land(source, "SELECT 1 / (a - 1) AS a FROM t")
    with source.admin() as admin:
        admin.execute(f"ALTER ROLE {source.role} SET statement_timeout = '100ms'".encode())
        found = source.failure(SLOW)
        assert found.kind == FailureKind.TIMEOUT
        assert symptom("… took longer than it may").search(found.words)
        assert "canceling statement due to statement timeout. Ask for smaller batches" in found.words
        admin.execute(f"ALTER ROLE {source.role} RESET ALL".encode())
        admin.execute(f"ALTER ROLE {source.role} CONNECTION LIMIT 0".encode())
        assert source.failure().kind == FailureKind.CONNECTION
        admin.execute(f"ALTER ROLE {source.role} CONNECTION LIMIT -1 NOLOGIN".encode())
        assert source.failure().kind == FailureKind.REFUSED
    _assert_no_log_has_the_password(source)


def _land(source: Source, text: str) -> None:
    """As rows are landed: by a command, from within another query."""
    made, client = source.connection(), source.client
    client.command("CREATE TABLE landed (a Int64) ENGINE = MergeTree ORDER BY a")
    try:
        insert = f"INSERT INTO landed SELECT a + {{one:UInt8}} FROM (SELECT a FROM {made.function})"
        client.command(insert, parameters={**made.parameters(text), "one": 1})
        assert client.query("SELECT a FROM landed").result_rows == [(2,)]
    finally:
        client.command("DROP TABLE landed")


def test_a_connection_that_is_lost_while_it_is_read_is_told_so_and_the_next_statement_goes_on(
    source: Source, dsn: Dsn
) -> None:
    with source.admin() as admin:
        admin.execute(f"ALTER ROLE {source.role} SET statement_timeout = '60s'".encode())
    for act in (
        source.on_backends("pg_cancel_backend"), source.on_backends("pg_terminate_backend"),
        source.stop("fast"), source.stop("immediate"), source.stop("kill"),
    ):  # fmt: skip
        found = source.while_reading(act)
        source.postgres.start()
        assert found.kind == FailureKind.LOST, found
        assert symptom("the connection to … was lost").search(found.words)
        assert found.kind.may_pass
        assert "what was not recorded is done again when the work is resumed" in found.words
        assert source.rows("SELECT a FROM t") == [(1,)]
    source.postgres.stop()
    try:
        gone = source.failure()
        assert (gone.kind, bool(symptom("… does not answer").match(gone.words))) == (FailureKind.CONNECTION, True)
    finally:
        source.postgres.start()
    if not is_embedded(source.client):
        _assert_no_running_statement_shows_the_password(source, dsn)
    _assert_no_log_has_the_password(source)


def _assert_no_running_statement_shows_the_password(source: Source, dsn: Dsn) -> None:
    seen: list[Any] = []

    def look() -> None:
        try:
            with open_client(dsn, wait_seconds=10) as other:
                seen.extend(other.query("SELECT query, toString(tuple(*)) FROM system.processes").result_rows)
        finally:
            source.on_backends("pg_terminate_backend")()

    source.while_reading(look)
    assert [whole for query, whole in seen if "postgresql(" in query]
    assert not [whole for _, whole in seen if MARK in whole]


def _assert_no_log_has_the_password(source: Source) -> None:
    client = source.client
    with suppress(ClickHouseError):  # the embedded engine keeps none
        client.command("SYSTEM FLUSH LOGS")
    logs = client.query("SELECT name FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'").result_rows
    assert is_embedded(client) or ("query_log",) in logs
    for (name,) in logs:
        asked = f"SELECT count(), countIf({HAS_MARK}) FROM system.{name}"
        [(count, with_mark)] = client.query(asked, parameters=HALVES).result_rows
        assert with_mark == 0, name
        assert count > 0 or name != "query_log"
    assert MARK not in source.postgres.log.read_text(errors="replace")


def test_tls_is_verified_where_an_address_asks_for_it_and_never_less(source: Source, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    right, wrong = (f"&sslrootcert={path}" for path in (certificates.authority, certificates.other_authority))
    with tls_before(source.postgres.port, certificates) as port:
        assert source.rows("SELECT a FROM t", port=port) == [(1,)]
        cases = {
            ("localhost", "require", ""): "",
            ("localhost", "require", wrong): "certificate verify failed",
            ("localhost", "verify-ca", right): "",
            ("127.0.0.1", "verify-ca", right): "",
            ("localhost", "verify-ca", wrong): "certificate verify failed",
            ("localhost", "verify-full", right): "",
            ("localhost", "verify-full", wrong): "certificate verify failed",
            ("127.0.0.1", "verify-full", right): "does not match host name",
        }
        for (host, mode, root), refused in cases.items():
            where: dict[str, Any] = {"options": f"?sslmode={mode}{root}", "host": host, "port": port}
            if not is_embedded(source.client):
                found = source.failure(**where)
                assert found.kind == FailureKind.REFUSED
                assert "takes no ssl" in found.words
                assert "leave sslmode and sslrootcert out of IMPORT_DSN" in found.words
            elif refused:
                found = source.failure(**where)
                assert (found.kind, refused in found.words) == (FailureKind.REFUSED, True), found
            else:
                assert source.rows("SELECT a FROM t", **where) == [(1,)]
    if is_embedded(source.client):
        with tls_before(source.postgres.port, certificates, is_expired=True) as port:
            found = source.failure(options=f"?sslmode=verify-full{right}", host="localhost", port=port)
        assert (found.kind, "certificate verify failed" in found.words) == (FailureKind.REFUSED, True), found
        found = source.failure(options="?sslmode=require")
        assert found.kind == FailureKind.REFUSED
        assert "server does not support SSL, but SSL was required" in found.words


def test_a_named_collection_is_read_and_one_that_is_absent_or_not_allowed_is_said_to_be(source: Source) -> None:
    pipeline = Pipeline(name="import", named_collection="absent", tables=(SourceTable(query="late"),))
    made = Connection.of(pipeline, {})
    with pytest.raises(ClickHouseError) as failed:
        source.client.query(f"SELECT * FROM {made.function}", parameters=made.parameters("SELECT 1"))
    found = made.in_words(failed.value)
    if not is_embedded(source.client):
        assert found.kind == FailureKind.PERMISSION
        return
    assert found.kind == FailureKind.REFUSED
    assert found.words == (
        "PostgreSQL of the named collection absent cannot be connected to as is asked. ClickHouse says: There is no "
        "named collection `absent`. Correct the named collection absent, or let PostgreSQL accept it, then try again"
    )
    quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    source.client.command(
        f"CREATE NAMED COLLECTION present AS host = '127.0.0.1', port = {source.postgres.port}, "
        f"user = '{source.role}', database = '{source.database}', password = '{quoted}'"
    )
    try:
        made = Connection.of(pipeline.model_copy(update={"named_collection": "present"}), {})
        read = source.client.query(f"SELECT * FROM {made.function}", parameters=made.parameters("SELECT a FROM t"))
        assert read.result_rows == [(1,)]
    finally:
        source.client.command("DROP NAMED COLLECTION present")


# --- Words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("pqxx::sql_error: FEHLER:  storniere Anfrage", FailureKind.OTHER),
        ("pqxx::undefined_table: FEHLER:  Relation »t« existiert nicht", FailureKind.MISSING_TABLE),
        ("pqxx::sql_error: ERROR:  canceling statement due to conflict with recovery", FailureKind.LOST),
        ("pqxx::sql_error: ERROR:  canceling statement due to lock timeout", FailureKind.TIMEOUT),
        ("pqxx::too_many_connections: FATAL:  sorry", FailureKind.CONNECTION),
        ("failed with error: FATAL:  the database system is starting up", FailureKind.CONNECTION),
        ("failed with error: FATAL:  sorry, too many clients already", FailureKind.CONNECTION),
        ("failed with error: FATAL:  no pg_hba.conf entry for host", FailureKind.REFUSED),
        ('failed with error: connection to server at "h", port 1 failed: timeout expired', FailureKind.CONNECTION),
        ("something else", FailureKind.OTHER),
    ],
)  # fmt: skip
def test_a_kind_is_told_by_the_class_of_the_error_and_only_then_by_its_words(said: str, kind: FailureKind) -> None:
    assert kind_of(said) == kind


def test_what_is_said_is_one_line_of_bounded_length() -> None:
    assert core_of(f"e.what() = ERROR:  {'x' * 1000}\nLINE 1: secret") == f"{'x' * 300} …"
    assert core_of("") == ""


def test_an_error_in_words_already_stays_as_it_is() -> None:
    pipeline = Pipeline(name="import", dsn_env="A", tables=(SourceTable(query="late"),))
    made = Connection.of(pipeline, {"A": "postgresql://u:hunter2hunter2@h/d"})
    assert made.in_words(LacksRightError("a hunter2hunter2")) == SourceFailure(FailureKind.PERMISSION, "a [hidden]")
    assert made.in_words(EngineError("gone")) == SourceFailure(FailureKind.OTHER, "gone")
