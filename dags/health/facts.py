"""What is known at one moment, of data, work, loads and triggers: all that health is judged by.

Pure: no clock, no database, no Dagster. Instants are ClickHouse's where ClickHouse stamped them, and this host's where
Dagster did; the two are never compared with each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.repair.estimate import Building

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime, timedelta

    from dags.detection.detection import Detection
    from dags.domain.errors import Outage
    from dags.repair.attempts import Run
    from dags.repair.decision import Decision, Policy, Trigger
    from dags.repair.stops.store import Stop


class Section(StrEnum):
    """The facts that are read together: of one that cannot be read nothing is known, of the others all the same."""

    DATA = "the data"
    TEAMS = "the list of teams"
    BUILDS = "the ledger of builds"
    WORK = "the log of backfills and loads"
    FILES = "the ledger of files"
    OLD_DAYS = "old days that loads brought"
    LEFT_BEHIND = "what runs left behind"
    TRIGGERS = "Dagster's sensors and schedules"
    LOADS = "the runs of loads, and of what is done beside"
    ACCURACY = "the last comparison with raw events"


@dataclass(frozen=True)
class Evaluated:
    """What one evaluation found and would do; see `dags.web_preaggregated_backfill.evaluation.Evaluation`."""

    detection: Detection
    decisions: Mapping[Trigger, Decision]
    runs: tuple[Run, ...]
    policy: Policy
    building: Building = field(default_factory=Building)


@dataclass(frozen=True)
class Teams:
    """The list of enabled teams: how many, since when (None: none was ever written), and about how many the dictionary
    disagrees with it.
    """

    enabled: int
    selected_at: datetime | None
    mismatches: int = 0


@dataclass(frozen=True)
class Reached:
    """How far a piece of work has come, of so many ``steps`` in its plan; ``percent`` and ``seconds_left`` by the
    plan's estimate, corrected by how long what is done has taken. Infinite: nobody knows.
    """

    steps: int
    percent: float
    seconds_left: float


@dataclass(frozen=True)
class WorkNow:
    """A piece of work that is not over, or failed and was not done again since.

    ``status`` is what lists have for it; ``last_at`` when it gave its last sign: an event, or rows that landed.
    ``is_scheduled``: a trigger asked for it, and asks again. ``words`` say why it is what it is. ``word`` is what
    people call work of its kind, ``id_field`` what its jobs call its id. ``is_at_work``: a run that lives holds its
    lease. ``steps_done``: of a managed backfill, days; ``reached``: what that is of the whole, None where that was not
    looked at. ``shard``: where it is, 0 where there is one.
    """

    work_id: str
    kind: str
    word: str
    subject: str
    first_step: str
    last_step: str
    status: str
    asked_at: datetime
    last_at: datetime
    requested_by: str
    reason: str
    words: str
    id_field: str
    is_scheduled: bool = False
    is_at_work: bool = False
    rows: int = 0
    steps_done: int = 0
    reached: Reached | None = None
    shard: int = 0


@dataclass(frozen=True)
class Done:
    """Work that came to its end, for it may have done what an earlier one failed to; see `WorkNow`."""

    kind: str
    subject: str
    first_step: str
    last_step: str
    requested_by: str
    asked_at: datetime
    is_scheduled: bool = False


@dataclass(frozen=True)
class LeftBehind:
    """A table that nobody needs any more: ``what`` it is, since when, and what drops it."""

    name: str
    what: str
    since: datetime
    drops: str


@dataclass(frozen=True)
class Builds:
    """How builds of a table ended, by `dags.metrics`: a build is a run's work on a day of it.

    ``rate``: the share of those that were built, of these and those that failed, from 0 to 1; None where there was none
    of either. What was held is no failure, for a person is asked. ``seconds`` is how long they took in all, and
    ``source_rows`` what they were built from.
    """

    table: str
    rate: float | None
    built: int
    failed: int
    held: int
    seconds: float = 0.0
    source_rows: int = 0


@dataclass(frozen=True)
class BuildsOfWeek(Builds):
    """Those of a week, which is named by its Monday."""

    week: date = field(kw_only=True)


@dataclass(frozen=True)
class BuildsOfLately(Builds):
    """Those of the last seven days; ``error`` is the last one, and ``failed_at`` when that was."""

    error: str = ""
    failed_at: datetime | None = None


@dataclass(frozen=True)
class Ticking:
    """A sensor or a schedule of this location, by Dagster.

    ``is_on``: it runs, by its switch in the UI or by its declaration. ``is_known``: a daemon has seen it. ``due_at`` is
    when its last tick was due at the latest, None where none was yet; ``ticked_at`` when that was. ``failed_since`` and
    ``failures``: of the unbroken row of ticks that failed, the last one included; ``error`` is that one's.
    ``is_needed``: where it is off something is not done that must be.
    """

    name: str
    is_sensor: bool
    is_on: bool
    is_known: bool
    every: timedelta | None = None
    due_at: datetime | None = None
    ticked_at: datetime | None = None
    failures: int = 0
    failed_since: datetime | None = None
    error: str = ""
    is_needed: bool = True


@dataclass(frozen=True)
class Load:
    """What is loaded from elsewhere by a timetable: a declared table, or an ingestion of files; or a chore, which loads
    nothing: it checks, forgets or sweeps.

    ``name`` is its schedule's or the ingestion's; ``is_scheduled`` says which. ``failed_since`` and ``failures``: of
    the unbroken row of its runs that failed, the last one included. ``due_at``: the tick before the last one;
    ``succeeded_at``: when the last run that succeeded was launched. ``running_since``: of a run that is not over;
    ``begun_at``: since when one is at work.
    """

    name: str
    what: str
    run_id: str = ""
    failures: int = 0
    failed_since: datetime | None = None
    error: str = ""
    due_at: datetime | None = None
    succeeded_at: datetime | None = None
    running_since: datetime | None = None
    begun_at: datetime | None = None
    is_scheduled: bool = True


@dataclass(frozen=True)
class Files:
    """What the ledger has of an ingestion's files that are not loaded. ``waiting_since``: of that which waits longest.

    ``given_up``: of those that failed, how many did so too often to be expected to succeed; ``path`` and ``error`` are
    those of one of them. ``open_version``: a schema version that awaits a person's word, 0 if none does;
    ``is_loaded_by_open``: files are loaded by it already, for it was declared, and not found in them. ``shard`` as
    `WorkNow`, of one with which something is the matter.
    """

    ingestion: str
    waiting: int = 0
    waiting_since: datetime | None = None
    loaded_at: datetime | None = None
    failed: int = 0
    given_up: int = 0
    failed_since: datetime | None = None
    path: str = ""
    error: str = ""
    open_version: int = 0
    open_since: datetime | None = None
    is_loaded_by_open: bool = False
    shard: int = 0

    @property
    def is_fine(self) -> bool:
        """Whether every file that is known is loaded, by a schema that nobody need look at."""
        return not (self.waiting or self.failed or self.open_version)

    @property
    def key(self) -> str:
        """What the keys of its causes begin with."""
        return f"files:{self.ingestion}{_at(self.shard)}"


@dataclass(frozen=True)
class OldDays:
    """Days of a table before the look-back that loads brought and that are wrong: how many ``units`` of which teams,
    why most of them, and since when. ``held``: how many a rebuild would take rows from. ``shard`` as `WorkNow`.
    """

    table: str
    days: tuple[date, ...]
    units: int
    held: int
    teams: tuple[int, ...]
    reason: str
    since: datetime
    shard: int = 0

    @property
    def key(self) -> str:
        """The key of its cause."""
        return f"old:{self.table}{_at(self.shard)}"


@dataclass(frozen=True)
class Compared:
    """The last comparison of a table with raw events, as its check left it.

    ``is_unknown``: it could not be made; ``is_passing``: for the first time, or because ClickHouse could not be asked.
    ``day`` and ``teams`` are what differed, or did when it could be made last; None and none where nothing did.
    """

    table: str
    is_equal: bool
    at: datetime
    words: str
    is_unknown: bool = False
    is_passing: bool = False
    day: date | None = None
    teams: tuple[int, ...] = ()


@dataclass(frozen=True)
class Gone:
    """That nothing could be read of a server, or of a shard: why, and what is out of reach, where that is why."""

    why: str
    outage: Outage | None = None


@dataclass(frozen=True)
class Facts:
    """Everything. ``at`` is this host's clock, ``server_at`` ClickHouse's, None where that could not be asked.

    ``database`` is which, in words that hold no secret.

    ``evaluated`` is None where ClickHouse could not even be asked, or nobody asked about the data. ``unread`` says of
    each section that could not be read why. ``daemon_at`` is when Dagster's daemon last said that it lives; None if
    none ever did. What is stamped after ``believed_until`` was of the future when Dagster was asked.

    ``gone``: the shards of which nothing could be read; 0 is a server that stands alone, or its replicas, and only
    there where Keeper is why. ``unread_by_shard`` are the same sections as in ``unread``, of every shard, without
    Dagster's.
    """

    at: datetime
    tables: tuple[str, ...]
    database: str = ""
    server_at: datetime | None = None
    evaluated: Evaluated | None = None
    stop: Stop | None = None
    teams: Teams | None = None
    work: tuple[WorkNow, ...] = ()
    old_days: tuple[OldDays, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()
    builds: tuple[BuildsOfLately, ...] = ()
    weeks: tuple[BuildsOfWeek, ...] = ()
    ticking: tuple[Ticking, ...] = ()
    daemon_at: datetime | None = None
    believed_until: datetime | None = None
    loads: tuple[Load, ...] = ()
    chores: tuple[Load, ...] = ()
    files: tuple[Files, ...] = ()
    compared: tuple[Compared, ...] = ()
    unread: Mapping[Section, str] = field(default_factory=dict)
    gone: Mapping[int, Gone] = field(default_factory=dict)
    unread_by_shard: Mapping[int, Mapping[Section, str]] = field(default_factory=dict)


def _at(shard: int) -> str:
    """The end of a key of what is on one shard of several."""
    return f":shard-{shard}" if shard else ""
