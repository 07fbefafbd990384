"""Leaves each evaluation where a scraper reads it, if a setting says where, and with it whether all was well last.

Who evaluates does not look at all else that health is judged by, so the last answer is kept in Dagster's instance.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from dags.domain import clock
from dags.domain.text import of_error
from dags.metrics.look import Look
from dags.metrics.written import write_whole
from dags.settings import current_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from dags.web_preaggregated_backfill.evaluation import Evaluation

_log = logging.getLogger(__name__)


def leave_for_a_scraper(instance: DagsterInstance, found: Evaluation | tuple[str, ...]) -> None:
    """Write the file that a setting names, if one does: of an evaluation, or of tables of which nothing is known.

    That it cannot be written is told, and fails nothing.
    """
    if current_settings().metrics_file is not None:
        is_known = not isinstance(found, tuple) and not found.is_unknown
        _write(found, _last_look(instance).as_told(clock.utc_now(), skew=clock.MAX_SKEW, is_known=is_known))


def leave_look(instance: DagsterInstance, look: Look, found: Evaluation | tuple[str, ...] | None) -> None:
    """Keep an answer, unless a later one is kept, and write the file anew; without that where ``found`` is None.

    That it cannot be kept is told, and fails nothing.
    """
    before = _last_look(instance)
    if before.at is not None and look.at is not None and look.at < before.at <= clock.utc_now():
        return
    try:
        instance.daemon_cursor_storage.set_cursor_values({_key(): json.dumps(look.as_document())})
    except Exception as error:  # noqa: BLE001 -- a storage's own; what is not kept is unknown to the next
        _log.warning("whether all is well could not be kept for WEB_ANALYTICS_METRICS_FILE: %s", of_error(error))
    if found is not None:
        _write(found, look)


def _key() -> str:
    return f"web_analytics_health:{current_settings().clickhouse_dsn.mark}:look"


def _last_look(instance: DagsterInstance) -> Look:
    """The answer that is kept; one that nobody can read is none."""
    try:
        kept = instance.daemon_cursor_storage.get_cursor_values({_key()}).get(_key())
        return Look.from_document(json.loads(kept)) if kept is not None else Look()
    except Exception as error:  # noqa: BLE001 -- a storage's own, or what stands in it
        _log.warning("whether all was well cannot be read back for WEB_ANALYTICS_METRICS_FILE: %s", of_error(error))
        return Look()


def _write(found: Evaluation | tuple[str, ...], look: Look) -> None:
    path = current_settings().metrics_file
    if path is None:
        return
    from dags.metrics import exposition  # noqa: PLC0415 -- its library is 0.17 s that others save

    if isinstance(found, tuple):
        text = exposition.unknown_exposition(found, look)
    else:
        text = exposition.exposition(found.detection, found.recent, look)
    try:
        write_whole(path, text)
    except OSError as error:
        _log.warning("WEB_ANALYTICS_METRICS_FILE is %s, which could not be written: %s", path, error)
