"""What is the matter with work that people or timetables asked for: backfills, loads, files; and what was left behind.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dags.domain.days import in_words
from dags.domain.text import counted
from dags.health.causes import Cause, Check, State
from dags.health.words import NAMED, age_in_words, first_words, launch, listed
from dags.work.audit.log import MANAGED, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from dags.health.facts import Files, LeftBehind, Load, OldDays, WorkNow

# Work that runs says something every few seconds: a step, a batch that landed. Chosen: longer than any statement of a
# build or a load may take (`WEB_ANALYTICS_BUILD_MAX_SECONDS` is 1,800), twice.
SILENT = timedelta(hours=1)

# A run that died is noticed within two minutes; one that Dagster tries again begins within some more.
TAKEN_UP_AGAIN = timedelta(minutes=15)

# Of these a run is about to begin, or to go on after one that died.
TAKEN_UP = (Status.ACCEPTED, Status.RUNNING, Status.INTERRUPTED)

# A load that is asked for by a timetable and failed so often in a row is late by a tick, and goes on failing.
FAILURES = 2

# So late a load may begin after its tick: others are before it in the queue.
LOAD_LATE = timedelta(hours=1)

# So long none of them takes: they check, forget and sweep for minutes.
CHORE_HANGS = timedelta(hours=6)

# A file that waits for so long, while no other of its ingestion is loaded, waits in vain.
FILE_WAITS = timedelta(hours=24)


def work_causes(works: Iterable[WorkNow], now: datetime) -> tuple[Cause, ...]:
    """Of work that is not over, or failed. ``now`` is ClickHouse's clock, as all its stamps are."""
    return tuple(cause for work in works if (cause := _of_work(work, now)) is not None)


def _of_work(work: WorkNow, now: datetime) -> Cause | None:
    silent = now - work.last_at
    if work.status == Status.FAILED and work.is_scheduled:
        return None  # its timetable asks again, and is looked at by itself
    if work.is_at_work and silent <= SILENT:
        so_far = f"{counted(work.steps_done, 'step')} done, {counted(work.rows, 'row')}"
        return Cause(_key(work), State.NOTED, f"{work.work_id} is {work.status}", _whom(work), work.asked_at, so_far)
    if work.status in TAKEN_UP and silent <= TAKEN_UP_AGAIN:
        doing, what = "a run is to go on with it", f"{work.work_id} is {work.status}"
        return Cause(_key(work), State.REPAIRING, what, _whom(work), work.last_at, doing, checks=_checks(work))
    return _needs_you(work, *_asking(work, silent))


def _asking(work: WorkNow, silent: timedelta) -> tuple[str, str, str]:
    """Why it needs a person, what to do, and the verb of the job that does it."""
    words = f": {first_words(work.words)}" if work.words else ""
    if work.is_at_work:
        hangs = f"has said nothing for {age_in_words(silent)}, though its run lives"
        return hangs, "look what it waits for; cancel it, or end its run in the UI", "cancel"
    if work.status == Status.FAILED:
        return f"failed{words}", "put that right and go on with it; or delete it", "resume"
    if work.status == Status.RESTORED:
        return f"failed, and its days are as before{words}", "put that right and go on with it; or delete it", "resume"
    if work.status == Status.ROLLING_BACK:
        return "is half taken back, and nobody goes on with it", "finish that", "rollback"
    if work.status == Status.PAUSED:
        return f"is paused{words}", "go on with it, or cancel it", "resume"
    return "was interrupted: its run died", "go on with it, or cancel it", "resume"


def _needs_you(work: WorkNow, what: str, to_do: str, verb: str) -> Cause:
    job = f"{verb}_{work.id_field.removesuffix('_id')}_job"
    given = {work.id_field: work.work_id, "requested_by": "$(whoami)", "reason": "looked at"}
    command = launch(job, shard=work.shard, **given)
    return Cause(
        _key(work),
        State.NEEDS_YOU,
        f"{work.work_id} {what}",
        _whom(work),
        work.last_at,
        "nothing until then",
        to_do,
        command,
        checks=_checks(work),
        error=work.words,
    )


def _key(work: WorkNow) -> str:
    return f"work:{work.work_id}"


def _checks(work: WorkNow) -> frozenset[Check]:
    return frozenset({Check.BACKFILLS_END if work.kind == MANAGED else Check.LOADS_ON_TIME})


def _whom(work: WorkNow) -> str:
    """What it works on, and who asked for it."""
    steps = " … ".join(dict.fromkeys(filter(None, [work.first_step, work.last_step])))
    return ", ".join(filter(None, [work.subject, steps, f"asked by {work.requested_by}: {work.reason}"]))


