"""Writes traffic into ``events``: the only module here that speaks to the engine.

``events`` is partitioned by day and an insert may by default touch 100 partitions only, so every insert lifts
that limit: a log of a year would fail otherwise. ``inserted_at`` is left to the table. Loading the same
traffic again adds rows with the same uuids, which readers take for the same events; that is also how to go on
after a failure.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from clickhouse_connect.driver.client import Client

from dags.demo.traffic.generate import Traffic, generate
from dags.demo.traffic.reading import Site
from dags.demo.traffic.report import LoadReport
from dags.demo.traffic.sessions import Event, events

if TYPE_CHECKING:
    from datetime import date

# Rows an insert: large enough for few ClickHouse parts, small enough (some 50 MB of Python) to forget about.
BATCH_ROWS = 50_000

# 0 means without limit, see above.
INSERT_SETTINGS = {"max_partitions_per_insert_block": 0}


def load_sites(
    client: Client,
    sites: Iterable[Site],
    *,
    first_team_id: int = 1,
    progress: Callable[[str], None] = lambda _message: None,
) -> list[LoadReport]:
    """Load the sites of access logs, each as one team, numbered from ``first_team_id``; a report for each of them.

    ``progress`` gets a line of text after each site.
    """
    reports: list[LoadReport] = []
    for team_id, site in enumerate(sites, start=first_team_id):
        events_by_day: Counter[date] = Counter()
        for batch in _batches(events(site.page_views, team_id, site.own_domain)):
            client.insert("events", batch, column_names=Event._fields, settings=INSERT_SETTINGS)
            events_by_day.update(event.timestamp.date() for event in batch)
        reports.append(replace(site.report, team_id=team_id, events_by_day=dict(events_by_day)))
        progress(f"team {team_id}: {reports[-1].events:,} events of {reports[-1].lines:,} lines loaded")
    return reports


def load_generated(
    client: Client, traffic: Traffic, progress: Callable[[str], None] = lambda _message: None
) -> list[LoadReport]:
    """Load generated traffic; give one report for each site, in their order.

    One batch is in memory at a time. ``progress`` gets a line of text whenever a batch is written.
    """
    events_by_day: dict[int, Counter[date]] = {site.team_id: Counter() for site in traffic.sites}
    loaded = 0
    for frame in generate(traffic):
        client.insert_df("events", frame, settings=INSERT_SETTINGS)
        for team_id, day in zip(frame["team_id"].tolist(), frame["timestamp"].dt.date, strict=True):
            events_by_day[team_id][day] += 1
        loaded += len(frame)
        progress(f"{loaded:,} events generated and loaded, up to {frame['timestamp'].max():%Y-%m-%d %H:%M}")
    source = f"generated, seed {traffic.seed}"
    return [LoadReport(team_id, source, dict(by_day)) for team_id, by_day in events_by_day.items()]


def _batches(rows: Iterator[Event]) -> Iterator[list[Event]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
