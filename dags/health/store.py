"""Reads from ClickHouse what health is judged by beside a detection: work, builds, files, what was left behind.

Each section is read by itself: one that fails is unknown, and keeps none of the others from being known.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dags.clickhouse.sql import Sql
from dags.domain.text import of_error
from dags.domain.units import EPOCH
from dags.file_ingestion.kind import FILE_INGESTION
from dags.file_ingestion.ranges import TRIES
from dags.file_ingestion.schema_store import read_schemas
from dags.file_ingestion.schemas import Resolution
from dags.health.facts import BuildsOfLately, BuildsOfWeek, Done, Files, LeftBehind, Section, Teams, WorkNow
from dags.health.left import backups_left, landings_left
from dags.health.old_days import read_old_days
from dags.health.reached import read_reached
from dags.health.superseded import is_done_since
from dags.managed_backfill.kind import BACKFILL
from dags.metrics.recent import BuildsLately
from dags.metrics.store import read_builds
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.publish.backup import backups_until
from dags.publish.staging import leftovers
from dags.repair.stops.stopped import read_stop
from dags.sources.loads.names import COPY_PREFIX, LANDING_PREFIX, STAGING_PREFIX, prefixes_of
from dags.team_selection.store import dictionary_mismatches, read_selection
from dags.work.audit.log import FINISHED, MANAGED, Status
from dags.work.audit.store import read_works
from dags.work.control import as_they_are
from dags.work.history import end_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.metrics.recent import Recent
    from dags.sources.declaration import Sources
    from dags.work.audit.store import Row

_PACKAGE = "dags.health"

# Of so many works, the newest, it is looked up how far they have come: each is a statement, and a plan to read.
PLANS_READ = 10

# A section is read in less; past it it is unknown, and the others are known all the same.
STATEMENT_SECONDS = 40

KINDS = {kind.name: kind for kind in (BACKFILL, POSTGRES_BACKFILL, FILE_INGESTION)}

# Over, and did not do what it was asked for: a person may go on with it.
_GONE_WRONG = frozenset({Status.FAILED, Status.RESTORED})


def read_sections(
    client: Client,
    tables: Sequence[str],
    sources: Sources,
    *,
    triggers: Collection[str],
    server_at: datetime,
    kept_days: int,
    recent: Recent | None = None,
    teams: Teams | None = None,
    old: tuple[tuple[WatchedTable, ...], date] | None = None,
) -> Mapping[str, Any]:
    """The fields of `Facts` that ClickHouse knows, those of sections that could not be read left out, with why.

    ``triggers``: the names of the sensors and schedules that are served, which ask again by themselves. ``recent``: how
    builds have gone, and ``teams`` what is said of their list, where that was read already. ``old``: the watched
    tables and the first day that is judged; None where nothing is asked about data.
    """
    sql = Sql(_PACKAGE, client, settings={"max_execution_time": STATEMENT_SECONDS})
    works: list[Row] = []

    def of_work() -> dict[str, Any]:
        works.extend(as_they_are(client, read_works(client, kinds=list(KINDS))))
        return {"stop": read_stop(client), "work": _work(client, sql, works, triggers)}

    def left_behind() -> dict[str, Any]:
        return {"left_behind": _left(client, sql, works, server_at, kept_days)}

    def old_days() -> dict[str, Any]:
        return {"old_days": read_old_days(client, old[0], works, old[1], server_at) if old is not None else ()}

    sections: tuple[tuple[Section, Callable[[], dict[str, Any]]], ...] = (
        (Section.TEAMS, lambda: {"teams": teams or _teams(client)}),
        (Section.WORK, of_work),
        (Section.OLD_DAYS, old_days),
        (Section.LEFT_BEHIND, left_behind),
        (Section.BUILDS, lambda: _builds(recent or read_builds(sql, server_at), tables)),
        (Section.FILES, lambda: {"files": _files(client, sql, sources)}),
    )
    found: dict[str, Any] = {}
    unread: dict[Section, str] = {}
    for section, read in sections:
        # Whose a table is, and what was loaded, the log knows.
        if section in (Section.LEFT_BEHIND, Section.OLD_DAYS) and Section.WORK in unread:
            unread[section] = unread[Section.WORK]
            continue
        try:
            found |= read()
        except Exception as error:  # noqa: BLE001 -- an answer of another shape as well: it is unknown
            unread[section] = of_error(error)
    return {**found, "unread": unread}


def _teams(client: Client) -> Teams:
    selection = read_selection(client)
    return Teams(len(selection.teams), selection.selected_at, len(dictionary_mismatches(client)))


def _work(client: Client, sql: Sql, rows: Sequence[Row], triggers: Collection[str]) -> tuple[WorkNow, ...]:
    done = [_done(row, triggers) for row in rows if row.status == Status.COMPLETED]
    wanted = [
        row
        for row in rows
        if (row.status not in FINISHED or row.status in _GONE_WRONG) and not is_done_since(_done(row, triggers), done)
    ]
    if not wanted:
        return ()
    signs = {work: (at, steps) for work, at, steps in sql.rows("signs", {"works": [row.work_id for row in wanted]})}
    landed = sql.rows("landed", {"prefixes": [prefix for row in wanted for prefix in prefixes_of(row.work_id)]})
    found = []
    for number, row in enumerate(wanted):
        kind, (last_at, steps) = KINDS[row.work.kind], signs.get(row.work_id, (row.started_at, 0))
        own = tuple(prefixes_of(row.work_id))
        found.append(
            WorkNow(
                row.work_id,
                row.work.kind,
                kind.word,
                row.work.subject,
                row.work.first_step,
                row.work.last_step,
                row.status,
                row.started_at,
                max([last_at, *(at for table, at in landed if table.startswith(own))]),
                row.requested_by,
                row.reason,
                end_text(row.end) if row.end is not None and row.end.status == row.status else "",
                kind.id_field,
                is_scheduled=_is_scheduled(row, triggers),
                is_at_work=row.is_at_work,
                rows=row.rows,
                steps_done=steps,
                reached=read_reached(client, row.work_id) if number < PLANS_READ else None,
            )
        )
    return tuple(found)


def _is_scheduled(row: Row, triggers: Collection[str]) -> bool:
    """Whether a trigger asked for it. Who asks is free text, but no trigger asks for a managed backfill."""
    return row.work.kind != MANAGED and row.requested_by in triggers


def _done(row: Row, triggers: Collection[str]) -> Done:
    work, who = row.work, row.requested_by
    steps = (work.first_step, work.last_step)
    return Done(work.kind, work.subject, *steps, who, row.started_at, is_scheduled=_is_scheduled(row, triggers))


def _left(client: Client, sql: Sql, works: Sequence[Row], now: datetime, kept_days: int) -> tuple[LeftBehind, ...]:
    names = leftovers(client)
    ages = dict(sql.rows("ages", {"names": names})) if names else {}
    staged = [LeftBehind(name, "staging", since, "the next build") for name, since in ages.items()]
    landings = dict(sql.rows("landed", {"prefixes": [LANDING_PREFIX, COPY_PREFIX, STAGING_PREFIX]}))
    return (
        *staged,
        *backups_left(backups_until(client), works, now.date()),
        *landings_left(landings, works, timedelta(days=kept_days)),
    )


def _builds(recent: Recent, tables: Sequence[str]) -> dict[str, Any]:
    weeks = [
        BuildsOfWeek(table, one.builds.success_rate, *one.builds, one.seconds, one.source_rows, week=week)
        for (week, table), one in recent.weeks.items()
        if table in tables
    ]
    lately = []
    for table in tables:
        builds, failed_at, error = recent.lately.get(table, BuildsLately())
        lately.append(BuildsOfLately(table, builds.success_rate, *builds, error=error[:300], failed_at=failed_at))
    return {"weeks": tuple(sorted(weeks, key=lambda one: (one.table, one.week))), "builds": tuple(lately)}


def _files(client: Client, sql: Sql, sources: Sources) -> tuple[Files, ...]:
    active = [one.name for one in sources.ingestions if one.status == "ACTIVE"]
    if not active:
        return ()
    rows = {name: facts for name, *facts in sql.rows("files", {"ingestions": active, "tries": TRIES})}
    found = []
    for name in active:
        waiting, waiting_since, loaded_at, failed, given_up, failed_since, path, error = rows.get(
            name, (0, EPOCH, EPOCH, 0, 0, EPOCH, "", "")
        )
        unresolved = [
            one for one in read_schemas(client, name).versions if one.number > 1 and one.resolution is Resolution.MANUAL
        ]
        found.append(
            Files(
                name,
                waiting,
                waiting_since if waiting else None,
                loaded_at if loaded_at > EPOCH else None,
                failed,
                given_up,
                failed_since if failed else None,
                path,
                error,
                unresolved[-1].number if unresolved else 0,
                unresolved[0].at if unresolved else None,
                is_loaded_by_open=bool(unresolved and unresolved[-1].loads),
            )
        )
    return tuple(found)
