"""Which run may load which files: a lease for each bucket of an ingestion's paths, so that no two take the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from dags.clickhouse.leases.rules import in_words, run_key
from dags.domain.errors import LeaseError, NoLeaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dags.clickhouse.leases.store import Leases

# So many runs of an ingestion can be at work at once, on files of their own.
BUCKETS = 16

# What stands for a day in the lease of a bucket.
_NO_DAY = date(1970, 1, 1)


def bucket_of(path: str) -> int:
    """The bucket that a path is of."""
    return hashlib.sha256(path.encode()).digest()[0] % BUCKETS


@dataclass(frozen=True)
class Claims:
    """The buckets that a run holds."""

    leases: Leases
    ingestion: str
    tell: Callable[[str], None]

    def take(self, paths: Collection[str]) -> frozenset[str]:
        """Hold the buckets of these paths; those that no other run has.

        Raises:
            NoLeaseError: somebody else made a table of a lease's name.
        """
        refused: dict[int, str] = {}
        for bucket in sorted({bucket_of(path) for path in paths}):
            try:
                self.leases.take(f"files_{run_key(self.ingestion)}_{bucket:02d}", _NO_DAY)
            except NoLeaseError:
                raise
            except LeaseError as error:
                refused[bucket] = in_words(error.holder)
        ours = frozenset(path for path in paths if bucket_of(path) not in refused)
        if left := len(paths) - len(ours):
            self.tell(f"{left} files are left to {', '.join(sorted(set(refused.values())))}")
        return ours


def require_all(claims: Claims, paths: Collection[str]) -> None:
    """Hold the buckets of all these paths.

    Raises:
        LeaseError: a run has some of them in work.
    """
    if len(claims.take(paths)) < len(paths):
        raise LeaseError("a run loads some of these files right now: nothing was touched. Pause or cancel it first")
