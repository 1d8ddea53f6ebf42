"""The embedder: its interface with a fake model, its results on real photographs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serve_app.domain import DetectedFace
from serve_app.errors import ConfigurationError
from serve_app.vision.align import REFERENCE, placement
from serve_app.vision.catalogue import AlignmentSpec, Catalogue, InputSpec
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session
from serve_app.vision.tensors import resize, to_tensor
from tests import photos
from tests.fakes.onnx_session import FakeSession
from tests.vision.conftest import ONE_THREAD, Embed, Have


@pytest.mark.parametrize("person", ["Tony_Blair", "Serena_Williams", "Colin_Powell", "Jennifer_Capriati"])
def test_the_same_person_scores_higher_than_another(person: str, embed: Embed, catalogue: Catalogue) -> None:
    probe, own = embed(photos.lfw(person, 0))[0], embed(photos.lfw(person, 1))[0]
    others = [embed(photo)[0] for photo in (photos.astronaut(), photos.grace_hopper(), photos.lfw("Hugo_Chavez", 0))]
    score = catalogue.get("sface-2021dec").calibration().score
    assert score(float(probe @ own)) > 0.7 > max(score(float(probe @ other)) for other in others)


def test_a_changed_picture_keeps_its_person(embed: Embed, catalogue: Catalogue) -> None:
    score = catalogue.get("sface-2021dec").calibration().score
    for photo in (photos.astronaut(), photos.grace_hopper()):
        assert score(float(embed(photo)[0] @ embed(photos.variant(photo))[0])) > 0.8
    assert score(float(embed(photos.astronaut())[0] @ embed(photos.grace_hopper())[0])) < 0.65


def test_templates_do_not_depend_on_the_batch(embedder: FaceEmbedder, collins: DetectedFace) -> None:
    crops = np.stack([collins.crop, cv2.flip(collins.crop, 1), np.zeros_like(collins.crop)])
    batch = embedder.embed(crops)
    assert (batch.shape, batch.dtype) == ((3, 128), np.float32)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(batch, np.vstack([embedder.embed(crop[None]) for crop in crops]), atol=1e-5)


def test_no_crops(embedder: FaceEmbedder) -> None:
    assert embedder.embed(np.empty((0, 112, 112, 3), np.uint8)).shape == (0, 128)


@pytest.mark.parametrize("crops", [np.zeros((1, 112, 112, 3), np.float32), np.zeros((1, 96, 112, 3), np.uint8)])
def test_other_crops_are_refused(crops: np.ndarray, embedder: FaceEmbedder) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 crops of shape \(n, 112, 112, 3\)"):
        embedder.embed(crops)


def test_a_graph_of_another_dimension(catalogue: Catalogue) -> None:
    wrong = FakeSession(lambda batch: [np.ones((len(batch), 512), np.float32)])
    with pytest.raises(ConfigurationError, match="expected templates of dimension 128"):
        FaceEmbedder(wrong, catalogue.get("sface-2021dec")).embed(np.zeros((2, 112, 112, 3), np.uint8))


def test_a_model_may_want_another_size_and_the_landmarks_elsewhere(catalogue: Catalogue, collins: DetectedFace) -> None:
    shipped = catalogue.get("sface-2021dec")
    doubled = AlignmentSpec(landmarks=(REFERENCE * 2).tolist())
    wide = shipped.model_copy(update={"input": InputSpec(width=224, height=240, channels="BGR"), "alignment": doubled})
    seen = []

    def graph(batch: np.ndarray) -> list[np.ndarray]:
        seen.append(batch)
        return [np.ones((len(batch), 128), np.float32)]

    FaceEmbedder(FakeSession(graph), wide).embed(collins.crop[None])
    (tensor,) = seen
    assert tensor.shape == (1, 3, 240, 224)
    assert not tensor[0, :, 226:].any(), "the crop ends there"
    shrunk = cv2.resize(tensor[0].transpose(1, 2, 0)[:224], (112, 112), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk[2:-2, 2:-2] - collins.crop[2:-2, 2:-2]).mean() < 4
    assert placement(REFERENCE.tolist(), 112, 112) is None, "the shipped places need no warp"


def test_the_second_embedder_knows_people_too(have: Have, files: ModelFiles, collins: DetectedFace) -> None:
    entry = have("fr-feature")
    model = FaceEmbedder(open_session(files, entry, ONE_THREAD), entry)
    score = entry.calibration().score
    (own,) = model.embed(collins.crop[None])
    blurred = cv2.GaussianBlur(collins.crop, (3, 3), 0)
    assert own.shape == (512,)
    assert score(float(own @ model.embed(blurred[None])[0])) > 0.85
    assert score(float(own @ model.embed(cv2.flip(collins.crop, 0)[None])[0])) < 0.7


def test_a_detector_is_no_embedder(catalogue: Catalogue) -> None:
    with pytest.raises(ConfigurationError, match="is a detector, not an embedder"):
        FaceEmbedder(FakeSession(lambda batch: [batch]), catalogue.get("yunet-2023mar"))


@given(st.sampled_from(["BGR", "RGB"]), st.integers(0, 3), st.floats(0.001, 2))
def test_tensor_layout(channels: str, count: int, scale: float) -> None:
    mean = (1.0, 20.0, 300.0)
    spec = InputSpec(width=4, height=2, channels=channels, mean=mean, scale=scale)  # type: ignore[arg-type]
    images = np.random.default_rng(count).integers(0, 256, (count, 2, 4, 3), np.uint8)
    tensor = to_tensor(images, spec)
    assert (tensor.dtype, tensor.shape) == (np.float32, (count, 3, 2, 4))
    assert tensor.flags["C_CONTIGUOUS"]
    ordered = images[..., ::-1] if channels == "RGB" else images
    expected = ((ordered.astype(np.float64) - mean) * scale).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(tensor, expected, rtol=1e-5, atol=1e-5)


def test_shrinking_averages() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1201, 1601, 3), np.uint8)
    assert resize(noise, 160, 120).std() < 0.3 * cv2.resize(noise, (160, 120)).std()
    assert resize(noise, 1601, 1201) is noise
    assert resize(noise, 700, 1300).shape == (1300, 700, 3)


@given(st.integers(20, 700), st.integers(20, 700), st.integers(1, 300), st.integers(1, 300))
@example(511, 511, 15, 15)
def test_resize_moves_nothing_by_more_than_a_pixel_of_the_result(
    width: int, height: int, new_width: int, new_height: int
) -> None:
    ramp = np.zeros((height, width, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, width)
    ramp[..., 1] = np.linspace(0, 255, height)[:, None]
    small = resize(ramp, new_width, new_height)
    assert small.shape == (new_height, new_width, 3)
    across, down = small[new_height // 2, :, 0].astype(int), small[:, new_width // 2, 1].astype(int)
    for line, length, before in ((across, new_width, width), (down, new_height, height)):
        centres = np.clip((np.arange(length) + 0.5) * before / length - 0.5, 0, before - 1)  # in pixels of the ramp
        pixel = max(before / length, 1) * 255 / (before - 1)
        assert np.abs(line - centres * 255 / (before - 1)).max() < pixel + 3


def test_a_mirrored_template_does_not_tell_left_from_right(
    embedder: FaceEmbedder, collins: DetectedFace, catalogue: Catalogue
) -> None:
    entry = catalogue.get("sface-2021dec").model_copy(update={"mirrored": True})
    mirrored = FaceEmbedder(embedder._session, entry)
    both = np.stack([collins.crop, cv2.flip(collins.crop, 1)])
    templates = mirrored.embed(both)
    np.testing.assert_allclose(np.linalg.norm(templates, axis=1), 1, atol=1e-6)
    assert templates[0] @ templates[1] == pytest.approx(1, abs=1e-5)
    plain = embedder.embed(both)
    assert plain[0] @ plain[1] < 0.999
    np.testing.assert_allclose(templates[0], plain.sum(axis=0) / np.linalg.norm(plain.sum(axis=0)), atol=1e-5)
