"""Damaged and hostile files and requests: an answer or an error in words; no crash, bounded time and memory.

``make fuzz`` tries more and others: FACEGRAPH_FUZZ_INPUTS of each kind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.pictures import seeds
from tests.fuzz.targets import LIMITS, TARGETS

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "FACEGRAPH_FUZZ_INPUTS"
INPUTS = int(os.environ.get(VARIABLE, "400"))
SEED = time.time_ns() if VARIABLE in os.environ else 1  # the suite repeats the same ones

SLOWEST_S = 5.0
"""On a machine that is busy with other tests; the slowest picture that is not refused has 40 megapixels."""
MORE_MB = 12 * LIMITS.max_image_pixels / 1e6
"""Of one picture at most: four times its pixels."""

LINES = 4
"""That the decoders' libraries may write to the log for an input, which is decoded twice."""

REFUSED = ("bomb", "polyglot, JPEG in", "polyglot, GIF", "PNG, more", "bmp, sides", "EXIF, counts")

pytestmark = [pytest.mark.slow, *([pytest.mark.timeout(0)] if VARIABLE in os.environ else [])]


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_input(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.worker", target, str(SEED), str(INPUTS), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{tmp_path / 'input'} ended it with {done.returncode}:\n{done.stderr[-3000:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{target}, seed {SEED}: {found}")
    assert not found["failures"], "\n".join(found["failures"])
    assert found["inputs"] >= INPUTS
    assert len(found["outcomes"]) > 1
    assert "read" in found["outcomes"] or "200" in found["outcomes"]
    assert found["slowest_s"] < SLOWEST_S
    assert found["more_mb"] < MORE_MB
    assert done.stderr.count("\n") <= LINES * found["inputs"], "a client must not be able to fill the log"


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
