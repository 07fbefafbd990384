"""What needs a person and what does not, as a function of facts: whom it strikes, since when, what to do about it."""

from __future__ import annotations

import ast
import inspect
import sys
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dags.detection.rules import Cause as DataCause
from dags.detection.rules import Kind, Verdict
from dags.detection.shards import joined
from dags.detection.verdicts import Verdicts
from dags.domain.errors import Outage
from dags.health import gaps, judging, triggers, unread, work_causes
from dags.health.causes import OF_DATA, Answer, Cause, Check, Health, State, in_order
from dags.health.facts import (
    BuildsOfLately,
    Compared,
    Done,
    Evaluated,
    Facts,
    Files,
    Gone,
    LeftBehind,
    Load,
    OldDays,
    Section,
    Teams,
    Ticking,
    WorkNow,
)
from dags.health.freshness import freshness
from dags.health.judging import judge
from dags.health.report import page
from dags.health.superseded import is_done_since
from dags.repair.attempts import RunState
from dags.repair.stops.store import Stop
from dags.tests.health.known import (
    HOUR,
    NOW,
    POLICY,
    SCHEDULE,
    SENSOR,
    TABLES,
    TARGETS,
    ago,
    evaluated,
    facts,
    failed,
    in_flight,
    missing,
    orphan,
    ticking,
)
from dags.tests.runbook import symptom

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping
    from types import ModuleType

if TYPE_CHECKING:
    from collections.abc import Collection

STOP = Stop("ada", "disks are full", NOW - 2 * HOUR)


def judged(known: Facts) -> Health:
    return judge(known, TARGETS, (SENSOR, SCHEDULE))


def states(health: Health) -> dict[str, State]:
    return {cause.key: cause.state for cause in health.causes}


def the(health: Health, key: str) -> Cause:
    [cause] = [cause for cause in health.causes if cause.key == key]
    return cause


def test_nothing_the_matter_is_well() -> None:
    health = judged(facts())
    assert (health.answer, health.causes, health.needs_a_person) == (Answer.OK, (), False)


GAPS = {
    "of which a trigger begins a backfill": (evaluated(missing(2, 3, 4)), {"gap:repaired": State.REPAIRING}),
    "that are in flight": (evaluated(missing(2, 3, 4), runs=[in_flight(2)]), {"gap:repaired": State.REPAIRING}),
    "seen before the target": (evaluated(missing(2, 3, 4), seen=49), {"gap:repaired": State.NEEDS_YOU}),
    "that are too few": (evaluated(missing(4)), {"gap:waits": State.REPAIRING}),
    "that are too few for longer than the target": (evaluated(missing(4), seen=49), {"gap:waits": State.NEEDS_YOU}),
    "that are too few, and old enough to be repaired alone": (
        evaluated(missing(4), seen=20, policy=replace(POLICY, max_gap_age=12 * HOUR)),
        {"gap:repaired": State.REPAIRING},
    ),
    "where tables disagree": (
        evaluated(missing(2, 3, 4, tables=["stats"], is_inconsistent=True)),
        {"gap:disagrees": State.REPAIRING},
    ),
    "of which two attempts failed": (
        evaluated(missing(2, 3, 4), runs=[*failed(2, 20, 8), *failed(3, 9)]),
        {"gap:repaired": State.REPAIRING},
    ),
    "of which three attempts in a row failed": (
        evaluated(missing(2, 3, 4), runs=failed(2, 30, 20, 2)),
        {"gap:fails": State.NEEDS_YOU, "gap:repaired": State.REPAIRING},
    ),
    "that wait for a person": (evaluated([orphan(3)]), {"gap:held": State.NEEDS_YOU}),
    "below the floor": (evaluated(missing(2, 3, 4), policy=replace(POLICY, min_volume=99)), {"gap:left": State.NOTED}),
}


@pytest.mark.parametrize(("seen", "expected"), GAPS.values(), ids=GAPS)
def test_gaps(seen: Evaluated, expected: dict[str, State]) -> None:
    assert states(judged(facts(seen))) == expected


def test_a_gap_says_whom_it_strikes_since_when_what_is_done_and_what_to_do() -> None:
    wrong = missing(2, 3, 4, 5, 6, 7, 8, 9, 11, teams=[7, 8])
    cause = the(judged(facts(evaluated(wrong, seen=49, runs=[in_flight(2)]))), "gap:repaired")
    assert cause == Cause(
        "gap:repaired",
        State.NEEDS_YOU,
        "36 (table, team, day) are wrong for longer than 2 d: never built",
        "teams 7, 8, bounces and stats, 2026-01-11 … 2026-01-18, 2026-01-09",
        NOW - 49 * HOUR,
        "1 day being rebuilt; 7 days due at the sensor's next tick; 1 day in line for a later tick",
        "look why that takes so long: what its day's runs did, whether a cap is too low",
        "dg launch --job why_job -c <(echo \"{day: '2026-01-18'}\")",
        ("bounces", "stats"),
        frozenset({Check.NO_OLD_GAP}),
        size=36,
        days=tuple(map(ago, (11, 9, 8, 7, 6, 5, 4, 3, 2))),
        teams=(7, 8),
        cost="9 days, about 9,000 rows, 9.0 s",
    )


HELD_COMMANDS = (
    "dg launch --job why_job -c <(echo \"{day: '2026-01-17'}\")",
    (
        "for day in 2026-01-17 2026-01-15; do dg launch --job the_job --partition $day "
        "-c <(echo '{ops: {the_op: {config: {team_ids: [7], allow_shrink: true}}}}'); done"
    ),
    (
        "dg launch --job the_job --partition 2026-01-16 "
        "-c <(echo '{ops: {the_op: {config: {team_ids: [7, 8], allow_shrink: true}}}}')"
    ),
)


def test_what_is_held_says_how_to_allow_the_loss_for_its_teams_on_their_days_and_no_others() -> None:
    held = the(judged(facts(evaluated([orphan(3, 7), orphan(4, 7), orphan(5, 7), orphan(4, 8)]))), "gap:held")
    assert held.commands == HELD_COMMANDS
    assert held.whom == "stats: team 7, 2026-01-15 … 2026-01-17; team 8, 2026-01-16"
    assert held.cost == "3 days, about 3,000 rows, 3.0 s"


def test_wherever_a_person_may_build_days_the_commands_stand_there_without_a_loss_being_allowed() -> None:
    built = "dg launch --job the_job --partition 2026-01-16 -c <(echo '{ops: {the_op: {config: {team_ids: [1]}}}}')"
    young, old = (the(judged(facts(evaluated(missing(4), seen=seen))), "gap:waits") for seen in (1, 49))
    fails = the(judged(facts(evaluated(missing(4), runs=failed(4, 30, 20, 2)))), "gap:fails")
    assert young.commands == old.commands == (built,)
    assert fails.commands == ("dg launch --job why_job -c <(echo \"{run_id: 'run-2'}\")", built)
    assert "dg launch --job why_job" in the(judged(facts(evaluated(missing(2, 3, 4), seen=49))), "gap:repaired").command


