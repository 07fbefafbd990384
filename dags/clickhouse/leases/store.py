"""Leases in ClickHouse: taken, kept, given back, and taken away from those that died.

What makes it safe is not that the dead are told from the living for certain, which nobody can, but the order of
things: whoever takes a lease drops every other build's staging of that table and day before it works, and whoever
works makes sure that it still holds the lease after making its staging. So either the thief finds the staging or the
robbed finds out; a swap from a staging table that is gone fails.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.keeper import LEASES, KeeperLeases
from dags.clickhouse.leases.rules import BEAT_SECONDS, in_words, lease_name, new_token, run_of
from dags.clickhouse.leases.tables import TableLeases
from dags.clickhouse.replicas.store import place_of
from dags.clickhouse.sql import Sql, is_embedded
from dags.domain.errors import LeaseError, NoLeaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.leases.rules import Lease
    from dags.domain.expression import Expression

_NO_OTHERS: Mapping[str, str] = MappingProxyType({})

# How often whoever waits for a lease asks again.
POLL_SECONDS = 1.0


def kept(client: Client) -> TableLeases | KeeperLeases:
    """Where leases are kept: in the server's own tables where it stands alone, in Keeper where it has replicas."""
    return TableLeases(client) if place_of(client) is None else KeeperLeases(client)


def read_leases(client: Client, *, except_token: str | None = None, up_to_date: bool = False) -> tuple[Lease, ...]:
    """Every lease that is held, by the living and by the dead; those of the token ``except_token`` left out.

    ``up_to_date``: none that was taken before now is missed, on any replica, for which Keeper is written to. Whoever
    concludes from what is not held needs that, unless it has just taken a lease itself.

    All are read in one statement, however many there are: a thousand took ten seconds one by one.
    """
    leases = kept(client)
    if up_to_date:
        leases.renew_view()
    return tuple(leases.all(except_token or ""))


def living_leases(client: Client) -> tuple[Lease, ...]:
    """The leases that are held by those who live."""
    embedded = is_embedded(client)
    return tuple(lease for lease in read_leases(client) if not lease.is_dead(is_embedded=embedded))


class Leases:
    """The leases of one build. Use as a context; what is held at its end is given back.

    ``wait_seconds`` is how long to wait for a lease that another run holds. ``tell`` is told in words whom one waits
    for. While a lease is held on a server, a thread says so every `BEAT_SECONDS`.
    """

    def __init__(
        self,
        client: Client,
        run_id: str,
        *,
        wait_seconds: float,
        tell: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.token = new_token(run_id)
        # The runs that leases were taken over from, as `run_key` has them.
        self.robbed: set[str] = set()
        self._client = client
        self._kept = kept(client)
        self._wait_seconds = wait_seconds
        self._tell = tell
        self._sleep = sleep
        self._names: set[str] = set()
        self._over = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin to show signs of life; there is nothing to hold yet."""
        if not is_embedded(self._client):
            beating = threading.Thread(target=self._beat, name=f"leases of {self.token}", daemon=True)
            beating.start()
            # Not for ever: a server that hangs would keep the run from ending. The thread ends with the process.
            self._stack.callback(beating.join, BEAT_SECONDS)
            self._stack.callback(self._over.set)
        return self

    def __exit__(self, *_: object) -> None:
        """Give back what is held; what cannot be given back, others take when this holder has been silent."""
        tokens: dict[str, str] = {}
        with suppress(ClickHouseError):
            tokens = self._tokens(self._names)
        for name in sorted(self._names):
            if tokens.get(name) == self.token:
                with suppress(ClickHouseError):
                    self._kept.give_back(name, self.token)
        self._names.clear()
        self._stack.close()

    def take(self, table: str, day: date) -> bool:
        """Hold the lease of a table's day; whether another run had to be waited for.

        Whoever takes it must drop every other build's staging of that day before working on it.

        Raises:
            NoLeaseError: somebody else made a table or a view of that name.
            LeaseError: another run that lives held it for all of the time that one waits.
        """
        self._refuse_other_place()
        lease, started, waited_for = lease_name(table, day), time.monotonic(), ""
        if self._kept.taken(lease, self.token):
            self._names.add(lease)
            return False
        with self._kept.bidding(lease, self.token):
            while not self._kept.taken(lease, self.token, is_new=False):
                holder = self._kept.holder(lease)
                if holder is None:
                    continue
                if holder.token == self.token:  # taken, and the answer was lost on its way
                    break
                if holder.is_dead(is_embedded=is_embedded(self._client)):
                    self._tell(f"{day}: taking {table} over from {in_words(holder.run)}, which died")
                    if self._kept.stolen(holder, self.token):
                        self.robbed.add(holder.run)
                        break
                    continue
                if time.monotonic() - started >= self._wait_seconds:
                    raise LeaseError(
                        f"{table} of {day} is being built by {in_words(holder.run)}; waited "
                        f"{self._wait_seconds:.0f} s. Nothing of it was touched: wait for that run, or build the "
                        "partition again later",
                        holder.run,
                    )
                if holder.token != waited_for:
                    self._tell(f"{day}: {table} is being built by {in_words(holder.run)}, waiting for it")
                    waited_for = holder.token
                self._sleep(POLL_SECONDS)
        self._names.add(lease)
        return bool(waited_for)

    def _refuse_other_place(self) -> None:
        """Others would not see a lease of this server alone, and would lose what they staged to whoever holds one."""
        if self._names or isinstance(self._kept, KeeperLeases) or is_embedded(self._client):
            return
        (there,) = Sql("dags.clickhouse.leases", self._client).row("keeper_there", {"leases": LEASES})
        if there:
            raise NoLeaseError(
                f"leases of this database are in Keeper, in the table {LEASES}, and CLICKHOUSE_DSN names one server "
                "that stands alone: those who name its cluster would not see this one's. Nothing was touched: give the "
                f"DSN the option ?cluster=, with all hosts; or DROP TABLE {LEASES} SYNC where no cluster works with it "
                "any more"
            )

    def confirm(self, table: str, day: date, beside: Mapping[str, str] = _NO_OTHERS) -> bool:
        """Make sure that a lease is still held: after making a staging table, before trusting it.

        ``beside``: the tokens of other leases, by their names; whether these are held by them.

        Raises:
            LeaseError: it was taken away, because this run was silent for too long.
        """
        name = lease_name(table, day)
        self._kept.assure(name, self.token)
        tokens = self._tokens({name, *beside})
        token = tokens.get(name)
        if token != self.token:
            by = in_words(run_of(token)) if token is not None else "nobody"
            raise LeaseError(
                f"{name} is held by {by} and no longer by this run, which was silent for too long: nothing more "
                "is published of it",
                run_of(token) if token is not None else "",
            )
        return all(tokens.get(one) == theirs for one, theirs in beside.items())

    def condition(self, leases: Iterable[tuple[str, date]]) -> Expression:
        """That all of these are still held, each a table and a day, for a statement that may be sent late."""
        return self._kept.condition([lease_name(*one) for one in leases], self.token)

    def _tokens(self, names: Collection[str]) -> dict[str, str]:
        """Whose these leases are."""
        return self._kept.tokens(names) if names else {}

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            for name in sorted(self._names):
                with suppress(ClickHouseError):
                    self._kept.beat(name, self.token)
