"""What all rivals serve: one picture in, the best match's person out. Plain calls on the service's own core.

With onnxruntime's sessions as it opens them when nothing is said, which is what a user writes; or, for the harder
comparison, as the service opens them, its sharing of the processors included.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.inprocess import PlainPipeline, open_copy, shipped_settings

DATA = "FACEGRAPH_BENCHMARK_DATA"
"""The environment variable with a data folder of the rival's own."""

SESSIONS = "FACEGRAPH_BENCHMARK_SESSIONS"
"""The environment variable with ``default`` or ``shipped``."""


def open_pipeline() -> PlainPipeline:
    """Over the data folder and with the sessions that the environment names."""
    settings = shipped_settings().model_copy(update={"data_dir": Path(os.environ[DATA])})
    return PlainPipeline(settings, open_copy(settings), "shipped" if os.environ[SESSIONS] == "shipped" else "default")
