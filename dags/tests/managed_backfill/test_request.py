"""What is refused of a request: everything that is wrong with it, at once, before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from dags.domain.errors import UserError
from dags.domain.given import read
from dags.managed_backfill.fields import BackfillConfig
from dags.managed_backfill.plan import Extent
from dags.managed_backfill.request import BackfillRequest, Facts, validated
from dags.tests.managed_backfill import asked
from dags.tests.world import BOUNCES, STATS

TODAY = date(2026, 2, 1)
FACTS = Facts(today=TODAY, enabled=frozenset({1, 2}), tables=(STATS, BOUNCES), max_range_days=30)


def request(facts: Facts = FACTS, **given: Any) -> BackfillRequest:
    config = asked(**{"start_date": "2026-01-05", "end_date": "2026-01-10", **given})
    return validated(read(BackfillConfig, config), facts)


def refused(facts: Facts = FACTS, **given: Any) -> list[str]:
    with pytest.raises(UserError) as error:
        request(facts, **given)
    first, *problems = str(error.value).splitlines()
    assert first == "the backfill was refused, nothing was touched:"
    return problems


def test_both_ends_are_included_and_what_is_left_out_has_its_default() -> None:
    made = request()
    assert (made.days[0], made.days[-1], len(made.days)) == (date(2026, 1, 5), date(2026, 1, 10), 6)
    assert made.team_ids == {1, 2}
    assert (made.strategy.kind, made.strategy.chunk_size_days) == (Extent.FULL_RELOAD, 7)
    assert made.name == "full_reload of web_pre_aggregated_stats, 2026-01-05 … 2026-01-10"


def test_today_is_accepted_left_out_and_named() -> None:
    made = request(start_date="2026-01-30", end_date="2026-02-01")
    assert made.days == (date(2026, 1, 30), date(2026, 1, 31))
    assert made.left_out == {"2026-02-01": "today is not over"}


def test_every_violation_is_named_at_once() -> None:
    problems = refused(
        start_date="2026-1-5", end_date="2026-02-30", target_table="events", reason=" ", requested_by="",
        team_ids=[7], chunk_size_days=0, kind="all", chunk_by="year", webhook="ftp://host",
    )  # fmt: skip
    assert [problem.split(" ")[0] for problem in problems] == [
        "start_date", "end_date", "chunk_size_days", "kind", "chunk_by", "target_table", "team_ids", "webhook",
        "reason", "requested_by",
    ]  # fmt: skip


def test_a_range_ends_after_it_begins_not_in_the_future_and_within_its_limit() -> None:
    assert refused(start_date="2026-01-11")[0].startswith("end_date is 2026-01-10: give a day that is not before")
    assert "in the future; today is 2026-02-01" in refused(end_date="2026-02-02", start_date="2026-01-20")[0]
    assert (
        "are 32 days, the last 31 after the first; at most 30 are allowed"
        in refused(start_date="2026-01-01", end_date="2026-02-01")[0]
    )
    assert len(request(start_date="2026-01-01", end_date="2026-01-31").days) == 31
    assert len(request(start_date="2025-12-01", end_date="2026-01-31", max_range_days=61).days) == 62


def test_dates_that_are_missing_are_asked_for() -> None:
    assert refused(start_date="", end_date="") == [
        "start_date is missing: give YYYY-MM-DD, or a plan",
        "end_date is missing: give YYYY-MM-DD, or a plan",
    ]


def test_a_table_that_lacks_a_column_or_is_in_work_is_refused() -> None:
    day = date(2026, 1, 6)
    in_work = {(STATS, day): "run 0b5e61d2", (BOUNCES, day): "x"}
    facts = replace(FACTS, unusable={STATS: f"the table {STATS} lacks host"}, in_work=in_work)
    assert refused(facts) == [
        "the table web_pre_aggregated_stats lacks host",
        f"{STATS} of 2026-01-06 is in work by run 0b5e61d2: wait for it, cancel it, or leave these days out",
    ]


def test_a_correction_names_its_teams_and_days_lie_in_the_range() -> None:
    assert refused(kind="point_in_time_correction") == [
        "team_ids is empty: a point_in_time_correction is of the teams that are named"
    ]
    assert "days has 2026-01-20, outside 2026-01-05 … 2026-01-10" in refused(days=["2026-01-20"])
    made = request(kind="point_in_time_correction", team_ids=[2], days=["2026-01-07", "2026-01-06"])
    assert made.team_ids == {2}
    assert made.days == (date(2026, 1, 6), date(2026, 1, 7))


def test_a_webhook_goes_to_an_allowed_host_and_carries_no_secret() -> None:
    facts = replace(FACTS, webhook_hosts=("hooks.example.com",))
    assert request(facts, webhook="https://hooks.example.com/backfills").webhook
    assert "does not allow" in refused(webhook="https://hooks.example.com/")[0]
    assert "does not allow" in refused(facts, webhook="https://hooks.example.com.evil.org/")[0]
    [message] = refused(facts, webhook="https://me:secret@hooks.example.com/x?token=secret")
    assert "WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN" in message
    assert "secret" not in message
    for webhook in ("https://hooks.example.com/a b", "https://hooks.example.com/\n", "https://hooks.example.com/€"):
        assert refused(facts, webhook=webhook) == [
            "webhook holds characters that no address has: give https://host/path"
        ]


def test_a_range_does_not_begin_before_the_partitions_of_its_table_do() -> None:
    facts = replace(FACTS, first_days={STATS: date(2026, 1, 6), BOUNCES: date(2026, 1, 5)})
    assert refused(facts) == [f"start_date is 2026-01-05: the partitions of {STATS} begin on 2026-01-06"]
    assert request(facts, target_table=BOUNCES).start == date(2026, 1, 5)


def test_without_a_team_there_is_nothing_to_rebuild() -> None:
    assert "no team is enabled" in refused(replace(FACTS, enabled=frozenset()))[0]
