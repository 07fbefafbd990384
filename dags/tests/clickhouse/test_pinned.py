"""A user's profile can refuse, and it can cost; it cannot change an answer."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import DagsterInstance

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.domain.errors import UserError
from dags.publish.staging import sweep
from dags.repair.decision import Trigger
from dags.settings import read_settings
from dags.team_selection.store import write_selection
from dags.tests.builds import TABLES, build
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.events import Event, at, insert
from dags.tests.fold import stored
from dags.tests.profiles import (
    DAY,
    NOW,
    TEAMS,
    Answer,
    Variant,
    answer,
    answer_under,
    make_world,
    opened,
    users_xml,
    variants,
)
from dags.tests.runbook import symptom
from dags.tests.web_preaggregated.test_repair import staging_of
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.evaluation import evaluate, run_requests, skip_reason
from dags.web_preaggregated_backfill.report import status_line, table_statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    # An engine, and the profiles that its users have by number.
    Walk = tuple[Dsn, list[Variant]]

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
    messages = zip(asked, seen, strict=True)
    return {str(variant): answer for variant, answer in messages if isinstance(answer, Answer) and answer != truth}


# Below the size of any table: drops and swaps refuse, unless they say otherwise.
SMALL_DROPS = (("max_partition_size_to_drop", "1"), ("max_table_size_to_drop", "1"))
DROPS, FIXED_DROPS = Variant(SMALL_DROPS), Variant(SMALL_DROPS, "const")

# A limit that even the questions of a tick are beyond.
LIMITED = Variant((("max_rows_to_read", "2"), ("read_overflow_mode", "break"), ("max_block_size", "1")))

# One that even the first questions of a connection are beyond.
REFUSED = Variant((("max_result_rows", "1"),))

ALL = (*DANGEROUS, FIXED_HARM, FIXED_FIRST, FIXED_UNKNOWN, FIXED_COST, READ_ONLY, DROPS, FIXED_DROPS, LIMITED, REFUSED)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dsn]:
    """A server with a user for each profile of `ALL`."""
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    with running_server(tmp_path_factory.mktemp("profiles"), users_xml(ALL)) as address:
        yield Dsn.parse(address.dsn("world"))


@pytest.mark.long
def test_no_profile_of_a_server_changes_an_answer(served: Dsn) -> None:
    truth, seen = walk(served, ALL)
    assert others(truth, ALL, seen) == {}
    text = dict(zip(ALL, seen, strict=True))
    assert {str(variant) for variant in LIMITLESS if text[variant] != truth} == set()
    harmful = str(text[FIXED_HARM])
    assert "apply_deleted_mask is '0' and may not be changed by this user; expected: '1'" in harmful
    assert "transform_null_in is '1' and may not be changed by this user; expected: '0'" in harmful
    assert "optimize_use_projections is '0' and may not be changed by this user; expected: '1'" in str(
        text[FIXED_UNKNOWN]
    )
    expected = "readonly is '1' and may not be changed by this user; expected: '0', or '2' for who only asks"
    assert expected in str(text[READ_ONLY])
    assert symptom("does not let … set").search(str(text[FIXED_FIRST]))
    assert "Setting limit should not be changed" in str(text[FIXED_FIRST])
    assert text[FIXED_COST] == truth


@pytest.mark.parametrize(
    ("profile", "cause", "seen"),
    [
        (FIXED_HARM, "apply_deleted_mask is '0'", symptom("… may change or cut short what is read")),
        (LIMITED, "TOO_MANY_ROWS", symptom("… could not be read")),
        (REFUSED, "TOO_MANY_ROWS_OR_BYTES", symptom("ClickHouse at … answered with an error")),
    ],
    ids=str,
)
def test_what_cannot_be_relied_on_is_unknown_to_the_sensor_the_checks_and_the_reports(
    served: Dsn, profile: Variant, cause: str, seen: re.Pattern[str]
) -> None:
    def on_engine(work: Callable[[Client], Any]) -> Any:
        with opened(served, ALL.index(profile), profile) as client:
            return work(client)

    with open_client(served, wait_seconds=60, create_database=True) as client:
        apply_schema(client, WEB_TABLES)
        # More rows than the limit lets through, whichever test came before.
        write_selection(client, range(1, 10))
        insert(client, [Event(team, NOW - timedelta(days=3), str(team)) for team in range(1, 10)])
    with DagsterInstance.ephemeral() as instance:
        found = evaluate(instance, read_settings({}), WEB_TABLES, Trigger.SENSOR, on_engine, now=NOW)
    assert found.is_unknown
    assert status_line(found.detection).startswith("UNKNOWN: web_pre_aggregated_stats, web_pre_aggregated_bounces")
    assert cause in skip_reason(found)
    assert seen.search(skip_reason(found))
    assert [(status.is_complete, cause in status.words) for status in table_statuses(found.detection)] == [
        (False, True),
        (False, True),
    ]
    assert run_requests(found, "plan") == []


def test_a_limit_on_drops_is_set_aside_and_where_that_is_forbidden_what_stays_is_told(served: Dsn) -> None:
    day, later = date(2026, 1, 5), date(2026, 1, 6)
    with open_client(served, wait_seconds=60, create_database=True) as client:
        apply_schema(client, WEB_TABLES)
        insert(client, [Event(1, at(f"{on} 12:00:00"), str(on)) for on in (day, later)])
    with opened(served, ALL.index(DROPS), DROPS) as client:
        for _ in range(2):
            assert build(client, 1, day=day).problems == ()
            assert staging_of(client) == []
    with opened(served, ALL.index(FIXED_DROPS), FIXED_DROPS) as client:
        messages: list[str] = []
        assert build(client, 1, day=later, progress=messages.append).problems == ()
        left = staging_of(client)
        assert left
        assert [name for name in left if not any(f"{name} cannot be dropped" in words for words in messages)] == []
        assert len([*filter(symptom("… cannot be dropped and takes up disk").match, messages)]) >= len(left)
        # They are in nobody's way but on their own day, where the build that they are of might yet publish them.
        insert(client, [Event(1, at("2026-01-07 12:00:00"))])
        assert build(client, 1, day=date(2026, 1, 7), progress=messages.append).problems == ()
        with pytest.raises(ClickHouseError, match="TABLE_SIZE_EXCEEDS_MAX_DROP_SIZE_LIMIT"):
            build(client, 1, day=later)
    with open_client(served, wait_seconds=60) as client:
        assert sweep(client, messages.append) >= len(left)
        assert staging_of(client) == []


@pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)
def test_nothing_that_a_session_has_set_changes_an_answer_of_the_embedded_engine(dsn_text: str) -> None:
    some = DANGEROUS[::4]
    truth, seen = walk(Dsn.parse(dsn_text), some)
    assert others(truth, some, seen) == {}
    text = dict(zip(some, seen, strict=True))
    assert {str(variant) for variant in set(some) & LIMITLESS if text[variant] != truth} == set()


# --- Every setting that an engine has -----------------------------------------------------------------------------


@contextmanager
def walked(engine: str, engine_dsn: Callable[[str], str], directory: Path, only: str) -> Iterator[Walk]:
    """An engine of which every user has one of the profiles worth a try; of those whose settings match ``only``."""

    def chosen(client: Client) -> list[Variant]:
        return [one for one in variants(client) if re.match(only, one.settings[0][0])]

    if engine == "embedded":
        dsn = Dsn.parse(engine_dsn(engine))
        with open_client(dsn, wait_seconds=60, create_database=True) as client:
            asked = chosen(client)
        yield dsn, asked
        return
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    with (
        running_server(directory / "plain") as address,
        open_client(Dsn.parse(address.dsn("default")), wait_seconds=60) as client,
    ):
        asked = chosen(client)
    with running_server(directory / "profiles", users_xml(asked)) as address:
        yield Dsn.parse(address.dsn("world")), asked


@pytest.mark.walk
@pytest.mark.parametrize("engine", ["embedded", "server"])
def test_no_setting_of_an_engine_changes_an_answer(
    engine: str, engine_dsn: Callable[[str], str], tmp_path: Path
) -> None:
    with walked(engine, engine_dsn, tmp_path, "") as (dsn, asked):
        truth, seen = walk(dsn, asked)
    same, errors = seen.count(truth), sum(isinstance(one, str) for one in seen)
    print(f"{len(asked)} profiles, {engine}: {same} same, {errors} errors, {len(asked) - same - errors} other")
    assert others(truth, asked, seen) == {}
    assert same > len(asked) * 0.9


# What a build does with rows; all else a build has in common with a detection.
BUILDING = (
    r"alter|apply|async_insert$|cast|data_type|date_time|decimal|deduplicate|default_|distinct_o|empty_result|enable_pos"
    r"|final|flatten|group_by|input_format_(native|null|def|skip)|insert|join_(use|def|any|over)|lightweight|materialized_v"
    r"|mutations|optimize_(on_insert|use_proj|aggr|uniq|fuse|throw)|prefer_col|session_time|set_over|throw|transform|wait"
)


@pytest.mark.walk
@pytest.mark.parametrize("engine", ["embedded", "server"])
def test_no_setting_of_an_engine_changes_what_a_build_publishes(
    engine: str, engine_dsn: Callable[[str], str], tmp_path: Path
) -> None:
    other: dict[str, object] = {}
    errors = 0
    with (
        walked(engine, engine_dsn, tmp_path, BUILDING) as (dsn, asked),
        open_client(dsn, wait_seconds=60, create_database=True) as plain,
    ):
        make_world(plain)
        build(plain, *TEAMS, day=DAY)
        truth = [stored(plain, table, DAY) for table in TABLES]
        assert all(truth)
        for number, variant in enumerate(asked):
            for table in TABLES:
                plain.command(f"ALTER TABLE {table} DROP PARTITION {DAY:%Y%m%d}")
            try:
                with opened(dsn, number, variant) as client:
                    problems = build(client, *TEAMS, day=DAY, wait_seconds=90).problems
            except (UserError, ClickHouseError) as error:
                problems = (str(error),)
            errors += bool(problems)
            found = [stored(plain, table, DAY) for table in TABLES]
            if any(one != whole and (one or not problems) for one, whole in zip(found, truth, strict=True)):
                other[str(variant)] = problems
    print(f"{len(asked)} profiles, {engine}: {len(asked) - errors} built, {errors} errors, {len(other)} other")
    assert other == {}
