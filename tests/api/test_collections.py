"""``/v1/collections``."""

from __future__ import annotations

import pytest

from serve_app.domain.names import NAME_RULE
from tests.api.conftest import World, code


def test_create_with_everything(world: World) -> None:
    body = {
        "name": "visitors-2.a_b",
        "title": "Visitors",
        "description": "Everybody else",
        "kind": "EXTERNAL",
        "tags": ["berlin", "night"],
        "user_data": '{"x": 1}',
        "policy": {
            "liveness": True,
            "liveness_threshold": 0.8,
            "min_score": 0.75,
            "image_storage": "full",
            "retention_days": None,
            "reject_below": 0.4,
            "keep_unknown_h": 48,
        },
    }
    created = world.call("POST", "/v1/collections", json=body)
    assert created.status_code == 201, created.text
    view = created.json()
    assert {name: view[name] for name in body} == body
    assert (view["person_count"], view["face_count"]) == (0, 0)
    assert world.call("GET", "/v1/collections/visitors-2.a_b", world.search).json() == view


def test_the_policy_defaults_to_the_settings() -> None:
    world = World(liveness={"threshold": 0.6}, matcher={"default_image_storage": "none"})
    policy = world.call("POST", "/v1/collections", json={"name": "a"}).json()["policy"]
    assert policy == {
        "liveness": False,
        "liveness_threshold": 0.6,
        "min_score": None,
        "image_storage": "none",
        "retention_days": None,
        "reject_below": 0,
        "keep_unknown_h": 0,
    }
    world.leave()


def test_names_are_unique_within_a_tenant(world: World) -> None:
    assert code(world.call("POST", "/v1/collections", json={"name": "staff"})) == (409, "collection_exists")
    assert world.call("POST", "/v1/collections", world.stranger, json={"name": "staff"}).status_code == 201


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "name: is required"),
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a/b"}, NAME_RULE),
        ({"name": "ä"}, "got 'ä'"),
        ({"name": "."}, "name"),
        ({"name": " a"}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "a", "kind": "MINE"}, "kind"),
        ({"name": "a", "tags": ["x"] * 51}, "tags"),
        ({"name": "a", "tags": ["x" * 101]}, "tags"),
        ({"name": "a", "policy": {"min_score": 2}}, "policy.min_score"),
        ({"name": "a", "policy": {"reject_below": -0.1}}, "policy.reject_below"),
        ({"name": "a", "policy": {"keep_unknown_h": 1.5}}, "policy.keep_unknown_h"),
        ({"name": "a", "policy": {"keep_unknown_h": -1}}, "policy.keep_unknown_h"),
        ({"name": "a", "policy": {"livenes": True}}, "policy.livenes: is not a known field"),
        ({"name": "a", "user_data": "x" * 16385}, "user_data"),
    ],
)
def test_bad_collections(world: World, body: dict[str, object], word: str) -> None:
    answer = world.call("POST", "/v1/collections", json=body)
    assert code(answer) == (400, "invalid_request")
    assert word in answer.json()["error"]["message"]


def test_changing_some_fields_leaves_the_others(world: World) -> None:
    path = "/v1/collections/staff"
    changed = world.call("PATCH", path, json={"title": "T", "tags": ["x"], "policy": {"min_score": 0.8}}).json()
    assert (changed["title"], changed["tags"], changed["policy"]["min_score"]) == ("T", ["x"], 0.8)
    changed = world.call("PATCH", path, json={"policy": {"liveness": True}}).json()
    assert changed["title"] == "T"
    assert changed["policy"] == {**changed["policy"], "liveness": True, "min_score": 0.8}
    assert world.call("PATCH", path, json={"policy": {"min_score": None}}).json()["policy"]["min_score"] is None
    assert world.call("PATCH", path, json={}).json()["title"] == "T"


def test_null_clears_what_can_be_empty_and_is_refused_elsewhere(world: World) -> None:
    path = "/v1/collections/staff"
    texts = {"title": "T", "description": "D", "user_data": "U"}
    world.call("PATCH", path, json={**texts, "tags": ["x"]}).raise_for_status()
    cleared = world.call("PATCH", path, json=dict.fromkeys([*texts, "tags"])).json()
    assert [cleared[name] for name in (*texts, "tags")] == ["", "", "", []]
    policy = ("liveness", "liveness_threshold", "image_storage", "keep_unknown_h", "reject_below")
    for field in ("name", "kind", "policy", *policy):
        body = {"policy": {field: None}} if field in policy else {field: None}
        answer = world.call("PATCH", path, json=body)
        assert code(answer) == (400, "invalid_request"), field
        assert "null was not expected" in answer.json()["error"]["message"]


def test_a_list_stays_the_list_that_was_sent(world: World) -> None:
    tags = ["Berlin, Mitte", " x "]
    assert world.call("PATCH", "/v1/collections/staff", json={"tags": tags}).json()["tags"] == tags


def test_renaming(world: World) -> None:
    world.enrol("ada", "ada")
    world.call("POST", "/v1/collections", json={"name": "other"})
    assert code(world.call("PATCH", "/v1/collections/staff", json={"name": "other"})) == (409, "collection_exists")
    assert world.call("PATCH", "/v1/collections/staff", json={"name": "crew"}).json()["person_count"] == 1
    assert code(world.call("GET", "/v1/collections/staff")) == (404, "collection_not_found")
    assert world.call("GET", "/v1/collections/crew/persons/ada").json()["collections"] == ["crew"]


def test_listing(world: World) -> None:
    for name in ("b", "c", "a"):
        world.call("POST", "/v1/collections", json={"name": name, "title": f"Title {name.upper()}"})
    first = world.call("GET", "/v1/collections", world.search, params={"limit": 3}).json()
    assert [item["name"] for item in first["collections"]] == ["a", "b", "c"]
    rest = world.call("GET", "/v1/collections", params={"limit": 3, "cursor": first["cursor"]}).json()
    assert ([item["name"] for item in rest["collections"]], rest["cursor"]) == (["staff"], None)
    found = world.call("GET", "/v1/collections", params={"q": "title b"}).json()
    assert [item["name"] for item in found["collections"]] == ["b"]
    assert world.call("GET", "/v1/collections", world.stranger).json() == {"collections": [], "cursor": None}


def test_deleting(world: World) -> None:
    world.enrol("ada", "ada")
    path = "/v1/collections/staff"
    assert code(world.call("DELETE", path, params={"only_if_empty": "true"})) == (409, "collection_not_empty")
    assert code(world.call("DELETE", path, params={"only_if_empty": "perhaps"})) == (400, "invalid_request")
    assert world.call("DELETE", path).json() == {
        "deleted": True,
        "erased": True,
        "persons": 1,
        "faces": 1,
        "receipt": None,
    }
    assert code(world.call("DELETE", path)) == (404, "collection_not_found")


@pytest.mark.parametrize("name", ["Gäste", "a%20b", "a,b", "x" * 100])
def test_a_name_that_no_collection_can_have_is_not_found(world: World, name: str) -> None:
    assert code(world.call("GET", f"/v1/collections/{name}")) == (404, "collection_not_found")
    assert code(world.call("PUT", f"/v1/collections/{name}/persons/ada")) == (404, "collection_not_found")
