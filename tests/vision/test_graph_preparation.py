"""Prepared graphs compute the same as the published ones."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from serve_app.domain import DetectedFace
from serve_app.vision.catalogue import Catalogue, ModelEntry
from serve_app.vision.graph_preparation import Target, prepare
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.tensors import to_tensor
from tests import photos
from tests.vision.graphs import Array, run

MODELS = ("yunet-2023mar", "sface-2021dec", "fr-feature", "minifasnet-v2", "minifasnet-v1se", "fr-liveness")


def original(entry: ModelEntry, files: ModelFiles, batch: Array) -> list[Array]:
    """What the published file computes, one picture at a time, as it was exported."""
    proto = onnx.load(files.locate(entry))
    if "DequantizeLinear" not in {node.op_type for node in proto.graph.node}:
        runs = [run(proto.SerializeToString(), image[None]) for image in batch]
    else:
        # onnxruntime refuses both files with quantised weights; onnx's own reference implementation runs them. SFace
        # also lists its weights as inputs, for which it would ask.
        (real,) = [value for value in proto.graph.input if value.name in ("data", "input")]
        del proto.graph.input[:]
        proto.graph.input.extend([real])
        evaluator = ReferenceEvaluator(proto)
        runs = [evaluator.run(None, {real.name: image[None]}) for image in batch]
    return [np.concatenate(outputs) for outputs in zip(*runs, strict=True)]


def real_input(entry: ModelEntry, collins: DetectedFace) -> Array:
    """Two different real pictures in the entry's own size; small ones for a detector, which takes any."""
    if entry.task == "detector":
        pictures = [photos.decode(photo) for photo in (photos.astronaut(), photos.grace_hopper())]
    else:
        crop = collins.liveness_crops[entry.id] if entry.task == "liveness" else collins.crop
        pictures = [crop, cv2.flip(crop, 1)]
    size = (160, 192) if entry.task == "detector" else (entry.input.width, entry.input.height)
    return to_tensor(np.stack([cv2.resize(picture, size) for picture in pictures]), entry.input)


@pytest.mark.parametrize("target", ["cpu", "cuda"])
@pytest.mark.parametrize("model", MODELS)
def test_prepared_and_published_graphs_agree(
    model: str, target: Target, have: Callable[[str], ModelEntry], files: ModelFiles, collins: DetectedFace
) -> None:
    entry = have(model)
    batch = real_input(entry, collins)
    expected = original(entry, files, batch)
    found = run(files.prepared(entry, target).read_bytes(), batch)
    assert len(found) == len(expected)
    if (model, target) == ("sface-2021dec", "cpu"):  # the input of its last product is rounded to 8 bits
        assert cosines(found[0], expected[0]).min() > 0.99999
        return
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def cosines(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


@pytest.mark.parametrize(
    ("model", "weight"),
    [("sface-2021dec", "conv_5_conv2d_weight"), ("yunet-2023mar", "bbox_head.multi_level_kps.2.conv2.weight")],
)
def test_unpacked_weights_by_hand(model: str, weight: str, catalogue: Catalogue, files: ModelFiles) -> None:
    entry = catalogue.get(model)
    published = {t.name: numpy_helper.to_array(t) for t in onnx.load(files.locate(entry)).graph.initializer}
    packed = published[f"{weight}_quantized"].astype(np.float32)
    scales, zeros = published[f"{weight}_scales"], published[f"{weight}_zero_point"].astype(np.float32)
    block = packed.shape[1] // scales.shape[1]
    unpacked = (packed - np.repeat(zeros, block, 1)) * np.repeat(scales, block, 1)
    prepared = {t.name: numpy_helper.to_array(t) for t in onnx.load(files.prepared(entry, "cpu")).graph.initializer}
    np.testing.assert_array_equal(prepared[f"{weight}_reshaped"].reshape(unpacked.shape), unpacked)


def test_the_cpu_s_graphs_have_no_prelu_and_one_input(have: Callable[[str], ModelEntry], files: ModelFiles) -> None:
    for model in ("yunet-2023mar", "sface-2021dec"):
        graph = onnx.load(files.prepared(have(model), "cpu")).graph
        assert not {node.op_type for node in graph.node} & {"PRelu", "DequantizeLinear"}
        assert len(graph.input) == 1


def test_yunet_takes_any_multiple_of_32(catalogue: Catalogue, files: ModelFiles) -> None:
    graph = files.prepared(catalogue.get("yunet-2023mar"), "cpu").read_bytes()
    for count, height, width in ((1, 32, 640), (3, 96, 160)):
        outputs = run(graph, np.zeros((count, 3, height, width), np.float32))
        assert outputs[0].shape == (count, height // 8 * width // 8, 1)
        assert outputs[-1].shape == (count, height // 32 * width // 32, 10)


def test_half_precision_is_close(catalogue: Catalogue, files: ModelFiles, collins: DetectedFace) -> None:
    entry = catalogue.get("sface-2021dec")
    batch = real_input(entry, collins)
    (half,) = run(files.prepared(entry, "cuda", fp16=True).read_bytes(), batch)
    (full,) = run(files.prepared(entry, "cpu").read_bytes(), batch)
    assert half.dtype == np.float32
    assert cosines(half, full).min() > 0.9999


def test_half_precision_is_for_cuda() -> None:
    with pytest.raises(ValueError, match="fp16 is for the target 'cuda'"):
        prepare(b"", "embedder", "cpu", fp16=True)


def test_a_graph_of_two_inputs_is_refused() -> None:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 4, 4]) for n in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "g", values[:2], values[2:])
    with pytest.raises(ValueError, match=r"one input, got \['a', 'b'\]"):
        prepare(helper.make_model(graph).SerializeToString(), "embedder", "cpu")
