"""The deployment files agree with the code, the configurations and the schemas of their formats."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError
from ray.scripts.scripts import start as ray_start
from ray.serve.schema import ServeDeploySchema

import serve_app
from serve_app.process_environment import NODE_ENVIRONMENT, QUIET
from serve_app.runtime_folder import LONGEST
from serve_app.settings import Settings
from tests.deploy.kuberay import RayService

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
RAY_SERVICE = yaml.safe_load((KUBERNETES / "rayservice.yaml").read_text())
KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
RESOURCES = KUSTOMIZATION["resources"]
CLUSTER = RAY_SERVICE["spec"]["rayClusterConfig"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
PODS = [group["template"] for group in GROUPS]
NAMES = ["head", "worker", "gpu-worker"]
IMAGES = {"facegraph", "facegraph-cuda"}
KUBERNETES_VERSION = "1.31"
UV = Path(sys.executable).parent / "uv"


def test_the_ray_service_runs_the_cluster_configuration() -> None:
    assert RAY_SERVICE["spec"]["serveConfigV2"] == (ROOT / "configs/cluster.yaml").read_text()


def test_the_ray_service_is_one() -> None:
    RayService.model_validate(RAY_SERVICE)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.rayClusterConfig.enableInTreeAutoscaler", True),  # misspelt
        ("spec.serveConfig", "applications: []"),  # of v1alpha1
        ("spec.rayClusterConfig.headGroupSpec.rayStartParams.num-cpus", 0),  # not a string
        ("spec.rayClusterConfig.autoscalerOptions.upscalingMode", "Fast"),
    ],
)
def test_a_wrong_ray_service_would_be_noticed(path: str, value: Any) -> None:
    wrong = copy.deepcopy(RAY_SERVICE)
    *parents, last = path.split(".")
    part = wrong
    for parent in parents:
        part = part[parent]
    part[last] = value
    with pytest.raises(ValidationError) as refused:
        RayService.model_validate(wrong)
    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [path]


def test_the_ray_service_names_the_locked_ray() -> None:
    locked = re.search(r"^ray\[?.*?==([\d.]+)", (ROOT / "requirements/run.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert CLUSTER["rayVersion"] == locked.group(1)


@pytest.mark.parametrize("pod", PODS, ids=NAMES)
def test_pods_are_valid_and_have_no_rights(pod: dict[str, Any]) -> None:
    name = {**pod["metadata"], "name": "pod"}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": name, "spec": pod["spec"]}
    kubernetes_validate.validate(whole, KUBERNETES_VERSION, strict=True)
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    for container in pod["spec"]["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert "env" not in container  # what is secret comes from the Secret, all else from the configuration
        assert container["envFrom"] == [{"secretRef": {"name": "facegraph"}}]


@pytest.mark.parametrize("pod", PODS, ids=NAMES)
def test_a_restricted_namespace_takes_the_pods(pod: dict[str, Any]) -> None:
    """Kubernetes' Pod Security Standard `restricted`, of the autoscaler beside the head as well."""
    of_pod = pod["spec"]["securityContext"]
    assert of_pod["runAsNonRoot"]
    assert of_pod["seccompProfile"]["type"] == "RuntimeDefault"
    autoscaler = CLUSTER["autoscalerOptions"]
    for container in [*pod["spec"]["containers"], *pod["spec"]["initContainers"], autoscaler]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}}
    beside = {name: value for name, value in autoscaler.items() if name in ("resources", "securityContext")}
    container = {**beside, "name": "autoscaler", "volumeMounts": autoscaler["volumeMounts"]}
    spec = {"containers": [container], "volumes": PODS[0]["spec"]["volumes"]}
    kubernetes_validate.validate({**whole, "spec": spec}, KUBERNETES_VERSION, strict=True)


