"""What a load is called: the number on its rows, and its tables beside the one that readers see.

Pure: no clock, no database, no Dagster. Every table's name has the load and, in the end, the token of the run that made
it (`dags.clickhouse.leases.rules`), so that a run which takes over finds what earlier ones left, and one that wakes up
after that finds nothing of its own to write to.
"""

from __future__ import annotations

import hashlib
import re

from dags.clickhouse.leases.rules import run_key, run_of

LANDING_PREFIX = "web_analytics_landing_"
# What a later run makes of it, until it is whole.
COPY_PREFIX = "web_analytics_landcopy_"
STAGING_PREFIX = "web_analytics_loading_"

_NAME = re.compile(
    rf"(?P<prefix>{LANDING_PREFIX}|{COPY_PREFIX})(?P<work>\w+)__(?P<sequence>\d{{6}})_run_\w+__"
    r"[0-9a-f]{8}_[0-9a-f]{4}",
    re.ASCII,
)


_TOKEN = re.compile(r"(?<=__[0-9]{6}_)run_\w+__[0-9a-f]{8}_[0-9a-f]{4}\Z", re.ASCII)


def load_id(work_id: str, version: str = "") -> int:
    """The number by which rows of a load are known in the table that others write too; never 0, which is theirs."""
    digest = hashlib.sha256(f"{work_id}\0{version}".encode()).digest()
    return int.from_bytes(digest[:8], "big") or 1


def landing_name(work_id: str, sequence: int, token: str) -> str:
    """The private table of a load in one of its runs, the last of which has everything; see `.landing`."""
    return f"{LANDING_PREFIX}{run_key(work_id)}__{sequence:06d}_{token}"


def copy_name(work_id: str, sequence: int, token: str) -> str:
    """The same while it is made of that of an earlier run."""
    return f"{COPY_PREFIX}{run_key(work_id)}__{sequence:06d}_{token}"


def staging_name(work_id: str, number: int, token: str) -> str:
    """A table like the target, from which days are attached."""
    return f"{STAGING_PREFIX}{run_key(work_id)}__{number:06d}_{token}"


def sequence_of(work_id: str, name: str, *, is_copy: bool = False) -> int | None:
    """Which of the landing tables of this load one is, in the order of their runs, or of their copies that are not
    whole yet; None if the name is that of none of them.
    """
    found = _NAME.fullmatch(name)
    if found is None or found["work"] != run_key(work_id):
        return None
    return int(found["sequence"]) if found["prefix"] == (COPY_PREFIX if is_copy else LANDING_PREFIX) else None


def run_in(name: str) -> str:
    """The run that made a table of a load, as `run_key` has it; empty if the name is that of none."""
    found = _TOKEN.search(name)
    return run_of(found[0]) if found is not None else ""


def prefixes_of(work_id: str) -> list[str]:
    """How all names of tables of this load begin, and no other's."""
    return [f"{prefix}{run_key(work_id)}__" for prefix in (LANDING_PREFIX, COPY_PREFIX, STAGING_PREFIX)]
