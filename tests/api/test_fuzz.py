"""Generated requests to every documented operation: what comes back must be what the OpenAPI document promises.

schemathesis makes the requests, from the document that the application serves. Random values alone would seldom get
past the lookup of a collection or the decoding of a picture, so most requests get names, ids and pictures that exist.

The suite repeats the same few requests each time. ``make fuzz`` makes others, and more of them:
FACEGRAPH_FUZZ_EXAMPLES says how many for each operation.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import re
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import anyio
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi import checks

from scripts.long_runs import LongRun
from serve_app.api.api_context import ApiContext
from serve_app.api.app import create_app
from serve_app.api.dialects import chosen
from serve_app.api.image_url import ImageFetcher
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.errors import ImageDownloadFailed, ImageDownloadTimeout, ImageUrlRefused
from tests.api.conftest import World, b64
from tests.fakes.stages import FakeFace, fake_picture
from tests.gallery.copies import StoredState
from tests.service_parts import OTHER_TENANT

VARIABLE = "FACEGRAPH_FUZZ_EXAMPLES"
EXAMPLES = int(os.environ.get(VARIABLE, "12"))
REPEATABLE = VARIABLE not in os.environ
RUN = LongRun("generated requests to the documented operations", recorded=not REPEATABLE)

pytestmark = [pytest.mark.slow, *([] if REPEATABLE else [pytest.mark.timeout(0)])]

# -- the application


class Current:
    """The context that the application answers from; every request gets a new one."""

    context: ApiContext | None = None


APP = create_app(lambda: Current.context, chosen(("all",)))
CLIENT = TestClient(APP)

PICTURES = (
    *3 * [fake_picture("ada")],
    fake_picture("ben", "ada"),
    fake_picture("eve"),
    fake_picture(),
    fake_picture(FakeFace("ada", live=0.1)),
    fake_picture(FakeFace("ada", size=20, codes=("FACE_TOO_SMALL",))),
    fake_picture("ada", padding=30_000),
    b"no picture",
)
URLS = (
    *3 * ["https://example.org/ada.jpg"],
    "https://example.org/slow",
    "https://example.org/gone",
    "http://127.0.0.1/",
)


class SmallInternet(ImageFetcher):
    """Answers without a network."""

    async def fetch(self, url: str) -> bytes:
        """A picture, or one of the real one's errors."""
        if url == URLS[0]:
            return PICTURES[0]
        if url == URLS[3]:
            raise ImageDownloadTimeout("The picture did not arrive within 5 s.", timeout_s=5)
        if url == URLS[4]:
            raise ImageDownloadFailed("The server answered 404.")
        raise ImageUrlRefused("The host of the URL is not on the public Internet.")


class Original(NamedTuple):
    """What every request finds.

    Attributes:
        callers: ids and secrets of keys: mostly the admin's, each other role's, another tenant's, and wrong ones.
        known: what exists, by the names that request fields and parameters have for it.
    """

    state: StoredState
    callers: Sequence[tuple[str, str]]
    known: Mapping[str, Sequence[Any]]

    @property
    def admin(self) -> tuple[str, str]:
        """The admin's key."""
        return self.callers[0]


@cache
def original() -> Original:
    """Made when the first request is generated, since most runs of the suite only collect these tests."""
    world = World(CLIENT)
    Current.context = world.context
    for name in ("staff", "visitors", "empty"):
        world.call("POST", "/v1/collections", json={"name": name}).raise_for_status()
    world.enrol("ada", "ada", name="Ada Lovelace", metadata='{"badge": "7"}', image_storage="full").raise_for_status()
    world.enrol("ben", "ben", collection="visitors", image_storage="none").raise_for_status()
    callers = _callers(world)
    known = _known(world, callers[0])
    return Original(world.leave(), callers, known)


@contextmanager
def renewed() -> Iterator[None]:
    """A world in the state of the original one, so that no request depends on those before it."""
    world = World(CLIENT, original().state)
    world.context.by_url = SmallInternet(world.context.settings.image_urls, 20_000)
    Current.context = world.context
    # The stage's tasks belong to the event loop of its first call: to one that ends here, since schemathesis never ends
    # its own ones.
    anyio.run(world.matcher.ready)
    yield
    world.leave()


# -- the requests

SCHEMA = schemathesis.openapi.from_asgi(
    "/openapi.json",
    APP,
    config=schemathesis.Config.from_dict(
        {
            "generation": {"with-security-parameters": False, "database": "none"},
            "phases": {
                "coverage": {"unexpected-methods": []},  # no dialect documents the 405 of methods it does not have
                "fuzzing": {"generation": {"mode": "positive" if REPEATABLE else "all"}},
            },
        }
    ),
)


@schemathesis.serializer("application/x-ndjson")
def _lines(context: Any, value: Any) -> bytes:
    """The object that stands for a line, as two of them for persons of different ids."""
    if not isinstance(value, dict):
        return json.dumps(value).encode()
    return b"".join(json.dumps({**value, **other}).encode() + b"\n" for other in ({}, {"person": "someone else"}))