def test_workers_are_spread_over_the_machines() -> None:
    for pod in PODS[1:]:
        (constraint,) = pod["spec"]["topologySpreadConstraints"]
        assert constraint["topologyKey"] == "kubernetes.io/hostname"
        assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"  # one machine must do
        assert constraint["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("group", GROUPS, ids=NAMES)
def test_rays_files_are_in_a_private_folder(group: dict[str, Any]) -> None:
    """Ray opens its own folders to all users; the operators' page names the place."""
    (maker,) = group["template"]["spec"]["initContainers"]
    *command, folder = maker["command"]
    assert command == ["install", "-d", "-m", "0700"]
    assert group["rayStartParams"]["temp-dir"] == f"{folder}/ray"
    assert len(folder) <= LONGEST
    (mount,) = maker["volumeMounts"]
    (container,) = group["template"]["spec"]["containers"]
    assert mount in container["volumeMounts"]
    assert folder.startswith(f"{mount['mountPath']}/")
    assert f"`{folder}/ray/session_latest/...`" in (ROOT / "docs/operations.md").read_text()


@pytest.mark.parametrize("group", GROUPS, ids=NAMES)
def test_rays_objects_fit_into_the_shared_memory_of_the_pods(group: dict[str, Any]) -> None:
    (memory,) = (each for each in group["template"]["spec"]["volumes"] if each["name"] == "memory")
    limit = int(memory["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
    assert int(group["rayStartParams"]["object-store-memory"]) <= limit / 2


def test_gpu_workers_ask_for_a_gpu_and_cost_nothing_without_need() -> None:
    group = GROUPS[NAMES.index("gpu-worker")]
    (container,) = group["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"].startswith("facegraph-cuda:")
    assert (group["replicas"], group["minReplicas"]) == (0, 0)


def test_images_are_named_by_version() -> None:
    """One that moves, as `latest` does, makes two pods of one file differ."""
    kinds = ("containers", "initContainers")
    of_pods = [container["image"] for pod in PODS for kind in kinds for container in pod["spec"][kind]]
    of_services = [service["image"] for service in COMPOSE["services"].values() if "build" not in service]
    bases = [name for name in re.findall(r"^FROM (\S+)", dockerfile(), re.MULTILINE) if name != "scratch"]
    for image in [*of_pods, *of_services, *bases]:
        assert re.search(r":\D*\d+\.\d|:RELEASE\.\d{4}", image), image
    assert {image.partition(":")[0] for image in of_pods} == IMAGES
    assert {image.partition(":")[2] for image in of_pods} == {serve_app.__version__}
    assert {(image["name"], image["newTag"]) for image in KUSTOMIZATION["images"]} == {
        (name, serve_app.__version__) for name in IMAGES
    }


@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        ("network.yaml", ["NetworkPolicy", "NetworkPolicy", "ServiceAccount", "Ingress"]),
        ("availability.yaml", ["PodDisruptionBudget"]),
    ],
)
def test_the_other_objects_are_valid(file: str, kinds: list[str]) -> None:
    objects = list(yaml.safe_load_all((KUBERNETES / file).read_text()))
    for each in objects:
        kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)
    assert [each["kind"] for each in objects] == kinds


def test_the_operators_page_names_the_labels_and_the_secrets() -> None:
    page = (ROOT / "docs/operations.md").read_text().split("### Kubernetes", 1)[1]
    labels = set(re.findall(r"facegraph\.io/\w+", (KUBERNETES / "network.yaml").read_text()))
    secrets = set(re.findall(r"\b(?:FACEGRAPH_STORAGE__|AWS_)\w+", (KUBERNETES / "rayservice.yaml").read_text()))
    assert len(labels) == 3
    assert [name for name in labels | secrets if name not in page] == []


def test_the_disruption_budget_is_of_the_workers() -> None:
    budget = yaml.safe_load((KUBERNETES / "availability.yaml").read_text())
    wanted = budget["spec"]["selector"]["matchLabels"].items()
    assert [wanted <= pod["metadata"]["labels"].items() for pod in PODS] == [False, True, True]
    # A worker without a replica is not ready, and would keep its node from being emptied for ever.
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_ray_is_started_with_options_that_it_has() -> None:
    known = {option.removeprefix("--") for each in ray_start.params for option in each.opts}
    for group in GROUPS:
        assert group["rayStartParams"].keys() <= known


