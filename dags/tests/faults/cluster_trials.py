"""Runs trials on a cluster, and says what held."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections import Counter, defaultdict
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from clickhouse_connect.driver.exceptions import ClickHouseError
from dagster import DagsterInstance

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.domain.errors import UserError
from dags.tests import clickhouse_cluster
from dags.tests.faults.cluster import REPLICAS, TICKS, ClusterTrial, together
from dags.tests.faults.cluster_faults import Fault
from dags.tests.faults.cluster_shard import Shard
from dags.tests.faults.cluster_worker import hurried_among_replicas
from dags.tests.faults.trial import BrokenPromiseError
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dags.tests.clickhouse_cluster import Cluster

SHARDS = 2

# Sessions with the keeper: as short as it grants them where a busy machine does not lose them all the time.
SESSION_LIMIT = timedelta(seconds=4)


@contextmanager
def running() -> Iterator[Cluster]:
    """Two shards of two replicas with this project's schema, in this process as hurried as those that build."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(["dags.tests.faults.cluster_worker"])
    with (
        tempfile.TemporaryDirectory(prefix="faults-cluster-", dir=_in_memory()) as directory,
        mock.patch.object(clickhouse_cluster, "SESSION_LIMIT", SESSION_LIMIT),
        mock.patch.object(clickhouse_cluster, "ANSWER_LIMIT", SESSION_LIMIT / 2),
        clickhouse_cluster.running_cluster(Path(directory), SHARDS, REPLICAS) as cluster,
        hurried_among_replicas(),
    ):

        def migrate(shard: int) -> None:
            dsn = Dsn.parse(cluster.dsn("web_analytics", shard))
            with open_client(dsn, wait_seconds=5, create_database=True) as client:
                apply_schema(client, WEB_TABLES)

        together([0, 1], migrate)
        yield cluster


def _in_memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- a directory of ours is made in it


def cluster_trials(
    cluster: Cluster, count: int, first_seed: int, say: Callable[[str], None]
) -> list[tuple[ClusterTrial, str]]:
    """So many trials, every fault in turn; each with what it broke, or nothing.

    What happens in a trial is drawn from its seed; days that earlier ones have made whole stand beside.
    """
    done = []
    shards = [Shard(cluster, number) for number in range(SHARDS)]
    with DagsterInstance.ephemeral() as instance:
        for number in range(count):
            trial = ClusterTrial(cluster, shards, instance, first_seed + number, list(Fault)[number % len(Fault)])
            broken = ""
            try:
                trial.run()
            except (BrokenPromiseError, UserError, ClickHouseError) as error:
                kind = "" if isinstance(error, BrokenPromiseError) else f"{type(error).__name__}: "
                broken = f"seed {trial.seed}, {trial.fault}, {trial.step}: {kind}{error}\n    {trial.outcomes}"
                print(broken, flush=True)
                for shard in shards:
                    shard.days.clear()  # the next one begins anew
            done.append((trial, broken))
            spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in trial.seconds.items())
            ended = "BROKEN" if broken else f"whole after {trial.ticks} ticks, {trial.looks:,} looks"
            say(f"{len(done)} of {count} on a cluster: {trial.fault}, {trial.step}: {ended} ({spent} s)")
    return done


def cluster_tally(done: list[tuple[ClusterTrial, str]]) -> str:
    """How often each fault fell, and what held; ``whole``: the builds that it fell on had done all, no tick had to."""
    groups: dict[str, list[tuple[ClusterTrial, str]]] = defaultdict(list)
    for trial, broken in done:
        groups[trial.fault].append((trial, broken))
    ticks = [f"{'tick ' + str(number):>6}" for number in range(1, TICKS + 1)]
    head = f"{'fault on 2 x 2':<36} {'trials':>6} {'struck':>6} {'whole':>6} {' '.join(ticks)}"
    lines = [f"{head} {'unknown':>7} {'alarms':>6} {'looks':>8} {'broken':>6}"]
    for fault, group in groups.items():
        held = Counter(trial.ticks for trial, broken in group if not broken)
        struck = sum(trial.step != "-" for trial, _ in group)
        lines.append(
            f"{fault:<36} {len(group):>6} {struck:>6} "
            + " ".join(f"{held[number]:>6}" for number in range(TICKS + 1))
            + f" {sum(trial.unknown for trial, _ in group):>7} {sum(trial.alarms for trial, _ in group):>6} "
            + f"{sum(trial.looks for trial, _ in group):>8,} "
            + f"{sum(bool(broken) for _, broken in group):>6}"
        )
    looks = sum(trial.looks for trial, _ in done)
    failures = sum(bool(broken) for _, broken in done)
    steps = Counter(trial.step for trial, _ in done if trial.step != "-")
    saw = "the old day or the new one" if not failures else "what is said above"
    return "\n".join(
        [
            *lines,
            "",
            "struck before " + ", ".join(f"{step}: {count}" for step, count in steps.most_common()),
            "",
            f"{len(done)} trials on a cluster: in {failures} something that must hold did not.",
            f"Readers of all replicas looked {looks:,} times and saw {saw}.",
        ]
    )
