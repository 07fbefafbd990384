"""The switch in ClickHouse, so that it works at once and for every process; the setting needs a restart.

Reads no setting: the child of a tick reads the switch, and would load what reads settings for it alone. See `stopped`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.given_text import require_texts
from dags.domain.shards import shards_in_words

if TYPE_CHECKING:
    from datetime import datetime

    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True)
class Stop:
    """That backfills are stopped: by whom, why and since when; none of it is known where the setting says so.
    ``shards``: on which of several, where it is not on each.
    """

    requested_by: str = ""
    reason: str = ""
    at: datetime | None = None
    shards: tuple[int, ...] = ()

    @property
    def where(self) -> str:
        """The shards in words that go after other words; empty where it is everywhere."""
        return f" on {shards_in_words(self.shards)}" if self.shards else ""

    def __str__(self) -> str:
        if self.at is None:
            return "stopped by the setting WEB_ANALYTICS_BACKFILL_STOPPED=1"
        return f"stopped by {self.requested_by}{self.where} at {self.at:%Y-%m-%d %H:%M} UTC: {self.reason}"


def read_switch(client: Client) -> Stop | None:
    """Who stopped backfills by the switch; None while it lets them run."""
    for is_stopped, reason, who, at in Sql("dags.repair.stops", client).rows("last_stop"):
        if is_stopped:
            return Stop(who, reason, at)
    return None


def turn(client: Client, *, is_stopped: bool, reason: str, requested_by: str) -> None:
    """Stop backfills, or let them go on; the last turn counts, as ClickHouse orders them.

    Raises:
        UserError: nobody, or no reason, is named, or either is no plain text.
    """
    who = {"reason": reason, "requested_by": requested_by}
    require_texts(who, required=who)
    bound = {"is_stopped": is_stopped, "reason": reason.strip(), "requested_by": requested_by.strip()}
    Sql("dags.repair.stops", client).command("turn", bound)