@pytest.mark.parametrize("pod", PODS, ids=NAMES)
def test_pods_have_both_probes(pod: dict[str, Any]) -> None:
    """Or versions of KubeRay put in their own, which run a program that the image does not have."""
    for container in pod["spec"]["containers"]:
        assert container.keys() >= {"readinessProbe", "livenessProbe"}


@pytest.mark.parametrize("pod", PODS, ids=NAMES)
def test_probes_and_scrapes_find_open_ports(pod: dict[str, Any]) -> None:
    policy = next(yaml.safe_load_all((KUBERNETES / "network.yaml").read_text()))
    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", [])}
    for container in pod["spec"]["containers"]:
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert set(ports.values()) <= allowed
        for probe in (container[name] for name in ("readinessProbe", "livenessProbe") if name in container):
            assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports


@pytest.mark.parametrize("name", ["local", "gpu", "cluster"])
def test_configurations_are_files_that_serve_deploy_takes(name: str) -> None:
    ServeDeploySchema.model_validate(yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text()))


def test_the_fewest_workers_have_room_for_the_fewest_replicas_and_an_update() -> None:
    arguments = yaml.safe_load(RAY_SERVICE["spec"]["serveConfigV2"])["applications"][0]["args"]
    stages = [each["serve"] for each in arguments.values() if isinstance(each, dict) and "serve" in each]
    assert len(stages) == 5
    needed = sum(stage["autoscaling"]["min_replicas"] * stage["num_cpus"] for stage in stages)
    workers, _ = CLUSTER["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    room = workers["minReplicas"] * int(container["resources"]["requests"]["cpu"])
    assert room >= needed + max(stage["num_cpus"] for stage in stages)


def test_a_wrong_object_would_be_noticed() -> None:
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"nome": "x"}]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES_VERSION, strict=True)


def test_kustomize_lists_every_file() -> None:
    listed = [*RESOURCES, "kustomization.yaml", "head-recovery"]
    assert sorted(listed) == sorted(path.name for path in KUBERNETES.iterdir())


def rendered(folder: Path, **changed: Any) -> tuple[list[dict[str, Any]], str]:
    """The objects that kustomize makes of a copy of the files in ``folder``, and their text."""
    copied = shutil.copytree(KUBERNETES, folder / "kubernetes")
    (copied / "kustomization.yaml").write_text(yaml.safe_dump({**KUSTOMIZATION, **changed}))
    command = ["kubectl", "kustomize"] if shutil.which("kubectl") else ["kustomize", "build"]
    if shutil.which(command[0]) is None:
        pytest.skip("neither kubectl nor kustomize is installed (Debian: kubernetes-client)")
    done = subprocess.run([*command, copied], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return list(yaml.safe_load_all(done.stdout)), done.stdout


def test_kustomize_renders_every_object(tmp_path: Path) -> None:
    mine = [{"name": name, "newName": f"registry.example/{name}", "newTag": "1.2.3"} for name in sorted(IMAGES)]
    objects, text = rendered(tmp_path, images=mine)
    written = [each for file in RESOURCES for each in yaml.safe_load_all((KUBERNETES / file).read_text())]
    assert sorted(map(named, objects)) == sorted(map(named, written))
    (service,) = (each for each in objects if each["kind"] == "RayService")
    RayService.model_validate(service)
    assert service["spec"]["serveConfigV2"] == RAY_SERVICE["spec"]["serveConfigV2"]
    used = {f"{image['newName']}:{image['newTag']}" for image in mine}
    assert set(re.findall(r"image: (\S+)", text)) == used


def test_kustomize_lets_ray_survive_its_head(tmp_path: Path) -> None:
    assert "# components: [head-recovery]" in (KUBERNETES / "kustomization.yaml").read_text()
    objects, _ = rendered(tmp_path, components=["head-recovery"])
    (service,) = (each for each in objects if each["kind"] == "RayService")
    options = RayService.model_validate(service).spec.ray_cluster_config.gcs_fault_tolerance_options
    assert options is not None
    assert options.redis_address == "redis:6379"
    (policy,) = (
        each for each in objects if each["metadata"]["name"] == "facegraph" and each["kind"] == "NetworkPolicy"
    )
    kubernetes_validate.validate(policy, KUBERNETES_VERSION, strict=True)
    assert 6379 in {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", [])}


def named(each: dict[str, Any]) -> tuple[str, str]:
    """Kind and name of a Kubernetes object."""
    return each["kind"], each["metadata"]["name"]


def compose_schema() -> Any:
    """A validator of the schema of compose files, which check-jsonschema carries."""
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    return jsonschema.validators.validator_for(schema)(schema)


def test_the_compose_file_is_one() -> None:
    assert [error.message for error in compose_schema().iter_errors(COMPOSE)] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("helthcheck", {}), ("read_only", 1), ("depends_on", {"postgres": {"condition": "healthy"}})],
)
def test_a_wrong_compose_file_would_be_noticed(field: str, value: Any) -> None:
    wrong = copy.deepcopy(COMPOSE)
    wrong["services"]["facegraph"][field] = value
    assert not compose_schema().is_valid(wrong)


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
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"])  # one that grows ends itself, not its neighbours
        assert set(service.get("depends_on", [])) <= set(services)
        assert set(service["networks"]) <= set(COMPOSE["networks"])


