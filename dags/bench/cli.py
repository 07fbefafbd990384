"""``dagster job execute`` of the jobs that answer in a terminal, as whole processes, against an empty job of the same
location.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dags.bench.child import environment, in_child, run
from dags.bench.figures import Beside, Spread, Told, paragraph, table, verdict
from dags.tests.clickhouse_server import require_or_skip_reason, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# As the demo has it.
TEAMS, DAYS, EVENTS_PER_TEAM_DAY, ROUNDS = 12, 15, 1250, 9
QUICK_DAYS, QUICK_EVENTS_PER_TEAM_DAY, QUICK_ROUNDS = 2, 50, 1

TARGET = 1.1

ANSWERS, OPENING_JOB, EMPTY_JOB = ("check_missing_data_job", "health_job"), "opening_job", "empty_job"
NAMED = {OPENING_JOB: "opening", EMPTY_JOB: "empty job"}
MODULES = {
    **dict.fromkeys(ANSWERS, "dags.definitions"),
    OPENING_JOB: "dags.bench.empty_job",
    EMPTY_JOB: "dags.bench.empty_job",
}


def cli(*, quick: bool, progress: Callable[[str], None]) -> Iterator[Told]:
    """Yield the text of the figures, engine by engine, and their lines."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        yield from _measured("embedded", f"chdb://{directory}/embedded", directory, quick=quick, progress=progress)
        if not quick and require_or_skip_reason() is None:
            with running_server(directory / "server") as server:
                yield from _measured("server", server.dsn("web_analytics"), directory, quick=quick, progress=progress)


def _measured(
    engine: str, dsn: str, directory: Path, *, quick: bool, progress: Callable[[str], None]
) -> Iterator[Told]:
    days, events, rounds = (
        (QUICK_DAYS, QUICK_EVENTS_PER_TEAM_DAY, QUICK_ROUNDS) if quick else (DAYS, EVENTS_PER_TEAM_DAY, ROUNDS)
    )
    variables = environment(directory / f"home-{engine}", dsn)
    progress(f"{engine}: building {days} days of {TEAMS} teams")
    in_child("world.make", variables, teams=TEAMS, days=days, events_per_team_day=events)
    in_child("world.live", variables)  # so that all is well, as on most days
    taken: dict[str, list[tuple[float, float]]] = {job: [] for job in MODULES}
    for number in range(rounds + 1):
        for job, found in taken.items():
            seconds = _once(job, variables)
            if number:  # the first of each compiles modules and makes the instance's files
                found.append(seconds)
                progress(f"{engine}, round {number} of {rounds}: {job} {seconds[0]:.2f} s")
    yield _text(engine, days, taken)
    for job in ANSWERS:
        for other, target in ((EMPTY_JOB, TARGET), (OPENING_JOB, None)):
            for which, words in enumerate(("", ", CPU")):
                ours, its = (Spread(tuple(one[which] for one in taken[name])) for name in (job, other))
                yield Beside(f"{job.removesuffix('_job')}, {engine}{words}", ours, NAMED[other], its, target)


def _once(job: str, variables: Mapping[str, str]) -> tuple[float, float]:
    """Seconds from start to end of the process, and its CPU seconds."""
    command = [sys.executable, "-m", "dagster", "job", "execute", "-j", job]
    before, started = _cpu_of_children(), time.perf_counter()
    run(command, {**variables, "DAGSTER_MODULE_NAME": MODULES[job]})
    return time.perf_counter() - started, _cpu_of_children() - before


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _text(engine: str, days: int, taken: Mapping[str, list[tuple[float, float]]]) -> str:
    wall = {job: Spread(tuple(seconds for seconds, _ in found)) for job, found in taken.items()}
    cpu = {job: Spread(tuple(seconds for _, seconds in found)) for job, found in taken.items()}
    empty, opening = wall[EMPTY_JOB], wall[OPENING_JOB]
    named = {OPENING_JOB: "one that opens the engine", EMPTY_JOB: "an empty one"}
    in_cpu = [f"{job} {cpu[job].over(cpu[EMPTY_JOB]).times}" for job in ANSWERS]
    ratios = {job: wall[job].over(empty) for job in ANSWERS}
    return "\n".join(
        [
            f"dagster job execute, a whole process: {TEAMS} teams, {days} days, {engine}",
            "",
            table(
                ["job", "seconds (min–max)", "CPU"],  # noqa: RUF001 -- a range
                [[named.get(job, job), wall[job].seconds, f"{cpu[job].median:.2f} s"] for job in MODULES],
            ),
            "",
            paragraph(
                f"""All in process and of the same code location, modules compiled. In CPU, which other work on the
                machine disturbs less: {", ".join(in_cpu)}. Loading and opening the engine is
                {opening.over(empty).times} the empty job by itself."""
            ),
            *(
                "  "
                + verdict(f"at most {TARGET} ×", f"{job}: {ratio.times} the empty job", is_met=ratio.median <= TARGET)
                for job, ratio in ratios.items()
            ),
        ]
    )
