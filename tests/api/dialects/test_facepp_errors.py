"""Face++ v3: each row of the error tables, with status and exact message."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.api.dialects.facepp import parameters as facepp_params
from serve_app.api.request_limits import bounds_of
from serve_app.domain import Role
from serve_app.errors import (
    FacegraphError,
    ImageDownloadFailed,
    ImageDownloadTimeout,
    ImageTooLarge,
    ImageUrlRefused,
    Overloaded,
    StoreUnavailable,
)
from serve_app.settings import Settings
from tests.api.conftest import World, b64
from tests.api.dialects.facepp import Client, failure, picture
from tests.fakes.stages import MAGIC, fake_picture

UNKNOWN = "0" * 32
BIG = b"\xff\xd8\xff" + b"x" * (2 * 2**20)


@pytest.fixture
def api(world: World) -> Client:
    world.context.settings = Settings()  # the limits as shipped, which are wider than Face++'s
    world.context.bounds = bounds_of(world.context.settings)
    client = Client(world)
    client.faceset("gate", "ada")
    return client


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("detect", {}, "MISSING_ARGUMENTS: image_url, image_file, image_base64"),
        ("detect", {"image_base64": "x", "return_landmark": "3"}, "BAD_ARGUMENTS:return_landmark"),
        ("detect", {"image_base64": "x", "return_landmark": "many"}, "BAD_ARGUMENTS:return_landmark"),
        ("detect", {"image_base64": "x", "return_attributes": "age,size"}, "BAD_ARGUMENTS:return_attributes"),
        ("detect", {"image_base64": "x", "face_rectangle": "1,2,3"}, "BAD_ARGUMENTS:face_rectangle"),
        ("detect", {"image_base64": "x", "beauty_score_min": "101"}, "BAD_ARGUMENTS:beauty_score_min"),
        ("detect", {"image_file": "a text"}, "BAD_ARGUMENTS:image_file"),
        ("detect", {"image_base64": "!"}, "IMAGE_ERROR_UNSUPPORTED_FORMAT:image_base64"),
        ("compare", {}, "MISSING_ARGUMENTS: face_token1, image_url1, image_file1, image_base64_1"),
        ("compare", {"face_token1": UNKNOWN}, f"INVALID_FACE_TOKEN: {UNKNOWN}"),
        ("compare", {"image_base64_1": "!"}, "IMAGE_ERROR_UNSUPPORTED_FORMAT:image_base64_1"),
        ("search", {"face_token": UNKNOWN}, "MISSING_ARGUMENTS: faceset_token, outer_id"),
        ("search", {"outer_id": "gate"}, "MISSING_ARGUMENTS: face_token, image_url, image_file, image_base64"),
        ("search", {"outer_id": "gate", "face_token": UNKNOWN}, f"INVALID_FACE_TOKEN: {UNKNOWN}"),
        ("search", {"outer_id": "gate", "faceset_token": UNKNOWN}, "COEXISTENCE_ARGUMENTS"),
        ("search", {"outer_id": "nobody", "face_token": UNKNOWN}, "INVALID_OUTER_ID"),
        ("search", {"outer_id": "no name!", "face_token": UNKNOWN}, "INVALID_OUTER_ID"),
        ("search", {"faceset_token": UNKNOWN, "face_token": UNKNOWN}, "INVALID_FACESET_TOKEN"),
        ("search", {"outer_id": "staff", "face_token": UNKNOWN}, "EMPTY_FACESET"),
        ("search", {"outer_id": "gate", "return_result_count": "6"}, "BAD_ARGUMENTS:return_result_count"),
        ("search", {"outer_id": "gate", "return_result_count": "0"}, "BAD_ARGUMENTS:return_result_count"),
        ("faceset/create", {"outer_id": "gate"}, "FACESET_EXIST"),
        ("faceset/create", {"outer_id": "a@b"}, "BAD_ARGUMENTS:outer_id"),
        ("faceset/create", {"outer_id": "x" * 256}, "BAD_ARGUMENTS:outer_id"),
        ("faceset/create", {"display_name": "x" * 257}, "BAD_ARGUMENTS:display_name"),
        ("faceset/create", {"tags": "a=b"}, "BAD_ARGUMENTS:tags"),
        ("faceset/create", {"tags": "x" * 256}, "BAD_ARGUMENTS:tags"),
        ("faceset/create", {"user_data": "x" * (16 * 1024 + 1)}, "BAD_ARGUMENTS:user_data"),
        ("faceset/create", {"force_merge": "2"}, "BAD_ARGUMENTS:force_merge"),
        ("faceset/create", {"face_tokens": ",".join([UNKNOWN] * 6)}, "INVALID_FACE_TOKENS_SIZE"),
        ("faceset/addface", {"outer_id": "gate"}, "MISSING_ARGUMENTS: face_tokens"),
        ("faceset/addface", {"outer_id": "gate", "face_tokens": ","}, "INVALID_FACE_TOKENS_SIZE"),
        ("faceset/addface", {"outer_id": "gate", "face_tokens": "a,b,c,d,e,f"}, "INVALID_FACE_TOKENS_SIZE"),
        ("faceset/addface", {"face_tokens": UNKNOWN}, "MISSING_ARGUMENTS: faceset_token, outer_id"),
        ("faceset/removeface", {"outer_id": "gate"}, "MISSING_ARGUMENTS: face_tokens"),
        ("faceset/removeface", {"outer_id": "gate", "face_tokens": "a," * 1001}, "INVALID_FACE_TOKENS_SIZE"),
        ("faceset/removeface", {"outer_id": "nobody", "face_tokens": "a"}, "INVALID_OUTER_ID"),
        ("faceset/getdetail", {"outer_id": "gate", "start": "0"}, "BAD_ARGUMENTS:start"),
        ("faceset/getdetail", {"outer_id": "gate", "start": "10001"}, "BAD_ARGUMENTS:start"),
        (
            "faceset/update",
            {"outer_id": "gate"},
            "MISSING_ARGUMENTS: new_outer_id, display_name, user_data, tags",
        ),
        ("faceset/update", {"outer_id": "gate", "new_outer_id": "staff"}, "NEW_OUTER_ID_EXIST"),
        ("faceset/delete", {"outer_id": "gate"}, "FACESET_NOT_EMPTY"),
        ("faceset/delete", {"faceset_token": "x"}, "INVALID_FACESET_TOKEN"),
        ("faceset/async/addface", {"outer_id": "gate", "face_tokens": "a,b,c,d,e,f"}, "INVALID_FACE_TOKENS_SIZE"),
        ("faceset/async/addface", {"face_tokens": "a"}, "MISSING_ARGUMENTS: faceset_token, outer_id"),
        ("faceset/async/task_status", {}, "MISSING_ARGUMENTS: task_id"),
        ("faceset/async/task_status", {"task_id": UNKNOWN}, "INVALID_TASK_ID"),
        ("face/analyze", {"face_tokens": UNKNOWN}, "MISSING_ARGUMENTS: return_landmark, return_attributes"),
        ("face/analyze", {"face_tokens": UNKNOWN, "return_landmark": "0"}, "VOID_REQUEST"),
        ("face/analyze", {"face_tokens": UNKNOWN, "return_attributes": "none"}, "VOID_REQUEST"),
        ("face/analyze", {"face_tokens": UNKNOWN, "return_landmark": "1"}, f"INVALID_FACE_TOKEN: {UNKNOWN}"),
        ("face/analyze", {"face_tokens": "a,b,c,d,e,f", "return_landmark": "1"}, "INVALID_FACE_TOKENS_SIZE"),
        ("face/getdetail", {"face_token": "abc"}, "INVALID_FACE_TOKEN: abc"),
        ("face/setuserid", {"face_token": UNKNOWN}, "MISSING_ARGUMENTS: user_id"),
        ("face/setuserid", {"face_token": UNKNOWN, "user_id": "x" * 256}, "BAD_ARGUMENTS:user_id"),
        ("face/setuserid", {"face_token": UNKNOWN, "user_id": "x"}, f"INVALID_FACE_TOKEN: {UNKNOWN}"),
        ("face/setuserid", {}, "MISSING_ARGUMENTS: face_token, user_id"),
    ],
)
def test_bad_requests(api: Client, path: str, params: dict[str, str], message: str) -> None:
    assert failure(api.post(path, **params)) == (400, message)


@pytest.mark.parametrize("path", ["detect", "search", "compare"])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"GIF89a nothing", "IMAGE_ERROR_UNSUPPORTED_FORMAT"),
        (MAGIC + b"damaged", "IMAGE_ERROR_UNSUPPORTED_FORMAT"),
        (b"", "IMAGE_ERROR_UNSUPPORTED_FORMAT"),
        (fake_picture("ada", width=47), "INVALID_IMAGE_SIZE"),
        (fake_picture("ada", height=4097), "INVALID_IMAGE_SIZE"),
        (BIG, "IMAGE_FILE_TOO_LARGE"),
    ],
)
def test_bad_pictures(api: Client, path: str, image: bytes, message: str) -> None:
    name = "image_file1" if path == "compare" else "image_file"
    params = {"outer_id": "gate"} if path == "search" else {}
    response = api.post(path, files={name: ("a.jpg", image)}, **params)
    assert failure(response) == (400, f"{message}:{name}")


def test_limits_are_inclusive(api: Client) -> None:
    assert api.ok("detect", picture("ada", width=48, height=4096))["face_num"] == 1
    full = fake_picture("ada", padding=2 * 2**20 - len(fake_picture("ada")))
    assert api.ok("detect", image_base64=b64(full))["face_num"] == 1


def test_pixels_beyond_the_service_are_a_matter_of_size(api: Client) -> None:
    api.world.detector.failure = ImageTooLarge("Too many pixels.", max_pixels=1)
    assert failure(api.post("detect", picture("ada"))) == (400, "INVALID_IMAGE_SIZE:image_file")


class Fetcher:
    def __init__(self, outcome: FacegraphError | bytes) -> None:
        self.outcome = outcome

    async def fetch(self, url: str) -> bytes:
        if isinstance(self.outcome, bytes):
            return self.outcome
        raise self.outcome


@pytest.mark.parametrize(
    ("outcome", "status", "message"),
    [
        (ImageUrlRefused("private"), 400, "INVALID_IMAGE_URL"),
        (ImageDownloadFailed("404"), 400, "INVALID_IMAGE_URL"),
        (ImageDownloadTimeout("late"), 412, "IMAGE_DOWNLOAD_TIMEOUT"),
        (ImageTooLarge("large", max_image_bytes=1), 400, "IMAGE_FILE_TOO_LARGE:"),
        (b"nonsense", 400, "IMAGE_ERROR_UNSUPPORTED_FORMAT:"),
    ],
)
def test_bad_urls(api: Client, outcome: Any, status: int, message: str) -> None:
    api.world.context.by_url = Fetcher(outcome)  # type: ignore[assignment]
    expected = message + "image_url" if message.endswith(":") else message
    assert failure(api.post("detect", image_url="https://example.org/a.jpg")) == (status, expected)
    expected = message + "image_url1" if message.endswith(":") else f"{message}: image_url1"
    assert failure(api.post("compare", image_url1="https://example.org/a.jpg")) == (status, expected)


def test_a_picture_by_url(api: Client) -> None:
    api.world.context.by_url = Fetcher(fake_picture("ada"))  # type: ignore[assignment]
    assert api.ok("detect", image_url="https://example.org/a.jpg")["face_num"] == 1


# -- keys


def test_keys(api: Client) -> None:
    for keys, expected in (
        ({}, (400, "MISSING_ARGUMENTS: api_key, api_secret")),
        ({"api_key": "x"}, (400, "MISSING_ARGUMENTS: api_secret")),
        ({**api.keys, "api_secret": "wrong"}, (401, "AUTHENTICATION_ERROR")),
        ({**api.keys, "api_key": UNKNOWN}, (401, "AUTHENTICATION_ERROR")),
        ({**api.keys, "api_secret": "x" * 5000}, (401, "AUTHENTICATION_ERROR")),
    ):
        response = api.world.client.post("/facepp/v3/detect", data=keys, files=picture("ada"))
        assert failure(response) == expected
        assert "www-authenticate" not in response.headers


def test_the_keys_are_looked_at_before_the_arguments(api: Client) -> None:
    response = api.world.client.post("/facepp/v3/search", data={**api.keys, "api_secret": "wrong"})
    assert failure(response) == (401, "AUTHENTICATION_ERROR")


def test_keys_may_come_after_the_file(api: Client) -> None:
    boundary = "b0"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="image_file"; filename="a"\r\n\r\n'.encode()]
    parts += [fake_picture("ada"), b"\r\n"]
    for name, value in api.keys.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    parts.append(f"--{boundary}--\r\n".encode())
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    response = api.world.client.post("/facepp/v3/detect", content=b"".join(parts), headers=headers)
    assert response.json()["face_num"] == 1


def test_the_keys_rate_limit(world: World) -> None:
    slow = Client(world, Role.SEARCH, rate_limit=0.001)
    slow.ok("faceset/getfacesets")
    response = slow.post("faceset/getfacesets")
    assert failure(response) == (403, "CONCURRENCY_LIMIT_EXCEEDED")
    assert int(response.headers["retry-after"]) > 1


# -- everything else


def test_a_body_that_is_too_large_is_answered_in_plain_text(api: Client) -> None:
    limit = facepp_params.BODY_BYTES_PER_IMAGE + facepp_params.SLACK
    for keys in (api.keys, {}):  # with a key and without
        response = api.world.client.post("/facepp/v3/detect", data=keys, files={"image_file": ("a", b"x" * limit)})
        assert (response.status_code, response.text) == (413, "Request Entity Too Large")
        assert response.headers["content-type"].startswith("text/plain")
        assert response.headers["access-control-allow-origin"] == "*"


def test_a_body_that_does_not_tell_its_length(api: Client) -> None:
    def chunks() -> Any:
        for _ in range(5):
            yield b"x" * 2**20

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = api.world.client.post("/facepp/v3/detect", content=chunks(), headers=headers)
    assert (response.status_code, response.text) == (413, "Request Entity Too Large")


@pytest.mark.parametrize("path", ["nothing", "faceset/nothing", "face/thousandlandmark"])
def test_no_such_api(api: Client, path: str) -> None:
    assert failure(api.post(path)) == (404, "API_NOT_FOUND")


def test_another_method(api: Client) -> None:
    response = api.world.client.get("/facepp/v3/detect")
    assert failure(response) == (405, "METHOD_NOT_ALLOWED")


def test_a_form_that_cannot_be_read(api: Client) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    response = api.world.client.post("/facepp/v3/detect", content=b"nonsense", headers=headers)
    assert failure(response) == (400, "BAD_ARGUMENTS:body")


@pytest.mark.parametrize(
    ("raised", "status", "message"),
    [
        (Overloaded("full", retry_after_s=1), 403, "CONCURRENCY_LIMIT_EXCEEDED"),
        (StoreUnavailable("down"), 500, "INTERNAL_ERROR"),
        (RuntimeError("a fault"), 500, "INTERNAL_ERROR"),
    ],
)
def test_faults_of_the_service(api: Client, raised: Exception, status: int, message: str) -> None:
    api.world.faults.failure = raised
    client = api.world.client
    response = client.post("/facepp/v3/faceset/getdetail", data={**api.keys, "outer_id": "gate"})
    assert failure(response) == (status, message)


def test_a_faceset_whose_faces_cannot_be_added_is_not_made(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("down")

    monkeypatch.setattr(api.world.matcher, "attach_faces", fail)
    response = api.post("faceset/create", outer_id="new", face_tokens=api.token("ada"))
    assert failure(response) == (500, "INTERNAL_ERROR")
    assert failure(api.post("faceset/getdetail", outer_id="new")) == (400, "INVALID_OUTER_ID")
