"""Face++ v3: FaceSets and tasks over fake models."""

from __future__ import annotations

import pytest

from serve_app.api.dialects.facepp.routes import facesets
from serve_app.domain import Role
from tests.api.conftest import World
from tests.api.dialects.facepp import Client, failure
from tests.api.dialects.samples import shape
from tests.service_parts import OTHER_TENANT

RECORDED_ADD = {
    "faceset_token": "fce6",
    "time_used": 386,
    "face_count": 2,
    "face_added": 1,
    "request_id": "1701265448,83cc",
    "outer_id": "test1",
    "failure_detail": [],
}
RECORDED_DETAIL = {
    "tags": "",
    "user_data": "",
    "display_name": "",
    "face_tokens": ["a06d"],
    "face_count": 1,
    "faceset_token": "fce6",
    "outer_id": "test1",
    "request_id": "1701265448,83cc",
    "time_used": 3,
}
RECORDED_LIST = {
    "facesets": [{"faceset_token": "fce6", "outer_id": "test1", "display_name": "", "tags": ""}],
    "request_id": "1701265448,83cc",
    "time_used": 3,
}
UNKNOWN = "0" * 32


@pytest.fixture
def api(world: World) -> Client:
    return Client(world)


def test_create_answers_with_what_it_added(api: Client) -> None:
    token = api.token("ada")
    response = api.post("faceset/create", outer_id="gate", face_tokens=f"{token},{UNKNOWN}", user_data="x")
    body = response.json()
    assert shape({**body, "failure_detail": []}) == shape(RECORDED_ADD)
    assert (body["face_added"], body["face_count"], body["outer_id"]) == (1, 1, "gate")
    assert body["failure_detail"] == [{"face_token": UNKNOWN, "reason": "INVALID_FACE_TOKEN"}]


@pytest.mark.parametrize("outer_id", ["gate", "Gäste im Büro", "x" * 255, ".", "..", "东京"])
def test_an_outer_id_need_not_be_a_collections_name(api: Client, outer_id: str) -> None:
    made = api.ok("faceset/create", outer_id=outer_id)
    assert made["outer_id"] == outer_id
    detail = api.ok("faceset/getdetail", outer_id=outer_id)
    assert (detail["outer_id"], detail["faceset_token"]) == (outer_id, made["faceset_token"])
    assert failure(api.post("faceset/create", outer_id=outer_id)) == (400, "FACESET_EXIST")
    assert api.ok("faceset/delete", faceset_token=made["faceset_token"])["outer_id"] == outer_id
    assert failure(api.post("faceset/getdetail", outer_id=outer_id)) == (400, "INVALID_OUTER_ID")


def test_a_faceset_without_an_outer_id(api: Client) -> None:
    made = api.ok("faceset/create", display_name="Nameless")
    assert made["outer_id"] == ""
    other = api.ok("faceset/create")
    assert other["faceset_token"] != made["faceset_token"]
    detail = api.ok("faceset/getdetail", faceset_token=made["faceset_token"])
    assert (detail["outer_id"], detail["display_name"]) == ("", "Nameless")


def test_a_merge_adds_to_what_is_there(api: Client) -> None:
    api.faceset("gate", "ada")
    merged = api.ok("faceset/create", outer_id="gate", force_merge="1", face_tokens=api.token("bob"))
    assert (merged["face_added"], merged["face_count"]) == (1, 2)


def test_adding_and_removing(api: Client) -> None:
    made = api.ok("faceset/create", outer_id="gate")
    ada, bob, cy = (api.token(who) for who in ("ada", "bob", "cy"))
    response = api.post("faceset/addface", outer_id="gate", face_tokens=f"{ada},{bob},{cy}")
    assert shape(response.json()) == shape(RECORDED_ADD)
    again = api.ok("faceset/addface", faceset_token=made["faceset_token"], face_tokens=ada)
    assert (again["face_added"], again["face_count"], again["failure_detail"]) == (0, 3, [])
    removed = api.ok("faceset/removeface", outer_id="gate", face_tokens=f"{ada},{UNKNOWN}")
    assert (removed["face_removed"], removed["face_count"]) == (1, 2)
    assert removed["failure_detail"] == [{"face_token": UNKNOWN, "reason": "INVALID_FACE_TOKEN"}]
    assert api.ok("faceset/removeface", outer_id="gate", face_token=bob)["face_removed"] == 1
    rest = api.ok("faceset/removeface", outer_id="gate", face_tokens="RemoveAllFaceTokens")
    assert (rest["face_removed"], rest["face_count"]) == (1, 0)


def test_a_faceset_takes_so_many(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facesets, "MAX_FACES", 1)
    api.ok("faceset/create", outer_id="gate")
    ada, bob = api.token("ada"), api.token("bob")
    found = api.ok("faceset/addface", outer_id="gate", face_tokens=f"{ada},{bob}")
    assert found["face_added"] == 1
    assert found["failure_detail"] == [{"face_token": bob, "reason": "QUOTA_EXCEEDED"}]


