"""Reads from ClickHouse how builds, gaps and cost have been: the views of the schema."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.answers import Answers
from dags.clickhouse.sql import Sql, is_embedded
from dags.domain.errors import UserError
from dags.domain.text import of_error
from dags.domain.units import EPOCH
from dags.metrics.recent import RECENT_DAYS, WEEKS_SHOWN, Build, Builds, Gaps, Recent, of_builds
from dags.metrics.weeks import RunStatements, Statements, Took, Weeks, mondays

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.metrics"

# What `read_builds` reads: as long as none of it has changed, neither has its answer.
READ_OF_BUILDS = ("web_pre_aggregated_builds", "web_analytics_backfill_events")

# So many runs are named: as many as one looks into. All ticks together are one.
MOST_RUNS = 5

# The log of a busy server is large. Past this what statements cost is unknown, and all else is known.
LOG_SECONDS = 60


def read_recent(
    client: Client, now: datetime, *, has_gaps: bool = True, answers: Answers | None = None
) -> Recent | None:
    """How repairs have gone in the last `RECENT_DAYS` before ``now``, ClickHouse's clock; None if it does not say.

    ``has_gaps``: whether any was open in these days, as far as the caller knows. Where none was, nobody need ask.
    Nothing is judged by it, so that it cannot be read is no reason to know nothing else.
    """
    try:
        sql = Sql(_PACKAGE, client)
        recently = {"since": now - timedelta(days=RECENT_DAYS)}
        rows = sql.rows("recent_gaps", recently) if has_gaps else ()
        gaps = {table: Gaps(*facts) for table, *facts in rows}
        return replace(read_builds(sql, now, answers), gaps=gaps)
    except ClickHouseError:
        return None


def read_builds(sql: Sql, now: datetime, answers: Answers | None = None) -> Recent:
    """Of builds alone.

    Most weeks are told by one reading of the ledger. How each unit was left in the end is asked of the others alone:
    that takes three times as long, and each evaluation asks.

    Raises:
        ClickHouseError: it could not be read.
    """
    mine, answers = Sql.of(sql, _PACKAGE), answers or Answers()
    once = answers.rows(mine, "builds_once", {"since": mondays(now.date(), WEEKS_SHOWN)[0]}, READ_OF_BUILDS)
    inexact = sorted({week for week, *_, is_inexact in once if is_inexact})
    rows = [row[:-1] for row in once if row[0] not in inexact]
    if inexact:
        rows += answers.rows(mine, "builds_of_late", {"weeks": inexact}, READ_OF_BUILDS)
    return of_builds((Build(*row) for row in sorted(rows, key=itemgetter(0, 1))), now - timedelta(days=RECENT_DAYS))


def read_weeks(client: Client, today: date, weeks: int, watched: Iterable[str], *, kept: timedelta) -> Weeks:
    """So many weeks up to today; ``watched`` are the tables that are shown though nothing has happened to them, and
    ``kept`` is how long history is.
    """
    sql, days = Sql(_PACKAGE, client), mondays(today, weeks)
    since = {"since": days[0]}
    builds = {(week, table): Builds(*counts) for week, table, *counts in sql.rows("builds_by_week", since)}
    gaps = {(week, table): Gaps(*facts) for week, table, *facts in sql.rows("gaps_by_week", since)}
    gaps_since, causes_since, log_since = sql.row("known_since")
    statements: dict[date, Statements] = {}
    runs: list[RunStatements] = []
    no_log = "the embedded engine keeps no log of its statements" if is_embedded(client) else ""
    if not no_log and log_since == EPOCH.date():
        no_log = (
            "system.query_log of this server is empty, not there, or not this user's to read: log_queries and query_log"
            " turn it on, GRANT SELECT ON system.query_log lets it be read"
        )
    if not no_log:
        try:
            log = Sql.of(sql, _PACKAGE, {"max_execution_time": LOG_SECONDS})
            statements = {week: Statements(*facts) for week, *facts in log.rows("statements_by_week", since)}
            rows = log.rows("statements_by_run", {**since, "most": MOST_RUNS})
            runs = [RunStatements(*row) for row in rows]
        except (ClickHouseError, UserError) as error:
            no_log = of_error(error, 300)
    return Weeks(
        mondays=days,
        tables=sorted({*watched, *(table for _, table in [*builds, *gaps])}),
        builds=builds,
        gaps=gaps,
        took={week: Took(*facts) for week, *facts in sql.rows("costs_by_week", since)},
        gaps_since=gaps_since,
        causes_since=causes_since,
        kept_since=today - kept,
        statements=statements,
        runs=runs,
        log_since=None if no_log else log_since,
        no_log=no_log,
    )
