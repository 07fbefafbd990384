"""What loading one team's traffic did, as a value and as text. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from dags.demo.traffic.access_log import Rubbish
from dags.demo.traffic.shift import Shift

# A report fits a terminal of this many columns.
WIDTH = 100


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One team's load. Of a log, every line is an event, dropped, skipped or rubbish, exactly one of them.

    ``dropped`` are page views of today or later; ``skipped`` are hits that are no page view. Generated
    traffic has events only, and no lines.
    """

    team_id: int
    source: str
    events_by_day: Mapping[date, int]
    lines: int = 0
    rubbish: Mapping[str, int] = field(default_factory=dict)
    samples: tuple[Rubbish, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    shift: Shift | None = None
    dropped: int = 0

    @property
    def events(self) -> int:
        """How many events were written, those that arrived twice counted twice."""
        return sum(self.events_by_day.values())

    @property
    def days_with_events(self) -> int:
        """How many UTC days have an event."""
        return len(self.events_by_day)

    def text(self) -> str:
        """Describe the load in lines of at most ``WIDTH`` columns, safe to print whatever the log held."""
        rows = [f"team {self.team_id}: {_events(self.events)} on {_days(self.events_by_day)}"]
        rows.append(f"  from {self.source if self.source.isprintable() else ascii(self.source)}")
        if self.shift is not None:
            rows.append(f"  {self.shift.reason}")
        if self.lines:
            rows.append(f"  {self.lines:,} lines, of which {self.events:,} are page views that were loaded")
        if self.dropped:
            rows.append(f"  {self.dropped:9,}  page views of today or later: dropped")
        rows += [f"  {count:9,}  no page view: {reason}" for reason, count in _most_first(self.skipped)]
        for kind, count in _most_first(self.rubbish):
            rows.append(f"  {count:9,}  rubbish: {kind}")
            rows += [f"{'':13}line {each.line}: {each.sample}" for each in self.samples if each.kind == kind]
        return "\n".join(row if len(row) <= WIDTH else row[: WIDTH - 3] + "..." for row in rows)


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count:,} events"


def _days(events_by_day: Mapping[date, int]) -> str:
    days = sorted(events_by_day)
    if len(days) < 2:  # noqa: PLR2004 - one or none
        return str(days[0]) if days else "no day"
    return f"{len(days)} days, {days[0]} to {days[-1]}"


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
