"""Which run may load which files: a lease for each bucket of an ingestion's paths, so that no two take the same.

A run that is silent for too long is taken for dead, and another takes its files. So whoever takes them drops first what
such a run has landed and staged, and whoever has them makes sure of it before each thing that others would suffer from:
either the robbed one finds out, or what it sends late finds its table gone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.clickhouse.leases.rules import NO_DAY, in_words, lease_name, run_key
from dags.clickhouse.leases.store import living_leases
from dags.domain.errors import LeaseError, LeaseLostError, NoLeaseError
from dags.domain.text import counted
from dags.file_ingestion.kind import FILE_INGESTION
from dags.sources.loads.landing import drop_tables_of_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.leases.store import Leases
    from dags.domain.expression import Expression

# So many runs of an ingestion can be at work at once, on files of their own.
BUCKETS = 16


def bucket_of(path: str) -> int:
    """The bucket that a path is of."""
    return hashlib.sha256(path.encode()).digest()[0] % BUCKETS


@dataclass(frozen=True)
class Claims:
    """The buckets that a run holds."""

    client: Client
    leases: Leases
    ingestion: str
    tell: Callable[[str], None]
    _held: set[str] = field(default_factory=set)

    def take(self, paths: Collection[str]) -> frozenset[str]:
        """Hold the buckets of these paths; those that no other run has.

        Raises:
            NoLeaseError: somebody else made a table of a lease's name.
        """
        refused: dict[int, str] = {}
        for bucket in sorted({bucket_of(path) for path in paths}):
            name = f"files_{run_key(self.ingestion)}_{bucket:02d}"
            try:
                self.leases.take(name, NO_DAY)
                self._held.add(name)
            except NoLeaseError:
                raise
            except LeaseError as error:
                refused[bucket] = in_words(error.holder)
        living = {lease.run for lease in living_leases(self.client)} - self.leases.robbed
        drop_tables_of_runs(self.client, FILE_INGESTION.word, lambda run: run not in living)
        ours = frozenset(path for path in paths if bucket_of(path) not in refused)
        if left := len(paths) - len(ours):
            self.tell(f"{counted(left, 'file')} left to {', '.join(sorted(set(refused.values())))}")
        return ours

    def confirm(self) -> None:
        """Make sure that all are still held.

        Raises:
            LeaseLostError: one was taken away, because this run was silent for too long.
        """
        for name in sorted(self._held)[:1]:
            others = {lease_name(one, NO_DAY): self.leases.token for one in self._held}
            try:
                is_whole = self.leases.confirm(name, NO_DAY, others)
            except LeaseError:
                is_whole = False
            if not is_whole:
                raise LeaseLostError(
                    f"files of {self.ingestion} were taken from this run, which was silent for too long: another one "
                    "loads or clears them, and this one does nothing more to them"
                )

    @property
    def condition(self) -> Expression:
        """That all are still held, for a statement that may be sent late."""
        return self.leases.condition((name, NO_DAY) for name in sorted(self._held))


def require_all(claims: Claims, paths: Collection[str]) -> None:
    """Hold the buckets of all these paths.

    Raises:
        LeaseError: a run has some of them in work.
    """
    if len(claims.take(paths)) < len(paths):
        raise LeaseError("a run loads some of these files right now: nothing was touched. Pause or cancel it first")
