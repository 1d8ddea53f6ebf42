"""A client of ARGOS's wire format, and the published error table."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx

from tests.api.conftest import World, b64
from tests.fakes.stages import fake_picture

# The published table: (operation, code, status, message).
TABLE = [
    ("add", 6010, 400, "CollectionId is required."),
    ("add", 6011, 400, "WorkspaceId is required."),
    ("add", 6012, 400, "Fail to add face"),
    ("add", 6013, 400, "Cannot find collection info."),
    ("add", 6014, 400, "This collection is unavailable."),
    ("add", 6015, 400, "Failed to validate liveness of face"),
    ("add", 6016, 400, "Image size is too large."),
    ("add", 6017, 400, "Unsupported image format."),
    ("delete", 6018, 400, "CollectionId is required."),
    ("delete", 6019, 400, "FaceId is required."),
    ("delete", 6020, 400, "This collection is unavailable."),
    ("delete", 6021, 400, "Cannot find face data"),
    ("delete", 6022, 400, "The face Id is not exist."),
    ("delete", 6023, 400, "Fail to delete face."),
    ("list", 6024, 400, "CollectionId is required."),
    ("list", 6025, 400, "The term length must be longer than 5"),
    ("list", 6026, 400, "Page number is required."),
    ("list", 6027, 400, "Cannot find collection info."),
    ("list", 6028, 400, "This collection is unavailable."),
    ("list", 6029, 400, "Fail to get Face list."),
    ("search", 6030, 400, "CollectionId is required."),
    ("search", 6031, 400, "RequestName is required."),
    ("search", 6032, 400, "Invalid face image."),
    ("search", 6033, 400, "Cannot find collection info."),
    ("search", 6034, 400, "This collection is unavailable."),
    ("search", 6035, 400, "Failed to validate liveness of face"),
    ("search", 6036, 400, "Image size is too large."),
    ("search", 6037, 400, "Not supported image format."),
    ("search", 6038, 400, "Fail to search face"),
    ("any", 6039, 403, "API Key is required."),
    ("any", 6040, 403, "Access Denied: API Key is unavailable."),
]
EXPECTED = {code: (status, {"errorCode": code, "message": message}) for _, code, status, message in TABLE}

JOHN = fake_picture("john")


class Client:
    """Speaks ARGOS's wire format. Arguments replace or, as None, leave out what a correct request has."""

    def __init__(self, world: World, headers: dict[str, str] | None = None) -> None:
        self.world = world
        self.headers = {"x-api-key": world.enroll["X-API-Key"]} if headers is None else headers
        self.collection = world.call("GET", "/v1/collections/staff").json()["id"]

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.world.client.request(method, f"/modules{path}", headers=self.headers, **options)

    def search(self, picture: bytes = JOHN, **changes: Any) -> httpx.Response:
        body = {"collectionId": self.collection, "requestName": "John", "faceImage": b64(picture)}
        return self.request("POST", "/search", json=given(body, changes))

    def add(self, picture: bytes = JOHN, **changes: Any) -> httpx.Response:
        body = {"collectionId": self.collection, "userName": "John Doe", "faceImage": b64(picture)}
        return self.request("POST", "/faces", json=given(body, changes))

    def list(self, **changes: Any) -> httpx.Response:
        return self.request("GET", "/faces", params=given({"collectionId": self.collection, "page": "1"}, changes))

    def delete(self, **changes: Any) -> httpx.Response:
        return self.request("DELETE", "/faces", params=given({"collectionId": self.collection}, changes))

    def call(self, operation: str, **changes: Any) -> httpx.Response:
        answer: httpx.Response = getattr(self, operation)(**changes)
        return answer

    def policy(self, **policy: Any) -> None:
        self.world.call("PATCH", "/v1/collections/staff", json={"policy": policy}).raise_for_status()


def given(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def code(response: httpx.Response) -> int:
    """The error's code; fails unless status, keys and text are as published."""
    number: int = response.json()["errorCode"]
    assert (response.status_code, response.json()) == EXPECTED[number]
    assert response.headers["x-error-code"]
    return number
