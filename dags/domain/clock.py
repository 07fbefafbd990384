"""The clocks: this host's, which says what "today" is, and ClickHouse's, which stamps and orders what happened.

Everything below the shell takes ``now`` as a value; the assets, jobs, sensors and schedules ask here, once each, and
`dags.clickhouse.clocks` asks the server. Hosts disagree: what one of them stamps, another takes for long ago or for not
yet so. Therefore no host's clock is written down or compared with what another wrote. What Dagster stamps, the times of
its runs, is compared with this host's clock, which is that of the daemon: `Detection.read_at`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

# Hosts that keep time agree within a second; a minute is a clock that nobody keeps.
MAX_SKEW = timedelta(minutes=1)

# Of a skew: from so many seconds on it is said in this unit, of so many seconds.
_UNITS = ((2 * 86_400, 86_400, "days"), (2 * 3600, 3600, "h"), (0, 60, "min"))


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clocks:
    """Both clocks, read at the same moment; ``read_at`` is the reading of ``time.monotonic()`` then."""

    host: datetime
    server: datetime
    read_at: float

    @property
    def warning(self) -> str:
        return clock_warning(self.host, self.server)

    @property
    def warnings(self) -> tuple[str, ...]:
        return (self.warning,) if self.warning else ()

    @property
    def now(self) -> datetime:
        """The earlier of both; see `earlier`."""
        return self.earlier(self.host)

    @property
    def today(self) -> date:
        return self.now.date()

    def earlier(self, now: datetime) -> datetime:
        """``now``, unless it is later than the server's: a day that is not over by both clocks is not over."""
        return min(now, self.server)

    def server_now(self) -> datetime:
        """The server's clock as it must be by now, by the seconds that have passed since: no host's clock is in it."""
        return self.server + timedelta(seconds=time.monotonic() - self.read_at)


def clock_warning(host: datetime, server: datetime) -> str:
    """What to say of two readings of the same moment; nothing while they agree within `MAX_SKEW`."""
    skew = host - server
    if abs(skew) <= MAX_SKEW:
        return ""
    seconds = abs(skew).total_seconds()
    size, unit = next((size, unit) for least, size, unit in _UNITS if seconds >= least)
    return (
        f"this host's clock says {host:%Y-%m-%d %H:%M:%S} UTC, {seconds / size:.3g} {unit} "
        f"{'ahead of' if skew > timedelta(0) else 'behind'} ClickHouse's, {server:%Y-%m-%d %H:%M:%S}: what happened is "
        "stamped and ordered by ClickHouse's, a day is over when it is over by both. Correct the one that is wrong"
    )
