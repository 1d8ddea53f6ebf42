"""Feeds targets: ``python -m tests.fuzz.worker TARGETS SEED COUNT FOLDER``, a line of JSON for each of them.

In a process of its own, since a decoder that crashes takes the process with it. The input that is being tried lies in
``FOLDER/input``, so that it is there after a crash.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.long_runs import LongRun
from tests.fuzz.mutations import mutate
from tests.fuzz.targets import TARGETS, Target

CPU_SECONDS = 10
"""Of this process for one input, after which it counts as a hang; a busy machine does not hasten them."""
WAITED_SECONDS = 600
"""By the clock, for an input that waits and computes nothing."""
ENOUGH = 5
"""Failures, after which the rest is not tried."""
VARIABLE = "FACEGRAPH_FUZZ_INPUTS"
"""Of ``make fuzz``, whose inputs are counted over all runs."""
COUNTED_EVERY = 500


def main() -> None:
    """One target after the other."""
    names, seed, count, folder = sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    faulthandler.enable()
    for limit in (signal.SIGPROF, signal.SIGALRM):
        faulthandler.register(limit, chain=True)  # says where it was, then the signal ends the process
    for name in names:
        run = LongRun(f"damaged input, {name}", recorded=VARIABLE in os.environ)
        print(json.dumps({"target": name, **feed(TARGETS[name], random.Random(seed), count, folder, run)}), flush=True)


def feed(target: Target, rng: random.Random, count: int, folder: Path, run: LongRun) -> dict[str, Any]:
    """Every seed as it is, then mutations of them; what came of it."""
    seeds = target.seeds()
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    slowest, before, counted = 0.0, peak_mb(), 0
    for number in range(max(count, len(seeds))):
        data = seeds[number] if number < len(seeds) else mutate(rng, rng.choice(seeds), seeds)
        if number >= len(seeds) and rng.random() < 0.9:
            data = target.mend(data)
        (folder / "input").write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        signal.alarm(WAITED_SECONDS)
        began = time.process_time()
        try:
            result = target.read(data)
            outcomes[result if isinstance(result, str) else "read"] += 1
        except target.errors as error:
            outcomes[type(error).__name__] += 1
        except Exception:
            failure = folder / f"failure-{number}"
            failure.write_bytes(data)
            failures.append(f"{failure}: {traceback.format_exc()}")
        slowest = max(slowest, time.process_time() - began)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        if number % COUNTED_EVERY == COUNTED_EVERY - 1 or len(failures) >= ENOUGH:
            run.add(inputs=number + 1 - counted, failures=len(failures))
            counted = number + 1
        if len(failures) >= ENOUGH:
            break
    return {
        "inputs": sum(outcomes.values()) + len(failures),
        "outcomes": outcomes,
        "failures": failures,
        "slowest_cpu_s": round(slowest, 3),
        "more_mb": round(peak_mb() - before, 1),
    }


def peak_mb() -> float:
    """The most memory that was resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