def test_a_team_that_cannot_be_built_is_named_with_the_error_and_the_others_of_its_day_are_not() -> None:
    failure = "run 12345678 at 2026-01-20 04:00 failed: code 241"
    wrong = [*missing(2, teams=[7], last_failure=failure), *missing(2, 3, 4, teams=[8])]
    seen = evaluated(wrong, runs=failed(2, 30, 20, 2, teams=[7]), errors={failure: "code 241, memory"})
    cause = the(judged(facts(seen)), "gap:fails")
    assert cause.what == "2 (table, team, day) are wrong after 3 attempts: code 241, memory"
    assert cause.whom == "team 7, bounces and stats, 2026-01-18"
    assert cause.doing == "tried again from 2026-01-21 04:00"
    assert cause.commands[0] == "dg launch --job why_job -c <(echo \"{run_id: 'run-2'}\")"


def test_tables_that_disagree_fail_their_check_whatever_becomes_of_them_unless_somebody_left_them_so() -> None:
    for more, key, is_told in (
        ({}, "gap:waits", True),
        ({"runs": failed(2, 30, 20, 2)}, "gap:fails", True),
        ({"policy": replace(POLICY, min_volume=99)}, "gap:left", False),
    ):
        health = judged(facts(evaluated(missing(2, is_inconsistent=True), **more)))
        fails = [cause.key for cause in health.of(Check.TABLES_AGREE, "stats") if cause.fails(Check.TABLES_AGREE)]
        assert (set(states(health)), fails) == ({key}, [key] * is_told)
    assert the(judged(facts(evaluated(missing(2)))), "gap:waits").strikes(Check.TABLES_AGREE) is False


@pytest.mark.parametrize("seen", [1, 49])
def test_a_check_that_tables_agree_fails_on_the_table_that_disagrees_alone_though_others_share_the_cause(
    seen: int,
) -> None:
    wrong = [*missing(2, 3, 4, teams=[1], tables=["stats"], is_inconsistent=True), *missing(2, 3, 4, teams=[2])]
    in_vain = [run for day in (2, 3, 4) for run in failed(day, 30, 20, 2)]
    for runs, key in ((in_vain, "gap:fails"), ([], "gap:disagrees")):
        health = judged(facts(evaluated(wrong, seen=seen, runs=runs)))
        failing = {table: [one.key for one in health.of(Check.TABLES_AGREE, table)] for table in TABLES}
        assert failing == {"bounces": [], "stats": [key]}
        assert {table for one in health.causes for table in one.tables} == set(TABLES)


def test_an_error_is_cut_between_words_its_sizes_are_said_in_units_and_the_whole_is_there() -> None:
    error = "memory limit exceeded: would use 1073741824 bytes, maximum: 536870912 bytes of 12345678 " + "attempt " * 30
    [cause] = judged(facts(ticking=(ticking("one", **failing(2, 1) | {"error": error}),))).causes
    assert cause.what.startswith(
        "one fails: memory limit exceeded: would use 1 GiB, maximum: 512 MiB of 12345678 attempt"
    )
    assert cause.what.endswith(" attempt …")
    assert cause.error == error


def test_what_failed_and_left_no_words_says_so() -> None:
    failures = (ticking("one", **failing(2, 1) | {"error": " "}),)
    health = judged(facts(ticking=failures, builds=(BuildsOfLately("stats", 0.0, 0, 1, 0, error=""),)))
    assert {cause.key: cause.what for cause in health.causes} == {
        "sensor:one": "one fails: the error has no words",
        "builds:stats": "1 of 1 builds of a day failed in seven days (0% succeeded): the error has no words",
    }


def test_of_rows_that_are_lost_after_each_repair_somebody_is_told_to_look_who_takes_them() -> None:
    lost = [replace(one, cause=DataCause.ROWS_LOST) for one in missing(3)]
    repairs = [replace(one, state=RunState.SUCCEEDED, reasons="rows lost: 2") for one in failed(3, 30, 20, 7)]
    cause = the(judged(facts(evaluated(lost, runs=repairs))), "gap:fails")
    assert cause.what == "2 (table, team, day) are wrong after 3 attempts: rows lost"
    assert cause.to_do.startswith("find what undoes its builds, then build")


def test_old_gaps_and_young_ones_are_told_apart_by_when_they_were_seen_and_not_by_their_day() -> None:
    lost = evaluated(missing(25, 26, 27), seen=3)
    assert states(judged(facts(lost))) == {"gap:repaired": State.REPAIRING}
    assert states(judged(facts(evaluated(missing(25, 26, 27), gaps=())))) == {"gap:repaired": State.REPAIRING}


HALTED = {
    "the switch": ({"stop": STOP}, {"switch"}),
    "a dead daemon": ({"daemon_at": NOW - HOUR}, {"daemon"}),
    "sensor and schedule that are off": (
        {"ticking": (ticking(SENSOR, is_on=False), ticking(SCHEDULE, is_sensor=False, is_on=False))},
        {f"sensor:{SENSOR}", f"schedule:{SCHEDULE}"},
    ),
}


@pytest.mark.parametrize(("more", "called_for"), HALTED.values(), ids=HALTED)
def test_where_nothing_repairs_a_gap_a_person_is_called_for_that_and_not_for_the_gap_until_it_is_old(
    more: dict[str, Any], called_for: set[str]
) -> None:
    young, old = (judged(facts(evaluated(missing(5, 6, 7), seen=seen), **more)) for seen in (1, 49))
    assert {key for key, state in states(young).items() if state is State.NEEDS_YOU} == called_for
    assert the(young, "gap:repaired").state is State.NOTED
    assert the(young, "gap:repaired").doing.startswith("nothing: ")
    assert the(old, "gap:repaired").state is State.NEEDS_YOU


SENSOR_OFF, SCHEDULE_OFF = (
    (ticking(SENSOR, is_on=sensor), ticking(SCHEDULE, is_sensor=False, is_on=not sensor)) for sensor in (False, True)
)
PARTIAL = [replace(one, kind=Kind.PARTIAL) for one in missing(8, 9)]

