"""Some of what `make faults-cluster` does at length, on two shards of two replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dagster import DagsterInstance

from dags.tests.faults.cluster import ClusterTrial
from dags.tests.faults.cluster_faults import Fault
from dags.tests.faults.cluster_shard import Shard
from dags.tests.faults.cluster_trials import SHARDS, running
from dags.tests.variants import require_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dags.tests.clickhouse_cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

# A trial draws when its fault falls, and may be over by then: so there are some, until one was struck.
TRIALS_UNTIL_STRUCK = 6


@pytest.fixture(scope="module")
def two_by_two() -> Iterator[Cluster]:
    require_cluster()
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shards(two_by_two: Cluster) -> list[Shard]:
    return [Shard(two_by_two, number) for number in range(SHARDS)]


@pytest.mark.parametrize("fault", [Fault.REPLICA_KILLED, Fault.SHARD_DOWN, Fault.KEEPER_PAUSED, Fault.BUILD_PAUSED])
def test_readers_of_every_replica_and_the_next_ticks_do_not_suffer_when(
    two_by_two: Cluster, shards: list[Shard], fault: Fault
) -> None:
    with DagsterInstance.ephemeral() as instance:
        for seed in range(TRIALS_UNTIL_STRUCK):
            trial = ClusterTrial(two_by_two, shards, instance, seed, fault)
            trial.run()
            assert trial.looks > 0
            if trial.step != "-":
                return
    pytest.fail("the fault never fell")
