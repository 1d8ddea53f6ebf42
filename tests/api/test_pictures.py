"""Detection, embedding, comparison, verification and liveness over HTTP."""

from __future__ import annotations

import numpy as np
import pytest

from tests.api.conftest import World, as_file, b64, code
from tests.fakes.stages import DIMENSION, FAKE_LIVENESS_MODEL, FAKE_MODEL, FakeFace, fake_picture

ADA, BOB = fake_picture("ada"), fake_picture("bob")
ADA_AGAIN = fake_picture(FakeFace("ada", 1))


def test_detect(world: World) -> None:
    picture = fake_picture("ada", FakeFace("bob", size=200, codes=("EYES_CLOSED",)), width=800, height=600)
    body = world.call("POST", "/v1/detect", world.search, files=as_file(picture)).json()
    assert set(body) == {"request_id", "image", "faces", "faces_left_out"}
    assert body["image"] == {"width": 800, "height": 600}
    assert [face["box"]["width"] for face in body["faces"]] == [200, 100]
    assert set(body["faces"][0]) == {"box", "landmarks", "detection_score", "quality", "quality_details", "turned"}
    assert body["faces"][0]["quality_details"]["codes"] == ["EYES_CLOSED"]
    as_json = world.call("POST", "/v1/detect", json={"image_base64": b64(picture), "liveness": True, "max_faces": 1})
    (face,) = as_json.json()["faces"]
    assert face["liveness"]["models"] == {FAKE_LIVENESS_MODEL: 0.9}
    assert world.call("POST", "/v1/detect", files=as_file(fake_picture())).json()["faces"] == []


@pytest.mark.parametrize("path", ["detect", "embed"])
def test_the_answer_says_how_faces_are_turned_and_how_many_were_left_out(world: World, path: str) -> None:
    picture = fake_picture(FakeFace("ada", turned=270), left_out=3)
    body = world.call("POST", f"/v1/{path}", world.search, files=as_file(picture)).json()
    assert [face["turned"] for face in body["faces"]] == [270]
    assert body["faces_left_out"] == 3


def test_compare(world: World) -> None:
    files = [("image1", ("a.jpg", ADA)), ("image2", ("b.jpg", ADA_AGAIN))]
    answer = world.call("POST", "/v1/compare", world.search, files=files)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"request_id", "score", "is_match", "min_score", "fmr", "distance", "model", "faces"}
    assert body["is_match"] is True
    assert body["min_score"] == 0.7
    assert len(body["faces"]) == 2
    assert body["fmr"] == pytest.approx(10 ** (10 - 20 * body["score"]), rel=1e-3)

    def without_id(response: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in response.items() if name != "request_id"}

    as_json = world.call("POST", "/v1/compare", json={"image1_base64": b64(ADA), "image2_base64": b64(ADA_AGAIN)})
    assert without_id(as_json.json()) == without_id(body)
    twice = world.call("POST", "/v1/compare", files=[("image", ("a.jpg", ADA)), ("image", ("b.jpg", ADA_AGAIN))])
    assert without_id(twice.json()) == without_id(body)
    other = {"image1_base64": b64(ADA), "image2_base64": b64(BOB)}
    assert world.call("POST", "/v1/compare", json=other).json()["is_match"] is False
    strict = {"image1_base64": b64(ADA), "image2_base64": b64(ADA_AGAIN), "min_score": 1}
    assert world.call("POST", "/v1/compare", json=strict).json()["is_match"] is False


def test_compare_with_liveness(world: World) -> None:
    pair = {"image1_base64": b64(fake_picture(FakeFace("ada", live=0.1))), "image2_base64": b64(ADA), "liveness": True}
    body = world.call("POST", "/v1/compare", json=pair).json()
    assert body["liveness"]["is_live"] is False
    assert body["is_match"] is False


@pytest.mark.parametrize(
    ("files", "expected", "words"),
    [
        ([("image1", ADA)], (400, "invalid_request"), "exactly one of image2"),
        ([("image", ADA)], (400, "invalid_request"), "two files named image"),
        ([("image", ADA), ("image", BOB), ("image", BOB)], (400, "invalid_request"), "Too many files"),
        ([("image1", ADA), ("image1", ADA)], (400, "invalid_request"), "image1"),
        ([("image1", ADA), ("image2", fake_picture())], (422, "face_not_found"), "image 1"),
    ],
)
def test_compare_refuses(world: World, files: list[tuple[str, bytes]], expected: tuple[int, str], words: str) -> None:
    answer = world.call("POST", "/v1/compare", files=[(name, ("a.jpg", content)) for name, content in files])
    assert code(answer) == expected
    assert words in answer.json()["error"]["message"]


def test_compare_refuses_two_ways_at_once(world: World) -> None:
    files = [("image", ("a.jpg", ADA)), ("image", ("b.jpg", ADA))]
    answer = world.call("POST", "/v1/compare", files=files, data={"image1_base64": b64(ADA)})
    assert code(answer) == (400, "invalid_request")