def dockerfile() -> str:
    """Without comments, each command on one line."""
    lines = (DEPLOY / "docker/Dockerfile").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")


def copied_paths() -> list[str]:
    """What the image takes from the repository."""
    lines = [line for line in dockerfile().splitlines() if line.startswith("COPY") and "--from" not in line]
    return [name.rstrip("/") for line in lines for name in line.split()[1:-1]]


def test_the_image_copies_what_there_is_and_runs_without_rights() -> None:
    allowed = {line.removeprefix("!").rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    for name in copied_paths():
        assert (ROOT / name).exists()
        assert name in allowed
    assert "USER 10001" in dockerfile().splitlines()


def test_the_image_has_what_it_runs_compiled() -> None:
    """On a read-only root each process would compile Ray, pandas and all else again: it took 17 of 46 s of a start."""
    last = dockerfile().rpartition("\nFROM ")[2]
    (command,) = re.findall(r"^RUN (.* -m compileall .*)$", last, re.MULTILINE)
    assert "--invalidation-mode unchecked-hash" in command  # times of files may change on the way into a layer
    assert 'sysconfig.get_path("stdlib")' in command
    assert command.removesuffix(" || true").split()[-1] == "/opt/facegraph"
    for copied in re.findall(r"^COPY --from=build \S+ (\S+)", last, re.MULTILINE):
        assert last.index(f" {copied}\n") < last.index(command), "compiled before it was there"
    assert last.index(command) < last.index("USER 10001")


def test_the_image_writes_into_its_volume_alone() -> None:
    """compose.yaml and Kubernetes run it on a read-only file system."""
    settings = dict(
        re.findall(r"\b(FACEGRAPH_\w+)=(\S+)", dockerfile().rpartition("\nFROM ")[2].partition("\nUSER")[0])
    )
    assert "VOLUME /data" in dockerfile().splitlines()
    for name in ("FACEGRAPH_DATA_DIR", "FACEGRAPH_MODEL_CACHE_DIR"):
        assert Path(settings[name]).is_relative_to("/data"), name


def test_the_image_has_the_environment_that_every_process_needs() -> None:
    variables = dict(re.findall(r"\b((?:RAY|ORT)_\w+)=(\S+)", dockerfile().rpartition("\nFROM ")[2]))
    assert variables == QUIET | NODE_ENVIRONMENT


def test_containers_leave_that_environment_alone() -> None:
    """They get it from the image; what is set for a container would take its place."""
    pods = [container for pod in PODS for container in pod["spec"]["containers"]]
    named = {entry["name"] for container in pods for entry in container.get("env", [])}
    assert not (named | COMPOSE["services"]["facegraph"]["environment"].keys()) & (QUIET | NODE_ENVIRONMENT).keys()


def test_what_the_image_copies_suffices_to_install_the_service(tmp_path: Path) -> None:
    """The Dockerfile's last installation, from a copy of what it copies: the models and configurations are in it."""
    source, target = tmp_path / "src", tmp_path / "installed"
    for name in copied_paths():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, source / name)
    assert "--no-deps --no-build-isolation ." in dockerfile()
    install = [UV, "pip", "install", "--no-deps", "--no-build-isolation", "--python", sys.executable, "--offline"]
    subprocess.run([*install, "--target", target, source], check=True, capture_output=True, timeout=400)
    code = "from serve_app.vision import catalogue; catalogue.Catalogue.load(); print(catalogue.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.startswith(str(target))
    bundled = target / "serve_app/_bundled"
    for folder in ("models", "configs"):
        shipped = {path.name for path in (ROOT / folder).iterdir()}
        assert {path.name for path in (bundled / folder).iterdir()} == shipped


