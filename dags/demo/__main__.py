"""``make demo``: the main job from end to end on the embedded engine, with generated traffic or your access logs."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from datetime import date
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import DagsterInstance, Failure

from dags.clickhouse.engine import open_client
from dags.clickhouse.words import driver_error_in_words
from dags.demo.console import progress, step
from dags.demo.loop import Loop, break_it, enable, forget_demo_runs
from dags.demo.mark import marking, start_over
from dags.demo.outage import outage
from dags.demo.traffic.generate import Traffic, sites
from dags.demo.traffic.load import load_generated, load_sites
from dags.demo.traffic.log_files import READ
from dags.demo.traffic.reading import logs_named, read_access_logs
from dags.domain import clock
from dags.domain.days import calendar, in_words
from dags.domain.errors import UserError
from dags.domain.text import counted
from dags.settings import current_settings
from dags.web_preaggregated.tables import STATS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.demo.traffic.reading import ReadLogs
    from dags.demo.traffic.report import LoadReport
    from dags.domain.days import DayRange

SEED = 20240101
TEAMS, EVENTS_PER_DAY, DAYS = 12, 15_000, 15


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--logs",
        help=f"an access log (Common or Combined Log Format, {READ}), a glob, or several with blanks between them, "
        "quoted where they hold blanks; rotated files are one site",
    )
    logs = arguments.parse_args().logs
    try:
        sys.exit(demo(logs))
    except (UserError, Failure) as error:
        sys.exit(f"\n{error}")
    except ClickHouseError as error:
        sys.exit(f"\n{driver_error_in_words(''.join(traceback.format_exception_only(error)))}")


def demo(logs: str | None) -> int:
    """Run the loop; answers with the process's exit code: 0 when the last report says complete."""
    began, settings, now = time.monotonic(), current_settings(), clock.utc_now()
    if not settings.clickhouse_dsn.is_embedded:
        raise UserError(
            f"CLICKHOUSE_DSN names {settings.clickhouse_dsn}: the demo empties its tables and runs on the embedded "
            "engine only. Unset CLICKHOUSE_DSN for it"
        )
    span = calendar(now, lookback_days=settings.backfill_lookback_days, settle=settings.settle).judged
    read = _read(logs, span, now.date()) if logs else None  # refused before anything is touched
    dsn = settings.clickhouse_dsn
    step("1", f"an empty schema on the embedded engine, {dsn}")
    with open_client(dsn, wait_seconds=5, create_database=True, who="make demo") as client:
        start_over(client, dsn)
        with marking(client), DagsterInstance.get() as instance:
            step("2", "traffic")
            reports = _load(client, read, now.date())
            days_by_team = {one.team_id: set(one.events_by_day) for one in reports if one.team_id is not None}
            enable(client, days_by_team.keys())
            return _close_the_loop(client, Loop(instance), span, days_by_team, began)


def _close_the_loop(
    client: Client, loop: Loop, span: DayRange, days_by_team: dict[int, set[date]], began: float
) -> int:
    if not forget_demo_runs(loop.instance):
        print("    Dagster's catalog keeps what runs other than a demo's left in it")
    judged = {team: {day for day in days if day in span} for team, days in days_by_team.items()}
    days = {day for own in judged.values() for day in own}
    plan = outage(judged)
    step("3", f"the list of teams, and {_builds(len(days) - 1)} through web_pre_aggregate_job")
    loop.run("web_analytics_team_selection_job")
    loop.build(days - {plan.never_built}, progress)
    step("4", "what goes wrong")
    break_it(client, plan)
    for words in plan.words(STATS.name):
        print(f"    {words}")
    step("5", "check_missing_data_job says\n")
    before = loop.missing_data()
    step("6", "the sensor's tick")
    _begin_with(before["total_missing_partitions"])
    ticks, rebuilt = 0, []
    while True:
        tick = loop.tick()
        ticks += 1
        if not tick.requests:
            print(f"    tick {ticks} skips: {tick.skip_message}")
            break
        print(f"    tick {ticks} asks for {len(tick.requests)} runs")
        loop.carry_out(tick.requests, progress)
        rebuilt += [request.partition_key for request in tick.requests]
    step("7", "check_missing_data_job says\n")
    after = loop.missing_data()
    is_complete = after["wrong_units"] == 0 and not after["unknown"]
    print(
        f"\n{'Complete' if is_complete else 'NOT COMPLETE'}. {before['wrong_units']} (table, team, day) were missing; "
        f"the sensor asked for {counted(len(rebuilt), 'day')}\n({keys_in_words(rebuilt)}), rebuilt, nothing twice, "
        f"in {time.monotonic() - began:.0f} s.\n"
        "\nLook at it in the UI:      make dev, then http://localhost:3000\n"
        "Ask again in a terminal:   source .venv/bin/activate && dg launch --job health_job\n"
        "                           (while make dev runs; without it nothing works by itself, as it says)\n"
    )
    return 0 if is_complete else 1


def _builds(days: int) -> str:
    return f"the build of {counted(days, 'day')}" if days else "the build of no day yet"


def _begin_with(missing: int) -> None:
    """Have a backfill begin with so few, where a short log has no more to lose; in this process alone."""
    least = current_settings().backfill_min_missing_partitions
    if 0 < missing < least:
        print(f"    a backfill begins with {least} missing partitions; in this demo with the {missing} that there are")
        os.environ["WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS"] = str(missing)
        current_settings.cache_clear()


def keys_in_words(keys: list[str | None]) -> str:
    """Partition keys as ranges of days."""
    return in_words(date.fromisoformat(key) for key in keys if key)


def _read(logs: str, days: DayRange, today: date) -> ReadLogs:
    step("0", "your logs, read whole before anything is emptied")
    return read_access_logs(logs_named(logs), days, today, progress=progress)


def _load(client: Client, read: ReadLogs | None, today: date) -> list[LoadReport]:
    if read is not None:
        reports = load_sites(client, read.sites, progress=progress)
        for report in [*reports, *read.others]:
            print(report.text())
        return reports
    first = calendar(clock.utc_now(), lookback_days=DAYS, settle=current_settings().settle).judged.start
    traffic = Traffic(sites(TEAMS, EVENTS_PER_DAY), first, today, SEED)
    print(f"    generated, not real: {TEAMS} teams, seed {SEED}; LOGS=<access log or glob> takes your own")
    reports = load_generated(client, traffic, progress=progress)
    print(f"    {sum(report.events for report in reports):,} events of {len(reports)} teams, {first} … yesterday")
    return reports


if __name__ == "__main__":
    main()
