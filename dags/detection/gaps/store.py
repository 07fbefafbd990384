"""What is known of gaps in ClickHouse: events that are appended by whoever evaluates and may write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.grants import why_nothing_is_kept
from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.detection.gaps.rules import ClosedBy, Gap, GapEvent, changes, with_builds
from dags.domain.units import EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection
    from dags.detection.gaps.rules import Change, Place

_PACKAGE = "dags.detection.gaps"

_COLUMNS = ("table_name", "day", "is_held", "event", "units", "reason", "opened_at", "waived", "closed_by")


@dataclass(frozen=True)
class KnownGaps:
    """The gaps that are open; and when those that are over were, of the last days."""

    open: tuple[Gap, ...]
    over: Mapping[Place, datetime]


def read_gaps(client: Client) -> tuple[Gap, ...]:
    """The gaps that are open."""
    return read_known(client).open


def read_known(client: Client, over_days: int = 1) -> KnownGaps:
    """What is known of gaps, before it is looked whether that is so still.

    ``over_days``: of the gaps that were over in so many days that is known too. A day is longer than anybody looks.
    """
    gaps: list[Gap] = []
    over: dict[Place, datetime] = {}
    for table, day, held, since, waived, over_at in Sql(_PACKAGE, client).rows("open_gaps", {"days": over_days}):
        if since > EPOCH:
            gaps.append(Gap(table, day, bool(held), since, waived))
        else:
            over[table, day, bool(held)] = over_at
    return KnownGaps(tuple(sorted(gaps)), over)


def with_gaps(client: Client, found: Detection, known: KnownGaps) -> Detection:
    """A detection with the gaps that are open by it; those that it opens, and those that are over, are recorded.

    ``known``: see `read_known`. Who may not write, or cannot, is told so and knows of no older ones than now: gaps
    decide nothing.
    """
    if found.server_at is None:
        return found
    made = changes(known.open, found, {place for place, at in known.over.items() if at > found.server_at})
    places = {one.place: one for one in made}
    still = [gap for gap in known.open if gap.place not in places]
    opened = [Gap(*place, found.server_at, one.waived) for place, one in places.items() if one.event is GapEvent.OPENED]
    return replace(found, gaps=tuple(sorted([*still, *opened])), warnings=(*found.warnings, *_recorded(client, made)))


def _recorded(client: Client, made: tuple[Change, ...]) -> tuple[str, ...]:
    """Append events; in words, why they could not be, where nobody has said so already."""
    if not made or why_nothing_is_kept(client):
        return ()
    try:
        rows = [
            [*one.place, str(one.event), one.units, one.reason, one.since, one.waived, str(one.closed_by or "")]
            for one in with_builds(made, _last_built(client, made))
        ]
        append(client, "web_analytics_gaps", rows, _COLUMNS)
    except ClickHouseError as error:
        return (f"since when days are wrong cannot be kept, so gaps look younger than they are: {str(error)[:300]}",)
    return ()


def _last_built(client: Client, made: tuple[Change, ...]) -> dict[tuple[str, date], datetime]:
    """When each day that has closed was built last: read while the ledger has it for certain."""
    closed = [one for one in made if one.closed_by is ClosedBy.OTHER]
    if not closed:
        return {}
    bound = {"tables": sorted({one.table for one in closed}), "days": sorted({one.day for one in closed})}
    return {(table, day): built_at for table, day, built_at in Sql(_PACKAGE, client).rows("last_built", bound)}