ONE_OFF = {
    "the sensor, of what the check repairs too": (
        SENSOR_OFF,
        missing(5, 6, 7),
        State.REPAIRING,
        f"3 days not before the check of 02:00 UTC: {SENSOR} is off",
    ),
    "the sensor, of what the check alone repairs": (
        SENSOR_OFF, PARTIAL, State.REPAIRING, "2 days due at the check of 02:00 UTC"
    ),
    "the check, of what it alone repairs": (SCHEDULE_OFF, PARTIAL, State.NOTED, f"nothing: {SCHEDULE} is off"),
    "the check, of what the sensor repairs too": (
        SCHEDULE_OFF, missing(5, 6, 7), State.REPAIRING, "3 days due at the sensor's next tick"
    ),
    "the check, of both": (
        SCHEDULE_OFF,
        [*missing(5, 6, 7), *PARTIAL],
        State.REPAIRING,
        f"3 days due at the sensor's next tick; 2 days not at all: {SCHEDULE} is off",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("triggers_now", "wrong", "state", "doing"), ONE_OFF.values(), ids=ONE_OFF)
def test_of_a_trigger_that_is_off_nothing_is_promised(
    triggers_now: tuple[Ticking, ...], wrong: list[Verdict], state: State, doing: str
) -> None:
    repaired = the(judged(facts(evaluated(wrong), ticking=triggers_now)), "gap:repaired")
    assert (repaired.state, repaired.doing) == (state, doing)
    old = the(judged(facts(evaluated(wrong, seen=49), ticking=triggers_now)), "gap:repaired")
    assert (old.state, old.doing) == (State.NEEDS_YOU, doing)


def test_what_waits_or_failed_is_not_said_to_be_tried_again_by_a_check_that_is_off() -> None:
    partial = [replace(one, kind=Kind.PARTIAL) for one in missing(4)]
    waits = judged(facts(evaluated(partial), ticking=SCHEDULE_OFF))
    fails = judged(facts(evaluated(partial, runs=failed(4, 30, 20, 2)), ticking=SCHEDULE_OFF))
    nothing = f"nothing: {SCHEDULE} is off"
    assert (the(waits, "gap:waits").state, the(waits, "gap:waits").doing) == (State.NOTED, nothing)
    assert (the(fails, "gap:fails").state, the(fails, "gap:fails").doing) == (State.NEEDS_YOU, nothing)
    at_work = judged(facts(evaluated(PARTIAL, runs=[in_flight(8), in_flight(9)]), ticking=SCHEDULE_OFF))
    assert the(at_work, "gap:repaired").doing == "2 days being rebuilt"


def test_teams_behind_hear_too_that_their_trigger_is_off() -> None:
    wrong = [replace(one, kind=Kind.PARTIAL) for one in missing(1, 2, 3)]
    behind = the(judged(facts(evaluated(wrong, seen=11), ticking=SCHEDULE_OFF)), "fresh")
    assert (behind.state, behind.doing) == (State.NOTED, f"nothing: {SCHEDULE} is off")


def test_a_check_that_is_off_for_one_of_several_jobs_is_told_of_by_its_own_cause_alone() -> None:
    two = (ticking(SENSOR), ticking(SCHEDULE, is_sensor=False), ticking("other", is_sensor=False, is_on=False))
    health = judge(facts(evaluated(PARTIAL), ticking=two), TARGETS, (SENSOR, SCHEDULE, "other"))
    assert the(health, "gap:repaired").doing == "2 days due at the check of 02:00 UTC"
    assert the(health, "schedule:other").state is State.NEEDS_YOU


def test_the_switch_says_who_why_and_how_to_let_them_go_on() -> None:
    assert the(judged(facts(stop=STOP)), "switch") == Cause(
        "switch",
        State.NEEDS_YOU,
        "backfills are stopped by ada",
        "their reason: disks are full",
        NOW - 2 * HOUR,
        "nothing is launched; daily builds and loads go on",
        "once the reason is gone, let them go on",
        'dg launch --job resume_all_backfills_job -c <(echo "{requested_by: $(whoami), reason: it is over}")',
        checks=frozenset({Check.RUNS_BY_ITSELF}),
    )


# --- Freshness --------------------------------------------------------------------------------------------


def test_a_team_is_complete_up_to_the_day_before_its_newest_unbroken_row_of_wrong_days() -> None:
    wrong = [*missing(1, 2, 9, teams=[1]), *missing(1, teams=[2]), *missing(2, teams=[3]), orphan(1, team=4)]
    fresh = freshness(evaluated(wrong).detection)
    assert (fresh.newest, dict(fresh.behind)) == (ago(1), {1: ago(3), 2: ago(2)})
    # The 17th ended two days and six hours ago.
    assert fresh.late(NOW, 36 * HOUR) == {1: 54 * HOUR}
    assert fresh.late(NOW, 54 * HOUR) == {}


def test_a_team_of_which_no_judged_day_is_in_order_is_behind_from_before_the_look_back() -> None:
    fresh = freshness(evaluated(missing(*range(1, 31))).detection)
    assert dict(fresh.behind) == {1: ago(31)}


def test_who_is_behind_is_left_alone_for_two_ticks_and_then_a_person_is_called() -> None:
    wrong = missing(1, 2, 3)
    assert states(judged(facts(evaluated(wrong, seen=11)))) == {
        "fresh": State.REPAIRING,
        "gap:repaired": State.REPAIRING,
    }
    late = judged(facts(evaluated(wrong, seen=13)))
    assert states(late) == {"fresh": State.NEEDS_YOU, "gap:repaired": State.REPAIRING}
    assert the(late, "fresh").what == "1 team behind the target of 36 h, by up to 42 h"
    assert the(late, "fresh").whom == "fresh to: team 1 2026-01-16"
    shards = {shard: replace(evaluated().detection, residents=frozenset({3 - shard})) for shard in (1, 2)}
    sharded = judged(facts(evaluated(wrong, seen=13, shards=shards)))
    assert the(sharded, "fresh").whom == "fresh to: team 1 (shard 2) 2026-01-16"


def test_who_is_behind_for_what_a_person_is_called_for_already_is_no_second_reason_to_call() -> None:
    health = judged(facts(evaluated(missing(1, 2, 3), seen=49)))
    assert states(health) == {"gap:repaired": State.NEEDS_YOU}
    assert [cause.key for cause in health.of(Check.FRESH, "stats")] == ["gap:repaired"]


# --- What is unknown --------------------------------------------------------------------------------------


UNKNOWN = {
    "a table": (facts(evaluated(unknown={"stats": "code 60"})), {"unknown:stats"}),
    "all tables, for one reason": (
        facts(evaluated(unknown=dict.fromkeys(("bounces", "stats"), "no"))),
        {"unknown:data"},
    ),
    "days without time for them": (facts(evaluated(unverified=frozenset({ago(3)}))), {"unknown:unverified"}),
    "no team enabled": (facts(evaluated(teams=0), teams=Teams(0, NOW)), {"teams:none"}),
    "no list ever written": (facts(evaluated(teams=0), teams=Teams(0, None)), {"teams:none"}),
    "ClickHouse, which is gone": (
        replace(facts(unread=dict.fromkeys(Section, "refused")), evaluated=None, server_at=None),
        {"unknown:data"},
    ),
    "one section alone": (facts(unread={Section.BUILDS: "code 241"}), {"unknown:builds"}),
}


@pytest.mark.parametrize(("known", "expected"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_read_is_unknown_and_never_well(known: Facts, expected: set[str]) -> None:
    health = judged(known)
    assert health.answer is Answer.UNKNOWN
    assert {key for key, state in states(health).items() if state is State.UNKNOWN} == expected
    assert health.needs_a_person


@pytest.mark.parametrize("section", Section)
def test_every_section_that_is_not_read_fails_a_check(section: Section) -> None:
    health = judged(facts(unread={section: "refused"}))
    assert [check for check in Check if any(cause.fails(check) for cause in health.of(check))]


@pytest.mark.parametrize(
    ("unread", "what"),
    [
        ([Section.DATA], "the data could not be read"),
        (
            [Section.DATA, Section.TEAMS, Section.WORK, Section.FILES],
            "the data, the list of teams, the log of backfills and loads and the ledger of files could not be read",
        ),
        (Section, "the data, the list of teams, the ledger of builds and 7 more could not be read"),
    ],
    ids=["one", "four", "all"],
)
def test_what_could_not_be_read_is_said_where_a_message_has_room_for_it(unread: Collection[Section], what: str) -> None:
    [cause] = judged(facts(unread=dict.fromkeys(unread, "refused"))).causes
    assert cause.what == what


DOWN = "no ClickHouse answers at h:1: see that the server runs"


def of_shards(
    *gone: Outage | None, seen: Evaluated | None = None, unread: Mapping[int, Mapping[Section, str]] | None = None
) -> Facts:
    """Of two shards: the last of them are gone, and of these nothing could be read, by an evaluation or otherwise."""
    fine = evaluated().detection
    blind = replace(fine, unknown=dict.fromkeys(TABLES, DOWN), server_at=None, verdicts=Verdicts())
    lost = {shard: Gone(DOWN, outage) for shard, outage in enumerate(gone, 3 - len(gone))}
    shards = {shard: blind if shard in lost else fine for shard in (1, 2)}
    by_shard = {
        shard: {**(unread or {}).get(shard, {}), **dict.fromkeys([Section.TEAMS, Section.WORK] * (shard in lost), DOWN)}
        for shard in shards
    }
    seen = seen or evaluated()
    unknown = joined({shard: one.unknown for shard, one in shards.items()})
    if seen.detection.split:
        unknown |= dict.fromkeys(TABLES, "there are teams on several shards")
    return facts(
        replace(seen, detection=replace(seen.detection, shards=shards, unknown=unknown)),
        unread=joined(by_shard),
        unread_by_shard=by_shard,
        gone=lost,
    )


def test_a_loss_on_one_shard_is_told_while_another_is_down_which_is_one_cause_and_names_whom_it_may_strike() -> None:
    lost = evaluated(missing(2, 3, 4), seen=49, unplaced=frozenset({8, 9}))
    health = judged(of_shards(Outage.SERVER, seen=lost))
    assert states(health) == {"gap:repaired": State.NEEDS_YOU, "unknown:data": State.UNKNOWN}
    assert the(health, "gap:repaired").whom == "team 1, bounces and stats, 2026-01-16 … 2026-01-18"
    unknown = the(health, "unknown:data")
    assert unknown.what == "shard 2 does not answer"
    assert unknown.whom == f"teams 8, 9: on no shard that was read. shard 2: {DOWN}"
    assert unknown.to_do == "start its servers or correct CLICKHOUSE_DSN, then ask again"
    assert unknown.tables == TABLES
    assert unknown.checks == OF_DATA | {
        Check.TEAM_LIST_FRESH, Check.BACKFILLS_END, Check.LOADS_ON_TIME, Check.RUNS_BY_ITSELF,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gone", "what"),
    [
        ([Outage.SERVER, Outage.SERVER], "shards 1 and 2 do not answer"),
        ([Outage.KEEPER, Outage.KEEPER], "Keeper does not answer"),
        ([Outage.KEEPER], "Keeper does not answer on shard 2"),
        ([None], "shard 2 could not be read"),
        ([None, Outage.SERVER], "shard 2 does not answer and shard 1 could not be read"),
    ],
    ids=["both", "both without Keeper", "one without Keeper", "one that refuses", "one of each"],
)
def test_what_a_person_puts_right_is_said_first_and_in_one_cause(gone: list[Outage | None], what: str) -> None:
    [cause] = judged(of_shards(*gone)).causes
    assert (cause.key, cause.state, cause.what) == ("unknown:data", State.UNKNOWN, what)
    assert cause.checks > OF_DATA


def test_what_else_a_shard_that_answers_could_not_say_is_a_cause_of_its_own_beside_one_that_is_down() -> None:
    health = judged(of_shards(Outage.SERVER, unread={1: {Section.TEAMS: "code 241"}}))
    assert states(health) == dict.fromkeys(("unknown:data", "unknown:teams"), State.UNKNOWN)
    teams = the(health, "unknown:teams")
    assert (teams.what, teams.whom) == ("the list of teams could not be read", "shard 1: code 241")


def test_tables_that_a_shard_could_not_read_are_a_cause_of_their_own_beside_one_that_is_down() -> None:
    known = of_shards(Outage.SERVER, seen=evaluated(unplaced=frozenset({8})))
    assert known.evaluated is not None
    shards = known.evaluated.detection.shards
    shards = {**shards, 1: replace(shards[1], unknown=dict.fromkeys(TABLES, "code 241"))}
    seen = replace(known.evaluated, detection=replace(known.evaluated.detection, shards=shards))
    health = judged(replace(known, evaluated=seen))
    assert states(health) == dict.fromkeys(("unknown:data", "unknown:bounces"), State.UNKNOWN)
    assert the(health, "unknown:data").what == "shard 2 does not answer"
    assert the(health, "unknown:bounces").whom == "shard 1: code 241"


def test_that_keeper_is_gone_is_said_of_one_server_too() -> None:
    unread = dict.fromkeys([Section.DATA, Section.TEAMS], "no replica can be used")
    seen = facts(unread=unread, unread_by_shard={0: unread}, gone={0: Gone("no replica can be used", Outage.KEEPER)})
    [cause] = judged(replace(seen, evaluated=None, server_at=None)).causes
    assert (cause.key, cause.what, cause.whom, cause.to_do) == (
        "unknown:data", "Keeper does not answer", "no replica can be used", "start Keeper, then ask again",
    )  # fmt: skip


def test_a_team_on_two_shards_is_unknown_and_all_others_are_judged() -> None:
    known = of_shards(seen=evaluated(missing(2, 3, 4), seen=49, split={7: (1, 2)}, enabled=frozenset(range(1, 10))))
    health = judged(known)
    assert states(health) == {"gap:repaired": State.NEEDS_YOU, "unknown:split": State.UNKNOWN}
    cause = the(health, "unknown:split")
    assert cause.what == "team 7 has rows on shards 1 and 2"
    assert cause.whom == "sessions may be cut in two, and nobody can say which shard is right"
    assert (cause.checks, cause.teams) == (OF_DATA, (7,))
    assert "WATCHED    9 teams, 30 days; 8 of them fresh to 2026-01-19, of 1 nobody knows" in page(health)


@pytest.mark.parametrize(
    ("split", "what", "whom"),
    [
        (dict.fromkeys((7, 8), (1, 2)), "teams 7, 8 have rows on shards 1 and 2", "sessions may be cut in two"),
        (
            dict.fromkeys(range(1, 5), (1, 2)),
            "4 teams have rows on shards 1 and 2",
            "team 1 on shards 1 and 2, team 2 on shards 1 and 2, team 3 on shards 1 and 2 and 1 more: sessions may",
        ),
        (
            {team: (1, 2 + team % 2) for team in range(1, 6)},
            "5 teams have rows on several shards",
            "team 1 on shards 1 and 3, team 2 on shards 1 and 2, team 3 on shards 1 and 3 and 2 more: ",
        ),
    ],
    ids=["two", "many alike", "many"],
)
def test_teams_on_several_shards_are_named_as_far_as_there_is_room(
    split: dict[int, tuple[int, ...]], what: str, whom: str
) -> None:
    cause = the(judged(of_shards(seen=evaluated(split=split))), "unknown:split")
    assert cause.what == what
    assert cause.whom.startswith(whom)


def test_what_a_run_of_one_shard_does_is_nothing_to_the_gaps_of_another() -> None:
    groups = tuple(replace(one, shard=2) for one in Verdicts.of(missing(2, 3, 4)).groups)
    here, there = (replace(in_flight(2), shard=shard) for shard in (1, 2))
    doing = {
        run.shard: the(judged(facts(evaluated(Verdicts(groups), runs=[run]))), "gap:repaired").doing
        for run in (here, there)
    }
    assert doing == {
        1: "3 days due at the sensor's next tick",
        2: "1 day being rebuilt; 2 days due at the sensor's next tick",
    }
    failures = [replace(run, shard=1) for run in failed(2, 30, 20, 2)]
    assert set(states(judged(facts(evaluated(Verdicts(groups), runs=failures))))) == {"gap:repaired"}


def test_what_differs_from_raw_events_is_built_on_the_shard_where_its_teams_lie() -> None:
    one = evaluated().detection
    seen = evaluated(shards={1: replace(one, residents=frozenset({1})), 2: replace(one, residents=frozenset({2}))})
    compared = Compared("stats", is_equal=False, at=NOW, words="one row more", day=ago(2), teams=(1, 2))
    commands = the(judged(facts(seen, compared=(compared,))), "accuracy:stats").commands
    assert [("[1]" in one, "[2]" in one, '/shard": "2"' in one) for one in commands] == [
        (True, False, False),
        (False, True, True),
        (False, False, False),
    ]


def test_where_no_shard_was_read_nothing_is_said_of_any_day() -> None:
    blind = evaluated(unknown=dict.fromkeys(TABLES, "down")).detection
    seen = evaluated(unverified=frozenset({ago(3)}), unknown=blind.unknown, shards={1: blind, 2: blind})
    assert states(judged(facts(seen))) == {"unknown:data": State.UNKNOWN}


def test_what_needs_a_person_outweighs_what_is_unknown() -> None:
    assert judged(facts(evaluated([orphan(3)]), unread={Section.BUILDS: "code 241"})).answer is Answer.NEEDS_YOU


# --- Teams, builds, accuracy ------------------------------------------------------------------------------


def test_a_list_that_was_not_written_today_and_a_dictionary_that_disagrees_need_a_person() -> None:
    health = judged(facts(teams=Teams(9, NOW - 26 * HOUR, 2)))
    assert states(health) == {"teams:list": State.NEEDS_YOU, "teams:dictionary": State.NEEDS_YOU}
    assert judged(facts(teams=Teams(9, NOW - 25 * HOUR))).answer is Answer.OK


@pytest.mark.parametrize(("rate", "is_warned"), [(None, False), (0.95, False), (0.949, True), (0.0, True)])
def test_builds_that_failed_are_a_warning_and_call_nobody(rate: float | None, *, is_warned: bool) -> None:
    health = judged(facts(builds=(BuildsOfLately("stats", rate, 1, 1, 0, error="code 241"),)))
    assert health.answer is Answer.OK
    assert [cause.fails(Check.BUILDS_SUCCEED) for cause in health.of(Check.BUILDS_SUCCEED, "stats")] == [
        True
    ] * is_warned
    assert health.of(Check.BUILDS_SUCCEED, "bounces") == ()


def test_a_table_that_is_not_what_its_events_come_to_needs_a_person_and_one_not_compared_is_unknown() -> None:
    wrong, unknown = Compared("stats", False, NOW, "team 7"), Compared("bounces", False, NOW, "busy", is_unknown=True)
    assert states(judged(facts(compared=(wrong, unknown)))) == {
        "accuracy:stats": State.NEEDS_YOU,
        "accuracy:bounces": State.UNKNOWN,
    }
    assert states(judged(facts(compared=(replace(unknown, is_passing=True),)))) == {"accuracy:bounces": State.REPAIRING}


def test_what_differs_from_raw_events_is_told_with_the_command_that_builds_it_anew() -> None:
    wrong = Compared("stats", False, NOW, "team 7 differs", day=ago(3), teams=(7, 8))
    cause = the(judged(facts(compared=(wrong,))), "accuracy:stats")
    assert cause.commands[-1] == "dg launch --job web_analytics_health_checks_job"
    [build] = cause.commands[:-1]
    assert f"--partition {ago(3)} " in build
    assert "team_ids: [7, 8]" in build
    assert (cause.days, cause.teams) == ((ago(3),), (7, 8))
    # Of a table that nobody builds there is no such command.
    assert the(judged(facts(compared=(replace(wrong, table="x"),))), "accuracy:x").commands == cause.commands[-1:]


def test_whom_no_daemon_knows_calls_nobody_while_the_daemon_itself_may_be_dead() -> None:
    unknown = facts(ticking=(ticking("one", is_known=False),))
    seen = [states(judged(replace(unknown, daemon_at=NOW - timedelta(minutes=at)))) for at in (2, 4, 11)]
    assert [found.keys() for found in seen] == [{"sensor:one"}, set(), {"daemon"}]


def test_when_the_sensor_ticks_next_is_told_where_it_is_known() -> None:
    due = ticking(SENSOR, due_at=NOW + 2 * HOUR, every=6 * HOUR)
    seen = facts(evaluated(missing(2, 3, 4)), ticking=(due, ticking(SCHEDULE, is_sensor=False)))
    assert the(judged(seen), "gap:repaired").doing == "3 days due at the sensor's next tick, 08:00 UTC"


def test_that_history_is_kept_is_nobodys_call_and_that_nothing_is_repaired_is() -> None:
    off = [ticking(SENSOR, is_on=False), ticking("retention", is_on=False, is_needed=False)]
    found = states(judged(facts(ticking=(*off, ticking(SCHEDULE, is_sensor=False)))))
    assert found == {f"sensor:{SENSOR}": State.NEEDS_YOU, "sensor:retention": State.NOTED}


def test_that_values_were_right_once_says_nothing_of_today() -> None:
    equal = [replace(NOT_COMPARED_LATELY, at=NOW - hours * HOUR) for hours in (23.9, 24.1)]
    assert [states(judged(facts(compared=(one,)))) for one in equal] == [{}, {"accuracy:stats": State.UNKNOWN}]
    # Where no daemon runs nothing is compared, and that is the one cause.
    assert states(judged(facts(compared=(equal[1],), daemon_at=None))).keys() == {"daemon"}


def test_what_was_waived_and_what_older_logic_built_is_noted() -> None:
    waived = [replace(one, kind=Kind.WAIVED) for one in missing(3)]
    health = judged(facts(evaluated(waived, outdated={("stats", ago(4)): 9})))
    assert (health.answer, states(health)) == (Answer.OK, {"waived": State.NOTED, "outdated": State.NOTED})


# --- Triggers ---------------------------------------------------------------------------------------------


def failing(failures: int, hours: float, **more: Any) -> dict[str, Any]:
    return {"failures": failures, "failed_since": NOW - hours * HOUR, "error": "code 210", **more}


TRIGGERS: dict[str, tuple[dict[str, Any], State | None]] = {
    "ticks": ({}, None),
    "is due in a while": ({"due_at": NOW + HOUR}, None),
    "is due, and others come first": ({"due_at": NOW - timedelta(minutes=9), "ticked_at": NOW - 6 * HOUR}, None),
    "was due": ({"due_at": NOW - timedelta(minutes=11), "ticked_at": NOW - 6 * HOUR}, State.NEEDS_YOU),
    "was due and never ticked": ({"due_at": NOW - HOUR, "ticked_at": None}, State.NEEDS_YOU),
    "is off": ({"is_on": False}, State.NEEDS_YOU),
    "is known to no daemon": ({"is_known": False}, State.UNKNOWN),
    "failed once": (failing(1, 6), State.REPAIRING),
    "fails for minutes": (failing(9, 0.5), State.REPAIRING),
    "goes on failing": (failing(2, 1), State.NEEDS_YOU),
}


@pytest.mark.parametrize(("more", "expected"), TRIGGERS.values(), ids=TRIGGERS)
def test_a_sensor_that(more: dict[str, Any], expected: State | None) -> None:
    health = judged(facts(ticking=(ticking("one", **more),)))
    assert states(health) == ({} if expected is None else {"sensor:one": expected})


def test_a_schedule_that_failed_once_needs_a_person_for_it_is_not_asked_again_for_long() -> None:
    health = judged(facts(ticking=(ticking("one", is_sensor=False, **failing(1, 0.1)),)))
    assert states(health) == {"schedule:one": State.NEEDS_YOU}


def test_a_dead_daemon_is_one_cause_however_many_sensors_wait_for_it() -> None:
    late = [ticking(f"s{number}", due_at=NOW - HOUR, ticked_at=NOW - 9 * HOUR) for number in range(9)]
    for daemon_at, what in ((NOW - HOUR, "does not run"), (None, "has never run")):
        health = judged(facts(ticking=(*late, ticking("off", is_on=False)), daemon_at=daemon_at))
        assert states(health) == {"daemon": State.NEEDS_YOU, "sensor:off": State.NEEDS_YOU}
        assert the(health, "daemon").what == f"Dagster's daemon {what}"


def test_a_sign_of_the_future_is_no_sign_of_life_and_that_is_one_cause_where_it_is_the_daemons() -> None:
    minute = timedelta(minutes=1)
    for ahead, is_trusted in ((minute, True), (minute + timedelta(seconds=1), False), (730 * 24 * HOUR, False)):
        one = ticking("one", ticked_at=NOW + ahead, due_at=NOW + ahead + HOUR, **failing(1, 0.1))
        tick, daemon = judged(facts(ticking=(one,))), judged(facts(ticking=(one,), daemon_at=NOW + ahead))
        assert states(tick) == {"sensor:one": State.REPAIRING if is_trusted else State.UNKNOWN}
        assert states(daemon) == ({"sensor:one": State.REPAIRING} if is_trusted else {"daemon": State.UNKNOWN})
    # What else is the matter is told all the same.
    others = (ticking("off", is_on=False, ticked_at=NOW + HOUR), ticking("late", due_at=NOW - HOUR, ticked_at=None))
    assert states(judged(facts(ticking=others, daemon_at=NOW + HOUR))) == {
        "daemon": State.UNKNOWN,
        "sensor:off": State.NEEDS_YOU,
        "sensor:late": State.NEEDS_YOU,
    }
    # Of a look that took long, what came meanwhile is not of the future.
    assert states(judged(facts(daemon_at=NOW + 5 * minute, believed_until=NOW + 6 * minute))) == {}


# --- Work, loads, files -----------------------------------------------------------------------------------


def work(status: str, hours: float, **more: Any) -> WorkNow:
    shared = {
        "work_id": "backfill-1a2b3c4d", "kind": "managed", "word": "backfill", "subject": "stats",
        "first_step": "2026-01-01", "last_step": "2026-01-09", "status": status, "asked_at": NOW - 30 * HOUR,
        "last_at": NOW - hours * HOUR, "requested_by": "ada", "reason": "a bug", "words": "", "id_field": "backfill_id",
    }  # fmt: skip
    return WorkNow(**{**shared, **more})


WORKS: dict[str, tuple[WorkNow, State | None, str]] = {
    "is at work": (work("running", 0.5, is_at_work=True), State.NOTED, ""),
    "hangs": (work("running", 1.1, is_at_work=True), State.NEEDS_YOU, "cancel_backfill_job"),
    "died a moment ago": (work("interrupted", 0.2), State.REPAIRING, ""),
    "died": (work("interrupted", 0.3), State.NEEDS_YOU, "resume_backfill_job"),
    "was accepted and never began": (work("accepted", 0.3), State.NEEDS_YOU, "resume_backfill_job"),
    "is paused": (work("paused", 0.1), State.NEEDS_YOU, "resume_backfill_job"),
    "failed": (work("failed", 0.1), State.NEEDS_YOU, "resume_backfill_job"),
    "was restored": (work("restored", 0.1), State.NEEDS_YOU, "resume_backfill_job"),
    "is half taken back": (work("rolling back", 0.1), State.NEEDS_YOU, "rollback_backfill_job"),
    "is being taken back": (work("rolling back", 0.1, is_at_work=True), State.NOTED, ""),
    "failed, and its timetable asks again": (work("failed", 0.1, is_scheduled=True), None, ""),
}


@pytest.mark.parametrize(("known", "state", "job"), WORKS.values(), ids=WORKS)
def test_work_that(known: WorkNow, state: State | None, job: str) -> None:
    health = judged(facts(work=(known,)))
    assert states(health) == ({} if state is None else {"work:backfill-1a2b3c4d": state})
    if job:
        typed = '-c <(echo "{backfill_id: backfill-1a2b3c4d, requested_by: $(whoami), reason: looked at}")'
        assert health.causes[0].command == f"dg launch --job {job} {typed}"
        assert health.causes[0].whom == "stats, 2026-01-01 … 2026-01-09, asked by ada: a bug"


DAYS = ("2026-01-03", "2026-01-05")


@pytest.mark.parametrize(
    ("later", "is_done"),
    [
        (Done("managed", "stats", "2026-01-01", "2026-01-09", "eve", NOW), True),
        (Done("managed", "stats", "2026-01-04", "2026-01-09", "eve", NOW), False),
        (Done("managed", "bounces", "2026-01-01", "2026-01-09", "eve", NOW), False),
        (Done("managed", "stats", "2026-01-01", "2026-01-09", "eve", NOW - 9 * HOUR), False),
    ],
)
def test_a_backfill_that_failed_is_done_by_a_later_one_of_all_of_its_days(later: Done, *, is_done: bool) -> None:
    assert is_done_since(Done("managed", "stats", *DAYS, "ada", NOW - HOUR), [later]) is is_done


@pytest.mark.parametrize("is_scheduled", [True, False])
def test_a_load_that_failed_is_done_by_a_later_one_only_where_a_timetable_asked_for_both(*, is_scheduled: bool) -> None:
    before, later = (
        Done("postgres", "crm.views", "", "", "hourly_schedule", at, is_scheduled=is_scheduled)
        for at in (NOW - HOUR, NOW)
    )
    assert is_done_since(before, [later]) is is_scheduled
    assert not is_done_since(before, [replace(later, requested_by="daily_schedule")])


NOT_COMPARED_LATELY = Compared("stats", True, NOW - 25 * HOUR, "12 teams of yesterday are equal")

LOADS: dict[str, tuple[Load, State | None]] = {
    "has never run": (Load("x_schedule", "x"), None),
    "is on time": (Load("x_schedule", "x", "r1", due_at=NOW - 2 * HOUR, succeeded_at=NOW - 2 * HOUR), None),
    "waits for its turn": (Load("x_schedule", "x", "r1", due_at=NOW - HOUR, succeeded_at=NOW - 3 * HOUR), None),
    "is behind": (
        Load("x_schedule", "x", "r1", due_at=NOW - 1.1 * HOUR, succeeded_at=NOW - 3 * HOUR, running_since=NOW - HOUR),
        State.NEEDS_YOU,
    ),
    "is at work, and who asked for it is not": (Load("x_schedule", "x", "r1", begun_at=NOW - 0.9 * HOUR), None),
    "hangs before it has a plan": (Load("x_schedule", "x", "r1", begun_at=NOW - 1.1 * HOUR), State.NEEDS_YOU),
    "is an ingestion, which may list for long": (
        Load("x_schedule", "x", "r1", begun_at=NOW - 9 * HOUR, is_scheduled=False),
        None,
    ),
    "failed once": (Load("x_schedule", "x", "r1", failures=1, failed_since=NOW, error="refused"), State.REPAIRING),
    "failed twice": (Load("x_schedule", "x", "r1", failures=2, failed_since=NOW, error="refused"), State.NEEDS_YOU),
}


@pytest.mark.parametrize(("load", "state"), LOADS.values(), ids=LOADS)
def test_a_load_that(load: Load, state: State | None) -> None:
    assert states(judged(facts(loads=(load,)))) == ({} if state is None else {"load:x_schedule": state})


FILES: dict[str, tuple[Files, dict[str, State]]] = {
    "are all loaded": (Files("logs"), {}),
    "wait": (Files("logs", 2, NOW - 30 * HOUR, loaded_at=NOW - HOUR), {"files:logs:waiting": State.REPAIRING}),
    "wait in vain": (
        Files("logs", 2, NOW - 30 * HOUR, loaded_at=NOW - 25 * HOUR),
        {"files:logs:waiting": State.NEEDS_YOU},
    ),
    "failed": (Files("logs", failed=2, failed_since=NOW, path="a"), {"files:logs:failed": State.REPAIRING}),
    "are given up": (Files("logs", failed=2, given_up=1, failed_since=NOW), {"files:logs:failed": State.NEEDS_YOU}),
    "have other columns": (Files("logs", open_version=2, open_since=NOW), {"files:logs:schema": State.NEEDS_YOU}),
    "are declared otherwise": (
        Files("logs", open_version=2, open_since=NOW, is_loaded_by_open=True),
        {"files:logs:schema": State.NEEDS_YOU},
    ),
}


@pytest.mark.parametrize(("files", "expected"), FILES.values(), ids=FILES)
def test_files_that(files: Files, expected: dict[str, State]) -> None:
    assert states(judged(facts(files=(files,)))) == expected


def test_what_was_left_behind_is_dropped_by_itself_and_needs_a_person_once_it_was_not() -> None:
    young, old = (
        LeftBehind("b", "backup", NOW - HOUR, "sweep"),
        LeftBehind("s", "staging", NOW - 49 * HOUR, "the next build"),
    )
    health = judged(facts(left_behind=(young, old, replace(old, name="t", since=NOW))))
    assert states(health) == {"left:staging": State.NEEDS_YOU, "left:backup": State.REPAIRING}
    assert (the(health, "left:staging").whom, the(health, "left:staging").since) == ("s and t", NOW - 49 * HOUR)


# --- The runbook ------------------------------------------------------------------------------------------

WAITS_IN_VAIN, _ = FILES["wait in vain"]
GIVEN_UP, _ = FILES["are given up"]
OTHER_COLUMNS, _ = FILES["have other columns"]

# Of every row of the runbook that an alert may begin with: what it is of.
OLD = OldDays("stats", (date(2024, 1, 2), date(2024, 1, 4)), 3, 0, (7,), "never built", NOW)

ALERTS: dict[str, tuple[re.Pattern[str], Facts]] = {
    "daemon": (symptom("… daemon does not run"), facts(daemon_at=NOW - HOUR)),
    "daemon, never": (symptom("… daemon has never run"), facts(daemon_at=None)),
    "daemon, ahead": (symptom("its last sign is of …, in the future"), facts(daemon_at=NOW + HOUR)),
    "sensor:one, ahead": (
        symptom("its last tick is of …, in the future"),
        facts(ticking=(ticking("one", ticked_at=NOW + HOUR),)),
    ),
    "switch": (symptom("backfills are stopped"), facts(stop=STOP)),
    "sensor:one, off": (symptom("… is off"), facts(ticking=(ticking("one", is_on=False),))),
    "sensor:one, unknown": (symptom("… is known to no daemon yet"), facts(ticking=(ticking("one", is_known=False),))),
    "schedule:one, late": (
        symptom("… no longer ticks"),
        facts(ticking=(ticking("one", is_sensor=False, due_at=NOW - HOUR, ticked_at=None),)),
    ),
    "sensor:one, fails": (symptom("… fails: …"), facts(ticking=(ticking("one", **failing(2, 1)),))),
    "teams:list": (symptom("the list of teams is … old"), facts(teams=Teams(9, NOW - 26 * HOUR))),
    "teams:dictionary": (
        symptom("web_pre_aggregated_teams_dict disagrees with the list about …"),
        facts(teams=Teams(9, NOW, 2)),
    ),
    "teams:none": (symptom("so nothing is watched"), facts(evaluated(teams=0), teams=Teams(0, NOW))),
    "teams:none, ever": (symptom("so nothing is watched"), facts(evaluated(teams=0), teams=Teams(0, None))),
    "unknown:stats": (symptom("… could not be read"), facts(evaluated(unknown={"stats": "code 60"}))),
    "unknown:data": (symptom("shard … does not answer"), of_shards(Outage.SERVER)),
    "unknown:data, all": (symptom("shards … do not answer"), of_shards(Outage.SERVER, Outage.SERVER)),
    "unknown:data, Keeper": (symptom("Keeper does not answer"), of_shards(Outage.KEEPER)),
    "unknown:split": (symptom("… rows on shards …"), of_shards(seen=evaluated(split={7: (1, 2)}))),
    "unknown:split, many": (
        symptom("… rows on several shards"),
        of_shards(seen=evaluated(split={7: (1, 2), 8: (2, 3)})),
    ),
    "unknown:builds": (symptom("… could not be read"), facts(unread={Section.BUILDS: "code 241"})),
    "unknown:unverified": (symptom("not verified yet"), facts(evaluated(unverified=frozenset({ago(3)})))),
    "gap:repaired": (symptom("… wrong for longer than …"), facts(evaluated(missing(2, 3, 4), seen=49))),
    "gap:disagrees": (
        symptom("… wrong for longer than …"),
        facts(evaluated(missing(2, 3, 4, tables=["stats"], is_inconsistent=True), seen=49)),
    ),
    "gap:fails": (
        symptom("… wrong after … attempts"),
        facts(evaluated(missing(2, 3, 4), runs=failed(2, 30, 20, 2))),
    ),
    "gap:held": (symptom("held: a rebuild would lose what their source has no longer"), facts(evaluated([orphan(3)]))),
    "gap:waits": (symptom("… wrong, and too few to begin with"), facts(evaluated(missing(4), seen=49))),
    "fresh": (symptom("… behind the target of …"), facts(evaluated(missing(1, 2, 3), seen=13))),
    "accuracy:stats": (
        symptom("… is not what its raw events come to"),
        facts(compared=(Compared("stats", False, NOW, "team 7"),)),
    ),
    "accuracy:bounces": (
        symptom("… could not be compared with raw events"),
        facts(compared=(Compared("bounces", False, NOW, "busy", is_unknown=True),)),
    ),
    "accuracy:stats, old": (
        symptom("… was not compared with raw events for …"),
        facts(compared=(NOT_COMPARED_LATELY,)),
    ),
    "chore:x_schedule, hangs": (
        symptom("… hangs: its run is at it for …"),
        facts(chores=(Load("x_schedule", "x", "r1", begun_at=NOW - 6.1 * HOUR),)),
    ),
    "chore:x_schedule": (symptom("… failed, … in a row"), facts(chores=(LOADS["failed twice"][0],))),
    "work:backfill-1a2b3c4d, hangs": (
        symptom("… has said nothing for …, though its run lives"),
        facts(work=(work("running", 2, is_at_work=True),)),
    ),
    "work:backfill-1a2b3c4d, died": (symptom("… was interrupted: its run died"), facts(work=(work("interrupted", 1),))),
    "work:backfill-1a2b3c4d, paused": (symptom("… is paused"), facts(work=(work("paused", 1),))),
    "work:backfill-1a2b3c4d, failed": (symptom("backfill-… failed"), facts(work=(work("failed", 1),))),
    "work:backfill-1a2b3c4d, restored": (symptom("backfill-… failed"), facts(work=(work("restored", 1),))),
    "work:file-ingestion-1a2b, failed": (
        symptom("file-ingestion-… failed"),
        facts(work=(work("failed", 1, work_id="file-ingestion-1a2b", kind="files"),)),
    ),
    "work:backfill-1a2b3c4d, half": (symptom("… is half taken back"), facts(work=(work("rolling back", 1),))),
    "load:x_schedule, failed": (symptom("… failed, … in a row"), facts(loads=(LOADS["failed twice"][0],))),
    "load:x_schedule, hangs": (
        symptom("… hangs: its run has no plan after …"),
        facts(loads=(LOADS["hangs before it has a plan"][0],)),
    ),
    "load:x_schedule, late": (symptom("… is behind"), facts(loads=(LOADS["is behind"][0],))),
    "old:stats": (symptom("… (table, team, day) before the look-back"), facts(old_days=(OLD,))),
    "old:stats, held": (
        symptom("… (table, team, day) before the look-back"),
        facts(old_days=(replace(OLD, held=3),)),
    ),
    "files:logs:waiting": (symptom("… to be loaded"), facts(files=(WAITS_IN_VAIN,))),
    "files:logs:failed": (symptom("… files of … failed"), facts(files=(GIVEN_UP,))),
    "files:logs:schema": (symptom("schema version … awaits a person's word"), facts(files=(OTHER_COLUMNS,))),
    "left:staging": (
        symptom("… left behind, on disk and of no use"),
        facts(left_behind=(LeftBehind("s", "staging", NOW - 49 * HOUR, "the next build"),)),
    ),
}


def test_a_version_that_was_declared_is_loaded_by_and_one_that_was_found_is_not() -> None:
    [found], [declared] = (
        judged(facts(files=(FILES[how][0],))).causes for how in ("have other columns", "are declared otherwise")
    )
    assert (found.doing, declared.doing) == (
        "files go on being loaded as before",
        "files are loaded by it, and those loaded before stay",
    )


def test_what_builds_old_days_is_no_rebuild_where_all_of_them_would_lose_rows() -> None:
    [built], [held] = (judged(facts(old_days=(one,))).causes for one in (OLD, replace(OLD, held=3)))
    assert "target_table: stats, start_date: 2024-01-02, end_date: 2024-01-04, kind: gap_filling" in built.command
    assert "why_job" in held.command


@pytest.mark.parametrize("name", ALERTS)
def test_the_runbook_has_a_row_for(name: str) -> None:
    pattern, known = ALERTS[name]
    cause = the(judged(known), name.partition(", ")[0])
    assert cause.needs_a_person
    assert pattern.search(cause.what), cause.what


# What calls nobody: of the first three the page says it all the same; the others are as somebody wants them.
NOTED = {
    "outdated": facts(evaluated(outdated={("stats", ago(4)): 9})),
    "gap:left": facts(GAPS["below the floor"][0]),
    "builds:stats": facts(builds=(BuildsOfLately("stats", 0.5, 1, 1, 0, error="code 241"),)),
    "gap:repaired": facts(evaluated(missing(2, 3, 4))),
    "waived": facts(evaluated([replace(one, kind=Kind.WAIVED) for one in missing(3)])),
    "warning:clocks": facts(evaluated(warnings=("clocks",))),
    "work:backfill-1a2b3c4d": facts(work=(WORKS["is at work"][0],)),
    "work:backfill-1a2b3c4d, taken up": facts(work=(WORKS["died a moment ago"][0],)),
}


def noted(name: str) -> str:
    cause = the(judged(NOTED[name]), name.partition(",")[0])
    assert not cause.needs_a_person
    return cause.what


def test_what_calls_nobody_has_a_row_where_somebody_may_ask_what_it_is() -> None:
    assert symptom("built by an older logic version").search(noted("outdated"))
    assert symptom("… wrong and left so").search(noted("gap:left"))
    assert symptom("… failed in seven days").search(noted("builds:stats"))


def test_there_is_no_cause_but_those_whose_rows_are_looked_for_here(monkeypatch: pytest.MonkeyPatch) -> None:
    made = set[tuple[str, int]]()

    def noting(module: ModuleType, make: Callable[..., Cause]) -> Callable[..., Cause]:
        def called(*given: Any, **named: Any) -> Cause:
            made.add((module.__name__, sys._getframe(1).f_lineno))
            return make(*given, **named)

        return called

    sites = set[tuple[str, int]]()
    for module in (gaps, judging, triggers, unread, work_causes):
        for name in {"Cause", "_cause"} & set(vars(module)):
            monkeypatch.setattr(module, name, noting(module, getattr(module, name)))
        calls = (one for one in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(one, ast.Call))
        sites |= {(module.__name__, one.lineno) for one in calls if ast.unparse(one.func) in ("Cause", "_cause")}
    for known in (*(known for _, known in ALERTS.values()), *NOTED.values()):
        judged(known)
    assert made == sites


# --- Order and keys ---------------------------------------------------------------------------------------


def test_causes_come_by_what_they_ask_the_oldest_first_and_those_without_a_begin_last() -> None:
    given = [
        Cause("a", State.NOTED, "", since=NOW),
        Cause("b", State.NEEDS_YOU, ""),
        Cause("c", State.REPAIRING, "", since=NOW),
        Cause("d", State.NEEDS_YOU, "", since=NOW),
        Cause("e", State.UNKNOWN, ""),
        Cause("f", State.NEEDS_YOU, "", since=NOW - HOUR),
    ]
    assert [cause.key for cause in in_order(given)] == ["f", "d", "b", "e", "c", "a"]


def test_no_two_causes_share_a_key_and_none_names_a_run_or_an_hour() -> None:
    wrong = [*missing(1, 2, 3), orphan(5), *missing(7, teams=[9])]
    later = timedelta(days=1)
    health, again = (
        judged(facts(evaluated(wrong, seen=seen, runs=failed(7, *hours)), stop=STOP, work=(work("failed", seen),)))
        for seen, hours in ((1, (30, 20, 2)), (2 + later / HOUR, (31, 21, 3)))
    )
    assert len({cause.key for cause in health.causes}) == len(health.causes) > 4
    assert {cause.key for cause in health.causes} - {"fresh"} <= {cause.key for cause in again.causes}
