"""The smallest face that a caller accepts, in searches and enrolments."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from serve_app.domain import NewCollection
from serve_app.errors import FaceRejected, PersonNotFound
from serve_app.service import FaceService
from tests.fakes.stages import FakeFace, fake_picture
from tests.service_parts import ServiceParts

TENANT = "0" * 32
PICTURE = fake_picture(FakeFace("ada", size=60))


@pytest.fixture
def service() -> Iterator[FaceService]:
    parts = ServiceParts()
    parts.gallery.create_collection(TENANT, NewCollection("staff"))
    yield parts.service
    parts.close()


def test_a_smaller_face_is_not_enrolled(service: FaceService) -> None:
    with pytest.raises(FaceRejected, match="FACE_TOO_SMALL") as refused:
        asyncio.run(service.enroll(TENANT, "ada", "staff", [PICTURE], min_face_side=60.5))
    assert refused.value.details == {"codes": ["FACE_TOO_SMALL"], "image": 0}
    with pytest.raises(PersonNotFound):
        asyncio.run(service.matcher.person(TENANT, "ada"))
    assert asyncio.run(service.enroll(TENANT, "ada", "staff", [PICTURE], min_face_side=60)).created


def test_a_smaller_face_is_not_searched_for(service: FaceService) -> None:
    with pytest.raises(FaceRejected, match="FACE_TOO_SMALL"):
        asyncio.run(service.search(TENANT, PICTURE, ["staff"], min_face_side=60.5))
    assert asyncio.run(service.search(TENANT, PICTURE, ["staff"], min_face_side=60)).faces
