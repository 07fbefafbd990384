"""How ages and commands are said in a line, beside what all rooms say.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.briefly import NAMED, days_in_words, listed, teams_in_words
from dags.domain.commands import launch_command
from dags.domain.text import shortened, sizes_in_words

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = [
    "NAMED", "age_in_words", "days_in_words", "first_words", "launch", "listed", "teams_in_words",
]  # fmt: skip

# So many characters of an error say what it is.
ERROR_CHARACTERS = 200

# What stands in their place, where something failed and left none.
NO_WORDS = "the error has no words"


def first_words(error: str) -> str:
    """What an error begins with, cut between two words; sizes that ClickHouse tells in bytes are in GiB or MiB.
    `NO_WORDS` of an empty one: after a colon something must stand.
    """
    return shortened(sizes_in_words(error), ERROR_CHARACTERS) or NO_WORDS


def age_in_words(age: timedelta) -> str:
    """How long ago, in the largest unit that it is two of: ``3 d``, ``26 h``, ``40 min``."""
    seconds = max(age.total_seconds(), 0)
    for size, unit in ((86_400, "d"), (3600, "h")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 60:.0f} min"


def launch(job: str, *, shard: int = 0, **config: object) -> str:
    """The command that runs a job, as it is typed; ``shard`` of a job that works on one of several.

    ``$(whoami)`` in a value is the shell's to fill in; other values must need no quotes in YAML within a shell's.
    """
    fields = ", ".join(f"{name}: {value}" for name, value in config.items())
    return launch_command(job, shard=shard, config=f'<(echo "{{{fields}}}")' if config else "")
