"""The S3 endpoints of the tests, and what both engines make of keys that nobody would choose.

What lists and loads files from S3 leans on what is said here of patterns, `_path`, `_etag` and bound arguments.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.tests.s3_listing import running_listing
from dags.tests.s3_server import S3Request
from dags.tests.variants import embedded_at_night

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.tests.s3_server import S3Server

    Bucket = tuple[S3Server, str]

pytestmark = embedded_at_night

PLAIN_KEYS = (
    "a b.jsonl",
    "a#b.jsonl",
    "ü.jsonl",
    "a,b.jsonl",
    "it's.jsonl",
    'q"q.jsonl',
    "a%b.jsonl",
    "a%20b.jsonl",
    "a+b.jsonl",
    "a&b=c.jsonl",
    "a\\b.jsonl",
    "a[1]b.jsonl",
    "day=2026-01-05/k=v.jsonl",
    "dir x#é+%/deeper/a b.jsonl",
)
# With what makes a pattern in ClickHouse: no address means these alone.
PATTERN_KEYS = ("{x}.jsonl", "{a,b}.jsonl", "a*b.jsonl", "a?b.jsonl", "dir/{x}.jsonl", "dir/{y}/deeper/{z}.jsonl")
KEYS = PLAIN_KEYS + PATTERN_KEYS

# With hive partitioning, which is the default, `team_id=5` in a path wins over the file's own column, and the engine
# lists the first pages once more to see whether there is such a path.
SETTINGS = {"use_hive_partitioning": 0}
LIST = "SELECT _path, _size, _etag FROM s3({url:String}, {key:String}, {secret:String}, 'One')"
READ = "SELECT _path, n FROM s3({url:String}, {key:String}, {secret:String}, 'JSONEachRow', 'n Int64')"
OF_PATHS = " WHERE _path IN {paths:Array(String)}"


def line(number: int) -> bytes:
    return b'{"n": %d}\n' % number


def ask(client: Client, query: str, bucket: Bucket, pattern: str, **parameters: object) -> list[tuple[object, ...]]:
    """The rows, sorted: files come as they are read."""
    server, name = bucket
    bound = {"url": server.url(name, pattern), "key": server.access_key, "secret": server.secret_key, **parameters}
    return sorted(tuple(row) for row in client.query(query, bound, settings=SETTINGS).result_rows)


def put_all(bucket: Bucket) -> dict[str, str]:
    """Each key holds its number; the etags, by path."""
    server, name = bucket
    return {f"{name}/{key}": server.put(name, key, line(number)) for number, key in enumerate(KEYS)}


def test_a_listing_has_every_odd_key_with_its_size_and_etag_in_one_request(client: Client, bucket: Bucket) -> None:
    etags = put_all(bucket)
    server, name = bucket
    before = len(server.requests())
    found = ask(client, LIST, bucket, "**/*")
    assert found == sorted((path, len(line(number)), etag) for number, (path, etag) in enumerate(etags.items()))
    assert server.requests(before) == [S3Request("LIST", f"/{name}")]


def test_two_stars_at_the_end_miss_braces_behind_a_slash_so_that_discovery_ends_in_a_slash_and_a_star(
    client: Client, bucket: Bucket
) -> None:
    put_all(bucket)
    _, name = bucket
    missed = {f"{name}/{key}" for key in KEYS} - {path for path, *_ in ask(client, LIST, bucket, "**")}
    assert missed == {f"{name}/dir/{{x}}.jsonl", f"{name}/dir/{{y}}/deeper/{{z}}.jsonl"}


def test_every_odd_key_is_read_by_its_path(client: Client, bucket: Bucket) -> None:
    paths = list(put_all(bucket))
    server, _ = bucket
    everything = list(enumerate(paths))
    assert ask(client, READ + OF_PATHS, bucket, "**/*", paths=paths) == sorted((path, n) for n, path in everything)
    for number, path in everything:
        before = len(server.requests())
        assert ask(client, READ + OF_PATHS, bucket, "**/*", paths=[path]) == [(path, number)]
        assert [asked for asked in server.requests(before) if asked.method == "GET"] == [S3Request("GET", f"/{path}")]


def test_a_key_that_is_gone_is_an_error_or_nothing_at_all_so_that_who_reads_by_path_looks_at_what_came(
    client: Client, bucket: Bucket
) -> None:
    server, name = bucket
    server.put(name, "dir/here.jsonl", line(1))
    paths = [f"{name}/dir/here.jsonl", f"{name}/dir/gone.jsonl"]
    rows = None
    # 26.7 says 404 (S3_ERROR, 499); 26.9 leaves it out.
    with contextlib.suppress(DatabaseError):
        rows = ask(client, READ + OF_PATHS, bucket, "dir/**/*", paths=paths)
    assert rows in (None, [(paths[0], 1)])
    assert ask(client, READ + OF_PATHS, bucket, "dir/**/*", paths=paths[:1]) == [(paths[0], 1)]


def test_an_odd_key_is_read_by_its_address_unless_it_makes_a_pattern(client: Client, bucket: Bucket) -> None:
    put_all(bucket)
    _, name = bucket
    for number, key in enumerate(PLAIN_KEYS):
        assert ask(client, READ, bucket, key) == [(f"{name}/{key}", number)]


def test_a_directory_with_odd_characters_is_a_prefix(client: Client, bucket: Bucket) -> None:
    put_all(bucket)
    _, name = bucket
    assert [path for path, *_ in ask(client, LIST, bucket, "dir x#é+%/**/*")] == [f"{name}/dir x#é+%/deeper/a b.jsonl"]


def test_a_replaced_object_has_another_etag_and_a_deleted_one_is_gone(client: Client, bucket: Bucket) -> None:
    server, name = bucket
    etag = server.put(name, "a.jsonl", line(1))
    assert ask(client, LIST, bucket, "**/*") == [(f"{name}/a.jsonl", 9, etag)]
    other = server.put(name, "a.jsonl", line(2))
    assert other != etag
    assert ask(client, LIST, bucket, "**/*") == [(f"{name}/a.jsonl", 9, other)]
    assert ask(client, READ, bucket, "**/*") == [(f"{name}/a.jsonl", 2)]
    server.delete(name, "a.jsonl")
    server.delete(name, "a.jsonl")
    assert ask(client, LIST, bucket, "**/*") == []


def test_a_bucket_is_dropped_with_its_objects(s3: S3Server) -> None:
    s3.make_bucket("to-be-dropped")
    before = len(s3.requests())
    for key in KEYS:
        s3.put("to-be-dropped", key, b"")
    s3.drop_bucket("to-be-dropped")
    # Neither is there a second attempt at anything.
    assert Counter(asked.method for asked in s3.requests(before)) == {
        "PUT": len(KEYS),
        "LIST": 1,
        "DELETE": len(KEYS) + 1,
    }
    assert s3.requests(before)[-1] == S3Request("DELETE", "/to-be-dropped")
    s3.drop_bucket("to-be-dropped")
    s3.make_bucket("to-be-dropped")
    s3.drop_bucket("to-be-dropped")


@pytest.mark.parametrize(
    ("pattern", "prefix", "pages"),
    [
        ("**/*", "", 5),
        ("year=2026/month=1*/**/*", "year=2026/month=1", 2),
        ("year=2026/month=02/*/*", "year=2026/month=02/", 1),
        ("year=2026/month=12/*/*", "year=2026/month=12/", 1),
    ],
)
def test_the_large_bucket_is_listed_by_pages_of_a_thousand_keys_and_nothing_else_is_asked(
    client: Client, pattern: str, prefix: str, pages: int
) -> None:
    with running_listing(5000) as listing:
        bound = {"url": listing.url(pattern), "key": "any", "secret": "any"}
        found = client.query(LIST, bound, settings=SETTINGS).result_rows
        assert sorted(tuple(row) for row in found) == [
            (f"listing/{key}", 1000 + number, f'"{hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()}"')
            for number, key in enumerate(listing.keys)
            if key.startswith(prefix)
        ]
        assert listing.requests() == {"LIST": pages}


def test_the_large_bucket_counts_who_asks_for_an_object(client: Client) -> None:
    with running_listing(10) as listing:
        before = listing.requests()
        with pytest.raises(DatabaseError, match="404"):
            client.query(READ, {"url": listing.url(listing.keys[0]), "key": "any", "secret": "any"}, settings=SETTINGS)
        assert set(listing.requests() - before) == {"HEAD"}


def test_the_large_bucket_has_a_year_of_days(client: Client) -> None:
    with running_listing(1000) as listing:
        assert listing.keys[12] == "year=2026/month=01/day=05/part-000012.jsonl.gz"
        days = (
            "SELECT extract(_path, 'month=../day=..') AS day, count(), min(_time) FROM s3({url:String}, NOSIGN, 'One')"
        )
        bound = {"url": listing.url("**/*")}
        rows = client.query(f"{days} GROUP BY day ORDER BY day", bound, settings=SETTINGS).result_rows
        assert len(rows) == 365
        assert {count for _, count, _ in rows} == {2, 3}
        assert f"{rows[-1][2]:%F %T}" == "2027-01-01 00:00:00"
