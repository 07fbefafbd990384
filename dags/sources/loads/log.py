"""What the log keeps of loads beside what it keeps of all work.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from enum import StrEnum

# What loads are, for the log.
POSTGRES, FILES = "postgres", "files"


class LoadEvent(StrEnum):
    """Events of loads alone.

    ``ASKED``: what the queue of PostgreSQL shows of the request. ``LANDED``: so many rows of a range have, while it is
    in work.
    ``ATTACHED``: a day, with its rows; ``TAKEN_OUT``: a day, of one that was cancelled. ``LOADED``: every day is there.
    ``MARKED``: how far an incremental load came.
    """

    ASKED = "load_asked"
    LANDED = "load_landed"
    ATTACHED = "load_attached"
    TAKEN_OUT = "load_taken_out"
    LOADED = "load_loaded"
    MARKED = "load_marked"


# What is told of a day.
OF_DAYS = (LoadEvent.ATTACHED, LoadEvent.TAKEN_OUT)
