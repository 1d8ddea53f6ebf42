"""Uploads of many persons from real photographs: submitted, followed, found, also after a restart."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from serve_app.client import Client
from serve_app.service import FaceService
from tests import photos
from tests.graph.inprocess import InProcessService
from tests.graph.service import RunningService

pytestmark = [pytest.mark.graph, pytest.mark.slow]


def people() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("people/Eileen_Collins/1.png", photos.astronaut())
        archive.writestr("people/Eileen_Collins/2.jpg", photos.no_face())
        archive.writestr("people/Grace_Hopper/1.jpg", photos.grace_hopper())
    return made.getvalue()


def test_a_zip_is_enrolled_in_the_background(running: RunningService | InProcessService) -> None:
    with Client(running.url, running.key or "") as client:
        client.create_collection("uploaded")
        task = client.submit_bulk("uploaded", people())
        seen = list(client.follow_task(task["id"]))
        assert (seen[-1]["state"], seen[-1]["done"]) == ("done", 2)
        assert seen[-1]["result"] == {"enrolled": 1, "partial": 1, "faces": 2}
        (failure,) = map(json.loads, client.bulk_report(task["id"], failures=True).splitlines())
        assert [error["code"] for error in failure["errors"]] == ["face_not_found"]
        found = client.search(photos.variant(photos.grace_hopper()), ["uploaded"])
        assert found["faces"][0]["matches"][0]["person"]["name"] == "Grace Hopper"
        client.delete_collection("uploaded")


def test_an_accepted_upload_survives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol, enrolled = FaceService.enroll, 0
    stuck = threading.Event()

    async def stops_in_the_middle(*args: Any, **kwargs: Any) -> Any:
        nonlocal enrolled
        if enrolled == 5:
            stuck.set()
            await asyncio.Event().wait()
        enrolled += 1
        return await enrol(*args, **kwargs)

    picture = base64.b64encode(photos.astronaut()).decode()
    upload = b"".join(
        json.dumps({"person": f"p{number}", "image_base64": [picture] * 2}).encode() + b"\n" for number in range(20)
    )
    first = InProcessService(tmp_path / "data").start()
    try:
        with Client(first.url, first.key or "") as client:
            client.create_collection("staff")
            with monkeypatch.context() as patched:
                patched.setattr(FaceService, "enroll", stops_in_the_middle)
                task = client.submit_bulk("staff", upload)["id"]
                assert stuck.wait(240)
    finally:
        first.stop()
    second = InProcessService(tmp_path / "data").start()
    try:
        with Client(second.url, second.key or "") as client:
            *_, last = client.follow_task(task)
            assert (last["done"], last["state"]) == (20, "done")
            assert sum(len(person["faces"]) for person in client.all_persons("staff")) == 40, "no face twice"
        assert [file for file in (tmp_path / "data" / "blobs").rglob("*.upload*") if file.is_file()] == []
    finally:
        second.stop()
