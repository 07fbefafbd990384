"""What a person does with a backfill that is there: pause, cancel, delete, take back, look at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dags.clickhouse.leases.rules import run_key, work_lease
from dags.clickhouse.leases.store import living_leases
from dags.domain.days import in_words
from dags.domain.errors import LeaseError, UserError
from dags.domain.text import table_text, wrapped
from dags.managed_backfill.backup import drop_backup
from dags.managed_backfill.holding import hold
from dags.managed_backfill.log import Days, days_of
from dags.managed_backfill.plan import from_yaml
from dags.managed_backfill.restoring import Restoring, built_since
from dags.work.audit.log import FINISHED, MANAGED, RESUMABLE, Entry, Event, State, Status, standing
from dags.work.audit.store import Log, Row, read_unheard, read_works, require_state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable


def refuse_resume(state: State) -> None:
    """Raises: UserError: there is nothing that could be resumed."""
    _refuse_automatic(state)
    if state.status not in RESUMABLE:
        raise UserError(
            f"{state.work_id} is {state.status}: only one that is not over can be resumed. Ask for a new one"
        )


def pause(client: Client, backfill_id: str, run_id: str, requested_by: str, reason: str) -> str:
    """Ask for a pause; what was asked for is in words."""
    return _ask(client, backfill_id, run_id, Status.PAUSED, requested_by=requested_by, reason=reason)


def cancel(client: Client, backfill_id: str, run_id: str, requested_by: str, reason: str) -> str:
    """Ask for an end; one that no run carries out ends at once."""
    return _ask(client, backfill_id, run_id, Status.CANCELLED, requested_by=requested_by, reason=reason)


def _ask(client: Client, backfill_id: str, run_id: str, status: Status, *, requested_by: str, reason: str) -> str:
    _require_who(requested_by, reason)
    known = require_state(client, backfill_id)
    _refuse_automatic(known)
    _refuse_ask(known, status)
    log = Log(client, known.work, run_id)
    try:
        with hold(client, known.work, run_id, lambda _: None) as held:
            state = require_state(client, known.work_id)
            _refuse_ask(state, status)
            # A cancel that was asked of a run which died is carried out now, and outranks a pause.
            is_late = as_it_is(client, state, is_held=True).status == Status.CANCELLED != status
            held.confirm()
            ends = Status.CANCELLED if is_late else status
            log.append(Entry(Event.ENDED, ends, payload=reason, requested_by=requested_by, reason=reason))
            if is_late:
                raise UserError(f"{state.work_id} is {ends}, as was asked before: it cannot be {status}")
    except LeaseError:
        log.append(Entry(Event.CONTROL, name=str(status), requested_by=requested_by, reason=reason))
        _refuse_ask(require_state(client, known.work_id), status)  # it may have ended just now
        outranks = read_unheard(client, known.work_id).get(known.work_id, status)
        return f"ASKED    {known.work_id} ends its chunk, then it is {outranks}"
    return f"{status.upper():<8} {known.work_id}: no run carries it out, nothing more happens"


def _refuse_ask(state: State, status: Status) -> None:
    """Raises: UserError: it is over, or is taken back, so that there is nothing to pause or to cancel."""
    if state.status in FINISHED:
        raise UserError(f"{state.work_id} is {state.status}: it cannot be {status}")
    if state.status == Status.ROLLING_BACK:
        raise UserError(
            f"{state.work_id} is {state.status}: it cannot be {status}. rollback_backfill_job takes it to its end"
        )


def delete(client: Client, backfill_id: str, run_id: str, requested_by: str, reason: str) -> str:
    """Drop its backup and leave it out of the lists; the audit keeps every event.

    Raises:
        LeaseError: a run acts on it, which is named. Nothing was touched.
        UserError: it is not over. Nothing was touched.
    """
    _require_who(requested_by, reason)
    known = require_state(client, backfill_id)
    _refuse_automatic(known)
    with hold(client, known.work, run_id, lambda _: None) as held:
        state = as_it_is(client, require_state(client, known.work_id), is_held=True)
        if state.status not in FINISHED:
            raise UserError(
                f"{state.work_id} is {state.status}: "
                + (
                    "rollback_backfill_job takes it to its end, and needs the backup for it"
                    if state.status == Status.ROLLING_BACK
                    else "cancel it first, then delete it"
                )
            )
        held.confirm()
        drop_backup(client, state.work_id, state.work.subject)
        entry = Entry(Event.ENDED, Status.DELETED, requested_by=requested_by, reason=reason)
        Log(client, state.work, run_id).append(entry)
    return f"DELETED  {state.work_id}: its backup is dropped, the audit stays"


def roll_back(
    client: Client,
    watched: Sequence[WatchedTable],
    backfill_id: str,
    *,
    run_id: str,
    requested_by: str,
    reason: str,
    even_built_since: bool,
    wait_seconds: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Restore every day that a backfill replaced, and read all of them back.

    Raises:
        LeaseError: a run acts on it, which is named. Nothing was touched.
        UserError: it has taken no backup or has lost it, or others have built days since, and nothing was touched; or
            not every day is as it was, which ones the words say, and it can be done again.
        HoldLostError: another run acts on it now, for this one was silent for too long.
    """
    _require_who(requested_by, reason)
    known = require_state(client, backfill_id)
    _refuse_automatic(known)
    with hold(client, known.work, run_id, tell) as held:
        state = require_state(client, known.work_id)
        _refuse_rollback(state)
        plan = from_yaml(state.accepted.payload)
        table = next(one for one in watched if one.name == plan.scope.table)
        if not even_built_since and (since := built_since(client, plan, state)):
            raise UserError(
                f"{in_words(since)} of {table.name} were built since, by {', '.join(sorted(set(since.values())))}: a "
                "rollback would lose these builds. Nothing was touched; allow_losing_later_builds: true takes them "
                "back too"
            )
        log = Log(client, state.work, run_id)
        restoring = Restoring(client, table, plan, state, log, held, wait_seconds, tell, even_built_since)
        comparable = restoring.comparable()
        held.confirm()
        log.append(Entry(Event.STARTED, Status.ROLLING_BACK, requested_by=requested_by, reason=reason))
        restored = restoring.run(comparable)
        if restored.left or restored.failed:
            words = restored.in_words()
            held.confirm()
            log.append(Entry(Event.ENDED, Status.ROLLING_BACK, payload=words[:1000]))
            raise UserError(
                f"{state.work_id} is not wholly rolled back:\n{words}\nRun rollback_backfill_job again; where "
                "others have written days since, allow_losing_later_builds: true takes these back too"
            )
        entry = Entry(Event.ENDED, Status.ROLLED_BACK, requested_by=requested_by, reason=reason)
        held.confirm()
        log.append(entry)
    days = restored.days
    tell(
        f"ROLLED BACK  {state.work_id}: {len(days)} days are as they were before, read back against the backup"
        f"{f' ({restored.uncompared})' if restored.uncompared else ''}. "
        "What differs from its source is wrong for detection and will be repaired: waive these days if they are to "
        "stay so"
    )
    return {"backfill_id": state.work_id, "status": str(Status.ROLLED_BACK), "days": [str(day) for day in days]}


