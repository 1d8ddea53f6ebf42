"""The OpenCV FR Server's dialect: the published samples, field by field, searching, and liveness."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx2 as httpx
import pytest

from serve_app.api.dialects.opencv_fr_server.requests import LIVENESS_FAULTS
from serve_app.domain import DEFAULT_TENANT, CollectionPolicy, QualityCode
from tests.api.conftest import World
from tests.api.dialects.fr_server import ADA, NOBODY, is_row, is_thumbnail, picture, put, search, search_many
from tests.api.dialects.samples import shape
from tests.fakes.stages import FakeFace

# -- golden answers


ITEM = {
    "face_base_64": "string",
    "metadata": {"additionalProp1": "string", "additionalProp2": "string", "additionalProp3": "string"},
    "person_id": "string",
    "person_name": "string",
    "similarity_score": 0.1,
}
FACE_SEARCH = [ITEM]
MULTI_FACE_SEARCH = {"person_search_results": [ITEM], "unrecognized_face_thumbnails_base_64": ["string"]}
"""The page's samples."""


def test_the_published_samples(world: World) -> None:
    put(world, "ada", metadata=ITEM["metadata"])
    assert shape(search(world, ADA).json()) == shape(FACE_SEARCH)
    assert list(search(world, ADA).json()[0]) == list(ITEM)
    both = search_many(world, picture("ada", "eve")).json()
    assert shape(both) == shape(MULTI_FACE_SEARCH)
    assert list(both) == list(MULTI_FACE_SEARCH)


def test_face_search_as_published(world: World) -> None:
    put(world, "ada", metadata={"additionalProp1": "string", "additionalProp2": "string"})
    answer = world.call(
        "POST",
        "/face-search",
        world.search,
        json={
            "check_liveness": False,
            "collection_name": "staff",
            "face_base_64": picture(FakeFace("ada", take=1)),
            "min_similarity_score": 0.7,
            "max_results": 1,
        },
    )
    assert answer.status_code == 200
    (found,) = answer.json()
    assert list(found) == ["face_base_64", "metadata", "person_id", "person_name", "similarity_score"]
    assert (found["person_id"], found["person_name"]) == ("ada", "Ada")
    assert found["metadata"] == {"additionalProp1": "string", "additionalProp2": "string"}
    assert 0.7 < found["similarity_score"] <= 1
    assert is_thumbnail(found["face_base_64"])
    assert answer.headers["cache-control"] == "no-store"


def test_multi_face_search_as_published(world: World) -> None:
    put(world, "ada")
    put(world, "bob")
    crowd = picture(FakeFace("eve", size=150), FakeFace("bob", take=1), FakeFace("ada"), FakeFace("mallory", size=40))
    answer = search_many(world, crowd, min_similarity_score=0.7)
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["person_search_results", "unrecognized_face_thumbnails_base_64"]
    assert [found["person_id"] for found in body["person_search_results"]] == ["ada", "bob"]
    scores = [found["similarity_score"] for found in body["person_search_results"]]
    assert scores == sorted(scores, reverse=True)
    for found in body["person_search_results"]:
        assert set(found) == {"face_base_64", "metadata", "person_id", "person_name", "similarity_score"}
    thumbnails = body["unrecognized_face_thumbnails_base_64"]
    assert len(thumbnails) == 2
    assert all(map(is_thumbnail, thumbnails))
    assert thumbnails[0] != thumbnails[1]


