"""The PyPI client ``python-facepp``, as published, against a running instance, on real photographs."""

from __future__ import annotations

import importlib
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import photos
from tests.graph.service import RunningService

pytestmark = pytest.mark.graph


def load() -> Any:
    """The client's package; it still imports distutils, which warns of its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("facepplib")


@pytest.fixture(scope="module")
def keys(service: RunningService) -> dict[str, str]:
    """The id and the secret of a key of its own."""
    with service.client() as client:
        made = client.post("/v1/keys", json={"name": "facepp", "role": "admin"})
        assert made.status_code == 201, made.text
        body = made.json()
    return {"api_key": body["id"], "api_secret": body["secret"]}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Photographs as files, which is how the client sends them."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    content = {
        "collins": photos.astronaut(),
        "collins2": photos.variant(photos.astronaut()),
        "hopper": photos.grace_hopper(),
        "both": photos.group([photos.astronaut(), photos.grace_hopper()]),
        "coffee": photos.no_face(),
    }
    for name, photo in content.items():
        (folder / f"{name}.jpg").write_bytes(photo)
    (folder / "text.jpg").write_text("not a picture")
    return {path.stem: str(path) for path in folder.iterdir()}


@pytest.fixture
def app(service: RunningService, keys: dict[str, str]) -> Any:
    """The client, pointed at the instance by its own ``url`` argument."""
    return load().FacePP(keys["api_key"], keys["api_secret"], url=service.url)


@pytest.fixture
def faceset(app: Any, pictures: dict[str, str]) -> Iterator[tuple[Any, dict[str, str]]]:
    """A FaceSet of two people, and their tokens."""
    tokens = {name: app.image.get(image_file=pictures[name]).faces[0].face_token for name in ("collins", "hopper")}
    outer_id = f"team-{uuid.uuid4().hex[:8]}"
    made = app.face_set.create(outer_id=outer_id, display_name="Team", face_tokens=list(tokens.values()))
    assert (made.face_added, made.face_count, made.failure_detail) == (2, 2, [])
    yield made, tokens
    app.face_set.delete(faceset_token=made.faceset_token, check_empty=0)


def test_detect(app: Any, pictures: dict[str, str]) -> None:
    image = app.image.get(image_file=pictures["both"], return_attributes=["headpose", "age"], return_landmark=1)
    assert image.face_num == 2
    assert len(image.image_id) == 24
    faces = list(image.faces)
    assert len({face.face_token for face in faces}) == 2
    for face in faces:
        assert face.face_rectangle["width"] > 50
        eyes = face.landmark["left_eye_center"], face.landmark["right_eye_center"]
        assert eyes[0]["x"] < face.landmark["nose_tip"]["x"] < eyes[1]["x"]
        assert -30 < face.headpose["yaw_angle"] < 30
        assert face.age == {"value": None}
    assert list(app.image.get(image_file=pictures["coffee"]).faces) == []
    found = app.face.all(image_file=pictures["collins"])
    assert len(list(found)) == 1


def test_compare(app: Any, pictures: dict[str, str]) -> None:
    same = app.compare.get(image_file1=pictures["collins"], image_file2=pictures["collins2"])
    assert same.confidence > same.thresholds["1e-5"] == 75.0
    assert same.faces1[0].face_token != same.faces2[0].face_token
    other = app.compare.get(face_token1=same.faces1[0].face_token, image_file2=pictures["hopper"])
    assert other.confidence < other.thresholds["1e-3"] == 65.0
    assert same.image1.image_id == same.image_id1


def test_search(app: Any, pictures: dict[str, str], faceset: tuple[Any, dict[str, str]]) -> None:
    made, tokens = faceset
    found = app.search.get(image_file=pictures["collins2"], outer_id=made.outer_id, return_result_count=5)
    best, second = found.results
    assert best.face_token == tokens["collins"]
    assert best.confidence > 85 > 65 > second.confidence
    by_token = app.search.get(face_token=tokens["hopper"], faceset_token=made.faceset_token)
    assert [face.face_token for face in by_token.results] == [tokens["hopper"]]
    assert by_token.results[0].confidence == pytest.approx(100, abs=0.01)


def test_faces(app: Any, faceset: tuple[Any, dict[str, str]]) -> None:
    made, tokens = faceset
    face = app.face.get(face_token=tokens["collins"])
    assert [item.outer_id for item in face.facesets] == [made.outer_id]
    face.user_id = "collins"
    face.save()
    assert app.face.get(face_token=tokens["collins"]).user_id == "collins"
    analysed = list(app.face.filter(face_tokens=list(tokens.values()), return_landmark=1, include=["blur"]))
    assert [item.face_token for item in analysed] == list(tokens.values())
    assert 0 <= analysed[0].blur["blurness"]["value"] <= 100
    assert app.face.get(face_token=tokens["hopper"]).headpose["pitch_angle"] is None  # asks again by analyze


def test_a_face_moves_between_facesets(app: Any, faceset: tuple[Any, dict[str, str]]) -> None:
    made, tokens = faceset
    other = app.face_set.create(outer_id=f"{made.outer_id}-b")
    face = app.face.get(face_token=tokens["hopper"])
    face.outer_ids = [other.outer_id]
    face.save()
    assert [item.outer_id for item in app.face.get(face_token=tokens["hopper"]).facesets] == [other.outer_id]
    assert app.face_set.get(outer_id=made.outer_id).face_tokens == [tokens["collins"]]
    app.face_set.delete(outer_id=other.outer_id, check_empty=0)


def test_facesets(app: Any) -> None:
    exceptions = load().exceptions
    name = f"Büro {uuid.uuid4().hex[:8]}"
    made = app.face_set.create(outer_id=name, tags=["a", "b"])
    assert name in [item.outer_id for item in app.face_set.all(tags="b")]
    app.face_set.update(outer_id=name, display_name="Office", new_outer_id=f"{name} 2")
    detail = app.face_set.get(faceset_token=made.faceset_token)
    assert (detail.outer_id, detail.display_name, detail.tags) == (f"{name} 2", "Office", "a,b")
    detail.user_data = "kept"
    detail.save()
    assert app.face_set.get(outer_id=f"{name} 2").user_data == "kept"
    with pytest.raises(exceptions.FacesetExist):
        app.face_set.create(outer_id=f"{name} 2")
    app.face_set.delete(faceset_token=made.faceset_token)
    with pytest.raises(exceptions.InvalidFacesetToken):
        app.face_set.get(faceset_token=made.faceset_token)


def test_the_clients_own_errors(
    app: Any, service: RunningService, keys: dict[str, str], pictures: dict[str, str]
) -> None:
    client = load()
    errors = client.exceptions
    with pytest.raises(errors.ImageErrorUnsupportedFormat) as unsupported:
        app.image.get(image_file=pictures["text"])
    assert unsupported.value.param == "image_file"
    with pytest.raises(errors.MissingArguments) as missing:
        app.search.get(face_token="0" * 32)
    assert missing.value.key == "faceset_token, outer_id"
    with pytest.raises(errors.InvalidFaceToken):
        app.face.get(face_token="0" * 32)
    with pytest.raises(errors.InvalidImageUrl):
        app.image.get(image_url="http://127.0.0.1/private.jpg")
    with pytest.raises(errors.BadArguments):
        app.image.get(image_file=pictures["collins"], return_landmark=7)
    wrong = client.FacePP(keys["api_key"], "wrong", url=service.url)
    with pytest.raises(errors.AuthenticationError):
        wrong.face_set.get(outer_id="x")
    with service.client() as native:
        slow = native.post("/v1/keys", json={"name": "slow", "role": "search", "rate_limit": 0.001}).json()
    limited = client.FacePP(slow["id"], slow["secret"], url=service.url)
    list(limited.face_set.all(start=1))
    with pytest.raises(errors.ConcurrencyLimitExceeded):
        list(limited.face_set.all(start=1))
