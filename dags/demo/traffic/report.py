"""What became of a site's traffic, as a value and as text. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from dags.demo.traffic.access_log import Rubbish
from dags.demo.traffic.shift import Shift
from dags.domain.text import counted

# A report fits a terminal of this many columns.
WIDTH = 100


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One team's load. Of a log, every line is an event, left out, skipped or rubbish, exactly one of them.

    ``left_out`` are page views that were not loaded, ``skipped`` hits that are no page view, both by the reason.
    Generated traffic has events only, and no lines. ``team_id`` is None for lines that are no team's: of no site, or of
    a log or a site without a page view to load. ``host`` is the site, where a log of several names it.
    """

    team_id: int | None
    source: str
    events_by_day: Mapping[date, int]
    lines: int = 0
    rubbish: Mapping[str, int] = field(default_factory=dict)
    samples: tuple[Rubbish, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    shift: Shift | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    host: str = ""

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
        rows = [f"team {self.team_id}: {counted(self.events, 'event')} on {_days(self.events_by_day)}"]
        if self.team_id is None:
            rows = [f"no team: nothing to load in {counted(self.lines, 'line')}"]
        of = f"{self.host} in " if self.host else ""
        rows.append(f"  from {of}{self.source if self.source.isprintable() else ascii(self.source)}")
        if self.shift is not None:
            rows.append(f"  {self.shift.reason}")
        if self.lines and self.team_id is not None:
            rows.append(f"  {counted(self.lines, 'line')}, of which {self.events:,} are page views that were loaded")
        rows += [f"  {count:9,}  left out: {why}" for why, count in _most_first(self.left_out)]
        rows += [f"  {count:9,}  no page view: {reason}" for reason, count in _most_first(self.skipped)]
        for kind, count in _most_first(self.rubbish):
            rows.append(f"  {count:9,}  rubbish: {kind}")
            samples = [each for each in self.samples if each.kind == kind]
            rows += [f"{'':13}{_where(each)}line {each.line}: {each.sample}" for each in samples]
        return "\n".join(row if len(row) <= WIDTH else row[: WIDTH - 3] + "..." for row in rows)


def _where(rubbish: Rubbish) -> str:
    return f"{ascii(rubbish.file)[1:-1]} " if rubbish.file else ""


def _days(events_by_day: Mapping[date, int]) -> str:
    days = sorted(events_by_day)
    if len(days) < 2:  # noqa: PLR2004 - one or none
        return str(days[0]) if days else "no day"
    return f"{len(days)} days, {days[0]} to {days[-1]}"


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
