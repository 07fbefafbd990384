"""What in `docker-compose.yml` would hurt the one who starts it, as far as the file itself can tell.

No container is started here. That the file is a valid one is Compose's own business, that the images exist the
registry's.
"""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import Definitions

from dags.clickhouse.dsn import Dsn
from dags.settings import Settings, variable
from dags.tests.clickhouse_server import DOCKER_IMAGE

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}

# What a person has to set; everything else has a default or may stay unset.
ENVIRONMENT = {"CLICKHOUSE_PASSWORD": "secret"}

# `$$` is a dollar, `${NAME}`, `${NAME:-default}` and `${NAME:?message}` are values; a bare `$NAME` is a mistake.
DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\})?")


def interpolated(text: str) -> str:
    """The text as Compose hands it on, given `ENVIRONMENT` and nothing else."""

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        assert found["name"], f"'{text[found.start() :][:20]}': Compose takes this for a value; write $$"
        default = found["word"] if found["kind"] == "-" else None
        given = ENVIRONMENT.get(found["name"], default)
        assert given is not None, f"{found['name']} has no default and nobody is told to set it"
        return given

    return DOLLAR.sub(value, text)


def option(service: str, *names: str) -> str | None:
    """The word after the first of these options in a service's command."""
    command = SERVICES[service].get("command", [])
    return next((command[command.index(name) + 1] for name in names if name in command), None)


def test_every_dollar_is_meant_for_compose_or_doubled() -> None:
    # A comment may show a shell command.
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    assert interpolated("\n".join(lines))


def test_every_image_has_a_whole_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    for service in OURS.values():
        images += re.findall(r"^FROM (\S+)", service["build"]["dockerfile_inline"], re.MULTILINE)
    assert set(images) >= {DOCKER_IMAGE}
    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+", image)] == []


def test_what_the_image_is_built_from_is_there_and_locked() -> None:
    for service in OURS.values():
        recipe = service["build"]["dockerfile_inline"]
        sources = [word for line in re.findall(r"^COPY (.+) \S+$", recipe, re.MULTILINE) for word in line.split()]
        assert sources == ["pyproject.toml", "uv.lock", "dags"]
        assert [source for source in sources if not (PROJECT / source).exists()] == []
        assert "uv sync --locked" in recipe
        assert [word for word in re.findall(r"pip install (.+)", recipe) if "==" not in word] == []


def test_what_is_mounted_from_the_project_is_there_and_read_only() -> None:
    mounts = {mount for service in SERVICES.values() for mount in service["volumes"] if mount.startswith(".")}
    assert mounts == {"./.dagster/dagster.yaml:/var/lib/dagster/dagster.yaml:ro"}
    assert (PROJECT / ".dagster" / "dagster.yaml").exists()


@pytest.mark.parametrize("name", SERVICES)
def test_a_secret_comes_from_the_environment_and_has_no_default(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    for variable_name, value in environment.items():
        if re.search(r"PASSWORD|SECRET|TOKEN", variable_name):
            # None hands on what the environment has, if it has it.
            assert value is None or re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{variable_name} holds a value"
        elif variable_name.endswith("DSN"):
            assert re.search(r":\$\{CLICKHOUSE_PASSWORD:\?[^}]+\}@", value), f"{variable_name} holds a password"
    assert "secret" not in TEXT.replace("WEB_ANALYTICS_SECRETS_DIRECTORY", "").lower()


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_only_what_runs_the_projects_code_gets_the_dsn() -> None:
    with_dsn = {name for name, service in SERVICES.items() if "CLICKHOUSE_DSN" in service.get("environment", {})}
    assert with_dsn == {"apply-schema", "code-location"}


@pytest.mark.parametrize("name", ["apply-schema", "code-location"])
def test_every_setting_is_handed_on_and_nothing_else(name: str) -> None:
    given = set(SERVICES[name]["environment"]) - {"DAGSTER_MODULE_NAME"}
    assert given == {variable(field) for field in Settings.model_fields}


def test_the_dsn_fits_the_server_that_is_started_beside_it() -> None:
    server = {key: interpolated(value) for key, value in SERVICES["clickhouse"]["environment"].items()}
    dsn = Dsn.parse(interpolated(SERVICES["code-location"]["environment"]["CLICKHOUSE_DSN"]))
    assert dsn == Dsn(
        "clickhouse",
        server["CLICKHOUSE_DB"],
        host="clickhouse",
        port=8123,
        user=server["CLICKHOUSE_USER"],
        password=server["CLICKHOUSE_PASSWORD"],
    )
    assert f"<{dsn.user}>" in interpolated(COMPOSE["configs"]["clickhouse-users"]["content"])


def test_the_module_and_the_job_that_the_commands_name_exist() -> None:
    modules = {option(name, "-m", "--module-name") for name in SERVICES} - {None}
    assert modules == {"dags.definitions"}
    assert find_spec("dags.definitions") is not None

    job = option("apply-schema", "-j", "--job")
    assert job is not None
    definitions = next(
        value for value in vars(importlib.import_module("dags.definitions")).values() if isinstance(value, Definitions)
    )
    assert definitions.resolve_job_def(job).name == job


def test_the_workspace_names_the_code_location_where_it_listens() -> None:
    (entry,) = yaml.safe_load(COMPOSE["configs"]["workspace"]["content"])["load_from"]
    assert entry["grpc_server"] == {
        "host": "code-location",
        "port": int(option("code-location", "--port") or 0),
        "location_name": "dags.definitions",
    }


@pytest.mark.parametrize("name", ["webserver", "daemon"])
def test_who_has_a_workspace_is_not_told_a_module_too(name: str) -> None:
    # Both refuse to start with DAGSTER_MODULE_NAME beside --workspace (dagster 1.13).
    service = SERVICES[name]
    assert [config["target"] for config in service["configs"]] == [option(name, "--workspace")]
    assert "DAGSTER_MODULE_NAME" not in service.get("environment", {})
    assert "DAGSTER_MODULE_NAME" not in service["build"]["dockerfile_inline"]


@pytest.mark.parametrize("name", OURS)
def test_nothing_starts_before_the_tables_are_there(name: str) -> None:
    waiting, found = [name], set()
    while waiting:
        needed = SERVICES[waiting.pop()].get("depends_on", {})
        found |= {(other, how["condition"]) for other, how in needed.items()}
        waiting += needed
    assert ("clickhouse", "service_healthy") in found
    assert name == "apply-schema" or ("apply-schema", "service_completed_successfully") in found
