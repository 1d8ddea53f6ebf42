"""Each row of ARGOS's published error table."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from serve_app.api.dialects.argos import routes
from serve_app.api.dialects.argos.errors import ADD, DELETE, LIST, MESSAGES, NEVER, SEARCH
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.errors import CollectionNotFound, InvalidRequest, Overloaded, StoreUnavailable
from tests.api.conftest import LIMITS, World, b64
from tests.api.dialects.argos import JOHN, TABLE, Client, code
from tests.fakes.stages import FakeFace, fake_picture


@pytest.fixture
def vendor(world: World) -> Client:
    return Client(world)


def test_the_texts_are_the_published_ones() -> None:
    assert {number: message for _, number, _, message in TABLE} == MESSAGES
    operations = {"add": ADD, "delete": DELETE, "list": LIST, "search": SEARCH}
    for name, operation in operations.items():
        published = {number for owner, number, _, _ in TABLE if owner == name}
        assert set(operation.codes) == published - set(NEVER)


@pytest.mark.parametrize(("operation", "expected"), [("add", 6010), ("delete", 6018), ("list", 6024), ("search", 6030)])
@pytest.mark.parametrize("sent", [None, ""])
def test_6010_6018_6024_6030_no_collection(vendor: Client, operation: str, expected: int, sent: str | None) -> None:
    assert code(vendor.call(operation, collectionId=sent)) == expected


@pytest.mark.parametrize("changes", [{"userName": None}, {"userName": ""}, {"faceImage": None}, {"faceImage": ""}])
def test_6012_something_else_is_missing(vendor: Client, changes: dict[str, Any]) -> None:
    assert code(vendor.add(**changes)) == 6012


@pytest.mark.parametrize(
    "picture",
    [
        fake_picture(),
        fake_picture("john", "jane"),
        fake_picture(FakeFace("john", size=49.5)),
    ],
    ids=["no face", "two faces", "face too small"],
)
def test_6012_no_usable_face(vendor: Client, picture: bytes) -> None:
    assert code(vendor.add(picture)) == 6012
    assert vendor.list().json()["totalCount"] == 0


@pytest.mark.parametrize(("operation", "expected"), [("add", 6013), ("delete", 6020), ("list", 6027), ("search", 6033)])
def test_6013_6020_6027_6033_no_such_collection(vendor: Client, operation: str, expected: int) -> None:
    changes = {"faceId": "0" * 32} if operation == "delete" else {}
    for unknown in ("nobody", "0" * 32, "x" * 500, "'; --"):
        assert code(vendor.call(operation, collectionId=unknown, **changes)) == expected


@pytest.mark.parametrize(
    ("operation", "method", "expected"),
    [
        ("add", "put_person", 6014),
        ("delete", "delete_face", 6020),
        ("list", "faces", 6028),
        ("search", "search", 6034),
    ],
)
def test_6014_6020_6028_6034_the_collection_goes_away_meanwhile(
    vendor: Client, monkeypatch: pytest.MonkeyPatch, operation: str, method: str, expected: int
) -> None:
    async def gone(*args: Any, **kwargs: Any) -> None:
        raise CollectionNotFound("There is no collection 'staff'.")

    monkeypatch.setattr(vendor.world.matcher, method, gone)
    changes = {"faceId": "0" * 32} if operation == "delete" else {}
    assert code(vendor.call(operation, **changes)) == expected


@pytest.mark.parametrize(("operation", "expected"), [("add", 6015), ("search", 6035)])
def test_6015_6035_not_live(vendor: Client, operation: str, expected: int) -> None:
    vendor.policy(liveness=True, liveness_threshold=0.95)
    assert code(vendor.call(operation)) == expected
    assert vendor.list().json()["totalCount"] == 0


@pytest.mark.parametrize(("operation", "expected"), [("add", 6016), ("search", 6036)])
def test_6016_6036_too_large(vendor: Client, monkeypatch: pytest.MonkeyPatch, operation: str, expected: int) -> None:
    assert routes.MAX_IMAGE_BYTES == 5 * 2**20
    for padding in (LIMITS.max_image_bytes, LIMITS.max_body_bytes):
        assert code(vendor.call(operation, picture=fake_picture("john", padding=padding))) == expected
    monkeypatch.setattr(routes, "MAX_IMAGE_BYTES", len(JOHN))
    assert vendor.call(operation).status_code == 200
    monkeypatch.setattr(routes, "MAX_IMAGE_BYTES", len(JOHN) - 1)
    assert code(vendor.call(operation)) == expected
    wrapped = base64.encodebytes(JOHN).decode()
    assert code(vendor.call(operation, faceImage=wrapped)) == expected


@pytest.mark.parametrize(("operation", "expected"), [("add", 6017), ("search", 6037)])
@pytest.mark.parametrize(
    "image",
    [
        b64(b"GIF89a"),
        b64(b"RIFF1234WEBPVP8 "),
        b64(JOHN[:-5]),
        "not base64!",
        "data:image/jpeg;base64,",
        "data:image/jpeg,abc",
    ],
)
def test_6017_6037_unreadable(vendor: Client, operation: str, expected: int, image: str) -> None:
    assert code(vendor.call(operation, faceImage=image)) == expected


def test_6019_no_face_id(vendor: Client) -> None:
    assert code(vendor.delete()) == code(vendor.delete(faceId="")) == 6019


def test_6021_a_face_of_another_collection(vendor: Client) -> None:
    vendor.world.call("POST", "/v1/collections", json={"name": "visitors"}).raise_for_status()
    added = vendor.add(collectionId="visitors").json()
    assert code(vendor.delete(faceId=added["faceId"])) == 6021
    assert vendor.list(collectionId="visitors").json()["totalCount"] == 1


def test_6022_no_such_face(vendor: Client) -> None:
    for unknown in ("0" * 32, "x", "'; --"):
        assert code(vendor.delete(faceId=unknown)) == 6022


def test_6025_a_short_term(vendor: Client) -> None:
    assert code(vendor.list(term="John")) == 6025


@pytest.mark.parametrize("page", [None, "", "0", "-1", "one", "1.5", "1000000001", "9" * 40])
def test_6026_no_page(vendor: Client, page: str | None) -> None:
    assert code(vendor.list(page=page)) == 6026


def test_6031_no_name(vendor: Client) -> None:
    assert code(vendor.search(requestName=None)) == code(vendor.search(requestName="")) == 6031


@pytest.mark.parametrize("changes", [{"faceImage": None}, {"faceImage": ""}, {"faceImage": 5}])
def test_6032_no_image(vendor: Client, changes: dict[str, Any]) -> None:
    assert code(vendor.search(**changes)) == 6032


@pytest.mark.parametrize("picture", [fake_picture(), fake_picture(FakeFace("john", size=49.5))])
def test_6032_no_usable_face(vendor: Client, picture: bytes) -> None:
    assert code(vendor.search(picture)) == 6032


def test_what_is_missing_is_said_in_the_order_of_the_codes(vendor: Client) -> None:
    for path, first in (("/search", 6030), ("/faces", 6010)):
        for content in (b"", b"{}", b'{"collectionId": null}', b'{"collectionId": 5, "faceImage": []}'):
            headers = {**vendor.headers, "Content-Type": "application/json"}
            answer = vendor.world.client.post(f"/modules{path}", headers=headers, content=content)
            assert code(answer) == first


@pytest.mark.parametrize(("path", "expected"), [("/faces", 6012), ("/search", 6038)])
def test_6012_6038_bodies_that_nobody_can_read(vendor: Client, path: str, expected: int) -> None:
    for kind, content in (
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("text/plain", b"{}"),
        ("multipart/form-data; boundary=x", b"--x--"),
    ):
        headers = {**vendor.headers, "Content-Type": kind}
        assert code(vendor.world.client.post(f"/modules{path}", headers=headers, content=content)) == expected


@pytest.mark.parametrize(("operation", "expected"), [("add", 6012), ("delete", 6023), ("list", 6029), ("search", 6038)])
def test_6012_6023_6029_6038_faults_of_the_service_keep_their_status(
    vendor: Client, operation: str, expected: int
) -> None:
    changes = {"faceId": "0" * 32} if operation == "delete" else {}
    for fault, status, word in (
        (StoreUnavailable("The database does not answer."), 503, "store_unavailable"),
        (Overloaded("Busy.", retry_after_s=3), 429, "overloaded"),
        (RuntimeError("secret"), 500, "internal_error"),
    ):
        vendor.world.faults.failure = fault
        response = vendor.call(operation, **changes)
        assert response.status_code == status
        assert response.json() == {"errorCode": expected, "message": MESSAGES[expected]}
        assert response.headers["x-error-code"] == word
        assert ("retry-after" in response.headers) == (status == 429)


def test_6029_a_term_that_nobody_can_look_for(vendor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise InvalidRequest("q may have 200 characters, got 300.")

    monkeypatch.setattr(vendor.world.matcher, "faces", refuse)
    assert code(vendor.list(term="x" * 300)) == 6029


def test_without_a_liveness_model_the_option_is_no_pass(vendor: Client) -> None:
    vendor.policy(liveness=True)
    vendor.world.liveness.installed = False
    for response, expected in ((vendor.add(), 6012), (vendor.search(), 6038)):
        assert (response.status_code, response.json()["errorCode"]) == (501, expected)
        assert response.headers["x-error-code"] == "liveness_unavailable"


def test_6039_6040_the_key(world: World) -> None:
    for headers, expected in (({}, 6039), ({"x-api-key": ""}, 6039), ({"x-api-key": "wrong"}, 6040)):
        client = Client(world, headers)
        for operation in ("add", "delete", "list", "search"):
            response = client.call(operation, collectionId=None)  # the key comes first
            assert code(response) == expected
            assert "www-authenticate" not in response.headers


def test_a_keys_rate_limit_holds(world: World) -> None:
    _, secret = world.keys.create(DEFAULT_TENANT, "slow", Role.SEARCH, rate_limit=0.001)
    slow = Client(world, {"x-api-key": secret})
    assert slow.search().status_code == 200
    response = slow.search()
    assert (response.status_code, response.json()) == (429, {"errorCode": 6038, "message": MESSAGES[6038]})
    assert int(response.headers["retry-after"]) >= 1


def test_another_tenants_collection_does_not_exist(vendor: Client) -> None:
    stranger = Client(vendor.world, {"x-api-key": vendor.world.stranger["X-API-Key"]})
    assert code(stranger.search()) == 6033
    face_id = vendor.add().json()["faceId"]
    create = vendor.world.call("POST", "/v1/collections", headers=vendor.world.stranger, json={"name": "staff"})
    stranger.collection = create.json()["id"]
    assert code(stranger.delete(faceId=face_id)) == 6022
    assert vendor.list().json()["totalCount"] == 1


def test_paths_and_methods_that_do_not_exist(vendor: Client) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("POST", "/deep/search", 404), ("GET", "/search", 405)):
        response = vendor.request(method, path)
        assert response.status_code == status
        assert response.json()["errorCode"] == status
        assert set(response.json()) == {"errorCode", "message"}
