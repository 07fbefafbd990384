"""Reads access logs whole before anything is loaded: whether they can be used, and which sites they are of.

A log is a file and what rotation made of it, see ``rotation``; where its lines name sites, each of them is one. All of
a log moves in time together. Its page views are held in memory, 0.3 to 0.5 kB each, so that nothing is emptied for a
log of which nothing can be shown.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from glob import glob
from pathlib import Path

from dags.demo.traffic.log_files import READ, read_log, why_unreadable
from dags.demo.traffic.page_views import PageView, SiteLog, read_sites
from dags.demo.traffic.report import LoadReport
from dags.demo.traffic.rotation import logs_of
from dags.demo.traffic.shift import Shift, apply_shift, plan_shift
from dags.domain.days import DayRange
from dags.domain.errors import UserError

# Sites of one log that become teams, those with the most page views. Where a log names whatever host a request asked
# for, scanners make up hundreds. Chosen: more than a screen shows.
MOST_SITES = 20


class TrafficError(UserError):
    """Traffic that cannot be loaded as asked; nothing was written."""


@dataclass(frozen=True)
class Site:
    """A site of a log, ready to be loaded: its page views where they belong in time, and what is said of its lines."""

    page_views: list[PageView]
    own_domain: str
    report: LoadReport


@dataclass(frozen=True)
class ReadLogs:
    """What some access logs hold: the sites, each to be a team, and reports of lines that are no team's."""

    sites: tuple[Site, ...]
    others: tuple[LoadReport, ...]


def read_access_logs(
    logs: Iterable[str | Path], days: DayRange, today: date, progress: Callable[[str], None] = lambda _message: None
) -> ReadLogs:
    """Read the logs of paths and globs (``**`` included), each shifted so that its last full day is that of ``days``.

    ``days`` are those that are judged, all before ``today``. ``progress`` gets a line of text before each file.

    Raises:
        TrafficError: a path or glob finds nothing, files cannot be read, or no site has a page view in ``days``.
    """
    sites: list[Site] = []
    others: list[LoadReport] = []
    for name, paths in logs_of(find_logs(logs)).items():
        whole, twice = _read_files(paths, progress)
        files = len(paths) - len(twice)
        own, rest = _sites_of(f"{name} in {files} files" if files > 1 else str(paths[0]), whole, days, today)
        sites += own
        others += [*rest, *(LoadReport(None, f"{path}, the same as {other}", {}) for path, other in twice)]
    if not any(view.at.date() >= days.start for site in sites for view in site.page_views):
        found = "\n".join(site.text() for site in [*(site.report for site in sites), *others])
        raise TrafficError(
            f"no page view that could be shown was found; nothing was touched. Expected an access log in Common or "
            f"Combined Log Format, {READ}, with GET requests for pages that were answered 2xx or 304.\n{found}"
        )
    return ReadLogs(tuple(sites), tuple(others))


def logs_named(text: str) -> list[str]:
    """The paths and globs that a person typed as one text: one, or several with blanks between them.

    A text that is the name of something is that one name, whatever blanks and quotes it holds; so is one of which no
    part is the name of anything, for then the refusal should show it as it was typed.
    """
    try:
        parts = shlex.split(text)
    except ValueError:  # a quote that is part of a name
        return [text]
    return [text] if _paths_at(text) or not any(map(_paths_at, parts)) else parts


def find_logs(logs: Iterable[str | Path]) -> list[Path]:
    """Expand paths and globs to readable files, sorted, each once.

    Raises:
        TrafficError: as for ``read_access_logs``, naming everything that is wrong.
    """
    paths: dict[Path, Path] = {}
    problems: list[str] = []
    for log in logs:
        pattern = Path(log).expanduser()
        found = _paths_at(log)
        files = [path for path in found if _is(Path.is_file, path)]
        if not files:
            what = "only a directory" if any(_is(Path.is_dir, path) for path in found) else "no file"
            problems.append(
                f"{what} at '{pattern}': expected an access log, {READ}; give the path of one, or a quoted glob such "
                "as 'logs/access.log*'"
            )
        paths |= {path.resolve(): path for path in sorted(files, reverse=True)}
    if not paths and not problems:
        problems.append("no access log was given: give at least one path or glob")
    problems += [
        f"access log '{path}' cannot be read ({why}): expected one that is {READ}; check its permissions, unpack it, "
        "or leave it out"
        for path in sorted(paths.values())
        if (why := why_unreadable(path))
    ]
    if problems:
        raise TrafficError("nothing was touched: " + "\n".join(problems))
    return sorted(paths.values())


