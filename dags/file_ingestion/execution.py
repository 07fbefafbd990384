"""Carries a plan out, group by group; see `.loading` for what becomes of a group."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.domain.errors import UserError
from dags.file_ingestion.loading import Loading
from dags.file_ingestion.progress import report
from dags.file_ingestion.schema_store import read_schemas
from dags.file_ingestion.store import read_known
from dags.sources.loads.attaching import require_attachable
from dags.sources.loads.columns import writable
from dags.sources.loads.landing import drop_tables
from dags.sources.loads.shape import TEAM
from dags.work.audit.log import Entry, Event, Status
from dags.work.orders import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from dags.file_ingestion.claims import Claims
    from dags.file_ingestion.location import Location
    from dags.file_ingestion.plan import FileGroup, Plan
    from dags.work.audit.log import State
    from dags.work.runner import AtWork


# So many teams are named.
SHOWN = 10


@dataclass(frozen=True)
class FileIngestion:
    """What a run of an ingestion brings to the runner of its plan.

    A statement may take so many ``seconds``. ``schema_changes``: what becomes of columns that files have anew.
    ``claims`` hold paths against other runs; ``attached`` hears of the days that readers see from then on, ``tell`` of
    what else a person should know. ``gives_way``: for whom it stops between two groups, in words; empty if for nobody.
    """

    plan: Plan
    location: Location
    seconds: int
    schema_changes: str
    claims: Claims
    attached: Callable[[Mapping[date, int]], None]
    tell: Callable[[str], None]
    gives_way: Callable[[], str] = lambda: ""

    def begin(self, at: AtWork) -> Groups | Ended:
        """Make sure that the target is what was planned, and hold the files that other runs do not."""
        plan, state = self.plan, at.read()
        target = require_attachable(at.client, plan.target, [one.name for one in plan.columns])
        drop_tables(at.client, at.log.work.work_id)
        at.again(at.lease.confirm)
        left = [one.path for group in plan.groups if not set(group.steps) <= set(state.done) for one in group.files]
        return Groups(self, self.claims.take(left), writable(target))

    def report(self, state: State) -> dict[str, Any]:
        """The final report, for programs."""
        return report(self.plan, state)


@dataclass(frozen=True)
class Groups:
    """The groups of a run that may land. ``ours``: the paths that it holds; ``target_types``: of what can be filled.
    ``strangers``: the teams of what it has loaded that are not enabled; ``scattered``: groups whose rows are
    of many days in no order.
    """

    ingestion: FileIngestion
    ours: frozenset[str]
    target_types: Mapping[str, str]
    strangers: set[int] = field(default_factory=set)
    scattered: set[int] = field(default_factory=set)

    def why_stop(self, at: AtWork) -> Ended | None:
        """Because of what, or for whom, it ends: what is left is taken by the next run, as whatever is not loaded."""
        plan = self.ingestion.plan
        if read_schemas(at.client, plan.ingestion).is_changed(plan.schema_version):
            return Ended(Status.COMPLETED, "what is loaded was changed; the next run takes what is left as it is now")
        first = self.ingestion.gives_way()
        return (
            Ended(Status.COMPLETED, f"it gave way to {first}; what is left is taken by the next run") if first else None
        )

    def do(self, at: AtWork, chunk: FileGroup, step: str) -> Sequence[Entry]:
        """Load a group. Files that cannot be are recorded with the reason, and keep no other from being loaded."""
        loading = Loading(self, at, chunk)
        try:
            rows = at.again(loading.done)
        except (UserError, ClickHouseError) as error:
            hidden = self.ingestion.location.hidden_in(str(error))[:1000]
            failed = Entry(Event.STEP_FAILED, step=step, chunk=chunk.id, payload=hidden, bytes_read=loading.bytes_read)
            return [failed]
        return [
            Entry(
                Event.STEP_DONE, step=step, chunk=chunk.id, rows=rows, source_rows=rows, own_source_rows=rows,
                bytes_read=loading.bytes_read,
            )
        ]  # fmt: skip

    def judge(self, at: AtWork) -> Ended:
        """What the run came to: it has failed where a group could not be gone through."""
        drop_tables(at.client, at.log.work.work_id)
        state = at.read()
        failed = [f"{step}: {entry.payload}" for step, entry in state.failed.items() if step not in state.done]
        if failed:
            return Ended(Status.FAILED, f"{failed[0]}. Its files are taken again; go on with it, or ask anew")
        paths = [one.path for group in self.ingestion.plan.groups for one in group.files]
        known = at.again(read_known, at.client, self.ingestion.plan.ingestion, paths)
        states = Counter(known[path].event for path in paths if path in known)
        words = ", ".join(f"{count} {event}" for event, count in sorted(states.items()))
        if self.strangers:
            shown = ", ".join(map(str, sorted(self.strangers)[:SHOWN]))
            words += f"; nothing is built for {TEAM} {shown}{', …' * (len(self.strangers) > SHOWN)}: not enabled"
        return Ended(Status.COMPLETED, words)
