"""All private names of Ray that the service uses; ``tests/serving/test_ray_private.py`` reports missing ones.

Ray can change these in any release, so no other module uses them.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants, services
from ray.experimental.internal_kv import _internal_kv_put
from ray.serve.context import _RequestContext, _serve_request_context
from ray.serve.handle import DeploymentHandle

SMALLEST_STORE, LARGEST_STORE = 80 * 2**20, 256 * 2**20
"""Bytes of the object store: Ray refuses less than 75 MiB; crops and results are small, images are compressed."""


def serve_request_id() -> str:
    """The request id that Ray Serve logs and passes on in the current context; empty outside of requests."""
    context: _RequestContext | None = _serve_request_context.get()
    return context.request_id if context is not None else ""


def set_serve_request_id(request_id: str) -> None:
    """Make Ray Serve log and pass on this request id in the current context."""
    context: _RequestContext = _serve_request_context.get() or _RequestContext()
    _set(replace(context, request_id=request_id))


def set_serve_request(route: str, request_id: str, application: str) -> None:
    """Set Ray Serve's context for an HTTP request that did not come through its proxy.

    ``is_http_request`` stays False: otherwise handles would return other stages' results as undecoded bytes.
    """
    _set(_RequestContext(route=route, request_id=request_id, app_name=application))


def _set(context: _RequestContext) -> None:
    _serve_request_context.set(context)  # type: ignore[arg-type]  # Ray declares its type as None


def over_grpc(handle: DeploymentHandle[Any]) -> DeploymentHandle[Any]:
    """A handle whose calls go over Serve's gRPC instead of Ray's actor calls.

    The documented variable ``RAY_SERVE_USE_GRPC_BY_DEFAULT`` has no effect on handles that the driver pickles.
    """
    return handle.options(_by_reference=False)


class LateAsgiApp:
    """Base of a deployment class whose HTTP application is built after its constructor, in the replica.

    Used with ``@serve.ingress()`` without an application.
    """

    def build_http_app(self) -> Any:
        """The ASGI application; the subclass must define it."""
        raise NotImplementedError

    async def __serve_build_asgi_app__(self) -> Any:
        return self.build_http_app()


def start_node(folder: Path, metrics_port: int | None, **options: Any) -> None:
    """Start Ray's servers on the loopback address, never joining others, and connect this process to them.

    Args:
        folder: for Ray's sockets and logs. Ray opens it to all users: the folder that it is in must be private.
        metrics_port: of the Prometheus endpoint; None takes a free one.
        options: further ones of ``ray.init``.
    """
    # Without a dashboard, Ray's API server does nothing but ask each cloud's metadata address whether it runs there.
    start_api_server, services.start_api_server = services.start_api_server, lambda *_, **__: (None, None)
    try:
        ray.init(
            address="local",
            _node_ip_address="127.0.0.1",
            _metrics_export_port=metrics_port,
            _temp_dir=str(folder),
            include_dashboard=False,
            # Ray runs workers by a shell, and does not quote the interpreter's path itself.
            runtime_env={"py_executable": shlex.quote(sys.executable)},
            **object_store(folder),
            **options,
        )
    finally:
        services.start_api_server = start_api_server
    # The node's agent asks for the API server's address every second until there is one; this is a closed port.
    _internal_kv_put(ray_constants.DASHBOARD_ADDRESS, b"127.0.0.1:9", namespace=ray_constants.KV_NAMESPACE_DASHBOARD)


def object_store(folder: Path, shared_memory: Path = Path("/dev/shm")) -> dict[str, Any]:  # noqa: S108
    """Options of ``ray.init`` for an object store that fits into shared memory, otherwise one in ``folder``."""
    try:
        free = shutil.disk_usage(shared_memory).free
    except OSError:
        free = 0
    if free < SMALLEST_STORE:
        return {"object_store_memory": SMALLEST_STORE, "_plasma_directory": str(folder)}
    return {"object_store_memory": min(LARGEST_STORE, free)}
