"""The pipeline of all rivals: plain calls of the service's own code, from one image to the best match's person.

With onnxruntime's default sessions, which is what a user writes; or, for the harder comparison, with sessions as the
service opens them, including its sharing of the cores.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.common.models import shipped_settings
from benchmarks.common.pipeline import PlainPipeline, open_copy

DATA = "FACEGRAPH_BENCHMARK_DATA"
"""The environment variable with the rival's data folder."""

SESSIONS = "FACEGRAPH_BENCHMARK_SESSIONS"
"""The environment variable with ``default`` or ``shipped``."""


def open_pipeline() -> PlainPipeline:
    """The pipeline over the data folder and with the sessions that the environment names."""
    settings = shipped_settings().model_copy(update={"data_dir": Path(os.environ[DATA])})
    return PlainPipeline(settings, open_copy(settings), "shipped" if os.environ[SESSIONS] == "shipped" else "default")
