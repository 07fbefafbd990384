"""What a query reads, by its tree, as ClickHouse writes it out.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_IN_TREE = re.compile(r"^\s*(TABLE|TABLE_FUNCTION) id: \d+,.*?\btable(?:_function)?_name: ([^,\s]+)")
# These read what they name by a text: a dictionary, or a table of the engine Join.
_LOOKING_UP = re.compile(r"^\s*FUNCTION id: \d+, function_name: (dict[A-Z]\w*|joinGet\w*)")


def read_by(name: str, tree: Iterable[str]) -> tuple[set[str], list[str]]:
    """What ``database.table`` shows by the tree of a query of it: other tables of its database, by their names; and all
    else, in words. That is itself where ClickHouse does not say what is behind it.
    """
    database = name.partition(".")[0] + "."
    lines = tuple(tree)
    found = {(kind, words) for line in lines for kind, words in _IN_TREE.findall(line)}
    own = {words for kind, words in found if kind == "TABLE" and words.startswith(database) and words != name}
    elsewhere = {words if kind == "TABLE" else f"the table function {words}" for kind, words in found} - own
    elsewhere |= {f"what {function} looks up" for line in lines for function in _LOOKING_UP.findall(line)}
    return {one.removeprefix(database) for one in own}, sorted(elsewhere)
