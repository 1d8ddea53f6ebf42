"""The graph as it is handed to Ray Serve: built, and not run."""

from __future__ import annotations

from typing import Any

import pytest
from ray.serve import Application
from ray.serve.deployment import Deployment

from serve_app.app import build
from serve_app.configuration import read_serve_file
from serve_app.resources import resource_dir

SERVERS = {"milvus_uri": "http://127.0.0.1:19530", "database_url": "postgresql+psycopg://user@127.0.0.1/faces"}


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


def test_on_a_cluster_a_replaced_replica_may_finish_what_it_works_on() -> None:
    settings = read_serve_file(resource_dir("configs") / "cluster.yaml").settings
    for stage in (settings.ingress, settings.detector, settings.liveness, settings.embedder, settings.matcher):
        assert stage.serve.graceful_shutdown_timeout_s > settings.ingress.request_timeout_s
        assert stage.serve.max_surge_percent > 0
