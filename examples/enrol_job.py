"""Bulk enrolment as a job on the service's Ray cluster, through the Python handle.

On a cluster with a dashboard (KubeRay, or ``ray start --head``), whose token RAY_AUTH_TOKEN or ~/.ray/auth_token has:

    RAY_AUTH_MODE=token ray job submit --address http://HEAD:8265 -- python examples/enrol_job.py s3://bucket/all staff

Beside ``make run``, whose Ray has no dashboard, as a program of the same machine:

    .venv/bin/python examples/enrol_job.py people/ staff

The source is what ``facegraph enroll`` reads: a folder, a zip, a manifest, a URL. It must be reachable from the job.
Images go to the detector without HTTP, for a bounded window of persons at the same time. A stopped job that is
submitted again continues if it finds its state file; without the file it starts from the beginning, which takes longer
and has the same result.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from serve_app.process_environment import prepare_loopback_ray

if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # not a job of a cluster, whose environment is set
    prepare_loopback_ray()  # before Ray is imported

import ray
from ray import serve

from serve_app.bulk.bounded_concurrency import outcomes
from serve_app.bulk.checkpoint import Checkpoint
from serve_app.bulk.enroller import Enroller
from serve_app.bulk.entries import BadSource, Entry, PictureFile, Status
from serve_app.bulk.files import Files
from serve_app.bulk.handle_target import HandleTarget
from serve_app.bulk.sources import Source
from serve_app.bulk.worklist import WorkList
from serve_app.errors import CollectionExists

MOST_PICTURE_BYTES = 16 * 2**20
SAY_EVERY_S = 10.0


def main(arguments: list[str]) -> int:
    """Run the job; 0 if everything is enrolled, 1 if something is not, 2 if the source or the state cannot be read."""
    parser = argparse.ArgumentParser(description="Enrol many persons through the Python handle.")
    parser.add_argument("source", help="a folder, a zip, a manifest (.csv, .jsonl), or the fsspec URL of one")
    parser.add_argument("collection", help="created if it does not exist")
    parser.add_argument("--window", type=int, default=8, help="persons at the same time (default: 8)")
    parser.add_argument("--state", type=Path, default=Path("enrolled.db"), help="file with the finished persons")
    parser.add_argument("--failures", type=Path, help="file for persons with failures, as a manifest")
    chosen = parser.parse_args(arguments)

    ray.init(address=os.environ["RAY_ADDRESS"], logging_level="WARNING", log_to_driver=False)
    handle = serve.get_app_handle("facegraph")
    with suppress(CollectionExists):
        handle.create_collection.remote(chosen.collection).result(timeout_s=60)

    with ExitStack() as stack:
        work, files = stack.enter_context(closing(WorkList())), stack.enter_context(closing(Files()))
        try:
            Source(chosen.source, files).load(work)
            state = stack.enter_context(closing(Checkpoint(chosen.state)))
        except BadSource as error:
            print(error, file=sys.stderr)
            return 2
        for entry in work.left_out():
            print(f"{entry.location} is left out: {entry.reason}", file=sys.stderr)
        incomplete = work.count_left_out() > 0
        failures = stack.enter_context(chosen.failures.open("w")) if chosen.failures else None
        counts: Counter[str] = Counter()

        async def read(file: PictureFile) -> bytes:
            return await asyncio.to_thread(files.read, file.location, MOST_PICTURE_BYTES)

        def to_do() -> Iterator[Entry]:
            for entry in work:
                if state.holds(entry):
                    counts[Status.SKIPPED] += 1
                else:
                    yield entry

        async def run() -> None:
            enroller = Enroller(HandleTarget(handle, chosen.collection), read)
            began = said = time.monotonic()
            pictures = 0
            async for outcome in outcomes(to_do(), enroller.enroll, chosen.window):
                counts[outcome.status] += 1
                pictures += len(outcome.entry.files)
                if outcome.status is Status.ENROLLED:
                    state.add(outcome.entry)
                elif failures:
                    failures.write(json.dumps(outcome.as_json()) + "\n")
                if time.monotonic() - said > SAY_EVERY_S:
                    said = time.monotonic()
                    print(f"{counts.total()} of {work.persons} persons, {pictures / (said - began):.1f} images/s")

        asyncio.run(run())
    print(f"{as_text(counts)} of {counts.total()} persons.")
    return 1 if incomplete or counts[Status.FAILED] or counts[Status.PARTIAL] else 0


def as_text(counts: Counter[str]) -> str:
    """Numbers by outcome, as text."""
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "None"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
