"""What a person does with work that is there: pause, cancel, delete, and look at it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.rules import run_key, work_lease
from dags.clickhouse.leases.store import living_leases
from dags.domain.errors import LeaseError, NoLeaseError, UserError
from dags.domain.given_text import require_texts
from dags.work.audit.log import FINISHED, RESUMABLE, Entry, Event, State, Status, standing
from dags.work.audit.store import Log, Row, read_endings, read_state, read_unheard, read_works, require_state
from dags.work.document import parsed
from dags.work.lease import leased

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.work.kinds import KindOfWork


# What `work_lease` makes a name of that no other id has, which ClickHouse and its files take beside a bid's token.
_WORK_ID = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")

# A run that has recorded its end gives its lease back when its last message is out, which takes ten seconds at most.
LAST_MOMENTS_SECONDS = 15.0

# So many characters of a run's id are enough for people, as long as no other begins so.
SHORT_ID = 8


def accept(
    log: Log, plan: str, requested_by: str, reason: str, *, planned_in: float, beside: Sequence[Entry] = ()
) -> None:
    """From here on the plan is frozen, and somebody's. ``planned_in``: the seconds that making it took.

    ``beside``: events of the kind's own that are recorded with it.

    Raises:
        UserError: the id names no lease of its own or is taken, or the plan could not be read back, so that nobody
            could go on with it. Nothing was touched.
    """
    require_who(requested_by, reason)
    work_id = log.work.work_id
    if not _WORK_ID.fullmatch(work_id):
        raise UserError(
            f"the id {work_id[:120]!r} cannot be that of work: give letters, digits and '-', a letter first, at most "
            "100 characters, for leases are named by it"
        )
    if (known := log.read()) is not None:
        raise UserError(f"{work_id} is in the log already, of kind {known.work.kind}: give another id")
    parsed(plan)
    log.append(
        Entry(
            Event.ACCEPTED,
            Status.ACCEPTED,
            requested_by=requested_by,
            reason=reason,
            payload=plan,
            seconds=planned_in,
        ),
        *beside,
    )


def asked_by(client: Client, kind: KindOfWork, run_id: str, is_of: Callable[[str], bool]) -> tuple[str, State | None]:
    """The id of what a run asks for, and its state where an earlier attempt of that run has asked for it already.

    The id is short as long as no other work has it: the first characters of the run's, and else the whole.
    ``is_of``: whether another run is an attempt of this one.
    """
    short, whole = f"{kind.word}-{run_id[:SHORT_ID]}", f"{kind.word}-{run_id}"
    known = read_state(client, short)
    if known is None or known.accepted.run_id == run_id or is_of(known.accepted.run_id):
        return short, known
    return whole, read_state(client, whole)


def refuse_resume(kind: KindOfWork, state: State) -> None:
    """Raises: UserError: there is nothing that could be resumed."""
    refuse_others(kind, state)
    if state.status not in RESUMABLE:
        raise UserError(
            f"{state.work_id} is {state.status}: only one that is not over can be resumed. Ask for a new one"
        )


def pause(client: Client, kind: KindOfWork, work_id: str, run_id: str, *, requested_by: str, reason: str) -> str:
    """Ask for a pause; what was asked for is in words."""
    return _ask(client, kind, work_id, run_id, Status.PAUSED, requested_by=requested_by, reason=reason)


def cancel(client: Client, kind: KindOfWork, work_id: str, run_id: str, *, requested_by: str, reason: str) -> str:
    """Ask for an end; work that no run carries out ends at once."""
    return _ask(client, kind, work_id, run_id, Status.CANCELLED, requested_by=requested_by, reason=reason)


def _ask(
    client: Client, kind: KindOfWork, work_id: str, run_id: str, status: Status, *, requested_by: str, reason: str
) -> str:
    require_who(requested_by, reason)
    known = require_state(client, kind, work_id)
    refuse_others(kind, known)
    _refuse_ask(kind, known, status)
    log = Log(client, known.work, run_id)
    try:
        with leased(client, kind, known.work, run_id, lambda _: None) as lease:
            state = require_state(client, kind, known.work_id)
            _refuse_ask(kind, state, status)
            # A cancel that was asked of a run which died is carried out now, and outranks a pause.
            is_late = as_it_is(client, state, is_held=True).status == Status.CANCELLED != status
            lease.confirm()
            ends = Status.CANCELLED if is_late else status
            cleared = ""
            if ends is Status.CANCELLED and kind.give_up is not None:
                # Asked first: who takes over while this stalls, or when it died, hears of it and does the same.
                log.append(Entry(Event.CONTROL, name=str(ends), requested_by=requested_by, reason=reason))
                _refuse_ask(kind, require_state(client, kind, known.work_id), ends)
                cleared = kind.give_up(client, state.work, run_id)
            log.append(Entry(Event.ENDED, ends, payload=reason, requested_by=requested_by, reason=reason))
            if is_late:
                raise UserError(f"{state.work_id} is {ends}, as was asked before: it cannot be {status}")
    except NoLeaseError:
        raise  # nobody is at work on it, and nobody would hear
    except LeaseError as error:
        log.append(Entry(Event.CONTROL, name=str(status), requested_by=requested_by, reason=reason))
        state = require_state(client, kind, known.work_id)
        if _has_ended(state, error.holder):
            return _heard_at_the_end(client, kind, known, run_id, status, requested_by=requested_by, reason=reason)
        _refuse_ask(kind, state, status)
        outranks = read_unheard(client, known.work_id).get(known.work_id, status)
        return f"ASKED    {known.work_id} ends its chunk, then it is {outranks}"
    return f"{status.upper():<8} {known.work_id}: no run carries it out, nothing more happens" + f"; {cleared}" * bool(
        cleared
    )


def _has_ended(state: State, run: str) -> bool:
    """Whether a run, as `run_key` has it, has recorded its end, and has yet to give its lease back."""
    last = [entry for entry in state.entries if entry.status][-1]
    return last.event == Event.ENDED and run_key(last.run_id) == run


def _heard_at_the_end(
    client: Client, kind: KindOfWork, known: State, run_id: str, status: Status, *, requested_by: str, reason: str
) -> str:
    """What came of a request that met the end of a run: whether it was heard, the log has when the lease is given back.

    What was not heard is settled by a finish, and asked anew of work that can be gone on with.
    """
    with (
        suppress(LeaseError),
        leased(client, kind, known.work, run_id, lambda _: None, wait_seconds=LAST_MOMENTS_SECONDS),
    ):
        pass
    state = require_state(client, kind, known.work_id)
    if state.status == status:
        return f"{status.upper():<8} {known.work_id}: its run heard of it in the end"
    return _ask(client, kind, known.work_id, run_id, status, requested_by=requested_by, reason=reason)


def _refuse_ask(kind: KindOfWork, state: State, status: Status) -> None:
    """Raises: UserError: it is over, or is taken back, so that there is nothing to pause or to cancel."""
    if state.status in FINISHED:
        raise UserError(f"{state.work_id} is {state.status}: it cannot be {status}")
    if state.status == Status.ROLLING_BACK:
        raise UserError(
            f"{state.work_id} is {state.status}: it cannot be {status}. {kind.undo_job} takes it to its end"
        )


def delete(client: Client, kind: KindOfWork, work_id: str, run_id: str, *, requested_by: str, reason: str) -> str:
    """Drop what is kept of it and leave it out of the lists; the audit keeps every event.

    ``work_id`` is whole, for nothing brings back what is dropped.

    Raises:
        LeaseError: a run acts on it, which is named. Nothing was touched.
        UserError: it is not over, or the id is not whole. Nothing was touched.
    """
    require_who(requested_by, reason)
    known = require_state(client, kind, work_id)
    if known.work_id != work_id:
        raise UserError(
            f"{kind.id_field} is {work_id!r}: a deletion cannot be undone, so give the whole id, {known.work_id}"
        )
    refuse_others(kind, known)
    with leased(client, kind, known.work, run_id, lambda _: None) as lease:
        state = as_it_is(client, require_state(client, kind, known.work_id), is_held=True)
        if state.status not in FINISHED:
            raise UserError(
                f"{state.work_id} is {state.status}: "
                + (
                    f"{kind.undo_job} takes it to its end, and needs what is kept for it"
                    if state.status == Status.ROLLING_BACK
                    else "cancel it first, then delete it"
                )
            )
        lease.confirm()
        # First who did it: what is dropped before that is gone, and nobody knows who wanted it so.
        entry = Entry(Event.ENDED, Status.DELETED, requested_by=requested_by, reason=reason)
        Log(client, state.work, run_id).append(entry)
        try:
            dropped = kind.discard(client, state.work)
        except ClickHouseError as error:
            raise UserError(
                f"{state.work_id} is {Status.DELETED} in the audit, and what is kept of it may be there yet: "
                f"{str(error)[:300]}. Run {kind.job('delete')} again, it drops the rest"
            ) from error
    return f"DELETED  {state.work_id}: {dropped}, the audit stays"


def listed(
    client: Client, kind: KindOfWork, *, only: str = "", subject: str = "", status: str = "", limit: int
) -> list[Row]:
    """The audit's rows, newest first; deleted ones only when they are asked for. ``only``: one of the kinds shown."""
    if limit < 1:
        raise UserError(f"limit is {limit}: give a whole number above 0")
    rows = as_they_are(client, read_works(client, kinds=[only] if only else kind.shown, subject=subject))
    wanted = [row for row in rows if (row.status == status if status else row.status != Status.DELETED)]
    return wanted[:limit]


