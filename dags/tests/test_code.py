"""What keeps the code base as it is meant to be: who may import whom, and what the README must know."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from dags.definitions import defs
from dags.settings import Settings, read_settings, variable
from dags.tests import test_dagster
from dags.web_preaggregated.tables import JOB, OP, WEB_TABLES

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(path for path in (ROOT / "dags").rglob("*.py") if "tests" not in path.parts)

# The rooms of `dags/`, each with what it is for; one imports only from those above it.
ROOMS = {
    "domain": "the words that all rooms share; pure",
    "clickhouse": "how ClickHouse is reached and asked: engine, statements, failures, leases, schema, tables, replicas",
    "settings": "what the environment says",
    "schedules": "the timetable",
    "dagster_runs": "what Dagster's runs of this location share: tags, client, lock",
    "team_selection": "which teams are enabled",
    "detection": "what is wrong, and why; any watched table",
    "repair": "what to do about it; any watched table",
    "publish": "how a day reaches its readers: lease, fence, stage, compare, swap, read back, restore; any table",
    "work": "work of any kind that a person asks for: request, log, control, lease, runner, progress; runs that died",
    "sources": "what holds for late source data, whichever door it comes by: declaration, mapping, loads",
    "postgres_backfill": "late data from PostgreSQL: filters, what is read and how, plan, jobs",
    "file_ingestion": "late data from files: which are there, the ledger, loading and clearing them, jobs",
    "metrics": "how it has gone: success, gaps, time to repair and cost by week, the dashboard, a scraper's file",
    "web_preaggregated": "the two tables: declaration and builder",
    "web_preaggregated_backfill": "what is served: detector, sensor, checks, diagnostics, report, picture",
    "managed_backfill": "plans, gates and their jobs",
    "retention": "what is kept of what happened, and for how long: runs, events, history",
    "health": "is all well? facts, causes, targets; the answer, its page and the standing checks",
    "alerts": "tells people what health finds: what was told of it, channels, words, mutes",
    "definitions": "everything that is served, by name",
    "tests": "",
    "demo": "the main job on the embedded engine, with its traffic",
    "bench": "figures",
}
# A room may not know these, though they lie above it: it serves whatever comes.
APART = {"work": {"team_selection", "detection", "repair", "publish"}, "publish": {"work"}}
SAYS_PURE = "Pure: no clock, no database, no Dagster."
# Imports for types alone name clients there.
PURE_BUT_FOR_TYPES = ("report.py", "ticks.py", "why.py")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@cache
def imports(path: Path, *, at_run_time_only: bool = True) -> frozenset[str]:
    """The modules that a file imports; those under ``if TYPE_CHECKING`` are no imports at run time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    if at_run_time_only:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                skipped |= set(ast.walk(node))
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "dags").parts[0].removesuffix(".py")