def locked(name: str) -> dict[str, str]:
    """Version of each package in a lock file."""
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^ ;\\\n]+)", text, re.MULTILINE))


def test_the_image_has_the_versions_that_are_tested() -> None:
    run, dev, image, cuda = (locked(f"{name}.lock") for name in ("run", "dev", "image", "image-cuda"))
    assert run.items() <= image.items() <= cuda.items()
    assert {name for name in dev.keys() & cuda.keys() if dev[name] != cuda[name]} == set()
    assert {"s3fs", "opentelemetry-exporter-otlp-proto-http"} <= image.keys()
    assert {name for name in cuda.keys() - image.keys() if not name.startswith("nvidia-")} == set()
    used = re.findall(r"requirements/([\w$:{}+-]+\.lock)", dockerfile())
    assert used == ["tools.lock", "image${CUDA:+-cuda}.lock"]


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("Prometheus is not installed (Debian: prometheus)")
    rules = Path(__file__).with_name("alerts.yml")
    done = subprocess.run([program, "test", "rules", rules], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r'alertname="(\w+)"', rules.read_text()))
    shipped = set(re.findall(r"alert: (\w+)", (DEPLOY / "prometheus/alerts.yml").read_text()))
    assert tested == shipped


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-kubernetes.yml"])
def test_prometheus_takes_its_configuration(name: str, tmp_path: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("Prometheus is not installed (Debian: prometheus)")
    config = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())
    for scrape in config["scrape_configs"]:
        if pods := scrape.pop("kubernetes_sd_configs", None):  # Debian's Prometheus is built without it
            assert pods == [{"role": "pod"}]
    file = tmp_path / name
    file.write_text(yaml.safe_dump(config))
    shutil.copy(DEPLOY / "prometheus/alerts.yml", tmp_path)
    done = subprocess.run([program, "check", "config", file], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_finds_the_pods_and_keeps_the_same_series_everywhere() -> None:
    here, there = (
        yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["scrape_configs"][0]
        for name in ("prometheus.yml", "prometheus-kubernetes.yml")
    )
    assert there["metric_relabel_configs"] == here["metric_relabel_configs"]
    keep = there["relabel_configs"][0]["regex"].split(";")
    for pod in PODS:
        assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == keep[0]
        for container in pod["spec"]["containers"]:
            assert keep[1] in {port["name"] for port in container["ports"]}


def test_the_operators_page_has_every_alert_and_every_metric() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    (group,) = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    alerts = {rule["alert"] for rule in group["rules"]}
    assert alerts == set(re.findall(r"\bFacegraph[A-Z]\w+", page.split("## Alerts", 1)[1].split("\n## ", 1)[0]))
    assert all(rule["annotations"].keys() == {"summary", "description"} for rule in group["rules"])
    source = (ROOT / "serve_app/observability/metrics.py").read_text()
    for name in re.findall(r'\b(?:Counter|Gauge|Histogram)\(\s*"facegraph_(\w+)"', source):
        assert re.search(rf"^\| `{name}(_total)?`", page, re.MULTILINE), f"{name} is missing"


def test_every_panel_of_the_dashboard_asks_for_something() -> None:
    panels = json.loads((DEPLOY / "grafana/facegraph.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    assert all(target["expr"] for panel in panels for target in panel["targets"])
