"""What is the matter by all that ClickHouse tells but its data, as `health_job` has it, without a whole job."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.clocks import read_clocks
from dags.health.facts import Facts
from dags.health.judging import judge
from dags.health.store import read_sections
from dags.sources.declaration import Sources
from dags.tests.health.known import TARGETS
from dags.tests.world import BOUNCES, STATS
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.health.causes import Cause

TABLES = (STATS, BOUNCES)


def matters(
    client: Client, sources: Sources | None = None, *, later: timedelta = timedelta(0), judged_from: date | None = None
) -> dict[str, Cause]:
    """The causes by their keys, where a daemon lives; as they will be so much later if nothing happens until then."""
    now = read_clocks(client).server
    then = now + later
    old = (WEB_TABLES, judged_from) if judged_from is not None else None
    found = read_sections(client, TABLES, sources or Sources(), triggers=(), server_at=now, kept_days=7, old=old)
    facts = Facts(then, TABLES, server_at=then, daemon_at=then, **found)
    return {cause.key: cause for cause in judge(facts, TARGETS, ()).causes}
