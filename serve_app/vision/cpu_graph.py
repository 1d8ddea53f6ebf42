"""Graph rewrites for onnxruntime's CPU provider: nodes that it runs faster in another form."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's own operators."""


def keep_packed_products(proto: onnx.ModelProto) -> None:
    """Replace matrix products with weights published as int8 blocks by ``MatMulNBits``, which needs no unpacking.

    A matrix product for few rows is bound by the memory of its weights: SFace's last layer takes 26 MB as float32 and
    an eighth of the time of one face. ``MatMulNBits`` reads the 6.4 MB that were published. It rounds its input to 8
    bits in the same blocks, which changes templates by a cosine of 2e-6 at most (200 faces of LFW).

    Must be called before constants are folded. It rewrites ``Gemm(x, DequantizeLinear(weight), bias)`` with a
    transposed weight in blocks along its rows and one bias per row; products of another form are left unchanged.
    """
    graph = proto.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    unpacked = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    packed_names = set()
    for node in graph.node:
        source = unpacked.get(node.input[1]) if _is_plain_gemm(node) else None
        blocks = None if source is None else _blocks(source, constants)
        if blocks is None or _shape(node.input[2], unpacked, constants) != blocks[0].shape[:1]:
            continue
        weight, scales, zeros = blocks
        (rows, count, size) = weight.shape
        x, name, bias = node.input
        packed = {f"{name}__packed": weight, f"{name}__scales": scales.ravel(), f"{name}__zeros": zeros.ravel()}
        graph.initializer.extend(numpy_helper.from_array(values, key) for key, values in packed.items())
        replacement = onnx.helper.make_node(
            "MatMulNBits",
            [x, *packed, "", bias],
            list(node.output),
            domain=_MICROSOFT,
            K=count * size,
            N=rows,
            bits=8,
            block_size=size,
            accuracy_level=4,  # multiply in int8
        )
        node.CopyFrom(replacement)
        packed_names.add(name)
    if packed_names:
        proto.opset_import.append(onnx.helper.make_opsetid(_MICROSOFT, 1))
    for name in packed_names.difference(*(node.input for node in graph.node)):
        graph.node.remove(unpacked[name])


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _is_plain_gemm(node: onnx.NodeProto) -> bool:
    if node.op_type != "Gemm" or len(node.input) != 3:
        return False
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | _attributes(node)
    return plain == {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}


def _shape(
    name: str, unpacked: dict[str, onnx.NodeProto], constants: dict[str, NDArray[np.generic]]
) -> tuple[int, ...] | None:
    """Shape of a constant, packed or not; None if ``name`` is not a constant."""
    source = unpacked[name].input[0] if name in unpacked else name
    return constants[source].shape if source in constants else None


def _blocks(
    node: onnx.NodeProto, constants: dict[str, NDArray[np.generic]]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]] | None:
    """Weights (rows, blocks, size) with scales and zero points of each block; None for another form."""
    attributes = _attributes(node)
    size = attributes.get("block_size", 0)
    if len(node.input) != 3 or any(name not in constants for name in node.input):
        return None
    weight, scales, zeros = (constants[name] for name in node.input)
    fits = size >= 16 and size & (size - 1) == 0 and weight.ndim == 2 and weight.shape[1] % size == 0
    if not fits or attributes.get("axis", 1) != 1 or weight.dtype != np.int8 or scales.dtype != np.float32:
        return None
    # MatMulNBits takes unsigned bytes, so the values and the zero points are shifted by 128.
    moved, moved_zeros = ((values.astype(np.int16) + 128).astype(np.uint8) for values in (weight, zeros))
    return moved.reshape(len(weight), -1, size), scales.astype(np.float32), moved_zeros


def rewrite_prelu(graph: onnx.GraphProto) -> None:
    """Rewrite ``PRelu(x) = x + Relu((a - 1)*x)`` with both products as depthwise 1x1 convolutions.

    onnxruntime's CPU provider keeps convolutions, ReLU and sums in its blocked channel layout, but leaves that layout
    for PRelu, which took half of SFace's time. After the rewrite it fuses the ReLU into the first convolution and the
    sum into the second; the remaining cost is that a layer is read three times and written twice.

    The formula holds for slopes ``a`` up to 1. A channel with a larger slope is computed negated, as
    ``-a*x + Relu((a - 1)*x)``, and the weights of the convolutions that read it are negated as well. The node is left
    unchanged if another kind of node reads such a channel, or if the slopes are not one per channel of an NCHW tensor.
    """
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        slope = numpy_helper.to_array(initialisers[node.input[1]]) if _is_channel_prelu(node, initialisers) else None
        if slope is None or not _negate_readers(graph, node.output[0], slope.ravel() > 1, initialisers):
            nodes.append(node)
            continue
        (source, _), (result,) = node.input, node.output
        channels = slope.shape[0]
        names = {part: f"{result}__{part}" for part in ("identity", "rest", "same", "scaled", "relu")}
        identity = np.where(slope > 1, -slope, np.ones_like(slope))
        for name, weight in ((names["identity"], identity), (names["rest"], slope - 1)):
            graph.initializer.append(numpy_helper.from_array(weight.reshape(channels, 1, 1, 1), name))
        make = onnx.helper.make_node
        nodes += [
            make("Conv", [source, names["rest"]], [names["scaled"]], group=channels, kernel_shape=[1, 1]),
            make("Relu", [names["scaled"]], [names["relu"]]),
            make("Conv", [source, names["identity"]], [names["same"]], group=channels, kernel_shape=[1, 1]),
            make("Add", [names["same"], names["relu"]], [result]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _negate_readers(
    graph: onnx.GraphProto, name: str, negated: NDArray[np.bool_], weights: dict[str, onnx.TensorProto]
) -> bool:
    """Compensate for negated channels of a tensor in the weights of its readers; False if that is not possible."""
    if not negated.any():
        return True
    uses = Counter(used for node in graph.node for used in node.input)
    readers = [node for node in graph.node if name in node.input]
    own_weights = [node.op_type == "Conv" and node.input[1] in weights and uses[node.input[1]] == 1 for node in readers]
    if not all(own_weights) or any(output.name == name for output in graph.output):
        return False
    for node in readers:
        weight = numpy_helper.to_array(weights[node.input[1]]).copy()
        signs = np.where(negated, -1, 1).astype(weight.dtype).reshape(-1, weight.shape[1])  # one row per group
        per_output = np.repeat(signs, weight.shape[0] // len(signs), axis=0)
        weight *= per_output.reshape(*per_output.shape, *[1] * (weight.ndim - 2))
        weights[node.input[1]].CopyFrom(numpy_helper.from_array(weight, node.input[1]))
    return True


def _is_channel_prelu(node: onnx.NodeProto, initialisers: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type != "PRelu" or node.input[1] not in initialisers:
        return False
    shape = list(initialisers[node.input[1]].dims)
    return len(shape) == 3 and shape[1:] == [1, 1]
