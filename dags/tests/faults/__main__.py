"""Run the trials and print the tally: ``python -m dags.tests.faults [--trials 200] [--seed 1] …``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

from dags.tests.faults.backfills import backfill_tally, backfill_trials
from dags.tests.faults.cluster_trials import cluster_tally, cluster_trials, running
from dags.tests.faults.dagster_runs import run_trials
from dags.tests.faults.files import FileSide, file_tally, file_trials
from dags.tests.faults.loads import Side, load_tally, load_trials
from dags.tests.faults.races import rounds
from dags.tests.faults.server import Server
from dags.tests.faults.swaps import swaps
from dags.tests.faults.trial import BrokenPromiseError, Fault, Trial
from dags.tests.faults.worker import hurried
from dags.tests.postgres_server import running_postgres
from dags.tests.s3_server import running_s3

if TYPE_CHECKING:
    from collections.abc import Callable

# Trials wait for much of their time; two cores carry two of them.
LANES = 2


def trials(servers: list[Server], count: int, first_seed: int, say: Callable[[str], None]) -> list[tuple[Trial, str]]:
    """So many trials, every fault in turn, on each server one at a time; each with what it broke, or nothing."""
    free: Queue[Server] = Queue()
    for server in servers:
        free.put(server)

    def one(number: int) -> tuple[Trial, str]:
        server = free.get()
        trial, broken = Trial(server, first_seed + number, list(Fault)[number % len(Fault)]), ""
        try:
            trial.run()
        except BrokenPromiseError as error:
            broken = f"seed {trial.seed}, {trial.fault}, {trial.step}: {error}"
            print(broken, flush=True)
        finally:
            free.put(server)
        return trial, broken

    done = []
    with ThreadPoolExecutor(len(servers)) as lanes:
        for result in lanes.map(one, range(count)):
            done.append(result)
            say(f"{len(done)} of {count} trials")
    return done


def tally(done: list[tuple[Trial, str]]) -> str:
    """How often each fault fell on each step, and what held."""
    by_fault: dict[str, list[tuple[Trial, str]]] = defaultdict(list)
    for trial, broken in done:
        by_fault[trial.fault].append((trial, broken))
    lines = [f"{'fault':<38} {'trials':>6} {'struck':>6} {'built':>6} {'stopped':>7} {'looks':>8} {'broken':>6}"]
    for fault, group in by_fault.items():
        struck = sum(trial.step != "-" or trial.outcome == "killed" for trial, _ in group)
        built = sum(trial.outcome == "built" for trial, _ in group)
        looks = sum(trial.looks for trial, _ in group)
        failed = sum(bool(words) for _, words in group)
        lines.append(
            f"{fault:<38} {len(group):>6} {struck:>6} {built:>6} {len(group) - built:>7} {looks:>8,} {failed:>6}"
        )
    steps = Counter(trial.step for trial, _ in done if trial.step != "-")
    lines += ["", "struck " + ", ".join(f"{step}: {count}" for step, count in steps.most_common())]
    failures = sum(bool(words) for _, words in done)
    looks = sum(trial.looks for trial, _ in done)
    lines += [
        "",
        f"{len(done)} trials: in {failures} something that must hold did not. Readers looked {looks:,} times and "
        + ("saw the old day or the new one." if not failures else "see above."),
    ]
    return "\n".join(lines)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trials", type=int, default=200)
    options.add_argument("--backfills", type=int, default=100)
    options.add_argument("--loads", type=int, default=200)
    options.add_argument("--files", type=int, default=200)
    options.add_argument("--runs", type=int, default=12)
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("--swaps", type=int, default=100)
    options.add_argument(
        "--cluster", type=int, default=0, help="trials on two shards of two replicas, and nothing else"
    )
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    started = time.monotonic()

    def say(words: str) -> None:
        print(f"… {time.monotonic() - started:4.0f} s  {words}", file=sys.stderr, flush=True)

    if given.cluster:
        with running() as cluster:
            on_cluster = cluster_trials(cluster, given.cluster, given.seed, say)
        print(cluster_tally(on_cluster))
        return int(any(words for _, words in on_cluster))

    with hurried(), ExitStack() as stack:
        servers, sides, s3 = [], [], stack.enter_context(running_s3())
        file_sides = []
        for _ in range(LANES):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
            directory.chmod(0o755)  # PostgreSQL is another user
            server = Server(directory / "clickhouse")
            stack.callback(server.stop)
            servers.append(server)
            sides.append(Side(server, stack.enter_context(running_postgres(directory / "postgres")), directory))
            file_sides.append(FileSide(server, s3, directory))
        done = trials(servers, given.trials, given.seed, say)
        print(tally(done))
        backfills = backfill_trials(servers, given.backfills, given.seed, say)
        print(backfill_tally(backfills))
        loads = load_trials(sides, given.loads, given.seed, say)
        print(load_tally(loads))
        files = file_trials(file_sides, given.files, given.seed, say)
        print(file_tally(files))
        try:
            runs = [_told(say, words) for words in run_trials(servers[0], given.runs)]
            print(f"{len(runs)} whole runs killed: the next tick that was due made every day whole.")
            raced = [_told(say, words) for words in rounds(servers[0], given.rounds)]
            print(f"{len(raced)} rounds of four that want the same days: none built twice at once, none forgotten.")
            looks = swaps(servers[0], given.swaps)
            print(f"{given.swaps} swaps: readers looked {looks:,} times and saw the old day or the new one.")
        except BrokenPromiseError as error:
            print(f"BROKEN: {error}")
            return 1
    return int(any(words for _, words in (*done, *backfills, *loads, *files)))


def _told(say: Callable[[str], None], words: str) -> str:
    say(words)
    return words


if __name__ == "__main__":
    sys.exit(main())
