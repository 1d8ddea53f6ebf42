"""ARGOS Identity's Face ID: requests and answers of its published pages, over fake models."""

from __future__ import annotations

import base64
import datetime as dt

import pytest

from serve_app.api.app import create_app
from serve_app.api.dialects.argos import argos
from serve_app.api.dialects.argos.errors import MESSAGES, NEVER
from tests.api.conftest import World, b64
from tests.api.dialects.argos import EXPECTED, JOHN, Client, code
from tests.api.dialects.samples import shape
from tests.fakes.stages import FakeFace, fake_picture

PUBLISHED_OPTION = {
    "option_liveness": True,
    "liveNess_threshold": 0.5,
    "liveNessScore": 0.9,
    "policy_similarity": 0.7,
}
PUBLISHED_SEARCH = {  # the guide's answer with the newer reference's list beside it
    "message": "success",
    "searchId": "string",
    "userName": "string",
    "option": PUBLISHED_OPTION,
    "faceIdList": ["string"],
    "result": [{"face_id": "string", "user_name": "string", "similarity_score": 0.9}],
}
PUBLISHED_ADDED = {"message": "success", "faceId": "string", "metaFaceId": "string", "option": PUBLISHED_OPTION}
PUBLISHED_LIST = {
    "message": "success",
    "result": [
        {
            "collection_id": "string",
            "face_id": "string",
            "user_name": "string",
            "create_time": "string",
            "meta_face_id": "string",
        }
    ],
    "totalCount": 1,
}


@pytest.fixture
def vendor(world: World) -> Client:
    return Client(world)


def test_a_face_is_added_as_published(vendor: Client) -> None:
    vendor.policy(liveness=True, min_score=0.75)
    response = vendor.add(fake_picture(FakeFace("john", live=0.8)))
    assert response.status_code == 200
    assert shape(response.json()) == shape(PUBLISHED_ADDED)
    body = response.json()
    assert body["message"] == "success"
    assert body["option"] == {
        "option_liveness": True,
        "liveNess_threshold": 0.5,
        "liveNessScore": 0.8,
        "policy_similarity": 0.75,
    }
    person = vendor.world.call("GET", f"/v1/collections/staff/persons/{body['metaFaceId']}").json()
    assert person["name"] == "John Doe"
    assert [face["id"] for face in person["faces"]] == [body["faceId"]]


@pytest.mark.parametrize(("sent", "echoed"), [({"requestName": "Al"}, "requestName"), ({"userName": "Al"}, "userName")])
def test_a_search_answers_as_published(vendor: Client, sent: dict[str, str], echoed: str) -> None:
    vendor.policy(liveness=True)
    face_id = vendor.add().json()["faceId"]
    vendor.add(fake_picture("jane"), userName="Jane")
    response = vendor.search(fake_picture(FakeFace("john", take=1)), **{"requestName": None, **sent})
    assert response.status_code == 200
    expected = {**shape(PUBLISHED_SEARCH), echoed: str}
    if echoed != "userName":
        del expected["userName"]
    assert shape(response.json()) == expected
    body = response.json()
    assert body["message"] == "success"
    assert body["searchId"] == response.headers["x-request-id"]
    assert body[echoed] == "Al"
    assert body["option"] == {
        "option_liveness": True,
        "liveNess_threshold": 0.5,
        "liveNessScore": 0.9,
        "policy_similarity": 0.7,
    }
    assert body["faceIdList"] == [face_id]
    (match,) = body["result"]
    assert (match["face_id"], match["user_name"]) == (face_id, "John Doe")
    assert 0.7 <= match["similarity_score"] < 1


def test_both_names_are_echoed_when_both_are_sent(vendor: Client) -> None:
    body = vendor.search(requestName="a", userName="b").json()
    assert (body["requestName"], body["userName"]) == ("a", "b")


def test_nobody_found_is_an_empty_list(vendor: Client) -> None:
    body = vendor.search().json()
    assert (body["faceIdList"], body["result"]) == ([], [])


def test_without_the_liveness_option_there_is_no_liveness_score(vendor: Client) -> None:
    added = vendor.add(fake_picture(FakeFace("john", live=0.1))).json()
    searched = vendor.search().json()
    for body in (added, searched):
        assert body["option"] == {
            "option_liveness": False,
            "liveNess_threshold": 0.5,
            "liveNessScore": None,
            "policy_similarity": 0.7,
        }


def test_a_collection_is_named_by_its_id_or_its_name(vendor: Client) -> None:
    face_id = vendor.add(collectionId="staff").json()["faceId"]
    for name in ("staff", vendor.collection):
        assert vendor.search(collectionId=name).json()["faceIdList"] == [face_id]
        assert vendor.list(collectionId=name).json()["totalCount"] == 1
    assert vendor.delete(collectionId="staff", faceId=face_id).status_code == 200


def test_an_id_wins_over_a_name(vendor: Client) -> None:
    vendor.world.call("POST", "/v1/collections", json={"name": vendor.collection}).raise_for_status()
    face_id = vendor.add().json()["faceId"]
    assert vendor.world.call("GET", "/v1/collections/staff").json()["face_count"] == 1
    assert vendor.search().json()["faceIdList"] == [face_id]


