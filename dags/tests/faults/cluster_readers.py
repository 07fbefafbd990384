"""Readers of one replica, who look on while builds of its days fail."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.domain.errors import EngineError
from dags.tests.builds import TABLES
from dags.tests.faults.cluster_shard import Unit, look

if TYPE_CHECKING:
    from dags.tests.faults.cluster_shard import Shard
    from dags.tests.faults.trial import Seen

# Often enough to see a hole of some milliseconds on four servers, and seldom enough to leave the machine to the builds.
LOOK_EVERY_SECONDS = 0.03


class ReplicaReaders:
    """Look at every day on one replica all the time: the old day or the new one, whole, and never the old one again."""

    def __init__(self, shard: Shard, replica: int) -> None:
        self._shard = shard
        self._dsn = Dsn.parse(shard.own_dsn(replica))
        self._name = repr(shard.servers[replica])
        self._over = threading.Event()
        self._had_new = defaultdict[Unit, bool](bool)
        self.looks = 0
        self.wrong: list[str] = []
        self._thread = threading.Thread(target=self._look_on)
        self._thread.start()

    def end(self) -> int:
        """Stop looking; how often they looked."""
        self._over.set()
        self._thread.join()
        return self.looks

    def _look_on(self) -> None:
        while not self._over.is_set():
            # A server that is down shows nobody anything.
            self._over.wait(0.05)
            with (
                suppress(ClickHouseError, EngineError),
                open_client(self._dsn, wait_seconds=1, answer_seconds=2) as client,
            ):
                while not self._over.is_set():
                    seen = look(client)
                    for unit in self._shard.allowed.keys() | seen.keys():
                        self._judge(unit, seen[unit])
                    self.looks += len(TABLES)
                    time.sleep(LOOK_EVERY_SECONDS)

    def _judge(self, unit: Unit, seen: Seen) -> None:
        old, new = self._shard.allowed.get(unit, ({}, {}))
        if seen == new:
            self._had_new[unit] = True
        elif seen != old:
            self.wrong.append(f"{self._name}: {unit[0]} of {unit[1]}: {seen}, neither {old} nor {new}")
        elif self._had_new[unit]:
            self.wrong.append(f"{self._name}: {unit[0]} of {unit[1]}: the old day once more, {seen} after {new}")
