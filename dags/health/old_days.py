"""Days that loads brought and that lie before the look-back: no detection judges them by itself, and nothing repairs
them, so they are looked at here for as long as somebody may not have seen it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.errors import UnreadableError
from dags.file_ingestion.kind import FILE_INGESTION
from dags.health.facts import OldDays
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.web_preaggregated_backfill.catalog import detected

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.detection.verdicts import Alike
    from dags.domain.watched import WatchedTable
    from dags.work.audit.store import Row

# Of loads that ended longer ago somebody has seen what became of them.
LOADED_WITHIN = timedelta(days=90)

_PACKAGE = "dags.health"

_LOADS = {kind.name for kind in (FILE_INGESTION, POSTGRES_BACKFILL)}


def read_old_days(
    client: Client, watched: tuple[WatchedTable, ...], works: Iterable[Row], before: date, now: datetime
) -> tuple[OldDays, ...]:
    """What is wrong on such days, by table; ``before``: the first day that is judged anyway. Nothing is asked where no
    load was of late.

    Raises:
        UnreadableError: a table could not be read, so nothing is known of its days.
    """
    loads = [
        row.work_id
        for row in works
        if row.work.kind in _LOADS and (row.completed_at is None or now - row.completed_at < LOADED_WITHIN)
    ]
    asked = {"works": loads, "before": before}
    brought = dict(Sql(_PACKAGE, client).rows("brought", asked)) if loads else {}
    if not brought:
        return ()
    found = detected(client, watched, {(table.name, day) for table in watched for day in brought})
    if found.unknown:
        raise UnreadableError("; ".join(f"{table}: {error}" for table, error in sorted(found.unknown.items())))
    wrong: dict[str, list[Alike]] = defaultdict(list)
    for one in found.verdicts.groups:
        if one.is_wrong and one.day in brought:
            wrong[one.table].append(one)
    return tuple(
        OldDays(
            table,
            days=tuple(sorted({one.day for one in groups})),
            units=sum(map(len, groups)),
            held=sum(len(one) for one in groups if one.awaits_permission),
            teams=tuple(sorted({team for one in groups for team in one.teams})),
            reason=max(groups, key=len).reason,
            since=min(brought[one.day] for one in groups),
        )
        for table, groups in sorted(wrong.items())
    )
