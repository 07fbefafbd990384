"""Which ClickHouse: one text that names an embedded engine or a server, parsed without ever showing a password.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, unquote, urlsplit

from dags.domain.errors import SettingsError

DEFAULT_DATABASE = "web_analytics"

EXPECTED = (
    "expected chdb:///directory for the embedded engine, "
    "or clickhouse://user:password@host:8123/database (clickhouses:// with TLS) for a server; where several hold the "
    "same rows, all hosts with commas between them, and ?cluster= with the name that system.clusters has for them; "
    "where teams are spread over shards, the hosts of each so, with semicolons between the shards"
)


@dataclass(frozen=True)
class Dsn:
    """An engine's address. ``repr`` and ``str`` leave the password out; `password` is read by the client only."""

    scheme: str
    database: str
    path: str = ""
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    # Where there are several replicas: the hosts and ports of the others, and what their servers call all together.
    others: tuple[tuple[str, int], ...] = ()
    cluster: str = ""
    # Where there are several shards. Of the whole: the hosts of each after the first; of one: its number, of how many.
    later: tuple[tuple[tuple[str, int], ...], ...] = ()
    shard: int = 0
    shard_count: int = 0

    @property
    def mark(self) -> str:
        """Tells this database from any other, whoever connects to it; nothing of the address can be read from it.

        The same replicas are the same database, whichever is named first.
        """
        first, *others = sorted([(self.host, self.port), *self.others])
        later = [sorted(places) for places in self.later]
        where = repr((self.path, *first, self.database, *([others] if others or later else []), *later))
        return hashlib.sha256(where.encode()).hexdigest()[:16]

    @property
    def replicas(self) -> tuple[Dsn, ...]:
        """Each of the replicas by itself, in the order in which they are named; where there is one, that one."""
        places = ((self.host, self.port), *self.others)
        return tuple(replace(self, host=host, port=port, others=()) for host, port in places)

    @property
    def shards(self) -> tuple[Dsn, ...]:
        """Each of the shards by itself, in the order in which they are named; where there is one, this."""
        if not self.later:
            return (self,)
        places = (((self.host, self.port), *self.others), *self.later)
        return tuple(
            replace(self, host=host, port=port, others=tuple(others), later=(), shard=number, shard_count=len(places))
            for number, ((host, port), *others) in enumerate(places, 1)
        )

    @property
    def is_embedded(self) -> bool:
        return self.scheme == "chdb"

    def hidden_in(self, text: str) -> str:
        """A text without the password: as a word, for within others one of a letter would show by where it is not."""
        return re.sub(rf"(?<!\w){re.escape(self.password)}(?!\w)", "[hidden]", text) if self.password else text

    def __str__(self) -> str:
        if self.is_embedded:
            return f"chdb://{self.path} (database {self.database})"
        of_shards = (((self.host, self.port), *self.others), *self.later)
        hosts = ";".join(",".join(f"{host}:{port}" for host, port in places) for places in of_shards)
        return (
            f"{self.scheme}://{self.user}@{hosts}/{self.database}"
            + f"?cluster={self.cluster}" * bool(self.cluster)
            + f" (shard {self.shard})" * bool(self.shard)
        )

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Read a DSN.

        User, password and directory may be percent-encoded. The embedded engine takes ``?database=name``; a server must
        be told its database, because a forgotten one would fill ``default``. What else is there is refused, for who
        wrote ``?secure=true`` believes in it.

        Raises:
            SettingsError: not such a text. Neither it nor a value in it is repeated, for it may hold a password.
        """
        text = text.strip()
        if not text.isprintable():  # urlsplit drops line ends in silence, also those in a password
            raise SettingsError(f"it holds a line end or another sign that does not print; {EXPECTED}")
        try:
            parts = urlsplit(text)
        except ValueError:
            raise SettingsError(
                f"it cannot be parsed (are signs in the password percent-encoded?); {EXPECTED}"
            ) from None
        if parts.scheme == "chdb":
            dsn = cls._embedded(parts)
        elif parts.scheme in ("clickhouse", "clickhouses"):
            dsn = cls._server(parts)
        else:
            raise SettingsError(f"the scheme is none of those that are known; {EXPECTED}")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", dsn.database):
            raise SettingsError(f"the database is missing or no plain name (letters, digits and _ only); {EXPECTED}")
        return dsn

    @classmethod
    def _embedded(cls, parts: SplitResult) -> Dsn:
        if parts.netloc or not parts.path.startswith("/") or not parts.path.strip("/"):
            raise SettingsError(f"the embedded engine needs an absolute directory; {EXPECTED}")
        database = _options(parts, "database").get("database", DEFAULT_DATABASE)
        return cls("chdb", database, path=_decoded(parts.path, "directory"))

    @classmethod
    def _server(cls, parts: SplitResult) -> Dsn:
        if "@" in parts.path + parts.query + parts.fragment:
            raise SettingsError(f"a '/', '?' or '#' in user or password is not percent-encoded; {EXPECTED}")
        cluster = _options(parts, "cluster").get("cluster", "")
        user, _, hosts = parts.netloc.rpartition("@")
        default_port = 8443 if parts.scheme == "clickhouses" else 8123
        of_shards = [[_place(one, default_port) for one in some.split(",")] for some in hosts.split(";")]
        places = [one for some in of_shards for one in some]
        if len(set(places)) < len(places):
            raise SettingsError(f"a host is named twice; {EXPECTED}")
        if (len(places) > 1) != bool(cluster):
            said = (
                f"{len(places)} hosts are named and no cluster"
                if len(places) > 1
                else "a cluster is named and one host"
            )
            raise SettingsError(f"{said}; {EXPECTED}")
        if cluster and not re.fullmatch(r"[\w.-]+", cluster, re.ASCII):
            raise SettingsError(f"the cluster is no name (letters, digits, _, . and - only); {EXPECTED}")
        name, _, password = user.partition(":")
        return cls(
            parts.scheme,
            parts.path.removeprefix("/").removesuffix("/"),
            host=places[0][0],
            port=places[0][1],
            user=_decoded(name or "default", "user"),
            password=_decoded(password, "password"),
            others=tuple(of_shards[0][1:]),
            cluster=cluster,
            later=tuple(map(tuple, of_shards[1:])),
        )


def _place(text: str, default_port: int) -> tuple[str, int]:
    """One host, with its port."""
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        parts, port = None, 0
    if parts is None or port == 0:
        raise SettingsError(f"the port is not a number from 1 to 65535; {EXPECTED}")
    host = parts.hostname or ""
    if not host:
        raise SettingsError(f"no host is given; {EXPECTED}")
    if not re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", host):
        raise SettingsError(f"the host is no name and no address; {EXPECTED}")
    return host, port or default_port


def _options(parts: SplitResult, *known: str) -> dict[str, str]:
    """What stands after the ``?``, each known and there once; nothing may stand after a ``#``."""
    if parts.fragment:
        raise SettingsError(f"something stands after a '#', which has no meaning here; {EXPECTED}")
    given: dict[str, str] = {}
    for one in filter(None, parts.query.split("&")):
        name, is_named, value = one.partition("=")
        if not is_named or not re.fullmatch(r"[A-Za-z_]\w{0,39}", name):
            raise SettingsError(f"what stands after the '?' is no option, name=value; {EXPECTED}")
        if name not in known:
            allowed = f"its only option is {known[0]}"
            hint = (
                ". TLS is the scheme clickhouses://" if name in ("secure", "ssl", "tls", "verify", "protocol") else ""
            )
            raise SettingsError(f"{name} is no option of it: {allowed}{hint}; {EXPECTED}")
        if name in given or not value:
            raise SettingsError(f"{name} is given twice or without a value; {EXPECTED}")
        given[name] = _decoded(value, name)
    return given


def _decoded(text: str, what: str) -> str:
    """Percent-decoded, or refused: what decodes to another text than was meant would be a wrong password."""
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        plain = "\0"
    if re.search(r"%(?![0-9A-Fa-f]{2})", text) or not plain.isprintable():
        raise SettingsError(f"the {what} is not percent-encoded UTF-8 (a '%' itself is %25); {EXPECTED}")
    return plain
