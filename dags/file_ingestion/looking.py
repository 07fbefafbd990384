"""What ClickHouse has to say of ingestions that are due: whether files wait, and whether a run must not begin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.schema.apply import require_schema
from dags.domain.errors import UserError
from dags.file_ingestion.due import Due, Seen
from dags.file_ingestion.fields import IngestFilesConfig, Scope
from dags.file_ingestion.kind import FILE_INGESTION
from dags.file_ingestion.plan import subject_of
from dags.file_ingestion.planning import make_plan, progress_now
from dags.file_ingestion.ranges import range_of
from dags.settings import current_settings
from dags.sources.variables import variables
from dags.work import control
from dags.work.audit.log import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client


def look_at(due: Sequence[Due], seconds: float, client: Client) -> dict[str, Seen]:
    """What is to be known of the ingestions that are due, as long as there is time."""
    require_schema(client)
    until, found = time.monotonic() + seconds, dict[str, Seen]()
    for one in due:
        found[one.name] = _look_at(client, one, has_time=time.monotonic() < until)
    return found


def _look_at(client: Client, due: Due, *, has_time: bool) -> Seen:
    now, over = read_clocks(client).server, ""
    if held := _held(client, due):
        return Seen(held=held)
    if due.ingestion.until is not None:
        reached = progress_now(client, due.ingestion)
        if reached.is_over(due.ingestion.until, now.date()):
            over = f"its range is over: {reached.done:,} files are loaded, {reached.given_up:,} given up"
    if over and due.scope is Scope.RECENT:
        return Seen(held=over, is_over=True)
    # Once a day a run has everything listed; whether anything came late to a range that is over is looked at here.
    if not has_time or (due.scope is Scope.EVERYTHING and not over):
        return Seen()
    asked = IngestFilesConfig(ingestion=due.name, listing=due.scope)
    try:
        plan = make_plan(client, asked, current_settings(), variables(), now).plan
    except (UserError, ClickHouseError):
        return Seen()  # its run says what is wrong
    is_over = bool(over) and not plan.files and not plan.later
    return Seen(plan.files, over if is_over else "", is_over)


def _held(client: Client, due: Due) -> str:
    """Why no run of an ingestion must begin by itself, in words; empty if one may."""
    subject = subject_of(due.name, range_of(due.ingestion))
    for last in control.listed(client, FILE_INGESTION, subject=subject, limit=1):
        if last.status == Status.PAUSED:
            return f"{last.work_id} is paused: resume or cancel it"
        if last.status == Status.CANCELLED and due.ingestion.cron is None:
            return f"{last.work_id} was cancelled: ingest_files_job goes on with its range"
    return ""
