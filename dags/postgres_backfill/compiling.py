"""The statements that PostgreSQL gets, compiled from a plan: bounds of batches, batches, and what a plan is made of.

Pure: no clock, no database, no Dagster. Everything happens in PostgreSQL: what a filter selects, in which order keys
are, what a time is. Nothing of it is left to ClickHouse, which means something else by the same words: another order
of texts, other blanks, no zone. Values are cast to types that travel as they are; a time is sent as microseconds since
1970, and infinity as what no time is (`dags.sources.loads.shape`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.postgres_backfill.quoting import identifier, literal
from dags.sources.loads.shape import INFINITY, TIMES, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Sessions of others in this database; those that only vacuum belong to nobody.
_OTHERS = "a.datname = current_database() AND a.usesysid IS NOT NULL AND a.pid <> pg_backend_pid()"

# For a transaction that is open for longer nobody waits. As long as one waits, see `reading.OPEN_SECONDS`.
LONG = "60 seconds"

# What keys there may be: of these the text that PostgreSQL writes is read back as the very same value. A time's is not,
# it hangs on the session's zone and style, and neither is a float's.
INTEGERS = ("smallint", "integer", "bigint")
_KEYS = (*INTEGERS, "uuid", "text", "character varying", "character", "numeric")

_TYPE_BY_KIND = {
    Kind.TEXT: "text",
    Kind.BOOL: "boolean",
    Kind.UUID: "uuid",
}
_ZONED = "timestamp with time zone"
_WITHOUT_ZONE = ("timestamp without time zone", "date")

# Of these a cast to a whole number rounds.
_FRACTIONS = ("numeric", "real", "double precision")

# Within these, seconds as a double, which take PostgreSQL half the time of a numeric, come to the very microsecond: two
# roundings, each off by 2**-53 at most of less than 2**51 microseconds, are off by less than a half.
_EXACT_FROM, _EXACT_TO = ("'1970-01-01 00:00:00+00'", "'2040-01-01 00:00:00+00'")

# A cast to ``character`` is one to a single one.
_CAST_AS = {"character": "bpchar"}


def plain(type_: str) -> str:
    """A type without its modifier: ``character varying(20)`` is ``character varying``."""
    return re.sub(r"\(.*?\)", "", type_).replace("  ", " ").strip()


def unquoted(type_: str) -> str:
    """A type as `format_type` names it whatever `quote_all_identifiers` is; ``"char"`` is another one than ``char``."""
    found = re.fullmatch(r'"([a-z_][a-z0-9_]*)"(\(.*\))?((?:\[\])*)', type_)
    return type_ if found is None or found[1] == "char" else f"{found[1]}{found[2] or ''}{found[3]}"


def key_problem(column: str, type_: str) -> str:
    """Why batches cannot go by a column; empty if they can."""
    if plain(type_) in _KEYS:
        return ""
    return f"the key {column} is {type_}: batches go by {', '.join(_KEYS[:-1])} or {_KEYS[-1]}"


def _whole(name: str, type_: str) -> str:
    """A column as a whole number; a fraction, which a cast would round in silence, is an error that shows it."""
    if type_ not in _FRACTIONS:
        return f"{name}::bigint"
    return f"CASE WHEN {name} = trunc({name}) THEN {name}::bigint ELSE {name}::text::bigint END"


@dataclass(frozen=True)
class Source:
    """Where rows come from: what stands after ``FROM``, its columns with their types, the key, and which rows.

    ``where`` is a condition of PostgreSQL's, such as `dags.postgres_backfill.filters.predicate` makes. ``time_zone`` is
    that of times without one.
    """

    relation: str
    types: Mapping[str, str]
    key: str
    where: str = "true"
    time_zone: str = "UTC"

    @property
    def key_type(self) -> str:
        return self.types[self.key]

    def _literal(self, key: str) -> str:
        # A modifier would cut the key: 'abcd'::character(2) is 'ab'.
        type_ = plain(self.key_type)
        return f"{literal(key)}::{_CAST_AS.get(type_, type_)}"

    def _between(self, after: str | None, until: str | None) -> str:
        """The condition for the rows after one key, up to another, itself included; None is no bound."""
        found = [f"({self.where})"]
        found += [f"{identifier(self.key)} > {self._literal(after)}"] if after is not None else []
        found += [f"{identifier(self.key)} <= {self._literal(until)}"] if until is not None else []
        return " AND ".join(found)

    def batch(self, values: Sequence[tuple[str, Kind]], after: str | None, until: str | None) -> str:
        """The rows of a batch: ``k`` is the key, ``c1``, ``c2`` … are ``values``, columns with what becomes of each."""
        return f"SELECT {self._chosen(values)} FROM {self.relation} WHERE {self._between(after, until)}"

    def first_rows(self, values: Sequence[tuple[str, Kind]], limit: int) -> str:
        """A few rows as a batch would bring them, those of the least keys."""
        rows = f"SELECT * FROM {self.relation} WHERE ({self.where}) ORDER BY {identifier(self.key)} LIMIT {limit:d}"
        shown = [(column, Kind.TEXT if kind is Kind.FLOAT else kind) for column, kind in values]
        return f"SELECT {self._chosen(shown)} FROM ({rows}) AS first_rows"

    def _chosen(self, values: Sequence[tuple[str, Kind]]) -> str:
        chosen = [f"{self.value(column, kind)} AS c{number}" for number, (column, kind) in enumerate(values, start=1)]
        return ", ".join([f"{identifier(self.key)}::text AS k", *chosen])

    def value(self, column: str, kind: Kind) -> str:
        """A column as it travels.

        Raises:
            UserError: it cannot be made what is wanted, whatever it holds.
        """
        type_, name = plain(self.types[column]), identifier(column)
        if kind is Kind.WHOLE:
            return _whole(name, type_)
        if kind is Kind.FLOAT:
            # By its bits: how many digits a float has as a text is a setting of the session, and not every reader of
            # digits reads the smallest.
            return f"encode(float8send({name}::double precision), 'hex')"
        if kind is Kind.TEXT and type_ == "inet":
            return f"abbrev({name})"  # as it is shown: a cast to a text adds /32 to an address
        if kind not in TIMES:
            return f"{name}::{_TYPE_BY_KIND[kind]}"
        moment = self._moment(column, type_, name)
        if kind is Kind.DATE and type_ in _WITHOUT_ZONE:
            moment = f"({name}::timestamp AT TIME ZONE 'UTC')"  # a day is that day, wherever
        return (
            f"CASE WHEN {moment} >= {_EXACT_FROM} AND {moment} < {_EXACT_TO} "
            f"THEN (date_part('epoch', {moment}) * 1000000)::bigint "
            f"WHEN {moment} = 'infinity' THEN {INFINITY} WHEN {moment} = '-infinity' THEN -{INFINITY} "
            f"ELSE (extract(epoch FROM {moment}) * 1000000)::bigint END"
        )

    def _moment(self, column: str, type_: str, name: str) -> str:
        if type_ == _ZONED:
            return name
        if type_ in _WITHOUT_ZONE:
            return f"({name}::timestamp AT TIME ZONE {literal(self.time_zone)})"
        raise UserError(
            f"the column {column} is {self.types[column]}, and a time is wanted of it: name a timestamp or a date, or "
            "declare a query that makes one of it"
        )

    # Nothing is ordered by a column where a text of it is chosen: PostgreSQL takes a bare name in ORDER BY for what was
    # chosen, and orders numbers as texts.

    def bounds(self, size: int, after: str | None, until: str | None) -> str:
        """The keys up to which batches of so many rows go, in order; the last is ``until`` or the greatest."""
        key = identifier(self.key)
        rows = f"FROM {self.relation} WHERE {self._between(after, until)} AND {key} IS NOT NULL"
        # One window function, for lead(), which knows the last row as well, takes as long again.
        counted = f"SELECT {key} AS bound, row_number() OVER (ORDER BY {key}) AS place {rows}"
        last = f"SELECT {self._literal(until)}" if until else f"(SELECT {key} {rows} ORDER BY {key} DESC LIMIT 1)"
        bounds = f"SELECT bound FROM ({counted}) AS counted WHERE place % {size:d} = 0 UNION {last}"
        return f"SELECT bound::text AS k FROM ({bounds}) AS bounds ORDER BY bounds.bound"

    def ends(self) -> str:
        """The least and the greatest key, NULL where there is no row; and whether a row has none."""
        key, rows = identifier(self.key), f"FROM {self.relation} WHERE ({self.where}) AND {identifier(self.key)} IS"
        one = f"(SELECT bound::text FROM (SELECT {key} AS bound {rows} NOT NULL ORDER BY {key}"
        return (
            f"SELECT {one} LIMIT 1) AS the_first) AS least, {one} DESC LIMIT 1) AS the_last) AS greatest, "
            f"(SELECT count(*) FROM (SELECT 1 {rows} NULL LIMIT 1) AS one) AS without"
        )

    def count_up_to(self, limit: int) -> str:
        """How many rows there are, counted to a limit."""
        return (
            f"SELECT count(*) AS n FROM (SELECT 1 FROM {self.relation} WHERE {self.where} LIMIT {limit:d}) AS counted"
        )

    def sampled(self, percent: float) -> str:
        """How many rows of a sample of a table's blocks there are, and how many of these are wanted."""
        return (
            f"SELECT count(*) AS all_rows, count(*) FILTER (WHERE {self.where}) AS wanted "
            f"FROM {self.relation} TABLESAMPLE SYSTEM ({percent:.6f})"
        )

    def since(self, column: str, after: int | None, until: int) -> str:
        """The condition for rows whose ``column`` is after a mark, up to another; see `mark`."""
        name = identifier(column)
        found = [f"{name} > {self._mark(column, after)}"] if after is not None else []
        return " AND ".join([*found, f"{name} <= {self._mark(column, until)}"])

    def _mark(self, column: str, mark: int) -> str:
        """A mark as a value of the column's type: a whole number, or a time as microseconds since 1970."""
        if plain(self.types[column]) in INTEGERS:
            return f"({mark:d})::bigint"
        # A product with an interval is exact here: no mark of this millennium has more bits than a double.
        return f"(timestamptz 'epoch' + {mark:d} * interval '1 microsecond')"

    def without(self, column: str) -> str:
        """Whether a row has no value of a column: 1 or 0."""
        return (
            f"SELECT count(*) AS n FROM (SELECT 1 FROM {self.relation} WHERE ({self.where}) "
            f"AND {identifier(column)} IS NULL LIMIT 1) AS one"
        )

    def newest(self, column: str) -> str:
        """The mark up to which rows can be read now: the greatest whole number there is, or PostgreSQL's clock.

        Not the greatest time: a single row of the year 2099 would hide whatever changes until then. Where a transaction
        is open for so long that nobody waits for it, it is when that began: what it writes has a later time.
        """
        if plain(self.types[column]) not in INTEGERS:
            return (
                "SELECT (extract(epoch FROM least(clock_timestamp(), (SELECT min(a.xact_start) - interval '1 second' "
                f"FROM pg_catalog.pg_stat_activity a WHERE {_OTHERS} "
                f"AND a.xact_start < clock_timestamp() - interval '{LONG}'))) * 1000000)::bigint AS mark"
            )
        name = identifier(column)
        return (
            f"SELECT (SELECT {name} FROM {self.relation} WHERE {name} IS NOT NULL ORDER BY {name} DESC "
            "LIMIT 1)::bigint AS mark"
        )


