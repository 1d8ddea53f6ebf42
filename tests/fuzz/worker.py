"""Feeds a target: ``python -m tests.fuzz.worker TARGET SEED COUNT FOLDER``, results as JSON on standard output.

In a process of its own, since a decoder that crashes takes the process with it. The input that is being tried lies in
``FOLDER/input``, so that it is there after a crash.
"""

from __future__ import annotations

import faulthandler
import json
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.fuzz.mutations import mutate
from tests.fuzz.targets import TARGETS

SECONDS = 10
"""For one input, after which it counts as a hang."""


def main() -> None:
    """Every seed as it is, then mutations of them."""
    name, seed, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    faulthandler.enable()
    target, rng = TARGETS[name], random.Random(seed)
    seeds = target.seeds()
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    slowest = 0.0
    target_seeds = iter(seeds)
    before = peak_mb()
    for number in range(max(count, len(seeds))):
        data = next(target_seeds, None)
        if data is None:
            data = mutate(rng, rng.choice(seeds), seeds)
            data = target.mend(data) if rng.random() < 0.9 else data
        (folder / "input").write_bytes(data)
        signal.alarm(SECONDS)
        began = time.perf_counter()
        try:
            result = target.read(data)
            outcomes[result if isinstance(result, str) else "read"] += 1
        except target.errors as error:
            outcomes[type(error).__name__] += 1
        except Exception:
            failure = folder / f"failure-{number}"
            failure.write_bytes(data)
            failures.append(f"{failure}: {traceback.format_exc()}")
        signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - began)
        if len(failures) >= 5:
            break
    print(
        json.dumps(
            {
                "inputs": sum(outcomes.values()) + len(failures),
                "outcomes": outcomes,
                "failures": failures,
                "slowest_s": round(slowest, 3),
                "more_mb": round(peak_mb() - before, 1),
            }
        )
    )


def peak_mb() -> float:
    """The most memory that was resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
