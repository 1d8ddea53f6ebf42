"""After a receipt, a running service removes everything of a person from every file of its folder."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from tests import photos
from tests.graph.service import RunningService

pytestmark = pytest.mark.graph

PROMISED_S = 60
"""Time after a receipt within which nothing is left, by ``docs/privacy.md``."""


def test_within_a_minute_after_the_receipt_no_file_has_anything_of_the_person(service: RunningService) -> None:
    mark = uuid.uuid4().hex
    photo = photos.noisy(photos.grace_hopper(), 512, seed=int(mark, 16))  # nobody else has its template
    picture = {"image": ("photo.png", photo, "image/png")}
    with service.client() as api:
        made = api.post("/v1/collections", json={"name": mark, "policy": {"image_storage": "full"}})
        assert made.status_code == 201, made.text
        texts = {"name": f"Name {mark}", "notes": f"Notes {mark}", "metadata": f'{{"badge": "{mark}"}}'}
        answer = api.put(f"/v1/collections/{mark}/persons/person-{mark}", files=picture, data=texts)
        assert answer.status_code == 201, answer.text
        (face,) = api.post("/v1/embed", files=picture).json()["faces"]
        template = np.asarray(face["embedding"], np.float32)
        searched = {
            "external id": f"person-{mark}".encode(),
            "name": f"Name {mark}".encode(),
            "folded": f"name {mark}".encode(),
            "notes": f"Notes {mark}".encode(),
            "metadata": f'"badge": "{mark}"'.encode(),
            "template": template.tobytes(),
            "template as float16": template.astype(np.float16).tobytes(),
            "photograph": photo[-200:],
        }
        assert {"external id", "name", "notes", "metadata", "template", "photograph"} <= left(service, searched)

        assert api.delete(f"/v1/persons/person-{mark}").json()["receipt"]
        deadline = time.monotonic() + PROMISED_S
        while remains := left(service, searched):
            assert time.monotonic() < deadline, remains
            found = api.post("/v1/search", files=picture, data={"collections": mark})
            assert (found.status_code, found.json()["faces"][0]["matches"]) == (200, [])
            time.sleep(1)
        api.delete(f"/v1/collections/{mark}")


def left(service: RunningService, searched: dict[str, bytes]) -> set[str]:
    """Which of these bytes any file has."""
    found = set()
    for path in service.data_dir.rglob("*"):
        content = read(path)
        found |= {name for name, wanted in searched.items() if wanted in content}
    return found


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # a folder, a socket, or a file that was removed meanwhile
        return b""
