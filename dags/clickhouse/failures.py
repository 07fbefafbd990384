"""Tells failures of ClickHouse apart by what is worth doing about them, and tries again what is worth it.

Pure but for the sleep and the dice, which are passed in. Counting attempts is tenacity's.
"""

from __future__ import annotations

import random
import time
from enum import StrEnum
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

if TYPE_CHECKING:
    from collections.abc import Callable

# What fails is tried so often in all; after that the next tick tries again, hours later.
ATTEMPTS = 3

# The first wait, doubled each time, and up to as much again by lot, so that runs that failed together do not come
# back together. A server with too many parts, or one that restarts, needs seconds rather than milliseconds.
FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 60.0


class Remedy(StrEnum):
    """What is worth doing about a failure.

    ``SPLIT``: too much at once, fewer teams may succeed. ``ISOLATE``: in no list, so it may come from the data of one
    team; splitting finds it, and the others are done. ``STOP``: neither waiting nor splitting helps.
    """

    RETRY = "retry"
    SPLIT = "split"
    ISOLATE = "isolate"
    STOP = "stop"


# By ClickHouse's own names (ErrorCodes.cpp). The server or the way to it is in trouble, and may not be in a minute.
_TRANSIENT = {
    "ABORTED",  # the server is stopping
    "ALL_CONNECTION_TRIES_FAILED",
    "ALL_REPLICAS_ARE_STALE",
    "ALL_REPLICAS_LOST",
    "ATTEMPT_TO_READ_AFTER_EOF",
    "CANNOT_READ_FROM_ISTREAM",
    "CANNOT_SCHEDULE_TASK",
    "CANNOT_WRITE_TO_FILE_DESCRIPTOR",  # a full disk
    "DEADLOCK_AVOIDED",
    "KEEPER_EXCEPTION",
    "NETWORK_ERROR",
    "NOT_ENOUGH_SPACE",
    "NO_ACTIVE_REPLICAS",
    "NO_AVAILABLE_REPLICA",
    "NO_FREE_CONNECTION",
    "NO_ZOOKEEPER",
    "PART_IS_TEMPORARILY_LOCKED",
    "REPLICA_IS_NOT_IN_QUORUM",
    "SOCKET_TIMEOUT",
    "SYSTEM_ERROR",
    "TABLE_IS_READ_ONLY",  # a replica without its keeper
    "TOO_FEW_LIVE_REPLICAS",
    "TOO_MANY_PARTS",
    "TOO_MANY_SIMULTANEOUS_QUERIES",
    "UNKNOWN_STATUS_OF_INSERT",
    "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
}

_TOO_LARGE = {
    "CANNOT_ALLOCATE_MEMORY",
    "LIMIT_EXCEEDED",
    "MEMORY_LIMIT_EXCEEDED",
    "SET_SIZE_LIMIT_EXCEEDED",
    "TIMEOUT_EXCEEDED",
    "TOO_MANY_ROWS_OR_BYTES",
    "TOO_SLOW",
}

# The statement, the schema or the user is wrong, a limit was set on purpose, or somebody stopped it.
_PERMANENT = {
    "ACCESS_DENIED",
    "AUTHENTICATION_FAILED",
    "DATABASE_ACCESS_DENIED",
    "NOT_FOUND_COLUMN_IN_BLOCK",
    "NO_SUCH_COLUMN_IN_TABLE",
    "QUERY_WAS_CANCELLED",
    "QUOTA_EXCEEDED",
    "READONLY",
    "REQUIRED_PASSWORD",
    "SETTING_CONSTRAINT_VIOLATION",
    "SYNTAX_ERROR",
    "TOO_MANY_BYTES",
    "TOO_MANY_ROWS",
    "UNKNOWN_DATABASE",
    "UNKNOWN_FUNCTION",
    "UNKNOWN_IDENTIFIER",
    "UNKNOWN_SETTING",
    "UNKNOWN_TABLE",
    "UNKNOWN_USER",
}


def remedy(error: BaseException) -> Remedy:
    """What to do about a failure.

    Memory is the query's own, then fewer teams help; or the whole server's, then it is a matter of time. Errors
    without ClickHouse's name are the driver's: a connection refused, cut or silent.
    """
    name = getattr(error, "name", None)
    if not isinstance(error, ClickHouseError):
        return Remedy.STOP
    if name is None:
        return Remedy.RETRY if isinstance(error, OperationalError) else Remedy.STOP
    return remedy_by_name(name, str(error))


def remedy_by_name(name: str, said: str) -> Remedy:
    """What to do about an error of ClickHouse's by its name; ``said`` tells whose memory it was."""
    if name == "MEMORY_LIMIT_EXCEEDED" and "query memory limit" not in said.lower():
        return Remedy.RETRY
    if name in _TRANSIENT:
        return Remedy.RETRY
    if name in _TOO_LARGE:
        return Remedy.SPLIT
    return Remedy.STOP if name in _PERMANENT else Remedy.ISOLATE


def wait_seconds(attempt: int, dice: float) -> float:
    """How long to wait after so many attempts; ``dice`` is drawn from [0, 1)."""
    return min(FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), LONGEST_WAIT_SECONDS) * (1 + dice)


def retrying(
    tell: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    dice: Callable[[], float] = random.random,
) -> Retrying:
    """Calls what it is given, again after a failure that may pass; raises the last failure as it is.

    ``tell`` gets in words what failed and when the next attempt is.
    """

    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        seconds = state.next_action.sleep if state.next_action is not None else 0.0
        tell(f"attempt {state.attempt_number} of {ATTEMPTS} failed, next in {seconds:.0f} s: {str(error)[:300]}")

    return Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=lambda state: wait_seconds(state.attempt_number, dice()),
        retry=retry_if_exception(lambda error: remedy(error) is Remedy.RETRY),
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )
