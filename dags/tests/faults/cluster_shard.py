"""One shard of two replicas in a trial: its traffic, what is made wrong with it, and what each replica must show."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases.store import read_leases
from dags.clickhouse.replicas.rules import unusable
from dags.clickhouse.replicas.store import synced
from dags.domain.days import start_of
from dags.domain.errors import EngineError
from dags.publish.build import DayBuild
from dags.publish.staging import STAGING_PREFIX, sweep
from dags.team_selection.store import write_selection
from dags.tests.builds import LIMITS, TABLES
from dags.tests.events import Event, insert
from dags.tests.faults.trial import BrokenPromiseError, Seen, measured
from dags.tests.fold import fold, stored
from dags.tests.world import ago
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterator
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.tests.clickhouse_cluster import Cluster, ClusterServer

Unit = tuple[str, "date"]

DATABASE = "web_analytics"

# Days before today. Of those that trials add none may lie before what ticks judge.
FIRST_DAYS = (2, 3)
MOST_DAYS = 24

EMPTIED = (
    "events", "web_pre_aggregated_builds", "web_pre_aggregated_day_states", "web_pre_aggregated_part_states", *TABLES,
)  # fmt: skip

# Until servers that were killed are back, with all that was written meanwhile.
HEALED_SECONDS = 60.0


class Wrong(StrEnum):
    """What is wrong with a day before the builds."""

    NEVER_BUILT = "never built"
    LATE = "events came late"
    FIRST_LATE = "the first events of a team came late"
    DROPPED = "a table's day is dropped"
    TEAM_LOST = "a team's rows are lost"
    THINNED = "some of a team's rows are lost"


@dataclass
class Shard:
    """A shard of the cluster, and what its servers must hold. Days that a trial has made whole are the next one's."""

    cluster: Cluster
    number: int
    events: list[Event] = field(default_factory=list)
    # Days with traffic, all of them whole between trials.
    days: list[date] = field(default_factory=list)
    wrong: dict[date, Wrong] = field(default_factory=dict)
    allowed: dict[Unit, tuple[Seen, Seen]] = field(default_factory=dict)

    @property
    def teams(self) -> tuple[int, ...]:
        return tuple(self.number * 10 + one for one in range(1, 6))

    @property
    def servers(self) -> tuple[ClusterServer, ...]:
        return self.cluster.servers[self.number]

    def dsn(self, *ports: int) -> str:
        """All replicas, at these ports in this order."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports or [server.address.http_port for server in self.servers])
        return f"clickhouse://default@{hosts}/{DATABASE}?cluster={self.cluster.name}"

    def own_dsn(self, replica: int) -> str:
        """One server by itself, as readers know it."""
        return f"clickhouse://default@127.0.0.1:{self.servers[replica].address.http_port}/{DATABASE}"

    def _each(self) -> Iterator[tuple[ClusterServer, Client]]:
        for number, server in enumerate(self.servers):
            with open_client(Dsn.parse(self.own_dsn(number)), wait_seconds=5, answer_seconds=30) as client:
                yield server, client

    # --- The world before ----------------------------------------------------------------------------------------

    def begin_anew(self, dice: random.Random) -> None:
        """Nothing but two days, built."""
        self.events, self.days = [], [ago(number) for number in FIRST_DAYS]
        with open_client(Dsn.parse(self.dsn()), wait_seconds=30, answer_seconds=30) as client:
            for table in EMPTIED:
                client.command(f"TRUNCATE TABLE {table} SYNC")
            for _, host in self._each():
                for name in sorted(self._tables(host)):
                    if name.startswith(STAGING_PREFIX):  # of a trial that broke off
                        host.command(f"DROP TABLE {name} SYNC")
            write_selection(client, self.teams, allow_shrink=True)
            for day in self.days:
                self._bring(client, dice, self.teams[:-1], day, "old")
                asked = dict.fromkeys(TABLES, self.teams)
                built = DayBuild(client, day, asked, "before", LIMITS, tables=WEB_TABLES, wait_seconds=30).run()
                must(not built.problems, f"the world could not be made: {built.problems}")

    @property
    def is_full(self) -> bool:
        """Whether there is no other day to come."""
        return not self.days or len(self.days) > MOST_DAYS

    def prepare(self, dice: random.Random) -> None:
        """One day that was never built, or not; and one or none of those that were with something wrong."""
        before = {(table, day): measured_on(self.events, self.teams, day) for day in self.days for table in TABLES}
        spoilt = dice.choice(self.days)
        kind = dice.choice(list(Wrong)[1:]) if dice.random() < 0.7 else None
        touched: dict[date, set[int]] = {day: set() for day in self.days}
        self.wrong = {} if kind is None else {spoilt: kind}
        with open_client(Dsn.parse(self.dsn()), wait_seconds=30, answer_seconds=30) as client:
            if kind is not None:
                touched[spoilt] = self._spoil(client, dice, spoilt, kind)
            if kind is None or dice.random() < 0.5:
                new = min(self.days) - timedelta(days=1)
                self.days.append(new)
                self.wrong[new] = Wrong.NEVER_BUILT
                touched[new] = set(self.teams)
                self._bring(client, dice, self.teams[:-1], new, "old")
        for _, client in self._each():
            must(not unusable(synced(client, seconds=30.0)), "the world could not be made on every replica")
        self.untouched = {day: set(self.teams) - teams for day, teams in touched.items()}
        self.tables = [self._tables(client) for _, client in self._each()]
        # What readers see of each table's day: as it is now, or as its events have it.
        [first, second] = [look(client) for _, client in self._each()]
        must(first == second, f"replicas differ before anything happened: {first}, {second}")
        new_rows = {day: measured_on(self.events, self.teams, day) for day in self.days}
        self.allowed = {
            (table, day): (first.get((table, day), {}), new_rows[day]) for day in self.days for table in TABLES
        }
        others = {unit: seen for unit, (seen, _) in self.allowed.items() if unit[1] not in self.wrong}
        must(all(before[unit] == seen for unit, seen in others.items()), f"days were not whole before: {others}")
        self.bytes = [self._untouched_bytes(client) for _, client in self._each()]

    def _bring(self, client: Client, dice: random.Random, teams: Collection[int], day: date, kind: str) -> None:
        brought = [
            Event(
                team,
                start_of(day) + timedelta(minutes=dice.randint(0, 1438)),
                f"{kind}-{len(self.events)}-{number}",
                pathname=f"/{number % 3}",
            )
            for team in teams
            for number in range(dice.randint(1, 5))
        ]
        insert(client, brought)
        self.events += brought

    def _spoil(self, client: Client, dice: random.Random, day: date, kind: Wrong) -> set[int]:
        """Make something wrong with a day; the teams whose rows may change since."""
        table, there = dice.choice(TABLES), measured_on(self.events, self.teams, day)
        team = dice.choice(sorted(there))
        settings = {"alter_sync": 2, "mutations_sync": 2, "lightweight_deletes_sync": 2}
        of_team = f"team_id = {team} AND toDate(period_bucket) = '{day}'"
        if kind in (Wrong.LATE, Wrong.FIRST_LATE):
            absent = sorted(set(self.teams) - there.keys())
            teams = absent if kind is Wrong.FIRST_LATE and absent else dice.sample(sorted(there), 2)
            self._bring(client, dice, teams, day, "late")
            return set(teams)
        if kind is Wrong.DROPPED:
            client.command(f"ALTER TABLE {table} DROP PARTITION {day:%Y%m%d}", settings=settings)
            return set(self.teams)
        if kind is Wrong.THINNED:
            hour = client.command(f"SELECT toUnixTimestamp(min(period_bucket)) FROM {table} WHERE {of_team}")
            of_team += f" AND period_bucket = toDateTime({hour}, 'UTC')"
        client.command(f"DELETE FROM {table} WHERE {of_team}", settings=settings)
        return {team}

    def _tables(self, client: Client) -> set[str]:
        return {str(name) for (name,) in client.query("SHOW TABLES").result_rows}

    def _untouched_bytes(self, client: Client) -> Any:
        """The rows of days and teams with which nothing is wrong."""
        return {
            (table, day): client.query(
                f"SELECT groupArray(hash) FROM (SELECT cityHash64(*) AS hash FROM {table} WHERE toDate(period_bucket) "
                f"= '{day}' AND team_id IN ({', '.join(map(str, sorted(teams or {0})))}) ORDER BY ALL)"
            ).result_rows
            for day, teams in self.untouched.items()
            for table in TABLES
        }

    # --- What must hold ------------------------------------------------------------------------------------------

    def is_right_somewhere(self) -> bool:
        """Whether a replica that answers shows every day as its events have it."""
        for number in range(len(self.servers)):
            with (
                suppress(ClickHouseError, EngineError),
                open_client(Dsn.parse(self.own_dsn(number)), wait_seconds=1, answer_seconds=5) as client,
            ):
                seen = look(client)
                if all(seen[unit] == new for unit, (_, new) in self.allowed.items()):
                    return True
        return False

    def differences(self) -> list[str]:
        """Where a replica does not hold what the events come to; all tables, all days, nothing besides."""
        found = []
        for server, client in self._each():
            for table in TABLES:
                expected = {key: row for day in self.days for key, row in fold(self.events, day, table).items()}
                if stored(client, table) != expected:
                    found.append(f"{server!r} shows other rows of {table}")
        return found

    def wait_until_healed(self) -> None:
        """Until every server has its session with Keeper and all that the others have."""
        until, why = time.monotonic() + HEALED_SECONDS, "-"
        while time.monotonic() < until:
            with suppress(ClickHouseError, EngineError):
                why = "; ".join(words for _, client in self._each() for words in unusable(synced(client, seconds=5.0)))
                if not why:
                    return
            time.sleep(0.1)
        raise BrokenPromiseError(f"shard {self.number + 1} is not well {HEALED_SECONDS:.0f} s after all healed: {why}")

    def must_be_whole(self) -> None:
        """On every replica: rows as the events have them, others' bytes, one ledger; and nothing is left behind.

        Raises:
            BrokenPromiseError: what is not so.
        """
        with open_client(Dsn.parse(self.dsn()), wait_seconds=30, answer_seconds=30) as client:
            until = time.monotonic() + HEALED_SECONDS
            while any(not lease.is_dead(is_embedded=False) for lease in read_leases(client)):
                must(time.monotonic() < until, "a lease is held for ever")
                time.sleep(0.05)
            sweep(client, lambda _: None)
            must(not read_leases(client), f"leases are left behind: {read_leases(client)}")
        self.wait_until_healed()
        must(not (wrong := self.differences()), f"{wrong}")
        ledgers = list[Any]()
        for number, (server, client) in enumerate(self._each()):
            left = self._tables(client) ^ self.tables[number]
            must(not left, f"{server!r}: left behind, or lost: {left}")
            must(self._untouched_bytes(client) == self.bytes[number], f"{server!r}: rows that were right have changed")
            ledgers.append(client.query(_LEDGER).result_rows)
        must(ledgers[0] == ledgers[1], f"the ledgers of replicas differ: {ledgers}")
        self._must_be_recorded(ledgers[0])

    def _must_be_recorded(self, ledger: Any) -> None:
        """Of each unit that was ever built the ledger has as last built what readers see."""
        last = {(table, day, team): (sessions, views) for table, day, team, sessions, views in ledger}
        for (table, day), (_, new) in self.allowed.items():
            for team, seen in new.items():
                must(
                    last.get((table, day, team)) == seen,
                    f"the ledger has {last.get((table, day, team))} as built of {table} {day} team {team}: {seen}",
                )


_LOOK = " UNION ALL ".join(
    f"SELECT '{table}', toDate(period_bucket) AS day, team_id, uniqMerge(sessions_uniq_state), "
    f"sumMerge(pageviews_count_state) FROM {table} GROUP BY day, team_id"
    for table in TABLES
)

_LEDGER = """
SELECT table_name, day, team_id, argMax(sessions, finished_at), argMax(pageviews, finished_at)
FROM web_pre_aggregated_builds
WHERE outcome IN ('built', 'verified')
GROUP BY table_name, day, team_id
ORDER BY ALL
"""


def measured_on(events: Collection[Event], teams: Collection[int], day: date) -> Seen:
    """What readers see of a day, by team, told from the events alone; a team without a session is not there."""
    return {team: seen for team, seen in measured(list(events), teams, day).items() if seen != (0, 0)}


def look(client: Client) -> dict[Unit, Seen]:
    """What readers see of each table's days, by team: sessions and page views; no day without rows."""
    found = defaultdict[Unit, Seen](dict)
    for table, day, team, sessions, views in client.query(_LOOK).result_rows:
        found[table, day][team] = (sessions, views)
    return found


def must(holds: bool, words: str) -> None:  # noqa: FBT001 -- an assertion
    """
    Raises:
        BrokenPromiseError: it does not hold.
    """
    if not holds:
        raise BrokenPromiseError(words)
