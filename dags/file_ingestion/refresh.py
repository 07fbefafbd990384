"""Loads again what an ingestion has loaded, or takes it out: what that would do, and how it is done.

Nothing is dropped or emptied: a file's rows are taken out when the new ones are there, by their own number. So a table
that others write too keeps every row of theirs, and readers never see a hole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dags.clickhouse.leases.store import Leases
from dags.domain.batched import batched
from dags.domain.given_text import text_problems
from dags.domain.text import counted, table_text, wrapped
from dags.domain.units import EPOCH
from dags.file_ingestion.claims import Claims, require_all
from dags.file_ingestion.clearing import clear
from dags.file_ingestion.fields import IngestFilesConfig, Mode
from dags.file_ingestion.planning import make_plan
from dags.file_ingestion.schema_store import change_schemas
from dags.file_ingestion.schemas import refreshed
from dags.file_ingestion.store import read_ledger
from dags.sources.file import read_sources
from dags.sources.loads.attaching import rows_there
from dags.work.request import WHO, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.fields import RefreshIngestionConfig
    from dags.file_ingestion.planning import Planned
    from dags.file_ingestion.schemas import Happened, Schemas
    from dags.file_ingestion.versions import Known
    from dags.settings import Settings
    from dags.sources.ingestions import Ingestion

WHAT = "the refresh of an ingestion"

# So many numbers of loads are a value that a server takes.
LOADS_BOUND = 2_000

_NOTES = {
    Mode.FULL: "every file that is found is loaded again; its rows are taken out when the new ones are there",
    Mode.CLEAR_HISTORY: (
        "every file counts as not seen and is loaded again; its rows are taken out when the new ones are there. The "
        "ledger keeps what was"
    ),
    Mode.NEW_ONLY: "the files that are known stay known and are not loaded again, unless they are replaced",
}


@dataclass
class Operation:
    """A step of a refresh, and what became of it, when by ClickHouse's clock."""

    operation: str
    status: str
    timestamp: str
    details: str


