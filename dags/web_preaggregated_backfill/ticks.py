"""What a tick says of its decision in one line of its log; in words, for its row in the UI, `evaluation` does.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dags.dagster_runs.lines import line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dagster import RunRequest

    from dags.web_preaggregated_backfill.evaluation import Evaluation


def decision_line(evaluation: Evaluation, requests: Sequence[RunRequest], plan_id: str, tick: Mapping[str, str]) -> str:
    """What a tick decided, in one line: the days that it launches with the keys of their runs, or why none is.

    ``requests`` are those of this very tick, see `dags.web_preaggregated_backfill.evaluation.run_requests`; ``tick``
    names it. A day that waits is counted by why it does.
    """
    detection, decision = evaluation.detection, evaluation.decision
    waiting = Counter(str(one.why) for one in decision.deferred)
    unknown = sorted(detection.unknown)
    return line(
        decision="launch" if requests else "unknown" if unknown else "skip",
        **tick,
        trigger=decision.trigger,
        plan=plan_id if requests else "",
        days=[request.partition_key for request in requests],
        run_keys=[request.run_key for request in requests],
        missing=decision.missing_partitions,
        wrong=len(detection.wrong),
        waiting="; ".join(f"{why}: {count}" for why, count in waiting.most_common()),
        unknown=unknown,
        why=decision.words,
        seconds=round(detection.cost.seconds, 3),
    )
