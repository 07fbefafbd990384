"""What ClickHouse and its driver say, as a terminal shows it: what came, what was asked, what to do."""

from __future__ import annotations

import traceback

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from dags.clickhouse.words import SHOWN_CHARACTERS, asking, driver_error_in_words
from dags.tests.runbook import symptom


def said(error: Exception) -> str:
    """As Dagster keeps it: what Python prints of an exception, with its notes."""
    try:
        with asking("an INSERT into web_analytics_waivers"):
            raise error
    except type(error) as raised:
        return driver_error_in_words("".join(traceback.format_exception_only(raised)))


def refused(name: str, text: str) -> DatabaseError:
    return DatabaseError(
        f"Received ClickHouse exception, code: 1, server response: Code: 1. DB::Exception: {text} ({name}) "
        "(version 26.7.2.1) (for url http://localhost:8123)"
    )


REFUSED, BROKE_OFF = symptom("ClickHouse refused this, …"), symptom("ClickHouse could not be asked, or broke off")


@pytest.mark.parametrize(
    ("error", "first", "step"),
    [
        (
            refused("VIOLATED_CONSTRAINT", "Constraint `c` (of a table) is violated."),
            "ClickHouse refused this, VIOLATED_CONSTRAINT: Constraint `c` (of a table) is violated.",
            "Put right what it names, then run this again",
        ),
        (
            refused("MEMORY_LIMIT_EXCEEDED", "Query memory limit exceeded:\n would use 10 MiB."),
            "ClickHouse refused this, MEMORY_LIMIT_EXCEEDED: Query memory limit exceeded: would use 10 MiB.",
            "It was too much at once: raise that limit in the user's profile, or ask for fewer days or teams",
        ),
        (
            refused("NOT_ENOUGH_SPACE", "Cannot reserve 1.00 MiB"),
            "ClickHouse refused this, NOT_ENOUGH_SPACE: Cannot reserve 1.00 MiB",
            (
                "The server is in trouble that may pass: look at its disk, its memory, its parts and its log, then run "
                "this again"
            ),
        ),
        (
            OperationalError(
                "Error HTTPConnectionPool(host='h', port=1): Max retries exceeded with url: /?a=b&c=d (Caused by "
                "NewConnectionError('refused')) executing HTTP request attempt 1"
            ),
            (
                "ClickHouse could not be asked, or broke off: Error HTTPConnectionPool(host='h', port=1): Max retries "
                "exceeded (Caused by NewConnectionError('refused')) executing HTTP request attempt 1"
            ),
            "See that the server runs and what its log says, then run this again",
        ),
    ],
    ids=["refused", "memory of the query", "disk", "connection"],
)
def test_an_error_says_what_came_what_was_asked_and_what_to_do(error: Exception, first: str, step: str) -> None:
    words = said(error)
    assert (BROKE_OFF if isinstance(error, OperationalError) else REFUSED).match(words)
    assert words.splitlines() == [first, "What was asked: an INSERT into web_analytics_waivers", step]


def test_a_long_error_is_cut() -> None:
    first, *_ = said(refused("UNKNOWN_TABLE", "x" * 5000)).splitlines()
    assert len(first) < SHOWN_CHARACTERS + 120
    assert first.endswith("… (the event log of the run has all of it)")
