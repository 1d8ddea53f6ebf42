"""``/v1/search``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serve_app.api.schemas.search import SearchedFaceView
from tests.api.conftest import World, as_file, b64, code
from tests.fakes.stages import FAKE_LIVENESS_MODEL, FAKE_MODEL, FakeFace, fake_picture

PICTURE = fake_picture("ada")


@pytest.fixture(autouse=True)
def gallery(world: World) -> None:
    world.call("POST", "/v1/collections", json={"name": "visitors"}).raise_for_status()
    world.enrol("ada", "ada", FakeFace("ada", 1), name="Ada", metadata='{"badge": "7"}').raise_for_status()
    world.enrol("bob", "bob", name="Bob", date_of_birth="1990-01-02").raise_for_status()
    world.enrol("eve", "eve", collection="visitors").raise_for_status()


def test_the_answer_has_the_documented_shape(world: World) -> None:
    answer = world.call("POST", "/v1/search", world.search, files=as_file(PICTURE), data={"collections": "staff"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"request_id", "image", "faces", "faces_left_out", "model", "threshold", "timings_ms"}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["image"] == {"width": 640, "height": 480}
    assert body["model"] == FAKE_MODEL
    assert set(body["timings_ms"]) == {"detect", "embed", "match", "total"}
    assert set(body["threshold"]) == {"min_score", "fmr", "fpir", "gallery_size"}
    assert body["threshold"]["gallery_size"] == 3
    assert body["threshold"]["fpir"] == pytest.approx(0.01)
    (face,) = body["faces"]
    assert set(face) == {
        *("box", "landmarks", "detection_score", "quality", "quality_details", "turned", "matches", "unknown")
    }
    assert face["box"] == {"x": 50, "y": 40, "width": 100, "height": 125}
    assert set(face["landmarks"]) == {"right_eye", "left_eye", "nose", "mouth_right", "mouth_left"}
    assert face["landmarks"]["nose"] == {"x": 100, "y": 115}
    assert face["quality"] == 0.8
    (match,) = face["matches"]
    assert set(match) == {"collection", "person", "face_id", "score", "distance"}
    assert match["collection"] == "staff"
    assert match["score"] > 0.9
    assert match["distance"] == pytest.approx(0, abs=1e-5)
    person = match["person"]
    assert set(person) == {
        *("id", "name", "gender", "date_of_birth", "nationality", "id_number", "address", "notes"),
        *("watch_list", "metadata", "consent", "collections", "created", "modified"),
    }
    assert (person["id"], person["name"], person["metadata"]) == ("ada", "Ada", {"badge": "7"})
    assert person["date_of_birth"] is None
    assert person["created"].endswith("Z")


def test_the_answer_says_how_faces_are_turned_and_how_many_were_left_out(world: World) -> None:
    picture = fake_picture(FakeFace("ada", turned=90), "bob", left_out=44)
    answer = world.call("POST", "/v1/search", files=as_file(picture), data={"collections": "staff", "faces": "all"})
    body = answer.json()
    assert [face["turned"] for face in body["faces"]] == [90, 0]
    assert body["faces_left_out"] == 44


def test_dates_are_iso(world: World) -> None:
    body = {"image_base64": b64(fake_picture("bob")), "collections": ["staff"]}
    (face,) = world.call("POST", "/v1/search", world.search, json=body).json()["faces"]
    assert face["matches"][0]["person"]["date_of_birth"] == "1990-01-02"


def test_every_way_to_send_the_picture_finds_the_same(world: World) -> None:
    def faces(**options: object) -> object:
        answer = world.call("POST", "/v1/search", world.search, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()["faces"]

    as_form = faces(files=as_file(PICTURE), data={"collections": "staff"})
    assert faces(json={"image_base64": b64(PICTURE), "collections": ["staff"]}) == as_form
    assert faces(json={"image_base64": "data:image/jpeg;base64," + b64(PICTURE), "collection": "staff"}) == as_form
    text = {"collections": "staff", "image_base64": b64(PICTURE).rstrip("=")}
    assert faces(files={name: (None, value) for name, value in text.items()}) == as_form


@pytest.mark.parametrize(
    "data",
    [
        {"collections": "staff,visitors"},
        {"collections": ["staff", "visitors", "staff"]},
        {"collections": ["staff, visitors"]},
        {"collection": ["staff", "visitors"]},
    ],
)
def test_several_collections(world: World, data: dict[str, object]) -> None:
    options = {"faces": "all", "min_score": "0.7"}
    image = fake_picture("eve", FakeFace("ada", size=50))
    form = world.call("POST", "/v1/search", world.search, files=as_file(image), data={**data, **options})
    assert form.status_code == 200, form.text
    found = [[match["person"]["id"] for match in face["matches"]] for face in form.json()["faces"]]
    assert found == [["eve"], ["ada"]]
    assert form.json()["threshold"]["gallery_size"] == 4
    if data.get("collections") == ["staff, visitors"]:
        return  # in JSON, a list stays as it is
    json = world.call("POST", "/v1/search", world.search, json={"image_base64": b64(image), **data, **options})
    assert json.json()["faces"] == form.json()["faces"]


def test_by_face_id(world: World) -> None:
    face_id = world.call("GET", "/v1/collections/staff/persons/ada").json()["faces"][0]["id"]
    answer = world.call("POST", "/v1/search", world.search, json={"face_id": face_id, "collections": "staff"}).json()
    assert answer["image"] is None
    (face,) = answer["faces"]
    assert face["box"] is None
    assert face["matches"][0]["person"]["id"] == "ada"
    form = world.call("POST", "/v1/search", files={"face_id": (None, face_id), "collections": (None, "staff")}).json()
    assert form["faces"] == answer["faces"]
    unknown = {"face_id": "0" * 32, "collections": "staff"}
    assert code(world.call("POST", "/v1/search", json=unknown)) == (404, "face_id_not_found")


def test_max_results_and_thresholds(world: World) -> None:
    def search(**fields: object) -> Any:
        body = {"image_base64": b64(PICTURE), "collections": ["staff", "visitors"], **fields}
        answer = world.call("POST", "/v1/search", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert len(search(min_score=0)["faces"][0]["matches"]) == 3
    assert len(search(min_score=0, max_results=2)["faces"][0]["matches"]) == 2
    assert search(min_score=0.7)["threshold"]["min_score"] == 0.7
    assert search(fpir=0.1)["threshold"]["fpir"] == pytest.approx(0.1)


def test_liveness(world: World) -> None:
    body = {"image_base64": b64(fake_picture(FakeFace("ada", live=0.2))), "collections": ["staff"], "liveness": True}
    (face,) = world.call("POST", "/v1/search", json=body).json()["faces"]
    expected = {"is_live": False, "probability": 0.2, "threshold": 0.5, "models": {FAKE_LIVENESS_MODEL: 0.2}}
    assert face["liveness"] == expected
    assert face["matches"] == []


def test_a_picture_without_faces_finds_nobody(world: World) -> None:
    body = {"image_base64": b64(fake_picture()), "collections": ["staff"]}
    assert world.call("POST", "/v1/search", json=body).json()["faces"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"collections": "staff"}, "exactly one of image, image_base64, image_url, face_id; got none"),
        ({"image_base64": "eA==", "face_id": "0" * 32, "collections": "staff"}, "image_base64 and face_id"),
        ({"image_base64": "eA=="}, "collections: is required"),
        ({"image_base64": "eA==", "collections": []}, "collections"),
        ({"image_base64": "eA==", "collections": " , "}, "collections"),
        ({"image_base64": "eA==", "collections": [7]}, "collections.0"),
        ({"image_base64": "eA==", "collections": "staff", "max_results": 0}, "got 0"),
        ({"image_base64": "eA==", "collections": "staff", "max_results": 51}, "at most 50 was expected, got 51"),
        ({"image_base64": "eA==", "collections": "staff", "max_results": "many"}, "got 'many'"),
        ({"image_base64": "eA==", "collections": "staff", "min_score": 1.5}, "min_score"),
        ({"image_base64": "eA==", "collections": "staff", "min_score": "nan"}, "min_score"),
        ({"image_base64": "eA==", "collections": "staff", "fpir": 0}, "fpir"),
        ({"image_base64": "eA==", "collections": "staff", "fpir": 0.1, "min_score": 0.1}, "exclude each other"),
        ({"image_base64": "eA==", "collections": "staff", "faces": "both"}, "'largest' or 'all'"),
        ({"image_base64": "eA==", "collections": "staff", "min_scor": 0.1}, "min_scor: is not a known field"),
        ({"image": "eA==", "collections": "staff"}, "multipart/form-data"),
        ({"face_id": "xyz", "collections": "staff"}, "face_id"),
        ({"face_id": "0" * 32, "collections": "staff", "liveness": True}, "liveness needs an image"),
        ([], "body"),
    ],
)
def test_what_is_wrong_is_said(world: World, body: object, words: str) -> None:
    answer = world.call("POST", "/v1/search", json=body)
    assert code(answer) == (400, "invalid_request")
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(world: World, number: str) -> None:
    body = f'{{"image_base64": "eA==", "collections": ["staff"], "min_score": {number}}}'
    answer = world.call("POST", "/v1/search", {**world.search, "content-type": "application/json"}, content=body)
    assert code(answer) == (400, "invalid_request")
    form = world.call("POST", "/v1/search", files=as_file(PICTURE), data={"collections": "staff", "min_score": number})
    assert code(form) == (400, "invalid_request")


def test_unknown_collections_and_those_of_others(world: World) -> None:
    body = {"image_base64": b64(PICTURE), "collections": ["staff", "absent"]}
    assert code(world.call("POST", "/v1/search", json=body)) == (404, "collection_not_found")
    body["collections"] = ["staff"]
    assert code(world.call("POST", "/v1/search", world.stranger, json=body)) == (404, "collection_not_found")


def test_measures_of_a_face_have_six_digits() -> None:
    measures = {"quality": 0.9394431710243225, "detection_score": np.float32(1 / 3)}
    others = {"box": None, "landmarks": None, "quality_details": None, "turned": None, "matches": []}
    view = SearchedFaceView(**others, **measures)
    assert (view.quality, view.detection_score) == (0.939443, 0.333333)
    nothing = dict.fromkeys(measures)
    assert SearchedFaceView(**others, **nothing).quality is None