def as_they_are(client: Client, rows: Iterable[Row]) -> list[Row]:
    """Rows of the audit with the status that lists have for them, how each ended last, and whether it is at work."""
    known, found = list(rows), list[Row]()
    if not known:
        return found
    living, unheard, endings = _living(client), read_unheard(client), read_endings(client)
    for row in known:
        is_at_work = _is_of(row, living)
        status = standing(row.status, unheard.get(row.work_id, ""), is_at_work=is_at_work)
        found.append(replace(row, status=status, end=endings.get(row.work_id), is_at_work=is_at_work))
    return found


def as_it_is(client: Client, state: State, *, is_held: bool = False) -> State:
    """A piece of work with the status that the list has for it; ``is_held``: by who asks, so no other is at work."""
    unheard = read_unheard(client, state.work_id).get(state.work_id, "")
    is_at_work = not is_held and _is_of(state, _living(client))
    return replace(state, status=standing(state.status, unheard, is_at_work=is_at_work))


def _living(client: Client) -> frozenset[str]:
    """The living runs that hold a lease, and the works that one of them holds, as the names of leases have them."""
    return frozenset(name for lease in living_leases(client) for name in (lease.run, lease.table))


def _is_of(known: Row | State, living: Collection[str]) -> bool:
    """Whether a living run is at work on it; work of another kind holds no lease of its own, but its run may."""
    return run_key(known.run_id) in living or work_lease(known.work_id)[0] in living


def require_who(requested_by: str, reason: str) -> None:
    """Raises: UserError: it is not said who asks, or why, or not in plain text."""
    require_texts({"reason": reason, "requested_by": requested_by}, required=("reason", "requested_by"))


def refuse_others(kind: KindOfWork, state: State) -> None:
    """Raises: UserError: it is of a kind that no person controls."""
    if state.work.kind != kind.name:
        what = kind.beside.get(state.work.kind, f"work of kind {state.work.kind!r}, which is no {kind.word}")
        raise UserError(f"{state.work_id} is {what}")
