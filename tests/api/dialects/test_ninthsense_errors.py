"""Every error of 9thSense's dialect."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from serve_app.errors import Overloaded, StoreUnavailable
from tests.api.conftest import LIMITS, World
from tests.api.dialects.ninthsense import Client, failure, populated
from tests.fakes.stages import fake_picture


@pytest.fixture
def kyc(world: World) -> Client:
    return populated(world)


def test_who_calls_must_show_a_keys_id_and_secret(kyc: Client) -> None:
    key_id, secret = kyc.auth
    url = "/face/index/details"
    other_id = Client(kyc.world).auth[0]
    encoded = base64.b64encode(secret.encode()).decode()
    for auth, headers, expected in (
        (None, {}, "api_key_missing"),
        (None, {"X-API-Key": secret}, "api_key_missing"),
        (None, {"Authorization": f"Bearer {secret}"}, "api_key_missing"),
        ((key_id, ""), {}, "api_key_missing"),
        ((key_id, "wrong"), {}, "api_key_invalid"),
        ((key_id, "x" * 2000), {}, "api_key_invalid"),
        ((other_id, secret), {}, "api_key_invalid"),
        (("", secret), {}, "api_key_invalid"),
        (None, {"Authorization": "Basic %%%"}, "api_key_invalid"),
        (None, {"Authorization": f"Basic {encoded}"}, "api_key_invalid"),
    ):
        response = kyc.request("GET", url, auth=auth, headers=headers)
        assert failure(response) == (401, expected)
        assert response.headers["www-authenticate"] == 'Basic realm="facegraph"'
    assert kyc.request("GET", url).status_code == 200


def test_two_keys_are_refused(kyc: Client) -> None:
    url = "/face/index/details"
    other = kyc.world.search["X-API-Key"]
    for headers in ({"X-API-Key": other}, {"X-API-Key": "wrong"}):
        assert failure(kyc.request("GET", url, headers=headers)) == (400, "invalid_request")
    assert kyc.request("GET", url, headers={"X-API-Key": kyc.auth[1]}).status_code == 200
    twice = [("Authorization", "Basic YTpi"), ("Authorization", "Basic YTpj")]
    assert failure(kyc.request("GET", url, auth=None, headers=twice)) == (400, "invalid_request")


def test_every_path_asks_for_the_key(world: World) -> None:
    for method, path in (
        ("GET", "/face/index/details"),
        ("POST", "/face/search"),
        ("GET", "/media/file/download/x"),
        ("POST", "/face/match"),
    ):
        assert failure(world.client.request(method, path)) == (401, "api_key_missing")


def test_a_keys_rate_limit_holds(world: World) -> None:
    limited = Client(world, rate_limit=0.001)
    assert limited.request("GET", "/face/index/details").status_code == 200
    response = limited.request("GET", "/face/index/details")
    assert failure(response) == (429, "rate_limited")
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (fake_picture(), (422, "face_not_found")),
        (b"", (400, "image_undecodable")),
        (b"GIF89a", (415, "image_format_unsupported")),
        (fake_picture("john")[:-5], (400, "image_undecodable")),
        (fake_picture("john", padding=LIMITS.max_image_bytes), (413, "image_too_large")),
        (fake_picture("john", padding=LIMITS.max_body_bytes), (413, "request_too_large")),
    ],
)
def test_what_is_wrong_with_a_picture_is_said(kyc: Client, picture: bytes, expected: tuple[int, str]) -> None:
    assert failure(kyc.search(kyc.index("customers"), picture)) == expected
    for files in (
        {"source_image": picture, "target_image": fake_picture("john")},
        {"source_image": fake_picture("john"), "target_image": picture},
    ):
        assert failure(kyc.request("POST", "/face/match", files=files)) == expected


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"target_index_ids": ""}, "target_index_ids"),
        ({"target_index_ids": ",".join(f"{n:032x}" for n in range(101))}, "target_index_ids"),
        ({"min_match_score": "high"}, "min_match_score"),
        ({"min_match_score": "-1"}, "min_match_score"),
        ({"min_match_score": "100.5"}, "min_match_score"),
        ({"min_match_score": "nan"}, "min_match_score"),
        ({"max_results": "0"}, "max_results"),
        ({"max_results": "1.5"}, "max_results"),
        ({"max_results": str(LIMITS.max_results + 1)}, "max_results"),
    ],
)
def test_a_malformed_field_is_named(kyc: Client, data: dict[str, Any], named: str) -> None:
    ids = data.pop("target_index_ids", kyc.index("customers"))
    response = kyc.search(ids, **data)
    assert failure(response) == (400, "invalid_request")
    assert named in response.json()["response"]["error"]["message"]


def test_a_missing_field_is_named(kyc: Client) -> None:
    image = {"source_image": fake_picture("john")}
    for path, files, data, named in (
        ("/face/search", image, {}, "target_index_ids"),
        ("/face/search", {"other": b"x"}, {"target_index_ids": "x"}, "source_image"),
        ("/face/match", image, {}, "target_image"),
        ("/face/match", {"target_image": b"x"}, {}, "source_image"),
    ):
        response = kyc.request("POST", path, files=files, data=data)
        assert failure(response) == (400, "invalid_request")
        assert f"{named}: is required" in response.text
    text = kyc.request("POST", "/face/search", files={"x": b""}, data={"source_image": "x", "target_index_ids": "x"})
    assert "a file of a multipart/form-data body was expected" in text.text
    assert failure(kyc.search(kyc.index("customers"), live="perhaps")) == (400, "invalid_request")


def test_what_does_not_exist_is_said(kyc: Client) -> None:
    known = kyc.index("customers")
    for ids in ("customers", "0" * 32, f"{known},{'0' * 32}", "'; --"):
        assert failure(kyc.search(ids)) == (404, "index_not_found")
    for file_id in ("0" * 32, "x", "..%5C.."):
        assert failure(kyc.request("GET", f"/media/file/download/{file_id}")) == (404, "file_not_found")


def test_bodies_and_methods_that_no_path_reads(kyc: Client) -> None:
    urlencoded = kyc.request("POST", "/face/search", data={"target_index_ids": "x"})
    assert failure(urlencoded) == (415, "media_type_unsupported")
    assert failure(kyc.request("POST", "/face/search", json={})) == (400, "invalid_request")
    wrong = kyc.request("GET", "/face/search")
    assert failure(wrong) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "OPTIONS, POST"


def test_faults_of_the_service_have_the_same_envelope(kyc: Client) -> None:
    index = kyc.index("customers")
    for fault, expected in (
        (Overloaded("Busy.", retry_after_s=2), (429, "overloaded")),
        (StoreUnavailable("The database does not answer."), (503, "store_unavailable")),
        (RuntimeError("secret"), (500, "internal_error")),
    ):
        kyc.world.detector.failure = fault
        response = kyc.search(index)
        assert failure(response) == expected
        assert "secret" not in response.text
