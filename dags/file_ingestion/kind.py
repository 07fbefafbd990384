"""Runs of ingestions as a kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.sources.loads.landing import drop_tables, fence_loads
from dags.sources.loads.log import FILES
from dags.work.kinds import KindOfWork

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.work.audit.log import Work


def _drop(client: Client, work: Work) -> str:
    drop_tables(client, work.work_id)
    return "the files that it loaded stay, clear_files_job takes them out"


FILE_INGESTION = KindOfWork(FILES, "file-ingestion", fence_loads, _drop, subject="ingestion", show_job="show_files_job")
