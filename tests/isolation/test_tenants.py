"""No operation of any dialect lets a tenant see, find, infer, change or delete what belongs to another one.

The operations are those of the OpenAPI document: a new one is tried without being listed here, from the example of its
body with the ids of the other tenant put in. The same request must succeed for the owner; where the example alone does
not do, :data:`REQUESTS` says what does.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import httpx2 as httpx
import pytest

from serve_app.api.app import create_app
from serve_app.api.dialects import ALL
from serve_app.domain import DetectOptions
from tests.fakes.stages import FakeDetector, fake_picture
from tests.isolation.world import FACES, SECRET, Side, World, application, as_uuid, picture, plain

DOCUMENT = create_app(lambda: None, ALL).openapi()
OPERATIONS = {
    f"{method} {path}": (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
OPEN = {"get /healthz", "get /readyz"}

FIELDS: dict[str, Any] = {
    **dict.fromkeys(("name", "collection", "collection_name"), "staff"),
    "collections": ["staff", "visitors"],
    **dict.fromkeys(("collectionId", "target_index_ids"), "{staff}"),
    **dict.fromkeys(("collection_id", "comma_separated_ids"), "{staff:uuid}"),
    **dict.fromkeys(("person_id", "personId"), "ada"),
    "person_ids": ["ada"],
    **dict.fromkeys(("face_id", "faceId", "file_id", "thumbnail_id"), "{face of ada}"),
    **dict.fromkeys(("face_token", "face_token1", "face_tokens"), "{token}"),
    "outer_id": "set",
    "task_id": "{task}",
    "unknown_id": "{una}",
    "others": ["{uma}"],
    "key_id": "{key}",
    "action_type": "FACE_SEARCH",
    "page": "1",
}
"""What exists, by the names that parameters and fields have for it; what is in braces is the owner's id."""

REQUESTS: dict[str, dict[str, Any]] = {
    "post /v1/collections": {"name": "new"},
    "patch /v1/collections/{name}": {"title": "Changed"},
    "post /v1/collections/{name}/persons/{person_id}/merge": {"person_id": "ben"},
    "post /v1/collections/{name}/persons/{person_id}/distinct": {"person_id": "ben"},
    "post /v1/keys": {"name": "new", "role": "search"},
    "post /v1/compare": {"image1_base64": "PICTURE", "image2_base64": "PICTURE"},
    "post /collection": {"name": "new"},
    "post /facepp/v3/faceset/create": {"outer_id": "new", "face_tokens": "{token}"},
    "post /facepp/v3/faceset/addface": {"outer_id": "set", "face_tokens": "{token}"},
    "post /facepp/v3/search": {"outer_id": "set", "face_token": "{token}"},
    "post /facepp/v3/compare": {"face_token1": "{token}", "face_token2": "{face of ada}"},
    "post /facepp/v3/face/analyze": {"face_tokens": "{token}", "return_landmark": 1},
    "post /opencv-fr/collection": {"name": "new"},
    "patch /opencv-fr/collection": {"id": "{staff:uuid}", "name": "changed"},
    "post /opencv-fr/collection/person": {"collection_id": "{visitors:uuid}", "person_id": "ada"},
    "patch /opencv-fr/collection/persons": {
        "collection_id": "{staff:uuid}",
        "new_person_ids": [],
        "removed_person_ids": ["ben"],
    },
    "patch /opencv-fr/person": {"id": "ada", "name": "Changed"},
    "patch /opencv-fr/person/images": {"id": "ada", "removed_thumbnail_ids": ["{face of ada}"]},
    "patch /opencv-fr/persons": {"action": "DELETE", "person_ids": ["ada"]},
    "post /opencv-fr/verify": {"id": "ada", "images": ["PICTURE"]},
    "post /opencv-fr/person": {"id": "new", "images": ["PICTURE"], "collections": ["{staff:uuid}"]},
    "post /opencv-fr/person/crops": {"id": "new", "images": ["CROP"], "collections": ["{staff:uuid}"]},
    "post /opencv-fr/search/crops": {"images": ["CROP"], "collection_id": "{staff:uuid}"},
}

PARAMETERS: dict[str, dict[str, Any]] = {
    "get /v1/tasks/{task_id}/duplicates": {"task_id": "{scan}"},
    "get /v1/tasks/{task_id}/report": {"task_id": "{upload}"},
}
"""Values of parameters where :data:`FIELDS` has another kind's."""

