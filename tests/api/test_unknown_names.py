"""The native API refuses names that it does not know, on every path, with the nearest known one."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from serve_app.api.app import create_app
from tests.api.conftest import World, as_file, b64, code
from tests.fakes.stages import fake_picture

DOCUMENT = create_app(lambda: None).openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if path.startswith("/v1/")
}
READ_JSON = [
    name for name, each in OPERATIONS.items() if "application/json" in each.get("requestBody", {}).get("content", {})
]
PICTURE = fake_picture("ada")


def call(world: World, operation: str, query: str = "", **options: Any) -> Any:
    method, path = operation.split(" ")
    return world.call(method, re.sub(r"\{\w*id\}", "0" * 32, path).replace("{name}", "staff") + query, **options)


def test_there_are_operations() -> None:
    assert len(OPERATIONS) > 30


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unknown_query_parameter_is_refused(world: World, operation: str) -> None:
    answer = call(world, operation, "?qqqq=1")
    assert code(answer) == (400, "invalid_request")
    expected = {"field": "qqqq", "message": "is not a known query parameter"}
    assert answer.json()["error"]["details"]["errors"] == [expected]
    assert code(call(world, operation, "?qqqq=1", headers={})) == (401, "api_key_missing")
    known = [each["name"] for each in OPERATIONS[operation].get("parameters", []) if each["in"] == "query"]
    for name in known:
        message = call(world, operation, f"?{name}x=1").json()["error"]["message"]
        assert message == f"{name}x: is not a known query parameter; did you mean {name!r}?"
        message = call(world, operation, f"?{name}=1&{name}=1").json()["error"]["message"]
        assert f"{name}: was sent more than once" in message


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if "requestBody" not in OPERATIONS[name]])
def test_a_body_that_is_not_read_is_refused(world: World, operation: str) -> None:
    refused = call(world, operation, json={"only_if_empty": True})
    assert code(refused) == (400, "invalid_request")
    assert "reads no body" in refused.json()["error"]["message"]
    assert "reads no body" not in call(world, operation, content=b"{}").text


@pytest.mark.parametrize("operation", READ_JSON)
def test_an_unknown_member_is_refused_with_the_nearest_one(world: World, operation: str) -> None:
    content = OPERATIONS[operation]["requestBody"]["content"]
    fields = DOCUMENT["components"]["schemas"][content["application/json"]["schema"]["$ref"].split("/")[-1]]
    name = next(iter(fields["properties"]))
    answer = call(world, operation, json={**content["application/json"]["example"], f"{name}x": 1})
    assert code(answer) == (400, "invalid_request")
    assert f"{name}x: is not a known field; did you mean {name!r}?" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("PATCH", "/v1/collections/staff", {"policy": {"min_scor": 1}}, "policy.min_scor: .*'min_score'"),
        ("PUT", "/v1/collections/staff/persons/a", {"consent": {"basis": "b", "givn": 1}}, "consent.givn: .*'given'"),
        ("POST", "/v1/search", {"colection": "staff"}, "colection: .*'collection'"),
        ("POST", "/v1/search", {"collections": "staff", "Faces": "all"}, "Faces: .*'faces'"),
    ],
)
def test_the_nearest_name_is_looked_for_where_the_name_is(
    world: World, method: str, path: str, body: dict[str, Any], words: str
) -> None:
    answer = world.call(method, path, json=body)
    assert code(answer) == (400, "invalid_request")
    assert re.search(words, answer.json()["error"]["message"])


def test_unknown_parts_of_a_form_are_refused(world: World) -> None:
    answer = world.call("POST", "/v1/detect", files=as_file(PICTURE), data={"livenes": "true"})
    assert code(answer) == (400, "invalid_request")
    assert "livenes: is not a known field; did you mean 'liveness'?" in answer.json()["error"]["message"]
    answer = world.call("POST", "/v1/detect", files={"img": ("a.jpg", io.BytesIO(PICTURE))})
    assert "img: is not a known field; did you mean 'image'?" in answer.json()["error"]["message"]


def test_unknown_members_of_uploaded_lines_are_refused(world: World) -> None:
    line = f'{{"person": "ada", "nmae": "Ada", "image_base64": "{b64(PICTURE)}"}}'
    headers = {**world.admin, "content-type": "application/x-ndjson"}
    answer = world.call("POST", "/v1/collections/staff/bulk", headers, content=line.encode())
    assert code(answer) == (400, "invalid_request")
    assert "nmae: is not a known field; did you mean 'name'?" in answer.json()["error"]["message"]


def test_health_checks_ignore_their_query(world: World) -> None:
    assert world.call("GET", "/healthz?time=1").status_code == 200


@pytest.mark.parametrize("text", ['{"name": "Ada", "name": "Eve"}', '{"metadata": {"a": "1", "b": "2", "a": "3"}}'])
def test_the_message_gives_the_member_that_is_written_twice(world: World, text: str) -> None:
    kind = {"Content-Type": "application/json"}
    path = "/v1/collections/staff/persons/ada"
    answer = world.call("PUT", path, content=text.encode(), headers=world.admin | kind)
    assert code(answer) == (400, "invalid_request")
    assert "is written twice in one object" in answer.json()["error"]["message"]
    assert code(world.call("GET", path)) == (404, "person_not_found")


def test_json_in_a_form_with_a_member_twice(world: World) -> None:
    form = {"metadata": (None, '{"a": "1", "a": "2"}')}
    answer = world.call("PUT", "/v1/collections/staff/persons/ada", files=form)
    assert code(answer) == (400, "invalid_request")
    assert "metadata: 'a' is written twice" in answer.json()["error"]["message"]


def test_json_may_begin_with_the_mark_that_windows_writes(world: World) -> None:
    kind = {"Content-Type": "application/json"}
    text = b"\xef\xbb\xbf" + b'{"name": "Ada"}'
    answer = world.call("PUT", "/v1/collections/staff/persons/ada", content=text, headers=world.admin | kind)
    assert answer.json()["name"] == "Ada"
