"""Writes traffic into ``events``: the only module here that opens files by name and speaks to the engine.

``events`` is partitioned by day and an insert may by default touch 100 partitions only, so every insert lifts
that limit: a log of a year would fail otherwise. ``inserted_at`` is left to the table. Loading the same
traffic again adds rows with the same uuids, which readers take for the same events; that is also how to go on
after a failure.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from glob import glob
from itertools import islice
from pathlib import Path

from clickhouse_connect.driver.client import Client

from dags.demo.traffic.access_log import open_log, read_log
from dags.demo.traffic.generate import Traffic, generate
from dags.demo.traffic.page_views import read_site
from dags.demo.traffic.report import LoadReport
from dags.demo.traffic.sessions import Event, events
from dags.demo.traffic.shift import apply_shift, plan_shift
from dags.domain.errors import UserError

# Rows an insert: large enough for few ClickHouse parts, small enough (some 50 MB of Python) to forget about.
BATCH_ROWS = 50_000

# 0 means without limit, see above.
INSERT_SETTINGS = {"max_partitions_per_insert_block": 0}


class TrafficError(UserError):
    """Traffic that cannot be loaded as asked; nothing was written."""


def load_access_logs(
    client: Client,
    logs: str | Path | Iterable[str | Path],
    today: date,
    *,
    first_team_id: int = 1,
    progress: Callable[[str], None] = lambda _message: None,
) -> list[LoadReport]:
    """Load access logs, each file as one team, shifted so that its last full day is yesterday.

    ``logs`` is a path or a glob (``**`` included), or several; teams are numbered from ``first_team_id`` in
    the order of the sorted paths. One file is in memory at a time, as its page views. ``progress`` gets a
    line of text before and after each file. How far a log is shifted, and what is dropped: see ``shift``.

    Raises:
        TrafficError: a path or glob finds nothing, or a file cannot be read. All are tried before the first
            row is written.
    """
    paths = find_logs([logs] if isinstance(logs, str | Path) else logs)
    reports: list[LoadReport] = []
    for team_id, path in enumerate(paths, start=first_team_id):
        progress(f"team {team_id}: reading {path.name!a}")
        report = _load_log(client, path, team_id, today)
        progress(f"team {team_id}: {report.events:,} events of {report.lines:,} lines loaded")
        reports.append(report)
    return reports


def load_generated(
    client: Client, traffic: Traffic, progress: Callable[[str], None] = lambda _message: None
) -> list[LoadReport]:
    """Load generated traffic; give one report for each site, in their order.

    One batch is in memory at a time. ``progress`` gets a line of text whenever a batch is written.
    """
    events_by_day: dict[int, Counter[date]] = {site.team_id: Counter() for site in traffic.sites}
    loaded = 0
    for frame in generate(traffic):
        client.insert_df("events", frame, settings=INSERT_SETTINGS)
        for team_id, day in zip(frame["team_id"].tolist(), frame["timestamp"].dt.date, strict=True):
            events_by_day[team_id][day] += 1
        loaded += len(frame)
        progress(f"{loaded:,} events generated and loaded, up to {frame['timestamp'].max():%Y-%m-%d %H:%M}")
    source = f"generated, seed {traffic.seed}"
    return [LoadReport(team_id, source, dict(by_day)) for team_id, by_day in events_by_day.items()]


def find_logs(logs: Iterable[str | Path]) -> list[Path]:
    """Expand paths and globs to readable files, sorted, each once.

    Raises:
        TrafficError: as for ``load_access_logs``.
    """
    paths: set[Path] = set()
    for log in logs:
        pattern = Path(log).expanduser()
        # A name may hold glob characters, hence the second try: the pattern itself.
        names = glob(str(pattern), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = [Path(name) for name in names] or [pattern]
        files = [path for path in found if _is_file(path)]
        if not files:
            raise TrafficError(
                f"no file at '{pattern}': expected an access log in Common or Combined Log Format, plain or "
                "gzip; give the path of one, or a quoted glob such as 'logs/*.gz'"
            )
        paths.update(files)
    if not paths:
        raise TrafficError("no access log was given: give at least one path or glob")
    for path in paths:
        _try_to_read(path)
    return sorted(paths)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a directory that may not be searched, for example
        return False


def _try_to_read(path: Path) -> None:
    try:
        open_log(path).close()
    except OSError as error:
        raise TrafficError(
            f"access log '{path}' cannot be read ({error.strerror}): expected a readable file; "
            "check its permissions, or leave it out"
        ) from error


def _load_log(client: Client, path: Path, team_id: int, today: date) -> LoadReport:
    log = read_site(read_log(path))
    shift = plan_shift(log.last_hit_by_day, today)
    page_views, dropped = apply_shift(log.page_views, shift, today)
    events_by_day: Counter[date] = Counter()
    for batch in _batches(events(page_views, team_id, log.own_domain)):
        client.insert("events", batch, column_names=Event._fields, settings=INSERT_SETTINGS)
        events_by_day.update(event.timestamp.date() for event in batch)
    return LoadReport(
        team_id=team_id,
        source=str(path),
        events_by_day=dict(events_by_day),
        lines=log.lines,
        rubbish={str(kind): count for kind, count in log.rubbish.items()},
        samples=tuple(log.samples),
        skipped={str(reason): count for reason, count in log.skipped.items()},
        shift=shift,
        dropped=dropped,
    )


def _batches(rows: Iterator[Event]) -> Iterator[list[Event]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
