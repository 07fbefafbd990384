"""Leases of all replicas, in Keeper: of those who insert a key, one wins, whichever server they ask.

A change is decided by Keeper, in one order for all. What is read may be older than what another server's client has
written, so whoever must know for certain writes first: see `KeeperLeases.assure`.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.rules import NO_DAY, Lease, lease_name, new_token, quoted
from dags.clickhouse.sql import Sql
from dags.domain.expression import Expression

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.clickhouse.leases"

# The table of leases, of which every replica has one and Keeper the rows.
LEASES = "web_analytics_leases"

# Keeper's words where a key is there already, where it was changed since it was read, and where it is gone.
_REFUSED = ("Node exists", "Bad version", "No node")


class KeeperLeases:
    """What `dags.clickhouse.leases.store.Leases` needs of the place where leases are kept."""

    def __init__(self, client: Client) -> None:
        self._sql = Sql(_PACKAGE, client)

    def all(self, except_token: str) -> list[Lease]:
        """Every lease that is held, but for those of a token."""
        found = (Lease.of(*row) for row in self._sql.rows("keeper_leases", leases=LEASES))
        return [lease for lease in found if lease is not None and lease.token != except_token]

    def taken(self, lease: str, token: str, *, is_new: bool = True) -> bool:  # noqa: ARG002 -- taking it is a sign of life
        """Whether the lease was free and is ours."""
        return self._is_done("keeper_take", {"lease": lease, "token": token})

    def stolen(self, holder: Lease, token: str) -> bool:
        """Whether the lease of a dead holder is ours now; not if it was given another sign of life meanwhile."""
        bound = {"lease": holder.name, "token": token, "holder": holder.token, "silent": holder.silent_seconds}
        return self._is_done("keeper_steal", bound) and self.tokens([holder.name]).get(holder.name) == token

    def bidding(self, lease: str, token: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """While one waits; nothing is made for that."""
        return nullcontext()

    def holder(self, lease: str) -> Lease | None:
        """Who holds it, if anybody does."""
        return next((Lease.of(*row) for row in self._sql.rows("keeper_holder", {"lease": lease}, leases=LEASES)), None)

    def tokens(self, names: Collection[str]) -> dict[str, str]:
        """Whose these leases are, of those that are held."""
        return dict(self._sql.rows("keeper_tokens", {"names": sorted(names)}, leases=LEASES))

    def assure(self, lease: str, token: str) -> None:
        """Have what is read next be no older than now: this server sees its own change, and all before it.

        Of a lease that is another's nothing is changed; whoever was robbed once never has it again under its token, so
        that it is another's is true however old it is.
        """
        self.beat(lease, token)

    def renew_view(self) -> None:
        """The same for who holds no lease: a key of its own comes and goes; the dead one's is a lease of the dead."""
        lease, token = lease_name("look", NO_DAY), new_token("look")
        self.taken(lease, token)
        self.give_back(lease, token)

    def beat(self, lease: str, token: str) -> None:
        """Say that the holder lives."""
        self._is_done("keeper_beat", {"lease": lease, "token": token})

    def give_back(self, lease: str, token: str) -> None:
        """The lease of this holder is done with."""
        self._is_done("keeper_drop", {"lease": lease, "token": token})

    @staticmethod
    def condition(names: Collection[str], token: str) -> Expression:
        """That all of these leases are its holder's, for a statement."""
        return Expression(
            f"(SELECT count() FROM {LEASES} WHERE name IN ({quoted(names)}) AND token = '{token}') = {len(names)}"  # noqa: S608 -- ours
        )

    def _is_done(self, name: str, bound: dict[str, object]) -> bool:
        """Whether Keeper did it; not if the key was there, or was changed by somebody else meanwhile."""
        try:
            self._sql.command(name, bound, leases=LEASES)
        except ClickHouseError as error:
            if getattr(error, "name", None) == "KEEPER_EXCEPTION" and any(words in str(error) for words in _REFUSED):
                return False
            raise
        return True
