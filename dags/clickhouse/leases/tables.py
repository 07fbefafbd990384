"""Leases as tables of one server, whose comment names the holder: of those who rename a table to a name, one wins."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.rules import BID_PREFIX, LEASE_PATTERN, LEASE_PREFIX, Lease, quoted, table_and_day
from dags.clickhouse.rights import LacksRightError
from dags.clickhouse.sql import Sql
from dags.domain.errors import NoLeaseError
from dags.domain.expression import Expression

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.clickhouse.leases"

_log = logging.getLogger(__name__)


class TableLeases:
    """What `dags.clickhouse.leases.store.Leases` needs of the place where leases are kept."""

    def __init__(self, client: Client) -> None:
        self._sql = Sql(_PACKAGE, client)

    def all(self, except_token: str) -> list[Lease]:
        """Every lease that is held, but for those of a token. A table or a view that somebody else gave such a name is
        passed over, and the log says so.
        """
        bound = {"prefix": LEASE_PREFIX, "pattern": LEASE_PATTERN, "except_token": except_token}
        others, strange = self._sql.row("others", bound)
        if strange:
            _log.warning(
                "no leases, though they are named like ones: %s. Rename or drop them", ", ".join(sorted(strange))
            )
        if not others:
            return []
        pattern = f"^({'|'.join(others)})$" if strange else LEASE_PATTERN
        try:
            rows = self._sql.rows("leases", {"pattern": pattern})
        except ClickHouseError as error:
            if getattr(error, "name", None) == "CANNOT_EXTRACT_TABLE_STRUCTURE":  # the last one was given back
                return []
            raise
        found = (Lease.of(name, token, silent if beats else seconds) for name, token, seconds, beats, silent in rows)
        return [lease for lease in found if lease is not None and lease.token != except_token]

    def taken(self, lease: str, token: str, *, is_new: bool = True) -> bool:
        """Whether the lease was free and is ours; ``is_new``: the bid is made now, which is a sign of life itself."""
        bid = _bid(lease, token)
        try:
            self._sql.command("create_bid", bid=bid, token=token)
            if not is_new:
                self._sql.command("beat", {"token": token}, lease=bid)
        except ClickHouseError as error:
            # Who holds no lease yet is known by none: a build that sweeps took the bid for one that was left behind.
            if getattr(error, "name", None) in ("UNKNOWN_TABLE", "QUERY_WAS_CANCELLED"):
                return False
            raise
        return self._moved("take", bid, lease)

    def stolen(self, holder: Lease, token: str) -> bool:
        """Whether the lease of a dead holder is ours now."""
        return self._moved("steal", _bid(holder.name, token), holder.name)

    @contextmanager
    def bidding(self, lease: str, token: str) -> Iterator[None]:
        """While one waits; what was made for that is dropped."""
        try:
            yield
        finally:
            # Taken, it has the lease's name now; stolen, it is what the dead held; given up, it is still ours.
            with suppress(ClickHouseError):
                self._sql.command("drop", lease=_bid(lease, token))

    def holder(self, lease: str) -> Lease | None:
        """Who holds it, if anybody does.

        Raises:
            NoLeaseError: somebody else made a table or a view of this name, which is theirs.
        """
        return next((self._read(*row) for row in self._sql.rows("holder", {"lease": lease})), None)

    def tokens(self, names: Collection[str]) -> dict[str, str]:
        """Whose these leases are, of those that are held."""
        return dict(self._sql.rows("tokens", {"leases": sorted(names)}))

    def assure(self, lease: str, token: str) -> None:
        """Nothing is needed to be told the last state of a lease: there is one server."""

    def renew_view(self) -> None:
        """Nor to be told of all."""

    def beat(self, lease: str, token: str) -> None:
        """Say that the holder lives."""
        self._sql.command("beat", {"token": token}, lease=lease)

    def give_back(self, lease: str, token: str) -> None:  # noqa: ARG002 -- it is the holder's, or a dead one's
        """The lease is done with."""
        self._sql.command("drop", lease=lease)

    @staticmethod
    def condition(names: Collection[str], token: str) -> Expression:
        """That all of these leases are its holder's, for a statement."""
        return Expression(
            "(SELECT count() FROM system.tables WHERE database = currentDatabase() AND "  # noqa: S608 -- ours
            f"name IN ({quoted(names)}) AND comment = '{token}') = {len(names)}"
        )

    def _moved(self, name: str, bid: str, lease: str) -> bool:
        """Whether the lease is ours now; not if somebody has it (57), or has dropped it or our bid (60)."""
        try:
            self._sql.command(name, bid=bid, lease=lease)
        except ClickHouseError as error:
            if getattr(error, "name", None) in ("TABLE_ALREADY_EXISTS", "UNKNOWN_TABLE"):
                return False
            if isinstance(error, LacksRightError):
                raise LacksRightError(
                    f"{error}. Until then each attempt may leave a table behind, this one {bid}; the first build with "
                    "that right drops them"
                ) from error
            raise
        return True

    def _read(self, name: str, token: str, seconds: float, is_lease: bool) -> Lease | None:  # noqa: FBT001 -- a row
        """A lease with its holder's silence; one that vanishes while it is read is no lease."""
        if not is_lease or table_and_day(name) is None:
            raise NoLeaseError(
                f"{name} is no lease, though it has a lease's name: somebody made it by hand. Rename or drop it; "
                "nothing was touched"
            )
        try:
            beats, silent = self._sql.row("silence", {"token": token}, lease=name)
        except ClickHouseError as error:
            if getattr(error, "name", None) == "UNKNOWN_TABLE":
                return None
            raise
        return Lease.of(name, token, silent if beats else seconds)


def _bid(lease: str, token: str) -> str:
    return BID_PREFIX + lease.removeprefix(LEASE_PREFIX) + "_" + token
