"""Each private name of Ray that the service uses exists in the installed Ray: after an upgrade this names what is
gone."""

from __future__ import annotations

import ast
import inspect
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import ray._private.node
import ray.serve._private.replica
import ray.serve.context
from ray._private import services
from ray.dashboard.modules.event.event_agent import EventAgent
from ray.serve.handle import DeploymentHandle

from serve_app.process_environment import (
    LOOPBACK_ENVIRONMENT,
    NODE_ENVIRONMENT,
    OTHER_RAY,
    QUIET,
    REPLICA_ENVIRONMENT,
    TLS_FILES,
)
from serve_app.serving import ray_private
from serve_app.serving.ray_private import LARGEST_STORE, SMALLEST_STORE

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(ray.__file__).parent


def test_the_request_context_has_the_fields_that_are_set() -> None:
    fields = {"route", "request_id", "app_name", "is_http_request"}
    assert fields <= set(inspect.signature(ray.serve.context._RequestContext).parameters)
    assert ray.serve.context._RequestContext().is_http_request is False


def test_handles_can_be_told_to_use_grpc() -> None:
    assert "_by_reference" in inspect.signature(DeploymentHandle.options).parameters


def test_serve_builds_the_http_application_by_the_method_of_this_name() -> None:
    assert ray.serve._private.replica.SERVE_BUILD_ASGI_APP_METHOD in vars(ray_private.LateAsgiApp)


def test_ray_starts_on_a_given_address_and_metrics_port() -> None:
    # ray.init takes private arguments as keywords that its signature does not list; its source reads each by name.
    source = inspect.getsource(ray.init)
    for name in ("_node_ip_address", "_metrics_export_port", "_temp_dir", "_plasma_directory"):
        assert f"{name}: " in source


def test_the_api_server_can_be_left_out() -> None:
    assert "services.start_api_server(" in inspect.getsource(ray._private.node.Node.start_api_server)
    assert "return None, None" in inspect.getsource(services.start_api_server)
    agent = inspect.getsource(EventAgent)
    assert "ray_constants.DASHBOARD_ADDRESS" in agent
    assert "ray_constants.KV_NAMESPACE_DASHBOARD" in agent


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in QUIET if name.startswith("RAY_")),
        *NODE_ENVIRONMENT,
        *LOOPBACK_ENVIRONMENT,
        *REPLICA_ENVIRONMENT,
        *OTHER_RAY,
        "RAY_USE_TLS",
        *TLS_FILES,
    ],
)
def test_ray_reads_the_variable(name: str) -> None:
    python = (path.read_bytes() for path in RAY.rglob("*.py"))
    servers = [*RAY.glob("_raylet*.so"), *(RAY / "core" / "src" / "ray").rglob("raylet")]
    # Ray's servers read RAY_x as the setting x.
    wanted = [name.encode(), name.removeprefix("RAY_").encode()]
    assert any(wanted[0] in text for text in python) or any(wanted[1] in path.read_bytes() for path in servers)


@pytest.mark.parametrize(
    ("free_mib", "wanted"),
    [
        (1000, {"object_store_memory": LARGEST_STORE}),
        (100, {"object_store_memory": 100 * 2**20}),
        (64, {"object_store_memory": SMALLEST_STORE, "_plasma_directory": "/folder"}),
        (None, {"object_store_memory": SMALLEST_STORE, "_plasma_directory": "/folder"}),
    ],
)
def test_the_object_store_fits_into_shared_memory(
    free_mib: int | None, wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_usage(path: Path) -> SimpleNamespace:
        if free_mib is None:
            raise FileNotFoundError(path)
        return SimpleNamespace(free=free_mib * 2**20)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    assert ray_private.object_store(Path("/folder")) == wanted


def test_ray_takes_the_smallest_object_store() -> None:
    assert ray._private.ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES <= SMALLEST_STORE


def test_no_other_module_uses_a_private_name_of_ray() -> None:
    found = []
    for path in (ROOT / "serve_app").rglob("*.py"):
        if path.name == "ray_private.py":
            continue
        found += [(path.name, name) for name in private_names_of_ray(ast.parse(path.read_text("utf-8")))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import ray._private.services",
        "from ray.serve._private import replica",
        "from ray.serve.context import _serve_request_context",
        "import ray\nray.serve.context._serve_request_context.get()",
        "from ray import serve\nserve._run(graph)",
        "handle.options(_by_reference=True)",
        "import ray\nray.init(_metrics_export_port=1)",
        "class A:\n    def __serve_build_asgi_app__(self): ...",
    ],
)
def test_a_private_name_of_ray_is_noticed(source: str) -> None:
    assert private_names_of_ray(ast.parse(source))


def private_names_of_ray(module: ast.Module) -> list[str]:
    """Private names that a module imports from Ray, reads from what it imported, defines for it or passes to a call."""
    of_ray: set[str] = set()
    names = []
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray":
            names += [f"{node.module}.{alias.name}" for alias in node.names]
            of_ray |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            imported = [alias for alias in node.names if alias.name.split(".")[0] == "ray"]
            names += [alias.name for alias in imported]
            of_ray |= {alias.asname or "ray" for alias in imported}
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and (chain := ast.unparse(node)).split(".")[0] in of_ray:
            names.append(chain)
        elif isinstance(node, ast.keyword) and (node.arg or "").startswith("_"):
            names.append(str(node.arg))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("__serve"):
            names.append(node.name)
    return [name for name in names if any(part.startswith("_") for part in name.split("."))]
