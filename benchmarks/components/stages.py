"""Embedder and detector alone, by batch size, compared with three others: plain onnxruntime on the published file, the
classes of OpenCV, and the machine's measured float32 matrix-multiply peak.

All of them take turns, and each uses all cores, by one call or by one call for each core. The share of the peak counts
two operations for each product in the convolutions and matrix products of the published graph, and nothing else: work
that a rewritten graph adds does not count, work that it saves counts in full.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime

from benchmarks.common.dataset import add_images_option, read_people, thin
from benchmarks.common.images import HEIGHT, WIDTH, camera_picture
from benchmarks.common.models import items_per_second, model_files, shipped_settings
from benchmarks.common.report import Report
from benchmarks.common.statistics import quartiles
from benchmarks.components import plots
from serve_app.domain import Pixels
from serve_app.processors import cpu_count
from serve_app.settings import DetectorSettings, Inference, Limits
from serve_app.vision.align import align
from serve_app.vision.catalogue import Catalogue, ModelEntry
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.graph_preparation import prepare
from serve_app.vision.image import read_image
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session
from serve_app.vision.tensors import to_tensor
from serve_app.vision.yunet import YuNet

TARGETS = {"embedder / plain onnxruntime": ">= 2.0", "embedder's share of the float32 peak": ">= 0.75"}
PEAK_SIDE = 2048
CONCURRENT = (1, 2, 4)
CALLS_EACH = 32
"""Calls of each thread: enough that the end, when one thread is idle, does not count."""
OURS, PLAIN, OPENCV = "facegraph", "onnxruntime, file as published", "OpenCV"

Way = tuple[Callable[[], object], int]
"""A call, and the number of faces, images or floating-point operations that it processes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32], help="faces in one call")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each way")
    parser.add_argument("--seconds", type=float, default=0.4, help="seconds of one measurement")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    report = Report(
        "stages",
        {"batches": options.batches, "rounds": options.rounds, "picture": f"{WIDTH}x{HEIGHT}", "threads": cpu_count()},
        reference=options.reference,
    )
    catalogue, settings = Catalogue.load(), shipped_settings()
    files = model_files(settings)
    embedder, detector = catalogue.get("sface-2021dec"), catalogue.get("yunet-2023mar")
    pictures = [
        read_image(camera_picture(paths[0].read_bytes()), Limits())[1]
        for paths in thin(list(read_people(options.images).values()), max(options.batches))
    ]
    ways: dict[str, Way] = {"peak": _peak()}
    of_embedder = embedder_ways(files, embedder, detector, pictures, options.batches)
    for stage, found in (("embedder", of_embedder), ("detector", detector_ways(files, detector, pictures))):
        ways |= {f"{stage}: {name}": way for name, way in found.items()}
    rates = measure(ways, options.rounds, options.seconds)
    flops = {
        "embedder": graph_flops(files, embedder, 112, 112),
        "detector": graph_flops(files, detector, HEIGHT, WIDTH),
    }
    figures = summarise(rates, flops)
    show(figures)
    plots.stages(report.plot_path(), figures["stages"])
    return report.write(figures)


