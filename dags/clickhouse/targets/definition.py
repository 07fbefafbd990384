"""What a table's definition says that it has: projections, indices, settings.

Pure: no clock, no database, no Dagster. Anybody's words stand in a definition too, as comments and defaults: what is
within quotes is no part of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dags.clickhouse.targets.facts import Facts

# Whether ClickHouse deletes rows of a table that has projections: not where it is `throw`, its default.
MODE = "lightweight_mutation_projection_mode"
MODES_THAT_DELETE = frozenset({"rebuild", "drop"})

QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`")
_PART = re.compile(r"(PROJECTION|INDEX) `?(\w+)`? ")
_SETTING = re.compile(r"(\w+) = ('(?:[^'\\]|\\.)*'|[^\s,]+)")
_SETTINGS = " SETTINGS "


def unquoted(text: str) -> str:
    """The same, as long, with `_` in place of what is quoted; a name that needs no quotes stays."""
    return QUOTED.sub(lambda one: one[0] if one[0][1:-1].isidentifier() else "_" * len(one[0]), text)


def split(text: str) -> list[str]:
    """The parts of a list, by its commas; those within parentheses part nothing."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def declared(definition: str) -> list[str]:
    """What stands between the parentheses of a definition that is without quotes: columns, projections, indices."""
    return [one.strip() for one in split(definition.partition("(")[2].partition(") ENGINE ")[0])]


def parts_of(facts: Facts) -> frozenset[str]:
    """The projections and indices, as ``PROJECTION coverage``; of a name that needs quotes there is no more than that
    there is one.
    """
    found = (_PART.match(one) for one in declared(unquoted(facts.definition)))
    return frozenset(f"{one[1]} {one[2]}" for one in found if one is not None)


def settings_of(facts: Facts) -> dict[str, str]:
    """The settings that a table has of its own, with their values as they are written there."""
    place = unquoted(facts.engine_full).find(_SETTINGS)
    return dict(_SETTING.findall(facts.engine_full[place + len(_SETTINGS) :])) if place >= 0 else {}
