"""What builds of plain traffic leave, written in a few statements: for tests to which a build is what came before.

A build is some hundred statements; to write what it leaves takes two for each table, however many days it is of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from clickhouse_connect.driver.client import Client

_SESSIONS = """
    SELECT
        team_id, session_id, pathname, person_id, timestamp,
        min(timestamp) OVER session AS began,
        max(timestamp) OVER session AS ended,
        count() OVER session AS views,
        first_value(pathname) OVER session AS entry,
        last_value(pathname) OVER session AS left_at
    FROM events WHERE team_id IN {teams:Array(UInt64)}
    WINDOW session AS (PARTITION BY team_id, session_id, toDate(timestamp) ORDER BY timestamp, uuid
                       ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
"""
_STATS = f"""
INSERT INTO web_pre_aggregated_stats (period_bucket, team_id, pathname, entry_pathname, end_pathname,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state)
SELECT toStartOfHour(began), team_id, pathname, entry, left_at,
    uniqState(person_id), uniqState(session_id), sumState(toUInt64(1))
FROM ({_SESSIONS}) WHERE toDate(began) IN {{days:Array(Date)}}
GROUP BY ALL SETTINGS max_partitions_per_insert_block = 1000
"""
_BOUNCES = f"""
INSERT INTO web_pre_aggregated_bounces (period_bucket, team_id, entry_pathname, end_pathname,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state,
    bounces_count_state, total_session_duration_state, total_session_count_state)
SELECT toStartOfHour(began), team_id, entry, left_at,
    uniqState(person_id), uniqState(session_id), sumState(toUInt64(1)),
    sumState(toUInt64(views = 1)),
    sumState(if(timestamp = began, dateDiff('second', began, ended), 0)),
    sumState(toUInt64(timestamp = began))
FROM ({_SESSIONS}) WHERE toDate(began) IN {{days:Array(Date)}}
GROUP BY ALL SETTINGS max_partitions_per_insert_block = 1000
"""
_LEDGER = """
INSERT INTO web_pre_aggregated_builds (table_name, day, team_id, run_id, logic_version, outcome,
    source_events, source_qualifying, source_newest, sessions, pageviews, started_at)
SELECT {table:String}, day, team_id, {run_id:String}, {logic_version:UInt32}, 'built',
    near.events, near.qualifying, near.newest, held.sessions, held.pageviews, now64(6, 'UTC')
FROM (
    SELECT toDate(period_bucket) AS day, team_id,
        uniqMerge(sessions_uniq_state) AS sessions, sumMerge(pageviews_count_state) AS pageviews
    FROM {table:Identifier} WHERE day IN {days:Array(Date)} AND team_id IN {teams:Array(UInt64)} GROUP BY day, team_id
) AS held
JOIN (
    SELECT toDate(timestamp) + arrayJoin([-1, 0, 1]) AS day, team_id,
        count() AS events, sum(qualifies) AS qualifying, max(inserted_at) AS newest
    FROM events GROUP BY day, team_id
) AS near USING (day, team_id)
"""


def as_built(client: Client, *teams: int, days: Collection[date], run_id: str = "by-hand") -> None:
    """The rows and the records of builds of these days, which had none.

    For sessions within a day, of page views that differ in path and person, with nothing delivered twice.
    """
    bound = {"teams": list(teams), "days": list(days), "run_id": run_id}
    for statement in (_STATS, _BOUNCES):
        client.command(statement, parameters=bound)
    for table in WEB_TABLES:
        client.command(_LEDGER, parameters={**bound, "table": table.name, "logic_version": table.logic_version})
