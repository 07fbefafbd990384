"""Makes a plan of a request: what is declared, what lies there, what the ledger knows of it, and what the target is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.domain.given_text import text_problems
from dags.file_ingestion.location import Location, list_files
from dags.file_ingestion.patterns import compiled
from dags.file_ingestion.plan import Plan, PlannedFile, grouped
from dags.file_ingestion.store import read_ledger
from dags.file_ingestion.versions import Days, FileEvent, decide
from dags.sources.file import read_sources
from dags.sources.loads.attaching import notes_of, require_attachable
from dags.sources.loads.columns import PlannedColumn, constant_problems, target_problems, writable
from dags.work.plan import Monitoring
from dags.work.request import WHO, refusal, webhook_problems

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.fields import IngestFilesConfig
    from dags.file_ingestion.versions import Decision
    from dags.settings import Settings
    from dags.sources.ingestions import Ingestion

WHAT = "the ingestion of files"


@dataclass(frozen=True)
class Planned:
    """A plan, what was decided of each file that lies there, where they lie, and what a person should know."""

    plan: Plan
    decision: Decision
    location: Location
    notes: tuple[str, ...] = ()


def make_plan(
    client: Client, given: IngestFilesConfig, settings: Settings, environment: Mapping[str, str], now: datetime
) -> Planned:
    """The plan of a request. ``now`` is ClickHouse's clock.

    Raises:
        UserError: every violation, each on a line of its own; or it is not known which files there are. Nothing was
            touched.
    """
    ingestion = read_sources(settings).ingestion(given.ingestion)
    location, target = Location.of(ingestion, environment), require_attachable(client, ingestion.into, [])
    pattern = compiled(ingestion.source_file_pattern)
    found = [] if given.dry_run else text_problems({name: getattr(given, name) for name in WHO}, required=WHO)
    if ingestion.status == "PAUSED":
        found.append(
            f"the ingestion {ingestion.name} is PAUSED: set its status to ACTIVE, or to DRAFT for runs by hand"
        )
    found += webhook_problems(given.webhook, settings.backfill_webhook_hosts)
    columns, problems = _columns(ingestion, writable(target))
    if found or problems:
        raise refusal(WHAT, dict.fromkeys([*found, *problems]))
    listed = list_files(client, location, pattern, settings.build_max_seconds)
    known = read_ledger(client, ingestion.name)
    if not listed and any(one.event is not FileEvent.CLEARED for one in known.values()):
        raise UserError(
            f"{location.whom} has no file that {ingestion.source_file_pattern} has, and {len(known):,} are known: it "
            "was emptied, renamed, or is hidden from ClickHouse's user. Nothing was touched"
        )
    decision = decide(
        listed,
        known,
        now,
        ingestion=ingestion.name,
        max_files=given.max_files or ingestion.max_files_per_run,
        max_bytes=given.max_bytes or ingestion.max_bytes_per_run,
        settles=location.is_directory,
        days=Days(ingestion.since, ingestion.until, by_path=ingestion.dated_by == "path"),
        only=frozenset(given.paths) or None,
    )
    if lacking := sorted(set(given.paths) - {one.path for one in listed}):
        raise refusal(
            WHAT, [f"paths: {one[:200]!r} is none of {location.whom} that the pattern has" for one in lacking]
        )
    files = [
        PlannedFile(
            path=one.version.path, size=one.version.size, modified=one.version.modified, etag=one.version.etag,
            load=one.version.load(ingestion.name), replaces=one.replaces,
        )
        for one in decision.wanted
    ]  # fmt: skip
    plan = Plan(
        ingestion=ingestion.name, target=ingestion.into, format=ingestion.format, time_zone=ingestion.time_zone,
        columns=columns, groups=grouped(files), later=len(decision.later), usd_per_gb=ingestion.cost_usd_per_gb,
        requested_by=given.requested_by or "nobody yet", reason=given.reason or "none yet",
        monitoring=Monitoring(webhook=given.webhook),
    )  # fmt: skip
    return Planned(plan, decision, location, tuple(f"NOTE     {one}" for one in notes_of(target)))


def _columns(ingestion: Ingestion, target: Mapping[str, str]) -> tuple[tuple[PlannedColumn, ...], list[str]]:
    planned, found = list[PlannedColumn](), list[str]()
    for name, source in ingestion.columns.items():
        found += target_problems(name, target)
        planned.append(PlannedColumn(name=name, type=target.get(name, ""), source=source))
    for name, constant in ingestion.constants.items():
        found += target_problems(name, target) or constant_problems(name, constant, target[name])
        planned.append(PlannedColumn(name=name, type=target.get(name, ""), constant=constant))
    return tuple(planned), found
