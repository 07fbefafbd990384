"""A rollback loses nothing and says what is so, and a backup is of before, whatever others do meanwhile."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.leases.rules import Lease
from dags.clickhouse.leases.store import read_leases
from dags.domain.errors import LeaseError, LeaseLostError
from dags.managed_backfill.kind import BACKFILL
from dags.managed_backfill.log import DayEvent
from dags.publish.path import Publisher
from dags.repair.decision import Trigger
from dags.tests.fold import fold, stored
from dags.tests.health.matter import matters
from dags.tests.managed_backfill.test_managed_backfill import DAYS as THREE
from dags.tests.managed_backfill.test_managed_backfill import fails, prepared, run, swept, who
from dags.tests.runbook import cure, symptom
from dags.tests.variants import at_night, embedded_at_night, variants
from dags.tests.web_preaggregated.test_repair import bytes_of
from dags.tests.world import STATS
from dags.work.audit.log import MANAGED, Entry, Work
from dags.work.audit.log import Event as LogEvent
from dags.work.audit.store import Log, read_state
from dags.work.lease import leased

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.tests.world import World

# Races that are waited for: seconds each.
pytestmark = [pytest.mark.long, embedded_at_night]

DAYS = THREE[-2:]
FOREIGN = (
    "INSERT INTO {table} (period_bucket, team_id, sessions_uniq_state, pageviews_count_state) "
    "SELECT '{day} 05:00:00', {team}, uniqState('f'), sumState(toUInt64({views}))"
)


def others_write(world: World, day: Any, team: int = 9, views: int = 1) -> None:
    world.client.command(FOREIGN.format(table=STATS, day=day, team=team, views=views))


def rollback(world: World, backfill_id: str, **given: Any) -> Any:
    return run(world, "rollback_backfill_job", **who(backfill_id, **{"allow_losing_later_builds": False, **given}))


def just_before_swaps(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[str], None], times: int = 1, days: int = 1
) -> None:
    """Do something in the moment before the last look of a publish, so many times on each of the first days."""
    last_look, seen = Publisher._last_look, Counter[str]()

    def then(itself: Any, *given: Any) -> Any:
        seen[str(itself.day)] += 1
        if seen[str(itself.day)] <= times and len(seen) <= days:
            act(str(itself.day))
        return last_look(itself, *given)

    monkeypatch.setattr(Publisher, "_last_look", then)


def states(world: World) -> dict[Any, Any]:
    return {day: stored(world.client, STATS, day) for day in DAYS}


def of_team(state: dict[Any, Any], *teams: int) -> dict[Any, Any]:
    return {day: {key: value for key, value in rows.items() if key[1] in teams} for day, rows in state.items()}


def test_rows_that_others_write_during_a_rollback_are_there_afterwards(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(world, 1, days=DAYS)
    world.built(DAYS[0])
    before = states(world)
    world.traffic([1], DAYS[:1], session="late")
    report = run(world)
    # Also where the page views stay what they are, and in a day that goes as a whole.
    just_before_swaps(monkeypatch, lambda day: others_write(world, day, views=0), days=2)
    assert rollback(world, report["backfill_id"])["status"] == "rolled back"
    written = world.client.query(f"SELECT count() FROM {STATS} WHERE team_id = 9").result_rows
    assert of_team(states(world), 1) == before
    assert written == [(2,)]


def test_what_a_rollback_took_back_is_told_so_and_what_else_was_lost_is_not(world: World) -> None:
    prepared(world, 1, 2, days=DAYS)
    world.built(*DAYS)
    world.client.command(f"DELETE FROM {STATS} WHERE team_id = 2")
    world.traffic([1], DAYS, session="late")
    report = run(world, team_ids=[1])
    rollback(world, report["backfill_id"])

    assert reasons(world) == {(1, "rolled back"), (2, "rows lost")}
    world.build(*DAYS)
    world.client.command(f"DELETE FROM {STATS} WHERE team_id = 1")
    assert reasons(world) == {(1, "rows lost")}


def reasons(world: World) -> set[tuple[int, str]]:
    wrong = world.evaluate().detection.wrong
    return {(one.unit.team_id, str(one.cause)) for one in wrong if one.unit.table == STATS}


def test_what_was_built_beside_a_backfill_and_is_lost_later_was_not_taken_back_with_it(world: World) -> None:
    prepared(world, 1, 2, days=DAYS)
    world.built(*DAYS)
    world.traffic([1, 2], DAYS, session="late")
    report = run(world, team_ids=[1])
    world.build(*DAYS, teams=[2])
    rollback(world, report["backfill_id"])
    assert reasons(world) == {(1, "rolled back")}
    world.client.command(f"DELETE FROM {STATS} WHERE team_id = 2")
    assert reasons(world) == {(1, "rolled back"), (2, "rows lost")}


def test_what_a_person_allowed_to_lose_with_a_rollback_was_taken_back_too_and_is_no_failed_attempt(
    world: World,
) -> None:
    world.set(backfill_min_missing_partitions=1)
    prepared(world, 1, 2, days=DAYS)
    world.built(*DAYS)
    world.traffic([1], DAYS, session="late")
    report = run(world, team_ids=[1])
    world.client.command(f"DELETE FROM {STATS} WHERE team_id = 1")
    world.carry_out(world.check())
    rollback(world, report["backfill_id"], allow_losing_later_builds=True)
    assert reasons(world) == {(1, "rolled back")}
    assert world.evaluate(Trigger.SCHEDULE).decision.deferred == ()


def test_rows_that_are_doubled_once_a_backfill_was_taken_back_are_repaired(world: World) -> None:
    world.set(backfill_min_missing_partitions=1)
    prepared(world, 1, days=DAYS)
    world.built(*DAYS)
    rollback(world, run(world, team_ids=[1])["backfill_id"])
    before = states(world)
    world.client.command(f"INSERT INTO {STATS} SELECT * REPLACE (viewport_width + 1 AS viewport_width) FROM {STATS}")
    assert states(world) != before
    world.carry_out(world.check())
    assert states(world) == before


@at_night
def test_what_the_log_did_not_say_at_the_first_look_it_says_at_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(world, 1, days=DAYS)
    world.built(*DAYS)
    world.traffic([1], DAYS, session="late")
    report = run(world)
    with monkeypatch.context() as patch:
        patch.setattr("dags.detection.signals.with_rollbacks", lambda groups, _: groups)
        rollback(world, report["backfill_id"])
        assert reasons(world) == {(1, "rows lost")}
    assert reasons(world) == {(1, "rolled back")}


def test_a_rollback_that_others_always_write_into_fails_says_which_days_are_not_as_before_and_goes_on_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(world, 1, days=DAYS)
    world.built(*DAYS)
    before = states(world)
    world.traffic([1], DAYS, session="late")
    report = run(world)
    with monkeypatch.context() as writing:
        just_before_swaps(writing, lambda day: others_write(world, day), times=3)
        refused = fails(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
    assert f"{DAYS[0]}: as before, read back" in refused
    assert f"{DAYS[1]}: NOT as before" in refused
    assert "would have been lost (rows were inserted)" in refused
    assert symptom("… is not wholly rolled back").search(refused)
    assert "Run rollback_backfill_job again" in refused
    assert of_team(states(world), 1)[DAYS[1]] != before[DAYS[1]]
    # Half taken back it can only be taken back.
    for job in ("resume_backfill_job", "cancel_backfill_job", "delete_backfill_job"):
        assert "is rolling back" in fails(world, job, **who(report["backfill_id"]))
    assert swept(world) == ()
    seen, key, later = "… is half taken back", f"work:{report['backfill_id']}", timedelta(minutes=20)
    assert symptom(seen).match(matters(world.client, later=later)[key].what)
    job, given = cure(seen, "rollback_backfill_job", **who(report["backfill_id"]))
    assert run(world, job, **given)["status"] == "rolled back"
    assert key not in matters(world.client, later=later)
    assert of_team(states(world), 1) == before


def test_what_others_wrote_into_its_teams_since_is_left_until_a_person_allows_to_lose_it(world: World) -> None:
    prepared(world, 1, days=DAYS)
    world.built(*DAYS)
    before = states(world)
    world.traffic([1], DAYS, session="late")
    report = run(world)
    others_write(world, DAYS[1], team=1)
    refused = fails(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
    assert f"{DAYS[1]}: NOT as before, left to what others wrote: 1 teams hold what this backfill did not" in refused
    assert [day for day in DAYS if states(world)[day] != before[day]] == [DAYS[1]]
    rollback(world, report["backfill_id"], allow_losing_later_builds=True)
    assert states(world) == before


@at_night
@pytest.mark.parametrize(
    "alter",
    variants(
        "ADD COLUMN extra String DEFAULT 'x'",
        "MODIFY COLUMN city_name LowCardinality(String)",
        "ADD PROJECTION extra (SELECT team_id, count() GROUP BY team_id)",
        "DROP COLUMN extra",
    ),
)
def test_a_rollback_works_after_the_table_was_altered(world: World, alter: str) -> None:
    prepared(world, 1, 2, days=DAYS)
    if alter.startswith("DROP"):
        world.client.command(f"ALTER TABLE {STATS} ADD COLUMN extra String DEFAULT 'x'")
    try:
        world.built(DAYS[0])
        before = states(world)
        world.traffic([1], DAYS, session="late")
        report = run(world, team_ids=[1])
        others = bytes_of(world.client, STATS, 2)
        world.client.command(f"ALTER TABLE {STATS} {alter}")
        if "COLUMN" not in alter:
            assert bytes_of(world.client, STATS, 2) == others
        rollback(world, report["backfill_id"])
        assert states(world) == before
    finally:
        for undo in (
            "DROP COLUMN IF EXISTS extra",
            "DROP PROJECTION IF EXISTS extra",
            "MODIFY COLUMN city_name String",
        ):
            world.client.command(f"ALTER TABLE {STATS} {undo}")


@at_night
def test_a_column_that_may_have_been_renamed_is_refused_before_anything_is_touched(world: World) -> None:
    prepared(world, 1, days=DAYS)
    world.client.command(f"ALTER TABLE {STATS} ADD COLUMN extra String")
    try:
        world.built(*DAYS)
        report = run(world, days=[str(DAYS[0])])
        world.client.command(f"ALTER TABLE {STATS} RENAME COLUMN extra TO other")
        before = states(world)
        refused = fails(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
        assert "RENAME COLUMN extra TO other, or DROP COLUMN extra" in refused
        assert states(world) == before
        [(backup,)] = world.client.query("SHOW TABLES LIKE 'web_pre_aggregated_backup_%'").result_rows
        world.client.command(f"ALTER TABLE {backup} RENAME COLUMN extra TO other")
        rollback(world, report["backfill_id"])
    finally:
        for name in ("extra", "other"):
            world.client.command(f"ALTER TABLE {STATS} DROP COLUMN IF EXISTS {name}")


@at_night
def test_a_delete_during_a_rollback_is_refused_and_names_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(world, 1, days=DAYS)
    world.built(*DAYS)
    before = states(world)
    world.traffic([1], DAYS, session="late")
    report = run(world)
    refused: list[str] = []

    def delete(_: str) -> None:
        refused.append(fails(world, "delete_backfill_job", **who(report["backfill_id"])))
        assert swept(world) == ()

    just_before_swaps(monkeypatch, delete)
    rollback(world, report["backfill_id"])
    [holder] = [one.run_id for one in world.instance.get_runs() if one.job_name == "rollback_backfill_job"]
    assert f"{report['backfill_id']} is in work by run {holder[:8]}" in refused[0]
    assert states(world) == before
    assert run(world, "delete_backfill_job", **who(report["backfill_id"])) is None


def dead(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever holds a lease now count as dead, as one that has been silent for a minute."""
    silent = {lease.token for lease in read_leases(world.client)}
    monkeypatch.setattr(Lease, "is_dead", lambda itself, **_: itself.token in silent)