PICTURE_FIELD = re.compile(
    r"(?i)^(source_|target_|ref_|multi_)?(image|face)s?\d?(_?base_?64|_img_base_64)?$|^faceImage$|^probe$|^gallery$|^new_images$"
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Both tenants, as they are before any test."""
    with application() as client:
        yield World(client)


@pytest.fixture
def fresh(world: World) -> Iterator[World]:
    """Both tenants, whatever other tests did."""
    world.renew()
    yield world
    world.close()


def crop(who: str) -> str:
    detection = asyncio.run(FakeDetector().detect(fake_picture(who), DetectOptions()))
    return base64.b64encode(cv2.imencode(".png", detection.faces[0].crop)[1].tobytes()).decode()


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """With pictures of the owner's person, and ids."""
    if isinstance(value, Mapping):
        return {name: filled(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    if value == "PICTURE":
        return picture(FACES["owner"][0])
    if value == "CROP":
        return crop(FACES["owner"][0])
    if isinstance(value, str) and (found := re.fullmatch(r"\{(.+?)(:uuid)?\}", value)):
        return as_uuid(ids[found[1]]) if found[2] else ids[found[1]]
    return value


def body_of(name: str, example: Any) -> Any:
    """The documented example, about what exists."""
    if name in REQUESTS:
        return REQUESTS[name]
    return about(copy.deepcopy(example))


def about(value: Any) -> Any:
    if isinstance(value, list):
        return [about(item) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for field, item in value.items():
        if field == "image_url":
            result["image_base64"] = "PICTURE"
        elif PICTURE_FIELD.match(field):
            result[field] = ["PICTURE"] if isinstance(item, list) else "PICTURE"
        else:
            result[field] = FIELDS[field] if field in FIELDS else about(item)
    return result


def send(world: World, name: str, caller: Side, ids: Mapping[str, str]) -> httpx.Response:
    """The operation by this caller, about these ids."""
    method, path, operation = OPERATIONS[name]
    path = path.replace("{task_id}/duplicates", f"{ids['duplicates']}/duplicates")
    options: dict[str, Any] = {"headers": {"X-API-Key": caller.secret}, "params": {}}
    for parameter in operation.get("parameters", ()):
        value = filled({**FIELDS, **PARAMETERS.get(name, {})}.get(parameter["name"]), ids)
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(value))
        elif parameter["in"] == "query" and parameter["name"] in FIELDS:
            options["params"][parameter["name"]] = value
        elif parameter.get("required"):
            options["params"][parameter["name"]] = "1"
    media = operation.get("requestBody", {}).get("content", {})
    if "application/x-ndjson" in media:
        line = {"person": "ada", "image_base64": picture(FACES["owner"][0])}
        options["headers"]["Content-Type"] = "application/x-ndjson"
        options["content"] = json.dumps(line)
    elif media:
        kind = "application/json" if "application/json" in media else "application/x-www-form-urlencoded"
        example = (media.get(kind) or media["multipart/form-data"])["example"]
        body = filled(body_of(name, example), ids)
        if kind == "application/json":
            options["json"] = body
        elif kind in media:
            options["data"] = {**body, "api_key": caller.key_id, "api_secret": caller.secret}
        else:
            files = {field: value for field, value in body.items() if PICTURE_FIELD.match(field)}
            options["files"] = {field: ("a.jpg", base64.b64decode(value)) for field, value in files.items()}
            options["data"] = {field: value for field, value in body.items() if field not in files}
    if operation.get("security") == [{"NinthSenseBasic": []}]:
        options["auth"] = (caller.key_id, caller.secret)
        del options["headers"]
    return world.client.request(method, path, **options)


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - OPEN))
def test_tenants_are_apart(fresh: World, name: str) -> None:
    owner, stranger = fresh.owner, fresh.stranger
    before, secret_ids = fresh.belongings(stranger.tenant), fresh.ids_of(owner.tenant)

    trespass = send(fresh, name, stranger, owner.ids)
    assert trespass.status_code < 500
    assert fresh.belongings(stranger.tenant) == before, "the owner's data changed"
    told = trespass.content.decode("latin-1")
    assert SECRET not in told
    sent = {*owner.ids.values(), *map(as_uuid, owner.ids.values())}
    assert not [id_ for id_ in {*secret_ids, *map(as_uuid, secret_ids)} - sent if id_ in told]

    # A request for another tenant's object is answered like a request for one that never existed.
    fresh.close()
    fresh.renew()
    nothing = send(fresh, name, stranger, {key: uuid.uuid4().hex for key in owner.ids})
    assert (trespass.status_code, plain(trespass.text)) == (nothing.status_code, plain(nothing.text))

    fresh.close()
    fresh.renew()
    control = send(fresh, name, owner, owner.ids)
    assert control.status_code < 300, f"the request is not a real one: {control.status_code} {control.text[:300]}"


def test_the_table_has_no_dead_entries() -> None:
    assert {*REQUESTS, *PARAMETERS} <= OPERATIONS.keys()