@schemathesis.serializer("application/zip")
def _zip(context: Any, value: Any) -> bytes:
    """The value as a picture beside a real one; an even number of bytes as they are."""
    content = getattr(value, "data", None) or str(value).encode()
    if len(content) % 2 == 0:
        return content
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("ada/1.jpg", PICTURES[0])
        archive.writestr("ben/1.jpg", content)
    return made.getvalue()


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _callers(world: World) -> list[tuple[str, str]]:
    named = {}
    for role in Role:
        key, secret = world.keys.create(DEFAULT_TENANT, str(role), role)
        named[role] = (key.id, secret)
    key, secret = world.keys.create(OTHER_TENANT, "stranger", Role.ADMIN)
    return [*(6 * [named[Role.ADMIN]]), named[Role.ENROLL], named[Role.SEARCH], (key.id, secret), ("a", "b"), ("", "")]


def _known(world: World, admin: tuple[str, str]) -> dict[str, list[Any]]:
    def facepp(path: str, **form: str) -> Any:
        keys = {"api_key": admin[0], "api_secret": admin[1]}
        response = world.call("POST", f"/facepp/v3/{path}", data={**keys, **form})
        response.raise_for_status()
        return response.json()

    collections = world.call("GET", "/v1/collections").json()["collections"]
    persons = world.call("GET", "/v1/collections/staff/persons").json()["persons"]
    faces = [face["id"] for person in persons for face in person["faces"]]
    names = ["staff", "staff", "visitors", "empty"]
    ids = [item["id"] for name in names for item in collections if item["name"] == name]
    tokens = [facepp("detect", image_base64=b64(fake_picture(who)))["faces"][0]["face_token"] for who in ("kim", "lee")]
    faceset = facepp("faceset/create", outer_id="set", face_tokens=tokens[0])
    task = facepp("faceset/async/addface", outer_id="set", face_tokens=tokens[0])["task_id"]
    nothing = "0" * 32
    uuids = [str(uuid.UUID(id_)) for id_ in [*ids, nothing]]  # what the OpenCV cloud calls them
    found = {
        ("name", "collection", "collection_name"): names,
        ("collections",): [*names, *ids],
        ("collectionId", "target_index_ids"): [*ids, nothing],
        ("collection_id",): [*uuids, *ids],
        ("comma_separated_ids",): [uuids[0], ",".join(uuids[:2]), nothing],
        ("id",): ["ada", uuids[0]],
        ("person_ids", "new_person_ids", "removed_person_ids"): ["ada", "ben", "eve"],
        ("thumbnail_id", "removed_thumbnail_ids"): faces,
        ("person_id", "personId"): ["ada", "ada", "ben", "eve"],
        ("face_id", "faceId", "file_id"): [*faces, nothing],
        ("requestName", "userName", "person_name"): ["Ada Lovelace"],
        ("page",): [1, 2],
        ("face_token", "face_token1", "face_token2"): [*tokens, *faces, nothing],
        ("face_tokens",): [tokens[0], ",".join(tokens), faces[0], nothing],
        ("faceset_token",): [faceset["faceset_token"], faceset["faceset_token"], nothing],
        ("outer_id",): ["set", "set", "other"],
        ("task_id",): [task, nothing],
        ("return_landmark", "check_empty"): [1, 0],
        ("return_attributes",): ["gender,age", "none"],
        ("key_id",): [admin[0], nothing],
        ("api_key",): [admin[0]],
        ("api_secret",): [admin[1]],
    }
    return {name: values for several, values in found.items() for name in several}


MOSTLY = st.sampled_from((True, True, True, True, False))
PICTURE_FIELD = re.compile(r"(?i)image(?!_(storage|id|quality))|face_base_64|img_base_64|^probe$|^gallery$")
SAME_PICTURE = {"face_id": "image", "face_token": "image", "face_token1": "image1", "face_token2": "image2"}
EITHER = ("faceset_token", "outer_id")


def _slot(name: str) -> str | None:
    """The picture that a field is one of the ways to send; None: the field is about something else."""
    if PICTURE_FIELD.search(name):
        return re.sub(r"_?(url|file|base_?64)|_(?=\d)", "", name)
    return None


def _operation(case: schemathesis.Case) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMA.raw_schema["paths"][case.path][case.method.lower()]
    return found


