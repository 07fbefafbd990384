"""What show_alerts_job shows: what was told, to how many channels, and what is muted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dags.alerts.memory import Memory
from dags.alerts.mutes import Mute, as_document, from_document, is_muted, with_mute
from dags.alerts.shown import as_dict, as_text
from dags.domain.text import WIDTH
from dags.health.report import printable
from dags.tests.alerts.told import BEGIN, REPAIRING, Watch, cause

HOUR = timedelta(hours=1)


def test_before_the_first_look_there_is_nothing() -> None:
    assert as_text(as_dict(Memory(), (), (), BEGIN)) == (
        "ALERTS   0 causes told and open; 0 channels; never looked at yet"
    )


def test_each_cause_says_what_was_told_of_it_and_whom_it_reached() -> None:
    watch, key = Watch(channels=("a", "b")), "sensor:web_analytics_backfill_sensor"
    told, over, repaired, gone = cause(key), cause("work:done"), cause("gap:repaired"), cause("gap:gone")
    quiet = cause("switch")
    watch.ticks(3, told, over, repaired, gone, quiet, dead="b", muted=["switch"])
    watch.ticks(1, told, repaired, gone, quiet, muted=["switch"])
    watch.ticks(3, told, repaired, gone, quiet, muted=["switch"])
    watch.ticks(1, told, replace(repaired, state=REPAIRING), quiet, cause("new"), muted=["switch"])
    memory = replace(watch.memory, known_at=watch.now)
    mute = Mute("switch", BEGIN + 48 * HOUR, "ada", "known")
    shown = as_dict(memory, (mute, replace(mute, until=BEGIN)), ("a", "b"), watch.now)
    assert as_text(shown).splitlines() == [
        "ALERTS   1 cause told and open; 2 channels; known as of 2026-03-02 09:40 UTC",
        "",
        "told      sensor:web_analytics_backfill_sensor is wrong",
        "  key     sensor:web_analytics_backfill_sensor",
        "  heard   told 2026-03-02 09:15 UTC; the last message taken by 2 of 2 channels",
        "",
        "repairing gap:repaired is wrong",
        "  key     gap:repaired",
        "  heard   told 2026-03-02 09:15 UTC; the last message taken by 2 of 2 channels",
        "",
        "seen      new is wrong",
        "  key     new",
        "  heard   told to nobody",
        "",
        "muted     switch is wrong",
        "  key     switch",
        "  heard   told to nobody",
        "",
        "not seen  gap:gone is wrong",
        "  key     gap:gone",
        "  heard   told 2026-03-02 09:15 UTC; the last message taken by 2 of 2 channels",
        "",
        "over      work:done is wrong",
        "  key     work:done",
        "  heard   told 2026-03-02 09:15 UTC; over 2026-03-02 09:35 UTC; the last message taken by 2 of 2",
        "          channels",
        "",
        "MUTED     switch until 2026-03-04 09:00 UTC, by ada: known",
        "",
        "told      people were told, and it needs them",
        "repairing people were told, and now it is being repaired: you hear when it is over",
        "seen      nobody is told yet: it may pass within ten minutes",
        "muted     nobody is told while a mute has it",
        "not seen  it is not there now, and may come back: you hear that it is over if it does not",
        "over      people were told that it is over",
    ]


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_word_of_a_cause_is_cut_and_no_line_is_wider_than_a_terminal(what: str, reason: str) -> None:
    watch = Watch(channels=("a",))
    watch.ticks(3, replace(cause("gap:fails"), what=what))
    mutes = (Mute("gap:*", watch.now + HOUR, "ada", reason),)
    text = as_text(as_dict(watch.memory, mutes, ("a",), watch.now))
    assert max(map(len, text.split("\n"))) <= WIDTH
    # Long words are broken, so blanks tell nothing.
    for words in (what, reason):
        assert "".join(printable(words).split()) in "".join(text.split())


def test_a_mute_is_of_a_key_or_of_all_that_begin_so_and_ends_by_itself() -> None:
    mutes = with_mute((), Mute("gap:*", BEGIN + HOUR, "ada", "known"), BEGIN)
    asked = ("gap:fails", "gap:", "fresh", "xgap:fails")
    assert [key for key in asked if is_muted(mutes, key, BEGIN)] == ["gap:fails", "gap:"]
    assert not is_muted(mutes, "gap:fails", BEGIN + HOUR)
    assert from_document(as_document(mutes)) == mutes


def test_a_later_mute_of_a_key_takes_the_place_of_the_one_before_and_what_is_over_is_gone() -> None:
    first, other = Mute("a", BEGIN + HOUR, "ada", "known"), Mute("b", BEGIN + 3 * HOUR, "ada", "known")
    later = replace(first, until=BEGIN + 2 * HOUR)
    assert with_mute((first, other), later, BEGIN) == (other, later)
    assert with_mute((first, other), replace(first, until=BEGIN), BEGIN) == (other,)
    assert with_mute((first, other), later, BEGIN + 2 * HOUR) == (other,)
