"""How a tick, the runs that it asked for and their statements are found from each other.

Dagster gives each run that a tick asks for the tick's id and the name of its sensor or schedule as tags. On a server
each statement carries in its ``log_comment`` the id of its run, or `tick_of` its tick. So one leads to the others, in
Dagster's list of runs by tag and in ``system.query_log``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._core.storage.tags import (
    PARENT_RUN_ID_TAG,
    PARTITION_NAME_TAG,
    RUN_KEY_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
    TICK_ID_TAG,
)

from dags.dagster_runs.lines import line
from dags.dagster_runs.tags import ATTEMPT_TAG, PLAN_TAG, REQUESTED_BY_TAG, TRIGGER_TAG

if TYPE_CHECKING:
    from dagster import DagsterRun, ScheduleEvaluationContext, SensorEvaluationContext

# Words of people and others in one line; the tag has them whole.
WORDS_CHARACTERS = 200


def tick_of(context: SensorEvaluationContext | ScheduleEvaluationContext) -> str:
    """Which tick this is, for its statements: ``tick 12 of web_analytics_files_sensor``."""
    named = ticking(context)
    return f"tick {named['tick']} of {named['by']}" if named else "tick"


def ticking(context: SensorEvaluationContext | ScheduleEvaluationContext) -> dict[str, str]:
    """Which tick this is, for its line, named as `asked_line` names it.

    Where no daemon makes it, as in the UI's preview, it has no id of Dagster's: an instant stands there, or nothing is
    known of it.
    """
    return dict(zip(("by", "tick"), (context.log_key or ())[1:], strict=False))


def asked_line(run: DagsterRun) -> str:
    """Who asked for a run: which tick of what, under which plan, or which person; and which run it does again."""
    tags = run.tags
    return line(
        run=run.run_id,
        job=run.job_name,
        partition=tags.get(PARTITION_NAME_TAG),
        by=tags.get(SENSOR_NAME_TAG) or tags.get(SCHEDULE_NAME_TAG),
        tick=tags.get(TICK_ID_TAG),
        run_key=tags.get(RUN_KEY_TAG),
        trigger=tags.get(TRIGGER_TAG),
        plan=tags.get(PLAN_TAG),
        attempt=tags.get(ATTEMPT_TAG),
        again=tags.get(PARENT_RUN_ID_TAG),
        requested_by=tags.get(REQUESTED_BY_TAG, "")[:WORDS_CHARACTERS],
    )
