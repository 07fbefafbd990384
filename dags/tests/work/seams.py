"""Where tests let something happen in the middle of work: right after an event is in its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.work.audit.log import Event
from dags.work.audit.store import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import pytest

    from dags.work.audit.log import Entry, Work

CHUNK_OVER = (Event.CHUNK_DONE, Event.CHUNK_FAILED)
STEP_OVER = (Event.STEP_DONE, Event.STEP_FAILED)


def after_event(patch: pytest.MonkeyPatch, events: Collection[str], chunk: int, act: Callable[[Work], object]) -> None:
    """Do something with the work right after one of these events of a chunk was recorded."""
    append = Log.append

    def appended(itself: Log, *entries: Entry) -> None:
        append(itself, *entries)
        if any(entry.event in events and entry.chunk == chunk for entry in entries):
            act(itself.work)

    patch.setattr(Log, "append", appended)
