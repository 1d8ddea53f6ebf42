"""Import path of the application graph for Ray Serve.

``serve run configs/local.yaml`` and ``facegraph serve --config configs/local.yaml`` start the same service.
"""

from __future__ import annotations

from serve_app.serving.graph import NAME, build

__all__ = ["NAME", "build"]
