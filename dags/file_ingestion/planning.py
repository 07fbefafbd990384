"""Makes a plan of a request: what is declared, what lies there, what the ledger knows of it, and what the target is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.domain.given_text import text_problems
from dags.domain.text import counted
from dags.domain.units import EPOCH
from dags.file_ingestion.fields import IngestFilesConfig, Scope
from dags.file_ingestion.formats import format_of
from dags.file_ingestion.listing import Ledger, Listing, list_files
from dags.file_ingestion.location import PACKAGE, Location
from dags.file_ingestion.patterns import compiled, recent_prefixes
from dags.file_ingestion.plan import BYTES_A_SECOND, Plan, PlannedFile, grouped, planned_columns
from dags.file_ingestion.ranges import days_taken, progress_of, range_of
from dags.file_ingestion.schema_store import change_schemas, read_schemas
from dags.file_ingestion.schemas import moved_from, redeclared
from dags.file_ingestion.store import Happened, count_known, read_known, read_ledger, read_ledger_at, read_open, record
from dags.file_ingestion.versions import FileEvent, Found, Known, decide
from dags.sources.file import read_sources
from dags.sources.loads.attaching import notes_of, require_attachable
from dags.sources.loads.columns import constant_problems, target_problems, writable
from dags.sources.loads.log import FILES
from dags.work.audit.log import Event
from dags.work.plan import Monitoring
from dags.work.request import WHO, refusal, webhook_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.patterns import Pattern
    from dags.file_ingestion.ranges import RangeProgress
    from dags.file_ingestion.schemas import Happened as SchemaHappened
    from dags.file_ingestion.schemas import Schemas
    from dags.file_ingestion.versions import Decision, FileVersion
    from dags.settings import Settings
    from dags.sources.ingestions import Ingestion

WHAT = "the ingestion of files"

# What is recent: files that a partner in any time zone writes for today and yesterday.
_RECENT_DAYS = (1, 0, -1)


@dataclass(frozen=True)
class Planned:
    """A plan, what was decided of each file that lies there, where they lie, and what a person should know.

    ``redeclared`` makes the version that the declaration is, ``discovered`` are files that the ledger is to have though
    they wait for another run. ``listed`` are the versions that lie there and are not settled. ``range`` is how far the
    range is that this is a part of.
    """

    plan: Plan
    decision: Decision
    location: Location
    listed: tuple[FileVersion, ...] = ()
    redeclared: Callable[[Schemas], Sequence[SchemaHappened]] = lambda _: ()
    discovered: tuple[Happened, ...] = ()
    range: RangeProgress | None = None
    notes: tuple[str, ...] = ()

    def settle(self, client: Client, work_id: str) -> None:
        """Keep what planning has made known; done twice, it changes nothing.

        Raises:
            UserError: the ingestion loads something else than was planned.
        """
        schemas = read_schemas(client, self.plan.ingestion)
        if self.redeclared(schemas):
            schemas, _ = change_schemas(client, self.plan.ingestion, work_id, self.redeclared, print)
        if schemas.current != self.plan.schema_version:
            raise UserError(
                f"what {self.plan.ingestion} loads has changed since this was planned: it is version "
                f"{schemas.current} now, and not {self.plan.schema_version}. Ask again"
            )
        # Nothing of anybody's is touched by it, so it needs no claim.
        record(client, self.plan.ingestion, work_id, self.discovered, lambda: None)


def look(
    client: Client,
    ingestion: Ingestion,
    location: Location,
    schemas: Schemas,
    now: datetime,
    *,
    seconds: int,
    everything: bool = True,
    paths: tuple[str, ...] = (),
) -> tuple[Listing, dict[str, Known]]:
    """What lies there, and what the ledger knows of the files that are not settled.

    Not ``everything``: below the recent days alone, where the pattern says where these lie; what the ledger knows from
    before and is not settled is found all the same. ``paths``: files that are not left out though they are settled.

    Raises:
        UserError: it is not known which files there are.
    """
    pattern, schema = compiled(ingestion.source_file_pattern), schemas.standing
    ledger = Ledger(ingestion.name, read_ledger_at(client, ingestion.name), schema, paths)
    known = read_open(client, ingestion.name, schema) | read_known(client, ingestion.name, paths)
    prefixes = None if everything or location.is_directory else _recent(pattern, now)
    if prefixes is None:
        listing = list_files(client, location, pattern, ledger, seconds=seconds)
        if not listing.files and (count := count_known(client, ingestion.name)):
            raise UserError(
                f"{location.whom} has no file that {ingestion.source_file_pattern} has, and {count:,} are known: it "
                "was emptied, renamed, or is hidden from ClickHouse's user. Nothing was touched"
            )
        return listing, known
    listings = [list_files(client, location, pattern, ledger, seconds=seconds, below=one) for one in prefixes]
    found = {one.version.path: one for listing in listings for one in listing.found}
    for path, before in known.items():
        if pattern.matches(path):
            found.setdefault(path, Found(before.version, is_known=True))
    return Listing(tuple(found.values()), sum(listing.settled for listing in listings)), known


def _recent(pattern: Pattern, now: datetime) -> tuple[str, ...] | None:
    return recent_prefixes(pattern, [(now - timedelta(days=days)).date() for days in _RECENT_DAYS])


def make_plan(
    client: Client,
    given: IngestFilesConfig,
    settings: Settings,
    environment: Mapping[str, str],
    now: datetime,
    *,
    as_if: Callable[[Schemas], Sequence[SchemaHappened]] = lambda _: (),
) -> Planned:
    """The plan of a request. ``now`` is ClickHouse's clock. ``as_if``: what would have happened to what is loaded.

    Raises:
        UserError: every violation, each on a line of its own; or it is not known which files there are. Nothing was
            touched.
    """
    ingestion = read_sources(settings).ingestion(given.ingestion)
    location, target = Location.of(ingestion, environment), require_attachable(client, ingestion.into, [])
    found = [] if given.dry_run else text_problems({name: getattr(given, name) for name in WHO}, required=WHO)
    if ingestion.status == "PAUSED":
        found.append(
            f"the ingestion {ingestion.name} is PAUSED: set its status to ACTIVE, or to DRAFT for runs by hand"
        )
    found += webhook_problems(given.webhook, settings.backfill_webhook_hosts)
    before, types = read_schemas(client, ingestion.name), writable(target)
    if (place := moved_from(before, ingestion)) and not given.is_moved:
        found.append(
            f"source_path is {ingestion.source_path}, and the files of {ingestion.name} that are known lie in {place}: "
            "what is called alike there would take the place of their rows. Give it a name of its own; or, if the "
            "files were moved, load once with is_moved: true"
        )
    problems = _column_problems(ingestion, types)
    if found or problems:
        raise refusal(WHAT, dict.fromkeys([*found, *problems]))
    who = given.requested_by or "nobody yet"

    def made(schemas: Schemas) -> tuple[SchemaHappened, ...]:
        return redeclared(schemas, ingestion, types, who)

    schemas = before.with_events(made(before))
    schemas = schemas.with_events(as_if(schemas))
    loads = schemas.loads(schemas.current)
    assert loads is not None, "what is declared is a version"
    listing, known = look(
        client, ingestion, location, schemas, now, seconds=settings.build_max_seconds,
        everything=given.listing is Scope.EVERYTHING, paths=given.paths,
    )  # fmt: skip
    decision = decide(
        listing.found,
        known,
        now,
        max_files=given.max_files or ingestion.max_files_per_run,
        max_bytes=given.max_bytes or ingestion.max_bytes_per_run,
        settles=location.is_directory,
        days=days_taken(ingestion),
        schema=schemas.standing,
        only=frozenset(given.paths) or None,
    ).with_settled(listing.settled)
    if lacking := sorted(set(given.paths) - {one.version.path for one in listing.found}):
        raise refusal(
            WHAT, [f"paths: {one[:200]!r} is none of {location.whom} that the pattern has" for one in lacking]
        )
    files = [
        PlannedFile(path=one.path, size=one.size, modified=one.modified, etag=one.etag)
        for one in (wanted.version for wanted in decision.wanted)
    ]
    plan = Plan(
        ingestion=ingestion.name, target=ingestion.into, format=ingestion.format, time_zone=ingestion.time_zone,
        schema_version=schemas.current, columns=planned_columns(loads, types), days=range_of(ingestion),
        later=len(decision.later), objects=listing.objects,
        groups=grouped(
            files, format_of(ingestion.format).group_bytes, bytes_a_second(client, ingestion.name),
            ingestion.cost_usd_per_gb,
        ),
        later_bytes=sum(one.version.size for one in decision.later), usd_per_gb=ingestion.cost_usd_per_gb,
        requested_by=given.requested_by or "nobody yet", reason=given.reason or "none yet",
        monitoring=Monitoring(webhook=given.webhook),
    )  # fmt: skip
    return Planned(
        plan, decision, location, tuple(one.version for one in listing.found), made,
        _discovered(decision, known, ingestion.name, schemas.current),
        progress_now(client, ingestion, decision) if range_of(ingestion) else None,
        tuple(f"NOTE     {one}" for one in (*notes_of(target), *_notes(listing))),
    )  # fmt: skip


def _notes(listing: Listing) -> list[str]:
    links, names = counted(listing.links, "symbolic link"), counted(listing.no_texts, "file")
    notes = [f"{links} passed over, for nothing tells their versions: put files there"] if listing.links else []
    if listing.no_texts:
        notes.append(f"{names} passed over, whose names are no UTF-8: rename them")
    return notes


def bytes_a_second(client: Client, ingestion: str) -> float:
    """How many bytes a second the runs of an ingestion have read, as they are stored; a guess before the first."""
    bound = {"kind": FILES, "event": str(Event.STEP_DONE), "ingestion": ingestion}
    size, seconds = Sql(PACKAGE, client).row("rate", bound)
    return size / seconds if size and seconds else BYTES_A_SECOND


def _discovered(decision: Decision, known: Mapping[str, Known], ingestion: str, schema: int) -> tuple[Happened, ...]:
    """What waits for another run and is not in the ledger as it lies there now."""
    versions = [one.version for one in decision.later]
    return tuple(
        Happened(one, FileEvent.DISCOVERED, one.load(ingestion, schema), schema)
        for one in versions
        if one.path not in known or not one.is_as(known[one.path].version)
    )


def progress_now(client: Client, ingestion: Ingestion, decision: Decision | None = None) -> RangeProgress:
    """How far the range of an ingestion is, with what was found of it just now."""
    schemas, ledger = read_schemas(client, ingestion.name), read_ledger(client, ingestion.name)
    for one in (*decision.wanted, *decision.later) if decision is not None else ():
        ledger[one.version.path] = Known(one.version, FileEvent.DISCOVERED, 0, EPOCH)
    return progress_of(ledger, days_taken(ingestion), schemas.standing)


def _column_problems(ingestion: Ingestion, target: Mapping[str, str]) -> list[str]:
    found = [problem for name in ingestion.columns for problem in target_problems(name, target)]
    for name, constant in ingestion.constants.items():
        found += target_problems(name, target) or constant_problems(name, constant, target[name])
    return found
