"""Readers during many swaps: they poll a day, and see what was there before a swap or after it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.publish.build import DayBuild
from dags.tests.builds import LIMITS, TABLES
from dags.tests.events import Event, at, insert
from dags.tests.faults.trial import DAY, Readers, measured
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from dags.tests.faults.server import Server

TEAMS = (1, 2, 3)


def swaps(server: Server, count: int) -> int:
    """Swap a day so often, each time with a session more; how often readers looked meanwhile.

    Raises:
        BrokenPromiseError: a reader saw something that was never there.
    """
    with open_client(Dsn.parse(server.dsn()), wait_seconds=30) as client:
        for table in ("events", "web_pre_aggregated_builds", *TABLES):
            client.command(f"TRUNCATE TABLE {table} SYNC")
        events: list[Event] = []

        def grow(number: int) -> None:
            start = at("2026-01-10 00:00:00") + timedelta(minutes=number)
            more = [Event(team, start, f"s{number}", pathname=f"/{number % 5}") for team in TEAMS]
            insert(client, more)
            events.extend(more)

        def build() -> None:
            # Every second time one team alone, so that its neighbours' rows are the old parts.
            teams = TEAMS if len(events) % 2 else TEAMS[:1]
            built = DayBuild(client, DAY, dict.fromkeys(TABLES, teams), "swaps", LIMITS, tables=WEB_TABLES).run()
            assert not built.problems

        grow(0)
        build()
        allowed = [measured(events, TEAMS)]
        seen = {team: allowed[0][team] for team in TEAMS}
        readers = Readers(server.dsn(), allowed)
        try:
            for number in range(1, count + 1):
                grow(number)
                now = measured(events, TEAMS)
                seen = {team: now[team] if len(events) % 2 or team in TEAMS[:1] else seen[team] for team in TEAMS}
                # Of the states so far only the last two are right at any moment.
                allowed[:] = [allowed[-1], dict(seen)]
                build()
        finally:
            looks = readers.end()
    readers.must_have_seen_old_or_new()
    return looks