def test_the_detail_comes_in_pages(api: Client) -> None:
    tokens = api.faceset("gate", *(f"p{number}" for number in range(5)))
    for number in range(5, 105):
        api.ok("faceset/addface", outer_id="gate", face_tokens=api.token(f"p{number}"))
    first = api.ok("faceset/getdetail", outer_id="gate")
    assert (len(first["face_tokens"]), first["next"], first["face_count"]) == (100, "101", 105)
    assert first["face_tokens"][:5] == tokens
    rest = api.ok("faceset/getdetail", outer_id="gate", start=first["next"])
    assert len(rest["face_tokens"]) == 5
    assert "next" not in rest
    assert len({*first["face_tokens"], *rest["face_tokens"]}) == 105
    assert api.ok("faceset/getdetail", outer_id="gate", start="500")["face_tokens"] == []


def test_the_detail_answers_as_recorded(api: Client) -> None:
    api.faceset("test1", "ada")
    assert shape(api.post("faceset/getdetail", outer_id="test1").json()) == shape(RECORDED_DETAIL)


def test_the_list_of_facesets(world: World) -> None:
    api = Client(world, tenant=OTHER_TENANT)
    assert api.ok("faceset/getfacesets") == {"facesets": []}
    for number in range(101):
        api.ok("faceset/create", outer_id=f"f{number:03}", tags="odd,all" if number % 2 else "all")
    response = api.post("faceset/getfacesets")
    body = response.json()
    assert (len(body["facesets"]), body["next"]) == (100, "101")
    assert shape({**body, "next": None, "facesets": body["facesets"][:1]}) == shape({**RECORDED_LIST, "next": None})
    rest = api.ok("faceset/getfacesets", start=body["next"])
    assert [item["outer_id"] for item in rest["facesets"]] == ["f100"]
    assert "next" not in rest
    odd = api.ok("faceset/getfacesets", tags="odd")["facesets"]
    assert len(odd) == 50
    assert {item["tags"] for item in odd} == {"odd,all"}


def test_changing_a_faceset(api: Client) -> None:
    made = api.ok("faceset/create", outer_id="gate", display_name="Gate", tags="a", user_data="kept")
    named = api.ok("faceset/update", outer_id="gate", new_outer_id="Büro 1", display_name="", tags="b,c")
    assert named == {"faceset_token": made["faceset_token"], "outer_id": "Büro 1"}
    detail = api.ok("faceset/getdetail", outer_id="Büro 1")
    assert (detail["display_name"], detail["tags"], detail["user_data"]) == ("", "b,c", "kept")
    assert api.ok("faceset/update", outer_id="Büro 1", new_outer_id="gate2")["outer_id"] == "gate2"
    api.ok("faceset/create", outer_id="other")
    taken = api.post("faceset/update", outer_id="gate2", new_outer_id="other")
    assert failure(taken) == (400, "NEW_OUTER_ID_EXIST")


def test_deleting_a_faceset(api: Client) -> None:
    (ada,) = api.faceset("gate", "ada")
    assert failure(api.post("faceset/delete", outer_id="gate")) == (400, "FACESET_NOT_EMPTY")
    assert api.ok("faceset/delete", outer_id="gate", check_empty="0")["outer_id"] == "gate"
    assert api.ok("face/getdetail", face_token=ada)["facesets"] == []


def test_tasks(api: Client) -> None:
    api.ok("faceset/create", outer_id="gate")
    ada = api.token("ada")
    task = api.ok("faceset/async/addface", outer_id="gate", face_tokens=f"{ada},{UNKNOWN}")
    status = api.ok("faceset/async/task_status", **task)
    assert (status["status"], status["face_added"], status["face_count"]) == (1, 1, 1)
    assert status["failure_detail"] == [{"face_token": UNKNOWN, "reason": "INVALID_FACE_TOKEN"}]
    assert status["task_id"] == task["task_id"]
    task = api.ok("faceset/async/removeface", outer_id="gate", face_tokens="RemoveAllFaceTokens")
    assert api.ok("faceset/async/task_status", **task)["face_removed"] == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [({"faceset_token": UNKNOWN}, "INVALID_FACESET_TOKEN"), ({"outer_id": "nobody"}, "INVALID_FACESET_OUTER_ID")],
)
def test_tasks_that_fail(api: Client, name: dict[str, str], reason: str) -> None:
    task = api.ok("faceset/async/addface", face_tokens=UNKNOWN, **name)
    status = api.ok("faceset/async/task_status", **task)
    assert status == {"task_id": task["task_id"], "status": -1, "task_failure_detail": reason}


def test_tenants_do_not_see_one_another(world: World, api: Client) -> None:
    (ada,) = api.faceset("gate", "ada")
    task = api.ok("faceset/async/addface", outer_id="gate", face_tokens=ada)
    made = api.ok("faceset/getdetail", outer_id="gate")
    other = Client(world, Role.ADMIN, tenant=OTHER_TENANT)
    assert failure(other.post("face/getdetail", face_token=ada)) == (400, f"INVALID_FACE_TOKEN: {ada}")
    assert failure(other.post("faceset/getdetail", outer_id="gate")) == (400, "INVALID_OUTER_ID")
    token = made["faceset_token"]
    assert failure(other.post("faceset/getdetail", faceset_token=token)) == (400, "INVALID_FACESET_TOKEN")
    assert failure(other.post("faceset/async/task_status", **task)) == (400, "INVALID_TASK_ID")
    assert other.ok("faceset/create", outer_id="gate", face_tokens=ada)["face_added"] == 0
