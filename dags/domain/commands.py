"""Commands as people type them in a terminal: a job is run, where there are several shards on one of them.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dags.domain.shards import SHARD_TAG

# Where Dagster keeps the partition key of a run.
_PARTITION_TAG = "dagster/partition"


def launch_command(job: str, *, shard: int = 0, day: str = "", config: str = "") -> str:
    """The command that runs a job. ``day`` is a partition key, or a variable of the shell that has one, ``$day``;
    ``config`` what the shell takes for the file of its configuration; ``shard`` is 0 where there is one.

    `dg launch` has no option for tags, so what needs one is run by Dagster's older command, which has.
    """
    given = f" -c {config}" if config else ""
    if not shard:
        return f"dg launch --job {job}{f' --partition {day}' if day else ''}{given}"
    key = f"'{day}'" if day.startswith("$") else day
    partition = f'"{_PARTITION_TAG}": "{key}", ' if day else ""
    return f'dagster job execute -m dags.definitions -j {job} --tags \'{{{partition}"{SHARD_TAG}": "{shard}"}}\'{given}'
