"""The dialects of 9thSense and ARGOS on real photographs, through HTTP, on a real Serve instance."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests import photos
from tests.graph.inprocess import InProcessService
from tests.graph.service import RunningService

pytestmark = pytest.mark.graph


Service = RunningService | InProcessService


@pytest.fixture
def api(running: Service) -> Iterator[httpx.Client]:
    headers = {"X-API-Key": running.key or ""}
    with httpx.Client(base_url=running.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def kyc(running: Service, api: httpx.Client) -> Iterator[httpx.Client]:
    """A client with a key's id and secret instead of the header."""
    key = api.post("/v1/keys", json={"name": "kyc", "role": "search"}).json()
    auth = httpx.BasicAuth(key["id"], key["secret"])
    with httpx.Client(base_url=running.url, auth=auth, timeout=60, trust_env=False) as client:
        yield client
    api.delete(f"/v1/keys/{key['id']}").raise_for_status()


@pytest.fixture
def indexes(api: httpx.Client) -> Iterator[dict[str, str]]:
    """Collins among the customers, Hopper under sanctions: name without its suffix -> id."""
    suffix = uuid.uuid4().hex[:8]
    ids = {}
    for name, kind, person, photo in (
        ("customers", "INTERNAL", "Eileen Collins", photos.astronaut()),
        ("sanctions", "EXTERNAL", "Grace Hopper", photos.grace_hopper()),
    ):
        body = {"name": f"{name}-{suffix}", "kind": kind, "title": name.title(), "policy": {"image_storage": "full"}}
        created = api.post("/v1/collections", json=body)
        created.raise_for_status()
        ids[name] = created.json()["id"]
        fields = {"name": person, "date_of_birth": "1956-11-19", "watch_list": "PEP"}
        path = f"/v1/collections/{name}-{suffix}/persons/{uuid.uuid4().hex}"
        api.put(path, files={"image": ("a.jpg", photo)}, data=fields).raise_for_status()
    yield ids
    for name in ids:
        api.delete(f"/v1/collections/{name}-{suffix}").raise_for_status()


def search(kyc: httpx.Client, photo: bytes, ids: str, live: bool) -> httpx.Response:
    return kyc.post(
        "/face/search",
        params={"perform_liveness_check": str(live).lower()},
        files={"source_image": ("probe.jpg", photo, "image/jpeg")},
        data={"target_index_ids": ids, "min_match_score": "70", "max_results": "5"},
    )


def test_9thsense_finds_people_in_several_databases(kyc: httpx.Client, indexes: dict[str, str]) -> None:
    listed = kyc.get("/face/index/details", params={"action_type": "FACE_SEARCH"}).json()["response"]
    known = {index["id"]: (index["index_type"], index["record_count"], index["title"]) for index in listed}
    assert known[indexes["customers"]] == ("INTERNAL", 1, "Customers")
    assert known[indexes["sanctions"]] == ("EXTERNAL", 1, "Sanctions")
    probe = photos.variant(photos.grace_hopper())
    (match,) = search(kyc, probe, ",".join(indexes.values()), live=False).json()["response"]
    assert (match["name"], match["dob"], match["watch_list"]) == ("Grace Hopper", "1956-11-19", ["PEP"])
    assert match["index_type"] == "EXTERNAL"
    assert match["match_score"] > 80
    assert match["distance"] == pytest.approx(1 - match["match_score"] / 100, abs=1e-9)
    assert search(kyc, probe, indexes["customers"], live=False).json() == {"response": []}
    file = kyc.get(f"/media/file/download/{match['match_image_id']}").json()["response"]
    assert base64.b64decode(file["file_base64"]) == photos.grace_hopper()
    assert file["file_type"] == "image/jpeg"


def test_9thsense_checks_liveness(kyc: httpx.Client, indexes: dict[str, str]) -> None:
    replay = search(kyc, photos.liveness("replay", 0), indexes["customers"], live=True)
    assert replay.status_code == 422
    assert replay.json()["response"]["error"]["code"] == "face_not_live"
    assert search(kyc, photos.liveness("live", 0), indexes["customers"], live=True).json() == {"response": []}


