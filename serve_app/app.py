"""The application graph: settings in, Ray Serve application out.

serve run configs/local.yaml          the same as    facegraph serve --config configs/local.yaml
"""

from __future__ import annotations

from typing import Any

from ray.serve import Application

from serve_app.api.dialects import chosen
from serve_app.observability import tracing
from serve_app.serving.deployments import (
    DetectorReplica,
    EmbedderReplica,
    IngressReplica,
    LivenessReplica,
    MatcherReplica,
    deployment,
)
from serve_app.settings import Topology, load_settings

NAME = "facegraph"
"""Of the Serve application: ``serve.get_app_handle("facegraph")``."""


def build(args: dict[str, Any]) -> Application:
    """The whole graph.

    Args:
        args: values of :class:`~serve_app.settings.Settings`, as under ``args`` in a Serve configuration file.

    Raises:
        ConfigurationError: in words, before anything is started.
    """
    settings = load_settings(args).without_secrets()
    chosen(settings.dialects)  # a misspelt one shall stop the start, not a replica
    tracing.check(settings)
    embedded = settings.embedded_index or settings.embedded_database  # those have one writer
    single = settings.topology is Topology.SINGLE
    ingress = deployment(IngressReplica, "Ingress", settings.ingress.serve, alone=single and embedded)
    if single:
        return ingress.bind(settings)
    matcher = deployment(MatcherReplica, "Matcher", settings.matcher.serve, alone=embedded).bind(settings)
    if settings.topology is Topology.COMPACT:
        return ingress.bind(settings, matcher)
    return ingress.bind(
        settings,
        matcher,
        detector=deployment(DetectorReplica, "Detector", settings.detector.serve).bind(settings),
        liveness=deployment(LivenessReplica, "Liveness", settings.liveness.serve).bind(settings),
        embedder=deployment(EmbedderReplica, "Embedder", settings.embedder.serve).bind(settings),
    )
