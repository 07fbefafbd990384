"""Events to measure with: generated traffic, multiplied inside ClickHouse where much is needed.

The days before and after hold little traffic unless asked for more, so that a figure per event is one per event of the
day; they are there for the sessions across midnight.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.demo.traffic.generate import Traffic, generate, sites
from dags.demo.traffic.load import INSERT_SETTINGS

if TYPE_CHECKING:
    from datetime import date

    from clickhouse_connect.driver.client import Client

SEED = 20260102

# Generated at 0.6 M events a second and inserted at 0.2 M; copies are made in the engine at 1 M (measured, 2 cores).
GENERATED_AT_MOST = 1_000_000

# Share of a day's sessions that its neighbours have, where nobody asks for more.
FEW = 0.03


def load_day(client: Client, day: date, teams: int, events: int, neighbours: float = FEW) -> int:
    """Fill ``events`` with about as many of one day, of teams of Zipf sizes; how many they are.

    ``neighbours``: the share of the day's sessions that the day before and the day after have, each.
    Some arrive twice at once, some once more later and with another path: the later one counts.
    """
    copies = max(1, round(events / GENERATED_AT_MOST))
    for start, share in ((day - timedelta(days=1), neighbours), (day, 1.0), (day + timedelta(days=1), neighbours)):
        end = day + timedelta(days=2)
        for frame in generate(Traffic(sites(teams, events / copies * share), start, end, SEED)):
            if frame["timestamp"].min().date() > start:
                break
            client.insert_df("events", frame, settings=INSERT_SETTINGS)
    sql = Sql("dags.bench", client)
    if copies > 1:
        sql.command("copy_events", {"copies": copies})
    sql.command("repeat_events")
    # One part a day, as it is some hours later, and no merge in the background of what is measured.
    client.command("OPTIMIZE TABLE events FINAL")
    [(count,)] = sql.rows("count_events", {"day": day})
    return int(count)
