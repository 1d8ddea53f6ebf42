"""Enrolling a data set's people in a running service through HTTP, and images to search for them with."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from rich.progress import track

from benchmarks.common.dataset import DataMissing, Split, thin
from benchmarks.common.images import camera_picture, crop
from benchmarks.common.service import running_service
from serve_app.client import ApiError, Client, Json

COLLECTION = "benchmark"

FaceOfPicture = Literal["central", "largest"]
"""The face of an image that is its person's."""

T = TypeVar("T")
R = TypeVar("R")


def enrol(client: Client, chosen: Split, faces: FaceOfPicture, concurrency: int) -> dict[str, str]:
    """Enrol one image for each person in a new collection; the rejected people, with the reason."""
    with contextlib.suppress(ApiError):
        client.delete_collection(COLLECTION)
    client.create_collection(COLLECTION, policy={"image_storage": "none"})

    def one(item: tuple[str, Path]) -> str | None:
        name, path = item
        try:
            image = cropped_to_centre(client, path) if faces == "central" else path.read_bytes()
            client.put_person(COLLECTION, name, [image], name=name.replace("_", " "), faces="largest")
        except ApiError as error:
            return f"{error.code}: {error.message}"
        return None

    items = list(chosen.enrolled.items())
    answers = in_parallel(one, items, concurrency, "Enrolling")
    return {name: problem for (name, _), problem in zip(items, answers, strict=True) if problem is not None}


def enrolled_folder(data_dir: Path, chosen: Split, concurrency: int = 4) -> dict[str, str]:
    """Make a data folder by a service that enrols one image for each person and is stopped; the rejected people."""
    print("Starting a service, enrolling ...", flush=True)
    with running_service(data_dir) as service, Client(service.url, service.key, patience_s=120) as client:
        return enrol(client, chosen, "largest", concurrency)


def probe_pictures(chosen: Split, count: int) -> list[bytes]:
    """640x480 images of enrolled people other than the enrolled ones.

    Raises:
        DataMissing: no person has a second image.
    """
    paths = thin([paths[0] for paths in chosen.probes.values()], count)
    if not paths:
        raise DataMissing("No enrolled person has a second image to search with.")
    return [camera_picture(path.read_bytes()) for path in paths]


def most_central(answer: Json) -> int:
    """Position of the face whose box's centre is nearest to the image's; the answer has at least one face."""
    width, height = answer["image"]["width"], answer["image"]["height"]

    def distance(face: Json) -> float:
        box = face["box"]
        return math.hypot(box["x"] + box["width"] / 2 - width / 2, box["y"] + box["height"] / 2 - height / 2)

    return min(range(len(answer["faces"])), key=lambda position: distance(answer["faces"][position]))


def cropped_to_centre(client: Client, path: Path) -> bytes:
    """The image; or, where its largest face is not the central one, the surroundings of the central face."""
    image = path.read_bytes()
    answer = client.detect(image)
    if not answer["faces"] or most_central(answer) == 0:  # faces are ordered by size, largest first
        return image
    return crop(image, answer["faces"][most_central(answer)]["box"])


def in_parallel(work: Callable[[T], R], items: Sequence[T], concurrency: int, title: str) -> list[R]:
    """Results in order, with at most ``concurrency`` calls at the same time."""
    with ThreadPoolExecutor(concurrency) as pool:
        return list(track(pool.map(work, items), description=title, total=len(items)))
