"""Very many verdicts take little memory, lose nothing on their way through ClickHouse, and are read one by one."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc
from datetime import date, timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.detection.judging import Suspects, Table, judge_day
from dags.detection.memory import DayState, recalled, remember
from dags.detection.rules import Cause, Failure, Kind, Verdict
from dags.detection.verdicts import Verdicts, microseconds, repeated_unit
from dags.domain.days import DayRange
from dags.domain.units import Measure, Outcome, Unit
from dags.tests.events import at

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DAY = date(2026, 1, 10)
BUILT_AT = at("2026-01-11 01:02:03")
WORDS = ("sessions", "page views")
MANY = 20_000


def missing(teams: int, failures: dict[int, Failure] | None = None) -> Table:
    """Of every team something is expected, and the table holds nothing; every second one was built."""
    numbers = range(1, teams + 1)
    suspects = Suspects.of(
        [numbers, *([[0] * teams] * 4), [7] * teams, [9] * teams, [0] * teams,
         [microseconds(BUILT_AT) * (team % 2) for team in numbers]]
    )  # fmt: skip
    source = {team: Measure(team, 1000 * team) for team in numbers}
    return Table(suspects, source, {}, failures or {}, ("bounces",), WORDS)


def judged(stats: Table, bounces: Table | None = None) -> Verdicts:
    tables = {"stats": stats} if bounces is None else {"stats": stats, "bounces": bounces}
    return judge_day(DAY, tables).wrong


def test_a_wrong_unit_takes_at_most_200_bytes_and_its_verdict_is_made_when_it_is_looked_at() -> None:
    table = missing(MANY)
    tracemalloc.start()
    try:
        found = judged(table)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == MANY
    assert held < 200 * MANY
    assert len(pickle.dumps(found)) < 100 * MANY
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 -- our own bytes
    assert len(found.groups) == 2
    [one] = found.of_teams([4_001])
    assert one == Verdict(
        Unit("stats", 4_001, DAY),
        Kind.MISSING,
        Cause.ROWS_LOST,
        "source 4,001 sessions, 4,001,000 page views; table 0 sessions, 0 page views; built 2026-01-11 01:02 with 7 "
        "sessions",
        is_inconsistent=True,
        source=Measure(4_001, 4_001_000),
    )
    assert found[-1] == list(found)[-1]
    assert found[1:3] == tuple(found)[1:3]


def test_two_verdicts_on_one_unit_are_found_and_others_are_not() -> None:
    once = judged(missing(5))
    assert repeated_unit(once.groups) is None
    assert repeated_unit([*once.groups, *once.of_teams([3]).groups]) == Unit("stats", 3, DAY)


def test_what_is_remembered_is_recalled_to_the_letter_and_told_in_sql(client: Client) -> None:
    partial = Table(
        Suspects.of([[1], [5], [5], [0], [2], [3], [30], [1], [microseconds(BUILT_AT)]]),
        {1: Measure(5, 50)},
        {1: Measure(4, 40)},
        words=WORDS,
    )
    found = judged(missing(4, {2: Failure("abcdefghij", at("2026-01-12 02:00:00"), "out of memory")}), partial)
    assert {v.last_failure != "" for v in found} == {True, False}
    assert {group.outcome for group in found.groups} == {None, Outcome.BUILT, Outcome.VERIFIED}
    days = DayRange(DAY, DAY + timedelta(days=1))
    state = DayState(DAY, "as it is", BUILT_AT, {"stats": 3}, {"stats": 1}, found)
    remember(client, [state])
    sql = Sql("dags.detection", client)
    again = recalled(sql, days, {DAY: "as it is"})[DAY]
    assert again.wrong == found
    assert (again.complete, again.outdated, again.read_at) == ({"stats": 3}, {"stats": 1}, BUILT_AT)
    assert recalled(sql, days, {DAY: "otherwise"}) == {}
    # A day that 0.4 found is shown as it was, until it is read again.
    client.command(
        "INSERT INTO web_pre_aggregated_day_states (day, state, read_at, wrong) VALUES ('2026-01-09', 'old', now64(6), "
        "[('stats', 7, 'missing', 'never built', 'in its words', false, false, 1, 2, 0, 0)])"
    )
    messages = client.query(
        "SELECT table_name, team_id, day, kind, cause, detail, is_inconsistent FROM web_pre_aggregated_verdicts"
    ).result_rows
    expected = {
        (v.unit.table, v.unit.team_id, v.unit.day, str(v.kind), str(v.cause), v.detail.replace(",000", "000"),
         v.is_inconsistent)
        for v in found
    }  # fmt: skip
    assert set(messages) == {*expected, ("stats", 7, date(2026, 1, 9), "missing", "never built", "in its words", False)}


def test_a_terminals_answer_imports_neither_numpy_nor_pandas() -> None:
    """Each takes a tenth of a second of it (decision 0007)."""
    program = "import sys, dags.definitions; print({'numpy', 'pandas'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_the_child_of_a_tick_imports_no_models_and_no_dagster() -> None:
    """What it is to do is pickled by name, and a quarter of what it took was to load pydantic for nothing."""
    program = """
import sys, dags.web_preaggregated_backfill.store, dags.repair.requests.store, dags.web_preaggregated.tables
print({'numpy', 'pandas', 'pydantic', 'dagster'} & sys.modules.keys())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
