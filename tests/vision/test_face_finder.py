"""The detection policy: turned faces, and the same faces for every operation, whatever a picture's size and shape."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage import data as skimage_data

from serve_app.domain import DetectedFace, DetectOptions, Pixels, QualityCode
from serve_app.settings import DetectorSettings, Limits
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.face_finder import FaceFinder, FoundFace
from serve_app.vision.image import encode_jpeg
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session
from serve_app.vision.quarter_turns import boxes_in_picture, points_in_picture
from serve_app.vision.yunet import YuNet
from tests import photos
from tests.vision.conftest import ONE_THREAD
from tests.vision.test_yunet import Planted, fake

TURNED = (90, 180, 270)

OPERATIONS = {
    "search, verify, compare, embed": DetectOptions(max_faces=1),
    "enrol, liveness": DetectOptions(),
    "enrol with liveness": DetectOptions(liveness=True),
    "detect": DetectOptions(every=True),
    "search for all": DetectOptions(max_faces=100, every=True),
}
"""The options with which operations detect."""


def turned_picture(photo: bytes, degrees: int) -> bytes:
    """The photograph turned clockwise."""
    return encode_jpeg(np.ascontiguousarray(np.rot90(photos.decode(photo), -degrees // 90)))


def found_in(detector: YuNet, pixels: Pixels, face: FoundFace) -> FoundFace:
    return FaceFinder(detector, DetectorSettings().nms_iou).read_again(pixels, face)


def face_at(box: tuple[float, ...], landmarks: NDArray[np.float32]) -> FoundFace:
    return FoundFace(np.array(box, np.float32), landmarks, landmarks, 0.9, 0, 0.0)


CENTRAL = (8, 16, 16, 0.9)
"""Its box is about (128, 128), its landmarks are at (132, 132)."""


@pytest.mark.parametrize(
    ("close_up", "expected", "clarity"),
    [
        ([CENTRAL], 131.0, (0.9 + 2 * 0.9**0.5) / 3),  # the reading given and those of two close-ups
        ([(8, 28, 28, 0.99), CENTRAL], 131.0, (0.9 + 2 * 0.9**0.5) / 3),  # a neighbour does not matter, however sure
        ([(8, 2, 2, 0.9)], 129.0, 0.3),  # nothing but a neighbour
        ([], 129.0, 0.3),
    ],
)
def test_landmarks_are_read_again(close_up: Planted, expected: float, clarity: float) -> None:
    detector = YuNet(fake(close_up, log_size=2.5), DetectorSettings())
    box = (48, 48, 160, 160)  # its close-ups have the picture's scale and begin in its corner
    face = found_in(detector, np.zeros((400, 500, 3), np.uint8), face_at(box, np.full((5, 2), 129, np.float32)))
    np.testing.assert_allclose(face.landmarks, np.full((5, 2), expected))
    assert face.clarity == pytest.approx(clarity)


@pytest.mark.parametrize(
    "box", [(-500, -500, 20, 20), (990, 0, 20, 20), (0, 0, 1e9, 1e9), (5, 5, 0, 0), (-30, -20, 100, 90)]
)
def test_close_ups_of_boxes_beyond_the_picture(box: tuple[float, ...], analyser: FaceAnalyser) -> None:
    landmarks = np.arange(10, dtype=np.float32).reshape(5, 2)
    face = analyser.finder.read_again(np.zeros((100, 200, 3), np.uint8), face_at(box, landmarks))
    np.testing.assert_array_equal(face.landmarks, landmarks)


@pytest.mark.parametrize("options", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("degrees", TURNED)
@pytest.mark.parametrize("photo", [photos.astronaut, photos.grace_hopper])
def test_a_turned_face_is_found_as_if_upright(
    photo: Callable[[], bytes], degrees: int, options: DetectOptions, analyser: FaceAnalyser, embedder: FaceEmbedder
) -> None:
    upright = analyser.analyse(photo(), options)
    turned = analyser.analyse(turned_picture(photo(), degrees), options)
    (expected,), (face,) = upright.faces, turned.faces
    size = (turned.image.width, turned.image.height)
    box, wanted = (np.array([f.box.x, f.box.y, f.box.width, f.box.height]) for f in (face, expected))
    assert (expected.turned, face.turned) == (0, degrees)
    np.testing.assert_allclose(box, boxes_in_picture(wanted, degrees, *size), atol=2)
    wanted_landmarks = points_in_picture(expected.landmarks, degrees, *size)
    np.testing.assert_allclose(face.landmarks, wanted_landmarks, atol=0.06 * expected.box.width)
    a, b = embedder.embed(np.stack([face.crop, expected.crop]))
    assert a @ b > 0.95
    for model, crop in expected.liveness_crops.items():
        assert np.abs(face.liveness_crops[model].astype(float) - crop).mean() < 12  # 40 and more in other directions


@pytest.mark.parametrize("degrees", TURNED)
def test_quality_is_that_of_the_upright_face_and_roll_is_the_picture_s(degrees: int, analyser: FaceAnalyser) -> None:
    (expected,) = analyser.analyse(photos.astronaut(), DetectOptions(1)).faces
    (face,) = analyser.analyse(turned_picture(photos.astronaut(), degrees), DetectOptions(1)).faces
    assert face.quality.value == pytest.approx(expected.quality.value, abs=0.05)
    assert face.quality.codes == expected.quality.codes
    assert QualityCode.FACE_ANGLE_TOO_LARGE not in face.quality.codes
    roll = (face.quality.roll - expected.quality.roll - degrees + 180) % 360 - 180
    assert abs(roll) < 4
    assert -180 <= face.quality.roll < 180


@pytest.mark.parametrize("degrees", TURNED)
def test_liveness_crops_are_the_same_when_cut_later(degrees: int, analyser: FaceAnalyser) -> None:
    picture = turned_picture(photos.astronaut(), degrees)
    (face,) = analyser.analyse(picture, DetectOptions(liveness=True)).faces
    (later,) = analyser.liveness_crops(picture, [(face.box, face.turned)])
    assert face.liveness_crops.keys() == later.keys()
    for model, crop in later.items():
        np.testing.assert_array_equal(crop, face.liveness_crops[model])


def test_turned_is_seen_after_the_exif_orientation(analyser: FaceAnalyser) -> None:
    """The file says that it must be turned clockwise by 90 degrees, and that is wrong."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(photos.decode(photos.grace_hopper())[..., ::-1]).save(buffer, "JPEG", exif=exif.tobytes())
    detection = analyser.analyse(buffer.getvalue(), DetectOptions(1))
    (face,) = detection.faces
    assert (detection.image.width, detection.image.height) == (600, 512)
    assert face.turned == 90
    right_eye, left_eye = face.landmarks[:2]
    assert left_eye[1] > right_eye[1] + 20  # in the picture as it is shown, the left eye is below the right one


