"""Leaves each evaluation where a scraper reads it, if a setting says where."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dags.metrics.written import write_whole
from dags.settings import current_settings

if TYPE_CHECKING:
    from dags.web_preaggregated_backfill.evaluation import Evaluation

_log = logging.getLogger(__name__)


def leave_for_a_scraper(found: Evaluation | tuple[str, ...]) -> None:
    """Write the file that a setting names, if one does: of an evaluation, or of tables of which nothing is known.

    That it cannot be written is told, and fails nothing.
    """
    path = current_settings().metrics_file
    if path is None:
        return
    from dags.metrics import exposition  # noqa: PLC0415 -- its library is 0.17 s that others save

    if isinstance(found, tuple):
        text = exposition.unknown_exposition(found)
    else:
        text = exposition.exposition(found.detection, found.recent)
    try:
        write_whole(path, text)
    except OSError as error:
        _log.warning("WEB_ANALYTICS_METRICS_FILE is %s, which could not be written: %s", path, error)
