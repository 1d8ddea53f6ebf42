"""Protocols of the stages: what each stage offers, and how each of its methods may be called.

:class:`~serve_app.service.FaceService` is written against these. A stage in the same process implements them directly;
one in another process is called through :class:`~serve_app.serving.remote.Remote`, which has the same methods. A
method may raise the errors that it names, ``Overloaded`` (the stage's queue is full) and ``Unavailable`` (it cannot
serve).
"""

from __future__ import annotations

from serve_app.contracts.marks import Method, methods, named
from serve_app.contracts.matcher import Matcher
from serve_app.contracts.stages import Detector, Embedder, LivenessScorer, Stage

__all__ = ["Detector", "Embedder", "LivenessScorer", "Matcher", "Method", "Stage", "methods", "named"]
