"""Whoever is refused reads why: a setting that must not change, or a profile that lets its user only ask."""

from __future__ import annotations

import pickle

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.refusals import no_replica, refusal
from dags.domain.errors import EngineError, Outage, SilentError, UnreadableError

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


SILENT, ALONE = SilentError("no ClickHouse answers", "refused"), UnreadableError("no session", Outage.KEEPER)


@pytest.mark.parametrize(
    ("errors", "outage"),
    [
        ((SILENT, SILENT), Outage.SERVER),
        ((ALONE, ALONE), Outage.KEEPER),
        ((SILENT, ALONE), Outage.KEEPER),
        ((SILENT, EngineError("refused the user")), None),
        ((ALONE, UnreadableError("it lags behind")), None),
    ],
    ids=["all silent", "all without Keeper", "one dead, one without Keeper", "one refuses", "one lags"],
)
def test_replicas_say_together_what_is_out_of_reach(errors: tuple[EngineError, ...], outage: Outage | None) -> None:
    dsn = Dsn.parse("clickhouse://ada:word@h1:8123,h2:8123/web_analytics?cluster=lab")
    error = no_replica(dsn, dict(zip(dsn.replicas, errors, strict=True)))
    assert error.outage is outage
    assert pickle.loads(pickle.dumps(error)).outage is outage  # noqa: S301 -- as a child hands it on