def _schema(case: schemathesis.Case) -> dict[str, Any]:
    """That of the request's body, by the document."""
    schema = _operation(case)["requestBody"]["content"].get(case.media_type, {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = SCHEMA.raw_schema["components"]["schemas"].get(name, schema)
    return found


def _picture_for(draw: Callable[[Any], Any], name: str, schema: dict[str, Any]) -> Any:
    if "url" in name:
        sent: Any = draw(st.sampled_from(URLS))
    else:
        content = draw(st.sampled_from(PICTURES))
        sent = content if "binary" in str(schema) else b64(content)
    return [sent] if schema.get("type") == "array" else sent


def _put_pictures(draw: Callable[[Any], Any], body: dict[str, Any], properties: dict[str, Any]) -> None:
    slots: dict[str, list[str]] = {}
    for name in properties:
        if slot := _slot(name):
            slots.setdefault(slot, []).append(name)
    if {"image", "image1"} <= set(slots):
        del slots["image"]  # one field for both pictures, instead of two
        body.pop("image", None)
    for slot, names in slots.items():
        enrolled = [name for name, same in SAME_PICTURE.items() if same == slot and name in properties]
        for name in (*names, *enrolled):
            body.pop(name, None)
        way = draw(st.sampled_from([*names, *enrolled]))
        known = original().known
        body[way] = _picture_for(draw, way, properties[way]) if way in names else draw(st.sampled_from(known[way]))


def _put_known(draw: Callable[[Any], Any], sent: Any, wanted: Sequence[str] = ()) -> None:
    """Replace most of the names and ids, wherever they are."""
    if isinstance(sent, list):
        for item in sent:
            _put_known(draw, item)
    elif isinstance(sent, dict):
        for name in sorted({*map(str, sent), *wanted} & original().known.keys()):
            if draw(MOSTLY):
                value = draw(st.sampled_from(original().known[name]))
                sent[name] = [value] if isinstance(sent.get(name), list) else value
        for name, value in sent.items():
            if name == "face_base_64":
                sent[name] = b64(draw(st.sampled_from(PICTURES)))
            elif isinstance(value, dict | list):
                _put_known(draw, value)


@st.composite
def realistic(draw: Callable[[Any], Any], cases: st.SearchStrategy[schemathesis.Case]) -> schemathesis.Case:
    """The case with a caller and, mostly, with things that exist."""
    case = draw(cases)
    _authenticate(case, draw(st.sampled_from(original().callers)))
    parameters = _operation(case).get("parameters", ())
    for place, values in (("path", case.path_parameters), ("query", case.query)):
        _put_known(draw, values, [parameter["name"] for parameter in parameters if parameter["in"] == place])
    if isinstance(case.body, dict) and draw(MOSTLY):
        schema, body = _schema(case), copy.deepcopy(case.body)
        properties = schema.get("properties", {})
        if draw(st.booleans()):
            body = {name: value for name, value in body.items() if name in schema.get("required", ())}
        _put_known(draw, body, [name for name in properties if name not in SAME_PICTURE])
        _put_pictures(draw, body, properties)
        if body.keys() >= set(EITHER):
            del body[draw(st.sampled_from(EITHER))]
        case.body = body
    return case


def _authenticate(case: schemathesis.Case, caller: tuple[str, str]) -> None:
    user, secret = caller
    for name, kind in _schemes(case).items():
        if secret:
            case.headers[name] = secret if kind["type"] == "apiKey" else _basic(user, secret)


def _schemes(case: schemathesis.Case) -> dict[str, dict[str, Any]]:
    """The ways in which the operation's caller may authenticate, by header; what is in the body is a field there."""
    known = SCHEMA.raw_schema["components"]["securitySchemes"]
    wanted = [known[name] for scheme in _operation(case).get("security", ()) for name in scheme]
    found = {scheme["name"]: scheme for scheme in wanted if scheme.get("in") == "header"}
    if basic := next((scheme for scheme in wanted if scheme.get("scheme") == "basic"), None):
        found["Authorization"] = basic
    return found


@SCHEMA.hook
def before_generate_case(
    context: schemathesis.HookContext, strategy: st.SearchStrategy[schemathesis.Case]
) -> st.SearchStrategy[schemathesis.Case]:
    """Makes the generated cases realistic."""
    return realistic(strategy)


# -- the answers


def no_server_error(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """No 5xx but 501 and 503, and those only where the document says so."""
    documented = _operation(case)["responses"]
    allowed = {"501", "503"} & documented.keys()
    if response.status_code >= 500 and str(response.status_code) not in allowed:
        raise Failure(operation=case.operation.label, message=f"{response.status_code}: {response.text}")


def no_answer_without_a_key(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Where the document demands a key in a header, no request succeeds without one."""
    headers = _schemes(case)
    if headers and response.status_code < 300 and not any(name in case.headers for name in headers):
        raise Failure(operation=case.operation.label, message=f"{response.status_code} without {' or '.join(headers)}")


CHECKS = [
    no_server_error,
    no_answer_without_a_key,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=REPEATABLE,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_documented(case: schemathesis.Case) -> None:
    """Any request gets one of its operation's documented answers."""
    if case.meta is None or case.meta.phase.name.value != "fuzzing":
        _authenticate(case, original().admin)
    with renewed():
        case.call_and_validate(checks=CHECKS)
    RUN.add(requests=1, failures=0)  # one would have ended it
