"""What replicas must be is said before anything is done on one."""

from __future__ import annotations

import pytest

from dags.clickhouse.replicas.rules import (
    FIRST_ENTRY_SECONDS,
    Awaited,
    Member,
    Standing,
    leases_shard,
    replicated,
    unfenced,
    unlike_declared,
    unnamed_shards,
    unusable,
)
from dags.clickhouse.schema.declared import PACKAGE, migrations
from dags.clickhouse.sql import statement

OWN = Member(1, "a:9000", is_own=True)
OTHER = Member(1, "b:9000", is_own=False)
ELSEWHERE = Member(2, "c:9000", is_own=False)
MACROS = {"shard": "01", "replica": "a.example-1"}


def test_a_server_that_is_what_was_declared_is_taken() -> None:
    assert unlike_declared("c", 2, [OWN, OTHER, ELSEWHERE], MACROS, ["c"]) == []


@pytest.mark.parametrize(
    ("hosts", "members", "macros", "words"),
    [
        (2, [], MACROS, "it knows no cluster 'c' (it knows d, e): correct ?cluster="),
        (1, [OTHER, ELSEWHERE], MACROS, "it is 0 times in the cluster 'c'"),
        (2, [OWN, Member(1, "d:9000", is_own=True)], MACROS, "it is 2 times in the cluster 'c'"),
        (3, [OWN, OTHER, ELSEWHERE], MACROS, "shard 1 of the cluster 'c' has 2 replicas (a:9000, b:9000), and "),
        (2, [OWN, OTHER], {"replica": "a"}, "its macro {shard} is ''"),
        (2, [OWN, OTHER], {"shard": "1", "replica": "a/b"}, "its macro {replica} is 'a/b'"),
    ],
    ids=["no cluster", "not in it", "twice in it", "another host", "no macro", "a macro that is no name"],
)
def test_what_is_not_as_declared_is_named(
    hosts: int, members: list[Member], macros: dict[str, str], words: str
) -> None:
    [problem] = unlike_declared("c", hosts, members, macros, ["e", "d"])
    assert problem.startswith(words)


def test_a_replica_that_lags_or_is_cut_off_is_not_relied_on_and_says_for_which_tables() -> None:
    fine = Standing("events", is_cut_off=False, is_behind=False, lag_seconds=0)
    behind = [Standing(name, is_cut_off=False, is_behind=True, lag_seconds=7) for name in ("a", "b", "c", "d", "e")]
    cut_off = Standing("stats", is_cut_off=True, is_behind=True, lag_seconds=0, why="session expired")
    assert unusable([fine]) == []
    [words] = unusable([fine, *behind])
    assert words.startswith("it lags behind: what others wrote into a, b, c and 2 more is not here yet (7 s")
    [words] = unusable([fine, cut_off])
    assert words == "it has no session with Keeper, or may not write: stats are read-only (session expired)"


def standing(taken: int, written: int, *queued: str, lag: int = 0) -> Standing:
    behind = taken < written or bool(queued)
    return Standing("t", is_cut_off=False, is_behind=behind, lag_seconds=lag, taken=taken, written=written,
                    queued=frozenset(queued))  # fmt: skip


def test_what_is_waited_for_is_what_was_written_when_the_wait_began_and_nothing_later() -> None:
    awaited = Awaited(5)
    assert awaited.left(standing(4, 6, "q3"), 9) == awaited  # one entry is not taken yet
    then = awaited.left(standing(5, 8, "q3", "q4"), 9)
    assert then == Awaited(5, frozenset({"q3", "q4"}))
    assert then.left(standing(8, 9, "q4", "q5", "q6", "q7"), 9) == Awaited(5, frozenset({"q4"}))
    assert then.left(standing(8, 9, "q5", "q6", "q7"), 9) is None
    assert awaited.left(standing(5, 8), 9) is None


def test_a_table_without_any_entry_looks_as_if_its_first_were_not_taken_and_is_new_after_a_moment() -> None:
    awaited, new, begun = Awaited(1), standing(0, 1), FIRST_ENTRY_SECONDS
    assert new.is_behind
    assert awaited.left(new, begun / 2) == awaited
    assert awaited.left(new, begun) is None
    for other in (standing(0, 1, lag=7), standing(0, 2)):  # kept from taking it; a second one is there
        assert awaited.left(other, begun) == awaited
    assert awaited.left(standing(1, 1, "q0"), begun) == Awaited(1, frozenset({"q0"}))


def test_who_is_alive_by_keeper_and_not_reached_is_not_fenced() -> None:
    assert unfenced("a", {"a": True, "b": True, "c": False}, ["a"]) == ["b"]
    assert unfenced("a", {"a": True, "b": True, "c": False}, ["a", "b"]) == []


@pytest.mark.parametrize("active", [{}, {"b": True}, {"a": False, "b": True}])
def test_who_has_no_session_knows_nobody_to_be_dead(active: dict[str, bool]) -> None:
    assert unfenced("a", active, ["a", "b"]) == ["a"]


def test_every_table_that_is_made_is_replicated_and_keeps_what_is_alike() -> None:
    made = {m.name: replicated(statement(PACKAGE, m.name, {"database": "d"}), "d") for m in migrations()}
    engines = [text for text in made.values() if "ENGINE = " in text]
    assert len(engines) > 10
    for text in engines:
        assert "ENGINE = Replicated" in text, text
        assert "('/clickhouse/tables/{shard}/d/" in text, text
        assert text.endswith("replicated_deduplication_window = 0"), text
        assert text.count("\nSETTINGS") == 1, text
    with_version = made["0007_web_pre_aggregated_teams"]
    path = "/clickhouse/tables/{shard}/d/web_pre_aggregated_teams"
    assert f"ENGINE = ReplicatedReplacingMergeTree('{path}', '{{replica}}', selected_at)" in with_version


def test_what_makes_no_table_is_sent_as_it_is() -> None:
    text = statement(PACKAGE, "0002_events_qualifies", {"database": "d"})
    assert replicated(text, "d") == text


def test_shards_of_one_keeper_have_leases_of_their_own() -> None:
    assert leases_shard({"shard": "01"}) == "shard_01"
    assert len({leases_shard({"shard": name}) for name in ("a-b", "a.b", "a_b", "a_2d_b", "ab")}) == 5


def test_who_names_the_hosts_of_one_shard_is_told_that_there_are_others() -> None:
    assert unnamed_shards("c", [OWN, OTHER]) == ()
    [words] = unnamed_shards("c", [OWN, OTHER, ELSEWHERE])
    assert words.startswith("the cluster 'c' has 2 shards, and CLICKHOUSE_DSN names the hosts of one: of teams on the")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((1, 2), ""),
        ((2, 2), "it is of shard 1 of the cluster 'c', and CLICKHOUSE_DSN has it in place 2"),
        ((1, 3), "the cluster 'c' has 2 shards, and CLICKHOUSE_DSN names 3"),
    ],
    ids=["as it is", "another order", "a shard too many"],
)
def test_shards_are_as_many_and_in_the_order_that_was_declared(place: tuple[int, int], words: str) -> None:
    problems = unlike_declared("c", 2, [OWN, OTHER, ELSEWHERE], MACROS, ["c"], place=place)
    assert [problem[: len(words)] for problem in problems] == [words] * bool(words)
