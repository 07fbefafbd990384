"""A real S3 endpoint for tests, the demo and benchmarks: moto's, in a thread of this process.

It speaks S3 over HTTP as ClickHouse asks it, on either engine: objects, etags, ranges, listings in pages of 1,000. What
it does not do: it takes every key and secret, also wrong ones, it knows no rights, and its listings are quadratic
(20,000 keys take a minute). For listings of many keys there is `dags.tests.s3_listing`.

moto keeps what it stores in the process, not in a server: all servers of a process show the same buckets.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Neither slash nor equals sign: moto, unlike S3, looks for the region behind the first of them in a signature.
ACCESS_KEY = "ONLYFORTESTS"
# Every character in it that has a meaning in a URL, so that nobody forgets to quote one.
SECRET_KEY = "s3cr&t/+k=y?#%:@ 'x'"
REGION = "us-east-1"

# Left as they are in an address, so that it can be read. Quoting would not keep a pattern from being one.
LEFT_UNQUOTED = "/*{},="


class S3Request(NamedTuple):
    """What was asked: `LIST`, or a method of HTTP; of `/bucket` or of `/bucket/key`, nothing in it quoted."""

    method: str
    path: str


@dataclass(frozen=True)
class S3Server:
    """Where it listens, keys that it takes, and what a test does with it."""

    endpoint: str
    access_key: str
    secret_key: str
    _client: Any = field(repr=False)
    _requests: list[S3Request] = field(repr=False)

    def url(self, bucket: str, prefix: str = "") -> str:
        """The address of a key, a prefix or a pattern (`*`, `**`, `?`, `{a,b}`) as ClickHouse's `s3()` takes it.

        Other characters are quoted, so that they mean themselves. A key with one of these has no address of its own:
        it is found by a pattern and `WHERE _path IN …`.
        """
        return f"{self.endpoint}/{bucket}/{quote(prefix, safe=LEFT_UNQUOTED)}"

    def make_bucket(self, name: str) -> None:
        self._client.create_bucket(Bucket=name)

    def put(self, bucket: str, key: str, data: bytes) -> str:
        """Store an object, in place of one that may be there. Its etag comes back with quotes, as listings have it."""
        return str(self._client.put_object(Bucket=bucket, Key=key, Body=data)["ETag"])

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; harmless when there is none."""
        self._client.delete_object(Bucket=bucket, Key=key)

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket with its objects; harmless when there is none."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=name)
        with contextlib.suppress(self._client.exceptions.NoSuchBucket):
            for key in [found["Key"] for page in pages for found in page.get("Contents", [])]:
                self.delete(name, key)
            self._client.delete_bucket(Bucket=name)

    def requests(self, since: int = 0) -> list[S3Request]:
        """What it was asked, by whomever, in order. `since` leaves out so many of the first: those of before."""
        return self._requests[since:]


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """Start a server on a free port of 127.0.0.1, hand it out once it answers, and end it with the context."""
    # Most of a second of CPU, which tests without S3 need not spend.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    # It would tell each request on stderr. What goes wrong inside is still said.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        assert server._server is not None
        requests: list[S3Request] = []
        server._server.app = _recording(server._server.app, requests)
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
        )
        try:
            yield S3Server(f"http://{host}:{port}", ACCESS_KEY, SECRET_KEY, client, requests)
        finally:
            client.close()
    finally:
        server.stop()


def _recording(
    application: Callable[..., Iterable[bytes]], requests: list[S3Request]
) -> Callable[..., Iterable[bytes]]:
    guard = threading.Lock()

    def recorded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        is_listing = "list-type" in parse_qs(environ["QUERY_STRING"])
        with guard:
            requests.append(S3Request("LIST" if is_listing else environ["REQUEST_METHOD"], path))
        return application(environ, start_response)

    return recorded
