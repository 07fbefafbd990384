"""Weeks of operation: how builds ended, which gaps opened and closed, how long repairs took, and what it cost.

Pure: no clock, no database, no Dagster. A week is an ISO week in UTC, named by its Monday. What is not known is None,
in text "unknown": of a time before gaps were recorded, of an engine that keeps no log of its statements.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from dags.domain.text import table_text, wrapped
from dags.metrics.recent import Builds, Gaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WEEK = timedelta(days=7)


class Took(NamedTuple):
    """What runs that build or load took, as the audit and the ledger say: None where they do not."""

    runs: int = 0
    seconds: float = 0.0
    rows: int | None = None
    rows_read: int | None = None
    bytes_read: int | None = None


class Statements(NamedTuple):
    """What statements of ticks and runs cost ClickHouse, by its own log: ``cpu`` in seconds of processor, ``memory`` in
    bytes, the most that one of them had at once.
    """

    statements: int = 0
    cpu: float = 0.0
    memory: int = 0
    rows_read: int = 0
    bytes_read: int = 0


class RunStatements(NamedTuple):
    """The same of one run, or of all ticks."""

    run_id: str
    kind: str
    began: datetime
    statements: int
    failed: int
    cpu: float
    memory: int
    rows_read: int
    bytes_read: int


@dataclass(frozen=True)
class Weeks:
    """The weeks that begin on ``mondays``, the oldest first, the last of which is not over.

    ``gaps_since``: when events of gaps began to be recorded, and ``causes_since`` with what closed them.
    ``kept_since``: of before that day builds are forgotten, but for the last ones of units. ``log_since``: the first
    day of the log of statements, None where there is none that can be read; ``no_log`` says why.
    """

    mondays: Sequence[date]
    tables: Sequence[str]
    builds: Mapping[tuple[date, str], Builds]
    gaps: Mapping[tuple[date, str], Gaps]
    took: Mapping[date, Took]
    gaps_since: datetime
    causes_since: datetime
    kept_since: date = date.min
    statements: Mapping[date, Statements] = field(default_factory=dict)
    runs: Sequence[RunStatements] = ()
    log_since: date | None = None
    no_log: str = ""

    def gaps_of(self, monday: date, table: str) -> Gaps | None:
        """None in a week that was over before gaps were recorded."""
        is_recorded = datetime.combine(monday + WEEK, datetime.min.time(), UTC) > self.gaps_since
        return self.gaps.get((monday, table), Gaps()) if is_recorded else None

    def statements_of(self, monday: date) -> Statements | None:
        """None in a week that was over before the log begins, and where there is none."""
        is_logged = self.log_since is not None and self.log_since < monday + WEEK
        return self.statements.get(monday, Statements()) if is_logged else None

    @property
    def notes(self) -> list[str]:
        """Of what the figures are, and why others are unknown."""
        notes = []
        if self.gaps_since.date() >= self.mondays[0]:
            notes.append(f"gaps are recorded since {self.gaps_since:%Y-%m-%d %H:%M} UTC; one of before opened then")
        if self.causes_since > self.gaps_since and self.causes_since.date() >= self.mondays[0]:
            notes.append(
                f"what closed a gap is known since {self.causes_since:%Y-%m-%d %H:%M} UTC; those that closed before "
                "are in no time to repair"
            )
        if self.kept_since > self.mondays[0]:
            notes.append(
                f"of before {self.kept_since} builds that others have superseded are forgotten "
                "(WEB_ANALYTICS_HISTORY_RETENTION_DAYS)"
            )
        if self.log_since is None:
            notes.append(f"CPU and memory are unknown: {self.no_log}")
        elif self.log_since > self.mondays[0]:
            notes.append(f"CPU and memory are known since {self.log_since}, with which system.query_log begins")
        return notes


def mondays(today: date, weeks: int) -> list[date]:
    """So many weeks, the oldest first, the last of which is today's."""
    this = today - timedelta(days=today.weekday())
    return [this - n * WEEK for n in reversed(range(weeks))]


def as_json(weeks: Weeks) -> dict[str, Any]:
    """For programs; what is not known is null."""
    return {
        "weeks": [
            {
                "week": str(monday),
                "tables": {
                    table: {
                        **(built := weeks.builds.get((monday, table), Builds()))._asdict(),
                        "success_rate": built.success_rate,
                        **_of(weeks.gaps_of(monday, table), Gaps),
                    }
                    for table in weeks.tables
                },
                "runs": weeks.took.get(monday, Took())._asdict(),
                "statements": _of(weeks.statements_of(monday), Statements),
            }
            for monday in weeks.mondays
        ],
        "dearest_runs": [{**run._asdict(), "began": run.began.isoformat()} for run in weeks.runs],
        "notes": weeks.notes,
    }


def _of(known: NamedTuple | None, kind: type[Any]) -> dict[str, Any]:
    return known._asdict() if known is not None else dict.fromkeys(kind._fields)


UNKNOWN, NONE = "unknown", "-"

_REPAIRS = ("week of", "table", "built", "failed", "held", "success", "opened", "closed", "median", "p90")


def as_text(weeks: Weeks) -> str:
    """For people: two tables of weeks, the newest first, and the runs that cost most."""
    newest_first = list(reversed(weeks.mondays))
    repairs = [_repairs_row(weeks, monday, table) for monday in newest_first for table in weeks.tables]
    parts = [
        table_text(repairs, _REPAIRS),
        "",
        table_text(
            [_cost_row(weeks, monday) for monday in newest_first],
            ["week of", "runs", "seconds", "rows", "rows read", "GB read", "CPU s", "peak memory"],
        ),
    ]
    if weeks.runs:
        rows = [
            (run.run_id, run.kind or NONE, run.statements, f"{run.cpu:,.1f}", _gigabytes(run.memory), run.rows_read)
            for run in weeks.runs
        ]
        columns = ["what cost most", "kind", "statements", "CPU s", "peak memory", "rows read"]
        parts += ["", table_text(rows, columns)]
    parts += ["", *(wrapped(f"NOTE     {note}") for note in weeks.notes)]
    return "\n".join(parts).rstrip()


def _repairs_row(weeks: Weeks, monday: date, table: str) -> tuple[object, ...]:
    built, gaps = weeks.builds.get((monday, table), Builds()), weeks.gaps_of(monday, table)
    rate = NONE if built.success_rate is None else f"{built.success_rate:.1%}"
    known = (
        (UNKNOWN,) * 4
        if gaps is None
        else (f"{gaps.opened:,}", f"{gaps.closed:,}", _hours(gaps.median_hours), _hours(gaps.p90_hours))
    )
    return (str(monday), table, built.succeeded, built.failed, built.held, rate, *known)


def _cost_row(weeks: Weeks, monday: date) -> tuple[object, ...]:
    """What ClickHouse read is what its log says of all statements, or else what runs have said of theirs."""
    took, logged = weeks.took.get(monday, Took()), weeks.statements_of(monday)
    read = (logged.rows_read, logged.bytes_read) if logged is not None else (took.rows_read, took.bytes_read)
    return (
        str(monday),
        took.runs,
        f"{took.seconds:,.1f}",
        _count(took.rows if took.runs else 0),
        _count(read[0] if took.runs or logged is not None else 0),
        UNKNOWN if read[1] is None and took.runs else f"{(read[1] or 0) / 1e9:,.2f}",
        UNKNOWN if logged is None else f"{logged.cpu:,.1f}",
        UNKNOWN if logged is None else _gigabytes(logged.memory),
    )


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _hours(hours: float | None) -> str:
    return NONE if hours is None else f"{hours:,.1f} h"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.2f} GB"
