"""Reads everything that a decision needs from ClickHouse: what is wrong, and what stands in the way of repairs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dags.clickhouse.answers import Answers
from dags.clickhouse.leases.rules import WORK_LEASE
from dags.detection.detection import Standing
from dags.detection.gaps.store import read_known, with_gaps
from dags.detection.store import detect
from dags.domain.days import DayRange, calendar
from dags.domain.watched import first_day
from dags.metrics.recent import RECENT_DAYS
from dags.metrics.store import READ_OF_BUILDS, read_recent
from dags.repair.stops.store import Stop, read_switch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, timedelta

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.answers import Kept
    from dags.clickhouse.leases.rules import Lease
    from dags.detection.detection import Detection
    from dags.domain.watched import WatchedTable
    from dags.metrics.recent import Recent


def observe(
    client: Client,
    *,
    now: datetime,
    watched: Sequence[WatchedTable],
    lookback_days: int,
    settle: timedelta,
    reads_all_days: bool,
    verify_seconds: float,
    own_lookback_days: int,
    is_stopped: bool,
    before: Kept | None = None,
) -> tuple[Detection, Recent | None, Kept]:
    """As `dags.detection.store.detect`, what keeps days from being launched, and since when they are wrong; how repairs
    have gone of late, this look included; and what the next look of this process may recall, ``before`` being what an
    earlier one has left. Who reads all days recalls nothing.

    ``own_lookback_days``: the settings' look-back. Only of its days gaps are kept, however far back somebody asks.
    ``is_stopped``: whether the setting stops backfills; settings are not read here, see `dags.repair.stops.store`.
    """
    answers = Answers(None if reads_all_days else before, READ_OF_BUILDS)
    found = detect(
        client,
        now,
        watched,
        lookback_days=lookback_days,
        settle=settle,
        reads_all_days=reads_all_days,
        verify_seconds=verify_seconds,
        answers=answers,
    )
    own = calendar(now, lookback_days=own_lookback_days, settle=settle, first_day=first_day(watched))
    known = read_known(client, RECENT_DAYS + 1)
    kept = with_gaps(client, found.within(own.judged, own_lookback_days), known)
    has_gaps = bool(kept.gaps or known.open or known.over)
    stop = Stop() if is_stopped else read_switch(client)
    standing = Standing("" if stop is None else str(stop), _taken(client, found.living))
    at = found.server_at
    recent = read_recent(client, at, has_gaps=has_gaps, answers=answers) if at is not None else None
    return replace(found, standing=standing, gaps=kept.gaps, warnings=kept.warnings), recent, answers.kept


def _taken(client: Client, living: Sequence[Lease]) -> dict[tuple[str, date], str]:
    """Who works on a table's day, or has it before it as a managed backfill does."""
    held = {(lease.table, lease.day): lease.run for lease in living}
    if any(lease.table.startswith(WORK_LEASE) for lease in living):
        # In few ticks: a child that begins for one loads what it needs.
        from dags.work.audit.log import MANAGED  # noqa: PLC0415
        from dags.work.audit.store import at_work  # noqa: PLC0415

        for row in at_work(client, MANAGED, {lease.run for lease in living}):
            days = DayRange.through(row.work.first_step, row.work.last_step)
            held = {(row.work.subject, day): row.run_id for day in days} | held
    return held
