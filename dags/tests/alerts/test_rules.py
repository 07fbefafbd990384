"""What is told, to whom and when: by cases, and by whatever comes and goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dags.alerts.memory import as_document, from_document, until
from dags.alerts.rules import HOLD, LASTS, due, hold
from dags.health.causes import Check, State
from dags.tests.alerts.told import BEGIN, NEEDS, NOTED, REPAIRING, TICK, UNKNOWN, Watch, cause

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from dags.health.causes import Cause

LATE = cause()
NEW, OVER, REMINDER, WORSE = (
    ("gap:fails", "new"), ("gap:fails", "over"), ("gap:fails", "reminder"), ("gap:fails", "worse"),
)  # fmt: skip
DAY = 24 * 12


def test_a_cause_is_told_once_and_once_more_and_that_it_is_over() -> None:
    watch = Watch()
    assert watch.ticks(2, LATE) == []
    assert watch.tick(LATE) == [NEW]
    assert watch.ticks(DAY - 1, LATE) == []
    assert watch.tick(LATE) == [REMINDER]
    assert watch.ticks(3 * DAY, LATE) == []
    assert watch.ticks(3) == []
    assert watch.tick() == [OVER]
    assert watch.ticks(3 * DAY) == []
    assert watch.memory.entries == {}


def test_without_a_reminder_there_is_none() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(3 * DAY, LATE) == [NEW]


@pytest.mark.parametrize("state", [REPAIRING, NOTED])
def test_what_repairs_itself_or_is_only_noted_is_never_told(state: State) -> None:
    watch = Watch()
    assert watch.ticks(3 * DAY, replace(LATE, state=state)) == []
    assert watch.memory.entries == {}


def test_what_is_unknown_is_told_too_and_again_when_it_is_known_to_be_wrong() -> None:
    watch = Watch()
    assert watch.ticks(5, replace(LATE, state=UNKNOWN)) == [NEW]
    assert watch.ticks(5, LATE) == [WORSE]
    assert watch.ticks(5, replace(LATE, state=UNKNOWN)) == []
    assert watch.ticks(5, LATE) == []


def test_what_passes_within_minutes_is_not_told() -> None:
    watch = Watch()
    assert watch.ticks(2, LATE) == []
    assert watch.ticks(5) == []
    assert watch.ticks(2, LATE) == []
    assert watch.ticks(5) == []


def test_after_nobody_looked_what_was_not_told_yet_must_last_again() -> None:
    watch = Watch()
    assert watch.ticks(2, LATE) == []
    assert watch.tick(LATE, after=HOLD + TICK) == []
    assert watch.tick(LATE) == []
    assert watch.tick(LATE) == [NEW]
    assert watch.tick(after=timedelta(hours=5)) == []  # it may have ended just now
    assert watch.tick(LATE, after=timedelta(hours=5)) == []
    assert watch.tick(LATE, after=timedelta(hours=24)) == [REMINDER]
    assert watch.memory.entries[LATE.key].seen_at == BEGIN + 2 * TICK + HOLD + TICK  # of what was told it stays as told


def test_looks_that_are_far_apart_tell_all_the_same() -> None:
    watch = Watch()
    assert watch.tick(LATE) == []
    assert watch.tick(LATE, after=HOLD + TICK) == [NEW]
    assert watch.tick(LATE, after=timedelta(hours=2)) == []


def test_a_clock_that_was_ahead_for_a_while_silences_nothing() -> None:
    watch = Watch()
    watch.now += timedelta(days=2)
    assert watch.ticks(2, LATE) == []
    watch.now -= timedelta(days=2)
    watch.memory = until(watch.memory, watch.now)
    assert watch.memory.entries[LATE.key].seen_at == watch.now
    assert watch.ticks(3, LATE) == [NEW]


def test_days_that_are_wrong_for_another_reason_now_are_not_over() -> None:
    watch, other = Watch(), cause("gap:repaired", REPAIRING, tables=("bounces",))
    assert watch.ticks(3, LATE) == [NEW]
    assert watch.ticks(DAY - 1, other) == []
    assert watch.ticks(2) == []
    assert watch.tick() == [OVER]
    elsewhere = Watch()
    assert elsewhere.ticks(3, replace(LATE, tables=("stats",))) == [NEW]
    assert elsewhere.ticks(4, other) == [OVER]


def test_what_comes_for_a_moment_each_quarter_of_an_hour_is_not_told() -> None:
    watch = Watch()
    assert [one for _ in range(20) for one in (*watch.tick(LATE), *watch.ticks(3))] == []
    assert watch.memory.entries == {}


def test_what_comes_and_goes_at_every_tick_is_told_all_the_same_and_once() -> None:
    watch = Watch(reminder=None)
    assert [one for _ in range(50) for one in (*watch.tick(LATE), *watch.tick())] == [NEW]


def test_a_cause_that_is_repaired_again_is_not_over_and_not_reminded_of() -> None:
    watch = Watch()
    assert watch.ticks(3, LATE) == [NEW]
    assert watch.ticks(2 * DAY, replace(LATE, state=REPAIRING)) == []
    assert watch.tick(LATE) == [REMINDER]
    assert watch.ticks(5) == [OVER]


def test_a_cause_that_has_grown_is_told_again() -> None:
    watch = Watch()
    assert watch.ticks(3, replace(LATE, size=5)) == [NEW]
    assert watch.ticks(3, replace(LATE, size=19)) == []
    assert watch.ticks(3, replace(LATE, size=20)) == [WORSE]
    assert watch.ticks(3, replace(LATE, size=5)) == []
    assert watch.ticks(3, replace(LATE, size=79)) == []
    assert watch.ticks(3, replace(LATE, size=80)) == [WORSE]


TODAY = BEGIN.date()


def lost(*days: int, teams: Iterable[int] = (1,), **more: Any) -> Cause:
    """A loss of days, so many before the first look."""
    struck = tuple(sorted(TODAY - timedelta(days=day) for day in days))
    return replace(LATE, days=struck, teams=tuple(teams), size=5, **more)


def test_another_loss_behind_a_known_one_is_told_and_once() -> None:
    for first, second in (
        (lost(7), lost(7, 3)),  # a day that was right
        (lost(7), lost(3)),  # the first was mended meanwhile
        (lost(7), lost(7, teams=(1, 2))),
    ):
        watch = Watch(reminder=None)
        assert watch.ticks(DAY, first) == [NEW]
        assert watch.ticks(3 * DAY, second) == [WORSE]


def test_what_was_right_again_and_is_lost_once_more_is_told_once_more() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(DAY, lost(7)) == [NEW]
    for _ in range(2):
        assert watch.ticks(DAY, lost(7, 3)) == [WORSE]
        assert watch.ticks(DAY, lost(7)) == []


def test_days_that_came_after_it_was_told_are_news_when_they_are_lost_later() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(10 * DAY, lost(7)) == [NEW]
    assert watch.ticks(DAY, lost(7, -4, -5)) == [WORSE]


def test_a_loss_while_it_was_muted_is_told_once_that_ends() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(DAY, lost(7)) == [NEW]
    assert watch.ticks(5 * DAY, lost(7, 3, -1), muted=["gap:fails"]) == []
    assert watch.ticks(DAY, lost(7, 3, -1)) == [WORSE]


def test_what_spreads_day_by_day_is_told_no_more_than_once_a_day() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(3, lost(30)) == [NEW]
    said = [one for day in range(29, 0, -1) for one in watch.ticks(12 * 6, lost(30, day, teams=(day,)))]
    assert len(said) <= 2 + 29 / 4


def test_a_day_that_has_come_since_is_no_other_loss() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(DAY, lost(3, 2)) == [NEW]
    assert watch.ticks(DAY, lost(3, 2, 1, 0)) == []


def test_losses_one_after_the_other_are_told_together() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(3, lost(9)) == [NEW]
    said = [watch.ticks(12, lost(9, *range(8, day, -1))) for day in (7, 6, 5, 4, 3)]
    assert [one for hour in said for one in hour] == []
    assert watch.ticks(12 * 6, lost(*range(4, 10))) == [WORSE]


def test_that_teams_are_behind_now_is_told_at_once_of_what_was_known() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(3, lost(7)) == [NEW]
    behind = lost(7, checks=frozenset({Check.NO_OLD_GAP, Check.FRESH}))
    assert watch.ticks(3, behind) == [WORSE]
    assert watch.ticks(DAY, lost(7)) == []
    assert watch.ticks(DAY, behind) == [WORSE]


def test_of_more_teams_than_are_named_another_is_news_once_they_are_few() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(DAY, lost(7, teams=())) == [NEW]
    assert watch.ticks(DAY, lost(7, teams=(5,))) == []
    assert watch.ticks(DAY, lost(7, teams=(5, 6))) == [WORSE]


def test_what_an_earlier_version_told_is_told_once_more_only_when_that_is_due() -> None:
    watch = Watch()
    assert watch.ticks(3, lost(7)) == [NEW]
    document = as_document(watch.memory)
    for entry in document["entries"]:
        for name in ("said_at", "days", "teams", "checks"):
            del entry[name]
        del entry["cause"]["days"], entry["cause"]["teams"]
    watch.memory = from_document(document)
    assert watch.ticks(DAY - 10, lost(7, 3)) == []
    assert watch.ticks(20, lost(7, 3)) == [REMINDER]
    assert watch.ticks(DAY, lost(7, 3, 2)) == [WORSE]


def test_no_more_of_a_cause_is_kept_than_0_20_reads_and_no_whole_error() -> None:
    watch = Watch()
    assert watch.ticks(3, lost(7, error="memory " * 100_000, disagreeing=("stats",))) == [NEW]
    [entry] = as_document(watch.memory)["entries"]
    assert entry["cause"].keys() == {
        "key", "state", "what", "whom", "since", "doing", "to_do", "command", "tables", "checks", "size", "days",
        "teams", "cost",
    }  # fmt: skip
    assert [one.cause for one in watch.memory.entries.values()] == [lost(7)]


def test_a_cause_that_comes_back_soon_is_the_same_one() -> None:
    watch = Watch()
    assert watch.ticks(3, LATE) == [NEW]
    for _ in range(10):
        assert watch.ticks(3) == []
        assert watch.ticks(3, LATE) == []


def test_a_cause_that_comes_and_goes_slowly_is_held_twice_as_long_each_time() -> None:
    watch, told = Watch(reminder=None), 0
    for _ in range(48):  # two days of half an hour there, half an hour not
        told += len(watch.ticks(6, LATE)) + len(watch.ticks(6))
    assert told <= 4 * 2
    assert watch.ticks(DAY + 1)[-1:] in ([], [OVER])
    assert watch.ticks(2 * DAY) == []
    assert watch.ticks(3, LATE) == [NEW]
    assert watch.ticks(4) == [OVER]  # after a day of peace it is held as shortly as ever


UNREAD = cause("unknown:data", UNKNOWN)


def test_what_cannot_be_seen_is_not_over() -> None:
    watch = Watch(reminder=None)
    assert watch.ticks(3, LATE) == [NEW]
    assert watch.ticks(20, UNREAD) == [("unknown:data", "new")]
    assert watch.ticks(20, UNREAD, LATE) == []
    assert watch.ticks(20, UNREAD) == []
    assert watch.ticks(2) == []
    assert watch.ticks(2) == [OVER, ("unknown:data", "over")]


@pytest.mark.parametrize(
    "other",
    [
        cause("unknown:work", UNKNOWN, checks=[Check.BACKFILLS_END]),
        cause("unknown:other", UNKNOWN, tables=("others",)),
        cause("gap:held", NEEDS),
        cause("daemon"),
    ],
    ids=lambda one: one.key,
)
def test_what_is_seen_by_other_means_is_over_when_it_is(other: object) -> None:
    watch = Watch(reminder=None)
    told = replace(LATE, tables=("stats",))
    watch.ticks(3, told, other)  # type: ignore[arg-type]
    assert OVER in watch.ticks(4, other)  # type: ignore[arg-type]


def test_of_sensors_nothing_is_over_while_the_daemon_is_dead() -> None:
    watch, daemon = Watch(reminder=None), cause("daemon", checks=())
    off = cause("sensor:x", checks=[Check.RUNS_BY_ITSELF])
    assert watch.ticks(3, off) == [("sensor:x", "new")]
    assert watch.ticks(20, daemon) == [("daemon", "new")]
    assert watch.ticks(4) == [("sensor:x", "over"), ("daemon", "over")]


def test_a_channel_that_is_dead_keeps_no_other_from_it_and_loses_nothing() -> None:
    watch = Watch(channels=("a", "b"))
    watch.ticks(3, LATE, dead="b")
    watch.ticks(3, LATE, dead="b")
    watch.ticks(1, LATE)
    watch.ticks(4, LATE)
    assert [[what for _, _, what in watch.said[one]] for one in "ab"] == [["new"], ["new"]]
    watch.ticks(4, dead="a")
    watch.ticks(1)
    assert [[what for _, _, what in watch.said[one]] for one in "ab"] == [["new", "over"], ["new", "over"]]


def test_a_channel_that_was_dead_all_the_while_hears_in_the_end_what_there_was() -> None:
    watch = Watch(channels=("a", "b"))
    watch.ticks(3, LATE, dead="b")
    watch.ticks(10, dead="b")
    assert watch.ticks(1) == [OVER]
    assert [what for _, _, what in watch.said["b"]] == ["over"]


def test_a_channel_that_missed_the_end_hears_of_no_new_begin() -> None:
    watch = Watch(channels=("a", "b"), reminder=None)
    watch.ticks(3, LATE)
    watch.ticks(5, dead="b")
    watch.ticks(5, LATE)
    watch.ticks(20)
    assert [[what for _, _, what in watch.said[one]] for one in "ab"] == [
        ["new", "over", "new", "over"],
        ["new", "over"],
    ]


def test_a_new_channel_hears_of_what_is_open_and_not_of_what_is_over() -> None:
    watch, gone = Watch(), cause("work:x")
    watch.ticks(3, LATE, gone)
    watch.ticks(5, LATE)
    watch.channels = ("a", "b")
    assert watch.ticks(5, LATE) == [NEW]
    assert [one[1:] for one in watch.said["b"]] == [NEW]


def test_a_channel_that_is_left_out_for_a_while_hears_nothing_twice_and_what_it_missed() -> None:
    watch, other = Watch(channels=("a", "b"), reminder=None), cause("work:x")
    watch.ticks(3, LATE, other)
    watch.channels = ("a",)
    watch.ticks(5, LATE)
    watch.channels = ("a", "b")
    watch.ticks(5, LATE)
    assert [one[1:] for one in watch.said["b"]] == [NEW, ("work:x", "new"), ("work:x", "over")]


def test_a_channel_that_missed_the_end_hears_that_the_same_has_become_worse() -> None:
    watch, large = Watch(channels=("a", "b")), replace(LATE, size=40)
    watch.ticks(DAY + 3, replace(LATE, size=2))
    watch.ticks(5, dead="b")
    watch.ticks(3, replace(LATE, size=2))
    watch.ticks(1, large)
    assert [what for _, _, what in watch.said["b"]] == ["new", "reminder", "worse"]


def test_what_is_told_anew_is_told_as_if_it_had_never_been() -> None:
    watch, unsure = Watch(), replace(LATE, state=UNKNOWN)
    for first in (replace(LATE, size=100), replace(unsure, size=5)):
        assert watch.ticks(3, first) == [NEW]
        assert watch.ticks(DAY, first) == [REMINDER]
        if first.state is UNKNOWN:
            assert watch.tick(replace(unsure, size=20)) == [WORSE]
            assert watch.tick(replace(LATE, size=20)) == [WORSE]
        assert watch.ticks(10)[-1:] == [OVER]


def test_a_reminder_makes_nothing_worse_that_was_as_bad_before() -> None:
    watch = Watch()
    assert watch.ticks(3, replace(LATE, size=5)) == [NEW]
    assert watch.ticks(DAY, replace(LATE, state=UNKNOWN, size=2)) == [REMINDER]
    assert watch.ticks(3, replace(LATE, size=19)) == []


def test_what_is_owed_to_a_channel_is_not_told_while_the_cause_is_not_seen_or_is_repaired() -> None:
    watch = Watch()
    assert watch.ticks(3, LATE, dead="a") == []
    assert watch.tick() == []
    assert watch.tick(replace(LATE, state=REPAIRING)) == []
    assert watch.tick(LATE) == [NEW]
    assert due(watch.memory, lambda _: False) == {}


def test_of_what_no_check_is_for_nothing_is_over_while_anything_is_unknown() -> None:
    watch, plain = Watch(reminder=None), cause("x", checks=())
    assert watch.ticks(3, plain) == [("x", "new")]
    assert watch.ticks(20, UNREAD) == [("unknown:data", "new")]


def test_teams_that_are_behind_are_not_said_to_have_up_to_date_where_another_cause_says_why_they_are_behind() -> None:
    watch, behind = Watch(reminder=None), cause("fresh", checks=[Check.FRESH])
    fails = cause("gap:fails", checks=[Check.NOTHING_STUCK, Check.FRESH])
    assert watch.ticks(3, behind) == [("fresh", "new")]
    assert watch.ticks(20, fails) == [("gap:fails", "new")]
    assert watch.ticks(20, replace(fails, state=REPAIRING)) == [("fresh", "over")]
    assert watch.ticks(20) == [("gap:fails", "over")]


def test_the_most_pressing_comes_first_and_what_is_over_last() -> None:
    watch, gone = Watch(), cause("a")
    watch.ticks(3, gone)
    late = [cause("c"), cause("b", UNKNOWN, checks=[Check.ACCURATE]), cause("d")]
    watch.ticks(2, *late, dead="a")
    watch.ticks(1, *late, dead="a")
    assert watch.tick(*late) == [("c", "new"), ("d", "new"), ("b", "new"), ("a", "over")]


def test_nothing_is_held_for_longer_than_a_day() -> None:
    assert [hold(returns) for returns in (0, 1, 6, 7, 1000)] == [
        HOLD, 2 * HOLD, 64 * HOLD, timedelta(days=1), timedelta(days=1)
    ]  # fmt: skip


def test_a_channel_that_takes_nothing_for_a_week_is_given_up() -> None:
    watch = Watch(channels=("a", "b"))
    watch.ticks(3, LATE, dead="b")
    watch.ticks(7 * DAY, dead="b")
    assert LATE.key in watch.memory.entries
    watch.ticks(10, dead="b")
    assert watch.memory.entries == {}


def test_of_what_is_muted_nothing_is_told_but_its_end_and_what_it_is_afterwards() -> None:
    watch, key = Watch(), LATE.key
    assert watch.ticks(DAY, LATE, muted=[key]) == []
    assert watch.tick(LATE) == [NEW]
    assert watch.ticks(2 * DAY, LATE, muted=[key]) == []
    assert watch.tick(LATE) == [REMINDER]
    assert watch.ticks(5, muted=[key]) == [OVER]


def test_what_a_dead_channel_is_owed_it_does_not_get_while_that_is_muted() -> None:
    watch = Watch()
    assert watch.ticks(3, LATE, dead="a") == []
    assert watch.ticks(3, LATE, muted=[LATE.key]) == []
    assert watch.tick(LATE) == [NEW]


def test_what_came_back_is_not_said_to_be_over() -> None:
    watch = Watch(channels=("a", "b"))
    watch.ticks(3, LATE)
    watch.ticks(5, dead="b")
    assert watch.ticks(2, LATE) == []  # not there for long enough to be told again, and no more over


# --- Whatever comes and goes ------------------------------------------------------------------------------

KEYS = ("gap:fails", "work:x", "sensor:y")
Step = tuple[dict[str, State | None], set[str], set[str], int]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.fixed_dictionaries({key: st.sampled_from([None, None, NEEDS, NEEDS, *State]) for key in KEYS}),
        st.sets(st.sampled_from("ab")),
        st.sets(st.sampled_from(KEYS), max_size=1),
        st.sampled_from([1, 1, 1, 2, 3, 4, DAY]),
    ),
    max_size=25,
)  # fmt: skip
OPENS = ("new", "worse", "reminder")


def told_of(watch: Watch, channel: str, key: str) -> list[str]:
    return [what for _, one, what in watch.said[channel] if one == key]


@given(STEPS)
@settings(max_examples=100)
def test_no_cause_is_told_twice_none_is_missed_and_each_ends_once(steps: list[Step]) -> None:  # noqa: C901
    watch = Watch(channels=("a", "b", "alive"))
    present: dict[str, datetime | None] = dict.fromkeys(KEYS)
    absent: dict[str, datetime | None] = dict.fromkeys(KEYS)
    for states, dead, muted, count in steps:
        causes = [cause(key, state, checks=()) for key, state in states.items() if state is not None]
        for _ in range(count if count < DAY else 1):
            watch.tick(*causes, dead=dead, muted=muted, after=TICK if count < DAY else timedelta(days=1))
            is_blind = any(one.state is UNKNOWN for one in causes)
            for key in KEYS:
                needs = states[key] in (NEEDS, UNKNOWN)
                present[key] = (watch.now if count == DAY else present[key] or watch.now) if needs else None
                is_gone = states[key] in (None, NOTED)
                absent[key] = (watch.now if is_blind else absent[key] or watch.now) if is_gone else None
                ended = [at for at, one, what in watch.said["alive"] if (one, what) == (key, "over")]
                since, gone = present[key], absent[key]
                if since is not None and watch.now - since >= LASTS and key not in muted:
                    assert told_of(watch, "alive", key)[-1] in OPENS  # none is missed
                if watch.now in ended:
                    assert gone is not None
                    assert watch.now - gone >= HOLD  # none is said to be over that is not
    for _ in range(40):
        watch.tick(after=timedelta(hours=6))
    for channel in watch.channels:
        for key in KEYS:
            heard = told_of(watch, channel, key)
            assert heard[-1:] in ([], ["over"])
            for before, after in zip(["over", *heard], heard, strict=False):
                assert after != "new" or before == "over"  # not told twice
                assert channel != "alive" or after != "over" or before in OPENS  # ended once
    for key in KEYS:
        per_episode = " ".join(told_of(watch, "alive", key)).split("over")
        assert all(episode.split().count("reminder") <= 1 for episode in per_episode)
    assert watch.memory.entries == {}


@given(st.lists(st.integers(1, 60), max_size=60))
@settings(max_examples=25)
def test_whatever_the_rhythm_a_cause_that_comes_and_goes_does_not_flood(lengths: list[int]) -> None:
    watch = Watch(reminder=None)
    for number, length in enumerate(lengths):
        watch.ticks(length, *([LATE] if number % 2 else []))
    days = (len(watch.memory.entries) or 1) * (1 + sum(lengths) / DAY)
    assert len(watch.said["a"]) <= 12 + 4 * days
