"""The measured side of `dags.bench.coldstart`: a first look at tables that have nothing. Runs in a child."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance

from dags.bench.detecting import peak_bytes
from dags.bench.filling import NOW
from dags.bench.measuring import Run, answered
from dags.clickhouse.engine import open_client
from dags.repair.decision import Trigger
from dags.repair.requests.store import freeze
from dags.settings import current_settings
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.evaluation import evaluate, run_requests, teams_to_freeze
from dags.web_preaggregated_backfill.metadata import metadata

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from dagster import RunRequest

    from dags.detection.verdicts import Verdicts
    from dags.settings import Settings
    from dags.web_preaggregated_backfill.evaluation import Evaluation


def measure(*, ticks: int) -> dict[str, Any]:
    """Ticks of the sensor, one after the other and none of whose runs is made; the first is what is timed."""
    settings = current_settings()
    with (
        open_client(settings.clickhouse_dsn, wait_seconds=60, who="bench") as client,
        DagsterInstance.ephemeral() as instance,
    ):
        before = peak_bytes()
        runs: list[Run] = []
        unverified: list[int] = []
        for _ in range(ticks):
            (found, requests), run = answered(client, partial(_tick, instance=instance, settings=settings))
            runs.append(run)
            unverified.append(len(found.detection.unverified))
            if found.is_unknown:
                raise AssertionError(f"unknown: {found.detection.unknown}")
            if not unverified[-1]:
                break
    wrong = found.detection.wrong
    return {
        "seconds": [run.seconds for run in runs],
        "cpu": runs[0].cpu_seconds + runs[0].python_seconds,
        "cpu_in_engine": runs[0].cpu_seconds,
        "unverified": unverified,
        "wrong": len(wrong),
        "requests": len(requests),
        "config_bytes": max((len(json.dumps(one.run_config)) for one in requests), default=0),
        "bytes_held": _bytes_held(wrong),
        "peak_bytes": peak_bytes(),
        "bytes_before": before,
    }


def _tick(client: Client, instance: DagsterInstance, settings: Settings) -> tuple[Evaluation, list[RunRequest]]:
    found = evaluate(instance, settings, WEB_TABLES, Trigger.SENSOR, lambda work: work(client), now=NOW)
    metadata(found)
    requests = run_requests(found, "plan")
    freeze(client, "plan", teams_to_freeze(found))
    return found, requests


def _bytes_held(verdicts: Verdicts) -> int:
    """What the verdicts cost, whatever was needed on the way to them."""
    return sum(
        sys.getsizeof(one) + sys.getsizeof(one.__dict__) + sum(map(sys.getsizeof, one.columns.all()))
        for one in verdicts.groups
    )
