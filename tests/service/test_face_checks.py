"""Checks that enrolment, search and comparison make only on request: quality, second faces, duplicates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from serve_app.domain import (
    Box,
    CollectionPolicy,
    DetectedFace,
    Detection,
    ImageInfo,
    ImageStorage,
    Liveness,
    NewCollection,
    Quality,
    QualityCode,
)
from serve_app.errors import (
    DuplicateFace,
    FaceRejected,
    InvalidRequest,
    NoFaceDetected,
    PersonNotFound,
    QualityTooLow,
    TooManyFaces,
)
from serve_app.service import FaceService
from serve_app.service.face_checks import main_face
from serve_app.stages.matcher import THREADS
from tests.fakes.stages import FakeFace, fake_picture
from tests.service_parts import ServiceParts
from tests.waiting import until

TENANT = "0" * 32
CROPPED = fake_picture(FakeFace("ada", codes=("FACE_CROPPED", "EYES_CLOSED")))
FAULTS = {QualityCode.FACE_CROPPED, QualityCode.EYES_CLOSED, QualityCode.FACE_TOO_SMALL}


@pytest.fixture
def service() -> Iterator[FaceService]:
    parts = ServiceParts()
    parts.gallery.create_collection(TENANT, NewCollection("staff"))
    asyncio.run(parts.service.enroll(TENANT, "ada", "staff", [fake_picture("ada")]))
    yield parts.service
    parts.close()


def test_unfit_faces(service: FaceService) -> None:
    calls = (
        service.search(TENANT, CROPPED, ["staff"], reject=FAULTS),
        service.search(TENANT, CROPPED, ["staff"], reject=FAULTS, faces="all"),
        service.compare(CROPPED, fake_picture("ada"), reject=FAULTS),
        service.enroll(TENANT, "eve", "staff", [fake_picture("eve"), CROPPED], reject=FAULTS),
    )
    for position, call in enumerate(calls):
        with pytest.raises(FaceRejected) as refused:
            asyncio.run(call)
        assert refused.value.details["codes"] == ["EYES_CLOSED", "FACE_CROPPED"]
        assert refused.value.details.get("image") == (None, None, 0, 1)[position]
    with pytest.raises(PersonNotFound):
        asyncio.run(service.matcher.person(TENANT, "eve"))
    assert asyncio.run(service.search(TENANT, CROPPED, ["staff"], reject={QualityCode.FACE_TOO_SMALL})).faces
    assert asyncio.run(service.compare(fake_picture("ada"), CROPPED, reject=FAULTS)).is_match  # only the probe counts


@pytest.mark.parametrize(("policy", "request_", "refused"), [(0.0, 0.0, False), (0.6, 0.0, True), (0.0, 0.6, True)])
@pytest.mark.parametrize("mode", ["replace", "add"])
def test_quality_by_the_request_and_by_the_policy(
    service: FaceService, policy: float, request_: float, refused: bool, mode: Literal["replace", "add"]
) -> None:
    name = f"from-{policy}"
    new = NewCollection(name, policy=CollectionPolicy(reject_below=policy))
    asyncio.run(service.matcher.create_collection(TENANT, new))
    pictures = [fake_picture(FakeFace("eve", quality=0.6)), fake_picture(FakeFace("eve", take=1, quality=0.59))]
    call = service.enroll(TENANT, "eve", name, pictures, reject_below=request_, mode=mode)
    if not refused:
        assert len(asyncio.run(call).faces) == 2
        return
    with pytest.raises(QualityTooLow) as error:
        asyncio.run(call)
    assert error.value.details == {"codes": [], "quality": 0.59, "needed": 0.6, "image": 1}
    with pytest.raises(PersonNotFound):
        asyncio.run(service.matcher.person(TENANT, "eve"))


def test_one_face_wanted(service: FaceService) -> None:
    rivals = fake_picture(FakeFace("ada", size=100), FakeFace("bob", size=90))
    with pytest.raises(TooManyFaces):
        asyncio.run(service.search(TENANT, rivals, ["staff"], faces="one"))
    with pytest.raises(TooManyFaces):
        asyncio.run(service.compare(rivals, rivals, faces="one"))
    with pytest.raises(NoFaceDetected):
        asyncio.run(service.search(TENANT, fake_picture(), ["staff"], faces="one"))
    background = fake_picture(FakeFace("ada", size=100), FakeFace("passer-by", size=40))
    (face,) = asyncio.run(service.search(TENANT, background, ["staff"], faces="one")).faces
    assert [match.person.id for match in face.matches if match.person] == ["ada"]
    assert asyncio.run(service.compare(background, rivals, faces="one")).is_match


def test_a_score_that_equals_the_threshold_is_a_match(service: FaceService) -> None:
    one, other = fake_picture("ada"), fake_picture(FakeFace("ada", take=1))
    score = asyncio.run(service.compare(one, other)).score
    above = float(np.nextafter(score, 1))
    assert 0 < score < 1
    assert asyncio.run(service.compare(one, other, min_score=score)).is_match
    assert not asyncio.run(service.compare(one, other, min_score=above)).is_match
    score = asyncio.run(service.verify(TENANT, other, "ada")).score
    assert asyncio.run(service.verify(TENANT, other, "ada", min_score=score)).is_match
    assert asyncio.run(service.verify_set(TENANT, [other], "ada", min_score=score)) is not None
    assert asyncio.run(service.verify_set(TENANT, [other], "ada", min_score=float(np.nextafter(score, 1)))) is None


def test_a_probability_that_equals_the_threshold_is_live() -> None:
    assert Liveness(0.5, {"model": 0.5}, 0.5).is_live
    assert not Liveness(float(np.nextafter(0.5, 0)), {}, 0.5).is_live


@pytest.mark.parametrize(("width", "rival"), [(49, False), (50, True), (51, True)])
def test_a_second_face_of_half_the_area_is_a_rival(width: float, rival: bool) -> None:
    pixels = np.zeros((112, 112, 3), np.uint8)
    quality = Quality(0.9, 500.0, 120.0, 40.0, 0.0, 0.0)
    faces = tuple(
        DetectedFace(Box(0.0, 0.0, side, 100.0), np.zeros((5, 2), np.float32), 0.9, quality, pixels)
        for side in (100.0, width)
    )
    detection = Detection(ImageInfo(500, 500, "JPEG", 1000), faces)
    assert main_face(detection, "largest") is faces[0]
    if rival:
        with pytest.raises(TooManyFaces) as refused:
            main_face(detection, "one", image=3)
        assert refused.value.details == {"faces": 2, "image": 3}
    else:
        assert main_face(detection, "one") is faces[0]


def test_duplicates(service: FaceService) -> None:
    same = fake_picture(FakeFace("ada", take=1))
    with pytest.raises(DuplicateFace) as refused:
        asyncio.run(
            service.enroll(
                TENANT, "eve", "staff", [fake_picture("eve"), same], check_duplicates=True, duplicate_min_score=0.7
            )
        )
    assert refused.value.details["person_id"] == "ada"
    assert refused.value.details["image"] == 1
    assert 0.7 <= refused.value.details["score"] < 1
    with pytest.raises(PersonNotFound):
        asyncio.run(service.matcher.person(TENANT, "eve"))
    assert asyncio.run(
        service.enroll(TENANT, "ada", "staff", [same], check_duplicates=True, duplicate_min_score=0.7)
    ).faces
    assert asyncio.run(
        service.enroll(TENANT, "eve", "staff", [], check_duplicates=True, duplicate_min_score=0.7)
    ).created
    assert asyncio.run(service.enroll(TENANT, "eve", "staff", [same])).faces
    # Now both have the face: each is the other's duplicate, though the nearest one found is the person itself.
    for person in ("ada", "eve"):
        with pytest.raises(DuplicateFace):
            asyncio.run(service.enroll(TENANT, person, "staff", [same], check_duplicates=True, duplicate_min_score=0.7))


def test_duplicates_where_the_policy_demands_liveness(service: FaceService) -> None:
    policy = CollectionPolicy(liveness=True, liveness_threshold=0.8, image_storage=ImageStorage.NONE)
    asyncio.run(service.matcher.update_collection(TENANT, "staff", {"policy": policy}))
    with pytest.raises(DuplicateFace):
        asyncio.run(
            service.enroll(
                TENANT, "eve", "staff", [fake_picture("ada")], check_duplicates=True, duplicate_min_score=0.7
            )
        )


def test_checks_that_wait_for_each_other_leave_threads_to_searches() -> None:
    parts = ServiceParts()
    parts.gallery.create_collection(TENANT, NewCollection("staff"))
    id_ = parts.gallery.collection(TENANT, "staff").id

    async def check() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            with parts.gallery._database.exclusive(f"enrolment {id_}"):
                for number in range(3 * THREADS):
                    group.create_task(
                        parts.service.enroll(
                            TENANT, f"p{number}", "staff", [fake_picture(f"p{number}")], check_duplicates=True
                        )
                    )
                await until(parts.matcher._in_turn.locked)
                assert not (await parts.service.search(TENANT, fake_picture("eve"), ["staff"])).faces[0].matches

    asyncio.run(check())
    assert parts.gallery.collection(TENANT, "staff").person_count == 3 * THREADS
    parts.close()


def test_an_impossible_score(service: FaceService) -> None:
    with pytest.raises(InvalidRequest):
        asyncio.run(
            service.enroll(
                TENANT, "eve", "staff", [fake_picture("eve")], check_duplicates=True, duplicate_min_score=1.1
            )
        )
