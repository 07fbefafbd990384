"""A DSN that names the hosts of several shards, and what of it each shard is."""

from __future__ import annotations

import pytest

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.domain.errors import EngineError, SettingsError

TEXT = "clickhouse://me:sesame@a,b:81;c,d/db?cluster=lab"


def test_each_shard_has_its_hosts_its_number_and_how_many_there_are() -> None:
    first, second = Dsn.parse(TEXT).shards
    one = Dsn("clickhouse", "db", host="a", port=8123, user="me", password="sesame", others=(("b", 81),), cluster="lab")
    assert first == Dsn(**{**vars(one), "shard": 1, "shard_count": 2})
    hosts = {"host": "c", "others": (("d", 8123),)}
    assert second == Dsn(**{**vars(one), **hosts, "shard": 2, "shard_count": 2})
    assert Dsn.parse("clickhouse://a;b/db?cluster=lab").shards[1].replicas[0].host == "b"


def test_of_one_shard_it_is_the_only_one() -> None:
    alone = Dsn.parse("clickhouse://a,b/db?cluster=lab")
    assert (alone.shards, alone.shard) == ((alone,), 0)


def test_where_shards_lead_is_said_without_the_password() -> None:
    whole = Dsn.parse(TEXT)
    assert str(whole) == "clickhouse://me@a:8123,b:81;c:8123,d:8123/db?cluster=lab"
    assert str(whole.shards[1]) == "clickhouse://me@c:8123,d:8123/db?cluster=lab (shard 2)"


def test_the_same_hosts_are_another_database_in_other_shards_and_the_same_in_another_order_of_replicas() -> None:
    texts = [TEXT, "clickhouse://a,b:81,c,d/db?cluster=lab", "clickhouse://a;b:81,c,d/db?cluster=lab"]
    assert len({Dsn.parse(text).mark for text in texts}) == 3
    assert Dsn.parse("clickhouse://b:81,a;d,c/db?cluster=lab").mark == Dsn.parse(TEXT).mark


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clickhouse://a;b/db", "2 hosts are named and no cluster"),
        ("clickhouse://a;a/db?cluster=lab", "a host is named twice"),
        ("clickhouse://a;/db?cluster=lab", "no host is given"),
    ],
    ids=["no cluster", "twice", "an empty shard"],
)
def test_shards_that_are_no_shards_are_refused(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Dsn.parse(text)


def test_replicas_that_are_silent_are_named_together_and_what_to_do_is_said_once() -> None:
    silent = "clickhouse://me:sesame@127.0.0.1:1,127.0.0.1:2/db?cluster=lab"
    with pytest.raises(EngineError) as raised, open_client(Dsn.parse(silent), wait_seconds=1):
        pass
    said = str(raised.value)
    assert said.startswith(
        "no replica of clickhouse://me@127.0.0.1:1,127.0.0.1:2/db?cluster=lab can be used:\n"
        "no ClickHouse answers at 127.0.0.1:1, 127.0.0.1:2: check the host and port in CLICKHOUSE_DSN (the HTTP port, "
        "8123 by default) and that the server runs. The driver says: "
    )
    assert said.count("that the server runs") == 1


def test_no_client_is_of_several_shards() -> None:
    with (
        pytest.raises(EngineError, match="names 2 shards, and a client is of one"),
        open_client(Dsn.parse(TEXT), wait_seconds=1),
    ):
        pass
