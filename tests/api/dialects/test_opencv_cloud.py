"""The OpenCV cloud dialect: operations of the vendor's specification, over fake models."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import uuid
from typing import Any

import pytest

from serve_app.domain import CollectionPolicy, NewCollection
from serve_app.domain.names import is_name
from serve_app.vision.image import encode_jpeg
from tests.api.conftest import World, b64
from tests.api.dialects.opencv_cloud import SPECIFICATION, UNKNOWN, Cloud, as_png, crop, operations, picture
from tests.fakes.stages import FakeFace, fake_picture
from tests.photos import decode

PERSON_KEYS = {
    *("id", "name", "gender", "date_of_birth", "nationality", "notes"),
    *("thumbnails", "collections", "create_date", "modified_date"),
}
ADA = {"id": "ada", "name": "Ada", "gender": "F", "date_of_birth": "1815-12-10", "nationality": "GB", "notes": "first"}
LOW = {"min_score": 0.5}


@pytest.fixture
def cloud(world: World) -> Cloud:
    return Cloud(world)


def matches(found: list[Any]) -> list[str]:
    return [person["id"] for person in found]


# -- collections


def test_a_collection(cloud: Cloud) -> None:
    made = cloud.ok("POST", "/collection", {"name": "Visitors of 2026", "description": "Ground floor"}, 201)
    assert (made["name"], made["description"], made["count"]) == ("Visitors of 2026", "Ground floor", 0)
    assert str(uuid.UUID(made["id"])) == made["id"]
    assert dt.datetime.fromisoformat(made["create_date"]).tzinfo is not None
    assert cloud.ok("GET", f"/collection/{made['id']}") == made
    # The client sends back everything that it got, with times of its own form.
    sent = {**made, "name": "Visitors", "create_date": "2026-11-21 02:06:30.677044"}
    changed = cloud.ok("PATCH", "/collection", sent)
    assert (changed["name"], changed["description"]) == ("Visitors", "Ground floor")
    assert cloud.ok("PATCH", "/collection", {"id": made["id"], "description": None})["description"] is None
    other = cloud.collection("Besucher ä/ö", description="")
    both = cloud.ok("GET", f"/collections/{other},{made['id']}")
    assert [(item["name"], item["description"]) for item in both] == [("Besucher ä/ö", None), ("Visitors", None)]
    assert cloud.failed("POST", "/collection", {"name": "Besucher ä/ö"}) == (409, "ERR_DUPLICATE_ENTITY")
    assert cloud.failed("PATCH", "/collection", {"id": other, "name": "Visitors"}) == (409, "ERR_DUPLICATE_ENTITY")
    assert cloud.ok("DELETE", f"/collection/{other}") == {"id": other}
    assert cloud.failed("GET", f"/collection/{other}") == (404, "ERR_ENTITY_NOT_FOUND")


@pytest.mark.parametrize("name", [".", "..", "a/b"])
def test_a_name_that_the_native_api_refuses(cloud: Cloud, name: str) -> None:
    made = cloud.ok("POST", "/collection", {"name": name}, 201)
    assert cloud.ok("GET", f"/collection/{made['id']}")["name"] == name
    listed = cloud.world.call("GET", "/v1/collections").json()["collections"]
    assert all(is_name(item["name"]) for item in listed)
    assert name in [item["title"] for item in listed]


def test_listing_collections(cloud: Cloud) -> None:
    for name in ("b", "c d", "a"):
        cloud.collection(name)

    def names(query: str = "") -> list[str]:
        return [item["name"] for item in cloud.ok("GET", f"/collections{query}")["collections"]]

    assert names() == ["a", "b", "c d", "staff"]
    assert names("?order=DESC&take=2") == ["staff", "c d"]
    assert names("?skip=3") == ["staff"]
    assert names("?search=C%20D") == ["c d"]
    assert cloud.ok("GET", "/collections?take=0") == {"count": 4, "collections": []}


def test_deleting_a_collection_leaves_its_persons(cloud: Cloud) -> None:
    place = cloud.collection()
    cloud.person("ada", id="ada", collections=[place])
    cloud.ok("DELETE", f"/collection/{place}")
    assert cloud.ok("GET", "/person/ada")["collections"] == []
    assert matches(cloud.ok("POST", "/search", {"images": [picture("ada")]})) == ["ada"]


def test_links(cloud: Cloud) -> None:
    place, other = cloud.collection("A"), cloud.collection("B")
    for who in ("ada", "ben", "eve"):
        cloud.person(who, id=who)
    link = {"collection_id": place, "person_id": "ada"}
    assert cloud.ok("POST", "/collection/person", link, 201) == link
    links = {"collection_id": place, "new_person_ids": ["ben", "eve"], "removed_person_ids": ["ada"]}
    assert cloud.ok("PATCH", "/collection/persons", links) == links
    assert cloud.ok("GET", f"/collection/{place}")["count"] == 2
    nothing = {"collection_id": place, "new_person_ids": None}
    assert cloud.ok("PATCH", "/collection/persons", nothing)["removed_person_ids"] == []
    assert cloud.ok("DELETE", f"/collection/person/{place}/eve") == {"collection_id": place, "person_id": "eve"}
    assert cloud.ok("GET", f"/persons/{place}")["count"] == 1
    cloud.ok("POST", "/collection/person", {"collection_id": other, "person_id": "ben"}, 201)
    found = cloud.ok("GET", "/collections/person/ben?order=DESC&take=1")
    assert (found["count"], [item["name"] for item in found["collections"]]) == (2, ["B"])
    for method, path, body in (
        ("DELETE", f"/collection/person/{place}/ada", None),
        ("DELETE", f"/collection/person/{UNKNOWN}/ada", None),
        ("POST", "/collection/person", {"collection_id": place, "person_id": "nobody"}),
        ("PATCH", "/collection/persons", {"collection_id": place, "new_person_ids": ["ada", "nobody"]}),
        ("GET", "/collections/person/nobody", None),
        ("GET", f"/persons/{UNKNOWN}", None),
        ("GET", "/collection/short", None),
    ):
        assert cloud.failed(method, path, body) == (404, "ERR_ENTITY_NOT_FOUND")
    assert cloud.ok("GET", f"/persons/{place}")["count"] == 1


# -- persons


def test_a_person(cloud: Cloud) -> None:
    place = cloud.collection()
    made = cloud.person("ada", FakeFace("ada", 1), **ADA, collections=[place], is_bulk_insert=True)
    assert set(made) == PERSON_KEYS
    assert {key: made[key] for key in ADA} == ADA
    assert [item["id"] for item in made["collections"]] == [place]
    assert made["collections"][0]["count"] == 1
    for thumbnail in made["thumbnails"]:
        assert decode(base64.b64decode(thumbnail["thumbnail"])).shape == (112, 112, 3)
    assert cloud.ok("GET", "/person/ada") == made
    assert cloud.failed("POST", "/person", {"images": [picture("x")], "id": "ada"}) == (409, "ERR_DUPLICATE_ENTITY")

    nulls = dict.fromkeys((*ADA, "collections", "is_bulk_insert"))
    unnamed = cloud.ok("POST", "/person", {"images": [picture("ben")], **nulls}, 201)
    assert len(unnamed["id"]) == 36
    assert [unnamed[key] for key in ("name", "gender", "date_of_birth", "nationality", "notes")] == [None] * 5
    assert unnamed["collections"] == []
    assert cloud.ok("DELETE", "/person/ada") == {"id": "ada"}
    assert cloud.failed("GET", "/person/ada") == (404, "ERR_ENTITY_NOT_FOUND")


def test_changing_a_person(cloud: Cloud) -> None:
    place, other = cloud.collection("A"), cloud.collection("B")
    made = cloud.person("ada", FakeFace("ada", 1), **ADA, collections=[place])
    changed = cloud.ok("PATCH", "/person", {"id": "ada", "name": "Augusta", "date_of_birth": None, "notes": None})
    wanted = {**made, "name": "Augusta", "date_of_birth": None, "notes": None}
    assert {**changed, "modified_date": None} == {**wanted, "modified_date": None}
    changed = cloud.ok("PATCH", "/person", {"id": "ada", "images": [picture("eve")], "collections": [other]})
    assert len(changed["thumbnails"]) == 1
    assert changed["thumbnails"][0]["id"] not in {item["id"] for item in made["thumbnails"]}
    assert [item["name"] for item in changed["collections"]] == ["B"]
    assert cloud.ok("PATCH", "/person", {"id": "ada", "collections": []})["collections"] == []
    assert cloud.failed("PATCH", "/person", {"id": "no", "name": "x"}) == (404, "ERR_ENTITY_NOT_FOUND")
    unknown = {"id": "ada", "name": "x", "collections": [UNKNOWN]}
    assert cloud.failed("PATCH", "/person", unknown) == (404, "ERR_ENTITY_NOT_FOUND")
    assert cloud.ok("GET", "/person/ada")["name"] == "Augusta"


def test_listing_persons(cloud: Cloud) -> None:
    place = cloud.collection()
    cloud.person("1", id="1", name="Zoe", date_of_birth="1990-01-01", gender="F", collections=[place])
    cloud.person("2", id="2", name="Adam", date_of_birth="2000-01-01", gender="M", nationality="AT")
    cloud.person("3", id="3")

    def ids(query: str = "", where: str = "") -> list[str]:
        return matches(cloud.ok("GET", f"/persons{where}{query}")["persons"])

    assert ids() == ["2", "1", "3"]
    assert ids("?order_by=date_of_birth&order=ASC&skip=0&take=20") == ["1", "2", "3"]
    assert ids("?order_by=date_of_birth&order=DESC") == ["2", "1", "3"]
    assert ids("?order_by=gender") == ["1", "2", "3"]
    assert ids("?order_by=nationality") == ["2", "1", "3"]
    assert ids("?order_by=create_date&order=DESC") == ids("?order_by=modified_date&order=DESC") == ["3", "2", "1"]
    assert ids("?skip=1&take=1") == ["1"]
    assert ids("?search=ada") == ["2"]
    assert ids(where=f"/{place}") == ["1"]
    assert cloud.ok("GET", "/persons?take=1")["count"] == 3


def test_erasing_several_persons(cloud: Cloud) -> None:
    for who in ("ada", "ben"):
        cloud.person(who, id=who)
    request = {"action": "DELETE", "person_ids": ["ada", "nobody"]}
    assert cloud.failed("PATCH", "/persons", request) == (404, "ERR_ENTITY_NOT_FOUND")
    assert cloud.ok("PATCH", "/persons", {"action": "DELETE", "person_ids": ["ben", "ada"]}) == [
        {"id": "ben"},
        {"id": "ada"},
    ]
    assert cloud.ok("GET", "/persons") == {"count": 0, "persons": []}


def test_the_pictures_of_a_person(cloud: Cloud) -> None:
    first = cloud.person("ada", id="ada")["thumbnails"][0]["id"]
    added = cloud.ok("POST", "/person/images", {"person_id": "ada", "images": [picture(FakeFace("ada", 1))]}, 201)
    assert (len(added), added[0]["person_id"]) == (1, "ada")
    two = {"person_id": "ada", "images": [picture("ada"), picture("ada")]}
    assert cloud.failed("POST", "/person/images", two) == (400, "ERR_UPDATE_RESULTS_IN_TOO_MANY_THUMBNAILS")
    both = [first, added[0]["id"]]
    request: dict[str, Any] = {"id": "ada", "removed_thumbnail_ids": both, "name": "Ada"}
    assert cloud.failed("PATCH", "/person/images", request) == (400, "ERR_UPDATE_RESULTS_IN_NO_THUMBNAILS")
    four = {"id": "ada", "new_images": [picture("ada"), picture("ada")]}
    assert cloud.failed("PATCH", "/person/images", four) == (400, "ERR_UPDATE_RESULTS_IN_TOO_MANY_THUMBNAILS")
    gone = {"id": "ada", "removed_thumbnail_ids": ["f" * 32], "name": "Ada"}
    assert cloud.failed("PATCH", "/person/images", gone) == (404, "ERR_ENTITY_NOT_FOUND")
    assert cloud.ok("GET", "/person/ada")["name"] is None
    changed = cloud.ok("PATCH", "/person/images", {**request, "new_images": [picture("eve")]})
    assert (changed["name"], len(changed["thumbnails"])) == ("Ada", 1)
    last = changed["thumbnails"][0]["id"]
    path = f"/person/image/ada/{last}"
    assert cloud.failed("DELETE", path) == (400, "ERR_DELETE_RESULTS_IN_NO_THUMBNAILS")
    cloud.ok("POST", "/person/images", {"person_id": "ada", "images": [picture("ada")]}, 201)
    assert cloud.ok("DELETE", path) == {"id": last}
    assert cloud.failed("DELETE", path) == (404, "ERR_ENTITY_NOT_FOUND")


def test_who_was_enrolled_otherwise_is_shown_as_the_client_can_bear_it(cloud: Cloud, world: World) -> None:
    world.enrol("ben", "ben", image_storage="none", gender="male", name="B" * 150).raise_for_status()
    world.enrol("many", "many", FakeFace("many", 1), FakeFace("many", 2), FakeFace("many", 3)).raise_for_status()
    ben = cloud.ok("GET", "/person/ben")
    assert (ben["gender"], ben["name"], len(ben["thumbnails"])) == ("M", "B" * 100, 1)
    assert decode(base64.b64decode(ben["thumbnails"][0]["thumbnail"])).shape == (112, 112, 3)
    assert len(cloud.ok("GET", "/person/many")["thumbnails"]) == 3
    asyncio.run(world.matcher.delete_face("0" * 32, ben["thumbnails"][0]["id"]))
    assert len(cloud.ok("GET", "/person/ben")["thumbnails"]) == 1


# -- searching


def test_search(cloud: Cloud, world: World) -> None:
    place = cloud.collection()
    cloud.person("ada", id="ada", collections=[place])
    cloud.person("ben", id="ben")
    world.enrol("eve", "eve").raise_for_status()
    everywhere = cloud.ok("POST", "/search", {"images": [picture("ben")], "min_score": "0.7", "collection_id": None})
    assert (matches(everywhere), set(everywhere[0])) == (["ben"], PERSON_KEYS | {"score"})
    assert 0.7 <= everywhere[0]["score"] <= 1
    here = {"collection_id": place, "min_score": 0.7}
    assert cloud.ok("POST", "/search", {"images": [picture("ben")], **here}) == []
    assert matches(cloud.ok("POST", "/search", {"images": [picture("ada")], **here})) == ["ada"]
    assert matches(cloud.ok("POST", "/search", {"images": [picture("eve")]})) == ["eve"]
    # The best of several pictures counts; everybody is told once.
    several = {"images": [picture("stranger"), picture(FakeFace("ada", 5)), picture("ada")], **LOW}
    found = cloud.ok("POST", "/search", several)
    assert matches(found).count("ada") == 1
    assert found[0]["id"] == "ada"
    assert found[0]["score"] == pytest.approx(1.0)
    assert cloud.ok("POST", "/search", {**several, "min_score": 0, "max_results": 1})[0]["id"] == "ada"
    unknown = {"images": [picture("ada")], "collection_id": UNKNOWN}
    assert cloud.failed("POST", "/search", unknown) == (404, "ERR_ENTITY_NOT_FOUND")


def test_crops(cloud: Cloud) -> None:
    ada = asyncio.run(crop("ada"))
    made = cloud.ok("POST", "/person/crops", {"id": "ada", "images": [ada]}, 201)
    assert len(made["thumbnails"]) == 1
    assert matches(cloud.ok("POST", "/search/crops", {"images": [ada]})) == ["ada"]
    assert matches(cloud.ok("POST", "/search", {"images": [picture("ada")]})) == ["ada"]
    detected = cloud.ok("POST", "/detect", {"image": picture("ada")})[0]["thumbnail"]
    assert cloud.call("POST", "/search/crops", {"images": [detected]}).status_code == 200
    small = b64(as_png([[[0, 0, 0]] * 111] * 112))
    for wrong in (small, b64(encode_jpeg(decode(base64.b64decode(ada)).repeat(2, 0)))):
        for path in ("/search/crops", "/person/crops"):
            assert cloud.failed("POST", path, {"images": [wrong]}) == (400, "ERR_NOT_STANDARD_CROP")
    no_image = {"images": [b64(b"no picture")]}
    assert cloud.failed("POST", "/search/crops", no_image) == (400, "ERR_IMAGE_COULD_NOT_BE_DECODED")


def test_detect(cloud: Cloud) -> None:
    cloud.person("ada", id="ada")
    both = picture(FakeFace("ada", size=200), "stranger")
    faces = cloud.ok("POST", "/detect", {"image": both})
    assert [face["persons"] for face in faces] == [[], []]
    assert faces[0]["box"] == {"left": 50, "top": 40, "right": 250, "bottom": 290}
    assert faces[0]["landmarks"]["right_eye"] == [110, 140]
    assert set(faces[0]["landmarks"]) == {"left_eye", "right_eye", "nose", "left_mouth", "right_mouth"}
    assert faces[0]["detection_score"] == pytest.approx(0.95)
    faces = cloud.ok("POST", "/detect", {"image": both, "search": {"collection_id": None, "min_score": 0.7}})
    assert [matches(face["persons"]) for face in faces] == [["ada"], []]
    assert cloud.ok("POST", "/detect", {"image": picture(), "search": {}}) == []
    assert cloud.ok("POST", "/detect", {"image": picture()}) == []


def test_verify(cloud: Cloud) -> None:
    cloud.person("ada", id="ada")
    request = {"id": "ada", "images": [picture("eve"), picture(FakeFace("ada", 1))], "min_score": 0.7}
    match = cloud.ok("POST", "/verify", request)["match"]
    assert match["id"] == "ada"
    assert match["score"] >= 0.7
    assert cloud.ok("POST", "/verify", {**request, "images": [picture("eve")]}) == {"match": None}
    assert cloud.failed("POST", "/verify", {**request, "id": "no"}) == (404, "ERR_ENTITY_NOT_FOUND")


def test_search_live_face(cloud: Cloud) -> None:
    cloud.person("ada", id="ada")
    found = cloud.ok("POST", "/search-live-face", {"image": picture(FakeFace("ada", live=0.3)), "min_score": 0.7})
    assert (found["liveness_score"], matches(found["persons"])) == (pytest.approx(0.3), ["ada"])
    stranger = {"image": picture("eve")}
    assert cloud.failed("POST", "/search-live-face", stranger) == (404, "ERR_ENTITY_NOT_FOUND")
    assert cloud.failed("POST", "/search-live-face", {**stranger, "min_score": 0.69}) == (422, "body.min_score")


def test_compare(cloud: Cloud) -> None:
    same = {"probe": [picture("eve"), picture("ada")], "gallery": [picture(FakeFace("ada", 1)), picture("ben")]}
    assert cloud.ok("POST", "/compare", same)["score"] > 0.7
    assert cloud.ok("POST", "/compare", {"probe": [picture("eve")], "gallery": [picture("ada")]})["score"] < 0.7


def test_compare_live_face_gives_a_spoof_no_score(cloud: Cloud) -> None:
    request: dict[str, Any] = {"probe": picture(FakeFace("ada", live=0.4)), "gallery": [picture("ada")]}
    assert cloud.ok("POST", "/compare-live-face", request) == {"score": 0.0, "liveness_score": "0.4000"}
    answer = cloud.ok("POST", "/compare-live-face", {**request, "liveness_min_score": "0.3"})
    assert (answer["liveness_score"], answer["score"]) == ("0.4000", pytest.approx(1.0))


def test_liveness_and_head_count(cloud: Cloud) -> None:
    assert cloud.ok("POST", "/liveness", {"image": picture("ada"), "os": "IOS"}) == {
        "liveness_score": pytest.approx(0.9)
    }
    assert cloud.ok("POST", "/head-count", {"image": picture("ada", "ben")}) == {"count": 2}
    assert cloud.ok("POST", "/head-count", {"image": picture("ada"), "confidence": "96"}) == {"count": 0}


def test_a_collection_may_demand_liveness(cloud: Cloud, world: World) -> None:
    new = NewCollection("gate", policy=CollectionPolicy(liveness=True))
    gate = asyncio.run(world.matcher.create_collection("0" * 32, new))
    place = str(uuid.UUID(gate.id))
    cloud.person("ada", id="ada")
    here = {"collections": [place]}
    spoof = {"images": [picture(FakeFace("ada", live=0.1))]}
    not_live = (400, "ERR_INVALID_FACE_FOR_LIVENESS")
    assert cloud.failed("POST", "/collection/person", {"collection_id": place, "person_id": "ada"}) == not_live
    assert cloud.failed("PATCH", "/person", {"id": "ada", **here, **spoof}) == not_live
    assert cloud.failed("POST", "/search", {**spoof, "collection_id": place}) == not_live
    assert cloud.failed("POST", "/search", spoof) == not_live
    assert cloud.failed("POST", "/search/crops", {"images": [asyncio.run(crop("ada"))]}) == not_live
    assert cloud.ok("PATCH", "/person", {"id": "ada", **here, "images": [picture("ada")]})["collections"]
    assert matches(cloud.ok("POST", "/search", {"images": [picture("ada")]})) == ["ada"]


# -- all of it


def test_every_operation_of_the_specification_exists(world: World) -> None:
    if not operations():
        pytest.skip(f"{SPECIFICATION} is not there: it comes with the project's shared material")
    document = world.client.get("/openapi.json").json()["paths"]
    served = {(m.upper(), p.removeprefix("/opencv-fr")) for p in document if "/opencv-fr/" in p for m in document[p]}
    assert served == operations()


def test_a_slash_too_many_is_forgiven(world: World) -> None:
    cloud = Cloud(world, prefix="/opencv-fr/")
    assert cloud.call("GET", "/collections").json()["count"] == 1
    cloud.person("ada", id="ada")
    assert cloud.call("GET", "/person/nobody").json()["code"] == "ERR_ENTITY_NOT_FOUND"
    assert cloud.failed("POST", "/search", {}) == (422, "body.images")


def test_tenants_do_not_meet(cloud: Cloud, world: World) -> None:
    place = cloud.collection()
    cloud.person("ada", id="ada")
    stranger = Cloud(world, world.stranger)
    assert stranger.ok("GET", "/persons")["count"] == 0
    assert stranger.ok("POST", "/search", {"images": [picture("ada")]}) == []
    assert stranger.failed("GET", f"/collection/{place}") == (404, "ERR_ENTITY_NOT_FOUND")
    assert stranger.failed("GET", "/person/ada") == (404, "ERR_ENTITY_NOT_FOUND")


def test_fake_pictures_are_pictures() -> None:
    assert base64.b64decode(picture("ada")) == fake_picture("ada")
