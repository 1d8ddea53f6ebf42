"""All operations see the same faces: the real detector, on pictures on which its passes differ most."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from serve_app.domain import NewCollection, Pixels
from serve_app.errors import NoFaceDetected
from serve_app.service import FaceService
from serve_app.settings import Settings
from serve_app.stages import DetectorStage
from serve_app.vision.image import encode_jpeg
from tests import photos
from tests.service_parts import ServiceParts

TENANT = "0" * 32
GREY = np.full((700, 2600, 3), 110, np.uint8)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaceService]:
    parts = ServiceParts()
    parts.gallery.create_collection(TENANT, NewCollection("staff"))
    folder = tmp_path_factory.mktemp("detector")
    detector = DetectorStage(Settings(data_dir=folder, model_dir=photos.model_dir()))
    parts.service.detector = detector
    yield parts.service
    asyncio.run(detector.close())
    parts.close()


def small_face() -> Pixels:
    """A face of 34 pixels, which the first pass sees as 6."""
    pixels = GREY.copy()
    head = cv2.resize(photos.decode(photos.astronaut())[:250, 100:350], (90, 90), interpolation=cv2.INTER_AREA)
    pixels[300:390, 1500:1590] = head
    return pixels


async def people_seen(service: FaceService, image: bytes, name: str) -> dict[str, int]:
    """Operation -> number of faces that it sees."""

    async def counted(call: object) -> int:
        try:
            await call  # type: ignore[misc]
        except NoFaceDetected:
            return 0
        return 1

    portrait = photos.astronaut()
    found = {
        "detect": len((await service.detect(image))[0].faces),
        "detect the largest": len((await service.detect(image, max_faces=1))[0].faces),
        "embed": len((await service.embed(image))[0].faces),
        "embed all": len((await service.embed(image, faces="all"))[0].faces),
        "search": len((await service.search(TENANT, image, ["staff"])).faces),
        "search for all": len((await service.search(TENANT, image, ["staff"], faces="all")).faces),
        "search for one": await counted(service.search(TENANT, image, ["staff"], faces="one")),
        "compare": await counted(service.compare(image, portrait)),
        "compare with": await counted(service.compare(portrait, image, faces="one")),
        "enrol": await counted(service.enroll(TENANT, name, "staff", [image])),
        "enrol the largest": await counted(service.enroll(TENANT, name, "staff", [image], faces="largest")),
    }
    if found["enrol"]:
        found["verify"] = await counted(service.verify(TENANT, image, name))
    return found


@pytest.mark.parametrize("turns", range(4))
def test_all_operations_see_a_small_face_in_a_wide_or_tall_picture(service: FaceService, turns: int) -> None:
    picture = encode_jpeg(np.ascontiguousarray(np.rot90(small_face(), -turns)))
    seen = asyncio.run(people_seen(service, picture, f"turned{turns}"))
    assert seen == dict.fromkeys(seen, 1)
    (face,) = asyncio.run(service.detect(picture))[0].faces
    assert face.turned == 90 * turns


def test_all_operations_see_nobody(service: FaceService) -> None:
    seen = asyncio.run(people_seen(service, encode_jpeg(GREY), "nobody"))
    assert seen == dict.fromkeys(seen, 0)
