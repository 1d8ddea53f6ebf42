"""The OpenCV FR Server's dialect on real photographs, through HTTP, as a client of that server calls it."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator
from typing import Any

import cv2
import httpx
import pytest

from tests import photos
from tests.graph.inprocess import VARIABLE, InProcessService
from tests.graph.service import RunningService

pytestmark = pytest.mark.graph

Service = RunningService | InProcessService


def b64(image: bytes) -> str:
    return base64.b64encode(image).decode()


def png(image: bytes) -> bytes:
    done, encoded = cv2.imencode(".png", photos.decode(image))
    assert done
    return bytes(encoded.tobytes())


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    if not os.environ.get(VARIABLE):
        yield request.getfixturevalue("service")
        return
    local = InProcessService(tmp_path_factory.mktemp("in-process") / "data").start()
    yield local
    local.stop()


@pytest.fixture
def server(running: Service) -> Iterator[httpx.Client]:
    headers = {"x-api-key": running.key or "", "content-type": "application/json"}
    with httpx.Client(base_url=running.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def collection(server: httpx.Client) -> Iterator[str]:
    """Two people, enrolled by the dialect itself; erased at the end."""
    name = f"fr-{uuid.uuid4().hex[:8]}"
    assert server.post("/collection", json={"name": name}).json() == {"name": name, "num_persons": 0}
    persons = [
        {**person(name, "collins", photos.astronaut()), "metadata": {"mission": "STS-93"}},
        person(name, "hopper", photos.grace_hopper()),
    ]
    body = {"collection_name": name, "face_storage_type": "StoreThumbnails", "persons": persons}
    results = server.put("/persons", json=body).json()
    assert [result["code"] for result in results] == ["SUCCESS", "SUCCESS"], results
    yield name
    deleted = server.request("DELETE", "/collection", json={"name": name})
    assert deleted.status_code == 200
    assert deleted.json()["name"] == name


def person(collection: str, who: str, image: bytes) -> dict[str, Any]:
    return {"person_id": f"{collection}-{who}", "person_name": who.title(), "face_base_64": b64(image)}


def search(server: httpx.Client, collection: str, image: bytes, **fields: Any) -> httpx.Response:
    return server.post(
        "/face-search",
        json={
            "check_liveness": False,
            "collection_name": collection,
            "face_base_64": b64(image),
            "min_similarity_score": 0.7,
            "max_results": 1,
            **fields,
        },
    )


@pytest.mark.parametrize("container", [bytes, png])
def test_the_right_person_is_found(server: httpx.Client, collection: str, container: Any) -> None:
    answer = search(server, collection, container(photos.variant(photos.astronaut())))
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()
    assert set(found) == {"face_base_64", "metadata", "person_id", "person_name", "similarity_score"}
    assert (found["person_id"], found["person_name"]) == (f"{collection}-collins", "Collins")
    assert found["metadata"] == {"mission": "STS-93"}
    assert 0.85 < found["similarity_score"] <= 1
    assert photos.decode(base64.b64decode(found["face_base_64"])).shape == (112, 112, 3)


def test_a_stranger_is_an_empty_list(server: httpx.Client, collection: str) -> None:
    assert search(server, collection, photos.lfw("George_W_Bush", 1)).json() == []


def test_everyone_on_a_group_photograph(server: httpx.Client, collection: str) -> None:
    group = photos.group([photos.astronaut(), photos.grace_hopper(), photos.lfw("George_W_Bush", 1)])
    answer = server.post(
        "/multi-face-search", json={"collection_name": collection, "multi_face_img_base_64": b64(group)}
    ).json()
    found = answer["person_search_results"]
    assert {item["person_name"] for item in found} == {"Collins", "Hopper"}
    scores = [item["similarity_score"] for item in found]
    assert scores == sorted(scores, reverse=True)
    strangers = answer["unrecognized_face_thumbnails_base_64"]
    assert strangers
    assert all(photos.decode(base64.b64decode(text)).shape == (112, 112, 3) for text in strangers)


def test_compare(server: httpx.Client) -> None:
    astronaut = b64(photos.astronaut())
    for other, expected in ((photos.variant(photos.astronaut()), True), (photos.grace_hopper(), False)):
        answer = server.post("/compare", json={"face_base_64": astronaut, "ref_face_base_64": b64(other)})
        assert answer.json() == {"is_match": expected}


def test_duplicates_are_refused(server: httpx.Client, collection: str) -> None:
    body = {
        **person(collection, "impostor", photos.variant(photos.grace_hopper())),
        "collection_name": collection,
        "face_storage_type": "NoStorage",
        "check_duplicates": True,
    }
    refused = server.put("/person", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "ERR_ALREADY_EXISTS")
    assert refused.json()["metadata"]["person_id"] == f"{collection}-hopper"
    path = f"/person/{collection}-impostor"
    assert server.get(path, params={"collection_name": collection}).status_code == 404
    accepted = server.put("/person", json={**body, "check_duplicates": False})
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["face_base_64"] == ""
    listed = server.get("/persons", params={"collection_name": collection}).json()["persons"]
    assert [item["person_name"] for item in listed] == ["Collins", "Hopper", "Impostor"]
    gone = server.request(
        "DELETE", "/person", json={"person_id": f"{collection}-impostor", "collection_name": collection}
    )
    assert gone.status_code == 200
    assert server.get(path, params={"collection_name": collection}).status_code == 404


def test_liveness(server: httpx.Client, collection: str) -> None:
    answer = search(server, collection, photos.no_face(), check_liveness=True)
    assert (answer.status_code, answer.json()["code"]) == (400, "ERR_FACE_NOT_DETECTED")
    small = photos.encode_jpeg(cv2.resize(photos.decode(photos.astronaut()), (256, 256)))  # type: ignore[arg-type]
    answer = search(server, collection, small, check_liveness=True)
    assert (answer.status_code, answer.json()["metadata"]) == (412, {"code": "FACE_TOO_SMALL"})
    two = photos.group([photos.astronaut(), photos.astronaut()])
    answer = search(server, collection, two, check_liveness=True)
    assert (answer.status_code, answer.json()["metadata"]) == (412, {"code": "TOO_MANY_FACES"})


def test_pictures_of_screens_do_not_pass(server: httpx.Client, collection: str) -> None:
    def codes(kind: Any) -> list[str]:
        found = []
        for index in range(4):
            answer = search(server, collection, photos.liveness(kind, index), check_liveness=True)
            assert answer.status_code in {200, 412}, answer.text
            found.append(answer.json()["metadata"]["code"] if answer.status_code == 412 else "live")
        return found

    assert codes("replay") == ["FACE_NOT_LIVE"] * 4  # 0.00 to 0.25
    assert codes("live") == ["live"] * 4  # 0.92 and more


def test_errors_are_the_vendors(server: httpx.Client, running: Service, collection: str) -> None:
    def without(key: dict[str, str]) -> httpx.Response:
        return httpx.post(f"{running.url}/face-search", json={}, headers=key, trust_env=False, timeout=60)

    assert (without({}).status_code, without({}).json()["code"]) == (401, "ERR_API_KEY_NOT_PRESENT")
    refused = without({"x-api-key": "wrong"})
    assert (refused.status_code, refused.json()["code"]) == (403, "ERR_API_KEY_NOT_VALID")
    for image in (b"not a picture", photos.astronaut()[:500]):
        broken = search(server, collection, image)
        assert (broken.status_code, broken.json()["code"]) == (422, "ERR_BASE64_IMAGE_CANNOT_BE_DECODED")
    missing = search(server, "nowhere", photos.astronaut())
    assert (missing.status_code, missing.json()["code"]) == (404, "ERR_NOT_FOUND")
    taken = server.post("/collection", json={"name": collection})
    assert (taken.status_code, taken.json()["code"]) == (409, "ERR_ALREADY_EXISTS")
