"""Texts that people hand in are refused by name before anything is touched, and print as what they are."""

from __future__ import annotations

import pytest

from dags.domain.errors import UserError
from dags.domain.given_text import MAX_CHARACTERS, require_texts, text_problems
from dags.tests.variants import server_at_night
from dags.tests.world import World, ago

WHO = {"reason": "r", "requested_by": "ada"}


@pytest.mark.parametrize(
    "text",
    ["", "a reason", "Gründe: 50 % weniger, «Да» 日本語 \U0001f600\u200d\ufe0f", "x" * MAX_CHARACTERS],
)
def test_plain_text_of_any_language_is_taken(text: str) -> None:
    assert text_problems({"reason": text, "description": f"{text[:-2]}\n\t"}) == []


@pytest.mark.parametrize(
    "text",
    ["a\0b", "\x1b[2J", "two\nlines", "\ud800", "\u202e", "\u2028", "\ufffe", "x" * (MAX_CHARACTERS + 1)],
)
def test_what_is_not_shown_as_it_is_or_too_long_is_refused_by_name(text: str) -> None:
    [problem] = text_problems({"reason": text, "name": "plain"})
    assert problem.startswith("reason h")
    assert len(problem) < 200
    assert problem.isprintable()


def test_every_violation_is_named_at_once() -> None:
    with pytest.raises(UserError, match=r"reason is empty.*\nrequested_by holds .*U\+202E"):
        require_texts({"reason": " ", "requested_by": "\u202e", "name": None}, required=("reason", "requested_by"))


@pytest.mark.parametrize("text", ["\ud800", "\x1b[2J", "x" * 1_000_000], ids=["surrogate", "escape", "long"])
@server_at_night
def test_each_job_that_takes_texts_refuses_them_before_it_touches_anything(world: World, text: str) -> None:
    days = {"start_date": str(ago(3)), "end_date": str(ago(2)), "target_table": "web_pre_aggregated_stats"}
    waived = {"first_day": str(ago(3)), "last_day": str(ago(2)), "valid_until": str(ago(0))}
    world.select(1)
    for job, config in (
        ("stop_all_backfills_job", {**WHO, "reason": text}),
        ("resume_all_backfills_job", {**WHO, "requested_by": text}),
        ("waive_job", {**WHO, **waived, "reason": text}),
        ("lift_waiver_job", {"waiver_id": text, "requested_by": "ada"}),
        ("managed_backfill_job", {**WHO, **days, "name": text}),
        ("managed_backfill_job", {**WHO, **days, "description": text}),
        ("pause_backfill_job", {**WHO, "backfill_id": text}),
        ("rollback_backfill_job", {**WHO, "backfill_id": "backfill-1", "reason": text}),
        ("show_backfills_job", {"backfill_id": text}),
        ("why_job", {"run_id": text}),
    ):
        with pytest.raises(UserError, match=r"(reason|requested_by|name|description|\w+_id) h(olds|as) "):
            world.run_as_configured(job, config)
    assert world.client.query("SELECT count() FROM web_analytics_backfill_stops").result_rows == [(0,)]
    assert world.client.query("SELECT count() FROM web_analytics_backfill_events").result_rows == [(0,)]