def load_causes(loads: Iterable[Load], now: datetime, works: Iterable[WorkNow] | None = None) -> tuple[Cause, ...]:
    """Of what is loaded by a timetable. ``now`` is the clock that Dagster's runs are stamped by.

    ``works`` say by themselves that they are silent; a run that hangs before it has a plan is of none of them. None:
    they could not be read.
    """
    planned = None if works is None else {work.requested_by for work in works if work.is_at_work}
    return tuple(cause for load in loads if (cause := _of_load(load, planned, now)) is not None)


def _of_load(load: Load, planned: Collection[str] | None, now: datetime) -> Cause | None:
    key, checks = f"load:{load.name}", frozenset({Check.LOADS_ON_TIME})
    is_behind = (
        load.due_at is not None
        and now - load.due_at > LOAD_LATE
        and (load.succeeded_at is None or load.succeeded_at < load.due_at)
    )
    look = _look(load)
    is_unplanned = load.is_scheduled and planned is not None and load.name not in planned
    if is_unplanned and load.begun_at is not None and now - load.begun_at > SILENT:
        return Cause(
            key, State.NEEDS_YOU, f"{load.what} hangs: its run has no plan after {age_in_words(now - load.begun_at)}",
            f"schedule {load.name}", load.begun_at, "nothing until then",
            "look what it waits for; end its run in the UI", look, checks=checks,
        )  # fmt: skip
    if load.failures:
        return _failed(load, key, checks)
    if is_behind and load.run_id:
        at_it = (
            f"run {load.run_id[:8]} is at it since {load.running_since:%Y-%m-%d %H:%M}" if load.running_since else ""
        )
        return Cause(
            key, State.NEEDS_YOU, f"{load.what} is behind", f"last loaded whole by what was asked at "
            f"{load.succeeded_at:%Y-%m-%d %H:%M}" if load.succeeded_at is not None else "never loaded whole",
            load.due_at, at_it, "look what its run waits for: the queue, its pool, its database", look, checks=checks,
        )  # fmt: skip
    return None


def chore_causes(chores: Iterable[Load], now: datetime) -> tuple[Cause, ...]:
    """Of what is done by a timetable beside builds and loads: nobody misses it before it has not been done for long."""
    return tuple(cause for chore in chores if (cause := _of_chore(chore, now)) is not None)


def _of_chore(chore: Load, now: datetime) -> Cause | None:
    key, checks = f"chore:{chore.name}", frozenset({Check.RUNS_BY_ITSELF})
    if chore.begun_at is not None and now - chore.begun_at > CHORE_HANGS:
        return Cause(
            key, State.NEEDS_YOU, f"{chore.what} hangs: its run is at it for {age_in_words(now - chore.begun_at)}",
            f"schedule {chore.name}", chore.begun_at, "nothing until then",
            "look what it waits for; end its run in the UI", _look(chore), checks=checks,
        )  # fmt: skip
    return _failed(chore, key, checks) if chore.failures else None


def _look(load: Load) -> str:
    """The command that says of its last run why it is as it is."""
    return launch("why_job", run_id=f"'{load.run_id[:8]}'") if load.run_id else ""


def _failed(load: Load, key: str, checks: frozenset[Check]) -> Cause:
    """Of runs that failed in a row: the first may pass by itself."""
    is_lasting = load.failures >= FAILURES
    return Cause(
        key,
        State.NEEDS_YOU if is_lasting else State.REPAIRING,
        f"{load.what} failed, {counted(load.failures, 'time')} in a row: {first_words(load.error)}",
        f"schedule {load.name}" if load.is_scheduled else "",
        load.failed_since,
        "tried again at its next tick",
        "put right what its run says" if is_lasting else "",
        _look(load) if is_lasting else "",
        checks=checks,
        error=load.error,
    )


def old_day_causes(found: Iterable[OldDays]) -> tuple[Cause, ...]:
    """Of days that loads brought and that nothing judges and repairs by itself."""
    return tuple(map(_of_old_days, found))


