"""Unknown faces over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.domain import DEFAULT_TENANT
from tests.api.conftest import World, as_file, code
from tests.fakes.stages import FakeFace, fake_picture

UNKNOWNS = "/v1/collections/staff/unknowns"


@pytest.fixture
def keeping(world: World) -> World:
    """The collection staff keeps unknown faces, the collection guests does not."""
    world.call("PATCH", "/v1/collections/staff", json={"policy": {"keep_unknown_h": 72}}).raise_for_status()
    world.call("POST", "/v1/collections", json={"name": "guests"}).raise_for_status()
    world.enrol("ada", "ada").raise_for_status()
    return world


def search(world: World, *faces: FakeFace | str, **fields: str) -> list[dict[str, Any]]:
    data = {"collections": "staff", "faces": "all", "keep_unknown": "staff", **fields}
    answer = world.call("POST", "/v1/search", world.search, files=as_file(fake_picture(*faces)), data=data)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["faces"]
    return found


def test_a_search_keeps_whom_it_does_not_find(keeping: World) -> None:
    ada, eve = search(keeping, FakeFace("ada", take=1, size=200), "eve")
    assert (len(ada["matches"]), ada["unknown"]) == (1, None)
    assert (eve["matches"], eve["unknown"]["is_new"]) == ([], True)
    (again,) = search(keeping, FakeFace("eve", take=1))
    assert again["unknown"] == {"id": eve["unknown"]["id"], "is_new": False}
    (listed,) = keeping.call("GET", UNKNOWNS, keeping.enroll).json()["unknowns"]
    assert (listed["id"], listed["collection"], listed["sightings"]) == (eve["unknown"]["id"], "staff", 2)
    assert len(listed["faces"]) == 2
    assert listed == keeping.call("GET", f"{UNKNOWNS}/{listed['id']}").json()
    ids = [face["id"] for face in listed["faces"]]
    assert None not in keeping.gallery.face_images(DEFAULT_TENANT, ids, "thumbnail")
    assert keeping.gallery.face_images(DEFAULT_TENANT, ids, "photograph") == (None, None)


def test_only_when_it_is_told_to(keeping: World) -> None:
    for fields in ({}, {"collections": "guests"}):
        data = {"collections": "staff", **fields}
        keeping.call("POST", "/v1/search", files=as_file(fake_picture("eve")), data=data).raise_for_status()
    assert keeping.call("GET", UNKNOWNS).json() == {"unknowns": [], "cursor": None}


@pytest.mark.parametrize(
    ("fields", "status", "name"),
    [
        ({"collections": "staff,guests", "keep_unknown": "guests"}, 403, "unknowns_not_kept"),
        ({"keep_unknown": "guests"}, 400, "invalid_request"),
        ({"keep_unknown": "staff", "trace": "false"}, 400, "invalid_request"),
        ({"collections": "nowhere", "keep_unknown": "nowhere"}, 404, "collection_not_found"),
    ],
)
def test_the_policy_decides(keeping: World, fields: dict[str, str], status: int, name: str) -> None:
    data = {"collections": "staff", **fields}
    for headers in (keeping.search, keeping.admin):
        answer = keeping.call("POST", "/v1/search", headers, files=as_file(fake_picture("eve")), data=data)
        assert code(answer) == (status, name)


def test_what_is_not_good_enough_is_not_kept(keeping: World) -> None:
    cropped, spoof = FakeFace("eve", codes=("FACE_CROPPED",)), FakeFace("mallory", live=0.1)
    assert [face["unknown"] for face in search(keeping, cropped, spoof, liveness="true")] == [None, None]
    keeping.call("PATCH", "/v1/collections/staff", json={"policy": {"reject_below": 0.9}}).raise_for_status()
    assert search(keeping, "eve")[0]["unknown"] is None


def test_the_storage_policy_holds(keeping: World) -> None:
    for storage, image_kept in (("none", False), ("full", True)):
        policy = {"image_storage": storage}
        keeping.call("PATCH", "/v1/collections/staff", json={"policy": policy}).raise_for_status()
        unknown = search(keeping, f"with {storage}")[0]["unknown"]["id"]
        (face,) = keeping.call("GET", f"{UNKNOWNS}/{unknown}").json()["faces"]
        assert face["image_storage"] == ("thumbnail" if image_kept else "none")
        (thumbnail,) = keeping.gallery.face_images(DEFAULT_TENANT, [face["id"]], "thumbnail")
        (photograph,) = keeping.gallery.face_images(DEFAULT_TENANT, [face["id"]], "photograph")
        assert (thumbnail is not None, photograph) == (image_kept, None)


def test_an_unknown_is_named(keeping: World) -> None:
    (eve,) = search(keeping, "eve")
    path = f"{UNKNOWNS}/{eve['unknown']['id']}"
    assert code(keeping.call("POST", f"{path}/name", json={"name": "Eve"})) == (400, "invalid_request")
    taken = {"person_id": "ada", "must_be_new": True}
    assert code(keeping.call("POST", f"{path}/name", json=taken)) == (409, "person_exists")
    named = keeping.call("POST", f"{path}/name", json={"person_id": "eve", "name": "Eve", "metadata": {"a": "b"}})
    assert named.status_code == 201
    assert (named.json()["id"], named.json()["name"], len(named.json()["added_faces"])) == ("eve", "Eve", 1)
    (found,) = search(keeping, FakeFace("eve", take=2))
    assert found["matches"][0]["person"]["id"] == "eve"
    assert code(keeping.call("GET", path)) == (404, "unknown_not_found")
    (bob,) = search(keeping, "bob")
    joined = keeping.call("POST", f"{UNKNOWNS}/{bob['unknown']['id']}/name", json={"person_id": "eve"})
    assert (joined.status_code, len(joined.json()["faces"])) == (200, 2)


def test_unknowns_are_merged_and_discarded(keeping: World) -> None:
    one, two, three = (search(keeping, who)[0]["unknown"]["id"] for who in ("one", "two", "three"))
    merged = keeping.call("POST", f"{UNKNOWNS}/{one}/merge", json={"others": [two]})
    assert (merged.status_code, merged.json()["sightings"], len(merged.json()["faces"])) == (200, 2, 2)
    for others, status in (([], 400), ([one], 400), (["x"], 400), ([two], 404)):
        assert keeping.call("POST", f"{UNKNOWNS}/{one}/merge", json={"others": others}).status_code == status
    assert keeping.call("DELETE", f"{UNKNOWNS}/{one}").json()["faces"] == 2
    assert code(keeping.call("DELETE", f"{UNKNOWNS}/{one}")) == (404, "unknown_not_found")
    first = keeping.call("GET", UNKNOWNS, params={"limit": 1}).json()
    assert [each["id"] for each in first["unknowns"]] == [three]
    everything = keeping.call("DELETE", UNKNOWNS).json()
    assert (everything["deleted"], everything["erased"], everything["faces"]) == (True, True, 1)


def test_unknowns_of_others_do_not_exist(keeping: World) -> None:
    unknown = search(keeping, "eve")[0]["unknown"]["id"]
    for method, rest in (("GET", ""), ("DELETE", ""), ("POST", "/name"), ("POST", "/merge")):
        body = {"/name": {"person_id": "a"}, "/merge": {"others": ["0" * 32]}}.get(rest)
        answer = keeping.call(method, f"{UNKNOWNS}/{unknown}{rest}", keeping.stranger, json=body)
        assert code(answer) == (404, "collection_not_found")


def test_an_enrolled_face_is_not_kept_again(keeping: World) -> None:
    body = {"face_id": "0" * 32, "collections": ["staff"], "keep_unknown": "staff"}
    assert code(keeping.call("POST", "/v1/search", json=body)) == (400, "invalid_request")