def _peak() -> Way:
    """A float32 matrix product in numpy's BLAS, on all cores."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((PEAK_SIDE, PEAK_SIDE), np.float32) for _ in range(2))
    return lambda: a @ b, 2 * PEAK_SIDE**3


def embedder_ways(
    files: ModelFiles, entry: ModelEntry, detector: ModelEntry, pictures: list[Pixels], batches: list[int]
) -> dict[str, Way]:
    """The ways from aligned crops to templates."""
    finder = YuNet(open_session(files, detector, Inference(provider="cpu")), DetectorSettings())
    crops = np.stack([align(p, f.landmarks[0]) for p in pictures if len(f := finder.detect(p))])
    ours = FaceEmbedder(open_session(files, entry, Inference(provider="cpu")), entry)
    plain = _session(_with_real_inputs(files, entry))
    name = plain.get_inputs()[0].name
    tensor = to_tensor(crops[:1], entry.input)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sface.onnx"
        file.write_bytes(_with_real_inputs(files, entry))
        recogniser = cv2.FaceRecognizerSF.create(str(file), "")
    crop = np.ascontiguousarray(crops[0])
    ways: dict[str, Way] = {
        f"{PLAIN}, batch 1": (lambda: plain.run(None, {name: tensor}), 1),
        f"{OPENCV}, batch 1": (lambda: recogniser.feature(crop), 1),
    }
    for batch in batches:
        some = np.resize(crops, (batch, *crops.shape[1:]))
        ways[f"{OURS}, batch {batch}"] = (functools.partial(ours.embed, some), batch)
    # As under load: concurrent calls get one core each.
    pool = ThreadPoolExecutor(cpu_count())
    for batch in CONCURRENT:
        some = np.resize(crops, (batch, *crops.shape[1:]))
        ways[f"{OURS}, batch {batch}, {cpu_count()} calls at a time"] = (
            functools.partial(_on_every_thread, pool, functools.partial(ours.embed, some)),
            batch * CALLS_EACH * cpu_count(),
        )
    return ways


def _on_every_thread(pool: ThreadPoolExecutor, call: Callable[[], object]) -> None:
    def loop(_: int) -> None:
        for _ in range(CALLS_EACH):
            call()

    for _ in pool.map(loop, range(cpu_count())):
        pass


def detector_ways(files: ModelFiles, entry: ModelEntry, pictures: list[Pixels]) -> dict[str, Way]:
    """The ways from images of 640x480 to boxes and landmarks."""
    ours = YuNet(open_session(files, entry, Inference(provider="cpu")), DetectorSettings())
    # onnxruntime rejects the published file (block quantisation of its biases), so its constants are folded first.
    plain = _session(prepare(files.locate(entry).read_bytes(), entry.task, "cuda"))
    name = plain.get_inputs()[0].name
    tensor = np.zeros((1, 3, HEIGHT, WIDTH), np.float32)
    theirs = cv2.FaceDetectorYN.create(str(files.locate(entry)), "", (WIDTH, HEIGHT), 0.6, 0.3, 5000)
    picture = pictures[0]
    return {
        f"{OURS}, 640x480": (lambda: ours.detect(picture), 1),
        "onnxruntime, constants folded, 640x480, outputs not decoded": (lambda: plain.run(None, {name: tensor}), 1),
        f"{OPENCV}, 640x480": (lambda: theirs.detect(picture), 1),
    }


def _with_real_inputs(files: ModelFiles, entry: ModelEntry) -> bytes:
    """The published file without the inputs that no node uses, for which onnxruntime and OpenCV reject it."""
    proto = onnx.load(files.locate(entry))
    used = {name for node in proto.graph.node for name in node.input} - {t.name for t in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name in used]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    return bytes(proto.SerializeToString())


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = cpu_count()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def measure(ways: dict[str, Way], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Way -> items per second, once for each round; the ways take turns."""
    cv2.setNumThreads(cpu_count())
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for call, _ in ways.values():
        call()
    for _ in range(rounds):
        for name, (call, items) in ways.items():
            rates[name].append(items_per_second(call, items, seconds))
    return rates


def graph_flops(files: ModelFiles, entry: ModelEntry, height: int, width: int) -> int:
    """Floating-point operations for one input: two for each product in convolutions and matrix products."""
    proto = onnx.load_model_from_string(prepare(files.locate(entry).read_bytes(), entry.task, "cuda"))
    for dim, size in zip(proto.graph.input[0].type.tensor_type.shape.dim, (1, 3, height, width), strict=True):
        dim.dim_value = size
    graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output):
        shapes[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += 2 * int(np.prod(shapes[node.output[0]])) * int(np.prod(shapes[node.input[1]][1:]))
        elif node.op_type in ("Gemm", "MatMul"):
            total += 2 * int(np.prod(shapes[node.input[1]]))
    return total


def summarise(rates: dict[str, list[float]], flops: dict[str, int]) -> dict[str, Any]:
    """Quartiles of rates, of ratios round by round, and of shares of the peak."""
    peak = np.array(rates["peak"])
    stages: dict[str, Any] = {}
    for name, values in rates.items():
        stage = name.partition(":")[0]
        if stage == "peak":
            continue
        size = flops[stage]
        per_second = np.array(values)
        stages[name] = {"per_second": quartiles(per_second), "share_of_peak": quartiles(per_second * size / peak)}
    ours = [name for name in stages if name.startswith(f"embedder: {OURS}")]
    best = max(ours, key=lambda name: stages[name]["per_second"]["median"])
    against = {
        "plain onnxruntime": f"embedder: {PLAIN}, batch 1",
        "OpenCV": f"embedder: {OPENCV}, batch 1",
    }
    at_one = np.array(rates[f"embedder: {OURS}, batch 1"])
    return {
        "targets": TARGETS,
        "float32_peak_gflops": quartiles(peak / 1e9),
        "mflop": {stage: round(value / 1e6, 1) for stage, value in flops.items()},
        "embedder_best": best,
        "embedder_best_against": {
            who: quartiles(np.array(rates[best]) / np.array(rates[n])) for who, n in against.items()
        },
        "embedder_at_batch_1_against": {who: quartiles(at_one / np.array(rates[n])) for who, n in against.items()},
        "stages": stages,
    }


def show(figures: dict[str, Any]) -> None:
    """Print the rates as a table."""
    print(f"float32 peak {figures['float32_peak_gflops']['median']:.0f} Gflop/s")
    for name, values in figures["stages"].items():
        print(
            f"{name:>58}  {values['per_second']['median']:8.1f}/s  {values['share_of_peak']['median']:.3f} of the peak"
        )
    for who, ratio in figures["embedder_best_against"].items():
        at_one = figures["embedder_at_batch_1_against"][who]["median"]
        print(f"embedder against {who}: {ratio['median']:.2f} (batch 1: {at_one:.2f})")