def test_equal_names_stay_different_faces(vendor: Client) -> None:
    first, second = (vendor.add(fake_picture(FakeFace("john", take=n))).json() for n in (0, 1))
    assert first["metaFaceId"] != second["metaFaceId"]
    assert set(vendor.search().json()["faceIdList"]) == {first["faceId"], second["faceId"]}


def test_the_collections_own_similarity_decides(vendor: Client) -> None:
    vendor.add()
    probe = fake_picture(FakeFace("john", take=1))
    assert len(vendor.search(probe).json()["faceIdList"]) == 1
    vendor.policy(min_score=0.99)
    body = vendor.search(probe).json()
    assert (body["faceIdList"], body["option"]["policy_similarity"]) == ([], 0.99)
    vendor.policy(min_score=0)
    assert vendor.search(fake_picture("jane")).json()["option"]["policy_similarity"] == 0
    assert len(vendor.search(fake_picture("jane")).json()["faceIdList"]) == 1


def test_a_picture_comes_bare_or_as_a_data_url(vendor: Client) -> None:
    vendor.add()
    text = base64.encodebytes(JOHN).decode()
    for sent in (b64(JOHN), f"data:image/jpeg;base64,{b64(JOHN)}", text):
        assert len(vendor.search(faceImage=sent).json()["faceIdList"]) == 1


def test_faces_are_listed_as_published(vendor: Client) -> None:
    before = dt.datetime.now(dt.UTC)
    added = vendor.add().json()
    vendor.world.enrol("jane", "jane", name="Jane")
    response = vendor.list()
    assert shape({**response.json(), "result": response.json()["result"][:1]}) == shape(PUBLISHED_LIST)
    body = response.json()
    first, second = body["result"]
    created = dt.datetime.fromisoformat(first.pop("create_time"))
    assert abs(created - before) < dt.timedelta(minutes=1)
    assert first == {
        "collection_id": vendor.collection,
        "face_id": added["faceId"],
        "user_name": "John Doe",
        "meta_face_id": added["metaFaceId"],
    }
    assert (second["user_name"], second["meta_face_id"]) == ("Jane", "jane")
    assert body["totalCount"] == 2


def test_a_page_has_fifty_faces(vendor: Client) -> None:
    for number in range(52):
        vendor.add(userName=f"Number {number:02}").raise_for_status()
    pages = [vendor.list(page=page).json() for page in ("1", "2", "3", "1000000000")]
    assert [len(page["result"]) for page in pages] == [50, 2, 0, 0]
    assert {page["totalCount"] for page in pages} == {52}
    names = [face["user_name"] for page in pages for face in page["result"]]
    assert names == [f"Number {number:02}" for number in range(52)]


def test_a_term_of_five_characters_narrows_the_list(vendor: Client) -> None:
    for name in ("John Doe", "Joanna Doe", "Jim"):
        vendor.add(userName=name)
    assert [face["user_name"] for face in vendor.list(term="JOHN ").json()["result"]] == ["John Doe"]
    assert vendor.list(term="nobody").json() == {"message": "success", "result": [], "totalCount": 0}
    assert vendor.list(term="").json()["totalCount"] == 3


def test_a_deleted_face_is_gone_with_its_person(vendor: Client) -> None:
    added = vendor.add().json()
    response = vendor.delete(faceId=added["faceId"])
    assert (response.status_code, response.json()) == (200, {"message": "Success"})
    assert vendor.search().json()["faceIdList"] == []
    path = f"/v1/collections/staff/persons/{added['metaFaceId']}"
    assert vendor.world.call("GET", path).status_code == 404


def test_a_person_with_further_faces_stays(vendor: Client) -> None:
    vendor.world.enrol("jane", "jane", FakeFace("jane", take=1))
    first, second = (face["face_id"] for face in vendor.list().json()["result"])
    assert vendor.delete(faceId=first).status_code == 200
    assert [face["face_id"] for face in vendor.list().json()["result"]] == [second]
    assert vendor.world.call("GET", "/v1/collections/staff/persons/jane").status_code == 200


def test_roles_hold_here_too(world: World) -> None:
    reader = Client(world, {"X-API-Key": world.search["X-API-Key"]})
    assert reader.search().status_code == 200
    for refused in (reader.add(), reader.list(), reader.delete(faceId="0" * 32)):
        assert code(refused) == 6040


def test_every_operation_is_documented() -> None:
    document = create_app(lambda: None, [argos]).openapi()
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("tags") == ["ARGOS"]
    }
    assert set(operations) == {
        ("post", "/modules/search"),
        ("post", "/modules/faces"),
        ("get", "/modules/faces"),
        ("delete", "/modules/faces"),
    }
    documented = set()
    for operation in operations.values():
        assert operation["summary"]
        assert operation["description"]
        assert operation["security"] == [{"ApiKey": []}]
        assert operation["responses"]["200"]["content"]["application/json"]["example"]["message"]
        for status in ("400", "403"):
            content = operation["responses"][status]["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ArgosErrorAnswer"}
            for number, example in content["examples"].items():
                documented.add(int(number))
                assert (int(status), example["value"]) == EXPECTED[int(number)]
    assert documented == set(MESSAGES) - set(NEVER)
