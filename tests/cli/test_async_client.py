"""The asynchronous client against the real API: same methods, answers and errors as the synchronous one."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.bulk.worker import BulkWorker
from serve_app.client import ApiError, AsyncClient, Client, ServiceUnreachable
from serve_app.client.api import Api
from serve_app.domain import Role
from tests.cli.conftest import Service, error_answer
from tests.fakes.stages import FakeFace, fake_picture

ADA = fake_picture("ada")
PAUSE_S = 4


def with_client(service: Service, work: Callable[[AsyncClient], Awaitable[None]], role: Role = Role.ADMIN) -> None:
    async def run() -> None:
        async with AsyncClient(service.url, service.secrets[role], 10, patience_s=5) as client:
            await work(client)

    asyncio.run(run())


def public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_both_clients_have_the_same_methods() -> None:
    assert public(Client) == public(AsyncClient)
    described = {name for name in vars(Api) if not name.startswith("_")}
    for kind in (Client, AsyncClient):
        assert not described & set(vars(kind)), "a request is described in one place"


def test_persons_are_enrolled_found_and_listed(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "ada.jpg"
    file.write_bytes(ADA)

    async def work(client: AsyncClient) -> None:
        assert await client.wait_until_ready(5)
        await client.create_collection("staff")
        enrolled = await client.put_person("staff", "ada", [file, fake_picture(FakeFace("ada", 1))], name="Ada")
        assert len(enrolled["added_faces"]) == 2
        found = await client.search(ADA, ["staff"], min_score=0.7)
        assert found["faces"][0]["matches"][0]["person"]["id"] == "ada"
        assert (await client.face_image(enrolled["added_faces"][0]))[:2] == b"\xff\xd8"
        assert "admin key" in [key["name"] for key in await client.api_keys()]
        task = await client.wait_for_task((await client.find_duplicates("staff"))["id"])
        assert task["state"] == "done"
        assert [task["id"] for task in await client.tasks()] == [task["id"]]
        assert [pair async for pair in client.all_duplicates(task["id"])] == []

    with_client(service, work)


def test_pages_follow_one_another(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(client: AsyncClient) -> None:
        await client.create_collection("staff")
        await asyncio.gather(*(client.put_person("staff", name) for name in "abcde"))
        pages = client.persons
        monkeypatch.setattr(client, "persons", lambda collection, q, limit, cursor: pages(collection, q, 2, cursor))
        assert [person["id"] async for person in client.all_persons("staff")] == list("abcde")

    with_client(service, work)


def test_a_busy_service_is_asked_again_while_others_go_on(service: Service) -> None:
    refusals, refused = iter([True]), threading.Event()

    def busy(request: Request) -> Response | None:
        if request.url.path == "/v1/status" and next(refusals, False):
            refused.set()
            return error_answer(429, "overloaded", {"Retry-After": str(PAUSE_S)})
        return None

    service.instead = busy

    async def work(client: AsyncClient) -> None:
        status = asyncio.create_task(client.status())
        while not refused.is_set():
            await asyncio.sleep(0.01)
        refused_at = time.monotonic()
        assert (await client.info())["version"] == "1.2.3"
        assert not status.done(), "waiting blocks nobody else"
        assert (await status)["stages"]
        assert time.monotonic() - refused_at >= PAUSE_S / 2

    with_client(service, work)


def test_refusals_and_silence_are_the_same_errors(service: Service) -> None:
    async def refused(client: AsyncClient) -> None:
        with pytest.raises(ApiError, match="role") as error:
            await client.create_collection("staff")
        assert (error.value.code, error.value.status) == ("forbidden", 403)

    with_client(service, refused, Role.SEARCH)

    async def silent() -> None:
        async with AsyncClient("http://127.0.0.1:9", "key") as client:
            with pytest.raises(ServiceUnreachable, match=r"127\.0\.0\.1:9"):
                await client.info()
            assert not await client.wait_until_ready(0)

    asyncio.run(silent())


def test_an_upload_is_handed_in_followed_and_reported(service: Service, tmp_path: Path) -> None:
    line = {"person": "ada", "image_base64": [base64.b64encode(ADA).decode(), base64.b64encode(b"no").decode()]}
    upload = tmp_path / "people.jsonl"
    upload.write_text(json.dumps(line) + "\n")

    async def work(client: AsyncClient) -> None:
        await client.create_collection("staff")
        task = await client.submit_bulk("staff", upload, faces="largest")
        states = []
        worker = BulkWorker(service.context)
        async for now in client.follow_task(task["id"]):
            states.append(now["state"])
            await worker.step()
        assert states == ["waiting", "done"]
        told = [json.loads(line) for line in (await client.bulk_report(task["id"], failures=True)).splitlines()]
        assert [(line["person"], line["status"]) for line in told] == [("ada", "partial")]

    with_client(service, work)
    with service.client() as client:
        task = client.submit_bulk("staff", upload.read_bytes())
        asyncio.run(BulkWorker(service.context).step())
        assert [now["state"] for now in client.follow_task(task["id"])] == ["done"]
        assert b'"ada"' in client.bulk_report(task["id"])
        with pytest.raises(ApiError) as refused:
            list(client.follow_task("0" * 32))
        assert refused.value.code == "task_not_found"
