"""The words of messages: of one cause, of its end, of many at once, and of whatever stands in a cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dags.alerts.memory import Entry, Kind
from dags.alerts.messages import AT_ONCE, NAMED, SUBJECT_CHARACTERS, Message, Tone, messages
from dags.health.causes import Cause, State
from dags.tests.alerts.told import BEGIN, UNKNOWN, cause

WHERE = "clickhouse://me@db.example:8123/analytics"
GAP = Cause(
    "gap:fails",
    State.NEEDS_YOU,
    "3 (table, team, day) are wrong after 2 attempts",
    "team 7, 2026-03-01",
    BEGIN - timedelta(hours=50),
    "tried again from 12:00",
    "put right what its last run says",
    "dg launch --job why_job\ndg launch --job the_job",
    cost="2 days",
)
ENTRY = Entry(GAP, BEGIN, kind=Kind.NEW, number=1, told_at=BEGIN)


def said(*entries: Entry, open_now: tuple[Entry, ...] = ()) -> tuple[Message, ...]:
    return messages(entries, open_now=open_now, where=WHERE, now=BEGIN)


BODY = """\
3 (table, team, day) are wrong after 2 attempts
whom: team 7, 2026-03-01
since: 2026-02-28 07:00 UTC, 2 d ago
doing: tried again from 12:00
cost: 2 days
to do: put right what its last run says
$: dg launch --job why_job
$: dg launch --job the_job
where: clickhouse://me@db.example:8123/analytics
mute: dg launch --job mute_alert_job \
-c <(echo "{key: 'gap:fails', hours: 24, requested_by: $(whoami), reason: known}")"""


def test_a_message_says_what_whom_since_when_what_is_done_and_what_to_do() -> None:
    subject, last = (
        "NEEDS YOU: 3 (table, team, day) are wrong after 2 attempts",
        "You hear of it again when it is over.",
    )
    assert said(ENTRY) == (Message(subject, f"{BODY}\n{last}", Tone.FAILURE, (ENTRY,)),)
    reminded = replace(ENTRY, kind=Kind.REMINDER)
    assert said(reminded) == (Message(f"STILL {subject}", BODY, Tone.FAILURE, (reminded,)),)
    worse = replace(ENTRY, kind=Kind.WORSE, cause=replace(GAP, state=UNKNOWN))
    [message] = said(worse)
    assert (message.subject, message.tone) == (subject.replace("NEEDS YOU", "UNKNOWN, WORSE"), Tone.WARNING)


def test_of_a_cause_that_says_little_a_message_says_no_more() -> None:
    [message] = said(replace(ENTRY, cause=Cause("x", State.UNKNOWN, "it is not known")))
    assert message.body.splitlines()[:3] == [
        "it is not known", "since: 2026-03-02 09:00 UTC, 0 min ago", f"where: {WHERE}",
    ]  # fmt: skip


def test_that_it_is_over_says_from_when_to_when_and_what_is_open_still() -> None:
    over = replace(ENTRY, kind=Kind.OVER, gone_at=BEGIN, over_at=BEGIN + timedelta(minutes=15), seen_at=None)
    [message] = said(over, open_now=(Entry(cause("switch"), BEGIN, kind=Kind.NEW),))
    assert message.subject == "OVER: 3 (table, team, day) are wrong after 2 attempts"
    assert message.body.splitlines()[1:] == [
        "whom: team 7, 2026-03-01",
        "since: 2026-02-28 07:00 UTC",
        "until: 2026-03-02 09:00 UTC",
        f"where: {WHERE}",
        "Still open, 1 cause:",
        "  switch is wrong (switch)",
    ]
    [alone] = said(over)
    assert alone.body.splitlines()[-1] == "Nothing else needs you."
    assert alone.tone == Tone.SUCCESS


def test_of_many_at_once_the_first_have_a_message_each_and_all_others_one() -> None:
    entries = tuple(replace(ENTRY, cause=cause(f"work:{number}")) for number in range(AT_ONCE + NAMED))
    made = said(*entries)
    assert len(made) == AT_ONCE
    assert [entry for one in made for entry in one.of] == [*entries]
    assert made[-1].subject == f"NEEDS YOU: {NAMED + 1} other causes"
    lines = made[-1].body.splitlines()
    assert (lines[0], lines[NAMED]) == ("new: work:4 is wrong (work:4)", "… and 1 more")
    assert len(said(*entries[:AT_ONCE])) == AT_ONCE
    over = [replace(one, kind=Kind.OVER) for one in entries]
    assert said(*over)[-1].subject == f"OVER: {NAMED + 1} other causes"


def _shown(text: str) -> str:
    """Without the mark of no width that breaks markup."""
    return text.replace("\u200b", "")


@given(st.text(), st.text(), st.text(max_size=400))
def test_nobodys_words_end_a_line_or_a_subject(what: str, whom: str, to_do: str) -> None:
    [message] = said(replace(ENTRY, cause=replace(GAP, what=what, whom=whom, to_do=to_do)))
    assert _shown(message.subject).isprintable()
    assert len(message.subject) <= SUBJECT_CHARACTERS
    assert len(message.body.splitlines()) <= 11
    assert all(_shown(line).isprintable() for line in message.body.split("\n"))


def test_no_word_of_others_calls_anybody_or_hides_a_link() -> None:
    words = "ask @everyone, <!channel> or [here](http://evil.example); me@db.example is no mention"
    [message] = said(replace(ENTRY, cause=replace(GAP, what=words, whom=words, doing=words, to_do=words)))
    for markup in (" @everyone", "<!channel>", "](http"):
        assert markup not in message.subject + message.body
    assert message.body.count("me@db.example") == 5
    assert "dg launch --job why_job" in message.body