def _refuse_rollback(state: State) -> None:
    if state.status == Status.DELETED:
        raise UserError(f"{state.work_id} was deleted, and its backup with it: rebuild the days from their source")
    if not Days.of(state).backed_up:
        raise UserError(f"{state.work_id} has replaced nothing: there is nothing to take back")


def listed(client: Client, table: str, status: str, origin: str, limit: int) -> list[Row]:
    """The audit's rows, newest first; deleted ones only when they are asked for."""
    if limit < 1:
        raise UserError(f"limit is {limit}: give a whole number above 0")
    living, unheard = _living(client), read_unheard(client)
    rows = [
        replace(row, status=standing(row.status, unheard.get(row.work_id, ""), is_at_work=_is_of(row, living)))
        for row in read_works(client, subject=table, kind=origin)
    ]
    wanted = [row for row in rows if (row.status == status if status else row.status != Status.DELETED)]
    return wanted[:limit]


def as_it_is(client: Client, state: State, *, is_held: bool = False) -> State:
    """One backfill with the status that the list has for it; ``is_held``: by who asks, so no other is at work."""
    unheard = read_unheard(client, state.work_id).get(state.work_id, "")
    is_at_work = not is_held and _is_of(state, _living(client))
    return replace(state, status=standing(state.status, unheard, is_at_work=is_at_work))


def _living(client: Client) -> frozenset[str]:
    """The living runs that hold a lease, and the backfills that one of them holds, as the names of leases have them."""
    return frozenset(name for lease in living_leases(client) for name in (lease.run, lease.table))


def _is_of(known: Row | State, living: Collection[str]) -> bool:
    """Whether a living run is at work on it; one that the planner launched holds no lease but those of its days."""
    return run_key(known.run_id) in living or work_lease(known.work_id)[0] in living


def listed_text(rows: Sequence[Row]) -> str:
    if not rows:
        return "No backfill."
    cells = [
        (
            row.work_id,
            row.work.subject,
            str(days_of(row.work)),
            row.status,
            row.rows,
        )
        for row in rows
    ]
    return table_text(cells, ("backfill", "table", "days", "status", "rows"))


def as_dict(row: Row) -> dict[str, Any]:
    """A row of the audit, for programs."""
    return {
        "backfill_id": row.work_id,
        "table_name": row.work.subject,
        "start_date": row.work.first_step,
        "end_date": row.work.last_step,
        "status": row.status,
        "rows_affected": row.rows,
        "started_at": row.started_at.isoformat(),
        "completed_at": row.completed_at.isoformat() if row.completed_at else None,
        "origin": row.work.kind,
        "requested_by": row.requested_by,
        "reason": row.reason,
    }


def automatic_text(state: State) -> str:
    """One that the planner launched: it has no plan of its own."""
    work = state.work
    lines = [f"{state.status.upper():<9} {work.work_id}: {work.subject} of {work.first_step}"]
    lines += [f"REASON    {state.accepted.reason}"]
    lines += [f"FAILED    {entry.payload}" for entry in state.failed.values()]
    return "\n".join(wrapped(line, indent=10) for line in lines)


def _require_who(requested_by: str, reason: str) -> None:
    given = (("reason", reason), ("requested_by", requested_by))
    if lacking := [name for name, value in given if not value.strip()]:
        raise UserError(f"{' and '.join(lacking)} may not be empty: the audit keeps who did it and why")


def _refuse_automatic(state: State) -> None:
    if state.work.kind != MANAGED:
        raise UserError(
            f"{state.work_id} is a run that the planner launched: it has no plan and no backup. End the run in "
            "the UI, or stop all of them with stop_backfills_job"
        )
