"""Events as tests write them: a few words for what matters, defaults for the rest."""

from __future__ import annotations

import uuid as uuids
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

_serial = count(1)


def at(text: str) -> datetime:
    """An instant, ``2026-01-02 10:00:00``, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def person(number: int) -> uuids.UUID:
    return uuids.UUID(int=number)


@dataclass(frozen=True)
class Event:
    """One row of ``events``."""

    team_id: int
    timestamp: datetime
    session_id: str = "s"
    event: str = "$pageview"
    uuid: uuids.UUID = field(default_factory=lambda: uuids.UUID(int=next(_serial)))
    inserted_at: datetime = at("2026-01-01 00:00:00")
    person_id: uuids.UUID = person(1)
    distinct_id: str = ""
    host: str = ""
    pathname: str = "/"
    referring_domain: str = ""
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_term: str = ""
    utm_content: str = ""
    browser: str = ""
    os: str = ""
    device_type: str = ""
    viewport_width: int = 0
    viewport_height: int = 0
    country_code: str = ""
    city_name: str = ""
    region_code: str = ""
    region_name: str = ""
    gclid: str = ""
    gad_source: str = ""
    fbclid: str = ""


def insert(client: Client, events: Iterable[Event]) -> None:
    """Deliver events, as any source would."""
    rows = [list(asdict(event).values()) for event in events]
    if rows:
        client.insert(
            "events",
            rows,
            column_names=[f.name for f in fields(Event)],
            settings={"max_partitions_per_insert_block": 10_000},
        )