def test_each_face_of_a_collage_has_its_own_direction(analyser: FaceAnalyser) -> None:
    portrait = cv2.resize(photos.decode(photos.astronaut()), (400, 400), interpolation=cv2.INTER_AREA)
    collage = encode_jpeg(np.hstack([np.rot90(portrait, -turns) for turns in range(4)]))
    faces = sorted(analyser.analyse(collage, DetectOptions(every=True)).faces, key=lambda face: face.box.x)
    assert [face.turned for face in faces] == [0, 90, 180, 270]


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_tilted_head_is_upright(degrees: int, analyser: FaceAnalyser) -> None:
    pixels = photos.decode(photos.astronaut())
    tilt = cv2.getRotationMatrix2D((226, 110), -degrees, 1)
    tilted = encode_jpeg(cv2.warpAffine(pixels, tilt, (512, 512), borderMode=cv2.BORDER_REPLICATE))
    (face,) = analyser.analyse(tilted, DetectOptions(1)).faces
    assert face.turned == 0


def test_a_picture_without_a_face_has_none_in_any_direction(analyser: FaceAnalyser) -> None:
    seen: list[int] = []
    detect = analyser.finder.detector.detect

    class Watched(YuNet):
        def __init__(self) -> None:
            self._side = analyser.finder.detector.input_side

        def detect(self, pixels: Pixels, **how: int) -> object:  # type: ignore[override]
            seen.append(how.get("turned", 0))
            return detect(pixels, **how)

    pixels = photos.decode(photos.no_face())
    assert FaceFinder(Watched(), 0.3).every(pixels) == ([], 0)
    assert seen == [0, 90, 270, 180]


