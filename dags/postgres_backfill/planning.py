"""Makes a plan of a request: what is declared, what PostgreSQL has, and what the target is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.given_text import text_problems
from dags.postgres_backfill import compiling
from dags.postgres_backfill.compiling import Source
from dags.postgres_backfill.connection import Connection
from dags.postgres_backfill.declared_query import vetted
from dags.postgres_backfill.filters import predicate, text_of
from dags.postgres_backfill.plan import MORE, Extent, KeyRange, Plan, Window, mark_name, ranges, subject
from dags.postgres_backfill.quoting import identifier
from dags.postgres_backfill.reading import Postgres
from dags.postgres_backfill.request import Counter, Facts, filters_of, goes_by, held_against, in_lines
from dags.postgres_backfill.store import read_mark
from dags.sources.file import read_query, read_sources
from dags.sources.loads.attaching import notes_of, require_attachable
from dags.sources.loads.columns import writable
from dags.sources.loads.shape import NOT_MAPPED
from dags.work.plan import Monitoring
from dags.work.request import WHO, refusal, webhook_problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.targets.facts import Facts as TargetFacts
    from dags.postgres_backfill.fields import PostgresBackfillConfig
    from dags.postgres_backfill.request import Asked
    from dags.settings import Settings
    from dags.sources.declaration import SourceTable

# Rows are counted up to here where PostgreSQL has no estimate; a sample of a large table has about as many.
COUNTED = 100_000

# Somebody waits for a plan, and asks again himself.
ASKING_SECONDS = 5.0

WHAT = "the backfill from PostgreSQL"


@dataclass(frozen=True)
class Planned:
    """A plan, where its rows are read, and what a person should know who carries it out, each a line."""

    plan: Plan
    postgres: Postgres
    notes: tuple[str, ...] = ()


def make_plan(
    client: Client, given: PostgresBackfillConfig, settings: Settings, environment: Mapping[str, str]
) -> Planned:
    """The plan of a request.

    Raises:
        UserError: every violation, each on a line of its own. Nothing was touched.
    """
    pipeline = read_sources(settings).pipeline(given.pipeline)
    table, connection = pipeline.table(given.table_name), Connection.of(pipeline, environment)
    postgres = Postgres(client, connection, settings.build_max_seconds, patience=ASKING_SECONDS)
    session, target = postgres.require_session(), require_attachable(client, table.into, [])
    facts = _facts(postgres, table, target, settings, is_standby=session.is_standby)
    found = [] if given.dry_run else text_problems({name: getattr(given, name) for name in WHO}, required=WHO)
    found += webhook_problems(given.webhook, settings.backfill_webhook_hosts)
    if not facts.columns:
        raise refusal(
            WHAT, [*found, f"table_name is {table.name}: PostgreSQL has no such table, or this role may not see it"]
        )
    asked, problems = held_against(filters_of(given), given.kind, facts)
    found += problems
    if found:
        raise refusal(WHAT, in_lines(found))
    notes = [*postgres.connection.notes, *session.notes, *notes_of(target)]
    plan = _plan(client, postgres, given, facts, asked)
    values = {name: target.columns[name].value for name in plan.empty if target.columns[name].value}
    plan = plan.model_copy(
        update={"empty": tuple(name for name in plan.empty if name not in values), "by_default": values}
    )
    return Planned(plan, postgres, tuple(f"NOTE     {one}" for one in notes))


def relation_of(table: SourceTable, settings: Settings) -> str:
    """What stands after FROM: a table by its name, or a declared query in parentheses."""
    if table.relation is None:
        return f"(\n{vetted(read_query(settings, table.name))}\n) AS declared"
    return ".".join(identifier(part) for part in table.relation if part is not None)


def _facts(
    postgres: Postgres, table: SourceTable, target: TargetFacts, settings: Settings, *, is_standby: bool
) -> Facts:
    filled, relation = writable(target), relation_of(table, settings)
    if table.relation is not None:
        # Under its whole name: which schema a bare one is of hangs on the session.
        for parts in postgres.ask(compiling.whole_name_of(relation)):
            relation = ".".join(map(identifier, parts))
        sequences = [
            Counter(at_once, grows, cycles == "true")
            for at_once, grows, cycles in postgres.ask(compiling.sequences_of(relation, goes_by(table)))
        ]
        hides = any(one == "true" for (one,) in postgres.ask(compiling.hides_rows(relation)))
        own = postgres.identity(relation)
        return Facts(table, relation, own, postgres.columns(relation), filled, is_standby, hides, sequences)
    names = postgres.names_of_query(relation)
    own = postgres.identity(relation)
    return Facts(table, relation, own, postgres.columns_of_query(relation, names), filled, is_standby)


def _plan(client: Client, postgres: Postgres, given: PostgresBackfillConfig, facts: Facts, asked: Asked) -> Plan:
    table, relation = facts.table, facts.relation
    filter_sql = text_of(asked.filters)
    used = {asked.key, *(one.source for one in asked.columns if one.source), *(one.column for one in asked.filters)}
    types = {name: type_ for name, type_ in facts.types.items() if name in {*used, asked.goes_by}}
    source = Source(relation, types, asked.key, predicate(asked.filters, types), table.time_zone)
    window = None
    if given.kind is Extent.INCREMENTAL:
        name = mark_name(asked.goes_by, filter_sql, relation, facts.identity, asked.columns, table.time_zone)
        mark = None if given.start_over else read_mark(client, subject(given.pipeline, table.name), name)
        window = _window(postgres, source, Window(column=asked.goes_by, name=name, after=mark, until=0), table.name)
        since = source.since(window.column, window.after, window.until)
        source = Source(relation, types, asked.key, f"({source.where}) AND {since}", table.time_zone)
    [(least, greatest, without)] = postgres.ask(source.ends())
    if without:
        raise refusal(WHAT, [f"rows of {table.name} have no {asked.key}, the key: they would be in no batch"])
    rows, words = estimated(postgres, source, table)
    # What is committed while an incremental load waits for it may have a greater key than any row has now.
    is_open = window is not None and table.changed is not None
    chosen: tuple[KeyRange, ...] = (KeyRange(id=1),) if is_open else ()
    if greatest is not None:
        chosen = ranges(
            compiling.plain(source.key_type), least, greatest, rows,
            batch_size=given.batch_size, parallelism=given.parallelism, is_open=is_open,
        )  # fmt: skip
    return Plan(
        pipeline=given.pipeline, table_name=table.name, filter_sql=filter_sql, kind=given.kind, target=table.into,
        relation=relation, identity=facts.identity, key=asked.key, types=types,
        where=source.where, time_zone=table.time_zone,
        columns=asked.columns, empty=_empty(facts, asked), window=window,
        batch_size=given.batch_size, parallelism=given.parallelism, rows=rows, estimated_from=words,
        ranges=chosen, requested_by=given.requested_by or "nobody yet",
        reason=given.reason or "none yet", monitoring=Monitoring(webhook=given.webhook),
    )  # fmt: skip


def _empty(facts: Facts, asked: Asked) -> tuple[str, ...]:
    """The columns of the target that nothing is mapped to; what the load or the table fills is not among them."""
    filled = NOT_MAPPED | {one.name for one in asked.columns}
    return tuple(name for name in facts.target if name not in filled)


def _window(postgres: Postgres, source: Source, window: Window, name: str) -> Window:
    """What an incremental load goes by, from the mark of the one before to what there is now, which is filled in.

    Raises:
        UserError: there are rows that no incremental load would bring, or the mark is ahead of what there is.
    """
    column, after = window.column, window.after
    [(newest,)] = postgres.ask(source.newest(column))
    # Where there is no row yet, whatever comes is after it.
    until = -(2**63) if newest is None and after is None else newest
    if after is not None and (until is None or until < after):
        come_to = "nothing" if until is None else until
        words = (
            f"{column} of {name} has come to {come_to}, and an incremental load had come to {after}: the table was "
            "emptied, its numbers or its clock were set back, or this is another database. What is new would be passed "
            "by: give start_over: true, which begins from the beginning"
        )
        raise refusal(WHAT, [words])
    [(without,)] = postgres.ask(source.without(column))
    if without:
        raise refusal(WHAT, [f"rows of {name} have no {column}: no incremental load would ever bring them"])
    return window.model_copy(update={"until": until})


def estimated(postgres: Postgres, source: Source, table: SourceTable) -> tuple[int, str]:
    """About how many rows there are, and in words how that is known."""
    known, is_unknown = 0, "true"
    if table.relation is not None:
        [(known, is_unknown)] = postgres.ask(compiling.rows_of(source.relation))
    if is_unknown == "true" or known <= COUNTED:
        [(counted,)] = postgres.ask(source.count_up_to(COUNTED))
        return counted, "counted" if counted < COUNTED else MORE
    if source.where == "true":
        return known, "PostgreSQL's own estimate"
    [(sampled, wanted)] = postgres.ask(source.sampled(min(100.0, 100.0 * COUNTED / known)))
    return (known * wanted // sampled if sampled else 0), f"a sample of {sampled:,} of about {known:,} rows"


def first_rows(postgres: Postgres, plan: Plan, limit: int = 5) -> tuple[tuple[object, ...], ...]:
    """The first rows as they would land, the key first."""
    return tuple(tuple(row) for row in postgres.ask(plan.source.first_rows(plan.values, limit)))


def changed_types(postgres: Postgres, plan: Plan) -> list[str]:
    """What of the source is otherwise than it was planned."""
    if compiling.is_query(plan.relation):
        columns = postgres.columns_of_query(plan.relation, list(plan.types))
    else:
        columns = postgres.columns(plan.relation)
    now = {one.name: one.base for one in columns}
    if not now:
        return [f"the table {plan.table_name} is not there any more"]
    changed = [
        f"the column {name} of {plan.table_name} is {now.get(name, 'gone')} now, and was {type_}"
        for name, type_ in plan.types.items()
        if now.get(name) != type_
    ]
    return changed or other_source(postgres, plan)


def other_source(postgres: Postgres, plan: Plan) -> list[str]:
    """Whether another table, or another database, is where the planned one was."""
    if postgres.identity(plan.relation) == plan.identity:
        return []
    return [f"{plan.table_name} is another table than it was planned, of the same name, or in another database"]
