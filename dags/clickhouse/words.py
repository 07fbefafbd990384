"""Puts an error of ClickHouse or of its driver in words for a terminal: what was asked, what came, what to do.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dags.clickhouse.failures import Remedy, remedy_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVER = "clickhouse_connect.driver.exceptions."

# What ClickHouse says may hold a whole statement; this much names the thing. Chosen.
SHOWN_CHARACTERS = 400

_ASKED = "What was asked: "
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")
# What stands around ClickHouse's own words: the driver's address, the code, the name, the version.
_BEFORE = re.compile(r"\A.*?DB::(?:Net)?Exception: ", re.DOTALL)
_AFTER = re.compile(r"\s*\([A-Z][A-Z0-9_]+\)\s*(?:\(version .*)?\Z", re.DOTALL)
# The driver puts a hundred settings of ours into it.
_ADDRESS = re.compile(r" with url: \S+")

_NEXT = {
    Remedy.RETRY: "The server is in trouble that may pass: look at its disk, its memory, its parts and its log, then "
    "run this again",
    Remedy.SPLIT: "It was too much at once: raise that limit in the user's profile, or ask for fewer days or teams",
    Remedy.STOP: "Put right what it names, then run this again",
    Remedy.ISOLATE: "Put right what it names, then run this again",
}


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Note with whatever is raised here what was asked, so that it can be told."""
    try:
        yield
    except Exception as error:
        error.add_note(f"{_ASKED}{what}")
        raise


def driver_error_in_words(message: str) -> str:
    """What Python prints of an error of the driver, its class first and its notes last, for a person to act on."""
    asked = " ".join(line.removeprefix(_ASKED) for line in message.splitlines() if line.startswith(_ASKED))
    said = "\n".join(line for line in message.splitlines() if not line.startswith(_ASKED))
    said = re.sub(rf"\A{re.escape(DRIVER)}\w+: ", "", said)
    names = _NAME.findall(said)
    if names and "Code: " in said:
        who, what = f"ClickHouse refused this, {names[-1]}: ", _AFTER.sub("", _BEFORE.sub("", said))
        step = _NEXT[remedy_by_name(names[-1], said)]
    else:
        who, what = "ClickHouse could not be asked, or broke off: ", _ADDRESS.sub("", said)
        step = "See that the server runs and what its log says, then run this again"
    what = " ".join(what.split())
    shown = (
        what
        if len(what) <= SHOWN_CHARACTERS
        else f"{what[:SHOWN_CHARACTERS]} … (the event log of the run has all of it)"
    )
    return "\n".join([f"{who}{shown}", *([f"{_ASKED}{asked}"] if asked else []), step])
