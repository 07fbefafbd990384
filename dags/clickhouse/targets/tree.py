"""What a query reads, by its tree, as ClickHouse writes it out.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_IN_TREE = re.compile(r"^\s*(TABLE|TABLE_FUNCTION) id: \d+,.*?\btable(?:_function)?_name: ([^,\s]+)")


def read_by(name: str, tree: Iterable[str]) -> tuple[set[str], list[str]]:
    """What ``database.table`` shows by the tree of a query of it: other tables of its database, by their names; and all
    else, in words. That is itself where ClickHouse does not say what is behind it.
    """
    database = name.partition(".")[0] + "."
    found = {(kind, words) for line in tree for kind, words in _IN_TREE.findall(line)}
    own = {words for kind, words in found if kind == "TABLE" and words.startswith(database) and words != name}
    elsewhere = sorted(words if kind == "TABLE" else f"the table function {words}" for kind, words in found)
    return {one.removeprefix(database) for one in own}, [one for one in elsewhere if one not in own]