def _paths_at(log: str | Path) -> list[Path]:
    """What is there at a path or a glob. A name may hold what globs are made of, hence the second try."""
    pattern = Path(log).expanduser()
    names = glob(str(pattern), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [Path(name) for name in names] or [pattern] * _is(Path.exists, pattern)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:  # in a directory that may not be searched, for example
        return False


def _read_files(
    paths: list[Path], progress: Callable[[str], None]
) -> tuple[dict[str, SiteLog], list[tuple[Path, Path]]]:
    """What the files of a log hold by site, in order of time; and files that hold what another does, as a log does
    that was being packed when it was copied.

    Raises:
        TrafficError: a file cannot be read to its end.
    """
    read: list[tuple[Path, dict[str, SiteLog]]] = []
    twice: list[tuple[Path, Path]] = []
    for path in paths:
        progress(f"reading {path.name!a}")
        try:
            by_host = read_sites(read_log(path))
        except OSError as error:
            raise TrafficError(f"access log '{path}' cannot be read ({error.strerror}); nothing was touched") from error
        if same := next((other for other, held in read if by_host and held == by_host), None):
            twice.append((path, same))
        else:
            read.append((path, by_host))
    whole: dict[str, SiteLog] = {}
    # The earliest first: the order of lines counts where they have the same second.
    for path, by_host in sorted(read, key=lambda one: _begins(one[1])):
        for host, log in by_host.items():
            if len(read) > 1:
                log.samples = [sample._replace(file=path.name) for sample in log.samples]
            whole.setdefault(host, SiteLog()).add(log)
    return whole, twice


def _begins(by_host: dict[str, SiteLog]) -> float:
    return min((at.timestamp() for log in by_host.values() for at in log.last_hit_by_day.values()), default=0.0)


def _sites_of(
    source: str, by_host: dict[str, SiteLog], days: DayRange, today: date
) -> tuple[list[Site], list[LoadReport]]:
    """The sites of a log that have page views, the busiest first where there are many, and the lines of no site."""
    whole = SiteLog()
    for log in by_host.values():
        whole.add(log)
    hosts = [host for host, log in by_host.items() if host and log.page_views]
    if len(hosts) <= 1 and not by_host.get("", SiteLog()).page_views:
        # Who names one site alone, or none, has a log of one site.
        by_host = {"": whole}
    shift = _shift(whole, days, today)
    ranked = sorted(by_host, key=lambda host: (-len(by_host[host].page_views), host))
    late, beyond = f"page views of {days.end} or later", f"page views of hosts beyond the {MOST_SITES} busiest"
    sites, rest, left_out = list[Site](), SiteLog(), Counter[str]()
    for host in ranked:
        log = by_host[host]
        page_views, too_late = apply_shift(log.page_views, shift, days.end)
        if page_views and len(sites) < MOST_SITES:
            name = (host or "no host") if len(by_host) > 1 else ""
            report = _report(source, log, {late: too_late}, host=name, shift=shift)
            sites.append(Site(page_views, log.own_domain, report))
        else:
            rest.add(log)
            left_out.update({late: too_late, beyond: len(page_views)})
    return sites, [_report(source, rest, left_out, shift=None if sites else shift)] if rest.lines or not sites else []


def _shift(log: SiteLog, days: DayRange, today: date) -> Shift:
    """By the hits of any kind; where that leaves no page view in the days, by the page views alone."""
    shift = plan_shift(log.last_hit_by_day, days.end, today)
    kept, _ = apply_shift(log.page_views, shift, days.end)
    if any(view.at.date() >= days.start for view in kept):
        return shift
    by_day = {view.at.date(): view.at for view in sorted(log.page_views, key=lambda view: view.at)}
    return plan_shift(by_day, days.end, today) if by_day else shift


def _report(
    source: str, log: SiteLog, left_out: Mapping[str, int], *, host: str = "", shift: Shift | None
) -> LoadReport:
    return LoadReport(
        team_id=None,
        source=source,
        events_by_day={},
        lines=log.lines,
        rubbish={str(kind): count for kind, count in log.rubbish.items()},
        samples=tuple(log.samples),
        skipped={str(reason): count for reason, count in log.skipped.items()},
        shift=shift,
        left_out={why: count for why, count in left_out.items() if count},
        host=host,
    )
