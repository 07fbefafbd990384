"""The story of late data from PostgreSQL and files, on the engine, instance and declaration of the environment."""

from __future__ import annotations

import io
import os
import sys
import time
import traceback
from contextlib import redirect_stdout
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import DagsterInstance, Failure

from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.clickhouse.words import driver_error_in_words
from dags.demo.console import progress, step
from dags.demo.loop import Loop, enable, forget_demo_runs
from dags.demo.sources import history, partner
from dags.demo.sources.__main__ import POSTGRES_DSN
from dags.demo.traffic.generate import Site, Traffic, sites
from dags.demo.traffic.load import load_generated
from dags.domain import clock
from dags.domain.days import DayRange
from dags.domain.errors import UserError
from dags.domain.text import counted, table_text
from dags.settings import current_settings
from dags.web_preaggregated.tables import STATS, WEB_TABLES

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import TextIO

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn
    from dags.demo.loop import Tick

SEED = 20240102
DAYS, TEAMS, EVENTS_PER_DAY = 5, 3, 3_000
# The tenant that moves in, and another one whose rows lie in the same table and stay there.
TENANT, OTHER_TENANT, SESSIONS_PER_DAY = 4, 5, 3_000
# The team whose traffic a partner sends as files.
PARTNER = 6
LATE = 500


def main() -> None:
    try:
        sys.exit(story(time.monotonic()))
    except (UserError, Failure) as error:
        sys.exit(f"\n{error}")
    except ClickHouseError as error:
        sys.exit(f"\n{driver_error_in_words(''.join(traceback.format_exception_only(error)))}")


def story(began: float) -> int:
    """Tell it; answers with the exit code: 0 where all ends complete."""
    today = clock.utc_now().date()
    days = DayRange(today - timedelta(days=DAYS), today)
    source = os.environ[POSTGRES_DSN]
    with _emptied(current_settings().clickhouse_dsn) as client, DagsterInstance.get() as instance:
        loop = Loop(instance)
        _forget(instance)
        _world(client, loop, days, source)
        step("3", "postgres_backfill_job shows what it would do, and writes nothing\n")
        _load(loop, dry_run=True)
        step("4", "the same with dry_run: false\n")
        with redirect_stdout(_AfterThePlan(sys.stdout)):
            loaded = _load(loop)
        step("5", "check_missing_data_job says\n")
        missing = loop.missing_data()["wrong_units"]
        before = _seen(client)
        step("6", "the sensor's tick, and what dashboards read")
        _carry_out(loop, loop.tick())
        print(f"\nBEFORE\n{before}\nAFTER\n{_seen(client)}")
        step(
            "7",
            f"{LATE} rows come later still: the same once more brings these alone, the 02:00 check repairs the day\n",
        )
        late = Traffic((Site(TENANT, SESSIONS_PER_DAY),), today - timedelta(days=2), today, SEED + 1)
        history.write(source, late, at_most=LATE)
        with redirect_stdout(_AfterThePlan(sys.stdout)):
            brought = _load(loop)
        _carry_out(loop, loop.check())
        _files(client, loop, days)
        step("11", "show_postgres_backfills_job, show_files_job and check_missing_data_job say\n")
        loop.run("show_postgres_backfills_job")
        loop.run("show_files_job", run_config={"ingestion": "partner-logs"})
        after = _in_a_line(loop)
    is_complete = after["wrong_units"] == 0 and not after["unknown"]
    print(
        f"\n{'Complete' if is_complete else 'NOT COMPLETE'}. {loaded['count_record']:,} rows were loaded, {missing} "
        f"(table, team, day) were missing then, all repaired; of what\ncame later {brought['count_record']:,} rows "
        f"were read, and no other; in {time.monotonic() - began:.0f} s."
    )
    return 0 if is_complete else 1


def _emptied(dsn: Dsn) -> AbstractContextManager[Client]:
    """A client of an empty database with our schema."""
    with open_client(dsn, wait_seconds=5, create_database=True, who="make demo-sources") as client:
        Sql("dags.demo.sources", client).command("drop_database", database=dsn.database)
    return open_client(dsn, wait_seconds=5, create_database=True, who="make demo-sources")


def _forget(instance: DagsterInstance) -> None:
    """The instance is the demo's own: runs of earlier demos, or by hand, are of data that are gone."""
    for run in instance.get_runs():
        instance.delete_run(run.run_id)
    forget_demo_runs(instance)


