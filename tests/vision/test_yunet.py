"""The detector: decoding, overlap, scales, and agreement with an independent implementation."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data as skimage_data

from serve_app.errors import ConfigurationError
from serve_app.settings import DetectorSettings
from serve_app.vision import yunet
from serve_app.vision.catalogue import ModelEntry
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.yunet import STRIDES, RawFaces, YuNet, _merged
from tests import photos
from tests.fakes.onnx_session import FakeSession

NAMES = tuple(f"{head}_{stride}" for head in ("cls", "obj", "bbox", "kps") for stride in STRIDES)
CHANNELS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}

FIRST_LOOK = DetectorSettings(input_side=640)

Planted = list[tuple[int, int, int, float]]  # stride, row, column, score


def fake(planted: Planted, seen: list[tuple[int, ...]] | None = None, log_size: float = 1.0) -> FakeSession:
    """A YuNet that claims faces in these cells, boxes of e^log_size cells about the cell's corner."""

    def run(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        if seen is not None:
            seen.append(batch.shape)
        outputs = []
        for name in NAMES:
            head, stride = name.split("_")[0], int(name.split("_")[1])
            rows, columns = batch.shape[2] // stride, batch.shape[3] // stride
            output = np.zeros((1, rows, columns, CHANNELS[head]), np.float32)
            for at, row, column, score in planted:
                if at == stride and row < rows and column < columns:
                    value = score if head == "cls" else 1.0 if head == "obj" else log_size if head == "bbox" else 0.5
                    output[0, row, column] = value
                    if head == "bbox":
                        output[0, row, column, :2] = 0
            outputs.append(output.reshape(1, rows * columns, -1))
        return outputs

    return FakeSession(run, NAMES)


def detect(planted: Planted, shape: tuple[int, int] = (480, 640), **settings: float) -> RawFaces:
    """What the first look sees, before doubtful faces are looked at alone."""
    return YuNet(fake(planted), FIRST_LOOK.model_copy(update=settings)).look(np.zeros((*shape, 3), np.uint8), 640)


def test_decoding_by_hand() -> None:
    faces = detect([(16, 10, 20, 0.81)])
    size = np.e * 16
    np.testing.assert_allclose(faces.boxes, [[20 * 16 - size / 2, 10 * 16 - size / 2, size, size]], rtol=1e-5)
    np.testing.assert_allclose(faces.landmarks, np.full((1, 5, 2), (328, 168)))
    np.testing.assert_allclose(faces.scores, [0.9])


def test_coordinates_are_those_of_the_picture() -> None:
    faces = detect([(16, 10, 20, 0.81)], shape=(960, 1280))
    np.testing.assert_allclose(faces.landmarks, np.full((1, 5, 2), (656, 336)))
    np.testing.assert_allclose(faces.boxes[0, 2:], 2 * np.e * 16, rtol=1e-5)


def test_low_scores_are_dropped() -> None:
    planted = [(16, 10, 20, 0.35), (16, 20, 5, 0.37)]  # the square roots are .592 and .608
    assert len(detect(planted)) == 1
    assert len(detect(planted, min_score=0.5)) == 2


def test_of_overlapping_faces_the_best_is_kept() -> None:
    faces = detect([(16, 10, 20, 0.5), (16, 10, 21, 0.9), (8, 50, 10, 0.7)])
    np.testing.assert_allclose(faces.scores**2, [0.9, 0.7], rtol=1e-5)


cells = st.tuples(st.sampled_from(STRIDES), st.integers(0, 14), st.integers(0, 19), st.floats(0.4, 1))


@given(st.lists(cells, min_size=1, max_size=25))
def test_kept_boxes_do_not_overlap_and_dropped_ones_do(planted: Planted) -> None:
    everything = detect(planted, nms_iou=0.999)
    kept = detect(planted)

    def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        x, y = np.maximum(a[:2], b[:2])
        right, bottom = np.minimum(a[:2] + a[2:], b[:2] + b[2:])
        common = max(0.0, float(right - x)) * max(0.0, float(bottom - y))
        return common / float(a[2] * a[3] + b[2] * b[3] - common)

    assert list(kept.scores) == sorted(kept.scores, reverse=True)
    for i, box in enumerate(kept.boxes):
        assert all(overlap(box, other) <= 0.3 + 1e-4 for other in kept.boxes[:i])
    for box, score in zip(everything.boxes, everything.scores, strict=True):
        assert any(overlap(box, k) >= 0.3 - 1e-4 and s >= score for k, s in zip(kept.boxes, kept.scores, strict=True))


@pytest.mark.parametrize(
    ("shape", "inputs"),
    [
        ((480, 640), [(480, 640), (256, 320)]),  # nothing found: half the size
        ((100, 640), [(128, 640), (64, 320)]),
        ((3000, 4000), [(480, 640), (256, 320)]),
        ((4000, 10), [(640, 32), (320, 32)]),
    ],
)
def test_input_sizes(shape: tuple[int, int], inputs: list[tuple[int, int]]) -> None:
    seen: list[tuple[int, ...]] = []
    YuNet(fake([], seen), FIRST_LOOK).detect(np.zeros((*shape, 3), np.uint8))
    assert [batch[2:] for batch in seen] == inputs
    assert all(batch[:2] == (1, 3) for batch in seen)


def test_huge_sizes_do_not_overflow() -> None:
    faces = YuNet(fake([(32, 3, 3, 0.9)], log_size=1e9), DetectorSettings()).detect(np.zeros((480, 640, 3), np.uint8))
    assert np.isfinite(faces.boxes).all()


def test_another_graph_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not a YuNet: it has no outputs cls_8"):
        YuNet(FakeSession(lambda batch: [batch]), DetectorSettings())


@pytest.mark.parametrize("photo", [photos.astronaut, photos.grace_hopper])
def test_agrees_with_opencv_s_implementation(
    photo: Callable[[], bytes], analyser: FaceAnalyser, files: ModelFiles, have: Callable[[str], ModelEntry]
) -> None:
    pixels = photos.decode(photo())
    height, width = pixels.shape[0] // 32 * 32, pixels.shape[1] // 32 * 32
    scale = DetectorSettings().input_side / max(width, height)
    pixels = cv2.resize(pixels, (round(scale * width) // 32 * 32, round(scale * height) // 32 * 32))
    height, width = pixels.shape[:2]
    path = str(files.locate(have("yunet-2023mar")))
    _, expected = cv2.FaceDetectorYN.create(path, "", (width, height), 0.6, 0.3, 5000).detect(pixels)
    faces = analyser.finder.detector.detect(pixels)
    np.testing.assert_allclose(faces.boxes, expected[:, :4], atol=0.05)
    np.testing.assert_allclose(faces.landmarks.reshape(-1, 10), expected[:, 4:14], atol=0.05)
    np.testing.assert_allclose(faces.scores, expected[:, 14], atol=1e-3)


def test_a_face_that_fills_the_picture(analyser: FaceAnalyser) -> None:
    pixels = photos.decode(photos.astronaut())[55:185, 165:285]
    large = cv2.resize(pixels, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    (box,) = analyser.finder.detector.detect(large).boxes
    assert box[2] > 0.6 * large.shape[1]


@pytest.mark.parametrize(
    ("shape", "inputs"),
    [
        ((480, 640), [(480, 640), (256, 320)]),  # there is nothing smaller to see
        ((960, 1280), [(480, 640), (256, 320), (800, 1088)]),
        ((6000, 8000), [(480, 640), (256, 320), (2912, 2176), (2912, 2176)]),  # as close as it gets, in bands
        ((2000, 12000), [(128, 640), (64, 320), (1376, 4320), (1376, 4320)]),  # of any shape
    ],
)
def test_every_face_takes_a_closer_look(shape: tuple[int, int], inputs: list[tuple[int, int]]) -> None:
    seen: list[tuple[int, ...]] = []
    YuNet(fake([], seen), FIRST_LOOK).detect(np.zeros((*shape, 3), np.uint8), every=True)
    assert [batch[2:] for batch in seen] == inputs


def test_a_closer_look_finds_the_small_faces_beside_large_ones(analyser: FaceAnalyser) -> None:
    portrait = photos.decode(photos.astronaut())
    pixels = np.zeros((1500, 2000, 3), np.uint8)
    pixels[:1200, :1200] = cv2.resize(portrait, (1200, 1200))
    for row in range(3):
        pixels[400 * row : 400 * row + 160, 1600:1760] = cv2.resize(portrait, (160, 160))  # a face of 28 pixels
    first, every = analyser.finder.detector.detect(pixels), analyser.finder.detector.detect(pixels, every=True)
    assert len(first) == 1
    assert len(every) == 4
    # The large face is the first look's.
    assert any(np.array_equal(box, first.boxes[0]) for box in every.boxes)
    assert list(every.scores) == sorted(every.scores, reverse=True)


def boxes_of(*boxes: tuple[float, float, float, float], score: float = 0.9) -> RawFaces:
    count = len(boxes)
    return RawFaces(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.zeros((count, 5, 2), np.float32),
        np.full(count, score, np.float32),
    )


@pytest.mark.parametrize(("score", "shown", "count"), [(0.8, True, 1), (0.8, False, 0), (0.9, False, 1)])
def test_doubtful_faces_are_looked_at_alone(score: float, shown: bool, count: int) -> None:
    """Here a look at a part of the picture sees the same cells, and that is the same face only in its corner."""
    row = 16 if shown else 30
    detector = YuNet(fake([(8, row, row, score**2)], log_size=2.5), FIRST_LOOK)
    assert len(detector.detect(np.zeros((640, 640, 3), np.uint8))) == count


def test_a_face_seen_twice_counts_once() -> None:
    large, small, blurred = (0, 0, 300, 300), (1000, 0, 30, 30), (1003, 2, 32, 30)
    inside, other = (100, 100, 28, 28), (2000, 0, 30, 30)
    merged = _merged(boxes_of(small, inside, other), boxes_of(large, blurred, score=0.95), 100, 0.3)
    assert sorted(map(tuple, merged.boxes.tolist())) == [large, small, other]


def test_galaxies_are_no_faces(analyser: FaceAnalyser) -> None:
    """Two look like it in the closer look."""
    pixels = np.ascontiguousarray(skimage_data.hubble_deep_field()[..., ::-1])
    assert len(analyser.finder.detector.detect(pixels, every=True)) == 0


@pytest.mark.parametrize("shape", [(1120, 640), (640, 1120)])
def test_an_input_in_bands_has_the_outputs_of_the_whole(
    shape: tuple[int, int], analyser: FaceAnalyser, monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait = cv2.resize(photos.decode(photos.astronaut()), (640, 640))
    noise = np.random.default_rng(0).integers(0, 20, (*shape, 3), np.uint8)
    picture = np.tile(portrait, (2, 2, 1))[: shape[0], : shape[1]] // 2 + noise
    detector = analyser.finder.detector
    whole = detector._run(picture)
    monkeypatch.setattr(yunet, "LARGEST_RUN", 640 * 700)
    in_bands = detector._run(picture)
    assert all(np.array_equal(a, b) for a, b in zip(whole, in_bands, strict=True))
