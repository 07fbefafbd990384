"""The oracle: what both tables must hold of a day, folded from the same events in plain Python.

Written from the meaning of the columns, with sets and sorted lists, and slow. It shares no code with the build.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from dags.domain.days import start_of
from dags.web_preaggregated.tables import MAX_SESSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from dags.tests.events import Event

PAGEVIEWS = ("$pageview", "$screen")
PLACE = ("country_code", "city_name", "region_code", "region_name")
SOURCE = ("referring_domain", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
SCREEN = ("browser", "os", "viewport_width", "viewport_height")

Key = tuple[Any, ...]


@dataclass
class Totals:
    """What one row's states come to."""

    persons: set[UUID] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    pageviews: int = 0
    bounces: int = 0
    seconds: int = 0
    session_count: int = 0

    def numbers(self) -> tuple[int, ...]:
        return (
            len(self.persons), len(self.sessions), self.pageviews, self.bounces, self.seconds, self.session_count,
        )  # fmt: skip


@dataclass(frozen=True)
class Session:
    """One session that begins on the day and has a page view or screen."""

    team_id: int
    session_id: str
    events: list[Event]

    @property
    def pageviews(self) -> list[Event]:
        return [event for event in self.events if event.event in PAGEVIEWS]

    @property
    def began(self) -> datetime:
        return self.events[0].timestamp

    @property
    def lasted(self) -> timedelta:
        return self.events[-1].timestamp - self.began

    @property
    def bounced(self) -> bool:
        autocaptured = any(event.event == "$autocapture" for event in self.events)
        return len(self.pageviews) == 1 and not autocaptured and self.lasted < timedelta(seconds=10)

    def first(self, column: str) -> str:
        """The column of the first event that has it."""
        return next((value for event in self.events if (value := getattr(event, column))), "")


def sessions_of(events: Iterable[Event], day: date) -> list[Session]:
    """The sessions of a day, each with its events in order."""
    begin, end = start_of(day) - MAX_SESSION, start_of(day) + 2 * MAX_SESSION
    newest: dict[tuple[int, UUID], Event] = {}
    for event in events:
        if begin <= event.timestamp < end:
            key = (event.team_id, event.uuid)
            rival = newest.get(key)
            if rival is None or (event.inserted_at, event.timestamp) > (rival.inserted_at, rival.timestamp):
                newest[key] = event
    grouped: dict[tuple[int, str], list[Event]] = defaultdict(list)
    for event in newest.values():
        if event.session_id:
            grouped[event.team_id, event.session_id].append(event)
    found = []
    for (team, name), members in grouped.items():
        session = Session(team, name, sorted(members, key=lambda e: (e.timestamp, e.uuid.int)))
        if session.began.date() == day and session.pageviews:
            found.append(session)
    return found


def fold(events: Iterable[Event], day: date, table: str) -> dict[Key, tuple[int, ...]]:
    """The rows of ``table``: dimensions → persons, sessions, page views, bounces, seconds, sessions counted."""
    rows: dict[Key, Totals] = defaultdict(Totals)
    for session in sessions_of(events, day):
        views = session.pageviews
        shown = views if table.endswith("stats") else views[:1]
        for view in shown:
            totals = rows[_key(session, view, with_path=table.endswith("stats"))]
            totals.sessions.add(session.session_id)
            if table.endswith("stats"):
                totals.persons.add(view.person_id)
                totals.pageviews += 1
            else:
                totals.persons |= {v.person_id for v in views}
                totals.pageviews += len(views)
                totals.bounces += session.bounced
                totals.seconds += int(session.lasted.total_seconds())
                totals.session_count += 1
    return {key: totals.numbers() for key, totals in rows.items()}


def _key(session: Session, view: Event, *, with_path: bool) -> Key:
    views = session.pageviews
    return (
        session.began.astimezone(UTC).replace(minute=0, second=0, microsecond=0),
        session.team_id,
        view.host,
        view.device_type,
        *([view.pathname] if with_path else []),
        views[0].pathname,
        views[-1].pathname,
        *(getattr(view, column) for column in SCREEN),
        *(session.first(column) for column in SOURCE),
        *(getattr(view, column) for column in PLACE),
        session.first("gclid") != "",
        session.first("gad_source") == "1",
        session.first("fbclid") != "",
    )


def stored(client: Client, table: str, day: date | None = None) -> Mapping[Key, tuple[int, ...]]:
    """What the table holds, merged and finalized, in the fold's shape; of all days when ``day`` is None."""
    is_stats = table.endswith("stats")
    path = "pathname, " if is_stats else ""
    more = "0, 0, 0" if is_stats else (
        "sumMerge(bounces_count_state), sumMerge(total_session_duration_state), sumMerge(total_session_count_state)"
    )  # fmt: skip
    keys = (
        f"period_bucket, team_id, host, device_type, {path}entry_pathname, end_pathname, browser, os, viewport_width, "
        "viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content, "
        "country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid"
    )
    where = "1" if day is None else f"toDate(period_bucket) = '{day}'"
    rows = client.query(
        f"SELECT {keys}, uniqMerge(persons_uniq_state), uniqMerge(sessions_uniq_state), "
        f"sumMerge(pageviews_count_state), {more} FROM {table} WHERE {where} GROUP BY {keys}"
    ).result_rows
    return {(_utc(row[0]), *row[1:-6]): tuple(row[-6:]) for row in rows}


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
