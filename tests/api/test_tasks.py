"""``/v1/tasks``."""

from __future__ import annotations

import json
from itertools import combinations

from tests.api.conftest import World, b64, code
from tests.fakes.stages import FakeFace, fake_picture

START = "/v1/collections/staff/duplicates"


def crowd(world: World) -> None:
    world.enrol("ada", "ada", name="Ada").raise_for_status()
    world.enrol("countess", FakeFace("ada", take=1), FakeFace("ada", take=2)).raise_for_status()
    world.enrol("lovelace", FakeFace("ada", take=3)).raise_for_status()
    world.enrol("bob", "bob").raise_for_status()


def test_duplicates_are_found_in_the_background(world: World) -> None:
    crowd(world)
    started = world.call("POST", START, world.enroll)
    assert (started.status_code, started.json()["state"]) == (202, "waiting")
    world.work()
    task = world.call("GET", f"/v1/tasks/{started.json()['id']}", world.enroll).json()
    assert (task["kind"], task["state"], task["error"]) == ("duplicates", "done", "")
    assert task["result"] == {"pairs": 3}
    assert task["arguments"]["collection"] == "staff"
    path = f"/v1/tasks/{task['id']}/duplicates"
    first = world.call("GET", path, params={"limit": 2}).json()
    rest = world.call("GET", path, params={"limit": 2, "cursor": first["cursor"]}).json()
    assert rest["cursor"] is None
    pairs = [*first["pairs"], *rest["pairs"]]
    names = {frozenset(pair[side]["person"]["id"] for side in ("first", "second")) for pair in pairs}
    assert names == {frozenset(pair) for pair in combinations(("ada", "countess", "lovelace"), 2)}
    assert [pair["score"] for pair in pairs] == sorted((pair["score"] for pair in pairs), reverse=True)
    assert world.call("GET", "/v1/tasks").json()["tasks"] == [task]


def test_a_threshold_may_be_named(world: World) -> None:
    crowd(world)
    task = world.call("POST", START, json={"min_score": 1}).json()
    world.work()
    ended = world.call("GET", f"/v1/tasks/{task['id']}").json()
    assert (ended["arguments"]["min_score"], ended["state"], ended["result"]) == (1.0, "done", {"pairs": 0})
    assert world.call("POST", START, json={"fpir": 0.5}).json()["arguments"]["min_score"] < 0.7
    for body in ({"min_score": 2}, {"fpir": 0}, {"min_score": 0.5, "fpir": 0.5}, {"limit": 1}):
        assert code(world.call("POST", START, json=body)) == (400, "invalid_request")
    assert code(world.call("POST", "/v1/collections/nowhere/duplicates")) == (404, "collection_not_found")


def test_who_was_told_apart_is_listed_no_more_unless_asked_for(world: World) -> None:
    crowd(world)
    path = f"/v1/tasks/{world.call('POST', START).json()['id']}/duplicates"
    world.work()
    apart = "/v1/collections/staff/persons/ada/distinct"

    def listed(**params: bool) -> dict[frozenset[str], bool]:
        pairs = world.call("GET", path, params=params).json()["pairs"]
        return {
            frozenset(pair[side]["person"]["id"] for side in ("first", "second")): pair["distinct"] for pair in pairs
        }

    told = world.call("POST", apart, world.enroll, json={"person_id": "countess"})
    assert told.json() == {"persons": ["ada", "countess"], "distinct": True}
    pair = frozenset(("ada", "countess"))
    assert (len(listed()), pair in listed()) == (2, False)
    assert {each for each, distinct in listed(with_distinct=True).items() if distinct} == {pair}
    assert world.call("POST", apart, json={"person_id": "countess", "distinct": False}).json()["distinct"] is False
    assert len(listed()) == 3
    for body, expected in (
        ({"person_id": "ada"}, (400, "invalid_request")),
        ({}, (400, "invalid_request")),
        ({"person_id": "nobody"}, (404, "person_not_found")),
    ):
        assert code(world.call("POST", apart, json=body)) == expected
    assert code(world.call("POST", apart, world.stranger, json={"person_id": "bob"}))[0] == 404


def test_a_task_is_cancelled(world: World) -> None:
    waiting = world.call("POST", START).json()
    line = json.dumps({"person": "ada", "image_base64": b64(fake_picture("ada"))})
    headers = {**world.enroll, "Content-Type": "application/x-ndjson"}
    running = world.call("POST", "/v1/collections/staff/bulk", headers, content=line).json()
    world.gallery.bulk_work("a" * 32, 1)
    for task, state in ((waiting, "waiting"), (running, "running")):
        path = f"/v1/tasks/{task['id']}"
        assert world.call("GET", path).json()["state"] == state
        assert world.call("DELETE", path).json()["state"] == "cancelled"
        world.work()
        assert world.call("GET", path).json()["state"] == "cancelled"


def test_tasks_of_others_do_not_exist(world: World) -> None:
    task = world.call("POST", START).json()
    paths = [("GET", ""), ("DELETE", ""), ("GET", "/duplicates")]
    for method, rest in paths:
        assert code(world.call(method, f"/v1/tasks/{task['id']}{rest}", world.stranger)) == (404, "task_not_found")
        assert code(world.call(method, f"/v1/tasks/{'0' * 32}{rest}")) == (404, "task_not_found")
        assert code(world.call(method, f"/v1/tasks/none{rest}")) == (400, "invalid_request")
