"""The lease of a piece of work: who carries it out, takes it back, deletes it or sweeps after it holds it alone.

A run that stalls for long enough is taken for dead, and another acts in its place. So whoever takes the lease drops
first what earlier runs of the work have begun, and whoever holds it makes sure of it before each thing that cannot be
undone: a run that wakes up finds what it began gone, or finds out.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.clickhouse.leases.rules import DEAD_AFTER_SECONDS, in_words, lease_name, work_lease
from dags.clickhouse.leases.store import Leases
from dags.domain.errors import LeaseError, LeaseLostError, NoLeaseError
from dags.work.audit.store import read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from dags.work.audit.log import Work
    from dags.work.kinds import KindOfWork


@dataclass(frozen=True)
class WorkLease:
    """The lease of a piece of work, while it is ours."""

    kind: KindOfWork
    work: Work
    leases: Leases

    @property
    def name(self) -> str:
        """What its lease is named."""
        return lease_name(*work_lease(self.work.work_id, self.work.first_step))

    def confirm(self) -> None:
        """Make sure that it is still held.

        Raises:
            LeaseLostError: it was taken away, because this run was silent for too long.
        """
        try:
            self.leases.confirm(*work_lease(self.work.work_id, self.work.first_step))
        except LeaseError as error:
            by = f"{in_words(error.holder)} acts on it" if error.holder else "nobody acts on it"
            raise LeaseLostError(
                f"{self.work.work_id} was taken from this run, which was silent for too long; now {by}. This run does "
                f"nothing more: {self.kind.job('show')} says how it stands"
            ) from None


@contextmanager
def leased(
    client: Client,
    kind: KindOfWork,
    work: Work,
    run_id: str,
    tell: Callable[[str], None],
    *,
    wait_seconds: float = 0,
) -> Iterator[WorkLease]:
    """Take the lease of a piece of work, and give it back in the end.

    Raises:
        NoLeaseError: somebody else made a table or a view of its name.
        LeaseError: another run that lives held it for all of the time that one waits; the words say which.
    """
    with Leases(client, run_id, wait_seconds=wait_seconds, tell=tell) as leases:
        try:
            leases.take(*work_lease(work.work_id, work.first_step))
        except NoLeaseError:
            raise
        except LeaseError as error:
            raise LeaseError(
                f"{work.work_id} is in work by {in_words(error.holder)}. Nothing was touched: wait until that run has "
                f"ended, or pause or cancel the {kind.word} first. If it was killed, its lease is free after "
                f"{DEAD_AFTER_SECONDS:.0f} s of silence: try again then",
                error.holder,
            ) from None
        state = read_state(client, work.work_id)
        kind.fence(client, {run for run in (state.run_ids if state is not None else ()) if run != run_id})
        yield WorkLease(kind, work, leases)
