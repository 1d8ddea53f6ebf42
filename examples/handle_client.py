"""Enrolment and search without HTTP, from a Python program on the same Ray cluster.

Start the service in one terminal and this in another:

    make run
    .venv/bin/python examples/handle_client.py me1.jpg me2.jpg

The first photograph is enrolled, the second one is the probe. Without arguments both are scikit-image's astronaut
(installed by ``make test``). A program that can reach the handle is inside the cluster and trusted: there is no API
key, and the call names the tenant (``tenant=...``; the default is the tenant that always exists).
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from serve_app.process_environment import prepare_loopback_ray

# Before Ray is imported: it names the address and the token of the Ray of `facegraph serve`, and keeps this process on
# the loopback address, too. Leave this out on a real cluster, and set RAY_ADDRESS there.
prepare_loopback_ray()

import ray
from ray import serve

from serve_app.domain import PersonFields, SearchResult
from serve_app.errors import CollectionExists

COLLECTION = "handle-example"
WAIT_S = 30.0


def main(arguments: list[str]) -> int:
    """Run the example; the exit code."""
    first, second = (Path(name).read_bytes() for name in arguments) if len(arguments) == 2 else (astronaut(),) * 2
    # Never address="auto": that believes the processes of all users of the machine, and shows them Ray's token.
    ray.init(address=os.environ["RAY_ADDRESS"], logging_level="WARNING", log_to_driver=False)
    handle = serve.get_app_handle("facegraph")

    try:
        handle.create_collection.remote(COLLECTION, title="Made by an example").result(timeout_s=WAIT_S)
    except CollectionExists:
        print(f"The collection {COLLECTION!r} exists already.")

    enrolment = handle.enroll.remote(
        "somebody", first, COLLECTION, fields=PersonFields(name="Somebody", metadata={"source": "example"})
    ).result(timeout_s=WAIT_S)
    print(f"Enrolled {enrolment.person.name!r} with {len(enrolment.faces)} face.")

    result: SearchResult = handle.search.remote(second, collection=COLLECTION).result(timeout_s=WAIT_S)
    for face in result.faces:
        for match in face.matches:
            print(
                f"Found {match.person.id!r} with score {match.score:.3f} (threshold {result.threshold.min_score:.3f})."
            )
    print({step: f"{milliseconds:.1f} ms" for step, milliseconds in result.timings.items()})

    # Several calls at the same time: start them all, then wait. The service's queues are bounded, so keep them few.
    responses = [handle.detect.remote(image) for image in (first, second)]
    for response in responses:
        detection, _ = response.result(timeout_s=WAIT_S)
        print(f"{detection.image.width}x{detection.image.height}: {len(detection.faces)} face(s)")

    handle.delete_collection.remote(COLLECTION).result(timeout_s=WAIT_S)
    return 0 if any(face.matches for face in result.faces) else 1


def astronaut() -> bytes:
    """A photograph that a package ships, as PNG bytes."""
    from PIL import Image
    from skimage import data

    buffer = io.BytesIO()
    Image.fromarray(data.astronaut()).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
