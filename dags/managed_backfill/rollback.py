"""Takes a managed backfill back: every day that it replaced is put back as it was, and read back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dags.domain.days import in_words
from dags.domain.errors import UserError
from dags.managed_backfill.kind import BACKFILL
from dags.managed_backfill.log import Days
from dags.managed_backfill.plan import from_yaml
from dags.managed_backfill.restoring import Restoring, built_since
from dags.publish.backup import backup_name, beside_backup
from dags.work.audit.log import Entry, Event, Status
from dags.work.audit.store import Log, require_state
from dags.work.control import refuse_others, require_who
from dags.work.lease import leased

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.work.audit.log import State


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
    begun: Callable[[str, Collection[date]], None] = lambda *_: None,
    day_restored: Callable[[str, str, date, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Restore every day that a backfill replaced, and read all of them back.

    ``begun`` hears of the table and of the days that may be otherwise from then on, whatever ends it. ``day_restored``
    hears of each day that was put back: the backfill, the table, the day, its rows.

    Raises:
        LeaseError: a run acts on it, which is named. Nothing was touched.
        UserError: it has taken no backup or has lost it, or others have built days since, and nothing was touched; or
            not every day is as it was, which ones the words say, and it can be done again.
        LeaseLostError: another run acts on it now, for this one was silent for too long.
    """
    require_who(requested_by, reason)
    known = require_state(client, BACKFILL, backfill_id)
    refuse_others(BACKFILL, known)
    client = beside_backup(client, backup_name(known.work_id, known.work.subject))
    with leased(client, BACKFILL, known.work, run_id, tell) as lease:
        state = require_state(client, BACKFILL, known.work_id)
        _refuse_rollback(state)
        plan = from_yaml(state.accepted.payload)
        table = next(one for one in watched if one.name == plan.scope.table)
        if not even_built_since and (since := built_since(client, plan, state)):
            was = "was" if len(since) == 1 else "were"
            raise UserError(
                f"{in_words(since)} of {table.name} {was} built since, by {', '.join(sorted(set(since.values())))}: a "
                "rollback would lose these builds. Nothing was touched; allow_losing_later_builds: true takes them "
                "back too"
            )
        log = Log(client, state.work, run_id)
        heard = partial(day_restored, state.work_id, table.name)
        restoring = Restoring(client, table, plan, state, log, lease, wait_seconds, tell, heard, even_built_since)
        comparable = restoring.comparable()
        lease.confirm()
        log.append(Entry(Event.STARTED, Status.ROLLING_BACK, requested_by=requested_by, reason=reason))
        begun(table.name, restoring.days.backed_up)
        restored = restoring.run(comparable)
        if restored.left or restored.failed:
            words = restored.in_words()
            lease.confirm()
            log.append(Entry(Event.ENDED, Status.ROLLING_BACK, payload=words[:1000]))
            raise UserError(
                f"{state.work_id} is not wholly rolled back:\n{words}\nRun rollback_backfill_job again; where "
                "others have written days since, allow_losing_later_builds: true takes these back too"
            )
        entry = Entry(Event.ENDED, Status.ROLLED_BACK, requested_by=requested_by, reason=reason)
        lease.confirm()
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