def test_9thsense_compares(kyc: httpx.Client) -> None:
    def compare(source: bytes, target: bytes) -> dict[str, Any]:
        files = {"source_image": ("a.jpg", source), "target_image": ("b.jpg", target)}
        verdict: dict[str, Any] = kyc.post("/face/match", files=files).json()["response"]
        return verdict

    same = compare(photos.astronaut(), photos.variant(photos.astronaut()))
    assert same["match_result"] == "matched"
    assert float(same["similarity_score"]) > 80
    other = compare(photos.astronaut(), photos.grace_hopper())
    assert other["match_result"] == "not_matched"
    assert float(other["similarity_score"]) < 70


def test_9thsense_wants_the_key_that_belongs_to_the_id(kyc: httpx.Client, running: Service) -> None:
    assert kyc.get("/face/index/details").status_code == 200
    for auth in (("0" * 32, running.key or ""), ("x", "y")):
        refused = httpx.get(f"{running.url}/face/index/details", auth=auth, trust_env=False, timeout=60)
        assert refused.status_code == 401
        assert refused.json()["response"]["error"]["code"] == "api_key_invalid"


def test_argos_adds_finds_lists_and_deletes(api: httpx.Client) -> None:
    name = f"argos-{uuid.uuid4().hex[:8]}"
    collection = api.post("/v1/collections", json={"name": name, "policy": {"min_score": 0.75}}).json()["id"]
    faces = {}
    for user, photo in (("Eileen Collins", photos.astronaut()), ("Grace Hopper", photos.grace_hopper())):
        body = {"collectionId": collection, "userName": user, "faceImage": base64.b64encode(photo).decode()}
        added = api.post("/modules/faces", json=body)
        assert added.status_code == 200, added.text
        assert added.json()["option"]["policy_similarity"] == 0.75
        faces[user] = added.json()["faceId"]

    probe = base64.b64encode(photos.variant(photos.astronaut())).decode()
    body = {"collectionId": collection, "requestName": "who", "faceImage": f"data:image/jpeg;base64,{probe}"}
    found = api.post("/modules/search", json=body).json()
    assert (found["message"], found["requestName"]) == ("success", "who")
    assert found["faceIdList"] == [faces["Eileen Collins"]]
    assert found["result"][0]["user_name"] == "Eileen Collins"
    assert found["result"][0]["similarity_score"] > 0.8

    where = {"collectionId": collection, "page": "1"}
    listed = api.get("/modules/faces", params=where).json()
    assert [face["user_name"] for face in listed["result"]] == ["Eileen Collins", "Grace Hopper"]
    assert api.get("/modules/faces", params={**where, "term": "hopper"}).json()["totalCount"] == 1
    gone = api.delete("/modules/faces", params={"collectionId": collection, "faceId": faces["Eileen Collins"]})
    assert gone.json() == {"message": "Success"}
    assert api.post("/modules/search", json=body).json()["faceIdList"] == []
    assert api.get("/modules/faces", params=where).json()["totalCount"] == 1

    nobody = {**body, "faceImage": base64.b64encode(photos.no_face()).decode()}
    refused = api.post("/modules/search", json=nobody)
    assert (refused.status_code, refused.json()) == (400, {"errorCode": 6032, "message": "Invalid face image."})
    api.delete(f"/v1/collections/{name}").raise_for_status()


def test_argos_applies_the_collections_liveness_option(api: httpx.Client) -> None:
    name = f"gate-{uuid.uuid4().hex[:8]}"
    api.post("/v1/collections", json={"name": name, "policy": {"liveness": True}}).raise_for_status()
    for kind, status in (("live", 200), ("replay", 400)):
        photo = base64.b64encode(photos.liveness(kind, 0)).decode()  # type: ignore[arg-type]
        for path, expected in (("faces", 6015), ("search", 6035)):
            body = {"collectionId": name, "userName": "Jo", "faceImage": photo}
            answer = api.post(f"/modules/{path}", json=body)
            assert answer.status_code == status, answer.text
            if status == 200:
                assert answer.json()["option"]["option_liveness"] is True
                assert answer.json()["option"]["liveNessScore"] >= 0.5
            else:
                assert answer.json()["errorCode"] == expected
    api.delete(f"/v1/collections/{name}").raise_for_status()
