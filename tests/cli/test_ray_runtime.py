"""Ray's servers are started a second time, and the message of a start that failed says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_start_that_fails_twice_says_why_and_how_busy_the_machine_is(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from serve_app.cli import ray_runtime
from serve_app.errors import ConfigurationError
from serve_app.serving import ray_private

def start_node(*_, **__):
    raise RuntimeError("The current node timed out.")

ray_private.start_node = start_node
try:
    ray_runtime._start_node(Path({str(tmp_path)!r}), None)
except ConfigurationError as error:
    print(error.message)
"""
    # In a process of its own: what is left of a failed start is killed, and these are all children of the process.
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, timeout=240, check=True
    )
    assert "trying a second time: The current node timed out. The load of the machine is" in done.stderr
    assert "the second time either: The current node timed out. The load of the machine is" in done.stdout
    assert f"{tmp_path}/session_latest/logs" in done.stdout
