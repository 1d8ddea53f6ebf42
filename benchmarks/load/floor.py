"""The floor of the throughput benchmark: the pipeline in a tight loop in one process, without a server or client."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.common.enrolment import COLLECTION
from benchmarks.common.models import shipped_settings
from benchmarks.common.pipeline import PlainPipeline, Threads, open_copy
from serve_app.processors import cpu_count

NAME = "floor: tight loop in one process"


class Floor:
    """The pipeline in two layouts: one thread per core with onnxruntime on one thread, or one thread with all cores.

    Args:
        data: the data folder, which no other process may have open.
        pictures: searched in turn.
    """

    def __init__(self, data: Path, pictures: Sequence[bytes]) -> None:
        settings = shipped_settings().model_copy(update={"data_dir": data})
        self._gallery = open_copy(settings)
        self._pictures = pictures
        self._layouts: dict[Threads, int] = {"one": cpu_count(), "shipped": 1}
        self._pipelines = {threads: PlainPipeline(settings, self._gallery, threads) for threads in self._layouts}
        for threads in self._layouts:
            self.measure(threads, 1.0)

    def best(self, seconds: float) -> dict[str, Any]:
        """Images per second of the faster layout, and its processor milliseconds for each."""
        return max((self.measure(threads, seconds) for threads in self._layouts), key=lambda m: float(m["per_second"]))

    def measure(self, threads: Threads, seconds: float) -> dict[str, Any]:
        """Images per second of one layout, and its processor milliseconds for each."""
        numbers, pipeline = count(), self._pipelines[threads]
        start, used = time.perf_counter(), time.process_time()

        def loop() -> int:
            done = 0
            while time.perf_counter() - start < seconds:
                pipeline.search(self._pictures[next(numbers) % len(self._pictures)], COLLECTION)
                done += 1
            return done

        workers = self._layouts[threads]
        with ThreadPoolExecutor(workers) as pool:
            done = sum(pool.map(lambda _: loop(), range(workers)))
        took, cpu = time.perf_counter() - start, time.process_time() - used
        name = f"{workers} threads, onnxruntime on {'one' if threads == 'one' else 'all'}"
        return {"layout": name, "per_second": round(done / took, 2), "cpu_ms": round(cpu / done * 1e3, 2)}

    def close(self) -> None:
        """Close the gallery."""
        self._gallery.close()
