"""What is known of gaps in ClickHouse: events that are appended by whoever evaluates and may write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.grants import why_nothing_is_kept
from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.detection.gaps.rules import Gap, GapEvent, changes

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection
    from dags.detection.gaps.rules import Change

_PACKAGE = "dags.detection.gaps"

_COLUMNS = ("table_name", "day", "is_held", "event", "units", "reason", "opened_at")


def read_gaps(client: Client) -> tuple[Gap, ...]:
    """The gaps that are open."""
    rows = Sql(_PACKAGE, client).rows("open_gaps")
    return tuple(sorted(Gap(table, day, bool(held), since) for table, day, held, since in rows))


def with_gaps(client: Client, found: Detection) -> Detection:
    """A detection with the gaps that are open by it; those that it opens, and those that are over, are recorded.

    Who may not write, or cannot, is told so and knows of no older ones than now: gaps decide nothing.
    """
    if found.server_at is None:
        return found
    known = read_gaps(client)
    made = changes(known, found)
    places = {(one.table, one.day, one.is_held): one.event for one in made}
    still = [gap for gap in known if gap.place not in places]
    opened = [Gap(*place, found.server_at) for place, event in places.items() if event is GapEvent.OPENED]
    return replace(found, gaps=tuple(sorted([*still, *opened])), warnings=(*found.warnings, *_recorded(client, made)))


def _recorded(client: Client, made: tuple[Change, ...]) -> tuple[str, ...]:
    """Append events; in words, why they could not be, where nobody has said so already."""
    if not made or why_nothing_is_kept(client):
        return ()
    rows = [[one.table, one.day, one.is_held, str(one.event), one.units, one.reason, one.since] for one in made]
    try:
        append(client, "web_analytics_gaps", rows, _COLUMNS)
    except ClickHouseError as error:
        return (f"since when days are wrong cannot be kept, so gaps look younger than they are: {str(error)[:300]}",)
    return ()
