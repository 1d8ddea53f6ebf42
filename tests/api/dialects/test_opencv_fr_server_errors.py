"""The OpenCV FR Server's dialect: every row of its error table, and its documentation."""

from __future__ import annotations

import pytest

from serve_app.domain import Role
from serve_app.errors import ConfigurationError, Overloaded, StoreUnavailable, Unavailable
from tests.api.conftest import World, b64, header
from tests.api.dialects.fr_server import ADA, NOBODY, TEXTS, is_row, put, search, search_many
from tests.fakes.stages import FakeFace, fake_picture

EVERYTHING = [
    ("POST", "/face-search"),
    ("POST", "/multi-face-search"),
    ("POST", "/compare"),
    ("POST", "/collection"),
    ("DELETE", "/collection"),
    ("GET", "/collections"),
    ("PUT", "/person"),
    ("GET", "/person/ada?collection_name=staff"),
    ("DELETE", "/person"),
    ("PUT", "/persons"),
    ("GET", "/persons?collection_name=staff"),
]
WITH_BODY = [(method, path) for method, path in EVERYTHING if method != "GET"]


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_keys(world: World, method: str, path: str) -> None:
    missing = world.call(method, path, {})
    is_row(missing, "ERR_API_KEY_NOT_PRESENT")
    assert missing.headers["www-authenticate"]
    unknown = world.call(method, path, {"x-api-key": "nonsense"})
    is_row(unknown, "ERR_API_KEY_NOT_VALID")
    assert "www-authenticate" not in unknown.headers


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("POST", "/collection", "enroll"),
        ("DELETE", "/collection", "enroll"),
        ("PUT", "/person", "search"),
        ("PUT", "/persons", "search"),
        ("DELETE", "/person", "search"),
        ("GET", "/person/ada?collection_name=staff", "search"),
        ("GET", "/persons?collection_name=staff", "search"),
    ],
)
def test_roles(world: World, method: str, path: str, role: str) -> None:
    needed = "admin" if path == "/collection" else "enroll"
    reason = f"This request needs the role {needed}, the API key has {role}."
    is_row(world.call(method, path, getattr(world, role)), "ERR_API_KEY_NOT_VALID", {"reason": reason})


def test_a_keys_rate_limit(world: World) -> None:
    limited = header(world.keys, Role.SEARCH, rate_limit=0.001)
    assert world.call("GET", "/collections", limited).status_code == 200
    refused = world.call("GET", "/collections", limited)
    assert (refused.status_code, refused.json()["code"]) == (429, "ERR_RATE_LIMIT_EXCEEDED")
    assert set(refused.json()) == {"code", "message"}
    assert int(refused.headers["retry-after"]) >= 1


def test_what_belongs_to_others_does_not_exist(world: World) -> None:
    put(world, "ada")
    for answer in (
        search(world, ADA, world.stranger),
        world.call("GET", "/person/ada", world.stranger, params={"collection_name": "staff"}),
        world.call("DELETE", "/collection", world.stranger, json={"name": "staff"}),
    ):
        is_row(answer, "ERR_NOT_FOUND")
    assert world.call("GET", "/collections", world.stranger).json() == {"collections": [], "cursor": None}


def test_collections_that_are_not_there(world: World) -> None:
    for name in ("nowhere", "not a name", "x" * 100):
        is_row(search(world, ADA, collection_name=name), "ERR_NOT_FOUND")
        is_row(
            world.call("POST", "/multi-face-search", json={"collection_name": name, "multi_face_img_base_64": ADA}),
            "ERR_NOT_FOUND",
        )
        is_row(put(world, "ada", collection_name=name), "ERR_NOT_FOUND")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 65, ".", "..", 7, None, ["staff"]])
def test_names_that_no_collection_can_have(world: World, name: object) -> None:
    is_row(world.call("POST", "/collection", json={"name": name}), "ERR_INVALID_COLLECTION_NAME")


def test_a_name_that_is_taken(world: World) -> None:
    is_row(world.call("POST", "/collection", json={"name": "staff"}), "ERR_ALREADY_EXISTS")


@pytest.mark.parametrize(
    "text",
    [
        "###",
        "",
        "=",
        None,
        7,
        b64(b"GIF89a"),
        b64(fake_picture("ada")[:40]),
        "data:image/png,abc",
        "data:,",
    ],
)
def test_pictures_that_are_none(world: World, text: object) -> None:
    is_row(search(world, text), "ERR_BASE64_IMAGE_CANNOT_BE_DECODED")  # type: ignore[arg-type]
    is_row(search_many(world, text), "ERR_BASE64_IMAGE_CANNOT_BE_DECODED")  # type: ignore[arg-type]
    is_row(put(world, "ada", face_base_64=text), "ERR_BASE64_IMAGE_CANNOT_BE_DECODED")


def test_pictures_without_a_face(world: World) -> None:
    is_row(search(world, NOBODY), "ERR_FACE_NOT_DETECTED")
    is_row(search_many(world, NOBODY), "ERR_FACE_NOT_DETECTED")
    is_row(put(world, "ada", face_base_64=NOBODY), "ERR_FACE_NOT_DETECTED")


