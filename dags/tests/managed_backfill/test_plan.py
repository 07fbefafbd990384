"""The plan: cut into chunks, written, read, edited, refused."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import pytest
import yaml

from dags.domain.errors import UserError
from dags.managed_backfill import plan as plan_module
from dags.managed_backfill.gates import AFTER, BEFORE, OF_CHUNKS
from dags.managed_backfill.plan import (
    Checks,
    ChunkBy,
    Extent,
    Held,
    Plan,
    Rollback,
    Scope,
    Strategy,
    chunked,
    from_yaml,
)
from dags.managed_backfill.progress import plan_text
from dags.managed_backfill.request import Facts, refuse_plan
from dags.work.document import as_yaml
from dags.work.plan import Estimate, Part, Rates

MONDAY = date(2026, 1, 5)
RATES = Rates(seconds_per_row=0.01, seconds_per_step=1, bytes_per_row=100, usd_per_gb=0.25, words="a test")


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def cut(the_days: list[date], rows: int = 10, **strategy: object) -> list[list[date]]:
    chosen = {"kind": Extent.FULL_RELOAD, "chunk_by": ChunkBy.DAY, "chunk_size_days": 7, **strategy}
    chunks = chunked(dict.fromkeys(the_days), dict.fromkeys(the_days, rows), Strategy(**chosen), RATES)  # type: ignore[arg-type]
    assert [chunk.id for chunk in chunks] == list(range(1, len(chunks) + 1))
    return [list(chunk.days) for chunk in chunks]


def a_plan(**changes: object) -> Plan:
    strategy = Strategy(kind=Extent.FULL_RELOAD, chunk_by=ChunkBy.DAY, chunk_size_days=2)
    scope = Scope(table="t", start_date=MONDAY, end_date=date(2026, 1, 9), team_ids=(1, 2), max_range_days=30)
    plan = Plan(
        name="a reload",
        created=datetime(2026, 2, 1, tzinfo=UTC),
        requested_by="ada",
        reason="a bug",
        scope=scope,
        strategy=strategy,
        checks=Checks(before=BEFORE, chunk=OF_CHUNKS, after=AFTER),
        chunks=chunked(dict.fromkeys(days(MONDAY, 5)), dict.fromkeys(days(MONDAY, 5), 10), strategy, RATES),
        rollback=Rollback(backup="attached parts", kept_days=7),
    )
    return plan.model_copy(update=changes)


def test_a_range_is_cut_into_chunks_of_so_many_days_in_order() -> None:
    assert cut(days(MONDAY, 10), chunk_size_days=4) == [
        days(MONDAY, 4), days(date(2026, 1, 9), 4), days(date(2026, 1, 13), 2),
    ]  # fmt: skip


def test_a_chunk_ends_with_the_iso_week_or_the_month_when_that_comes_first() -> None:
    thursday = date(2026, 1, 1)
    assert [len(chunk) for chunk in cut(days(thursday, 14), chunk_by=ChunkBy.WEEK)] == [4, 7, 3]
    late = date(2026, 1, 29)
    assert [len(chunk) for chunk in cut(days(late, 7), chunk_by=ChunkBy.MONTH, chunk_size_days=31)] == [3, 4]


def test_a_chunk_ends_before_the_day_that_would_exceed_its_rows_and_never_inside_a_day() -> None:
    assert [len(chunk) for chunk in cut(days(MONDAY, 5), rows=10, chunk_size_rows=25)] == [2, 2, 1]
    assert [len(chunk) for chunk in cut(days(MONDAY, 3), rows=100, chunk_size_rows=25)] == [1, 1, 1]


def test_newest_first_begins_with_the_last_day() -> None:
    assert cut(days(MONDAY, 3), chunk_size_days=2, newest_first=True) == [
        [date(2026, 1, 7), date(2026, 1, 6)], [MONDAY],
    ]  # fmt: skip


def test_estimates_are_those_of_the_rates_and_add_up() -> None:
    plan = a_plan()
    assert plan.chunks[0].estimate == Estimate(rows=20, bytes=2000, seconds=2.2, usd=0.0)
    assert plan.estimate.rows == 50
    assert plan.estimate.seconds == pytest.approx(5.5)


def test_a_plan_reads_back_as_it_was_written() -> None:
    plan = a_plan()
    assert from_yaml(as_yaml(plan)) == plan


def test_a_document_is_refused_with_every_violation_by_its_place_and_shows_nothing_of_itself() -> None:
    document = yaml.safe_load(as_yaml(a_plan()))
    document["scope"] |= {"start_date": "hunter2", "end_date": "9999-12-31", "team_ids": []}
    document["strategy"] |= {"hunter2": 3, "paralellism": 3, "chunk_by": "hunter2"}
    document["chunks"] = []
    document["scope"]["held"] = {"2026-01-05": {"team_ids": [1], "hunter2": 1}}
    document["hunter2"] = "hunter2"
    del document["reason"]
    with pytest.raises(UserError) as refused:
        from_yaml(yaml.safe_dump(document))
    first, *problems = str(refused.value).splitlines()
    assert first == "the plan cannot be read, nothing was touched:"
    assert [problem.split(":")[0] for problem in problems] == [
        "reason is missing", "scope.start_date", "scope.end_date", "scope.team_ids is empty", "strategy.chunk_by",
        "chunks is empty", "scope.held.2026-01-05", "strategy", "the plan",
    ]  # fmt: skip
    assert "strategy: 2 unknown fields; there may be kind, chunk_by, " in str(refused.value)
    assert "should be less than or equal to 2148-12-31" in problems[2]
    assert "hunter2" not in str(refused.value)


def test_every_part_of_the_document_is_known_by_the_field_that_holds_it() -> None:
    rooms = ("dags.work", "dags.managed_backfill")
    ours = {part for part in Part.__subclasses__() if part.__module__.startswith(rooms)}
    assert set(plan_module._PARTS.values()) == ours - {Rates}


def test_what_is_wrong_in_a_chunk_is_said_by_its_number_and_lists_of_ids_at_once() -> None:
    document = yaml.safe_load(as_yaml(a_plan()))
    document["chunks"][1] |= {"days": ["hunter2", "hunter3"], "team_ids_by_day": {"hunter2": [1], "2026-01-07": []}}
    document["scope"]["team_ids"] = ["hunter2"] * 1000
    with pytest.raises(UserError) as refused:
        from_yaml(yaml.safe_dump(document))
    assert [problem.split(":")[0] for problem in str(refused.value).splitlines()[1:]] == [
        "scope.team_ids.0", "chunks.1.days.0", "chunks.1.team_ids_by_day.2026-01-07 is empty",
        "chunks.1.team_ids_by_day",
    ]  # fmt: skip
    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [hunter2", "the plan is no YAML: line 2 cannot be read"),
        ("a: b\n\thunter2", "the plan is no YAML: line 2 cannot be read"),
        ("- hunter2", "the plan is no mapping"),
        ("", "the plan is no mapping"),
        ("hunter2", "the plan is no mapping"),
        ("a: hunter2\x00", "the plan holds characters that no YAML has"),
        ("a: \ud800", "the plan holds characters that no YAML has"),
        ("a: &hunter2 b", "the plan has an anchor in line 1"),
        ("a: *hunter2", "the plan has an alias in line 1"),
        ("a: b\nc: !!python/object/apply:os.system [hunter2]", "the plan has a tag in line 2"),
        ("a: b\na: hunter2", "the plan has the key in line 2 a second time"),
        ("? [hunter2]\n: b", "the plan has a key in line 1 that is no text"),
        ("--- a\n--- hunter2", "the plan is 2 documents"),
        ("a: " + "[" * 100_000, "the plan is nested deeper than 8 levels in line 1"),
        ("{" + ",".join(map(str, range(200_000))) + "}", "the plan has more than 100,000 keys"),
        ("{" + ",".join(map(str, range(1000))) + "}", "1,009 violations: this is no plan"),
        ("chunks: [" + "x," * 10_000 + "]", "chunks: give at most one for each day of ten years"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_plan_is_refused_in_words_that_repeat_nothing_of_it(text: str, words: str) -> None:
    began = time.monotonic()
    with pytest.raises(UserError) as refused:
        from_yaml(text)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert time.monotonic() - began < 5


def test_a_document_of_aliases_upon_aliases_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(UserError, match="the plan has an anchor in line 1"):
        from_yaml("\n".join(lines))


def test_an_edited_plan_may_not_contradict_itself() -> None:
    document = yaml.safe_load(as_yaml(a_plan()))
    document["chunks"][1]["id"] = 1
    document["chunks"][1]["days"] = ["2026-01-05", "2026-02-01"]
    document["chunks"][0]["team_ids_by_day"] = {"2026-01-08": [3]}
    with pytest.raises(UserError) as refused:
        from_yaml(yaml.safe_dump(document))
    assert str(refused.value).splitlines()[1:] == [
        "chunks: the id 1 occurs 2 times",
        "chunks: 2026-01-05 are in more than one chunk",
        "chunks: 2026-02-01 lie outside scope, 2026-01-05 … 2026-01-09",
        "chunk 1: team_ids_by_day names 2026-01-08, not among its days",
        "chunk 1: teams [3] are not in scope.team_ids",
    ]


def test_a_chunks_number_fits_the_audit() -> None:
    document = yaml.safe_load(as_yaml(a_plan()))
    document["chunks"][0]["id"] = 2**32
    with pytest.raises(UserError, match=r"chunks\.0\.id: Input should be less than 4294967296"):
        from_yaml(yaml.safe_dump(document))
    document["chunks"][0]["id"] = 2**32 - 1
    assert from_yaml(yaml.safe_dump(document)).chunks[0].id == 2**32 - 1


@pytest.mark.parametrize(
    ("planned", "asked", "words"),
    [
        (2, (2, 2), ""),
        (0, (0, 0), ""),
        (2, (1, 2), ("scope.shard is 2, and this run is of shard 1 of 2: give it the tag web_analytics_backfill/shard "
         "with 2, or make a plan on shard 1, for teams and days are not the same there")),
        (0, (1, 2), "scope.shard is missing, and this run is of shard 1 of 2: write that if the plan is for it"),
        (2, (0, 0), "scope.shard is 2, and CLICKHOUSE_DSN names no shards: take it out if the plan is for this server"),
    ],
    ids=["its own", "there is one", "another", "it names none", "there are none"],
)  # fmt: skip
def test_a_plan_names_its_shard_and_is_refused_by_name_on_any_other(
    planned: int, asked: tuple[int, int], words: str
) -> None:
    plan = a_plan(scope=a_plan().scope.model_copy(update={"shard": planned}))
    document = as_yaml(plan)
    assert from_yaml(document) == plan
    assert yaml.safe_load(document)["scope"].get("shard", 0) == planned
    assert ("shard" in document) == (f"SHARD    {planned}" in plan_text(plan)) == bool(planned)
    facts = Facts(today=date(2026, 2, 1), enabled=frozenset({1, 2}), tables=("t",), max_range_days=30, shard=asked)
    if not words:
        refuse_plan(plan, facts)
        return
    with pytest.raises(UserError) as refused:
        refuse_plan(plan, facts)
    assert str(refused.value).splitlines()[1:] == [words]


def test_a_plan_that_says_what_would_not_be_done_is_refused() -> None:
    facts = Facts(today=date(2026, 2, 1), enabled=frozenset({1, 2}), tables=("t",), max_range_days=30)
    refuse_plan(a_plan(), facts)
    kept = {MONDAY: Held(team_ids=(2,)), date(2026, 1, 10): Held(team_ids=(1,))}
    edited = a_plan(
        checks=Checks(before=(), chunk=("rm",), after=AFTER),
        scope=a_plan().scope.model_copy(update={"held": kept}),
        reason="\x1b[2J",
    )
    with pytest.raises(UserError) as refused:
        refuse_plan(edited, facts)
    shown = str(refused.value).splitlines()[1:]
    assert [line.partition(":")[0] for line in shown] == [
        "reason holds what is not shown as it is (U+001B)",
        "checks.before are not the gates that are asked, which no plan chooses",
        "checks.chunk are not the gates that are asked, which no plan chooses",
        "scope.held has teams [2] of 2026-01-05, which chunks rebuild",
    ]
