"""The two pre-aggregated tables, declared for everything that watches, builds or reports on them.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from datetime import date, timedelta

from dags.domain.days import ONE_DAY
from dags.domain.expression import Expression
from dags.domain.watched import Column, Source, WatchedTable
from dags.web_preaggregated.builder import SessionsBuilder
from dags.web_preaggregated.columns import BOUNCES_COLUMNS, STATS_COLUMNS

# The first day of the partitions set: part of the contract of the two assets.
FIRST_DAY = date(2024, 1, 1)

# Sessions last at most this long (the trackers' own limit), so a session that starts on a day has ended a day later.
MAX_SESSION = timedelta(hours=24)

JOB = "web_pre_aggregate_job"
OP = "web_pre_aggregated"

# Stamped on every build. Raise it with every change of what a build computes.
LOGIC_VERSION = 1

EVENTS = Source(
    table="events",
    day=Expression("toDate(timestamp)"),
    expected=Expression("sum(qualifies)"),
    newest=Expression("max(inserted_at)"),
    counts=("dags.web_preaggregated", "unit_sources"),
    # A session may begin a day before its page views and end a day after.
    reach_days=MAX_SESSION // ONE_DAY,
    tells_rows=True,
)


def _declared(name: str, *, agrees_with: str, description: str, columns: tuple[Column, ...]) -> WatchedTable:
    return WatchedTable(
        name,
        EVENTS,
        JOB,
        FIRST_DAY,
        day=Expression("toDate(period_bucket)"),
        distinct=Expression("uniqMerge(sessions_uniq_state)"),
        total=Expression("sumMerge(pageviews_count_state)"),
        words=("sessions", "page views"),
        row_distinct=Expression("finalizeAggregation(sessions_uniq_state)"),
        row_total=Expression("finalizeAggregation(pageviews_count_state)"),
        logic_version=LOGIC_VERSION,
        builder=SessionsBuilder(OP),
        agrees_with=(agrees_with,),
        description=description,
        columns=columns,
    )


STATS = _declared(
    "web_pre_aggregated_stats",
    agrees_with="web_pre_aggregated_bounces",
    description="Page views by hour and every dimension of the page view, a day a partition.",
    columns=STATS_COLUMNS,
)
BOUNCES = _declared(
    "web_pre_aggregated_bounces",
    agrees_with="web_pre_aggregated_stats",
    description="Sessions, bounces and durations by hour and dimension, a day a partition.",
    columns=BOUNCES_COLUMNS,
)

WEB_TABLES = (STATS, BOUNCES)
