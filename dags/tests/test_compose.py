"""What in `docker-compose.yml` would hurt the one who starts it, as far as the file itself can tell.

No container is started here. That the file is a valid one is Compose's own business, that the images exist the
registry's.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from dagster import Definitions

from dags.clickhouse.dsn import Dsn
from dags.settings import Settings, variable
from dags.tests.clickhouse_server import DOCKER_IMAGE

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "dags" / "deploy"
TEXT = (PROJECT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
PRODUCTION, LAPTOP = (
    yaml.safe_load(path.read_text()) for path in (DEPLOY / "dagster.yaml", PROJECT / ".dagster" / "dagster.yaml")
)

# `$$` is a dollar, `${NAME}`, `${NAME:-default}` and `${NAME:?message}` are values; a bare `$NAME` is a mistake.
DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\})?")


def interpolated(text: str) -> str:
    """The text as Compose hands it on, with nothing set."""

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        assert found["name"], f"'{text[found.start() :][:20]}': Compose takes this for a value; write $$"
        default = found["word"] if found["kind"] == "-" else None
        assert default is not None, f"{found['name']} has no default and nobody is told to set it"
        return default

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
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(images) >= {DOCKER_IMAGE}
    # PostgreSQL's versions have two numbers.
    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+|^postgres:\d+\.\d+$", image)] == []
    assert {image.split(":")[1] for image in images if image.startswith("clickhouse/")} == {DOCKER_IMAGE.split(":")[1]}


def test_what_the_image_is_built_from_is_there_and_locked_and_nothing_else_is_handed_to_docker() -> None:
    sources = [word for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()]
    assert sources == ["pyproject.toml", "uv.lock", "dags"]
    assert [source for source in sources if not (PROJECT / source).exists()] == []
    ignored = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored == ["*", *(f"!{source}" for source in sources), "**/__pycache__"]
    assert 'ARG GROUP=deploy\nRUN uv sync --locked --no-default-groups --group "$GROUP" ' in DOCKERFILE
    [uv] = re.findall(r"pip install --no-cache-dir uv==(\S+)", DOCKERFILE)
    locked = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    assert [package["version"] for package in locked if package["name"] == "uv"] == [uv]
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    # What tests run is what ships.
    assert all({"include-group": "deploy"} in groups[name] for name in ("dev", "kubernetes", "ecs"))


def test_the_image_is_not_roots_and_starts_by_an_entrypoint_that_may_be_executed() -> None:
    instructions = re.findall(r"^(USER|ENTRYPOINT) (.*)$", DOCKERFILE, re.MULTILINE)
    assert instructions[0] == ("USER", "10001")
    [entrypoint] = json.loads(instructions[1][1])
    assert entrypoint == "/opt/web-analytics/dags/deploy/entrypoint.sh"
    assert os.access(DEPLOY / "entrypoint.sh", os.X_OK)
    assert [name for name, service in OURS.items() if "entrypoint" in service or "user" in service] == []


def test_the_instance_in_production_is_that_of_the_checkout_with_postgresql_and_retries() -> None:
    more = {"storage": {"postgres": {"postgres_url": "postgresql+psycopg2://"}}}
    retries = {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
    assert more | {"run_retries": retries} | LAPTOP == PRODUCTION
    for service in OURS.values():
        assert {"source": "dagster", "target": "/var/lib/dagster/dagster.yaml"} in service["configs"]
        assert {"PGHOST", "PGUSER", "PGDATABASE", "POSTGRES_PASSWORD_FILE"} <= service["environment"].keys()
        assert service["environment"]["PGHOST"] in SERVICES
    postgres = SERVICES["postgres"]["environment"]
    shared = SERVICES["daemon"]["environment"]
    assert (postgres["POSTGRES_USER"], postgres["POSTGRES_DB"]) == (shared["PGUSER"], shared["PGDATABASE"])


def test_every_file_that_is_mounted_is_there_and_mounted_somewhere() -> None:
    assert [config["file"] for config in COMPOSE["configs"].values() if not (PROJECT / config["file"]).is_file()] == []
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert used == set(COMPOSE["configs"])
    # None is a directory of this machine.
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount.split(":")[0] for mount in mounts} == set(COMPOSE["volumes"])


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    """The secrets as the script makes them, by their names; it is run twice, which changes nothing."""
    script = tmp_path / "dags" / "deploy" / "secrets.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(DEPLOY / "secrets.sh", script)
    told = subprocess.run([script, "ada"], check=True, capture_output=True, text=True).stdout
    found = {path.name: path.read_text() for path in (tmp_path / ".secrets").iterdir()}
    assert subprocess.run([script], check=True, capture_output=True, text=True).stdout == ""
    assert found == {path.name: path.read_text() for path in (tmp_path / ".secrets").iterdir()}
    assert (tmp_path / ".secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / ".secrets").iterdir()} == {0o644}
    assert re.fullmatch(r"http://127.0.0.1:3000 user ada password \w{24}\n", told)
    return found


def test_every_secret_is_a_file_that_the_script_makes_and_no_service_has_more_than_it_needs(
    made: dict[str, str],
) -> None:
    assert {name: f".secrets/{name}" for name in made} == {
        name: secret["file"] for name, secret in COMPOSE["secrets"].items()
    }
    assert len(set(made.values())) == len(made)
    given = {name: set(service.get("secrets", [])) for name, service in SERVICES.items()}
    servers = {name for name, service in SERVICES.items() if service["image"] == DOCKER_IMAGE}
    assert given == {
        **{name: {"clickhouse_password", "clickhouse_cluster"} for name in servers},
        "clickhouse": {"clickhouse_password"},
        "keeper": set(),
        "postgres": {"postgres_password"},
        "apply-schema": {"postgres_password", "CLICKHOUSE_DSN"},
        "code-location": {"postgres_password", "CLICKHOUSE_DSN"},
        "webserver": {"postgres_password"},
        "daemon": {"postgres_password"},
        "proxy": {"proxy_users"},
    }
    ignored = (PROJECT / ".gitignore").read_text().splitlines()
    assert {".secrets/", ".env"} <= set(ignored)


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_an_environment(name: str) -> None:
    secrets = set(SERVICES[name].get("secrets", []))
    for variable_name, value in SERVICES[name].get("environment", {}).items():
        if variable_name.endswith("_FILE") and "PASSWORD" in variable_name:
            assert value.removeprefix("/run/secrets/") in secrets
        elif re.search(r"PASSWORD|SECRET|TOKEN|DSN", variable_name):
            # None hands on what the environment has, if it has it.
            assert value in (None, "/run/secrets"), f"{variable_name} holds a value"


def test_ports_are_open_to_this_machine_only_and_the_webserver_has_none() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"clickhouse", "clickhouse-1-1", "proxy"}
    assert [port for some in ports.values() for port in some if not port.startswith("127.0.0.1:")] == []
    assert not {"network_mode", "privileged"} & {key for service in SERVICES.values() for key in service}


def test_the_proxy_asks_for_a_password_and_leads_to_the_webserver() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    assert f"proxy_pass http://webserver:{option('webserver', '--port')};" in text
    [port] = SERVICES["proxy"]["ports"]
    assert f"listen {port.rsplit(':', 1)[1]};" in text
    assert "auth_basic_user_file /run/secrets/proxy_users;" in text


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_but_the_one_that_ends(name: str) -> None:
    assert ("healthcheck" in SERVICES[name]) == (SERVICES[name]["restart"] != "no")


@pytest.mark.parametrize("name", ["apply-schema", "code-location"])
def test_every_setting_is_handed_on_and_nothing_else(name: str) -> None:
    given = set(SERVICES[name]["environment"]) - set(SERVICES["daemon"]["environment"]) - {"DAGSTER_MODULE_NAME"}
    assert given == {variable(field) for field in Settings.model_fields} - {"CLICKHOUSE_DSN"}


def test_the_dsn_fits_the_server_that_is_started_beside_it(made: dict[str, str]) -> None:
    dsn = Dsn.parse(made["CLICKHOUSE_DSN"].strip())
    password = made["clickhouse_password"].strip()
    assert dsn == Dsn("clickhouse", "web_analytics", "", "clickhouse", 8123, "web_analytics", password)
    users = ET.parse(DEPLOY / "clickhouse" / "users.xml").getroot().find("users")  # noqa: S314 -- our own
    assert users is not None
    assert {user.tag for user in users} == {"default", dsn.user}
    # What the server hears of the password, by the words of its own entrypoint.
    hashing = SERVICES["clickhouse"]["entrypoint"][2].replace("$$", "$").splitlines()[0]
    heard = subprocess.run(
        ["/bin/bash", "-c", f'{hashing}; hashed "$0"', "/dev/stdin"],
        input=f"p&<'\"\\ %{password}\n",
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    assert heard == hashlib.sha256(f"p&<'\"\\ %{password}".encode()).hexdigest()


def test_the_cluster_is_the_servers_that_are_started_each_with_its_place_in_it() -> None:
    cluster = ET.parse(DEPLOY / "clickhouse" / "cluster.xml").getroot()  # noqa: S314 -- our own
    [shards] = cluster.findall("remote_servers/*")
    listed = {
        replica.findtext("host"): (str(shard), str(place))
        for shard, found in enumerate(shards.findall("shard"), 1)
        for place, replica in enumerate(found.findall("replica"), 1)
    }
    assert listed == {
        name: (service["environment"]["CLICKHOUSE_SHARD"], service["environment"]["CLICKHOUSE_REPLICA"])
        for name, service in SERVICES.items()
        if service.get("profiles") == ["cluster"] and name != "keeper"
    }
    assert len(listed) == 4
    assert all(SERVICES[str(name)]["hostname"] == name for name in listed)
    keeper = ET.parse(DEPLOY / "clickhouse" / "keeper.xml").getroot()  # noqa: S314 -- our own
    assert (
        cluster.findtext("zookeeper/node/host") == keeper.findtext(".//raft_configuration/server/hostname") == "keeper"
    )
    assert cluster.findtext("zookeeper/node/port") == keeper.findtext(".//tcp_port")
    assert f":{keeper.findtext('.//http_control/port')}/" in SERVICES["keeper"]["healthcheck"]["test"][-1]


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
    (entry,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    assert entry["grpc_server"] == {
        "host": "code-location",
        "port": int(option("code-location", "--port") or 0),
        "location_name": "dags.definitions",
    }


@pytest.mark.parametrize("name", ["webserver", "daemon"])
def test_who_has_a_workspace_is_not_told_a_module_too(name: str) -> None:
    # Both refuse to start with DAGSTER_MODULE_NAME beside --workspace (dagster 1.13).
    service = SERVICES[name]
    assert option(name, "--workspace") in [config["target"] for config in service["configs"]]
    assert "DAGSTER_MODULE_NAME" not in service["environment"]
    assert "DAGSTER_MODULE_NAME" not in DOCKERFILE


@pytest.mark.parametrize("profile", ["single", "cluster"])
@pytest.mark.parametrize("name", OURS)
def test_nothing_starts_before_the_tables_are_there(name: str, profile: str) -> None:
    started = {other for other, service in SERVICES.items() if profile in service.get("profiles", [profile])}
    waiting, found = [name], set()
    while waiting:
        needed = SERVICES[waiting.pop()].get("depends_on", {})
        assert [other for other, how in needed.items() if other not in started and how.get("required", True)] == []
        found |= {(other, how["condition"]) for other, how in needed.items() if other in started}
        waiting += needed.keys() & started
    servers = {other for other in started if SERVICES[other]["image"] == DOCKER_IMAGE}
    assert found >= {(other, "service_healthy") for other in (*servers, "postgres")}
    assert len(servers) == {"single": 1, "cluster": 4}[profile]
    assert name == "apply-schema" or ("apply-schema", "service_completed_successfully") in found
