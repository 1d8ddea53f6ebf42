"""Prepared graphs compute what the published ones do."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from serve_app.domain import DetectedFace
from serve_app.vision.catalogue import Catalogue, ModelEntry
from serve_app.vision.files import ModelFiles
from serve_app.vision.prepare import Target, prepare
from serve_app.vision.tensors import to_tensor
from tests import photos

Array = NDArray[np.float32]
MODELS = ("yunet-2023mar", "sface-2021dec", "fr-feature", "minifasnet-v2", "minifasnet-v1se", "fr-liveness")


def run(graph: bytes, batch: Array) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    outputs: list[Array] = session.run(None, {session.get_inputs()[0].name: batch})
    return outputs


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
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


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
    cosines = (half * full).sum(1) / np.linalg.norm(half, axis=1) / np.linalg.norm(full, axis=1)
    assert cosines.min() > 0.9999


def test_half_precision_is_for_cuda() -> None:
    with pytest.raises(ValueError, match="fp16 is for the target 'cuda'"):
        prepare(b"", "embedder", "cpu", fp16=True)


def prelu_graph(slope: Array, readers: dict[str, int] | None = None) -> onnx.ModelProto:
    """A PRelu of four channels, whose result is the output, or is read by a convolution of each name and groups."""
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("PRelu", ["x", "slope"], ["y"])]
    initialisers = [numpy_helper.from_array(slope, "slope")]
    for reader, groups in (readers or {}).items():
        weight = rng.normal(0, 1, (8, 4 // groups, 3, 3)).astype(np.float32)
        initialisers.append(numpy_helper.from_array(weight, f"{reader}_weight"))
        nodes.append(helper.make_node("Conv", ["y", f"{reader}_weight"], [reader], group=groups, pads=[1, 1, 1, 1]))
    shapes = {"x": [1, 4, 5, 6], **({reader: [1, 8, 5, 6] for reader in readers} if readers else {"y": [1, 4, 5, 6]})}
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in shapes.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def operators(graph: bytes) -> set[str]:
    return {node.op_type for node in onnx.load_model_from_string(graph).graph.node}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-2, 2), st.sampled_from([(1,), (2,), (4,), (1, 4)]))
def test_the_rewritten_prelu_is_a_prelu(seed: int, offset: float, groups: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    slope = (rng.normal(0, 1, (4, 1, 1)) + offset).astype(np.float32)
    published = prelu_graph(slope, {f"reader_{count}": count for count in groups}).SerializeToString()
    prepared = prepare(published, "embedder", "cpu")
    assert "PRelu" not in operators(prepared)
    batch = rng.normal(0, 3, (2, 4, 5, 6)).astype(np.float32)
    expected = [np.concatenate(parts) for parts in zip(*(run(published, one[None]) for one in batch), strict=True)]
    for a, b in zip(run(prepared, batch), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_prelu_whose_result_is_the_output() -> None:
    gentle, steep = (np.array(slope, np.float32).reshape(4, 1, 1) for slope in ([-2, 0, 0.5, 1], [-2, 0, 0.5, 1.5]))
    batch = np.random.default_rng(0).normal(0, 3, (2, 4, 5, 6)).astype(np.float32)
    for slope, kept in ((gentle, False), (steep, True)):  # a steep channel is computed negated; nobody undoes that here
        prepared = prepare(prelu_graph(slope).SerializeToString(), "embedder", "cpu")
        assert ("PRelu" in operators(prepared)) == kept
        np.testing.assert_allclose(run(prepared, batch)[0], np.where(batch > 0, batch, slope * batch), atol=1e-5)


def test_a_steep_prelu_is_left_alone_where_more_than_convolutions_read_it() -> None:
    slope = np.full((4, 1, 1), 1.5, np.float32)
    added = prelu_graph(slope, {"reader": 1})
    added.graph.node.append(helper.make_node("Relu", ["y"], ["other"]))
    shared = prelu_graph(slope, {"reader": 1})
    shared.graph.node.append(helper.make_node("Conv", ["x", "reader_weight"], ["other"], pads=[1, 1, 1, 1]))
    for model in (added, shared):
        assert "PRelu" in operators(prepare(model.SerializeToString(), "embedder", "cpu"))


@pytest.mark.parametrize("shape", [(1,), (1, 1, 6), (4, 5, 6)])
def test_other_slopes_are_left_alone(shape: tuple[int, ...]) -> None:
    slope = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    prepared = prepare(prelu_graph(slope).SerializeToString(), "embedder", "cpu")
    assert [node.op_type for node in onnx.load_model_from_string(prepared).graph.node] == ["PRelu"]


def test_a_graph_of_two_inputs_is_refused() -> None:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 4, 4]) for n in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "g", values[:2], values[2:])
    with pytest.raises(ValueError, match=r"one input, got \['a', 'b'\]"):
        prepare(helper.make_model(graph).SerializeToString(), "embedder", "cpu")
