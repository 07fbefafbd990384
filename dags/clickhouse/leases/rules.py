"""Who holds a lease, by which name, and when its holder counts as dead.

Pure: no clock, no database, no Dagster. A lease is a table of one server whose comment names the holder (`.tables`), or
a key in the Keeper of several (`.keeper`): taking it is atomic either way.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Every lease's name begins so, and every bid's for one; nothing else's may.
LEASE_PREFIX = "web_analytics_lease_"
BID_PREFIX = "web_analytics_bid_"

# What a lease is named like, for ClickHouse.
LEASE_PATTERN = f"^{LEASE_PREFIX}[0-9]{{8}}_[A-Za-z0-9_]+$"

# In the place of a table, the lease of a piece of work has this and its id: one run at a time carries it out. The word
# is that of the first kind of work; runs of an older version may hold such leases yet.
WORK_LEASE = "managed_"
# What stands for a day in the lease of what has none.
NO_DAY = date(1970, 1, 1)

# How often a holder says that it lives, and after how long a silence it counts as dead. Six beats may be lost: to
# a server that restarts, or a query that keeps Python from running. Taking a lease from a holder that lives all the
# same costs it its work and nothing else, for what it staged is dropped first.
BEAT_SECONDS = 10.0
DEAD_AFTER_SECONDS = 60.0

# Tells this process from any other, also from one that had its id before.
THIS_PROCESS = secrets.token_hex(4)

_TOKEN = re.compile(r"run_(?P<run>\w+)__(?P<process>[0-9a-f]{8})_(?P<nonce>[0-9a-f]{4})", re.ASCII)
_LEASE = re.compile(LEASE_PREFIX + r"(?P<day>\d{8})_(?P<table>\w+)", re.ASCII)


def run_key(run_id: str) -> str:
    """A run's id as a part of a name in ClickHouse."""
    return re.sub(r"\W", "_", run_id, flags=re.ASCII)


def new_token(run_id: str) -> str:
    """Who holds a lease: the run, the process, and which build in it. A plain identifier, for it is part of names."""
    return f"run_{run_key(run_id)}__{THIS_PROCESS}_{secrets.token_hex(2)}"


def run_of(token: str) -> str:
    """The run of a token, as `run_key` has it; the token itself if it is none of ours."""
    found = _TOKEN.fullmatch(token)
    return found["run"] if found is not None else token


def in_words(run: str) -> str:
    """Who holds a lease, for people; ``run`` as `run_of` has it, empty where somebody took away what names it."""
    return f"run {run[:8]}" if run else "a run that its lease does not name any more"


def is_of_this_process(token: str) -> bool:
    """Whether a token is of a build of this very process."""
    found = _TOKEN.fullmatch(token)
    return found is not None and found["process"] == THIS_PROCESS


def lease_name(table: str, day: date) -> str:
    """The name of a lease, which `table_and_day` reads."""
    return f"{LEASE_PREFIX}{day.isoformat().replace('-', '')}_{table}"  # %Y is not padded before the year 1000


def table_and_day(name: str) -> tuple[str, date] | None:
    """What the lease of this name is of; None if it is the name of none, as where its digits are no day."""
    found = _LEASE.fullmatch(name)
    if found is None:
        return None
    try:
        return found["table"], date.fromisoformat(found["day"])
    except ValueError:
        return None


def quoted(names: Iterable[str]) -> str:
    """Names of leases as a statement lists them; they are plain identifiers."""
    return ", ".join(f"'{name}'" for name in names)


def work_lease(work_id: str, first_step: str = "") -> tuple[str, date]:
    """What stands for a table and for a day in the lease of a piece of work: its id, and its first step if a day."""
    try:
        day = date.fromisoformat(first_step)
    except ValueError:
        day = NO_DAY
    return WORK_LEASE + run_key(work_id), day


@dataclass(frozen=True)
class Lease:
    """A lease that somebody holds. ``silent_seconds``: since its holder last said that it lives."""

    table: str
    day: date
    token: str
    silent_seconds: float

    @classmethod
    def of(cls, name: str, token: str, silent_seconds: float) -> Lease | None:
        """The lease that a table of ClickHouse is; None if it is none of ours."""
        found = table_and_day(name)
        return cls(*found, token, silent_seconds) if found is not None else None

    @property
    def name(self) -> str:
        return lease_name(self.table, self.day)

    @property
    def run(self) -> str:
        """The holder's run as `run_key` has it."""
        return run_of(self.token)

    def is_dead(self, *, is_embedded: bool) -> bool:
        """Whether the holder will never publish again.

        The embedded engine is one process's alone: any other that held a lease there has ended. On a server a holder
        is dead that has been silent for too long.
        """
        found = _TOKEN.fullmatch(self.token)
        if is_embedded and found is not None:
            return found["process"] != THIS_PROCESS
        return self.silent_seconds > DEAD_AFTER_SECONDS
