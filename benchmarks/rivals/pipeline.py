"""What all rivals serve: one picture in, the best match's person out. Plain calls on the service's own core."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.inprocess import PlainPipeline, open_copy, shipped_settings

DATA = "FACEGRAPH_BENCHMARK_DATA"
"""The environment variable with a data folder of the rival's own."""


def open_pipeline() -> PlainPipeline:
    """Over the data folder that the environment names, with sessions as the service opens them."""
    settings = shipped_settings().model_copy(update={"data_dir": Path(os.environ[DATA])})
    return PlainPipeline(settings, open_copy(settings), "shipped")
