"""The switch in ClickHouse, so that it works at once and for every process; the setting needs a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.given_text import require_texts
from dags.settings import current_settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def why_stopped(client: Client) -> str:
    """Who stopped backfills, since when and why; empty while they may run."""
    if current_settings().backfill_stopped:
        return "stopped by the setting WEB_ANALYTICS_BACKFILL_STOPPED=1"
    for is_stopped, reason, who, at in Sql("dags.repair.stops", client).rows("last_stop"):
        if is_stopped:
            return f"stopped by {who} at {at:%Y-%m-%d %H:%M} UTC: {reason}"
    return ""


def turn(client: Client, *, is_stopped: bool, reason: str, requested_by: str) -> None:
    """Stop backfills, or let them go on; the last turn counts, as ClickHouse orders them.

    Raises:
        UserError: nobody, or no reason, is named, or either is no plain text.
    """
    who = {"reason": reason, "requested_by": requested_by}
    require_texts(who, required=who)
    bound = {"is_stopped": is_stopped, "reason": reason.strip(), "requested_by": requested_by.strip()}
    Sql("dags.repair.stops", client).command("turn", bound)
