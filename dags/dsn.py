"""Which ClickHouse: one text that names an embedded engine or a server, parsed without ever showing a password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from dags.errors import SettingsError

DEFAULT_DATABASE = "web_analytics"

EXPECTED = (
    "expected chdb:///directory for the embedded engine, "
    "or clickhouse://user:password@host:8123/database (clickhouses:// with TLS) for a server"
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

    @property
    def is_embedded(self) -> bool:
        return self.scheme == "chdb"

    def __str__(self) -> str:
        if self.is_embedded:
            return f"chdb://{self.path} (database {self.database})"
        return f"{self.scheme}://{self.user}@{self.host}:{self.port}/{self.database}"

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Read a DSN.

        User and password may be percent-encoded. The embedded engine takes ``?database=name``; a server must be
        told its database, because a forgotten one would fill ``default``.

        Raises:
            SettingsError: not such a text. The text itself is not repeated, for it may hold a password.
        """
        try:
            parts = urlsplit(text.strip())
        except ValueError:
            raise SettingsError(
                f"it cannot be parsed (are signs in the password percent-encoded?); {EXPECTED}"
            ) from None
        try:
            port = parts.port
        except ValueError:
            raise SettingsError(f"the port is not a number from 1 to 65535; {EXPECTED}") from None
        if parts.scheme == "chdb":
            database = dict(parse_qsl(parts.query)).get("database", DEFAULT_DATABASE)
            if parts.netloc or not parts.path.strip("/"):
                raise SettingsError(f"the embedded engine needs an absolute directory; {EXPECTED}")
            dsn = cls("chdb", database, path=unquote(parts.path))
        elif parts.scheme in ("clickhouse", "clickhouses"):
            database = parts.path.strip("/")
            if "@" in parts.path + parts.query + parts.fragment:
                raise SettingsError(f"a '/', '?' or '#' in user or password is not percent-encoded; {EXPECTED}")
            if not parts.hostname:
                raise SettingsError(f"no host is given; {EXPECTED}")
            default_port = 8443 if parts.scheme == "clickhouses" else 8123
            dsn = cls(
                parts.scheme,
                database,
                host=parts.hostname,
                port=port or default_port,
                user=unquote(parts.username or "default"),
                password=unquote(parts.password or ""),
            )
        else:
            raise SettingsError(f"the scheme is {parts.scheme!r}; {EXPECTED}")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", dsn.database):
            raise SettingsError(f"the database is {dsn.database!r}: letters, digits and _ only; {EXPECTED}")
        return dsn
