"""The graph as it is handed to Ray Serve: built, not run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve import Application
from ray.serve.deployment import Deployment
from ray.serve.schema import ServeDeploySchema

from serve_app.app import build
from serve_app.process_environment import QUIET
from serve_app.resources import resource_dir
from serve_app.settings import Topology, load_settings
from serve_app.settings.serve_file import read_serve_file

SERVERS = {"milvus_uri": "http://127.0.0.1:19530", "database_url": "postgresql+psycopg://user@127.0.0.1/faces"}


CONFIGURATIONS = ("local", "gpu", "cluster")
STAGES = ("Ingress", "Detector", "Liveness", "Embedder", "Matcher")


def arguments(name: str) -> dict[str, Any]:
    """What a shipped configuration file hands to :func:`build`."""
    file = yaml.safe_load((resource_dir("configs") / f"{name}.yaml").read_text())
    found: dict[str, Any] = file["applications"][0]["args"]
    return found


def stages(name: str) -> tuple[str, ...]:
    """The deployments of a shipped configuration."""
    return STAGES if load_settings(arguments(name)).topology is Topology.DISTRIBUTED else ("Ingress",)


def written(name: str, stage: str) -> dict[str, Any]:
    """The options of a deployment as the file has them, under Serve's names. Those that it leaves out are not here."""
    options = dict(arguments(name)[stage.lower()]["serve"])
    resources = {key: float(options.pop(key)) for key in ("num_cpus", "num_gpus") if key in options}
    return {"autoscaling_config": options.pop("autoscaling"), "ray_actor_options": resources, **options}


def picked(options: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that are among the wanted ones, in each part of them."""
    return {
        key: picked(options[key], value) if isinstance(value, dict) else options[key] for key, value in wanted.items()
    }


def deployments(args: dict[str, Any]) -> dict[str, Deployment]:
    """By name."""
    top = build(args)._bound_deployment
    bound = [*top.init_args, *top.init_kwargs.values()]
    return {each.name: each for each in (top, *(a._bound_deployment for a in bound if isinstance(a, Application)))}


@pytest.mark.parametrize(
    ("topology", "storage", "alone"),
    [
        ("single", {}, {"Ingress"}),
        ("single", SERVERS, set()),
        ("compact", {}, {"Matcher"}),
        ("distributed", {"milvus_uri": SERVERS["milvus_uri"]}, {"Matcher"}),
        ("distributed", SERVERS, set()),
    ],
)
def test_embedded_stores_have_one_replica_even_while_it_is_replaced(
    topology: str, storage: dict[str, str], alone: set[str]
) -> None:
    found = deployments({"topology": topology, "storage": storage})
    assert {name for name, each in found.items() if each._deployment_config.max_surge_percent == 0} == alone


@pytest.mark.parametrize("name", ["local", "cluster"])
def test_replicas_report_to_nobody(name: str) -> None:
    for each in deployments(arguments(name)).values():
        assert each.ray_actor_options["runtime_env"]["env_vars"].items() >= QUIET.items()


def test_on_a_cluster_a_replaced_replica_may_finish_what_it_works_on() -> None:
    settings = read_serve_file(resource_dir("configs") / "cluster.yaml").settings
    for stage in (settings.ingress, settings.detector, settings.liveness, settings.embedder, settings.matcher):
        assert stage.serve.graceful_shutdown_timeout_s > settings.ingress.request_timeout_s
        assert stage.serve.max_surge_percent > 0


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_deployments_have_the_options_that_the_shipped_files_say(name: str) -> None:
    assert set(deployments(arguments(name))) == set(stages(name))
    # The file has the options of all stages, also of those that its topology puts into the ingress.
    for stage, made in deployments({**arguments(name), "topology": "distributed"}).items():
        config = made._deployment_config
        options = {
            "autoscaling_config": config.autoscaling_config.model_dump() if config.autoscaling_config else None,
            "ray_actor_options": made.ray_actor_options,
            "max_ongoing_requests": config.max_ongoing_requests,
            "max_queued_requests": config.max_queued_requests,
            "graceful_shutdown_timeout_s": config.graceful_shutdown_timeout_s,
        }
        wanted = written(name, stage)
        assert wanted["autoscaling_config"].keys() >= {"min_replicas", "max_replicas", "target_ongoing_requests"}
        assert picked(options, wanted) == wanted, stage
        assert options["ray_actor_options"]["num_gpus"] == wanted["ray_actor_options"].get("num_gpus", 0), stage


@pytest.mark.slow
def test_serve_build_writes_the_options_that_the_shipped_files_say(tmp_path: Path) -> None:
    """Ray's own command: what it makes of the application is a file that it takes back, and agrees with ours."""
    (tmp_path / "shipped.py").write_text(
        "from serve_app.app import build\n"
        "from tests.serving.test_graph import CONFIGURATIONS, arguments\n"
        "globals().update({name: build(arguments(name)) for name in CONFIGURATIONS})\n"
    )
    output = tmp_path / "built.yaml"
    command = [Path(sys.executable).parent / "serve", "build", *(f"shipped:{name}" for name in CONFIGURATIONS)]
    done = subprocess.run(
        [*command, "--app-dir", tmp_path, "--output-path", output],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    file = yaml.safe_load(output.read_text())
    ServeDeploySchema.model_validate(file)
    for name, application in zip(CONFIGURATIONS, file["applications"], strict=True):
        built = {each["name"]: each for each in application["deployments"]}
        assert set(built) == set(stages(name))
        for stage, options in built.items():
            wanted = written(name, stage)
            assert picked(options, wanted) == wanted, (name, stage)
            assert options["backpressure_config"] == {"status_code": 429, "retry_after_s": 1.0}
