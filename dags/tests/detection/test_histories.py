"""Random histories on a real engine, against an oracle in plain Python that knows what happened.

Each team lives a history of its own, step by step beside the others: traffic arrives, in time or late; it is built,
or its build fails; rows are lost, or written twice; the source expires; it is detected in between. In the end no gap
may be missed, none invented, and every reason must be the right one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dags.detection.rules import Cause, Kind
from dags.domain.days import start_of
from dags.domain.units import Measure
from dags.team_selection.store import write_selection
from dags.tests.builds import TABLES, build
from dags.tests.detection.test_store import detected
from dags.tests.events import Event, at, insert
from dags.tests.fold import fold, sessions_of, stored
from dags.tests.variants import embedded_at_night

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection

pytestmark = pytest.mark.story

# The day before yesterday of NOW has closed, yesterday is open.
CLOSED, OPEN = date(2026, 1, 12), date(2026, 1, 13)
DAYS = (CLOSED, OPEN)
STATS, BOUNCES = TABLES

NOTHING = Measure()
MILLISECOND = timedelta(milliseconds=1)


Key = tuple[str, int, date]


class Act(StrEnum):
    """What may happen to a team."""

    ARRIVE = "traffic arrives"
    BUILD = "its day is built"
    FAIL = "the build of the day fails"
    LOSE_STATS = "its rows of stats are lost"
    LOSE_BOUNCES = "its rows of bounces are lost"
    LOSE_SOME = "some rows of stats are lost"
    DOUBLE = "its rows of bounces are there twice"
    EXPIRE = "its events expire"
    DETECT = "it is detected"
    REST = "nothing"


@dataclass
class Known:
    """What the oracle knows of a unit beside its data."""

    last: Measure | None = None
    has_failed: bool = False


@dataclass
class Oracle:
    """Keeps the books of all histories; never asks the code under test."""

    client: Client
    events: list[Event] = field(default_factory=list)
    known: dict[Key, Known] = field(default_factory=dict)
    clock: int = 0

    def of(self, key: Key) -> Known:
        return self.known.setdefault(key, Known())

    def source(self, team: int, day: date) -> Measure:
        sessions = list(sessions_of([e for e in self.events if e.team_id == team], day))
        return Measure(len(sessions), sum(len(s.pageviews) for s in sessions))

    def held(self) -> dict[Key, Measure]:
        """What each table holds, asked of its rows in the plainest way."""
        return {
            (table, team, day): Measure(*counts)
            for table in TABLES
            for team, day, *counts in self.client.query(
                "SELECT team_id, toDate(period_bucket), uniqMerge(sessions_uniq_state), "
                f"sumMerge(pageviews_count_state) FROM {table} GROUP BY 1, 2"
            ).result_rows
        }

    def expected(self, teams: Iterable[int]) -> dict[Key, tuple[Kind, Cause]]:
        """What must be found wrong of these teams, and why."""
        held = self.held()
        found: dict[Key, tuple[Kind, Cause]] = {}
        for key in product(TABLES, teams, DAYS):
            _, team, day = key
            verdict = self.verdict(self.of(key), self.source(team, day), held.get(key, NOTHING), day)
            if verdict is not None:
                found[key] = verdict
        return found

    def verdict(self, known: Known, source: Measure, target: Measure, day: date) -> tuple[Kind, Cause] | None:
        last = known.last
        if source == target or (target != NOTHING and day == OPEN and last == target):
            return None
        if target == NOTHING:
            return Kind.MISSING, self.cause_of_absence(known)
        if source == NOTHING:
            return Kind.ORPHAN, Cause.NO_SOURCE
        if day == CLOSED and last is not None and last != source:
            grew = (source.distinct, source.total) > (last.distinct, last.total)
            return Kind.STALE, Cause.SOURCE_GREW if grew else Cause.SOURCE_SHRANK
        is_partial = (target.distinct, target.total) < (source.distinct, source.total)
        was_lost = is_partial and last is not None
        return Kind.PARTIAL if is_partial else Kind.EXCESS, Cause.ROWS_LOST if was_lost else Cause.DIFFERS

    def cause_of_absence(self, known: Known) -> Cause:
        if known.last is None:
            return Cause.BUILD_FAILED if known.has_failed else Cause.NEVER_BUILT
        return Cause.ARRIVED_LATE if known.last == NOTHING else Cause.ROWS_LOST

    # --- What happens ---------------------------------------------------------------------------------------

    def arrive(self, arrivals: Iterable[tuple[int, int]]) -> None:
        """A session of each team, delivered together."""
        fresh = [event for team, number in arrivals for event in self.session(team, number)]
        insert(self.client, fresh)
        self.events += fresh

    def session(self, team: int, number: int) -> list[Event]:
        """On either day or across the midnight between them; each number another one."""
        day = DAYS[number % 2]
        first = start_of(day) + (timedelta(hours=1 + number % 20) if number % 3 else -MILLISECOND)
        fresh = [
            Event(team, first + minute * timedelta(minutes=3), f"s{number}", pathname=f"/{minute}")
            for minute in range(1 + number % 4)
        ]
        return [Event(**{**e.__dict__, "inserted_at": self.instant()}) for e in fresh]

    def build(self, teams: list[int], held: dict[Key, Measure]) -> None:
        for day in DAYS:
            build(self.client, *teams, day=day)
            for table, team in product(TABLES, teams):
                source, before = self.source(team, day), held.get((table, team, day), NOTHING)
                is_held = before.distinct > 0 and source.distinct * 2 <= before.distinct
                if not is_held and (source or before):
                    self.of((table, team, day)).last = source

    def fail(self, teams: list[int]) -> None:
        """A failed build is one of the teams that it was for, and of no other."""
        with pytest.MonkeyPatch.context() as fault:
            fault.setattr("dags.publish.build._Attempt._read_source", _give_out)
            for day in DAYS:
                assert build(self.client, *teams, day=day).problems
                for table, team in product(TABLES, teams):
                    self.of((table, team, day)).has_failed = True

    def lose(self, table: str, teams: list[int], where: str = "1") -> None:
        self.client.command(f"DELETE FROM {table} WHERE team_id IN {teams} AND {where}")

    def double(self, teams: list[int]) -> None:
        self.client.command(f"INSERT INTO {BOUNCES} SELECT * FROM {BOUNCES} WHERE team_id IN {teams}")

    def expire(self, teams: list[int]) -> None:
        self.client.command(f"DELETE FROM events WHERE team_id IN {teams}")
        self.events = [event for event in self.events if event.team_id not in teams]

    def detect(self, teams: Iterable[int]) -> Detection:
        """A detection verifies what it doubts, and remembers what it finds in order as it remembers a build."""
        held = self.held()
        found = detected(self.client)
        for key in product(TABLES, teams, DAYS):
            _, team, day = key
            known, target = self.of(key), held.get(key, NOTHING)
            is_doubted = day == CLOSED or (known.last is not None and known.last.total != target.total)
            is_asked = self.is_candidate(team, day) if target == NOTHING else is_doubted
            if is_asked and target == self.source(team, day):
                known.last = target
        return found

    def is_candidate(self, team: int, day: date) -> bool:
        """Whether cheap facts leave it open that something is expected."""
        return day in {event.timestamp.date() for event in self.events if event.team_id == team}

    def instant(self) -> datetime:
        self.clock += 1
        return at("2026-01-13 23:00:00") + timedelta(seconds=self.clock)


def _give_out(*_: object) -> None:
    raise DatabaseError("Code: 241. DB::Exception: memory limit exceeded")


TEAMS = range(1, 21)
LOSSES = {
    Act.LOSE_STATS: (STATS, "1"),
    Act.LOSE_BOUNCES: (BOUNCES, "1"),
    Act.LOSE_SOME: (STATS, "pathname = '/0'"),
}
_histories = st.lists(
    st.lists(st.tuples(st.sampled_from(Act), st.integers(0, 40)), min_size=len(TEAMS), max_size=len(TEAMS)),
    min_size=2,
    max_size=5,
)


def live(client: Client, rounds: list[list[tuple[Act, int]]]) -> Oracle:
    """Let every team live its history; a round is one step of each."""
    for table in ("events", "web_pre_aggregated_builds", "web_pre_aggregated_day_states", *TABLES):
        client.command(f"TRUNCATE TABLE {table} SYNC")
    write_selection(client, TEAMS)
    oracle = Oracle(client)
    for steps in rounds:
        of_act: dict[Act, list[tuple[int, int]]] = {act: [] for act in Act}
        for team, (act, number) in zip(TEAMS, steps, strict=True):
            of_act[act].append((team, number))
        step(oracle, of_act)
    return oracle


def step(oracle: Oracle, of_act: dict[Act, list[tuple[int, int]]]) -> None:
    teams = {act: [team for team, _ in steps] for act, steps in of_act.items()}
    if of_act[Act.ARRIVE]:
        oracle.arrive(of_act[Act.ARRIVE])
    if teams[Act.EXPIRE]:
        oracle.expire(teams[Act.EXPIRE])
    if teams[Act.BUILD]:
        oracle.build(teams[Act.BUILD], oracle.held())
    if teams[Act.FAIL]:
        oracle.fail(teams[Act.FAIL])
    for act, (table, where) in LOSSES.items():
        if teams[act]:
            oracle.lose(table, teams[act], where)
    if teams[Act.DOUBLE]:
        oracle.double(teams[Act.DOUBLE])
    if teams[Act.DETECT]:
        oracle.detect(TEAMS)


def judged(detection: Detection) -> dict[Key, tuple[Kind, Cause]]:
    return {
        (v.unit.table, v.unit.team_id, v.unit.day): (v.kind, v.cause) for v in detection.wrong if v.unit.day in DAYS
    }


def check(client: Client, rounds: list[list[tuple[Act, int]]]) -> None:
    oracle = live(client, rounds)
    expected = oracle.expected(TEAMS)
    recalled = detected(client)
    assert judged(recalled) == expected
    assert not recalled.unknown
    assert recalled.wrong == detected(client, reads_all_days=True).wrong == detected(client).wrong
    for day in DAYS:
        build(client, *TEAMS, day=day, allow_shrink=True)
    assert judged(detected(client)) == {}
    for table, day in product(TABLES, DAYS):
        assert stored(client, table, day) == fold(oracle.events, day, table)


_options = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


def _each(acts: dict[int, Act], others: Act) -> list[tuple[Act, int]]:
    return [(acts.get(team, others), 39) for team in TEAMS]


@embedded_at_night
def test_rows_that_outlived_a_failed_build_are_lost_whether_or_not_they_were_counted_in_between(client: Client) -> None:
    """What a neighbour loses makes a detection count the whole day again, and that is no build of this team."""
    built = [_each({}, Act.ARRIVE), _each({}, Act.BUILD)]
    lost = _each({10: Act.LOSE_STATS}, Act.REST)
    check(client, [*built, _each({10: Act.FAIL, 9: Act.LOSE_STATS, 8: Act.DETECT}, Act.REST), lost])
    check(client, [*built, _each({10: Act.FAIL}, Act.REST), lost])


@embedded_at_night
@settings(max_examples=2, **_options)  # type: ignore[arg-type]
@given(rounds=_histories)
def test_no_gap_is_missed_none_is_invented_and_every_reason_is_right(
    client: Client, rounds: list[list[tuple[Act, int]]]
) -> None:
    check(client, rounds)


@pytest.mark.slow
@settings(max_examples=5, **_options)  # type: ignore[arg-type]
@given(rounds=_histories)
def test_so_it_is_in_hundreds_of_histories(client: Client, rounds: list[list[tuple[Act, int]]]) -> None:
    """Five times twenty teams, on each engine."""
    check(client, rounds)