def test_collections_as_published(world: World) -> None:
    created = world.call("POST", "/collection", json={"name": "My-Collection_1.0"})
    assert (created.status_code, created.json()) == (200, {"name": "My-Collection_1.0", "num_persons": 0})
    put(world, "ada", collection_name="My-Collection_1.0")
    listed = world.call("GET", "/collections", world.search)
    assert listed.json() == {
        "collections": [{"name": "My-Collection_1.0", "num_persons": 1}, {"name": "staff", "num_persons": 0}],
        "cursor": None,
    }
    first = world.call("GET", "/collections", params={"limit": 1}).json()
    rest = world.call("GET", "/collections", params={"limit": 1, "cursor": first["cursor"]}).json()
    assert [page["collections"][0]["name"] for page in (first, rest)] == ["My-Collection_1.0", "staff"]
    deleted = world.call("DELETE", "/collection", json={"name": "My-Collection_1.0"})
    assert (deleted.status_code, deleted.json()) == (200, {"name": "My-Collection_1.0", "num_persons": 1})
    is_row(world.call("DELETE", "/collection", json={"name": "My-Collection_1.0"}), "ERR_NOT_FOUND")
    is_row(world.call("GET", "/person/ada", params={"collection_name": "staff"}), "ERR_NOT_FOUND")


def test_compare_as_published(world: World) -> None:
    def compare(**fields: Any) -> httpx.Response:
        return world.call("POST", "/compare", world.search, json={"face_base_64": ADA, **fields})

    assert compare(ref_face_base_64=picture(FakeFace("ada", take=1))).json() == {"is_match": True}
    assert compare(ref_face_base_64=picture("bob")).json() == {"is_match": False}
    assert compare(ref_face_base_64=picture("bob"), min_similarity_score=0).json() == {"is_match": True}
    assert compare(ref_face_base_64=picture(FakeFace("ada", take=1)), min_similarity_score=1).json() == {
        "is_match": False
    }
    is_row(compare(ref_face_base_64=NOBODY), "ERR_FACE_NOT_DETECTED")
    is_row(compare(ref_face_base_64="###"), "ERR_BASE64_IMAGE_CANNOT_BE_DECODED")
    is_row(compare(), "ERR_BASE64_IMAGE_CANNOT_BE_DECODED")


# -- searching


def test_nobody_is_an_empty_list(world: World) -> None:
    put(world, "ada")
    assert search(world, picture("eve")).json() == []


def test_optional_fields_have_the_published_defaults(world: World) -> None:
    for number in range(3):
        put(world, f"ada-{number}", FakeFace("ada", take=number))
    nulls = {"check_liveness": None, "min_similarity_score": None, "max_results": None}
    for fields in ({}, nulls, {"unknown_field": 1}):
        answer = search(world, ADA, **fields)
        assert [found["person_id"] for found in answer.json()] == ["ada-0"]
    ranked = search(world, ADA, max_results=10).json()
    assert ranked[0]["person_id"] == "ada-0"
    scores = [found["similarity_score"] for found in ranked]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert search(world, picture(FakeFace("ada", take=9)), min_similarity_score=0.99).json() == []


def test_the_largest_of_several_faces_is_searched(world: World) -> None:
    put(world, "ada")
    put(world, "bob")
    answer = search(world, picture(FakeFace("ada", size=90), FakeFace("bob", size=100)))
    assert [found["person_id"] for found in answer.json()] == ["bob"]


@pytest.mark.parametrize("as_url", [False, True])
def test_pictures_may_be_data_urls_and_broken_into_lines(world: World, as_url: bool) -> None:
    put(world, "ada")
    text = base64.encodebytes(base64.b64decode(ADA)).decode()
    assert search(world, f"data:image/jpeg;base64,{ADA}" if as_url else text).json()[0]["person_id"] == "ada"


def test_a_face_without_stored_pictures_is_found_without_one(world: World) -> None:
    put(world, "ada", face_storage_type="NoStorage")
    (found,) = search(world, ADA).json()
    assert (found["person_id"], found["face_base_64"]) == ("ada", "")


# -- liveness


def test_check_liveness_passes_a_live_face(world: World) -> None:
    put(world, "ada")
    assert search(world, ADA, check_liveness=True).json()[0]["person_id"] == "ada"
    body = {"check_liveness": True, "face_base_64": ADA, "ref_face_base_64": ADA}
    assert world.call("POST", "/compare", json=body).json() == {"is_match": True}
    assert put(world, "bob", check_liveness=True).status_code == 200


WORDS = sorted(LIVENESS_FAULTS)

