"""Which failures are worth another attempt, which are worth a split, and which are worth neither."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, InterfaceError, OperationalError
from hypothesis import given
from hypothesis import strategies as st

from dags.clickhouse.failures import (
    ATTEMPTS,
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    Remedy,
    remedy,
    retrying,
    wait_seconds,
)
from dags.domain.errors import LeaseError


def named(name: str, words: str = "it failed") -> DatabaseError:
    return DatabaseError(words, code=1, name=name)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("Connection refused"), Remedy.RETRY),
        (named("TOO_MANY_PARTS"), Remedy.RETRY),
        (named("NOT_ENOUGH_SPACE"), Remedy.RETRY),
        (named("TABLE_IS_READ_ONLY"), Remedy.RETRY),
        (named("MEMORY_LIMIT_EXCEEDED", "(total) memory limit exceeded: would use 8 GiB"), Remedy.RETRY),
        (named("MEMORY_LIMIT_EXCEEDED", "User memory limit exceeded: would use 8 GiB"), Remedy.RETRY),
        (named("MEMORY_LIMIT_EXCEEDED", "Query memory limit exceeded: would use 8 GiB"), Remedy.SPLIT),
        (named("TIMEOUT_EXCEEDED"), Remedy.SPLIT),
        (named("SYNTAX_ERROR"), Remedy.STOP),
        (named("UNKNOWN_IDENTIFIER"), Remedy.STOP),
        (named("ACCESS_DENIED"), Remedy.STOP),
        (named("QUERY_WAS_CANCELLED"), Remedy.STOP),
        (named("TOO_MANY_ROWS"), Remedy.STOP),
        (named("FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"), Remedy.ISOLATE),
        (named("A_NAME_OF_A_LATER_VERSION"), Remedy.ISOLATE),
        (InterfaceError("the driver was misused"), Remedy.STOP),
        (LeaseError("taken away"), Remedy.STOP),
        (ValueError("ours"), Remedy.STOP),
    ],
    ids=str,
)
def test_each_failure_has_its_remedy(error: Exception, expected: Remedy) -> None:
    assert remedy(error) is expected


@given(attempt=st.integers(1, 60), dice=st.floats(0, 1, exclude_max=True))
def test_waits_double_up_to_the_longest_and_the_dice_at_most_double_them(attempt: int, dice: float) -> None:
    waits = wait_seconds(attempt, dice)
    plain = min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1), LONGEST_WAIT_SECONDS)
    assert plain <= waits <= 2 * plain


def test_what_may_pass_is_tried_so_often_and_the_last_error_is_raised_as_it_is() -> None:
    messages: list[str] = []
    slept: list[float] = []
    tried: list[int] = []
    last = OperationalError("Connection refused")

    def fail() -> None:
        tried.append(1)
        raise last

    with pytest.raises(OperationalError) as raised:
        retrying(messages.append, sleep=slept.append, dice=lambda: 0.5)(fail)
    assert raised.value is last
    assert len(tried) == ATTEMPTS
    assert slept == [3.0, 6.0]
    assert messages == [
        "attempt 1 of 3 failed, next in 3 s: Connection refused",
        "attempt 2 of 3 failed, next in 6 s: Connection refused",
    ]


def test_what_will_not_pass_is_tried_once() -> None:
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        raise named("SYNTAX_ERROR")

    with pytest.raises(DatabaseError):
        retrying(lambda _: None, sleep=lambda _: None)(fail)
    assert tried == [1]
