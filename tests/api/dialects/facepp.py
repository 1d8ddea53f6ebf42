"""Helpers that call the Face++ dialect over fake models."""

from __future__ import annotations

import re
from typing import Any

import httpx2 as httpx

from serve_app.domain import DEFAULT_TENANT, Role
from tests.api.conftest import World
from tests.fakes.stages import FakeFace, fake_picture

REQUEST_ID = re.compile(r"\d{10},[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Client:
    """Sends forms with a key's id and secret."""

    def __init__(self, world: World, role: Role = Role.ADMIN, tenant: str = DEFAULT_TENANT, **options: Any) -> None:
        self.world = world
        key, secret = world.keys.create(tenant, "facepp", role, **options)
        self.keys = {"api_key": key.id, "api_secret": secret}

    def post(self, path: str, files: Any = None, **params: Any) -> httpx.Response:
        """A urlencoded request, or a multipart one if it has files."""
        data = {**self.keys, **params}
        return self.world.client.post(f"/facepp/v3/{path}", data=data, files=files)

    def ok(self, path: str, files: Any = None, **params: Any) -> dict[str, Any]:
        """The answer without ``request_id`` and ``time_used``, which every one has."""
        response = self.post(path, files, **params)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        assert REQUEST_ID.fullmatch(body.pop("request_id"))
        assert isinstance(body.pop("time_used"), int)
        assert response.headers["access-control-allow-origin"] == "*"
        return body

    def token(self, who: FakeFace | str) -> str:
        """The token of a face on a picture of its own."""
        found: str = self.ok("detect", picture(who))["faces"][0]["face_token"]
        return found

    def faceset(self, outer_id: str, *people: FakeFace | str) -> list[str]:
        """A FaceSet with these people; their tokens."""
        tokens = [self.token(who) for who in people]
        self.ok("faceset/create", outer_id=outer_id, **({"face_tokens": ",".join(tokens)} if tokens else {}))
        return tokens


def picture(*faces: FakeFace | str, name: str = "image_file", **options: int) -> dict[str, tuple[str, bytes, str]]:
    """A picture as the files of a request, with the media type that some clients send."""
    return {name: ("/home/me/a.jpg", fake_picture(*faces, **options), "text/plain")}


def failure(response: httpx.Response) -> tuple[int, str]:
    """Status and message of a whole error answer."""
    body = response.json()
    assert set(body) == {"time_used", "error_message", "request_id"}
    assert REQUEST_ID.fullmatch(body["request_id"])
    assert isinstance(body["time_used"], int)
    assert response.headers["access-control-allow-origin"] == "*"
    return response.status_code, body["error_message"]