def test_verify(world: World) -> None:
    world.enrol("ada", "ada", FakeFace("ada", 1)).raise_for_status()
    faces = world.call("GET", "/v1/collections/staff/persons/ada").json()["faces"]
    form = world.call("POST", "/v1/verify", world.search, files=as_file(ADA_AGAIN), data={"person_id": "ada"})
    assert form.status_code == 200, form.text
    body = form.json()
    assert body["is_match"] is True
    assert body["person_id"] == "ada"
    assert body["face_id"] == faces[1]["id"]
    assert body["model"] == FAKE_MODEL
    assert body["face"]["box"]["width"] == 100
    wrong = {"image_base64": b64(BOB), "person_id": "ada", "collection": "staff"}
    assert world.call("POST", "/v1/verify", json=wrong).json()["is_match"] is False
    assert code(world.call("POST", "/v1/verify", json={**wrong, "person_id": "eve"})) == (404, "person_not_found")
    assert code(world.call("POST", "/v1/verify", json={**wrong, "collection": "x"})) == (404, "collection_not_found")
    assert code(world.call("POST", "/v1/verify", world.stranger, json=wrong)) == (404, "collection_not_found")
    del wrong["collection"]
    assert code(world.call("POST", "/v1/verify", world.stranger, json=wrong)) == (404, "person_not_found")
    del wrong["person_id"]
    assert code(world.call("POST", "/v1/verify", json=wrong)) == (400, "invalid_request")


def test_verify_against_a_person_without_faces(world: World) -> None:
    world.call("PUT", "/v1/collections/staff/persons/ada").raise_for_status()
    body = {"image_base64": b64(ADA), "person_id": "ada"}
    assert code(world.call("POST", "/v1/verify", json=body)) == (404, "face_id_not_found")


def test_liveness(world: World) -> None:
    answer = world.call("POST", "/v1/liveness", world.search, files=as_file(fake_picture(FakeFace("ada", live=0.6))))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["is_live"], body["probability"], body["threshold"]) == (True, 0.6, 0.5)
    assert body["models"] == {FAKE_LIVENESS_MODEL: 0.6}
    assert body["box"]["width"] == 100
    assert body["quality"] == 0.8
    strict = {"image_base64": b64(fake_picture(FakeFace("ada", live=0.6))), "threshold": 0.7}
    assert world.call("POST", "/v1/liveness", json=strict).json()["is_live"] is False


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (fake_picture(), "face_not_found"),
        (fake_picture("ada", "bob"), "too_many_faces"),
        (fake_picture(FakeFace("ada", codes=("FACE_TOO_SMALL",))), "face_rejected"),
    ],
)
def test_liveness_names_the_reason(world: World, picture: bytes, expected: str) -> None:
    answer = world.call("POST", "/v1/liveness", files=as_file(picture))
    assert code(answer) == (422, expected)
    if expected == "face_rejected":
        assert answer.json()["error"]["details"]["codes"] == ["FACE_TOO_SMALL"]


def test_liveness_without_models(world: World) -> None:
    world.liveness.installed = False
    assert code(world.call("POST", "/v1/liveness", files=as_file(ADA))) == (501, "liveness_unavailable")


def test_embed(world: World) -> None:
    picture = fake_picture("ada", "bob")
    body = world.call("POST", "/v1/embed", world.search, files=as_file(picture), data={"faces": "all"}).json()
    assert (body["dimension"], body["model"], len(body["faces"])) == (DIMENSION, FAKE_MODEL, 2)
    assert np.linalg.norm(body["faces"][0]["embedding"]) == pytest.approx(1, abs=1e-5)
    one = world.call("POST", "/v1/embed", json={"image_base64": b64(picture)}).json()
    assert one["faces"] == body["faces"][:1]
    assert world.call("POST", "/v1/embed", files=as_file(fake_picture())).json()["faces"] == []


@pytest.mark.parametrize("path", ["detect", "liveness", "embed", "search", "verify"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not base64!", (400, "image_undecodable")),
        ("", (400, "image_undecodable")),
        ("data:image/jpeg,plain", (400, "image_undecodable")),
        ("data:image/jpeg;base64", (400, "image_undecodable")),
        ("ü" * 8, (400, "image_undecodable")),
        (b64(b"GIF89a"), (415, "image_format_unsupported")),
        (b64(b"x" * 20_001), (413, "image_too_large")),
        (b64(b"x" * 30_000), (413, "image_too_large")),
    ],
)
def test_base64_that_is_none(world: World, path: str, text: str, expected: tuple[int, str]) -> None:
    needed = {"search": {"collections": "staff"}, "verify": {"person_id": "ada"}}.get(path, {})
    assert code(world.call("POST", f"/v1/{path}", json={"image_base64": text, **needed})) == expected


def test_base64_with_line_breaks(world: World) -> None:
    text = b64(ADA)
    wrapped = "\r\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    assert len(world.call("POST", "/v1/detect", json={"image_base64": wrapped}).json()["faces"]) == 1


def test_a_picture_of_just_the_allowed_size(world: World) -> None:
    picture = fake_picture("ada", padding=20_000 - len(ADA))
    assert len(picture) == 20_000
    for options in ({"files": as_file(picture)}, {"json": {"image_base64": b64(picture)}}):
        assert world.call("POST", "/v1/detect", **options).status_code == 200