LIVENESS_FAILURES = [
    pytest.param([FakeFace("ada", live=0.1)], "FACE_NOT_LIVE", id="screen"),
    pytest.param([FakeFace("ada"), FakeFace("bob")], "TOO_MANY_FACES", id="two"),
    *(pytest.param([FakeFace("ada", codes=(word,))], str(word), id=str(word)) for word in WORDS),
    pytest.param([FakeFace("ada", codes=("FACE_CROPPED", "FACE_TOO_CLOSE"))], "FACE_TOO_CLOSE", id="several"),
    pytest.param([FakeFace("ada", live=0.1, codes=("FACE_TOO_SMALL",))], "FACE_TOO_SMALL", id="small and a screen"),
]


def test_blur_is_no_fault_there(world: World) -> None:
    assert set(QualityCode) - LIVENESS_FAULTS == {QualityCode.FACE_BLURRED}
    assert search(world, picture(FakeFace("ada", codes=("FACE_BLURRED",))), check_liveness=True).status_code == 200


@pytest.mark.parametrize(("faces", "word"), LIVENESS_FAILURES)
def test_every_liveness_code(world: World, faces: list[FakeFace], word: str) -> None:
    is_row(search(world, picture(*faces), check_liveness=True), "ERR_LIVENESS_ERROR", {"code": word})
    is_row(put(world, "ada", *faces, check_liveness=True), "ERR_LIVENESS_ERROR", {"code": word})
    body = {"check_liveness": True, "face_base_64": picture(*faces), "ref_face_base_64": ADA}
    is_row(world.call("POST", "/compare", json=body), "ERR_LIVENESS_ERROR", {"code": word})
    is_row(world.call("GET", "/person/ada", params={"collection_name": "staff"}), "ERR_NOT_FOUND")
    bulk = {
        "collection_name": "staff",
        "face_storage_type": "NoStorage",
        "check_liveness": True,
        "persons": [{"person_id": "ada", "person_name": "Ada", "face_base_64": picture(*faces)}],
    }
    (result,) = world.call("PUT", "/persons", json=bulk).json()
    assert result["code"] == "ERR_LIVENESS_ERROR"
    assert result["metadata"] == {"code": word, "person_id": "ada"}


@pytest.mark.parametrize("word", [str(word) for word in WORDS])
def test_without_the_flag_nothing_of_it_is_checked(world: World, word: str) -> None:
    face = FakeFace("ada", live=0.1, codes=(word,))
    assert put(world, "ada", face).status_code == 200
    assert search(world, picture(face)).json()[0]["person_id"] == "ada"


def test_without_a_face_liveness_is_not_checked(world: World) -> None:
    world.liveness.installed = False
    is_row(search(world, NOBODY, check_liveness=True), "ERR_FACE_NOT_DETECTED")


def test_no_liveness_model_is_never_a_pass(world: World) -> None:
    put(world, "ada")
    world.liveness.installed = False
    is_row(search(world, ADA, check_liveness=True), "ERR_LIVENESS_ERROR", {"code": "UNKNOWN_ERROR"})
    is_row(put(world, "bob", check_liveness=True), "ERR_LIVENESS_ERROR", {"code": "UNKNOWN_ERROR"})


def test_a_collections_policy_is_followed_without_the_flag(world: World) -> None:
    put(world, "ada")
    changes = {"policy": CollectionPolicy(liveness=True)}
    asyncio.run(world.matcher.update_collection(DEFAULT_TENANT, "staff", changes))
    screen = FakeFace("ada", live=0.1)
    is_row(search(world, picture(screen)), "ERR_LIVENESS_ERROR", {"code": "FACE_NOT_LIVE"})
    is_row(put(world, "ada", screen), "ERR_LIVENESS_ERROR", {"code": "FACE_NOT_LIVE"})
    body = search_many(world, picture(screen)).json()
    assert body["person_search_results"] == []
    assert len(body["unrecognized_face_thumbnails_base_64"]) == 1