def test_an_upside_down_cat_is_no_face(analyser: FaceAnalyser) -> None:
    """A part of it looks like a face that stands on its head, but not clearly."""
    assert (
        analyser.analyse(encode_jpeg(skimage_data.chelsea()[..., ::-1].copy()), DetectOptions(every=True)).faces == ()
    )


def test_faces_beyond_the_limit_are_counted(catalogue: Catalogue, files: ModelFiles, analyser: FaceAnalyser) -> None:
    session = open_session(files, catalogue.get("yunet-2023mar"), ONE_THREAD)
    strict = FaceAnalyser(session, DetectorSettings(), Limits(max_faces_per_image=2))
    row = photos.group([photos.astronaut()] * 3)
    for options, left_out in [
        (DetectOptions(every=True), 1),
        (DetectOptions(max_faces=5, every=True), 1),
        (DetectOptions(max_faces=1, every=True), 0),  # the caller's wish
    ]:
        assert strict.analyse(row, options).left_out == left_out
    assert analyser.analyse(row, DetectOptions(every=True)).left_out == 0


# -- one policy


def composed(size: tuple[int, int], width: int, x: float, y: float) -> Pixels:
    """A picture, width by height, with the astronaut's face of ``width`` pixels; ``x`` and ``y``, 0 to 1, place it."""
    portrait = photos.decode(photos.astronaut())
    scale = width / 93  # the face's width on the photograph
    side = round(512 * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    head = cv2.resize(portrait, (side, side), interpolation=how)[: round(250 * scale), round(100 * scale) :]
    head = head[:, : round(250 * scale)][: size[1], : size[0]]
    canvas = np.full((size[1], size[0], 3), 110, np.uint8)
    left, top = round(x * (size[0] - head.shape[1])), round(y * (size[1] - head.shape[0]))
    canvas[top : top + head.shape[0], left : left + head.shape[1]] = head
    return canvas


def agreed(analyser: FaceAnalyser, picture: bytes) -> DetectedFace | None:
    """The largest face, about which all operations must agree; None if all see nobody."""
    largest = [next(iter(analyser.analyse(picture, options).faces), None) for options in OPERATIONS.values()]
    assert len({face is None for face in largest}) == 1, dict(zip(OPERATIONS, largest, strict=True))
    first, *others = [face for face in largest if face is not None] or [None]
    for other in others:
        assert first is not None
        assert other is not None
        tolerance = 0.15 * first.box.width + 2
        assert abs(first.box.x - other.box.x) < tolerance
        assert abs(first.box.y - other.box.y) < tolerance
        assert abs(first.box.width - other.box.width) < tolerance
        assert first.turned == other.turned
    return first


@given(
    shape=st.floats(0.2, 5),
    pixels=st.integers(60_000, 1_200_000),
    share=st.floats(0, 1),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    turns=st.integers(0, 3),
)
@settings(max_examples=10, deadline=None)
def test_all_operations_see_the_same_face(
    analyser: FaceAnalyser, shape: float, pixels: int, share: float, place: tuple[float, float], turns: int
) -> None:
    """From a face of 24 pixels to one that fills the picture."""
    size = max(32, round((pixels * shape) ** 0.5)), max(32, round((pixels / shape) ** 0.5))
    largest = min(size) / 1.4
    width = round(24 * (max(largest, 24) / 24) ** share)
    picture = np.ascontiguousarray(np.rot90(composed(size, width, *place), -turns))
    face = agreed(analyser, encode_jpeg(picture))
    assert face is not None
    assert face.turned == 90 * turns
    assert face.box.width == pytest.approx(width, rel=0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "width"),
    [((4000, 3000), 54), ((6000, 2000), 68), ((8000, 1200), 64), ((12000, 2000), 64), ((1080, 12000), 112)],
)
def test_all_operations_see_a_small_face_in_a_large_picture(
    size: tuple[int, int], width: int, analyser: FaceAnalyser
) -> None:
    face = agreed(analyser, encode_jpeg(composed(size, width, 0.6, 0.4)))
    assert face is not None
    assert face.box.width == pytest.approx(width, rel=0.3)
