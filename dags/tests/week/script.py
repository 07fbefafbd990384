"""What happens in the week, and when: the table that everything else is about.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

# A Monday. Earlier than any machine on which it is run, for files bear its real time: what is kept of tables in them
# would be young for ever otherwise, and never old.
MONDAY = date(2026, 3, 2)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def at(day: str, hour: int, minute: int = 0) -> datetime:
    """A moment of the week: ``at("Tue", 9, 5)``."""
    return datetime(MONDAY.year, MONDAY.month, MONDAY.day, tzinfo=UTC) + timedelta(
        days=DAYS.index(day), hours=hour, minutes=minute
    )


def day_of(day: str, weeks: int = 0) -> date:
    """A day of the week; of the one before with -1."""
    return MONDAY + timedelta(days=DAYS.index(day) + 7 * weeks)


BEGIN, END = at("Mon", 0), at("Sun", 24)

# Teams whose events arrive as they happen, those of one two hours late; and one whose application has a PostgreSQL.
TEAMS, SLOW_TEAM, POSTGRES_TEAM = (1, 2, 3, 4, 5, 6), 6, 7
SLOW_BY = timedelta(hours=2)

# So many days before that are there, and built when it begins.
HISTORY_DAYS = 5

# So often its rows are asked for, by a schedule of the declaration.
LOAD_CRON = "40 */4 * * *"

# What a build may read, in batches of teams; the day of a team that is larger cannot be built, those of others can.
ROWS_READ, BATCH_EVENTS, HUGE = 900_000, 10_000, 600_000


class Act(StrEnum):
    """What happens to the deployment, or what a person does."""

    SERVER_DIES = "ClickHouse is gone"
    SERVER_RETURNS = "ClickHouse is back"
    DAEMON_DIES = "the daemon is dead"
    DAEMON_RETURNS = "the daemon lives again"
    LATE = "events arrive late"
    HUGE_DAY = "a team has more events than a build may read"
    LIMIT_RAISED = "a person raises the limit and builds the days"
    SWITCH_STOPPED = "a person stops backfills"
    SWITCH_RESUMED = "a person lets them go on"
    SCHEDULE_OFF = "a person switches the 02:00 check off"
    SCHEDULE_ON = "a person switches it on"
    CHANNEL_DIES = "a channel answers 503"
    CHANNEL_RETURNS = "the channel answers again"
    BUILD_HANGS = "the daily build takes long"
    BUILD_GOES_ON = "the daily build is over"
    SOURCE_HANGS = "PostgreSQL answers no load"
    SOURCE_GOES_ON = "PostgreSQL answers again"
    DAY_DROPPED = "somebody drops a day of a table"
    TABLE_EMPTIED = "somebody truncates a table"
    SOURCE_LOSES = "events of a day are deleted"
    LOSS_ALLOWED = "a person allows the loss"


@dataclass(frozen=True)
class Step:
    """One thing that happens; ``team`` and ``day`` where it is of one."""

    at: datetime
    act: Act
    team: int = 0
    day: date | None = None

    def __str__(self) -> str:
        whom = f"team {self.team}" if self.team else ""
        return " ".join(filter(None, [f"{self.act}:" if whom or self.day else self.act, whom, str(self.day or "")]))


WEEK = (
    Step(at("Mon", 10), Act.LATE, 3, day_of("Sat", -1)),
    Step(at("Mon", 11, 30), Act.SERVER_DIES),
    Step(at("Mon", 14, 30), Act.SERVER_RETURNS),
    Step(at("Tue", 5), Act.LATE, 3, day_of("Mon")),
    Step(at("Tue", 9, 5), Act.DAEMON_DIES),
    Step(at("Tue", 11, 5), Act.DAEMON_RETURNS),
    Step(at("Tue", 13), Act.DAY_DROPPED, day=day_of("Sun", -1)),
    Step(at("Tue", 20), Act.HUGE_DAY, 5, day_of("Tue")),
    Step(at("Thu", 20), Act.SCHEDULE_OFF),
    Step(at("Thu", 20), Act.CHANNEL_DIES),
    Step(at("Thu", 21), Act.CHANNEL_RETURNS),
    Step(at("Thu", 22), Act.SCHEDULE_ON),
    Step(at("Fri", 1), Act.BUILD_HANGS),
    Step(at("Fri", 6), Act.BUILD_GOES_ON),
    Step(at("Fri", 10), Act.LIMIT_RAISED, 5),
    Step(at("Fri", 12), Act.SWITCH_STOPPED),
    Step(at("Sat", 13), Act.SWITCH_RESUMED),
    Step(at("Sat", 16, 35), Act.SOURCE_HANGS),
    Step(at("Sat", 22), Act.SOURCE_GOES_ON),
    Step(at("Sun", 4), Act.TABLE_EMPTIED),
    Step(at("Sun", 14), Act.SOURCE_LOSES, 2, day_of("Wed")),
    Step(at("Sun", 17), Act.LOSS_ALLOWED, 2, day_of("Wed")),
)