def _of_old_days(one: OldDays) -> Cause:
    first, last = one.days[0], one.days[-1]
    who = {"requested_by": "$(whoami)", "reason": "late data"}
    to_do = "build them; or leave them as they are with waive_job"
    command = launch(
        "managed_backfill_job", shard=one.shard, target_table=one.table, start_date=first, end_date=last,
        kind="gap_filling", dry_run="false", **who,
    )  # fmt: skip
    if one.held == one.units:
        to_do = "a rebuild would take rows away: allow it, or leave them with waive_job"
        command = launch("why_job", day=first)
    return Cause(
        one.key, State.NEEDS_YOU,
        f"{one.units:,} (table, team, day) before the look-back, of days that loads brought, are wrong: {one.reason}",
        f"{f'shard {one.shard}, ' * bool(one.shard)}{counted(len(one.teams), 'team')}, {one.table}, "
        f"{in_words(one.days)}",
        one.since, "nothing builds them by itself", to_do, command, tables=(one.table,),
        checks=frozenset({Check.LOADS_ON_TIME}),
    )  # fmt: skip


def file_causes(files: Iterable[Files], now: datetime) -> tuple[Cause, ...]:
    """Of the files of ingestions. ``now`` is ClickHouse's clock."""
    return tuple(cause for one in files for cause in _of_files(one, now))


def _of_open_version(one: Files, checks: frozenset[Check]) -> Cause:
    why, doing = "files have other columns", "files go on being loaded as before"
    to_do = "load what events has of them from now on (auto_merge), of all files (backfill), or ignore them"
    if one.is_loaded_by_open:
        why, doing = "it is declared otherwise", "files are loaded by it, and those loaded before stay"
        to_do = "say whether those stay (auto_merge), or are loaded again (backfill)"
    return Cause(
        f"{one.key}:schema", State.NEEDS_YOU,
        f"schema version {one.open_version} of {one.ingestion} awaits a person's word: {why}",
        since=one.open_since, doing=doing, to_do=to_do,
        command=launch(
            "resolve_schema_job", shard=one.shard, ingestion=one.ingestion, version=one.open_version,
            resolution="auto_merge", requested_by="$(whoami)", reason="looked at",
        ),
        checks=checks,
    )  # fmt: skip


def _of_files(one: Files, now: datetime) -> Iterable[Cause]:
    checks, show = frozenset({Check.LOADS_ON_TIME}), launch("show_files_job", shard=one.shard, ingestion=one.ingestion)
    if one.open_version:
        yield _of_open_version(one, checks)
    if one.failed:
        lasts = one.given_up > 0
        yield Cause(
            f"{one.key}:failed", State.NEEDS_YOU if lasts else State.REPAIRING,
            f"{counted(one.failed, 'file')} of {one.ingestion} failed: {first_words(one.error)}",
            f"{one.path[-80:]}" + (f" and {one.failed - 1:,} more" if one.failed > 1 else ""),
            one.failed_since, "each run tries them again", "put the files right; or leave them out with clear_files_job"
            if lasts else "", show if lasts else "", checks=checks, error=one.error,
        )  # fmt: skip
    if one.waiting and one.waiting_since is not None:
        is_stuck = now - one.waiting_since > FILE_WAITS and (one.loaded_at is None or now - one.loaded_at > FILE_WAITS)
        yield Cause(
            f"{one.key}:waiting", State.NEEDS_YOU if is_stuck else State.REPAIRING,
            f"{counted(one.waiting, 'file')} of {one.ingestion} {'wait' if one.waiting > 1 else 'waits'} to be loaded",
            since=one.waiting_since, doing="" if is_stuck else "loaded by its next runs",
            to_do="look why no run loads them" if is_stuck else "", command=show if is_stuck else "", checks=checks,
        )  # fmt: skip


def left_causes(left: Iterable[LeftBehind], now: datetime, target: timedelta) -> tuple[Cause, ...]:
    """Of tables that nobody needs: dropped by themselves within the target, or by a person."""
    by_what: dict[str, list[LeftBehind]] = {}
    for one in sorted(left, key=lambda one: (one.since, one.name)):
        by_what.setdefault(one.what, []).append(one)
    made = []
    for what, members in by_what.items():
        first = members[0]
        is_late = now - first.since > target
        more = f" and {len(members) - NAMED:,} more" if len(members) > NAMED else ""
        made.append(
            Cause(
                f"left:{what.replace(' ', '-')}",
                State.NEEDS_YOU if is_late else State.REPAIRING,
                f"{counted(len(members), f'{what} table')} left behind, on disk and of no use",
                f"{listed(one.name for one in members[:NAMED])}{more}",
                first.since,
                f"dropped by {first.drops}",
                f"see why it does not; or DROP TABLE {first.name} SYNC" if is_late else "",
                checks=frozenset({Check.NOTHING_LEFT_BEHIND}),
            )
        )
    return tuple(made)
