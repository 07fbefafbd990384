"""Keeps what was told, and what is muted, in Dagster's instance: telling that ClickHouse is down takes no ClickHouse.

It is no cursor, which Dagster keeps at the end of a tick: a tick that it gave up after 60 s would have told all, and
keep nothing of it. Each has a key of its own for this location's database, with one writer: the sensor, and
`mute_alert_job`.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock, Timeout

from dags.alerts import memory as memories
from dags.alerts import mutes as muting
from dags.alerts.memory import Memory
from dags.domain.errors import UserError
from dags.domain.text import of_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dagster import DagsterInstance

    from dags.alerts.mutes import Mute

_log = logging.getLogger(__name__)

_PREFIX = "web_analytics_alerts"

Kept = TypeVar("Kept")


class UnkeptError(UserError):
    """Dagster's storage does not take what is to be kept."""


def read_memory(instance: DagsterInstance, mark: str) -> Memory:
    """What was told. Nothing, where nothing is kept or it cannot be understood: what is open is told again."""
    unclear = "what was told before cannot be understood, so all is told again"
    return _read(instance, _told(mark), memories.from_document, Memory(), unclear)


def write_memory(instance: DagsterInstance, mark: str, memory: Memory) -> None:
    """Keep what was told. Where it cannot be kept, people are told all the same, and again by the next tick."""
    try:
        _write(instance, _told(mark), memories.as_document(memory))
    except UnkeptError as error:
        _log.warning("%s: it is told again", error)


def read_mutes(instance: DagsterInstance, mark: str) -> tuple[Mute, ...]:
    """What is muted. Nothing, where nothing is kept or what is kept cannot be understood: rather told than missed."""
    unclear = "what was muted cannot be understood, so nothing is"
    return _read(instance, _muted(mark), muting.from_document, (), unclear)


def write_mutes(instance: DagsterInstance, mark: str, mutes: Iterable[Mute]) -> None:
    """Keep what is muted.

    Raises:
        UnkeptError: Dagster's storage does not take it.
    """
    _write(instance, _muted(mark), muting.as_document(mutes))


@contextmanager
def alone(instance: DagsterInstance) -> Iterator[bool]:
    """Whether no other tick tells people now, as one that a person tries out in the UI; none begins meanwhile.

    Where the instance's directory cannot be written, nobody knows, and this one goes on: rather told twice.
    """
    lock = FileLock(Path(instance.root_directory) / f"{_PREFIX}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError as error:
        _log.warning("no lock can be taken, so two ticks at once tell the same: %s", of_error(error))
    try:
        yield True
    finally:
        lock.release()


def _told(mark: str) -> str:
    return f"{_PREFIX}:{mark}:told"


def _muted(mark: str) -> str:
    return f"{_PREFIX}:{mark}:muted"


def _read(instance: DagsterInstance, key: str, understood: Callable[[Any], Kept], empty: Kept, unclear: str) -> Kept:
    """What is kept under a key, as ``understood`` has it; ``empty`` where nothing is, or what ``unclear`` warns of."""
    kept = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
    if kept is None:
        return empty
    try:
        return understood(json.loads(kept))
    except (KeyError, TypeError, ValueError) as error:
        _log.warning("%s: %s", unclear, of_error(error))
        return empty


def _write(instance: DagsterInstance, key: str, document: Any) -> None:  # noqa: ANN401 -- JSON
    try:
        instance.daemon_cursor_storage.set_cursor_values({key: json.dumps(document)})
    except Exception as error:  # noqa: BLE001 -- a storage's own, whose words have the document, and in it people's
        raise UnkeptError(
            f"{key} cannot be kept in Dagster's storage ({type(error).__name__}): another process holds it, or its "
            "disk is full. Make room, or end what holds it"
        ) from None
