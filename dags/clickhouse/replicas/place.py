"""A client's place among replicas: which one it is, and clients of the others while it is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.server import AMONG_REPLICAS_SECONDS
from dags.clickhouse.sql import Sql
from dags.domain.errors import EngineError, NoDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn
    from dags.clickhouse.server import ServerClient

PACKAGE = "dags.clickhouse.replicas"


@dataclass
class Place:
    """Where a client is. ``dsn`` is that of all replicas, ``own`` of this one; ``ready`` opens a client of one.

    ``unnamed``: what to say of shards of its cluster of which no host is named. ``bare``: the addresses of replicas
    that did not have the database when they were asked last, as new ones.
    """

    dsn: Dsn
    own: Dsn
    macros: Mapping[str, str]
    ready: Callable[[Dsn], ServerClient]
    unnamed: tuple[str, ...] = ()
    bare: frozenset[str] = frozenset()
    _opened: dict[Dsn, ServerClient] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What Keeper calls this replica."""
        return self.macros["replica"]

    def others(self) -> tuple[dict[str, ServerClient], dict[str, str]]:
        """Clients of the other replicas by the names that Keeper has for them; and why some do not answer, by address.

        Those that do not answer are asked again each time.
        """
        reached: dict[str, ServerClient] = {}
        silent: dict[str, str] = {}
        bare: set[str] = set()
        for dsn in self.dsn.replicas:
            if dsn == self.own:
                continue
            try:
                name, client = self._one(dsn)
                reached[name] = client
            except (EngineError, ClickHouseError) as error:
                silent[f"{dsn.host}:{dsn.port}"] = str(error)
                if isinstance(error, NoDatabaseError) or getattr(error, "name", None) == "UNKNOWN_DATABASE":
                    bare.add(f"{dsn.host}:{dsn.port}")
        self.bare = frozenset(bare)
        return reached, silent

    def _one(self, dsn: Dsn) -> tuple[str, ServerClient]:
        """A client that answers, and the name that Keeper has for it."""
        client = self._opened.get(dsn) or self.ready(dsn)
        try:
            with client.hurried(AMONG_REPLICAS_SECONDS):
                rows = member(client, self.dsn.cluster)
            macros = macros_of(rows)
            name = self._told_apart(dsn, macros)
        except (EngineError, ClickHouseError):
            self._opened.pop(dsn, None)
            client.close()
            raise
        client.place = Place(self.dsn, dsn, macros, self.ready)
        self._opened[dsn] = client
        return name, client

    def _told_apart(self, dsn: Dsn, macros: Mapping[str, str]) -> str:
        name = macros.get("replica", "")
        if macros.get("shard") != self.macros["shard"]:
            raise EngineError(
                f"{dsn.host}:{dsn.port} has the macro shard={macros.get('shard', '')!r}, and {self.own.host}:"
                f"{self.own.port} has {self.macros['shard']!r}: it is no replica of it. Name the replicas of one shard "
                "with commas, and shards with semicolons"
            )
        if name in {"", self.name}:
            raise EngineError(
                f"{dsn.host}:{dsn.port} has the macro replica={name!r}, and {self.own.host}:{self.own.port} has "
                f"{self.name!r}: each replica needs a name of its own"
            )
        return name

    def close(self) -> None:
        for client in self._opened.values():
            client.close()
        self._opened.clear()


def macros_of(rows: Iterable[tuple[str, str, str, int, int]]) -> dict[str, str]:
    """The macros of a server, of what `member` answers."""
    return {name: text for what, name, text, *_ in rows if what == "macro"}


def member(client: Client, cluster: str) -> list[tuple[str, str, str, int, int]]:
    """What a server says of a cluster, see member.sql."""
    return list(Sql(PACKAGE, client).rows("member", {"cluster": cluster}))
