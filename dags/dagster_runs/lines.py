"""One line a decision and one a run, as ``key=value``: a person reads it, and a log store takes it apart (logfmt).

No line has a configuration or an address in it, for a secret may stand there.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import json
import re

# What needs no quotes.
_PLAIN = re.compile(r"[\w.:/,+@-]+", re.ASCII)


def line(**facts: object) -> str:
    """The facts in their order, those left out that are empty; a list has commas between, words are quoted as in JSON.

    Whatever is said of something stands on one line, for JSON has no line break in quotes.
    """
    return " ".join(f"{name}={_value(value)}" for name, value in facts.items() if value not in (None, "", (), []))


def _value(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
