"""The deployment files say what the code, the configurations and the formats they are written in say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serve_app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
RAY_SERVICE = yaml.safe_load((KUBERNETES / "rayservice.yaml").read_text())
CLUSTER = RAY_SERVICE["spec"]["rayClusterConfig"]
PODS = [CLUSTER["headGroupSpec"]["template"], *(group["template"] for group in CLUSTER["workerGroupSpecs"])]
KUBERNETES_VERSION = "1.31"


def test_the_ray_service_runs_the_cluster_configuration() -> None:
    assert RAY_SERVICE["spec"]["serveConfigV2"] == (ROOT / "configs/cluster.yaml").read_text()


def test_the_ray_service_names_the_locked_ray() -> None:
    locked = re.search(r"^ray\[?.*?==([\d.]+)", (ROOT / "requirements/run.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert CLUSTER["rayVersion"] == locked.group(1)


@pytest.mark.parametrize("pod", PODS, ids=["head", "worker"])
def test_pods_are_valid_and_have_no_rights(pod: dict[str, Any]) -> None:
    name = {**pod["metadata"], "name": "pod"}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": name, "spec": pod["spec"]}
    kubernetes_validate.validate(whole, KUBERNETES_VERSION, strict=True)
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    for container in pod["spec"]["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert not [each for each in container["env"] if re.search("KEY|TOKEN|PASSWORD|URL", each["name"])]


def test_the_other_objects_are_valid() -> None:
    objects = list(yaml.safe_load_all((KUBERNETES / "network.yaml").read_text()))
    for each in objects:
        kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)
    assert [each["kind"] for each in objects] == ["NetworkPolicy", "ServiceAccount", "Ingress"]


def test_a_wrong_object_would_be_noticed() -> None:
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"nome": "x"}]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES_VERSION, strict=True)


def test_kustomize_lists_every_file() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in KUBERNETES.iterdir())


def test_the_compose_file_sets_settings_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = COMPOSE["services"]["facegraph"]["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:\?[^}]*\}", "0123456789abcdef", value))
    settings = Settings()
    assert settings.storage.milvus_uri == "http://milvus:19530"
    assert settings.storage.blobs_url == "s3://facegraph/blobs"
    ours = {name for name in environment if name.startswith("FACEGRAPH_")}
    assert {name.split("__")[0].removeprefix("FACEGRAPH_").lower() for name in ours} <= set(Settings.model_fields)


def test_the_compose_file_opens_one_port_to_this_machine_only() -> None:
    services = COMPOSE["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"facegraph": ["127.0.0.1:${FACEGRAPH_PORT:-8000}:8000"]}
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    assert services["facegraph"]["read_only"]
    assert services["facegraph"]["cap_drop"] == ["ALL"]
    volumes = {mount.split(":")[0] for service in services.values() for mount in service.get("volumes", [])}
    assert volumes == set(COMPOSE["volumes"])
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)
        assert set(service["networks"]) <= set(COMPOSE["networks"])


def test_the_image_copies_what_there_is_and_runs_without_rights() -> None:
    lines = (DEPLOY / "docker/Dockerfile").read_text().splitlines()
    allowed = {line.removeprefix("!").rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY") and "--from" not in line]
    for name in (each.rstrip("/") for names in copied for each in names):
        assert (ROOT / name).exists()
        assert name in allowed
    assert "USER 10001" in lines


def test_every_panel_of_the_dashboard_asks_for_something() -> None:
    panels = json.loads((DEPLOY / "grafana/facegraph.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    assert all(target["expr"] for panel in panels for target in panel["targets"])
