"""The OpenCV FR Server's dialect, field by field against the vendor's published page."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import cv2
import httpx2 as httpx
import numpy as np
import pytest

from serve_app.api.dialects import ALL, chosen
from serve_app.domain import DEFAULT_TENANT, CollectionPolicy, QualityCode, Role
from serve_app.errors import ConfigurationError, Overloaded, StoreUnavailable, Unavailable
from serve_app.stages.fakes import FakeFace, fake_picture
from tests.api.conftest import World, b64, header

TEXTS = {
    "ERR_FACE_NOT_DETECTED": (400, "A face could not be detected in the image(s)."),
    "ERR_INVALID_COLLECTION_NAME": (
        400,
        "Collection names can only contain alphanumeric characters, underscores, hyphens, and periods.",
    ),
    "ERR_API_KEY_NOT_PRESENT": (401, "The API key is missing from the request."),
    "ERR_API_KEY_NOT_VALID": (403, "The API key is not valid."),
    "ERR_NOT_FOUND": (404, "The requested entity could not be found."),
    "ERR_ALREADY_EXISTS": (409, "Another entity already exists with the same ID."),
    "ERR_LIVENESS_ERROR": (
        412,
        "A liveness error occurred. Please check the supplied image and the error metadata.",
    ),
    "ERR_BASE64_IMAGE_CANNOT_BE_DECODED": (
        422,
        "The posted Base64 image(s) could not be decoded as JPEG/PNG bytes.",
    ),
    "ERR_DATABASE_ERROR": (
        503,
        "An error occurred while connecting with the database, please retry your request later.",
    ),
}
"""The published rows, typed off the page, not imported."""

ADA = b64(fake_picture("ada"))
NOBODY = b64(fake_picture())


def picture(*faces: FakeFace | str) -> str:
    return b64(fake_picture(*faces))


def is_row(answer: httpx.Response, code: str, metadata: dict[str, str] | None = None) -> None:
    """The answer is this published row, and nothing else."""
    status, message = TEXTS[code]
    expected: dict[str, Any] = {"code": code, "message": message}
    if metadata is not None:
        expected["metadata"] = metadata
    assert (answer.status_code, answer.json()) == (status, expected)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


def put(world: World, who: str, *faces: FakeFace | str, **fields: Any) -> httpx.Response:
    body = {
        "person_id": who,
        "person_name": who.title(),
        "collection_name": "staff",
        "face_base_64": picture(*(faces or (who,))),
        "face_storage_type": "StoreThumbnails",
        **fields,
    }
    return world.call("PUT", "/person", json=body)


def search(world: World, face: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"collection_name": "staff", "face_base_64": face, **fields}
    return world.call("POST", "/face-search", headers, json=body)


def search_many(world: World, face: str, **fields: Any) -> httpx.Response:
    return world.call(
        "POST", "/multi-face-search", json={"collection_name": "staff", "multi_face_img_base_64": face, **fields}
    )


def is_thumbnail(text: str) -> bool:
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text, validate=True), np.uint8), cv2.IMREAD_COLOR)
    return pixels is not None and pixels.shape == (112, 112, 3)


# -- golden answers


def test_face_search_as_published(world: World) -> None:
    put(world, "ada", metadata={"additionalProp1": "string", "additionalProp2": "string"})
    answer = world.call(
        "POST",
        "/face-search",
        world.search,
        json={
            "check_liveness": False,
            "collection_name": "staff",
            "face_base_64": picture(FakeFace("ada", take=1)),
            "min_similarity_score": 0.7,
            "max_results": 1,
        },
    )
    assert answer.status_code == 200
    (found,) = answer.json()
    assert list(found) == ["face_base_64", "metadata", "person_id", "person_name", "similarity_score"]
    assert (found["person_id"], found["person_name"]) == ("ada", "Ada")
    assert found["metadata"] == {"additionalProp1": "string", "additionalProp2": "string"}
    assert 0.7 < found["similarity_score"] <= 1
    assert is_thumbnail(found["face_base_64"])
    assert answer.headers["cache-control"] == "no-store"


def test_multi_face_search_as_published(world: World) -> None:
    put(world, "ada")
    put(world, "bob")
    crowd = picture(FakeFace("eve", size=150), FakeFace("bob", take=1), FakeFace("ada"), FakeFace("mallory", size=40))
    answer = search_many(world, crowd, min_similarity_score=0.7)
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["person_search_results", "unrecognized_face_thumbnails_base_64"]
    assert [found["person_id"] for found in body["person_search_results"]] == ["ada", "bob"]
    scores = [found["similarity_score"] for found in body["person_search_results"]]
    assert scores == sorted(scores, reverse=True)
    for found in body["person_search_results"]:
        assert set(found) == {"face_base_64", "metadata", "person_id", "person_name", "similarity_score"}
    thumbnails = body["unrecognized_face_thumbnails_base_64"]
    assert len(thumbnails) == 2
    assert all(map(is_thumbnail, thumbnails))
    assert thumbnails[0] != thumbnails[1]


def test_collections_as_published(world: World) -> None:
    created = world.call("POST", "/collection", json={"name": "My-Collection_1.0"})
    assert (created.status_code, created.json()) == (200, {"name": "My-Collection_1.0", "num_persons": 0})
    put(world, "ada", collection_name="My-Collection_1.0")
    listed = world.call("GET", "/collections", world.search)
    assert listed.json() == {
        "collections": [{"name": "My-Collection_1.0", "num_persons": 1}, {"name": "staff", "num_persons": 0}],
        "cursor": None,
    }
    first = world.call("GET", "/collections", params={"limit": 1}).json()
    rest = world.call("GET", "/collections", params={"limit": 1, "cursor": first["cursor"]}).json()
    assert [page["collections"][0]["name"] for page in (first, rest)] == ["My-Collection_1.0", "staff"]
    deleted = world.call("DELETE", "/collection", json={"name": "My-Collection_1.0"})
    assert (deleted.status_code, deleted.json()) == (200, {"name": "My-Collection_1.0", "num_persons": 1})
    is_row(world.call("DELETE", "/collection", json={"name": "My-Collection_1.0"}), "ERR_NOT_FOUND")
    is_row(world.call("GET", "/person/ada", params={"collection_name": "staff"}), "ERR_NOT_FOUND")


def test_compare_as_published(world: World) -> None:
    def compare(**fields: Any) -> httpx.Response:
        return world.call("POST", "/compare", world.search, json={"face_base_64": ADA, **fields})

    assert compare(ref_face_base_64=picture(FakeFace("ada", take=1))).json() == {"is_match": True}
    assert compare(ref_face_base_64=picture("bob")).json() == {"is_match": False}
    assert compare(ref_face_base_64=picture("bob"), min_similarity_score=0).json() == {"is_match": True}
    assert compare(ref_face_base_64=picture(FakeFace("ada", take=1)), min_similarity_score=1).json() == {
        "is_match": False
    }
    is_row(compare(ref_face_base_64=NOBODY), "ERR_FACE_NOT_DETECTED")
    is_row(compare(ref_face_base_64="###"), "ERR_BASE64_IMAGE_CANNOT_BE_DECODED")
    is_row(compare(), "ERR_BASE64_IMAGE_CANNOT_BE_DECODED")


# -- searching


def test_nobody_is_an_empty_list(world: World) -> None:
    put(world, "ada")
    assert search(world, picture("eve")).json() == []


def test_optional_fields_have_the_published_defaults(world: World) -> None:
    for number in range(3):
        put(world, f"ada-{number}", FakeFace("ada", take=number))
    nulls = {"check_liveness": None, "min_similarity_score": None, "max_results": None}
    for fields in ({}, nulls, {"unknown_field": 1}):
        answer = search(world, ADA, **fields)
        assert [found["person_id"] for found in answer.json()] == ["ada-0"]
    ranked = search(world, ADA, max_results=10).json()
    assert ranked[0]["person_id"] == "ada-0"
    scores = [found["similarity_score"] for found in ranked]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert search(world, picture(FakeFace("ada", take=9)), min_similarity_score=0.99).json() == []


def test_the_largest_of_several_faces_is_searched(world: World) -> None:
    put(world, "ada")
    put(world, "bob")
    answer = search(world, picture(FakeFace("ada", size=90), FakeFace("bob", size=100)))
    assert [found["person_id"] for found in answer.json()] == ["bob"]


@pytest.mark.parametrize("as_url", [False, True])
def test_pictures_may_be_data_urls_and_broken_into_lines(world: World, as_url: bool) -> None:
    put(world, "ada")
    text = base64.encodebytes(base64.b64decode(ADA)).decode()
    assert search(world, f"data:image/jpeg;base64,{ADA}" if as_url else text).json()[0]["person_id"] == "ada"


def test_a_face_without_stored_pictures_is_found_without_one(world: World) -> None:
    put(world, "ada", face_storage_type="NoStorage")
    (found,) = search(world, ADA).json()
    assert (found["person_id"], found["face_base_64"]) == ("ada", "")


# -- liveness


def test_check_liveness_passes_a_live_face(world: World) -> None:
    put(world, "ada")
    assert search(world, ADA, check_liveness=True).json()[0]["person_id"] == "ada"
    body = {"check_liveness": True, "face_base_64": ADA, "ref_face_base_64": ADA}
    assert world.call("POST", "/compare", json=body).json() == {"is_match": True}
    assert put(world, "bob", check_liveness=True).status_code == 200


LIVENESS_FAILURES = [
    pytest.param([FakeFace("ada", live=0.1)], "FACE_NOT_LIVE", id="screen"),
    pytest.param([FakeFace("ada"), FakeFace("bob")], "TOO_MANY_FACES", id="two"),
    *(pytest.param([FakeFace("ada", codes=(word,))], str(word), id=str(word)) for word in QualityCode),
    pytest.param([FakeFace("ada", codes=("FACE_CROPPED", "FACE_TOO_CLOSE"))], "FACE_TOO_CLOSE", id="several"),
    pytest.param([FakeFace("ada", live=0.1, codes=("FACE_TOO_SMALL",))], "FACE_TOO_SMALL", id="small and a screen"),
]


@pytest.mark.parametrize(("faces", "word"), LIVENESS_FAILURES)
def test_every_liveness_code(world: World, faces: list[FakeFace], word: str) -> None:
    is_row(search(world, picture(*faces), check_liveness=True), "ERR_LIVENESS_ERROR", {"code": word})
    is_row(put(world, "ada", *faces, check_liveness=True), "ERR_LIVENESS_ERROR", {"code": word})
    body = {"check_liveness": True, "face_base_64": picture(*faces), "ref_face_base_64": ADA}
    is_row(world.call("POST", "/compare", json=body), "ERR_LIVENESS_ERROR", {"code": word})
    is_row(world.call("GET", "/person/ada", params={"collection_name": "staff"}), "ERR_NOT_FOUND")
    bulk = {
        "collection_name": "staff",
        "face_storage_type": "NoStorage",
        "check_liveness": True,
        "persons": [{"person_id": "ada", "person_name": "Ada", "face_base_64": picture(*faces)}],
    }
    (result,) = world.call("PUT", "/persons", json=bulk).json()
    assert result["code"] == "ERR_LIVENESS_ERROR"
    assert result["metadata"] == {"code": word, "person_id": "ada"}


@pytest.mark.parametrize("word", [str(word) for word in QualityCode])
def test_without_the_flag_nothing_of_it_is_checked(world: World, word: str) -> None:
    face = FakeFace("ada", live=0.1, codes=(word,))
    assert put(world, "ada", face).status_code == 200
    assert search(world, picture(face)).json()[0]["person_id"] == "ada"


def test_without_a_face_liveness_is_not_checked(world: World) -> None:
    world.liveness.installed = False
    is_row(search(world, NOBODY, check_liveness=True), "ERR_FACE_NOT_DETECTED")


def test_no_liveness_model_is_never_a_pass(world: World) -> None:
    put(world, "ada")
    world.liveness.installed = False
    is_row(search(world, ADA, check_liveness=True), "ERR_LIVENESS_ERROR", {"code": "UNKNOWN_ERROR"})
    is_row(put(world, "bob", check_liveness=True), "ERR_LIVENESS_ERROR", {"code": "UNKNOWN_ERROR"})


def test_a_collections_policy_is_followed_without_the_flag(world: World) -> None:
    put(world, "ada")
    changes = {"policy": CollectionPolicy(liveness=True)}
    asyncio.run(world.matcher.update_collection(DEFAULT_TENANT, "staff", changes))
    screen = FakeFace("ada", live=0.1)
    is_row(search(world, picture(screen)), "ERR_LIVENESS_ERROR", {"code": "FACE_NOT_LIVE"})
    is_row(put(world, "ada", screen), "ERR_LIVENESS_ERROR", {"code": "FACE_NOT_LIVE"})
    body = search_many(world, picture(screen)).json()
    assert body["person_search_results"] == []
    assert len(body["unrecognized_face_thumbnails_base_64"]) == 1


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


def bulk(world: World, persons: list[Any], **fields: Any) -> httpx.Response:
    body = {"collection_name": "staff", "face_storage_type": "StoreThumbnails", "persons": persons, **fields}
    return world.call("PUT", "/persons", world.enroll, json=body)


def item(person_id: str, *faces: FakeFace | str, **fields: Any) -> dict[str, Any]:
    shown = picture(*(faces or (person_id,)))
    return {"person_id": person_id, "person_name": person_id.title(), "face_base_64": shown, **fields}


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


# -- every error row

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
    reason = f"This needs the role {needed}, the API key has {role}."
    is_row(world.call(method, path, getattr(world, role)), "ERR_API_KEY_NOT_VALID", {"reason": reason})


def test_a_keys_rate_limit(world: World) -> None:
    limited = header(world.keys, Role.SEARCH, rate_limit=0.5)
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


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 65, "..", 7, None, ["staff"]])
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
    assert answer.headers["allow"] == "POST"


def test_outages(world: World) -> None:
    world.matcher.failure = StoreUnavailable("The database does not answer.")
    is_row(search(world, ADA), "ERR_DATABASE_ERROR")
    is_row(world.call("GET", "/collections"), "ERR_DATABASE_ERROR")
    world.matcher.failure = None
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


# -- documentation and choice


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


def test_which_dialects_are_spoken() -> None:
    assert chosen(["all"]) == ALL
    assert [dialect.name for dialect in chosen(["opencv-fr-server"])] == ["opencv-fr-server"]
    assert chosen([]) == ()
    with pytest.raises(ConfigurationError, match=r"no 'klingon'; expected any of all, .*opencv-fr-server"):
        chosen(["opencv-fr-server", "klingon"])
