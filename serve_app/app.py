"""Import path of the application graph for Ray Serve.

serve run configs/local.yaml          the same as    facegraph serve --config configs/local.yaml
"""

from __future__ import annotations

from serve_app.serving.graph import NAME, build

__all__ = ["NAME", "build"]
