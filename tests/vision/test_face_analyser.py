"""The face analyser: from the bytes of a file to faces."""

from __future__ import annotations

import gc
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from serve_app.domain import DetectedFace, DetectOptions
from serve_app.errors import ImageUndecodable
from serve_app.settings import DetectorSettings, Limits
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.image import encode_jpeg
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session
from tests import photos
from tests.vision.conftest import LIVENESS, ONE_THREAD, Embed

PLAIN = DetectOptions()


def test_one_portrait(analyser: FaceAnalyser, collins: DetectedFace) -> None:
    detection = analyser.analyse(photos.astronaut(), PLAIN)
    assert (detection.image.width, detection.image.height, detection.image.format) == (512, 512, "JPEG")
    (face,) = detection.faces
    assert 170 < face.box.x < 190
    assert 85 < face.box.width < 100
    assert (face.landmarks.shape, face.landmarks.dtype) == ((5, 2), np.float32)
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < right_mouth[1]
    assert right_mouth[0] < left_mouth[0]
    assert 0.9 < face.detection_score <= 1
    assert face.liveness_crops == {}


def test_liveness_crops_on_demand(collins: DetectedFace) -> None:
    assert {model: crop.shape for model, crop in collins.liveness_crops.items()} == dict(
        zip(LIVENESS, [(80, 80, 3), (80, 80, 3), (128, 128, 3)], strict=True)
    )


def test_no_face(analyser: FaceAnalyser) -> None:
    assert analyser.analyse(photos.no_face(), PLAIN).faces == ()


def test_damaged_file(analyser: FaceAnalyser) -> None:
    with pytest.raises(ImageUndecodable):
        analyser.analyse(photos.astronaut()[:5000], PLAIN)


def test_a_group_is_ordered_by_size_and_may_be_cut(analyser: FaceAnalyser) -> None:
    group = photos.group([photos.astronaut(), photos.grace_hopper()])
    faces = analyser.analyse(group, PLAIN).faces
    areas = [face.box.area for face in faces]
    assert len(faces) == 2
    assert areas == sorted(areas, reverse=True)
    (largest,) = analyser.analyse(group, DetectOptions(max_faces=1)).faces
    assert largest.box == faces[0].box


def test_never_more_faces_than_the_limit(catalogue: Catalogue, files: ModelFiles) -> None:
    session = open_session(files, catalogue.get("yunet-2023mar"), ONE_THREAD)
    strict = FaceAnalyser(session, DetectorSettings(), Limits(max_faces_per_image=1))
    group = photos.group([photos.astronaut(), photos.grace_hopper()])
    assert len(strict.analyse(group, PLAIN).faces) == 1
    assert len(strict.analyse(group, DetectOptions(max_faces=5)).faces) == 1


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 1), (8, 3)])
def test_turned_by_exif(orientation: int, turns: int, analyser: FaceAnalyser, embed: Embed) -> None:
    upright = photos.decode(photos.astronaut())
    stored = np.rot90(upright[..., ::-1], turns)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(buffer, "JPEG", quality=95, exif=exif.tobytes())
    (face,) = analyser.analyse(buffer.getvalue(), PLAIN).faces
    assert 170 < face.box.x < 190
    assert embed(buffer.getvalue())[0] @ embed(photos.astronaut())[0] > 0.98


def test_a_face_keeps_nothing_of_the_picture_alive(collins: DetectedFace) -> None:
    gc.collect()
    for array in (collins.crop, collins.landmarks, *collins.liveness_crops.values()):
        assert array.base is None or array.base.nbytes <= array.nbytes
        assert array.flags["C_CONTIGUOUS"]
    assert len(pickle.dumps(collins)) < 250_000


def test_many_threads_get_the_same_answer(analyser: FaceAnalyser) -> None:
    images = [photos.astronaut(), photos.grace_hopper(), photos.no_face()] * 6
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: analyser.analyse(image, PLAIN), images))
    alone = [analyser.analyse(image, PLAIN) for image in images[:3]] * 6
    for found, expected in zip(together, alone, strict=True):
        assert [face.box for face in found.faces] == [face.box for face in expected.faces]
        for a, b in zip(found.faces, expected.faces, strict=True):
            np.testing.assert_array_equal(a.crop, b.crop)


@pytest.mark.parametrize(("scale", "turns"), [(6, 0), (6, 1), (12, 0), (12, 1)])
def test_a_huge_jpeg_is_decoded_smaller_and_says_the_same(
    scale: int, turns: int, analyser: FaceAnalyser, embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """512 pixels enlarged: 3072 are decoded at a half, 6144 at a quarter, also if they are turned by EXIF."""
    decoded: list[tuple[int, int]] = []
    decode = cv2.imdecode

    def noted(data: Any, mode: int) -> Any:
        pixels = decode(data, mode)
        decoded.append(pixels.shape[:2])
        return pixels

    small = photos.decode(photos.astronaut())
    upright = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[: 500 * scale]
    exif = Image.Exif()
    exif[0x0112] = 6 if turns else 1
    buffer = io.BytesIO()
    stored = np.ascontiguousarray(np.rot90(upright[..., ::-1], turns))
    Image.fromarray(stored).save(buffer, "JPEG", quality=90, exif=exif.tobytes())
    monkeypatch.setattr(cv2, "imdecode", noted)
    found = analyser.analyse(buffer.getvalue(), PLAIN)
    assert [max(shape) for shape in decoded] == [1536], "no more pixels than are needed"
    assert (found.image.width, found.image.height) == (512 * scale, 500 * scale)
    whole = analyser.analyse(buffer.getvalue(), DetectOptions(liveness=True))
    assert max(decoded[-1]) == 512 * scale, "liveness looks at all pixels"
    for reduced, face in zip(found.faces, whole.faces, strict=True):
        np.testing.assert_allclose(reduced.landmarks, face.landmarks, atol=4 * scale)
    assert embed(buffer.getvalue())[0] @ embed(photos.astronaut())[0] > 0.97


def test_small_faces_of_a_huge_jpeg_are_cut_from_all_its_pixels(analyser: FaceAnalyser) -> None:
    canvas = np.full((2560, 3000, 3), 128, np.uint8)
    canvas[1000:1512, 1000:1512] = photos.decode(photos.astronaut())
    (reduced,) = analyser.analyse(encode_jpeg(canvas), PLAIN).faces
    (whole,) = analyser.analyse(encode_jpeg(canvas), DetectOptions(liveness=True)).faces
    assert np.abs(reduced.crop.astype(float) - whole.crop.astype(float)).mean() < 6
