"""Forgets what is history in ClickHouse: never what an answer is made of, whatever its age.

What is forgotten is deleted by mutations, of the ledger a month's partition at a time: parts are rewritten without it,
so that its bytes go too, which a lightweight delete leaves until a merge. No partition is swapped, for others append to
these tables meanwhile. What nobody can have in work is deleted as it is; a piece of work that a person
might go on with right now is deleted under its own lease, like everything else that is done to it.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.leases.rules import work_lease
from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.domain.batched import batched
from dags.domain.errors import LeaseError
from dags.publish.backup import backup_name, backup_names
from dags.retention.rules import WorkFacts
from dags.sources.loads.log import POSTGRES
from dags.work.audit.log import AUTOMATIC, MANAGED, MANUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.retention"

# Works are forgotten so many at a time, each under its lease: the day's own tables of leases stay few.
WORKS_AT_ONCE = 50

# Of these the log is how their rows are found again, and where the next incremental load begins.
TRACES_ROWS = frozenset({POSTGRES})

# Work that is a run and no more has no lease: nobody goes on with it.
_WITHOUT_LEASE = frozenset({AUTOMATIC, MANUAL})


@dataclass(frozen=True)
class Forgotten:
    """Rows that were forgotten, by table, or would be; in words what was left for another time; and how many pieces of
    work stay though their time is over, by why.
    """

    rows: dict[str, int] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    works_that_stay: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of_all(cls, found: Iterable[Forgotten]) -> Forgotten:
        """On several shards together."""
        rows, stay, left = Counter[str](), Counter[str](), dict[str, None]()
        for one in found:
            rows.update(one.rows)
            stay.update(one.works_that_stay)
            left |= dict.fromkeys(one.left)
        return cls(dict(rows), tuple(left), stay)


def read_facts(client: Client) -> tuple[tuple[WorkFacts, bool], ...]:
    """Every piece of work, and whether it has a backup, those to which nothing has happened for longest first.

    While a replica does not answer each may have one there.
    """
    backups, silent = backup_names(client)
    return tuple(
        (facts, facts.kind == MANAGED and (bool(silent) or backup_name(facts.work_id, facts.subject) in backups))
        for facts in (WorkFacts(*row) for row in Sql(_PACKAGE, client).rows("works"))
    )


def runs_in_use(works: Collection[tuple[WorkFacts, bool]]) -> frozenset[str]:
    """The runs of work with which somebody may go on, or that may be taken back."""
    return frozenset(run for facts, backed in works if facts.is_in_use(has_backup=backed) for run in facts.run_ids)


def forget(
    client: Client, before: datetime, run_id: str, *, until: float, dry_run: bool, tell: Callable[[str], None]
) -> Forgotten:
    """Forget what ended before an instant, as far as the time goes: oldest first.

    ``until``: of this process's clock, when to stop; what is left the next one forgets.
    """
    sql, rows, left = Sql(_PACKAGE, client), dict[str, int](), list[str]()
    bound = {"before": before}
    for table, counting, forgetting in (
        ("web_pre_aggregated_day_states", "old_day_states", "forget_day_states"),
        ("web_analytics_backfill_stops", "old_stops", "forget_stops"),
    ):
        [rows[table]] = sql.row(counting, bound)
        if rows[table] and not dry_run:
            sql.command(forgetting, bound)
    waivers = dict(sql.rows("old_waivers", {"day": before.date()}))
    rows["web_analytics_waivers"] = sum(waivers.values())
    if waivers and not dry_run:
        sql.command("forget_waivers", {"waiver_ids": sorted(waivers)})
    works = read_facts(client)
    over = [facts for facts, backed in works if facts.is_over(before, has_backup=backed, traces_rows=TRACES_ROWS)]
    rows["web_analytics_backfill_events"], later = _forget_works(client, over, before, run_id, until, dry_run, tell)
    in_use = sorted(runs_in_use(works))
    rows["web_pre_aggregated_builds"] = 0
    for month in (month for (month,) in sql.rows("months_of_builds", bound)):
        if time.monotonic() > until:
            left.append(f"builds of days from {month:%Y-%m} on")
            break
        of_month = {**bound, "start": month, "end": _next_month(month), "run_ids": in_use}
        [count] = sql.row("superseded_builds", of_month)
        if count and not dry_run:
            sql.command("forget_builds", {**of_month, "partition": int(f"{month:%Y%m}")})
        rows["web_pre_aggregated_builds"] += count
    old = [(facts, backed) for facts, backed in works if facts.last_at < before]
    why = Counter(facts.why_kept(has_backup=backed, traces_rows=TRACES_ROWS) for facts, backed in old)
    return Forgotten(rows, (*later, *left), Counter({words: count for words, count in why.items() if words}))


def _next_month(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def _forget_works(  # noqa: PLR0917 -- of `forget`, which has them by name
    client: Client,
    over: Sequence[WorkFacts],
    before: datetime,
    run_id: str,
    until: float,
    dry_run: bool,  # noqa: FBT001
    tell: Callable[[str], None],
) -> tuple[int, tuple[str, ...]]:
    """How many events of works that are over were forgotten; and in words what was left."""
    sql, count = Sql(_PACKAGE, client), 0
    for batch in batched(over, WORKS_AT_ONCE):
        if time.monotonic() > until:
            return count, (f"works to which nothing has happened since {batch[0].last_at:%Y-%m-%d}",)
        with Leases(client, run_id, wait_seconds=0, tell=tell) as leases:
            ids = [facts.work_id for facts in batch]
            if not dry_run:
                ids = _still_over(client, leases, batch, before, tell)
            count += int(sql.row("count_work_events", {"work_ids": ids})[0])
            if ids and not dry_run:
                sql.command("forget_works", {"work_ids": ids})
    return count, ()


def _still_over(
    client: Client, leases: Leases, batch: Sequence[WorkFacts], before: datetime, tell: Callable[[str], None]
) -> list[str]:
    """Those of some works whose leases are held now, where they have any, and to which nothing has happened since."""
    held = []
    for facts in batch:
        if facts.kind not in _WITHOUT_LEASE:
            try:
                leases.take(*work_lease(facts.work_id, facts.first_step))
            except LeaseError as error:
                tell(f"{facts.work_id} is kept: {error}")
                continue
        held.append(facts)
    now = {facts.work_id: (facts, backed) for facts, backed in read_facts(client)}
    still = []
    for facts in held:
        found, backed = now.get(facts.work_id, (facts, True))
        if found.is_over(before, has_backup=backed, traces_rows=TRACES_ROWS):
            with suppress(LeaseError):
                if facts.kind not in _WITHOUT_LEASE:
                    leases.confirm(*work_lease(facts.work_id, facts.first_step))
                still.append(facts.work_id)
    return still
