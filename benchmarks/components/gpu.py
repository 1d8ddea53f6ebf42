"""Embedder and detector on an NVIDIA GPU, by batch size, precision and provider. Without a GPU it prints that.

Each is measured in two ways: ``run`` as the service calls a session (host memory in and out), and ``bound`` (I/O
binding: input and output stay on the device). The difference is the cost of the copies.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.common.models import items_per_second, model_files, shipped_settings
from benchmarks.common.report import Report
from benchmarks.common.statistics import quartiles
from serve_app.errors import ConfigurationError
from serve_app.settings import Inference
from serve_app.vision.catalogue import Catalogue, ModelEntry
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import OnnxSession, has_nvidia_device, open_session

TARGET = "embedder on an H200: >= 20,000 faces/s"
KINDS = {
    "cuda": Inference(provider="cuda"),
    "cuda, fp16": Inference(provider="cuda", fp16=True),
    "tensorrt, fp16": Inference(provider="tensorrt", fp16=True),
}


class NoGpu(Exception):
    """The provider does not load or does not run on a GPU; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 8, 32, 64, 128, 256, 512], help="faces in a call")
    parser.add_argument("--pictures", type=int, nargs="*", default=[1, 4, 16, 32], help="640x480 images in a call")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=["cuda", "cuda, fp16"], help="provider, precision")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each way")
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds of one measurement")


def run(options: argparse.Namespace) -> Path | None:
    """Measure, print and write; the JSON file's path, None without a GPU."""
    if not has_nvidia_device():
        print("No NVIDIA GPU is visible to this process: nothing is measured. The service runs on the CPU here.")
        return None
    card = card_name()
    settings = {"card": card, "rounds": options.rounds, "seconds": options.seconds}
    report = Report("gpu", settings, reference=options.reference)
    catalogue, chosen = Catalogue.load(), shipped_settings()
    files = model_files(chosen)
    shapes = {
        "embedder": (catalogue.get(chosen.embedder.model), (112, 112), options.batches),
        "detector": (catalogue.get(chosen.detector.model), (480, 640), options.pictures),
    }
    figures: dict[str, Any] = {}
    for kind in options.kinds:
        for stage, (entry, (height, width), batches) in shapes.items():
            try:
                session = on_gpu(files, entry, KINDS[kind])
            except NoGpu as error:
                print(f"{stage}, {kind}: not run, {error}")
                continue
            for batch in batches:
                tensor = np.random.default_rng(0).uniform(0, 255, (batch, 3, height, width)).astype(np.float32)
                name = f"{stage}, {kind}, batch {batch}"
                figures[name] = {
                    "run": rate(partial(session.run, tensor), batch, options),
                    "bound": rate(bound(session, tensor), batch, options),
                }
                medians = {way: values["median"] for way, values in figures[name].items()}
                print(f"{name:>36}  {medians['run']:10.0f}/s, bound {medians['bound']:10.0f}/s", flush=True)
    return report.write({"target": TARGET, "per_second": figures})


def card_name() -> str:
    """Name and driver version of the GPU, as the driver reports them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "unknown (no nvidia-smi)"
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False, timeout=30).stdout.strip()


def on_gpu(files: ModelFiles, entry: ModelEntry, inference: Inference) -> OnnxSession:
    """A session as the service opens it.

    Raises:
        NoGpu: the provider does not load, or the session is not one of onnxruntime.
    """
    try:
        session = open_session(files, entry, inference)
    except ConfigurationError as error:
        raise NoGpu(error.message) from None
    if not isinstance(session, OnnxSession):
        raise NoGpu(f"the session is a {type(session).__name__}")
    return session


def bound(session: OnnxSession, tensor: np.ndarray[Any, np.dtype[np.float32]]) -> Callable[[], object]:
    """A call whose input and outputs stay on the device."""
    raw: onnxruntime.InferenceSession = session.raw
    binding = raw.io_binding()
    value = onnxruntime.OrtValue.ortvalue_from_numpy(tensor, "cuda", 0)
    binding.bind_ortvalue_input(raw.get_inputs()[0].name, value)
    for output in raw.get_outputs():
        binding.bind_output(output.name, "cuda", 0)

    def call() -> None:
        raw.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call


def rate(call: Callable[[], object], items: int, options: argparse.Namespace) -> dict[str, float]:
    """Quartiles of items per second over the rounds, after three calls that do not count."""
    for _ in range(3):
        call()
    return quartiles([items_per_second(call, items, options.seconds) for _ in range(options.rounds)])
