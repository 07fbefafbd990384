"""The pure parts of the week: a right report of it has no fault, and each thing that is false or missed is one."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from dags.tests.clickhouse_server import require_or_skip_reason
from dags.tests.week.clock import obstacle
from dags.tests.week.report import FALSE, MISSED, Message, Page, Seen, faults, table
from dags.tests.week.script import BEGIN, END, WEEK, Act, at
from dags.tests.week.truth import (
    MATTERS,
    NEEDS_YOU,
    OVER_AFTER,
    REMINDED_WITHIN,
    REMINDER,
    TOLD_AFTER,
    UNKNOWN,
    answers,
    certain,
)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def right() -> Seen:
    """What is said where everything is said as it is so, and when it must be at the latest."""
    words = {
        "ClickHouse is gone": "the data could not be read",
        "team 5 is behind its target": "1 team behind the target of 36 h",
        "team 5 cannot be built, after three attempts": "2 (table, team, day) are wrong after 3 attempts",
        "the 02:00 check is off": "web_analytics_backfill_schedule is off",
        "backfills are stopped": "backfills are stopped by ada",
        "a load hangs": "postgres-backfill-1 has said nothing for 61 min",
        "a rebuild would lose what the source has lost": "2 held: a rebuild would lose",
        "the daemon is dead": "Dagster's daemon does not run",
    }
    seen = Seen()
    moment = BEGIN + 40 * MINUTE
    while moment < END:
        needs = tuple(words[one.what] for one in certain(moment) if one.answer in (NEEDS_YOU, UNKNOWN))
        seen.pages.append(Page(moment, answers(moment)[0], needs))
        seen.checks.append((moment, ("no_old_gap",) if needs else ()))
        if not at("Tue", 9) < moment < at("Tue", 11):
            seen.beats.append(moment)
        moment += HOUR
    for one in (one for one in MATTERS if one.is_told):
        for channel in seen.channels:
            is_late = one.late_channel is not None and channel == seen.late_channel
            told = one.late_channel.latest if is_late and one.late_channel else one.begins.after(TOLD_AFTER).latest
            word = "UNKNOWN" if one.answer == UNKNOWN else "NEEDS YOU"
            seen.messages.append(Message(told, channel, f"{word}: {words[one.what]}"))
            if one.is_reminded and one.ends.earliest > told + REMINDER + REMINDED_WITHIN:
                seen.messages.append(Message(told + REMINDER, channel, f"STILL {word}: {words[one.what]}"))
            seen.messages.append(Message(one.ends.after(OVER_AFTER).latest, channel, f"OVER: {words[one.what]}"))
    return seen


def test_a_week_of_which_all_is_said_as_it_is_so_has_no_fault() -> None:
    seen = right()
    assert faults(seen) == ()
    assert table(seen, ()).splitlines()[-1].endswith("0 false, 0 missed")


def test_each_message_that_is_not_sent_is_missed() -> None:
    whole = right()
    for number, left_out in enumerate(whole.messages):
        seen = right()
        del seen.messages[number]
        kinds = {one.kind for one in faults(seen)}
        assert MISSED in kinds, left_out


def test_each_message_that_is_sent_twice_or_at_a_quiet_hour_is_a_false_alarm() -> None:
    for number, repeated in enumerate(right().messages):
        seen = right()
        seen.messages.insert(number, repeated)
        assert [one.kind for one in faults(seen)] == [FALSE], repeated
    seen = right()
    seen.messages.append(Message(at("Sun", 20), "a", "NEEDS YOU: 2 (table, team, day) are wrong for longer than 2 d"))
    assert [one.kind for one in faults(seen)] == [FALSE]


def test_a_page_that_says_ok_is_missed_and_one_that_asks_for_a_person_is_false_where_it_is_not_so() -> None:
    for number, page in enumerate(right().pages):
        seen = right()
        is_ok = set(answers(page.at)).isdisjoint({NEEDS_YOU, UNKNOWN})
        seen.pages[number] = Page(page.at, NEEDS_YOU, ("it burns",)) if is_ok else Page(page.at, "OK")
        kinds = {one.kind for one in faults(seen)}
        assert kinds <= {FALSE} if is_ok else MISSED in kinds or len(answers(page.at)) > 1, page
        assert kinds or len(answers(page.at)) > 1, page


@pytest.mark.parametrize(
    ("moment", "failing", "kind"), [(at("Sun", 15), (), MISSED), (at("Sun", 20), ("fresh",), FALSE)]
)
def test_standing_checks_fail_where_somebody_is_needed_and_only_there(
    moment: datetime, failing: tuple[str, ...], kind: str
) -> None:
    seen = right()
    seen.checks.append((moment, failing))
    assert [one.kind for one in faults(seen)] == [kind]


def test_a_watch_that_is_not_called_is_a_false_alarm_unless_the_daemon_is_dead() -> None:
    seen = right()
    seen.beats = [beat for beat in seen.beats if not at("Thu", 3) < beat < at("Thu", 6)]
    assert [one.kind for one in faults(seen)] == [FALSE]
    seen = right()
    seen.beats.append(at("Tue", 10))
    assert MISSED in {one.kind for one in faults(seen)}


def test_what_happens_is_in_its_order_and_what_goes_wrong_goes_right_again() -> None:
    assert all(before.at <= after.at for before, after in pairwise(WEEK))
    assert {step.act for step in WEEK} == set(Act)
    assert max(one.ends.latest for one in MATTERS) < END - 6 * HOUR


@pytest.mark.slow(minutes=12)
def test_in_a_week_of_operation_nobody_is_called_in_vain_and_nothing_is_missed() -> None:
    if reason := require_or_skip_reason() or obstacle():
        pytest.skip(reason)
    played = subprocess.run([sys.executable, "-m", "dags.tests.week"], capture_output=True, text=True, check=False)
    assert played.returncode == 0, f"{played.stdout}\n{played.stderr[-4000:]}"
    assert played.stdout.splitlines()[-1].endswith("0 false, 0 missed")
