"""Application graph: builds the Ray Serve application from the settings."""

from __future__ import annotations

from typing import Any

from ray.serve import Application

from serve_app.api.dialects import chosen
from serve_app.observability import tracing
from serve_app.serving.deployments import IngressReplica, StageReplica, deployment
from serve_app.serving.stage_kinds import STAGES
from serve_app.settings import Settings, Topology, load_settings

NAME = "facegraph"
"""Name of the Serve application, as in ``serve.get_app_handle("facegraph")``."""

OWN_DEPLOYMENTS = {Topology.DISTRIBUTED: tuple(STAGES), Topology.COMPACT: ("matcher",), Topology.SINGLE: ()}
"""The stages that are separate deployments in each topology; the others run inside the ingress replicas."""


def build(args: dict[str, Any]) -> Application:
    """The Ray Serve application for values of :class:`~serve_app.settings.Settings`, as in a Serve configuration file.

    Raises ConfigurationError if the settings are invalid; nothing has been started.
    """
    settings = load_settings(args).without_secrets()
    chosen(settings.dialects)  # an unknown dialect fails here, not in a replica
    tracing.check(settings)
    own = OWN_DEPLOYMENTS[settings.topology]
    stages = {name: _stage(name, settings) for name in own}
    # Embedded stores have one writer: the deployment that contains the matcher never runs two replicas.
    alone = "matcher" not in own and settings.embedded_store
    return deployment(IngressReplica, "Ingress", settings.ingress.serve, alone, _attempts(settings)).bind(
        settings, **stages
    )


def _stage(name: str, settings: Settings) -> Application:
    alone = name == "matcher" and settings.embedded_store
    options = getattr(settings, name).serve
    return deployment(StageReplica, name.capitalize(), options, alone, _attempts(settings)).bind(name, settings)


def _attempts(settings: Settings) -> int:
    """How often Serve tries to start a replica. With ``facegraph serve`` a person waits for the reason it fails."""
    return 1 if settings.ingress.listener is not None else 3