@dataclass(frozen=True)
class Refresh:
    """What a refresh does: what a run loads after it, and the files whose ``rows`` it takes out at once."""

    ingestion: Ingestion
    mode: Mode
    planned: Planned
    taken_out: Mapping[str, Known]
    rows: int
    now: datetime
    operations: list[Operation] = field(default_factory=list)

    @property
    def impact(self) -> dict[str, Any]:
        """What is to be loaded, by the real listing, of this run and of those that take what it leaves."""
        plan, decision = self.planned.plan, self.planned.decision
        wanted = [one.version for one in (*decision.wanted, *decision.later)]
        size = sum(one.size for one in wanted)
        moments = [EPOCH + timedelta(microseconds=one.modified) for one in wanted]
        # What is left for later takes as long, for its bytes, as what is planned.
        share = size / plan.bytes if plan.bytes else 1.0
        return {
            "files_to_process": len(wanted),
            "files_skipped": sum(decision.others.values()),
            "estimated_data_size_gb": round(size / 1e9, 6),
            "estimated_cost_usd": round(size / 1e9 * plan.usd_per_gb, 4),
            "estimated_duration_minutes": round(plan.seconds * share / 60, 1),
            "oldest_file_date": f"{min(moments):%Y-%m-%d}" if moments else None,
            "newest_file_date": f"{max(moments):%Y-%m-%d}" if moments else None,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know, and what is lost."""
        notes = [_NOTES[self.mode]]
        rows = self.rows
        if self.taken_out and self.mode is Mode.FULL:
            notes.append(
                f"LOST: {len(self.taken_out):,} files that were loaded are gone, or are none of the pattern any more; "
                f"their {rows:,} rows are taken out and cannot be loaded again (clear_history leaves them)"
            )
        if self.taken_out and self.mode is Mode.NEW_ONLY:
            notes.append(
                f"LOST: {rows:,} rows of {counted(len(self.taken_out), 'file')} taken out; what was built from them is "
                "held until a person allows its loss"
            )
        if self.planned.plan.later:
            notes.append(f"a run takes {self.planned.plan.files:,} of these files, and the next ones the rest")
        return tuple(notes)

    def answer(self, run_id: str | None, *, dry_run: bool) -> dict[str, Any]:
        """What a program is told."""
        return {
            "ingestion_id": self.ingestion.name,
            "mode": str(self.mode),
            "dry_run": dry_run,
            "run_id": run_id,
            "impact": self.impact,
            "operations": [vars(one) for one in self.operations],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """What a person is told."""
        rows = [(name, str(value)) for name, value in self.impact.items()]
        lines = [f"REFRESH  {self.ingestion.name}: {self.mode}", "", table_text(rows, ("impact", "")), ""]
        lines += [wrapped(f"NOTE     {one}") for one in self.notes]
        steps = [(one.operation, one.status, one.timestamp[:19], one.details) for one in self.operations]
        return "\n".join([*lines, "", table_text(steps, ("operation", "status", "at", "details"))])

    def did(self, operation: str, details: str, status: str = "done") -> None:
        """Keep what became of a step."""
        step = next(one for one in self.operations if one.operation == operation)
        step.status, step.details = status, details

    def carry_out(self, client: Client, who: tuple[str, str], run_id: str, tell: Callable[[str], None]) -> None:
        """Do all but the run. Done twice, it does no harm: what was taken out is out, and is loaded again once.

        Raises:
            LeaseError: a run has some of these files in work. Nothing was touched.
        """

        def made(schemas: Schemas) -> tuple[Happened, ...]:
            first = self.planned.redeclared(schemas)
            is_again = self.mode is not Mode.NEW_ONLY
            return (*first, *((refreshed(schemas.with_events(first), *who),) if is_again else ()))

        with Leases(client, run_id, wait_seconds=0, tell=tell) as leases:
            # Before anything is recorded: what is in work now is refused as a whole.
            require_all(Claims(client, leases, self.ingestion.name, tell), self.taken_out)
            schemas, _ = change_schemas(client, self.ingestion.name, run_id, made, tell)
        if self.mode is not Mode.NEW_ONLY:
            self.did("clear_history", f"what was loaded before schema version {schemas.current} is loaded again")
        if self.taken_out:
            paths = sorted(self.taken_out)
            left_out = schemas.current if self.mode is Mode.NEW_ONLY else None
            rows = clear(client, self.ingestion, paths, run_id, tell, left_out_under=left_out)
            self.did("take_out_rows", f"{rows:,} rows of {counted(len(paths), 'file')}")


def plan_refresh(
    client: Client, given: RefreshIngestionConfig, settings: Settings, environment: Mapping[str, str], now: datetime
) -> Refresh:
    """What a refresh would do. ``now`` is ClickHouse's clock.

    Raises:
        UserError: every violation at once; or it is not known which files there are. Nothing was touched.
    """
    ingestion = read_sources(settings).ingestion(given.ingestion)
    found = [] if given.dry_run else text_problems({name: getattr(given, name) for name in WHO}, required=WHO)
    if not given.dry_run and not given.confirm:
        found.append("confirm is false: look at the dry run, then set confirm: true")
    if found:
        raise refusal(WHAT, found)

    def as_if(schemas: Schemas) -> tuple[Happened, ...]:
        return () if given.mode is Mode.NEW_ONLY else (refreshed(schemas, "a refresh", "a refresh"),)

    asked = IngestFilesConfig(ingestion=given.ingestion)
    planned = make_plan(client, asked, settings, environment, now, as_if=as_if)
    there = {path: one for path, one in read_ledger(client, ingestion.name).items() if one.loads}
    if given.mode is Mode.FULL:
        listed = {one.path for one in planned.listed}
        there = {path: one for path, one in there.items() if path not in listed}
    elif given.mode is Mode.CLEAR_HISTORY:
        there = {}
    loads = [load for one in there.values() for load in one.loads]
    rows = sum(sum(rows_there(client, ingestion.into, some).values()) for some in batched(loads, LOADS_BOUND))
    names = ["clear_history"] * (given.mode is not Mode.NEW_ONLY) + ["take_out_rows"] * bool(there) + ["run"]
    details = {
        "take_out_rows": f"{rows:,} rows of {counted(len(there), 'file')}",
        "clear_history": "every file counts as not loaded",
        "run": "at once" if given.auto_run else "with the next run",
    }
    operations = [Operation(name, "planned", now.isoformat(), details[name]) for name in names]
    return Refresh(ingestion, given.mode, planned, there, rows, now, operations)
