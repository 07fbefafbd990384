"""The traffic of the week: what each team's visitors do in an hour, the same in each run.

Pure but for the serial numbers of events.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dags.tests.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

# In an hour each team has so many sessions of so many page views.
SESSIONS, VIEWS = 2, 2


def of_hour(teams: Iterable[int], hour: datetime, arrives: datetime, name: str = "s") -> list[Event]:
    """What teams' visitors do in the hour that begins then, and when that arrives."""
    return [
        Event(
            team,
            hour + timedelta(minutes=20 * session + view),
            f"{name}-{hour:%d%H}-{session}",
            pathname=f"/{view}",
            inserted_at=arrives,
        )
        for team in teams
        for session in range(SESSIONS)
        for view in range(VIEWS)
    ]


def of_tenant(tenant: int, hour: datetime) -> list[tuple[int, datetime, str]]:
    """The same as the application of a tenant keeps it: tenant, time, session."""
    return [(tenant, one.timestamp, one.session_id) for one in of_hour((tenant,), hour, hour)]
