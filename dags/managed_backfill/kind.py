"""Managed backfills as a kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.publish.backup import backup_name, drop_backup
from dags.publish.staging import fence_runs
from dags.work.audit.log import AUTOMATIC, MANAGED, MANUAL
from dags.work.kinds import KindOfWork

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.work.audit.log import Work


def _drop_backup(client: Client, work: Work) -> str:
    silent = drop_backup(client, backup_name(work.work_id, work.subject))
    left = f", but on {', '.join(silent)}, if it is there: sweep_backups_job drops it when its time is over"
    return f"its backup is dropped{left if silent else ''}"


BACKFILL = KindOfWork(
    MANAGED,
    "backfill",
    fence_runs,
    _drop_backup,
    subject="table",
    undo_job="rollback_backfill_job",
    resume_all_job="resume_all_backfills_job",
    beside={
        AUTOMATIC: "a run that the planner launched: it has no plan and no backup. End the run in the UI, or stop all "
        "of them with stop_all_backfills_job",
        MANUAL: "a build that a person launched: it has no plan and no backup. End its run in the UI",
    },
)
