"""Each private name of Ray that the service uses exists in the installed Ray: after an upgrade this names what is
gone."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import ray
import ray.serve._private.replica
import ray.serve.context
from ray.serve.handle import DeploymentHandle

from serve_app.process_environment import RAY_ENVIRONMENT, REPLICA_ENVIRONMENT
from serve_app.serving import ray_private

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
    assert "_node_ip_address" in source
    assert "_metrics_export_port" in source


@pytest.mark.parametrize("name", [*RAY_ENVIRONMENT, *REPLICA_ENVIRONMENT])
def test_ray_reads_the_variable(name: str) -> None:
    python = (path.read_bytes() for path in RAY.rglob("*.py"))
    servers = [*RAY.glob("_raylet*.so"), *(RAY / "core" / "src" / "ray").rglob("raylet")]
    # Ray's servers read RAY_x as the setting x.
    wanted = [name.encode(), name.removeprefix("RAY_").encode()]
    assert any(wanted[0] in text for text in python) or any(wanted[1] in path.read_bytes() for path in servers)


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
