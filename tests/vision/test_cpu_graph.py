"""Nodes rewritten for the CPU compute the same as the original ones."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from serve_app.vision.cpu_graph import keep_packed_products
from serve_app.vision.graph_preparation import prepare
from tests.vision.graphs import Array, operators, run


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


def packed_graph(
    weight: NDArray[np.int8], scales: Array, zeros: NDArray[np.int8], *, one_bias: bool = False, **gemm: int
) -> bytes:
    """A product with a weight that is published in int8 blocks: (rows, columns), and scales for each of its blocks."""
    size = weight.shape[1] // scales.shape[1]
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scales", "zeros"], ["weight"], axis=1, block_size=size),
        helper.make_node("Gemm", ["x", "weight", "bias"], ["y"], **gemm),
    ]
    bias = np.linspace(-1, 1, weight.shape[1 - gemm["transB"]], dtype=np.float32)
    constants = {"w": weight, "scales": scales, "zeros": zeros, "bias": bias[:1] if one_bias else bias}
    shapes = {"x": [1, weight.shape[gemm["transB"]]], "y": [1, len(bias)]}
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in shapes.items()]
    initialisers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], initialisers)
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 4), st.sampled_from([16, 32, 64]))
def test_a_product_with_packed_weights(seed: int, rows: int, blocks: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-128, 128, (rows, blocks * size), np.int8)
    scales = rng.uniform(0.01, 1, (rows, blocks)).astype(np.float32)
    zeros = rng.integers(-128, 128, (rows, blocks), np.int8)
    x = rng.normal(0, 1, (3, blocks * size)).astype(np.float32)
    unpacked = (weight - np.repeat(zeros, size, 1).astype(np.float32)) * np.repeat(scales, size, 1)
    expected = x @ unpacked.T + np.linspace(-1, 1, rows, dtype=np.float32)
    graph = cpu_form(packed_graph(weight, scales, zeros, transB=1))
    assert operators(graph) == {"MatMulNBits"}
    # Each value of x is off by at most half of the step of its block, whose largest value is 127 steps.
    steps = np.abs(x.reshape(3, blocks, size)).max(2).repeat(size, 1) / 127
    bound = steps @ np.abs(unpacked).T / 2
    assert (np.abs(run(graph, x)[0] - expected) <= bound * 1.01 + 1e-3).all()


@pytest.mark.parametrize(
    ("size", "transposed", "one_bias"), [(24, 1, False), (8, 1, False), (16, 0, False), (16, 1, True)]
)
def test_other_packed_products_are_unpacked(size: int, transposed: int, one_bias: bool) -> None:
    weight = np.ones((size * 2, size * 2), np.int8)
    scales, zeros = np.ones((size * 2, 2), np.float32), np.zeros((size * 2, 2), np.int8)
    graph = cpu_form(packed_graph(weight, scales, zeros, one_bias=one_bias, transB=transposed))
    assert "MatMulNBits" not in operators(graph)


def cpu_form(graph: bytes) -> bytes:
    proto = onnx.load_model_from_string(graph)
    keep_packed_products(proto)
    onnx.checker.check_model(proto)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    return bytes(proto.SerializeToString())