def test_two_faces_to_enrol(world: World) -> None:
    is_row(put(world, "ada", "ada", "bob"), "ERR_LIVENESS_ERROR", {"code": "TOO_MANY_FACES"})
    assert put(world, "ada", FakeFace("ada"), FakeFace("passer-by", size=40)).status_code == 200


def test_too_much(world: World) -> None:
    large = b64(fake_picture("ada", padding=30_000))
    for answer in (search(world, large), search(world, "A" * 250_000)):
        assert (answer.status_code, answer.json()["code"]) == (413, "ERR_REQUEST_TOO_LARGE")
        assert set(answer.json()) == {"code", "message"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_results": 0}, "max_results"),
        ({"max_results": "many"}, "max_results"),
        ({"min_similarity_score": 1.5}, "min_similarity_score"),
        ({"min_similarity_score": -0.1}, "min_similarity_score"),
        ({"check_liveness": "perhaps"}, "check_liveness"),
        ({"collection_name": None}, "collection_name"),
        ({"collection_name": ""}, "collection_name"),
        ({"max_results": 0, "face_base_64": ""}, "max_results"),
    ],
)
def test_fields_that_are_wrong(world: World, fields: dict[str, object], named: str) -> None:
    answer = search(world, **{"face": ADA, **fields})  # type: ignore[arg-type]
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "ERR_INVALID_REQUEST")
    assert named in body["message"]
    assert named in body["metadata"]
    assert all(isinstance(text, str) for text in body["metadata"].values())


def test_more_results_than_are_given(world: World) -> None:
    answer = search(world, ADA, max_results=51)
    assert (answer.status_code, answer.json()["code"]) == (400, "ERR_INVALID_REQUEST")
    assert "at most 50" in answer.json()["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"face_storage_type": "Everything"},
        {"face_storage_type": None},
        {"person_id": ""},
        {"person_id": "x" * 101},
        {"person_id": "a\nb"},
        {"person_name": None},
        {"person_name": "x" * 201},
        {"metadata": {"a": 1}},
        {"metadata": ["a"]},
        {"duplicate_check_min_similarity": 2},
    ],
)
def test_persons_that_are_wrong(world: World, fields: dict[str, object]) -> None:
    answer = put(world, "ada", **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "ERR_INVALID_REQUEST")


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_bodies_that_are_no_json(world: World, method: str, path: str) -> None:
    kind = {**world.admin, "content-type": "application/json"}
    for content in (b"{", b"[]", b"7", b"\xff", b'"text"'):
        answer = world.call(method, path, kind, content=content)
        assert (answer.status_code, answer.json()["code"]) == (400, "ERR_INVALID_REQUEST"), content
    answer = world.call(method, path, {**world.admin, "content-type": "text/plain"}, content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (415, "ERR_INVALID_REQUEST")


def test_other_methods(world: World) -> None:
    answer = world.call("GET", "/face-search")
    assert (answer.status_code, answer.json()["code"]) == (405, "ERR_METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "OPTIONS, POST"


def test_outages(world: World) -> None:
    world.faults.failure = StoreUnavailable("The database does not answer.")
    is_row(search(world, ADA), "ERR_DATABASE_ERROR")
    is_row(world.call("GET", "/collections"), "ERR_DATABASE_ERROR")
    world.faults.failure = None
    for failure, status, code in (
        (Overloaded("full", retry_after_s=2), 429, "ERR_RATE_LIMIT_EXCEEDED"),
        (Unavailable("The detector is restarting; try again."), 503, "ERR_SERVICE_UNAVAILABLE"),
        (ConfigurationError("/a/secret/path"), 500, "ERR_INTERNAL_ERROR"),
        (RuntimeError("secret"), 500, "ERR_INTERNAL_ERROR"),
    ):
        world.detector.failure = failure
        answer = search(world, ADA)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert set(answer.json()) == {"code", "message"}
        assert "secret" not in answer.text
        assert answer.headers.get("retry-after") == ("2" if status == 429 else None)


# -- documentation


def test_the_openapi_document(world: World) -> None:
    document = world.client.get("/openapi.json").json()
    for method, path in EVERYTHING:
        name = "/person/{person_id}" if path.startswith("/person/") else path.partition("?")[0]
        operation = document["paths"][name][method.lower()]
        assert operation["tags"] == ["OpenCV FR Server"]
        assert operation["summary"]
        assert operation["security"] == [{"ApiKey": []}]
        assert {"200", "400", "401", "403", "429", "500", "503"} <= set(operation["responses"])
        for status, answer in operation["responses"].items():
            content = answer["content"]["application/json"]
            if status != "200":
                assert content["schema"] == {"$ref": "#/components/schemas/FrServerError"}
                for code, example in content["examples"].items():
                    assert example["value"]["code"] == code
                    if code in TEXTS:
                        assert (int(status), example["value"]["message"]) == TEXTS[code]
        if method != "GET":
            body = operation["requestBody"]["content"]["application/json"]
            assert body["example"]
            assert body["schema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]
    schema = document["components"]["schemas"]["FrServerSearchBody"]
    assert sorted(schema["required"]) == ["collection_name", "face_base_64"]
    assert schema["properties"]["min_similarity_score"]["default"] == 0.7
    assert schema["properties"]["max_results"]["default"] == 1
