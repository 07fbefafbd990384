"""What a table must be so that rows can be brought to it beside those of others, by attaching them by the day.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.replicas.rules import KEEPS_ALL
from dags.clickhouse.targets.columns import lacking, other_days
from dags.clickhouse.targets.definition import MODE, MODES_THAT_DELETE, parts_of, settings_of
from dags.clickhouse.targets.facts import NEXT_STEP, absent, family, is_stored_in_parts, with_article
from dags.clickhouse.targets.rules import hidden, unreplicated, unwritable, wrong_partition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dags.clickhouse.targets.facts import Facts


def unattachable(
    name: str, facts: Facts | None, day: str, columns: Iterable[str], mode: str, *, detached: Collection[str] = ()
) -> list[str]:
    """Why rows cannot be brought to a table that others write too, by attaching them by the day.

    Whoever else writes into it goes on. ``mode``: what the server has as `MODE` for tables that have none of their own.
    ``detached``: the tables that are, see `absent`.
    """
    if facts is None:
        return [absent(name, detached)]
    if not is_stored_in_parts(facts):
        return [f"the table {name} is {with_article(facts.engine)}: only parts of a MergeTree can be attached"]
    if family(facts) != "MergeTree":
        return [
            (
                f"the table {name} is {with_article(facts.engine)}: what is loaded is merged with rows of others, and "
                "could not be taken out again without them. Expected MergeTree, plain, Replicated or Shared"
            )
        ]
    times = {name: "DateTime64(6, 'UTC')" for name in facts.columns if day == f"toDate({name})"}
    return [
        *hidden(facts),
        *lacking(facts, columns),
        *other_days(facts, times),
        *wrong_partition(facts, day),
        *unwritable(facts),
        *unreplicated(facts),
        *_left_out(facts),
        *_undeletable(facts, mode),
    ]


def _undeletable(facts: Facts, mode: str) -> Iterator[str]:
    own = settings_of(facts).get(MODE)
    if (
        any(part.startswith("PROJECTION ") for part in parts_of(facts))
        and (own or mode).strip("'") not in MODES_THAT_DELETE
    ):
        alter = f"ALTER TABLE {facts.name} MODIFY SETTING {MODE} = 'rebuild'"
        yield (
            f"the table {facts.name} has projections and not the setting that lets rows be deleted beside them: what "
            f"is loaded could not be taken out again (code 344). Expected {MODE} = 'rebuild': "
            + (alter if own else f"{NEXT_STEP}, or for a table of your own {alter}")
        )


def _left_out(facts: Facts) -> Iterator[str]:
    if facts.engine.startswith("Replicated") and KEEPS_ALL not in facts.engine_full:
        yield (
            f"the table {facts.name} leaves out in silence what is attached with the same bytes as something before, "
            "though that was taken out since, as Replicated tables do. Expected none of that: ALTER TABLE "
            f"{facts.name} MODIFY SETTING {KEEPS_ALL}, on each replica"
        )
