"""Every private name of Ray that the service uses; ``tests/serving/test_ray_private.py`` says which one is missing.

Ray may change these in any release, so nothing else in the package names them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ray
from ray.serve.context import _RequestContext, _serve_request_context
from ray.serve.handle import DeploymentHandle


def serve_request_id() -> str:
    """The request id that Ray Serve knows here, for its log and for further calls; empty outside of requests."""
    context: _RequestContext | None = _serve_request_context.get()
    return context.request_id if context is not None else ""


def set_serve_request_id(request_id: str) -> None:
    """Make Ray Serve log and pass on this request id in the current context."""
    context: _RequestContext = _serve_request_context.get() or _RequestContext()
    _set(replace(context, request_id=request_id))


def set_serve_request(route: str, request_id: str, application: str) -> None:
    """Give Ray Serve the context of an HTTP request that did not come through its proxy.

    ``is_http_request`` stays False: otherwise handles would return other stages' answers as undecoded bytes.
    """
    _set(_RequestContext(route=route, request_id=request_id, app_name=application))


def _set(context: _RequestContext) -> None:
    _serve_request_context.set(context)  # type: ignore[arg-type]  # declared as holding None


def over_grpc(handle: DeploymentHandle[Any]) -> DeploymentHandle[Any]:
    """A handle whose calls go over Serve's gRPC instead of Ray's actor calls.

    The documented variable ``RAY_SERVE_USE_GRPC_BY_DEFAULT`` has no effect on handles that the driver pickles.
    """
    return handle.options(_by_reference=False)


class LateAsgiApp:
    """Base of a deployment class whose HTTP application is built after its constructor, in the replica.

    For ``@serve.ingress()`` without an application.
    """

    def build_http_app(self) -> Any:
        """The ASGI application, to be defined by the subclass."""
        raise NotImplementedError

    async def __serve_build_asgi_app__(self) -> Any:
        return self.build_http_app()


def start_node(metrics_port: int | None, **options: Any) -> None:
    """``ray.init`` on loopback, with the Prometheus endpoint on this loopback port; None takes any free one."""
    ray.init(_node_ip_address="127.0.0.1", _metrics_export_port=metrics_port, **options)
