"""What others write while days are replaced, backed up or taken back is kept, or it is said which days are not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from dags.managed_backfill.checkpoint import DayCheckpoint
from dags.managed_backfill.execution import PlannedDays
from dags.publish.backup import backup_name, make_backup
from dags.publish.path import Publisher
from dags.tests.events import Event, insert, person
from dags.tests.managed_backfill.test_managed_backfill import DAYS, fails, prepared, run, who
from dags.tests.managed_backfill.test_taking_back import others_write, rollback, states
from dags.tests.runbook import symptom
from dags.tests.variants import embedded_at_night, variants
from dags.tests.world import STATS, ago, noon
from dags.work.audit.store import read_state, read_works

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.tests.world import World

pytestmark = embedded_at_night

DAY = DAYS[-1]


def one_day(world: World, **given: Any) -> Any:
    return run(world, days=[str(DAY)], **given)


def once(patch: pytest.MonkeyPatch, name: str, act: Callable[[], object], *, after: bool = False) -> None:
    """Do something once, just before a step of a publish or just after it."""
    step, done = getattr(Publisher, name), list[bool]()

    def then(itself: Any, *given: Any) -> Any:
        is_first = not done
        done.append(True)
        if is_first and not after:
            act()
        found = step(itself, *given)
        if is_first and after:
            act()
        return found

    patch.setattr(Publisher, name, then)


def replaced(world: World, **given: Any) -> str:
    """A day that a backfill has replaced."""
    prepared(world, 1)
    world.built(DAY)
    world.traffic([1], [DAY], session="late")
    return str(one_day(world, **given)["backfill_id"])


@pytest.mark.parametrize("moment", variants("_last_look", "seen", "_compare"))
def test_rows_of_its_teams_that_others_write_during_a_rollback_are_left_and_the_day_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    backfill_id = replaced(world)
    once(monkeypatch, moment, lambda: others_write(world, DAY, team=1, views=5))
    refused = fails(world, "rollback_backfill_job", **who(backfill_id, allow_losing_later_builds=False))
    assert f"{DAY}: NOT as before, left to what others wrote" in refused
    assert len(states(world)[DAY]) == 3


def test_a_rollback_does_not_go_on_in_a_table_that_was_put_in_the_others_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    backfill_id = replaced(world)
    world.client.command(f"CREATE TABLE other AS {STATS}")
    try:
        others_write(world, DAY, team=9)
        world.client.command(f"INSERT INTO other SELECT * FROM {STATS}")
        in_the_other = states(world)[DAY]
        with monkeypatch.context() as exchanging:
            once(exchanging, "_compare", lambda: world.client.command(f"EXCHANGE TABLES {STATS} AND other"))
            refused = fails(world, "rollback_backfill_job", **who(backfill_id, allow_losing_later_builds=True))
        assert "another table was put in its place" in refused
        assert states(world)[DAY] == in_the_other
    finally:
        world.client.command("DROP TABLE other SYNC")


def test_a_rollback_tells_persons_apart_whose_number_is_equal(world: World) -> None:
    def visits(second: int, day: int) -> list[Event]:
        return [
            Event(
                1,
                noon(DAY, n),
                f"s{n}",
                pathname=f"/{n}",
                person_id=person(who),
                uuid=person(900 + n),
                inserted_at=noon(ago(day)),
            )
            for n, who in enumerate((1, second))
        ]

    persons = f"SELECT uniqMerge(persons_uniq_state) FROM {STATS}"
    world.select(1)
    insert(world.client, visits(1, 1))
    world.built(DAY)
    insert(world.client, visits(2, 0))
    report = one_day(world)
    assert world.client.query(persons).result_rows == [(2,)]
    rollback(world, report["backfill_id"])
    assert world.client.query(persons).result_rows == [(1,)]


def test_a_rollback_restores_what_is_beside_the_key_of_a_table_that_merges_no_rows(world: World) -> None:
    [(made,)] = world.client.query(f"SHOW CREATE TABLE {STATS}").result_rows
    plain = made.replace("ENGINE = AggregatingMergeTree", "ENGINE = MergeTree")
    plain = re.sub(r"PRIMARY KEY \([^)]*\)\s*ORDER BY \([^)]*\)", "ORDER BY (team_id, period_bucket)", plain)
    plain = re.sub(r"allow_dimensions_outside_sorting_key = \d,? ?", "", plain)
    paths = f"SELECT pathname FROM {STATS}"
    world.client.command(f"DROP TABLE {STATS} SYNC")
    world.client.command(plain)
    try:
        world.select(1)

        def visit(path: str, day: int) -> Event:
            return Event(1, noon(DAY), "s", pathname=path, uuid=person(901), inserted_at=noon(ago(day)))

        insert(world.client, [visit("/old", 1)])
        world.built(DAY)
        insert(world.client, [visit("/new", 0)])
        report = one_day(world)
        assert world.client.query(paths).result_rows == [("/new",)]
        rollback(world, report["backfill_id"])
        assert world.client.query(paths).result_rows == [("/old",)]
    finally:
        world.client.command(f"DROP TABLE {STATS} SYNC")
        world.client.command(made)


def once_recorded(patch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> None:
    """Do something once, after what a backfill records before a swap."""
    record, done = getattr(DayCheckpoint, name), list[bool]()

    def then(*given: Any, **named: Any) -> Any:
        found = record(*given, **named)
        if not done:
            done.append(True)
            act()
        return found

    patch.setattr(DayCheckpoint, name, then)


@pytest.mark.parametrize("name", variants("record_swap", "back_up_once"))
def test_a_rollback_leads_back_to_what_others_wrote_after_a_backup_and_before_the_swap(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prepared(world, 1)
    world.built(DAY)
    before = states(world)[DAY]
    world.traffic([1], [DAY], session="late")
    with monkeypatch.context() as writing:
        once_recorded(writing, name, lambda: others_write(world, DAY, team=1))
        report = one_day(world)
    rollback(world, report["backfill_id"])
    after = states(world)[DAY]
    assert len(after) == len(before) + 1
    assert after.items() > before.items()


@pytest.mark.long
def test_a_backup_of_a_run_that_died_before_its_swap_is_taken_anew_where_others_wrote_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replaced(world)
    world.traffic([1], [DAY], session="later")
    with monkeypatch.context() as dying:
        once_recorded(dying, "back_up_once", dies)
        with pytest.raises(KeyboardInterrupt):
            one_day(world)
    second = next(one.work_id for one in read_works(world.client) if one.work_id != first)
    rollback(world, first)
    before = states(world)[DAY]
    run(world, "resume_backfill_job", **who(second))
    assert states(world)[DAY] != before
    rollback(world, second)
    assert states(world)[DAY] == before


def test_a_day_that_others_wrote_after_a_run_died_around_its_swap_is_left_as_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(world, 1)
    world.built(DAY)
    world.traffic([1], [DAY], session="late")
    with monkeypatch.context() as dying:
        once(dying, "_swap", KeyboardInterrupt, after=True)
        once_recorded(dying, "record_swap", dies)
        with pytest.raises(KeyboardInterrupt):
            one_day(world)
    others_write(world, DAY, team=1)
    written = states(world)[DAY]
    words = fails(world, "resume_backfill_job", **who(read_works(world.client)[0].work_id))
    assert symptom("… was backed up, then perhaps replaced by this backfill").search(words)
    assert states(world)[DAY] == written


def dies() -> None:
    raise KeyboardInterrupt


def test_a_gates_restore_leaves_what_others_wrote_right_after_a_swap(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(world, 1)
    world.built(DAY)
    world.traffic([1], [DAY], session="late")
    once(monkeypatch, "_swap", lambda: others_write(world, DAY, team=1, views=5), after=True)
    fails(world, days=[str(DAY)])
    state = read_state(world.client, read_works(world.client)[0].work_id)
    assert state is not None
    assert f"others have written {DAY} since, these stay" in state.entries[-1].payload
    assert 5 in [value[2] for value in states(world)[DAY].values()]


@pytest.mark.parametrize("change", variants("other paths", "DELETE WHERE team_id = 2"))
def test_a_rollback_leaves_a_day_that_a_person_has_changed_by_hand(world: World, change: str) -> None:
    prepared(world, 1, 2)
    try:
        world.built(DAY)
        world.traffic([1], [DAY], session="late")
        report = one_day(world)
        if change == "other paths":
            world.client.command(f"CREATE TABLE tmp AS {STATS}")
            world.client.command(f"INSERT INTO tmp SELECT * REPLACE('x' AS pathname) FROM {STATS}")
            world.client.command(f"ALTER TABLE {STATS} REPLACE PARTITION {DAY:%Y%m%d} FROM tmp")
        else:
            world.client.command(f"ALTER TABLE {STATS} {change} SETTINGS mutations_sync = 2")
        changed = states(world)[DAY]
        refused = fails(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
        assert f"{DAY}: NOT as before, left to what others wrote" in refused
        assert states(world)[DAY] == changed
    finally:
        world.client.command("DROP TABLE IF EXISTS tmp SYNC")


def test_a_backup_is_kept_longer_when_more_days_come_into_it(world: World) -> None:
    prepared(world, 1)
    sql = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
    found: list[Any] = []
    name = backup_name("backfill-x", STATS)
    for until in (DAYS[0], DAYS[2], DAYS[1]):
        make_backup(world.client, name, STATS, until)
        found += world.client.query(sql, {"name": name}).result_rows
    assert found == [(f"kept_until_{day:%Y%m%d}",) for day in (DAYS[0], DAYS[2], DAYS[2])]


def test_a_held_team_whose_rows_go_during_a_build_keeps_no_other_from_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(world, 1, 2)
    world.built(DAY)
    world.traffic([1], [DAY], session="late")
    build = PlannedDays.do

    def built(itself: Any, *given: Any) -> Any:
        world.client.command("ALTER TABLE events DELETE WHERE team_id = 2 SETTINGS mutations_sync = 2")
        return build(itself, *given)

    monkeypatch.setattr(PlannedDays, "do", built)
    once_recorded(monkeypatch, "back_up_once", lambda: world.client.command(f"DELETE FROM {STATS} WHERE team_id = 2"))
    assert one_day(world)["status"] == "completed"
