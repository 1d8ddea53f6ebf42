"""Persons and their faces over HTTP."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from serve_app.api.schemas.persons import PersonTexts
from serve_app.client.http import Call
from serve_app.domain import CLEARED
from tests.api.conftest import World, as_file, b64, code
from tests.fakes.stages import MAGIC, FakeFace, fake_picture

ADA = "/v1/collections/staff/persons/ada"


def test_create_and_update(world: World) -> None:
    created = world.call(
        "PUT",
        ADA,
        world.enroll,
        files=[("image", ("a.jpg", fake_picture("ada"))), ("image", ("b.jpg", fake_picture(FakeFace("ada", 1))))],
        data={
            "name": "Ada Lovelace",
            "gender": "female",
            "date_of_birth": "1815-12-10",
            "nationality": "British",
            "id_number": "42",
            "address": "12 St James's Square\nLondon",
            "notes": "first",
            "watch_list": ["PEP", "VIP, GUEST"],
            "metadata": '{"badge": "1843", "größe": "klein"}',
        },
    )
    assert created.status_code == 201, created.text
    person = created.json()
    assert person["id"] == "ada"
    assert person["watch_list"] == ["PEP", "VIP", "GUEST"]
    assert person["metadata"] == {"badge": "1843", "größe": "klein"}
    assert person["date_of_birth"] == "1815-12-10"
    assert person["collections"] == ["staff"]
    assert person["added_faces"] == [face["id"] for face in person["faces"]]
    assert len(person["faces"]) == 2
    assert set(person["faces"][0]) == {
        *("id", "person_id", "image_id", "box", "quality", "detection_score"),
        *("model", "image_storage", "created", "expires", "turned"),
    }

    changed = world.call("PUT", ADA, world.enroll, json={"notes": "", "nationality": "English"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["added_faces"] == []
    assert len(changed.json()["faces"]) == 2
    after = world.call("GET", ADA, world.enroll).json()
    assert (after["name"], after["notes"], after["nationality"]) == ("Ada Lovelace", "", "English")


def test_json_with_one_picture_or_several(world: World) -> None:
    one = world.call("PUT", ADA, json={"image_base64": b64(fake_picture("ada")), "metadata": {"a": "b"}})
    assert (one.status_code, len(one.json()["faces"])) == (201, 1)
    pictures = [b64(fake_picture(FakeFace("ada", take))) for take in range(3)]
    several = world.call("PUT", ADA, json={"image_base64": pictures})
    assert (several.status_code, len(several.json()["faces"])) == (200, 3)
    added = world.call("PUT", ADA, json={"image_base64": pictures[:1], "mode": "add"})
    assert len(added.json()["faces"]) == 4


def test_a_person_without_pictures(world: World) -> None:
    assert world.call("PUT", ADA).status_code == 201
    assert world.call("PUT", ADA, json={"must_be_new": False}).status_code == 200
    assert code(world.call("PUT", ADA, json={"must_be_new": True})) == (409, "person_exists")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"metadata": {"a": 7}}, "metadata.a"),
        ({"metadata": ["a"]}, "metadata"),
        ({"metadata": "not json"}, "a JSON object was expected"),
        ({"metadata": {"a": "x" * 10_001}}, "metadata.a"),
        ({"metadata": {"": "x"}}, "metadata"),
        ({"metadata": {str(i): "" for i in range(201)}}, "metadata"),
        ({"date_of_birth": "10.12.1815"}, "YYYY-MM-DD"),
        ({"date_of_birth": "1815-13-01"}, "date_of_birth"),
        ({"date_of_birth": 0}, "YYYY-MM-DD"),
        ({"date_of_birth": "0"}, "YYYY-MM-DD"),
        ({"consent": {"basis": "x", "expires": 2030}}, "2030-01-31T12:00:00Z"),
        ({"consent": {"basis": "x", "expires": "2030"}}, "2030-01-31T12:00:00Z"),
        ({"consent": {"basis": "x", "given": -1e3}}, "2030-01-31T12:00:00Z"),
        ({"consent": {"basis": "x", "expires": "2030-01-31"}}, "a time with a time zone was expected, such as 2030-"),
        ({"consent": {"basis": "x", "given": "2030-01-31T12:00:00"}}, "got '2030-01-31T12:00:00'"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "control characters"),
        ({"name": 7}, "name"),
        ({"mode": "merge"}, "mode"),
        ({"faces": "all"}, "faces"),
        ({"image_storage": "some"}, "image_storage"),
        ({"image_base64": [7]}, "image_base64.0"),
        ({"image_base64": ["eA=="] * 5}, "4 images, this one brings 5"),
        ({"fullname": "Ada"}, "fullname"),
        ({"consent": {"basis": "x", "expires": "9999-12-31T23:59:59-23:00"}}, "years 1 to 9999"),
        ({"consent": {"basis": "x", "given": "0001-01-01T00:00:00+23:00"}}, "years 1 to 9999"),
    ],
)
def test_bad_fields(world: World, fields: dict[str, object], word: str) -> None:
    answer = world.call("PUT", ADA, json=fields)
    assert code(answer) == (400, "invalid_request")
    assert word in answer.json()["error"]["message"]
    assert code(world.call("GET", ADA)) == (404, "person_not_found")


@pytest.mark.parametrize("text", ["[" * 5000, '{"a":' * 5000])
@pytest.mark.parametrize("field", ["metadata", "consent", "watch_list"])
def test_texts_that_are_nested_too_deep(world: World, field: str, text: str) -> None:
    answer = world.call("PUT", ADA, data={field: text}, files={"none": b""})
    assert code(answer) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/v1/collections/staff/persons/M%FCller", "/v1/persons/%ff%fe", "/person/M%F6ller"])
def test_paths_that_are_not_utf8(world: World, path: str) -> None:
    """Servers put the same character in the place of each such byte."""
    answer = world.call("DELETE", path)
    assert answer.status_code == 400
    assert "UTF-8" in answer.text


@pytest.mark.parametrize("query", ["q=M%FC", "q=a&limit=%ff"])
@pytest.mark.parametrize("path", ["/v1/collections/staff/persons", "/v1/collections", "/persons"])
def test_queries_that_are_not_utf8(world: World, path: str, query: str) -> None:
    answer = world.call("GET", f"{path}?{query}")
    assert answer.status_code == 400
    assert "UTF-8" in answer.text


@pytest.mark.parametrize("person_id", ["x" * 101, "a%00b", "a%0Ab", "a%7Fb", "a%C2%85b"])
def test_bad_ids(world: World, person_id: str) -> None:
    answer = world.call("PUT", f"/v1/collections/staff/persons/{person_id}")
    assert code(answer) == (400, "invalid_request")
    assert world.call("GET", "/v1/collections/staff/persons").json()["persons"] == []


@pytest.mark.parametrize(("sent", "person_id"), [("a%2Fb", "a/b"), ("%2f", "/"), ("%C3%A4%2Fb", "ä/b")])
def test_an_escaped_slash_is_part_of_the_id(world: World, sent: str, person_id: str) -> None:
    path = f"/v1/collections/staff/persons/{sent}"
    created = world.call("PUT", path, files=as_file(fake_picture("ada")))
    assert (created.status_code, created.json()["id"]) == (201, person_id)
    face_id = created.json()["faces"][0]["id"]
    assert world.call("GET", path).json()["id"] == person_id
    assert world.call("POST", f"{path}/faces", files=as_file(fake_picture("ada"))).json()["person_id"] == person_id
    assert world.call("DELETE", f"{path}/faces/{face_id}").status_code == 200
    assert world.call("DELETE", path).json()["erased"] is True
    assert code(world.call("GET", "/v1/collections/a%2Fb")) == (404, "collection_not_found")
    assert code(world.call("GET", "/v1/collections/staff/persons/a/b")) == (404, "route_not_found")


FULL = {
    "name": "Ada",
    "gender": "female",
    "date_of_birth": "1815-12-10",
    "nationality": "British",
    "id_number": "42",
    "address": "London",
    "notes": "first",
    "watch_list": ["PEP"],
    "consent": {"basis": "contract"},
    "metadata": {"badge": "1843"},
}


@pytest.mark.parametrize("field", FULL)
def test_null_clears_a_field_and_nothing_else(world: World, field: str) -> None:
    before = world.call("PUT", ADA, json=FULL).json()
    after = world.call("PUT", ADA, json={field: None}).json()
    assert not after[field]
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {field, "modified"}


def test_every_field_of_a_person_can_be_cleared() -> None:
    assert set(CLEARED) == set(FULL) == set(PersonTexts.model_fields)


LISTS = [
    ({"json": {"watch_list": ["Sanctions (EU, UK)", "PEP"]}}, ["Sanctions (EU, UK)", "PEP"]),
    ({"json": {"watch_list": ["a,b"]}}, ["a,b"]),
    ({"json": {"watch_list": "a, b"}}, ["a", "b"]),
    ({"data": {"watch_list": "a, b"}}, ["a", "b"]),
    ({"data": {"watch_list": ["a, b", "c"]}}, ["a", "b", "c"]),
    ({"data": {"watch_list": '["Sanctions (EU, UK)", "PEP"]'}}, ["Sanctions (EU, UK)", "PEP"]),
    ({"data": {"watch_list": "[VIP], [1]"}}, ["[VIP]", "[1]"]),
    ({"data": {"watch_list": "[1]"}}, ["[1]"]),
]


@pytest.mark.parametrize(("sent", "expected"), LISTS)
def test_a_list_stays_the_list_that_was_sent(world: World, sent: dict[str, Any], expected: list[str]) -> None:
    form = {"files": as_file(fake_picture("ada"))} if "data" in sent else {}
    assert world.call("PUT", ADA, **sent, **form).json()["watch_list"] == expected


@pytest.mark.parametrize("entries", [["Sanctions (EU, UK)"], ["a", "b"], ['["a"]', "b"], [" a ", "b"], []])
def test_the_client_sends_lists_so_that_they_stay(world: World, entries: list[str]) -> None:
    fields = Call("PUT", "", body={"watch_list": entries}, pictures=[("image", fake_picture("ada"))]).encode()
    world.call("PUT", ADA, json={"watch_list": ["before"]})
    answer = world.call("PUT", ADA, data=fields["data"], files=as_file(fake_picture("ada")))
    assert answer.json()["watch_list"] == entries


def test_a_date_of_birth_is_cleared_by_an_empty_text(world: World) -> None:
    born = world.call("PUT", ADA, json={"date_of_birth": "1815-12-10", "name": "Ada"}).json()
    assert born["date_of_birth"] == "1815-12-10"
    assert world.call("PUT", ADA, json={"name": "Augusta"}).json()["date_of_birth"] == "1815-12-10"
    cleared = world.call("PUT", ADA, data={"date_of_birth": ""}, files=as_file(fake_picture("ada"))).json()
    assert (cleared["date_of_birth"], cleared["name"]) == (None, "Augusta")


def test_duplicates_are_refused_when_asked_for(world: World) -> None:
    world.enrol("ada", "ada").raise_for_status()
    refused = world.enrol("eve", FakeFace("ada", take=1), check_duplicates="true")
    assert code(refused) == (409, "duplicate_face")
    assert refused.json()["error"]["details"]["person_id"] == "ada"
    assert world.enrol("eve", FakeFace("ada", take=1), check_duplicates="1", duplicate_min_score="1").status_code == 201
    assert world.enrol("ada", FakeFace("ada", take=2), mode="add").status_code == 200
    faces = world.call(
        "POST",
        f"{ADA}/faces",
        files=as_file(fake_picture("ada")),
        data={"check_duplicates": "true"},
    )
    assert code(faces) == (409, "duplicate_face")  # eve has it now
    alone = world.enrol("bob", "bob", duplicate_min_score="0.7")
    assert code(alone) == (400, "invalid_request")
    assert "check_duplicates" in alone.json()["error"]["message"]


@pytest.mark.parametrize("number", [2, 3, 24])
def test_of_duplicates_sent_at_once_one_is_accepted(world: World, number: int) -> None:
    def enrol(take: int) -> httpx.Response:
        return world.enrol(f"p{take}", FakeFace("ada", take=take), check_duplicates="true", duplicate_min_score="0.7")

    with ThreadPoolExecutor(number) as pool:
        answers = list(pool.map(enrol, range(number)))
    assert Counter(each.status_code for each in answers) == {201: 1, 409: number - 1}
    (accepted,) = (each.json()["id"] for each in answers if each.status_code == 201)
    refusals = [each.json()["error"] for each in answers if each.status_code == 409]
    assert {(each["code"], each["details"]["person_id"]) for each in refusals} == {("duplicate_face", accepted)}


def test_faults_are_refused_when_asked_for(world: World) -> None:
    small = FakeFace("ada", size=20, codes=("FACE_TOO_SMALL",))
    refused = world.enrol("ada", small, reject="FACE_TOO_SMALL,FACE_CROPPED")
    assert code(refused) == (422, "face_rejected")
    assert world.enrol("ada", small, reject="FACE_CROPPED").status_code == 201
    assert code(world.enrol("ada", small, reject="UGLY")) == (400, "invalid_request")


def test_ids_may_be_written_in_any_script(world: World) -> None:
    assert world.call("PUT", "/v1/collections/staff/persons/李 小龍").status_code == 201
    assert world.call("GET", "/v1/collections/staff/persons/李 小龍").json()["id"] == "李 小龍"


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (fake_picture(), (422, "face_not_found")),
        (fake_picture("ada", "bob"), (422, "too_many_faces")),
        (MAGIC + b"{", (400, "image_undecodable")),
        (b"GIF89a", (415, "image_format_unsupported")),
        (b"", (400, "image_undecodable")),
        (fake_picture("ada", padding=20_000), (413, "image_too_large")),
    ],
)
def test_one_bad_picture_among_good_ones_writes_nothing(
    world: World, picture: bytes, expected: tuple[int, str]
) -> None:
    files = [("image", ("a.jpg", fake_picture("ada"))), ("image", ("b.jpg", picture))]
    answer = world.call("PUT", ADA, files=files)
    assert code(answer) == expected
    assert answer.json()["error"]["details"]["image"] == 1
    assert code(world.call("GET", ADA)) == (404, "person_not_found")


def test_the_largest_face_may_be_asked_for(world: World) -> None:
    picture = fake_picture(FakeFace("ada", size=120), FakeFace("bob", size=110))
    assert world.call("PUT", ADA, files=as_file(picture), data={"faces": "largest"}).status_code == 201


def test_liveness_at_enrolment(world: World) -> None:
    screen = fake_picture(FakeFace("ada", live=0.1))
    refused = world.call("PUT", ADA, files=as_file(screen), data={"liveness": "true"})
    assert code(refused) == (422, "face_not_live")
    assert refused.json()["error"]["details"] == {"image": 0, "probability": 0.1, "threshold": 0.5}
    world.liveness.installed = False
    answer = world.call("PUT", ADA, files=as_file(screen), data={"liveness": "true"})
    assert code(answer) == (501, "liveness_unavailable")


@pytest.mark.parametrize(("roll", "turned"), [(0, 0), (30, 0), (-30, 0), (65, 90), (170, 180), (-170, 180), (-91, 270)])
def test_an_enrolled_face_says_how_it_was_turned(world: World, roll: int, turned: int) -> None:
    person = world.enrol("ada", FakeFace("ada", turned=roll)).json()
    assert [face["turned"] for face in person["faces"]] == [turned]


def test_listing_in_pages(world: World) -> None:
    for number in range(7):
        world.call("PUT", f"/v1/collections/staff/persons/p{number}", json={"name": f"Name {number % 2}"})
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = world.call("GET", "/v1/collections/staff/persons", world.enroll, params=params).json()
        seen += [person["id"] for person in page["persons"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == [f"p{number}" for number in range(7)]
    found = world.call("GET", "/v1/collections/staff/persons", params={"q": "name 1"}).json()
    assert [person["id"] for person in found["persons"]] == ["p1", "p3", "p5"]


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"cursor": "nonsense"}, {"q": "x" * 201}, {"q": "\0"}]
)
def test_bad_listing(world: World, params: dict[str, object]) -> None:
    assert code(world.call("GET", "/v1/collections/staff/persons", params=params)) == (400, "invalid_request")


def test_deleting(world: World) -> None:
    world.call("POST", "/v1/collections", json={"name": "visitors"})
    world.enrol("ada", "ada")
    world.enrol("ada", collection="visitors")
    gone = world.call("DELETE", ADA, world.enroll).json()
    assert gone == {"deleted": True, "erased": False, "persons": 0, "faces": 0, "receipt": None}
    assert code(world.call("DELETE", ADA)) == (404, "person_not_found")
    gone = world.call("DELETE", "/v1/collections/visitors/persons/ada").json()
    receipt = gone.pop("receipt")
    assert gone == {"deleted": True, "erased": True, "persons": 1, "faces": 1}
    assert (receipt["statement"]["persons"], receipt["statement"]["faces"]) == (["ada"], 1)
    checked = world.call("POST", "/v1/receipts/check", json=receipt).json()
    assert checked == {"genuine": True, "recorded": True, "residue": 0}


def test_faces_of_a_person(world: World) -> None:
    assert code(world.call("POST", f"{ADA}/faces", files=as_file(fake_picture("ada")))) == (404, "person_not_found")
    world.enrol("ada", "ada")
    added = world.call("POST", f"{ADA}/faces", world.enroll, files=as_file(fake_picture(FakeFace("ada", 1))))
    assert added.status_code == 201, added.text
    (face,) = added.json()["faces"]
    assert added.json()["person_id"] == face["person_id"] == "ada"
    as_json = world.call("POST", f"{ADA}/faces", json={"image_base64": b64(fake_picture(FakeFace("ada", 2)))})
    assert as_json.status_code == 201
    assert len(world.call("GET", ADA).json()["faces"]) == 3
    answer = world.call("POST", f"{ADA}/faces", json={})
    assert code(answer) == (400, "invalid_request")
    assert "At least one image" in answer.json()["error"]["message"]

    path = f"{ADA}/faces/{face['id']}"
    deleted = world.call("DELETE", path, world.enroll).json()
    assert deleted == {"deleted": True, "erased": True, "persons": 0, "faces": 1, "receipt": None}
    assert code(world.call("DELETE", path)) == (404, "face_id_not_found")
    assert len(world.call("GET", ADA).json()["faces"]) == 2
    assert code(world.call("DELETE", f"{ADA}/faces/short")) == (400, "invalid_request")


def test_a_face_of_somebody_else_stays(world: World) -> None:
    world.enrol("ada", "ada")
    world.enrol("bob", "bob")
    face_id = world.call("GET", "/v1/collections/staff/persons/bob").json()["faces"][0]["id"]
    assert code(world.call("DELETE", f"{ADA}/faces/{face_id}")) == (404, "face_id_not_found")
    assert len(world.call("GET", "/v1/collections/staff/persons/bob").json()["faces"]) == 1


def test_face_images(world: World) -> None:
    picture = fake_picture("ada")
    person = world.call("PUT", ADA, files=as_file(picture), data={"image_storage": "full"}).json()
    path = f"/v1/faces/{person['faces'][0]['id']}/image"
    thumbnail = world.call("GET", path, world.search)
    assert thumbnail.status_code == 200
    assert thumbnail.content.startswith(b"\xff\xd8\xff")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert thumbnail.headers["x-content-type-options"] == "nosniff"
    assert thumbnail.headers["cache-control"] == "private, no-store"
    assert world.call("GET", path, params={"kind": "photograph"}).content == picture
    assert code(world.call("GET", path, params={"kind": "crop"})) == (400, "invalid_request")
    assert code(world.call("GET", path, world.stranger)) == (404, "face_id_not_found")
    assert code(world.call("GET", f"/v1/faces/{'0' * 32}/image")) == (404, "face_id_not_found")
    kept = world.enrol("bob", "bob").json()["faces"][0]["id"]
    answer = world.call("GET", f"/v1/faces/{kept}/image", params={"kind": "photograph"})
    assert code(answer) == (404, "image_not_stored")


def test_what_belongs_to_others_does_not_exist(world: World) -> None:
    world.enrol("ada", "ada")
    assert code(world.call("GET", ADA, world.stranger)) == (404, "collection_not_found")
    assert code(world.call("DELETE", ADA, world.stranger)) == (404, "collection_not_found")
    assert code(world.call("PUT", ADA, world.stranger, json={})) == (404, "collection_not_found")


def test_consent(world: World) -> None:
    consent = {"basis": "explicit consent", "reference": "form 17", "given": "2026-01-01T00:00:00Z", "expires": None}
    world.enrol("ada", "ada", consent=json.dumps(consent)).raise_for_status()
    assert world.call("GET", "/v1/collections/staff/persons/ada").json()["consent"] == consent
    path = "/v1/collections/staff/persons/ada"
    assert code(world.call("PUT", path, json={"consent": {"basis": "x", "expires": "2030-01-01T00:00:00"}}))[0] == 400
    world.call("PUT", path, json={"consent": {"basis": ""}}).raise_for_status()
    assert world.call("GET", path).json()["consent"] is None


def test_a_retention_period(world: World) -> None:
    path = "/v1/collections/staff"
    for sent, stored in (({"retention_days": 30}, 30.0), ({"liveness": True}, 30.0), ({"retention_days": None}, None)):
        changed = world.call("PATCH", path, json={"policy": sent}).json()
        assert changed["policy"]["retention_days"] == stored
    assert code(world.call("PATCH", path, json={"policy": {"retention_days": 0}})) == (400, "invalid_request")


def test_two_records_are_merged(world: World) -> None:
    assert world.enrol("ada", "a", name="Ada").status_code == 201
    assert world.enrol("king", "b", notes="twice").status_code == 201
    answer = world.call("POST", "/v1/collections/staff/persons/ada/merge", world.enroll, json={"person_id": "king"})
    assert answer.status_code == 200
    person = answer.json()
    assert (person["name"], person["notes"], len(person["faces"])) == ("Ada", "twice", 2)
    assert code(world.call("GET", "/v1/collections/staff/persons/king")) == (404, "person_not_found")
    again = world.call("POST", "/v1/collections/staff/persons/ada/merge", json={"person_id": "ada"})
    assert code(again) == (400, "invalid_request")
    assert code(world.call("POST", "/v1/collections/staff/persons/ada/merge", json={})) == (400, "invalid_request")


def test_a_form_may_name_the_character_set_of_its_texts(world: World) -> None:
    """RFC 7578, section 4.6; browsers send it."""
    form = {"_charset_": (None, "windows-1252"), "name": (None, "Zoë".encode("cp1252"))}
    answer = world.call("PUT", ADA, files=form)
    assert answer.json()["name"] == "Zoë"
    own = {**form, "notes": (None, "Zoë".encode(), "text/plain; charset=utf-8")}
    assert world.call("PUT", ADA, files=own).json()["notes"] == "Zoë"
    assert world.call("PUT", ADA, files={"_charset_": (None, "klingon"), "name": (None, "Ada")}).json()["name"] == "Ada"


@pytest.mark.parametrize("field", ["name", "faces", "date_of_birth", "reject_below"])
def test_a_single_field_that_a_form_has_twice(world: World, field: str) -> None:
    answer = world.call("PUT", ADA, files=[(field, (None, "one")), (field, (None, "largest"))])
    assert code(answer) == (400, "invalid_request")
    assert "got 2 values" in answer.json()["error"]["message"]


def test_an_encoded_body_is_refused_in_words(world: World) -> None:
    headers = world.admin | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = world.call("PUT", ADA, headers, content=gzip.compress(b'{"name": "Ada"}'))
    assert code(answer) == (415, "media_type_unsupported")
    assert "Content-Encoding is 'gzip'" in answer.json()["error"]["message"]
