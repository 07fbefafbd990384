"""What ships for Kubernetes and ECS, judged by the launchers' own code, of the versions in the lock file.

No cluster is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
import yaml

from dags.tests.deploy.production import DEPLOY, SERVICES
from dags.tests.deployment import ROOT

pytestmark = pytest.mark.slow(minutes=2)

# Prints what each would do. A word that a launcher's schema, Dagster's or Kubernetes' own models do not know is an
# error.
JUDGE = """
import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterRun
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config


def instance_of(base: str, launcher: str) -> dict[str, Any]:
    '''Both files, one behind the other, as Dagster reads them; it raises at what its own schema does not know.'''
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "dagster.yaml").write_text(base + launcher)
        return dict(dagster_instance_config(home)[0])


def launcher_config(instance: dict[str, Any]) -> dict[str, Any]:
    '''What the launcher's own schema makes of its part, defaults included.'''
    named = instance["run_launcher"]
    launcher = getattr(import_module(named["module"]), named["class"])
    found = process_config(resolve_to_config_type(launcher.config_type()), named["config"])
    assert found.success, found.errors
    return dict(found.value or {})


def job_of_a_run(config: dict[str, Any]) -> dict[str, Any]:
    '''The Job that the launcher would create, by its own code and without a cluster.'''
    import dagster_k8s.launcher
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
    from dagster_k8s.launcher import K8sRunLauncher
    from kubernetes import client

    dagster_k8s.launcher.load_kubernetes_config = lambda **_: None
    launcher = K8sRunLauncher(
        **config, k8s_client_batch_api=client.BatchV1Api(), k8s_client_core_api=client.CoreV1Api()
    )
    context = K8sContainerContext.create_for_run(DagsterRun(job_name="any"), launcher, include_run_tags=False)
    job = construct_dagster_k8s_job(
        job_config=context.get_k8s_job_config(job_image="IMAGE", run_launcher=launcher),
        args=["dagster", "api", "execute_run", "..."],
        job_name="dagster-run-1",
        pod_name="dagster-run-1",
        component="run_worker",
        user_defined_k8s_config=UserDefinedDagsterK8sConfig.from_dict(context.run_k8s_config.to_dict()),
    )
    return dict(client.ApiClient().sanitize_for_serialization(job))


def kinds_of(objects: list[dict[str, Any]]) -> list[str]:
    '''Of each object its kind; Dagster's own reader of such objects raises at a word that Kubernetes' model has not.'''
    from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
    from kubernetes import client

    groups = {"v1": "V1", "apps/v1": "V1", "batch/v1": "V1", "policy/v1": "V1", "rbac.authorization.k8s.io/v1": "V1"}
    for found in objects:
        model = getattr(client, groups[found["apiVersion"]] + found["kind"])
        k8s_model_from_dict(model, k8s_snake_case_dict(model, found))
    return [found["kind"] for found in objects]


def judged(base: str, launcher: str, manifest: str) -> dict[str, Any]:
    config = launcher_config(instance_of(base, launcher))
    if not manifest:
        return {"config": config}
    return {"config": config, "job": job_of_a_run(config), "kinds": kinds_of(yaml.safe_load(manifest)["items"])}


answers = []
for case in json.load(sys.stdin):
    try:
        answers.append(judged(*case))
    except Exception as error:
        answers.append(repr(error))
print(json.dumps(answers, default=str))
"""

LAUNCHERS = ("kubernetes", "ecs")


BASE, MANIFEST = (DEPLOY / "dagster.yaml").read_text(), (DEPLOY / "kubernetes.yaml").read_text()
# A launcher, and a word in its files with one that nobody knows.
MISTAKES = (
    ("kubernetes", "job_namespace:", "job_namespaces:"),
    ("kubernetes", "termination_grace_period_seconds", "termination_grace_period"),
    ("kubernetes", "minAvailable:", "minimumAvailable:"),
    ("ecs", "secrets_tag:", "secret_tag:"),
    ("ecs", "valueFrom:", "value_from:"),
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Any]:
    """What each launcher makes of its file, and of the same with a mistake; an error is a text.

    They are in an environment of their own, with what they need, as the lock file has it.
    """
    place = tmp_path_factory.mktemp("launchers") / "venv"
    groups = [word for name in LAUNCHERS for word in ("--only-group", name)]
    command = ["uv", "sync", "--frozen", "--system-certs", "--quiet", "--compile-bytecode", *groups]
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(place)})
    cases: list[tuple[str, ...]] = [*((name,) for name in LAUNCHERS), *MISTAKES]
    given = []
    for name, *change in cases:
        texts = [(DEPLOY / f"{name}-launcher.yaml").read_text(), MANIFEST if name == "kubernetes" else ""]
        changed = [text.replace(change[0], change[1]) for text in texts] if change else texts
        assert not change or changed != texts
        given.append([BASE, *changed])
    done = subprocess.run(
        [place / "bin" / "python", "-c", JUDGE], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    return dict(zip(cases, json.loads(done.stdout), strict=True))


def test_kubernetes_gets_a_job_for_a_run_with_our_secrets_and_time_to_end(
    judged: dict[tuple[str, ...], Any],
) -> None:
    told, objects = judged["kubernetes",], yaml.safe_load(MANIFEST)["items"]
    assert told["kinds"] == [found["kind"] for found in objects]
    job = told["job"]["spec"]
    pod, [container] = job["template"]["spec"], job["template"]["spec"]["containers"]
    # No command, so the image's entrypoint gives libpq its password; no second try by Kubernetes beside Dagster's own.
    assert ("command" in container, job["backoffLimit"], pod["restartPolicy"]) == (False, 0, "Never")
    assert pod["serviceAccountName"] in {
        found["metadata"]["name"] for found in objects if found["kind"] == "ServiceAccount"
    }
    assert [source["configMapRef"]["name"] for source in container["envFrom"]] == ["web-analytics"]
    assert container["env"] == [{"name": "DAGSTER_HOME", "value": "/var/lib/dagster"}]
    assert container["volumeMounts"] == [{"mountPath": "/run/secrets", "name": "secrets", "readOnly": True}]
    assert pod["volumes"] == [{"name": "secrets", "secret": {"secretName": "web-analytics"}}]
    assert (pod["terminationGracePeriodSeconds"], pod["securityContext"]) == (120, {"runAsNonRoot": True})
    [budget] = [found for found in objects if found["kind"] == "PodDisruptionBudget"]
    assert budget["spec"]["selector"]["matchLabels"].items() <= job["template"]["metadata"]["labels"].items()


def test_ecs_gets_secrets_by_name_and_no_others(judged: dict[tuple[str, ...], Any]) -> None:
    config = judged["ecs",]["config"]
    assert [secret["name"] for secret in config["secrets"]] == ["CLICKHOUSE_DSN", "PGPASSWORD"]
    assert config["secrets_tag"] is None
    assert set(config["env_vars"]) >= {name for name in SERVICES["daemon"]["environment"] if name.startswith("PG")}


@pytest.mark.parametrize("mistake", MISTAKES, ids=" ".join)
def test_a_word_that_nobody_knows_is_found(judged: dict[tuple[str, ...], Any], mistake: tuple[str, str, str]) -> None:
    found = judged[mistake]
    assert isinstance(found, str)
    assert mistake[2].strip(":").replace("_", "").lower() in found.replace("_", "").lower()
