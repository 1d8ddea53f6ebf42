"""Clients that are slow, idle or many do not keep out those who have shown a key and use less than its share."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serve_app.api.app import create_app
from serve_app.api.dialects import ALL
from serve_app.api.native import tasks
from serve_app.api.places import Places, Visit
from serve_app.api.request_limits import bounds_of
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.errors import Overloaded
from serve_app.settings import IngressSettings, Limits, Settings
from tests.api.conftest import Shared, World, b64
from tests.api.slow_clients import SlowClient
from tests.fakes.stages import fake_picture
from tests.waiting import until

BOUNDS = bounds_of(Settings())
STRANGERS_SHARE = BOUNDS.most // 4
BODY = json.dumps({"collections": "staff", "image_base64": b64(fake_picture("ada"))}).encode()
APP = create_app(lambda: Shared.context, ALL)
IN_THE_BODY = "/facepp/"
"""Prefix of the paths whose key is in the body."""

OPERATIONS = [(method.upper(), path) for path, operations in APP.openapi()["paths"].items() for method in operations]
READ_BY_STRANGERS = [path for method, path in OPERATIONS if path.startswith(IN_THE_BODY)]


class Crowd(World):
    """The application with all dialects and the limits of an installation."""

    def __init__(self, **settings: Any) -> None:
        self.app: FastAPI = create_app(lambda: self.context, ALL) if settings else APP
        self.places: Places = self.app.state.places
        patient = IngressSettings(request_timeout_s=1000)  # a busy machine ends nothing
        super().__init__(TestClient(self.app), **{"limits": Limits(), "ingress": patient, **settings})
        Shared.context = self.context

    def slow(self, method: str, path: str, headers: Mapping[str, str] = {}, *args: Any, **options: Any) -> SlowClient:
        return SlowClient(self.app, method, path, headers, *args, **options)

    def upload(
        self, path: str = "/v1/search", headers: Mapping[str, str] = {}, declared: int | None = 1000, sent: bytes = b"a"
    ) -> SlowClient:
        """A client that stops in the middle of the body."""
        kind = "application/x-www-form-urlencoded" if path.startswith(IN_THE_BODY) else "application/json"
        client = self.slow("POST", path, {"Content-Type": kind, **headers}, declared)
        client.send(sent)
        return client

    async def search_with(self, headers: Mapping[str, str]) -> int:
        """The status of a whole search."""
        client = self.slow("POST", "/v1/search", {"Content-Type": "application/json", **headers}, len(BODY))
        client.send(BODY, more=False)
        return (await client.answer())[0]

    async def info(self, headers: Mapping[str, str]) -> int:
        return (await self.slow("GET", "/v1/info", headers).answer())[0]

    def assert_empty(self) -> None:
        assert self.places.work.working == 0
        assert all(not own.working for own in self.places.work_of.values())
        assert (self.places.uploads.number, self.places.answers.number) == (0, 0)
        assert (self.places.held, self.places.held_by) == (0, {})


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd()
    made.call("POST", "/v1/collections", json={"name": "staff"}).raise_for_status()
    yield made
    made.leave()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 300))


async def leave(clients: list[SlowClient]) -> None:
    await asyncio.gather(*(client.leave() for client in clients))


@pytest.mark.parametrize("number", [64, 500])
def test_idle_uploads_without_a_key_keep_nobody_out(crowd: Crowd, number: int) -> None:
    async def scenario() -> None:
        paths = READ_BY_STRANGERS
        idle = [crowd.upload(paths[index % len(paths)]) for index in range(number)]
        await until(lambda: sum(bool(client.status) for client in idle) >= number - STRANGERS_SHARE)
        assert await crowd.search_with(crowd.search) == 200
        assert await crowd.info(crowd.search) == 200
        assert crowd.places.uploads.number == STRANGERS_SHARE
        assert not any(client.status for client in idle[-STRANGERS_SHARE:]), "the oldest go first"
        first = idle[0]
        assert (first.status, json.loads(first.body)["error_message"]) == (403, "CONCURRENCY_LIMIT_EXCEEDED")
        assert first.headers["retry-after"] == "1"
        await leave(idle)
        crowd.assert_empty()

    run(scenario)


def test_a_key_in_a_body_is_read_beside_idle_uploads(crowd: Crowd) -> None:
    key, secret = crowd.keys.create(DEFAULT_TENANT, "facepp", Role.SEARCH)
    form = f"api_key={key.id}&api_secret={secret}&image_base64=".encode()
    form += base64.b64encode(fake_picture("ada")).replace(b"+", b"%2B")

    async def scenario() -> None:
        idle = [crowd.upload("/facepp/v3/detect") for _ in range(64)]
        client = crowd.upload("/facepp/v3/detect", declared=len(form), sent=form[:50])
        client.send(form[50:], more=False)
        status, body = await client.answer()
        assert (status, json.loads(body)["face_num"]) == (200, 1)
        await leave(idle)
        crowd.assert_empty()

    run(scenario)


def test_a_key_in_the_query_is_proven_before_the_body_is_read(crowd: Crowd) -> None:
    key, secret = crowd.keys.create(DEFAULT_TENANT, "facepp", Role.SEARCH)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    async def scenario() -> None:
        wrong = crowd.slow("POST", "/facepp/v3/detect", kind, 1000, query=f"api_key={key.id}&api_secret=wrong")
        status, body = await wrong.answer()
        assert (status, json.loads(body)["error_message"]) == (401, "AUTHENTICATION_ERROR")
        query = f"api_key={key.id}&api_secret={secret}"
        right = crowd.slow("POST", "/facepp/v3/detect", kind, 1000, query=query)
        await until(lambda: crowd.places.uploads.number_of(key.id) == 1)
        await right.leave()
        other = crowd.slow("POST", "/facepp/v3/detect", kind, 16, query=query)
        other.send(b"api_secret=other", more=False)
        status, body = await other.answer()
        assert (status, json.loads(body)["error_message"]) == (400, "BAD_ARGUMENTS:api_secret")

    run(scenario)


def test_no_other_body_is_waited_for_without_a_key(crowd: Crowd) -> None:
    async def scenario() -> None:
        for method, path in OPERATIONS:
            if not path.startswith(IN_THE_BODY):
                client = crowd.slow(method, path.replace("{", "").replace("}", ""), {}, 10**6)
                status, _ = await client.answer()
                assert status in ((200, 503) if path in ("/healthz", "/readyz") else (400, 401, 403, 404)), path
        crowd.assert_empty()

    run(scenario)


def test_idle_uploads_with_a_key_use_up_its_share_only(crowd: Crowd) -> None:
    async def scenario() -> None:
        share = BOUNDS.most_of_key
        idle = [crowd.upload(headers=crowd.search, declared=2**20) for _ in range(share)]
        await until(lambda: crowd.places.uploads.number == share)
        assert crowd.places.work.working == 0
        assert await crowd.search_with(crowd.enroll) == 200
        assert await crowd.info(crowd.search) == 200, "without a body nothing is waited for"
        client = crowd.upload(headers=crowd.search)
        status, body = await client.answer()
        assert (status, json.loads(body)["error"]["code"]) == (429, "overloaded")
        assert client.headers["retry-after"] == "1"
        await leave(idle)
        crowd.assert_empty()
        assert await crowd.search_with(crowd.search) == 200

    run(scenario)


def test_a_full_room_of_uploads_ends_those_without_a_key_first(crowd: Crowd) -> None:
    async def scenario() -> None:
        strangers = [crowd.upload("/facepp/v3/detect") for _ in range(STRANGERS_SHARE)]
        await until(lambda: crowd.places.uploads.number == STRANGERS_SHARE)
        keys = [crowd.search] * BOUNDS.most_of_key + [crowd.enroll] * (BOUNDS.most - BOUNDS.most_of_key)
        idle = [crowd.upload(headers=key) for key in keys]
        await until(lambda: all(client.status == 403 for client in strangers))
        await until(lambda: crowd.places.uploads.number == BOUNDS.most)
        client = crowd.upload(headers=crowd.admin)
        assert json.loads((await client.answer())[1])["error"]["code"] == "overloaded"
        await leave(idle)
        crowd.assert_empty()

    run(scenario)


def test_event_streams_hold_no_place_of_the_graph(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PERIOD_S", 1000)
    task = crowd.call("POST", "/v1/collections/staff/duplicates", crowd.enroll).json()["id"]

    async def scenario() -> None:
        path, share = f"/v1/tasks/{task}/events", BOUNDS.most_of_key
        streams = [crowd.slow("GET", path, crowd.enroll)]
        await until(lambda: crowd.places.answers.number == 1)  # it is the oldest, in whatever order the others come
        streams += [crowd.slow("GET", path, crowd.enroll) for _ in range(share - 1)]
        await until(lambda: crowd.places.answers.number == share)
        assert all(client.status == 200 and client.body for client in streams)
        assert crowd.places.work.working == 0
        for headers in (crowd.search, crowd.enroll):
            assert await crowd.search_with(headers) == 200
        assert not any(client.task.done() for client in streams)
        streams.append(crowd.slow("GET", path, crowd.enroll))
        await asyncio.wait([streams[0].task], timeout=60)
        assert streams[0].task.done(), "the oldest makes room"
        assert crowd.places.answers.number == share
        await leave(streams)
        crowd.assert_empty()

    run(scenario)


def test_an_answer_that_is_read_slowly_holds_no_place_of_the_graph(crowd: Crowd) -> None:
    upload = json.dumps({"person": "ada", "image_base64": [b64(fake_picture("ada"))]})
    kind = {**crowd.enroll, "Content-Type": "application/x-ndjson"}
    task = crowd.call("POST", "/v1/collections/staff/bulk", kind, content=upload).json()["id"]

    async def scenario() -> None:
        report = [crowd.slow("GET", f"/v1/tasks/{task}/report", crowd.enroll, reads=False) for _ in range(20)]
        await until(lambda: all(client.status for client in report))
        assert (crowd.places.work.working, crowd.places.answers.number) == (0, 20)
        await leave(report)
        crowd.assert_empty()

    run(scenario)


@pytest.mark.parametrize("declared", [8 * 2**20, None])
def test_the_bytes_of_all_bodies_are_bounded_and_released(crowd: Crowd, declared: int | None) -> None:
    piece = bytes(2**20)

    async def scenario() -> None:
        tracemalloc.start()
        idle = [crowd.upload(headers=crowd.search, declared=declared) for _ in range(64)]
        for _ in range(6):
            for client in idle:
                client.send(bytes(piece))
        await until(lambda: sum(client.status == 429 for client in idle) >= 64 - 32)
        await until(lambda: all(client.status or not client._inbox.qsize() for client in idle))
        assert crowd.places.held <= BOUNDS.held_of_key
        assert await crowd.search_with(crowd.enroll) == 200
        refused = next(client for client in idle if client.status)
        assert "bytes" in json.loads(refused.body)["error"]["message"]
        assert refused.headers["retry-after"] == "1"
        await leave(idle)
        crowd.assert_empty()
        idle.clear()
        del refused, client
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 20 * 2**20
        tracemalloc.stop()

    run(scenario)


def test_bodies_of_strangers_make_way(crowd: Crowd) -> None:
    async def scenario() -> None:
        large = 3 * 2**20
        idle = [crowd.upload("/facepp/v3/detect", declared=large) for _ in range(STRANGERS_SHARE)]
        fit = BOUNDS.held // 4 // large
        await until(lambda: sum(bool(client.status) for client in idle) == STRANGERS_SHARE - fit)
        assert crowd.places.held == fit * large
        await leave(idle)
        crowd.assert_empty()

    run(scenario)


def test_the_places_of_500_clients_that_disconnect_are_free_again(crowd: Crowd) -> None:
    async def scenario() -> None:
        makers: list[Callable[[], SlowClient]] = [
            lambda: crowd.upload("/facepp/v3/search"),
            lambda: crowd.upload(headers=crowd.search),
            lambda: crowd.slow("GET", "/v1/info", crowd.admin),
            lambda: crowd.slow("GET", "/v1/collections", crowd.enroll, reads=False),
            lambda: crowd.upload(headers=crowd.enroll, declared=None),
        ]
        clients = [makers[index % len(makers)]() for index in range(500)]
        for index, client in enumerate(clients):
            if index % 7 == 0:
                await asyncio.sleep(0)
            await client.leave()
        await until(lambda: not crowd.places.work.working)
        crowd.assert_empty()
        assert await crowd.search_with(crowd.search) == 200

    run(scenario)


def test_a_refusal_has_the_form_of_its_dialect() -> None:
    full = Crowd(ingress=IngressSettings(max_in_flight=1))
    paths = {path.split("{")[0].split("/")[1]: (method, path) for method, path in OPERATIONS}

    async def scenario() -> None:
        with Visit(full.places, full.context.bounds, b"", asyncio.Timeout(None)) as busy:
            busy.prove("another key")
            for prefix, (method, path) in paths.items():
                if path not in ("/healthz", "/readyz"):
                    client = full.slow(method, path, full.admin)
                    status, body = await client.answer()
                    assert (status, client.headers["retry-after"]) == (403 if prefix == "facepp" else 429, "1")
                    assert json.loads(body)

    run(scenario)
    full.leave()


def visit(places: Places, sent_key: bytes = b"") -> Visit:
    return Visit(places, BOUNDS._replace(few=4, few_of_key=4, key_share_of_few=2), sent_key, asyncio.Timeout(None))


def test_an_overload_by_one_key_keeps_others_from_nothing() -> None:
    places = Places(lambda: 0.0)
    for _ in range(BOUNDS.most_of_key):
        visit(places).prove("many")
    with pytest.raises(Overloaded, match="its share"):
        visit(places, b"secret").prove("many")  # an overload begins
    for _ in range(BOUNDS.most_of_key - 4):
        places.work_of["many"].end()
        places.work.end()
    with pytest.raises(Overloaded, match="its share"):
        visit(places, b"secret").arrive()
    for _ in range(16):
        other = visit(places, b"other")
        other.arrive()
        other.prove("other")
    assert (places.work_of["many"].working, places.work_of["other"].working) == (4, 16)


def test_in_an_overload_by_all_each_key_has_a_share_of_the_few() -> None:
    places = Places(lambda: 0.0)
    began = [visit(places) for _ in range(BOUNDS.most)]
    for number, each in enumerate(began):
        each.prove(f"key {number % 3}")
    with pytest.raises(Exception, match="More requests"):
        visit(places).arrive()
    for each in began:
        with places.lock:
            places.stop(each)
    for _ in range(2):
        visit(places).prove("key 0")
    with pytest.raises(Overloaded, match="its share"):
        visit(places).prove("key 0")
    visit(places).prove("key 1")


def test_a_thread_that_proves_a_key_too_late_takes_nothing() -> None:
    places = Places()
    with visit(places) as late:
        pass
    late.prove("key")
    assert places.work.working == 0


def test_a_key_that_is_used_up_is_refused_before_it_is_looked_up_again() -> None:
    busy = Crowd(ingress=IngressSettings(max_in_flight=3, max_in_flight_per_key=1))

    async def scenario() -> None:
        with Visit(busy.places, busy.context.bounds, b"", asyncio.Timeout(None)) as other:
            other.prove(busy.keys.authenticate(busy.admin["X-API-Key"]).id)
            assert await busy.info(busy.admin) == 429
            busy.keys.close()  # without the keys' database
            assert await busy.info(busy.admin) == 429

    run(scenario)
    busy.leave()
