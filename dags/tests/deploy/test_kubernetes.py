"""What ships for Kubernetes runs what docker-compose.yml runs: the same commands, of one image."""

from __future__ import annotations

from typing import Any

import yaml

from dags.tests.deploy.production import DEPLOY, SERVICES

OBJECTS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())["items"]
WORKLOADS = {found["metadata"]["name"]: found for found in OBJECTS if found["kind"] in ("Deployment", "Job")}


def pod_of(name: str) -> dict[str, Any]:
    pod: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return pod


def test_each_service_of_ours_has_its_command_and_nothing_else_has_one() -> None:
    ours = {name: service["command"] for name, service in SERVICES.items() if "build" in service}
    assert {name: pod_of(name)["containers"][0]["args"] for name in WORKLOADS} == ours
    assert {container["image"] for name in WORKLOADS for container in pod_of(name)["containers"]} == {"IMAGE"}
    # The entrypoint is the image's, which gives libpq its password.
    assert not [name for name in WORKLOADS if "command" in pod_of(name)["containers"][0]]


def test_there_is_one_daemon_and_one_code_location_and_never_a_second_while_the_first_ends() -> None:
    for name in ("daemon", "code-location"):
        spec = WORKLOADS[name]["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_every_pod_has_limits_and_no_root_and_those_that_stay_are_probed() -> None:
    for name, workload in WORKLOADS.items():
        pod, [container] = pod_of(name), pod_of(name)["containers"]
        assert pod["securityContext"] == {"runAsNonRoot": True}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}
        probes = {key for key in container if key.endswith("Probe")}
        assert bool(probes) == (workload["kind"] == "Deployment")
    checks = {name: SERVICES[name]["healthcheck"]["test"][1:] for name in ("code-location", "daemon")}
    assert pod_of("code-location")["containers"][0]["readinessProbe"]["exec"]["command"] == checks["code-location"]
    assert pod_of("daemon")["containers"][0]["livenessProbe"]["exec"]["command"] == checks["daemon"]


def test_only_what_runs_the_projects_code_gets_the_dsn_and_services_are_found_by_their_names() -> None:
    with_all = {name for name in WORKLOADS if "items" not in pod_of(name)["volumes"][0]["secret"]}
    assert with_all == {"apply-schema", "code-location"}
    services = {found["metadata"]["name"]: found["spec"] for found in OBJECTS if found["kind"] == "Service"}
    [entry] = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    assert services[entry["grpc_server"]["host"]]["ports"] == [{"port": entry["grpc_server"]["port"]}]
    for name, spec in services.items():
        assert spec["selector"] == WORKLOADS[name]["spec"]["selector"]["matchLabels"]
        assert spec["selector"] == WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
