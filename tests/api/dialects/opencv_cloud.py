"""Helpers that call the OpenCV cloud dialect over fake models and check answers against the vendor's specification."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import httpx2 as httpx
import numpy as np
from jsonschema import Draft202012Validator, FormatChecker

from serve_app.domain import DetectOptions
from tests.api.conftest import World, b64
from tests.fakes.stages import FakeDetector, FakeFace, fake_picture

SPECIFICATION = Path(__file__).resolve().parents[4] / "shared" / "specs" / "opencv_fr_openapi.json"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


class Cloud:
    """A client; ``called`` remembers which operations it has succeeded with."""

    def __init__(self, world: World, headers: dict[str, str] | None = None, prefix: str = "/opencv-fr") -> None:
        self.world = world
        self.headers = headers or world.admin
        self.prefix = prefix
        self.called: set[tuple[str, str]] = set()

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Any request."""
        if body is not None:
            options["json"] = body
        return self.world.client.request(method, f"{self.prefix}{path}", headers=self.headers, **options)

    def ok(self, method: str, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        """A request that succeeds, with an answer as the specification has it."""
        response = self.call(method, path, body, **options)
        assert response.status_code == status, response.text
        answer = response.json()
        self.called.add(check(method, path, status, answer))
        return answer

    def failed(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str]:
        """Status and code of a request that fails."""
        response = self.call(method, path, body, **options)
        answer = response.json()
        if response.status_code == 422:
            assert set(answer) == {"detail"}
            assert answer["detail"]
            for finding in answer["detail"]:
                assert set(finding) == {"loc", "msg", "type"}
            return 422, ".".join(map(str, answer["detail"][0]["loc"]))
        assert set(answer) == {"code", "message"}
        assert answer["message"]
        return response.status_code, answer["code"]

    def collection(self, name: str = "Visitors", **fields: Any) -> str:
        """The id of a new collection."""
        created: str = self.ok("POST", "/collection", {"name": name, **fields}, 201)["id"]
        return created

    def person(self, *faces: FakeFace | str, **fields: Any) -> Any:
        """A new person with one picture a face."""
        images = [picture(face) for face in faces]
        return self.ok("POST", "/person", {"images": images, **fields}, 201)


def picture(*faces: FakeFace | str) -> str:
    """A picture as base64."""
    return b64(fake_picture(*faces))


async def crop(who: str) -> str:
    """An aligned face as a PNG, since the fake embedder reads single pixels."""
    detection = await FakeDetector().detect(fake_picture(who), DetectOptions())
    return b64(as_png(detection.faces[0].crop))


def as_png(pixels: Any) -> bytes:
    """Pixels as a PNG file."""
    done, encoded = cv2.imencode(".png", np.asarray(pixels, np.uint8))
    assert done
    return encoded.tobytes()


@cache
def specification() -> dict[str, Any]:
    """The vendor's document; empty where it is absent, and then answers are checked by the tests' own words alone."""
    return json.loads(SPECIFICATION.read_text()) if SPECIFICATION.is_file() else {}


def operations() -> set[tuple[str, str]]:
    """(method, path) of every operation of the specification."""
    return {(m.upper(), path) for path, found in specification().get("paths", {}).items() for m in found}


def check(method: str, path: str, status: int, answer: Any) -> tuple[str, str]:
    """Hold an answer against the specification; which operation it was."""
    if not specification():
        return method, path
    template = next(known for m, known in sorted(operations()) if m == method and _matches(known, path))
    operation = specification()["paths"][template][method.lower()]
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    whole = {**schema, "components": specification()["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(answer)
    return method, template


def _matches(template: str, path: str) -> bool:
    parts, sent = template.split("/"), path.split("?")[0].split("/")
    return len(parts) == len(sent) and all(a == b or a.startswith("{") for a, b in zip(parts, sent, strict=True))
