"""What the week is played on: a server, a PostgreSQL, an instance, two channels and a watch; and what declares them.

Importing the driver reads the settings, so these are made first.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
from dagster import DagsterInstance

from dags.tests.alerts.hosts import hearing
from dags.tests.faults.server import Server
from dags.tests.postgres_server import running_postgres
from dags.tests.week.clock import Clock
from dags.tests.week.script import BATCH_EVENTS, LOAD_CRON, ROWS_READ

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from datetime import datetime
    from pathlib import Path

    from dags.tests.week.driver import Driver

DECLARED = f"""
pipelines:
  - name: tenant-import
    dsn_env: TENANT_POSTGRES_DSN
    tables:
      - table: public.page_views
        key: id
        changed: updated_at
        schedule: "{LOAD_CRON}"
        into: events
        columns: {{team_id: tenant_id, uuid: event_id, timestamp: happened_at, session_id: session, pathname: path}}
        constants: {{event: $pageview}}
"""


def driver(stack: ExitStack, directory: Path, since: datetime, say: Callable[[str], None]) -> Driver:
    """All of it, in a directory; it is gone with the stack."""
    clock = Clock.of_this_process()
    clock.set(since)
    server = Server(directory / "clickhouse")
    stack.callback(server.stop)
    postgres = stack.enter_context(running_postgres(directory / "postgres")).dsn()
    channels = {name: stack.enter_context(hearing()) for name in ("a", "b")}
    watch = stack.enter_context(hearing())
    (directory / "sources.yaml").write_text(DECLARED)
    os.environ |= {
        "CLICKHOUSE_DSN": server.dsn(),
        "TENANT_POSTGRES_DSN": postgres,
        "WEB_ANALYTICS_SOURCES": str(directory / "sources.yaml"),
        "WEB_ANALYTICS_ALERT_URLS": " ".join(host.url() for host in channels.values()),
        "WEB_ANALYTICS_HEARTBEAT_URL": f"http://127.0.0.1:{watch.port}/",
        "WEB_ANALYTICS_BUILD_MAX_ROWS_READ": str(ROWS_READ),
        "WEB_ANALYTICS_BUILD_BATCH_EVENTS": str(BATCH_EVENTS),
        # So that single gaps repair themselves before anybody is called, as the README has it.
        "WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS": "24",
    }
    from dags.tests.postgres_backfill.tenants import TABLE, Tenant  # noqa: PLC0415 -- see above
    from dags.tests.week.daemon import PlayedDaemon  # noqa: PLC0415
    from dags.tests.week.driver import Driver  # noqa: PLC0415

    connection = stack.enter_context(psycopg.connect(postgres, autocommit=True))
    connection.execute(TABLE)
    (directory / "home").mkdir()
    instance = stack.enter_context(DagsterInstance.local_temp(str(directory / "home")))
    return Driver(clock, server, Tenant(postgres, connection), channels, watch, PlayedDaemon(instance), say)