def mark_problem(column: str, type_: str) -> str:
    """Why an incremental load cannot go by a column; empty if it can."""
    if plain(type_) in (*INTEGERS, _ZONED):
        return ""
    if plain(type_) in _WITHOUT_ZONE:
        return (
            f"{column} is {type_}: which moment that is hangs on the session that wrote it, so that a load could pass "
            "rows by. Make it timestamp with time zone, or declare a query that says of which zone it is (AT TIME ZONE)"
        )
    return (
        f"{column} is {type_}: an incremental load goes by a timestamp with time zone or a whole number of a sequence"
    )


# --- What is asked of the catalog -------------------------------------------------------------------------


def is_query(relation: str) -> bool:
    """Whether what stands after FROM is a declared query, and not the name of a table."""
    return relation.startswith("(")


def everything(relation: str) -> str:
    """All that a relation has, to be described."""
    return f"SELECT * FROM {relation}"


def columns_of(relation: str) -> str:
    """The columns of a table: name, type, the one beneath a domain, whether it is NOT NULL, whether it is unique."""
    return (
        "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, "
        "format_type((WITH RECURSIVE beneath AS (SELECT t.oid, t.typtype, t.typbasetype UNION ALL SELECT u.oid, "
        "u.typtype, u.typbasetype FROM beneath b JOIN pg_catalog.pg_type u ON u.oid = b.typbasetype "
        "WHERE b.typtype = 'd') SELECT oid FROM beneath WHERE typtype <> 'd'), NULL) AS base, "
        "a.attnotnull::text AS is_required, EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid "
        "AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 "
        "AND i.indkey[0] = a.attnum)::text AS is_unique "
        "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
        f"WHERE a.attrelid = to_regclass({literal(relation)}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )


def rows_of(relation: str) -> str:
    """How many rows a table has by PostgreSQL's own estimate, those of its partitions together; whether it has one."""
    return (
        "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS n, bool_and(c.reltuples < 0)::text AS is_unknown "
        "FROM pg_catalog.pg_class c WHERE c.oid IN (SELECT to_regclass(" + literal(relation) + ") UNION ALL "
        "SELECT relid FROM pg_catalog.pg_partition_tree(to_regclass(" + literal(relation) + ")) WHERE isleaf)"
    )


def types_of(relation: str, columns: Sequence[str]) -> str:
    """The types of a query's columns, also where it has no row; c1, c2 … in their order."""
    chosen = ", ".join(
        f"pg_typeof(q.{identifier(column)})::text AS c{number}" for number, column in enumerate(columns, start=1)
    )
    return f"SELECT {chosen} FROM (SELECT 1) AS one LEFT JOIN LATERAL (SELECT * FROM {relation} LIMIT 1) AS q ON true"


SESSION = (
    "SELECT current_setting('client_encoding') AS encoding, "
    "(pg_catalog.current_schemas(true))[1]::text AS first_schema, "
    "current_setting('statement_timeout') AS statement_timeout, pg_is_in_recovery()::text AS is_standby"
)

# Which transactions are open in this database: those of its users and prepared ones, and not this one nor those that
# only vacuum, which belong to nobody. What they have written or will, appears when they end. A transaction has a number
# of its own (the virtual one) from its very begin, and not just from its first write on. When it began, only who may
# read all statistics is told; NULL for others.
OPEN_TRANSACTIONS = (
    "SELECT l.virtualtransaction AS id, (extract(epoch FROM a.xact_start) * 1000000)::bigint AS began "
    "FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "
    f"WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND {_OTHERS} UNION ALL "
    "SELECT 'prepared ' || x.transaction::text, NULL FROM pg_catalog.pg_prepared_xacts x "
    "WHERE x.database = current_database()"
)


def identity_of(relation: str) -> str:
    """The numbers of this database and of a table; of the database alone for a declared query."""
    table = "''" if is_query(relation) else f"coalesce(to_regclass({literal(relation)})::oid::text, '')"
    return (
        f"SELECT d.datname::text || ' ' || d.oid::text || ' ' || {table} AS own "
        "FROM pg_catalog.pg_database d WHERE d.datname = current_database()"
    )


def whole_name_of(relation: str) -> str:
    """A table's schema and its name; no row where there is no such table."""
    return (
        "SELECT n.nspname::text AS schema, c.relname::text AS name FROM pg_catalog.pg_class c "
        f"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass({literal(relation)})"
    )


def sequences_of(relation: str, column: str) -> str:
    """The sequences that a column's values come from: how many a session takes at once, by how much they grow, whether
    they begin anew. One that it owns, of an identity or a serial, or one that its default names.
    """
    of = f"a.attrelid = to_regclass({literal(relation)}) AND a.attname = {literal(column)}"
    return (
        "SELECT s.seqcache AS at_once, s.seqincrement AS grows, s.seqcycle::text AS cycles "
        "FROM pg_catalog.pg_sequence s WHERE s.seqrelid IN ("
        "SELECT d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a "
        "ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_catalog.pg_class'::regclass "
        f"AND d.deptype IN ('a', 'i') AND {of} UNION ALL "
        "SELECT d.refobjid FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a "
        "ON a.attrelid = f.adrelid AND a.attnum = f.adnum JOIN pg_catalog.pg_depend d "
        "ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid "
        f"WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND {of})"
    )


def hides_rows(relation: str) -> str:
    """Whether row security hides rows of a table from this role; no row where there is no such table."""
    return (
        "SELECT row_security_active(c.oid)::text AS hides FROM pg_catalog.pg_class c "
        f"WHERE c.oid = to_regclass({literal(relation)})"
    )
