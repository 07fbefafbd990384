"""The build of a day over two shards against that of one server with the same teams, in CPU, on this machine.

Here two shards share the cores of one, so that seconds say nothing of what a second machine gives. CPU does: what a
build over shards costs beyond one on a server is what sharding loses, and the rest is divided among machines.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.measuring import measured
from dags.bench.preaggregation import DAY, DIGESTS, TABLES, UnequalError, build
from dags.bench.traffic import load_day
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dags.bench.measuring import Run
    from dags.clickhouse.dsn import Dsn

TARGET = 1.05
WAYS = ("one server", "two shards")


def built_over_shards(
    ones: Sequence[Dsn], several: Dsn, *, teams: int, events: int, rounds: int, progress: Callable[[str], None]
) -> str:
    """The figure. ``ones`` is a database on the server of each shard; all get the same day, and a shard's half of it is
    copied from there.
    """
    for one in ones:
        with open_client(one, wait_seconds=60, create_database=True) as client:
            apply_schema(client, WEB_TABLES)
            count = load_day(client, DAY, teams, events)
    halves = [range(1, teams // 2 + 1), range(teams // 2 + 1, teams + 1)]
    for one, shard, half in zip(ones, several.shards, halves, strict=True):
        with open_client(shard, wait_seconds=60, create_database=True) as client:
            apply_schema(client, WEB_TABLES)
            bound = {"first": half[0], "last": half[-1]}
            Sql("dags.bench", client).command("copy_teams", bound, target="events", origin=one.database)
            client.command("OPTIMIZE TABLE events FINAL")
    builds = {WAYS[0]: [(ones[0], range(1, teams + 1))], WAYS[1]: [*zip(several.shards, halves, strict=True)]}
    cpu: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(1, rounds + 1):
        made = {}
        for way, places in builds.items():
            runs = [_built(dsn, half) for dsn, half in places]
            cpu[way].append(sum(run.cpu_seconds for run, _ in runs))
            made[way] = [sum(parts) % 2**64 for parts in zip(*(found for _, found in runs), strict=True)]
            progress(f"round {number} of {rounds}, {way}: {cpu[way][-1]:.2f} s of CPU")
        if made[WAYS[0]] != made[WAYS[1]] or not all(made[WAYS[0]]):
            raise UnequalError(f"the two ways build different groups, or none (numbers and digests): {made}")
    return _text(count, teams, {way: Spread(tuple(taken)) for way, taken in cpu.items()})


def _built(dsn: Dsn, teams: Sequence[int]) -> tuple[Run, list[int]]:
    """A build of these teams into empty tables, and of each how many groups it has, and their digest."""
    with open_client(dsn, wait_seconds=60) as client:
        for target in TABLES:
            client.command(f"TRUNCATE TABLE {target} SYNC")
        run = measured(client, partial(build, teams=teams))
        sql = Sql("dags.bench", client)
        return run, [int(number) for target in TABLES for number in sql.row(DIGESTS[target], target=target)]


def _text(events: int, teams: int, cpu: dict[str, Spread]) -> str:
    ratio = cpu[WAYS[1]].over(cpu[WAYS[0]])
    return "\n".join(
        [
            f"shards: one build of a day, {events:,} events of {teams:,} teams",
            "",
            table(
                ["where", "CPU seconds (min–max)", "a team"],  # noqa: RUF001 -- a range
                [[way, cpu[way].seconds, f"{1000 * cpu[way].median / teams:,.2f} ms"] for way in WAYS],
            ),
            "",
            paragraph(
                """CPU of all statements of the builds, from each server's own log. The tables of the shards are
                replicated, those of the one server are not; both ways make the same groups."""
            ),
            "  "
            + verdict(
                f"at most {TARGET} ×",
                f"{ratio.times} the CPU a team of one server",
                is_met=ratio.median <= TARGET,
            ),
        ]
    )
