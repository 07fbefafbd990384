"""What one way of doing something takes: by this process's clocks, and by the server's own log of its statements."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from dags.clickhouse.sql import Sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Run:
    """One way, measured once: ``cpu_seconds`` and ``peak_bytes`` are the server's, ``python_seconds`` this process's
    CPU; ``event_rows`` what the statements have read that read `events`.
    """

    seconds: float
    cpu_seconds: float
    python_seconds: float
    peak_bytes: int
    event_rows: int


def measured(client: Client, work: Callable[[Client], object]) -> Run:
    """What ``work(client)`` takes."""
    return answered(client, work)[1]


def answered(client: Client, work: Callable[[Client], Answer]) -> tuple[Answer, Run]:
    """What ``work(client)`` answers, and what it takes. Its statements are known by their comment, no other has it."""
    mark = f"bench-{uuid4().hex}"
    client.set_client_setting("log_comment", mark)
    started, began = time.perf_counter(), time.process_time()
    try:
        answer = work(client)
        seconds, python_seconds = time.perf_counter() - started, time.process_time() - began
    finally:
        client.set_client_setting("log_comment", "")
    client.command("SYSTEM FLUSH LOGS query_log")
    [(peak, cpu, event_rows)] = Sql("dags.bench", client).rows("statement_cost", {"way": mark})
    return answer, Run(seconds, float(cpu), python_seconds, int(peak), int(event_rows))