def identifiers(path: Path) -> set[str]:
    """What a file gives a name: functions, classes, arguments, variables, attributes; as `_snake_case_`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                found.add(name)
    return {f"_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()}_" for name in found}


def test_imports_run_down_the_rooms_and_never_back() -> None:
    order = list(ROOMS)
    paths = [path for path in CODE if path.parent != ROOT / "dags" or path.name != "__init__.py"]
    back = {
        (named(path), name)
        for path in paths
        for name in imports(path, at_run_time_only=False)
        if name.startswith("dags.") and name.split(".")[1] not in order[: order.index(room(path)) + 1]
    }
    assert back == set()


@pytest.mark.parametrize("path", [p for p in CODE if room(p) in APART], ids=named)
def test_a_room_that_serves_whatever_comes_knows_none_of_it(path: Path) -> None:
    known = {name.split(".")[1] for name in imports(path, at_run_time_only=False) if name.startswith("dags.")}
    assert not known & APART[room(path)]
    if room(path) == "work":
        words = {word for name in identifiers(path) for word in name.split("_")}
        assert not words & {"day", "days", "team", "teams", "watched", "partition", "backfill", "backfills"}


def test_every_room_is_there_and_says_what_it_is_for() -> None:
    rooms = {path.name.removesuffix(".py") for path in (ROOT / "dags").iterdir() if not path.name.startswith("_")}
    # What is no code: why things are as they are, how they run in production, and the files for that.
    assert rooms - {"decisions", "deploy", "PRODUCTION.md"} == set(ROOMS)


PURE = [p for p in CODE if SAYS_PURE in p.read_text(encoding="utf-8") or p.name in PURE_BUT_FOR_TYPES]


def test_most_of_what_decides_is_pure() -> None:
    assert len(PURE) > 30


@pytest.mark.parametrize("path", PURE, ids=named)
def test_a_pure_module_knows_no_dagster_no_client_and_no_clock(path: Path) -> None:
    known = imports(path, at_run_time_only=path.name in PURE_BUT_FOR_TYPES)
    assert not {name for name in known if name.split(".")[0] in ("dagster", "clickhouse_connect", "chdb")}
    assert not {name for name in known if name.startswith("dags.domain.clock")}
    assert "now(" not in path.read_text(encoding="utf-8").replace("utc_now(", "now(")


def private_names(path: Path) -> set[str]:
    """What a file imports from modules that Dagster keeps for itself, under `TYPE_CHECKING` too."""
    known = {name for name in imports(path, at_run_time_only=False) if re.match(r"dagster\w*\.(\w+\.)*_", name)}
    # `from a._b import c` is known as `a._b` and as `a._b.c`: the longer one says what is leaned on.
    return {name for name in known if not any(other.startswith(f"{name}.") for other in known)}


def test_no_private_name_of_dagster_is_imported_but_those_that_are_pinned_with_who_leans_on_them() -> None:
    leaning: dict[str, set[str]] = {}
    for path in sorted((ROOT / "dags").rglob("*.py")):
        if path.name != "test_dagster.py":
            for name in private_names(path):
                leaning.setdefault(name, set()).add(room(path))
    # What tests use of what is pinned for the code needs no reason of its own.
    in_code = {name: rooms - {"tests"} or rooms for name, rooms in leaning.items()}
    assert in_code == {name: set(reasons) for name, reasons in test_dagster.PRIVATE.items()}


SHELL = (
    "assets.py",
    "checks.py",
    "jobs.py",
    "launchpad.py",
    "console.py",
    "sensors.py",
    "runs.py",
    "resource.py",
    "tags.py",
    "traces.py",
    "command.py",
    "events.py",
    "schema_jobs.py",
    "building.py",
    "evaluation.py",
    "metadata.py",
    "catalog.py",
    "last_verdict.py",
    "adoption.py",
    "instance.py",
    "own_checks.py",
    "shown_assets.py",
    "definitions.py",
)


SERVED = [path for path in CODE if not {"demo", "bench"} & set(path.parts)]


def test_only_the_shell_knows_dagster_so_that_a_ticks_child_starts_quickly() -> None:
    known = {(named(path), name) for path in SERVED if path.name not in SHELL for name in imports(path)}
    assert {one for one in known if one[1].split(".")[0] == "dagster"} == set()
    of_ours = {one for one in known if one[1].startswith("dags.")}
    assert {one for one in of_ours if f"{one[1].split('.')[-1]}.py" in SHELL[:3]} == set()


def test_nothing_but_the_demo_and_the_benchmarks_imports_the_definitions() -> None:
    known = {(named(path), name) for path in SERVED for name in imports(path)}
    assert {one for one in known if one[1].startswith(("dags.definitions", "dags.tests", "dags.demo"))} == set()


def test_a_module_fits_in_the_head() -> None:
    assert [named(path) for path in CODE if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_no_room_but_its_own_names_a_web_table_its_job_or_its_op() -> None:
    names = re.compile(rf"\b(?:{'|'.join([JOB, OP, *(table.name for table in WEB_TABLES)])})\b")
    # What is served, is shown and is measured by name; the files of the schema make the tables.
    free = {"web_preaggregated", "definitions", "demo", "bench", "tests"}
    sources = [path for path in sorted((ROOT / "dags").rglob("*.*")) if path.suffix in (".py", ".sql", ".graphql")]
    assert not {
        named(path)
        for path in sources
        if room(path) not in free and path.parent.name != "schema" and names.search(path.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_readme_has_every_setting_with_its_default(field: str) -> None:
    default = getattr(read_settings({}), field)
    if isinstance(default, Path):
        default = default.relative_to(ROOT)
    shown = {None: "unset", (): "unset"}.get(default, ",".join(default) if isinstance(default, tuple) else default)
    [row] = [line for line in README.splitlines() if line.startswith(f"| `{variable(field)}`")]
    if field != "clickhouse_dsn":
        assert f"| {shown} |" in row


def test_the_readme_names_everything_that_is_served() -> None:
    repository = defs.get_repository_def()
    served = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    served |= {schedule.name for schedule in repository.schedule_defs}
    served |= {sensor.name for sensor in repository.sensor_defs}
    served |= {key.to_user_string() for key in defs.resolve_all_asset_keys()}
    assert len(served) >= 12
    assert not {name for name in served if f"`{name}`" not in README}


def test_every_job_says_how_long_it_may_run_because_a_killed_run_stays_started() -> None:
    jobs = [job for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    assert not [job.name for job in jobs if "dagster/max_runtime" not in job.tags]


def test_sensor_and_schedules_run_without_being_switched_on() -> None:
    repository = defs.get_repository_def()
    statuses = [schedule.default_status.value for schedule in repository.schedule_defs]
    statuses += [sensor.default_status.value for sensor in repository.sensor_defs]
    assert statuses == ["RUNNING"] * 10


def test_the_top_level_holds_only_what_was_agreed() -> None:
    agreed = {
        "pyproject.toml", "workspace.yaml", "dags", "README.md", "docker-compose.yml", "Dockerfile",
        "Makefile", "uv.lock", "CHANGELOG.md", "LICENSE",
    }  # fmt: skip
    visible = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert visible - {"__pycache__"} == agreed