def _world(client: Client, loop: Loop, days: DayRange, source: str) -> None:
    """Teams whose traffic is complete, and one that has none in ClickHouse: its history is in PostgreSQL."""
    step("2", f"{TEAMS} teams with all days built, and the history of another that is still in PostgreSQL")
    apply_schema(client, WEB_TABLES)
    load_generated(client, Traffic(sites(TEAMS, EVENTS_PER_DAY), days.start, days.end, SEED))
    history.create_database(source)
    tenants = (Site(TENANT, SESSIONS_PER_DAY), Site(OTHER_TENANT, SESSIONS_PER_DAY / 4))
    rows = history.write(source, Traffic(tenants, days.start, days.end, SEED))
    print(f"    generated, not real: {rows:,} rows of public.page_views, tenants {TENANT} and {OTHER_TENANT}")
    enable(client, [*range(1, TEAMS + 1), TENANT])
    loop.run("web_analytics_team_selection_job")
    loop.build(set(days), progress)
    _in_a_line(loop)


def _files(client: Client, loop: Loop, days: DayRange) -> None:
    """A partner's files arrive, are loaded and repaired; then one of them is replaced."""
    step("8", f"a partner uploads a file a day for team {PARTNER}; ingest_files_job shows, and loads them\n")
    files, rows = partner.upload(Traffic((Site(PARTNER, SESSIONS_PER_DAY),), days.start, days.end, SEED))
    print(f"    generated, not real: {rows:,} rows in {files} files\n")
    enable(client, [*range(1, TEAMS + 1), TENANT, PARTNER])
    loop.run("web_analytics_team_selection_job")
    _ingest(loop, dry_run=True)
    _ingest(loop)
    step("9", "the sensor's tick, and what dashboards read")
    _carry_out(loop, loop.tick())
    print(f"\n{_seen(client)}")
    step("10", "the partner replaces the file of a day: that alone is loaded, and its rows take the place of the old\n")
    more = (Site(PARTNER, 2 * SESSIONS_PER_DAY),)
    partner.upload(Traffic(more, days.start, days.start + timedelta(days=1), SEED + 1))
    _ingest(loop)
    _carry_out(loop, loop.check())
    print(f"\n{_seen(client)}")


def _ingest(loop: Loop, *, dry_run: bool = False) -> None:
    who = {"requested_by": "ada", "reason": f"the partner of team {PARTNER} sends files"}
    loop.run("ingest_files_job", run_config={"ingestion": "partner-logs", "dry_run": dry_run, **who})


def _in_a_line(loop: Loop) -> dict[str, Any]:
    """The report of ``check_missing_data_job``, of which the first line is shown."""
    with redirect_stdout(io.StringIO()) as said:
        report = loop.missing_data()
    print(f"\n{said.getvalue().splitlines()[0]}")
    return report


class _AfterThePlan(io.TextIOBase):
    """Leaves out what a load says before it begins: the same that its dry run has shown."""

    def __init__(self, shown: TextIO) -> None:
        self._shown, self._has_begun = shown, False

    def write(self, text: str) -> int:
        self._has_begun = self._has_begun or "POSTGRES-BACKFILL " in text
        return self._shown.write(text.lstrip("\n") or text) if self._has_begun else len(text)

    def flush(self) -> None:
        self._shown.flush()


def _load(loop: Loop, *, dry_run: bool = False) -> dict[str, Any]:
    """Ask for the tenant's rows that changed since the last load, at first for all of them; the report."""
    result = loop.run(
        "postgres_backfill_job",
        run_config={
            "pipeline": "tenant-import",
            "table_name": "public.page_views",
            "filter_sql": f"tenant_id = {TENANT}",
            "kind": "incremental",
            "dry_run": dry_run,
            "requested_by": "ada",
            "reason": f"tenant {TENANT} moves in",
        },
    )
    report: dict[str, Any] = result.output_for_node("postgres_backfill")
    return report


def _carry_out(loop: Loop, asked: Tick) -> None:
    print(f"\n    asks for {counted(len(asked.requests), 'run')}")
    loop.carry_out(asked.requests, progress)


def _seen(client: Client) -> str:
    rows = Sql("dags.demo.sources", client).rows("seen", target=STATS.name)
    return table_text([tuple(row) for row in rows], ("team", "days", "page views", "sessions"))


if __name__ == "__main__":
    main()
