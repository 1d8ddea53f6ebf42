"""The work on a body is bounded by its size: what is refused is refused in few words, and long bodies keep nobody."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from serve_app.api import parsing
from serve_app.api.app import create_app
from serve_app.api.dialects import ALL
from serve_app.api.errors import MAX_FINDINGS
from serve_app.settings import Limits
from tests.api.conftest import Shared, World, as_file, b64
from tests.api.costly_bodies import FORM, JSON, SEARCH, URLENCODED, Costly, costly
from tests.fakes.stages import fake_picture

N = 4 * 2**20
BODIES = costly(N)
MOST_ANSWERED = 10_000
"""Bytes of a refusal."""


class Threads(Executor):
    """Runs what it is given in a thread, and notes in which."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1)
        self.used: set[int] = set()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run it."""

        def noted() -> Any:
            self.used.add(threading.get_ident())
            return work(*args, **kwargs)

        return self._threads.submit(noted)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The application with its usual limits, speaking every dialect."""
    with TestClient(create_app(lambda: Shared.context, ALL)) as client:
        built = World(client, limits=Limits())
        Shared.context = built.context
        built.call("POST", "/v1/collections", json={"name": "staff"}).raise_for_status()
        yield built
        Shared.context = None
        built.leave()


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """The threads that parse, which note that they were used."""
    noting = Threads()
    monkeypatch.setattr(parsing, "_threads", noting)
    return noting


def send(world: World, request: Costly) -> httpx.Response:
    method, path = request.operation.split(" ", 1)
    headers = {"Content-Type": request.kind} if request.kind else {}
    if request.role:
        headers |= {"X-API-Key": (secret := getattr(world, request.role)["X-API-Key"])}
        key = world.keys.authenticate(secret)
        headers["Authorization"] = "Basic " + base64.b64encode(f"{key.id}:{secret}".encode()).decode()
    return world.client.request(method, path, headers=headers, content=request.body)


def findings(answer: httpx.Response) -> list[Any]:
    """What a refusal names, in the native form, that of OpenCV cloud or that of FR Server."""
    body = answer.json()
    if "metadata" in body:
        return list(body["metadata"])
    return list(body.get("detail") or body.get("error", {}).get("details", {}).get("errors", []))


@pytest.mark.parametrize("name", BODIES)
def test_a_costly_body_is_refused_in_few_words(world: World, name: str) -> None:
    answer = send(world, BODIES[name])
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.content) < MOST_ANSWERED
    assert len(findings(answer)) <= MAX_FINDINGS + 1


@pytest.mark.parametrize(
    "name", [name for name, each in BODIES.items() if each.body and each.kind in (JSON, FORM, URLENCODED)]
)
def test_a_long_body_is_parsed_in_a_thread(world: World, threads: Threads, name: str) -> None:
    assert world.client.portal is not None
    loop = world.client.portal.call(threading.get_ident)
    send(world, BODIES[name])
    assert threads.used
    assert loop not in threads.used


def test_a_short_body_is_parsed_where_it_arrives_and_a_long_picture_in_a_thread(world: World, threads: Threads) -> None:
    short, long = fake_picture("ada"), fake_picture("ada", padding=2 * parsing.MOST_ON_LOOP)
    for content, in_thread in ((short, False), (long, True)):
        for options in ({"files": as_file(content)}, {"json": {"image_base64": b64(content)}}):
            threads.used.clear()
            world.call("POST", "/v1/detect", **options).raise_for_status()
            assert bool(threads.used) == in_thread


def some_unknown_fields(n: int) -> dict[str, Any]:
    return {f"field{number}": number for number in range(n)}


