"""Preparation of ONNX graphs: rewrites a published graph into an equivalent one that onnxruntime runs fast.

* Constants are folded. The OpenCV Zoo's files store weights in int8 blocks, unpacked by ``DequantizeLinear`` and
  ``Reshape`` nodes; SFace also lists its weights as inputs, for which onnxruntime refuses it.
* The batch dimension becomes symbolic; a detector's height and width too.
* For the CPU, some nodes are written in another form (see :mod:`.cpu_graph`).
* For CUDA, weights and arithmetic may become float16; inputs and outputs stay float32.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from serve_app.vision import cpu_graph
from serve_app.vision.catalogue import Task

Target = Literal["cpu", "cuda"]

_CODE = (__file__, cpu_graph.__file__)
PREPARATION = hashlib.sha256(b"".join(Path(file).read_bytes() for file in _CODE)).hexdigest()[:8]
"""Hash of the code that prepares graphs, part of the names of cached graphs: a change of the code invalidates them."""

_FOLDABLE = frozenset({"Constant", "DequantizeLinear", "Reshape", "Identity"})


def prepare(model: bytes, task: Task, target: Target, *, fp16: bool = False) -> bytes:
    """The prepared form of an ONNX model with one real input; takes the file as published, returns it serialised.

    Args:
        task: a detector gets symbolic height and width.
        target: the kind of processor that will run it.
        fp16: compute in half precision; CUDA only.

    Raises ValueError if the graph is not of a kind that can be prepared, or ``fp16`` was asked for with another target.
    """
    if fp16 and target != "cuda":
        raise ValueError(f"fp16 is for the target 'cuda', got {target!r}")
    proto = onnx.load_model_from_string(model)
    graph = proto.graph
    if target == "cpu":
        cpu_graph.keep_packed_products(proto)
    _fold_constants(proto)
    _keep_real_input(graph)
    _free_dimensions(graph, spatial=task == "detector")
    if target == "cpu":
        cpu_graph.rewrite_prelu(graph)
    del graph.value_info[:]  # it holds the fixed sizes of the export
    _drop_unused_initialisers(graph)
    onnx.checker.check_model(proto)
    if fp16:
        proto = _to_float16(proto)
    return bytes(proto.SerializeToString())


def _fold_constants(proto: onnx.ModelProto) -> None:
    graph = proto.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept, folded = [], []
    for node in graph.node:
        if node.op_type not in _FOLDABLE or any(name and name not in constants for name in node.input):
            kept.append(node)
            continue
        evaluator = ReferenceEvaluator(node, opsets={opset.domain: opset.version for opset in proto.opset_import})
        values = evaluator.run(None, {name: constants[name] for name in node.input if name})
        for name, value in zip(node.output, values, strict=True):
            constants[name] = np.asarray(value)
            folded.append(numpy_helper.from_array(constants[name], name))
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(folded)


def _keep_real_input(graph: onnx.GraphProto) -> None:
    initialisers = {tensor.name for tensor in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    real = [value for value in graph.input if value.name in used and value.name not in initialisers]
    if len(real) != 1:
        raise ValueError(f"expected a graph with one input, got {[value.name for value in real]}")
    del graph.input[:]
    graph.input.extend(real)


def _free_dimensions(graph: onnx.GraphProto, *, spatial: bool) -> None:
    dims = graph.input[0].type.tensor_type.shape.dim
    if len(dims) != 4:
        raise ValueError(f"expected an input of 4 dimensions (NCHW), got {len(dims)}")
    dims[0].dim_param = "batch"
    if spatial:
        dims[2].dim_param, dims[3].dim_param = "height", "width"
    _free_reshapes(graph)
    for output in graph.output:
        shape = output.type.tensor_type.shape.dim
        shape[0].dim_param = "batch"
        if spatial:
            shape[1].dim_param = f"{output.name}_anchors"


def _free_reshapes(graph: onnx.GraphProto) -> None:
    """Write ``[1, ...]`` as ``[0, ...]``, where 0 copies the batch dimension."""
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in initialisers:
            continue
        target = initialisers[node.input[1]]
        shape = numpy_helper.to_array(target).copy()
        if shape.size > 1 and shape[0] == 1:
            shape[0] = 0
            target.CopyFrom(numpy_helper.from_array(shape, target.name))


def _drop_unused_initialisers(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _to_float16(proto: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(proto, keep_io_types=True, disable_shape_infer=False)
