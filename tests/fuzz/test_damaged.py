"""Damaged and hostile files and requests: an answer or a clear error; no crash, bounded time and memory.

``make fuzz`` tries more and others: FACEGRAPH_FUZZ_INPUTS of each kind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.pictures import seeds
from tests.fuzz.targets import LIMITS, TARGETS
from tests.fuzz.worker import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
INPUTS = int(os.environ.get(VARIABLE, "250"))
SEED = time.time_ns() if VARIABLE in os.environ else 1  # the suite repeats the same ones

SLOWEST_CPU_S = 5.0
"""Of the processors' time, which a busy machine does not change much; the slowest picture has 40 megapixels."""
MORE_MB = 12 * LIMITS.max_image_pixels / 1e6
"""Of one picture at most: four times its pixels."""

LINES = 4
"""That the decoders' libraries may write to the log for an input, which is decoded twice."""

REFUSED = ("bomb", "polyglot, JPEG in", "polyglot, GIF", "PNG, more", "bmp, sides", "EXIF, counts")

pytestmark = [pytest.mark.slow, *([pytest.mark.timeout(0)] if VARIABLE in os.environ else [])]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of each target's input, all fed in one process."""
    folder = tmp_path_factory.mktemp("fuzz")
    command = [sys.executable, "-m", "tests.fuzz.worker", ",".join(TARGETS), str(SEED), str(INPUTS), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder / 'input'} ended it with {done.returncode}:\n{done.stderr[-3000:]}"
    results = {each["target"]: each for each in map(json.loads, done.stdout.splitlines())}
    inputs = sum(each["inputs"] for each in results.values())
    assert done.stderr.count("\n") <= LINES * inputs, "a client must not be able to fill the log"
    return results


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_input(target: str, found: dict[str, dict[str, Any]]) -> None:
    result = found[target]
    print(f"seed {SEED}: {result}")
    assert not result["failures"], "\n".join(result["failures"])
    assert result["inputs"] >= INPUTS
    assert len(result["outcomes"]) > 1
    assert "read" in result["outcomes"] or "200" in result["outcomes"]
    assert result["slowest_cpu_s"] < SLOWEST_CPU_S
    assert result["more_mb"] < MORE_MB


@pytest.mark.parametrize("name", seeds())
def test_seeds_are_what_they_are_called(name: str) -> None:
    """So that mutations begin at something that is read, or at what must be refused."""
    target = TARGETS["picture"]
    try:
        target.read(seeds()[name])
    except target.errors:
        assert name.startswith(
            ("bomb", "polyglot, JPEG in a BMP", "polyglot, GIF", "PNG, more", "bmp, sides", "EXIF, counts")
        )
    else:
        assert not name.startswith("bomb, PNG of")
