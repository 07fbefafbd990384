"""What a table must be: facts in, problems out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dags.clickhouse.schema.declared import declared_columns
from dags.clickhouse.targets.attachable import unattachable
from dags.clickhouse.targets.facts import NEXT_STEP, Column, Facts
from dags.clickhouse.targets.passing_on import PassingOn, writers
from dags.clickhouse.targets.rules import notes, remade, unpublishable, unreadable, unusable_database
from dags.clickhouse.targets.tree import read_by
from dags.tests.world import STATS

DECLARED = declared_columns()[STATS]
KEY = ", ".join(name for name, type_ in DECLARED.items() if not type_.startswith("Aggregate"))
ENGINE = f"AggregatingMergeTree PARTITION BY toYYYYMMDD(period_bucket) ORDER BY ({KEY})"
FACTS = Facts(
    STATS,
    "AggregatingMergeTree",
    ENGINE,
    f"CREATE TABLE web.{STATS} (`period_bucket` DateTime('UTC'), `team_id` UInt64) ENGINE = {ENGINE}",
    "toYYYYMMDD(period_bucket)",
    KEY,
    "uuid",
    {name: Column(type_) for name, type_ in DECLARED.items()},
)


def problems(facts: Facts) -> list[str]:
    return unpublishable(STATS, facts, "toDate(period_bucket)", DECLARED)


def with_columns(**types: str) -> Facts:
    return replace(FACTS, columns={**FACTS.columns, **{name: Column(type_) for name, type_ in types.items()}})


def with_ttl(ttl: str) -> Facts:
    return replace(FACTS, engine_full=f"{ENGINE} TTL {ttl} SETTINGS index_granularity = 8192")


@pytest.mark.parametrize(
    "facts",
    [
        FACTS,
        replace(FACTS, engine="MergeTree", sorting_key="team_id"),
        replace(FACTS, engine="SharedAggregatingMergeTree"),
        replace(
            FACTS,
            engine="ReplicatedAggregatingMergeTree",
            engine_full="ReplicatedAggregatingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}') ORDER BY a",
        ),
        replace(FACTS, partition_key="toYYYYMMDD(period_bucket, 'UTC')"),
        with_columns(host="String", pathname="LowCardinality(String)", has_gclid="UInt8", mine="Array(String)"),
        with_columns(period_bucket="DateTime"),
        with_columns(period_bucket="DateTime('Etc/UTC')"),
        with_ttl("period_bucket + toIntervalDay(9) TO VOLUME 'cold', period_bucket RECOMPRESS CODEC(ZSTD(3))"),
        replace(FACTS, engine_full=f"{ENGINE} COMMENT ' TTL now'"),
    ],
    ids=[
        "as made", "MergeTree", "Shared", "Replicated", "UTC said", "same values", "UTC by the server", "UTC's name",
        "moved and compressed", "a comment",
    ],
)  # fmt: skip
def test_what_serves_as_well_is_accepted(facts: Facts) -> None:
    assert problems(facts) == []


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (with_columns(period_bucket="DateTime('Europe/Berlin')"), "period_bucket is DateTime('Europe/Berlin') instead"),
        (replace(with_columns(period_bucket="DateTime"), time_zone="Asia/Tokyo"), "period_bucket is DateTime instead"),
        (with_columns(host="Nullable(String)"), "host is Nullable(String) instead of LowCardinality(String)"),
        (with_columns(viewport_width="Int16"), "viewport_width is Int16 instead of Int64"),
        (
            replace(FACTS, columns={**FACTS.columns, "host": Column("LowCardinality(String)", "ALIAS")}),
            "host is ALIAS LowCardinality(String) instead",
        ),
        (with_ttl("period_bucket + toIntervalYear(9)"), "a TTL that deletes rows"),
        (with_ttl("period_bucket TO DISK 'a', period_bucket + toIntervalDay(3) WHERE f(1, 2)"), "a TTL that deletes"),
        (with_ttl("period_bucket + toIntervalDay(1) WHERE `TO DISK` = 0"), "a TTL that deletes rows"),
        (replace(FACTS, written_by=("web.a", "web.b")), "web.a, web.b write into"),
    ],
)
def test_what_would_be_wrong_in_silence_is_refused_with_what_was_expected(facts: Facts, text: str) -> None:
    [problem] = problems(facts)
    assert text in problem
    assert STATS in problem


def test_every_problem_is_told_at_once() -> None:
    messages = problems(replace(with_ttl("period_bucket"), partition_key="", written_by=("web.a",)))
    assert ["has no partition key" in messages[0], "a TTL" in messages[1], "web.a write" in messages[2]] == [True] * 3


def test_a_table_that_is_only_read_may_be_of_any_kind_that_answers_twice() -> None:
    for engine in ("Distributed", "Merge", "View", "ReplacingMergeTree", "Log"):
        assert unreadable("orders", replace(FACTS, name="orders", engine=engine), {"team_id": "UInt64"}) == []
    for engine in ("Null", "Memory", "Kafka"):
        assert len(unreadable("orders", replace(FACTS, name="orders", engine=engine), {})) == 1
    assert unreadable("orders", None, {}) == ["the table orders does not exist: run apply_schema_job"]


@pytest.mark.parametrize("name", ["team_id", "timestamp", "uuid", "event", "session_id", "person_id", "inserted_at"])
def test_a_source_in_which_a_key_may_be_null_is_refused_by_the_columns_name(name: str) -> None:
    columns = declared_columns()["events"]
    events = replace(FACTS, name="events", columns={one: Column(type_) for one, type_ in columns.items()})
    types = {f"Nullable({columns[name]})", f"LowCardinality(Nullable({columns[name]}))", "Dynamic", "Variant(UInt8)"}
    assert unreadable("events", events, columns) == []
    for type_ in types:
        [problem] = unreadable("events", replace(events, columns={**events.columns, name: Column(type_)}), columns)
        assert f"the column {name} of events is {type_}" in problem
        assert f"Expected {columns[name]}" in problem


def test_who_writes_into_a_table_is_found_whatever_it_is_called_and_whatever_stands_between() -> None:
    view = "CREATE MATERIALIZED VIEW {} TO {} (`a` UInt8) AS SELECT 1 TO web.stats"
    refreshed = "CREATE MATERIALIZED VIEW web.fresh REFRESH EVERY 1 HOUR SETTINGS refresh_retries = 3"
    passing_on = [
        PassingOn("web", "plain", "MaterializedView", view.format("web.plain", "web.stats")),
        PassingOn("o db", "my `TO x", "MaterializedView", view.format(r"`o db`.`my \`TO x`", "web.stats")),
        PassingOn("web", "fresh", "MaterializedView", f"{refreshed} APPEND TO web.stats (`a` UInt8) AS SELECT 1"),
        PassingOn("web", "other", "MaterializedView", view.format("web.other", "web.statistics")),
        PassingOn("web", "named", "MaterializedView", f"{refreshed} DEPENDS ON web.`a (b` TO web.stats (`a` UInt8)"),
        PassingOn("web", "alias", "Alias", "Alias('web', 'stats')"),
        PassingOn("o db", "dotted", "Alias", "Alias('web.alias')"),
        PassingOn("web", "short", "Alias", "Alias('alias')"),
        PassingOn("web", "by_alias", "MaterializedView", view.format("web.by_alias", "web.short")),
        PassingOn("web", "inner", "MaterializedView", "CREATE MATERIALIZED VIEW web.inner (`a` UInt8) AS SELECT 1"),
        PassingOn("web", "buffer", "Buffer", "Buffer('web', 'stats', 1, 1, 1, 1, 1, 1, 1)"),
        PassingOn("web", "fed", "MaterializedView", view.format("web.fed", "web.buffer")),
        PassingOn("o db", "spread", "Distributed", "Distributed('all', 'web', 'stats', rand())"),
        PassingOn("web", "far", "MaterializedView", view.format("web.far", "`o db`.spread")),
        PassingOn("web", "round", "Distributed", "Distributed('all', '', 'round')"),
    ]  # fmt: skip
    expected = {
        "web.plain",
        "o db.my `TO x",
        "web.fresh",
        "web.buffer",
        "web.fed",
        "web.far",
        "web.named",
        "web.by_alias",
    }
    assert set(writers("web.stats", passing_on)) == expected
    assert writers("web.round", passing_on) == writers("web.nothing", passing_on) == ()


def test_a_view_that_reads_it_is_a_note_and_no_problem() -> None:
    assert problems(replace(FACTS, read_by=("web.copies",))) == []
    assert [
        note.startswith(f"the materialized views web.copies read {STATS}")
        for note in notes(replace(FACTS, read_by=("web.copies",)))
    ] == [True]
    assert notes(FACTS) == []


def test_a_database_without_atomic_renames_is_none() -> None:
    assert [unusable_database(engine) for engine in ("Atomic", "Replicated", "Shared")] == [[], [], []]
    assert all("Expected Atomic" in unusable_database(engine)[0] for engine in ("Ordinary", "Lazy", "Memory"))


def test_a_target_of_one_server_among_several_and_one_of_several_where_one_is_named_are_refused() -> None:
    [words] = problems(replace(FACTS, hosts=2))
    assert "is an AggregatingMergeTree of one server, and CLICKHOUSE_DSN names several" in words
    replicated = replace(FACTS, engine="ReplicatedAggregatingMergeTree", replicas=2)
    [words] = problems(replicated)
    assert "has 2 replicas, and CLICKHOUSE_DSN names one host" in words
    assert problems(replace(replicated, replicas=1)) == []
    assert problems(replace(replicated, hosts=2)) == []
    count = f"the table {STATS} has 1 replica in Keeper, and CLICKHOUSE_DSN names 2 hosts: "
    less = replace(replicated, replicas=1, hosts=2)
    assert problems(less) == [
        f"{count}the others do not say on which path they have it, if at all: have all of them answer, and {NEXT_STEP}"
    ]
    assert problems(replace(less, without=("b:1",))) == [f"{count}b:1 has none: {NEXT_STEP}, which makes it there"]
    apart = f"on c:2 it has another path, and other rows: drop it there, and {NEXT_STEP}"
    assert problems(replace(less, apart=("c:2",))) == [f"{count}{apart}"]
    [words] = problems(replace(less, without=("a:0", "b:1"), apart=("c:2",)))
    assert words == f"{count}a:0 and b:1 have none: {NEXT_STEP}, which makes it there; {apart}"
    [words] = problems(replace(less, replicas=3))
    assert "has 3 replicas in Keeper, and CLICKHOUSE_DSN names 2 hosts: name all of its hosts; drop those " in words


def test_a_target_of_a_plain_server_that_was_named_as_a_shard_later_is_refused() -> None:
    [words] = problems(replace(FACTS, is_in_cluster=True))
    assert "is an AggregatingMergeTree, and CLICKHOUSE_DSN names its server as a shard" in words
    assert problems(replace(FACTS, engine="ReplicatedAggregatingMergeTree", replicas=1, is_in_cluster=True)) == []


def test_a_view_among_replicas_is_as_good_as_what_it_shows() -> None:
    replicated = replace(FACTS, name="below", engine="ReplicatedMergeTree", replicas=2, hosts=2, is_in_cluster=True)
    view = replace(replicated, name="seen", engine="View", replicas=0, shows=(replicated,))

    def found(facts: Facts) -> list[str]:
        return unreadable("seen", facts, {})

    assert found(view) == []
    [words] = found(replace(view, shows=(replicated, replace(replicated, engine="MergeTree", replicas=0))))
    assert "the table below is a MergeTree of one server, and CLICKHOUSE_DSN names several" in words
    [words] = found(replace(view, shows_elsewhere=("other.events", "the table function remote")))
    assert "the table seen is a View and shows rows that are in no table of its database on its server" in words
    assert "(other.events, the table function remote)" in words
    [words] = found(replace(view, engine="Distributed", shows=(), shows_elsewhere=("web.seen",)))
    assert "the table seen is a Distributed and shows rows" in words
    of_views = replace(view, name="upper", shows=(view, replace(view, shows_elsewhere=("other.events",))))
    assert len(found(of_views)) == 1


def test_what_a_view_shows_is_every_table_of_its_query_and_no_other() -> None:
    tree = """QUERY id: 0
  JOIN TREE
    UNION id: 3, alias: __table1, is_subquery: 1, union_mode: UNION_ALL
      TABLE id: 8, alias: __table3, table_name: web.events_local, final: 1
      TABLE id: 9, table_name: web.late
      TABLE id: 10, alias: __table4, table_name: website.events
      COLUMN id: 4, column_name: TABLE id: 9, table_name: x
      TABLE_FUNCTION id: 14, alias: __table5, table_function_name: remote
      FUNCTION id: 15, function_name: dictGetOrDefault, function_type: ordinary, result_type: UInt8
      FUNCTION id: 16, function_name: joinGet, function_type: ordinary, result_type: UInt8""".splitlines()
    looked_up = ["what dictGetOrDefault looks up", "what joinGet looks up"]
    functions = ["the table function remote", "website.events", *looked_up]
    assert read_by("web.events", tree) == ({"events_local", "late"}, functions)
    assert read_by("web.late", tree)[1] == ["the table function remote", "web.late", "website.events", *looked_up]


EVENTS = Facts(
    "events",
    "MergeTree",
    "MergeTree PARTITION BY toYYYYMMDD(timestamp) ORDER BY team_id SETTINGS index_granularity = 8192",
    "CREATE TABLE web.events (`team_id` UInt64 COMMENT ', PROJECTION no (', `load_id` UInt64, `note` String DEFAULT "
    "'it\\'s ) ENGINE = x, INDEX outcomes y', INDEX mine team_id TYPE set(8) GRANULARITY 1, "
    "PROJECTION coverage_v2 (SELECT team_id, count() GROUP BY team_id)) ENGINE = MergeTree COMMENT 'PROJECTION no'",
    "toYYYYMMDD(timestamp)",
    "team_id",
    "uuid",
    {"team_id": Column("UInt64"), "timestamp": Column("DateTime64(6, 'UTC')"), "load_id": Column("UInt64")},
)
PROJECTION = "PROJECTION coverage_v2 (SELECT team_id, count() GROUP BY team_id)"
MODE = "lightweight_mutation_projection_mode"


def with_settings(settings: str) -> Facts:
    return replace(EVENTS, engine_full=f"{EVENTS.engine_full}, {settings}")


@pytest.mark.parametrize(
    ("facts", "part", "harm"),
    [
        (EVENTS, "PROJECTION coverage_v2", None),
        (EVENTS, "PROJECTION coverage", "more of it is read than need be"),
        (EVENTS, "PROJECTION no", "more of it is read than need be"),
        (EVENTS, "INDEX mine", None),
        (EVENTS, "INDEX outcomes", "more of it is read than need be"),
        (EVENTS, "`load_id`", None),
        (replace(EVENTS, columns={}), "`load_id`", "nothing can be loaded into it"),
        (with_settings(f"{MODE} = 'drop'"), f"{MODE} = 'rebuild'", None),
        (
            replace(EVENTS, engine_full=f"MergeTree ORDER BY a TTL b WHERE c = ' SETTINGS {MODE} = 1' SETTINGS d = 1"),
            f"{MODE} = 'rebuild'",
            "beside projections ClickHouse deletes no rows, unless the server has that setting for all tables",
        ),
        (EVENTS, "deduplicate_merge_projection_mode = 'rebuild'", ""),
    ],
)
def test_what_a_table_lacks_is_told_by_its_name_with_what_comes_of_that_alone(
    facts: Facts, part: str, harm: str | None
) -> None:
    lacks = f"the table events lacks what apply_schema_job had given it ({part}), as one that was made anew or "
    lacks += f"exchanged{harm and f'; {harm}'}: run apply_schema_job"
    assert [*remade(facts, [part])] == [lacks] * (harm is not None)


REFUSED_BY_ITSELF = f"Expected {MODE} = 'rebuild': ALTER TABLE events MODIFY SETTING {MODE} = 'rebuild'"
REFUSED = f"Expected {MODE} = 'rebuild': run apply_schema_job, or for a table of your own ALTER TABLE events"


@pytest.mark.parametrize(
    ("facts", "by_the_server", "words"),
    [
        (EVENTS, "throw", REFUSED),
        (EVENTS, "rebuild", None),
        (EVENTS, "drop", None),
        (with_settings(f"{MODE} = 'rebuild'"), "throw", None),
        (with_settings(f"{MODE} = 'drop'"), "throw", None),
        (with_settings(f"{MODE} = 'throw'"), "rebuild", REFUSED_BY_ITSELF),
        (replace(EVENTS, definition=EVENTS.definition.replace(f", {PROJECTION}", "")), "throw", None),
    ],
)
def test_rows_are_brought_where_the_table_or_the_server_lets_them_be_deleted_beside_projections(
    facts: Facts, by_the_server: str, words: str | None
) -> None:
    found = unattachable("events", facts, "toDate(timestamp)", [], by_the_server)
    assert len(found) == (words is not None)
    assert all(one.split("(code 344). ")[1].startswith(str(words)) for one in found)
