"""Compares a sample of teams with their raw events, computed once more: what readers see, and not what is recorded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.detection.store import detect
from dags.domain.errors import LeaseError
from dags.health.sampling import days_in_turn, teams_of
from dags.publish.batches import build_limits
from dags.publish.contents import read_source
from dags.publish.recompute import Recomputed, recompute
from dags.team_selection.store import read_selection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.health.sampling import Unequal
    from dags.settings import Settings

_log = logging.getLogger(__name__)

# So many days are tried, one after the other, while others build them.
DAYS_TRIED = 3


@dataclass(frozen=True)
class Sample:
    """What was compared, by table; no day where there is none yet that is closed and complete."""

    day: date | None
    by_table: Mapping[str, Recomputed]

    @classmethod
    def of_shards(cls, samples: Sequence[Sample]) -> Sample:
        """What was compared on several shards as one: of the day of the first on which something differs, else of the
        first that was compared. What another compared of another day is told in its turn.
        """
        compared = [one for one in samples if one.day is not None]
        unequal = [one for one in compared if any(found.unequal for found in one.by_table.values())]
        day = next((one.day for one in [*unequal, *compared]), None)
        of_day = [one.by_table for one in compared if one.day == day]
        return cls(
            day,
            {
                table: Recomputed.of_all(some[table] for some in of_day if table in some)
                for table in dict.fromkeys(table for some in of_day for table in some)
            },
        )


def compare_sample(
    client: Client,
    tables: Sequence[WatchedTable],
    settings: Settings,
    *,
    run_id: str,
    now: datetime,
    last: Unequal | None,
) -> Sample:
    """Compare this hour's sample, of tables that share a source.

    Raises:
        LeaseError: each day that was tried is being built.
        UserError: it could not be read or computed, so nothing is known.
        ClickHouseError: likewise.
    """
    found = detect(client, now, tables, lookback_days=settings.backfill_lookback_days, settle=settings.settle)
    days, busy = days_in_turn(found, tables, now, last), LeaseError("no day was tried")
    if not days or found.server_at is None:
        return Sample(None, {})
    sql, enabled = Sql("dags.publish", client), sorted(read_selection(client).teams)
    for day in days[:DAYS_TRIED]:
        rows = read_source(sql, tables[0].source, day, enabled)
        teams = teams_of([team for team, one in rows.items() if one.own_events], day, found, now, last)
        try:
            recomputed = recompute(
                client,
                day,
                tables,
                teams,
                run_id=run_id,
                limits=build_limits(settings),
                unchanged_since=found.server_at,
                tell=_log.info,
            )
        except LeaseError as error:
            busy = error
        else:
            return Sample(day, recomputed)
    raise busy
