"""A user's profile can refuse, and it can cost; it cannot change an answer."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dags.dsn import Dsn
from dags.engine import open_client
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.profiles import Answer, Variant, answer, answer_under, make_world, users_xml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# One of each kind of danger. The values are chosen so that part of an answer gets through, where that can be.
DANGEROUS = tuple(
    Variant(tuple(settings.items()))
    for settings in (
        {"additional_result_filter": "0"},
        {"additional_table_filters": "{'events': 'team_id < 3', 'web_pre_aggregated_stats': 'team_id < 3'}"},
        {"apply_deleted_mask": "0"},
        {"compatibility": "21.3"},
        {"data_type_default_nullable": "1"},
        {"extremes": "1"},
        {"group_by_overflow_mode": "any", "max_rows_to_group_by": "8"},
        {"group_by_overflow_mode": "break", "max_rows_to_group_by": "1"},
        {"join_use_nulls": "1"},
        {"limit": "8"},
        {"offset": "1"},
        {"optimize_use_projections": "0"},
        {"read_overflow_mode": "break", "max_rows_to_read": "2", "max_block_size": "1"},
        {"result_overflow_mode": "break", "max_result_rows": "8", "max_block_size": "1"},
        {"session_timezone": "America/Los_Angeles"},
        {"set_overflow_mode": "break", "max_rows_in_set": "2"},
        {"skip_unavailable_shards": "1"},
        {"sort_overflow_mode": "break", "max_rows_to_sort": "1"},
        {"timeout_overflow_mode": "break", "max_execution_time": "0.000001"},
        {"union_default_mode": "DISTINCT"},
        {"use_query_cache": "1"},
        {"wait_for_async_insert": "0", "async_insert": "1"},
    )
)

# Without a limit beside them there is nothing that could refuse.
LIMITLESS = frozenset(variant for variant in DANGEROUS if len(variant.settings) == 1)

# What an administrator forbids to change: harmful, so that nothing may be believed, or harmless.
FIXED_HARM = Variant((("apply_deleted_mask", "0"), ("transform_null_in", "1")), "const")
FIXED_FIRST = Variant((("limit", "8"),), "const")
FIXED_UNKNOWN = Variant((("optimize_use_projections", "0"),), "const")
FIXED_COST = Variant((("max_threads", "1"), ("join_use_nulls", "0"), ("max_table_size_to_drop", "9")), "const")
READ_ONLY = Variant((("readonly", "1"),))


def walk(dsn: Dsn, asked: Sequence[Variant], first: int = 0) -> tuple[Answer, list[Answer | str]]:
    """What the world is, and what each profile sees of it."""
    with open_client(dsn, wait_seconds=60, create_database=True) as client:
        make_world(client)
        truth = answer(client)
    assert isinstance(truth, Answer)
    assert len(truth.wrong) == 27
    assert dict(truth.complete) == {"web_pre_aggregated_bounces": 5, "web_pre_aggregated_stats": 4}
    return truth, [answer_under(dsn, number, variant) for number, variant in enumerate(asked, first)]


def others(truth: Answer, asked: Sequence[Variant], seen: Sequence[Answer | str]) -> dict[str, Answer]:
    """The profiles that change the answer without an error."""
    told = zip(asked, seen, strict=True)
    return {str(variant): answer for variant, answer in told if isinstance(answer, Answer) and answer != truth}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Sequence[Variant]], Dsn]]:
    """A server with a user for each profile."""
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    with ExitStack() as servers:

        def of(profiles: Sequence[Variant]) -> Dsn:
            directory: Path = tmp_path_factory.mktemp("profiles")
            address = servers.enter_context(running_server(directory, users_xml(profiles)))
            return Dsn.parse(address.dsn("world"))

        yield of


ALL = (*DANGEROUS, FIXED_HARM, FIXED_FIRST, FIXED_UNKNOWN, FIXED_COST, READ_ONLY)


def test_no_profile_of_a_server_changes_an_answer(served: Callable[[Sequence[Variant]], Dsn]) -> None:
    dsn = served(ALL)
    truth, seen = walk(dsn, ALL)
    assert others(truth, ALL, seen) == {}
    said = dict(zip(ALL, seen, strict=True))
    assert {str(variant) for variant in LIMITLESS if said[variant] != truth} == set()
    harmful = str(said[FIXED_HARM])
    assert "apply_deleted_mask is '0' and may not be changed by this user; expected: '1'" in harmful
    assert "transform_null_in is '1' and may not be changed by this user; expected: '0'" in harmful
    assert "optimize_use_projections is '0' and may not be changed by this user; expected: '1'" in str(
        said[FIXED_UNKNOWN]
    )
    assert "readonly is '1' and may not be changed by this user; expected: '0', or '2'" in str(said[READ_ONLY])
    assert f"does not let u{ALL.index(FIXED_FIRST)} set what every statement must carry" in str(said[FIXED_FIRST])
    assert "Setting limit should not be changed" in str(said[FIXED_FIRST])
    assert said[FIXED_COST] == truth


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_nothing_that_a_session_has_set_changes_an_answer_of_the_embedded_engine(dsn_text: str) -> None:
    some = DANGEROUS[::4]
    truth, seen = walk(Dsn.parse(dsn_text), some)
    assert others(truth, some, seen) == {}
    said = dict(zip(some, seen, strict=True))
    assert {str(variant) for variant in set(some) & LIMITLESS if said[variant] != truth} == set()