def test_a_refusal_names_some_findings_and_counts_all(world: World) -> None:
    answer = world.call("POST", "/v1/keys", json={"name": "a", "role": "search", **some_unknown_fields(3000)})
    error = answer.json()["error"]
    assert error["code"] == "invalid_request"
    assert [each["field"] for each in error["details"]["errors"]] == [
        f"field{number}" for number in range(MAX_FINDINGS)
    ]
    assert error["details"]["error_count"] == 3000
    assert error["message"].endswith(f"; field{MAX_FINDINGS - 1}: is not a known field; and {3000 - MAX_FINDINGS} more")
    few = world.call("POST", "/v1/keys", json={"name": "a", "role": "search", **some_unknown_fields(MAX_FINDINGS)})
    assert few.json()["error"]["details"]["error_count"] == MAX_FINDINGS
    assert "more" not in few.json()["error"]["message"]


def test_a_refused_query_names_some_findings_and_counts_all(world: World) -> None:
    answer = world.call("GET", "/v1/collections", params=some_unknown_fields(900))
    error = answer.json()["error"]
    assert len(error["details"]["errors"]) == MAX_FINDINGS
    assert error["details"]["error_count"] == 900
    assert error["message"].endswith(f"and {900 - MAX_FINDINGS} more")


def test_dialects_name_some_findings_and_say_how_many_there_are(world: World) -> None:
    options = {"persons": [{}], "collection_name": "staff", "face_storage_type": "NoStorage"}
    link = {"action": "DELETE", "person_ids": ["p"]}
    image = {"images": ["x"], "search_mode": "?", "max_results": "?", "min_score": "?"}
    cloud = world.call("POST", "/opencv-fr/search", json=image)
    assert [each["loc"][-1] for each in cloud.json()["detail"]] == ["max_results", "min_score", "search_mode"]
    metadata = {f"{number}": number for number in range(150)}
    person = {"person_id": "p", "person_name": "P", "face_base_64": "x", "metadata": metadata}
    one = world.call("PUT", "/person", json={**options, **person}).json()
    assert len(one["metadata"]) == MAX_FINDINGS
    assert one["message"].endswith(f"and {150 - MAX_FINDINGS} more")
    (several,) = world.call("PUT", "/persons", json={**options, "persons": [person]}).json()
    assert several["message"] == one["message"]
    assert world.call("PATCH", "/opencv-fr/persons", json=link).status_code == 404


def test_a_long_name_is_cut_in_a_refusal(world: World) -> None:
    answer = world.call("POST", "/v1/search", json={"a" * 10**6: 0, "metadata" + "b" * 10**6: 0})
    assert len(answer.content) < 1000
    assert "did you mean" not in answer.text


def test_a_list_is_refused_at_its_first_wrong_item(world: World) -> None:
    answer = world.call("POST", "/v1/search", json={"collections": [0] * 50})
    assert answer.json()["error"]["details"]["error_count"] == 1


def test_what_is_legal_may_be_as_long_as_before(world: World) -> None:
    metadata = {f"k{number}": "[,{" * 3333 for number in range(200)}
    body = {
        "metadata": metadata,
        "watch_list": ["x"] * 100,
        "notes": ",[{\n" * 2500,
        "image_base64": [b64(fake_picture("ada"))] * 3,
    }
    answer = world.call("PUT", "/v1/collections/staff/persons/long", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["metadata"] == metadata
    form = {"metadata": '{"a": "[,{"}', "watch_list": ",".join(["x"] * 100), "reject": "FACE_TOO_SMALL,FACE_BLURRED"}
    answer = world.call("PUT", "/v1/collections/staff/persons/form", files=as_file(fake_picture("ada")), data=form)
    assert answer.status_code == 201, answer.text


def test_a_search_by_form_and_json_with_commas(world: World) -> None:
    names = ",".join(["staff"] * 100)
    answer = world.call(*SEARCH.split(), files=as_file(fake_picture("ada")), data={"collections": names})
    assert answer.status_code == 200
    answer = world.call(*SEARCH.split(), files=as_file(fake_picture("ada")), data={"collections": names + ",staff"})
    assert "at most 100 items" in answer.json()["error"]["message"]
