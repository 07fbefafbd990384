"""What a table must be so that this code may read it, or build it: facts in, problems out.

Pure: no clock, no database, no Dagster. There are two questions. *Readable* is enough for a source, and for a watched
table that somebody else's job builds: detection only asks it. *Publishable* is what our own builds need: they make a
staging table like the target, attach its parts, and swap a ClickHouse partition in, which is right for a MergeTree
that is partitioned by the day and means something else, or the loss of rows, for anything else.

Each problem says what the table is, what was expected, what that means here, and what to do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dags.clickhouse.targets.columns import keys_without_value, lacking, other_days, wrong_types
from dags.clickhouse.targets.definition import MODE, QUOTED, declared, parts_of, settings_of, split, unquoted
from dags.clickhouse.targets.facts import NEXT_STEP, RENAMED, Facts, absent, family, is_stored_in_parts, with_article
from dags.domain.briefly import NAMED, listed
from dags.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

# Replicated and Shared tables are these with a prefix. The others of the family drop or change rows when they merge.
PUBLISHABLE = ("MergeTree", "AggregatingMergeTree")

# Databases in which a rename and an exchange of tables are atomic, which leases rest on.
_DATABASES = ("Atomic", "Replicated", "Shared")

_NO_ROWS_OF_ITS_OWN = (
    "a staging table made like it would be the same rows again, and a build would write to its readers"
)
_NOT_STORED = "rows in it cannot be staged and swapped in by the day"

# What each kind of table means for a build; those that are not named are not stored in parts.
_MEANING_BY_ENGINE = {
    "Distributed": _NO_ROWS_OF_ITS_OWN,
    "Merge": _NO_ROWS_OF_ITS_OWN,
    "Buffer": _NO_ROWS_OF_ITS_OWN,
    "View": "it holds no rows: what it shows is built elsewhere, if at all",
    "MaterializedView": "what it holds is written by its own query, and a build would be overwritten by it",
    "ReplacingMergeTree": "merging drops rows of a day after it was published and compared with its source",
    "CollapsingMergeTree": "merging drops rows of a day after it was published and compared with its source",
    "VersionedCollapsingMergeTree": "merging drops rows of a day after it was published and compared with its source",
    "SummingMergeTree": "merging adds up columns that are no sums, such as viewport_width",
    "GraphiteMergeTree": "merging thins out rows of a day after it was published and compared with its source",
    "Null": "it keeps nothing, so that every day would be missing for ever",
    "Memory": "its rows are gone after a restart of the server, and cannot be staged and swapped in by the day",
}

# What cannot answer twice with the same rows; everything else that answers a SELECT may be a source.
_UNREADABLE = {
    "Null": "it keeps nothing, so that nothing would be expected of any day, and everything be complete",
    "Memory": "its rows are gone after a restart of the server, and every day would have to be emptied",
    **dict.fromkeys(
        ("Kafka", "RabbitMQ", "NATS", "FileLog", "S3Queue", "AzureQueue"),
        "reading it consumes it: no row would be seen twice",
    ),
}

# What comes of a lack, by what it begins with.
_LACKING = {
    "PROJECTION ": "more of it is read than need be",
    "INDEX ": "more of it is read than need be",
    f"{MODE} ": "beside projections ClickHouse deletes no rows, unless the server has that setting for all tables",
    "`load_id`": "nothing can be loaded into it",
}

# A TTL that moves or compresses rows leaves them there.
_KEEPS_ROWS = re.compile(r"\b(?:TO (?:DISK|VOLUME)|RECOMPRESS)\b")
_ROWS_TTL = re.compile(r"\bTTL (.*?)(?= SETTINGS |$)")
_NAME = re.compile(r"`?(\w+)`? ")
# The words by which plans name what a row policy adds: to a MergeTree's own reading, or as a step above other tables.
_ROW_POLICY = re.compile(r"\brow.level (?:security )?filter", re.IGNORECASE)
_ANY_FILTER = re.compile(r"^\W*(?:(?:prewhere|row.level) )?filter\b", re.IGNORECASE)
_DAY_OF = re.compile(r"toDate\((\w+)\)")


def unusable_database(engine: str) -> list[str]:
    """Why a database cannot hold our tables, whatever they are."""
    if engine in _DATABASES:
        return []
    return [
        (
            f"its engine is {engine}: leases rest on RENAME and EXCHANGE of tables, which are not atomic there. "
            "Expected Atomic, ClickHouse's default: name another database in CLICKHOUSE_DSN"
        )
    ]


def unreadable(name: str, facts: Facts | None, columns: Mapping[str, str], detached: Collection[str] = ()) -> list[str]:
    """Why a table cannot be a source, or be judged; ``columns`` are those that are known to be needed, by name, and
    ``detached`` the tables that are, see `absent`.

    Types are not compared: ClickHouse itself says whether a query works. But for the time zone of a time, which
    decides what a day is, and which no query fails for; and for a key that may be NULL, which only a build fails for,
    each one, in words that do not name the column.
    """
    if facts is None:
        return [absent(name, detached)]
    return [
        *hidden(facts),
        *_consumed(facts),
        *lacking(facts, columns),
        *other_days(facts, columns),
        *keys_without_value(facts, columns),
        *unreplicated(facts),
    ]


def unpublishable(
    name: str, facts: Facts | None, day: str, columns: Mapping[str, str], detached: Collection[str] = ()
) -> list[str]:
    """Why a table cannot be built by staging a day and swapping it in.

    ``day`` is the declaration's expression of a row's day; ``columns`` the types that a build writes, by name;
    ``detached`` the tables that are, see `absent`.
    """
    if facts is None:
        return [absent(name, detached)]
    engine = family(facts)
    if engine not in PUBLISHABLE:
        return [
            (
                f"the table {name} is {with_article(facts.engine)}: {_MEANING_BY_ENGINE.get(engine, _NOT_STORED)}. "
                f"Expected {' or '.join(PUBLISHABLE)}, plain, Replicated or Shared: {_instead(name, facts.engine)}"
            )
        ]
    return [
        *hidden(facts),
        *lacking(facts, columns),
        *wrong_types(facts, columns),
        *wrong_partition(facts, day),
        *(_merged_into_one(facts, columns) if engine == "AggregatingMergeTree" else ()),
        *_vanishing_rows(facts),
        *_vanishing_values(facts),
        *_foreign_writers(facts),
        *unwritable(facts),
        *unreplicated(facts),
        *_shared(facts),
    ]


def parts_lacking(facts: Facts, parts: Iterable[str]) -> list[str]:
    """Which projections, indices, settings and columns a table lacks that it was given once, as where its owner made it
    anew. A setting of another value is its owner's, and no lack.
    """
    if not is_stored_in_parts(facts):
        return []
    there = {*parts_of(facts), *settings_of(facts), *(f"`{column}`" for column in facts.columns)}
    return [part for part in parts if part.partition(" = ")[0] not in there]


def remade(facts: Facts, parts: Iterable[str]) -> Iterator[str]:
    """What is said of a table that lacks some: it is read and judged all the same."""
    if lacking := parts_lacking(facts, parts):
        harm = {words: "" for part in lacking for sign, words in _LACKING.items() if part.startswith(sign)}
        yield (
            f"the table {facts.name} lacks what apply_schema_job had given it ({', '.join(lacking)}), as one that was "
            f"made anew or exchanged{''.join(f'; {words}' for words in harm)}: {NEXT_STEP}"
        )


def notes(facts: Facts) -> list[str]:
    """What is no reason to refuse a table that is published, and what somebody should know all the same."""
    if not facts.read_by:
        return []
    views = ", ".join(facts.read_by)
    return [
        (
            f"the materialized views {views} read {facts.name}: a day is swapped in and not inserted, so they never "
            "hear of a build. Have them read its source, or make them plain views"
        )
    ]


def hidden_by(engine: str, plan: Iterable[str]) -> str:
    """What hides rows from who counts a table without any condition, in words, by the plan of that; empty: nothing.

    A view may have a condition of its own. In the plan of any other table a filter is a row policy, though not each
    is named so: that of a table below a Merge is not.
    """
    sought = _ROW_POLICY if engine.endswith("View") else _ANY_FILTER
    return "a row policy hides rows of it from this user" if any(map(sought.search, plan)) else ""


def hidden(facts: Facts) -> Iterator[str]:
    if facts.hides:
        yield (
            f"the table {facts.name} is not wholly seen: {facts.hides}. What is hidden would count as absent, be built "
            "without, and be lost to its readers. Expected a user who sees every row: give it none, or one that lets "
            "all through (CREATE ROW POLICY … USING 1 TO user), or name another user in CLICKHOUSE_DSN"
        )


def unreplicated(facts: Facts) -> Iterator[str]:
    if facts.hosts > 1 and facts.replicas not in {0, facts.hosts}:
        yield (
            f"the table {facts.name} has {counted(facts.replicas, 'replica')} in Keeper, and CLICKHOUSE_DSN names "
            f"{facts.hosts} hosts: {_on_others(facts)}"
        )
    if facts.hosts > 1 and is_stored_in_parts(facts) and not facts.engine.startswith("Replicated"):
        yield (
            f"the table {facts.name} is {with_article(facts.engine)} of one server, and CLICKHOUSE_DSN names several: "
            f"the others would never have its rows. Expected Replicated{facts.engine}: make it one (ALTER … ATTACH "
            "PARTITION … FROM brings the rows over), or name one host in CLICKHOUSE_DSN"
        )
    if facts.is_in_cluster and facts.shows_elsewhere:
        yield (
            f"the table {facts.name} is {with_article(facts.engine)} and shows rows that are in no table of its "
            f"database on its server ({', '.join(facts.shows_elsewhere[:NAMED])}): whether another server's are all "
            "there is not known, and those of other shards would be built on each. Expected a table that holds its "
            "server's rows, or a view of such in the same database"
        )
    for shown in facts.shows:
        yield from unreplicated(shown)


def _on_others(facts: Facts) -> str:
    """Where a table has not as many replicas as hosts are named, and what to do: what makes it comes before what drops
    it, which is for those alone that have other rows.
    """
    if facts.replicas > facts.hosts:
        return (
            "name all of its hosts; drop those in Keeper that are gone for good (SYSTEM DROP REPLICA); or, where they "
            "are of another installation on the same Keeper, name a database of another name"
        )
    said = []
    if facts.without:
        have = "have" if len(facts.without) > 1 else "has"
        said.append(f"{listed(facts.without)} {have} none: {NEXT_STEP}, which makes it there")
    if facts.apart:
        said.append(f"on {listed(facts.apart)} it has another path, and other rows: drop it there, and {NEXT_STEP}")
    return "; ".join(said) or (
        f"the others do not say on which path they have it, if at all: have all of them answer, and {NEXT_STEP}"
    )


def _shared(facts: Facts) -> Iterator[str]:
    if facts.is_in_cluster and facts.hosts == 1 and not facts.engine.startswith("Replicated"):
        yield (
            f"the table {facts.name} is {with_article(facts.engine)}, and CLICKHOUSE_DSN names its server as a shard: "
            "there leases are in Keeper, which knows whether a server is alive by its replicated tables. Expected "
            f"Replicated{facts.engine}: make it one (ALTER … ATTACH PARTITION … FROM brings the rows over), or name "
            f"another database in CLICKHOUSE_DSN and {NEXT_STEP}"
        )
    if facts.hosts == 1 and facts.replicas > 1:
        yield (
            f"the table {facts.name} has {facts.replicas} replicas, and CLICKHOUSE_DSN names one host: leases of one "
            "server keep nobody out who builds on another one. Name the hosts of all replicas in it, and their cluster"
        )


def _instead(name: str, engine: str) -> str:
    if engine == "Distributed":
        return f"give the name {name} to the table that holds the rows, and another to the {engine}"
    return RENAMED


def _consumed(facts: Facts) -> Iterator[str]:
    if facts.engine in _UNREADABLE:
        yield (
            f"the table {facts.name} is {with_article(facts.engine)}: {_UNREADABLE[facts.engine]}. Expected one that "
            f"can be read again and again, such as a MergeTree, a Distributed, a Merge or a view: {RENAMED}"
        )


def wrong_partition(facts: Facts, day: str) -> Iterator[str]:
    column = found[1] if (found := _DAY_OF.fullmatch(day)) else day
    expected = f"toYYYYMMDD({column})"
    if facts.partition_key.replace(" ", "") not in (expected, f"toYYYYMMDD({column},'UTC')"):
        has = f"is partitioned by {facts.partition_key}" if facts.partition_key else "has no partition key"
        yield (
            f"the table {facts.name} {has}: a day is swapped in as one ClickHouse partition, and other days, or only a "
            f"part of the day, would go with it. Expected PARTITION BY {expected}: {RENAMED}"
        )


def _merged_into_one(facts: Facts, columns: Mapping[str, str]) -> Iterator[str]:
    """Columns that rows are told apart by, and that the sorting key does not tell them apart by."""
    key = {part.strip().strip("`") for part in split(facts.sorting_key)}
    outside = [name for name, type_ in columns.items() if not type_.startswith("Aggregate") and name not in key]
    if outside:
        yield (
            f"the sorting key of {facts.name} lacks {', '.join(outside)}: rows that differ in nothing else are merged "
            f"into one, and keep the value of either. Expected every dimension in it: {RENAMED}"
        )


def _vanishing_rows(facts: Facts) -> Iterator[str]:
    # Also names are taken out: a column may be called TO DISK.
    found = _ROWS_TTL.search(QUOTED.sub("''", facts.engine_full))
    if found and any(not _KEEPS_ROWS.search(rule) for rule in split(found[1])):
        yield (
            f"the table {facts.name} has a TTL that deletes rows ({found[1][:100]}): detection would find them lost "
            "and have them built again for ever, and staging inherits it. Expected none, or one that moves or "
            f"compresses: ALTER TABLE {facts.name} REMOVE TTL, and drop the partitions that are too old by hand"
        )


def _vanishing_values(facts: Facts) -> Iterator[str]:
    declarations = declared(unquoted(facts.definition))
    names = [name[1] for one in declarations if " TTL " in one and (name := _NAME.match(one))]
    if names:
        yield (
            f"the columns {', '.join(names)} of {facts.name} have a TTL: their values would be emptied after they were "
            f"compared with their source. Expected none: ALTER TABLE {facts.name} MODIFY COLUMN {names[0]} REMOVE TTL"
        )


def _foreign_writers(facts: Facts) -> Iterator[str]:
    if facts.written_by:
        yield (
            f"the tables {', '.join(facts.written_by)} write into {facts.name}, as materialized views and Buffers do: "
            "what they insert is more than its source holds, and the next build of the day replaces it. Expected no "
            "writer but builds: let them write into a table of their own"
        )


def unwritable(facts: Facts) -> Iterator[str]:
    if re.search(r"\btable_readonly = (?:1|true)\b", facts.engine_full):
        yield (
            f"the table {facts.name} has the setting table_readonly, and staging inherits it: nothing can be built. "
            f"Expected a table that can be written: ALTER TABLE {facts.name} RESET SETTING table_readonly"
        )
