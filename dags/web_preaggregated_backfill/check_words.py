"""Says to people what the check of a table found, and how what is wrong is built.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dags.detection.whom import whom_in_words
from dags.repair.by_hand import rebuild_by_hand

if TYPE_CHECKING:
    from dags.detection.detection import Detection
    from dags.detection.verdicts import Alike
    from dags.repair.estimate import Building
    from dags.web_preaggregated_backfill.report import TableStatus


def check_text(status: TableStatus, found: Detection, building: Building) -> str:
    """What the check of a table says: what is the matter, of which teams on which days, and what builds it; also of
    the other shards where one could not be read.
    """
    groups_by_reason: dict[str, list[Alike]] = defaultdict(list)
    for one in found.wrong.groups:
        if one.table == status.table:
            groups_by_reason[one.reason].append(one)
    lines = [status.words]
    lines += [f"{reason}: {whom_in_words(groups)}" for reason, groups in groups_by_reason.items()]
    groups = [one for some in groups_by_reason.values() for one in some]
    for words, awaits in (
        ("build what is wrong now", False),
        ("where the source is right, allow that its loss is built", True),
    ):
        wanted = [one for one in groups if one.awaits_permission is awaits]
        by_hand = rebuild_by_hand(wanted, building, allow_shrink=awaits)
        if by_hand.commands:
            cost = building.estimate_in_words({(one.table, one.day) for one in wanted})
            lines += [f"{words}, {cost}{by_hand.more_words}:", *(f"$ {command}" for command in by_hand.commands)]
    return "\n".join(lines)
