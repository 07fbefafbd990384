"""What is true at each hour of the week, by what happens and by what the README promises; nothing is asked of the code.

Pure: no clock, no database, no Dagster. A matter begins and ends within spans: what promises leave open, such as when
a run is over, is in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from dags.tests.week.script import BEGIN, DAYS, END, at

OK, REPAIRING, UNKNOWN, NEEDS_YOU = "OK", "REPAIRING", "UNKNOWN", "NEEDS YOU"

# Which word outweighs which.
RANK = (OK, REPAIRING, UNKNOWN, NEEDS_YOU)

MINUTE = timedelta(minutes=1)

# A run, or a person's command, is over by then.
RUN = 10 * MINUTE

# "What passes within ten minutes is not told, what comes back within fifteen is the same": a cause is told between
# these after it began, and its end between those after it, as the sensor looks every five minutes or ten.
TOLD_AFTER, OVER_AFTER = (10 * MINUTE, 30 * MINUTE), (15 * MINUTE, 35 * MINUTE)

# "Once more after a day"; where nothing else changes it is looked once an hour.
REMINDER, REMINDED_WITHIN = timedelta(hours=24), timedelta(minutes=70)


@dataclass(frozen=True)
class Span:
    """Between two moments, both included."""

    earliest: datetime
    latest: datetime

    def after(self, bounds: tuple[timedelta, timedelta]) -> Span:
        return Span(self.earliest + bounds[0], self.latest + bounds[1])

    def __contains__(self, moment: datetime) -> bool:
        return self.earliest <= moment <= self.latest


def soon(moment: datetime, within: timedelta = RUN) -> Span:
    return Span(moment, moment + within)


@dataclass(frozen=True)
class Matter:
    """Something that is the matter: which word it is worth on the page, from when to when, and in which words.

    ``says`` is found in what is said of it. ``is_certain``: it must be there; else it may, as what is a consequence of
    another. ``is_told``: people hear of it, by each channel once, of its end, and once more after a day, unless not
    ``is_reminded``, where another is told since that says why. ``late_channel``: when a channel that was dead takes it.
    """

    what: str
    answer: str
    says: str
    begins: Span
    ends: Span
    is_told: bool = False
    is_certain: bool = True
    is_reminded: bool = True
    late_channel: Span | None = None

    def is_there(self, moment: datetime) -> bool | None:
        """Whether it is; None where that may be or not."""
        if moment < self.begins.earliest or moment > self.ends.latest:
            return False
        surely = self.is_certain and self.begins.latest < moment < self.ends.earliest
        return True if surely else None

    def is_said_in(self, words: str) -> bool:
        return re.search(self.says, words) is not None

    @property
    def lasts(self) -> timedelta:
        return self.ends.earliest - self.begins.latest


def _late_events(day: str) -> Matter:
    """Those of the last two hours of yesterday, of a team that is slow: they come after the daily build."""
    return Matter(
        "events that arrive after the daily build wait for the check of 02:00",
        REPAIRING, r"wrong|behind", soon(at(day, 1)), soon(at(day, 2)), is_certain=False,
    )  # fmt: skip


MATTERS = (
    *map(_late_events, DAYS),
    Matter("late events wait for 02:00", REPAIRING, "wrong", soon(at("Mon", 10)), soon(at("Tue", 2))),
    Matter(
        "ClickHouse is gone", UNKNOWN, "could not be read", soon(at("Mon", 11, 30), MINUTE),
        soon(at("Mon", 14, 30), MINUTE), is_told=True,
    ),
    Matter(
        "the load and the tick that failed meanwhile are tried again", REPAIRING, "fails|failed|could not be compared",
        soon(at("Mon", 12)), soon(at("Mon", 17, 59)), is_certain=False,
    ),
    # Of yesterday, as on Tuesday, late events are no fault: "until a day later it is open".
    # Daemons that lived two minutes ago are not dead; ten minutes without a word, and they are.
    Matter(
        "the daemon is dead", NEEDS_YOU, "daemon does not run", Span(at("Tue", 9, 7), at("Tue", 9, 20)),
        soon(at("Tue", 11, 5), MINUTE),
    ),
    Matter("the day is rebuilt at 18:00", REPAIRING, "wrong", soon(at("Tue", 13)), soon(at("Tue", 17, 59))),
    Matter("team 5 is not built", REPAIRING, "wrong|behind", soon(at("Wed", 1)), soon(at("Fri", 10))),
    # Its newest complete day is Monday, over since Tue 00:00: 36 hours later it is behind. What is lost at once has
    # twelve hours. On Friday at 06:00 it has a newer complete day, Thursday. Why it is behind is told on Thursday.
    Matter(
        "team 5 is behind its target", NEEDS_YOU, "behind the target|wrong after",
        Span(at("Wed", 12), at("Wed", 13, 50)), Span(at("Fri", 5, 40), at("Fri", 6, 10)),
        is_told=True, is_reminded=False,
    ),
    # The daily build has tried it on two days, and the sensor by then at least once.
    Matter(
        "team 5 cannot be built, after three attempts", NEEDS_YOU, "wrong after", Span(at("Thu", 1), at("Thu", 6, 10)),
        soon(at("Fri", 10)), is_told=True,
    ),
    Matter(
        "the 02:00 check is off", NEEDS_YOU, "web_analytics_backfill_schedule is off", soon(at("Thu", 20), MINUTE),
        soon(at("Thu", 22), MINUTE), is_told=True, late_channel=Span(at("Thu", 21), at("Thu", 21, 10)),
    ),
    Matter(
        "a channel does not answer", REPAIRING, "web_analytics_alerts_sensor fails", soon(at("Thu", 20, 10)),
        soon(at("Thu", 21)), is_certain=False,
    ),
    Matter("the daily build is at it", REPAIRING, "wrong|behind", soon(at("Fri", 1)), soon(at("Fri", 6))),
    Matter(
        "backfills are stopped", NEEDS_YOU, "backfills are stopped", soon(at("Fri", 12), MINUTE),
        soon(at("Sat", 13), MINUTE), is_told=True,
    ),
    # The load of 16:40 hangs, and says nothing for an hour. That of 20:40 waits for it.
    Matter(
        "a load hangs", NEEDS_YOU, "has said nothing|is behind$|hangs", Span(at("Sat", 17, 40), at("Sat", 18, 50)),
        soon(at("Sat", 22), 20 * MINUTE), is_told=True,
    ),
    Matter(
        "the table is rebuilt, seven days a tick", REPAIRING, "wrong|behind", soon(at("Sun", 4)),
        soon(at("Sun", 11, 59)),
    ),
    Matter(
        "a rebuild would lose what the source has lost", NEEDS_YOU, "held", soon(at("Sun", 14), MINUTE),
        soon(at("Sun", 17)), is_told=True,
    ),
)  # fmt: skip

# When nobody calls the watch elsewhere: the daemon is dead.
SILENT = (Span(at("Tue", 9, 5), at("Tue", 11, 5)),)


def matters(moment: datetime) -> tuple[Matter, ...]:
    """What is, or may be, the matter."""
    return tuple(one for one in MATTERS if one.is_there(moment) is not False)


def certain(moment: datetime) -> tuple[Matter, ...]:
    """What surely is."""
    return tuple(one for one in MATTERS if one.is_there(moment))


def answers(moment: datetime) -> tuple[str, ...]:
    """The words that the page may have: the gravest of what surely is, or a graver one of what may be."""
    least = max((one.answer for one in certain(moment)), key=RANK.index, default=OK)
    found = {least, *(one.answer for one in matters(moment) if RANK.index(one.answer) > RANK.index(least))}
    return tuple(sorted(found, key=RANK.index))


assert all(BEGIN <= one.begins.earliest <= one.ends.latest <= END for one in MATTERS)
