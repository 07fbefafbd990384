"""Takes the rows of files out of the target again, so that they count as not loaded; other rows are not touched."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from dags.clickhouse.leases.store import Leases
from dags.domain.batched import batched
from dags.domain.errors import UserError
from dags.domain.given_text import text_problems
from dags.domain.text import table_text
from dags.file_ingestion.claims import Claims, require_all
from dags.file_ingestion.patterns import compiled, day_of
from dags.file_ingestion.store import Happened, read_known, read_ledger, record
from dags.file_ingestion.versions import FileEvent
from dags.sources.loads.attaching import withdraw
from dags.work.request import WHO, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.fields import ClearFilesConfig
    from dags.file_ingestion.versions import Known
    from dags.sources.ingestions import Ingestion

WHAT = "clearing files"

# The rows of so many are taken out by one statement a day.
AT_ONCE = 500


def files_to_clear(client: Client, given: ClearFilesConfig, ingestion: Ingestion) -> dict[str, Known]:
    """The files that are chosen, of those that are known and not cleared yet.

    Raises:
        UserError: every violation at once. Nothing was touched.
    """
    found = [] if given.dry_run else text_problems({name: getattr(given, name) for name in WHO}, required=WHO)
    first, last = _days(given, found)
    try:
        pattern = compiled(given.pattern) if given.pattern else None
    except UserError as error:
        found.append(f"{error}. It is of whole paths below the root: **/*late* for a part of a name")
    if not (given.paths or given.pattern or given.first_day or given.last_day):
        found.append("nothing says which files: give paths, pattern, first_day or last_day")
    if found:
        raise refusal(WHAT, found)
    known = {
        path: one for path, one in read_ledger(client, ingestion.name).items() if one.event is not FileEvent.CLEARED
    }
    if lacking := sorted(set(given.paths) - known.keys()):
        raise refusal(WHAT, [f"paths: {one[:200]!r} is no file that {ingestion.name} has loaded" for one in lacking])

    def is_chosen(path: str) -> bool:
        if given.paths and path not in given.paths:
            return False
        if pattern is not None and not pattern.matches(path):
            return False
        if first is None and last is None:
            return True
        day = day_of(path)
        return day is not None and (first is None or day >= first) and (last is None or day <= last)

    return {path: one for path, one in known.items() if is_chosen(path)}


def _days(given: ClearFilesConfig, found: list[str]) -> tuple[date | None, date | None]:
    """The first and the last day that are given; what is wrong with them is added to what was found."""
    days: list[date | None] = []
    for name in ("first_day", "last_day"):
        text = getattr(given, name)
        try:
            days.append(date.fromisoformat(text) if text else None)
        except ValueError:
            days.append(None)
            found.append(f"{name} is {text[:20]!r}: give a day, such as 2026-01-31")
    first, last = days
    if first is not None and last is not None and first > last:
        found.append("first_day is after last_day: give the first day first, which may be the last one too")
    return first, last


def clear(
    client: Client,
    ingestion: Ingestion,
    paths: Sequence[str],
    run_id: str,
    tell: Callable[[str], None],
    *,
    left_out_under: int | None = None,
) -> int:
    """Take the rows of files out, and say so in the ledger; how many those were.

    They count as not loaded from then on; or as left out, under this version of the schema.

    Raises:
        LeaseError: a run has some of them in work. Nothing was touched.
    """
    with Leases(client, run_id, wait_seconds=0, tell=tell) as leases:
        claims, taken = Claims(client, leases, ingestion.name, tell), 0
        require_all(claims, paths)
        known = read_known(client, ingestion.name, paths)  # again, now that nobody else has them
        for some in batched(paths, AT_ONCE):
            part = [known[path] for path in some]
            older = [(one, load) for one in part for load in one.loads if load != one.load]
            # What breaks off from here on may be there in part, and is loaded again. What is newest is said last.
            for begun in (older, [(one, one.load) for one in part]):
                clearing = [Happened(one.version, FileEvent.CLEARING, load, one.schema) for one, load in begun]
                record(client, ingestion.name, run_id, clearing, claims.confirm)
            loads = [*(one.load for one in part), *(load for _, load in older)]
            taken += sum(withdraw(client, ingestion.into, loads, claims.condition).values())
            gone = [Happened(one.version, FileEvent.REPLACED, load, one.schema) for one, load in older]
            event = FileEvent.CLEARED if left_out_under is None else FileEvent.REMOVED
            out = [Happened(one.version, event, one.load, left_out_under or one.schema) for one in part]
            record(client, ingestion.name, run_id, [*gone, *out], claims.confirm)
    return taken


def clearing_text(chosen: Mapping[str, Known]) -> str:
    """Which files' rows are taken out."""
    shown = [(path[-70:], str(one.event)) for path, one in sorted(chosen.items())[:20]]
    more = f"\n… and {len(chosen) - len(shown):,} more" if len(chosen) > len(shown) else ""
    return (table_text(shown, ("file", "state")) if shown else "No file is chosen.") + more
