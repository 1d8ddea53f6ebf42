"""The OpenCV cloud dialect: each row of its error table."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.domain import Role
from serve_app.errors import StoreUnavailable
from tests.api.conftest import World, b64, header
from tests.api.dialects.opencv_cloud import UNKNOWN, Cloud, picture
from tests.fakes.stages import FakeFace


@pytest.fixture
def cloud(world: World) -> Cloud:
    return Cloud(world)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (picture(), "ERR_NO_FACES_FOUND"),
        (picture("ada", "ben"), "ERR_MULTIPLE_FACES"),
        (b64(b"no picture"), "ERR_IMAGE_COULD_NOT_BE_DECODED"),
        ("***", "ERR_IMAGE_COULD_NOT_BE_DECODED"),
        ("", "ERR_IMAGE_COULD_NOT_BE_DECODED"),
    ],
)
def test_pictures_that_do_not_serve(cloud: Cloud, image: str, code: str) -> None:
    good = picture("ada")
    for path, body in (
        ("/person", {"images": [good, image]}),
        ("/search", {"images": [image]}),
        ("/compare", {"probe": [good], "gallery": [good, image]}),
        ("/liveness", {"image": image}),
        ("/search-live-face", {"image": image}),
    ):
        assert cloud.failed("POST", path, body) == (400, code)
    assert cloud.ok("GET", "/persons")["count"] == 0


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (("FACE_TOO_SMALL",), "ERR_FACE_TOO_SMALL"),
        (("FACE_CROPPED",), "ERR_FACE_CROPPED"),
    ],
)
def test_faces_unfit_for_liveness(cloud: Cloud, codes: tuple[str, ...], expected: str) -> None:
    image = picture(FakeFace("ada", codes=codes))
    assert cloud.failed("POST", "/liveness", {"image": image}) == (400, expected)


def test_without_liveness_models(cloud: Cloud, world: World) -> None:
    world.liveness.installed = False
    assert cloud.failed("POST", "/liveness", {"image": picture("ada")}) == (501, "ERR_RESTRICTED_API")


def test_keys(world: World) -> None:
    for headers in ({"X-API-Key": "wrong"}, {"x-unrelated": "1"}):
        response = world.client.get("/opencv-fr/collections", headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "ERR_INVALID_API_KEY")
    reader, writer = Cloud(world, world.search), Cloud(world, world.enroll)
    assert reader.failed("POST", "/person", {"images": [picture("ada")]}) == (403, "ERR_READ_ONLY_API_KEY")
    assert writer.failed("POST", "/collection", {"name": "x"}) == (403, "ERR_RESTRICTED_API")
    assert reader.ok("POST", "/search", {"images": [picture("ada")]}) == []
    assert writer.person("ada", id="ada")["id"] == "ada"


def test_the_rate_limit(world: World) -> None:
    slow = Cloud(world, header(world.keys, Role.ADMIN, rate_limit=0.001))
    slow.ok("GET", "/collections")
    response = slow.call("GET", "/collections")
    assert (response.status_code, response.json()["code"]) == (429, "ERR_RATE_LIMIT_EXCEEDED")
    assert int(response.headers["retry-after"]) >= 1


def test_faults_of_the_service(cloud: Cloud, world: World) -> None:
    world.faults.failure = StoreUnavailable("The database does not answer.")
    assert cloud.failed("GET", "/collections") == (503, "ERR_MAINTENANCE_MODE")
    world.faults.failure = RuntimeError("secret")
    response = cloud.call("GET", "/collections")
    assert (response.status_code, response.json()["code"]) == (500, "ERR_INTERNAL_ERROR")
    assert "secret" not in response.text


def test_paths_and_methods_that_are_not_there(cloud: Cloud) -> None:
    assert cloud.failed("GET", "/nothing") == (404, "ERR_ENTITY_NOT_FOUND")
    assert cloud.failed("PUT", "/person", {}) == (405, "ERR_METHOD_NOT_ALLOWED")


def test_a_body_too_large(cloud: Cloud) -> None:
    response = cloud.call("POST", "/search", {"images": ["x" * 300_000]})
    assert (response.status_code, response.json()["code"]) == (413, "ERR_REQUEST_TOO_LARGE")


IMAGE = picture("ada")
SET = {"images": [IMAGE]}


@pytest.mark.parametrize(
    ("method", "path", "body", "where"),
    [
        ("POST", "/search", {}, "body.images"),
        ("POST", "/search", {"images": []}, "body.images"),
        ("POST", "/search", {"images": [IMAGE] * 4}, "body.images"),
        ("POST", "/search", {**SET, "min_score": 1.1}, "body.min_score"),
        ("POST", "/search", {**SET, "min_score": "much"}, "body.min_score"),
        ("POST", "/search", {**SET, "max_results": 501}, "body.max_results"),
        ("POST", "/search", {**SET, "collection_id": "short"}, "body.collection_id"),
        ("POST", "/search", {**SET, "search_mode": "SLOW"}, "body.search_mode"),
        ("POST", "/detect", {"image": IMAGE, "search": {"max_results": 101}}, "body.search.max_results"),
        ("POST", "/head-count", {"image": IMAGE, "confidence": 100}, "body.confidence"),
        ("POST", "/liveness", {"image": IMAGE, "os": "BEOS"}, "body.os"),
        ("POST", "/verify", {"id": "", **SET}, "body.id"),
        ("POST", "/person", {**SET, "id": "x" * 101}, "body.id"),
        ("POST", "/person", {**SET, "gender": "X"}, "body.gender"),
        ("POST", "/person", {**SET, "date_of_birth": "yesterday"}, "body.date_of_birth"),
        ("POST", "/person", {**SET, "date_of_birth": 0}, "body.date_of_birth"),
        ("POST", "/person", {**SET, "date_of_birth": "86400"}, "body.date_of_birth"),
        ("POST", "/person", {**SET, "notes": "x" * 501}, "body.notes"),
        ("POST", "/person", {**SET, "id": "a\nb"}, "body.id"),
        ("POST", "/person", {**SET, "name": "a\x00b"}, "body.name"),
        ("PATCH", "/persons", {"action": "DELETE", "person_ids": []}, "body.person_ids"),
        ("PATCH", "/persons", {"action": "KEEP", "person_ids": ["a"]}, "body.action"),
        ("PATCH", "/person/images", {"id": "a", "removed_thumbnail_ids": []}, "body.removed_thumbnail_ids"),
        ("POST", "/collection", {"name": "x" * 51}, "body.name"),
        ("POST", "/collection", {"name": "x", "description": "x" * 101}, "body.description"),
        ("PATCH", "/collection", {"id": UNKNOWN[1:], "name": "x"}, "body.id"),
        ("GET", "/persons?take=101", None, "query.take"),
        ("GET", "/persons?order_by=height", None, "query.order_by"),
        ("GET", "/collections?skip=-1", None, "query.skip"),
        ("GET", "/collections?order=UP", None, "query.order"),
    ],
)
def test_what_the_schema_refuses(cloud: Cloud, method: str, path: str, body: Any, where: str) -> None:
    assert cloud.failed(method, path, body) == (422, where)


def test_bodies_that_are_no_json(cloud: Cloud) -> None:
    for content in (b"{", b"[]", b"\xff"):
        assert cloud.failed("POST", "/search", content=content) == (422, "body")
    assert cloud.failed("POST", "/search") == (422, "body.images")
