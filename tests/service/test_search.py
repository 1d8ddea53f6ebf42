"""A collection's liveness policy holds in every search, also when it changes while the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from serve_app.domain import CollectionPolicy, NewCollection, SearchResult
from serve_app.errors import FaceNotLive, TooManyFaces
from serve_app.service import FaceService
from tests.fakes.stages import FakeFace, fake_picture
from tests.service_parts import ServiceParts

TENANT = "0" * 32


@pytest.fixture
def service() -> Iterator[FaceService]:
    parts = ServiceParts()
    parts.gallery.create_collection(TENANT, NewCollection("gate"))
    asyncio.run(parts.service.enroll(TENANT, "ada", "gate", [fake_picture(FakeFace("ada"))]))
    yield parts.service
    parts.close()


class CountedCalls:
    """A stage that notes the names of the methods that are called."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._stage, name)


def set_policy(service: FaceService, **values: object) -> None:
    policy = replace(CollectionPolicy(), **values)  # type: ignore[arg-type]
    asyncio.run(service.matcher.update_collection(TENANT, "gate", {"policy": policy}))


def search(service: FaceService, live: float, **options: object) -> SearchResult:
    picture = fake_picture(FakeFace("ada", take=1, live=live))
    return asyncio.run(service.search(TENANT, picture, ["gate"], **options))  # type: ignore[arg-type]


def test_without_a_policy_nothing_is_checked(service: FaceService) -> None:
    (face,) = search(service, live=0.1).faces
    assert face.liveness is None
    assert face.matches


def test_asked_for_it_is_checked(service: FaceService) -> None:
    (face,) = search(service, live=0.1, liveness=True).faces
    assert face.liveness is not None
    assert not face.liveness.is_live
    assert face.matches == ()


def test_a_policys_own_threshold_decides(service: FaceService) -> None:
    set_policy(service, liveness=True, liveness_threshold=0.8)
    for _ in range(2):  # the second search knows the policy from the first
        (face,) = search(service, live=0.7).faces
        assert face.liveness is not None
        assert face.liveness.threshold == 0.8
        assert face.matches == ()
        assert search(service, live=0.85).faces[0].matches


def test_a_changed_policy_counts_at_once(service: FaceService) -> None:
    set_policy(service, liveness=True, liveness_threshold=0.5)
    assert search(service, live=0.6).faces[0].matches
    set_policy(service, liveness=True, liveness_threshold=0.8)
    assert not search(service, live=0.6).faces[0].matches
    set_policy(service, liveness=True, liveness_threshold=0.5)
    assert search(service, live=0.6).faces[0].matches
    set_policy(service, liveness=False)
    (face,) = search(service, live=0.1).faces
    assert face.liveness is None
    assert face.matches


def test_enrolment_follows_the_policy(service: FaceService) -> None:
    set_policy(service, liveness=True, liveness_threshold=0.8)
    picture = fake_picture(FakeFace("eve", live=0.7))
    with pytest.raises(FaceNotLive) as refused:
        asyncio.run(service.enroll(TENANT, "eve", "gate", [picture]))
    assert refused.value.details["threshold"] == 0.8
    assert asyncio.run(service.matcher.persons(TENANT, "gate")).items[0].id == "ada"


def test_enrolment_wants_one_main_face(service: FaceService) -> None:
    rivals = fake_picture(FakeFace("eve", size=100), FakeFace("mallory", size=90))
    with pytest.raises(TooManyFaces):
        asyncio.run(service.enroll(TENANT, "eve", "gate", [rivals]))
    done = asyncio.run(service.enroll(TENANT, "eve", "gate", [rivals], faces="largest"))
    assert len(done.faces) == 1
    background = fake_picture(FakeFace("bob", size=100), FakeFace("passer-by", size=40))
    assert asyncio.run(service.enroll(TENANT, "bob", "gate", [background])).created


def test_a_demanded_check_does_not_detect_or_embed_again(service: FaceService) -> None:
    set_policy(service, liveness=True)
    detector, embedder = CountedCalls(service.detector), CountedCalls(service.embedder)
    service.detector, service.embedder = detector, embedder
    (face,) = search(service, live=0.9).faces
    assert face.liveness is not None
    assert face.matches
    assert (detector.calls, embedder.calls) == (["detect", "liveness_crops"], ["embed"])
