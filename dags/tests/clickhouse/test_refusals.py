"""Whoever is refused reads why: a setting that must not change, or a profile that lets its user only ask."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.refusals import refusal
from dags.domain.errors import EngineError, UnreadableError

DSN = Dsn.parse("clickhouse://ada:word@host:8123/web_analytics")


@pytest.mark.parametrize(
    ("said", "words", "kind"),
    [
        ("Cannot execute query in readonly mode.", "lets ada only ask (`readonly` in the profile)", EngineError),
        (
            "Cannot modify 'limit' setting in readonly mode.",
            "does not let ada set what every statement",
            UnreadableError,
        ),
    ],
)
def test_a_statement_that_readonly_forbids_is_not_told_as_a_setting(
    said: str, words: str, kind: type[EngineError]
) -> None:
    error = refusal(DSN, DatabaseError(f"Code: 164. DB::Exception: {said} (READONLY)", name="READONLY"))
    assert words in str(error)
    assert type(error) is kind
