"""The measured side of `dags.bench.postgres`: a backfill, and what it is compared with. Each runs in a child."""

from __future__ import annotations

import os
import time
import warnings
from typing import TYPE_CHECKING, Any

from dags.bench.detecting import peak_bytes
from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.engine import open_client
from dags.postgres_backfill.connection import Connection
from dags.postgres_backfill.execution import PostgresBackfill
from dags.postgres_backfill.fields import PostgresBackfillConfig
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.postgres_backfill.log import asked_entry, work_of
from dags.postgres_backfill.planning import make_plan
from dags.settings import current_settings
from dags.sources.file import read_sources
from dags.work import control
from dags.work.audit.store import Log
from dags.work.document import as_yaml
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from clickhouse_connect.driver.client import Client

PIPELINE, TABLE = "bench", "page_views"


def load(*, work_id: str, batch_size: int, parallelism: int, filter_sql: str) -> dict[str, Any]:
    """A backfill from the request to the end, every day attached; statements on the server carry its id."""
    settings = current_settings()
    asked = {
        "pipeline": PIPELINE,
        "table_name": TABLE,
        "filter_sql": filter_sql,
        "batch_size": batch_size,
        "parallelism": parallelism,
        "dry_run": False,
        "reason": "a benchmark",
        "requested_by": "bench",
    }

    def opened() -> AbstractContextManager[Client]:
        return open_client(settings.clickhouse_dsn, wait_seconds=60, who=work_id)

    with opened() as client:
        before, began = peak_bytes(), time.perf_counter()
        plan = make_plan(client, PostgresBackfillConfig.model_validate(asked), settings, os.environ).plan
        work = work_of(work_id, plan)
        control.accept(
            Log(client, work, work_id), as_yaml(plan), "bench", "a benchmark", planned_in=0, beside=[asked_entry(plan)]
        )
        pipeline = read_sources(settings).pipeline(PIPELINE)
        state = Runner(
            client=client,
            open_client=opened,
            kind=POSTGRES_BACKFILL,
            work=work,
            chunks=plan.ranges,
            worker=PostgresBackfill(
                plan,
                Connection.of(pipeline, os.environ),
                settings.build_max_seconds,
                moved=lambda _: None,
                attached=lambda _: None,
            ),
            run_id=work_id,
            ordered_at=read_clocks(client).server,
            listeners=Listeners(tell=lambda _: None, chunk_done=lambda *_: None, notify=lambda _: None),
            parallelism=parallelism,
        ).run()
        seconds = time.perf_counter() - began
    return {
        "status": state.status,
        "words": state.end.payload if state.end else "",
        "seconds": seconds,
        "bytes_before": before,
        "peak_bytes": peak_bytes(),
    }


def pandas(*, columns: list[str], rows: int, chunk: int, into: str, is_direct: bool) -> dict[str, Any]:
    """The first rows by pandas in chunks, as one writes it in ten lines: through SQLAlchemy and a cursor that stays in
    PostgreSQL, as its documentation has it; or, ``is_direct``, with a connection of psycopg, for which it warns.
    """
    import pandas as pd  # noqa: PLC0415 -- what it costs is the peer's
    import psycopg  # noqa: PLC0415
    import sqlalchemy  # noqa: PLC0415

    warnings.filterwarnings("ignore", "pandas only supports SQLAlchemy", UserWarning)
    dsn = os.environ["BENCH_POSTGRES_DSN"]
    engine = sqlalchemy.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))
    chosen = f"SELECT {', '.join(columns)} FROM {TABLE} WHERE id <= {rows:d}"  # noqa: S608 -- ours
    opened = psycopg.connect(dsn) if is_direct else engine.connect().execution_options(stream_results=True)
    with open_client(current_settings().clickhouse_dsn, wait_seconds=60, who="pandas") as client, opened as connection:
        began = time.perf_counter()
        for frame in pd.read_sql(chosen, connection, chunksize=chunk):  # type: ignore[arg-type]
            client.insert_df(into, frame)
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_bytes": peak_bytes()}
