"""The smallest face that a caller accepts, in searches and enrolments."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.domain import NewCollection
from serve_app.errors import FaceRejected, PersonNotFound
from serve_app.service import FaceService
from serve_app.stages.fake_matcher import FakeMatcher
from serve_app.stages.fakes import (
    FAKE_CALIBRATION,
    FAKE_MODEL,
    FakeDetector,
    FakeEmbedder,
    FakeFace,
    FakeLiveness,
    fake_picture,
)

TENANT = "0" * 32
PICTURE = fake_picture(FakeFace("ada", size=60))


@pytest.fixture
def service() -> FaceService:
    detector, liveness, embedder, matcher = FakeDetector(), FakeLiveness(), FakeEmbedder(), FakeMatcher()
    made = FaceService(detector, liveness, embedder, matcher, calibrations={FAKE_MODEL: FAKE_CALIBRATION})
    asyncio.run(made.matcher.create_collection(TENANT, NewCollection("staff")))
    return made


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
