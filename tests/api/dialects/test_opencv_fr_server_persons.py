"""The OpenCV FR Server's dialect: persons, one by one and many at once."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.domain import DEFAULT_TENANT
from serve_app.errors import StoreUnavailable
from tests.api.conftest import World
from tests.api.dialects.fr_server import ADA, NOBODY, TEXTS, bulk, is_row, is_thumbnail, item, picture, put, search
from tests.fakes.stages import FakeFace

# -- persons


def test_a_person_is_created_updated_read_and_deleted(world: World) -> None:
    created = put(world, "Ada/1", "ada", metadata={"badge": "1843"})
    assert created.status_code == 200
    person = created.json()
    assert list(person) == ["person_id", "person_name", "collection_name", "metadata", "face_base_64"]
    assert (person["person_id"], person["collection_name"]) == ("Ada/1", "staff")
    assert person["metadata"] == {"badge": "1843"}
    assert is_thumbnail(person["face_base_64"])
    by_name = {"collection_name": "staff"}
    assert world.call("GET", "/person/Ada/1", world.enroll, params=by_name).json() == person
    assert world.call("GET", "/person/Ada%2F1", params=by_name).json() == person
    is_row(world.call("GET", "/person/ada/1", params=by_name), "ERR_NOT_FOUND")  # ids are case-sensitive

    updated = put(world, "Ada/1", "eve", person_name="Eve").json()
    assert (updated["person_name"], updated["metadata"]) == ("Eve", {"badge": "1843"})
    assert search(world, ADA).json() == []
    assert search(world, picture("eve")).json()[0]["person_name"] == "Eve"
    assert put(world, "Ada/1", "eve", metadata={}).json()["metadata"] == {}

    gone = world.call("DELETE", "/person", world.enroll, json={"person_id": "Ada/1", **by_name})
    assert gone.status_code == 200
    assert gone.json()["person_id"] == "Ada/1"
    is_row(world.call("DELETE", "/person", json={"person_id": "Ada/1", **by_name}), "ERR_NOT_FOUND")
    assert search(world, picture("eve")).json() == []


def test_listing_persons(world: World) -> None:
    for number in range(5):
        put(world, f"p{number}", face_storage_type="NoStorage" if number % 2 else "StoreThumbnails")
    seen, cursor = [], None
    while True:
        params = {"collection_name": "staff", "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = world.call("GET", "/persons", world.enroll, params=params).json()
        assert set(page) == {"persons", "cursor"}
        seen += page["persons"]
        if (cursor := page["cursor"]) is None:
            break
    assert [(person["person_id"], bool(person["face_base_64"])) for person in seen] == [
        *(("p0", True), ("p1", False), ("p2", True), ("p3", False), ("p4", True)),
    ]
    is_row(world.call("GET", "/persons", params={"collection_name": "nowhere"}), "ERR_NOT_FOUND")


@pytest.mark.parametrize(
    ("storage", "thumbnail", "photograph"),
    [("NoStorage", False, False), ("StoreThumbnails", True, False), ("StoreFullImage", True, True)],
)
def test_storage_types(world: World, storage: str, thumbnail: bool, photograph: bool) -> None:
    answer = put(world, "ada", face_storage_type=storage)
    assert bool(answer.json()["face_base_64"]) is thumbnail
    (face,) = asyncio.run(world.matcher.person(DEFAULT_TENANT, "ada")).faces
    for kind, kept in (("thumbnail", thumbnail), ("photograph", photograph)):
        reading = world.matcher.face_images(DEFAULT_TENANT, [face.id], kind)  # type: ignore[arg-type]
        assert (asyncio.run(reading)[0] is not None) is kept


def test_duplicates_are_refused_when_asked_for(world: World) -> None:
    put(world, "ada")
    same = FakeFace("ada", take=1)
    refused = put(world, "eve", same, check_duplicates=True)
    assert refused.json()["metadata"]["person_id"] == "ada"
    score = refused.json()["metadata"]["similarity_score"]
    assert 0.7 < float(score) < 1
    is_row(refused, "ERR_ALREADY_EXISTS", {"person_id": "ada", "similarity_score": score})
    is_row(world.call("GET", "/person/eve", params={"collection_name": "staff"}), "ERR_NOT_FOUND")

    assert put(world, "ada", same, check_duplicates=True).status_code == 200  # of oneself is none
    nearer = {"check_duplicates": True, "duplicate_check_min_similarity": 0.99}
    assert put(world, "eve", FakeFace("ada", take=2), **nearer).status_code == 200
    assert (
        put(world, "mallory", same, duplicate_check_min_similarity=0.1).status_code == 200
    )  # ignored without the flag
    world.call("POST", "/collection", json={"name": "visitors"})
    elsewhere = put(world, "oscar", same, check_duplicates=True, collection_name="visitors")
    assert elsewhere.status_code == 200  # only the collection itself counts


# -- bulk


def test_one_bad_person_does_not_stop_the_others(world: World) -> None:
    put(world, "old")
    answer = bulk(
        world,
        [
            item("ada", metadata={"badge": "1"}),
            {**item("noface"), "face_base_64": NOBODY},
            {**item("broken"), "face_base_64": "###"},
            {"person_id": "incomplete"},
            "not a person",
            item("x" * 101),
            item("two", "a", "b"),
            item("old"),
            {**item("null"), "metadata": None},
        ],
    )
    assert answer.status_code == 200
    results = answer.json()
    assert all(list(result) == ["code", "message", "metadata"] for result in results)
    assert [(result["code"], result["metadata"].get("person_id")) for result in results] == [
        ("SUCCESS", "ada"),
        ("ERR_FACE_NOT_DETECTED", "noface"),
        ("ERR_BASE64_IMAGE_CANNOT_BE_DECODED", "broken"),
        ("ERR_INVALID_REQUEST", "incomplete"),
        ("ERR_INVALID_REQUEST", None),
        ("ERR_INVALID_REQUEST", "x" * 100),
        ("ERR_LIVENESS_ERROR", "two"),
        ("SUCCESS", "old"),
        ("SUCCESS", "null"),
    ]
    for result in results:
        if result["code"] in TEXTS:
            assert result["message"] == TEXTS[result["code"]][1]
    assert results[0]["message"] == "The person was created."
    assert results[7]["message"] == "The person was updated."
    listed = world.call("GET", "/persons", params={"collection_name": "staff"}).json()["persons"]
    assert [person["person_id"] for person in listed] == ["ada", "null", "old"]
    assert listed[0]["metadata"] == {"badge": "1"}


def test_bulk_spelt_as_in_the_vendors_prose(world: World) -> None:
    body = {"collection_name": "staff", "face_storage_type": "NoStorage", "Persons": [item("ada")]}
    assert [result["code"] for result in world.call("PUT", "/persons", json=body).json()] == ["SUCCESS"]


def test_the_last_of_several_entries_with_one_id_counts(world: World) -> None:
    results = bulk(world, [item("ada", person_name=f"Name {number}") for number in range(12)]).json()
    assert {result["code"] for result in results} == {"SUCCESS"}
    answer = world.call("GET", "/person/ada", params={"collection_name": "staff"})
    assert answer.json()["person_name"] == "Name 11"


def test_bulk_sees_duplicates_among_its_own(world: World) -> None:
    persons = [item("ada", "face"), item("eve", FakeFace("face", take=1)), item("bob")]
    codes = [result["code"] for result in bulk(world, persons, check_duplicates=True).json()]
    assert codes == ["SUCCESS", "ERR_ALREADY_EXISTS", "SUCCESS"]
    assert {result["code"] for result in bulk(world, persons).json()} == {"SUCCESS"}


def test_bulk_is_bounded_and_wants_a_collection(world: World) -> None:
    most = world.context.settings.limits.max_persons_per_request
    refused = bulk(world, [{}] * (most + 1))
    assert (refused.status_code, refused.json()["code"]) == (400, "ERR_INVALID_REQUEST")
    assert f"at most {most}" in refused.json()["message"]
    assert bulk(world, [{}] * most).status_code == 200
    assert bulk(world, []).status_code == 400
    is_row(bulk(world, [item("ada")], collection_name="nowhere"), "ERR_NOT_FOUND")


def test_bulk_reports_what_an_outage_did_to_each(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.embedder.failure = StoreUnavailable("down")
    (result,) = bulk(world, [item("ada")]).json()
    assert result["code"] == "ERR_DATABASE_ERROR"
    world.embedder.failure = RuntimeError("secret")
    (result,) = bulk(world, [item("ada")]).json()
    assert result["code"] == "ERR_INTERNAL_ERROR"
    assert "secret" not in str(result)
    assert "secret" in caplog.text