@pytest.mark.parametrize(
    "at", variants("published", "before the backup", "after the backup", "recorded", "before the swap")
)
def test_a_run_that_wakes_after_another_did_its_work_changes_nothing_more(
    world: World, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Another run is let in where the first one stalls; then the first goes on, with what it believes."""
    events = prepared(world, 1, days=DAYS)
    world.built(*DAYS)
    before = states(world)
    events += world.traffic([1], DAYS, session="late")
    inside: list[str] = []
    with monkeypatch.context() as stalling:

        def let_another_in(backfill_id: str) -> None:
            if inside:
                return
            inside.append(backfill_id)
            with monkeypatch.context() as silent:
                dead(world, silent)
                assert run(world, "resume_backfill_job", **who(backfill_id))["status"] == "completed"

        _stall(stalling, at, let_another_in)
        error = fails(world)
    assert "was taken from this run" in error or "no longer" in error, error
    [backfill_id] = inside
    state = read_state(world.client, backfill_id)
    assert state is not None
    assert state.status == "completed"
    assert states(world) == {day: fold(events, day, STATS) for day in DAYS}
    rollback(world, backfill_id)
    assert states(world) == before


def _stall(patch: pytest.MonkeyPatch, at: str, act: Callable[[str], None]) -> None:
    attach, keep, append = Publisher._attach, Publisher._keep, Log.append

    def attached(itself: Any, into: str, source: str) -> None:
        attach(itself, into, source)
        if at == "before the backup" and "_kept" in into:
            act(_open_backfill(itself.sql))

    def kept(itself: Any, table: str, into: str) -> None:
        keep(itself, table, into)
        if at == "after the backup":
            act(_open_backfill(itself.sql))

    def appended(itself: Log, *entries: Entry) -> None:
        events = {entry.event for entry in entries}
        if at == "published" and LogEvent.STEP_DONE in events:
            act(itself.work.work_id)
        append(itself, *entries)
        if at == "recorded" and DayEvent.BACKED_UP in events:
            act(itself.work.work_id)

    def swap(itself: Any, *given: Any) -> None:
        if at == "before the swap":
            act(_open_backfill(itself.sql))
        swapped(itself, *given)

    swapped = Publisher._swap
    patch.setattr(Publisher, "_attach", attached)
    patch.setattr(Publisher, "_keep", kept)
    patch.setattr(Publisher, "_swap", swap)
    patch.setattr(Log, "append", appended)


def _open_backfill(sql: Any) -> str:
    [(found,)] = sql._client.query(
        "SELECT DISTINCT work_id FROM web_analytics_work_events WHERE kind = 'managed'"
    ).result_rows
    return str(found)


def test_who_acts_on_a_backfill_finds_out_that_it_was_taken_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(world, 1, days=DAYS)
    work = Work("backfill-x", MANAGED, STATS, str(DAYS[0]), str(DAYS[-1]))
    with leased(world.client, BACKFILL, work, "first-run", lambda _: None) as held:
        held.confirm()
        with pytest.raises(LeaseError, match=r"backfill-x is in work by run first_ru\. Nothing was touched"):
            leased(world.client, BACKFILL, work, "second", lambda _: None).__enter__()
        dead(world, monkeypatch)
        with (
            leased(world.client, BACKFILL, work, "second", lambda _: None),
            pytest.raises(LeaseLostError, match=symptom("… was taken from this run")) as lost,
        ):
            held.confirm()
        assert "which was silent for too long; now run second" in str(lost.value)


@at_night
def test_a_backup_with_other_contents_than_were_recorded_restores_nothing(world: World) -> None:
    prepared(world, 1, days=DAYS)
    world.built(*DAYS)
    world.traffic([1], DAYS, session="late")
    report = run(world)
    [(backup,)] = world.client.query("SHOW TABLES LIKE 'web_pre_aggregated_backup_%'").result_rows
    world.client.command(FOREIGN.format(table=backup, day=DAYS[1], team=1, views=7))
    after = states(world)
    refused = fails(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
    assert f"does not hold {DAYS[1]} as it was recorded" in refused
    assert states(world) == after
