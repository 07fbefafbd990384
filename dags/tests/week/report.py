"""Holds what was said against what is true, and prints it: a row where anything changes.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from dags.tests.week.script import BEGIN, END
from dags.tests.week.truth import (
    MATTERS,
    NEEDS_YOU,
    OVER_AFTER,
    REMINDED_WITHIN,
    REMINDER,
    SILENT,
    TOLD_AFTER,
    UNKNOWN,
    Matter,
    Span,
    answers,
    certain,
    matters,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FALSE, MISSED = "FALSE ALARM", "MISSED"

_SUBJECT = re.compile(r"(STILL |OVER: )?(?:(?:NEEDS YOU|UNKNOWN)(, WORSE)?: )?(.*)", re.DOTALL)

# A watch elsewhere calls somebody when it was not called for so long.
WATCH = timedelta(minutes=65)


@dataclass(frozen=True)
class Page:
    """What `health_job` says: its word, and what needs a person."""

    at: datetime
    answer: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Message:
    """What a channel took."""

    at: datetime
    channel: str
    subject: str

    @property
    def kind(self) -> str:
        """``new``, ``worse``, ``still`` or ``over``."""
        before, worse, _ = _parts(self.subject)
        return "over" if before.startswith("OVER") else "still" if before else "worse" if worse else "new"

    @property
    def what(self) -> str:
        return _parts(self.subject)[2]


def _parts(subject: str) -> tuple[str, str, str]:
    found = _SUBJECT.fullmatch(subject)
    return (found[1] or "", found[2] or "", found[3]) if found is not None else ("", "", subject)


@dataclass
class Seen:
    """A whole week, as it was seen.

    ``happened``: in words, what happened when; ``words``: the verdict by which each tick of the alerts went;
    ``checks``: of each run of the standing checks those that fail; ``beats``: calls of the watch.
    """

    happened: list[tuple[datetime, str]] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    words: list[tuple[datetime, str]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    checks: list[tuple[datetime, tuple[str, ...]]] = field(default_factory=list)
    beats: list[datetime] = field(default_factory=list)
    channels: tuple[str, ...] = ("a", "b")
    late_channel: str = "b"
    since: datetime = BEGIN
    until: datetime = END


@dataclass(frozen=True)
class Fault:
    """Something that was said and is not so, or is so and was not said."""

    at: datetime
    kind: str
    words: str


def faults(seen: Seen, known: Sequence[Matter] = MATTERS) -> tuple[Fault, ...]:
    """All of them, in their order."""
    known = [
        one for one in known if seen.since <= one.begins.earliest and one.begins.after(TOLD_AFTER).latest <= seen.until
    ]
    found = [fault for page in seen.pages for fault in _of_page(page)]
    found += [fault for at, word in seen.words for fault in _of_word(Page(at, word))]
    found += [fault for checked in seen.checks for fault in _of_checks(*checked)]
    for channel in seen.channels:
        own = [one for one in seen.messages if one.channel == channel]
        found += _of_channel(own, channel, known, seen)
    found += _of_beats(seen.beats)
    return tuple(sorted(found, key=lambda one: one.at))


def _of_word(page: Page) -> Iterable[Fault]:
    allowed = answers(page.at)
    if page.answer not in allowed:
        is_graver = page.answer in (NEEDS_YOU, UNKNOWN) and not {NEEDS_YOU, UNKNOWN} & set(allowed)
        words = f"the page says {page.answer}, it is {' or '.join(allowed)}: {'; '.join(page.needs)}"
        yield Fault(page.at, FALSE if is_graver else MISSED, words)


def _of_page(page: Page) -> Iterable[Fault]:
    yield from _of_word(page)
    may_be = [one for one in matters(page.at) if one.answer in (NEEDS_YOU, UNKNOWN)]
    for words in page.needs:
        if not any(one.is_said_in(words) for one in may_be):
            yield Fault(page.at, FALSE, f"the page asks for a person: {words}")
    for one in certain(page.at):
        if one.answer in (NEEDS_YOU, UNKNOWN) and not any(map(one.is_said_in, page.needs)):
            yield Fault(page.at, MISSED, f"the page does not say: {one.what}")


def _of_checks(moment: datetime, failed: Sequence[str]) -> Iterable[Fault]:
    if failed and not any(one.answer in (NEEDS_YOU, UNKNOWN) for one in matters(moment)):
        yield Fault(moment, FALSE, f"checks fail: {', '.join(failed)}")
    if not failed and any(one.answer in (NEEDS_YOU, UNKNOWN) for one in certain(moment)):
        yield Fault(moment, MISSED, "no standing check fails")


def _of_channel(own: Sequence[Message], channel: str, known: Sequence[Matter], seen: Seen) -> Iterable[Fault]:
    left = list(own)

    def take(matter: Matter, kinds: tuple[str, ...], within: Span) -> Message | None:
        message = next((m for m in left if m.kind in kinds and m.at in within and matter.is_said_in(m.what)), None)
        if message is not None:
            left.remove(message)
        return message

    for one in (one for one in known if one.is_told):
        told_within = one.begins.after(TOLD_AFTER)
        if one.late_channel is not None and channel == seen.late_channel:
            told_within = one.late_channel
        told = take(one, ("new",), told_within)
        if told is None:
            yield Fault(told_within.latest, MISSED, f"{channel} was not told: {one.what}")
            continue
        due = Span(told.at + REMINDER, told.at + REMINDER + REMINDED_WITHIN)
        if take(one, ("still",), due) is None and one.is_reminded and due.latest < one.ends.earliest:
            yield Fault(due.latest, MISSED, f"{channel} was not reminded: {one.what}")
        while take(one, ("worse",), Span(told.at, one.ends.latest)) is not None:
            pass
        over_within = one.ends.after(OVER_AFTER)
        if over_within.latest <= seen.until and take(one, ("over",), over_within) is None:
            yield Fault(over_within.latest, MISSED, f"{channel} was not told that it is over: {one.what}")
    yield from (Fault(one.at, FALSE, f"{channel} was told: {one.subject}") for one in left)


def _of_beats(beats: Sequence[datetime]) -> Iterable[Fault]:
    for before, after in pairwise(beats):
        is_silent = any(span.earliest <= after and before <= span.latest for span in SILENT)
        if after - before > WATCH and not is_silent:
            yield Fault(after, FALSE, f"the watch was not called from {before:%a %H:%M}")
    for span in SILENT:
        if any(span.earliest < beat < span.latest for beat in beats):
            yield Fault(span.earliest, MISSED, "the watch was called while the daemon was dead")


@dataclass
class Row:
    """A line of the table."""

    at: datetime
    so: list[str] = field(default_factory=list)
    page: str = ""
    told: list[str] = field(default_factory=list)
    verdict: str = ""


def rows(seen: Seen, found: Sequence[Fault]) -> list[Row]:
    """A row for each moment at which something happened, the page changed, something was told, or is wrong."""
    by_moment: dict[datetime, Row] = {}

    def row(moment: datetime) -> Row:
        return by_moment.setdefault(moment.replace(second=0, microsecond=0), Row(moment))

    for moment, words in seen.happened:
        row(moment).so.append(words)
    before: Page | None = None
    for page in seen.pages:
        if before is None or replace(page, at=before.at) != before:
            line = row(page.at)
            line.page = "; ".join([page.answer, *page.needs])
            line.so += [f"({one.what})" for one in certain(page.at)]
        before = page
    for message in seen.messages:
        row(message.at).told.append(f"{message.channel}: {message.subject}")
    for fault in found:
        line = row(fault.at)
        line.verdict = ", ".join(filter(None, [line.verdict, f"{fault.kind}: {fault.words}"]))
    return [by_moment[moment] for moment in sorted(by_moment)]


_WIDTHS = (38, 44, 50)


def table(seen: Seen, found: Sequence[Fault]) -> str:
    """The week, and the tally in its last line."""
    lines = [_line("when", "what is so", "the page says", "people hear", "verdict")]
    for one in rows(seen, found):
        cells = ["; ".join(one.so), one.page, "; ".join(_both(one.told))]
        said = [
            cell[: width - 2] + " …" if len(cell) > width else cell for cell, width in zip(cells, _WIDTHS, strict=True)
        ]
        lines.append(_line(f"{one.at:%a %H:%M}", *said, one.verdict or "ok"))
    counts = Counter(fault.kind for fault in found)
    told = sum(one.kind == "new" for one in seen.messages)
    lines.append(
        f"{len(seen.pages)} pages, {len(seen.words)} ticks of the alerts, {len(seen.checks)} runs of the checks, "
        f"{len(seen.messages)} messages ({told} of something new), {len(seen.beats)} calls of the watch: "
        f"{counts[FALSE]} false, {counts[MISSED]} missed"
    )
    return "\n".join(lines)


def _both(told: Sequence[str]) -> list[str]:
    """What all channels were told, once."""
    channels: dict[str, list[str]] = {}
    for words in told:
        channel, _, subject = words.partition(": ")
        channels.setdefault(subject, []).append(channel)
    return [f"{'+'.join(who)}: {subject}" for subject, who in channels.items()]


def _cut(cell: str, width: int) -> str:
    return f"{cell[: width - 2]} …" if len(cell) > width else cell


def _line(when: str, *cells: str) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    return f"{when:<9} | {' | '.join([*padded, *cells[len(_WIDTHS) :]])}".rstrip()
