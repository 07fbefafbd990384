"""Keeps for a scraper what was answered when somebody asked whether all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.metrics.look import Look
from dags.settings import current_settings
from dags.web_preaggregated_backfill.catalog import is_overtaken
from dags.web_preaggregated_backfill.last_verdict import last_verdict
from dags.web_preaggregated_backfill.scraped import leave_look

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from dags.health.reading import Examined, Served


def leave_answer(instance: DagsterInstance, found: Examined, served: Served) -> None:
    """Leave the answer, with the evaluation that it is of, unless a later reading has left its own beside it."""
    if current_settings().metrics_file is None:
        return
    look, evaluation = Look(str(found.health.answer), found.health.at), found.evaluation
    if evaluation is None:
        leave_look(instance, look, served.tables)
    else:
        leave_look(instance, look, None if is_overtaken(last_verdict(instance), evaluation) else evaluation)
